"""The owner in a self-relative security descriptor (MS-DTYP 2.4.6 and 2.4.2.2).

Offset  Size  Descriptor                      Offset  Size  SID
0x00    1     revision: 1                     0x00    1     revision: 1
0x02    2     control                         0x01    1     number of sub-authorities, at most 15
0x04    4     offset of the owner's SID, or 0 0x02    6     authority, big-endian
0x08    4     offset of the group's SID       0x08    4 * n sub-authorities
"""

import struct

_MOST_SUBAUTHORITIES = 15


def owner_sid(descriptor: bytes) -> str | None:
    """The owner as `S-1-…`; None where there is none or the bytes are not a descriptor."""
    if len(descriptor) < 20 or descriptor[0] != 1:
        return None
    offset = int.from_bytes(descriptor[4:8], "little")
    return sid_text(descriptor[offset:]) if offset >= 20 else None


def sid_text(raw: bytes) -> str | None:
    """The SID with which `raw` begins; None where it does not begin with one."""
    if len(raw) < 8 or raw[0] != 1 or raw[1] > _MOST_SUBAUTHORITIES or len(raw) < 8 + 4 * raw[1]:
        return None
    authority = int.from_bytes(raw[2:8], "big")
    subauthorities = struct.unpack_from(f"<{raw[1]}I", raw, 8)
    # Authorities of more than 32 bits are written in hex, as Windows does.
    return "-".join(("S-1", str(authority) if authority < 1 << 32 else f"0x{authority:012X}", *map(str, subauthorities)))
