"""EVTX engines behind one function: binary XML of one chunk in, one rendering for each record out.

A rendering is what the engine says, in the shape of the wheel `evtx`: JSON text (`evtx`) or the same as dictionaries (`python-evtx`).
`evtx_normalize` reads both. Limits of `evtx` 0.14: a text ends at its first NUL and loses lone surrogates, Data without a name are left out
beside named ones, and a record with a time that is none (FILETIME of all ones) is refused. None of this was seen in a Defender record.
"""

import io
from collections.abc import Iterator
from typing import Any, TypeAlias

from exporter.errors import FormatError

ENGINES = ("evtx", "python-evtx")

Rendering: TypeAlias = "str | dict[str, Any] | FormatError"


def render(log: bytes, engine: str) -> Iterator[tuple[int | None, Rendering]]:
    """For each record of a one-chunk log: the id in its header and its rendering, or why there is none (then the id may be None).

    Raises ValueError for an unknown engine; whatever the engine itself raises becomes a FormatError of one record.
    """
    if engine == "evtx":
        return _render_wheel(log)
    if engine == "python-evtx":
        from exporter.formats.evtx_python import render_chunk

        return render_chunk(log)
    raise ValueError(f"unknown EVTX engine `{engine}`: one of {', '.join(ENGINES)}")


def _render_wheel(log: bytes) -> Iterator[tuple[int | None, Rendering]]:
    from evtx import PyEvtxParser

    try:
        records: Any = PyEvtxParser(io.BytesIO(log), number_of_threads=1).records_json()
    except (RuntimeError, OSError) as error:
        yield None, FormatError(_brief(error))
        return
    while True:
        try:
            for record in records:
                yield record["event_record_id"], record["data"]
            return
        except RuntimeError as error:
            # one record's error: the iterator goes on behind it
            yield None, FormatError(_brief(error))
        except BaseException as error:
            # a panic of the Rust code arrives as a BaseException of its own; after it the iterator cannot be trusted
            if type(error).__name__ != "PanicException":
                raise
            yield None, FormatError(_brief(error))
            return


def _brief(error: BaseException) -> str:
    return str(error).partition("\n")[0][:200]
