"""Secrets in the configuration file: used, shown nowhere, and refused where others can read them."""

import base64
import os
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.cli import exit_codes, main
from exporter.pipeline import Pipeline
from tests.cli.run import invoke
from tests.servers.fake import FakeServer

SECRET = "s3cr3t-Pa55"
BASIC = f"Basic {base64.b64encode(f'ana:{SECRET}'.encode()).decode()}"
NAMES = [f"DEFENDER_EXPORTER_{sink}_{key}" for sink in ("ELASTICSEARCH", "TIMESKETCH") for key in ("USER", "PASSWORD", "API_KEY", "TOKEN")]
posix = pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "")  # so that it is put back afterwards
        monkeypatch.delenv(name)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        running.credentials = BASIC
        yield running


def written(folder: Path, text: str = f'[secrets.elasticsearch]\nuser = "ana"\npassword = "{SECRET}"\n', mode: int = 0o600) -> Path:
    path = folder / "config.toml"
    path.write_text(text, "utf-8")
    path.chmod(mode)
    return path


def assert_hidden(folder: Path, config: Path, *texts: str) -> None:
    """The secret stands in the configuration and nowhere else, encoded or not."""
    found = [path for path in folder.rglob("*") if path.is_file() and path != config]
    for content in (*(text.encode() for text in texts), *(path.read_bytes() for path in found)):
        assert SECRET.encode() not in content
        assert BASIC.split()[1].encode() not in content


@pytest.mark.parametrize("known", [True, False], ids=["accepted", "refused"])
def test_a_secret_of_the_file_is_used_and_shown_nowhere(server, case_folder, tmp_path, capsys, known: bool):
    config = written(tmp_path)
    if not known:
        server.credentials = "Basic somebody else"
    outputs = ("--manifest", tmp_path / "run.json", "--dead-letters", tmp_path / "dead.ndjson", "--state", tmp_path / "state")
    said = invoke(
        capsys,
        "export",
        case_folder,
        "--config",
        config,
        "--case",
        "c",
        "--to",
        f"elasticsearch:{server.address}",
        "--progress",
        "json",
        *outputs,
    )
    assert said.code == (exit_codes.COMPLETE if known else exit_codes.CONFIGURATION)
    assert bool(server.documents) == known
    assert_hidden(tmp_path, config, said.out, said.err)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_night_with_a_secret_of_the_file_shows_it_nowhere(server, case_folder, tmp_path, capsys, log_format: str):
    config = written(tmp_path)
    night = ("ingest", case_folder, "--config", config, "--state", tmp_path / "state", "--case-from", "c", "--settle", "0")
    said = invoke(capsys, *night, "--to", f"elasticsearch:{server.address}", "--log-format", log_format)
    assert (said.code, bool(server.documents)) == (exit_codes.COMPLETE, True)
    assert_hidden(tmp_path, config, said.out, said.err)


def test_setup_and_replay_know_the_file_too(server, tmp_path, capsys):
    config = written(tmp_path)
    line = '{"stage":"sink","sink":"elasticsearch","index":"x","id":"a","document":{"event":{"id":"a"}}}\n'
    (tmp_path / "dead.ndjson").write_text(line)
    said = invoke(capsys, "replay", tmp_path / "dead.ndjson", "--config", config, "--to", f"elasticsearch:{server.address}")
    assert (said.code, list(server.documents)) == (exit_codes.COMPLETE, ["a"])
    said = invoke(capsys, "setup", "--config", config, "--to", f"elasticsearch:{server.address}")
    assert "status 401" not in said.err
    assert_hidden(tmp_path, config, said.out, said.err)


def test_the_environment_wins_over_the_file(server, case_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("DEFENDER_EXPORTER_ELASTICSEARCH_PASSWORD", SECRET)
    config = written(tmp_path, '[secrets.elasticsearch]\nuser = "ana"\npassword = "old"\n')
    said = invoke(capsys, "export", case_folder, "--config", config, "--case", "c", "--to", f"elasticsearch:{server.address}?index=x")
    assert said.code == exit_codes.COMPLETE


def test_a_traceback_with_its_variables_has_no_secret(server, case_folder, tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise RuntimeError("a defect of ours")

    monkeypatch.setattr(Pipeline, "run", fail)
    monkeypatch.chdir(tmp_path)
    config = written(tmp_path)
    arguments = ["defender-exporter", "export", case_folder, "--config", config, "--case", "c", "--to", f"elasticsearch:{server.address}"]
    monkeypatch.setattr("sys.argv", [str(argument) for argument in arguments])
    with pytest.raises(RuntimeError) as raised:
        main()
    shown = "".join(traceback.TracebackException.from_exception(raised.value, capture_locals=True).format())
    frames = shown[shown.index("exporter/cli/__init__.py") :]
    assert "ElasticsearchSink" in frames
    assert_hidden(tmp_path, config, frames)


@posix
@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o660])
def test_a_file_with_secrets_that_others_can_read_or_change_is_refused(case_folder, tmp_path, capsys, mode: int):
    config = written(tmp_path, mode=mode)
    said = invoke(capsys, "export", case_folder, "--config", config, "--case", "c", "--to", f"ecs:{tmp_path / 'x.ndjson'}")
    assert (said.code, "chmod 600" in said.err) == (exit_codes.CONFIGURATION, True)
    assert_hidden(tmp_path, config, said.out, said.err)


@posix
def test_a_file_without_secrets_may_be_read_by_everybody(case_folder, tmp_path, capsys):
    config = written(tmp_path, '[export]\ncase = "c"\n', 0o644)
    assert invoke(capsys, "export", case_folder, "--config", config, "--to", f"ecs:{tmp_path / 'x.ndjson'}").code == exit_codes.COMPLETE


@pytest.mark.parametrize(
    "text",
    [
        f'[secrets.elasticsearch]\npassword = "{SECRET}\n',
        f"[secrets.elasticsearch]\npassword = {SECRET}\n",
        f'[secrets.elasticsearch]\npass = "{SECRET}"\n',
        f'[secrets.elasticsearch]\npassword = ["{SECRET}"]\n',
        f'[secrets.ecs]\npassword = "{SECRET}"\n',
        f'[secrets]\npassword = "{SECRET}"\n',
        f'[export]\npassword = "{SECRET}"\n',
    ],
)
def test_a_mistake_beside_a_secret_is_named_without_it(case_folder, tmp_path, capsys, text: str):
    config = written(tmp_path, text)
    said = invoke(capsys, "export", case_folder, "--config", config, "--case", "c", "--to", f"ecs:{tmp_path / 'x.ndjson'}")
    assert (said.code, str(config) in said.err) == (exit_codes.CONFIGURATION, True)
    assert_hidden(tmp_path, config, said.out, said.err)
