"""`make fuzz`: atheris and `tests.fuzz_target`, in the environment of atheris. Arguments are libFuzzer's."""

import sys

import atheris  # type: ignore[import-not-found]

with atheris.instrument_imports(include=["exporter"]):
    from tests.fuzz_target import one_input

if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
