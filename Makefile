# Everything a newcomer needs: `make demo` and `make test`. Another interpreter: PYTHON=python3.12 make test
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One stamp per interpreter version, so that another PYTHON builds the environment anew.
STAMP := $(VENV)/installed-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' || echo none)

# The Lava stack declares Python < 3.11 and old pins; it runs without them (i2e_deploy/lava_shim.py says why).
LAVA := lava-nc==0.10.0 lava-dl==0.6.0

.PHONY: demo test install lint types bench-check oracles clean

demo: install
	$(BIN)/i2e-deploy demo

test: install lint types
	$(BIN)/pytest

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

# By hand and before a release, on a quiet machine: speeds beside the committed ones (benchmarks/README.md).
bench-check: install
	$(BIN)/python benchmarks/check.py

# NIR's tests with the current nir and nirtorch, and with SpikingJelly; `make test` has the pinned ones.
ORACLES := nir==1.0.8 nirtorch==2.6 spikingjelly==2.0.0 loguru
oracles: install
	$(BIN)/pip install -q --no-deps --upgrade --target $(VENV)/oracles $(ORACLES)
	PYTHONPATH=$(VENV)/oracles $(BIN)/pytest tests/network -k nir

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or later is needed: PYTHON=python3.11 make ..." if sys.version_info < (3, 10) else 0)'
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt -e '.[sinabs,data,video,live,report,dev]' asteval datasets distributed setuptools
	$(BIN)/pip install -q --no-deps --ignore-requires-python $(LAVA)
	@touch $@

clean:
	rm -rf $(VENV)
