"""Make the virtual environments of the independent tools: `python3 tests/peers/install.py FOLDER [NAME...]`.

Each peer is `requirements-<name>.txt` beside this file: a whole freeze, installed without resolving, so that it is the same everywhere.
Prints one line for each peer; one already there with these requirements costs nothing. Exits 1 and says why when one cannot be made.
Standard library only.
"""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
PROBES = {
    "plaso": "import plaso.formatters.interface, plaso.cli.psort_tool, plaso.storage.sqlite.writer",
    "dissect": "import dissect.eventlog.evtx, dissect.target.plugins.os.windows.defender.quarantine",
    "timesketch": "from timesketch.lib.utils import read_and_validate_jsonl",
    "timesketch-client": "from timesketch_import_client.importer import ImportStreamer",
    "sigma": "import sigma.backends.elasticsearch, sigma.pipelines.elasticsearch.windows",
    "sigma-timesketch": "import flask, sigma.backends.elasticsearch, sigma.parser.collection, timesketch",
}
"""What the tests ask of each peer: an environment in which this fails is not done."""
ON_REQUEST = {"atheris": "import atheris, evtx, msgspec, Evtx.Evtx"}
"""Only made when named: there is none for every system."""
PYTHON = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")


class CannotInstall(Exception):
    """A peer cannot be made; the text says which command failed and how."""


def run(command: Sequence[str | Path]) -> None:
    """Run a command silently; raises CannotInstall with the end of its output."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        tail = "\n".join(done.stdout.decode(errors="replace").strip().splitlines()[-15:])
        raise CannotInstall(f"`{' '.join(map(str, command))}` exited with {done.returncode}:\n{tail}")


def identity(requirements: Path) -> str:
    """What the environment depends on: its requirements and this Python."""
    return f"{hashlib.sha256(requirements.read_bytes()).hexdigest()} {sys.version_info[:2]}\n"


def install(folder: Path, name: str) -> str:
    """Make the environment of one peer unless it is there; returns the line to print."""
    place = folder / name
    stamp = place / ".installed"
    requirements = HERE / f"requirements-{name}.txt"
    wanted = identity(requirements)
    python = place.joinpath(*PYTHON)
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted and python.exists():
        return f"{name}: present"
    begun = time.monotonic()
    run([sys.executable, "-m", "venv", "--clear", place])
    run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r", requirements])
    run([python, "-W", "ignore", "-c", {**PROBES, **ON_REQUEST}[name]])
    stamp.write_text(wanted, encoding="utf-8")
    return f"{name}: installed in {time.monotonic() - begun:.0f} s"


def main(arguments: Sequence[str]) -> int:
    """Install all peers, or those named, beside each other."""
    if not arguments or any(name not in {**PROBES, **ON_REQUEST} for name in arguments[1:]):
        print(f"usage: install.py FOLDER [{' | '.join([*PROBES, *ON_REQUEST])}]...", file=sys.stderr)
        return 2
    folder = Path(arguments[0]).resolve()
    names = arguments[1:] or list(PROBES)
    failed = 0
    with ThreadPoolExecutor(len(names)) as pool:
        for name, peer in [(name, pool.submit(install, folder, name)) for name in names]:
            try:
                print(peer.result(), flush=True)
            except (CannotInstall, OSError) as error:
                failed = 1
                print(f"{name}: cannot be installed, its tests will be skipped or fail: {error}", file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
