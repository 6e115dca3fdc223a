import io
import tracemalloc
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.formats.mpcmdrun import MOST_CHARACTERS, MOST_CODES, MOST_LINES, MpCmdRun, parse_mpcmdrun
from exporter.formats.time_zone import ClockHints
from exporter.records import Parsed, Rejected, Tally
from exporter.synthetic.mpcmdrun import MONTHS, CommandRun, write_mpcmdrun
from exporter.times import TICKS_PER_SECOND, from_iso
from tests.formats.test_text_lines import Drops

ROW = "-" * 85
PROGRAM = "C:\\Program Files\\Windows Defender\\MpCmdRun.exe"
COMMAND = f'MpCmdRun: Command Line: "{PROGRAM}" -Scan -ScanType 3'
START = " Start Time: \u200eTue \u200eMar \u200e05 \u200e2024 09:15:02"
END = "MpCmdRun: End Time: \u200eTue \u200eMar \u200e05 \u200e2024 09:15:04"
RUN = (COMMAND, START, "", "MpEnsureProcessMitigationPolicy: hr = 0x1", "MpCmdRun.exe: hr = 0x80508023.", END)
BEGUN, ENDED = from_iso("2024-03-05T08:15:02Z")[0], from_iso("2024-03-05T08:15:04Z")[0]
BERLIN = ClockHints(offset=60)


def encoded(*lines):
    return "".join(f"{line}\r\n" for line in lines).encode("utf-16-le", "surrogatepass")


def items_of(data, step=1 << 20, hints=BERLIN):
    """The items, after checking what holds for every input: one Tally, at the end, and its sum."""
    *items, tally = parse_mpcmdrun(Drops(data, step), hints)
    assert isinstance(tally, Tally)
    assert not any(isinstance(item, Tally) for item in items)
    assert tally.seen == sum(item.units for item in items) + sum(tally.unparsed.values())
    return [*items, tally]


def records_of(*lines, hints=BERLIN):
    return [item for item in items_of(encoded(*lines), hints=hints) if isinstance(item, Parsed)]


def payload_of(*lines, hints=BERLIN):
    (record,) = records_of(*lines, hints=hints)
    return record.payload


def test_a_run_has_command_times_and_result():
    (record,) = records_of(ROW, *RUN, ROW, "", "")
    assert record.payload == MpCmdRun(
        command_line=f'"{PROGRAM}" -Scan -ScanType 3',
        executable=PROGRAM,
        command="-Scan",
        logged_at=BEGUN,
        started_at=BEGUN,
        ended_at=ENDED,
        started_local="Tue Mar 05 2024 09:15:02",
        ended_local="Tue Mar 05 2024 09:15:04",
        utc_offset=60,
        utc_offset_basis="option",
        ended=True,
        result=0x80508023,
        codes=(1, 0x80508023),
        output=("MpEnsureProcessMitigationPolicy: hr = 0x1", "MpCmdRun.exe: hr = 0x80508023."),
        output_lines=2,
    )
    assert (record.offset, record.number, record.units, record.incomplete) == (len(encoded(ROW)), 2, 6, None)


def test_its_hash_is_that_of_its_lines_without_the_last_terminator():
    data = encoded(ROW, *RUN, ROW)
    (record,) = records_of(ROW, *RUN, ROW)
    start = len(encoded(ROW))
    assert record.raw_hash == sha256(data[start : start + len(encoded(*RUN)) - 4]).hexdigest()


def test_without_an_offset_the_local_times_stay_and_no_time_is_made_up():
    payload = payload_of(ROW, *RUN, ROW, hints=ClockHints())
    assert (payload.started_at, payload.ended_at, payload.logged_at, payload.time_basis) == (None, None, None, "none")
    assert (payload.started_local, payload.utc_offset, payload.utc_offset_basis) == ("Tue Mar 05 2024 09:15:02", None, None)


def test_an_unknown_month_is_no_time_and_no_loss():
    (record,) = records_of(ROW, COMMAND, " Start Time: Foo Xyz 05 2024 09:15:02", ROW)
    assert (record.payload.started_at, record.payload.started_local) == (None, "Foo Xyz 05 2024 09:15:02")
    assert (record.payload.utc_offset, record.incomplete) == (None, None)


def test_a_run_without_times_takes_that_of_the_run_before_it_and_says_so():
    before, after = records_of(ROW, *RUN, ROW, "", ROW, COMMAND, "", "x", ROW)
    assert (after.payload.logged_at, after.payload.time_basis, after.payload.started_at) == (ENDED, "previous_run", None)
    assert (after.payload.ended, after.incomplete, before.incomplete) == (False, None, None)


def test_a_run_that_only_ended_has_the_time_of_its_end():
    payload = payload_of(ROW, COMMAND, "x", END, ROW)
    assert (payload.logged_at, payload.time_basis, payload.started_at, payload.ended_at) == (ENDED, "run", None, ENDED)


@pytest.mark.parametrize(
    ("command", "executable", "first"),
    [
        ("MpCmdRun.exe -Scan -File x", "MpCmdRun.exe", "-Scan"),
        ('"C:\\a b\\MpCmdRun.exe"', "C:\\a b\\MpCmdRun.exe", None),
        ('"C:\\a b\\MpCmdRun.exe"  SignaturesUpdateService -x', "C:\\a b\\MpCmdRun.exe", "SignaturesUpdateService"),
        ('"never closed -Scan', '"never', "closed"),
    ],
)
def test_program_and_first_argument_are_told_apart(command, executable, first):
    payload = payload_of(ROW, f"MpCmdRun: Command Line: {command}", ROW)
    assert (payload.command_line, payload.executable, payload.command) == (command, executable, first)


def test_a_run_without_a_command_line_says_so():
    (record,) = records_of(ROW, "MpCmdRun: Command Line: ", ROW)
    assert (record.payload.command_line, record.payload.executable, record.incomplete) == ("", None, "no command line")


def test_errors_and_every_code_are_kept():
    payload = payload_of(
        ROW, COMMAND, "ERROR: Completion Failed 80508023", "a hr=0x80070006 b", "CmdTool: Failed with hr = 0x80004005. x", ROW
    )
    assert payload.errors == ("Completion Failed 80508023",)
    assert (payload.codes, payload.result) == ((0x80070006, 0x80004005), 0x80004005)


def test_output_is_kept_up_to_its_limits_and_counted_beyond_them():
    long = "ERROR: " + "x" * 2000
    codes = [f"hr = 0x{code:x}" for code in range(MOST_CODES + 9)]
    payload = payload_of(ROW, COMMAND, *codes, *[long] * 100, ROW)
    assert (len(payload.output), payload.output_lines) == (MOST_LINES, 100 + len(codes))
    assert max(map(len, payload.output)) == max(map(len, payload.errors)) == MOST_CHARACTERS
    assert (len(payload.codes), len(payload.errors)) == (MOST_CODES, MOST_LINES)


def test_a_start_time_among_the_output_is_output():
    payload = payload_of(ROW, COMMAND, "first", START, ROW)
    assert (payload.started_at, payload.output_lines) == (None, 2)


def test_a_run_in_which_another_begins_is_incomplete_and_an_end_without_a_run_is_counted():
    first, second, tally = items_of(encoded(COMMAND, START, *RUN, END))
    assert (first.incomplete, second.incomplete) == ("no end of the run: another run begins", None)
    assert tally.unparsed == {"end_without_run": 1}


@pytest.mark.parametrize("lines", [(COMMAND,), (COMMAND, START, "x")])
def test_a_run_at_the_end_of_the_file_says_that_the_file_ends(lines):
    (record,) = records_of(ROW, *lines)
    assert record.incomplete == "no end of the run: the file ends"


def test_a_line_that_the_file_cuts_is_told():
    (record,) = [item for item in items_of(encoded(ROW, *RUN)[:-4]) if isinstance(item, Parsed)]
    assert record.incomplete == "no end of the run: the file ends before the line does"


def test_zeros_end_a_run_and_cost_only_themselves():
    zeros = "\0" * 40
    data = encoded(ROW, COMMAND, zeros, ROW, zeros + COMMAND, "x", ROW)
    first, loss, before, second, tally = items_of(data)
    assert first.incomplete == "no end of the run: NUL characters instead of text"
    assert [type(item) for item in (loss, before)] == [Rejected, Rejected]
    assert (loss.offset, before.offset) == (len(encoded(ROW, COMMAND)), len(encoded(ROW, COMMAND, zeros, ROW)))
    assert (second.offset, second.units) == (before.offset + 80, 2)
    assert tally.unparsed["row"] == 3


def test_what_stands_outside_of_runs_is_counted():
    *_, tally = items_of(encoded("free text", ROW, *RUN, ROW, "", "more text"))
    assert tally.unparsed == {"other": 2, "row": 2, "blank": 1}


@pytest.mark.parametrize(("data", "reason"), [(b"", "an empty file"), (b"<html>\n" * 9, "no line of this file is one of an MpCmdRun log")])
def test_an_empty_or_foreign_file_is_named(data, reason):
    loss, _ = items_of(data)
    assert (loss.reason, loss.units, loss.offset) == (reason, 0, 0)


def test_a_line_above_the_limit_ends_the_run_and_the_next_one_is_read():
    first, loss, second, _ = items_of("\n".join([COMMAND, "x" * 1_100_000, *RUN, ""]).encode())
    assert (first.incomplete, second.incomplete) == ("no end of the run: a line that cannot be read", None)
    assert isinstance(loss, Rejected)


def test_memory_does_not_grow_with_the_output_of_a_run():
    def peak(lines):
        data = encoded(ROW, COMMAND, *["hr = 0x1 " * 50] * lines, ROW)
        tracemalloc.start()
        try:
            assert sum(item.units for item in parse_mpcmdrun(io.BytesIO(data)) if isinstance(item, Parsed)) == lines + 1
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(12_000) < peak(4_000) * 1.3


LINES = [ROW, *RUN, "", "\0\0", "\0" + COMMAND, "\ud800", "ERROR: x", "free text", "MpCmdRun: Command Line:", "MpCmdRun: End Time:"]


@given(st.binary(max_size=400))
def test_any_bytes_are_counted_and_raise_nothing(data):
    items_of(data)


@given(st.lists(st.one_of(st.sampled_from(LINES), st.text(max_size=30)), max_size=40), st.integers(1, 500))
@settings(max_examples=100, deadline=None)
def test_any_lines_give_the_same_items_whatever_the_read_size(lines, step):
    data = b"\xff\xfe" + "\r\n".join(lines).encode("utf-16-le", "surrogatepass")
    assert items_of(data, step) == items_of(data)


@given(st.integers(0, 700))
@settings(deadline=None)
def test_a_log_cut_anywhere_keeps_every_run_before_the_cut(cut):
    data = encoded(ROW, *RUN, ROW, ROW, COMMAND, "x", ROW, ROW, *RUN, ROW)
    whole = [item for item in items_of(data) if isinstance(item, Parsed)]
    part = [item for item in items_of(data[: 2 * cut]) if isinstance(item, Parsed)]
    before = sum(record.offset <= 2 * cut for record in whole[1:])
    assert part[:before] == whole[:before]


SECONDS = st.integers(from_iso("2015-01-01T00:00:00Z")[0] // TICKS_PER_SECOND, from_iso("2030-01-01T00:00:00Z")[0] // TICKS_PER_SECOND)
TICKS = st.none() | SECONDS.map(lambda seconds: seconds * TICKS_PER_SECOND)
RUNS = st.builds(
    CommandRun,
    arguments=st.text(
        st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp", "Zs", "Cf"], exclude_characters='"'), min_size=1, max_size=30
    ),
    started_at=TICKS,
    ended_at=TICKS,
    utc_offset_minutes=st.just(120),
    language=st.sampled_from(sorted(MONTHS)),
    output=st.lists(st.sampled_from(["Scan starting...", "ERROR: x", ""]), max_size=5),
    result=st.none() | st.integers(0, 2**32 - 1),
)


@given(st.lists(RUNS, min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_what_was_written_is_read(tmp_path_factory, runs):
    path = tmp_path_factory.mktemp("mpcmdrun") / "MpCmdRun.log"
    truth = write_mpcmdrun(path, runs)
    *records, tally = items_of(path.read_bytes(), hints=ClockHints(offset=120))
    assert tally.seen == truth["lines"]
    assert set(tally.unparsed) <= {"row", "blank"}
    assert [(one.offset, one.units, one.payload.command_line) for one in records] == [
        (one["offset"], one["lines"], one["command_line"]) for one in truth["records"]
    ]
    assert [(one.payload.started_at, one.payload.ended_at, one.payload.result) for one in records] == [
        (run.started_at, run.ended_at, run.result) for run in runs
    ]


@pytest.mark.real_data
def test_every_run_of_the_sample_is_read_whatever_its_language(shared_data):
    data = (shared_data / "mplog/written-here/MpCmdRun.log").read_bytes()
    *records, tally = items_of(data)
    assert tally.seen == data.decode("utf-16-le").count("\n")
    told = [(one.payload.command, one.payload.started_at, one.payload.ended, one.payload.result, one.incomplete) for one in records]
    at = [
        None if text is None else from_iso(text)[0]
        for text in ("2024-03-05T08:15:02Z", "2024-03-05T08:20:11Z", "2024-03-05T08:31:40Z", None)
    ]
    assert told == [
        ("-RemoveDefinitions", at[0], True, None, None),
        ("-Scan", at[1], True, 0x80508023, None),
        ("-DownloadFile", at[2], False, None, None),
        ("SignaturesUpdateService", None, False, None, None),
        ("-Restore", from_iso("2024-03-05T09:02:09Z")[0], True, 0, None),
    ]
