"""The index templates that are checked in are what the mappings make."""

import pytest

from exporter.data import folder, template_file
from exporter.mapping.load import load_mappings
from exporter.mapping.template import PRODUCTS, index_template, render


@pytest.mark.parametrize("product", PRODUCTS)
def test_the_template_beside_the_mappings_is_made_of_them(product: str, request: pytest.FixtureRequest) -> None:
    mappings = folder("mappings")
    made = render(index_template(load_mappings(mappings), mappings, product)) + "\n"
    path = mappings / template_file(product)
    if request.config.getoption("--refresh-golden"):
        path.write_text(made, "utf-8", newline="\n")
    assert path.read_text("utf-8") == made, "run `make golden`, and raise `version` in template.yaml"
