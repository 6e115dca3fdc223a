.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
STAMP := $(VENV)/.installed
DEMO := .demo

help: ## list the tasks
	@$(PYTHON) -c "import re; [print(f'{m[1]:12} {m[2]}') for m in re.finditer(r'^([a-z-]+):.*?## (.*)', open('Makefile').read(), re.M)]"

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer is needed: make PYTHON=/path/to/python3')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	$(BIN)/python -m compileall -q exporter
	$(BIN)/python -c "open('$(STAMP)', 'w').close()"

install: $(STAMP) ## the program and its tools, in .venv

demo: $(STAMP) ## a synthetic case exported; EVIDENCE=/path uses your own folder
	$(BIN)/defender-exporter demo $(DEMO) --force $(if $(EVIDENCE),--evidence "$(EVIDENCE)")

test: $(STAMP) ## all tests
	$(BIN)/python -m pytest -n auto $(TESTS)

lint: $(STAMP) ## style, format, types, floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

golden: $(STAMP) ## write the golden files anew: look at the difference before committing it
	$(BIN)/python -m pytest -q tests/golden --refresh-golden

flips: $(STAMP) ## 100,000 random bit flips in event logs: nothing may change silently
	$(BIN)/python -m tests.flips 100000

FUZZ_SECONDS ?= 600
fuzz: ## readers of event logs, traces and text logs, and event typing, against a fuzzer, in an environment of its own (Linux)
	$(PYTHON) tests/peers/install.py .peers atheris
	$(PYTHON) -c "import pathlib; pathlib.Path('.fuzz').mkdir(exist_ok=True)"
	.peers/atheris/bin/python -m tests.fuzz .fuzz tests/fuzz_corpus -max_total_time=$(FUZZ_SECONDS) -timeout=5 -rss_limit_mb=2048 -max_len=70000 -artifact_prefix=.fuzz-

peers: ## independent tools in their own environments, for the differential tests
	$(PYTHON) tests/peers/install.py .peers

servers-test: $(STAMP) ## every test with a real server, in whole amounts
	DEFENDER_EXPORTER_FULL=1 DEFENDER_EXPORTER_REQUIRE=servers $(BIN)/python -m pytest -m servers $(TESTS)

faults: $(STAMP) ## kill exports and ingests 1,000 times each at random (hours)
	DEFENDER_EXPORTER_KILLS=$(or $(KILLS),1000) $(BIN)/python -m pytest -n auto tests/ingest/test_faults.py

scale: $(STAMP) ## batches of 1,000 and 10,000 hosts, killed again and again (half an hour)
	DEFENDER_EXPORTER_SCALE=1000 $(BIN)/python -m pytest tests/batch/test_faults.py
	DEFENDER_EXPORTER_SCALE=10000 $(BIN)/python -m pytest tests/batch/test_faults.py

image-faults: $(STAMP) ## damage disk images in every way: some 1,000 faults (half an hour)
	DEFENDER_EXPORTER_IMAGE_FAULTS=1 DEFENDER_EXPORTER_REQUIRE=images $(BIN)/python -m pytest -n auto tests/test_image_faults.py

bench: $(STAMP) peers ## CPU seconds against the peers, interleaved
	$(BIN)/python -m tests.benchmarks

lock: ## exact versions of everything, for CI and make
	uv pip compile --universal --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links --python-version 3.11 --extra progress --extra images --extra cluster --group dev pyproject.toml -o requirements.lock

clean: ## remove what make made
	rm -rf $(VENV) .peers $(DEMO) .bench .fuzz dist

.PHONY: help install demo test lint golden flips fuzz peers servers-test faults scale image-faults bench lock clean
