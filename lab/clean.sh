#!/usr/bin/env bash
# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Removes everything that this checkout's labs made outside .build: containers with their disks, networks, volumes and
# images, and stops the engine if it was started here and nobody else is on it. All is found by the checkout's label.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
checkout=$(printf %s "$root" | sha256sum | cut -c 1-6)
label=label=alchemorsel.lab.checkout=$checkout

answers() { docker version >/dev/null 2>&1; }

say() { printf 'clean: %s\n' "$*"; }

# Removes what a list of ids on stdin names, and counts it: remove KIND COMMAND...
remove() {
  local kind=$1 ids
  shift
  mapfile -t ids
  if [[ ${#ids[@]} -gt 0 ]]; then
    "$@" "${ids[@]}" >/dev/null
    say "${#ids[@]} $kind removed"
  fi
}

# Intermediate images go with the last that stands on them, so this goes round until nothing is left or nothing goes.
remove_images() {
  local left before=
  while left=$({
    docker images -q "alab-$checkout/*"
    docker images -q --filter "$label"
    docker images -aq --filter "$label"
  } | awk '!seen[$0]++') && [[ -n $left && $left != "$before" ]]; do
    before=$left
    xargs docker rmi --force >/dev/null 2>&1 <<<"$left" || true
  done
  if [[ -n $left ]]; then
    say "images that are in use stay: $(tr '\n' ' ' <<<"$left")"
  fi
}

# An engine that was started here and died still has on its disk what the labs made; stopped again below
if command -v docker >/dev/null && ! answers && [[ -d $root/.build/engine ]]; then
  "$root/lab/engine.sh" ensure || true
fi
if ! command -v docker >/dev/null || ! answers; then
  say "no Docker Engine answers: containers, networks, volumes and images that labs made in one stay"
else
  docker ps -aq --filter "$label" | remove "container(s)" docker rm --force --volumes
  docker network ls -q --filter "$label" | remove "network(s)" docker network rm
  docker volume ls -q --filter "$label" | remove "volume(s)" docker volume rm
  remove_images
fi
"$root/lab/engine.sh" stop
if [[ -s $root/.build/engine/packages ]]; then
  say "these packages of the system were installed and stay: $(sort -u "$root/.build/engine/packages" | tr '\n' ' ')"
fi
