# SPDX-License-Identifier: GPL-3.0-or-later
# Everything happens inside this folder: tools in .venv, caches and mirrors in .build, the lab in .lab.

PYTHON ?= python3
DISASTER ?= data-loss
PYTEST_ARGS ?=
SIZE ?= small
ROUNDS ?= 3
SECONDS ?= 60

# The user's own HOME and PATH are needed once, to install; whatever runs later gets a home of its own.
ifndef USER_HOME
export USER_HOME := $(HOME)
export USER_PATH := $(PATH)
endif
export HOME := $(CURDIR)/.build/home
export PATH := $(CURDIR)/.venv/bin:$(USER_PATH)
export TMPDIR := $(CURDIR)/.build/tmp
export XDG_CACHE_HOME := $(CURDIR)/.build/cache
# Compiled once and kept: Ansible starts a Python for every task, and half of its start is compiling.
export PYTHONPYCACHEPREFIX := $(XDG_CACHE_HOME)/pycache
unexport PYTHONDONTWRITEBYTECODE
export XDG_DATA_HOME := $(HOME)/.local/share
export XDG_STATE_HOME := $(HOME)/.local/state
export PIP_CACHE_DIR := $(XDG_CACHE_HOME)/pip
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export UV_CACHE_DIR := $(XDG_CACHE_HOME)/uv
export HYPOTHESIS_STORAGE_DIRECTORY := $(XDG_CACHE_HOME)/hypothesis
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export ANSIBLE_HOME := $(CURDIR)/.build/ansible
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/collections
export MOLECULE_EPHEMERAL_DIRECTORY := $(CURDIR)/.build/molecule

# git must list the files of a clone that belongs to another user too, as it may in a container.
export GIT_CONFIG_COUNT := 1
export GIT_CONFIG_KEY_0 := safe.directory
export GIT_CONFIG_VALUE_0 := $(CURDIR)

READY := .venv/.installed .build/tmp .build/home

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test test-fast lint sanity molecule pytest contract chaos journeys bench fuzz lab-up lab-down clean

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

setup: $(READY) ## install the tools into .venv (every target does so when it must)

demo: $(READY) ## a disaster and its recovery, on this machine alone; DISASTER=data-loss, dropped-table, dropped-database or corrupt; WARM=1: and after a drill
	@python -m lab --state .build/demo demo --disaster "$(DISASTER)" $(if $(WARM),--warm)

test: $(READY) ## everything: lint, sanity, molecule, pytest
	@tests/all.sh "$(MAKE) --no-print-directory"

test-fast: $(READY) ## within a minute: ruff, mypy, unit and contract tests
	@ruff check --quiet .
	@mypy
	@pytest --quiet --numprocesses 2 --dist loadfile -m "not slow" $(PYTEST_ARGS) tests/unit tests/contract

lint: $(READY) ## style, types, shell, licences, playbooks and roles, documentation, changelog
	ruff check .
	ruff format --check .
	mypy
	shellcheck .ci/run tests/all.sh
	pytest --quiet --no-header --durations=0 tests/unit/test_house.py
	antsibull-changelog lint
	ansible-lint --offline --strict
	antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs=self .

sanity: $(READY) ## ansible-test sanity, without an ignore
	@python tests/sanity/run.py

# Its plays too share what Ansible makes of the modules; see tests/in_plays.
molecule: export PYTHONPATH := $(CURDIR)/tests/in_plays
molecule: export KEPT_MODULES := $(TMPDIR)/kept-modules-of-molecule
molecule: $(READY)
	@rm -rf "$$KEPT_MODULES"
	@for scenario in $(notdir $(wildcard molecule/*)); do molecule test --scenario-name $$scenario || exit 1; done

# By file, because a file's tests share one platform or server; three, because plays wait for a third of their time;
# in the order of the folders, because the few tests of chaos take the longest, and the many of unit fill what is left.
pytest: $(READY)
	@pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

contract: $(READY) ## the modules against any Dokploy: the double, or the one of DOKPLOY_URL, DOKPLOY_API_KEY and CONTRACT_CONFIG
	@pytest $(PYTEST_ARGS) tests/contract/test_any_dokploy.py

chaos: $(READY) ## kill restores, recoveries and releases at every moment, 90 times
	@CHAOS=all pytest $(PYTEST_ARGS) tests/chaos

journeys: $(READY) ## releases, whole: good and bad ones of every kind, hotfix, revert and resumption
	@JOURNEYS=all pytest $(PYTEST_ARGS) tests/integration/test_release.py tests/integration/test_release_journey.py

bench: $(READY) ## how fast a restore is, beside psql and pg_restore; SIZE=small|large ROUNDS=3
	@python -m tests.bench --size "$(SIZE)" --rounds "$(ROUNDS)"

fuzz: $(READY) ## mutilated dumps for the reader, for SECONDS=60
	@python tests/fuzz/reader.py --seconds "$(SECONDS)"

lab-up: $(READY) ## start a platform on this machine: PostgreSQL, API, Dokploy double, a week of dumps
	@python -m lab up

lab-down: $(READY) ## stop it; no process stays behind
	@python -m lab down

clean: ## stop the lab and remove all that was built: a fresh clone
	@for state in .lab .build/demo; do if [ -d $$state ] && [ -x .venv/bin/python ]; then python -m lab --state $$state down; fi; done
	@rm -rf .venv .lab .build .ansible tests/output .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name .git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +

.build/tmp .build/home:
	@mkdir -p $@

# uv installs in seconds what takes pip a minute; where it cannot be had or cannot reach the index, pip does it.
.venv/.installed: export HOME := $(USER_HOME)
.venv/.installed: export PATH := $(USER_PATH)
.venv/.installed: requirements.txt requirements-dev.txt | .build/tmp .build/home
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo >&2 "Python 3.11 or newer is needed;" \
	  "'$(PYTHON)' is: $$($(PYTHON) -V 2>&1). Install it, or name another: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>&- || { echo >&2 "'$(PYTHON)' cannot make virtual environments." \
	  "On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "Installing the tools into .venv ($$($(PYTHON) -V)) …"
	@$(PYTHON) -m venv --clear .venv
	@{ .venv/bin/python -m pip install -qq --constraint requirements-dev.txt uv \
	  && .venv/bin/uv pip install --quiet --python .venv/bin/python -r requirements-dev.txt; } \
	  || { echo "uv could not; now with pip, which takes a minute …"; \
	    .venv/bin/python -m pip install --quiet -r requirements-dev.txt; }
	@touch $@
