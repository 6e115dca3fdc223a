"""What mappers remember of records that came before."""

from exporter.mapping.mapper import Mapper


def forget(mapper: Mapper) -> None:
    """As if no record had come yet; to compile all again would take long."""
    for kind in mapper.kinds.values():
        for name, found in kind.document.__globals__.items():
            if name.startswith("learn_"):
                found.__self__._known.clear()
