"""The second EVTX engine: python-evtx's nodes, walked into the shape that `evtx` renders.

Its own XML is not used: that drops control characters, rounds times and would have to be parsed again. Only offsets and types are taken
from its nodes; texts, times and arrays are decoded here. Records without a template (forwarded logs) are beyond it.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from Evtx import Nodes
from Evtx.Evtx import ChunkHeader

from exporter import times
from exporter.errors import FormatError
from exporter.formats.evtx_chunks import CHUNK, FILE_HEADER, FIRST_RECORD

_RECORD = struct.Struct("<4xIQ").unpack_from
_NODES_PER_RECORD = 20_000
"""A crafted record can nest fragments so that they double at every level; no real one comes near this."""
_NODES_PER_CHUNK = 400_000


def render_chunk(log: bytes) -> Iterator[tuple[int | None, dict[str, Any] | FormatError]]:
    """For each record of a one-chunk log (see `evtx_chunks.engine_file`): its id and `{"Event": …}`, or why there is none."""
    records = Records(log)
    position = FIRST_RECORD
    while position + 24 <= records.end:
        size, number = _RECORD(records.data, position)
        if size < 28:
            return
        try:
            yield number, records.render(position, size)
        except FormatError as error:
            yield number, error
        position += size


class Records:
    """The records of a one-chunk log, each rendered when it is asked for. `end` is the offset of the free space in the chunk `data`.

    `donors` are templates to be used instead of the chunk's own: by id, another chunk and the offset in it.
    """

    def __init__(self, log: bytes, donors: Mapping[int, tuple[bytes, int]] | None = None) -> None:
        self.data = log[FILE_HEADER : FILE_HEADER + CHUNK]
        self.end = struct.unpack_from("<I", self.data, 48)[0]
        self._templates: dict[int, _Template] = {}
        self._donors = _Donors(donors or {})
        self._left = _NODES_PER_CHUNK

    def render(self, offset: int, size: int) -> dict[str, Any]:
        """`{"Event": …}` of the record at this offset in the chunk; raises FormatError."""
        # what a record refers to lies before its own end: a broken one cannot lead the parser further
        walker = _Walker(_Chunk(self.data[: offset + size], self._templates), self._donors, min(self._left, _NODES_PER_RECORD))
        allowed = walker.left
        try:
            return walker.event(offset + 24)
        except FormatError:
            raise
        except Exception as error:  # noqa: BLE001 - the parser raises whatever it stumbles over, AttributeError and RecursionError included
            raise FormatError(f"{type(error).__name__}: {error}"[:200]) from None
        finally:
            self._left -= allowed - max(walker.left, 0)


class _Chunk(ChunkHeader):  # type: ignore[misc]
    """A chunk whose names and templates are read where they are referred to: its tables, which can be circular, are not followed."""

    def __init__(self, data: bytes, templates: "dict[int, _Template]") -> None:
        super().__init__(data, 0)
        self._names: dict[int, Any] = _Names(self)
        self._known = templates

    def strings(self) -> dict[int, Any]:
        return self._names

    def templates(self) -> "_Chunk":
        return self

    def add_string(self, offset: int, parent: Any = None) -> Any:
        return self._names[offset]

    def add_template(self, offset: int, parent: Any = None) -> Any:
        return self[offset]

    def __getitem__(self, offset: int) -> Any:
        if offset not in self._known:
            self._known[offset] = _Template(self._buf, offset, self, self)
        return self._known[offset]


class _Names(dict[int, Any]):
    def __init__(self, chunk: _Chunk) -> None:
        self.chunk = chunk

    def __missing__(self, offset: int) -> Any:
        self[offset] = Nodes.NameStringNode(self.chunk._buf, offset, self.chunk, self.chunk)
        return self[offset]


class _Template(Nodes.TemplateNode):  # type: ignore[misc]
    """A template that is parsed once for its chunk, also when that fails."""

    _parsed: "list[Any] | Exception | None" = None

    def children(self) -> list[Any]:
        if self._parsed is None:
            try:
                self._parsed = self._children()
            except Exception as error:  # noqa: BLE001 - kept, and raised for every record that uses this template
                self._parsed = error
        if isinstance(self._parsed, Exception):
            raise self._parsed
        return self._parsed


class _Donors:
    """Templates of other chunks, each made when it is asked for."""

    def __init__(self, places: Mapping[int, tuple[bytes, int]]) -> None:
        self._places = places
        self._made: dict[int, _Template] = {}

    def get(self, template_id: int) -> _Template | None:
        if template_id not in self._made and template_id in self._places:
            data, offset = self._places[template_id]
            chunk = _Chunk(data, {})
            self._made[template_id] = _Template(data, offset, chunk, chunk)
        return self._made.get(template_id)


class _Walker:
    """Walks one record."""

    def __init__(self, chunk: _Chunk, donors: "_Donors", left: int) -> None:
        self.chunk = chunk
        self._donors = donors
        self.left = left

    def event(self, offset: int) -> dict[str, Any]:
        elements = self._fragment(Nodes.RootNode(self.chunk._buf, offset, self.chunk, self.chunk))
        return dict(elements)

    def _fragment(self, root: Any) -> list[tuple[str, Any]]:
        """The elements of a fragment: those of its template, filled with its values."""
        first = 4 if root.unpack_byte(0) & 0x0F == Nodes.SYSTEM_TOKENS.StartOfStreamToken else 0
        if root.unpack_byte(first) & 0x0F != Nodes.SYSTEM_TOKENS.TemplateInstanceToken:
            # an element outside a template has no dependency id, which python-evtx expects in every element
            raise FormatError("python-evtx cannot read a record without a template")
        instance = root.template_instance()
        template = self._donors.get(instance.template_id()) or instance.template()
        return self._elements(template.children(), root.substitutions())

    def _elements(self, nodes: list[Any], values: list[Any]) -> list[tuple[str, Any]]:
        return [self._element(node, values) for node in nodes if isinstance(node, Nodes.OpenStartElementNode)]

    def _element(self, node: Any, values: list[Any]) -> tuple[str, Any]:
        self.left -= 1
        if self.left < 0:
            raise FormatError("more than 20,000 nodes in one record or 400,000 in its chunk")
        attributes: dict[str, Any] = {}
        elements: list[tuple[str, Any]] = []
        content: list[Any] = []
        for child in node.children():
            if isinstance(child, Nodes.AttributeNode):
                value = self._content(child.attribute_value(), values)
                if value is not None:
                    attributes[child.attribute_name().string()] = value
            elif isinstance(child, Nodes.OpenStartElementNode):
                elements.append(self._element(child, values))
            else:
                found = self._content(child, values)
                if isinstance(found, _Elements):
                    elements += found
                elif found is not None:
                    content.append(found)
        name = str(node.tag_name())
        if name == "Data" and not content:
            content = [""]
        return name, _value(attributes, elements, content)

    def _content(self, node: Any, values: list[Any]) -> Any:
        """What a child says: None for nothing, a text, a list of texts, or the elements of a nested fragment."""
        if isinstance(node, Nodes.NormalSubstitutionNode | Nodes.ConditionalSubstitutionNode):
            node = values[node.index()]
        elif isinstance(node, Nodes.ValueNode):
            node = node.value()
        elif isinstance(node, Nodes.CDataSectionNode):
            return node.cdata()
        elif isinstance(node, Nodes.EntityReferenceNode | Nodes.CharacterReferenceNode):
            return _ENTITIES.get(node.entity_reference(), node.entity_reference())
        else:
            return None
        if isinstance(node, Nodes.BXmlTypeNode):
            return _Elements(self._fragment(node.root()))
        return _TEXTS[type(node)](node) if type(node) in _TEXTS else node.string()


class _Elements(list[tuple[str, Any]]):
    pass


def _value(attributes: dict[str, Any], elements: list[tuple[str, Any]], content: list[Any]) -> Any:
    """One element's value as `evtx` renders it; elements of the same name become a list."""
    text = content[0] if len(content) == 1 else "".join(map(str, content)) if content else None
    if not attributes and not elements:
        return text
    value: dict[str, Any] = {"#attributes": attributes} if attributes else {}
    if text is not None:
        value["#text"] = text
    for name, child in elements:
        if name not in value:
            value[name] = child
        elif isinstance(value[name], _Repeated):
            value[name].append(child)
        else:
            value[name] = _Repeated([value[name], child])
    return value


class _Repeated(list[Any]):
    pass


def _raw(node: Any) -> bytes:
    return bytes(node._buf[node.offset() : node.offset() + node.tag_length()])


def _text(node: Any) -> str:
    # inside a template a text has its length before it
    return _raw(node)[2 if node._length is None else 0 :].decode("utf-16-le", "surrogatepass").rstrip("\0")


def _texts(node: Any) -> list[str]:
    return _text(node).split("\0")


def _time(node: Any) -> str:
    ticks = node.unpack_qword(0)
    try:
        return times.iso(ticks)
    except (OverflowError, ValueError):
        return str(ticks)


def _system_time(node: Any) -> str:
    year, month, _, day, hour, minute, second, milliseconds = struct.unpack("<8H", _raw(node))
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}000Z"


def _hexadecimal(node: Any) -> str:
    return f"0x{int.from_bytes(_raw(node), 'little'):x}"


_TEXTS: dict[type, Callable[[Any], Any]] = {
    Nodes.NullTypeNode: lambda _: None,
    Nodes.WstringTypeNode: _text,
    Nodes.WstringArrayTypeNode: _texts,
    Nodes.FiletimeTypeNode: _time,
    Nodes.SystemtimeTypeNode: _system_time,
    Nodes.GuidTypeNode: lambda node: node.guid().upper(),
    Nodes.SizeTypeNode: _hexadecimal,
    Nodes.Hex32TypeNode: _hexadecimal,
    Nodes.Hex64TypeNode: _hexadecimal,
    Nodes.BooleanTypeNode: lambda node: node.string().lower(),
    Nodes.BinaryTypeNode: lambda node: _raw(node).hex().upper(),
}
_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'"}
