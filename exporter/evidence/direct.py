"""A file that is read whatever it is called, because it was given by itself."""

from collections.abc import Iterator, Sequence

import msgspec

from exporter.evidence import Found
from exporter.evidence.files import File
from exporter.evidence.folder import FolderTree


class DirectFile:
    """A tree of one file, which matches `tail` where its name matches no other. Takes a FolderTree over a file."""

    def __init__(self, tree: FolderTree, tail: str) -> None:
        self._tree, self._tail = tree, tail
        self.name, self.above, self.images = tree.name, tree.above, tree.images

    def walk(self, tails: Sequence[str]) -> Iterator[Found]:
        """The file."""
        found = list(self._tree.walk(tails))
        if not found:
            found = [msgspec.structs.replace(one, tails=(self._tail,)) if isinstance(one, File) else one for one in self._tree.walk(["*"])]
        yield from found

    def close(self) -> None:
        """Closes the tree."""
        self._tree.close()
