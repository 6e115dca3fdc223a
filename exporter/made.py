"""Maps records in the processes that read a log, so that the main process has but to write: what `--jobs` is faster by."""

from collections.abc import Callable, Sequence
from typing import cast

import msgspec

from exporter.collectors import MadeBy
from exporter.collectors.guard import load
from exporter.correlator.keys import keys
from exporter.data import folder
from exporter.evidence import EvidenceFile
from exporter.kinds import KINDS
from exporter.mapping.load import load_mappings
from exporter.mapping.mapper import Mapper
from exporter.mapping.references import Run
from exporter.records import Made, Parsed, Record, Source
from exporter.sinks.parts import maker
from exporter.sinks.targets import SinkTarget


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """All that the mapping of a record depends on, besides the record."""

    run: Run
    alerts: str
    host: str
    targets: tuple[SinkTarget, ...]


def made_by(run: Run, alerts: str, targets: Sequence[SinkTarget]) -> Callable[[str], MadeBy] | None:
    """For the name of a host, what another process needs to make what these targets write; None where one of them is a server's."""
    if any(maker(target) is None for target in targets):
        return None

    def of_host(host: str) -> MadeBy:
        order = Order(run=run, alerts=alerts, host=host, targets=tuple(targets))
        return MadeBy("exporter.made:start", msgspec.msgpack.encode(order))

    return of_host


def start(arguments: bytes, source: Source, collector_name: str) -> Callable[[Parsed], Made | None]:
    """What makes the outputs of a payload; None for one that an incident may need, or of which a loss is to be told."""
    order = msgspec.msgpack.decode(arguments, type=Order)
    mappings, collector = folder("mappings"), load(collector_name)
    mapper = Mapper(load_mappings(mappings), KINDS, order.run, mappings, alerts=order.alerts)
    makers = [made for target in order.targets if (made := maker(target)) is not None]

    def make(parsed: Parsed) -> Made | None:
        if parsed.incomplete is not None or keys(parsed.payload) is not None:
            return None
        key = collector.key(parsed, cast(EvidenceFile, None))  # an event names itself
        record = Record(
            parsed.payload, order.host, source, collector_name, key, parsed.raw_hash, parsed.offset, parsed.number, parsed.integrity
        )
        mapped = mapper.map(record)
        try:
            outputs = tuple(make_output(mapped) for make_output in makers)
        except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError):
            return None
        return Made(parsed.payload.kind, parsed.integrity.verdict, mapped.id, outputs)

    return make
