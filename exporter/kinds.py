"""Every record kind and its payload class: the one list that mapping, spool and tests go by."""

from exporter.correlator.incident import Incident
from exporter.formats import defender_activity, defender_events, detection_history, mplog, quarantine, resource_data, side_events
from exporter.records import Diagnostic, Payload

KINDS: dict[str, type[Payload]] = {
    payload.kind: payload
    for payload in (
        quarantine.QuarantineEntry,
        quarantine.QuarantineResource,
        quarantine.QuarantineReference,
        resource_data.QuarantineContainer,
        defender_events.Detection,
        defender_events.Behavior,
        defender_events.Action,
        defender_events.ActionFailed,
        defender_events.QuarantineChange,
        defender_events.UnwantedApplication,
        defender_events.ConfigurationChange,
        defender_events.ProtectionDisabled,
        defender_activity.ProtectionEnabled,
        defender_activity.ProtectionFeature,
        defender_activity.TamperProtection,
        defender_activity.HistoryChange,
        defender_activity.ThreatHashes,
        defender_activity.Scan,
        defender_activity.AttackSurfaceRule,
        defender_activity.FolderAccess,
        defender_activity.NetworkProtection,
        defender_activity.DataLoss,
        defender_activity.Health,
        defender_activity.Update,
        defender_activity.CloudSignature,
        defender_activity.FileTransfer,
        defender_activity.EngineFailure,
        defender_activity.Expiry,
        defender_events.DefenderEvent,
        defender_events.WindowsEvent,
        side_events.ServiceEvent,
        side_events.IpsecPolicy,
        mplog.Session,
        mplog.DetectionEvent,
        mplog.DetectionAdd,
        mplog.DetectionClean,
        mplog.ThreatActions,
        mplog.ResourceScan,
        detection_history.DetectionHistory,
        Incident,
        Diagnostic,
    )
}
