"""BitLocker volumes for tests: the real ones of the samples folder, in memory, and those that make_bitlocker makes."""

import configparser
import csv
import gzip
import hashlib
import io
import json
import struct
import subprocess
import sys
import tarfile
from bisect import bisect_right
from pathlib import Path
from typing import Any, BinaryIO

from exporter.evidence.images.media import Media
from exporter.evidence.keys import KeyStore

PASSWORD = "password12!@"
"""Of all volumes of dissect.fve."""


class Cryptsetup:
    """The volumes of cryptsetup's tests, and what its `images.conf` says of each: GUIDs, keys, and the SHA-256 of the plain volume."""

    def __init__(self, shared_data: Path) -> None:
        self._pieces: dict[str, list[tuple[int, bytes]]] = {}
        self._sizes: dict[str, int] = {}
        self.startup_keys: dict[str, bytes] = {}
        with tarfile.open(shared_data / "images" / "bitlocker" / "bitlk-images.tar.xz") as archive:
            for member in archive:
                if member.name.endswith("images.conf"):
                    text = archive.extractfile(member).read().decode("utf-8")
                elif member.name.endswith(".BEK"):
                    self.startup_keys[Path(member.name).name] = archive.extractfile(member).read()
                elif member.name.endswith(".img"):
                    self._read(archive, member)
        self.truth = configparser.ConfigParser()
        self.truth.read_string(text)

    def _read(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        name, data = Path(member.name).stem, archive.extractfile(member)
        pieces = []
        for start, size in member.sparse:
            data.seek(start)
            pieces.append((start, data.read(size)))
        self._pieces[name], self._sizes[name] = pieces, member.size

    def open(self, name: str) -> BinaryIO:
        """A volume, without a file: all but 36 KB of its 100 MB are zeros."""
        pieces = [piece for piece in self._pieces[name] if piece[1]]
        starts = [start for start, _ in pieces]

        def read_at(offset: int, size: int) -> bytes:
            found = bytearray(size)
            for start, data in pieces[max(0, bisect_right(starts, offset) - 1) :]:
                low, high = max(offset, start), min(offset + size, start + len(data))
                if low < high:
                    found[low - offset : high - offset] = data[low - start : high - start]
            return bytes(found)

        return Media(read_at, self._sizes[name])  # type: ignore[return-value]


def dissect_volume(shared_data: Path, name: str, size: int = -1) -> BinaryIO:
    """A volume of dissect.fve's tests, or its start."""
    with gzip.open(shared_data / "images" / "bitlocker" / f"{name}.bin.gz") as packed:
        return io.BytesIO(packed.read(size))


def store(folder: Path, *rows: tuple[str, str, str, str]) -> KeyStore:
    """A key store of rows (volume, protector, recovery password, password)."""
    path = folder / "keys.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("VolumeID", "KeyID", "RecoveryKey", "Password"), *rows])
    return KeyStore.open(str(path))


def plain_volume(path: Path, size: int = 1 << 19) -> bytes:
    """What passes for an NTFS volume: its first sector, noise, and zeros where metadata can go."""
    sector = bytearray(b"\xeb\x52\x90NTFS    \0\x02\x08".ljust(512, b"\0"))
    struct.pack_into("<3Q", sector, 40, size // 512 - 1, 4, 8)
    sector[64], sector[68], sector[510:512] = 0xF6, 1, b"\x55\xaa"
    noise = b"".join(hashlib.sha256(number.to_bytes(4, "little")).digest() for number in range(size // 8 // 32))
    data = (bytes(sector) + noise).ljust(size - 4096, b"\0") + noise[:4096]
    path.write_bytes(data)
    return data


def make(shared_tools: Path, plain: Path, made: Path, *options: str) -> dict[str, Any]:
    """Encrypts; what make_bitlocker says of the volume."""
    command = [sys.executable, str(shared_tools / "make_bitlocker.py"), str(plain), str(made), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    truth: dict[str, Any] = json.loads(done.stdout)
    return truth


def digest(stream: BinaryIO) -> str:
    """The SHA-256 of all of it."""
    found = hashlib.sha256()
    stream.seek(0)
    while piece := stream.read(1 << 20):
        found.update(piece)
    return found.hexdigest()
