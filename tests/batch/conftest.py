"""A share with many hosts, and what one export makes of it."""

from pathlib import Path

import pytest

from tests.batch.hosts import write_hosts, write_models
from tests.line import Exported, export

HOSTS = 60


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hosts of whose files the others are made."""
    folder = tmp_path_factory.mktemp("models")
    write_models(folder)
    return folder


@pytest.fixture(scope="session")
def share(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Collections of many hosts, every twentieth broken."""
    folder = tmp_path_factory.mktemp("share")
    write_hosts(folder, models, HOSTS)
    return folder


@pytest.fixture(scope="session")
def few(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight hosts without a fault."""
    folder = tmp_path_factory.mktemp("few")
    write_hosts(folder, models, 8)
    return folder


@pytest.fixture(scope="session")
def exported(share: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """What one `export` makes of the hosts that can be opened."""
    good = [path for path in sorted(share.iterdir()) if path.exists()]
    return export(good, tmp_path_factory.mktemp("exported"), reproducible=True)
