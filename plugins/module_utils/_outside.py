# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the host of a server what the server cannot or would not say: nvidia-smi, its log, its cgroup.

What they answer is read and judged in `_witness.py` and `_cgroup.py`. Each command gets `SECONDS`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _cgroup as cgroup
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _witness as witness
from ansible_collections.alchemorsel.ollama.plugins.module_utils._cgroup import Memory
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidInput
from ansible_collections.alchemorsel.ollama.plugins.module_utils._gpu import read_text, run_tool
from ansible_collections.alchemorsel.ollama.plugins.module_utils._verdicts import Check
from ansible_collections.alchemorsel.ollama.plugins.module_utils._witness import Account

SECONDS = 10.0
#: Below it, tests put a host of their own.
ROOT = Path("/")
# The server looks for GPUs within this time after its start; what it logs later is not read.
_DISCOVERY = timedelta(minutes=10)


@dataclass(frozen=True)
class Places:
    """Where the server lives on this host, as far as the operator said it."""

    container: str | None = None
    log_path: str | None = None
    cgroup_path: str | None = None
    gpu_witness: str = "auto"
    #: how many GPUs the server must have found at its start; 0 asks nobody
    min_gpus: int = 0
    #: whether the server's url leads to this host
    local: bool = False


@dataclass(frozen=True)
class Container:
    """A running container; `problem` says why `pid` is None."""

    pid: int | None = None
    started_at: str = ""
    problem: str = ""


def check_places(places: Places) -> Places:
    """Return the places; raises InvalidInput for what cannot work."""
    # It becomes an argument of a command: nothing that begins with a dash.
    if places.container is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", places.container):
        raise InvalidInput(f"container is '{places.container}'; wanted the name or ID of a container")
    if places.min_gpus < 0:
        raise InvalidInput(f"min_gpus is {places.min_gpus}; wanted 0 or more")
    if places.min_gpus and not (places.container or places.log_path):
        raise InvalidInput(
            f"min_gpus is {places.min_gpus}, and nothing says whose log to read; give container or log_path"
        )
    if places.gpu_witness == "log" and not (places.container or places.log_path):
        raise InvalidInput("gpu_witness is log, and nothing says which; give container or log_path")
    return places


class Host:
    """The host on which the module runs."""

    def __init__(self, places: Places, root: Path | None = None) -> None:
        self.places = places
        self.root = ROOT if root is None else root
        self._container: Container | None = None

    # --- memory -------------------------------------------------------------------------------------------------------

    def memory(self) -> Memory | None:
        """Return what the server's cgroup counts, None if nothing says where that is."""
        if self.places.cgroup_path:
            return self._read_memory([self._below(self.places.cgroup_path)])
        if not self.places.container:
            return None
        container = self.container()
        if container.pid is None:
            return Memory("", problem=container.problem)
        text = read_text(self.root / f"proc/{container.pid}/cgroup")
        if text is None:
            return Memory("", problem=f"process {container.pid} of container {self.places.container} has gone")
        return self._read_memory([self.root / "sys/fs/cgroup" / path for path in cgroup.cgroup_directories(text)])

    def _read_memory(self, directories: list[Path]) -> Memory:
        for directory in directories:
            for events, limit in (("memory.events", "memory.max"), ("memory.oom_control", "memory.limit_in_bytes")):
                kills = cgroup.parse_kills(read_text(directory / events))
                if kills is not None:
                    return Memory(str(directory), kills, cgroup.parse_limit(read_text(directory / limit)))
        shown = ", ".join(str(directory) for directory in directories) or "no cgroup"
        return Memory(shown, problem=f"{shown} has neither memory.events nor memory.oom_control with oom_kill")

    # --- the GPU ------------------------------------------------------------------------------------------------------

    def gpu_account(self) -> Account | None:
        """Return what a witness says; with `auto` the first that can tell, None where none can be found."""
        wanted = self.places.gpu_witness
        if wanted == "nvidia_smi":
            return self._smi()
        if wanted == "log":
            return self._log()
        named = bool(self.places.container or self.places.log_path)
        if not named and not self.places.local:
            return None
        accounts = [self._smi()]
        # What is loaded now tells more than what was found at the start.
        if accounts[0].on_gpu is None and named:
            accounts.append(self._log())
        telling = [account for account in accounts if account.on_gpu is not None]
        reasons = "; ".join(account.reason for account in accounts)
        return telling[0] if telling else Account("auto", None, reasons)

    def _smi(self) -> Account:
        argv = ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]
        answer = run_tool(self.root, argv, SECONDS)
        if not answer.found:
            return Account("nvidia_smi", None, "nvidia-smi is not installed on the host where the module runs")
        if answer.rc != 0:
            said = (answer.stdout + "\n" + answer.stderr).strip().splitlines()
            return Account("nvidia_smi", None, f"nvidia-smi failed: {answer.error or (said or ['it said nothing'])[0]}")
        used = witness.parse_compute_apps(answer.stdout)
        names, parents = self._processes() if used else ({}, {})
        return witness.smi_account(used, {pid: self._is_servers(pid, names, parents) for pid in used})

    def _is_servers(self, pid: int, names: dict[int, str], parents: dict[int, int]) -> bool | None:
        if pid not in names:
            return None
        top = self.container().pid if self.places.container else None
        if top is not None:
            return witness.is_below(pid, top, parents)
        return names[pid] in witness.RUNNERS

    def _processes(self) -> tuple[dict[int, str], dict[int, int]]:
        """Return names and parents of all processes that can be seen."""
        names, parents = {}, {}
        for path in (self.root / "proc").glob("[0-9]*/stat"):
            parsed = witness.parse_stat(read_text(path) or "")
            if parsed:
                names[int(path.parent.name)], parents[int(path.parent.name)] = parsed
        return names, parents

    def _log(self) -> Account:
        lines, problem = self._start_log()
        if lines is None:
            return Account("log", None, problem)
        return witness.log_account(witness.libraries_of_last_start(lines))

    def check_gpus(self, wanted: int) -> Check:
        """Return whether the server found that many GPUs at its start."""
        lines, problem = self._start_log()
        found = None if lines is None else witness.gpus_of_last_start(lines)
        return witness.check_gpus(found, problem or "the log does not reach back to the server's start", wanted)

    def _start_log(self) -> tuple[list[str] | None, str]:
        """Return what the server logged at its start, None and the reason where that cannot be read."""
        if self.places.log_path:
            try:
                return list(_start_lines(self._below(self.places.log_path))), ""
            except OSError as exc:
                return None, f"log_path {self.places.log_path} cannot be read: {exc.strerror}"
        container = self.container()
        if container.pid is None:
            return None, container.problem
        argv = ["docker", "logs", "--since", container.started_at, "--until", _later(container.started_at)]
        answer = run_tool(self.root, [*argv, str(self.places.container)], SECONDS)
        if answer.rc != 0:
            said = answer.error or answer.stderr.strip() or "it said nothing"
            return None, f"the log of container {self.places.container} cannot be read: {said}"
        # The server logs to stderr; a container with a terminal has one stream only.
        return (answer.stderr + answer.stdout).splitlines(), ""

    # --- the container ------------------------------------------------------------------------------------------------

    def container(self) -> Container:
        """Return the container, asked for once."""
        if self._container is None:
            name = str(self.places.container)
            argv = ["docker", "inspect", "--type", "container", "--format", "{{.State.Pid}} {{.State.StartedAt}}", name]
            answer = run_tool(self.root, argv, SECONDS)
            pid, _blank, started_at = answer.stdout.strip().partition(" ")
            if not answer.found:
                self._container = Container(problem="docker is not installed on the host where the module runs")
            elif answer.rc != 0:
                said = answer.error or answer.stderr.strip() or "docker said nothing"
                self._container = Container(problem=f"container {name} cannot be looked at: {said}")
            elif not pid.isdecimal() or int(pid) == 0:
                self._container = Container(problem=f"container {name} does not run")
            else:
                self._container = Container(int(pid), started_at)
        return self._container

    def _below(self, path: str) -> Path:
        return self.root / path.lstrip("/")


def _start_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a log that tell of a start; the rest of a large file is not kept."""
    with path.open(encoding="utf-8", errors="replace") as log:
        yield from (line for line in log if 'msg="Listening on ' in line or 'msg="inference compute"' in line)


def _later(started_at: str) -> str:
    """Return the end of the time in which a server that started then looks for GPUs (RFC 3339, UTC)."""
    try:
        start = datetime.strptime(started_at[:19], "%Y-%m-%dT%H:%M:%S")
    except ValueError:
        return started_at
    return f"{start + _DISCOVERY:%Y-%m-%dT%H:%M:%S}Z"
