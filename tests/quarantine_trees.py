"""Quarantine trees for tests: from the independent generator, and as Hypothesis strategies for our own writer."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from exporter.records import Item, Parsed, Rejected, Tally
from exporter.synthetic.quarantine import QuarantinedFile, build_field

QUARANTINE = Path("ProgramData/Microsoft/Windows Defender/Quarantine")


def generate(tools: Path, folder: Path, *options: str) -> list[dict[str, Any]]:
    """Run the generator; the truth about each entry, whose files lie below `folder / QUARANTINE`."""
    command = [sys.executable, str(tools / "make_quarantine.py"), str(folder), *options]
    done = subprocess.run(command, check=True, capture_output=True)
    return json.loads(done.stdout)["entries"]


def payloads(items: Sequence[Item]) -> list[Any]:
    return [item.payload for item in items if isinstance(item, Parsed)]


def losses(items: Sequence[Item]) -> list[Rejected]:
    return [item for item in items if isinstance(item, Rejected)]


def adds_up(items: Sequence[Item]) -> bool:
    """The sum rule, and that the tally comes once and last."""
    *others, tally = items
    assert isinstance(tally, Tally)
    assert not any(isinstance(item, Tally) for item in others)
    return tally.seen == sum(item.units for item in others) + sum(tally.unparsed.values())


ticks = st.integers(0, 2**64 - 1)
u32 = st.integers(0, 2**32 - 1)
guids = st.uuids().map(lambda value: str(value).upper())
texts = st.text(st.characters(exclude_characters="\0"), max_size=40)
names = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)
sids = st.lists(u32, min_size=1, max_size=15).map(lambda parts: "-".join(map(str, ["S-1-5", *parts])))
unknown_fields = st.builds(build_field, st.integers(0x13, 0xFFF), st.integers(0, 15), st.binary(max_size=30))
files = st.builds(
    QuarantinedFile,
    path=texts,
    payload=st.binary(max_size=300),
    created_at=ticks,
    accessed_at=ticks,
    modified_at=ticks,
    alternate_streams=st.lists(st.tuples(names, st.binary(max_size=50)), max_size=3),
    owner_sid=st.none() | sids,
)
entries = st.fixed_dictionaries(
    {
        "quarantine_id": guids,
        "scan_id": guids,
        "quarantined_at": ticks,
        "threat_id": ticks,
        "threat_name": names,
        "sig_seq": ticks,
        "files": st.lists(files, max_size=3),
        "other_resources": st.lists(st.tuples(texts, names).map(lambda pair: (pair[1], pair[0])), max_size=2),
    }
)
