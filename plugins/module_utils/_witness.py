# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a model is on a GPU by two witnesses: the server, and one outside it. No I/O.

The server's own account can be wrong: it keeps the figure of the load when the GPU vanishes from its container.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ansible_collections.alchemorsel.ollama.plugins.module_utils._numbers import counted
from ansible_collections.alchemorsel.ollama.plugins.module_utils._verdicts import (
    FAILED,
    OK,
    SKIPPED,
    VERDICTS,
    WARNING,
    Check,
    failed,
)

WITNESSES = ("auto", "nvidia_smi", "log", "none")
# Names of the processes that hold a model: `ollama runner` up to 0.24, llama-server from 0.30 on.
RUNNERS = ("ollama", "llama-server")
MIB = 1024 * 1024
# Without weights on the GPU, a process holds some hundred MiB there: less than this part of the claim is no proof of it.
MIN_PART = 0.5


@dataclass(frozen=True)
class Account:
    """What one witness outside the server says: on a GPU or not, None if it cannot tell; `used` in bytes if it knows."""

    witness: str
    on_gpu: bool | None
    reason: str
    used: int | None = None


@dataclass(frozen=True)
class Claim:
    """What the server says of one model, and of all loaded ones together, in bytes; None: the model is not listed."""

    model: str
    size: int | None
    size_vram: int | None
    all_vram: int = 0

    @property
    def share(self) -> float | None:
        if self.size is None or self.size_vram is None:
            return None
        return self.size_vram / self.size if self.size else 0.0


# --- what witnesses write ---------------------------------------------------------------------------------------------


def parse_compute_apps(text: str) -> dict[int, int | None]:
    """Return MiB by process of `nvidia-smi --query-compute-apps=pid,used_memory --format=csv,noheader,nounits`.

    The memory is None where the driver does not tell it (`[N/A]`). A process on several GPUs has a line for each.
    """
    used: dict[int, int | None] = {}
    for line in text.splitlines():
        first, _comma, second = line.partition(",")
        pid, memory = counted(first), counted(second)
        if pid is None:
            continue
        before = used.get(pid, 0)
        used[pid] = before + memory if memory is not None and before is not None else None
    return used


def libraries_of_last_start(lines: Iterable[str]) -> list[str]:
    """Return what a server computes with, by the lines `inference compute` of its last start in a log, as `library=` has it.

    It writes one for each GPU, or one with `library=cpu`. Empty if the log does not reach back to that start.
    """
    found: list[str] = []
    for line in lines:
        if 'msg="Listening on ' in line:
            found = []
        elif 'msg="inference compute"' in line:
            match = re.search(r'\blibrary=(?:"([^"]*)"|(\S+))', line)
            if match:
                found.append(match.group(1) or match.group(2) or "")
    return found


def gpus_of_last_start(lines: Iterable[str]) -> list[str] | None:
    """Return the GPUs that a server found at its last start, each with its library and name, by the same lines.

    Empty if it found none, or has not said yet. None if the log does not reach back to that start.
    """
    found: dict[str, str] | None = None
    for line in lines:
        if 'msg="Listening on ' in line:
            found = {}
        elif found is not None and 'msg="inference compute"' in line:
            values = {key: quoted or bare for key, quoted, bare in re.findall(r'\b(\w+)=(?:"([^"]*)"|(\S+))', line)}
            if values.get("library", "").lower() not in ("cpu", ""):
                # Two libraries can name one GPU
                name = values.get("description") or values.get("name") or "GPU"
                found[values.get("pci_id") or values.get("id") or name] = f"{values['library']} {name}"
    return None if found is None else list(found.values())


def check_gpus(found: list[str] | None, problem: str, wanted: int) -> Check:
    """Judge how many GPUs a server found at its start: one that finds none computes on the CPU without a word."""
    if found is None:
        return Check("gpus", SKIPPED, problem, threshold=wanted)
    names = f" ({', '.join(found)})" if found else ""
    reason = f"the server found {len(found)} GPU{'' if len(found) == 1 else 's'} at its start{names}"
    if len(found) < wanted:
        return failed("gpus", "gpu_not_found", f"{reason}, and {wanted} were given to it", None, len(found), wanted)
    return Check("gpus", OK, reason, None, None, len(found), wanted)


def parse_stat(text: str) -> tuple[str, int] | None:
    """Return name and parent of a process by its /proc/PID/stat; the name may hold blanks and parentheses."""
    match = re.match(r"\d+ \((.*)\) \S (\d+) ", text, re.DOTALL)
    parent = counted(match.group(2)) if match else None
    return (match.group(1), parent) if match and parent is not None else None


def is_below(pid: int, top: int, parents: Mapping[int, int]) -> bool | None:
    """Whether a process is `top` or descends from it; None where its line of parents cannot be seen."""
    seen = set()
    while pid not in seen:
        if pid == top:
            return True
        if pid <= 1:
            return False
        if pid not in parents:
            return None
        seen.add(pid)
        pid = parents[pid]
    return None


# --- accounts ---------------------------------------------------------------------------------------------------------


def smi_account(used: Mapping[int, int | None], owners: Mapping[int, bool | None]) -> Account:
    """Return what nvidia-smi says; `owners` tells whose each process is (True: the server's, None: unknown)."""
    mine = [memory for pid, memory in used.items() if owners.get(pid)]
    if mine:
        known = [memory for memory in mine if memory is not None]
        total = sum(known) * MIB if len(known) == len(mine) else None
        amount = "an unknown amount" if total is None else f"{total / 1e9:.1f} GB"
        return Account("nvidia_smi", True, f"nvidia-smi sees {amount} of GPU memory in use by the server", total)
    unknown = [pid for pid in used if owners.get(pid) is None]
    if unknown:
        pids = ", ".join(str(pid) for pid in unknown)
        return Account("nvidia_smi", None, f"nvidia-smi lists processes whose owner cannot be seen: {pids}")
    others = f" ({len(used)} of others)" if used else ""
    return Account("nvidia_smi", False, f"nvidia-smi lists no process of the server on a GPU{others}")


def log_account(libraries: list[str]) -> Account:
    """Return what the log of the server's start says."""
    if not libraries:
        return Account("log", None, "the log does not reach back to the server's start (no line 'inference compute')")
    on_gpu = any(library.lower() not in ("cpu", "") for library in libraries)
    names = ", ".join(sorted(set(libraries)))
    return Account("log", on_gpu, f"the server's log of this start names library={names}")


# --- both together ----------------------------------------------------------------------------------------------------


def is_wanted(claim: Claim, witness: str, required: bool) -> bool:
    """Whether a witness outside is needed: always for a required GPU, else where the server claims one."""
    return witness != "none" and claim.share is not None and (required or claim.share > 0)


def contradicts(claim: Claim, account: Account) -> bool:
    """Whether a witness says otherwise than the server."""
    if account.on_gpu is None or claim.share is None:
        return False
    if claim.share == 0:
        # nvidia-smi shows the process of a model on the CPU too, if that looked for a GPU.
        return account.witness == "log" and account.on_gpu
    too_little = account.used is not None and account.used < MIN_PART * claim.all_vram
    return not account.on_gpu or too_little


def judge_gpu(claim: Claim, required: bool, account: Account | None, witness: str = "auto") -> list[Check]:
    """Judge where a model is. `account` is None where no witness outside was asked."""
    if account is not None and contradicts(claim, account):
        reason = f"the server says that {_share(claim)}, but {account.reason}"
        found, wanted = _percent(claim), 100 if required else None
        if required:
            return [failed("gpu", "gpu_lost", reason, claim.model, found, wanted, "%")]
        remedy = VERDICTS["gpu_lost"].remedy
        return [Check("gpu", WARNING, reason, claim.model, None, found, wanted, "%", remedy)]
    checks = [_judge_claim(claim, required)]
    if account is not None and checks[0].status != FAILED:
        checks.append(_judge_witness(claim, account, required, witness))
    return checks


def _judge_claim(claim: Claim, required: bool) -> Check:
    model, share = claim.model, claim.share
    if share is None:
        reason = f"the server does not list {model} as loaded"
        if not required:
            return Check("gpu", SKIPPED, reason, model, threshold=None)
        remedy = "look at 'ollama ps'; a model derived from another one shows under the other's name"
        return failed("gpu", "on_cpu", reason, model, threshold=100, unit="%", remedy=remedy)
    wanted = 100 if required else None
    if not required or share >= 1:
        return Check("gpu", OK, _share(claim), model, None, _percent(claim), wanted, "%")
    if share > 0:
        remedy = "take a smaller model or context, or unload others"
        return Check("gpu", WARNING, _share(claim), model, None, _percent(claim), wanted, "%", remedy)
    return failed("gpu", "on_cpu", f"{model} runs on the CPU", model, _percent(claim), wanted, "%")


def _judge_witness(claim: Claim, account: Account, required: bool, witness: str) -> Check:
    model = claim.model
    if account.on_gpu is not None:
        return Check(
            "gpu_witness", OK, account.reason, model, None, account.used, unit="bytes" if account.used else None
        )
    reason = f"only the server says that {_share(claim)}: {account.reason}"
    if witness != "auto":
        return failed("gpu_witness", "gpu_unproven", reason, model)
    if required:
        return Check("gpu_witness", WARNING, reason, model, remedy=VERDICTS["gpu_unproven"].remedy)
    return Check("gpu_witness", SKIPPED, reason, model)


def _share(claim: Claim) -> str:
    return f"{claim.share or 0.0:.0%} of {claim.model} is in GPU memory"


def _percent(claim: Claim) -> float | None:
    return None if claim.share is None else round(100 * claim.share, 1)
