"""Both engines say the same of every type of value, and none of their faults gets out."""

import io
import struct
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from exporter.errors import FormatError
from exporter.formats import evtx_python
from exporter.formats.evtx_chunks import engine_file, walk
from exporter.formats.evtx_engine import ENGINES, render
from exporter.formats.evtx_normalize import Normalizer
from exporter.synthetic.evtx import NAMESPACE, PROVIDER
from exporter.synthetic.evtx_binxml import Element, Slot, Template, Writer
from exporter.synthetic.evtx_file import write_file
from tests.evtx_logs import HEADER, log_of, read

VALUES = {
    "string": (0x01, "wide\0".encode("utf-16-le"), "wide"),
    "empty": (0x01, b"", ""),
    "nothing": (0x00, b"", ""),
    "ansi": (0x02, b"ansi\0", "ansi"),
    "int8": (0x03, b"\xff", "-1"),
    "uint8": (0x04, b"\xff", "255"),
    "int16": (0x05, b"\xff\xff", "-1"),
    "uint16": (0x06, b"\xff\xff", "65535"),
    "int32": (0x07, b"\xfe\xff\xff\xff", "-2"),
    "uint32": (0x08, b"\xff" * 4, "4294967295"),
    "int64": (0x09, b"\xff" * 8, "-1"),
    "uint64": (0x0A, b"\xff" * 8, "18446744073709551615"),
    "float": (0x0B, struct.pack("<f", 1.5), "1.5"),
    "double": (0x0C, struct.pack("<d", -2.25), "-2.25"),
    "true": (0x0D, b"\1\0\0\0", "true"),
    "false": (0x0D, b"\0\0\0\0", "false"),
    "binary": (0x0E, b"\1\2\xff", "0102FF"),
    "guid": (0x0F, UUID("11CD958A-C507-4EF3-B3F2-5FD9DFBD2C78").bytes_le, "11CD958A-C507-4EF3-B3F2-5FD9DFBD2C78"),
    "size": (0x10, b"\5" + bytes(7), "0x5"),
    "system time": (0x12, struct.pack("<8H", 2023, 10, 3, 18, 5, 43, 51, 355), "2023-10-18T05:43:51.355000Z"),
    "sid": (0x13, b"\1\1\0\0\0\0\0\5\x12\0\0\0", "S-1-5-18"),
    "hex32": (0x14, b"\x1f\0\0\0", "0x1f"),
    "hex64": (0x15, b"\x1f" + bytes(7), "0x1f"),
}


def element(name: str, *content: Any, **attributes: Any) -> Element:
    return Element(name, tuple(attributes.items()), content)


def log_with(data: list[tuple[str, int, bytes]], extra: tuple[Element, ...] = ()) -> bytes:
    """A log of one Defender record whose Data have these names, types and bytes."""
    system = element(
        "System",
        element("Provider", Name=PROVIDER),
        element("EventID", "5007"),
        element("TimeCreated", SystemTime="2023-10-18T05:43:51.3553605Z"),
        element("EventRecordID", "1"),
        element("Channel", "C"),
        element("Computer", "H"),
    )
    elements = tuple(element("Data", Slot(number, kind, False), Name=name) for number, (name, kind, _) in enumerate(data))
    template = Template(UUID(int=5), element("Event", system, element("EventData", *elements, *extra), xmlns=NAMESPACE))

    def body(writer: Writer) -> None:
        writer.fragment()
        writer.instance(template, [(kind, value) for _, kind, value in data])
        writer.end()

    stream = io.BytesIO()
    write_file(stream, [(1, 133_420_814_313_553_605, body)])
    return stream.getvalue()


@pytest.mark.parametrize("engine", ENGINES)
class TestValues:
    def test_every_type_of_value_has_one_text(self, engine: str) -> None:
        log = log_with([(name, kind, value) for name, (kind, value, _) in VALUES.items()])
        (item,) = read(log, engine).parsed
        assert item.payload.data == {name: text for name, (_, _, text) in VALUES.items()}

    def test_a_list_of_texts_is_numbered(self, engine: str) -> None:
        (item,) = read(log_with([("list", 0x81, "a\0\0b\0".encode("utf-16-le"))]), engine).parsed
        assert item.payload.data == {"list": "a", "list_1": "", "list_2": "b"}

    def test_elements_without_name_are_numbered(self, engine: str) -> None:
        (item,) = read(log_with([], (element("Data", "one"), element("Data", "two & <three>"))), engine).parsed
        assert item.payload.data == {"Data": "one", "Data_1": "two & <three>"}

    def test_a_file_time_has_the_digits_that_the_engine_knows(self, engine: str) -> None:
        (item,) = read(log_with([("time", 0x11, struct.pack("<Q", 133_420_814_313_553_605))]), engine).parsed
        assert item.payload.data["time"].startswith("2023-10-18T05:43:51.355360")
        assert item.payload.created_at == 133_420_814_313_553_605


class TestWheel:
    @staticmethod
    def fake(monkeypatch: pytest.MonkeyPatch, *steps: Any) -> list[Any]:
        """What becomes of an engine that returns or raises these, one after the other."""

        class Records:
            def __init__(self) -> None:
                self.left = list(steps)

            def __iter__(self) -> Iterator[Any]:
                return self

            def __next__(self) -> Any:
                step = self.left.pop(0) if self.left else StopIteration()
                if isinstance(step, BaseException):
                    raise step
                return {"event_record_id": step, "data": "{}"}

        parser = SimpleNamespace(PyEvtxParser=lambda log, number_of_threads: SimpleNamespace(records_json=Records))
        monkeypatch.setitem(sys.modules, "evtx", parser)
        return [number if number is not None else rendering.reason for number, rendering in render(b"", "evtx")]

    def test_it_goes_on_behind_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.fake(monkeypatch, 1, RuntimeError("bad\nvery"), RuntimeError("worse"), 4) == [1, "bad", "worse", 4]

    def test_a_panic_ends_the_chunk_and_not_the_program(self, monkeypatch: pytest.MonkeyPatch) -> None:
        panic = type("PanicException", (BaseException,), {})
        assert self.fake(monkeypatch, 1, panic("index out of range"), 3) == [1, "index out of range"]

    def test_an_interrupt_is_not_caught(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(KeyboardInterrupt):
            self.fake(monkeypatch, 1, KeyboardInterrupt())

    def test_a_log_that_it_refuses_is_an_error(self) -> None:
        ((number, error),) = render(b"nonsense", "evtx")
        assert number is None
        assert isinstance(error, FormatError)


class TestPythonEvtx:
    def test_the_nodes_of_one_record_are_counted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(evtx_python, "_NODES_PER_RECORD", 5)
        log = read(log_of(2), "python-evtx")
        assert {item.reason for item in log.rejected} == {"chunk 0: more than 20,000 nodes in one record or 400,000 in its chunk"}

    def test_the_nodes_of_a_chunk_are_counted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each of 2,000 small records may ask for its share: together they would take minutes."""
        data = log_of(9)
        wanted = read(data, "python-evtx")
        assert len(wanted.parsed) == 9
        monkeypatch.setattr(evtx_python, "_NODES_PER_CHUNK", 60)
        log = read(data, "python-evtx")
        assert 0 < len(log.parsed) < 9
        assert log.parsed == wanted.parsed[: len(log.parsed)]
        assert len(log.rejected) == 9 - len(log.parsed)

    def test_a_template_that_holds_itself_is_an_error(self) -> None:
        """The instance that refers to the template is put into the template's own body."""
        data = log_of(3)
        found = walk(bytes(data[HEADER:]))
        start = found.records[0].offset + 24
        instance = data[HEADER + start + 4 : HEADER + start + 14]
        body = HEADER + start + 4 + 10 + 24
        data[body + 4 : body + 14] = instance
        assert [item.number for item in read(data, "python-evtx").rejected] == [1, 2, 3]

    def test_a_broken_template_is_parsed_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        data = log_of(40)
        start = HEADER + walk(bytes(data[HEADER:])).records[0].offset + 24
        data[start + 38 : start + 60] = b"\xff" * 22
        calls = []
        original = evtx_python._Template._children
        monkeypatch.setattr(evtx_python._Template, "_children", lambda self: calls.append(1) or original(self))
        assert len(read(data, "python-evtx").rejected) >= 40
        assert len(calls) <= 2

    def test_elements_with_and_without_name_are_kept(self) -> None:
        """The wheel leaves the first out."""
        extra = (element("Data", "one"), element("Data", "é", Name="Named"), element("Data", Name="Empty"))
        (item,) = read(log_with([], extra), "python-evtx").parsed
        assert item.payload.data == {"Data": "one", "Named": "é", "Empty": ""}

    def test_lone_surrogates_and_controls_survive(self) -> None:
        (item,) = read(log_with([("odd", 0x01, "a\ud800\x01b".encode("utf-16-le", "surrogatepass"))]), "python-evtx").parsed
        assert item.payload.data["odd"] == "a\ud800\x01b"

    def test_a_record_without_template_is_named(self) -> None:
        data = log_of(2)
        place = HEADER + walk(bytes(data[HEADER:])).records[1].offset + 28
        assert data[place] == 0x0C
        data[place] = 0x01
        ((_, first), (_, second)) = render(engine_file(walk(bytes(data[HEADER:]))), "python-evtx")
        assert Normalizer().fields(first, 1, 1)["event_id"] == 5007
        assert second.reason == "python-evtx cannot read a record without a template"
