# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans for models created from files, and what may be pruned because it was made here."""

from __future__ import annotations

import json

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import (
    UNKNOWN,
    Rules,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._created import Difference
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import declare
from ansible_collections.alchemorsel.ollama.plugins.module_utils._derived import plan_all, to_show
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidInput, UnusableFile
from ansible_collections.alchemorsel.ollama.plugins.module_utils._held import held_models
from ansible_collections.alchemorsel.ollama.plugins.module_utils._imported import Local, verdict
from ansible_collections.alchemorsel.ollama.plugins.module_utils._plan import questions
from ansible_collections.alchemorsel.ollama.plugins.module_utils._preflight import Need, needs
from ansible_collections.alchemorsel.ollama.plugins.module_utils._record import (
    COPY_OF,
    FROM,
    GGUF,
    Identity,
    Made,
    SourceFile,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._store import Contents
from hypothesis import event, given
from hypothesis import strategies as st

OLD, NEW, FILE, OTHER = ("sha256:" + digit * 64 for digit in "0123")
PATH = "/srv/m.gguf"
SOURCE = SourceFile(PATH, FILE, Identity(1, 2, 1000, 4, 5))
ENTRY = {"name": "bot", "gguf": PATH, "system": "Be brief.", "parameters": {"num_ctx": "8192"}}
(BOT,) = declare([ENTRY])
KEY = BOT.name.key
BODY = {"system": "Be brief.", "parameters": {"num_ctx": 8192}}


def held(**models):
    return held_models({"name": name, "digest": value, "size": 10} for name, value in models.items())


def plan(entries, there, made=None, file=SOURCE, shown=None, rules=None):
    local = Local({PATH: file}, {KEY: made} if made else {})
    return plan_all(declare(entries), there, {}, rules or Rules(), shown or {}, local=local)


def steps(*args, **options):
    return [
        (step.kind, step.name.short, step.digest_before, step.digest_after) for step in plan(*args, **options).actions
    ]


def test_a_model_that_is_not_there():
    (action,) = plan([ENTRY], {}).actions
    assert (action.kind, action.bytes, action.file, action.source) == ("create", 1000, SOURCE, None)
    assert action.recipe.body() == BODY
    assert action.details == (
        Difference("gguf", None, PATH),
        Difference("weights", None, FILE),
        Difference("system", None, "Be brief."),
        Difference("parameter num_ctx", None, "8192"),
    )


VERDICTS = {
    "as recorded": (Made(OLD, GGUF, FILE, BODY), {}, "", []),
    "no record": (None, {}, "there is no record of its creation", []),
    "made from a model": (Made(OLD, FROM), {}, "there is no record of its creation", []),
    "changed by somebody": (Made(NEW, GGUF, FILE, BODY), {}, "it is not what was created here", []),
    "other file": (Made(OLD, GGUF, OTHER, BODY), {}, "not as declared: weights", [("weights", OTHER, FILE)]),
    "other text": (
        Made(OLD, GGUF, FILE, {**BODY, "system": "Be long."}),
        {},
        "not as declared: system",
        [("system", "Be long.", "Be brief.")],
    ),
    "no longer declared": (
        Made(OLD, GGUF, FILE, {**BODY, "template": "x", "parameters": {"num_ctx": 8192, "stop": ["a", "b"]}}),
        {},
        "not as declared: template, parameter stop",
        [("template", "x", None), ("parameter stop", "a, b", None)],
    ),
    "all of it": (
        Made(OLD, GGUF, OTHER, {"parameters": {"num_ctx": 4096}}),
        {},
        "not as declared: weights, system, parameter num_ctx",
        [("weights", OTHER, FILE), ("system", None, "Be brief."), ("parameter num_ctx", "4096", "8192")],
    ),
    "broken": (Made(OLD, GGUF, FILE, BODY), {"missing": True}, "files of it are missing", []),
    "not hashed": (Made(OLD, GGUF, FILE, BODY), {"unknown": True}, "its file was changed or never hashed", []),
}


@pytest.mark.parametrize("case", VERDICTS)
def test_verdict(case):
    made, state, reason, details = VERDICTS[case]
    shown = {KEY: None if state.get("missing") else {}}
    file = SourceFile(PATH, UNKNOWN, SOURCE.identity) if state.get("unknown") else SOURCE
    result = plan([ENTRY], held(bot=OLD), made, file, shown)
    assert [action.reason.startswith(reason) for action in result.actions] == ([True] if reason else [])
    if reason:
        (action,) = result.actions
        assert (action.kind, action.digest_before, action.digest_after) == ("create", OLD, UNKNOWN)
        assert [(detail.field, detail.before, detail.after) for detail in action.details] == details


recipes = st.fixed_dictionaries(
    {},
    optional={
        "system": st.text(max_size=5),
        "template": st.text(max_size=5),
        "parameters": st.fixed_dictionaries(
            {},
            optional={
                "stop": st.lists(st.text("a, ", min_size=1, max_size=3), max_size=2),
                "temperature": st.floats(0, 2),
                "use_mmap": st.booleans(),
                "seed": st.integers(-1, 2**60),
            },
        ),
    },
)


@given(recipes, recipes)
def test_a_record_proves_exactly_what_was_declared(before, now):
    (old,), (new,) = declare([{"name": "a", "gguf": PATH, **before}]), declare([{"name": "a", "gguf": PATH, **now}])
    made = Made(OLD, GGUF, FILE, json.loads(json.dumps(old.file.recipe.body())))
    there = held(a=OLD)[old.name.key]
    same = old.file.recipe.body() == new.file.recipe.body()
    event("same" if same else "other")
    reason, details = verdict(new.file, SOURCE, there, made, False)
    assert bool(reason) == bool(details) == (not same)
    assert verdict(old.file, SOURCE, there, made, False) == ("", ())


def test_what_is_made_from_it_comes_after_it():
    entries = [
        {"name": "alias", "copy_of": "second"},
        {"name": "second", "from": "bot", "system": "x"},
        ENTRY,
        {"name": "gone", "state": "absent"},
    ]
    assert steps(entries, held(gone=OLD)) == [
        ("create", "bot:latest", None, UNKNOWN),
        ("create", "second:latest", None, UNKNOWN),
        ("copy", "alias:latest", None, UNKNOWN),
        ("delete", "gone:latest", OLD, None),
    ]
    there = held(bot=OLD, second=OLD)
    assert steps([entries[1], ENTRY], there, Made(OLD, GGUF, OTHER, BODY))[1:] == [
        ("create", "second:latest", OLD, UNKNOWN)
    ]


def test_it_is_shown_but_its_source_is_not_asked():
    assert to_show(declare([ENTRY]), {}) == []
    assert [name.short for name in to_show(declare([ENTRY]), held(Bot=OLD))] == ["Bot:latest"]
    assert questions(declare([ENTRY]), {}, Rules(), predict=True) == []
    assert questions(declare([{**ENTRY, "state": "latest"}]), held(bot=OLD), Rules()) == []


def test_a_file_that_cannot_be_used_is_a_complaint_among_others():
    entries = [ENTRY, {"name": "x", "copy_of": "nobody"}]
    with pytest.raises(InvalidInput) as caught:
        plan(entries, held(bot=OLD), file=UnusableFile("'/srv/m.gguf' is truncated"))
    assert "bot:latest cannot be created: '/srv/m.gguf' is truncated" in caught.value.message
    assert "nobody:latest, which the server does not have" in caught.value.message


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"gguf": "m.gguf"}, "has gguf 'm.gguf'; wanted the absolute path of a file"),
        ({"gguf": ""}, "has gguf ''; wanted the absolute path"),
        ({"gguf": "/a\0b"}, "wanted the absolute path"),
        ({"gguf": PATH, "from": "a"}, "has from and gguf"),
        ({"gguf": PATH, "copy_of": "a"}, "has copy_of and gguf"),
        ({"gguf": PATH, "digest": OLD}, "has gguf and a digest"),
        ({"gguf": PATH, "parameters": {"num_ctx": "x"}}, "parameter 'num_ctx' is 'x'"),
    ],
)
def test_refused_declarations(entry, words):
    with pytest.raises(InvalidInput, match=words) as caught:
        declare([{"name": "m", **entry}])
    assert "complaints" not in caught.value.message


# --- pruning ------------------------------------------------------------------------------------------------------


def pruned(made, there, entries=({"name": "keep"},)):
    keys = {declare([{"name": name}])[0].name.key: value for name, value in made.items()}
    result = plan_all(declare(entries), there, {}, Rules(exclusive=True), local=Local(made=keys))
    return [action.name.model for action in result.actions], [name.model for name, _reason in result.kept]


def test_exclusive_removes_what_was_made_here():
    there = held(keep=OLD, bot=NEW, other=FILE)
    assert pruned({"bot": Made(NEW, GGUF, FILE)}, there) == (["bot"], ["other"])
    assert pruned({"bot": Made(NEW, FROM)}, there) == (["bot"], ["other"])
    assert pruned({"bot": Made(OLD, FROM)}, there) == ([], ["bot", "other"])
    assert pruned({}, there) == ([], ["bot", "other"])


def test_exclusive_keeps_an_alias_that_is_the_last_name_of_a_model():
    made = {"alias": Made(OLD, COPY_OF)}
    assert pruned(made, held(keep=OLD, alias=OLD)) == (["alias"], [])
    assert pruned(made, held(keep=NEW, alias=OLD)) == ([], ["alias"])
    gone = [{"name": "keep"}, {"name": "target", "state": "absent"}]
    assert pruned(made, held(keep=NEW, alias=OLD, target=OLD), gone) == (["target"], ["alias"])
    assert pruned(
        made, held_models([{"name": "alias", "digest": OLD}, {"name": "alchemorsel-tmp/x:guard", "digest": OLD}])
    ) == (
        ["keep"],
        ["alias"],
    )


def test_the_source_of_what_was_made_here_is_not_asked():
    rules, there = Rules(exclusive=True), held(bot=NEW, other=FILE)
    made = {KEY: Made(NEW, GGUF, FILE)}
    assert [name.short for name in questions([], there, rules, made=made)] == ["other:latest"]


@pytest.mark.parametrize(
    ("there", "room"), [({}, 2000), ({FILE: 1000}, 1000), ({FILE: 999}, 2000), ({OTHER: 1000}, 2000)]
)
def test_the_upload_and_what_is_made_of_it_need_room(there, room):
    actions = plan([ENTRY], {}).actions
    assert needs(actions, {}, Contents("/s", sizes=there)) == [Need("bot:latest", room)]
