"""The story of the synthetic case: which threats met which host when, and what became of them. Data only."""

from exporter.synthetic.case_story import (
    BEHAVIOR,
    EICAR,
    JSPRAT,
    MIMIKATZ,
    POWERCAT,
    REMOTESHELL,
    SHARPSHOOTER,
    SYSTEM,
    TIGGRE,
    UTORRENT,
    Happening,
    Host,
    Incident,
)

KELLER, SATO = "CORP\\a.keller", "CORP\\佐藤"
POOL, BACKUP = "IIS APPPOOL\\DefaultAppPool", "CORP\\svc-backup"
EXPLORER, CHROME = "C:\\Windows\\explorer.exe", "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe"
_DOWNLOADS = "C:\\Users\\a.keller\\Downloads"
_DEFENDER = "HKLM\\SOFTWARE\\Microsoft\\Windows Defender"
_EICAR_URL = "https://download.example/eicar.com"


def _file(path: str) -> tuple[tuple[str, str], ...]:
    return (("file", path),)


WORKSTATION = Host(
    name="WS-0142",
    layout="kape",
    first_record_id=2311,
    sessions=(("2026-03-27T07:02:11Z", 60), ("2026-03-30T06:11:45Z", 120)),
    collected_at="2026-03-30T15:00:00Z",
    users={KELLER: "S-1-5-21-1004336348-1177238915-682003330-1107", SATO: "S-1-5-21-1004336348-1177238915-682003330-1130"},
    incidents=(
        Incident(
            name="test file from the web",
            at="2026-03-27T08:14:03Z",
            threat=EICAR,
            outcome="quarantined",
            resources=(
                ("file", f"{_DOWNLOADS}\\eicar.com"),
                ("webfile", f"{_DOWNLOADS}\\eicar.com|{_EICAR_URL}|pid:9120,ProcessStart:134191080771234567"),
            ),
            quarantined=(f"{_DOWNLOADS}\\eicar.com",),
            zone=f"[ZoneTransfer]\r\nZoneId=3\r\nHostUrl={_EICAR_URL}\r\n",
            source_id=4,
            origin_id=4,
            user=KELLER,
            process=CHROME,
        ),
        Incident(
            name="program in a ZIP",
            at="2026-03-27T09:41:37Z",
            threat=TIGGRE,
            outcome="quarantined",
            resources=(("containerfile", f"{_DOWNLOADS}\\Rechnung_März.zip"), ("file", f"{_DOWNLOADS}\\Rechnung_März.zip->Rechnung.exe")),
            quarantined=(f"{_DOWNLOADS}\\Rechnung_März.zip",),
            user=KELLER,
            process=EXPLORER,
        ),
        Incident(
            name="tool restored by its user",
            at="2026-03-27T10:05:20Z",
            threat=MIMIKATZ,
            outcome="quarantined",
            resources=_file("C:\\Temp\\mimilib.dll"),
            quarantined=("C:\\Temp\\mimilib.dll",),
            restored_after_seconds=905,
            user=KELLER,
            process=EXPLORER,
        ),
        Incident(
            name="credential access in memory",
            at="2026-03-27T10:47:55Z",
            threat=BEHAVIOR,
            outcome="removed",
            resources=(("behavior", "pid:6644:4013842973925"), ("process", "pid:6644,ProcessStart:134191180187654321")),
            execution_id=3,
            timed_history=False,
            user=KELLER,
            process="C:\\Temp\\update.exe",
        ),
        Incident(
            name="script in the exclusion's shadow",
            at="2026-03-27T11:02:09Z",
            threat=POWERCAT,
            outcome="detected",
            resources=_file("C:\\Users\\a.keller\\AppData\\Local\\Temp\\nc.ps1"),
            user=KELLER,
            process="C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe",
        ),
        Incident(
            name="script gone before it was removed",
            at="2026-03-27T12:20:48Z",
            threat=SHARPSHOOTER,
            outcome="failed",
            resources=_file("C:\\Users\\a.keller\\AppData\\Local\\Temp\\cactus.js"),
            acted_after_seconds=31,
            user=KELLER,
            process="C:\\Windows\\System32\\wscript.exe",
        ),
        Incident(
            name="unwanted program allowed",
            at="2026-03-30T07:33:12Z",
            threat=UTORRENT,
            outcome="allowed",
            resources=_file("C:\\Users\\佐藤\\Downloads\\uTorrent.exe"),
            acted_after_seconds=84,
            source_id=1,
            execution_id=0,
            user=SATO,
            process="Unknown",
        ),
        Incident(
            name="two files at once",
            at="2026-03-30T08:09:59Z",
            threat=TIGGRE,
            outcome="quarantined",
            resources=(*_file("C:\\Users\\佐藤\\文書\\見積書 😀.exe"), *_file("C:\\Users\\佐藤\\文書\\見積書, Kopie;1.exe")),
            quarantined=("C:\\Users\\佐藤\\文書\\見積書 😀.exe", "C:\\Users\\佐藤\\文書\\見積書, Kopie;1.exe"),
            user=SATO,
            process=EXPLORER,
        ),
    ),
    happenings=(
        Happening("2026-03-27T10:26:40Z", 5007, {"New Value": f"{_DEFENDER}\\Exclusions\\Paths\\C:\\Temp = 0x0"}),
        Happening("2026-03-27T10:31:02Z", 5001),
        Happening(
            "2026-03-27T10:31:02Z",
            5007,
            {
                "Old Value": f"Default\\{_DEFENDER[5:]}\\Real-Time Protection\\DisableRealtimeMonitoring = 0x0",
                "New Value": f"{_DEFENDER}\\Real-Time Protection\\DisableRealtimeMonitoring = 0x1",
            },
        ),
        Happening("2026-03-27T10:44:19Z", 5000),
        Happening("2026-03-27T13:10:31Z", 5007, {"Old Value": f"{_DEFENDER}\\Exclusions\\Paths\\C:\\Temp = 0x0"}),
        Happening("2026-03-30T07:34:36Z", 5007, {"New Value": f"{_DEFENDER}\\Threats\\ThreatIDDefaultAction\\236126 = 0x6"}),
    ),
)

SERVER = Host(
    name="SRV-FILES02",
    layout="velociraptor",
    traced=True,
    neighbors=True,
    first_record_id=4021,
    sessions=(("2026-03-28T01:30:27Z", 0), ("2026-03-29T01:17:03Z", 60)),
    collected_at="2026-03-30T15:20:00Z",
    users={POOL: "S-1-5-82-3006700770-424185619-1745488364-794895919-4004696415", BACKUP: "S-1-5-21-1004336348-1177238915-682003330-1188"},
    incidents=(
        Incident(
            name="web shell",
            at="2026-03-28T03:12:41Z",
            threat=REMOTESHELL,
            outcome="quarantined",
            resources=_file("C:\\inetpub\\wwwroot\\upload\\cmd.php"),
            quarantined=("C:\\inetpub\\wwwroot\\upload\\cmd.php",),
            user=POOL,
            process="C:\\Windows\\System32\\inetsrv\\w3wp.exe",
            in_history=False,
        ),
        Incident(
            name="second web shell",
            at="2026-03-28T05:55:06Z",
            threat=REMOTESHELL,
            outcome="quarantined",
            resources=_file("C:\\inetpub\\wwwroot\\upload\\tests.jsp"),
            quarantined=("C:\\inetpub\\wwwroot\\upload\\tests.jsp",),
            user=POOL,
            process="C:\\Windows\\System32\\inetsrv\\w3wp.exe",
        ),
        Incident(
            name="tool found by a scan",
            at="2026-03-28T06:40:00Z",
            threat=JSPRAT,
            outcome="removed",
            resources=(
                ("containerfile", "D:\\Shares\\Public\\b.jsp"),
                ("file", "D:\\Shares\\Public\\b.jsp->(SCRIPT0065)"),
            ),
            source_id=2,
            execution_id=0,
            user=SYSTEM,
            process="Unknown",
        ),
        Incident(
            name="test file",
            at="2026-03-29T09:00:30Z",
            threat=EICAR,
            outcome="quarantined",
            resources=_file("D:\\Shares\\Public\\eicar.com"),
            quarantined=("D:\\Shares\\Public\\eicar.com",),
            user=BACKUP,
            process=EXPLORER,
        ),
        Incident(
            name="test file again",
            at="2026-03-29T09:45:30Z",
            threat=EICAR,
            outcome="quarantined",
            resources=_file("D:\\Shares\\Public\\eicar.com"),
            quarantined=("D:\\Shares\\Public\\eicar.com",),
            zone="[ZoneTransfer]\r\nZoneId=3\r\n",
            user=BACKUP,
            process=EXPLORER,
        ),
        Incident(
            name="library that could not be moved",
            at="2026-03-29T11:21:18Z",
            threat=MIMIKATZ,
            outcome="failed_critically",
            resources=_file("C:\\Windows\\Temp\\mimilib.dll"),
            acted_after_seconds=47,
            user=SYSTEM,
            process="C:\\Windows\\System32\\services.exe",
        ),
    ),
    happenings=(
        Happening(
            "2026-03-28T04:02:00Z",
            1013,
            {
                "Timestamp": "3/28/2026 4:02:00 AM",
                "Domain": "CORP",
                "User": "svc-backup",
                "SID": "S-1-5-21-1004336348-1177238915-682003330-1188",
            },
        ),
    ),
    old_platform=True,
    log_cleared_at="2026-03-28T04:01:30Z",
)

HOSTS = (WORKSTATION, SERVER)
