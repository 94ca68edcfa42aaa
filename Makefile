# Two commands matter: `make demo` and `make test`. Each sets up all it needs, once.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.ready
DEMO := build/demo
BUNDLE := build/bundle

.PHONY: demo test lint audit setup services lock bundle clean

demo: $(SETUP)
	rm -rf $(DEMO)
	$(BIN)/nightweave demo-data $(DEMO)/raw --nights 1
	$(BIN)/nightweave night --date 2026-11-01 --raw $(DEMO)/raw --lake $(DEMO)/lake
	@$(BIN)/nightweave explain --date 2026-11-01 --lake $(DEMO)/lake --places 3
	@echo "The report: $$($(BIN)/nightweave report --date 2026-11-01 --lake $(DEMO)/lake)"

test: $(SETUP)
	$(BIN)/python -m pytest --numprocesses 2 --no-loadscope-reorder

lint: $(SETUP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Needs PyPI's advisory database; says so where there is none.
audit: $(SETUP)
	$(BIN)/python .ci/audit.py

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
	$(BIN)/python -m jobs.runtime.class_archive
	touch $@

lock: $(SETUP)
	$(BIN)/uv pip compile --quiet --upgrade --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
		--extra dev --generate-hashes setup.cfg -o requirements.lock
	echo 'tensorflow[and-cuda]' | $(BIN)/uv pip compile --quiet --upgrade --python-version 3.11 \
		--python-platform x86_64-manylinux_2_28 -c requirements.lock --generate-hashes - -o docker/gpu.lock

# What executors without a shared home need (docs/yarn.md): our packages as a zip, and the locked environment.
bundle: $(SETUP)
	rm -rf $(BUNDLE)
	$(BIN)/uv build --quiet --wheel --no-build-isolation --python $(BIN)/python --out-dir $(BUNDLE)
	mv $(BUNDLE)/nightweave-*.whl $(BUNDLE)/nightweave.zip
	$(BIN)/uv venv --quiet --relocatable --python $(BIN)/python $(BUNDLE)/environment
	$(BIN)/uv pip install --quiet --python $(BUNDLE)/environment -c requirements.lock -r setup.cfg
	tar -czf $(BUNDLE)/environment.tar.gz -C $(BUNDLE)/environment .

clean:
	rm -rf build dist *.egg-info
