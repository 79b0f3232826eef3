# make train   from a fresh clone to a trained and exported robot arm
# make test    the whole test suite
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.PHONY: train test check bench clean

train: .venv/installed
	$(BIN)/robotrl train arm_reach_ppo $(ARGS)

test: .venv/installed-dev
	$(BIN)/pytest --numprocesses auto --dist loadfile $(ARGS)

check: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/installed-dev
	$(BIN)/python benchmarks/sim.py
	$(BIN)/python benchmarks/learning.py
	$(BIN)/python benchmarks/link.py

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	@echo "installing into .venv (about two minutes, most of it PyTorch) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/installed-dev: .venv/installed
	@echo "installing what tests and checks need ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $@
