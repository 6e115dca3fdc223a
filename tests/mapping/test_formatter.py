import pytest
import yaml

from exporter.data import folder
from exporter.mapping.formatter import check, compile_formatter, export_yaml


def definition(**changes):
    return {
        "type": "conditional",
        "data_type": "av:defender:mplog:entry",
        "message": ["Path: {path}", "{count:04x}"],
        "short_message": ["{path}"],
        "short_source": "LOG",
        "source": "Defender MPLog",
    } | changes


def message(attributes, **changes):
    return compile_formatter(definition(**changes)).message(attributes)


def test_pieces_are_joined_and_those_without_value_left_out():
    assert message({"path": "C:\\a", "count": 255}) == "Path: C:\\a 00ff"
    assert message({"count": 0}) == "0000"
    assert message({"path": None}) == ""
    assert message({"path": "a", "count": 1}, separator=" | ") == "Path: a | 0001"


def test_text_pieces_always_stand_and_braces_are_text_when_doubled():
    assert message({}, message=["Threat", "{{ }}", "{name}"]) == "Threat { }"
    assert message({"name": "{x} %s"}, message=["100 % '\"\\é", "{name}"]) == "100 % '\"\\é {x} %s"


def test_one_attribute_may_stand_twice_in_a_piece():
    assert message({"id": 1116}, message=["[{id} / 0x{id:04x}]"]) == "[1116 / 0x045c]"


def test_line_breaks_vanish_and_other_controls_stay():
    assert message({"path": "a\r\nb\tc"}) == "Path: ab\tc"


def test_lists_and_tuples_print_as_lists():
    assert message({"path": ["a", "é"]}) == message({"path": ("a", "é")}) == "Path: ['a', 'é']"


def test_a_short_message_over_80_characters_is_cut_to_77_and_dots():
    short = compile_formatter(definition()).short_message
    assert short({"path": "x" * 80}) == "x" * 80
    assert short({"path": "x" * 81}) == "x" * 77 + "..."


def test_an_empty_short_message_means_the_message():
    assert compile_formatter(definition(short_message=[""])).short_message({"path": "a"}) == "Path: a"


@pytest.mark.parametrize("shared", [(), ("path",), ("count",), ("path", "count")])
@pytest.mark.parametrize("short", [[""], ["{path}"], ["{path}", "{count}"], ["is", "{path}"]])
@pytest.mark.parametrize("path", [None, "a", "a\r\nb", "b" * 75, "c" * 80, "c" * 81])
def test_with_shared_attributes_bound_both_texts_are_the_same(shared, short, path):
    """Whichever part of a message is made of what many events share."""
    given = definition(short_message=short)
    attributes = {"path": path, "count": 1}
    bound = compile_formatter(given, frozenset(shared)).bind({name: attributes[name] for name in shared})
    whole = compile_formatter(given)
    own = {name: value for name, value in attributes.items() if name not in shared}
    assert bound.texts(own) == (whole.message(attributes), whole.short_message(attributes))


def test_a_short_message_that_shared_attributes_fill_is_not_made_again():
    given = definition(message=["{path}"], short_message=["{path}", "{count:04x}"])
    bound = compile_formatter(given, frozenset(["path"])).bind({"path": "x" * 100})
    assert bound.texts({"count": "no number"}) == ("x" * 100, "x" * 77 + "...")


def test_helpers_write_attributes_before_pieces_are_rendered_and_leave_the_event_alone():
    helpers = {
        "boolean_helpers": [{"input_attribute": "on", "output_attribute": "on_text", "value_if_true": "on", "value_if_false": "off"}],
        "enumeration_helpers": [{"input_attribute": "kind", "output_attribute": "kind", "values": {1: "file"}, "default_value": "other"}],
        "flags_helpers": [{"input_attribute": "flags", "output_attribute": "flag_text", "values": {1: "a", 2: "b", 4: "c"}}],
    }
    formatter = compile_formatter(definition(message=["{on_text}", "{kind}", "{flag_text}"], **helpers))
    event = {"on": True, "kind": 1, "flags": 5}
    assert formatter.message(event) == "on file a, c"
    assert event == {"on": True, "kind": 1, "flags": 5}
    assert formatter.message({"kind": 9}) == "off other"
    assert formatter.used == {"on_text", "kind", "flag_text", "on", "flags"}
    assert formatter.bind({"on": True}).message({"kind": 1, "flags": 5}) == "on file a, c"


def test_a_format_that_does_not_fit_raises_as_in_plaso():
    with pytest.raises(ValueError, match="Unknown format code"):
        message({"count": "text"})


def test_sources_and_data_type_are_readable():
    formatter = compile_formatter(definition(data_type="AV:Defender:X"))
    assert (formatter.short_source, formatter.source, formatter.data_type) == ("LOG", "Defender MPLog", "av:defender:x")
    assert compile_formatter(definition()).used == {"path", "count"}


def test_a_wrong_definition_is_not_compiled():
    with pytest.raises(ValueError, match="at most one attribute"):
        compile_formatter(definition(message=["{a} {b}"]))


def test_plasos_own_definitions_are_known_and_never_exported():
    known = [item for item in yaml.safe_load_all((folder("mappings") / "plaso" / "known.yaml").read_text(encoding="utf-8")) if item]
    assert [item["data_type"] for item in known] == ["windows:evtx:record", "av:defender:detection_history"]
    for item in known:
        assert check(item, owned_by_plaso=True) == []
        with pytest.raises(ValueError, match="plaso's own"):
            export_yaml([item])


def test_the_export_is_a_yaml_stream_of_the_same_definitions():
    other = definition(data_type="av:defender:incident", message=("{a}", "é: {b}"), separator=", ")
    text = export_yaml([definition(), other])
    assert list(yaml.safe_load_all(text)) == [definition(), other | {"message": ["{a}", "é: {b}"]}]
    assert text.startswith("---\ntype: conditional\n")
    assert "é" in text
