# `make` alone lists the targets. Everything lives in .venv; nothing is installed outside this directory.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# The tests start hundreds of processes: each would compile the whole program anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test browser check fix types bench lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

demo: $(VENV)/.runtime ## run the gateway on the built-in simulator; prints URL, keys and a curl line
	@exec $(BIN)/copilot-api demo

test: $(VENV)/.dev browser ## run the whole test suite
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder -q

# The shell is the same engine without a browser's own windows: a page takes half the CPU.
browser: ## install Chromium for the tests in a browser, where it is missing and may be
	@command -v chromium-headless-shell >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then echo "installing Chromium's headless shell ..." && \
	    apt-get update -qq && for browser in chromium-headless-shell chromium; do \
	      DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$browser fonts-noto-core fonts-dejavu-core >/dev/null && break; done; \
	  else false; fi; } || command -v chromium chromium-browser google-chrome >/dev/null || echo "no Chromium: the tests in a browser are skipped"

check: $(VENV)/.dev ## what a push must pass: lint, format, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

fix: $(VENV)/.dev ## format, and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev ## measure the gateway against a direct call and an nginx hop (needs cc and nginx)
	$(BIN)/python bench/run.py

lock: ## pin the newest dependencies that pyproject.toml admits (needs uv)
	uv pip compile -q --upgrade pyproject.toml --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -o requirements/runtime.txt
	uv pip compile -q --upgrade pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -o requirements/dev.txt

clean: ## remove the environment and every cache
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache bench/build bench/out

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "copilot-api needs Python 3.11 or newer; set PYTHON=python3.11" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV)

# The dev environment holds the runtime one too, so whichever stands already is enough for `demo`.
$(VENV)/.runtime: requirements/runtime.txt requirements/dev.txt pyproject.toml | $(BIN)/python
	@if [ -e $(VENV)/.dev ]; then $(MAKE) --no-print-directory $(VENV)/.dev; else \
	  echo "installing into $(VENV) ..." && \
	  $(BIN)/python -m pip install -qq --require-hashes -r requirements/runtime.txt && \
	  $(BIN)/python -m pip install -qq --no-deps -e . ; fi
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(BIN)/python
	@echo "installing into $(VENV) ..."
	@$(BIN)/python -m pip install -qq --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation -e .
	@touch $@
