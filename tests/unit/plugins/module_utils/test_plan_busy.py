# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan makes of a source that limits the rate."""

from __future__ import annotations

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import (
    COPY,
    CREATE,
    DELETE,
    PULL,
    REPAIR,
    RESTORE,
    Action,
    Draft,
    Offer,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._apply import possible
from ansible_collections.alchemorsel.ollama.plugins.module_utils._broken import Fault, Stock, mend
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import Desired
from ansible_collections.alchemorsel.ollama.plugins.module_utils._held import held_models
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import parse_name
from ansible_collections.alchemorsel.ollama.plugins.module_utils._plan import decide
from ansible_collections.alchemorsel.ollama.plugins.module_utils._preflight import judge
from ansible_collections.alchemorsel.ollama.plugins.module_utils._set import offer
from ansible_collections.alchemorsel.ollama.plugins.module_utils._states import LATEST, PRESENT

from tests.unit.created_models import Content
from tests.unit.whole_server import Source, WholeServer, run

NAME = parse_name("a")
OLD, NEW = "sha256:" + "1" * 64, "sha256:" + "2" * 64


@pytest.mark.parametrize("there", [True, False])
def test_a_source_that_wants_a_long_wait_is_not_asked_again(there):
    held = held_models([{"name": "a:latest", "digest": OLD, "size": 1}] if there else [])
    busy = Offer(problem="its source asks to wait 3600 s", busy=True)
    draft = decide([Desired(NAME, LATEST, None)], held, {NAME.key: busy})
    (action,) = draft.fetches
    assert action.busy == busy.problem
    # The failure tells it.
    assert draft.warnings == []


def test_what_is_not_fetched_is_not_said_to_be_fetched():
    draft = Draft(fetches=[Action(PULL, NAME, "not there", busy="its source asks to wait 3600 s")])
    judge(draft, [Desired(NAME, PRESENT, None)], {}, {NAME.key: Offer(busy=True)}, Stock(memory_limit=1))
    assert draft.warnings == []


def test_a_broken_model_whose_source_wants_a_long_wait_is_not_pulled():
    held = held_models([{"name": "a:latest", "digest": OLD, "size": 1}])
    draft = Draft()
    busy = Offer(problem="its source asks to wait 3600 s", busy=True)
    stock = Stock(faults={NAME.key: Fault(NAME, "a blob is missing", status=404)})
    mend(draft, [Desired(NAME, PRESENT, None)], held, {NAME.key: busy}, stock)
    (action,) = draft.fetches
    assert (action.kind, action.busy, draft.warnings, draft.complaints) == (REPAIR, busy.problem, [], [])


def test_check_mode_comes_as_far_as_a_run():
    other = parse_name("b")
    wanted = [
        Action(RESTORE, other, "left over"),
        Action(PULL, NAME, "not there", busy="it asks to wait 3600 s"),
        Action(PULL, other, "not there"),
        Action(COPY, parse_name("c"), "not there", source=NAME),
        # Made from a file: a run does not come to it
        Action(CREATE, parse_name("e"), "not there"),
        Action(DELETE, parse_name("d"), "declared absent"),
    ]
    coming, failures = possible(wanted)
    assert [(action.kind, action.name) for action in coming] == [(RESTORE, other), (PULL, other)]
    assert [failure.message for failure in failures] == [f"{NAME} is not fetched: it asks to wait 3600 s"]
    assert possible(wanted[2:]) == (wanted[2:], [])


def test_a_wait_for_a_source_is_told():
    served = Offer(NEW, frozenset([NEW]), 1, waited=12.4)
    draft = decide([Desired(NAME, PRESENT, None)], {}, {NAME.key: served})
    assert draft.warnings == [f"the source of {NAME} limits the rate (429): it was waited for 12 s, as it asked"]
    assert draft.fetches[0].busy == ""


@pytest.mark.parametrize("too_long", [True, False])
def test_only_a_wait_that_is_too_long_keeps_a_pull_away(too_long):
    failure = errors.SourceBusy("busy")
    failure.too_long = too_long
    assert offer(failure).busy is too_long
    assert not offer(errors.SourceFailed("down")).busy


@pytest.mark.parametrize(
    ("options", "asked"),
    [({}, False), ({"parallel": 2}, False), ({"models": [{"name": "a"}, {"name": "b"}], "parallel": 2}, True)],
)
def test_check_mode_fails_for_those_sources_only_that_a_run_asks(tmp_path, lock_folder, options, asked):
    # This host is told to wait, the server is not. Which models may be fetched at the same time, only their sources say.
    models = {"a:latest": Content(weights="u"), "b:latest": Content(weights="v")}
    server = WholeServer({"old:latest": Content()}, Source(models, busy=frozenset(["a:latest"])))
    options = {"models": [{"name": "a"}], **options}
    options["models"] = [*options["models"], {"name": "old", "state": "absent"}]
    checked, ran = (run(server, tmp_path, check_mode=check, **options) for check in (True, False))
    for told in (checked, ran):
        assert (told.failure is not None) is asked
        assert ("delete" in [action["action"] for action in told.result["actions"]]) is not asked
    assert ("a:latest" in server.models) is not asked
