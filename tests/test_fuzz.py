"""The kept inputs of the fuzzer are read or named, and 20 seconds of new ones too (`make fuzz`: ten minutes)."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz_seeds import seeds
from tests.fuzz_target import CORPUS, LOGS, one_input

KEPT = Path(__file__).with_name(CORPUS)
SECONDS = 20


@pytest.mark.parametrize("name", sorted(path.name for path in KEPT.iterdir()))
def test_a_kept_input_is_read_or_named(name: str) -> None:
    one_input((KEPT / name).read_bytes())


def test_the_corpus_is_small_and_has_an_input_of_every_kind() -> None:
    sizes = [path.stat().st_size for path in KEPT.iterdir()]
    assert sum(sizes) < 200_000
    assert {name for name, _ in seeds()} <= {path.name for path in KEPT.iterdir()}
    assert {path.read_bytes()[0] & (LOGS | 3) for path in KEPT.iterdir()} == {0, 1, 2, 3, LOGS, LOGS + 1, LOGS + 2, LOGS + 3}


@pytest.mark.peers
@pytest.mark.skipif(sys.platform != "linux", reason="atheris is made for Linux here")
def test_the_fuzzer_finds_nothing_in_twenty_seconds(peer, tmp_path: Path) -> None:
    corpus = tmp_path / "found"
    corpus.mkdir()
    options = [f"-max_total_time={SECONDS}", "-timeout=60", "-rss_limit_mb=2048", "-max_len=70000", f"-artifact_prefix={tmp_path}/"]
    done = subprocess.run(
        [peer("atheris"), "-m", "tests.fuzz", corpus, KEPT, *options], cwd=KEPT.parents[1], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done" in done.stderr
