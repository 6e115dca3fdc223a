"""The logs beside MPLog, as one host of the synthetic case has them."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from exporter.synthetic.case_artifacts import Moment
from exporter.synthetic.case_story import Incident
from exporter.synthetic.mpcmdrun import CommandRun
from exporter.synthetic.mpdetection import DetectionNote, ServiceRun
from exporter.times import TICKS_PER_SECOND, iso


def service_runs(sessions: Sequence[int], incidents: Sequence[tuple[Incident, Moment]]) -> Iterator[ServiceRun]:
    """The service's runs from each start (ticks) to a second before the next, with what it detected: the first resource of each."""
    for started_at, following in zip_longest(sessions, sessions[1:]):
        notes = [
            DetectionNote(detected_at=moment.logged_at, threat_name=incident.threat.name, schema=schema, value=value)
            for incident, moment in incidents
            for schema, value in incident.resources[:1]
            if started_at <= moment.logged_at and (following is None or moment.logged_at < following)
        ]
        stopped_at = None if following is None else following - TICKS_PER_SECOND
        yield ServiceRun(started_at=started_at, stopped_at=stopped_at, detections=notes)


def command_runs(sessions: Sequence[tuple[int, int]]) -> Iterator[CommandRun]:
    """An update of the signatures soon after each start, which is said in ticks and with its UTC offset; after the last, their removal."""
    for started_at, offset in sessions:
        begun = started_at + 300 * TICKS_PER_SECOND
        yield CommandRun(
            arguments="SignaturesUpdateService -ScheduleJob -UnmanagedUpdate",
            started_at=begun,
            ended_at=begun + 41 * TICKS_PER_SECOND,
            utc_offset_minutes=offset,
            result=0,
        )
    removed = sessions[-1][0] + 3600 * TICKS_PER_SECOND
    yield CommandRun(
        arguments="-RemoveDefinitions -All",
        started_at=removed,
        ended_at=removed + 2 * TICKS_PER_SECOND,
        utc_offset_minutes=sessions[-1][1],
        output=("MpEnsureProcessMitigationPolicy: hr = 0x1", "Start: Remove Definitions", "End: Remove Definitions"),
    )
    yield CommandRun(arguments="-Restore -ListAll", utc_offset_minutes=sessions[-1][1], result=0x80508014)


def log_name(word: str, started_at: int, utc_offset_minutes: int) -> str:
    """`<word>-YYYYMMDD-HHMMSS.log`, on the wall clock."""
    local = iso(started_at + utc_offset_minutes * 60 * TICKS_PER_SECOND, 0)
    return f"{word}-{local.replace('-', '').replace(':', '').replace('T', '-').rstrip('Z')}.log"
