# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# `make help` lists the targets. Everything that is made or downloaded lies in .build/.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

B := .build
VENV := $(B)/venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export HYPOTHESIS_STORAGE_DIRECTORY := $(CURDIR)/$(B)/hypothesis
export PYTHONDONTWRITEBYTECODE := 1
export ANSIBLE_HOME := $(CURDIR)/$(B)/ansible

# $(call purelib,ENVIRONMENT): a command that prints its site-packages
purelib = $(1)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z][a-z0-9._-]*:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-17s %s\n", $$1, $$2}'

##@ Environments

.PHONY: venv venvs collections lock
venv: $(VENV)/.done collections ## Development environment (Python 3.11, ansible-core 2.19)
venvs: venv $(B)/venv-newest.done $(B)/venv-2.17.done ## All environments: also newest ansible-core and 2.17

$(VENV)/.done: requirements-dev.txt tools/make-venv
	tools/make-venv $(VENV) requirements-dev.txt 3.11 3.12 3.13
	touch $@

$(B)/venv-newest.done: requirements-dev.txt tools/make-venv
	tools/make-venv --optional $(B)/venv-newest requirements-dev.txt 3.13 3.12 3.14
	touch $@

# ansible-core alone: the collections come from the other environment
$(B)/venv-2.17.done: requirements-2.17.txt tools/make-venv | $(VENV)/.done
	tools/make-venv --optional $(B)/venv-2.17 requirements-2.17.txt 3.11 3.12 3.10
	tools/if-venv $(B)/venv-2.17 ln -sfn "$$($(call purelib,$(VENV)))/ansible_collections" "$$($(call purelib,$(B)/venv-2.17))/"
	touch $@

lock: ## Resolve requirements-*.in anew into the hash-locked files (needs the network)
	test -x $(B)/uv/bin/uv || { python3 -m venv $(B)/uv && $(B)/uv/bin/pip install --quiet uv; }
	for name in dev 2.17; do $(B)/uv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --no-header --no-annotate requirements-$$name.in -o requirements-$$name.txt; done

collections: ## This checkout as a collection below .build/collections
	@tools/make-collections

##@ Quick checks

CHECKS := check-format check-lint check-types check-roles check-docs check-tree check-changelog check-yaml check-ansible unit-quick

.PHONY: check $(CHECKS) docs format
check: venv ## Quick: format, lint, types, drift of made files, unit tests (2 minutes at most)
	@python tools/steps.py --jobs 2 $(CHECKS)

check-format: ## Python files are formatted (ruff)
	ruff format --check .
check-lint: ## Python files have no finding (ruff)
	ruff check .
check-types: ## Types of plugins, lab and tools, strict (mypy)
	mypy plugins
	mypy --python-version 3.11 lab tools
check-yaml: ## YAML files have no finding (yamllint)
	yamllint --strict .
check-ansible: ## Roles and playbooks keep to the profile production (ansible-lint)
	ansible-lint --offline --strict --nocolor
check-roles: ## Defaults and argument_specs of the roles agree
	python tools/check_roles.py
check-docs: ## Made parts of the documentation are as `make docs` makes them
	python tools/docs.py --check
check-tree: ## What no linter knows of: licence headers, sizes, silenced checks
	python tools/check_tree.py
check-changelog: ## Changelog fragments can be read (antsibull-changelog)
	antsibull-changelog lint

docs: venv ## Write the made parts: README of each role, SECURITY.md, docs/hardening.md, health.md, docker.md, gpu.md, fuzz.md
	python tools/docs.py
format: venv ## Format the Python files
	ruff format .
	ruff check --fix .

##@ Tests

# $(call pytest,ENVIRONMENT,FOLDERS,NAME): its counts go to .build/junit/<target>/NAME.xml
# Unit tests wait more than they compute (servers, deadlines), so some of them run at a time.
unit-quick unit unit-newest unit-2.17: export PYTEST_ADDOPTS := -n 4 --dist loadfile
pytest = $(1)/bin/pytest $(2) --junitxml=$(B)/junit/$@/$(or $(3),pytest).xml $(PYTEST_ARGS)

.PHONY: unit-quick unit unit-newest unit-2.17
unit-quick: venv ## Unit tests that start no servers of their own
	$(call pytest,$(VENV),tests/unit tests/fuzz -m "not slow")
unit: venv ## Unit tests on Python 3.11 with ansible-core 2.19
	$(call pytest,$(VENV),tests/unit tests/fuzz)
unit-newest: $(B)/venv-newest.done collections ## Unit tests on Python 3.12+ with the newest ansible-core
	@tools/if-venv $(B)/venv-newest $(call pytest,$(B)/venv-newest,tests/unit)
# Of the modules those that start no servers: the Python is that of `unit`, and HTTP is none of ansible-core's business
unit-2.17: $(B)/venv-2.17.done collections ## Unit tests on ansible-core 2.17
	@tools/if-venv $(B)/venv-2.17 $(call pytest,$(B)/venv-2.17,tests/unit/roles tests/unit/plugins/action tests/unit/plugins/filter,ansible)
	@tools/if-venv $(B)/venv-2.17 $(call pytest,$(B)/venv-2.17,tests/unit/plugins/modules tests/unit/plugins/module_utils -m "not slow",modules)

.PHONY: contract integration
contract: venv ## Recorded exchanges replayed against the stand-in
	$(call pytest,$(VENV),tests/contract)
integration: venv ## Modules against a server and a registry, once per server version
	python tools/integration.py $(VENV) $(TARGETS)

.PHONY: sanity docs-check
sanity: venv ## ansible-test sanity, no ignore files
	JUNIT_DIR=$(CURDIR)/$(B)/junit/$@ tools/ansible-test $(VENV) sanity --junit
docs-check: venv ## Documentation, tarball, inventories, and the three ways to run a playbook
	tools/docs-check

##@ Benchmarks

.PHONY: bench
bench: venv ## Measure in pairs, write docs/benchmarks.md with its curves (40 minutes; on a quiet machine)
	python -m tests.bench $(BENCH_ARGS)

##@ Faults

.PHONY: chaos chaos-quick
# A lab of its own, as for the scenarios
chaos chaos-quick: export LAB_ID ?= chaos$(shell printf %s '$(CURDIR)' | sha256sum | cut -c 1-6)
chaos: venv ## All faults on one host of the lab, write docs/chaos.md (90 minutes; CHAOS_ARGS="--only CASE --seed N")
	python -m tests.chaos $(CHAOS_ARGS)
chaos-quick: venv ## Those faults that show the most in 5 minutes; writes nothing to docs
	python -m tests.chaos --quick $(CHAOS_ARGS)

##@ Abuse

.PHONY: fuzz fuzz-hosts
fuzz: venv ## Every property with 10,000 examples, write docs/fuzz.md (20 minutes); EXAMPLES=200 for a try
	python -m tests.fuzz

# A lab of its own with one host, which stays for the next try; `make lab-down` with its LAB_ID removes it
fuzz-hosts: export LAB_ID ?= fuz$(shell printf %s '$(CURDIR)' | sha256sum | cut -c 1-6)
fuzz-hosts: export LAB_HOSTS := deb13a
fuzz-hosts: venv ## Secrets in every option that hides one, commands in every text, on a host of the lab (40 minutes)
	ansible-playbook lab/up.yml
	python -m tests.abuse

##@ Lab

# Scenarios of molecule/: those of `make test`, those that `make molecule` runs too, and those with side effects outside of their test
# (the longest first: the last ones are shared with those who have nothing else to do)
TESTED := default ollama docker nvidia_container_toolkit ollama_models
SCENARIOS := $(TESTED) upgrade store
SIDE_EFFECTS := docker nvidia_container_toolkit ollama ollama_models
MOLECULE := $(SCENARIOS:%=molecule-%) $(SIDE_EFFECTS:%=molecule-all-%)

.PHONY: demo lab-up lab-down molecule $(MOLECULE)
demo: venv ## The main job on three hosts of the lab, twice, and a table of what stands there then
	@python lab/demo.py
lab-up: venv ## Bring up the lab; LAB_HOSTS=deb12a for a part of it
	ansible-playbook lab/up.yml
lab-down: venv ## Take down the lab of this checkout
	ansible-playbook lab/down.yml
# A lab of its own, so that the one of `make demo` stays as it is, and two scenarios can run side by side
$(MOLECULE): export LAB_ID ?= $(subst _,-,$(@:molecule-%=mol-%))-$(shell printf %s '$(CURDIR)' | sha256sum | cut -c 1-6)
$(MOLECULE): export MOLECULE_EPHEMERAL_DIRECTORY = $(CURDIR)/$(B)/molecule/$@
molecule-default: ## site.yml on the lab: converge, idempotence, verify, kills and restarts
molecule-docker: ## The role docker alone, with every case of daemon.json
molecule-nvidia_container_toolkit: ## That role with a pretended GPU, and a CDI device request on a real engine
molecule-ollama: ## The role ollama: who reaches the server from outside the host
molecule-ollama_models: ## The role ollama_models: each kind of declaration, refusals, repair, exclusive
molecule-upgrade: ## The role ollama's upgrades: good and bad images, killed runs, rollback, with a probe through each
molecule-store: ## The role ollama: disk, migration, key, network, two instances, states and removal
# A scenario begins with `destroy`, which asks the engine what there is
$(SCENARIOS:%=molecule-%): molecule-%: venv
	lab/engine.sh ensure
	molecule test -s $*
molecule: venv ## Every scenario, each with its side effects
	@python tools/steps.py $(filter-out $(SIDE_EFFECTS:%=molecule-%),$(SCENARIOS:%=molecule-%)) $(SIDE_EFFECTS:%=molecule-all-%)
$(SIDE_EFFECTS:%=molecule-all-%): molecule-all-%: venv
	lab/engine.sh ensure
	molecule destroy -s $*
	{ molecule test -s $* --destroy never && molecule side-effect -s $*; } || { molecule destroy -s $*; exit 1; }
	molecule destroy -s $*

.PHONY: clean
clean: ## Remove all that make, the lab and the tests made, and nothing else
	tools/clean

##@ Everything

# Those that start lab hosts wait much, so the others run beside them; two at a time in the end, each with a lab of its own
TESTS := $(filter-out unit-quick,$(CHECKS)) unit unit-newest unit-2.17 contract sanity docs-check integration
LAB_TESTS := $(TESTED:%=molecule-%) chaos-quick

.PHONY: test
test: venvs ## All tests, ending with one summary
	@env -u LAB_ID python tools/steps.py $(TESTS) --beside $(LAB_TESTS)
