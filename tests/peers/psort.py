"""What plaso's psort prints for timeline rows (L8): the same events in a plaso storage file, written by `plaso_store.py`."""

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from exporter.mapping.formatter_check import DATA_STREAM_NAMES
from exporter.records import Row
from exporter.times import unix_microseconds

COLUMNS = 17


def stored(row: Row) -> dict[str, Any]:
    """The row as `plaso_store.py` takes it; `event_id` keeps plaso from joining rows that are otherwise equal."""
    common = row.common
    return {
        "data_type": common.data_type,
        "timestamp": unix_microseconds(row.ticks),
        "timestamp_desc": common.timestamp_desc,
        "attributes": {name: value for name, value in row.attributes.items() if name not in DATA_STREAM_NAMES} | {"event_id": row.event_id},
        "hostname": common.hostname,
        "username": row.attributes.get("username"),
        "display_name": common.display_name,
        "parser": common.parser,
        "tags": list(common.tags),
    }


def psort(python: Path, rows: Iterable[Row], definitions: str, folder: Path) -> list[list[str]]:
    """The cells of every line that psort writes for the rows, sorted, header left out. `definitions` is a formatter stream (P1)."""
    (folder / "rows.jsonl").write_text("".join(json.dumps(stored(row)) + "\n" for row in rows), encoding="utf-8")
    (folder / "formatters.yaml").write_text(definitions, encoding="utf-8")
    script = Path(__file__).with_name("plaso_store.py")
    command = [python, script, folder / "rows.jsonl", folder / "formatters.yaml", folder]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace", check=False)
    output = folder / "rows.csv"
    assert done.returncode == 0, done.stderr
    assert output.exists(), done.stderr
    return table(output.read_bytes())


def table(content: bytes) -> list[list[str]]:
    """The cells of every line of an L2T CSV file after the header, sorted: plaso's order is not that of time."""
    lines = [line.split(",") for line in content.decode("utf-8").split("\n")[1:-1]]
    assert {len(cells) for cells in lines} <= {COLUMNS}
    return sorted(lines)


def sixteen(lines: Iterable[list[str]]) -> list[list[str]]:
    """Sorted and without `extra`, a quote in front of a cell and an empty cell as L3 has them: what must be equal."""
    return sorted([f"'{cell[1:]}" if cell.startswith('"') else cell or "-" for cell in cells[: COLUMNS - 1]] for cells in lines)


def by(lines: Iterable[list[str]], column: int) -> Mapping[str, list[str]]:
    """The lines by the text of one column."""
    return {cells[column]: cells for cells in lines}
