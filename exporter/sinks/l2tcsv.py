"""log2timeline CSV in time order (sink-contracts L1 to L7): 17 cells a row, no quoting, whatever the evidence says.

Two dialects, as option `dialect`:

`safe` (the default) keeps hostile cells inert in a spreadsheet: a cell that starts with `=`, `+`, `-` or `@` (also full-width, also behind
blanks or controls) gets an apostrophe in front, and so does such a character after a `;`, which is where Excel cuts rows in many countries.
All controls become spaces. Rows are in order of ticks, so what happened within one second stays in sequence.

`psort` is what plaso's psort writes, byte for byte but for column `extra`: controls other than CR and LF stay, nothing gets an apostrophe,
and rows of one second are in order of file name, inode and text.

In both a leading `"` becomes `'` (L3: else a CSV reader takes the next rows into the same cell; plaso has that defect), and the `-` of an
empty cell stays. The apostrophe touches only cells that already look like a formula, so both dialects agree on all other rows.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any, ClassVar, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from exporter.errors import ConfigurationError
from exporter.records import Mapped, Messages, Output, Row
from exporter.sinks import Result
from exporter.sinks.atomic import output_for
from exporter.sinks.repeated import Own, OwnParts
from exporter.sinks.runs import Saved
from exporter.sinks.targets import SinkSettings, SinkTarget
from exporter.sinks.timeline import Timeline
from exporter.text import clean, cleaned
from exporter.times import TICKS_PER_SECOND, UNIX_EPOCH, iso

HEADER = b"date,time,timezone,MACB,source,sourcetype,type,user,host,short,desc,version,filename,inode,notes,format,extra\n"
_MACB = {
    **dict.fromkeys(("Creation Time", "Added Time", "File Downloaded Time", "First Connection Time"), "...B"),
    **dict.fromkeys(("Content Modification Time", "Content Deletion Time"), "M..."),
    **dict.fromkeys(("Last Access Time", "Start Time", "Last Time Executed", "Last Visited Time", "Account Created"), ".A.."),
    **dict.fromkeys((f"Last {what} Time" for what in ("Login", "Password Reset", "Connection", "Printed", "Shutdown")), ".A.."),
    "Metadata Modification Time": "..C.",
}
"""L4 with all names of plaso's `output/mediator.py` (GetMACBRepresentation)."""
RESERVED = frozenset(
    {
        *("body", "data_type", "date_time", "display_name", "filename", "hostname", "http_headers", "inode", "mapped_files", "metadata"),
        *("offset", "path_spec", "query", "source_long", "source_short", "tag", "timestamp", "timestamp_desc", "timezone", "username"),
    }
)
"""Names that plaso's `output/l2t_csv.py` keeps out of `extra`."""
_MINUTE = 60 * TICKS_PER_SECOND
_SHAPES = 1024
_SECONDS = [f"{second:02d}" for second in range(60)]


def _table(controls: bool) -> bytes:
    """For bytes.translate: the joining NUL becomes the comma; commas, CR, LF and perhaps other controls become spaces."""
    spaces = {*b",\r\n", *(range(0x20) if controls else ()), *((0x7F,) if controls else ())}
    return b"," + bytes(0x20 if byte in spaces else byte for byte in range(1, 256))


_SUSPECT = frozenset('"=+-@,\u2028\u2029＋－＝＠') | {chr(code) for code in (*range(0x21), *range(0x7F, 0xA0))}
_SAFE, _PSORT = _table(True), _table(False)
_HIGH_CONTROLS = re.compile(rb"\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]")
_FORMULA = rb"(?:[=+\-@]|\xef\xbc[\x8b\x8d\x9d\xa0])"
_CELL_START = re.compile(rb"\0(?=[\x01-\x20,\x7f]*" + _FORMULA + rb")(?!-\0)")
_AFTER_SEMICOLON = re.compile(rb";(?=" + _FORMULA + rb")")


class _Form(NamedTuple):
    """What rows of one `Common` with the same names of own attributes have in common.

    `pieces` are texts between which there is room for time, username, short message, message, inode, the full time and the values of
    own attributes, which `values` gives as texts. `username` and `inode` are None where each row has its own, and so is `place`, a part of
    the sort key. `suspect` is True where a cell, `divided` where what follows a semicolon may look like a formula.
    """

    pieces: list[str]
    username: str | None
    inode: str | None
    place: bytes | None
    values: Callable[[Mapping[str, Any]], Sequence[str]]
    suspect: bool
    divided: bool


class L2tcsvSink:
    """`l2tcsv:FILE.csv`, options `dialect` (`safe`, `psort`) and `timezone` (an IANA name for date and time; UTC else).

    A record without a usable time is skipped.
    """

    name: ClassVar[str] = "l2tcsv"

    def __init__(self, target: SinkTarget, settings: SinkSettings) -> None:
        target.allow(("dialect", "timezone"))
        dialect = target.options.get("dialect", "safe")
        if dialect not in ("safe", "psort"):
            raise ConfigurationError(f"the dialects of `{self.name}` are `safe` and `psort`, not `{dialect}`")
        self.target = target.target
        self._safe = dialect == "safe"
        self._clock = _clock(target.options.get("timezone", "UTC"))
        self._forms: dict[tuple[Any, ...], _Form] = {}
        self._output = output_for(target.target, settings.force)
        self._timeline = Timeline(target.target, settings, self.encode, Messages.PLASO)
        self._acknowledged = 0

    def check(self) -> None:
        """Open the target for writing."""
        self._output.open()

    def write(self, event: Mapped, position: int) -> Iterable[Result]:
        """Take the rows of one record."""
        return self._timeline.write(event, position)

    def take(self, outputs: Sequence[Output], position: int) -> Iterable[Result]:
        """Take lines that were made elsewhere."""
        return self._timeline.take(outputs, position)

    def merge(self, saved: Sequence[Saved]) -> None:
        """Take rows that processes of a batch have saved, in place of records."""
        self._timeline.runs.take(saved)

    def flush(self) -> Iterable[Result]:
        """Nothing to send: the order is known only at the end."""
        return ()

    @property
    def acknowledged(self) -> int:
        """0 until `close`."""
        return self._acknowledged

    def close(self) -> list[str]:
        """Write header and rows."""
        self._output.write(HEADER)
        for piece in self._timeline.runs.pieces():
            self._output.write(piece)
        paths = self._output.commit()
        self._timeline.runs.close()
        self._acknowledged = self._timeline.position
        return paths

    def abort(self) -> None:
        """Leave no file."""
        self._timeline.runs.close()
        self._output.abort()

    def encode(self, row: Row) -> tuple[bytes, bytes]:
        """The sort key and the line of a row."""
        common, own, ticks = row.common, row.own, row.ticks
        form = self._forms.get((common, *own)) or self._learn(row)
        minutes, rest = divmod(ticks - UNIX_EPOCH, _MINUTE)
        minute, zone, odd = self._clock(minutes)
        short, message = row.plaso_short_message or "-", row.plaso_message or "-"
        username = form.username or own["username"] or "-"
        inode = form.inode or str(own["inode"]) or "-"
        values = form.values(own)
        varying = "".join((username, short, message, inode, *values))
        if "\n" in varying or "\r" in varying or "\0" in varying:  # the row holds its cells even so
            username, inode = clean(username), clean(inode)
            short, message = (clean(_unbroken(text)) or "-" for text in (short, message))
            values = [_dashed(clean(value)) for value in values]
        short = _short(short)
        pieces = form.pieces.copy()
        when = f"{minute}{_SECONDS[rest // TICKS_PER_SECOND]}\0{zone}"
        pieces[1::2] = (when, username, short, message, inode, iso(ticks, 7), *values)
        suspect = odd or form.suspect or short[0] in _SUSPECT or message[0] in _SUSPECT
        if form.place is None or form.username is None:
            suspect = suspect or _is_suspect(username) or _is_suspect(inode)
        line = self._line("".join(pieces), suspect, form.divided or ";" in varying)
        ticks = ticks if self._safe else ticks - ticks % TICKS_PER_SECOND
        return ticks.to_bytes(8, "big") + (form.place or _place(common.display_name, inode)), line

    def own_parts(self, own: Own) -> OwnParts:
        """See `exporter.sinks.repeated.RowEncoder`."""
        ticks = own.created_at
        minutes, rest = divmod(ticks - UNIX_EPOCH, _MINUTE)
        minute, zone, odd = self._clock(minutes)
        mark = "'" if odd and self._safe else ""
        when = f"{minute}{_SECONDS[rest // TICKS_PER_SECOND]}\0{mark}{zone}".replace("\0", ",")
        ticks = ticks if self._safe else ticks - ticks % TICKS_PER_SECOND
        return ticks.to_bytes(8, "big"), b"", (when, str(own.record_id), own.text)

    def _line(self, text: str, suspect: bool, divided: bool) -> bytes:
        try:
            line = text.encode()
        except UnicodeEncodeError:  # a lone surrogate: never, if the mapping cleans
            line = "\0".join(map(clean, text.split("\0"))).encode()
        if self._safe and not line.isascii():
            line = _HIGH_CONTROLS.sub(b" ", line)
        if suspect:
            line = line.replace(b'\0"', b"\0'")
            line = _CELL_START.sub(b"\0'", line) if self._safe else line
        if self._safe and divided:
            line = _AFTER_SEMICOLON.sub(b";'", line)
        return line.translate(_SAFE if self._safe else _PSORT) + b"\n"

    def _learn(self, row: Row) -> _Form:
        if len(self._forms) >= _SHAPES:
            self._forms.clear()
        self._forms[row.common, *row.own] = form = _form(row)
        return form


def _form(row: Row) -> _Form:
    """`extra` has `name: value` pairs in order of names, lists as plaso shows them; the full precision of the time comes first (L6)."""
    common, own = row.common, row.own
    shared = common.attributes
    names = sorted((shared.keys() | own.keys()) - RESERVED - common.message_attributes)
    beginning = (_MACB.get(common.timestamp_desc, "...."), common.source_short, common.source_long, common.timestamp_desc)
    stretches = (beginning, (common.hostname,), ("2", common.display_name), (" ".join(common.tags), common.parser))
    cells = [[clean(cell) or "-" for cell in stretch] for stretch in stretches]
    username = None if "username" in own else shared.get("username") or "-"
    inode = None if "inode" in own else str(shared.get("inode", "")) or "-"
    before, hostname, display, after = map("\0".join, cells)
    texts = ["", f"\0{before}\0", f"\0{hostname}\0", "\0", f"\0{display}\0", f"\0{after}\0datetime: ", ""]
    for name in names:
        texts[-1] += f"; {name}: " if name in own else _dashed(f"; {name}: {shared[name]}")
        texts += [""] if name in own else []
    return _Form(
        pieces=[piece for text in texts for piece in (text, "")][:-1],
        username=username,
        inode=inode,
        place=None if inode is None else _place(common.display_name, inode),
        values=_values(tuple(name for name in names if name in own), common.own),
        suspect=any(map(_is_suspect, (username or "-", inode or "-", *chain.from_iterable(cells)))),
        divided=_AFTER_SEMICOLON.search("".join(texts).encode("utf-8", "surrogatepass")) is not None,
    )


def _values(names: tuple[str, ...], types: Mapping[str, type]) -> Callable[[Mapping[str, Any]], Sequence[str]]:
    """A function that gives the values of these attributes as texts."""
    if len(names) < 2 or not {types.get(name) for name in names} <= {str, int}:
        return lambda own: [value if (value := own[name]).__class__ is str else str(cleaned(value)) for name in names]
    get, numbers = itemgetter(*names), [place for place, name in enumerate(names) if types[name] is int]

    def values(own: Mapping[str, Any]) -> Sequence[str]:
        found = [*get(own)]
        for place in numbers:
            found[place] = str(found[place])
        return found

    return values if numbers else get


def _place(name: str, inode: str) -> bytes:
    return f"{name}\0{inode}\0".encode("utf-8", "surrogatepass")


def _is_suspect(cell: str) -> bool:
    return cell != "-" and cell[0] in _SUSPECT


def _dashed(extra: str) -> str:
    return extra.replace("\n", "-").replace("\r", "")


def _unbroken(message: str) -> str:
    return message.replace("\r", "").replace("\n", "")


def _short(message: str) -> str:
    return message if len(message) <= 80 else f"{message[:77]}..."


def _clock(name: str) -> Callable[[int], tuple[str, str, bool]]:
    """A function from minutes since 1970 to date and `HH:MM:`, the zone's abbreviation, and whether that may look like a formula (`+03`).

    Offsets are whole minutes since 1972.
    """
    try:
        zone = UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigurationError(f"unknown time zone `{name}`: an IANA name is needed, such as `Europe/Berlin`") from None
    epoch = datetime(1970, 1, 1, tzinfo=UTC)

    @lru_cache(1024)
    def date(days: int) -> str:
        return (epoch + timedelta(days=days)).strftime("%m/%d/%Y")

    @lru_cache(1024)
    def at(minutes: int) -> tuple[str, str, bool]:
        if zone is UTC:
            day, minute = divmod(minutes, 1440)
            return f"{date(day)}\0{minute // 60:02d}:{minute % 60:02d}:", name, False
        when = (epoch + timedelta(minutes=minutes)).astimezone(zone)
        abbreviation = when.tzname() or "-"
        return f"{when:%m/%d/%Y}\0{when:%H:%M}:", abbreviation, _is_suspect(abbreviation)

    return at
