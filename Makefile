# Everything here sets itself up: python3 (3.11 to 3.13), make and a package index are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
CASES ?= 14000
SEED ?= 1
UV := $(BIN)/python -m uv
export DAGSTER_HOME ?= $(CURDIR)/.snake/dagster
export DAGSTER_DISABLE_TELEMETRY := 1
export DAGSTER_MODULE_NAME := snake_assets.definitions

.PHONY: help setup demo dev app test test-real test-browser test-daemon test-slow screenshots snapshot lint types licences audit bench fuzz kills reliability lock clean-demo

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "%-13s %s\n", $$1, $$2 }'

$(VENV)/.uv: Makefile
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else "Python 3.11, 3.12 or 3.13 is needed, this is " + sys.version.split()[0] + ": set PYTHON=python3.12, say.")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

$(VENV)/.runtime: $(VENV)/.uv requirements.lock pyproject.toml
	$(UV) pip install --quiet --python $(BIN)/python -r requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	$(UV) pip install --quiet --python $(BIN)/python -r requirements-dev.lock
	@touch $@

$(VENV)/.app: $(VENV)/.runtime requirements-dev.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-build-isolation -c requirements-dev.lock -e '.[app]'
	@touch $@

$(DAGSTER_HOME)/dagster.yaml: deploy/dev/dagster.yaml
	@mkdir -p $(dir $@)
	@cp $< $@

setup: $(VENV)/.dev $(DAGSTER_HOME)/dagster.yaml ## only set .venv and DAGSTER_HOME up, with everything for development

demo: $(VENV)/.runtime $(DAGSTER_HOME)/dagster.yaml ## draw the demo set, run the job snakeclef on it, show the scores
	$(BIN)/dagster job execute -m snake_assets.definitions -j snakeclef
	@$(BIN)/python -m snake_assets.cli summary

dev: $(VENV)/.runtime $(DAGSTER_HOME)/dagster.yaml ## open the UI on http://127.0.0.1:3000, the demo ready to materialize
	$(BIN)/dagster dev -w workspace.yaml -h 127.0.0.1

# The store of somebody's own settings is left as it is.
app: $(VENV)/.app $(DAGSTER_HOME)/dagster.yaml ## open the page that identifies snakes on http://127.0.0.1:7860, with the demo's model if there is none
	@[ -n "$$SNAKE_STORE" ] || [ -f .snake/store/model_package/package.json ] || { $(MAKE) demo && \
	  $(BIN)/dagster job execute -m snake_assets.definitions -j package; }
	$(BIN)/python -m snake_assets.cli app

# Two processes of one thread each: what they compute is too small to share out, and threads would wait for each other.
test: $(VENV)/.dev ## the tests, without real data
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

test-real: $(VENV)/.dev ## the tests on the real photos, weights and official files (../shared)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m real -n 2 --dist loadfile

test-browser: $(VENV)/.dev ## the UI in headless Chromium, which has to be installed (some minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m browser

screenshots: $(VENV)/.dev ## remake the README's pictures of the UI from the demo set (needs Chromium)
	$(BIN)/python -m snake_assets_tests.browser.screenshots

snapshot: $(VENV)/.dev ## write the snapshot of the whole graph anew, after a change that is meant
	$(BIN)/python -m pytest snake_assets_tests/test_graph.py --snapshot-update

test-daemon: $(VENV)/.dev ## the slow tests: servers and passes that are killed, full disks, the whole job on other ground
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m daemon -n 2 --dist loadfile

test-slow: $(VENV)/.dev ## these three in one go: some compute while others wait for their servers
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "real or daemon or browser" -n 4 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.dev ## style, import rules, dependencies that are not used or not named, and the form of what deploys
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/hadolint deploy/docker/Dockerfile
	$(BIN)/shellcheck deploy/gcp/setup.sh .ci/run
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec deploy/docker/compose.yaml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/snake-assets.yml

types: $(VENV)/.dev ## static types, strict
	$(BIN)/mypy

licences: $(VENV)/.dev ## write docs/licences.md anew, after a change of pins
	$(BIN)/python -m supply.licences

audit: $(VENV)/.dev ## known vulnerabilities of what requirements.lock pins; fails where the data cannot be had, too
	$(BIN)/python -m supply.audit

bench: $(VENV)/.dev ## the benchmarks; each ends with one JSON line
	for name in dct resize ingest embedding whole scale classifier detect ray; do $(BIN)/python -m benchmarks.$$name || exit 1; done

fuzz: $(VENV)/.dev ## CASES (14000) files changed at random by SEED (1), each read or refused
	$(BIN)/python -m snake_assets_tests.fuzz --cases $(CASES) --seed $(SEED)

KILLS ?= 100
kills: $(VENV)/.dev ## kill the whole job KILLS times at random (of SEED), and see what is lost; about 10 minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m snake_assets_tests.kills --kills $(KILLS) --seed $(SEED)

reliability: $(VENV)/.dev ## try every fault and every class of input, and write docs/reliability.md; a quarter of an hour
	OMP_NUM_THREADS=1 $(BIN)/python -m snake_assets_tests.reliability

COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate pyproject.toml
lock: $(VENV)/.uv ## pin the newest allowed versions
	$(COMPILE) --upgrade --extra deploy --extra dev -o requirements-dev.lock
	$(COMPILE) --upgrade --extra deploy -c requirements-dev.lock -o requirements-deploy.lock
	$(COMPILE) --upgrade -c requirements-dev.lock -o requirements.lock

clean-demo: ## remove the demo set, its store and its run history
	rm -rf .snake
