# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pure parts of the benchmarks: pairs, spreads, verdicts, exponents, the table. No time is measured here."""

from __future__ import annotations

import csv
import io
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.figures import Line, NotRun, Spread, at_least, at_most, exponent, in_turns, spread
from tests.bench.record import Run, dumped, loaded, merged
from tests.bench.table import Part, as_csv, page, show, table

FIGURES = st.floats(min_value=0.001, max_value=1e6)


def test_both_sides_run_in_turns():
    order = []
    counter = itertools.count()

    def side(name):
        order.append(name)
        return next(counter)

    assert in_turns(3, lambda: side("A"), lambda: side("B")) == ((0, 2, 4), (1, 3, 5))
    assert order == ["A", "B", "A", "B", "A", "B"]


@given(st.lists(FIGURES, min_size=1))
def test_a_spread_is_in_order_and_made_of_the_figures(figures):
    found = spread(figures)
    assert found.least <= found.middle <= found.most
    assert {found.least, found.most} <= set(figures)


def test_the_ratio_is_that_of_pairs_and_not_of_spreads():
    # A machine that is ten times slower in the second run says nothing about the two sides.
    line = Line("c", "what", "s", (2.0, 20.0), (1.0, 10.0), at_most(2))
    assert line.ratios == (2.0, 2.0)
    assert line.held is True


def test_times_faster():
    line = Line("c", "what", "s", (2.0,), (21.0,), at_least(10), faster=True)
    assert line.ratios == (10.5,)
    assert line.held is True


@pytest.mark.parametrize(
    ("limit", "figures", "held"),
    [
        (at_most(60, "MB"), (59.0, 60.0, 99.0), True),
        (at_most(60, "MB"), (10.0, 60.1, 61.0), False),
        (at_least(3), (2.9, 3.0, 9.0), True),
        (at_least(3), (2.0, 2.9, 9.0), False),
        (None, (1.0,), None),
    ],
)
def test_the_middle_decides(limit, figures, held):
    assert Line("c", "what", "", figures, limit=limit).held is held


@pytest.mark.parametrize(("ours", "other"), [((), ()), ((1.0,), (1.0, 2.0))])
def test_figures_that_are_no_pairs_are_refused(ours, other):
    with pytest.raises(ValueError, match="are no pairs"):
        Line("c", "what", "s", ours, other)


@given(st.floats(min_value=-2, max_value=3), st.floats(min_value=0.01, max_value=100))
def test_the_exponent_of_a_power_is_found(power, factor):
    sizes = (1, 20, 100, 200)
    assert exponent(sizes, [factor * size**power for size in sizes]) == pytest.approx(power, abs=1e-6)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Spread(1.0, 1.0, 1.0), "1 s"),
        (Spread(1.234, 12.34, 123.4), "1.23 / 12.3 / 123 s"),
        (Spread(-0.012, -0.01, 0.5), "-0.01 / -0.01 / 0.50 s"),
    ],
)
def test_spreads_as_shown(found, text):
    assert show(found, "s") == text


def test_a_table_shows_held_missed_and_not_run():
    rows = table(
        [
            Line("noop-a", "A", "s", (1.0,), (2.0,), at_most(0.6), note="why"),
            Line("noop-b", "B", "s", (3.0,), (2.0,), at_most(0.6)),
            Line("noop-c", "C", "MB", (30.0,)),
            NotRun("noop-d", "D", "no option d"),
        ]
    )
    assert rows == [
        "| Compared | Ours | Other side | Ratio | Limit | Held |",
        "|---|---|---|---|---|---|",
        "| A | 1 s | 2 s | 0.50 | ≤ 0.6 | yes |",
        "| B | 3 s | 2 s | 1.50 | ≤ 0.6 | **no** |",
        "| C | 30 MB |  |  |  |  |",
        "| D |  |  |  |  | not run: no option d |",
        "",
        "* A: why",
    ]


LAYOUT = (Part("noop", "N", "1"), Part("pull", "P", "2"), Part("memory", "M", "3"))


def test_a_page_has_a_part_for_each_title_with_cases():
    lines = [Line("pull-a", "A", "s", (1.0,)), NotRun("memory-b", "B", "none")]
    text = page([Run({"Kernel": "6.1"}, {"pull": lines})], lines, LAYOUT)
    assert "## The machine\n\n* Kernel: 6.1\n\n## P" in text
    assert text.index("## P\n\n2\n\n| Compared") < text.index("## M\n\n3\n\n| Compared")
    assert "## N" not in text


def test_a_case_that_is_measured_anew_replaces_the_one_before():
    before = Run({"Date": "1"}, {"pull": [Line("pull-a", "A", "s", (1.0,))], "noop": [NotRun("noop-a", "N", "none")]})
    new = Run({"Date": "2"}, {"pull": [Line("pull-a", "A", "s", (2.0, 3.0), (4.0, 5.0), at_most(2), note="n")]})
    runs = loaded(dumped(merged([before], new)))
    assert runs == [Run({"Date": "1"}, {"noop": before.cases["noop"]}), new]
    text = page(runs, [line for run in runs for lines in run.cases.values() for line in lines], LAYOUT)
    assert text.index("### Cases noop\n\n* Date: 1") < text.index("### Cases pull\n\n* Date: 2")
    assert merged(runs, Run({}, before.cases)) == [Run({}, before.cases)]


@given(st.lists(st.tuples(FIGURES, FIGURES), min_size=1, max_size=5))
def test_a_csv_file_has_a_row_for_each_run(pairs):
    line = Line("c", "what", "s", tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs))
    rows = list(csv.DictReader(io.StringIO(as_csv(line))))
    assert [row["run"] for row in rows] == [str(number) for number in range(1, len(pairs) + 1)]
    assert [float(row["ours"]) for row in rows] == pytest.approx([pair[0] for pair in pairs], abs=1e-4)
