"""A synthetic case: two hosts whose artifacts tell the same story, with a truth file that says what a reader should find.

Everything follows from the story (`case_story`) and the seed: no clock, no randomness, the same bytes and file times on every run.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from exporter.synthetic import case_artifacts, case_events, case_fields, case_logs, case_traces
from exporter.synthetic.case_artifacts import Dice, Moment
from exporter.synthetic.case_events import CaseEvent
from exporter.synthetic.case_hosts import HOSTS
from exporter.synthetic.case_story import OUTCOMES, SYSTEM, Host, Incident
from exporter.synthetic.detection_history import write_detection_history
from exporter.synthetic.evtx import write_evtx
from exporter.synthetic.mpcmdrun import write_mpcmdrun
from exporter.synthetic.mpdetection import write_mpdetection
from exporter.synthetic.mplog import LogSession, write_mplog
from exporter.synthetic.quarantine import write_quarantine
from exporter.times import TICKS_PER_SECOND, UNIX_EPOCH, from_iso

_LAYOUTS = {"kape": ("C", "%4"), "velociraptor": ("uploads/auto/C%3A", "%254")}
"""Where a collector puts drive C below the host's folder, and what it makes of `%4` in a name."""
_DEFENDER = "ProgramData/Microsoft/Windows Defender"


def write_case(folder: Path, seed: int = 1, hosts: Sequence[Host] = HOSTS) -> dict[str, Any]:
    """Write the case and its `truth.json` under `folder`, which may exist; returns the truth (`_Host.truth` says what is in it).

    Another seed gives other ids and other fractions of seconds. Times are ticks, paths relative to `folder` with slashes.
    """
    truth = {"seed": seed, "hosts": {host.name: _Host(folder, host, seed).write() for host in hosts}}
    place = folder / "truth.json"
    place.write_bytes(msgspec.json.format(msgspec.json.encode(truth), indent=1) + b"\n")
    _touch(place, max(from_iso(host.collected_at)[0] for host in hosts))
    return truth


class _Host:
    """One host's files, written, and what is in them."""

    def __init__(self, folder: Path, host: Host, seed: int) -> None:
        drive, self._percent = _LAYOUTS[host.layout]
        self._folder = folder
        self._host = host
        self._defender = folder / host.name / drive / _DEFENDER
        self._logs = folder / host.name / drive / "Windows/System32/winevt/Logs"
        self._moments = [case_artifacts.moment(incident, Dice(seed, host.name, incident.name)) for incident in host.incidents]
        self._dice = Dice(seed, host.name)
        self._sessions = [from_iso(start)[0] for start, _ in host.sessions]
        self._files: dict[str, dict[str, Any]] = {}
        self._incidents = [case_artifacts.told(incident, moment) for incident, moment in zip(host.incidents, self._moments, strict=True)]
        self._all = list(zip(host.incidents, self._moments, self._incidents, strict=True))

    def write(self) -> dict[str, Any]:
        """Writes everything and returns the host's truth: `host`, `layout`, `incidents` and `files` with their records by kind."""
        for incident, moment, told in self._all:
            if incident.quarantined:
                self._quarantine(incident, moment, told)
            if incident.in_history:
                self._history(incident, moment, told)
        self._event_log()
        self._mplog()
        if self._host.traced:
            self._traces()
        if self._host.neighbors:
            self._mpdetection()
            self._mpcmdrun()
        for told in self._incidents:
            if not told["members"]["evtx"] and not told["members"]["detection_history"]:
                told["detection_id"] = None
        if self._host.layout == "velociraptor":
            self._client_info()
        return {
            "host": self._host.name,
            "layout": self._host.layout,
            "incidents": self._incidents,
            "files": dict(sorted(self._files.items())),
        }

    def _quarantine(self, incident: Incident, moment: Moment, told: dict[str, Any]) -> None:
        """A restored entry is gone from the quarantine; its id stays in the history."""
        folder = self._defender / "Quarantine"
        if incident.restored_after_seconds is not None:
            told["quarantine_id"] = case_artifacts.quarantine_id(incident.threat, Dice(moment.detection_id))
            return
        written = write_quarantine(
            folder,
            quarantine_id=None,
            threat_id=incident.threat.threat_id,
            threat_name=incident.threat.name,
            scan_id=moment.scan_id,
            quarantined_at=moment.quarantined_at,
            sig_seq=incident.threat.sig_seq,
            files=[case_artifacts.quarantined_file(incident, path, moment, self._sid(incident.user)) for path in incident.quarantined],
        )
        told["quarantine_id"] = written["quarantine_id"]
        told["resource_ids"] = [file["resource_id"] for file in written["files"]]
        entry = {"quarantine_entry": 1, "quarantine_resource": len(written["files"])}
        members = [self._add(folder / written["entry"], moment.quarantined_at, entry)]
        for file in written["files"]:
            members.append(self._add(folder / file["reference"], moment.quarantined_at, {"quarantine_reference": 1}))
            members.append(self._add(folder / file["container"], moment.quarantined_at, {"quarantine_container": 1}))
        told["members"]["quarantine"] = members

    def _history(self, incident: Incident, moment: Moment, told: dict[str, Any]) -> None:
        outcome = OUTCOMES[incident.outcome]
        changed_at = moment.detected_at if outcome is None else moment.changed_at
        folder = self._defender / "Scans/History/Service/DetectionHistory"
        written = write_detection_history(
            folder,
            detection_id=moment.detection_id,
            threat_id=incident.threat.threat_id,
            threat_name=incident.threat.name,
            resources=[case_artifacts.tracked(incident, schema, value, moment) for schema, value in incident.resources],
            detected_at=moment.detected_at if incident.timed_history else 0,
            changed_at=changed_at,
            remediated_at=0 if outcome is None else changed_at,
            severity_id=incident.threat.severity_id,
            category_id=incident.threat.category_id,
            quarantine_id=told["quarantine_id"],
            user=incident.user,
            process_name=incident.process,
            execution_id=incident.execution_id,
            source_id=incident.source_id,
            origin_id=incident.origin_id,
            **case_artifacts.result(outcome),
        )
        told["members"]["detection_history"] = [self._add(folder / written["file"], changed_at, {"detection_history": 1})]

    def _event_log(self) -> None:
        cleared_at = from_iso(self._host.log_cleared_at)[0] if self._host.log_cleared_at else 0
        kept = [event for event in [*self._told_events(), *self._other_events()] if event.created_at >= cleared_at]
        kept.sort(key=lambda event: event.created_at)
        log = case_events.number(kept, self._host.name, self._host.first_record_id)
        for event, numbered in zip(kept, log, strict=True):
            if event.incident is not None:
                self._incidents[event.incident]["members"]["evtx"].append(numbered.record_id)
        path = self._logs / f"Microsoft-Windows-Windows Defender{self._percent}Operational.evtx"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_evtx(path, log)
        ids = [event.event_id for event in kept]
        kinds = Counter(case_fields.KINDS.get(event_id, "evtx_event") for event_id in ids)
        self._add(path, log[-1].created_at, kinds, event_ids={str(event_id): ids.count(event_id) for event_id in sorted(set(ids))})

    def _told_events(self) -> Iterator[CaseEvent]:
        for place, (incident, moment, told) in enumerate(self._all):
            values = case_events.detection(incident, moment.detection_id, moment.detected_at)
            yield self._event(moment.event_at, 1116, values, place)
            outcome = OUTCOMES[incident.outcome]
            if outcome is not None:
                yield self._event(moment.action_at, outcome.event_id, case_events.action(values, outcome, SYSTEM), place)
            if incident.restored_after_seconds is not None:
                told["restored_at"] = moment.action_at + incident.restored_after_seconds * TICKS_PER_SECOND
                yield self._event(told["restored_at"], 1009, case_events.restored(incident, self._sid(incident.user)), place)

    def _other_events(self) -> Iterator[CaseEvent]:
        for happening in self._host.happenings:
            yield self._event(self._somewhen(from_iso(happening.at)[0], happening.event_id), happening.event_id, happening.values)
        for session, started_at in enumerate(self._sessions):
            scan = {"Scan ID": f"{{{self._dice.guid(f'quick scan {session}')}}}"}
            for minutes, event_id, values in case_fields.ROUTINE:
                at = self._somewhen(started_at + minutes * 60 * TICKS_PER_SECOND, event_id)
                yield self._event(at, event_id, {**scan, **values})

    def _event(self, at: int, event_id: int, values: Mapping[str, str], incident: int | None = None) -> CaseEvent:
        return CaseEvent(at, event_id, case_fields.fill(event_id, values, self._host.old_platform), incident)

    def _somewhen(self, second: int, what: object) -> int:
        """A time within this second."""
        return second + self._dice.between(0, TICKS_PER_SECOND - 1, f"{second} {what}")

    def _mplog(self) -> None:
        ends = [*self._sessions[1:], from_iso(self._host.collected_at)[0]]
        sessions = [
            LogSession(
                started_at=self._somewhen(started_at, "session"),
                utc_offset_minutes=offset,
                stories=[
                    case_artifacts.story(incident, moment) for incident, moment, _ in self._all if started_at <= moment.detected_at < end
                ],
            )
            for started_at, end, (_, offset) in zip(self._sessions, ends, self._host.sessions, strict=True)
        ]
        path = self._defender / "Support" / case_logs.log_name("MPLog", sessions[0].started_at, sessions[0].utc_offset_minutes)
        path.parent.mkdir(parents=True, exist_ok=True)
        written = write_mplog(path, sessions)
        records = written["records"]
        for incident, _, told in self._all:
            told["members"]["mplog"] = _take(records, incident)
        kinds = {kind: count for kind, count in written["kinds"].items() if kind.startswith("mplog_")}
        last = max([moment.action_at for moment in self._moments] + self._sessions)
        self._add(path, last, kinds, lines=written["lines"])

    def _mpdetection(self) -> None:
        starts = [self._somewhen(started_at, "session") for started_at in self._sessions]
        runs = list(case_logs.service_runs(starts, [(incident, moment) for incident, moment, _ in self._all]))
        path = self._defender / "Support" / case_logs.log_name("MPDetection", starts[0], self._host.sessions[0][1])
        written = write_mpdetection(path, runs)
        lines = [record for record in written["records"] if record["threat_name"] is not None]
        for (_, _, told), line in zip(self._all, lines, strict=True):
            told["members"]["mpdetection"] = [{"kind": line["kind"], "offset": line["offset"]}]
        kinds = Counter(record["kind"] for record in written["records"])
        self._add(path, max(moment.logged_at for moment in self._moments), kinds, lines=written["lines"])

    def _mpcmdrun(self) -> None:
        offsets = [offset for _, offset in self._host.sessions]
        path = self._defender.parents[2] / "Windows/Temp/MpCmdRun.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        written = write_mpcmdrun(path, list(case_logs.command_runs(list(zip(self._sessions, offsets, strict=True)))))
        self._add(path, self._sessions[-1] + 3602 * TICKS_PER_SECOND, {"mpcmdrun_command": len(written["records"])}, lines=written["lines"])

    def _traces(self) -> None:
        """The service's own trace, copied while it runs, and one that somebody recorded of the first incident."""
        started_at = self._somewhen(self._sessions[-1], "trace")
        offset = self._host.sessions[-1][1]
        support = self._defender / "Support"
        name, data = case_traces.service_trace(started_at, offset)
        (support / name).write_bytes(data)
        self._add(support / name, started_at, {"etw_trace": 1})
        incident, moment, _ = self._all[0]
        path = self._defender.parents[2] / "Users/Public/defender.etl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(case_traces.recorded_trace(incident, moment, offset))
        self._add(path, moment.action_at, {"etw_trace": 1, "etw_event": 3, "etw_amsi": 1})

    def _client_info(self) -> None:
        client_id = "C." + self._dice.guid("client").replace("-", "")[:16].lower()
        info = {"client_id": client_id, "hostname": self._host.name, "fqdn": f"{self._host.name.lower()}.corp.example", "system": "windows"}
        path = self._folder / self._host.name / "client_info.json"
        path.write_bytes(msgspec.json.format(msgspec.json.encode(info)) + b"\n")
        self._add(path, from_iso(self._host.collected_at)[0], {})

    def _sid(self, user: str) -> str:
        return self._host.users.get(user, "S-1-5-18")

    def _add(self, path: Path, modified_at: int, records: Mapping[str, int], **more: Any) -> str:
        """Gives a file its time and enters it into the truth; its path there."""
        _touch(path, modified_at)
        place = path.relative_to(self._folder).as_posix()
        self._files[place] = {"size": path.stat().st_size, "modified_at": modified_at, "records": dict(sorted(records.items())), **more}
        return place


def _take(records: list[dict[str, Any]], incident: Incident) -> list[dict[str, Any]]:
    """The log's records of one incident, taken out of those that are left: incidents come in order of time."""
    kinds = ["mplog_resource_scan", "mplog_detection_event", *["mplog_detection_add"] * len(incident.resources)]
    if OUTCOMES[incident.outcome] is not None:
        kinds += ["mplog_detection_clean", "mplog_threat_actions"]
    taken = []
    for kind in kinds:
        record = next(record for record in records if (record["kind"], record["threat_id"]) == (kind, incident.threat.threat_id))
        records.remove(record)
        taken.append({"kind": kind, "offset": record["offset"]})
    return taken


def _touch(path: Path, ticks: int) -> None:
    """The file's times as the story has them."""
    nanoseconds = (ticks - UNIX_EPOCH) * 100
    os.utime(path, ns=(nanoseconds, nanoseconds))
