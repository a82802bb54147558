# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The look at one list: where it says that all is as declared, the whole plan says so, too."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _quick
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import (
    guard_name,
    hold_name,
    new_name,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._answers import listed
from ansible_collections.alchemorsel.ollama.plugins.module_utils._argspec import registry_from_params
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declared_memory import residences
from ansible_collections.alchemorsel.ollama.plugins.module_utils._derived import plan_all
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidInput
from ansible_collections.alchemorsel.ollama.plugins.module_utils._held import held_models, public
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import parse_listed, parse_name
from ansible_collections.alchemorsel.ollama.plugins.module_utils._preflight import sizes, too_large
from ansible_collections.alchemorsel.ollama.plugins.module_utils._set import (
    Result,
    wanted_from_params,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._stock import NO_CARE, take_stock
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from tests.unit.whole_server import defaults

DIGESTS = st.sampled_from(["sha256:" + digit * 64 for digit in "01"])
DECLARED = ["a", "A:latest", "library/a", "b:1", "team/c", "other", "x:cloud", ""]
LISTED = ["a:latest", "A:latest", "b:1", "team/c:latest", "other:latest", "no name", "x:local"]
INTERNAL = [
    make(parse_name(name)).short for name in ("a", "other", "gone") for make in (guard_name, new_name, hold_name)
]
TAGS = st.lists(
    st.builds(
        lambda name, digest, size: {"name": name, "digest": digest, "size": size},
        st.sampled_from(LISTED * 9 + INTERNAL),
        DIGESTS,
        st.integers(0, 9),
    ),
    max_size=6,
    unique_by=lambda item: item["name"],
)
PLAIN = st.fixed_dictionaries(
    {"name": st.sampled_from(DECLARED)}, optional={"state": st.sampled_from(["present", "absent"])}
)
MORE = st.fixed_dictionaries(
    {},
    optional={
        "state": st.just("latest"),
        "digest": st.none() | DIGESTS,
        "copy_of": st.none() | st.sampled_from(["a", "b:1"]),
        "from": st.none() | st.just("a"),
        "system": st.none() | st.just("S"),
        "parameters": st.none() | st.just({}),
        "loaded": st.none() | st.booleans(),
        "keep_alive": st.none() | st.sampled_from(["-1", "5m"]),
    },
)
RICH = st.tuples(PLAIN, MORE).map(lambda pair: {**pair[0], **pair[1]})
ENTRIES = st.lists(PLAIN, max_size=4) | st.lists(PLAIN, max_size=4) | st.lists(RICH, max_size=2)
#: every option that asks for more than names must be one that the look minds
OPTIONS = st.fixed_dictionaries(
    {"state": st.sampled_from(["present", "absent"])},
    optional={
        "verify": st.booleans(),
        "exclusive": st.booleans(),
        "allow_empty": st.booleans(),
        "prune_local": st.booleans(),
        "registry_mirror": st.sampled_from([None, "", "mirror.example", "http://x"]),
        "max_delete": st.sampled_from([5, 0, -1]),
        "parallel": st.sampled_from([1, 2, 0]),
        "state_dir": st.sampled_from([None, "", "relative", "/absolute"]),
        "insecure_registries": st.sampled_from([[], ["h:5000"], ["http://h"], [" "]]),
        "memory_limit": st.sampled_from([None, 1, 0, -1]),
        "retries": st.sampled_from([5, -1]),
    },
)


@pytest.fixture(scope="module")
def listing():
    """What the server answers, in place of a request."""
    with pytest.MonkeyPatch.context() as patch:
        answer = SimpleNamespace(text="")
        patch.setattr(_quick._plain, "get", lambda *arguments: answer)
        yield answer


@settings(max_examples=500, deadline=None)
@given(ENTRIES, TAGS, OPTIONS | st.sampled_from([{"state": "present"}, {"state": "absent"}]), st.booleans())
@example([], [], {"state": "present"}, False)
@example([], [], {"state": "present", "memory_limit": 0}, False)
@example([{"name": "a"}], [{"name": "a:latest", "digest": "sha256:" + "0" * 64, "size": 1}], {"state": "present"}, True)
def test_what_it_takes_for_done_is_done(listing, entries, tags, options, diff):
    params = {**defaults(), "url": "http://127.0.0.1:1", "models": entries, **options}
    listing.text = json.dumps({"models": [{**item, "digest": item["digest"].partition(":")[2]} for item in tags]})
    looked = _quick.look(params, diff=diff)
    if looked.result is None:
        event("more to do, or to find out")
        return
    event(f"as declared: {len(entries)}")
    try:
        wanted = wanted_from_params(params)
        registry_from_params(params)
    except InvalidInput as exc:
        raise AssertionError(f"refused by the plan: {exc.message}") from exc
    assert looked.tags == tags
    held = held_models(tags)
    plan = plan_all(wanted.desired, held, {}, wanted.rules)
    assert (plan.actions, plan.kept, plan.warnings) == ((), (), ())
    limit = params["memory_limit"]
    assert wanted.care == dataclasses.replace(NO_CARE, memory_limit=limit)
    assert limit is None or too_large(sizes(wanted.desired, held, (), {}), limit) == []
    assert residences(wanted.desired) == ()
    whole = Result(before=public(held), after=public(held)).as_result(diff=diff)
    assert looked.result == whole


# --- the store --------------------------------------------------------------------------------------------------------

#: What can be wrong with a model on disk; with none of these it is whole.
FAULTS = ["", "", "", "cut", "no blob", "no manifest", "not listed", "empty manifest"]


def lay_out(root, name, fault):
    """Write a model of one blob into a store."""
    content = name.encode()
    digest = hashlib.sha256(content).hexdigest()
    body = json.dumps({"layers": [{"digest": f"sha256:{digest}", "size": len(content)}]})
    parsed = parse_listed(name)
    manifest = root / "manifests" / parsed.host / parsed.namespace / parsed.model / parsed.tag
    if fault != "no manifest":
        manifest.parent.mkdir(parents=True, exist_ok=True)
        manifest.write_text("" if fault == "empty manifest" else body)
    if fault != "no blob":
        (root / "blobs" / f"sha256-{digest}").write_bytes(content[: -1 if fault == "cut" else None])


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["a:latest", "b:1", "team/c:latest"]), st.sampled_from(FAULTS), max_size=3))
@example({"a:latest": ""})
@example({})
def test_a_store_without_a_fault_is_no_work(listing, models):
    tags = [{"name": name, "digest": "0" * 64, "size": 1} for name, fault in models.items() if fault != "not listed"]
    listing.text = json.dumps({"models": tags})
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "blobs").mkdir()
        for name, fault in models.items():
            lay_out(root, name, fault)
        declared = [{"name": tag["name"]} for tag in tags]
        params = {
            **defaults(),
            "url": "http://127.0.0.1:1",
            "models": declared,
            "store_path": folder,
            "min_free": 1 << 60,
        }
        looked = _quick.look(params, diff=True)
        whole = not any(models.values())
        event(f"{len(models)} models, {'whole' if whole else 'broken'}")
        assert (looked.result is not None) == whole
        if not whole:
            return
        wanted, held = wanted_from_params(params), held_models(listed(tags))
        stock = take_stock(SimpleNamespace(url="no request"), wanted.care, wanted.desired, held)
        plan = plan_all(wanted.desired, held, {}, wanted.rules, stock=stock)
        assert (plan.actions, plan.kept, plan.warnings) == ((), (), ())


def test_a_store_that_cannot_be_read_is_left_to_the_plan(listing, tmp_path):
    listing.text = json.dumps({"models": []})
    params = {**defaults(), "url": "http://127.0.0.1:1", "models": [], "store_path": str(tmp_path / "none")}
    assert _quick.look(params, diff=False).result is None
