"""YAML in which every mapping remembers its line, so that an error and `explain` can name it."""

from pathlib import Path
from typing import Any

import yaml

from exporter.errors import MappingError

LINE = "__line__"


_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The C loader reads our files ten times faster; not every build of PyYAML has it."""


class _Loader(_Base):  # type: ignore[misc]
    file = ""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    result: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in result:
            raise MappingError(f"{loader.file}:{key_node.start_mark.line + 1}: `{key}` is there twice")
        result[key] = loader.construct_object(value_node, deep=True)
    result[LINE] = node.start_mark.line + 1
    return result


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def read(path: Path) -> dict[str, Any]:
    """The content of a YAML file whose top is a mapping; raises MappingError with file and line."""
    try:
        content = yaml.load(path.read_text("utf-8"), type("_Named", (_Loader,), {"file": path.name}))  # noqa: S506 (a SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path.name}:{mark.line + 1}" if mark else path.name
        raise MappingError(f"{where}: not YAML: {getattr(error, 'problem', error)}") from error
    if not isinstance(content, dict):
        raise MappingError(f"{path.name}:1: a mapping is expected")
    return content


def read_all(path: Path) -> list[dict[str, Any]]:
    """The documents of a YAML stream, without lines."""
    return [item for item in yaml.load_all(path.read_text("utf-8"), _Base) if item]


def plain(value: Any) -> Any:
    """The same without the line numbers."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if key != LINE}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value
