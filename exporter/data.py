"""Where `mappings/` and `config/` are: inside the installed package, or beside it in a checkout."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def folder(name: str) -> Path:
    """The folder `mappings` or `config`; raises FileNotFoundError when the installation is broken."""
    for place in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if place.is_dir():
            return place
    raise FileNotFoundError(f"the folder `{name}` is not in this installation")


def template_file(product: str) -> str:
    """Where the index template for `elasticsearch` or `opensearch` lies below `mappings`."""
    return f"elasticsearch/index-template-{product}.json"
