"""NTFS files that make_image does not write: compressed by NTFS or by the system, sparse, with reparse points; by the same libntfs-3g."""

import ctypes
import importlib.util
import io
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PACKED = "WofCompressedData"
_UNNAMED = b"\0\0"
_DATA = 0x80


class VolumeWriter:
    """Adds files to the root of a fresh volume; `compression` says that files there are compressed by NTFS. Use as a context."""

    def __init__(self, shared_tools: Path, path: Path, *, compression: bool = False, sector: int = 512) -> None:
        make_image = _module(shared_tools / "make_image.py")
        with path.open("wb") as file:
            file.truncate(16 << 20)
        quick = ["--force", "--quick", "--quiet", "--zero-time", *(["--enable-compression"] if compression else [])]
        geometry = ["--cluster-size=4096", f"--sector-size={sector}", "--partition-start=0", "--heads=255", "--sectors-per-track=63"]
        make_image.call(make_image.program("mkntfs"), *quick, *geometry, path)
        self._volume = make_image.Volume(path)
        self._library = self._volume.lib
        pointer, size = ctypes.c_void_p, ctypes.c_int64
        self._library.ntfs_set_ntfs_reparse_data.argtypes = (pointer, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int)
        self._library.ntfs_attr_truncate.argtypes = (pointer, size)
        self._library.ntfs_attr_pclose.argtypes = (pointer,)
        self._library.ntfs_delete.argtypes = (pointer, ctypes.c_char_p, pointer, pointer, ctypes.c_char_p, ctypes.c_uint8)

    def add(self, name: str, content: bytes = b"", *, size: int = 0, reparse: bytes = b"", packed: bytes | None = None) -> None:
        """A file; without content, one that is a hole of `size` bytes."""
        root = self._volume.open("")
        inode = self._volume.create(root, name, False)
        self._write(inode, content, size)
        if packed is not None:
            self._volume.write(inode, PACKED, io.BytesIO(packed))
        if reparse:
            self._check(self._library.ntfs_set_ntfs_reparse_data(inode, reparse, len(reparse), 0))
        self._volume.close(inode, root)
        self._volume.close(root)

    def remove(self, name: str) -> None:
        """Deletes a file."""
        raw = name.encode("utf-16-le")
        root, inode = self._volume.open(""), self._volume.open(name)
        self._check(self._library.ntfs_delete(self._volume.handle, None, inode, root, raw, len(raw) // 2))  # closes both

    def _write(self, inode: int, content: bytes, size: int) -> None:
        attribute = self._check(self._library.ntfs_attr_open(inode, _DATA, _UNNAMED, 0))
        if size:
            self._check(self._library.ntfs_attr_truncate(attribute, size))
        done = 0
        while done < len(content):
            done += self._check(self._library.ntfs_attr_pwrite(attribute, done, len(content) - done, content[done:]))
        self._check(self._library.ntfs_attr_pclose(attribute))
        self._library.ntfs_attr_close(attribute)

    def _check(self, result: Any) -> Any:
        return self._volume.check(result, "volume")

    def __enter__(self) -> "VolumeWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._volume.unmount()


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def reparse_point(tag: int, content: bytes = bytes(16)) -> bytes:
    """[MS-FSCC] 2.1.2.2."""
    return struct.pack("<IHH", tag, len(content), 0) + content


def packed_by(algorithm: int, provider: int = 2) -> bytes:
    """A file of the Windows Overlay Filter: WOF_EXTERNAL_INFO, then FILE_PROVIDER_EXTERNAL_INFO_V1 (provider 2), or a WIM's (1)."""
    return reparse_point(0x80000017, struct.pack("<IIII", 1, provider, 1, algorithm))


def packed(content: bytes, unit: int, stored: Sequence[int] = ()) -> bytes:
    """The stream of a packed file of hexadecimal-like characters (0x30 to 0x3f): the ends of all units but the last, then the units."""
    units = [content[at : at + unit] for at in range(0, len(content), unit)]
    units = [one if index in stored else _huffman(one) for index, one in enumerate(units)]
    ends = [sum(map(len, units[: index + 1])) for index in range(len(units) - 1)]
    return struct.pack(f"<{len(ends)}I", *ends) + b"".join(units)


def _huffman(content: bytes) -> bytes:
    """[MS-XCA] 2.1: code lengths of 512 symbols, four bits each, then codes in words of 16 bits. Sixteen literals of four bits each."""
    lengths = bytearray(256)
    lengths[0x30 // 2 : 0x40 // 2] = b"\x44" * 8
    words = [sum((byte - 0x30) << (12 - 4 * index) for index, byte in enumerate(content[at : at + 4])) for at in range(0, len(content), 4)]
    return bytes(lengths) + struct.pack(f"<{len(words)}H", *words) + bytes(4)
