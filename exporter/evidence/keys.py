"""The keys of encrypted volumes, looked up by protector: at most one is tried where the right one is known.

What is kept of a key is what it hashes to, and nothing here shows even that. Other processes get the reference, never the store.
"""

import subprocess
from collections import Counter
from pathlib import Path
from typing import NoReturn

import msgspec

from exporter.errors import ConfigurationError, EvidenceError, FormatError
from exporter.evidence.key_files import key_files, startup_key
from exporter.evidence.key_tables import Row, guid_in, read_rows
from exporter.formats import bitlocker
from exporter.formats.bitlocker_keys import looks_like_recovery_password, password_start, recovery_start

_COMMAND = "command:"
_PATIENCE_SECONDS = 60.0
RECOVERY, PASSWORD = bitlocker.KINDS[bitlocker.RECOVERY_PASSWORD], bitlocker.KINDS[bitlocker.PASSWORD]
STARTUP = bitlocker.KINDS[bitlocker.STARTUP_KEY]


class KeyReference(msgspec.Struct, frozen=True):
    """Where keys come from, which may stand in arguments and logs: `kind` is `file` (or a folder) or `command`, `path` absolute."""

    kind: str
    path: str

    def __str__(self) -> str:
        return f"{_COMMAND}{self.path}" if self.kind == "command" else self.path


def key_reference(text: str) -> KeyReference:
    """A reference of an option's text: a path, or `command:` and the path of a program."""
    kind, path = ("command", text[len(_COMMAND) :]) if text.startswith(_COMMAND) else ("file", text)
    if not path:
        raise ConfigurationError("`command:` wants the path of a program that prints the key of the protector in its argument")
    return KeyReference(kind, str(Path(path).absolute()))


class Secret:
    """Bytes without a text form; they cannot be pickled."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        """The bytes."""
        return self._value

    def __repr__(self) -> str:
        return "Secret()"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret stays in its process")


class KeyStore:
    """Keys by protector and by volume. `problems` names the lines that are no good, `derivations` counts, per volume, what was tried."""

    def __init__(self, reference: KeyReference) -> None:
        self.reference = reference
        self.problems: list[str] = []
        self.derivations: Counter[str] = Counter()
        self._keys: dict[tuple[str, str], Secret] = {}
        self._masters: dict[str, Secret] = {}
        self._complaints: dict[str, str] = {}
        self._asked: dict[tuple[str, str], Secret | None] = {}
        if reference.kind == "file":
            self._load()
        elif not Path(reference.path).is_file():
            raise ConfigurationError(f"key command `{reference.path}` is not a file")

    @classmethod
    def open(cls, reference: KeyReference | str) -> "KeyStore":
        """The store of a reference or of an option's text. Raises ConfigurationError when the file cannot be read as keys."""
        return cls(key_reference(reference) if isinstance(reference, str) else reference)

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"KeyStore({self.reference})"

    def __bool__(self) -> bool:
        return True

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys stay in their process: hand on KeyStore.reference")

    def find(self, protector: str, volume: str, kind: str) -> Secret | None:
        """What the key of a protector, or else of its volume, hashes to; `kind` is RECOVERY or PASSWORD, GUIDs are in lower case.

        A startup key (STARTUP) is the key itself. No command is asked for one.
        """
        if self.reference.kind == "command":
            return self._ask(protector, kind) if kind != STARTUP else None
        return self._keys.get((protector, kind)) or self._keys.get((volume, kind))

    def complaint(self, protector: str, volume: str) -> str | None:
        """What was wrong with the key that was given for a protector, or else for its volume."""
        return self._complaints.get(protector) or self._complaints.get(volume)

    def master_key(self, volume: str) -> Secret | None:
        """The master key that opened this volume before in this process."""
        return self._masters.get(volume)

    def remember(self, volume: str, master_key: bytes) -> None:
        """Keep the master key of a volume, so that opening it again costs no derivation."""
        self._masters[volume] = Secret(master_key)

    def _load(self) -> None:
        """Raises ConfigurationError for a file that holds no keys; in a folder, that is a problem as long as another file has some."""
        path = Path(self.reference.path)
        files = key_files(path)
        origins: dict[tuple[str, str], str] = {}
        for file in files:
            try:
                self._load_file(file, f"`{file.name}`, " if file != path else "", origins)
            except ConfigurationError as error:
                if file == path:
                    raise
                self._complain(guid_in(file.stem) or "", str(error))
        if files != [path] and not self._keys:
            raise ConfigurationError("; ".join([f"folder `{path}` holds no startup key (.BEK), CSV or JSON with keys", *self.problems]))

    def _load_file(self, file: Path, inside: str, origins: dict[tuple[str, str], str]) -> None:
        startup = startup_key(file)
        if startup is not None:
            self._keys.setdefault((startup.guid, STARTUP), Secret(startup.key))
            return
        for row in read_rows(file):
            if isinstance(row, str):
                self.problems.append(inside + row)
                continue
            where = inside + row.where
            try:
                kind, secret = _secret(row.secret, row.column)
            except FormatError as error:
                self._complain(row.guid, f"{where} has no usable key: {error}")
                continue
            self._add(row._replace(where=where), kind, secret, origins)

    def _complain(self, guid: str, text: str) -> None:
        self.problems.append(text)
        self._complaints.setdefault(guid, text)

    def _add(self, row: Row, kind: str, secret: Secret, origins: dict[tuple[str, str], str]) -> None:
        place = (row.guid, kind)
        if place in self._keys and self._keys[place].reveal() != secret.reveal():
            self.problems.append(f"{row.where} has another key than {origins[place]} for the same protector; the first is taken")
            return
        for one in filter(None, (row.protector, row.volume)):
            self._keys.setdefault((one, kind), secret)
        origins.setdefault(place, row.where)

    def _ask(self, protector: str, kind: str) -> Secret | None:
        """Asked once per protector. What the program says on standard error is not shown: it may hold anything."""
        if (protector, kind) not in self._asked:
            self._asked[protector, kind] = self._answer(protector, kind)
        return self._asked[protector, kind]

    def _answer(self, protector: str, kind: str) -> Secret | None:
        try:
            text = _printed(self.reference.path, protector)
            answered, secret = _secret(text, kind) if text else (kind, None)
        except (FormatError, EvidenceError) as error:
            what = f"printed no usable key: {error}" if isinstance(error, FormatError) else error.reason
            self._complain(protector, f"for protector {{{protector}}} the key command {what}")
            return None
        return secret if answered == kind else None


def _printed(program: str, protector: str) -> str:
    """The first line that the program prints, given the protector; EvidenceError when it fails."""
    try:
        done = subprocess.run(  # noqa: S603 (the user names the program, and no shell runs it)
            [program, protector], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=_PATIENCE_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise EvidenceError(f"did not answer within {_PATIENCE_SECONDS:.0f} s") from None
    except OSError as error:
        raise EvidenceError(f"cannot be run: {error.strerror}") from None
    if done.returncode:
        raise EvidenceError(f"ended with {done.returncode}")
    return done.stdout.decode("utf-8", "replace").partition("\n")[0].strip("\r")


def _secret(text: str, column: str) -> tuple[str, Secret]:
    """Kind and secret. What looks like a recovery password is one, whatever its column is called; FormatError when it is mistyped."""
    if column == RECOVERY or looks_like_recovery_password(text):
        return RECOVERY, Secret(recovery_start(text.strip()))
    return PASSWORD, Secret(password_start(text))
