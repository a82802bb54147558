# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans for broken models, and what cannot fit: plain values."""

from __future__ import annotations

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import (
    CREATE,
    REPAIR,
    Action,
    Offer,
    Rules,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._broken import Stock, faults_of
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import declare
from ansible_collections.alchemorsel.ollama.plugins.module_utils._derived import plan_all
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidInput
from ansible_collections.alchemorsel.ollama.plugins.module_utils._held import held_models
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import parse_listed
from ansible_collections.alchemorsel.ollama.plugins.module_utils._plan import predict
from ansible_collections.alchemorsel.ollama.plugins.module_utils._preflight import (
    Need,
    needs,
    no_room,
    sizes,
    too_large,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._store import Contents, Stored
from hypothesis import event, given
from hypothesis import strategies as st

BLOBS = {f"sha256:{number:064x}": 100 + number for number in range(4)}
DIGESTS = sorted(BLOBS)
OTHER = "sha256:" + "f" * 64


def manifest_of(model: str) -> str:
    return "sha256:" + model.encode().hex().ljust(64, "0")


def stored(model: str, digests) -> Stored:
    return Stored(parse_listed(model), f"/m/{model}", manifest_of(model), {one: BLOBS[one] for one in digests})


def whole_offer(model: str, digests) -> Offer:
    digest = manifest_of(model)
    return Offer(
        digest, frozenset({digest}), sum(BLOBS[one] for one in digests), blobs={one: BLOBS[one] for one in digests}
    )


@st.composite
def worlds(draw):
    """Models with blobs, what of these is there, what the sources say, and what is declared."""
    models = draw(st.dictionaries(st.sampled_from("abcd"), st.sets(st.sampled_from(DIGESTS), min_size=1), min_size=1))
    there = {one: draw(st.sampled_from([None, 7, BLOBS[one], BLOBS[one]])) for one in DIGESTS}
    there = {one: size for one, size in there.items() if size is not None}
    contents = Contents("/s", {parse_listed(name).key: stored(name, own) for name, own in models.items()}, there)
    offers = {}
    for name, own in models.items():
        kind = draw(st.sampled_from(["same", "same", "moved", "gone", "unread"]))
        offers[parse_listed(name).key] = {
            "same": whole_offer(name, own),
            "moved": Offer(OTHER, frozenset({OTHER}), 1, blobs={DIGESTS[0]: BLOBS[DIGESTS[0]]}),
            "gone": Offer(gone=True, problem="it is gone"),
            "unread": Offer(problem="it cannot be read"),
        }[kind]
    declared = draw(st.dictionaries(st.sampled_from(sorted(models)), st.sampled_from(["present", "latest"])))
    return models, contents, offers, declared, draw(st.booleans())


@given(worlds())
def test_every_broken_model_is_made_whole_or_complained_of(world):
    models, contents, offers, declared, removable = world
    held = held_models({"name": name, "digest": manifest_of(name), "size": 1} for name in models)
    stock = Stock(contents, faults_of(contents), removable=removable, user="nobody", free=1 << 40)
    desired = declare([{"name": name, "state": state} for name, state in declared.items()])
    try:
        plan = plan_all(desired, held, offers, stock=stock)
    except InvalidInput as exc:
        event("refused")
        assert any(f"{name}:latest" in exc.message for name in declared)
        return
    there = dict(contents.sizes)
    gone = set()
    for action in plan.actions:
        offer = offers[action.name.key]
        cure = action.cure
        if cure and (cure.unlink or cure.anew):
            event("something goes first")
            # Nothing goes that the source has not just offered, and nothing that is whole goes by its file.
            assert offer.digest is not None
        for bad in cure.unlink if cure else ():
            assert contents.sizes.get(bad.digest) != BLOBS[bad.digest]
            # One that an earlier action has brought in whole stays: the size is looked at again before.
            if there.get(bad.digest) != BLOBS[bad.digest]:
                there.pop(bad.digest, None)
        if cure and cure.anew:
            assert not removable
            others = {one for name, own in models.items() if parse_listed(name).key != action.name.key for one in own}
            gone |= set(contents.models[action.name.key].blobs) - others
            there = {one: size for one, size in there.items() if one not in gone}
        # A pull fetches what is missing and trusts what is there.
        blobs = offer.blobs or contents.models[action.name.key].blobs
        there = {**{one: BLOBS[one] for one in blobs}, **there}
        assert Contents("/s", sizes=there).bad(blobs) == ()
    repaired = {action.name.key for action in plan.actions if action.kind == REPAIR}
    broken = {key for key in stock.faults if key in {item.name.key for item in desired}}
    assert repaired == broken
    assert all(key in predict(held, plan) for key in held)


def test_a_broken_base_that_nobody_declares_comes_from_the_mirror_too():
    contents = Contents("/s", {parse_listed("a").key: stored("a", DIGESTS[:1])}, {})
    held = held_models([{"name": "a:latest", "digest": manifest_of("a"), "size": 1}])
    stock = Stock(contents, faults_of(contents), free=1 << 40)
    desired = declare([{"name": "b", "from": "a", "system": "x"}])
    offers = {parse_listed("a").key: whole_offer("a", DIGESTS[:1])}
    plan = plan_all(desired, held, offers, Rules(mirror="mirror.example:5000"), stock=stock)
    assert [(action.kind, action.name.short) for action in plan.actions] == [(REPAIR, "a:latest"), (CREATE, "b:latest")]
    assert plan.actions[0].via.short == "mirror.example:5000/library/a:latest"


@pytest.mark.parametrize(
    ("free", "words"), [(0, "needs 205 bytes"), (1204, "min_free wants 1.0 kB (1000 bytes)"), (1205, "")]
)
def test_room(free, words):
    contents = Contents("/s", sizes={DIGESTS[0]: 1, DIGESTS[1]: 101}, partial={DIGESTS[3]: 100})
    offers = {parse_listed(name).key: whole_offer(name, DIGESTS) for name in ("a", "b")}
    fetches = [Action("pull", parse_listed(name), "not there") for name in ("a", "b")]
    found = needs(fetches, offers, contents)
    # 99 more of the first, which is too short, all of the third, and 3 of the fourth, once.
    assert found == [Need("a:latest", 99 + 102 + 3), Need("b:latest", 0)]
    complaint = no_room([*found, Need("c:latest", 1)], "/s", free, 1000)
    assert words in complaint if words else complaint == ""
    assert not complaint or ("a:latest 204 bytes, c:latest 1 bytes" in complaint and f"{free}" in complaint)


def test_nothing_to_fetch_needs_no_room():
    assert no_room([Need("a", 0)], "/s", 0, 1 << 40) == ""


def test_sizes_are_those_that_will_be():
    held = held_models({"name": name, "digest": OTHER, "size": size} for name, size in (("a", 5), ("b", 6), ("bot", 7)))
    desired = declare(
        [
            {"name": "a", "state": "latest"},
            {"name": "b"},
            {"name": "bot", "from": "a"},
            {"name": "new", "from": "b"},
            {"name": "unread"},
            {"name": "gone", "state": "absent"},
        ]
    )
    key = parse_listed("a").key
    fetches = [Action("update", parse_listed("a"), ""), Action("pull", parse_listed("unread"), "")]
    found = sizes(desired, held, fetches, {key: Offer(OTHER, size=9)})
    assert found == {"a:latest": 9, "b:latest": 6, "bot:latest": 7, "new:latest": 6}
    assert [text.partition(" ")[0] for text in too_large(found, 7)] == ["a:latest"]
