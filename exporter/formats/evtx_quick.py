"""Renderings read by what is known of the texts around that which differs from record to record.

`evtx` writes every record in one order:

    HEAD"SystemTime":"TIME"}},"EventRecordID":ID,"Correlation":THREAD,"Channel":TAIL,"EventData":DATA}}

HEAD is the same text in all records of one event id, TAIL in all of a log, and a thread writes many records. So a record whose three texts
are known, whose TIME and ID are plain, and whose DATA are texts under different names, needs but its DATA decoded. Every other one is read
in full, by `evtx_normalize`; from such a reading is learned what the texts say. Most have the TIME and ID of their header; forwarded events
have them as texts, and often `,"RenderingInfo":{…}` behind DATA, which says nothing that is not in them.
"""

from typing import TypeAlias

import msgspec

from exporter.formats.evtx_form import PROVIDER, PROVIDER_GUID, SIDE_EVENTS, Form, Values
from exporter.formats.evtx_times import created, is_honest
from exporter.times import UNIX_EPOCH, USABLE_END, iso

_RENDERED, _FURTHER = ',"RenderingInfo":{', 'Data":'
_TIME, _ID, _THREAD, _TAIL, _DATA = '"SystemTime":"', '"}},"EventRecordID":', ',"Correlation":', ',"Channel":', ',"EventData":'
_APART = tuple(f'"{name}":' for name in ("SystemTime", "EventRecordID", "Correlation", "Execution", "EventData"))
"""What must stand nowhere else for the texts around to say nothing of it."""
_MOST = 4096
_MOST_DIGITS = 18
_LONGEST = 4096
_LONGEST_NAME = 200
Thread: TypeAlias = tuple[str | None, int | None, int | None]
"""Activity, process and thread."""
_decode_data = msgspec.json.Decoder(dict[str, str]).decode
_decode_thread = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Common:
    """What the records with one HEAD and TAIL have in common; `forms` are those that were met, `latest` is the last of them.

    `foreign` says whose record it is where that tells nothing of Defender, whatever its DATA are; else it is None.
    """

    __slots__ = ("event_id", "foreign", "forms", "is_defender", "latest", "system", "user")

    def __init__(self, values: Values, form: Form) -> None:
        self.event_id = form.event_id
        self.system = values[2:11]
        self.user = values[14]
        self.is_defender = values[3] == PROVIDER or values[4] == PROVIDER_GUID
        ids = SIDE_EVENTS.get(values[3])
        ours = self.is_defender or (ids is not None and (not ids or form.event_id in ids))
        self.foreign = None if ours else origin_of(values[3], values[2])
        self.latest = Form(form.event_id, form.names)
        self.forms = {form.names: self.latest}

    def form(self, names: tuple[str, ...]) -> Form | None:
        """The form of records with these names; None for names that are not all those of Data."""
        found = self.forms.get(names)
        if found is None:
            if any(name.startswith("#") for name in names):
                return None
            if len(self.forms) >= _MOST:
                self.forms.clear()
            found = self.forms[names] = Form(self.event_id, names)
        self.latest = found
        return found


_COMMON: dict[tuple[str, str], Common] = {}
_THREADS: dict[str, Thread] = {}


Numbers: TypeAlias = tuple[int, int, int, int | None]
"""An event's id, its time in ticks and the digits of that, and when it was written; see `Normalizer.read`."""
Outline: TypeAlias = tuple[Common, Thread, str, Numbers]
"""What a text is known to say around its DATA, DATA, and the numbers."""


def outline(text: str, header_id: int, header_time: int) -> Outline | None:
    """What is known of a record's text; None where it has to be read in full."""
    head, _, rest = text.partition(_TIME)
    time, _, rest = rest.partition(_ID)
    number, _, rest = rest.partition(_THREAD)
    thread, _, rest = rest.partition(_TAIL)
    tail, _, data = rest.partition(_DATA)
    common, written_by = _COMMON.get((head, tail)), _THREADS.get(thread)
    if common is None or written_by is None:
        return None
    # the same as `_numbers`, in line: this is every native record's way
    if number == str(header_id) and time[26:] == "Z" and _is_usable(header_time) and iso(header_time, 7).startswith(time[:26]):
        return common, written_by, data, (header_id, header_time, 7, header_time)
    numbers = _numbers(number, time, header_id, header_time)
    return numbers and (common, written_by, _without_rendering(data), numbers)


def _is_usable(ticks: int) -> bool:
    return UNIX_EPOCH <= ticks < USABLE_END


def _numbers(number: str, time: str, header_id: int, header_time: int) -> Numbers | None:
    """What a text says besides, where that is plain."""
    digits = number[1:-1] if number[:1] == '"' == number[-1:] else number
    if len(digits) > _MOST_DIGITS or not digits.isdecimal() or not digits.isascii() or (digits[0] == "0" and len(digits) > 1):
        return None
    record_id = int(digits)
    created_at, known = created(time, header_time)
    if created_at is None:
        return None
    honest = header_time == created_at or is_honest(header_id, header_time, record_id, created_at)
    return record_id, created_at, known, header_time if honest else None


def _without_rendering(data: str) -> str:
    """DATA as they are where nothing stands behind them."""
    before, found, behind = data.partition(_RENDERED)
    return f"{before}}}}}" if found and _FURTHER not in behind else data


def completed(known: Outline) -> tuple[Values, Form] | None:
    """What `Normalizer.read` gives; None where the text has to be read in full."""
    common, written_by, text, numbers = known
    try:
        data = _decode_data(text[:-2])
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None
    names = (*data,)
    # of two Data elements of one name a decoder keeps the last
    if text.count('":"') != len(names) or text[-2:] != "}}":
        return None
    form = common.latest if common.latest.names == names else common.form(names)
    if form is None:
        return None
    record_id, created_at, digits, written_at = numbers
    return (form.event_id, record_id, *common.system, *written_by, common.user, created_at, digits, written_at, data), form


def learn(text: str, header_id: int, header_time: int, values: Values, form: Form) -> None:
    """Note what the texts around a record say, which was read in full."""
    head, _, rest = text.partition(_TIME)
    time, _, rest = rest.partition(_ID)
    number, _, rest = rest.partition(_THREAD)
    thread, _, rest = rest.partition(_TAIL)
    tail, _, data = rest.partition(_DATA)
    if _THREADS.get(thread) and (head, tail) in _COMMON:
        return
    if len(head) + len(thread) + len(tail) > _LONGEST or any(name in tail or name in head for name in _APART):
        return
    if (values[1], *values[15:18]) != _numbers(number, time, header_id, header_time) or not _is_thread(thread):
        return
    common = Common(values, form)
    if not (data if common.foreign else _is_data(_without_rendering(data), values)):
        return
    for known in (_COMMON, _THREADS):
        if len(known) >= _MOST:
            known.clear()
    _COMMON[head, tail] = common
    _THREADS[thread] = values[11:14]


def origin_of(provider_name: str | None, channel: str | None) -> str:
    """What records of another provider are counted as."""
    return f"{provider_name} ({channel})"[:_LONGEST_NAME]


def _is_data(text: str, values: Values) -> bool:
    try:
        return bool(_decode_data(text[:-2]) == values[18])
    except (msgspec.DecodeError, UnicodeEncodeError):
        return False


def _is_thread(text: str) -> bool:
    """True where nothing but Correlation and Execution is between the record's number and its channel."""
    try:
        return list(_decode_thread(f'{{"Correlation":{text}}}')) == ["Correlation", "Execution"]
    except (msgspec.DecodeError, UnicodeEncodeError):
        return False
