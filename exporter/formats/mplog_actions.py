r"""The threat-action block of an MPLog.

    Beginning threat actions, Start time:<local>
    Threat Name:, Threat ID:, Action:<quarantine, remove, …>                                              (per threat)
        Resource action complete:<Quarantine, Removal, …>, Schema:, Path:, Threat ID:, …, Result:n        (repeats)
        File to act on SHA1:, File owner:, File Name:, …
        Finished threat ID:, Threat result:n, Threat status flags:n
    Finished threat actions, End time:<local>, Result:n

It may name no threat at all. Paths begin with `\\?\` here.
"""

import re

from exporter.formats import mplog_kinds as kinds
from exporter.formats.mplog_blocks import Step
from exporter.formats.mplog_clock import Clock
from exporter.formats.mplog_lines import number, threat_id
from exporter.formats.mplog_records import ActedResource, ThreatAction, ThreatActions
from exporter.formats.resources import Resource, file_path

_SHA1 = re.compile("[0-9a-f]{40}")
_FINISHED = "Finished threat actions"
_LONG_PATH = "\\\\?\\"
_BLOCK_KEYS = frozenset(("Start time", "End time", "Result"))
_THREAT_KEYS = frozenset(("Threat Name", "Threat ID", "Action", "Finished threat ID", "Threat result"))
_RESOURCE_KEYS = frozenset(("Schema", "Path", "Result"))


class _Threat:
    """One threat being read; `resource` is the one whose lines are coming in."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.resources: list[dict[str, str]] = []
        self.sha1: dict[str, None] = {}
        self.owners: dict[str, None] = {}

    def take(self, key: str, value: str) -> None:
        if key == "Resource action complete":
            self.resources.append({key: value})
        elif key in _RESOURCE_KEYS and self.resources:
            self.resources[-1].setdefault(key, value)
        elif key == "File to act on SHA1":
            self.sha1[value.strip().lower()] = None
        elif key == "File owner":
            self.owners[value] = None
        elif key in _THREAT_KEYS:
            self.fields.setdefault(key, value)

    def finished(self) -> ThreatAction:
        fields = self.fields
        return ThreatAction(
            threat_id=threat_id(fields.get("Threat ID", "")) or threat_id(fields.get("Finished threat ID", "")),
            threat_name=fields.get("Threat Name") or None,
            action=fields.get("Action") or None,
            result=number(fields.get("Threat result", "")),
            resources=tuple(_acted(resource) for resource in self.resources),
            sha1=tuple(sha1 for sha1 in self.sha1 if _SHA1.fullmatch(sha1)),
            owners=tuple(self.owners),
        )


class ActionsBlock:
    """A block being read."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}
        self._threats: list[_Threat] = []
        self._finished = False

    def feed(self, text: str, kind: str) -> Step:
        key, _, value = text.partition(":")
        if kind == kinds.ROW or (self._finished and key not in _BLOCK_KEYS):
            return Step.FOREIGN
        if key.rstrip() == _FINISHED:
            self._finished = True
        elif self._finished or key == "Start time":
            self._fields.setdefault(key, value)
            return Step.LAST if key == "Result" else Step.MORE
        elif key == "Threat Name" or (key in _THREAT_KEYS and not self._threats):
            self._threats.append(_Threat())
        if self._threats:
            self._threats[-1].take(key, value)
        return Step.MORE

    def payload(self, clock: Clock) -> ThreatActions | None:
        if not self._fields and not self._threats:
            return None
        actions = tuple(threat.finished() for threat in self._threats)
        started, ended = self._fields.get("Start time"), self._fields.get("End time")
        started_at, ended_at = clock.utc(started), clock.utc(ended)
        logged_at, basis = clock.of_block(started_at if ended_at is None else ended_at)
        names = tuple(dict.fromkeys(action.threat_name for action in actions if action.threat_name is not None))
        ids = tuple(dict.fromkeys(action.threat_id for action in actions if action.threat_id is not None))
        resources = [resource for action in actions for resource in action.resources]
        return ThreatActions(
            logged_at=logged_at,
            time_basis=basis,
            **clock.offset_of(started, ended),
            started_at=started_at,
            ended_at=ended_at,
            started_local=started or None,
            ended_local=ended or None,
            result=number(self._fields.get("Result", "")),
            actions=actions,
            threat_id=ids[0] if ids else None,
            threat_name=names[0] if names else None,
            threat_ids=ids,
            threat_names=names,
            action=next((action.action for action in actions if action.action is not None), None),
            sha1=next((sha1 for action in actions for sha1 in action.sha1), None),
            file_path=file_path(tuple(Resource(each.schema, each.value.removeprefix(_LONG_PATH)) for each in resources)),
        )

    def lacking(self) -> str | None:
        if not self._finished:
            return f"no `{_FINISHED}`"
        return None if "Result" in self._fields else "no result"


def _acted(fields: dict[str, str]) -> ActedResource:
    return ActedResource(
        schema=fields.get("Schema", ""),
        value=fields.get("Path", ""),
        action=fields.get("Resource action complete") or None,
        result=number(fields.get("Result", "")),
    )
