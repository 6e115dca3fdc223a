"""A line of JSON for each host: as they come, and in a file at the end one for every host, in the order of the plan."""

from collections.abc import Iterable
from pathlib import Path
from typing import IO

import msgspec

from exporter.batch.task import Outcome
from exporter.errors import SinkError, SinkRefused, SinkUnavailable
from exporter.sinks.atomic import PartFile, Stream
from exporter.text import json_visible

STANDARD_OUTPUT = "-"


def line(outcome: Outcome) -> str:
    """An outcome as JSON, inert in a terminal."""
    return json_visible(msgspec.json.encode(outcome).decode())


class Results:
    """Nowhere (None), standard output (`-`) or a file, which is continued. Raises SinkError."""

    def __init__(self, target: str | None, *, force: bool = True) -> None:
        self._path = None if target in (None, STANDARD_OUTPUT) else Path(str(target))
        self._stream = Stream(STANDARD_OUTPUT) if target == STANDARD_OUTPUT else None
        self._file: IO[bytes] | None = None
        self._force = force

    def start(self, *, goes_on: bool) -> None:
        """Open the file: behind what an earlier run of the batch wrote, or anew."""
        if self._path is None:
            return
        if not goes_on and not self._force and self._path.exists():
            raise SinkRefused(f"`{self._path}` exists: choose another name, or replace it with --force")
        try:
            self._file = self._path.open("ab" if goes_on else "wb")
        except OSError as error:
            raise SinkRefused(f"`{self._path}` cannot be opened for writing: {error.strerror}") from error

    def tell(self, outcome: Outcome) -> None:
        """One more."""
        data = f"{line(outcome)}\n".encode()
        if self._stream is not None:
            self._stream.write(data)
            self._stream.flush()
        elif self._file is not None:
            try:
                self._file.write(data)
                self._file.flush()
            except OSError as error:
                raise self._failed(error) from error

    def end(self, outcomes: Iterable[Outcome]) -> None:
        """All of them in place of what the file held, by rename."""
        self.close()
        if self._path is None:
            return
        file = PartFile(self._path, force=True)
        try:
            for outcome in outcomes:
                file.write(f"{line(outcome)}\n".encode())
            file.commit()
        finally:
            file.abort()

    def close(self) -> None:
        """Close the file; what was told stays told."""
        if self._file is not None:
            file, self._file = self._file, None
            try:
                file.close()
            except OSError as error:
                raise self._failed(error) from error

    def _failed(self, error: OSError) -> SinkError:
        return SinkUnavailable(f"`{self._path}` cannot be written: {error.strerror}")
