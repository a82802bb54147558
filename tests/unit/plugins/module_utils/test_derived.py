# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans for models made from others."""

from __future__ import annotations

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import declare
from ansible_collections.alchemorsel.ollama.plugins.module_utils._derived import plan_all
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidInput
from ansible_collections.alchemorsel.ollama.plugins.module_utils._plan import (
    UNKNOWN,
    Offer,
    Rules,
    held_models,
    questions,
)

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
