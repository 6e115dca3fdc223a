"""The saved objects that are checked in are what their table makes."""

import pytest

from exporter.data import folder
from exporter.mapping.kibana import OBJECTS_FILE, ndjson, saved_objects


def test_the_saved_objects_beside_the_table_are_made_of_it(request: pytest.FixtureRequest) -> None:
    made = ndjson(saved_objects(folder("mappings")))
    path = folder("mappings") / OBJECTS_FILE
    if request.config.getoption("--refresh-golden"):
        path.write_text(made, "utf-8", newline="\n")
    assert path.read_text("utf-8") == made, "run `make golden`"
