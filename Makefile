# legoc. `make help` lists what can be made. Only Python 3.11 or newer, make and git are needed: the targets make their
# own environment in .venv, once, and again when pyproject.toml or constraints.txt changes.

PYTHON ?= $(or $(shell command -v python3.11),python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

# Stamps: what .venv holds. The tools of `make test` include everything that `make demo` needs.
MADE := $(VENV)/.made
FOR_USE := $(VENV)/.for-use
FOR_WORK := $(VENV)/.for-work

.DEFAULT_GOAL := help
.PHONY: help demo train-demo test lint types imports unit format wheel clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(FOR_USE) ## build the shipped stack and sample emoji from it with four skip policies, into demo/
	$(BIN)/python examples/demo/run.py

train-demo: $(FOR_USE) ## train a small stack on 3,781 emoji for a few minutes, sample it with three skip policies, into demo/trained/
	$(BIN)/python examples/demo/train.py

test: lint types imports unit ## everything that must pass: style, types, import contracts, tests

lint: $(FOR_WORK) ## style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(FOR_WORK) ## pyright, strict
	$(BIN)/pyright --pythonpath $(BIN)/python

imports: $(FOR_WORK) ## which room may import which
	$(BIN)/lint-imports

unit: $(FOR_WORK) ## the tests alone
	$(BIN)/python -m pytest

format: $(FOR_WORK) ## format the code and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: $(FOR_WORK) ## build the distribution into dist/
	$(BIN)/python -m build

clean: ## remove the environment and everything made, but not runs/ and build/
	rm -rf $(VENV) demo dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(MADE):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "legoc needs Python 3.11 or newer, and $(PYTHON) is %d.%d: make PYTHON=/path/to/python3.11 ..." % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(FOR_USE): $(MADE) pyproject.toml constraints.txt
	$(PIP) install --quiet -c constraints.txt -e .
	@touch $@

$(FOR_WORK): $(MADE) pyproject.toml constraints.txt
	$(PIP) install --quiet -c constraints.txt -e '.[dev]'
	@touch $(FOR_USE) $@
