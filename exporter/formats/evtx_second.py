"""The second engine, asked for single records: those that the first one refuses."""

from typing import TYPE_CHECKING, Any

from exporter.errors import FormatError
from exporter.formats.evtx_chunks import Walk, Walked, engine_file
from exporter.formats.evtx_normalize import Normalizer

if TYPE_CHECKING:
    from exporter.formats.evtx_python import Records

SECOND = "python-evtx"


class SecondEngine:
    """Reads records of one chunk with python-evtx, which is imported when the first one is asked for."""

    def __init__(self, found: Walk, normalizer: Normalizer) -> None:
        self._found = found
        self._normalizer = normalizer
        self._records: Records | None = None

    def fields(self, record: Walked, refusal: FormatError) -> dict[str, Any]:
        """What `Normalizer.fields` gives, and `engine`; raises FormatError with the reasons of both engines."""
        if self._records is None:
            from exporter.formats.evtx_python import Records

            self._records = Records(engine_file(self._found))
        try:
            rendering = self._records.render(record.offset, record.size)
            fields = self._normalizer.fields(rendering, record.id, record.written_at)
        except FormatError as error:
            raise FormatError(f"{refusal}; {SECOND}: {error}") from None
        return {**fields, "engine": SECOND}
