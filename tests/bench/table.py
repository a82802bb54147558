# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of the figures as Markdown, and the runs behind it as CSV. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .figures import Line, NotRun, Spread, spread
from .record import Run

HEAD = """# Benchmarks

Made by `make bench` from the runs that it made; nothing in this file is written by hand. The figures of each run lie in
[benchmarks/](benchmarks/), a CSV file for each case.

Both sides of a comparison ran on this machine in turns (A B A B ...), and only the ratios of such pairs are compared with a
limit, by their middle value; seconds are no promise. Each figure is smallest / middle / largest of its runs.
"""
COLUMNS = ("Compared", "Ours", "Other side", "Ratio", "Limit", "Held")


@dataclass(frozen=True)
class Part:
    """One part of the page: the cases whose names begin with ``prefix``.

    :param axis: what grows, where the part has a curve
    :param sides: what ours and the other side are called there
    """

    prefix: str
    title: str
    text: str
    axis: str = ""
    sides: tuple[str, str] = ("ours", "other side")

    def inside(self, lines: Iterable[Line | NotRun]) -> list[Line | NotRun]:
        """Return the lines of this part."""
        return [line for line in lines if line.case.startswith(f"{self.prefix}-")]

    def points(self, lines: Iterable[Line | NotRun]) -> list[Line]:
        """Return the points of its curve in order; fewer than two are none."""
        found = [line for line in self.inside(lines) if isinstance(line, Line) and line.size]
        return sorted(found, key=lambda line: line.size or 0) if self.axis and len(found) > 1 else []


def page(runs: Sequence[Run], lines: Sequence[Line | NotRun], layout: Sequence[Part]) -> str:
    """Return the page; a part without cases is left out."""
    parts = [HEAD, "## The machine"]
    for run in runs:
        if len(runs) > 1:
            parts.append(f"\n### Cases {', '.join(run.cases)}")
        parts += ["", *(f"* {key}: {value}" for key, value in run.about.items())]
    for part in layout:
        inside = part.inside(lines)
        if inside:
            parts += [f"\n## {part.title}\n", f"{part.text}\n", *table(inside)]
        if part.points(lines):
            parts.append(f"\n![{part.title}: the curve](benchmarks/{part.prefix}.svg)")
    return "\n".join(parts) + "\n"


def table(lines: Iterable[Line | NotRun]) -> list[str]:
    """Return the lines of a Markdown table, and below it the notes."""
    rows = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    notes = []
    for line in lines:
        rows.append("| " + " | ".join(cells(line)) + " |")
        if isinstance(line, Line) and line.note:
            notes.append(f"* {line.what}: {line.note}")
    return [*rows, "", *notes]


def cells(line: Line | NotRun) -> tuple[str, ...]:
    """Return the cells of one row."""
    if isinstance(line, NotRun):
        return (line.what, "", "", "", "", f"not run: {line.reason}")
    held = {True: "yes", False: "**no**", None: ""}[line.held]
    ratios = line.ratios
    return (
        line.what,
        show(spread(line.ours), line.unit),
        show(spread(line.other), line.unit) if line.other else "",
        show(spread(ratios)) if ratios else "",
        str(line.limit or ""),
        held,
    )


def show(found: Spread, unit: str = "") -> str:
    """Return a spread as a cell shows it; one figure where all are the same."""
    figures = [f"{figure:.{digits(figure)}f}" for figure in (found.least, found.middle, found.most)]
    text = figures[0] if len(set(figures)) == 1 else " / ".join(figures)
    return f"{text} {unit}".strip()


def digits(figure: float) -> int:
    """Return so many places that three figures count, and whole numbers stay whole."""
    if figure == int(figure) or abs(figure) >= 100:
        return 0
    return 1 if abs(figure) >= 10 else 2


def as_csv(line: Line) -> str:
    """Return the runs of one line."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["run", "ours", "other", "ratio", "unit"])
    for number, ours in enumerate(line.ours):
        other = f"{line.other[number]:.4f}" if line.other else ""
        ratio = f"{line.ratios[number]:.4f}" if line.other else ""
        writer.writerow([number + 1, f"{ours:.4f}", other, ratio, line.unit])
    return out.getvalue()
