# What a person types. `make help` lists it. Only Python and make are needed: uv is fetched
# into .uv/ when there is none.

PYTHON ?= python3
# Run, not only looked up: a version manager's shim may be there without uv behind it.
UV := $(shell uv --version >/dev/null 2>&1 && echo uv || echo .uv/bin/uv)
RUN := $(UV) run --no-sync
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help up token test lint types check lock openapi clean

help: ## List these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

up: .venv/installed ## Run the service with its own PostgreSQL; Ctrl-C stops it
	@exec $(RUN) task-service dev

token: .venv/installed ## Print a token of the user "developer"
	@$(RUN) task-service token

test: .venv/installed ## Run every test that needs no cluster, with coverage
	$(RUN) pytest -n $(JOBS) --cov=backend

lint: .venv/installed ## Check style, imports between layers, and SQL
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) lint-imports --no-logo

types: .venv/installed ## Check types
	$(RUN) mypy

check: lint types test ## Everything above

lock: $(filter .uv/bin/uv,$(UV)) ## Resolve the dependencies anew (set exclude-newer in pyproject.toml first)
	$(UV) lock
	$(UV) export -q --no-dev --no-emit-project --no-header --no-annotate -o requirements.lock
	$(UV) export -q --no-emit-project --no-header --no-annotate -o requirements-dev.lock

openapi: .venv/installed ## Write docs/openapi.json, the stored copy of the contract
	$(RUN) task-service openapi > docs/openapi.json

clean: ## Remove what the targets above made, but not the development database
	rm -rf .venv .uv .mypy_cache .pytest_cache .ruff_cache .hypothesis .cache dist

.venv/installed: pyproject.toml requirements-dev.lock $(filter .uv/bin/uv,$(UV))
	$(UV) venv --quiet --allow-existing
	$(UV) pip sync --quiet --require-hashes requirements-dev.lock
	$(UV) pip install --quiet --no-deps --editable .
	@touch $@

.uv/bin/uv:
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet uv
