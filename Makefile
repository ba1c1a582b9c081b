# Everything a person needs, from a fresh clone, with Python 3.11+ and a package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# One thread a test process: tests are many and small, and two BLAS threads on a busy machine fight each other.
QUIET := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

.PHONY: demo test trials lint types layers unit docs docs-check bench clean help
.DEFAULT_GOAL := help

help:
	@echo "make demo    install, train four families for a minute each, write report.html"
	@echo "make test    install, then lint, types, layers, docs and tests"
	@echo "make trials  every recipe's smoke variant: train, sample, evaluate"
	@echo "make docs    generate docs/cli.md from the parser"
	@echo "make bench   all benchmarks, in turn (an hour on a quiet machine)"

# torch first and alone: the constraint then keeps every later package from replacing it
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $(READY)

demo: $(READY)
	$(BIN)/genloom demo

test: lint types layers docs-check unit

lint: $(READY)
	$(BIN)/ruff check src tests benchmarks docs examples
	$(BIN)/ruff format --check src tests benchmarks docs examples

types: $(READY)
	$(BIN)/mypy

layers: $(READY)
	$(BIN)/lint-imports

docs: $(READY)
	$(BIN)/python docs/generate_cli.py

docs-check: $(READY)
	$(BIN)/python docs/generate_cli.py --check
	$(BIN)/python benchmarks/table.py --check

unit: $(READY)
	$(QUIET) $(BIN)/pytest -n 2 --dist loadfile

trials: $(READY)
	$(BIN)/python tests/trials.py

bench: $(READY)
	for f in benchmarks/*.py; do case $$f in */_*) ;; *) $(BIN)/python $$f || exit 1 ;; esac; done

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
