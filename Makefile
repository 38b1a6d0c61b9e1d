# Everything runs in a virtual environment of its own, .venv, with the versions that constraints.txt pins.
#
# The torch that `pip` picks is the build that your package index offers for this platform (on Linux,
# PyPI's has CUDA and is large). To take another build, a CPU-only one say, give its index:
#     make test TORCH_INDEX=<the index that pytorch.org names for that build>

PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
INPUTS := pyproject.toml constraints.txt

.PHONY: demo test lint docs bench clean
.DEFAULT_GOAL := test

demo: $(VENV)/.demo
	$(BIN)/python examples/demo.py $(ARGS)

test: lint
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.docs
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks.run $(or $(ARGS),--suite small)

clean:
	rm -rf $(VENV) build dist out *.egg-info docs/_build .coverage
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One stamp per extra: a second `make` installs nothing unless an input has changed.
$(VENV)/.torch: constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) -c constraints.txt torch
	touch $@

$(VENV)/.dev $(VENV)/.demo $(VENV)/.docs $(VENV)/.bench: $(VENV)/.%: $(VENV)/.torch $(INPUTS)
	$(PIP) install -c constraints.txt -e ".[$*]"
	touch $@
