# Every command of the project. People, CI, the image and the README call these targets and nothing else.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.SUFFIXES:

PYTHON ?= python3
ARGS ?=
# Profile of the wheel; the image takes `dist`, which builds slowly and runs fastest.
PROFILE ?= release
# Only for `make geth`.
GO ?= $(firstword $(shell command -v go) $(wildcard /usr/local/go/bin/go))
FIXTURES ?= $(or $(PARALLELPOOL_FIXTURES),../shared/fixtures)

VENV := .venv
HOST_PATH := $(PATH)
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
export PATH := $(VIRTUAL_ENV)/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_CONSTRAINT := constraints.txt
export PIP_QUIET := 1
unexport PYTHONHOME

ENGINE := parallelpool/_core.abi3.so
ENGINE_SOURCES := $(shell find crates/*/src crates/*/Cargo.toml -type f) \
    Cargo.toml Cargo.lock rust-toolchain.toml pyproject.toml

# Plain cargo calls see what maturin sets, otherwise pyo3 and all above it is rebuilt at every switch.
CARGO := PYO3_BUILD_EXTENSION_MODULE=1 \
    PYO3_CONFIG_FILE="$$(ls -t "$${CARGO_TARGET_DIR:-$(CURDIR)/target}"/maturin/pyo3-config-*.txt | head -n 1)" \
    cargo

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# ---------------------------------------------------------------- setting up

$(VENV)/.python:
	@PATH="$(HOST_PATH)"; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "Python 3.11 or newer is needed, as in: make PYTHON=python3.12 build" >&2; exit 1; }; \
	$(PYTHON) -c 'import ensurepip, venv' \
	    || { echo "Python's venv module is needed (Debian: python3-venv)" >&2; exit 1; }; \
	echo "making $(VENV)"; \
	$(PYTHON) -m venv --clear $(VENV)
	@$(VENV)/bin/python -m pip install --upgrade pip
	@touch $@

$(VENV)/.build-tools: $(VENV)/.python constraints.txt pyproject.toml
	@echo "installing the build tools into $(VENV)"
	@$(VENV)/bin/python -m pip install --group build
	@touch $@

$(VENV)/.check-tools: $(VENV)/.build-tools
	@echo "installing the test and lint tools into $(VENV)"
	@$(VENV)/bin/python -m pip install --group check
	@touch $@

$(ENGINE): $(ENGINE_SOURCES) $(VENV)/.build-tools
	@command -v cargo >/dev/null \
	    || { echo "a Rust toolchain is needed: cargo is not on the PATH" >&2; exit 1; }
	@echo "building the engine"
	maturin develop --release --locked
	@touch $@

.PHONY: install
install: $(VENV)/.check-tools ## set up .venv with all tools
.PHONY: build
build: $(ENGINE) ## build the engine (release profile) and install the daemon into .venv

# ---------------------------------------------------------------- running

.PHONY: run
run: build ## start the daemon on its dev chain, data in data/; flags: ARGS="--http.port 9545"
	@PARALLELPOOL_DATADIR="$${PARALLELPOOL_DATADIR:-data}" exec $(VENV)/bin/parallelpool $(ARGS)

.PHONY: demo
demo: build install ## show the whole line, from signed bytes to receipts, on a fresh daemon
	@$(VENV)/bin/python -m examples.demo $(ARGS)

.PHONY: bench
bench: ## time every workload and the batch builder with all optimization; results go to benches/results/
	@mkdir -p benches/results
	export PARALLELPOOL_FIXTURES="$(FIXTURES)"; \
	result="benches/results/$$(date +%Y-%m-%d)-$$(git rev-parse --short=12 HEAD)"; \
	bench() { cargo run --profile dist --locked -p parallelpool-bench --bin parallelpool-bench -- "$$@"; }; \
	bench run --lists --out "$$result.json" $(ARGS); \
	bench batching --out "$$result-batching.json"; \
	bench batching mainnet --out "$$result-batches.json"
	cargo bench --profile dist --locked -p parallelpool-bench --bench batching

# ---------------------------------------------------------------- checking

.PHONY: test
test: lint typecheck test-rust test-python ## check everything: lint, types, Rust tests, Python tests

.PHONY: test-all
# Random blocks for the parallel executor; make test runs 2,000. Schedules of its workers: 10,000.
test-all: export PARALLELPOOL_RANDOM_BLOCKS ?= 100000
test-all: export PARALLELPOOL_SCHEDULES ?= 500000
test-all: lint typecheck test-rust clients oracle-blocks faulty-engine sanitize $(if $(GO),geth) ## check as test does, with the slow ones and thorough properties
	HYPOTHESIS_PROFILE=thorough $(VENV)/bin/python -m pytest $(ARGS)
	$(CARGO) test --release --locked --workspace -- --ignored slow_

.PHONY: test-rust
test-rust: build ## run the Rust tests
	$(CARGO) test --release --locked --workspace
	$(CARGO) test --release --locked --package parallelpool-core --features shuttle --lib interleavings

# An engine that errs where it is told to, for the test of the daemon's self-check and for nothing else.
FAULTY_ENGINE := target/faults/_core.abi3.so
$(FAULTY_ENGINE): $(ENGINE)
	@mkdir -p $(@D)
	$(CARGO) build --release --locked --package parallelpool-py --features faults
	cp "$${CARGO_TARGET_DIR:-target}/release/lib_core.so" $@

.PHONY: faulty-engine
faulty-engine: $(FAULTY_ENGINE) ## build the engine that errs on request, for tests

# Random blocks and what the engine makes of them, for the executable specification to check.
ORACLE_BLOCKS := target/oracle/random_blocks.jsonl
$(ORACLE_BLOCKS): $(ENGINE) $(shell find crates/parallelpool-core/tests/random_blocks -type f)
	@mkdir -p $(@D)
	PARALLELPOOL_EXPORT=$(CURDIR)/$@ $(CARGO) test --release --locked --package parallelpool-core \
	    --test random_blocks -- --ignored export_random_blocks

.PHONY: oracle-blocks
oracle-blocks: $(ORACLE_BLOCKS) ## write random blocks for tests/eels

# Miri and ThreadSanitizer need a nightly toolchain with the components miri and rust-src.
NIGHTLY ?= nightly
MIRI_SEEDS ?= 0..64
INTERLEAVINGS := --package parallelpool-interleavings --test real_threads
.PHONY: sanitize
sanitize: export RUSTUP_AUTO_INSTALL := 0
sanitize: ## run the executor's scheduling under Miri and ThreadSanitizer, if the toolchain NIGHTLY has them
	@if cargo +$(NIGHTLY) miri --version >/dev/null 2>&1; then \
	    MIRIFLAGS="-Zmiri-permissive-provenance -Zmiri-many-seeds=$(MIRI_SEEDS)" CARGO_TARGET_DIR=target/miri \
	        cargo +$(NIGHTLY) miri test --locked $(INTERLEAVINGS); \
	else echo "Miri left out: rustup component add --toolchain $(NIGHTLY) miri"; fi
	@if [ -d "$$(rustc +$(NIGHTLY) --print sysroot 2>/dev/null)/lib/rustlib/src" ]; then \
	    RUSTFLAGS=-Zsanitizer=thread CARGO_TARGET_DIR=target/tsan cargo +$(NIGHTLY) test --release --locked \
	        -Zbuild-std --target "$$(rustc +$(NIGHTLY) -vV | sed -n 's/^host: //p')" $(INTERLEAVINGS); \
	else echo "ThreadSanitizer left out: rustup component add --toolchain $(NIGHTLY) rust-src"; fi

.PHONY: test-python
test-python: build install clients oracle-blocks faulty-engine ## run the Python tests; one file: ARGS=tests/config/test_load.py
	$(VENV)/bin/python -m pytest -m "not slow" $(ARGS)

.PHONY: lint
lint: build install ## ruff, import layers, rustfmt, clippy; warnings are errors
	ruff check .
	ruff format --check .
	lint-imports
	cargo fmt --all --check
	$(CARGO) clippy --release --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --release --locked --package parallelpool-core --features shuttle --lib --tests -- -D warnings

.PHONY: typecheck
typecheck: build install ## mypy strict; the engine's stub against the engine
	mypy
	$(VENV)/bin/python -m tests.core.stub

.PHONY: format
format: install ## format Python and Rust
	ruff check --fix-only .
	ruff format .
	cargo fmt --all

# JavaScript clients that the tests run against the daemon. Node comes from PyPI where there is none.
CLIENTS := tests/clients/node_modules/.installed
$(CLIENTS): tests/clients/package.json tests/clients/package-lock.json | $(VENV)/.check-tools
	@command -v npm >/dev/null || $(VENV)/bin/python -m pip install --group node
	npm ci --prefix tests/clients --no-audit --no-fund --ignore-scripts --loglevel=error
	@touch $@

.PHONY: clients
clients: $(CLIENTS) ## install cast, ethers and viem for the tests

# A real geth for tests/parallelpool/differential, the version that they compare with.
GETH_VERSION := 1.17.8
GETH := $(HOME)/.cache/parallelpool/geth-$(GETH_VERSION)/geth
$(GETH):
	@test -n "$(GO)" || { echo "a Go toolchain is needed: go is not on the PATH" >&2; exit 1; }
	GOBIN=$(@D) $(GO) install github.com/ethereum/go-ethereum/cmd/geth@v$(GETH_VERSION)

.PHONY: geth
geth: $(GETH) ## build the geth that the pool is compared with, into ~/.cache/parallelpool

.PHONY: contracts
contracts: ## compile the benchmark's contracts; what comes out is committed
	npm ci --prefix benches/contracts --no-audit --no-fund --ignore-scripts --loglevel=error
	npm run build --prefix benches/contracts --silent

# ---------------------------------------------------------------- shipping

.PHONY: docs
docs: build ## write the generated pages and the example configuration
	$(VENV)/bin/python -m config.reference

.PHONY: docker
docker: ## build the container image
	docker build --tag parallelpool .

.PHONY: dist-wheel
dist-wheel: $(VENV)/.build-tools ## build dist/*.whl with PROFILE (release or dist)
	rm -rf dist
	maturin build --profile $(PROFILE) --locked --compatibility linux --out dist

.PHONY: install-runtime
install-runtime: ## install dist/*.whl and what it needs to run into PREFIX
	@test -n "$(PREFIX)" || { echo "say where: make install-runtime PREFIX=/opt/parallelpool" >&2; exit 1; }
	PATH="$(HOST_PATH)" $(PYTHON) -m venv --clear $(PREFIX)
	VIRTUAL_ENV= $(PREFIX)/bin/python -m pip install dist/*.whl
	mkdir -p $(PREFIX)/data

.PHONY: lock
lock: ## renew constraints.txt with the newest versions that pyproject.toml allows
	rm -rf $(VENV)
	PIP_CONSTRAINT= $(MAKE) build install
	$(VENV)/bin/python -m pip list --format freeze --exclude parallelpool --exclude setuptools > constraints.txt

.PHONY: clean
clean: ## remove everything that was built; data/ stays
	rm -rf $(VENV) target dist $(ENGINE) tests/clients/node_modules
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
