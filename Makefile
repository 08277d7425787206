# Every target works from a fresh clone: what it needs is installed into .venv first, once.

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2

BIN := $(VENV)/bin
# Named after the content it stands for, so that a changed requirement is installed and a mere
# checkout is not.
INSTALLED := $(VENV)/.installed-$(shell cat pyproject.toml constraints.txt | cksum | cut -d ' ' -f 1)

.PHONY: help setup demo test test-floor test-versions check fix bench bench-quick docs

help:
	@echo "make setup   install slategym and its tools into $(VENV)"
	@echo "make demo    from real ratings to a report, in minutes"
	@echo "make test    the default tests"
	@echo "make test-floor   the contract tests at the lowest versions that pyproject.toml allows"
	@echo "make test-versions   the same with every other Python of PYTHONS that is here"
	@echo "make check   format, lint, types and tests, as before a pull request"
	@echo "make fix     format, and repair what the linter can"
	@echo "make bench   benchmarks"
	@echo "make bench-quick   those that need no fitted model, small, in minutes"
	@echo "make docs    the site, in site/; open site/index.html"

setup: $(INSTALLED)

# torch comes first and alone: a range would let the newest build in, with gigabytes for GPUs.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "slategym needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@rm -f $(VENV)/.installed-*
	@touch $@

demo: setup
	$(BIN)/slategym benchmark movielens --profile quick

# All tests of a file in one process: what they share is made once.
test: setup
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile

# In a virtual environment of its own. FLOOR_TORCH: another torch, where its floor has no build
# without gigabytes for GPUs.
FLOOR_VENV ?= .venv-floor
FLOOR_TORCH ?= $(shell $(PYTHON) tests/floors.py torch)
CONTRACTS := tests/envs tests/agents/test_contract.py tests/agents/sb3 tests/agents/adapters \
  tests/robustness/test_seeds.py tests/robustness/test_settings.py tests/robustness/test_clients.py \
  tests/experiments/measure/test_slate_log.py tests/models/data/test_folder.py

test-floor:
	@test -x $(FLOOR_VENV)/bin/python || $(PYTHON) -m venv $(FLOOR_VENV)
	$(PYTHON) tests/floors.py | grep -v '^torch==' > $(FLOOR_VENV)/floors.txt
	$(FLOOR_VENV)/bin/python -m pip install --quiet torch==$(FLOOR_TORCH)
	$(FLOOR_VENV)/bin/python -m pip install --quiet --constraint $(FLOOR_VENV)/floors.txt \
	  --editable . pytest pytest-timeout pytest-xdist hypothesis 'setuptools>=77'
	$(FLOOR_VENV)/bin/python -m pytest -q -n $(WORKERS) --dist loadfile -W ignore::DeprecationWarning $(CONTRACTS)

# Python 3.12 and 3.13, each in a virtual environment of its own; one that is not here is said.
PYTHONS ?= python3.12 python3.13

test-versions:
	@set -e; for python in $(PYTHONS); do \
	  if $$python --version >/dev/null 2>&1; then \
	    $(MAKE) setup PYTHON=$$python VENV=.venv-$$(basename $$python); \
	    .venv-$$(basename $$python)/bin/python -m pytest -q -n $(WORKERS) --dist loadfile \
	      -W ignore::DeprecationWarning $(CONTRACTS); \
	  else echo "$$python is not here: name it, as make test-versions PYTHONS=/path/to/python3.12"; fi; \
	done

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile

fix: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "open site/index.html"

bench: setup
	@set -e; for script in benchmarks/*.py; do echo "$$script"; $(BIN)/python "$$script"; done

# Small, to see that nothing became much slower; figures to quote come from `make bench`.
QUICK = $(BIN)/python benchmarks

bench-quick: setup
	$(QUICK)/throughput.py --sizes 1 1024 --eager-only --rounds 3 --seconds 0.2
	$(QUICK)/training.py --users 32 --rollout 8 --minibatch 64 --rounds 2 --seconds 0.1
	$(QUICK)/memory.py --steps 2000
	$(QUICK)/catalogue.py --items 100000 --learned 1000 --rounds 3
	$(QUICK)/large_log.py --events 20000 --users 2000 --items 1000 --steps load
	$(QUICK)/gpu.py --tiny --worlds InterestEvolution-v0 --out /dev/null
