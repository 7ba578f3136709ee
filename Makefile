# Everything a newcomer needs: `make demo` and `make test`. Another interpreter: PYTHON=python3.12 make test
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One stamp per interpreter version, so that another PYTHON builds the environment anew.
STAMP := $(VENV)/installed-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' || echo none)

# The Lava stack declares Python < 3.11 and old pins; it runs without them (i2e_deploy/lava_shim.py says why).
LAVA := lava-nc==0.10.0 lava-dl==0.6.0

.PHONY: demo test install lint types bench-check oracles docs dist notes clean

demo: install
	$(BIN)/i2e-deploy demo

# A process for each core: one test after the other takes twice as long on two.
test: install lint types
	OMP_NUM_THREADS=1 $(BIN)/pytest -n logical --dist worksteal

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

# By hand and before a release, on a quiet machine: speeds beside the committed ones (benchmarks/README.md).
bench-check: install
	$(BIN)/python benchmarks/check.py

# The tests that hold us against other frameworks, and NIR's with the current nir and nirtorch: `make test` has the
# pinned ones, and leaves out what is not there.
ORACLE_TESTS := tests/network tests/test_docs.py tests/chips/loihi2/test_programmable_oracles.py tests/test_examples.py \
	tests/runtime/test_neurobench.py tests/training/test_frameworks.py tests/training/test_ms_resnet.py tests/chips/loihi2/test_families.py
ORACLES := nir==1.0.8 nirtorch==2.6 snntorch==1.0.0 spikingjelly==2.0.0 norse==1.1.0 rockpool==3.1.0 loguru \
	neurobench==2.3.0
oracles: install
	$(BIN)/pip install -q --no-deps --upgrade --target $(VENV)/oracles $(ORACLES)
	OMP_NUM_THREADS=1 PYTHONPATH=$(VENV)/oracles $(BIN)/pytest -n logical --dist worksteal $(ORACLE_TESTS)

DIST_TESTS := tests/test_imports.py tests/test_architecture.py tests/test_public_names.py tests/test_paper.py \
	tests/chips/dynapcnn/engine/test_timestep.py tests/network/test_run.py \
	$(addprefix tests/test_docs.py::test_,relative_links_lead_somewhere files_and_modules_that_the_pages_name_are_there \
	the_version_is_the_same_everywhere)

# The site, in build/site: strict, so that a broken link or a name without a page fails.
docs: install
	$(BIN)/pip install -q -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build -q

# Wheel and sdist in build/dist, checked: the metadata as PyPI does, and tests of the sdist from where it was unpacked.
dist: install
	rm -rf build/dist
	$(BIN)/python -m build --no-isolation --outdir build/dist
	$(BIN)/twine check --strict build/dist/*
	$(BIN)/pip install -q --no-warn-conflicts --target build/cff cffconvert==2.0.0 'setuptools<81'
	PYTHONPATH=build/cff $(BIN)/python -c 'from cffconvert.cli.cli import cli; cli()' --validate
	mkdir build/dist/unpacked
	tar -xzf build/dist/*.tar.gz -C build/dist/unpacked --strip-components 1
	cd build/dist/unpacked && PYTHONPATH=$$PWD $(CURDIR)/$(BIN)/python -m pytest -p no:cacheprovider $(DIST_TESTS)
	rm -r build/dist/unpacked

# What the changelog says of one version, for its tag: make notes VERSION=0.1.0
notes:
	@awk -v version='$(VERSION)' '/^## /{on = ($$2 == "[" version "]"); next} on{print; some = 1} \
	END{if (!some) {print "CHANGELOG.md has no version \"" version "\": make notes VERSION=0.1.0" > "/dev/stderr"; exit 1}}' CHANGELOG.md

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or later is needed: PYTHON=python3.11 make ..." if sys.version_info < (3, 10) else 0)'
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt -e '.[sinabs,data,heic,video,live,report,ros,train,dev]' asteval datasets distributed pycocotools setuptools
	$(BIN)/pip install -q --no-deps --ignore-requires-python $(LAVA)
	@touch $@

clean:
	rm -rf $(VENV)
