r"""Accounts as `DOMAIN\name`, and their SIDs."""

from collections.abc import Iterable

from exporter.mapping.transforms.lists import collect

_SERVICE_SIDS = {"S-1-5-18", "S-1-5-19", "S-1-5-20"}


def user_name(*accounts: str | None) -> str | None:
    r"""The name of the first account that is given.

    >>> user_name(None, "LAB\\ana")
    'ana'
    """
    account = _first(accounts)
    return account.rpartition("\\")[2] if account else None


def user_domain(*accounts: str | None) -> str | None:
    r"""
    >>> user_domain("LAB\\ana")
    'LAB'
    """
    account = _first(accounts)
    return account.rpartition("\\")[0] or None if account else None


def user_id(sid: str | None, *accounts: str | None) -> str | None:
    r"""The SID, unless it is a service account's beside a named user (sink-contracts E12).

    >>> user_id("S-1-5-18", "LAB\\ana"), user_id("S-1-5-18", None)
    (None, 'S-1-5-18')
    """
    return None if sid in _SERVICE_SIDS and _first(accounts) else sid


def _first(accounts: Iterable[str | None]) -> str | None:
    return next((account for account in accounts if account), None)


def accounts(*values: str | None) -> list[str]:
    r"""The names of accounts, each once, without their domains.

    >>> accounts("LAB\\ana", None, "NT AUTHORITY\\SYSTEM")
    ['ana', 'SYSTEM']
    """
    return collect(*(value.rpartition("\\")[2] for value in values if value))
