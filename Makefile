# Needs GNU make and Python 3.11 or newer; the rest goes into .venv, from the locks.
# ARGS= passes more arguments to demo, test, test-servers and lock; PYTHON= names the interpreter that .venv is made from.

.DEFAULT_GOAL := help
.PHONY: help demo test test-servers check lock generate clean setup-runtime setup-dev

help: ## list these commands
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1#/p' Makefile | awk -F '#' '{ printf "  make %-13s %s\n", $$1, $$2 }'

demo: setup-runtime ## see it work, with servers of its own
	@.venv/bin/ops-approval demo $(ARGS)

test: setup-dev ## run the tests (ARGS="-k quorum -x" chooses)
	@.venv/bin/python -m pytest -rs $(ARGS)

test-servers: setup-dev ## run them on each installed PostgreSQL, Redis and Valkey too
	@.venv/bin/python -m tools.server_matrix $(ARGS)

check: setup-dev ## lint, formatting and types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

lock: setup-dev ## pin the dependencies of pyproject.toml (ARGS=--upgrade takes the newest)
	@$(BUILD_NEEDS) | $(COMPILE) --extra embedded --extra dev -o requirements-dev.lock $(ARGS) >/dev/null
	@# The compiler keeps the versions that it finds, so both locks pin the same.
	@cp requirements-dev.lock requirements.lock
	@$(BUILD_NEEDS) | $(COMPILE) --extra embedded -o requirements.lock >/dev/null

generate: setup-dev ## write schemas and tables in docs/ and parts of schema.sql from the code
	@.venv/bin/python -m tools.generate $(ARGS)

clean: ## remove .venv, caches and build leftovers
	@rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup-runtime:
	@sh tools/setup.sh runtime

setup-dev:
	@sh tools/setup.sh dev

# What installing the project into .venv takes beside its dependencies.
BUILD_NEEDS = printf '%s\n' 'setuptools>=77' wheel uv
COMPILE = UV_CUSTOM_COMPILE_COMMAND='make lock' .venv/bin/uv pip compile --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links pyproject.toml -
