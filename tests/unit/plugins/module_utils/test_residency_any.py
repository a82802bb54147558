# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any server's memory becomes as declared, and stays so."""

from __future__ import annotations

from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import declare
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declared_memory import residences
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidInput
from ansible_collections.alchemorsel.ollama.plugins.module_utils._held import held_models
from hypothesis import event, given
from hypothesis import strategies as st

from tests.unit.created_models import Content
from tests.unit.memory_run import kinds, run, server_with
from tests.unit.memory_server import FOREVER, MINUTES

NAMES = ["a", "b", "c"]
CONTENTS = st.builds(
    Content,
    weights=st.sampled_from("uvw"),
    system=st.sampled_from(["", "S"]),
    parameters=st.sampled_from([{}, {"num_ctx": 1}]),
)
PULLED = st.dictionaries(
    st.sampled_from(NAMES),
    st.fixed_dictionaries(
        {"state": st.sampled_from(["present", "latest", "absent"])},
        optional={"loaded": st.booleans(), "keep_alive": st.just("-1")},
    ),
)
MADE = st.dictionaries(
    st.sampled_from(["x", "y"]),
    st.sampled_from(
        [
            {"copy_of": "a"},
            {"copy_of": "x"},
            {"from": "a"},
            {"from": "b", "system": "T"},
            {"from": "b", "parameters": {"num_ctx": 2}},
        ]
    ).flatmap(
        lambda fields: st.fixed_dictionaries({}, optional={"loaded": st.booleans()}).map(
            lambda more: {**fields, **more}
        )
    ),
)


@given(
    st.dictionaries(st.sampled_from([*NAMES, "x", "y", "other"]), CONTENTS),
    st.fixed_dictionaries(dict.fromkeys(NAMES, CONTENTS)),
    st.lists(st.tuples(st.sampled_from([*NAMES, "x", "y", "other"]), st.sampled_from([FOREVER, MINUTES])), max_size=4),
    PULLED,
    MADE,
    st.integers(1, 4),
)
def test_memory_becomes_as_declared_and_stays_so(contents, source, started, pulled, made, room):
    server = server_with(room=room, **contents)
    for name, stays in started:
        if name in contents:
            server.start(f"{name}:latest", stays)
    entries = [{"name": name, **fields} for name, fields in [*pulled.items(), *made.items()]]
    for entry in entries:
        if entry.get("state") == "absent":
            entry.update(loaded=None, keep_alive=None)
    try:
        outcome = run(server, entries, source)
    except InvalidInput:
        event("refused")
        return
    assert not [name for name in server.models if name.startswith("alchemorsel-tmp/")]
    if outcome.failures:
        assert [failure.kind for failure in outcome.failures] == ["Evicted"]
        # Too little room, or two that have the same weights without a word about it.
        wanted = [server.models[one.name.short] for one in residences(declare(entries)) if one.loaded]
        assert (
            len({content.weights for content in wanted}) < len({content.digest for content in wanted})
            or len(wanted) > room
        )
        event("does not fit")
        return
    event(", ".join(sorted({done.action.kind for done in outcome.done})))
    wanted = residences(declare(entries))
    held = held_models(server.tags())
    for one in wanted:
        digests = {held[name.key].digest for name in one.names if name.key in held}
        found = [runner for runner in server.runners.values() if runner.digest in digests]
        if one.loaded:
            assert any(runner.pinned for runner in found)
        else:
            assert not [runner for runner in found if runner.name in {name.short for name in one.names}]
    loads = list(server.loads)
    assert kinds(run(server, entries, source)) == []
    assert server.loads == loads
