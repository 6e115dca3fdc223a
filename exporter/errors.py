"""Every error that this package raises on purpose.

ExporterError
├── ConfigurationError      stop the run, exit 3: an option, a configuration file
│   └── MappingError        the same for a mapping file; names file and line
├── EvidenceError           one evidence file or tree cannot be read; costs that file
├── FormatError             bytes are not what the format says; costs one record or one file
├── SourceGone              a share hangs or went away; costs that collection this run, and nothing of it counts as damage
├── LockHeld                another run holds the state directory, exit 5
└── SinkError
    ├── SinkUnavailable     transient: retry, then stop resumable, exit 75
    ├── SinkRefused         the target will not have it (it exists, authorisation, TLS): stop, exit 3
    └── ReaderGone          whoever read our pipe has gone (`| head`): stop without a word
"""


class ExporterError(Exception):
    """Base of all errors raised on purpose; its text is fit to be shown to a user."""


class ConfigurationError(ExporterError):
    """An option or a configuration file is wrong."""


class MappingError(ConfigurationError):
    """A mapping file is wrong; the text begins with `file:line`."""


class EvidenceError(ExporterError):
    """An evidence file or tree cannot be opened or read."""

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.reason = reason
        self.path = path


class FormatError(ExporterError):
    """Bytes are not what their format says.

    `offset` is the byte offset, from the start of the file or piece given to the parser, at which this was noticed.
    """

    def __init__(self, reason: str, offset: int | None = None) -> None:
        super().__init__(reason if offset is None else f"{reason} at offset {offset}")
        self.reason = reason
        self.offset = offset


class SourceGone(ExporterError):
    """Where the evidence lies does not answer: no loss, but something to be read another time."""


class LockHeld(ExporterError):
    """Another run holds the lock of this state directory."""


class SinkError(ExporterError):
    """A sink cannot take documents."""


class SinkUnavailable(SinkError):
    """The sink does not answer, or says that it will later."""


class SinkRefused(SinkError):
    """The sink will not take documents from us as things stand."""


class ReaderGone(SinkError):
    """The reader of the pipe that we write to has closed it."""
