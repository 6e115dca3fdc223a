"""Ex01 images (EWF version 2), which ewfacquire of Debian does not write. Expert Witness Compression Format 2, libewf's documentation."""

import hashlib
import struct
import zlib
from pathlib import Path

CHUNK = 32_768
_DEVICE, _CASE, _SECTORS, _TABLE, _MD5, _NEXT, _DONE = 1, 2, 3, 4, 8, 0xD, 0xF


class _Segment:
    def __init__(self, number: int) -> None:
        self.data = bytearray(b"EVF2\r\n\x81\0" + struct.pack("<BBHI16s", 2, 1, 1, number, bytes(range(16))))
        self._last = 0

    def add(self, kind: int, data: bytes = b"", padding: int = 0) -> None:
        """A section: its data, then the descriptor, which names the one before."""
        self.data += data
        here = len(self.data)
        head = struct.pack("<IIQQII16s12x", kind, 0, self._last, len(data), 64, padding, bytes(16))
        self.data += head + struct.pack("<I", zlib.adler32(head))
        self._last = here

    def add_text(self, kind: int, text: str) -> None:
        data = zlib.compress(b"\xff\xfe" + text.encode("utf-16-le"))
        self.add(kind, data.ljust(-(-len(data) // 16) * 16, b"\0"), -len(data) % 16)

    def add_chunks(self, first: int, chunks: list[bytes]) -> None:
        """Sectors and their table: a pattern of 8 bytes, compressed, or stored with a checksum, whichever is shortest."""
        entries, data, start = b"", b"", len(self.data)
        for chunk in chunks:
            packed = zlib.compress(chunk, 1)
            if chunk == chunk[:8] * (len(chunk) // 8):
                entries += chunk[:8] + struct.pack("<II", 8, 5)
                continue
            stored = len(packed) >= len(chunk)
            body = chunk + struct.pack("<I", zlib.adler32(chunk)) if stored else packed
            entries += struct.pack("<QII", start + len(data), len(body), 2 if stored else 1)
            data += body.ljust(-(-len(body) // 16) * 16, b"\0")
        head = struct.pack("<QII", first, len(chunks), 0)
        sums = [struct.pack("<I12x", zlib.adler32(one)) for one in (head, entries)]
        self.add(_SECTORS, data)
        self.add(_TABLE, head + sums[0] + entries + sums[1], 24)


def write_ex01(disk: bytes, path: Path, segments: int = 1) -> None:
    """PATH.Ex01 and further segments; chunks are shared evenly, in two tables each."""
    chunks = [disk[at : at + CHUNK] for at in range(0, len(disk), CHUNK)]
    share = -(-len(chunks) // segments)
    for number in range(segments):
        segment = _Segment(number + 1)
        device = f"1\nmain\nsn\tmd\tlb\tts\ths\tdc\tdt\tpid\trs\tls\tbp\tph\n\t\t\t{len(disk) // 512}\t\t\tf\t\t\t\t512\t1\n\n"
        segment.add_text(_DEVICE, device)
        segment.add_text(
            _CASE, f"1\nmain\nnm\tcn\ten\tex\tnt\tav\tos\ttt\tat\ttb\tcp\tsb\tgr\twb\n{chr(9) * 9}{len(chunks)}\t\t64\t64\t\n\n"
        )
        mine = range(number * share, min((number + 1) * share, len(chunks)))
        middle = mine.start + len(mine) // 2
        segment.add_chunks(mine.start, chunks[mine.start : middle])
        segment.add_chunks(middle, chunks[middle : mine.stop])
        if number + 1 < segments:
            segment.add(_NEXT)
        else:
            digest = hashlib.md5(disk).digest()
            segment.add(_MD5, digest + struct.pack("<I12x", zlib.adler32(digest)), 12)
            segment.add(_DONE)
        path.with_suffix(f".Ex{number + 1:02}").write_bytes(segment.data)
