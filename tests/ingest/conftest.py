"""A share for each test."""

from pathlib import Path

import pytest

from tests.ingest.share import Share


@pytest.fixture
def share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Share:
    """An empty share beside a whole case."""
    return Share(tmp_path / "share", monkeypatch)
