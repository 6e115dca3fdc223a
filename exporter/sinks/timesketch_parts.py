"""A timeline in parts that Timesketch imports one by one, with a manifest (T11)."""

import contextlib
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from exporter.sinks.atomic import PartFile

_PIECE = 1 << 17


def part_path(path: Path, number: int) -> Path:
    """`case.jsonl` → `case-0001.jsonl`."""
    return path.with_name(f"{path.stem}-{number:04d}.jsonl")


def manifest_path(path: Path) -> Path:
    """`case.jsonl` → `case-manifest.json`."""
    return path.with_name(f"{path.stem}-manifest.json")


class _Part:
    def __init__(self, path: Path, force: bool) -> None:
        self.file = PartFile(path, force)
        self.size = 0
        self.count = 0
        self.first = self.last = b""
        self._digest = hashlib.sha256()
        self._piece: list[bytes] = []
        self._piece_size = 0

    def write(self, line: bytes) -> None:
        self.first = self.first or line
        self.last = line
        self.count += 1
        self.size += len(line)
        self._piece.append(line)
        self._piece_size += len(line)
        if self._piece_size >= _PIECE:
            self.flush()

    def flush(self) -> None:
        data = b"".join(self._piece)
        self._digest.update(data)
        self.file.write(data)
        self._piece.clear()
        self._piece_size = 0

    def facts(self) -> dict[str, Any]:
        return {
            "name": self.file.path.name,
            "lines": self.count,
            "size_bytes": self.size,
            "sha256": self._digest.hexdigest(),
            "first": orjson.loads(self.first)["datetime"],
            "last": orjson.loads(self.last)["datetime"],
        }


def write_parts(path: Path, lines: Iterable[bytes], size_limit: int, line_limit: int, force: bool) -> list[str]:
    """Write `lines` to as many parts as the limits ask for, and return all paths, the manifest last; on an error none is left."""
    parts: list[_Part] = []
    manifest = PartFile(manifest_path(path), force)
    done: list[str] = []
    try:
        for line in lines:
            if not parts or parts[-1].count >= line_limit or parts[-1].size + len(line) > size_limit:
                if parts:
                    parts[-1].flush()
                parts.append(_Part(part_path(path, len(parts) + 1), force))
            parts[-1].write(line)
        parts[-1].flush()
        manifest.write(orjson.dumps({"parts": [part.facts() for part in parts]}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        for file in (*(part.file for part in parts), manifest):
            done += file.commit()
    except BaseException:
        for file in (*(part.file for part in parts), manifest):
            file.abort()
        for name in done:
            with contextlib.suppress(OSError):
                Path(name).unlink()
        raise
    return done
