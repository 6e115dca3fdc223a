"""Why uploads go by plain requests and not by Timesketch's own import client: what that client does when an answer is lost."""

import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.line import FILES, Exported, export
from tests.peers.import_client import IMPORT
from tests.servers.fake import RESET_AFTER
from tests.servers.fake_timesketch import PASSWORD, USER, FakeTimesketch

pytestmark = pytest.mark.peers


def imported(python: Path, server: FakeTimesketch, path: Path) -> Counter[str]:
    """The rows that the server has after the client's upload, by id."""
    arguments = [server.address, USER, PASSWORD, str(server.add_sketch("S")), "T", str(path)]
    subprocess.run([python, "-W", "ignore", "-c", IMPORT, *arguments], check=True, capture_output=True, timeout=120)
    return Counter(orjson.loads(row)["event_id"] for row in server.all_rows)


def test_an_answer_that_is_lost_doubles_every_row_of_the_client_and_none_of_ours(
    peer: Callable[[str], Path], demo: Exported, case_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = Counter(line["event_id"] for line in demo.lines)
    with FakeTimesketch() as server:
        assert imported(peer("timesketch-client"), server, demo.folder / FILES["timesketch"]) == wanted
    with FakeTimesketch() as server:
        server.fault = lambda request: RESET_AFTER if request.number == 1 else None
        assert imported(peer("timesketch-client"), server, demo.folder / FILES["timesketch"]) == wanted + wanted
        assert len(server.requests) == 2
    monkeypatch.setenv("DEFENDER_EXPORTER_TIMESKETCH_USER", USER)
    monkeypatch.setenv("DEFENDER_EXPORTER_TIMESKETCH_PASSWORD", PASSWORD)
    with FakeTimesketch() as server:
        server.fault = lambda request: RESET_AFTER if request.number == 1 else None
        export(case_folder, tmp_path / "ours", to=(f"timesketch:{server.address}?spool={tmp_path}",))
        assert Counter(orjson.loads(row)["event_id"] for row in server.all_rows) == wanted
        assert len(server.requests) == 1


def test_the_client_writes_lines_of_its_own_and_ours_arrive_byte_by_byte(
    peer: Callable[[str], Path], demo: Exported, case_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = (demo.folder / FILES["timesketch"]).read_bytes().splitlines()
    with FakeTimesketch() as server:
        imported(peer("timesketch-client"), server, demo.folder / FILES["timesketch"])
        assert not set(lines) & set(server.all_rows)
    monkeypatch.setenv("DEFENDER_EXPORTER_TIMESKETCH_USER", USER)
    monkeypatch.setenv("DEFENDER_EXPORTER_TIMESKETCH_PASSWORD", PASSWORD)
    with FakeTimesketch() as server:
        export(case_folder, tmp_path / "ours", to=(f"timesketch:{server.address}?spool={tmp_path}",))
        assert server.all_rows == lines


PARAMETERS = """
import inspect, json
from timesketch_api_client.client import TimesketchApi
print(json.dumps(list(inspect.signature(TimesketchApi.__init__).parameters)))
"""


def test_the_client_takes_no_file_of_a_ca(peer: Callable[[str], Path]) -> None:
    done = subprocess.run([peer("timesketch-client"), "-W", "ignore", "-c", PARAMETERS], check=True, capture_output=True, timeout=60)
    names: list[Any] = orjson.loads(done.stdout)
    assert "verify" in names
    assert not [name for name in names if "ca" in name.split("_") or "cert" in name or "fingerprint" in name]
