# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job on the hosts of the lab, with nothing to do, against a play that only gathers facts there."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .figures import Line, NotRun, at_most, in_turns
from .noop import processor, seconds
from .scale import Scale
from .world import BIN, HERE, ROOT, Used, World

INVENTORY = ROOT / "inventories" / "lab"
AT_ONCE = '{"ollama_serial": ["100%"]}'
WHAT = "Full `site.yml` against a play that only gathers facts, three lab hosts"


def no_op(world: World, scale: Scale) -> Iterator[Line | NotRun]:
    """Both plays on hosts that are as they are declared."""
    # The settings of this checkout, as `make demo` has them
    settings = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")} | {k: v for k, v in os.environ.items() if k == "LAB_ID"}

    def run(book: Path) -> Used:
        command = (str(BIN / "ansible-playbook"), "-i", str(INVENTORY), "-e", AT_ONCE, str(book))
        used = world.measure(*command, **settings)
        if re.search(r"changed=[1-9]", used.output):
            raise SystemExit(f"{book}: a run without anything to do has changed something:\n{used.output[-2000:]}")
        return used

    if missing := missing_hosts():
        yield NotRun("site-facts", f"{WHAT}: time", f"{missing}; `make demo` brings the lab up")
        return
    site, facts = ROOT / "playbooks" / "site.yml", HERE / "plays" / "facts.yml"
    run(site), run(facts)  # fill the caches
    ours, other = in_turns(scale.slow_runs, lambda: run(site), lambda: run(facts))
    yield Line("site-facts", f"{WHAT}: time", "s", seconds(ours), seconds(other), at_most(6))
    yield Line("site-facts-cpu", f"{WHAT}: processor time of the controller", "s", processor(ours), processor(other))


def missing_hosts() -> str:
    """Return why the hosts of the lab cannot be measured, or nothing."""
    command = [str(BIN / "ansible"), "ollama", "-i", str(INVENTORY), "-m", "ansible.builtin.ping", "--one-line"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    answered = len(re.findall(r"SUCCESS", done.stdout))
    return "" if done.returncode == 0 and answered == 3 else f"{answered} of three hosts of the lab answer"
