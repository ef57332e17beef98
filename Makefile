# Every target works on a machine that has python3 (3.11 or newer) and make.

PYTHON ?= python3
# Test files run side by side in so many processes, each with an embedded Kafka of its own.
TEST_PROCESSES ?= 2
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv pip
# Some machines set this. Each command would then compile all that it imports again, which for a
# worker is as much as the rest of its start.
unexport PYTHONDONTWRITEBYTECODE
# One job at a time: parallel installs into one environment would step on each other.
.NOTPARALLEL:

.PHONY: help install install-dev install-train demo test test-fast test-nightly soak chaos fuzz audit sbom lint docs format models bench bench-full-size bench-gpu bench-peers lock clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 18

install: $(VENV)/.run  ## .venv with the streamproc command: what runs, and the embedded Kafka
install-dev: $(VENV)/.dev  ## the same, and what tests and checks; no torch
install-train: $(VENV)/.all  ## the same, and what trains (torch)

$(VENV)/.uv: requirements/uv.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(VENV)/.run: $(VENV)/.uv requirements/run.txt pyproject.toml
	$(UV) install --quiet --python $(BIN)/python --require-hashes -r requirements/run.txt
	$(UV) install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	$(UV) install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/.all: $(VENV)/.run requirements/all.txt
	$(UV) install --quiet --python $(BIN)/python --require-hashes -r requirements/all.txt
	@touch $@

demo: install  ## an embedded Kafka, a worker, real reviews, answers on the screen
	$(BIN)/streamproc demo $(if $(KEEP),--keep)

lint: install-train docs  ## format, style, types, import contracts, compose file, docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec compose.yaml

docs: install-dev  ## the documentation site, strictly, in build/site
	$(BIN)/python -m streamproc.cli.train_reference
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

test-fast: install-dev  ## unit, property and contract tests: no Kafka, no torch, under two minutes
	$(BIN)/python -m pytest -q -n $(TEST_PROCESSES) tests/unit tests/properties tests/contract

test: lint  ## everything above, then all tests: unit, properties, contract, integration, acceptance
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --durations=25

test-nightly: install-train  ## what takes minutes: every family of models beside transformers
	$(BIN)/python -m pytest -m nightly

HOURS ?= 1
RATE ?= 5
soak: install-dev  ## HOURS=1 RATE=5: workers under steady load, hostile records among it; memory, handles, threads, lag, a plot
	$(BIN)/python -m tests.acceptance.soak --hours $(HOURS) --rate $(RATE) --plot build/soak.png --out build/soak.json

ROUNDS ?= 2
DELIVERY ?= at_least_once
SEED ?= 0
LOAD ?= instant
chaos: install-dev  ## ROUNDS=2 DELIVERY=at_least_once SEED=0 (any) LOAD=instant (tasks, shop): every fault on workers under load, what each costs; some five minutes a round
	$(BIN)/python -m tests.chaos --load $(LOAD) --rounds $(ROUNDS) --delivery $(DELIVERY) --seed $(SEED) $(CHAOS)

# How long each target is fuzzed.
SECONDS ?= 60
FUZZED := requests batches sentences pieces passages windows entities events members masks manifests graphs

fuzz: $(VENV)/.fuzz  ## each fuzz target for SECONDS=60, guided by coverage; Linux on x86-64
	for target in $(FUZZED); do $(BIN)/python -m tests.fuzz $$target $(SECONDS) || exit 1; done

$(VENV)/.fuzz: $(VENV)/.dev requirements/fuzz.txt
	$(UV) install --quiet --python $(BIN)/python --require-hashes -r requirements/fuzz.txt
	@touch $@

# Beside the environment that is looked at, which it must not add to.
AUDIT := build/audit

$(AUDIT)/bin/pip-audit: $(VENV)/.uv requirements/audit.txt
	$(PYTHON) -m venv $(AUDIT)
	$(UV) install --quiet --python $(AUDIT)/bin/python --require-hashes -r requirements/audit.txt

# Strict, as what could not be looked up would be passed over, and with it everything where the
# database is out of reach.
audit: $(AUDIT)/bin/pip-audit  ## known vulnerabilities of all that is locked; asks the database of PyPI itself
	for file in run all; do $(AUDIT)/bin/pip-audit --strict --disable-pip --require-hashes -r requirements/$$file.txt || exit 1; done

# An environment of what runs and nothing else: .venv may have what tests and trains.
SBOM := build/sbom

sbom: $(AUDIT)/bin/pip-audit install  ## what an installation consists of, in build/streamproc.cdx.json (CycloneDX)
	$(PYTHON) -m venv --clear --without-pip $(SBOM)
	$(UV) install --quiet --python $(SBOM)/bin/python --require-hashes -r requirements/run.txt
	version=$$($(BIN)/python -c "import streamproc; print(streamproc.__version__)") && \
		sed "s/^dynamic = .*/version = \"$$version\"/" pyproject.toml > $(SBOM)/pyproject.toml
	$(AUDIT)/bin/cyclonedx-py environment --output-reproducible --pyproject $(SBOM)/pyproject.toml \
		--output-file build/streamproc.cdx.json $(SBOM)/bin/python

format: install-train
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

models: install-train  ## the encoder ensembles anew, of the data sets in STREAMPROC_DATA, in build/models; resumes
	BIN=$(BIN) sh models/make.sh

bench: install-dev  ## end to end through Kafka, beside the raw ceiling and one request at a time
	$(BIN)/python -m benchmarks

bench-full-size: install-train  ## the same with three whole MiniLM-L6, heads untrained
	$(BIN)/python -m benchmarks.full_size --out build/full-size
	STREAMPROC_MODELS_DIR=build/full-size $(BIN)/python -m benchmarks --requests 400 \
		--json benchmarks/results/throughput-full-size.json

bench-gpu: install-train  ## models on CUDA in fp16 beside raw ONNX Runtime, under ten minutes; says so where there is no GPU
	$(BIN)/python -m benchmarks.gpu

bench-peers: install-dev  ## Quix, FastStream, aiokafka and MLServer beside ours, each in an environment of its own
	$(BIN)/python -m benchmarks.peers

PEERS := aiokafka faststream mlserver quix

# No download addresses: names, versions and hashes are enough to install the same files anywhere.
COMPILE = $(UV) compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --custom-compile-command "make lock"
lock: $(VENV)/.uv
	$(COMPILE) --extra broker --extra train --extra evaluate --extra registry --extra documents --extra gateway \
		--extra tracing --extra cache --extra signing --extra ray --extra load --extra dev -o requirements/all.txt pyproject.toml
	$(COMPILE) --extra broker --extra cache --extra signing -c requirements/all.txt -o requirements/run.txt pyproject.toml
	$(COMPILE) --extra broker --extra evaluate --extra registry --extra documents --extra gateway \
		--extra tracing --extra cache --extra signing --extra load --extra dev -c requirements/all.txt -o requirements/dev.txt pyproject.toml
	echo "uv" | $(COMPILE) -o requirements/uv.txt -
	echo "atheris==3.0.0; platform_system == 'Linux' and platform_machine == 'x86_64'" \
		| $(COMPILE) -o requirements/fuzz.txt -
	$(foreach peer,$(PEERS),cat requirements/peers/$(peer).in | $(COMPILE) -o requirements/peers/$(peer).txt - &&) true
	printf 'pip-audit>=2.9\ncyclonedx-bom>=7\n' | $(COMPILE) -o requirements/audit.txt -

clean:
	rm -rf $(VENV)
