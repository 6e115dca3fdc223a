"""What an export of one small log does without: imports are most of the CPU of a short run, and of its memory."""

import subprocess
import sys
from pathlib import Path

from tests.cli.run import ENVIRONMENT
from tests.evtx_logs import log_of

PROGRAM = """
import sys
from exporter.cli import main
try:
    main()
except SystemExit as stopped:
    print(stopped.code, *sys.modules)
"""
SPARED = frozenset(
    {
        *("multiprocessing", "sqlite3", "tomllib", "csv", "Crypto", "Evtx", "elasticsearch", "urllib3", "rich"),
        *("exporter.collectors.evtx_workers", "exporter.evidence.images.tree", "exporter.formats.etl", "exporter.formats.mplog_reader"),
        *("exporter.ledger", "exporter.state.lock", "exporter.sinks.l2tcsv", "exporter.sinks.timesketch"),
    }
)


def test_a_small_export_imports_nothing_that_it_does_not_use(tmp_path: Path):
    log = tmp_path / "evidence" / "x.evtx"
    log.parent.mkdir()
    log.write_bytes(log_of(3))
    command = [sys.executable, "-c", PROGRAM, "export", log, "--case", "C1", "--to", f"ecs:{tmp_path / 'out.ndjson'}", "--progress", "none"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    code, *modules = done.stdout.split()
    assert code == "0"
    assert SPARED & set(modules) == set()
