"""A native event of Defender as `evtx` renders it."""

from typing import Any

HEADER_TIME = 133_420_814_313_553_605
"""What its header says."""
NATIVE: dict[str, Any] = {
    "#attributes": {"xmlns": "http://schemas.microsoft.com/win/2004/08/events/event"},
    "System": {
        "Provider": {"#attributes": {"Name": "Microsoft-Windows-Windows Defender", "Guid": "11CD958A-C507-4EF3-B3F2-5FD9DFBD2C78"}},
        "EventID": 5007,
        "Version": 0,
        "Level": 4,
        "Task": 0,
        "Opcode": 0,
        "Keywords": "0x8000000000000000",
        "TimeCreated": {"#attributes": {"SystemTime": "2023-10-18T05:43:51.355360Z"}},
        "EventRecordID": 7,
        "Correlation": {"#attributes": {"ActivityID": "6B3DFF46-F4E6-4CDA-983B-76B101728AA5"}},
        "Execution": {"#attributes": {"ProcessID": 1864, "ThreadID": 1488}},
        "Channel": "Microsoft-Windows-Windows Defender/Operational",
        "Computer": "WIN-FUDU2CKJOE8",
        "Security": {"#attributes": {"UserID": "S-1-5-18"}},
    },
    "EventData": {"Product Name": "Microsoft Defender Antivirus", "Old Value": "", "New Value": "a = 0x1"},
}
