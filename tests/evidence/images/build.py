"""Images of one small tree for many tests."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from exporter.evidence.files import File
from exporter.evidence.images import Image, ImageOptions
from exporter.evidence.images.tree import ImageTree
from exporter.records import Rejected

LOG = "ProgramData/Microsoft/Windows Defender/Support/MPLog-20240101-000000.log"
QUARANTINE = "ProgramData/Microsoft/Windows Defender/Quarantine"


def write_tree(folder: Path, files: Mapping[str, bytes]) -> Path:
    """The folder, with these files in it."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def read(image: Path, tails: Iterable[str] = ("*",), **options: object) -> tuple[dict[str, bytes], list[Rejected], Image]:
    """Contents by path (with the snapshot before it), losses, and what is told of the image."""
    tree = ImageTree(image.parent, (image.name,), ImageOptions(**options))  # type: ignore[arg-type]
    found: dict[str, bytes] = {}
    losses: list[Rejected] = []
    try:
        for one in tree.walk(list(tails)):
            if isinstance(one, File):
                with one.open() as stream:
                    found[f"{one.snapshot}:{one.path}" if one.snapshot else one.path] = stream.read()
            else:
                losses.append(one)
        return found, losses, tree.image
    finally:
        tree.close()
