"""Reading with patience: a hang costs the wait, a share that is away is told from a bad file, everything else passes."""

import errno
import io
import threading

import pytest

from exporter.errors import EvidenceError, SourceGone
from exporter.evidence.files import File
from exporter.evidence.patience import HEAD_BYTES, Patience, PatientFile


def test_a_call_that_hangs_is_left_behind_and_the_next_one_works() -> None:
    patience, never = Patience(0.05), threading.Event()
    with pytest.raises(SourceGone, match=r"0\.05 seconds"):
        patience.call(never.wait)
    assert patience.call(lambda: 7) == 7
    never.set()


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ENOENT, errno.ETIMEDOUT])
def test_a_share_that_is_away_is_no_damage(number: int) -> None:
    def fail() -> None:
        raise OSError(number, "x")

    def told() -> None:
        raise EvidenceError("cannot be read") from OSError(number, "x")

    for call in (fail, told):
        with pytest.raises(SourceGone):
            Patience(5).call(call)


@pytest.mark.parametrize("error", [EvidenceError("bad"), PermissionError(errno.EACCES, "no"), ValueError("x")])
def test_other_errors_pass(error: Exception) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        Patience(5).call(fail)
    assert caught.value is error


def test_a_file_is_read_as_it_is_and_its_beginning_is_kept() -> None:
    data = bytes(range(256)) * 64
    file = PatientFile(File(path="x", evidence="e", root="", tails=(), opener=lambda: io.BytesIO(data), size=len(data)), Patience(5))
    with file.open() as stream:
        pieces = list(iter(lambda: stream.read(1000), b""))
    assert b"".join(pieces) == data
    assert file.head == data[:HEAD_BYTES]
