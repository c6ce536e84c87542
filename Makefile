# Everything a newcomer needs, on a machine that has only Python >= 3.11 with venv.
#   make demo   set up, then watch a simulated junction (DEMO="--duration 10 --headless" to change)
#   make test   set up, then lint, type-check, check the import contract and run the tests
# Set-up happens once: versions are pinned with hashes in requirements*.lock.

PYTHON ?= $(firstword $(foreach p,python3.14 python3.13 python3.12 python3.11 python3,$(if $(shell $(p) -c 'import sys; exit(not (3,11) <= sys.version_info[:2] < (3,15))' 2>/dev/null && echo ok),$(p))))
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes
DEMO ?= --duration 60
TESTS ?= tests
JOBS ?= 2
SOAK ?= --hours 2 --speed 20 --seed 1

# Tests start hundreds of processes: what is compiled once (installed with --no-compile, so only what
# is used) must be kept, also where the environment forbids it.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-long soak lint setup setup-dev lock clean

help:
	@sed -n '2,4s/^# *//p' Makefile

demo: setup
	@$(BIN)/rsu demo $(DEMO)

test: setup-dev lint
	@$(BIN)/python -m pytest $(TESTS) -m "not long" -n $(JOBS) --dist loadfile

test-long: setup-dev
	@$(BIN)/python -m pytest $(TESTS) -m long

# Needs mosquitto. SOAK="--minutes 3" for a short one.
soak: setup-dev
	@$(BIN)/python tools/soak.py $(SOAK)

lint: setup-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy rsu
	@$(BIN)/lint-imports --no-logo

setup: $(VENV)/.runtime
setup-dev: $(VENV)/.dev

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "no Python 3.11-3.14 found: install one with venv, or say make PYTHON=/path/to/python3"; exit 2; }
	@echo "creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { echo "python has no venv: on Debian, apt install python3-venv"; rm -rf $(VENV); exit 2; }

# The package itself is used from the checkout: a path file instead of an editable build.
$(VENV)/.runtime: requirements.lock tools/link_checkout.py | $(BIN)/python
	@echo "installing pinned packages (once)"
	@$(PIP_INSTALL) -r requirements.lock
	@$(BIN)/python tools/link_checkout.py
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@echo "installing pinned development packages (once)"
	@$(PIP_INSTALL) -r requirements-dev.lock
	@touch $@

# Maintainers: resolve pyproject.toml anew for every supported Python and machine (needs uv).
lock:
	@tools/lock.sh

clean:
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find rsu tests tools -name __pycache__ -prune -exec rm -rf {} +
