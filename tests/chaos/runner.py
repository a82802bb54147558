# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One case from its beginning to its verdict."""

from __future__ import annotations

import re
import subprocess
import time
import traceback
from collections.abc import Collection
from dataclasses import replace

from .case import Case, Result, Unexpected
from .site import BASE, Site
from .verdict import Seen, broken, strangers

#: seconds in which the models are to be served again without any run, once the fault is over
PATIENCE = 25.0


def play_case(site: Site, case: Case) -> Result:
    """Make the fault happen, run again, and again, and judge; the site is then as it was."""
    site.begin(case.name)
    if unfit(site.before):
        mended(site)
    before = site.before
    problems: list[str] = []
    try:
        case.strike(site)
    except Unexpected as error:
        problems.append(str(error))
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        problems.append(f"the case itself failed: {error}")
        traceback.print_exc()
    site.stop()
    site.registry.heal()
    over = time.monotonic()
    served = site.serving(before, PATIENCE)
    recovery = site.repeat()
    recovered = time.monotonic() - over
    again = site.repeat()
    found = broken(without(before, site.may_go), site.look(), again, recovery, site.may_change)
    left = [text for text in found if case.leaves and re.search(case.leaves, text)]
    problems += [text for text in found if text not in left]
    site.tidy(sweep=bool(left))
    if unfit(site.before) or strangers(before, site.before):
        problems += mended(site)
    return Result(case.name, tuple(problems), served, recovered, site.seed, tuple(left))


def without(seen: Seen, gone: Collection[str]) -> Seen:
    """Return what was seen without some of its containers."""
    return replace(
        seen, containers={name: state for name, state in (seen.containers or {}).items() if name not in gone}
    )


def unfit(seen: Seen) -> list[str]:
    """Return why no case can begin on what was seen."""
    if seen.models is None:
        return ["no server answers"]
    return [*(f"{name} is not served" for name in BASE if name not in seen.models), *seen.damage, *seen.left]


def mended(site: Site) -> list[str]:
    """Bring the host back to its beginning after a case that did not, by a new one if it must be; return what a whole run could not mend."""
    if site.run("site").status == 0:
        site.prepare()
        if not unfit(site.before):
            return []
    found = unfit(site.look())
    site.new_host()
    if site.run("site").status:
        raise SystemExit("a new host cannot be made ready")
    site.prepare()
    return [f"a run of site.yml did not mend it, so that a new host was made: {'; '.join(found)}"]
