# Development commands; `make help` lists them. Requires Python and make. Installs uv into .uv/ if
# it is missing.

PYTHON ?= python3
# Runs uv to detect it: a version manager's shim may exist without uv.
UV := $(shell uv --version >/dev/null 2>&1 && echo uv || echo .uv/bin/uv)
RUN := $(UV) run --no-sync
# Without stored bytecode each start of Python compiles every library, which takes seconds.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help up full token seed pre-commit test test-without-fast-paths lint types check bench lock docs prometheus-rules dashboard-images page-images drill rename clean

help: ## List these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 25

up: .venv/installed ## Run the service with an embedded PostgreSQL; Ctrl-C stops it
	@exec $(RUN) task-service dev

full: .venv/installed ## Run the page too, on http://localhost:3000; Ctrl-C stops everything
	@exec $(RUN) python -m deploy.full_stack

token: .venv/installed ## Print a token for the user "developer"
	@$(RUN) task-service token

seed: .venv/installed ## Create 200 tasks for each of five users
	@$(RUN) task-service seed

pre-commit: .venv/installed ## Install the pre-commit hooks
	$(RUN) pre-commit install

test: .venv/installed ## Run every test that needs no cluster, with coverage
	$(RUN) pytest --cov=backend

THROUGH_FAST_PATHS = $(patsubst %,tests/integration/test_%.py, \
	database_faults http_protocol isolation multiprocess_metrics observability paging)

test-without-fast-paths: .venv/installed ## Run the tests of requests, metrics and logs with FAST_PATHS=off
	FAST_PATHS=off $(RUN) pytest tests/unit tests/contract $(THROUGH_FAST_PATHS)

lint: .venv/installed ## Check style, imports between layers, words and the Dockerfiles
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) lint-imports --no-logo
	$(RUN) codespell
	$(RUN) hadolint Dockerfile frontend/Dockerfile

types: .venv/installed ## Check types
	$(RUN) mypy

check: lint types test ## Run lint, types and test

bench: .venv/installed ## Benchmark the service and its baselines (needs wrk and an idle machine; 10 min)
	$(RUN) python -m deploy.bench run --chart docs/images/performance.png

lock: $(filter .uv/bin/uv,$(UV)) ## Update the lock files (set exclude-newer in pyproject.toml first)
	$(UV) lock
	$(UV) export -q --no-dev --no-emit-project --no-header --no-annotate -o requirements.lock
	$(UV) export -q --no-emit-project --no-header --no-annotate -o requirements-dev.lock

docs: .venv/installed ## Generate docs/openapi.json, docs/configuration.md, the chart's README and the page's API types
	$(RUN) task-service openapi > docs/openapi.json
	printf '# Configuration\n\nSettings are environment variables, or entries of a file `.env` in the working directory. An empty variable counts as unset.\nWhitespace around a value is ignored. Lists are comma separated, not JSON. Printed settings mask passwords in URLs.\nThe key set is fetched through the proxy in HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, unless NO_PROXY lists its host.\n`make docs` generates this page from `backend/config.py`.\n\n' > docs/configuration.md
	$(RUN) task-service config --table >> docs/configuration.md
	$(RUN) python -m deploy.chart_readme
	$(RUN) python -m deploy.layer_table
	@if command -v npm >/dev/null; then cd frontend && npm ci --silent && npm run --silent contract -- --output src/task-service.d.ts; \
	else echo 'npm is not installed: frontend/src/task-service.d.ts is not generated.'; fi

prometheus-rules: .venv/installed ## Render the chart's alerts as a Prometheus rule file for compose (needs helm)
	$(RUN) python -m deploy.render_rules

dashboard-images: .venv/installed ## Render the dashboards with compose's Prometheus into docs/images
	$(RUN) python -m deploy.render_dashboards

page-images: .venv/installed ## Render the page with Chromium into docs/images, light and dark
	$(RUN) python -m deploy.render_page

drill: .venv/installed ## Inject load, faults and latency into the service of `docker compose`
	@$(RUN) python -m deploy.drill --compose

rename: .venv/installed ## Give this clone the name of another service: make rename NAME=notes
	@$(RUN) python -m deploy.rename '$(NAME)'
	@$(RUN) ruff check --quiet --fix .
	@$(RUN) ruff format --quiet .
	@$(MAKE) --no-print-directory docs

clean: ## Remove generated files, except the development database
	rm -rf .venv .uv .mypy_cache .pytest_cache .ruff_cache .hypothesis .cache dist

.venv/installed: pyproject.toml requirements-dev.lock $(filter .uv/bin/uv,$(UV))
	$(UV) venv --quiet --allow-existing
	$(UV) pip sync --quiet --require-hashes requirements-dev.lock
	$(UV) pip install --quiet --no-deps --editable .
	@touch $@

.uv/bin/uv:
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet uv
