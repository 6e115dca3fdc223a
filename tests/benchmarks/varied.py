"""Logs whose events differ: a real log grown by copying repeats its values, which flatters whoever keeps what was made of them."""

import random
import re
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import msgspec

from exporter.formats.defender_events import WindowsEvent
from exporter.formats.evtx import parse
from exporter.records import Parsed
from exporter.synthetic.evtx import Event, write_evtx

_GUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_STEM = re.compile(r"\w+(?=\.\w+$)")
_DIGITS = re.compile(r"\d+(?=\D*$)")


def write_varied(source: Path, target: Path, count: int, senders: int = 0) -> None:
    """`count` events of a real log, over and over, with other GUIDs, times, file names, settings and versions in each.

    With `senders` they are as in the log of a collector to which so many computers forward their events.
    """
    chance = random.Random(count)
    varied = _varied(source, count, chance)
    write_evtx(target, (_sent(event, chance.randrange(senders)) for event in varied) if senders else varied)


def _sent(event: Event, sender: int) -> Event:
    return msgspec.structs.replace(event, forwarded=True, computer=f"WS-{sender:04}.example.org")


def _varied(source: Path, count: int, chance: random.Random) -> Iterator[Event]:
    with source.open("rb") as stream:
        events = [_event(item.payload) for item in parse(stream) if isinstance(item, Parsed) and isinstance(item.payload, WindowsEvent)]
    first = events[0].created_at
    for number, event in zip(range(count), cycle(events), strict=False):
        data = {name: _other(name, value, chance) for name, value in event.data.items()}
        yield msgspec.structs.replace(event, record_id=number + 1, created_at=first + number * 31_415_926, data=data)


def _event(payload: WindowsEvent) -> Event:
    names = set(Event.__struct_fields__) & set(WindowsEvent.__struct_fields__)
    values = {name: getattr(payload, name) for name in names}
    return Event(**{**values, "keywords": int(payload.keywords or "0", 16), "provider": payload.provider_name})


def _other(name: str, value: str, chance: random.Random) -> str:
    value = _GUID.sub(lambda _: f"{chance.getrandbits(128):032X}"[:8] + "-0000-1111-2222-" + f"{chance.getrandbits(48):012X}", value)
    if name in ("Path", "Process Name"):
        return _STEM.sub(lambda match: f"{match[0]}{chance.getrandbits(32):x}", value)
    if name.endswith((" Value", "ersion", "Time", "Resources", "Timestamp")):
        return _DIGITS.sub(lambda match: f"{chance.randrange(10 ** len(match[0])):0{len(match[0])}d}", value)
    return value
