# `make study` runs the main job, `make test` passes the tests; both make the virtual environment and install first.
VENV ?= .venv
PYTHON ?= python3
GRID ?= experiments.yaml
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help study test check clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

study: $(VENV)/.installed  ## run the default grid and write its report (GRID=file for another)
	$(BIN)/study run --grid $(GRID)
	$(BIN)/study report

check: $(VENV)/.installed  ## lint and type-check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# worksteal: what a file of tests shares is made once, nearly always
test: check  ## lint, type-check and test
	$(BIN)/pytest --numprocesses auto --dist worksteal

clean:  ## remove the virtual environment and caches, never a study
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
