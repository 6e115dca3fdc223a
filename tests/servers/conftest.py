"""Real servers by name, for the tests of this folder."""

import os
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import SHARED, missing
from tests.servers.node import Node

NAMES = os.environ.get("DEFENDER_EXPORTER_SERVERS", "opensearch3,elasticsearch9,elasticsearch8-security").split(",")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Node]]:
    """Running servers by name; each is started when it is asked for first."""
    if not (SHARED / "tools").is_dir():
        missing("the kit of servers", "servers")
    known: dict[str, Node] = {}

    def find(name: str) -> Node:
        if name not in known:
            known[name] = Node(SHARED / "tools", name, tmp_path_factory.mktemp(name))
            known[name].start()
        return known[name]

    yield find
    for running in known.values():
        running.stop(kill=True)


@pytest.fixture(params=NAMES)
def node(request: pytest.FixtureRequest, nodes: Callable[[str], Node]) -> Node:
    return nodes(request.param)
