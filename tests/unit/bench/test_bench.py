# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pure parts of the benchmarks: pairs, spreads, verdicts, exponents, the table. No time is measured here."""

from __future__ import annotations

import csv
import io
import itertools
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench import plot
from tests.bench.figures import Line, NotRun, Spread, at_least, at_most, exponent, in_turns, spread
from tests.bench.guard import SHORT, STEEPER, committed, regressions
from tests.bench.plot import svg
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


GROWN = Part("hosts", "More hosts", "text", axis="hosts", sides=("ours & co", "ping"))


def test_a_curve_is_made_of_the_lines_with_a_size_in_their_order():
    lines = [
        Line("hosts-20", "B", "s", (2.0,), (1.0,), size=20),
        Line("hosts-1", "A", "s", (1.0,), (1.0,), size=1),
        Line("hosts-exponent", "E", "", (0.3,)),
        NotRun("hosts-40", "C", "no room"),
        Line("size-1", "S", "s", (1.0,), size=1),
    ]
    assert [line.size for line in GROWN.points(lines)] == [1, 20]
    assert GROWN.points(lines[:1]) == []
    assert Part("hosts", "More hosts", "text").points(lines) == []
    text = page([Run({}, {"hosts": lines})], lines, (GROWN,))
    assert text.rstrip().endswith("![More hosts: the curve](benchmarks/hosts.svg)")


def marks(picture, kind):
    return [element for element in ElementTree.fromstring(picture).iter() if element.tag.endswith(f"}}{kind}")]


@given(st.floats(min_value=-1, max_value=2), st.floats(min_value=0.01, max_value=100))
def test_a_power_is_drawn_as_a_straight_line_within_the_frame(power, factor):
    sizes = (1, 20, 100, 200)
    lines = [Line(f"hosts-{size}", "x", "s", (factor * size**power,), size=size) for size in sizes]
    picture = svg("More hosts", "hosts", ("ours", "ping"), lines)
    dots = [(float(dot.get("cx")), float(dot.get("cy"))) for dot in marks(picture, "circle")]
    assert len(dots) == len(sizes)
    assert all(
        plot.LEFT <= x <= plot.WIDTH - plot.RIGHT and plot.TOP - 0.1 <= y <= plot.HEIGHT - plot.BOTTOM + 0.1
        for x, y in dots
    )
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in itertools.pairwise(dots)]
    assert slopes == pytest.approx([slopes[0]] * len(slopes), abs=0.02)
    assert f"ours: exponent {power:.2f}".replace("-0.00", "0.00") in picture.replace("-0.00", "0.00")


def test_both_sides_are_drawn_with_the_spread_of_their_runs_and_names_are_escaped():
    lines = [Line(f"hosts-{n}", "x", "s", (1.0 * n, 2.0 * n), (0.5 * n, 0.6 * n), size=n) for n in (1, 5, 40)]
    picture = svg("More hosts", "hosts", ("ours & co", "ping"), lines)
    assert len(marks(picture, "circle")) == 6
    assert len(marks(picture, "polyline")) == 2
    words = [element.text for element in marks(picture, "text")]
    assert {"ours & co: exponent 1.00", "ping: exponent 1.00", "hosts", "s", "1", "10", "100"} <= set(words)
    bars = [element for element in marks(picture, "line") if element.get("stroke") in plot.COLOURS]
    assert [round(float(line.get("y1")) - float(line.get("y2"))) for line in bars[:3]] == [round(HALVING)] * 3


#: What a factor of two is on an axis of three powers of ten.
HALVING = (plot.HEIGHT - plot.BOTTOM - plot.TOP) / 3 * 0.30103


def ratio(middle, *, case="pull-a", what="A", faster=False):
    return Line(case, what, "s", (1.0,) if faster else (middle,), (middle,) if faster else (1.0,), faster=faster)


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        (ratio(1.0), ratio(1.25), None),
        (ratio(1.0), ratio(1.26), "A: found 1.26, before 1.00, wanted at most 1.25"),
        (ratio(1.0), ratio(0.2), None),
        (ratio(10.0, faster=True), ratio(8.0, faster=True), None),
        (ratio(10.0, faster=True), ratio(7.9, faster=True), "A: found 7.90, before 10.00, wanted at least 8.00"),
        (ratio(10.0, faster=True), ratio(99.0, faster=True), None),
        # Too quick to tell
        (ratio(1.0), Line("pull-a", "A", "s", (0.4,), (0.1,)), None),
        (ratio(1.0), Line("pull-a", "A", "s", (0.6,), (0.1,)), "A: found 6.00"),
        (ratio(1.0), Line("pull-a", "A", "MB", (0.4,), (0.1,)), "A: found 4.00"),
        # Other sizes, another case, or seconds alone are not compared
        (ratio(1.0), ratio(9.0, what="A with more"), None),
        (ratio(1.0), ratio(9.0, case="pull-b"), None),
        (Line("pull-a", "A", "s", (1.0,)), Line("pull-a", "A", "s", (9.0,)), None),
        (Line("size-exponent", "A", "", (0.1,)), Line("size-exponent", "A", "", (0.3,)), None),
        (
            Line("size-exponent", "A", "", (0.1,)),
            Line("size-exponent", "A", "", (0.31,)),
            "found 0.31, before 0.10, wanted at most 0.30",
        ),
        (ratio(1.0), NotRun("pull-a", "A", "no room"), "A: was measured before, and is not now: no room"),
        (NotRun("pull-a", "A", "no room"), ratio(9.0), None),
    ],
)
def test_what_is_worse_than_the_committed_run(before, now, words):
    found = regressions([before], [now])
    assert len(found) == (1 if words else 0)
    assert words is None or words in found[0]


def test_the_middle_of_the_runs_decides_over_a_regression():
    slow_once = Line("pull-a", "A", "s", (1.0, 9.0, 1.0), (1.0, 1.0, 1.0))
    assert regressions([ratio(1.0)], [slow_once]) == []


def test_the_committed_record_can_be_compared_with():
    runs = loaded(committed())
    lines = [line for run in runs for found in run.cases.values() for line in found]
    assert regressions(lines, lines) == []
    worse = [replace(line, ours=tuple(2 * figure for figure in line.ours)) for line in lines if isinstance(line, Line)]
    long = [line for line in worse if line.other and max(spread(line.ours).middle, spread(line.other).middle) >= SHORT]
    # Twice the exponent is steeper where there was a slope
    steep = [line for line in worse if line.case.endswith("-exponent") and spread(line.ours).middle / 2 > STEEPER]
    assert len(long) > 5 and len(regressions(lines, worse)) == len(long) + len(steep)
