"""L2T rows cell by cell (sink-contracts L1 to L7)."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import ConfigurationError
from exporter.records import Row
from exporter.sinks.l2tcsv import HEADER, L2tcsvSink
from exporter.sinks.targets import SinkSettings, parse_target
from exporter.text import clean
from tests.sinks.fakes import PATH, TICKS, FakeMapped, row

NAMES = HEADER.decode().strip().split(",")


def write(folder: Path, rows: list[Row], options: str = "") -> list[dict[str, str]]:
    sink = L2tcsvSink(parse_target(f"l2tcsv:{folder / 'case.csv'}{options}"), SinkSettings(force=True))
    for position, one in enumerate(rows, 1):
        sink.write(FakeMapped(str(position), [one]), position)
    sink.close()
    header, *lines, end = (folder / "case.csv").read_bytes().decode().split("\n")
    assert (f"{header}\n".encode(), end) == (HEADER, "")
    return [dict(zip(NAMES, line.split(","), strict=True)) for line in lines]


def test_a_row_has_these_cells(tmp_path: Path):
    [cells] = write(tmp_path, [row(tags=("incomplete", "cut"), message_attributes=frozenset({"strings"}))])
    assert cells == {
        "date": "12/02/2022",
        "time": "08:00:26",
        "timezone": "UTC",
        "MACB": "...B",
        "source": "EVT",
        "sourcetype": "WinEVTX",
        "type": "Creation Time",
        "user": "WS1\\test",
        "host": "ws1",
        "short": "[1116 / 0x045c] Strings: ['a'  'b']",
        "desc": "[1116 / 0x045c] Source Name: Microsoft-Windows-Windows Defender Strings: ['a'  'b']",
        "version": "2",
        "filename": PATH,
        "inode": "-",
        "notes": "incomplete cut",
        "format": "exporter/defender_evtx",
        "extra": "datetime: 2022-12-02T08:00:26.0770946Z; event_identifier: 1116; threat_name: Virus:DOS/EICAR_Test_File",
    }


def test_what_is_empty_is_a_dash(tmp_path: Path):
    texts = dict.fromkeys(("plaso_message", "plaso_short_message", "source_short", "source_long", "hostname", "display_name", "parser"), "")
    [cells] = write(tmp_path, [row(**texts, username=None, timestamp_desc="", attributes={"inode": ""})])
    assert {name for name, cell in cells.items() if cell == "-"} == {
        *("source", "sourcetype", "type", "user", "host", "short", "desc", "filename", "inode", "notes", "format"),
    }


@pytest.mark.parametrize(("inode", "cell"), [(0, "0"), (1234, "1234"), ("5-6", "5-6")])
def test_the_inode_is_that_of_the_attributes(inode: object, cell: str, tmp_path: Path):
    [cells] = write(tmp_path, [row(attributes={"inode": inode})])
    assert cells["inode"] == cell


@pytest.mark.parametrize(
    ("description", "letters"),
    [
        ("Creation Time", "...B"),
        ("Added Time", "...B"),
        ("Content Modification Time", "M..."),
        ("Content Deletion Time", "M..."),
        ("Last Access Time", ".A.."),
        ("Start Time", ".A.."),
        ("Last Time Executed", ".A.."),
        ("Last Connection Time", ".A.."),
        ("Metadata Modification Time", "..C."),
        ("End Time", "...."),
        ("Recorded Time", "...."),
    ],
)
def test_the_letters_follow_the_description(description: str, letters: str, tmp_path: Path):
    [cells] = write(tmp_path, [row(timestamp_desc=description)])
    assert (cells["MACB"], cells["type"]) == (letters, description)


@pytest.mark.parametrize(("length", "expected"), [(80, "x" * 80), (81, "x" * 77 + "..."), (5000, "x" * 77 + "...")])
def test_a_short_message_has_at_most_80_characters(length: int, expected: str, tmp_path: Path):
    [cells] = write(tmp_path, [row(plaso_short_message="x" * length)])
    assert cells["short"] == expected


def test_line_breaks_go_from_messages_and_become_dashes_in_extra(tmp_path: Path):
    broken = "a\r\nb\nc\rd"
    [cells] = write(tmp_path, [row(plaso_message=broken, plaso_short_message=broken, display_name=broken, attributes={"path": broken})])
    assert (cells["desc"], cells["short"], cells["filename"]) == ("abcd", "abcd", "a  b c d")
    assert cells["extra"].endswith("path: a-b-cd")


def test_commas_become_spaces_and_a_leading_quote_an_apostrophe(tmp_path: Path):
    [cells] = write(tmp_path, [row(hostname='"a,b"', username='x "y"')])
    assert (cells["host"], cells["user"]) == ("'a b\"", 'x "y"')


def test_extra_leaves_out_what_plaso_reserves_and_what_the_message_says(tmp_path: Path):
    attributes = {"z_last": "1", "offset": 5, "filename": "f", "path": "p", "Alpha": ["é", 1], "50%": 2}
    [cells] = write(tmp_path, [row(attributes=attributes, message_attributes=frozenset({"path"}))])
    assert cells["extra"] == "datetime: 2022-12-02T08:00:26.0770946Z; 50%: 2; Alpha: ['é'  1]; z_last: 1"


def test_lists_read_as_plaso_shows_them_and_hold_no_lone_surrogates(tmp_path: Path):
    [cells] = write(tmp_path, [row(attributes={"path": ["a\ud800", "b"], "tool": "x"})])
    assert cells["extra"].endswith("; path: ['a\ufffd'  'b']; tool: x")


HOSTILE = ["=1", "+1", "-1", "@A1", "\t=1", "\r=1", " =1", ",=1", "\x01@x", "\x85=1", "\u2028=1", "＝1", "＋1", "－1", "＠1"]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("name", ["host", "user", "short", "desc", "filename", "inode", "notes", "source", "format"])
def test_a_cell_that_looks_like_a_formula_gets_an_apostrophe(name: str, text: str, tmp_path: Path):
    fields = {
        "host": {"hostname": text},
        "user": {"username": text},
        "short": {"plaso_short_message": text},
        "desc": {"plaso_message": text},
        "filename": {"display_name": text},
        "inode": {"attributes": {"inode": text}},
        "notes": {"tags": (text,)},
        "source": {"source_short": text},
        "format": {"parser": text},
    }
    [cells] = write(tmp_path, [row(**fields[name])])
    assert cells[name].startswith("'")
    assert cells[name].lstrip("' ") == text.strip("\t\r ,\x01\x85\u2028")


@pytest.mark.parametrize("text", ["a;=1", "a;+1", "a;-1", "a;@1", "a;＝1", ";=1"])
def test_a_formula_behind_a_semicolon_gets_one_too(text: str, tmp_path: Path):
    [cells] = write(tmp_path, [row(hostname=text, attributes={"path": text})])
    assert cells["host"] == text.replace(";", ";'")
    assert cells["extra"].endswith(text.replace(";", ";'"))


@pytest.mark.parametrize("text", ["-", "a-b", "a=b", "a; =b", "C:\\=x", ".=1", "'=1"])
def test_other_cells_are_left_alone(text: str, tmp_path: Path):
    [cells] = write(tmp_path, [row(hostname=text)])
    assert cells["host"] == text


def test_controls_become_spaces(tmp_path: Path):
    [cells] = write(tmp_path, [row(hostname="a\x1b[2J\x07b\x7fc\x85d\u2028e\tf")])
    assert cells["host"] == "a [2J b c d e f"


def test_the_psort_dialect_leaves_controls_and_formulas_as_psort_does(tmp_path: Path):
    [cells] = write(tmp_path, [row(hostname="=a\tb\x1b;=c", username="-1")], "?dialect=psort")
    assert (cells["host"], cells["user"]) == ("=a\tb\x1b;=c", "-1")


def test_nul_and_lone_surrogates_do_not_make_cells(tmp_path: Path):
    [cells] = write(tmp_path, [row(hostname="a\0b\ud800", display_name="\0")])
    assert (cells["host"], cells["filename"]) == ("a\u2400b\ufffd", "\u2400")


TEXTS = st.lists(
    st.sampled_from(
        ['"', "=", "+", "-", "@", "＝", ";", ",", " ", "\t", "\0", "\r", "\n", "\x85", "\u2028", "\x7f", "\ud800", "a", "é", "x" * 79]
    )
).map("".join)


def cell(text: str, *, safe: bool) -> str:
    """What a cell says of a text, by the rules one after the other."""
    text = clean(text) or "-"
    text = re.sub("[\x80-\x9f\u2028\u2029]", " ", text) if safe else text
    text = f"'{text[1:]}" if text.startswith('"') else text
    if safe and text != "-" and re.match("[\1-\x20,\x7f]*[-=+@＋－＝＠]", text):
        text = f"'{text}"
    text = re.sub(";(?=[-=+@＋－＝＠])", ";'", text) if safe else text
    return re.sub("[\1-\x1f\x7f,]" if safe else "[\r\n,]", " ", text)


@pytest.mark.parametrize("safe", [True, False])
@given(texts=st.lists(TEXTS, min_size=9, max_size=9))
def test_any_texts_become_the_cells_that_the_rules_say(safe: bool, texts: list[str]):
    host, user, message, display, source, notes, path, size, shared = texts
    fields = {"hostname": host, "display_name": display, "source_short": source, "tags": (notes,), "shared": {"channel": clean(shared)}}
    own = {"path": path, "size": 7, "tool": size}
    made = row(**fields, username=user, plaso_message=message, plaso_short_message=message, own=own)
    line = L2tcsvSink(parse_target(f"l2tcsv:-?dialect={'safe' if safe else 'psort'}"), SinkSettings()).encode(made)[1].decode()
    found = dict(zip(NAMES, line.removesuffix("\n").split(","), strict=True))
    unbroken = message.replace("\r", "").replace("\n", "")
    short = unbroken if len(unbroken) <= 80 else f"{unbroken[:77]}..."
    values = [clean(text).replace("\n", "-").replace("\r", "") for text in (shared, path, size)]
    extra = "datetime: 2022-12-02T08:00:26.0770946Z; channel: {}; path: {}; size: 7; tool: {}".format(*values)
    expected = {
        "host": host,
        "user": user,
        "short": short,
        "desc": unbroken,
        "filename": display,
        "source": source,
        "notes": notes,
        "extra": extra,
    }
    assert {name: found[name] for name in expected} == {name: cell(text, safe=safe) for name, text in expected.items()}


def test_date_and_time_can_be_those_of_a_zone(tmp_path: Path):
    winter, summer = row(ticks=TICKS, message="w"), row(ticks=TICKS + 182 * 864_000_000_000)
    cells = write(tmp_path, [winter, summer], "?timezone=America/New_York")
    assert [(one["date"], one["time"], one["timezone"]) for one in cells] == [
        ("12/02/2022", "03:00:26", "EST"),
        ("06/02/2023", "04:00:26", "EDT"),
    ]
    assert all(one["extra"].startswith("datetime: 20") and "Z;" in one["extra"] for one in cells)


@pytest.mark.parametrize("options", ["?timezone=Mars/Olympus", "?timezone=../etc", "?dialect=excel"])
def test_unknown_zones_and_dialects_are_refused(options: str, tmp_path: Path):
    with pytest.raises(ConfigurationError):
        L2tcsvSink(parse_target(f"l2tcsv:{tmp_path / 'a'}{options}"), SinkSettings())


@pytest.mark.parametrize(("dialect", "expected"), [("safe", "cbad"), ("psort", "abcd")])
def test_within_one_second_rows_are_in_order_of_ticks_or_as_psort_sorts_them(dialect: str, expected: str, tmp_path: Path):
    ticks = {"a": 30, "b": 20, "c": 10, "d": 20_000_000}
    rows = [row(ticks=TICKS + offset, display_name=name) for name, offset in ticks.items()]
    assert "".join(cells["filename"] for cells in write(tmp_path, rows, f"?dialect={dialect}")) == expected


def test_rows_of_one_moment_are_in_order_of_file_name_inode_and_text(tmp_path: Path):
    places = [("b", "1", "x"), ("a", "2", "x"), ("a", "10", "y"), ("a", "10", "x"), ("ab", "1", "x")]
    rows = [row(display_name=name, hostname=text, attributes={"inode": inode}) for name, inode, text in places]
    assert [(cells["filename"], cells["inode"], cells["host"]) for cells in write(tmp_path, rows)] == sorted(places)


def test_the_header_is_the_one_that_readers_look_for():
    assert re.fullmatch(rb"date,time,timezone,MACB,.*,format,extra\n", HEADER)
    assert len(NAMES) == 17


def test_attributes_that_rows_share_read_like_their_own(tmp_path: Path):
    attributes = {"path": "100 %", "strings": ["a\nb", "c"], "channel": "x", "inode": "7", "threat_name": "=cmd"}
    alone = write(tmp_path, [row(own=attributes)])
    for names in ({"path", "inode"}, {"strings", "channel"}, set(attributes)):
        shared = {name: value for name, value in attributes.items() if name in names}
        own = {name: value for name, value in attributes.items() if name not in names}
        (tmp_path / "case.csv").unlink()
        assert write(tmp_path, [row(shared=shared, own=own)]) == alone


def test_what_is_remembered_of_shapes_is_bounded(tmp_path: Path):
    sink = L2tcsvSink(parse_target(f"l2tcsv:{tmp_path / 'case.csv'}"), SinkSettings())
    for number in range(5000):
        sink.write(FakeMapped("x", [row(attributes={f"key_{bit}": "x" for bit in range(13) if number >> bit & 1})]), number)
    assert len(sink._forms) <= 1024
    sink.abort()
