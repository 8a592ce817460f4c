# `make run` and `make test` are all one needs; `make help` lists the rest.
PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
VENV := .venv
PY := $(VENV)/bin/python
HOST ?= 127.0.0.1
PORT ?= 8000
PYTEST_ARGS ?=
export HOST PORT

.DEFAULT_GOAL := help
.PHONY: help run test lint format audit bench openapi screenshots setup setup-dev setup-test lock clean

help: ## list these targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: setup ## serve the product at http://127.0.0.1:8000 (HOST= PORT= change it); Ctrl-C stops everything
	@exec $(PY) manage.py launch

test: setup-test ## every test: Python on private Postgres and Redis, JavaScript, Chromium; then a summary
	@$(PY) scripts/check.py test -- $(PYTEST_ARGS)

lint: setup-dev ## ruff, mypy, import rules, tsc, migrations complete, production checks
	@$(PY) scripts/check.py lint

format: setup-dev ## let ruff rewrite the Python sources
	@$(VENV)/bin/ruff check --fix-only --quiet . && $(VENV)/bin/ruff format .

bench: setup-dev ## measure codec, inference server and live path on this machine
	@$(PY) -m benchmarks

audit: setup-dev ## look up the pinned versions in the advisory database (needs the network)
	@$(VENV)/bin/pip-audit --no-deps --disable-pip --progress-spinner off -r requirements/base.txt

openapi: setup-dev ## write docs/openapi.yaml anew (a test compares it with the code)
	@DATABASE_URL=postgres://nobody@127.0.0.1:1/none $(PY) manage.py spectacular \
		--lang en --validate --fail-on-warn --file docs/openapi.yaml  # Postgres' bounds of numbers; nothing connects

screenshots: setup-test ## take docs/screenshots/ anew, of every page and state
	@$(PY) -m tests.support.screenshots

setup: ## make or complete .venv from the lock files (idempotent)
	@$(PYTHON) scripts/setup.py

setup-dev: ## the same with the tools for tests and linting
	@$(PYTHON) scripts/setup.py --dev

setup-test: ## the same with Postgres, Redis and Chromium (by apt, where missing and allowed)
	@$(PYTHON) scripts/setup.py --dev --system

lock: setup-dev ## resolve requirements/*.in anew into the lock files
	@$(PY) scripts/lock.py

clean: ## remove the environment, caches and run-time data in var/ (asks first when var/ holds a database)
	@$(PYTHON) scripts/clean.py
