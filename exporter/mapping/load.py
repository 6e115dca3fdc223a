"""Reads `mappings/`: blocks, record mappings, value tables."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

from exporter.errors import MappingError
from exporter.mapping.schema import MappingSet, RecordMapping, Rule, Time, ValueTable
from exporter.mapping.yaml_lines import LINE, plain, read, read_all

_RULE_KEYS = {"from", "const", "values", "via"}
_RECORD_KEYS = {"kind", "use", "alert", "timestamps", "formatter", "message", "short_message", "ecs", "attributes"}


_Content = TypeVar("_Content")


class _Files(Mapping[str, _Content], Generic[_Content]):
    """What the YAML files of a folder say, by their names, each read when it is asked for: most runs see a few kinds of forty."""

    def __init__(self, folder: Path, load: Callable[[Path], _Content]) -> None:
        self._paths = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
        self._load = load
        self._loaded: dict[str, _Content] = {}

    def __getitem__(self, name: str) -> _Content:
        if name not in self._loaded:
            self._loaded[name] = self._load(self._paths[name])
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


def load_mappings(folder: Path) -> MappingSet:
    """Everything below `folder`; raises MappingError naming file and line, for a record or table when it is asked for.

    Nothing is checked against the kinds yet.
    """
    common = read(folder / "common.yaml")
    known = cache(lambda: {item["data_type"]: item for item in read_all(folder / "plaso" / "known.yaml")})
    records = _Files(folder / "records", lambda path: _record(path, common, known))
    return MappingSet(records=records, values=_Files(folder / "values", _values), fields=plain(common["fields"]))


def _record(path: Path, common: dict[str, Any], known: Callable[[], dict[str, Any]]) -> RecordMapping:
    content = read(path)
    if unknown := set(content) - _RECORD_KEYS - {LINE}:
        raise MappingError(f"{path.name}:1: unknown key `{min(unknown)}`")
    if content.get("kind") != path.stem:
        raise MappingError(f"{path.name}:1: `kind` must be the file's name, `{path.stem}`")
    parts = [("common.yaml", _block(common, name, path)) for name in content.get("use", [])] + [(path.name, content)]
    formatter = content.get("formatter")
    definition = known().get(formatter) if isinstance(formatter, str) else plain(formatter or {})
    if definition is None:
        raise MappingError(f"{path.name}:1: plaso's formatter `{formatter}` is not in plaso/known.yaml")
    return RecordMapping(
        kind=path.stem,
        place=f"{path.name}:1",
        timestamps=tuple(_time(item, path.name) for item in content.get("timestamps", [])),
        formatter=definition,
        owned_by_plaso=isinstance(formatter, str),
        message=tuple(content.get("message") or definition.get("message", ())),
        short_message=tuple(content.get("short_message") or definition.get("short_message", ())),
        ecs=_merge(parts, "ecs"),
        attributes=_merge(parts, "attributes"),
        alert=content.get("alert"),
    )


def _block(common: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    try:
        block: dict[str, Any] = common["blocks"][name]
    except KeyError:
        raise MappingError(f"{path.name}:1: `use` names the block `{name}`, which common.yaml has not") from None
    return block


def _merge(parts: list[tuple[str, dict[str, Any]]], section: str) -> tuple[Rule, ...]:
    rules: dict[str, Rule] = {}
    for file, content in parts:
        for rule in _rules(content.get(section) or {}, file):
            if rule.field in rules:
                raise MappingError(f"{rule.place}: `{rule.field}` already has a rule at {rules[rule.field].place}")
            rules[rule.field] = rule
    return tuple(rules.values())


def _rules(section: dict[str, Any], file: str) -> Iterator[Rule]:
    for field, body in section.items():
        if field == LINE:
            continue
        if not isinstance(body, dict):
            raise MappingError(f"{file}:{section[LINE]}: `{field}` needs a rule in braces, such as {{from: threat_id}}")
        place = f"{file}:{body[LINE]}"
        if unknown := set(body) - _RULE_KEYS - {LINE}:
            raise MappingError(f"{place}: `{field}` has the unknown key `{min(unknown)}`")
        yield _rule(str(field), plain(body), place)


def _rule(field: str, body: dict[str, Any], place: str) -> Rule:
    if ("const" in body) == ("from" in body):
        raise MappingError(f"{place}: `{field}` needs either `const` or `from`")
    source = body.get("from", ())
    attributes = (source,) if isinstance(source, str) else tuple(source)
    return Rule(field=field, place=place, const=body.get("const"), attributes=attributes, values=body.get("values"), via=body.get("via"))


def _time(item: dict[str, Any], file: str) -> Time:
    place = f"{file}:{item[LINE]}"
    if unknown := set(item) - {"attribute", "description", "digits", LINE}:
        raise MappingError(f"{place}: a timestamp has the unknown key `{min(unknown)}`")
    try:
        return Time(attribute=item["attribute"], description=item["description"], digits=item.get("digits"), place=place)
    except KeyError as missing:
        raise MappingError(f"{place}: a timestamp needs {missing}") from None


def _values(path: Path) -> ValueTable:
    content = plain(read(path))
    if unknown := set(content) - {"source", "default", "values"}:
        raise MappingError(f"{path.name}:1: unknown key `{min(unknown)}`")
    return ValueTable(name=path.stem, values=content["values"], default=content.get("default"))
