"""The example of the settings is what the code knows, and wrong settings are named."""

import re
import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from exporter.cli import cli, exit_codes
from exporter.cli.export import export
from exporter.cli.options import TABLES, UtcOffset, names
from exporter.collectors import ReadingOptions
from exporter.config import read_config
from exporter.data import folder
from exporter.errors import ConfigurationError

EXAMPLE = folder("config") / "exporter.example.toml"
TEXTS = dict(zip(TABLES, re.split(r"^\[[a-z]+\]$", EXAMPLE.read_text("utf-8"), flags=re.MULTILINE)[1:], strict=True))
OPTIONS = names(export)


def parameters(table: str) -> dict[str, click.Parameter]:
    command = cli.get_command(click.Context(cli), table)
    return {
        parameter.name.replace("_", "-"): parameter for parameter in command.params if parameter.name.replace("_", "-") in names(command)
    }


def test_the_example_has_a_table_for_each_command_that_reads_one() -> None:
    assert tuple(tomllib.loads(EXAMPLE.read_text("utf-8"))) == TABLES


@pytest.mark.parametrize("table", TABLES)
def test_the_example_names_every_option_and_no_other(table: str) -> None:
    assert set(re.findall(r"^#? ?([a-z-]+) = ", TEXTS[table], re.MULTILINE)) == set(parameters(table))


@pytest.mark.parametrize("table", TABLES)
def test_the_values_of_the_example_are_the_defaults(table: str) -> None:
    values, options = tomllib.loads(EXAMPLE.read_text("utf-8"))[table], parameters(table)
    assert values == {name: option.to_info_dict()["default"] for name, option in options.items() if name in values}
    without = {name for name in options if name not in values}
    assert all(options[name].required or options[name].to_info_dict()["default"] is None for name in without)


def test_every_option_of_the_example_has_a_line_of_comment() -> None:
    lines = EXAMPLE.read_text("utf-8").splitlines()
    places = [number for number, line in enumerate(lines) if re.match(r"^#? ?[a-z-]+ = ", line)]
    assert all(re.match(r"^# [A-Z]", lines[number - 1]) for number in places)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("[export]\ncolour = 1", "unknown key `colour`"), ("[exprot]\n", "unknown table `exprot`"), ("[export", "export.toml")],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "export.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigurationError, match=re.escape(expected)):
        read_config(path, {"export": OPTIONS})


def test_option_wins_over_environment_over_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "settings.toml"
    out = tmp_path / "from-file.ndjson"
    path.write_text(f"[export]\ncase = 'from-file'\nto = ['ecs:{out.as_posix()}']\n", "utf-8")
    evidence = tmp_path / "evidence" / "Entries"
    evidence.mkdir(parents=True)
    (evidence / "{80008A1B-0000-0000-7065-3EA2B161B275}").write_bytes(b"")

    def case(*arguments: str) -> str:
        out.unlink(missing_ok=True)
        result = CliRunner().invoke(
            cli, ["export", str(evidence.parent), "--config", str(path), "--force", *arguments], standalone_mode=False
        )
        assert result.return_value == exit_codes.DAMAGED, result.output
        return re.search(r'"case_id":"([^"]+)"', out.read_text("utf-8"))[1]

    assert case() == "from-file"
    monkeypatch.setenv("DEFENDER_EXPORTER_EXPORT_CASE", "from-environment")
    assert case() == "from-environment"
    assert case("--case", "from-option") == "from-option"


@pytest.mark.parametrize(("text", "minutes"), [("+02:00", 120), ("-05:30", -330), ("+0545", 345), ("-8", -480), ("+14:00", 840)])
def test_an_offset_from_utc_is_minutes(text: str, minutes: int) -> None:
    assert UtcOffset().convert(text, None, None) == minutes


@pytest.mark.parametrize("text", ["2:00", "+15:00", "UTC", "+2:0", "+１", ""])
def test_what_is_no_offset_from_utc_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="no offset from UTC"):
        UtcOffset().convert(text, None, None)


@pytest.mark.parametrize("command", ["export", "ingest", "explain"])
def test_every_command_that_reads_knows_every_option_of_reading(command: str) -> None:
    assert {name.replace("_", "-") for name in ReadingOptions.__struct_fields__} <= names(cli.get_command(click.Context(cli), command))
