"""Events of the synthetic case: the values of a detection's events, and the numbers that a log gives to all."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import cycle, islice

import msgspec

from exporter.synthetic.case_fields import FIELDS
from exporter.synthetic.case_story import Incident, Outcome, Threat
from exporter.synthetic.evtx import Event
from exporter.times import TICKS_PER_SECOND, iso

_SEVERITIES = {1: "Low", 2: "Moderate", 4: "High", 5: "Severe"}
_CATEGORIES = {6: "Backdoor", 8: "Trojan", 27: "Potentially Unwanted Software", 34: "Tool", 42: "Virus", 46: "Suspicious Behavior"}
_SOURCES = {1: "User", 2: "System", 3: "Real-Time Protection", 4: "Downloads and attachments"}
_ORIGINS = {1: "Local machine", 4: "Internet"}
_EXECUTIONS = {0: "Unknown", 1: "Suspended", 3: "Executing"}
_ACTIONS = {2: "Quarantine", 3: "Remove", 6: "Allow", 9: "Not Applicable"}
_ERRORS = {
    0: "The operation completed successfully. ",
    0x80508023: "The program could not find the malware and other potentially unwanted software on this device. ",
}


class CaseEvent(msgspec.Struct, frozen=True):
    """An event before the log gives it its number; `incident` is its place in the host's list."""

    created_at: int
    event_id: int
    data: Mapping[str, str]
    incident: int | None = None


def detection(incident: Incident, detection_id: str, detected_at: int) -> dict[str, str]:
    """Values of a 1116: found, nothing done yet."""
    return {
        **_threat(incident.threat),
        "Detection ID": f"{{{detection_id}}}",
        "Detection Time": iso(detected_at, 3),
        "Status Code": "1",
        "State": "1",
        "Source ID": str(incident.source_id),
        "Source Name": _SOURCES[incident.source_id],
        "Process Name": incident.process,
        "Detection User": incident.user,
        "Path": _path(incident.resources),
        "Origin ID": str(incident.origin_id),
        "Origin Name": _ORIGINS[incident.origin_id],
        "Execution ID": str(incident.execution_id),
        "Execution Name": _EXECUTIONS[incident.execution_id],
        "Action ID": "9",
        "Action Name": _ACTIONS[9],
        "Error Code": "0x00000000",
        "Error Description": _ERRORS[0],
    }


def action(values: Mapping[str, str], outcome: Outcome, remediation_user: str) -> dict[str, str]:
    """Values of a 1117, 1118 or 1119, from those of its 1116."""
    return {
        **values,
        "Status Code": str(outcome.status_id),
        "State": str(outcome.state),
        "Action ID": str(outcome.action_id),
        "Action Name": _ACTIONS[outcome.action_id],
        "Error Code": f"0x{outcome.error_code:08x}",
        "Error Description": _ERRORS[outcome.error_code],
        "Remediation User": remediation_user,
    }


def restored(incident: Incident, sid: str) -> dict[str, str]:
    """Values of a 1009."""
    domain, _, name = incident.user.partition("\\")
    return {**_threat(incident.threat), "Domain": domain, "User": name, "SID": sid, "Path": _path(incident.resources)}


def number(events: Iterable[CaseEvent], computer: str, first_record_id: int) -> list[Event]:
    """The events as their log has them, in this order."""
    return [
        Event(
            event_id=event.event_id,
            record_id=first_record_id + place,
            created_at=event.created_at,
            data=event.data,
            level=FIELDS[event.event_id][0],
            computer=computer,
            thread_id=2312 + 4 * (place % 7),
        )
        for place, event in enumerate(events)
    ]


def grow(events: Sequence[Event], count: int) -> Iterator[Event]:
    """`count` events for benchmarks: these over and over, one a second, with ids and times that go on from the first's."""
    first = events[0]
    for place, event in enumerate(islice(cycle(events), count)):
        created_at = first.created_at + place * TICKS_PER_SECOND
        yield msgspec.structs.replace(event, record_id=first.record_id + place, created_at=created_at)


def _threat(threat: Threat) -> dict[str, str]:
    return {
        "Threat ID": str(threat.threat_id),
        "Threat Name": threat.name,
        "Severity ID": str(threat.severity_id),
        "Severity Name": _SEVERITIES[threat.severity_id],
        "Category ID": str(threat.category_id),
        "Category Name": _CATEGORIES[threat.category_id],
        "FWLink": f"https://go.microsoft.com/fwlink/?linkid=37020&name={threat.name}&threatid={threat.threat_id}&enterprise=0",
    }


def _path(resources: Sequence[tuple[str, str]]) -> str:
    return "; ".join(f"{schema}:_{value}" for schema, value in resources)
