# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in the way of a pull goes before its attempts, and what can be resumed or is in use stays."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _clearing as clearing
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._pull import Clock

DIGEST = "sha256:" + "a" * 64
NAME = "sha256-" + "a" * 64
FOREVER = 1e9


class Site:
    """A store and a source, with a clock that only sleeping moves."""

    def __init__(self, root):
        self.root = root
        self.blobs = root / "blobs"
        self.blobs.mkdir()
        self.sizes = {DIGEST: 100, "sha256:" + "b" * 64: 7}
        self.asked = 0
        self.now = 0.0
        #: called at each sleep
        self.meanwhile = lambda: None
        clock = Clock(now=lambda: self.now, sleep=self._sleep)
        self.clear = clearing.Clearing("m", str(root), self._ask, url="http://fake", clock=clock)

    def _sleep(self, seconds):
        self.now += seconds
        self.meanwhile()

    def _ask(self):
        self.asked += 1
        return self.sizes

    def begin(self, *sizes):
        """Write what the server writes."""
        (self.blobs / f"{NAME}-partial").write_bytes(b"x" * 50)
        for number, size in enumerate(sizes):
            plan = {"N": number, "Offset": sum(sizes[:number]), "Size": size, "Completed": 0}
            (self.blobs / f"{NAME}-partial-{number}").write_text(json.dumps(plan))

    @property
    def left(self):
        return sorted(path.name.removeprefix(NAME) for path in self.blobs.iterdir())


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_nobody_is_asked_where_nothing_was_begun(site):
    (site.blobs / NAME).write_bytes(b"")
    (site.blobs / f"{NAME}-partial").write_bytes(b"")
    assert not site.clear(FOREVER)
    assert (site.asked, site.now, site.clear.warnings) == (0, 0.0, [])


@pytest.mark.parametrize("sizes", [(100,), (60, 40)])
def test_what_can_be_resumed_stays(site, sizes):
    site.begin(*sizes)
    assert not site.clear(FOREVER) and not site.clear(FOREVER)
    assert len(site.left) == 1 + len(sizes)
    # The source is asked once.
    assert (site.asked, site.now, site.clear.warnings) == (1, 0.0, [])


@pytest.mark.parametrize("sizes", [(101,), (60, 40, 40), (40,)])
def test_a_plan_for_another_size_goes(site, sizes):
    site.begin(*sizes)
    assert site.clear(FOREVER)
    assert site.left == []
    (warning,) = site.clear.warnings
    assert f"it is for {sum(sizes)} bytes, and the manifest of the source says 100; it was removed" in warning


def test_where_the_source_does_not_say_a_size_nothing_goes(site):
    site.sizes = {}
    site.begin(101)
    assert not site.clear(FOREVER)
    assert site.left == ["-partial", "-partial-0"]


def test_another_models_plan_stays(site):
    del site.sizes[DIGEST]
    site.begin(101)
    assert not site.clear(FOREVER)
    assert site.left == ["-partial", "-partial-0"]


def test_a_server_that_has_not_let_go_yet_is_waited_for(site):
    site.begin(101)
    with (site.blobs / f"{NAME}-partial").open("rb") as stream:
        site.meanwhile = lambda: stream.close() if site.now > 20 else None
        assert site.clear(FOREVER)
    assert site.left == []
    assert 20 < site.now < 23


@pytest.mark.parametrize(("until", "waited"), [(FOREVER, 41), (5.0, 5)])
def test_what_somebody_pulls_stays(site, until, waited):
    site.begin(101)
    with (site.blobs / f"{NAME}-partial").open("rb"):
        assert not site.clear(until)
    assert site.left == ["-partial", "-partial-0"]
    assert site.now <= waited
    assert "left alone, since some process is at work on it" in site.clear.warnings[0]


def test_what_somebody_pulls_is_waited_for_and_told_once(site):
    site.begin(101)
    with (site.blobs / f"{NAME}-partial").open("rb"):
        for _attempt in range(7):
            assert not site.clear(FOREVER)
    assert (site.now, len(site.clear.warnings)) == (40 + 6, 1)
    # It goes as soon as nobody has it any more.
    assert site.clear(FOREVER)
    assert site.left == []


def test_a_server_that_keeps_its_progress_as_it_lets_go_does_not_hide_its_plan(site):
    site.begin(101)
    with (site.blobs / f"{NAME}-partial").open("rb") as stream:

        def let_go():
            if not stream.closed:
                plan = {"N": 0, "Offset": 0, "Size": 101, "Completed": 50}
                (site.blobs / f"{NAME}-partial-0").write_text(json.dumps(plan))
                stream.close()

        site.meanwhile = let_go
        assert site.clear(FOREVER)
    assert site.left == []


def test_several_are_waited_for_together(site):
    other = "sha256:" + "b" * 64
    for digest in (DIGEST, other):
        path = site.blobs / (digest.replace(":", "-") + "-partial")
        path.write_bytes(b"x")
        path.with_name(path.name + "-0").write_text('{"Size": 1000}')
    with path.open("rb") as stream:
        site.meanwhile = lambda: stream.close() if site.now > 20 else None
        assert site.clear(FOREVER)
    assert list(site.blobs.iterdir()) == []
    assert site.now < 25


def test_what_changes_until_the_end_stays(site):
    site.begin(101)
    numbers = iter(range(2, 100))
    site.meanwhile = lambda: site.begin(*[101] * next(numbers))
    assert not site.clear(10.0)
    assert "some process is at work on it" in site.clear.warnings[0]


@pytest.mark.parametrize(
    ("user", "remedy"), [(0, "as root that takes CAP_SYS_PTRACE"), (1500, "run the module with become")]
)
def test_where_nobody_can_see_who_has_it_open_it_stays(site, monkeypatch, user, remedy):
    monkeypatch.setattr(clearing.os, "geteuid", lambda: user)
    monkeypatch.setattr(clearing, "in_use", lambda root, digest: None)
    site.begin(101)
    assert not site.clear(FOREVER) and not site.clear(FOREVER)
    assert site.left == ["-partial", "-partial-0"]
    (warning,) = site.clear.warnings
    assert f"cannot see whether some process has it open; {remedy}" in warning
    assert site.now < 5


def test_a_damaged_plan_is_not_the_sources_fault(site):
    for _attempt in range(4):
        (site.blobs / f"{NAME}-partial-0").write_bytes(b"")
        assert site.clear(FOREVER)
    assert site.left == []


def test_a_source_that_did_not_answer_once_is_asked_again(site):
    sizes, site.sizes = site.sizes, {}
    site.begin(101)
    assert not site.clear(FOREVER)
    site.sizes = sizes
    assert site.clear(FOREVER) and site.asked == 2


def test_a_plan_that_is_being_written_stays(site):
    site.begin(60)
    site.meanwhile = lambda: site.begin(60, 40)
    assert not site.clear(FOREVER)
    assert site.left == ["-partial", "-partial-0", "-partial-1"]
    assert site.clear.warnings == []


def test_a_source_that_announces_the_wrong_size_again_is_named(site):
    site.begin(101)
    assert site.clear(FOREVER), "what an earlier run left says nothing of the source"
    site.begin(101)
    assert site.clear(FOREVER), "once is chance"
    site.begin(101)
    with pytest.raises(errors.SourceUnusable, match="it is for 101 bytes, and the manifest of the source says 100"):
        site.clear(FOREVER)
    assert site.left == []


def test_what_cannot_be_removed_is_named(site):
    (site.blobs / f"{NAME}-partial-0").mkdir()
    with pytest.raises(
        errors.StoreBroken, match=f"{NAME}-partial-0 cannot be removed by user .* run the module with become"
    ):
        site.clear(FOREVER)


def test_what_cannot_be_read_is_not_judged(site, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    site.begin(101)
    monkeypatch.setattr(os, "lstat", refuse)
    assert not site.clear(FOREVER) and not site.clear(FOREVER)
    monkeypatch.undo()
    assert site.left == ["-partial", "-partial-0"]
    (warning,) = site.clear.warnings
    assert f"{NAME}-partial-0 cannot be read by user" in warning
