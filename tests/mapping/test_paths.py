"""The short ways through paths give what the long ones give."""

import ntpath

from hypothesis import given
from hypothesis import strategies as st

from exporter.mapping.transforms.paths import file_directory, file_name

ANY = st.text(st.sampled_from("C:\\/ax.?-> "), max_size=14)
PATHS = ANY | ANY.map("C:\\{}".format)


@given(PATHS)
def test_names_and_folders_are_those_of_ntpath(path: str) -> None:
    assert file_name(path) == ntpath.basename(path.rpartition("->")[2])
    assert file_directory(path) == (ntpath.dirname(path.partition("->")[0]) or None)
