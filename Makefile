# `make demo` and `make test` set up `.venv` on their first call.
# `VENV=/path/to/venv make test` uses an environment in which this checkout is installed already.

.DEFAULT_GOAL := demo
.PHONY: demo test parity check bench docs

PYTHON ?= python3
ifeq ($(origin VENV), undefined)
VENV := .venv
READY := .venv/ready
else
READY := installed-here
.PHONY: installed-here
endif
BIN := $(VENV)/bin

# Models are made or found on this machine: nothing below asks a hub.
export HF_HUB_OFFLINE := 1
export TOKENIZERS_PARALLELISM := false

demo: $(READY)
	$(BIN)/selrun examples/quickstart.sel --data examples/tasks.jsonl --out quickstart.selected.jsonl
	@echo
	@echo "The first rows of quickstart.selected.jsonl:"
	@head -n 3 quickstart.selected.jsonl | cut -c 1-300

# One thread a process: two workers with two threads each would only wait for each other.
test: export OMP_NUM_THREADS := 1
test: $(READY)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(ARGS)

parity: $(READY)
	$(BIN)/python -m pytest tests/parity

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

# Minutes in all; each script's own defaults are larger, and `--help` lists its options.
SMALL := startup.py "rerun.py --rows 500 --new 50" kernels.py "table.py --rows 200000" \
  "million.py --rows 200000" "ten_million.py --rows 1000000" "ifd.py --rows 24 --repeats 2" \
  "fusion.py --rows 60 --repeats 1" "selectit.py --rows 20 --repeats 1" "nuggets.py --rows 3 --counts 12 --repeats 1" \
  "encoders.py --rows 40 --repeats 1" "minhash.py --rows 3000" "sets.py --rows 5000" "passes.py --rows 40"

bench: $(READY)
	@set -e; for line in $(SMALL); do echo "== bench/$$line"; $(BIN)/python bench/$$line; echo; done
	$(BIN)/python -m pytest -m "slow or gpu"

docs: $(READY)
	$(BIN)/python -m selrun.runtime.docs

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

# An environment that holds another checkout would test that one, and say nothing.
installed-here:
	@found="$$($(BIN)/python -c 'import importlib.util as u; s = u.find_spec("selrun"); print(s.origin if s else "")')"; \
	[ "$$found" = "$(CURDIR)/__init__.py" ] || { \
	  echo "selrun in $(VENV) is '$$found', not this checkout; run: $(BIN)/python -m pip install -e '.[dev]'"; exit 2; }
