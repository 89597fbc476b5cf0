# `make demo` and `make test` set everything up by themselves; `make help` lists the rest.
PYTHON ?= python3
VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
# DVC's stages call `python`, and tests call `dvc`, `act`, `npm`: those of this environment come first.
export PATH := $(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Thousands of short runs of our own code: each would compile it anew.
unexport PYTHONDONTWRITEBYTECODE
SOURCES := src scripts tests benchmarks demo docs
.DEFAULT_GOAL := help
.PHONY: help demo test check lint types docs fresh format generate pictures bench clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: $(VENV)/.all ## A pull request measured, judged, reported, merged and deployed, on real data (about 5 minutes)
	@$(BIN)/python -m demo

test: $(VENV)/.dev tests/e2e/node_modules/.ready ## All tests, real engines included (about 20 minutes)
	@.ci/system-packages
	@echo "testing: about 20 minutes, one dot a test"
	@$(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile

check: lint types docs fresh test ## What CI asks
	@echo "check: format, lint, import contracts, types, docs, generated files and tests are in order"

lint: $(VENV)/.dev ## Format, lint, import contracts, workflows
	@$(BIN)/ruff format --check -q $(SOURCES)
	@$(BIN)/ruff check -q $(SOURCES)
	@$(BIN)/lint-imports --no-cache >.lint-imports.log || { cat .lint-imports.log; rm .lint-imports.log; exit 1; }
	@rm .lint-imports.log

types: $(VENV)/.dev ## mypy, strict
	@$(BIN)/mypy --no-error-summary

docs: $(VENV)/.dev ## Build the documentation, strict
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir site >.docs.log 2>&1 || { cat .docs.log; rm .docs.log; exit 1; }
	@rm .docs.log

fresh: $(VENV)/.dev ## Fail if a generated file is not what its source makes
	@$(BIN)/python docs/generate.py --check

format: $(VENV)/.dev ## Format the code
	@$(BIN)/ruff format -q $(SOURCES)
	@$(BIN)/ruff check -q --fix $(SOURCES)

generate: $(VENV)/.dev ## Write the generated files anew
	@$(BIN)/python docs/generate.py

pictures: $(VENV)/.dev ## Draw the documentation's pictures anew from the last demo
	@.ci/system-packages
	@$(BIN)/python docs/pictures.py

bench: $(VENV)/.all ## seatrial beside its peers, one run each
	@$(BIN)/python -m pip install -q --group bench
	@$(BIN)/python benchmarks/compare_vs_dvc.py
	@$(BIN)/python benchmarks/stats_vs_peers.py --quick

clean: ## Remove the environment and everything that was generated
	rm -rf .venv site dist demo-out tests/e2e/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "seatrial needs Python 3.10 or later: make PYTHON=python3.11 …" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "Python's venv is missing: apt-get install python3-venv" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.all: $(VENV)/.made pyproject.toml
	@echo "setting up .venv with DVC, scikit-learn and TensorFlow (about 2 minutes)"
	@$(BIN)/python -m pip install -q -e '.[all]' --group demo
	@touch $@

$(VENV)/.dev: $(VENV)/.all
	@echo "setting up the tools of the tests (about 1 minute)"
	@$(BIN)/python -m pip install -q --group dev
	@$(BIN)/python -m pip install -q --no-deps 'tensorflow-serving-api>=2.18' # asks for tensorflow; tensorflow-cpu is here
	@touch $@

tests/e2e/node_modules/.ready: $(VENV)/.dev tests/e2e/package-lock.json
	@echo "setting up gitlab-ci-local, Mermaid and axe"
	@npm ci --silent --no-audit --no-fund --prefix tests/e2e >/dev/null
	@touch $@
