r"""What a change of Defender's configuration (event 5007) means, told from the registry path that it names.

The paths begin with `HKLM\SOFTWARE\[Policies\]Microsoft\Windows Defender\`, or with nothing where a default is named:

    Exclusions\<list>\<what>                              an exclusion; lists: Paths, Extensions, Processes, IpAddresses, TemporaryPaths
    Features\TamperProtection                             tamper protection
    Threats\ThreatIDDefaultAction\<ThreatID, decimal>     what to do about a threat from now on: 6 allow, 2 quarantine, …
    Windows Defender Exploit Guard\ASR\Rules\<GUID>       an attack surface reduction rule: 0 off, 1 block, 2 audit, 6 warn
    Real-Time Protection\Disable<what>                    a part of real-time protection switched off (1) or on (0)
"""

import re
from typing import NamedTuple

from exporter.formats.evtx_normalize import guid, number_of

_UNSET = ("Default\\", "N/A\\")
_HEX_VALUE = re.compile(r"(.*) = (0x[0-9A-Fa-f]+)", re.DOTALL)
_MEANING = re.compile(
    r"(?:^|\\)(?:"
    r"Exclusions\\(?:(?P<path>(?:Temporary)?Paths)|(?P<extension>Extensions)|(?P<process>Processes)|(?P<ip_address>IpAddresses))"
    r"|Features\\(?P<tamper>TamperProtection)$"
    r"|Threats?\\(?P<threat>ThreatIDDefaultAction)"
    r"|ASR\\(?P<asr_rule>Rules)"
    r"|(?P<protection>Real-Time Protection)(?=\\Disable)"
    r")(?:\\(?P<target>.+))?",
    re.IGNORECASE | re.DOTALL,
)
_KINDS = {
    "tamper": "tamper-protection-changed",
    "threat": "threat-default-action-changed",
    "asr_rule": "asr-rule-changed",
    "protection": "real-time-protection-changed",
}
_OTHER = "configuration-changed"


class Setting(NamedTuple):
    """A change: the setting's name, its values (empty where it has none, None where the setting was or is not there), its meaning."""

    name: str | None
    old: str | None
    new: str | None
    kind: str
    target: str | None
    target_type: str | None


def read_setting(old: str | None, new: str | None) -> Setting:
    """The setting that two values of an event 5007 speak of."""
    name, old_value, new_value = split_setting(old, new)
    match = _MEANING.search(name) if name else None
    if match is None:
        return Setting(name, old_value, new_value, _OTHER, None, None)
    found = match.lastgroup if match.lastgroup != "target" else next(key for key, text in match.groupdict().items() if text)
    target = match["target"]
    if found in _KINDS:
        kind = _KINDS[found]
        return Setting(name, old_value, new_value, kind, target, found if found in ("threat", "asr_rule") and target else None)
    before, after = _is_set(old), _is_set(new)
    change = "changed" if before and after else "added" if after else "removed"
    return Setting(name, old_value, new_value, f"exclusion-{change}", target, found)


def threat_of(setting: Setting) -> int | None:
    """The ThreatID whose default action is set."""
    return number_of(setting.target) if setting.target_type == "threat" and setting.target else None


def rule_of(setting: Setting) -> str | None:
    """The attack surface reduction rule that is set, upper case without braces."""
    return guid(setting.target) if setting.target_type == "asr_rule" else None


def split_setting(old: str | None, new: str | None) -> tuple[str | None, str | None, str | None]:
    """Setting, old and new value of event 5007: `<registry path> = <value>`, empty where there was or is none."""
    old_name, old_value = split_value(old)
    new_name, new_value = split_value(new)
    # a value that went back to its default is named in full on the other side only
    names = (new_name, old_name) if _is_set(new) or not _is_set(old) else (old_name, new_name)
    return names[0] or names[1], old_value, new_value


def split_value(text: str | None) -> tuple[str | None, str | None]:
    """Name, without `Default\\` and `N/A\\`, and value of one side; None for each that is not there."""
    if not text:
        return None, None
    # an excluded path may hold " = " itself; its value is always a number
    match = _HEX_VALUE.fullmatch(text)
    name, _, value = (match[1], "", match[2]) if match else text.partition(" = ")
    return name.removeprefix("Default\\").removeprefix("N/A\\") or None, value


def _is_set(text: str | None) -> bool:
    return bool(text) and not text.startswith(_UNSET)  # type: ignore[union-attr]
