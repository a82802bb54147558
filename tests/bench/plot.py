# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A growth curve as SVG: both axes logarithmic, so that a power is a straight line and its exponent the slope. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from .figures import Line, Spread, exponent, spread

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 40, 50
COLOURS = ("#0b6e4f", "#a63d40")
STYLE = 'font-family="sans-serif" font-size="12"'
Points = Sequence[tuple[float, Spread]]


class Axis:
    """One logarithmic axis, from the power of ten below all values to the one above."""

    def __init__(self, values: Sequence[float], begin: float, end: float) -> None:
        self.first = math.floor(math.log10(min(values)))
        self.last = max(math.ceil(math.log10(max(values))), self.first + 1)
        self.begin, self.end = begin, end

    def place(self, value: float) -> float:
        """Return where a value stands."""
        share = (math.log10(value) - self.first) / (self.last - self.first)
        return self.begin + share * (self.end - self.begin)

    @property
    def ticks(self) -> list[float]:
        """Return the powers of ten."""
        return [10.0**power for power in range(self.first, self.last + 1)]


def svg(title: str, axis: str, sides: tuple[str, str], lines: Sequence[Line]) -> str:
    """Return the curve of some lines, each a point with the spread of its runs.

    :param axis: what grows
    :param sides: the names of ours and of the other side
    """
    curves: list[tuple[str, Points]] = [(sides[0], [(line.size or 1, spread(line.ours)) for line in lines])]
    if all(line.other for line in lines):
        curves.append((sides[1], [(line.size or 1, spread(line.other)) for line in lines]))
    every = [figure for _name, points in curves for _size, found in points for figure in (found.least, found.most)]
    across = Axis([size for size, _found in curves[0][1]], LEFT, WIDTH - RIGHT)
    up = Axis(every, HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" {STYLE}>',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        *frame(across, up, axis, lines[0].unit),
    ]
    for number, (name, points) in enumerate(curves):
        parts += curve(points, across, up, COLOURS[number])
        slope = exponent([size for size, _found in points], [found.middle for _size, found in points])
        parts.append(
            text(LEFT + 10, TOP + 16 * (number + 1), f"{name}: exponent {slope:.2f}", COLOURS[number], "start")
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def frame(across: Axis, up: Axis, axis: str, unit: str) -> Iterator[str]:
    """Yield the grid, its figures and the names of the axes."""
    for tick in across.ticks:
        x = across.place(tick)
        yield f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}" stroke="#ddd"/>'
        yield text(x, HEIGHT - BOTTOM + 18, f"{tick:g}")
    for tick in up.ticks:
        y = up.place(tick)
        yield f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#ddd"/>'
        yield text(LEFT - 8, y + 4, f"{tick:g}", anchor="end")
    yield text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, axis)
    yield text(LEFT - 8, TOP - 14, unit, anchor="end")


def curve(points: Points, across: Axis, up: Axis, colour: str) -> Iterator[str]:
    """Yield the middles as a line with dots, and the spread of each as a bar."""
    places = [(across.place(size), up.place(found.middle)) for size, found in points]
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="2"/>'
    for (x, y), (_size, found) in zip(places, points):
        yield f'<line x1="{x:.1f}" y1="{up.place(found.least):.1f}" x2="{x:.1f}" y2="{up.place(found.most):.1f}" stroke="{colour}"/>'
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'


def text(x: float, y: float, words: str, colour: str = "#333", anchor: str = "middle") -> str:
    """Return words at a place."""
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}">{escape(words)}</text>'
