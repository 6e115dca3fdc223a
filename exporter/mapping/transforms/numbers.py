"""Numbers, codes, times and GUIDs as ECS writes them."""

from collections.abc import Iterable

from exporter.times import iso, usable


def text(value: object) -> str:
    """
    >>> text(2147519003)
    '2147519003'
    """
    return str(value)


def hex_code(value: int) -> str:
    """
    >>> hex_code(0x80508023)
    '0x80508023'
    """
    return f"0x{value & 0xFFFFFFFF:08x}"


def failure_code(value: int) -> str | None:
    """The code as hexadecimal text; None for success.

    >>> failure_code(0x80508023), failure_code(0)
    ('0x80508023', None)
    """
    return hex_code(value) if value else None


def hex_codes(values: Iterable[int]) -> list[str]:
    """
    >>> hex_codes((0, 0x80508023))
    ['0x00000000', '0x80508023']
    """
    return [hex_code(value) for value in values]


def hresult_failure(value: int) -> str | None:
    """The code as hexadecimal text where its highest of 32 bits says failure; None for others, such as 1 (`S_FALSE`).

    >>> hresult_failure(0x80508023), hresult_failure(1)
    ('0x80508023', None)
    """
    return hex_code(value) if value & 0x80000000 else None


def hresult_outcome(value: int) -> str:
    """
    >>> hresult_outcome(0x80508023), hresult_outcome(1)
    ('failure', 'success')
    """
    return "failure" if value & 0x80000000 else "success"


def hex_long(value: int) -> str:
    """
    >>> hex_long(5866324352432)
    '0x00000555dc2dddb0'
    """
    return f"0x{value & 0xFFFFFFFFFFFFFFFF:016x}"


def time(value: int) -> str | None:
    """Ticks as text; None for what is not a time.

    >>> time(133144416260770946)
    '2022-12-02T08:00:26.0770946Z'
    """
    return iso(value) if usable(value) else None


def outcome(error_code: int) -> str:
    """
    >>> outcome(0), outcome(0x80508023)
    ('success', 'failure')
    """
    return "failure" if error_code else "success"


def action_outcome(error_code: int | None, _event_id: int) -> str:
    """The outcome of an action that was taken: events of older platforms have no code where it succeeded.

    >>> action_outcome(None, 1007), action_outcome(0x80508023, 1117)
    ('success', 'failure')
    """
    return "failure" if error_code else "success"


def nanoseconds(seconds: int) -> int:
    """
    >>> nanoseconds(26)
    26000000000
    """
    return seconds * 10**9


def success(passed: bool) -> str:
    """
    >>> success(True)
    'success'
    """
    return "success" if passed else "failure"


def braced(guid: str) -> str:
    """
    >>> braced("11CD958A-C507-4EF3-B3F2-5FD9DFBD2C78")
    '{11CD958A-C507-4EF3-B3F2-5FD9DFBD2C78}'
    """
    return f"{{{guid}}}"


def braced_lower(guid: str) -> str:
    """
    >>> braced_lower("11CD958A-C507-4EF3-B3F2-5FD9DFBD2C78")
    '{11cd958a-c507-4ef3-b3f2-5fd9dfbd2c78}'
    """
    return f"{{{guid.lower()}}}"


def some_guid(guid: str) -> str | None:
    """Without the one of zeros, which Windows writes for "none": DetectionHistory of what was never quarantined.

    >>> some_guid("00000000-0000-0000-0000-000000000000")
    """
    return guid if guid.strip("0-") else None


def lower(value: str) -> str:
    """
    >>> lower("A6C8")
    'a6c8'
    """
    return value.lower()
