# Two commands matter: `make demo` and `make test`. Each sets up all it needs, once. What follows ## is for `make help`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.ready
DEMO := build/demo
BUNDLE := build/bundle
# Two processes of tests share the machine, and each starts others: one thread each for linear algebra.
PYTEST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --no-loadscope-reorder

NO_MINUTES := not night and not services and not slow

.PHONY: help demo test quick coverage lint audit docs setup services lock bundle clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(SETUP) ## one night, end to end, on a small catalog that the project makes itself
	rm -rf $(DEMO)
	$(BIN)/nightweave demo-data $(DEMO)/raw --nights 1
	$(BIN)/nightweave night --date 2026-11-01 --raw $(DEMO)/raw --lake $(DEMO)/lake
	@$(BIN)/nightweave explain --date 2026-11-01 --lake $(DEMO)/lake --places 3

test: $(SETUP) ## every test
	$(PYTEST)

quick: $(SETUP) ## the tests that need neither a night nor a service nor Spark: about six minutes
	$(PYTEST) -m "$(NO_MINUTES)"

coverage: $(SETUP) ## every test, and the share of the lines that they run, other processes left out; slower
	$(PYTEST) --cov --cov-report=term:skip-covered

lint: $(SETUP) ## style, types and the format of files; in a git repository as before a commit
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	if git rev-parse --git-dir > /dev/null 2>&1; then SKIP=ruff,ruff-format,mypy $(BIN)/pre-commit run --all-files; fi

audit: $(SETUP) ## known vulnerabilities of the locked packages, where PyPI's advisory database can be reached
	$(BIN)/python .ci/audit.py

docs: $(SETUP) ## the documentation as a site, in build/site; a link that leads nowhere is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

setup: $(SETUP) ## the environment in .venv, from requirements.lock

services: ## PostgreSQL and Chromium for the tests on real services; from Debian, where that is allowed
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

lock: $(SETUP) ## newest versions of all packages, as setup.cfg allows them, into the locks
	$(BIN)/uv pip compile --quiet --upgrade --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
		--extra dev --generate-hashes setup.cfg -o requirements.lock
	echo 'tensorflow[and-cuda]' | $(BIN)/uv pip compile --quiet --upgrade --python-version 3.11 \
		--python-platform x86_64-manylinux_2_28 -c requirements.lock --generate-hashes - -o docker/gpu.lock

bundle: $(SETUP) ## for executors without a shared home (docs/howto/yarn.md): our packages as a zip, and their environment
	rm -rf $(BUNDLE)
	$(BIN)/uv build --quiet --wheel --no-build-isolation --python $(BIN)/python --out-dir $(BUNDLE)
	mv $(BUNDLE)/nightweave-*.whl $(BUNDLE)/nightweave.zip
	$(BIN)/uv venv --quiet --relocatable --python $(BIN)/python $(BUNDLE)/environment
	$(BIN)/uv pip install --quiet --python $(BUNDLE)/environment -c requirements.lock -r setup.cfg
	tar -czf $(BUNDLE)/environment.tar.gz -C $(BUNDLE)/environment .

clean: ## remove what was built
	rm -rf build dist *.egg-info
