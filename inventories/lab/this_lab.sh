#!/bin/sh
# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Inventory: which lab this is. Told once and not by lookups, which each task of each host would do anew, several times.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd -P)
# As lab/vars.yml has it
id=${LAB_ID:-$(printf %s "$root" | sha256sum | cut -c 1-6)}
files=$root/.build/lab/$id

# What lab/up.yml noted; before that there is nothing
noted() { cat "$files/$1" 2>/dev/null || true; }

printf '{"_meta": {"hostvars": {}}, "ollama": {"vars": {"lab_id": "%s", "lab_dir": "%s", "lab_version": "%s", "lab_apt_fingerprint": "%s"}}}\n' \
  "$id" "$files" "${LAB_OLLAMA_VERSION:-$(noted ollama_version)}" "$(noted apt_fingerprint)"
