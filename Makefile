# One command for each thing a person wants.  PYTHON may be any Python 3.11 or later.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Many small operations on few cores: threads wait for each other, processes do not.
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM = false

.PHONY: help setup machine demo gaming real test test-slow lint bench clean

help:
	@echo "make demo       the whole journey on the embedded world: pretrain, SFT, reward model, PPO, report (about 7 minutes)"
	@echo "make gaming     after the demo: the same PPO without its KL penalty, until the reward is gamed (about 3 minutes)"
	@echo "make real       recipes on public data in HEED_DATA: film reviews, stories, HH and TL;DR comparisons (about 40 minutes)"
	@echo "make test       the tests (under 10 minutes on two cores)"
	@echo "make test-slow  the tests that take minutes each: kill and resume, three seeds, real data"
	@echo "make machine    as root on Debian: Chromium and PostgreSQL for the tests that need them"
	@echo "make lint       ruff"
	@echo "make bench      speed and memory beside peers"

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("heed needs Python 3.11 or later, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all,dev]'
	touch $(READY)

machine:
	.ci/machine

demo: $(READY)
	$(BIN)/heed run --config recipes/seal_bay_ppo_1m.yaml

gaming: demo
	$(BIN)/heed run --config recipes/seal_bay_no_kl.yaml

# Where the public data lies; recipes on it name files below it.
real: export HEED_DATA ?= ../shared/data
real: $(READY)
	$(BIN)/heed run --config recipes/stories_ppo_small.yaml
	$(BIN)/heed run --config recipes/imdb_ppo_small.yaml
	$(BIN)/heed run --config recipes/hh_reward_small.yaml
	$(BIN)/heed run --config recipes/tldr_reward_small.yaml

test: $(READY)
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

test-slow: $(READY)
	$(BIN)/python -m pytest -q -m slow

lint: $(READY)
	$(BIN)/ruff check src tests benchmarks studies

bench: $(READY)
	$(BIN)/python benchmarks/rollout.py

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache
