"""Damages an image in many ways and has a child process read each: what came of it. Used by tests/test_image_faults.py.

The child is this module itself: `python -m tests.image_faults IMAGE FOLDER`, faults as JSON on standard input, verdicts by line.
"""

import json
import queue
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.line import Exported, export

SECTOR = 512
HANG_SECONDS = 60
_OF_THE_VOLUME = {2, 4, 8, 10}
"""Entries of the MFT whose content nobody reads: $LogFile, $AttrDef, $BadClus, $UpCase."""


class Fault(NamedTuple):
    """Bits flipped at a byte, or (0 bits) the image cut off there."""

    at: int
    bits: int


class Verdict(NamedTuple):
    """What reading a damaged image came to.

    `right`: everything as before. `told`: exit code 4, with reasons. `silent`: something is missing or other, and nobody says so.
    `wrong`: a record marked verified is none of the image's. `crash`, `hang`: the process died, or did not end.
    """

    fault: Fault
    what: str
    detail: str


def cuts(image: Path, number: int) -> list[Fault]:
    """The image cut at that many places."""
    seed = random.Random(1)
    return [Fault(seed.randrange(image.stat().st_size), 0) for _ in range(number)]


def flips(image: Path, start: int) -> list[Fault]:
    """A bit of every second sector that holds neither zeros nor a file's content, of a raw image with an NTFS volume at `start`."""
    import pyfsntfs

    from exporter.evidence.images.media import Media

    content = image.read_bytes()
    volume = pyfsntfs.volume()
    volume.open_file_object(Media(lambda offset, size: content[start + offset : start + offset + size], len(content) - start))
    inside: set[int] = set()
    pending = [volume.get_root_directory()]
    while pending:
        for entry in pending.pop().sub_file_entries:
            number = entry.file_reference & ((1 << 48) - 1)
            if entry.has_directory_entries_index():
                pending += [entry] if number > 23 else []
            elif number > 23 or number in _OF_THE_VOLUME:
                for index in range(entry.get_number_of_extents()):
                    at, size, _ = entry.get_extent(index)
                    inside.update(range((start + at) // SECTOR, (start + at + size) // SECTOR))
    sectors = [at for at in range(0, len(content), SECTOR) if at // SECTOR not in inside and content[at : at + SECTOR].strip(b"\0")]
    seed = random.Random(2)
    return [Fault(at + seed.randrange(SECTOR), 1 << seed.randrange(8)) for at in sectors[::2]]


def flips_anywhere(image: Path, number: int) -> list[Fault]:
    """Bits flipped anywhere in a file."""
    seed = random.Random(3)
    return [Fault(seed.randrange(image.stat().st_size), 1 << seed.randrange(8)) for _ in range(number)]


def verdicts(image: Path, folder: Path, faults: Sequence[Fault]) -> Iterator[Verdict]:
    """One for each fault. A child that dies or hangs is replaced, and its fault is the verdict."""
    left = list(faults)
    while left:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for verdict in _by_child(image, folder, tuple(left)):
            yield verdict
            left.pop(0)


def _by_child(image: Path, folder: Path, faults: Sequence[Fault]) -> Iterator[Verdict]:
    command = [sys.executable, "-m", "tests.image_faults", str(image), str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(json.dumps(faults))
        child.stdin.close()
        lines: queue.Queue[str] = queue.Queue()
        reader = threading.Thread(target=_forward, args=(child.stdout, lines))
        reader.start()
        try:
            for fault in faults:
                try:
                    line = lines.get(timeout=HANG_SECONDS)
                except queue.Empty:
                    yield Verdict(fault, "hang", f"more than {HANG_SECONDS} seconds")
                    return
                if not line:
                    yield Verdict(fault, "crash", f"exit code {child.wait()}")
                    return
                yield Verdict(fault, *json.loads(line))
        finally:
            child.kill()
            reader.join()


def _forward(source: Iterable[str], lines: "queue.Queue[str]") -> None:
    """Every line as it comes, and nothing as the last."""
    for line in source:
        lines.put(line)
    lines.put("")


def _identities(run: Exported) -> dict[str, str]:
    return {document["event"]["id"]: json.dumps(document, sort_keys=True) for document in run.evidence + run.incidents}


def _verified(run: Exported) -> dict[str, str]:
    documents = [one for one in run.evidence if one["defender"]["integrity"]["verdict"] == "verified"]
    return {document["event"]["hash"]: document["defender"]["source"]["path"] for document in documents}


def _judge(run: Exported, whole: Exported) -> tuple[str, str]:
    told = run.report.damaged or not run.report.files
    foreign = {value: path for value, path in _verified(run).items() if value not in _verified(whole)}
    if foreign:
        return "wrong", f"{len(foreign)} verified record(s) that the image does not hold, in {next(iter(foreign.values()))}"
    if told:
        return "told", next(iter(run.report.reasons), "nothing found")
    before, after = _identities(whole), _identities(run)
    if before == after:
        return "right", ""
    other = sorted({name for identity in before.keys() & after.keys() for name in _differing(before[identity], after[identity])})
    return "silent", f"{len(before.keys() - after.keys())} missing, {len(after.keys() - before.keys())} new; other: {other}"


def _differing(before: str, after: str) -> Iterator[str]:
    one, other = json.loads(before), json.loads(after)
    yield from (name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def main(image: Path, folder: Path) -> None:
    """Reads the faults, prints what became of each."""
    content = image.read_bytes()
    whole = export(image, folder / "whole", sinks=["ecs"], reproducible=True)
    for number, (at, bits) in enumerate(json.load(sys.stdin)):
        damaged = bytearray(content if bits else content[:at])
        if bits:
            damaged[at] ^= bits
        place = folder / str(number)
        place.mkdir()
        (place / image.name).write_bytes(damaged)
        print(json.dumps(_judge(export(place / image.name, place / "out", sinks=["ecs"], reproducible=True), whole)), flush=True)
        shutil.rmtree(place)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
