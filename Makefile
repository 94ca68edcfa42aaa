# Two commands matter: `make demo` and `make test`. Each sets up all it needs, once.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.ready
DEMO := build/demo

.PHONY: demo test lint setup services lock clean

demo: $(SETUP)
	rm -rf $(DEMO)
	$(BIN)/nightweave demo-data $(DEMO)/raw --nights 1
	$(BIN)/nightweave night --date 2026-11-01 --raw $(DEMO)/raw --lake $(DEMO)/lake
	@$(BIN)/nightweave explain --date 2026-11-01 --lake $(DEMO)/lake --places 3
	@echo "The report: $$($(BIN)/nightweave report --date 2026-11-01 --lake $(DEMO)/lake)"

test: $(SETUP)
	$(BIN)/python -m pytest

lint: $(SETUP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: $(SETUP)

# PostgreSQL and Chromium, which the tests on real services start; from Debian, where that is allowed.
services:
	@.ci/services

# uv itself is pinned in the lock, so it is installed from there first, hashes checked like the rest.
$(SETUP): requirements.lock setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	sed -n '/^uv==/,/# via/p' requirements.lock > $(VENV)/uv.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.lock
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	$(BIN)/python -m jobs.class_archive
	touch $@

lock: $(SETUP)
	$(BIN)/uv pip compile --quiet --upgrade --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
		--extra dev --generate-hashes setup.cfg -o requirements.lock

clean:
	rm -rf build dist *.egg-info
