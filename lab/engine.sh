#!/usr/bin/env bash
# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The lab's own need of a machine: a Docker Engine that answers, and debootstrap.
#
#   lab/engine.sh ensure   install what is missing (apt), start the engine if none answers, wait for it
#   lab/engine.sh stop     stop the engine again, but only one that `ensure` started and nobody else uses
#   lab/engine.sh status   say what answers, and whether `ensure` started it
#
# What `ensure` did is kept in .build/engine: dockerd.pid, dockerd.log, packages (what apt installed).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
state=$root/.build/engine
pid_file=$state/dockerd.pid
log_file=$state/dockerd.log
unit_file=$state/systemd-unit
start_timeout=90 # seconds; a cold start of the engine took 2-4

say() { printf 'engine: %s\n' "$*"; }
die() {
  printf 'engine: %s\n' "$*" >&2
  exit 1
}

as_root() {
  if [[ $(id -u) -eq 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "'$*' needs root, and there is no sudo. Run it as root, then start again."
  fi
}

answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

# lives PID NAME: whether a process is a living one of that name. After a reboot the number may be another process's; one
# that was killed and is not reaped yet (state Z) does not live.
lives() {
  local status
  status=$(cat "/proc/$1/status" 2>/dev/null) || return 1
  [[ $status == *$'Name:\t'"$2"$'\n'* && $status != *$'State:\tZ'* ]]
}

# Whether the engine that `ensure` started by hand still runs.
ours_runs() { [[ -f $pid_file ]] && lives "$(cat "$pid_file")" dockerd; }

# Whether the pid file of the engine itself names a living one, whoever started it: it is only starting, or it hangs.
another_runs() { [[ -f /var/run/docker.pid ]] && lives "$(cat /var/run/docker.pid)" dockerd; }

under_systemd() { [[ -d /run/systemd/system ]]; }

# Install packages of the distribution, and note their names (dependencies too) for `make clean` to report.
install_packages() {
  command -v apt-get >/dev/null ||
    die "missing: $*. This machine has no apt; install Docker Engine (>= 20.10) and debootstrap with its package manager, start the engine, then start again."
  say "installing $* with apt"
  mkdir -p "$state"
  local before after
  before=$(mktemp) after=$(mktemp)
  dpkg-query -W -f '${Package}\n' | sort -u >"$before"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 install --no-install-recommends "$@" \
    >"$state/apt.log" 2>&1 || die "apt could not install $*: $(tail -n 3 "$state/apt.log")"
  dpkg-query -W -f '${Package}\n' | sort -u >"$after"
  comm -13 "$before" "$after" >>"$state/packages"
  rm -f "$before" "$after"
}

start_by_hand() {
  local dockerd=$1 group
  group=$(id -gn)
  say "starting $dockerd (log: $log_file)"
  : >"$log_file"
  # The shell that is left behind writes its own pid and then becomes dockerd, so the pid file is exact.
  # A pid file of a killed engine would make the next one refuse to start.
  as_root rm -f /var/run/docker.pid
  # The same with its containerd, which it would take for running and wait for.
  local containerd=/var/run/docker/containerd/containerd.pid
  if [[ -f $containerd ]] && ! lives "$(cat "$containerd")" containerd; then as_root rm -f "$containerd"; fi
  as_root setsid bash -c 'echo "$$" >"$1"; exec "$2" --group "$3"' engine "$pid_file" "$dockerd" "$group" \
    </dev/null >>"$log_file" 2>&1 &
  disown
}

ensure() {
  local missing=() second
  command -v docker >/dev/null || missing+=(docker.io)
  command -v debootstrap >/dev/null || [[ -x /usr/sbin/debootstrap ]] || missing+=(debootstrap)
  if ! answers && ! command -v dockerd >/dev/null && [[ ! -x /usr/sbin/dockerd ]]; then
    missing+=(docker.io iptables)
  fi
  if [[ ${#missing[@]} -gt 0 ]]; then
    mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
    install_packages "${missing[@]}"
  fi
  if [[ $(docker version 2>&1) == *'permission denied'* ]]; then
    die "an engine runs, but this account may not use it. Add it to the group docker (sudo usermod -aG docker $(id -un)), log in again, then start again."
  fi
  if ! answers; then
    mkdir -p "$state"
    if under_systemd; then
      say "starting docker.service"
      as_root systemctl start docker
      echo docker.service >"$unit_file"
    elif ours_runs; then
      say "waiting for the engine with pid $(cat "$pid_file")"
    else
      another_runs && say "waiting for the engine with pid $(cat /var/run/docker.pid), which was started elsewhere"
      # It may also be about to end: then there is one to start.
      for ((second = 0; second < start_timeout; second++)); do
        if answers || ! another_runs; then break; fi
        sleep 1
      done
      if ! answers && ! another_runs; then start_by_hand "$(PATH=$PATH:/usr/sbin command -v dockerd)"; fi
    fi
  fi
  local deadline=$((SECONDS + start_timeout))
  until answers; do
    if ((SECONDS >= deadline)); then
      docker version 2>&1 | tail -n 1 >&2
      die "no engine answered within ${start_timeout} s. Last lines of its log: $(tail -n 3 "$log_file" 2>/dev/null)."
    fi
    sleep 0.5
  done
  say "Docker Engine $(docker version --format '{{.Server.Version}}') answers"
}

# Stops only what ensure started, and only when no container is left on it.
stop() {
  [[ -f $pid_file || -f $unit_file ]] || {
    say "not started by this checkout: left running"
    return
  }
  if answers && [[ -n $(docker ps -aq) ]]; then
    say "left running: $(docker ps -aq | wc -l) container(s) of others are on it"
    return
  fi
  if [[ -f $unit_file ]]; then
    as_root systemctl stop docker.service docker.socket
    rm -f "$unit_file"
    say "docker.service stopped"
    return
  fi
  if ours_runs; then
    local pid
    pid=$(cat "$pid_file")
    as_root kill "$pid"
    local deadline=$((SECONDS + 30))
    while [[ -e /proc/$pid ]]; do
      ((SECONDS < deadline)) || die "dockerd (pid $pid) did not end within 30 s; see $log_file"
      sleep 0.2
    done
    say "engine stopped"
  fi
  rm -f "$pid_file"
}

status() {
  if answers; then
    say "Docker Engine $(docker version --format '{{.Server.Version}}') answers"
  else
    say "no engine answers"
  fi
  if [[ -f $unit_file ]] || ours_runs; then
    say "started by this checkout"
  fi
}

case ${1:-} in
  ensure | stop | status) "$1" ;;
  *) die "usage: $0 ensure|stop|status" ;;
esac
