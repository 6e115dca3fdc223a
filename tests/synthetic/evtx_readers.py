"""The same log through two readers that are not ours, as plain dictionaries."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from evtx import PyEvtxParser
from Evtx.Evtx import Evtx

from exporter.times import from_iso

_NAMESPACE = "{http://schemas.microsoft.com/win/2004/08/events/event}"


def with_evtx(path: Path) -> list[dict[str, Any]]:
    """PyPI `evtx`: record id, event id, time in ticks (cut to microseconds), computer, SID and data of each record."""
    return [_from_json(json.loads(record["data"])["Event"]) for record in PyEvtxParser(str(path)).records_json()]


def with_python_evtx(path: Path) -> list[dict[str, Any]]:
    """PyPI `python-evtx`; also checks its verdict on the file header and on every chunk."""
    with Evtx(str(path)) as log:
        assert log.get_file_header().verify()
        assert not log.get_file_header().is_dirty()
        assert all(chunk.verify() for chunk in log.chunks())
        return [_from_xml(ElementTree.fromstring(record.xml())) for record in log.records()]


def _from_json(event: dict[str, Any]) -> dict[str, Any]:
    system = event["System"]
    return {
        "record_id": system["EventRecordID"],
        "event_id": system["EventID"],
        "level": system["Level"],
        "created": from_iso(system["TimeCreated"]["#attributes"]["SystemTime"])[0],
        "provider_guid": system["Provider"]["#attributes"]["Guid"].strip("{}").upper(),
        "computer": system["Computer"],
        "channel": system["Channel"],
        "process_id": system["Execution"]["#attributes"]["ProcessID"],
        "thread_id": system["Execution"]["#attributes"]["ThreadID"],
        "activity_id": (system["Correlation"] or {}).get("#attributes", {}).get("ActivityID"),
        "user_sid": (system["Security"] or {}).get("#attributes", {}).get("UserID"),
        "data": event["EventData"] or {},
    }


def _from_xml(event: ElementTree.Element) -> dict[str, Any]:
    system = {child.tag.removeprefix(_NAMESPACE): child for child in event.iterfind(f"{_NAMESPACE}System/*")}
    activity = system["Correlation"].get("ActivityID")
    return {
        "record_id": int(system["EventRecordID"].text or ""),
        "event_id": int(system["EventID"].text or ""),
        "level": int(system["Level"].text or ""),
        "created": from_iso(system["TimeCreated"].get("SystemTime") or "")[0],
        "provider_guid": (system["Provider"].get("Guid") or "").strip("{}").upper(),
        "computer": system["Computer"].text,
        "channel": system["Channel"].text,
        "process_id": int(system["Execution"].get("ProcessID") or ""),
        "thread_id": int(system["Execution"].get("ThreadID") or ""),
        "activity_id": activity.strip("{}").upper() if activity else None,
        "user_sid": system["Security"].get("UserID") or None,
        "data": {item.get("Name"): item.text or "" for item in event.iterfind(f"{_NAMESPACE}EventData/*")},
    }
