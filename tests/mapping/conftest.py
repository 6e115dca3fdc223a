"""The mapper of this checkout."""

import pytest

from exporter.data import folder
from exporter.kinds import KINDS
from exporter.mapping.load import load_mappings
from exporter.mapping.mapper import Mapper
from exporter.mapping.references import Run
from exporter.mapping.schema import MappingSet


@pytest.fixture(scope="session")
def mappings() -> MappingSet:
    return load_mappings(folder("mappings"))


@pytest.fixture(scope="session")
def mapper(mappings: MappingSet) -> Mapper:
    return Mapper(mappings, KINDS, Run(case="C1", version="1.0", now=133_500_000_000_000_000), folder("mappings"))
