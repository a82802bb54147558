# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans over plain values, and, with a model of the server, that they arrive, lose nothing and repeat as nothing."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import (
    CLEANUP,
    DELETE,
    NO_RULES,
    UNKNOWN,
    Offer,
    Rules,
    guard_name,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import Desired, declare
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidInput
from ansible_collections.alchemorsel.ollama.plugins.module_utils._held import (
    Held,
    held_models,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._mirror import in_between
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import matches, parse_listed, parse_name
from ansible_collections.alchemorsel.ollama.plugins.module_utils._plan import decide, predict, questions
from ansible_collections.alchemorsel.ollama.plugins.module_utils._states import ABSENT, LATEST, PRESENT
from hypothesis import given
from hypothesis import strategies as st

NAMES = ["a", "b:1", "team/c", "n/d:x", "h:5000/n/d:x", "hf.co/o/e:Q4"]


def digest(text):
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


OLD, NEW, OTHER = digest("old"), digest("new"), digest("other")
UNREAD = Offer(problem="the source cannot be reached from here")
GONE = Offer(gone=True, problem="the source does not have it")


def serves(value, size=10):
    return Offer(value, frozenset([value]), size)


def held(**models):
    """`held(a=OLD)`: a server with these models."""
    return held_models({"name": name, "digest": value, "size": 10} for name, value in models.items())


def desired(name, state=PRESENT, pin=None):
    return Desired(parse_name(name), state, pin)


def key(name):
    return parse_listed(name).key


def steps(plan):
    return [(action.kind, action.name.short, action.digest_before, action.digest_after) for action in plan.actions]


def make_plan(items, there, offers, rules=NO_RULES):
    return decide(items, there, offers, rules).plan()


def one(item, there, offer=None, rules=None):
    return make_plan([item], there, {} if offer is None else {item.name.key: offer}, rules or Rules())


# --- what is declared ---------------------------------------------------------------------------------------------


def test_all_complaints_at_once():
    with pytest.raises(InvalidInput) as caught:
        declare(
            [
                {"name": "x:cloud"},
                {"name": "Tiny", "state": LATEST, "digest": OLD},
                {"name": "library/tiny:latest"},
                {"name": "ok", "digest": "abc"},
            ]
        )
    message = caught.value.message
    assert message.startswith("4 complaints, nothing was changed: (1)")
    for words in (
        "reserves",
        "goes with state 'present' only",
        "'Tiny' and 'library/tiny:latest' are the same",
        "'abc'",
    ):
        assert words in message


def test_state_of_an_entry_wins():
    items = declare([{"name": "a", "state": None}, {"name": "b", "state": LATEST}], ABSENT)
    assert [item.state for item in items] == [ABSENT, LATEST]


def test_what_is_no_name_is_left_out():
    assert list(held_models([{"name": "???"}, {"name": "a", "digest": OLD}])) == [key("a")]


# --- single decisions ---------------------------------------------------------------------------------------------

DECISIONS = {
    "present, there": (PRESENT, None, OLD, None, []),
    "present, missing": (PRESENT, None, None, None, [("pull", "a:latest", None, UNKNOWN)]),
    "present, missing, known": (PRESENT, None, None, serves(NEW), [("pull", "a:latest", None, NEW)]),
    "latest, same": (LATEST, None, OLD, serves(OLD), []),
    "latest, same but for white space": (LATEST, None, OLD, Offer(NEW, frozenset([NEW, OLD])), []),
    "latest, other": (LATEST, None, OLD, serves(NEW), [("update", "a:latest", OLD, NEW)]),
    "latest, unread": (LATEST, None, OLD, UNREAD, [("update", "a:latest", OLD, UNKNOWN)]),
    "latest, missing": (LATEST, None, None, None, [("pull", "a:latest", None, UNKNOWN)]),
    "absent, missing": (ABSENT, None, None, None, []),
    "absent, there": (ABSENT, None, OLD, None, [("delete", "a:latest", OLD, None)]),
    "pinned, right": (PRESENT, OLD, OLD, None, []),
    "pinned, right but for white space": (PRESENT, NEW, OLD, Offer(NEW, frozenset([NEW, OLD])), []),
    "pinned, other": (PRESENT, NEW, OLD, serves(NEW), [("update", "a:latest", OLD, NEW)]),
    "pinned, missing": (PRESENT, NEW, None, serves(NEW), [("pull", "a:latest", None, NEW)]),
    "pinned, unread": (PRESENT, NEW, OLD, UNREAD, [("update", "a:latest", OLD, NEW)]),
}


@pytest.mark.parametrize("case", DECISIONS)
def test_decision(case):
    state, pin, there, offer, wanted = DECISIONS[case]
    assert steps(one(desired("a", state, pin), held(a=there) if there else {}, offer)) == wanted


@pytest.mark.parametrize(
    ("item", "there", "offer", "words"),
    [
        (desired("a", PRESENT, NEW), held(a=OLD), serves(OTHER), ["pinned to " + NEW, "serves " + OTHER]),
        (desired("a", PRESENT, NEW), {}, GONE, ["pinned to " + NEW, "does not have it"]),
        (desired("a", LATEST), held(a=OLD), GONE, ["cannot be fetched", "use state present"]),
        (desired("a"), {}, GONE, ["cannot be fetched", "does not have it"]),
    ],
)
def test_refusal(item, there, offer, words):
    with pytest.raises(InvalidInput) as caught:
        one(item, there, offer)
    assert all(word in caught.value.message for word in [*words, "Nothing was changed"])


def test_an_unread_source_is_said():
    plan = one(desired("a", LATEST), held(a=OLD), UNREAD)
    assert plan.warnings == (f"{UNREAD.problem}; it is pulled and the digests are compared (a:latest)",)
    assert "pulled and compared" in plan.actions[0].reason


def test_the_spelling_of_the_server_is_kept():
    there = held(Tiny=OLD)
    assert steps(one(desired("tiny", LATEST), there, serves(NEW))) == [("update", "Tiny:latest", OLD, NEW)]
    assert [name.short for name in questions([desired("tiny", LATEST)], there, Rules())] == ["Tiny:latest"]


def test_fetch_first_delete_last():
    items = [desired("gone", ABSENT), desired("new")]
    plan = make_plan(items, held(gone=OLD, extra=OLD), {}, Rules(exclusive=True, prune_local=True))
    assert [action.name.short for action in plan.actions] == ["new:latest", "gone:latest", "extra:latest"]


def test_only_what_must_be_known_is_asked():
    there = held(a=OLD, b=OLD, c=OLD, extra=OLD)
    items = [desired("a"), desired("b", LATEST), desired("c", PRESENT, OLD), desired("d"), desired("e", LATEST)]
    assert [name.short for name in questions(items, there, Rules())] == ["b:latest"]
    assert [name.short for name in questions(items, there, Rules(), predict=True)] == [
        "b:latest",
        "d:latest",
        "e:latest",
    ]
    exclusive = Rules(exclusive=True)
    assert [name.short for name in questions(items, there, exclusive)] == ["b:latest", "extra:latest"]
    assert [name.short for name in questions(items, there, replace(exclusive, prune_local=True))] == ["b:latest"]


def test_what_other_actions_hang_on_is_asked_as_check_mode_does():
    items = declare(
        [{"name": "a"}, {"name": "b"}, {"name": "c"}, {"name": "x", "copy_of": "a"}, {"name": "y", "from": "c"}]
    )
    assert [name.short for name in questions(items, held(x=OLD), Rules())] == ["a:latest"]
    items.append(replace(desired("d"), loaded=False))
    assert [name.short for name in questions(items, held(x=OLD), Rules())] == [f"{name}:latest" for name in "abcd"]


# --- exclusive ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "offer", "words"),
    [
        ("x", serves(NEW), "no longer serves this digest"),
        ("x", GONE, "does not have it"),
        ("x", UNREAD, "cannot be reached"),
        ("x:local", serves(OLD), "reserved"),
    ],
)
def test_what_could_not_be_had_again_is_kept(name, offer, words):
    there = held(**{"a": OLD, name: OLD})
    plan = make_plan([desired("a")], there, {key(name): offer}, Rules(exclusive=True))
    assert steps(plan) == []
    assert [(kept.short, words in reason) for kept, reason in plan.kept] == [(parse_listed(name).short, True)]


def test_prune_local_removes_it_but_never_a_reserved_tag():
    plan = make_plan(
        [desired("a")], held(**{"a": OLD, "x": OLD, "x:local": OLD}), {}, Rules(exclusive=True, prune_local=True)
    )
    assert steps(plan) == [(DELETE, "x:latest", OLD, None)]


def test_protected_names_stay():
    there = held(**{"a": OLD, "experiments/x": OLD, "y:1": OLD})
    rules = Rules(exclusive=True, prune_local=True, protect=("experiments/*",))
    assert steps(make_plan([desired("a")], there, {}, rules)) == [(DELETE, "y:1", OLD, None)]


def test_declaring_one_tag_does_not_keep_another():
    plan = make_plan(
        [desired("gemma3")], held(**{"gemma3": OLD, "gemma3:27b": OLD}), {}, Rules(exclusive=True, prune_local=True)
    )
    assert steps(plan) == [(DELETE, "gemma3:27b", OLD, None)]


def test_max_delete_counts_the_undeclared_only():
    there = held(**{f"x:{number}": OLD for number in range(3)}, a=OLD, gone=OLD)
    items, rules = [desired("a"), desired("gone", ABSENT)], Rules(exclusive=True, prune_local=True, max_delete=3)
    assert len(make_plan(items, there, {}, rules).actions) == 4
    with pytest.raises(InvalidInput, match="would remove 3 undeclared models, max_delete allows 2: x:0, x:1, x:2"):
        make_plan(items, there, {}, replace(rules, max_delete=2))


def test_an_empty_set_must_be_meant():
    there = held(a=OLD)
    rules = Rules(exclusive=True, prune_local=True)
    for items in ([], [desired("a", ABSENT)]):
        with pytest.raises(InvalidInput, match="set allow_empty: true"):
            make_plan(items, there, {}, rules)
        assert len(make_plan(items, there, {}, replace(rules, allow_empty=True)).actions) == 1
    assert make_plan([], there, {}, Rules()).actions == ()


def test_a_left_over_guard_is_removed_last_and_never_shown():
    guard = guard_name(parse_name("a"))
    there = held(**{"a": OLD, guard.short: OTHER})
    plan = one(desired("a", LATEST), there, serves(NEW))
    assert [action.kind for action in plan.actions] == ["update", CLEANUP]
    assert list(predict(there, plan)) == [key("a")]
    # Somebody else's guard is not exclusive's business.
    foreign = make_plan([desired("b")], held(**{"b": OLD, guard.short: OTHER}), {}, Rules(exclusive=True))
    assert foreign.actions == ()
    assert guard_name(parse_name("A:LATEST")) == guard


# --- a model of the server ----------------------------------------------------------------------------------------

VERSIONS = st.sampled_from([OLD, NEW, OTHER])
SERVERS = st.dictionaries(st.sampled_from([*NAMES, "x:local", "protected/p"]), VERSIONS)
SOURCES = st.dictionaries(st.sampled_from([*NAMES, "protected/p"]), VERSIONS)
READABLE = st.sets(st.sampled_from(NAMES))
DECLARED = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from([PRESENT, LATEST, ABSENT]), st.none() | VERSIONS),
    unique_by=lambda entry: entry[0],
)
RULES = st.builds(
    Rules,
    exclusive=st.booleans(),
    protect=st.just(("protected/*",)),
    max_delete=st.just(99),
    allow_empty=st.just(True),
    prune_local=st.booleans(),
    mirror=st.sampled_from([None, "h:5000"]),
)


def answers(names, source, readable):
    """What the sources say to questions."""
    said = {}
    for name in names:
        if name.short.split(":latest")[0] not in readable:
            said[name.key] = UNREAD
        else:
            value = next((value for known, value in source.items() if key(known) == name.key), None)
            said[name.key] = serves(value) if value else GONE
    return said


def carry_out(there, action, source):
    """What the server has after one action."""
    after = dict(there)
    if action.digest_after is None:
        del after[action.name.key]
    else:
        value = {key(known): value for known, value in source.items()}.get(action.name.key)
        if value and (not action.wanted or value in action.wanted):
            after[action.name.key] = Held(action.name, value, 10)
    return after


@given(SERVERS, SOURCES, READABLE, DECLARED, RULES, st.booleans())
def test_plans_arrive_lose_nothing_and_repeat_as_nothing(server, source, readable, entries, rules, ask_more):
    there = held(**server)
    items = [desired(name, state, pin if state == PRESENT else None) for name, state, pin in entries]
    declared = {item.name.key: item for item in items}
    offers = answers(questions(items, there, rules, predict=ask_more), source, readable)
    try:
        plan = make_plan(items, there, offers, rules)
    except InvalidInput:
        return
    served = {key(known): value for known, value in source.items()}
    pulled = {action.name.key for action in plan.actions if action.digest_after is not None}
    if any(name not in served or not fits(declared[name], served[name]) for name in pulled):
        # The source could not be read, and does not have what is wanted: the run fails, and deletes nothing.
        return
    now = there
    for action in plan.actions:
        now = carry_out(now, action, source)
        for name, model in there.items():
            if name in declared or name in now or name in in_between(items, rules.mirror):
                continue
            # Only exclusive may remove what nobody declared, and only what can be had again.
            assert rules.exclusive
            assert not matches(model.name, rules.protect)
            assert rules.prune_local or served[name] == model.digest
    for name, item in declared.items():
        if item.state == ABSENT:
            assert name not in now
        elif item.state == LATEST:
            assert now[name].digest == served[name]
        else:
            assert item.digest in (None, now[name].digest)
    if all(value.digest_after != UNKNOWN for value in plan.actions):
        assert {name: model.digest for name, model in predict(there, plan).items()} == {
            name: model.digest for name, model in now.items()
        }
    again = make_plan(items, now, answers(questions(items, now, rules), source, readable), rules)
    for action in again.actions:
        # The one thing that repeats: a source that cannot be read makes "latest" pull and compare.
        assert declared[action.name.key].state == LATEST
        assert action.digest_after == UNKNOWN
        assert carry_out(now, action, source) == now


def fits(item, value):
    return item.digest in (None, value)
