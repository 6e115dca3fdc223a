"""One golden record of every kind: its ECS document, its Timesketch lines, its L2T CSV rows."""

import json
from pathlib import Path

import pytest

from exporter.kinds import KINDS
from exporter.records import Mapped
from exporter.sinks.targets import SinkSettings, open_sink, parse_target
from tests.golden.compare import check
from tests.golden.inputs import CASES, write_input
from tests.line import FILES, mapped

HERE = Path(__file__).parent / "kinds"


@pytest.fixture(scope="module")
def first_of_kind(case_folder, tmp_path_factory) -> dict[str, Mapped]:
    """The first record of each kind in the synthetic case and, where it has none, in the golden inputs."""
    place = tmp_path_factory.mktemp("kinds")
    found: dict[str, Mapped] = {}
    for evidence in (case_folder, *(write_input(name, place, Path()) for name in CASES)):
        letters = place / f"{evidence.name} letters"
        letters.mkdir()
        for event in mapped(evidence, letters, all_events=True, etl_strings=True):
            found.setdefault(event.record.payload.kind, event)
    return found


def through(event: Mapped, sink_name: str, folder: Path) -> str:
    """What a sink writes of one record."""
    path = folder / FILES[sink_name]
    sink = open_sink(parse_target(f"{sink_name}:{path}"), SinkSettings(reproducible=True))
    sink.check()
    list(sink.write(event, 1))
    list(sink.flush())
    sink.close()
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_of_each_kind_reads_as_its_golden_file_says(kind, first_of_kind, tmp_path, refresh_golden):
    assert kind in first_of_kind, f"no input of the golden cases has a record of kind `{kind}`: add one to tests/golden/inputs.py"
    event = first_of_kind[kind]
    content = {
        "ecs": json.loads(through(event, "ecs", tmp_path)),
        "timesketch": [json.loads(line) for line in through(event, "timesketch", tmp_path).splitlines()],
        "l2tcsv": through(event, "l2tcsv", tmp_path).split("\n")[1:-1],
    }
    check(HERE / f"{kind}.json", (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode(), refresh=refresh_golden)


def test_every_kind_has_a_golden_record_and_every_golden_record_a_kind():
    golden = {path.stem for path in HERE.glob("*.json")}
    missing, left_over = KINDS.keys() - golden, golden - KINDS.keys()
    assert not missing, f"no golden record for {sorted(missing)}: run `make golden`"
    assert not left_over, f"golden records of no kind: {sorted(left_over)}"
