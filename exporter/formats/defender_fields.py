"""Which class an event id has, and which Data of its event are typed: tables only.

Names of Data stand here without blanks and in lower case, and "Security intelligence" is called "Signature" as in older platforms: so one
row serves the event manifests of all versions (manifest of Windows 10 17134 in repnz/etw-providers-docs, later ones as listed in
formats-logs.md 2.2, and the samples).
"""

from collections.abc import Mapping

from exporter.formats import defender_activity as activity
from exporter.formats import defender_events as events

_IDS: dict[type[events.WindowsEvent], tuple[int, ...]] = {
    events.Detection: (1006, 1116),
    events.Behavior: (1015,),
    events.Action: (1007, 1117),
    events.ActionFailed: (1008, 1118, 1119),
    events.QuarantineChange: (1009, 1010, 1011, 1012),
    events.UnwantedApplication: (1160,),
    events.ConfigurationChange: (5007,),
    events.ProtectionDisabled: (5001, 5010, 5012),
    activity.ProtectionEnabled: (5000, 5009, 5011),
    activity.ProtectionFeature: (3002, 3007, 5004),
    activity.TamperProtection: (5013,),
    activity.HistoryChange: (1013, 1014),
    activity.ThreatHashes: (1120,),
    activity.Scan: (1000, 1001, 1002, 1003, 1004, 1005, 2030, 2031),
    activity.AttackSurfaceRule: (1121, 1122, 1129),
    activity.FolderAccess: (1123, 1124, 1127, 1128),
    activity.NetworkProtection: (1125, 1126),
    activity.DataLoss: (1131, 1132, 1133, 1134),
    activity.Health: (101, 1150, 1151),
    activity.Update: (2000, 2001, 2002, 2003, 2004, 2005, 2006, 2007, 2008, 2009, 2014),
    activity.CloudSignature: (2010, 2011, 2012, 2013),
    activity.FileTransfer: (2020, 2021, 2050, 2051),
    activity.EngineFailure: (5008,),
    activity.Expiry: (2040, 2041, 2042, 5100, 5101),
}
CLASSES: Mapping[int, type[events.WindowsEvent]] = {event_id: kind for kind, ids in _IDS.items() for event_id in ids}
"""The class of each event id; every other one is a `DefenderEvent`."""

COMMON = {
    "productversion": "product_version",
    "platformversion": "product_version",
    "engineversion": "engine_version",
    "currentengineversion": "engine_version",
    "loadingengineversion": "engine_version",
    "signatureversion": "signature_version",
    "currentsignatureversion": "signature_version",
    "loadingsignatureversion": "signature_version",
    "avsignatureversion": "signature_version",
    "user": "user",
}
THREAT = {
    "threatname": "threat_name",
    "severityname": "severity_name",
    "categoryname": "category_name",
    "fwlink": "reference",
    "sourcename": "source_name",
    "detectionsource": "source_name",
    "processname": "process_name",
    "detectionuser": "detection_user",
    "remediationuser": "remediation_user",
    "path": "path",
    "pathfound": "path",
    "actionname": "action_name",
    "cleaningaction": "action_name",
    "threatid": "threat_id",
    "severityid": "severity_id",
    "categoryid": "category_id",
    "statuscode": "status_code",
    "state": "state",
    "sourceid": "source_id",
    "detectionsourceindex": "source_id",
    "originid": "origin_id",
    "detectionoriginindex": "origin_id",
    "executionid": "execution_id",
    "executionstatusindex": "execution_id",
    "typeid": "type_id",
    "detectiontypeindex": "type_id",
    "preexecutionstatus": "pre_execution_status",
    "actionid": "action_id",
    "cleaningactionindex": "action_id",
    "postcleanstatus": "post_clean_status",
    "additionalactionsid": "additional_actions_id",
}
_GUARDED = {"id": "rule_id", "detectiontime": "detected_at", "processname": "process_name", "path": "path"}
FIELDS: Mapping[type[events.WindowsEvent], Mapping[str, str]] = {
    events.Behavior: {
        "processid": "actor_pid",
        "fidelityvalue": "fidelity",
        "imagefilehash": "image_hash",
        "targetfilename": "target_file",
        "targetfilehash": "target_hash",
    },
    events.ConfigurationChange: {"oldvalue": "old_value", "newvalue": "new_value"},
    activity.HistoryChange: {"timestamp": "removed_entry"},
    activity.ThreatHashes: {"threatresourcepath": "path", "hashes": "hashes"},
    activity.Scan: {
        "scanid": "scan_id",
        "scantypeindex": "scan_type_id",
        "scanparametersindex": "scan_scope_id",
        "scanresources": "scan_resources",
    },
    activity.AttackSurfaceRule: {
        **_GUARDED,
        "targetcommandline": "target_command_line",
        "parentcommandline": "parent_command_line",
        "involvedfile": "involved_file",
    },
    activity.FolderAccess: _GUARDED,
    activity.NetworkProtection: {**_GUARDED, "destination": "destination"},
    activity.DataLoss: {
        "policyruleid": "rule_id",
        "id": "rule_id",
        "actiontype": "operation",
        "action": "operation",
        "enforcementlevel": "enforcement",
        "state": "enforcement",
        "process": "process_name",
        "source": "source_path",
        "target": "target_path",
        "usersid": "actor_sid",
    },
    activity.Health: {
        "hc_stateid": "state_id",
        "productstatus": "product_status",
        "lastavsignatureage": "signature_age",
        "lastquickscanage": "quick_scan_age",
        "lastfullscanage": "full_scan_age",
    },
    activity.Update: {
        "previoussignatureversion": "previous_signature_version",
        "previousengineversion": "previous_engine_version",
        "newplatformversion": "new_platform_version",
        "signaturetypeindex": "signature_type_id",
        "signatureattemptedindex": "signature_type_id",
        "updatetypeindex": "update_type_id",
        "updatesourceindex": "update_source_id",
        "updatestateindex": "update_state_id",
        "sourcepath": "source_path",
    },
    activity.CloudSignature: {
        "persistencepath": "persistence_path",
        "dynamicsignatureversion": "dynamic_version",
        "dynamicsignaturetypeindex": "dynamic_type_id",
        "dynamicsignaturecompilationtimestamp": "compiled",
        "removalreasonindex": "removal_reason_id",
    },
    activity.FileTransfer: {"filename": "file_path", "sha256": "sha256"},
    activity.ProtectionFeature: {
        "featureid": "feature_id",
        "featurename": "feature_name",
        "reason": "reason",
        "configuration": "configuration",
    },
    activity.TamperProtection: {"changedtype": "changed_type", "value": "setting"},
    activity.EngineFailure: {"resource": "resource", "failuretypeindex": "failure_type_id"},
    activity.Expiry: {"reason": "reason", "expirationreason": "reason", "date": "expires", "expirationdate": "expires"},
}
"""Data name to field, besides `COMMON`; the first name that an event has is taken."""
_D42 = (
    "Product Name|Product Version|Detection ID|Detection Time|Unused|Unused2|Threat ID|Threat Name|Severity ID|Severity Name|Category ID|"
    "Category Name|FWLink|Status Code|Status Description|State|Source ID|Source Name|Process Name|Detection User|Unused3|Path|Origin ID|"
    "Origin Name|Execution ID|Execution Name|Type ID|Type Name|Pre Execution Status|Action ID|Action Name|Unused4|Error Code|"
    "Error Description|Unused5|Post Clean Status|Additional Actions ID|Additional Actions String|Remediation User|Unused6|"
    "Signature Version|Engine Version"
)
POSITIONS: Mapping[int, tuple[str, ...]] = {
    **dict.fromkeys((1116, 1117, 1118, 1119, 1160), tuple(_D42.split("|"))),
    5007: ("Product Name", "Product Version", "Old Value", "New Value"),
}
"""Names of the values that the older provider `Microsoft Antimalware` writes without names."""
