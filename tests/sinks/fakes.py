"""Records as a sink sees them, without anything below."""

from collections.abc import Sequence
from typing import Any

import orjson

from exporter.records import Common, Messages, Payload, Record, Row, Source

PATH = "C/Windows/System32/winevt/Logs/Microsoft-Windows-Windows Defender%4Operational.evtx"
TICKS = 133_144_416_260_770_946
"""2022-12-02T08:00:26.0770946Z."""


class Nothing(Payload, frozen=True, kw_only=True):
    """A payload without fields."""


RECORD = Record(payload=Nothing(), host="ws1", source=Source(PATH, "case"), collector="evtx", key=("evtx",), hash="00" * 32)


def row(**changes: Any) -> Row:
    """A row as the mapping makes one; `changes` are of it, of what it has in common with others, `shared` attributes, `username`."""
    values: dict[str, Any] = {
        "ticks": TICKS,
        "timestamp_desc": "Creation Time",
        "data_type": "windows:evtx:record",
        "message": "Malware detected: Virus:DOS/EICAR_Test_File in file:_C:\\Users\\test\\eicar.com",
        "plaso_message": "[1116 / 0x045c] Source Name: Microsoft-Windows-Windows Defender Strings: ['a', 'b']",
        "plaso_short_message": "[1116 / 0x045c] Strings: ['a', 'b']",
        "source_short": "EVT",
        "source_long": "WinEVTX",
        "hostname": "ws1",
        "username": "WS1\\test",
        "display_name": PATH,
        "parser": "exporter/defender_evtx",
        "event_id": "0123456789abcdef-creation_time",
        "own": {"event_identifier": 1116, "threat_name": "Virus:DOS/EICAR_Test_File", "strings": ["a", "b"]},
        "order": (PATH, 4096),
        **changes,
    }
    path, position = values["order"]
    own = {**values.get("attributes", values["own"]), **({"username": values["username"]} if values["username"] else {})}
    common = {name: values[name] for name in Common.__struct_fields__ if name in values and name not in ("own", "attributes")}
    types = {name: _type(value) for name, value in own.items()}
    of_all = Common(**common, path=path, attributes=values.get("shared", {}), own=types)
    rest = {name: values[name] for name in ("ticks", "event_id", "message", "plaso_message", "plaso_short_message")}
    return Row(common=of_all, own=own, position=position, **rest)


def _type(value: object) -> type:
    return object if isinstance(value, list) and not all(isinstance(item, str) for item in value) else type(value)


class FakeMapped:
    """A `Mapped` of given rows."""

    record = RECORD

    def __init__(self, identity: str, rows: Sequence[Row]) -> None:
        self.id = identity
        self._rows = rows

    def document(self) -> bytes:
        """A small document; `event` is its last object."""
        message = self._rows[0].message if self._rows else "untimed"
        return orjson.dumps({"message": message, "event": {"id": self.id}})

    def rows(self, messages: Messages = Messages.OWN) -> Sequence[Row]:
        """The given rows."""
        return self._rows


def events(count: int) -> list[FakeMapped]:
    """Records in file order: most with one row, each tenth with two, each seventh with none."""
    return [FakeMapped(f"{number:040x}", _rows(number)) for number in range(1, count + 1)]


def _rows(number: int) -> list[Row]:
    if number % 7 == 0:
        return []
    ticks = TICKS + (number * 7919 % 1000) * 10_000_019
    place = {"order": (PATH, number * 512), "event_id": f"{number:040x}-creation_time", "message": f"event {number}"}
    rows = [row(ticks=ticks, **place)]
    if number % 10 == 0:
        written = {**place, "event_id": f"{number:040x}-content_modification_time"}
        rows.append(row(ticks=ticks + 5, timestamp_desc="Content Modification Time", **written))
    return rows
