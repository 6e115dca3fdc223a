import pytest

from exporter.mapping.formatter_check import check
from tests.mapping.test_formatter import definition

ENUMERATION = {"input_attribute": "kind", "output_attribute": "kind_text", "values": {1: "file"}}


def test_a_good_definition_passes():
    assert check(definition(separator=", ", enumeration_helpers=[ENUMERATION])) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"custom_helpers": []}, "unknown key `custom_helpers`"),
        ({"type": "basic"}, "type must be"),
        ({"source": ""}, "source must be a text"),
        ({"short_source": None}, "short_source must be a text"),
        ({"separator": "{"}, "separator"),
        ({"message": "{path}"}, "message must be a list"),
        ({"short_message": []}, "short_message must be a list"),
        ({"message": [7]}, "must be a text"),
        ({"message": ["{a} {b}"]}, "at most one attribute"),
        ({"message": ["{a"]}, "expected '}'"),
        ({"message": ["{Path}"]}, "`Path` must match"),
        ({"message": ["{a.b}"]}, "`a.b` must match"),
        ({"message": ["{a[0]}"]}, "must match"),
        ({"message": ["{}"]}, "must match"),
        ({"message": ["{0}"]}, "must match"),
        ({"message": ["{{a}}"]}, "doubled braces"),
        ({"message": ["{a!z}"]}, "unknown conversion"),
        ({"message": ["{a:zz}"]}, "no value has the format"),
        ({"message": ["{a:'>5}"]}, "no value has the format"),
        ({"short_message": ["{sha256_hash}"]}, "data streams"),
        ({"data_type": "windows:evtx:record"}, "plaso's own"),
        ({"data_type": "av:defender:detection_history"}, "plaso's own"),
        ({"data_type": "fs:stat"}, "must begin with"),
        ({"data_type": None}, "data_type must be a text"),
        ({"boolean_helpers": ["on"]}, "each helper is a table"),
        ({"boolean_helpers": [{"input_attribute": "on"}]}, "attribute name `None`"),
        ({"boolean_helpers": [{"input_attribute": "on", "output_attribute": "t", "value_if_true": 1}]}, "value_if_true must be a text"),
        ({"enumeration_helpers": [ENUMERATION | {"default": "x"}]}, "unknown key `default`"),
        ({"enumeration_helpers": [ENUMERATION | {"values": {}}]}, "must be a table"),
        ({"enumeration_helpers": [ENUMERATION | {"values": {1: "a", "2": "b"}}]}, "must all be"),
        ({"enumeration_helpers": [ENUMERATION | {"values": {True: "a"}}]}, "must all be"),
        ({"enumeration_helpers": [ENUMERATION | {"output_attribute": "md5_hash"}]}, "data streams"),
        ({"flags_helpers": [ENUMERATION | {"values": {"1": "a"}}]}, "must all be integers"),
    ],
)
def test_what_is_wrong_is_named(changes, problem):
    problems = check(definition(**changes))
    assert len(problems) == 1
    assert problem in problems[0]


def test_only_plasos_own_data_types_may_be_owned_by_plaso():
    assert check(definition(data_type="windows:evtx:record"), owned_by_plaso=True) == []
    assert check(definition(), owned_by_plaso=True) == ["data_type `av:defender:mplog:entry` is not one of plaso's"]


def test_formats_and_keys_are_held_against_the_types_of_the_attributes():
    good = definition(message=["{path}", "{count:04x}", "{kind_text:s}", "{list!s:>9}"], enumeration_helpers=[ENUMERATION])
    types = {"path": str, "count": int, "kind": int, "list": list}
    assert check(good, types=types) == []
    assert check(good, types=types | {"count": str}) == ["message piece '{count:04x}': the format does not fit `count`"]
    assert check(good, types=types | {"kind": str}) == ["enumeration_helpers: `kind` is str, the keys of its values are int"]
    assert check(definition(message=["{list:s}"]), types=types) == ["message piece '{list:s}': the format does not fit `list`"]
