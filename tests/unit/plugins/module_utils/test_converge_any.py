# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any server and any declared set: check mode says what a run does, the run arrives, and the next one has nothing to do."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _apply, _lock
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import guard_name, hold_name, new_name
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import matches, parse_listed, parse_name
from ansible_collections.alchemorsel.ollama.plugins.module_utils._record import Record
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.unit import gguf_files, prediction
from tests.unit.created_models import Content
from tests.unit.memory_run import Timeless
from tests.unit.memory_server import FOREVER, MINUTES
from tests.unit.whole_server import MIRROR, Source, WholeServer, full, internal, run

PULLED, MADE, FILES = ["a", "b:1", "team/c"], ["x", "y:2", "team/z"], ["bot"]
DECLARED = [*PULLED, *MADE, *FILES]
OTHERS = ["other", "protected/p"]
PATHS = ["one.gguf", "two.gguf"]
PLACES = {name: parse_name(f"{MIRROR}/{'' if '/' in name else 'library/'}{name}").short for name in PULLED}

CONTENTS = st.builds(
    Content,
    weights=st.sampled_from("uvw"),
    system=st.sampled_from(["", "S"]),
    parameters=st.sampled_from([{}, {"top_k": 1}, {"num_ctx": 1}]),
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "system": st.sampled_from(["T"]),
        "template": st.sampled_from(["{{ .Prompt }}!"]),
        "parameters": st.sampled_from([{"top_k": "2"}, {"num_ctx": 2}]),
    },
)
LOADED = st.sampled_from([{}, {}, {"loaded": True}, {"loaded": False}, {"keep_alive": "-1"}])
ABSENT = st.just({"state": "absent"})
#: the one that the source serves, the one that is there, or any
PINS = st.sampled_from(["served", "held", "served", Content().digest]).map(lambda digest: {"digest": digest})
#: what others are made from
TARGETS = [*PULLED, *PULLED, *PULLED, "bot", "x"]
KINDS = {
    "pulled": st.sampled_from([{"state": "present"}, {"state": "latest"}, {"state": "latest"}]) | PINS,
    "alias": st.sampled_from(TARGETS).map(lambda target: {"copy_of": target}),
    "created": st.tuples(st.sampled_from(TARGETS), FIELDS).map(lambda pair: {"from": pair[0], **pair[1]}),
    "file": st.tuples(st.sampled_from(PATHS), FIELDS).map(lambda pair: {"gguf": pair[0], **pair[1]}),
}
ROLES = {
    **dict.fromkeys(PULLED, " ".join(["pulled"] * 6 + ["alias"])),
    **dict.fromkeys(MADE, "alias created"),
    "bot": "file",
}


def _entry(name):
    made = st.sampled_from(ROLES[name].split()).flatmap(KINDS.__getitem__)
    loaded = LOADED if name in PULLED else st.just({}) | st.just({}) | LOADED
    present = st.tuples(made, loaded).map(lambda pair: {**pair[0], **pair[1]})
    return (present | present | present | present | present | present | ABSENT).map(
        lambda fields: {"name": name, **fields}
    )


ENTRIES = st.lists(st.sampled_from(DECLARED), min_size=2, unique=True).flatmap(
    lambda names: st.tuples(*map(_entry, names)).map(list)
)
OPTIONS = st.fixed_dictionaries(
    {"models": ENTRIES},
    optional={
        "exclusive": st.just(True),
        "protect": st.just(["protected/*"]),
        "prune_local": st.booleans(),
        "max_delete": st.sampled_from([1, 99, 99]),
        "allow_empty": st.just(True),
        "registry_mirror": st.just(MIRROR),
        "verify": st.just(True),
        "parallel": st.sampled_from([1, 2]),
    },
)
LEFT_OVER = st.dictionaries(
    st.tuples(st.sampled_from([*DECLARED, *OTHERS]), st.sampled_from([guard_name, new_name, hold_name])),
    CONTENTS,
    max_size=2,
)
SOURCES = st.builds(
    lambda models, unreadable, busy: Source(
        {full(name): content for name, content in models.items()},
        frozenset(map(full, unreadable)),
        frozenset(map(full, busy)),
    ),
    st.tuples(
        st.fixed_dictionaries(dict.fromkeys([*PULLED, *OTHERS], CONTENTS)),
        st.sampled_from([*PULLED, *OTHERS, *[None] * 20]),
    ).map(lambda pair: {name: content for name, content in pair[0].items() if name != pair[1]}),
    st.sets(st.sampled_from([*PULLED, *OTHERS]), max_size=1),
    st.sets(st.sampled_from([*PULLED, *OTHERS]), max_size=1) | st.just(set()),
)


@st.composite
def servers(draw):
    """A server with models, what interrupted runs left, processes in its memory, and missing files."""
    models = {
        full(name): content
        for name, content in draw(st.dictionaries(st.sampled_from([*DECLARED, *OTHERS]), CONTENTS)).items()
    }
    if draw(st.booleans()) and "a:latest" in models:
        models["A:latest"] = models.pop("a:latest")
    models |= {made(parse_name(name)).short: content for (name, made), content in draw(LEFT_OVER).items()}
    models |= {PLACES[name]: draw(CONTENTS) for name in draw(st.sets(st.sampled_from(PULLED), max_size=1))}
    server = WholeServer(models, draw(SOURCES), draw(st.sampled_from([1, 9, 9])))
    for name in draw(st.sets(st.sampled_from(sorted(models)))) if models else ():
        server.start(name, draw(st.sampled_from([FOREVER, MINUTES])))
    for name in draw(st.sets(st.sampled_from(sorted(models)), max_size=2)) if models else ():
        # Started under another digest than the name has now, or the model is not there any more.
        server.models[name] = draw(CONTENTS)
    server.lacking = draw(st.sets(st.sampled_from("uvw"), max_size=1))
    return server


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the lock and the declared files are."""
    root = tmp_path_factory.mktemp("host")
    for number, path in enumerate(PATHS):
        (root / path).write_bytes(gguf_files.header() + bytes([number]) * 64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_apply, "Clock", Timeless)
        patch.setattr(_lock, "DIRECTORIES", (str(root),))
        yield root


def settled(folder, server, options):
    """Let the declared files be the ones in a folder, and the declared digests be those that are meant."""
    kinds = {"served": server.source.models, "held": server.models}
    entries = []
    for entry in options["models"]:
        made = dict(entry)
        if "gguf" in entry:
            made["gguf"] = str(folder / entry["gguf"])
        meant = kinds.get(entry.get("digest"))
        if meant is not None:
            made["digest"] = meant.get(full(entry["name"]), Content()).digest
        entries.append(made)
    return {**options, "models": entries}


#: other examples each time, so many; without, always the same
EXAMPLES = int(os.environ.get("EXAMPLES", "0"))


@settings(max_examples=EXAMPLES or 300, derandomize=not EXAMPLES, deadline=None)
@given(servers(), OPTIONS, OPTIONS, st.booleans())
def test_check_mode_says_what_a_run_does(folder, server, earlier, options, twice):
    state = Path(tempfile.mkdtemp(dir=folder))
    try:
        if twice:
            # So that there is a record of what was made, and processes that a run has started.
            run(server, state, **settled(folder, server, earlier))
        compare(server, state, settled(folder, server, options))
    finally:
        shutil.rmtree(state)


def compare(server, state, options):
    before, memory, hidden = dict(server.models), dict(server.runners), server.lacking and not options.get("verify")
    lacking = set(server.lacking)
    predicted = run(server, state, check_mode=True, **options)
    assert (server.models, server.runners) == (before, memory)
    told = run(server, state, **options)
    nothing_lost(server, state, before, options, told)
    if predicted.failure:
        event(f"refused: {predicted.failure.kind}")
        assert told.failure
        return
    if told.failure:
        event(f"failed: {told.failure.kind}")
        assert hidden or may_fail(server, told.failure, predicted), told.failure.message
        return
    event(", ".join(sorted({action["action"] for action in told.result["actions"]})) or "nothing to do")
    prediction.check(predicted.result, told.result)
    assert {model["name"]: model["digest"] for model in told.result["models"]} == {
        name: content.digest for name, content in server.models.items() if name not in set(internal(server.models))
    }
    orphans = {name for name in internal(before) if name.endswith(":guard") and name in server.models}
    assert set(internal(server.models)) == orphans
    owners = {guard_name(parse_listed(name)).short for name in before}
    # What is broken takes the place of nothing, and nobody knows whether it is still wanted: the operator is told.
    assert not {name for name in orphans & owners if server.models[name].weights not in lacking}
    if {name for name in orphans & owners if server.models[name].weights not in server.lacking}:
        event("a guard whose files came back with another model")
        again = run(server, state, **options)
        assert {"restore", "cleanup"} <= {action["action"] for action in again.result["actions"]}
        return
    again = run(server, state, **options)
    asked = {full(entry["name"]) for entry in options["models"] if entry.get("state") == "latest"}
    if again.failure and again.failure.kind == "SourceBusy" and asked & server.source.busy:
        event("a source that is asked now that its model is there")
        return
    if orphaned(told, again):
        event("an alias whose digest came back")
        return
    assert (again.failure, again.result["changed"]) == (None, False)
    # Where a source cannot be read, it is pulled and compared each time, and what depends on that waits for it.
    compared = any("cannot be read from here" in action["reason"] for action in again.result["actions"])
    assert compared or again.result["actions"] == []
    assert again.result["models"] == told.result["models"]


def orphaned(told, again):
    """Tell whether there were aliases without a target that can be had again since this run has brought their digest.

    `exclusive` could not know that before: it keeps them, and the next run removes them.
    """
    brought = {action["digest_after"] for action in told.result["actions"]}
    removed = [action for action in again.result["actions"] if action["action"] == "delete"]
    return bool(removed) and all(
        action["reason"] == "not declared" and action["digest_before"] in brought for action in removed
    )


def nothing_lost(server, state, before, options, told):
    """Whatever became of the run, a model goes only if that was said, and if it can be had again."""
    declared = {parse_name(entry["name"]).key: entry for entry in options["models"]}
    mirrored = options.get("registry_mirror")
    made = Record(str(state), server.url).entries.made
    # With the digest that it had then: what an interrupted run had replaced has its own again before.
    gone = {action["name"]: action["digest_before"] for action in told.result.get("actions", ())}
    for name in before:
        listed = parse_listed(name)
        if name in server.models or listed.internal or (mirrored and name in PLACES.values()):
            continue
        if listed.key in declared:
            assert declared[listed.key].get("state") == "absent", name
            continue
        assert options.get("exclusive"), name
        assert not matches(listed, options.get("protect", [])), name
        assert not told.failure, name
        served = server.source.content(listed)
        assert options.get("prune_local") or listed.key in made or (served and served.digest == gone[name]), name


def may_fail(server, failure, predicted):
    """Tell whether a failure is one that nobody could foresee, or that was said to be possible.

    The memory may be too small, only the server may be able to read a source, and whether a process of a version that no
    model has any more can be unloaded depends on its weights, which nobody shows.
    """
    if failure.kind == "Evicted":
        return True
    if failure.kind == "ServerBusy":
        doubtful = [
            action["name"]
            for action in predicted.result["actions"]
            if "only if it has the same weights" in action["reason"]
        ]
        return any(failure.message.startswith(f"{name} is still in memory") for name in doubtful)
    unread = {action["name"] for action in predicted.result["actions"]} & (
        server.source.unreadable | server.source.busy
    )
    return bool(unread) and failure.kind in ("SourceNotFound", "DigestNotServed")
