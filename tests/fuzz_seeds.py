"""Where the fuzzer begins: `python -m tests.fuzz_seeds` writes small inputs of every kind into `tests/fuzz_corpus`."""

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from exporter.formats.etl_layouts import AMSI, RTP, SERVICE
from exporter.formats.evtx_chunks import CHUNK, FILE_HEADER, FIRST_RECORD
from exporter.synthetic.etl import TraceEvent, TraceMessage, amsi_scan, build_etl, wide
from exporter.synthetic.evtx import build_evtx
from exporter.times import TICKS_PER_SECOND
from tests.defender_events import DATA, MOMENT, event, side_events
from tests.evidence.cabinets import cabinet
from tests.formats.mplog_texts import ACTIONS, EVENT, HEADER, SCAN
from tests.fuzz_target import CABINET, CHUNKS, CORPUS, LOGS, MPCMDRUN, MPDETECTION, MPLOG, SEALED, SEPARATOR, THOROUGH, TRACE, VALUES

_DETECTIONS = """2024-03-05T10:16:00.500Z Service started - Defender (77BDAF73)
2024-03-05T10:16:01.500Z Version: Product 4.18.2 Service 4.18.1 Engine 1.1.3 AS 1.329.4 AV 1.329.5
2024-03-05T10:16:02.500Z DETECTION Trojan:BAT/Vigorf.A file:C:\\x.bat;containerfile:C:\\y.zip
2024-03-05T10:16:03.500Z Service stopped with exit code 0x0
"""
_RUNS = """-------------------------------------------------------------------------------------
MpCmdRun: Command Line: "C:\\Program Files\\Windows Defender\\MpCmdRun.exe" -Scan -ScanType 3
 Start Time: Tue Mar 05 2024 09:15:02
ERROR: Completion Failed 80508023
MpCmdRun.exe: hr = 0x80508023.
MpCmdRun: End Time: 화 3월 05 2024 10:02:09
-------------------------------------------------------------------------------------
"""
_SOURCE = "D5AE0D06-0E90-3D8C-6714-2015E82A98E1"


def seeds() -> Iterator[tuple[str, bytes]]:
    """Names and inputs."""
    several = [event(5007, 1, DATA[5007]), event(1116, 2, DATA[1116]), *side_events()]
    log = build_evtx([msgspec.structs.replace(one, record_id=number) for number, one in enumerate(several, 1)])
    chunk = log[FILE_HEADER : FILE_HEADER + CHUNK].rstrip(b"\0")
    yield "chunk", bytes([CHUNKS]) + chunk
    yield "chunk-by-both-engines", bytes([CHUNKS | THOROUGH]) + chunk
    yield "records", bytes([SEALED]) + chunk[FIRST_RECORD:]
    for clock in (1, 2, 3):
        yield f"trace-{clock}", bytes([TRACE | THOROUGH * (clock > 1)]) + _trace(clock)
    for number, event_id in enumerate(sorted(DATA)):
        if event_id in (1116, 1121, 1151, 2050, 5007):
            yield f"values-{event_id}", bytes([VALUES, number]) + SEPARATOR.join(DATA[event_id].values()).encode()
    yield "mplog", bytes([LOGS | MPLOG]) + "\r\n".join([*HEADER, EVENT, *SCAN, *ACTIONS, ""]).encode()
    yield "mpdetection", bytes([LOGS | MPDETECTION]) + _DETECTIONS.encode()
    yield "mpcmdrun", bytes([LOGS | MPCMDRUN]) + _RUNS.encode()
    packed = cabinet({"MPLog-1.log": EVENT.encode() * 9, "b": b"c"}, {"d": b"e" * 40_000}, reserved=(1, 2, 3))
    yield "cabinet", bytes([LOGS | CABINET]) + packed


def _trace(clock: int) -> bytes:
    records = [
        TraceEvent(provider=RTP, event_id=14, at=MOMENT + 1, payload=wide("C:\\a")),
        TraceEvent(provider=SERVICE, event_id=48, at=MOMENT + 2, payload=wide("x") * 8),
        TraceEvent(provider=AMSI, event_id=1101, at=MOMENT + 3, payload=amsi_scan("powershell", "a.ps1", b"x", bytes(32))),
        TraceMessage(source=_SOURCE, number=7, at=MOMENT + 4, payload=wide("C:\\Windows")),
    ]
    ended = MOMENT + TICKS_PER_SECOND
    return build_etl(records, session="S", log_file="C:\\x", started_at=MOMENT, ended_at=ended, buffer_bytes=1024, clock=clock)


def main(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name, data in seeds():
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name(CORPUS))
