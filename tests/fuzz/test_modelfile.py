# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declared models, durations, and what a server lists and shows: read as far as it can be, or refused in words."""

from __future__ import annotations

import json
import math
from datetime import datetime, timezone

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._answers import decoded, listed
from ansible_collections.alchemorsel.ollama.plugins.module_utils._created import compare, parse_parameters
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import declare
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declared_memory import conflicts, residences
from ansible_collections.alchemorsel.ollama.plugins.module_utils._held import diff_of, held_models, model_results
from ansible_collections.alchemorsel.ollama.plugins.module_utils._keep_alive import parse_duration
from ansible_collections.alchemorsel.ollama.plugins.module_utils._memory import is_pinned
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import name_of
from ansible_collections.alchemorsel.ollama.plugins.module_utils._origin import Recipe
from ansible_collections.alchemorsel.ollama.plugins.module_utils._parameters import PARAMETERS, convert
from ansible_collections.alchemorsel.ollama.plugins.module_utils._preflight import too_large
from ansible_collections.alchemorsel.ollama.plugins.module_utils._states import STATES
from ansible_collections.alchemorsel.ollama.plugins.module_utils._upgrade import choose_probe
from ansible_collections.alchemorsel.ollama.plugins.module_utils._versions import check_floor, version_numbers
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.strategies import bent_json, bent_lines, can_be_shown, junk, texts
from tests.unit.created_models import Content

NOW = datetime(2026, 11, 26, tzinfo=timezone.utc)
NAMES = texts | st.sampled_from(["a", "b:1", "A", "team/c", "h:1/n/m", "a:cloud", "alchemorsel-tmp/x"])
#: Entries as Ansible hands them over: texts are texts, whatever else stands in the parameters.
ENTRIES = st.fixed_dictionaries(
    {"name": NAMES},
    optional={
        "state": st.sampled_from(STATES),
        "digest": texts,
        "copy_of": NAMES,
        "from": NAMES,
        "gguf": texts,
        "system": texts,
        "template": texts,
        "parameters": st.dictionaries(st.sampled_from(sorted(PARAMETERS)) | texts, junk, max_size=3),
        "loaded": st.booleans(),
        "keep_alive": texts | st.sampled_from(["-1", "0", "5m", "-1m", "1h30m"]),
    },
)
SHOWN = Content(
    system="Be brief.", template="{{ .Prompt }}", parameters={"top_k": 2, "stop": ["a", "b"]}, license="free"
)
MODEL = {
    "name": "a:latest",
    "model": "a:latest",
    "modified_at": "2026-01-01T00:00:00Z",
    "digest": "a" * 64,
    "size": 5,
    "size_vram": 5,
    "context_length": 4096,
    "expires_at": "2026-11-26T00:05:00.1+01:00",
    "details": {"family": "llama", "families": ["llama"]},
    "capabilities": ["completion"],
}


@given(st.lists(ENTRIES, max_size=4), st.sampled_from(STATES))
def test_any_declared_models_are_taken_or_refused(entries, state):
    try:
        desired = declare(entries, state)
    except errors.InvalidInput as exc:
        assert can_be_shown(exc.as_result())
        return
    assert len(desired) == len(entries)
    residences(desired)
    assert can_be_shown(conflicts(desired))
    assert all(one.file is None or one.file.path.startswith("/") for one in desired)


@given(st.dictionaries(st.sampled_from(sorted(PARAMETERS)) | texts, junk, max_size=4))
@example({"num_ctx": "9" * 5000})
def test_any_parameters_are_taken_or_refused(parameters):
    complaints = []
    converted = convert(parameters, complaints)
    assert len(converted) + len(complaints) == len(parameters)
    assert json.dumps(converted, allow_nan=False)


@given(texts | st.lists(st.sampled_from([*"0123456789.+-", "h", "m", "s", "ms", "µs", "ns"]), max_size=9).map("".join))
def test_any_text_is_a_duration_or_none(text):
    seconds = parse_duration(text)
    assert seconds is None or not math.isnan(seconds)


@given(bent_json(SHOWN.show()), bent_json(SHOWN.show()), texts, texts)
def test_whatever_a_server_shows_can_be_compared(shown, base, system, template):
    try:
        one, other = decoded(shown), decoded(base)
    except ValueError:
        return
    if not isinstance(one, dict) or not isinstance(other, dict):
        return
    comparison = compare(one, other, Recipe(system, template, {"top_k": 2}))
    assert can_be_shown([[item.field, item.before, item.after] for item in comparison.differences])


@given(bent_lines(["temperature                    0.7", 'stop                           "</s>"', "num_ctx 4096"]))
@example(['stop "\\ud800"'])
@example(['stop "\\U00110000"'])
def test_whatever_stands_in_the_parameters_of_show(lines):
    assert can_be_shown(repr(parse_parameters("\n".join(lines))))


@given(bent_json([MODEL, {**MODEL, "name": "b:1", "digest": "sha256:" + "b" * 64}]), texts)
@example(json.dumps([{**MODEL, "size": 10**400}]).encode(), "")
@example(json.dumps([{**MODEL, "name": "\ud800"}]).encode(), "")
def test_whatever_a_server_lists_can_be_worked_with(body, probe):
    try:
        models = decoded(body)
        models = listed(models if isinstance(models, list) else [models])
    except ValueError:
        return
    held = held_models(models)
    assert can_be_shown(model_results(held.values()))
    assert can_be_shown(diff_of(held.values(), []))
    for entry in models:
        assert is_pinned(entry, NOW) in (True, False)
        name_of(entry)
    assert can_be_shown(choose_probe(models, ["a", "b:1"], probe, 7 << 30))
    assert can_be_shown(too_large({one.name.short: one.size for one in held.values()}, 1 << 30))


@given(texts)
@example("9" * 5000)
def test_any_text_is_a_version_or_none(text):
    assert all(number >= 0 for number in version_numbers(text))
    try:
        assert can_be_shown(check_floor(text, "http://h:1"))
    except errors.OldServer as exc:
        assert can_be_shown(exc.as_result())
