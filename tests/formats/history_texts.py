"""A file of DetectionHistory, and what is read from it."""

from typing import Any

from exporter.formats.detection_history import DetectionHistory, parse_detection_history
from exporter.records import Item, Parsed, Tally
from exporter.synthetic.detection_history import MAGIC, file_resource
from exporter.times import iso

NAME = "11111111-2222-4333-8444-555555555555"
PLAIN = [
    "threat_id",
    "detection_id",
    "magic",
    "threat_name",
    "severity_id",
    "category_id",
    "status_id",
    "detection_type_id",
    "quarantine_id",
    "execution_id",
    "state",
    "user",
    "source_id",
    "source_id_2",
    "origin_id",
    "pre_execution_status",
]
RENAMED = {
    "action_ids": "actions",
    "last_change_at": "last_change_filetime",
    "process_name": "process",
    "detected_at": "detection_filetime",
    "remediated_at": "remediation_filetime",
}


def read(data: bytes, name: str = NAME) -> list[Item]:
    items = list(parse_detection_history(data, name))
    assert items[-1] == Tally(1)
    return items[:-1]


def parsed(data: bytes, name: str = NAME) -> Parsed:
    (item,) = read(data, name)
    assert isinstance(item, Parsed)
    return item


def history(item: Parsed) -> DetectionHistory:
    assert isinstance(item.payload, DetectionHistory)
    return item.payload


def sample(**changes: Any) -> DetectionHistory:
    tracked = tuple(
        file_resource(
            f"C:\\x{layout}.exe",
            threat_id=2147519003,
            threat_name="Virus:DOS/EICAR_Test_File",
            sig_seq=0x0555DC2DDDB0,
            started_at=133029417789094421,
            sha256="ab" * 32,
            sha1="cd" * 20,
            md5="ef" * 16,
            size=68,
            layout=layout,
        )
        for layout in ("header20", "size")
    )
    values: dict[str, Any] = {
        "detection_id": NAME,
        "file_name": NAME,
        "threat_id": 2147519003,
        "magic": MAGIC,
        "threat_name": "Virus:DOS/EICAR_Test_File",
        "action_ids": (2, 3, 6),
        "tracked": tracked,
        "last_change_at": 133029418227574371,
        "user": "LAB\\analyst",
        "tail": (0, 0, 0, 0, 1),
    }
    return DetectionHistory(**(values | changes))


def as_expected(payload: DetectionHistory) -> dict[str, Any]:
    """A payload under the names of expected.json."""
    out = {name: getattr(payload, name) for name in PLAIN} | {there: getattr(payload, here) for here, there in RENAMED.items()}
    out |= dict(payload.unknown) | {"actions": list(payload.action_ids), "tail": list(payload.tail)}
    out["error_code"] = f"0x{payload.error_code:08x}"
    out["remediation_user"] = payload.remediation_user or ""
    for here, there in (("last_change_at", "last_change"), ("detected_at", "detection_time"), ("remediated_at", "remediation_time")):
        out[there] = iso(getattr(payload, here)) if getattr(payload, here) else None
    for name in ("tracked", "more_resources"):
        listed = [{field: getattr(resource, field) for field in resource.__struct_fields__} for resource in getattr(payload, name)]
        out["resources" if name == "tracked" else name] = listed
    return out
