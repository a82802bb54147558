# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a case is: given, fault, expectation, and the function that makes the fault happen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .site import Site


class Unexpected(Exception):
    """The run that met the fault did not end as the case expects."""


@dataclass(frozen=True)
class Case:
    """One fault.

    :param name: what --only takes
    :param given: where it begins
    :param fault: what happens
    :param expected: how the run that meets it ends
    :param strike: makes it happen; returns when the fault is over, but for what the site undoes itself
    :param quick: part of the fast subset
    :param standin: cannot be played with a real server
    :param leaves: what may be left (a regular expression), since the server itself removes it at a start after an hour
    """

    name: str
    given: str
    fault: str
    expected: str
    strike: Callable[[Site], None]
    quick: bool = False
    standin: bool = False
    leaves: str = ""


@dataclass(frozen=True)
class Result:
    """What came of one case.

    :param problems: the invariants that do not hold and what was not expected; empty: all holds
    :param served: seconds from the end of the fault until all models of before were served, without any run; None: the next run was needed
    :param recovered: seconds from the end of the fault until the next run had converged
    :param seed: of the random moments
    :param left: what the server is to remove itself
    """

    case: str
    problems: tuple[str, ...]
    served: float | None
    recovered: float
    seed: int
    left: tuple[str, ...] = ()
