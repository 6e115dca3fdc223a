"""Reading what may never answer: a share that hangs costs a wait, not the run.

Whatever touches the share is done in a thread of its own. When it does not come back in time it is left behind (nothing can stop a thread
in a system call; it ends with the process), and SourceGone is raised.
"""

import errno
import queue
import threading
from collections.abc import Callable
from typing import Any, BinaryIO, TypeVar, cast

from exporter.errors import EvidenceError, SourceGone
from exporter.evidence import EvidenceFile

HEAD_BYTES = 4096
_AWAY = frozenset(
    number
    for name in (
        *("EIO", "ESTALE", "ENOTCONN", "ECONNRESET", "ECONNREFUSED", "ECONNABORTED", "EHOSTDOWN", "EHOSTUNREACH", "ETIMEDOUT", "ENODEV"),
        *("ENETDOWN", "ENETUNREACH", "ENETRESET", "ENXIO", "ENOENT", "EREMOTEIO", "ENOLINK", "ESHUTDOWN"),
    )
    if (number := getattr(errno, name, None)) is not None
)
"""What the system says when a share, not a file, is the matter; also when a file vanishes while it is read."""
_T = TypeVar("_T")


class Patience:
    """Waits `seconds` for each call, and no longer. Raises SourceGone for a call that hangs or finds the share gone."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._calls: queue.SimpleQueue[Callable[[], None] | None] | None = None

    def call(self, function: Callable[..., _T], *arguments: Any, seconds: float | None = None) -> _T:
        """What the function returns; its own errors pass, but for those that say that the share is away."""
        answers: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

        def run() -> None:
            try:
                answers.put((True, function(*arguments)))
            except BaseException as error:  # noqa: BLE001 (raised again by the caller)
                answers.put((False, error))

        self._submit(run)
        limit = self._seconds if seconds is None else seconds
        try:
            good, answer = answers.get(timeout=limit)
        except queue.Empty:
            self._calls = None
            raise SourceGone(f"it has not answered for {limit:g} seconds") from None
        if not good:
            _raise(answer)
        return cast("_T", answer)

    def close(self) -> None:
        """Let the thread end."""
        if self._calls is not None:
            self._calls.put(None)
            self._calls = None

    def _submit(self, call: Callable[[], None]) -> None:
        if self._calls is None:
            self._calls = queue.SimpleQueue()
            threading.Thread(target=_work, args=(self._calls,), daemon=True).start()
        self._calls.put(call)


def _work(calls: "queue.SimpleQueue[Callable[[], None] | None]") -> None:
    while (call := calls.get()) is not None:
        call()


def _raise(error: BaseException) -> None:
    cause: BaseException | None = error if isinstance(error, OSError) else error.__cause__
    if isinstance(error, (OSError, EvidenceError)) and isinstance(cause, OSError) and cause.errno in _AWAY:
        raise SourceGone(f"it is not there any more: {cause.strerror}") from error
    raise error


class PatientFile:
    """Stands in for `file`: opened and read with patience. `head` are the first bytes, as far as they were read."""

    def __init__(self, file: EvidenceFile, patience: Patience) -> None:
        self._file = file
        self._patience = patience
        self.path, self.evidence, self.size = file.path, file.evidence, file.size
        self.modified_at, self.volume, self.snapshot = file.modified_at, file.volume, file.snapshot
        self.doubts, self.ntfs = file.doubts, file.ntfs
        self.head = b""

    def open(self) -> BinaryIO:
        """A stream that can be read and closed."""
        self.head = b""
        return cast("BinaryIO", _PatientStream(self, self._patience.call(self._file.open), self._patience))


class _PatientStream:
    def __init__(self, file: PatientFile, stream: BinaryIO, patience: Patience) -> None:
        self._file, self._stream, self._patience = file, stream, patience

    def read(self, size: int = -1) -> bytes:
        data = self._patience.call(self._stream.read, size)
        if len(self._file.head) < HEAD_BYTES:
            self._file.head += data[: HEAD_BYTES - len(self._file.head)]
        return data

    def close(self) -> None:
        self._patience.call(self._stream.close)

    def __enter__(self) -> "_PatientStream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
