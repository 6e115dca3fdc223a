import json
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.data import folder
from exporter.mapping.formatter import Formatter, compile_formatter, export_yaml
from exporter.mapping.formatter_check import HELPERS, structure
from exporter.mapping.load import load_mappings
from exporter.mapping.plaso_export import formatter_definitions

pytestmark = pytest.mark.peers
KNOWN = [item for item in yaml.safe_load_all((folder("mappings") / "plaso" / "known.yaml").read_text(encoding="utf-8")) if item]
OURS = formatter_definitions(load_mappings(folder("mappings")))
NAMES = ["path", "threatName", "event_identifier", "strings", "x1"]
SPECS = ["", "", "", "", ":04x", ":d", ":>12", ":s", ":.3f", "!r", "!s:>9", "!a"]
TEXTS = st.text(st.characters(exclude_categories=()), max_size=90) | st.sampled_from(
    ["{path}", "{", "}}", "%s %%", "\r\n", "é,\u2028", "\ud800", ""]
)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
VALUES = st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False) | TEXTS | st.lists(TEXTS | INTEGERS, max_size=3)


@st.composite
def pieces(draw):
    name = draw(st.sampled_from([*NAMES, ""]))
    literals = draw(
        st.lists(st.text("aB[]()<>:'\"\\%é€𝄞 \t\r\n", max_size=6) | st.sampled_from(["{{", "}}", "{{ ", "{{A}}"]), min_size=1, max_size=3)
    )
    fields = [f"{{{name}{draw(st.sampled_from(SPECS))}}}" if name else "" for _ in literals[1:]]
    return literals[0] + "".join(field + literal for field, literal in zip(fields, literals[1:], strict=True))


@st.composite
def helpers(draw, key):
    item = {"input_attribute": draw(st.sampled_from(NAMES)), "output_attribute": draw(st.sampled_from([*NAMES, "made"]))}
    if key == "boolean_helpers":
        return item | draw(st.fixed_dictionaries({}, optional={"value_if_true": TEXT_VALUES, "value_if_false": TEXT_VALUES}))
    keys = st.integers(0, 8) if key == "flags_helpers" or draw(st.booleans()) else st.sampled_from(["", "a", "true"])
    item["values"] = draw(st.dictionaries(keys, TEXT_VALUES, min_size=1, max_size=4))
    return item | (draw(st.fixed_dictionaries({}, optional={"default_value": TEXT_VALUES})) if key == "enumeration_helpers" else {})


TEXT_VALUES = st.text("ab{} %é", max_size=5)
DEFINITIONS = st.fixed_dictionaries(
    {
        "type": st.just("conditional"),
        "data_type": st.just("av:defender:mplog:entry"),
        "message": st.lists(pieces(), min_size=1, max_size=6),
        "short_message": st.just([""]) | st.lists(pieces(), min_size=1, max_size=3),
        "short_source": st.just("LOG"),
        "source": st.just("Defender"),
    },
    optional={"separator": st.sampled_from(["", " ", ", ", "; ", "%", "é"])} | {key: st.lists(helpers(key), max_size=2) for key in HELPERS},
).filter(lambda definition: not structure(definition))
ATTRIBUTES = st.dictionaries(st.sampled_from(NAMES), VALUES)


@pytest.fixture(scope="module")
def plaso(peer, request):
    """Asks plaso for the texts of an event."""
    script = request.path.parent / "plaso_format.py"
    with subprocess.Popen([peer("plaso"), script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="ascii") as process:

        def ask(definitions: str, attributes: dict) -> dict:
            process.stdin.write(json.dumps({"definitions": definitions, "attributes": attributes}) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield ask


def ours(formatter: Formatter, attributes: dict) -> dict:
    try:
        return {"message": formatter.message(attributes), "short_message": formatter.short_message(attributes)}
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        return {"error": type(error).__name__}


def texts(answer: dict) -> dict:
    return {key: answer[key] for key in ("message", "short_message", "error") if key in answer}


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(definition=DEFINITIONS, events=st.lists(ATTRIBUTES, min_size=1, max_size=4))
def test_any_definition_and_event_reads_as_plaso_writes_it(plaso, definition, events):
    stream = export_yaml([definition])
    formatter = compile_formatter(definition)
    for attributes in events:
        assert ours(formatter, attributes) == texts(plaso(stream, attributes))


@pytest.mark.parametrize("definition", KNOWN, ids=lambda definition: definition["data_type"])
@settings(max_examples=100, deadline=None)
@given(values=st.lists(VALUES, min_size=9, max_size=9))
def test_our_restatement_of_plasos_own_definitions_reads_as_plasos(plaso_own, definition, values):
    formatter = compile_formatter(definition)
    attributes = dict(zip(sorted(formatter.used), values, strict=False))
    answer = plaso_own(definition["data_type"], attributes)
    assert ours(formatter, attributes) == texts(answer)
    if "error" not in answer:
        assert set(answer["used"]) - {"message_string"} == formatter.used
        assert answer["sources"] == [formatter.short_source, formatter.source]


@pytest.mark.parametrize("definition", OURS, ids=lambda definition: definition["data_type"])
@settings(max_examples=60, deadline=None)
@given(values=st.lists(VALUES, min_size=20, max_size=20))
def test_each_definition_that_we_export_reads_in_plaso_as_here(plaso, definition, values):
    """P7 for our own definitions, with any values and any of them absent."""
    formatter = compile_formatter(definition)
    attributes = dict(zip(sorted(formatter.used), values, strict=False))
    answer = plaso(export_yaml([definition]), attributes)
    assert ours(formatter, attributes) == texts(answer)
    if "error" not in answer:
        assert set(answer["used"]) == formatter.used
        assert answer["sources"] == [formatter.short_source, formatter.source]


@pytest.fixture(scope="module")
def plaso_own(plaso, peer):
    """The same with the definition that plaso itself ships."""
    where = "import os, plaso.formatters; print(os.path.dirname(os.path.dirname(plaso.formatters.__file__)))"
    root = subprocess.run([peer("plaso"), "-c", where], check=True, capture_output=True, text=True).stdout.strip()
    shipped = {}
    for name in ("windows.yaml", "antivirus.yaml"):
        stream = Path(root, "data", "formatters", name).read_text(encoding="utf-8")
        shipped |= {item["data_type"]: yaml.safe_dump(item, sort_keys=False) for item in yaml.safe_load_all(stream) if item}
    return lambda data_type, attributes: plaso(shipped[data_type], attributes)
