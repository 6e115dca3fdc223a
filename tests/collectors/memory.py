"""Evidence for tests of single collectors."""

import io


class Memory:
    """A file of an evidence tree that lives in memory."""

    evidence, size, modified_at, volume, snapshot = "case", None, None, None, None

    def __init__(self, path: str, data: bytes) -> None:
        self.path, self._data = path, data
        self.opened = io.BytesIO()

    def open(self) -> io.BytesIO:
        self.opened = io.BytesIO(self._data)
        return self.opened
