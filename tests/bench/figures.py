# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made of measured figures: ratios of pairs, their spread, verdicts, exponents. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Spread:
    """Smallest, middle and largest of some figures."""

    least: float
    middle: float
    most: float


def spread(figures: Sequence[float]) -> Spread:
    """Return the spread of at least one figure."""
    return Spread(min(figures), statistics.median(figures), max(figures))


@dataclass(frozen=True)
class Limit:
    """What a ratio, or a figure that has no other side, is held to; judged by the middle of the runs."""

    sign: str  # "<=" or ">="
    value: float
    unit: str = ""

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return f"{'≤' if self.sign == '<=' else '≥'} {self.value:g}{unit}"

    def holds(self, found: Spread) -> bool:
        """Tell whether the middle is on the right side."""
        return found.middle <= self.value if self.sign == "<=" else found.middle >= self.value


def at_most(value: float, unit: str = "") -> Limit:
    return Limit("<=", value, unit)


def at_least(value: float, unit: str = "") -> Limit:
    return Limit(">=", value, unit)


@dataclass(frozen=True)
class Line:
    """One line of the table: figures of paired runs, or of one side alone.

    :param case: the file name of its CSV
    :param what: what is compared, in words
    :param ours: a figure for each run
    :param other: the other side's figures of the same runs; empty where there is no other side
    :param faster: the ratio is "how many times faster": other / ours instead of ours / other
    :param note: what else there is to know
    :param size: where the line stands on the curve of its part: so many models, hosts or bytes; ``None`` where it is no point of one
    """

    case: str
    what: str
    unit: str
    ours: tuple[float, ...]
    other: tuple[float, ...] = ()
    limit: Limit | None = None
    faster: bool = False
    note: str = ""
    size: float | None = None

    def __post_init__(self) -> None:
        if not self.ours or (self.other and len(self.other) != len(self.ours)):
            raise ValueError(f"{self.case}: {len(self.ours)} and {len(self.other)} figures are no pairs")

    @property
    def ratios(self) -> tuple[float, ...]:
        """One ratio for each pair; none where there is no other side."""
        pairs = zip(self.ours, self.other)
        return tuple(other / ours if self.faster else ours / other for ours, other in pairs)

    @property
    def held(self) -> bool | None:
        """Whether the limit holds; ``None`` where there is none."""
        if self.limit is None:
            return None
        return self.limit.holds(spread(self.ratios or self.ours))


@dataclass(frozen=True)
class NotRun:
    """A comparison that could not be made here."""

    case: str
    what: str
    reason: str


def in_turns(runs: int, ours: Callable[[], T], other: Callable[[], T]) -> tuple[tuple[T, ...], tuple[T, ...]]:
    """Measure both sides A B A B ..., so that a slow minute of the machine hits both; return the figures of each."""
    pairs = [(ours(), other()) for _run in range(runs)]
    return tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)


def exponent(sizes: Sequence[float], figures: Sequence[float]) -> float:
    """Return ``k`` of the best fit ``figure = c * size ** k``: 0 is constant, 1 linear."""
    points = [(math.log(size), math.log(figure)) for size, figure in zip(sizes, figures)]
    return statistics.linear_regression(*zip(*points, strict=True)).slope
