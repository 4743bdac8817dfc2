# `make demo` and `make test` set everything up by themselves, from the lock file, into .venv.
PYTHON ?= python3
BIN := .venv/bin
DEMO_RUN ?= runs/demo

.DEFAULT_GOAL := help
.PHONY: help install demo play test test-all torture chromium lint lock

help: ## List the targets.
	@grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 12

install: .venv/installed ## Set up .venv from requirements.lock.

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "worldmodels needs Python 3.11 to 3.13 (Box2D has no wheels for others): make PYTHON=python3.12 ..." >&2; exit 2; }
	@echo "Setting up .venv from requirements.lock; this takes a minute or two."
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install -qq --upgrade "pip>=25"
	@$(BIN)/pip install -qq --requirement requirements.lock
	@$(BIN)/pip install -qq --no-deps --no-build-isolation --editable .
	@touch $@

demo: install ## Every stage on CarRacing in 10 to 15 minutes; ends with a table and a report.
	$(BIN)/python scripts/run_pipeline.py --run $(DEMO_RUN) --config car_racing quick
	@echo "Open $(DEMO_RUN)/report/index.html to see the agent drive and dream; make play lets you drive in the dream."

play: install ## Play inside the dreams of the trained agents, and of the demo's if it has run, in the browser.
	$(BIN)/python scripts/play_dream.py $(if $(wildcard $(DEMO_RUN)/config.yaml),--run $(DEMO_RUN)) --checkpoint checkpoints/*

test: install ## The tests, in under 10 minutes on 2 cores.
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

test-all: install chromium ## The tests, the slow ones too.
	$(BIN)/python -m pytest -n 2 --dist worksteal

torture: install ## 100 kills at random moments; what they leave is compared with undisturbed runs.
	$(BIN)/python tests/torture.py --kills 100

chromium: ## Install Chromium for the tests of the page, where that is possible.
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do \
	  command -v $$name >/dev/null && exit 0; done; \
	{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends chromium >/dev/null; } || \
	echo "There is no Chromium (apt-get install chromium): the tests of the page in a browser are skipped." >&2

lint: install ## ruff and mypy.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lock: ## Write requirements.lock anew from pyproject.toml.
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install -qq --upgrade "pip>=25"
	.venv-lock/bin/pip install -qq "torch==2.13.0" "setuptools>=77"
	.venv-lock/bin/pip install -qq ".[dev]"
	{ echo "# Made by 'make lock'. torch is whatever build of this version the machine's index offers."; \
	  .venv-lock/bin/pip freeze --all --exclude worldmodels --exclude pip | sed 's/+cpu//' | grep -vE '^(nvidia-|cuda-|triton)'; } > requirements.lock
	rm -rf .venv-lock
