# Every target works in a fresh clone: it builds .venv first, unless that is ready.
PYTHON ?= python3
VENV := .venv/bin/python
TESTS := -m pytest tests -n 2 --dist loadfile --durations=15

.PHONY: help setup demo demo-classify docs docs-env browser test test-oldest lint clean

help:
	@echo "make demo    train and evaluate a small KernelWarehouse Mask R-CNN (options: DEMO_ARGS=...)"
	@echo "make demo-classify    what the study found, in small: plain and KW ResNet18 on real handwritten digits"
	@echo "make docs    build the documentation site in build/site; a warning or a broken link is an error"
	@echo "make test    make lint and make docs, then all tests (as root on Debian, installs Chromium first)"
	@echo "make test STACK=onedl    run the tests with OneDL's forks of OpenMMLab's packages, in .venv-onedl"
	@echo "make test-oldest    test the layers on the oldest Python and torch that mmkw works with"
	@echo "make lint    ruff check, whether ruff format has been run, and mypy"
	@echo "make setup   build .venv only (minutes the first time)"
	@echo "make clean   remove .venv, .venv-docs, the site and caches; data, checkpoints, work_dirs and the compiled mmcv stay"

setup:
	@$(PYTHON) tools/setup/setup_env.py

demo: setup
	$(VENV) tools/demo.py $(DEMO_ARGS)

demo-classify: setup
	$(VENV) tools/make_digits.py data/digits
	$(VENV) tools/study.py configs/study/digits.py --jobs 2 $(DEMO_ARGS)
	@echo "docs/demo.md says what this shows, and what it does not"

docs: docs-env
	.venv-docs/bin/python tools/docs/docs_build.py

docs-env:
	@$(PYTHON) tools/setup/docs_env.py

browser:
	@$(PYTHON) tools/setup/docs_env.py --browser

ifeq ($(STACK),onedl)
# All but the documentation, whose environment is built upon .venv.
test:
	@MMKW_SETUP=onedl $(PYTHON) tools/setup/setup_env.py
	OMP_NUM_THREADS=1 .venv-onedl/bin/python $(TESTS) --ignore tests/docs
else ifeq ($(STACK),)
test: lint docs browser
	OMP_NUM_THREADS=1 $(VENV) $(TESTS)
else
test:
	$(error STACK=$(STACK): the one other stack is onedl)
endif

# Its torch is a build for CUDA, the only one of its age that PyPI has for Linux: 2.3 GB to fetch, 4.5 GB in .venv-oldest.
test-oldest:
	@MMKW_SETUP=oldest $(PYTHON) tools/setup/setup_env.py
	OMP_NUM_THREADS=1 .venv-oldest/bin/python -m pytest tests/ops tests/layers tests/plans tests/conversion

lint: setup
	$(VENV) -m ruff check .
	$(VENV) -m ruff format --check .
	$(VENV) -m mypy

clean:
	rm -rf .venv .venv.* .venv-oldest* .venv-onedl* .venv-docs .venv-docs.lock .venv-docs.browser.log build dist mmkw.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
