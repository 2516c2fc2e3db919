# Needs GNU make and Python 3.11 or newer; the rest goes into .venv, from the locks.
# ARGS= passes more arguments to demo, test, test-servers, bench, faults, fuzz, mutants and lock; PYTHON= names the interpreter that .venv is made from.

.DEFAULT_GOAL := help
.PHONY: help demo test test-servers check bench faults fuzz mutants lock generate clean setup-runtime setup-dev

help: ## list these commands
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1#/p' Makefile | awk -F '#' '{ printf "  make %-13s %s\n", $$1, $$2 }'

demo: setup-runtime ## see it work, with servers of its own
	@.venv/bin/ops-approval demo $(ARGS)

test: setup-dev ## run the tests (ARGS="-k quorum -x" chooses)
	@.venv/bin/python -m pytest -rs -n auto --maxprocesses 4 --dist loadfile $(ARGS)

test-servers: setup-dev ## run them on each installed PostgreSQL, Redis and Valkey too
	@.venv/bin/python -m tools.server_matrix $(ARGS)

check: setup-dev ## lint, formatting and types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

faults: setup-dev ## kill, stop, cut and fill what it runs on, for an hour or more (ARGS="--only Redis --rounds 1": less)
	@.venv/bin/python -m tests.faults $(ARGS)

bench: setup-runtime ## measure how soon deadlines are acted on and events are told, and what indexes cost, for some minutes
	@.venv/bin/python -m bench.reaction $(ARGS)
	@.venv/bin/python -m bench.relay $(ARGS)
	@.venv/bin/python -m bench.indexes $(ARGS)

fuzz: setup-dev ## feed it what nobody would send, for minutes (Linux; ARGS=-max_total_time=600: longer)
	@.venv/bin/python -I -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
		--require-hashes -r requirements-fuzz.lock
	@for target in entries envelopes said; do \
		.venv/bin/python -m tests.fuzz.harness $$target -max_total_time=60 -print_final_stats=1 $(ARGS) || exit 1; \
	done

mutants: setup-dev ## change domain/ in thousands of ways and see which the tests miss, for hours (ARGS="'domain.quorum*'": less)
	@.venv/bin/python -I -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
		--require-hashes -r requirements-mutants.lock
	@.venv/bin/mutmut run $(ARGS) && .venv/bin/mutmut results | sed '/: not checked$$/d'

lock: setup-dev ## pin the dependencies of pyproject.toml (ARGS=--upgrade takes the newest)
	@$(BUILD_NEEDS) | $(COMPILE) --extra embedded --extra dev -o requirements-dev.lock $(ARGS) >/dev/null
	@# The compiler keeps the versions that it finds, so both locks pin the same.
	@cp requirements-dev.lock requirements.lock
	@$(BUILD_NEEDS) | $(COMPILE) --extra embedded -o requirements.lock >/dev/null
	@$(LOCKED) --group fuzz -o requirements-fuzz.lock $(ARGS) >/dev/null
	@# Beside what is installed already, so with the same versions of what both need.
	@$(LOCKED) --group mutants -c requirements-dev.lock -o requirements-mutants.lock $(ARGS) >/dev/null

generate: setup-dev ## write schemas and tables in docs/ and parts of schema.sql from the code
	@.venv/bin/python -m tools.generate $(ARGS)

clean: ## remove .venv, caches and build leftovers
	@rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .fuzz mutants
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup-runtime:
	@sh tools/setup.sh runtime

setup-dev:
	@sh tools/setup.sh dev

# What installing the project into .venv takes beside its dependencies.
BUILD_NEEDS = printf '%s\n' 'setuptools>=77' wheel uv
LOCKED = UV_CUSTOM_COMPILE_COMMAND='make lock' .venv/bin/uv pip compile --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links
COMPILE = $(LOCKED) pyproject.toml -
