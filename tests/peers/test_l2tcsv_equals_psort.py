"""L8: the L2T sink and plaso's psort give the same sixteen columns for any rows."""

import random
from pathlib import Path

import pytest
import yaml

from exporter.data import folder
from exporter.mapping.formatter import compile_formatter, export_yaml
from exporter.records import Row
from exporter.sinks.targets import SinkSettings, SinkTarget, open_sink
from exporter.text import clean
from exporter.times import UNIX_EPOCH
from tests.mapping.test_formatter import definition
from tests.peers.psort import psort, sixteen, table
from tests.sinks.fakes import FakeMapped, row

pytestmark = pytest.mark.peers
OURS = [
    definition(
        message=["Path: {path}", "({count:04x})", "State: {state_text}", "in {names}"],
        enumeration_helpers=[{"input_attribute": "state", "output_attribute": "state_text", "values": {1: "quarantined"}}],
    ),
    definition(
        data_type="av:defender:incident", message=["{path}", "100 %"], short_message=[""], separator="; ", source="Defender, joined"
    ),
]
KNOWN = [item for item in yaml.safe_load_all((folder("mappings") / "plaso" / "known.yaml").read_text(encoding="utf-8")) if item]
FORMATTERS = [compile_formatter(item) for item in [*OURS, *KNOWN]]
NUMBERS = ("count", "event_identifier", "event_level", "inode", "message_identifier", "record_number", "state")
LISTS = ("names", "strings", "container_filenames", "web_filenames", "additional_filenames")
DESCRIPTIONS = (
    *("Creation Time", "Added Time", "File Downloaded Time", "First Connection Time", "Content Modification Time", "Content Deletion Time"),
    *(
        "Last Access Time",
        "Start Time",
        "Last Time Executed",
        "Last Visited Time",
        "Account Created",
        "Last Login Time",
        "Last Printed Time",
    ),
    *(
        "Last Password Reset Time",
        "Last Connection Time",
        "Last Shutdown Time",
        "Metadata Modification Time",
        "Recorded Time",
        "End Time",
        "x, y",
    ),
)
WORDS = (
    "C:\\a b\\c.exe",
    '"',
    '"a',
    "a,b",
    ",",
    "=1+1",
    "-",
    "- ",
    "@x",
    "{x} %s %d",
    "'",
    "\x1b[1m",
    "\t",
    "\x85\u2028",
    "\0",
    "\ud83d",
    "é",
    "😀",
    ";=",
)


class Rows:
    """Random rows, as hostile as a mapping lets them through."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def text(self, breaks: str = "\r\n") -> str:
        words = self.random.choices((*WORDS, *breaks, " " * 30), k=self.random.choice((0, 1, 1, 2, 9)))
        return clean("".join(words))

    def attributes(self, names: frozenset[str]) -> dict[str, object]:
        found: dict[str, object] = {}
        for name in sorted((names | {"inode", "threat_id"}) - {"state_text", "hostname"}):
            if name in NUMBERS:
                found[name] = self.random.choice((0, 1, 1116, 2**40))
            else:
                found[name] = [self.text(), self.text()] if name in LISTS else self.text()
        found["user_sid"] = "S-1-5-18"
        return {name: value for name, value in found.items() if self.random.random() < 0.7}

    def row(self, number: int) -> Row:
        formatter = self.random.choice(FORMATTERS)
        hostname = self.text("")
        attributes = self.attributes(formatter.used) | ({"hostname": hostname} if hostname else {})
        return row(
            ticks=UNIX_EPOCH + self.random.randrange(10, 9_000_000_000 * 10_000_000),
            timestamp_desc=self.random.choice(DESCRIPTIONS),
            data_type=formatter.data_type,
            plaso_message=formatter.message(attributes),
            plaso_short_message=formatter.short_message(attributes),
            source_short=formatter.short_source,
            source_long=formatter.source,
            hostname=hostname,
            username=self.random.choice((None, self.text(""))),
            display_name=self.text(""),
            parser="exporter/defender_mplog",
            event_id=str(number),
            tags=self.random.choice(((), ("incomplete",), ("a", "B_2"))),
            own=attributes,
            order=("", number),
            message_attributes=formatter.used,
        )


def ours(rows: list[Row], path: str) -> bytes:
    sink = open_sink(SinkTarget("l2tcsv", path, {"dialect": "psort"}), SinkSettings())
    sink.check()
    for position, one in enumerate(rows, 1):
        assert [result.outcome for result in sink.write(FakeMapped(one.event_id, [one]), position)] == ["written"]
    sink.close()
    return Path(path).read_bytes()


def test_any_rows_read_in_our_file_as_in_psorts(peer, tmp_path):
    source = Rows(1)
    rows = [source.row(number) for number in range(600)]
    expected = sixteen(psort(peer("plaso"), rows, export_yaml(OURS), tmp_path))
    found = sixteen(table(ours(rows, str(tmp_path / "ours.csv"))))
    different = [[(a, b) for a, b in zip(*pair, strict=True) if a != b] for pair in zip(found, expected, strict=True)]
    assert list(filter(None, different)) == []
