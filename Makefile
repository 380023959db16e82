# What sets up, checks and runs in CI; everything else is a command of ./tl. Every target makes the environment in .venv
# when it is missing or older than the lock, and puts it on PATH: DVC starts stages with the `python` that it finds there.
SHELL := /bin/bash
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export PYTHONUTF8 := 1
ENVIRONMENT := .venv/.from-lock
.DEFAULT_GOAL := help
.PHONY: help repro test test-full bench lint format demo ui compare check reproduce params lock audit clean environment

help:  ## list the targets; ./tl --help lists the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

$(ENVIRONMENT): requirements.lock
	@echo "environment: .venv from requirements.lock (3 GB, a few minutes the first time)"
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(not (3, 11) <= v < (3, 14) and "error: Python 3.11 to 3.13 is needed, $(PYTHON) is %d.%d; set PYTHON=..." % v)'
	@$(PYTHON) -m venv --clear .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

environment: $(ENVIRONMENT)  ## make .venv from requirements.lock; everything else does so when it is missing

repro: $(ENVIRONMENT)  ## run what has changed of the experiment, then show its results
	@dvc repro
	@python src/cli.py summary

test: $(ENVIRONMENT) lint  ## lint, types, tests
	@python -m pytest

test-full: repro lint  ## the same with tests on the real photos, after make repro
	@python -m pytest -m ""

bench: $(ENVIRONMENT)  ## time the experiment against the tutorial as a plain script: QUICK=1 for one epoch, SEEDS=5
	@python benchmarks/bench.py $(if $(QUICK),--quick) $(if $(SEEDS),--seeds $(SEEDS))

lint: $(ENVIRONMENT)  ## ruff and mypy
	@ruff check .
	@ruff format --check .
	@mypy

format: $(ENVIRONMENT)  ## let ruff format the code
	@ruff format .
	@ruff check --fix .

demo: $(ENVIRONMENT)  ## the whole DAG on drawn pictures, no download; leaves the workspace as it was
	@echo "demo: the seven stages on drawn pictures, as an experiment in a temporary directory"
	@dvc exp run --temp --force --name demo -S +experiment=demo
	@python src/cli.py summary demo
	@dvc exp remove --quiet demo
	@echo "This proves that the plumbing works here; it says nothing about accuracy on photos. Next: make repro"

ui: $(ENVIRONMENT)  ## MLflow UI on 127.0.0.1 with every experiment in it
	@python src/cli.py ui

compare: $(ENVIRONMENT)  ## compare with a revision, BASE=main, into compare/: MERGE_BASE=1 for where HEAD left it
	@python src/cli.py compare "$${BASE:-main}" $(if $(MERGE_BASE),--merge-base)

check: $(ENVIRONMENT)  ## what CI and pre-commit guard: params.yaml, dvc.lock and reports/ fit each other, no large files
	@python src/cli.py check

reproduce: $(ENVIRONMENT)  ## compute everything anew and compare it with what is committed
	@if [ -n "$$(dvc remote list)" ]; then dvc pull fetch || echo "inputs: from the mirror folder or their URL instead"; fi
	@dvc repro fetch
	@dvc repro --force --downstream split
	@python src/cli.py compare HEAD --reproduced

params: $(ENVIRONMENT)  ## write params.yaml anew from conf/, and from the schema the texts on settings
	@python src/cli.py params

lock: $(ENVIRONMENT)  ## resolve requirements.lock anew from pyproject.toml, for all supported Pythons
	@python -m pip install --quiet uv
	@uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --no-header --quiet --upgrade -o requirements.lock

audit: $(ENVIRONMENT)  ## look the locked packages up among known vulnerabilities
	@python -m pip install --quiet uv
	@uv tool run pip-audit --requirement requirements.lock --require-hashes --disable-pip

clean:  ## remove the environment, downloads and caches of tools; keeps data, models and MLflow's store
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache data/downloads
	find src tests -name __pycache__ -type d -exec rm -rf {} +
