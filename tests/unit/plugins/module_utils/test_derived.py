# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans for models made from others."""

from __future__ import annotations

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import (
    UNKNOWN,
    Offer,
    Rules,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import declare
from ansible_collections.alchemorsel.ollama.plugins.module_utils._derived import plan_all, to_show
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidInput
from ansible_collections.alchemorsel.ollama.plugins.module_utils._held import held_models
from ansible_collections.alchemorsel.ollama.plugins.module_utils._plan import questions
from ansible_collections.alchemorsel.ollama.plugins.module_utils._states import ABSENT
from hypothesis import event, given
from hypothesis import strategies as st

from tests.unit.created_models import Content

OLD, NEW = "sha256:" + "0" * 64, "sha256:" + "1" * 64


def held(**models):
    return held_models({"name": name, "digest": value, "size": 10} for name, value in models.items())


def key(name):
    return declare([{"name": name}])[0].name.key


def steps(entries, there, offers=None, rules=None):
    plan = plan_all(declare(entries), there, offers or {}, rules or Rules())
    return [(action.kind, action.name.short, action.digest_before, action.digest_after) for action in plan.actions]


ALIAS = {"name": "alias", "copy_of": "a"}


def test_an_alias_of_what_is_there():
    assert steps([ALIAS], held(a=OLD)) == [("copy", "alias:latest", None, OLD)]
    assert steps([ALIAS], held(a=NEW, alias=OLD)) == [("copy", "alias:latest", OLD, NEW)]
    assert steps([ALIAS], held(a=OLD, Alias=OLD)) == []
    assert questions(declare([ALIAS]), {}, Rules(), predict=True) == []


def test_targets_come_first():
    entries = [{"name": "second", "copy_of": "alias"}, ALIAS, {"name": "gone", "state": "absent"}, {"name": "a"}]
    offers = {key("a"): Offer(NEW, frozenset([NEW]), 10)}
    assert steps(entries, held(gone=OLD), offers) == [
        ("pull", "a:latest", None, NEW),
        ("copy", "alias:latest", None, NEW),
        ("copy", "second:latest", None, NEW),
        ("delete", "gone:latest", OLD, None),
    ]


def test_an_alias_follows_a_target_whose_digest_only_the_run_can_tell():
    entries = [{"name": "a", "state": "latest"}, ALIAS]
    offers = {key("a"): Offer(problem="its source cannot be read")}
    assert steps(entries, held(a=OLD, alias=OLD), offers)[1:] == [("copy", "alias:latest", OLD, UNKNOWN)]


def test_exclusive_keeps_what_an_alias_needs():
    rules = Rules(exclusive=True, prune_local=True)
    assert steps([ALIAS], held(a=OLD, alias=OLD, other=OLD), rules=rules) == [("delete", "other:latest", OLD, None)]


def test_an_alias_declared_absent_is_only_a_name():
    assert steps([{**ALIAS, "state": "absent"}], held(alias=OLD)) == [("delete", "alias:latest", OLD, None)]


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([ALIAS], "alias:latest is declared as a copy of a:latest, which the server does not have"),
        ([ALIAS, {"name": "a", "state": "absent"}], "which is declared absent"),
        ([{"name": "a", "copy_of": "A:latest"}], "in a circle: a:latest -> a:latest"),
        ([{"name": "a", "copy_of": "b"}, {"name": "b", "copy_of": "a"}], "a:latest -> b:latest -> a:latest"),
        ([{"name": "x", "copy_of": "y:cloud"}], "model 'x', copy_of: model name 'y:cloud' has the tag 'cloud'"),
        ([{**ALIAS, "digest": OLD}], "an alias has the digest of its target"),
    ],
)
def test_refused(entries, words):
    with pytest.raises(InvalidInput, match="Nothing was changed") as caught:
        steps(entries, {})
    assert words in caught.value.message


# --- a model of the server ----------------------------------------------------------------------------------------

PULLED, MADE = ["a", "b:1", "team/c"], ["x", "y:2", "team/z"]
CONTENTS = st.builds(
    Content,
    weights=st.sampled_from("vw"),
    system=st.sampled_from(["", "S"]),
    parameters=st.sampled_from([{}, {"top_k": 1}]),
)
RECIPES = st.fixed_dictionaries(
    {},
    optional={"system": st.sampled_from(["", "T"]), "parameters": st.sampled_from([{"top_k": "2"}, {"seed": 3}])},
)
ORIGINS = st.tuples(st.sampled_from([*PULLED, *MADE]), st.none() | RECIPES).map(
    lambda pair: {"copy_of": pair[0]} if pair[1] is None else {"from": pair[0], **pair[1]}
)
ENTRIES = st.builds(
    lambda pulled, made: [{"name": name, **fields} for name, fields in [*made.items(), *pulled.items()]],
    st.dictionaries(st.sampled_from(PULLED), st.fixed_dictionaries({"state": st.sampled_from(["present", "latest"])})),
    st.dictionaries(st.sampled_from(MADE), ORIGINS | ORIGINS | st.just({"state": "absent"})),
)


def listed(server):
    return held_models({"name": name, "digest": content.digest, "size": 1} for name, content in server.items())


def planned(items, server, source, rules):
    """Return the plan for a server, whose sources can all be read, as the module makes it."""
    there = listed(server)
    by_key = {key(name): content for name, content in server.items()}
    served = {key(name): Offer(content.digest, frozenset([content.digest]), 1) for name, content in source.items()}
    offers = {
        name.key: served.get(name.key, Offer(gone=True, problem="gone")) for name in questions(items, there, rules)
    }
    shown = {name.key: by_key[name.key].show() for name in to_show(items, there)}
    return plan_all(items, there, offers, rules, shown)


def carry_out(server, action, source):
    """What the server has after one action."""
    name, origin = action.name.short, action.source.short if action.source else ""
    if action.digest_after is None:
        return {other: content for other, content in server.items() if other != name}
    if action.recipe is not None:
        return {**server, name: server[origin].over(origin, action.recipe.body())}
    return {**server, name: server[origin] if origin else source[name]}


def full(contents):
    return {declare([{"name": name}])[0].name.short: content for name, content in contents.items()}


@given(
    st.dictionaries(st.sampled_from([*PULLED, *MADE, "other"]), CONTENTS),
    st.fixed_dictionaries(dict.fromkeys(PULLED, CONTENTS)),
    ENTRIES,
    st.booleans(),
)
def test_plans_with_made_models_arrive_lose_nothing_and_repeat_as_nothing(contents, sources, entries, exclusive):
    server, source = full(contents), full(sources)
    items = declare(entries)
    rules = Rules(exclusive=exclusive, max_delete=99, allow_empty=True, prune_local=True)
    try:
        plan = planned(items, server, source, rules)
    except InvalidInput:
        event("refused")
        return
    event(f"{sum(action.source is not None for action in plan.actions)} made")
    needed = {item.name.short for item in items if item.state != ABSENT}
    needed |= {item.origin.name.short for item in items if item.origin}
    now = server
    for action in plan.actions:
        now = carry_out(now, action, source)
        assert needed & set(server) <= set(now)
        assert exclusive or {name for name in server if key(name) not in {item.name.key for item in items}} <= set(now)
    for item in items:
        name = item.name.short
        if item.state == ABSENT:
            assert name not in now
        elif item.origin is None:
            assert now[name].digest == source[name].digest or item.state == "present"
        elif item.origin.recipe is None:
            assert now[name].digest == now[item.origin.name.short].digest
        else:
            made = now[item.origin.name.short].over("", item.origin.recipe.body())
            assert made.show() == now[name].show()
    known = {action.name.short: action.digest_after for action in plan.actions}
    assert {name: now[name].digest for name, value in known.items() if value not in (None, UNKNOWN)} == {
        name: value for name, value in known.items() if value not in (None, UNKNOWN)
    }
    assert planned(items, now, source, rules).actions == ()
