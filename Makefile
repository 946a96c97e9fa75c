# One target per thing a person does here. Each builds the Python environment it needs by itself.
SHELL := bash
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
# Where images of machines set it, each process of the tests would compile all libraries anew.
unexport PYTHONDONTWRITEBYTECODE

# They wait much and compute little, whatever the machine's size.
E2E := $(PYTHON) -m pytest -n 2 tests/e2e

.PHONY: help run livekit test e2e lint bench bench-livekit clean environment

help: ## Show what there is
	@grep -E '^[a-z0-9-]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 16

run: ## Start the demo clinic at http://127.0.0.1:8000 (another port: PORT=8010 make run)
	@python="$$(scripts/find-python)" && "$$python" scripts/check_port.py && \
		"$$python" scripts/environment.py run && exec $(PYTHON) manage.py serve

livekit: ## The same through a LiveKit server on this machine (Redis, livekit-server, worker, web)
	@python="$$(scripts/find-python)" && "$$python" scripts/check_port.py && \
		"$$python" scripts/livekit_tools.py && "$$python" scripts/environment.py production && \
		exec $(PYTHON) scripts/livekit.py

# pytest exits with 5 where ARGS chose none of these tests.
test: environment ## Run every test this machine can run (ARGS="-k menu" for some); says what it left out
	@failed=0; \
		$(PYTHON) -m pytest -n logical --ignore tests/e2e $(ARGS) || failed=1; \
		echo "Once more on PostgreSQL, what depends on the database:"; \
		$(PYTHON) scripts/with_postgresql.py $(PYTHON) -m pytest -n logical --reuse-db -m "not any_database" --ignore tests/e2e $(ARGS) || [ $$? = $(if $(ARGS),5,0) ] || failed=1; \
		echo "Calls over a real livekit-server and real workers:"; \
		$(E2E) -m "not long and not crowd" $(ARGS) || [ $$? = $(if $(ARGS),5,0) ] || failed=1; \
		echo "Left out: calls that take minutes, or fill the machine: make e2e"; \
		exit $$failed

e2e: environment ## All calls over a real livekit-server, Redis and workers (installs those where they are missing)
	@$(PYTHON) scripts/livekit_tools.py && $(E2E) $(ARGS)

lint: environment ## Check style, types, templates, migrations and import rules
	@scripts/lint

bench: environment ## Measure keys, calls and typing, beside the stock library
	@$(PYTHON) -m benchmarks

bench-livekit: environment ## Measure calls over a real livekit-server and worker (installs it where it is missing)
	@$(PYTHON) scripts/livekit_tools.py && $(PYTHON) -m benchmarks.livekit $(ARGS)

environment:
	@python="$$(scripts/find-python)" && "$$python" scripts/environment.py test

clean: ## Remove the Python environment and caches; the demo's data in var/ stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
