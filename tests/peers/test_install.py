import os
import sys
from pathlib import Path

import pytest

from tests.peers import install


def make_believe(folder: Path, name: str) -> Path:
    python = folder / name / Path(*install.PYTHON)
    python.parent.mkdir(parents=True)
    python.touch()
    (folder / name / ".installed").write_text(install.identity(install.HERE / f"requirements-{name}.txt"), encoding="utf-8")
    return python


def test_a_peer_that_is_there_is_left_alone(tmp_path, monkeypatch):
    make_believe(tmp_path, "plaso")
    monkeypatch.setattr(install, "run", lambda command: pytest.fail(f"ran {command}"))
    assert install.install(tmp_path, "plaso") == "plaso: present"


@pytest.mark.parametrize("change", ["stamp", "requirements", "python"])
def test_a_peer_is_made_anew_when_something_it_depends_on_changed(tmp_path, monkeypatch, change):
    python = make_believe(tmp_path, "plaso")
    if change == "stamp":
        (tmp_path / "plaso" / ".installed").unlink()
    elif change == "requirements":
        (tmp_path / "plaso" / ".installed").write_text("other", encoding="utf-8")
    else:
        python.unlink()
    commands: list[list[str]] = []
    monkeypatch.setattr(install, "run", lambda command: commands.append(list(map(str, command))))
    assert install.install(tmp_path, "plaso").startswith("plaso: installed")
    assert [command[1:4] for command in commands] == [["-m", "venv", "--clear"], ["-m", "pip", "install"], ["-W", "ignore", "-c"]]
    assert (tmp_path / "plaso" / ".installed").read_text(encoding="utf-8") == install.identity(install.HERE / "requirements-plaso.txt")


def test_what_cannot_be_had_is_named_with_the_command_and_its_words(tmp_path, monkeypatch, capsys):
    def fail(command):
        real([sys.executable, "-c", "import sys; print('no such package'); sys.exit(3)"])

    real = install.run
    monkeypatch.setattr(install, "run", fail)
    assert install.main([os.fspath(tmp_path)]) == 1
    told = capsys.readouterr().err
    for name in install.PROBES:
        assert f"{name}: cannot be installed" in told
    assert "exited with 3" in told
    assert "no such package" in told


def test_an_unknown_peer_is_a_usage_error(tmp_path, capsys):
    assert install.main([os.fspath(tmp_path), "volatility"]) == 2
    assert "usage" in capsys.readouterr().err


def test_every_requirement_is_an_exact_version():
    for name in (*install.PROBES, *install.ON_REQUEST):
        lines = (install.HERE / f"requirements-{name}.txt").read_text(encoding="utf-8").splitlines()
        assert all("==" in line for line in lines if not line.startswith("#"))
