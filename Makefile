# `make demo` and `make test` are all the set-up there is: both build the environment first, and find it the next time.
# VENV=path puts the environment elsewhere; PYTHON=python3.12 chooses the interpreter (3.11 or 3.12).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.PHONY: help install demo test test-avx2 test-plain check bench study fuzz
.DEFAULT_GOAL := help

VENV ?= .venv
PYTHON ?=
BIN := $(VENV)/bin

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

# Two stamps in the environment, by content: the locked set (minutes, 8 GB), and the editable install of this checkout
# (seconds). Each is written last, so an interrupted install is taken up again.
install: ## Build .venv (VENV=path elsewhere) with the tested versions of requirements.lock
	@locked=$$(cksum < requirements.lock)
	project="$$(cksum < pyproject.toml) $$PWD"
	if [ "$$(cat "$(VENV)/.nerfsem-locked" 2> /dev/null || true)" != "$$locked" ]; then
		usable='import sys, venv, ensurepip; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))'
		for python in $(or $(PYTHON),python3.11 python3.12 python3); do
			if "$$python" -c "$$usable" 2> /dev/null; then break; fi
			python=
		done
		if [ -z "$$python" ]; then
			echo "nerfsem needs Python 3.11 or 3.12 with its venv module: install one (Debian: apt install python3-venv)," \
				"or name it: make install PYTHON=/path/to/python3.12" >&2
			exit 2
		fi
		"$$python" -m venv "$(VENV)"
		"$(BIN)/python" -m pip install --no-deps --requirement requirements.lock
		echo "$$locked" > "$(VENV)/.nerfsem-locked"
	fi
	if [ "$$(cat "$(VENV)/.nerfsem-project" 2> /dev/null || true)" != "$$project" ]; then
		"$(BIN)/python" -m pip install --quiet --no-deps --no-build-isolation --editable .
		echo "$$project" > "$(VENV)/.nerfsem-project"
	fi

demo: install ## Sample clip -> demo/relic-fp.nsem, relic-pc.nsem, decoded videos, comparison.png, metrics.json
	@"$(BIN)/python" -m nerfsem_method.cli.demo

# Two processes share the test files: what a file's tests share is made once, and both cores of a small machine have work. Files
# are taken in the order of tests/conftest.py, those that take longest first.
SPREAD := -n 2 --dist loadfile --no-loadscope-reorder

test: install ## Run the tests; PYTEST_ADDOPTS='-m "not slow"' leaves out what takes long
	@"$(BIN)/python" -m pytest $(SPREAD)

AVX512 := AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL
# Libraries and compiled loops choose their code by the processor. These two take the code of lesser ones, on any x86-64 that has AVX2.
AVX2 := OPENBLAS_CORETYPE=Haswell MKL_ENABLE_INSTRUCTIONS=AVX2 ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 \
	NUMBA_CPU_NAME=haswell NUMBA_CPU_FEATURES=+avx2,+fma NPY_DISABLE_CPU_FEATURES="$(AVX512)"
PLAIN := OPENBLAS_CORETYPE=Nehalem MKL_ENABLE_INSTRUCTIONS=SSE4_2 ONEDNN_MAX_CPU_ISA=SSE41 ATEN_CPU_CAPABILITY=default \
	NUMBA_CPU_NAME=generic NUMBA_CPU_FEATURES= NPY_DISABLE_CPU_FEATURES="AVX F16C FMA3 AVX2 $(AVX512)"

test-avx2: install ## Run the tests on the code paths of a processor with AVX2 and no more
	@$(AVX2) "$(BIN)/python" -m pytest $(SPREAD)

# These are hardly about arithmetic: commands and their words, documents, pages, names, files and folders, collections, programs of
# benchmarks/, and captures whose cameras are given. What they compute with is tested by the others, which run twice but for slow ones.
SAME := any_desk architecture benchmarks* capture_clips capture_frames capture_ingest capture_posed capture_process \
	capture_report capture_resume cli_* collection* docs evaluation_page evaluation_report files full_disk \
	media_clip_photographs media_matte_names media_naming nerfstudio outputs progress project readme records stopping \
	strangers_damage strangers_doors strangers_more study temporary viewer web_*

test-plain: install ## Run the tests of arithmetic on the plainest code paths
	@$(PLAIN) "$(BIN)/python" -m pytest $(SPREAD) $(SAME:%='--ignore-glob=tests/test_%.py')

check: install ## Lint and type-check
	@"$(BIN)/ruff" check .
	"$(BIN)/pyright" --pythonpath "$(BIN)/python"

# Each program keeps its figures in benchmarks/results/, of which docs/results.md is made.
bench: install ## Measure speed (minutes); see docs/results.md
	@"$(BIN)/python" -m benchmarks.timing.speed
	"$(BIN)/python" -m benchmarks

study: install ## Measure rate-distortion on the full clip (hours; needs ../shared/data/vase); see docs/results.md
	@"$(BIN)/python" -m benchmarks.study.rate_distortion
	"$(BIN)/python" -m benchmarks

fuzz: install ## Decode 20,000 damaged bundles: no crash, no hang, only named errors (a minute or two); see docs/results.md
	@"$(BIN)/python" -m benchmarks.fuzz
	"$(BIN)/python" -m benchmarks
