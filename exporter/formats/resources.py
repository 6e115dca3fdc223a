"""Resource lists: what Defender says a threat was found in, as `schema` and `value` pairs."""

import msgspec


class Resource(msgspec.Struct, frozen=True):
    """One resource, such as (`file`, `C:\\x.exe`), (`containerfile`, …), (`process`, `pid:1,ProcessStart:…`)."""

    schema: str
    value: str


def file_path(resources: tuple[Resource, ...]) -> str | None:
    """The first `file` resource's value, else the first `containerfile`'s, else None."""
    for schema in ("file", "containerfile"):
        for resource in resources:
            if resource.schema == schema:
                return resource.value
    return None
