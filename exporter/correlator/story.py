"""What happened, told from the members of an incident: states by numeric action, status and error code, never by display text."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple, TypeAlias

from exporter.correlator.facts import Threat, own
from exporter.correlator.held import FAR
from exporter.formats.defender_events import Action, ActionFailed, QuarantineChange, ThreatEvent
from exporter.formats.detection_history import DetectionHistory
from exporter.formats.mpdetection import DetectionLine
from exporter.formats.mplog_records import DetectionAdd, DetectionClean, DetectionEvent, ResourceScan, ThreatActions
from exporter.formats.quarantine import QuarantineEntry, QuarantineResource
from exporter.records import Payload
from exporter.times import usable

DETECTED = "detected"
_ACTIONS = {1: "cleaned", 2: "quarantined", 3: "removed", 6: "allowed", 10: "blocked"}
_FAILED_ACTIONS = {1: "clean-failed", 2: "quarantine-failed", 3: "remove-failed", 6: "allow-failed", 10: "block-failed"}
_STATUSES = {
    2: "cleaned",
    3: "quarantined",
    4: "removed",
    5: "allowed",
    6: "blocked",
    7: "clean-failed",
    102: "quarantine-failed",
    103: "remove-failed",
    104: "allow-failed",
    107: "block-failed",
}
_CHANGES = {1009: "restored", 1010: "restore-failed", 1011: "deleted", 1012: "delete-failed"}
_WORDS = {"clean": 1, "quarantine": 2, "remove": 3, "allow": 6, "block": 10}
"""The constants of MPLog (`MP_THREAT_ACTION_REMOVE`, `remove`), which are never translated."""
_REMEDIATED = frozenset({"cleaned", "quarantined", "removed", "blocked"})
_NOT_REMEDIATED = frozenset({"clean-failed", "quarantine-failed", "remove-failed", "block-failed", "action-failed"})
_TAKEN_BACK = frozenset({"restored", "allowed"})
NAMES = (DETECTED, *_REMEDIATED, *_NOT_REMEDIATED, *_TAKEN_BACK, *_FAILED_ACTIONS.values(), *_CHANGES.values())
_EVENT, _HISTORY, _QUARANTINE, _LOG = range(4)


class State(NamedTuple):
    """One state and its time; a state that a lower `teller` told is not told again by a higher one."""

    at: int
    order: int
    """A threat is detected before anything is done about it."""
    name: str
    teller: int


def state(at: int, name: str, teller: int) -> State:
    """A state, in its place in the order."""
    return State(at, name != DETECTED, name, teller)


def states(payload: Payload, threat: Threat) -> Iterator[tuple[int, str, int]]:
    """Times (else FAR), names and tellers of the states that a payload tells of the threat."""
    teller, tell = _teller(type(payload))
    for at, name in tell(payload, threat):
        if name is not None:
            yield at if at is not None and usable(at) else FAR, name, teller


def story(everything: Sequence[State]) -> tuple[str, ...]:
    """Of states in their order those told, without repetitions: events are believed before DetectionHistory, quarantine and log."""
    first: dict[str, int] = {}
    for one in everything:
        first[one.name] = min(one.teller, first.get(one.name, one.teller))
    names = [one.name for one in everything if one.teller == first[one.name]]
    return tuple(name for place, name in enumerate(names) if place == 0 or names[place - 1] != name)


@lru_cache(256)
def outcome(told: tuple[str, ...]) -> str:
    """`failure` when any remediation failed, `success` when there was one that was not taken back later, else `unknown`."""
    if not _NOT_REMEDIATED.isdisjoint(told):
        return "failure"
    last = next((name for name in reversed(told) if name in _REMEDIATED or name in _TAKEN_BACK), None)
    return "success" if last in _REMEDIATED else "unknown"


_Told: TypeAlias = Iterable[tuple[int | None, str | None]]


def _acted(action_id: int | None, error_code: int | None) -> str | None:
    if error_code:
        return _FAILED_ACTIONS.get(action_id or 0, "action-failed")
    return _ACTIONS.get(action_id or 0)


def _by_word(action: str | None, result: int | None) -> str | None:
    word = (action or "").lower().removeprefix("mp_threat_action_")
    return _acted(_WORDS.get(word), result)


def _tell_change(payload: QuarantineChange, _: Threat) -> _Told:
    yield payload.created_at, _CHANGES.get(payload.event_id)


def _tell_failure(payload: ActionFailed, _: Threat) -> _Told:
    yield payload.created_at, _FAILED_ACTIONS.get(payload.action_id or 0, "action-failed")


def _tell_action(payload: Action, _: Threat) -> _Told:
    yield payload.created_at, _acted(payload.action_id, payload.error_code)


def _tell_detection(payload: ThreatEvent, _: Threat) -> _Told:
    yield payload.created_at, DETECTED


def _tell_history(payload: DetectionHistory, _: Threat) -> _Told:
    yield payload.detected_at, DETECTED
    failed_action = payload.action_ids[0] if payload.error_code and payload.action_ids else None
    told = _STATUSES.get(payload.status_id or 0) if failed_action is None else _acted(failed_action, payload.error_code)
    yield payload.remediated_at or payload.last_change_at, told


def _tell_entry(payload: QuarantineEntry | QuarantineResource, _: Threat) -> _Told:
    yield payload.quarantined_at, "quarantined"


def _tell_line(payload: DetectionEvent | DetectionAdd | DetectionLine, _: Threat) -> _Told:
    yield payload.logged_at, DETECTED


def _tell_clean(payload: DetectionClean, _: Threat) -> _Told:
    yield payload.logged_at, _by_word(payload.action, payload.result)


def _tell_actions(payload: ThreatActions, threat: Threat) -> _Told:
    for action in own(payload.actions, threat):
        yield payload.ended_at or payload.started_at or payload.logged_at, _by_word(action.action, action.result)


def _tell_scan(payload: ResourceScan, _: Threat) -> _Told:
    yield payload.started_at or payload.logged_at, DETECTED


_TELLERS: tuple[tuple[type[Payload] | tuple[type[Payload], ...], int, Callable[[Any, Threat], _Told]], ...] = (
    (QuarantineChange, _EVENT, _tell_change),
    (ActionFailed, _EVENT, _tell_failure),
    (Action, _EVENT, _tell_action),
    (ThreatEvent, _EVENT, _tell_detection),
    (DetectionHistory, _HISTORY, _tell_history),
    ((QuarantineEntry, QuarantineResource), _QUARANTINE, _tell_entry),
    ((DetectionEvent, DetectionAdd, DetectionLine), _LOG, _tell_line),
    (DetectionClean, _LOG, _tell_clean),
    (ThreatActions, _LOG, _tell_actions),
    (ResourceScan, _LOG, _tell_scan),
)


@cache
def _teller(kind: type[Payload]) -> tuple[int, Callable[[Any, Threat], _Told]]:
    return next(((teller, tell) for kinds, teller, tell in _TELLERS if issubclass(kind, kinds)), (_LOG, _tell_nothing))


def _tell_nothing(_: Payload, __: Threat) -> _Told:
    return iter(())
