# `make` prints the verbs. Each one makes its own virtual environment first, from the lock files.

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
PIP    := $(PY) -m pip --disable-pip-version-check -q
ARGS   ?=
PYTEST ?= -n auto --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo test check bench up lock clean

help:
	@echo "make demo     the whole story against four sandboxes, with a table at the end"
	@echo "make up       the service on your own configuration, until Ctrl-C   (ARGS=\"--port 9000 --flower\")"
	@echo "make test     every test that needs nothing but Python; more where servers run   (ARGS=\"tests/flow\")"
	@echo "make check    format, lint, types, import contracts, migration drift"
	@echo "make bench    the benchmarks, each with a ratio against a named peer"
	@echo "make lock     resolve the dependencies anew"
	@echo "make clean    remove the virtual environment and every cache"

demo: $(VENV)/runtime.stamp
	@$(VENV)/bin/syncsvc demo $(ARGS)

up: $(VENV)/runtime.stamp
	@$(VENV)/bin/syncsvc up $(ARGS)

test: $(VENV)/dev.stamp
	@$(PY) -m pytest $(PYTEST) $(ARGS)

check: $(VENV)/dev.stamp
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
	@# Migrations from empty, then the database against the tables that the code believes in.
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT \
	  && printf '[service]\nphoto_key = "env:SCRATCH_KEY"\n' > "$$dir/syncsvc.toml" \
	  && export SCRATCH_KEY="$$(head -c 32 /dev/zero | base64)" SYNCSVC_CONFIG="$$dir/syncsvc.toml" \
	  && $(VENV)/bin/syncsvc db upgrade && $(VENV)/bin/syncsvc db check

bench: $(VENV)/dev.stamp
	@for file in benchmarks/[!_]*.py; do $(PY) -m benchmarks.$$(basename $$file .py) $(ARGS) || exit 1; done

lock: $(VENV)/dev.stamp
	$(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --group build pyproject.toml -o requirements.lock
	$(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What a developer needs holds what a user needs, at the same versions. The lock files are whole, so pip need not
# look for anything besides: left to itself it takes `pydantic[email]`, which somebody depends on, for another package
# than the pinned `pydantic`, and fails as soon as there is a newer one.
$(VENV)/runtime.stamp: requirements.lock pyproject.toml | $(PY)
	@test -f $(VENV)/dev.stamp || echo "installing syncsvc into $(VENV)"
	@$(PIP) install --require-hashes --no-deps -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.stamp: requirements-dev.lock requirements.lock pyproject.toml | $(PY)
	@echo "installing syncsvc and its tools into $(VENV)"
	@$(PIP) install --require-hashes --no-deps -r requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $(VENV)/runtime.stamp $@

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "syncsvc needs Python 3.11 or newer, and '$(PYTHON)' is not; name one with: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
	  rm -rf $(VENV); echo "'$(PYTHON)' has no working venv module; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
