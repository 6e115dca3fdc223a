"""Parts into one timeline, each of them once, and the proof that all rows are there.

Timesketch keeps a data source for every file that it took; ours carry the SHA-256 of the part in `context`. So the server says which parts
it has, whatever a crash or a lost answer left unclear here, and a part is sent only when the server does not know it.
"""

from typing import Any, NamedTuple

from exporter.errors import SinkRefused, SinkUnavailable
from exporter.sinks.retry import Retry
from exporter.sinks.targets import SinkSettings
from exporter.sinks.timesketch_server import AnswerLost, NotFound, TimesketchServer
from exporter.sinks.timesketch_spool import Part, Spool
from exporter.text import printable

PROVIDER = "defender-exporter"
LABEL = "defender_exporter"
"""The server keeps files of one label in one index: ours are apart from others, whose field types may differ (T9)."""
PIECE_BYTES = 16 << 20
SETTLE_SECONDS = 20.0
"""How long an unanswered request may still become a data source."""
COUNT_SECONDS = 60.0
"""How long after `ready` rows may appear (measured: up to 1 s)."""
_POLL_SECONDS = 0.5


class Source(NamedTuple):
    """A data source of a timeline: a file that the server took."""

    context: str
    status: str
    error: str


class Destination(NamedTuple):
    """Where to: a sketch by name, or by id where the name is a number; and the name of the timeline in it."""

    sketch: str
    timeline: str


class _Spoiled(SinkUnavailable):
    """The timeline is not what it should be and will not become it: only one made anew can be complete."""


class Delivery:
    """Uploads to one destination. Every method raises SinkUnavailable for what may pass and SinkRefused for what will not."""

    def __init__(self, server: TimesketchServer, destination: Destination, settings: SinkSettings, patience: float) -> None:
        self._server = server
        self._destination = destination
        self._settings = settings
        self._patience = patience

    def check(self) -> None:
        """Look before the run: the sketch is ours to write, and the timeline holds nothing but what we put there."""
        sketch = self.find_sketch()
        if sketch is not None:
            for source in self._sources(sketch)[1]:
                if not source.context.startswith(f"{PROVIDER} "):
                    raise SinkRefused(f"the timeline `{self._destination.timeline}` holds data of others: name another")

    def find_sketch(self) -> int | None:
        """The id of the sketch; None when there is none of that name yet."""
        name = self._destination.sketch
        if name.isascii() and name.isdecimal():
            self._server.timelines(int(name))
            return int(name)
        found = self._server.sketches(name)
        if len(found) > 1:
            raise SinkRefused(f"{len(found)} sketches are named `{name}`: give the number of one ({', '.join(map(str, found))})")
        return found[0] if found else None

    def deliver(self, spool: Spool) -> int:
        """Send what the server does not have, wait until all of it is indexed, count it. Returns the number of parts sent now.

        A timeline that is ours alone and can never be complete is taken away; the next attempt makes it anew.
        """
        sketch = self._sketch(spool)
        try:
            return self._deliver(sketch, spool)
        except _Spoiled:
            if self._settings.own_timeline:
                self._remove(sketch)
            raise

    def discard(self) -> None:
        """Take our timeline out of its sketch, if it is there."""
        try:
            sketch = self.find_sketch()
        except NotFound:
            return
        if sketch is not None:
            self._remove(sketch)

    def _remove(self, sketch: int) -> None:
        timeline, _ = self._sources(sketch)
        if timeline is not None:
            self._server.remove_timeline(sketch, timeline)

    def _deliver(self, sketch: int, spool: Spool) -> int:
        journal = spool.journal
        sources = self._sources_of(spool, sketch)
        sent = 0
        for number, part in enumerate(journal.parts, 1):
            context = _context(part)
            known = any(source.context == context for source in sources)
            if not known and part.state == "sending":
                known = self._appears(sketch, context)
            if not known:
                self._send(sketch, spool, part, last=number == len(journal.parts))
                sent += 1
            if part.state != "accepted":
                part.state = "accepted"
                spool.save()
            self._wait_until_indexed(sketch, context, f"part {number} of {len(journal.parts)}")
        self._count(sketch, journal.lines)
        journal.complete = True
        spool.save()
        return sent

    def _sketch(self, spool: Spool) -> int:
        """The sketch of the journal, while it exists; else the one of that name, made if need be."""
        journal = spool.journal
        if journal.sketch_id is not None:
            try:
                self._server.timelines(journal.sketch_id)
            except NotFound:
                journal.sketch_id = None
        if journal.sketch_id is None:
            found = self.find_sketch()
            journal.sketch_id = self._server.create_sketch(self._destination.sketch) if found is None else found
            spool.save()
        return journal.sketch_id

    def _sources(self, sketch: int) -> tuple[int | None, list[Source]]:
        """The id of our timeline, and its data sources."""
        named = [one for one in self._server.timelines(sketch) if one.get("name") == self._destination.timeline]
        if len(named) > 1:
            raise SinkRefused(f"{len(named)} timelines are named `{self._destination.timeline}`: name another")
        return (named[0]["id"], [_source(one) for one in named[0].get("datasources") or ()]) if named else (None, [])

    def _sources_of(self, spool: Spool, sketch: int) -> list[Source]:
        """The parts that the server has. A timeline is one export: what others or another export of ours put there would be counted."""
        ours = {_context(part) for part in spool.journal.parts}
        _, sources = self._sources(sketch)
        if any(source.context not in ours for source in sources):
            if self._settings.own_timeline:
                self._remove(sketch)
                return []
            raise SinkRefused(
                f"the timeline `{self._destination.timeline}` holds another export: name another timeline, or delete it; "
                f"this export is kept in `{spool.folder}`"
            )
        return sources

    def _appears(self, sketch: int, context: str) -> bool:
        """Whether a part, of which we know no more than that it was on its way, has arrived."""
        end = self._settings.monotonic() + SETTLE_SECONDS
        while True:
            if any(source.context == context for source in self._sources(sketch)[1]):
                return True
            if self._settings.monotonic() >= end:
                return False
            self._settings.sleep(_POLL_SECONDS)

    def _send(self, sketch: int, spool: Spool, part: Part, *, last: bool) -> None:
        """The pieces of a part. Each is written to its place in a file, so all but the last, after which the file counts, can repeat."""
        part.state = "sending"
        spool.save()
        count = -(-part.size_bytes // PIECE_BYTES)
        fields = self._fields(sketch, part, count, last=last)
        with spool.part(part).open("rb") as file:
            for index in range(count):
                file.seek(index * PIECE_BYTES)
                piece = file.read(PIECE_BYTES)
                place = {"chunk_index": str(index), "chunk_byte_offset": str(index * PIECE_BYTES)}
                if index + 1 < count:
                    self._piece({**fields, **place}, part, piece)
                else:
                    self._last_piece({**fields, **place}, sketch, part, piece)

    def _fields(self, sketch: int, part: Part, count: int, *, last: bool) -> dict[str, str]:
        name = f"{int(self._settings.random() * (1 << 64)):016x}{part.sha256[:16]}"  # of the server's file: new for each attempt
        fields = {
            "name": self._destination.timeline,
            "sketch_id": str(sketch),
            "total_file_size": str(part.size_bytes),
            "provider": PROVIDER,
            "context": _context(part),
            "data_label": LABEL,
            "chunk_total_chunks": str(count),
            "chunk_index_name": name,
        }
        return fields if last else {**fields, "enable_stream": "1"}  # more is to come: analyzers start after the last part

    def _piece(self, fields: dict[str, str], part: Part, piece: bytes) -> None:
        retry = Retry(self._settings, self._patience)
        while True:
            try:
                self._server.upload(fields, part.name, piece)
                return
            except SinkUnavailable as error:
                retry.wait(str(error))

    def _last_piece(self, fields: dict[str, str], sketch: int, part: Part, piece: bytes) -> None:
        retry = Retry(self._settings, self._patience)
        while True:
            try:
                (timeline,) = self._server.upload(fields, part.name, piece)["objects"]
            except AnswerLost as error:
                if self._appears(sketch, _context(part)):
                    return
                raise SinkUnavailable(f"it is not known whether the server took {part.name}: {error}") from None
            except SinkUnavailable as error:
                retry.wait(str(error))
            else:
                if timeline["name"] != self._destination.timeline:
                    raise SinkRefused(f"the server put it into the timeline `{printable(timeline['name'])}`: delete that, and name another")
                return

    def _wait_until_indexed(self, sketch: int, context: str, what: str) -> None:
        """Until the server says `ready` without a complaint."""
        end = self._settings.monotonic() + self._patience
        while True:
            states = [source for source in self._sources(sketch)[1] if source.context == context]
            if len(states) != 1:
                raise _Spoiled(f"the server has {what} {len(states)} times: delete the timeline, then the same command sends it anew")
            (source,) = states
            if source.status == "fail" or (source.status == "ready" and source.error):
                raise _Spoiled(
                    f"the server did not index all of {what} (`{source.status}`): {printable(source.error)[:500] or 'it gives no reason'}"
                )
            if source.status == "ready":
                return
            if self._settings.monotonic() >= end:
                raise SinkUnavailable(f"{what} is still `{printable(source.status)}` after {self._patience:.0f} s")
            self._settings.sleep(_POLL_SECONDS)

    def _count(self, sketch: int, wanted: int) -> None:
        """Ask until the rows are there: some appear only after `ready`."""
        timeline, _ = self._sources(sketch)
        end = self._settings.monotonic() + COUNT_SECONDS
        found = -1
        while timeline is not None and found != wanted:
            found = self._server.count(sketch, timeline)
            if found == wanted:
                return
            if found > wanted or self._settings.monotonic() >= end:
                break
            self._settings.sleep(_POLL_SECONDS)
        raise _Spoiled(f"the timeline `{self._destination.timeline}` holds {max(found, 0)} rows instead of {wanted}")


def _context(part: Part) -> str:
    return f"{PROVIDER} sha256:{part.sha256}"


def _source(found: dict[str, Any]) -> Source:
    states = found.get("status") or [{}]
    return Source(str(found.get("context") or ""), str(states[0].get("status") or ""), str(found.get("error_message") or ""))
