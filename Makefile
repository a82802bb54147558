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

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z][a-z0-9.-]*:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-17s %s\n", $$1, $$2}'

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

$(B)/venv-2.17.done: requirements-2.17.txt tools/make-venv
	tools/make-venv --optional $(B)/venv-2.17 requirements-2.17.txt 3.11 3.12 3.10
	touch $@

collections: ## This checkout as a collection below .build/collections
	@tools/make-collections
