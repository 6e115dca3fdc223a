"""The words in which the synthetic case is told: threats, outcomes, incidents, hosts.

Names, severities and categories of threats are Defender's own, and so are the ids; only the behavior's id is invented.
"""

from collections.abc import Mapping

import msgspec


class Threat(msgspec.Struct, frozen=True):
    """A signature: `sig_seq` is its sequence number."""

    threat_id: int
    name: str
    severity_id: int
    category_id: int
    sig_seq: int


class Outcome(msgspec.Struct, frozen=True):
    """What was done: the event that says so with its level and numeric codes, and MPLog's word for the action."""

    event_id: int
    level: int
    action_id: int
    status_id: int
    state: int
    word: str
    error_code: int = 0


OUTCOMES: Mapping[str, Outcome | None] = {
    "detected": None,
    "quarantined": Outcome(1117, 4, 2, 3, 2, "quarantine"),
    "removed": Outcome(1117, 4, 3, 4, 2, "remove"),
    "allowed": Outcome(1117, 4, 6, 5, 2, "allow"),
    "failed": Outcome(1118, 4, 3, 103, 4, "remove", 0x80508023),
    "failed_critically": Outcome(1119, 2, 2, 103, 5, "quarantine", 0x80508023),
}
"""Outcome of an incident by name; levels as in the provider's manifest, states and codes as in formats-logs.md 2.3."""


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """One detection on one host. `resources` are (schema, value) as MPLog and DetectionHistory spell them.

    `at` is the detection in UTC, to the second; the rest of the second follows from the seed. `quarantined` are the paths that were put
    away; `zone` is the Zone.Identifier of the first. `timed_history` off leaves the detection time in the
    history 0, `in_history` off leaves the history out.
    """

    name: str
    at: str
    threat: Threat
    outcome: str
    resources: tuple[tuple[str, str], ...]
    user: str
    process: str
    quarantined: tuple[str, ...] = ()
    acted_after_seconds: int = 16
    restored_after_seconds: int | None = None
    source_id: int = 3
    origin_id: int = 1
    execution_id: int = 1
    zone: str | None = None
    timed_history: bool = True
    in_history: bool = True


class Happening(msgspec.Struct, frozen=True):
    """An event that belongs to no incident, with the values that are not everyday's."""

    at: str
    event_id: int
    values: Mapping[str, str] = {}


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """A machine: `sessions` are (start in UTC, minutes east of UTC); with `old_platform` texts stand as `%%` parameters.

    Its event log has nothing from before `log_cleared_at`. Incidents are in order of time.
    Where it is `traced`, ETW traces of Defender lie there too, and with `neighbors` the logs beside MPLog.
    """

    name: str
    layout: str
    first_record_id: int
    sessions: tuple[tuple[str, int], ...]
    collected_at: str
    users: Mapping[str, str]
    incidents: tuple[Incident, ...]
    happenings: tuple[Happening, ...]
    old_platform: bool = False
    log_cleared_at: str | None = None
    traced: bool = False
    neighbors: bool = False


EICAR = Threat(2147519003, "Virus:DOS/EICAR_Test_File", 5, 42, 0x0555DC2DDDB0)
MIMIKATZ = Threat(2147705511, "HackTool:Win64/Mikatz!dha", 4, 34, 0x2667F2C45E4D)
TIGGRE = Threat(2147723625, "Trojan:Win32/Tiggre!rfn", 5, 8, 0x1A2B7C0D11F4)
SHARPSHOOTER = Threat(2147726364, "Trojan:JS/SharpShooter.A", 5, 8, 0x1667B7DDC3FF)
JSPRAT = Threat(2147708292, "HackTool:JS/Jsprat", 4, 34, 0x0E28E13E7234)
POWERCAT = Threat(2147745713, "Backdoor:PowerShell/Powercat.A", 5, 6, 0x75297E2B250B)
REMOTESHELL = Threat(2147742191, "Backdoor:PHP/Remoteshell.V", 5, 6, 0x40E70A22B0B2)
UTORRENT = Threat(236126, "PUA:Win32/uTorrent", 1, 27, 0x05557A41C6E8)
BEHAVIOR = Threat(2147811342, "Behavior:Win32/SuspCredentialAccess.A", 5, 46, 0x03A1B2C3D4E5)

SYSTEM = "NT AUTHORITY\\SYSTEM"
"""Who acts when Defender acts by itself."""
