"""A timeline in parts that Timesketch imports one by one, with a manifest (T11)."""

import contextlib
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from exporter.sinks.atomic import PartFile
from exporter.sinks.runs import Block


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

    def has_room(self, lines: bytes, count: int, size_limit: int, line_limit: int) -> bool:
        return self.size + len(lines) <= size_limit and self.count + count <= line_limit

    def write(self, lines: bytes, count: int) -> None:
        self.first = self.first or lines[: lines.index(b"\n")]
        self.last = lines[lines.rfind(b"\n", 0, -1) + 1 :]
        self.count += count
        self.size += len(lines)
        self._digest.update(lines)
        self.file.write(lines)

    def facts(self) -> dict[str, Any]:
        return {
            "name": self.file.path.name,
            "lines": self.count,
            "size_bytes": self.size,
            "sha256": self._digest.hexdigest(),
            "first": orjson.loads(self.first)["datetime"],
            "last": orjson.loads(self.last)["datetime"],
        }


def write_parts(path: Path, blocks: Iterable[Block], size_limit: int, line_limit: int, force: bool) -> list[str]:
    """Write lines to as many parts as the limits ask for, and return all paths, the manifest last; on an error none is left."""
    parts: list[_Part] = []
    manifest = PartFile(manifest_path(path), force)
    done: list[str] = []
    try:
        for block in blocks:
            pieces = [(block.lines, len(block))]
            if not parts or not parts[-1].has_room(*pieces[0], size_limit, line_limit):
                pieces = [(line, 1) for line in block.each()]
            for lines, count in pieces:
                if not parts or not parts[-1].has_room(lines, count, size_limit, line_limit):
                    parts.append(_Part(part_path(path, len(parts) + 1), force))
                parts[-1].write(lines, count)
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
