# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which models are declared to be in memory, and what that takes."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import (
    CLEANUP,
    DELETE,
    LOAD,
    PULL,
    RESTORE,
    UNKNOWN,
    UPDATE,
    Action,
    Plan,
    guard_name,
    hold_name,
    new_name,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._apply import predicted
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import declare
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declared_memory import conflicts, residences
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidInput
from ansible_collections.alchemorsel.ollama.plugins.module_utils._held import Held, held_models
from ansible_collections.alchemorsel.ollama.plugins.module_utils._keep_alive import parse_duration
from ansible_collections.alchemorsel.ollama.plugins.module_utils._memory import Memory, with_memory
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
SOON, NEVER = "2026-01-01T00:04:59.123456789Z", "2318-04-13T23:47:16.854775807+01:00"
OUT_OF_REACH = "declared not loaded; what is in memory is an older version, which the server unloads only if it has the same weights"
OLD, NEW, OTHER = ("sha256:" + digit * 64 for digit in "012")


# --- keep_alive -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("-1", -1), ("-1.0", -1), ("-1m", -60), ("-0.5h", -1800), ("0", 0), ("0s", 0), ("-0", 0), ("0h0m", 0),
        ("3600", 3600), ("5m", 300), ("1h30m", 5400), ("+2s", 2), ("1.5", 1.5), (".5s", 0.5), (" 5m ", 300),
        ("100ms", 0.1), ("1us", 1e-6), ("1µs", 1e-6), ("1ns", 1e-9),
        ("", None), ("1d", None), ("5 m", None), ("m", None), ("1h30", None), ("for ever", None), ("True", None),
        ("inf", None), ("nan", None), ("1_000", None), ("--1", None), ("1e3", None), ("-", None),
    ],
)  # fmt: skip
def test_durations(text, seconds):
    assert parse_duration(text) == (None if seconds is None else pytest.approx(seconds))


@given(st.text() | st.from_regex(r"[+-]?[0-9.hmsnuµ]*", fullmatch=True))
def test_any_text_is_a_duration_or_none(text):
    seconds = parse_duration(text)
    assert seconds is None or isinstance(seconds, float | int)


@given(st.integers(0, 999), st.integers(0, 59), st.booleans())
def test_go_writes_durations_that_are_read_back(hours, minutes, negative):
    sign = -1 if negative else 1
    assert parse_duration(f"{'-' if negative else ''}{hours}h{minutes}m0s") == sign * (3600 * hours + 60 * minutes)


@pytest.mark.parametrize(
    ("fields", "loaded"),
    [
        ({}, None),
        ({"loaded": None, "keep_alive": None}, None),
        ({"loaded": True}, True),
        ({"loaded": False}, False),
        ({"keep_alive": "-1"}, True),
        ({"keep_alive": "-1m", "loaded": True}, True),
        ({"keep_alive": "0"}, False),
        ({"keep_alive": "0", "loaded": False}, False),
    ],
)
def test_declared(fields, loaded):
    assert declare([{"name": "a", **fields}])[0].loaded is loaded


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"keep_alive": "5m", "loaded": True}, "keep_alive '5m', after which the server unloads it by itself"),
        ({"keep_alive": "3600"}, "set OLLAMA_KEEP_ALIVE of the server"),
        ({"keep_alive": "10m", "loaded": False}, "wanted -1"),
        ({"keep_alive": "1d"}, "keep_alive '1d', which is no duration that Ollama takes (its units are h, m, s"),
        ({"keep_alive": ""}, "keep_alive '', which is no duration"),
        ({"keep_alive": "True"}, "keep_alive 'True', which is no duration"),
        ({"keep_alive": "-1", "loaded": False}, "loaded: false and keep_alive '-1', which say the opposite"),
        ({"keep_alive": "0", "loaded": True}, "loaded: true and keep_alive '0', which say the opposite"),
        ({"state": "absent", "loaded": False}, "has loaded and state 'absent'"),
        ({"state": "absent", "keep_alive": "0", "loaded": True}, "has loaded and keep_alive and state 'absent'"),
    ],
)
def test_refused(fields, words):
    with pytest.raises(InvalidInput) as caught:
        declare([{"name": "a", **fields}])
    assert words in caught.value.message


# --- which process ----------------------------------------------------------------------------------------------------

BASE = {"name": "base"}
PLAIN = {"name": "plain", "from": "base", "system": "S"}
WIDE = {"name": "wide", "from": "base", "parameters": {"num_ctx": 8192}}
ALIAS = {"name": "alias", "copy_of": "base"}


def loaded(entry, value=True):
    return {**entry, "loaded": value}


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([loaded(BASE), loaded(PLAIN)], "it runs in the same process as base:latest"),
        ([BASE, loaded(PLAIN, False)], "plain:latest is declared not loaded, but it runs in the same process as base:latest"),
        ([loaded(PLAIN)], "declare it of base:latest instead"),
        ([loaded({"name": "x", "copy_of": "plain"}), PLAIN], "x:latest is declared loaded, but it runs in the same process as base"),
        ([loaded({"name": "x", "from": "wide"}), WIDE], "declare it of wide:latest instead"),
        ([loaded(ALIAS), loaded(BASE, False)], "alias:latest is declared loaded and base:latest not loaded, but they are one model"),
        ([loaded(WIDE), loaded(BASE)], "wide:latest and base:latest are declared loaded, but they have the weights of base:latest"),
        (
            [loaded(WIDE), loaded({**WIDE, "name": "other", "parameters": {"num_ctx": 1}})],
            "wide:latest and other:latest are declared loaded, but they have the weights of base:latest",
        ),
    ],
)  # fmt: skip
def test_conflicts(entries, words):
    (complaint,) = conflicts(declare(entries))
    assert words in complaint


@pytest.mark.parametrize(
    "entries",
    [
        [loaded(BASE), ALIAS, PLAIN, WIDE],
        [loaded(BASE), loaded(ALIAS)],
        [loaded(WIDE), loaded(BASE, False)],
        [loaded(WIDE), {"name": "x", "copy_of": "wide", "loaded": True}],
        [loaded({"name": "x", "copy_of": "nobody"})],
        [loaded({"name": "x", "copy_of": "y"}), loaded({"name": "y", "copy_of": "x"})],
    ],
)
def test_no_conflicts(entries):
    assert conflicts(declare(entries)) == []


def test_one_residence_for_each_process():
    entries = [loaded(ALIAS), BASE, PLAIN, loaded(WIDE, False), {"name": "x", "copy_of": "plain"}, loaded(BASE, True)]
    found = residences(declare([entry for entry in entries[:-1] if entry is not BASE] + [entries[-1]]))
    assert [(one.name.short, one.loaded, sorted(name.short for name in one.names)) for one in found] == [
        ("alias:latest", True, ["alias:latest", "base:latest", "plain:latest", "x:latest"]),
        ("wide:latest", False, ["wide:latest"]),
    ]


def test_a_circle_has_an_end():
    entries = [loaded({"name": "x", "copy_of": "y"}), {"name": "y", "from": "x"}]
    residences(declare(entries))
    conflicts(declare(entries))


# --- what it takes ----------------------------------------------------------------------------------------------------


def held(**models):
    return held_models({"name": name, "digest": value, "size": 10} for name, value in models.items())


def ps(**models):
    return [{"name": f"{name}:latest", "digest": digest, "expires_at": end} for name, (digest, end) in models.items()]


def steps(entries, there, running, plan=None):
    found = with_memory(plan or Plan(), residences(declare(entries)), there, running, NOW)
    return [
        (action.kind, action.name.short, action.reason, *((one.before, one.after) for one in action.details))
        for action in found.actions
    ]


@pytest.mark.parametrize(
    ("wanted", "running", "actions"),
    [
        (True, {}, [("load", "base:latest", "not loaded", (None, "pinned"))]),
        (True, {"base": (OLD, SOON)}, [("load", "base:latest", "loaded, but not for good", ("loaded", "pinned"))]),
        (True, {"base": (OLD, NEVER)}, []),
        (True, {"base": (OLD, "")}, []),
        (True, {"base": (OTHER, NEVER)}, [("load", "base:latest", "an older version is loaded", ("an older version", "pinned"))]),
        (True, {"base": (NEW, NEVER)}, [("load", "base:latest", "not loaded", (None, "pinned"))]),
        (True, {"other": (NEW, NEVER)}, [("load", "base:latest", "not loaded", (None, "pinned"))]),
        (True, {"copy": (OLD, NEVER)}, []),
        (False, {}, []),
        (False, {"other": (NEW, NEVER)}, []),
        (False, {"base": (OLD, SOON)}, [("unload", "base:latest", "declared not loaded", ("loaded", None))]),
        (False, {"base": (OLD, NEVER)}, [("unload", "base:latest", "declared not loaded", ("pinned", None))]),
        (False, {"base": (NEW, NEVER)}, []),
        (False, {"base": (OTHER, NEVER)}, [("unload", "base:latest", OUT_OF_REACH, ("an older version", None))]),
    ],
)  # fmt: skip
def test_one_model(wanted, running, actions):
    assert steps([loaded(BASE, wanted)], held(base=OLD, other=NEW), ps(**running)) == actions


def test_the_same_model_under_another_name_counts_as_loaded_but_is_not_unloaded():
    there, running = held(base=OLD, other=OLD), ps(other=(OLD, NEVER))
    assert steps([loaded(BASE)], there, running) == []
    assert steps([loaded(BASE, False)], there, running) == []
    assert steps([loaded(BASE, False)], held(base=OLD), running)[0][:2] == ("unload", "base:latest")


def test_an_alias_and_a_created_model_show_their_base():
    there = held(base=OLD, alias=OLD, plain=NEW, wide=OTHER)
    for running in ({"alias": (OLD, NEVER)}, {"plain": (NEW, NEVER)}):
        assert steps([loaded(BASE), ALIAS, PLAIN], there, ps(**running)) == []
    assert steps([loaded(BASE), WIDE], there, ps(wide=(OTHER, NEVER)))[0][2] == "not loaded"


def test_a_replaced_model_is_loaded_anew():
    (name,) = (item.name for item in declare([BASE]))
    for after in (NEW, UNKNOWN):
        plan = Plan((Action(UPDATE, name, "old", OLD, after, 10),))
        assert steps([loaded(BASE)], held(base=OLD), ps(base=(OLD, NEVER)), plan)[1][:3] == (
            "load",
            "base:latest",
            "an older version is loaded",
        )


def test_unloads_then_loads_between_fetches_and_deletions():
    names = [item.name for item in declare([{"name": name} for name in "abc"])]
    plan = Plan((Action(UPDATE, names[0], "", OLD, NEW, 10), Action(DELETE, names[2], "", OLD, None, 10)))
    entries = [{"name": "a", "loaded": True}, {"name": "b", "loaded": False}]
    found = steps(entries, held(a=OLD, b=OTHER, c=OLD), ps(b=(OTHER, SOON)), plan)
    assert [step[:2] for step in found] == [
        ("update", "a:latest"),
        ("unload", "b:latest"),
        ("load", "a:latest"),
        ("delete", "c:latest"),
    ]


def test_one_model_under_two_names_is_loaded_once():
    entries = [{"name": name, "loaded": True} for name in "abc"]
    plan = with_memory(Plan(), residences(declare(entries)), held(a=OLD, b=OLD, c=NEW), [], NOW)
    assert [(action.name.short, predicted(action).changed) for action in plan.actions] == [
        ("a:latest", True),
        ("b:latest", False),
        ("c:latest", True),
    ]
    assert "the same model as a:latest" in plan.actions[1].reason


def test_what_is_cleaned_up_for_others_first_leaves_loads_after_fetches():
    names = [item.name for item in declare([{"name": name} for name in "abc"])]
    ends = (Action(RESTORE, names[2], "", OLD, NEW, 10), Action(CLEANUP, names[1], "", OLD, None, 10))
    for rest, place in (((Action(UPDATE, names[0], "", OLD, NEW, 10),), 3), ((), 1)):
        plan = Plan((*ends, *rest, Action(DELETE, names[1], "", OLD, None, 10)))
        found = steps([{"name": "a", "loaded": True}], held(a=OLD, b=OTHER, c=OLD), [], plan)
        assert [step[0] for step in found].index("load") == place


@pytest.mark.parametrize(("declared", "expected"), [(True, ["load"]), (False, [])])
def test_what_leaves_with_its_name_is_not_in_memory_for_another_one(declared, expected):
    # The process is shown under a name that goes, and is the declared model by its digest
    (gone,) = (item.name for item in declare([{"name": "gone"}]))
    plan = Plan((Action(DELETE, gone, "", OLD, None, 10),))
    found = steps([{"name": "a", "loaded": declared}], held(a=OLD, gone=OLD), ps(gone=(OLD, NEVER)), plan)
    assert [step[0] for step in found if step[0] != DELETE] == expected


def test_an_older_version_under_a_name_that_goes_stays():
    # Only the process of what the name stands for now leaves with it
    (gone,) = (item.name for item in declare([{"name": "gone"}]))
    plan = Plan((Action(DELETE, gone, "", NEW, None, 10),))
    for declared, expected in ((True, [DELETE]), (False, ["unload", DELETE])):
        found = steps([{"name": "a", "loaded": declared}], held(a=OLD, gone=NEW), ps(gone=(OLD, NEVER)), plan)
        assert [step[0] for step in found] == expected


@pytest.mark.parametrize("cleaned", [True, False])
@pytest.mark.parametrize("make", [guard_name, new_name, hold_name])
def test_a_process_under_the_name_of_a_left_over_is_the_model_with_its_digest(make, cleaned):
    (name,) = (item.name for item in declare([{"name": "other"}]))
    key, there = make(name), held(a=OLD)
    there[key.key] = Held(key, OLD, 10)
    plan = Plan((Action(CLEANUP, key, "", OLD, None, 10),) if cleaned else ())
    running = [{"name": key.short, "digest": OLD, "expires_at": NEVER}]
    for declared, expected in ((True, []), (False, ["unload"])):
        found = steps([{"name": "a", "loaded": declared}], there, running, plan)
        assert [step[0] for step in found if step[0] != CLEANUP] == expected


def test_an_older_version_that_stays_beside_the_new_one_is_told():
    running = [*ps(base=(OLD, NEVER)), *ps(base=(NEW, NEVER))]
    plan = with_memory(Plan(), residences(declare([loaded(BASE)])), held(base=OLD), running, NOW)
    assert plan.actions == ()
    assert "an older version of base:latest is still in memory" in plan.warnings[0]


@pytest.mark.parametrize(("there", "expected"), [({}, ["unload"]), ({"other": NEW}, [])])
def test_a_model_of_unknown_digest_may_turn_out_to_be_in_memory(there, expected):
    (name,) = (item.name for item in declare([BASE]))
    plan = Plan((Action(PULL, name, "", None, UNKNOWN, 10),))
    found = steps([loaded(BASE, False)], held(**there), ps(other=(NEW, NEVER)), plan)
    assert [step[0] for step in found[1:]] == expected
    assert all("may turn out to be it" in step[2] for step in found[1:])


def test_an_older_version_that_is_held_leaves_in_the_end_and_is_not_told():
    (name,) = (item.name for item in declare([BASE]))
    there = held(base=OLD)
    there[hold_name(name).key] = Held(hold_name(name), NEW, 10)
    running = [*ps(base=(OLD, NEVER)), *ps(base=(NEW, NEVER))]
    assert with_memory(Plan(), residences(declare([loaded(BASE)])), there, running, NOW) == Plan()


@pytest.mark.parametrize(("option", "size", "limit"), [(None, 10, 300), (None, 40e9, 800), (7.5, 40e9, 7.5)])
def test_the_limit_of_a_load_grows_with_the_model(option, size, limit):
    memory = Memory((), option)
    assert memory.load_limit(int(size)) == limit
    (name,) = (item.name for item in declare([BASE]))
    plan = Plan((Action(LOAD, name, "", bytes=int(size)), Action(UPDATE, name, "", bytes=10**12)))
    assert memory.longest(plan) == 2 * limit
