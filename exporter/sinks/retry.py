"""How long to wait for a server that does not answer or says "later": exponential, with full jitter (sink-contracts E19)."""

from exporter.errors import SinkUnavailable
from exporter.sinks.targets import SinkSettings

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 60.0
PATIENCE_SECONDS = 900


class Retry:
    """Waits between two attempts; raises SinkUnavailable after `patience` seconds in which nothing moved."""

    def __init__(self, settings: SinkSettings, patience: float = PATIENCE_SECONDS) -> None:
        self._settings = settings
        self._patience = patience
        self._attempts = 0
        self._stuck_since: float | None = None

    def progress(self) -> None:
        """Something was delivered: the next failure is a first one."""
        self._attempts = 0
        self._stuck_since = None

    def wait(self, reason: str) -> None:
        """Sleep before the next attempt; `reason` is why the last one failed. Raises SinkUnavailable."""
        now = self._settings.monotonic()
        if self._stuck_since is None:
            self._stuck_since = now
        left = self._stuck_since + self._patience - now
        if left <= 0:
            raise SinkUnavailable(f"nothing delivered for {self._patience:.0f} s: {reason}")
        ceiling = min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** min(self._attempts, 16))
        self._attempts += 1
        self._settings.sleep(min(left, self._settings.random() * ceiling))
