# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The made part of docs/gpu.md: what gpu_info says of each host that the tests have as a tree of files."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The collection as `make collections` links it, and the tests
sys.path[:0] = [str(ROOT), str(ROOT / ".build" / "collections")]

from ansible_collections.alchemorsel.ollama.plugins.module_utils._gpu_rung import RUNGS

from tests.unit.host_trees import load, names, verdict_of

VENDORS = ["none", "tegra", "intel", "amd", "nvidia"]
MEANINGS = {
    "pci": "a GPU is on the PCI bus",
    "driver": "its driver is loaded, and new enough",
    "library": "the installed library is of the loaded module's version",
    "device_nodes": "the nodes in /dev with which programs compute are there",
    "fabric_manager": "where NVSwitches join the GPUs, the fabric manager is active and of the driver's version",
    "nvidia_smi": "nvidia-smi lists every GPU that the driver holds",
    "compute_capability": "Ollama computes on each GPU, with this driver",
    "toolkit": "NVIDIA's container toolkit is there, and new enough",
    "cdi": "CDI devices are described for each GPU, with this driver",
    "engine": "the Docker Engine gives CDI devices to containers",
}


def gpu_page() -> str:
    """Return the made part of docs/gpu.md."""
    lines = [
        "# From the PCI bus to a GPU in a container",
        "",
        "`gpu_info` climbs these rungs, and says of each what was found and what to do. The role `nvidia_container_toolkit` mends",
        "the rungs `device_nodes`, `toolkit` and `cdi`, the role `docker` the last one. Any other failure ends a run of the role that looks",
        "at it before that changes anything, unless `ollama_gpu` is `disabled`.",
        "",
        "| Rung | It holds if |",
        "|---|---|",
        *(f"| `{name}` | {MEANINGS[name]} |" for name in RUNGS),
        "",
        "One more comes after the start of the server: `ollama_health` with `min_gpus` reads in its log whether it found as many GPUs",
        "as it was given.",
        "",
        "## What is said of each kind of host",
        "",
        "The table is made from the trees in `tests/unit/fixtures/hosts`, which the tests judge, too. `h100` was recorded on a host with",
        "that GPU; the others were written by hand, in the forms that kernels, drivers and tools write.",
        "",
        "| Host | Vendor | First failed rung | What was found | Remedy |",
        "|---|---|---|---|---|",
    ]
    rows = sorted(row(name) for name in names())
    lines += [
        "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |" for _order, cells in rows
    ]
    return "\n".join(lines)


def row(name: str) -> tuple[tuple[int, int, str], list[str]]:
    """Return the cells of one host, and its place: by vendor, and by how far it climbs."""
    with tempfile.TemporaryDirectory() as folder:
        verdict = verdict_of(name, Path(folder))
    rung = next((check["name"] for check in verdict["checks"] if check["status"] == "failed"), None)
    place = (VENDORS.index(verdict["vendor"]), RUNGS.index(rung) if rung else len(RUNGS), name)
    shown = f"`{rung}`" if rung else "none: ready"
    return place, [
        f"{load(name)['description']} (`{name}`)",
        verdict["vendor"],
        shown,
        verdict["reason"],
        verdict["remedy"],
    ]
