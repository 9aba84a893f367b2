# `make study` runs the main job, `make test` passes the tests; both make the virtual environment and install first.
VENV ?= .venv
PYTHON ?= python3
GRID ?= experiments.yaml
BIN := $(VENV)/bin
# Bytecode is kept, whatever the environment says: every process of the tests would compile the same files again.
export PYTHONDONTWRITEBYTECODE :=
# Four test processes at least: many tests wait for programs that they start. worksteal: what a file of tests shares is
# made once, nearly always.
PYTEST = $(BIN)/pytest --numprocesses $$($(PYTHON) -c 'import os; print(max(4, os.cpu_count() or 1))') --dist worksteal
# What `make quick` leaves out: files that start the program, a browser, a cluster, a server or searches, or draw reports
LONG := bench faults golden gpu report track train probe tune launch/executors \
	launch/plan/test_probe_tags.py launch/plan/test_stale_runs.py launch/scheduler/test_run_logger.py \
	launch/test_dataset_record.py launch/test_made.py launch/test_own_nets.py launch/test_proposal.py \
	launch/test_run_grid.py launch/test_splits.py launch/scheduler/test_worker_pool.py launch/worker \
	cli/test_app.py cli/test_complete.py cli/test_data.py cli/test_report.py cli/test_status.py \
	config/test_grid_fuzz.py verdict/test_sentences.py verdict/test_simulation.py test_examples.py test_docs.py \
	test_forks.py

.DEFAULT_GOAL := help
.PHONY: help study test quick check clean

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
	$(BIN)/mypy --num-workers 2

test: check  ## lint, type-check and test
	$(PYTEST)

quick: $(VENV)/.installed  ## the tests that take no program, browser, cluster or server: a minute and a half
	$(PYTEST) -m "not slow" $(addprefix --ignore=tests/,$(LONG))

clean:  ## remove the virtual environment and caches, never a study
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
