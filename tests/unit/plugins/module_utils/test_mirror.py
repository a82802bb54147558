# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mirrors: which texts are one, and which names pass through it."""

from __future__ import annotations

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import Desired
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidInput
from ansible_collections.alchemorsel.ollama.plugins.module_utils._mirror import at_mirror, in_between, parse_mirror
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import DEFAULT_HOST, parse_listed, parse_name
from ansible_collections.alchemorsel.ollama.plugins.module_utils._origin import Origin
from hypothesis import example, given
from hypothesis import strategies as st

MIRROR = "mirror.example:5000"
HOSTS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}(:[0-9]{1,6})?", fullmatch=True)


@given(HOSTS | st.text(max_size=30))
@example("mirror:0")
@example("mirror:65536")
@example("x" * 351)
@example(DEFAULT_HOST.upper())
@example("m\n")
def test_what_is_taken_can_stand_in_a_models_name(text):
    try:
        mirror = parse_mirror(text)
    except InvalidInput as exc:
        assert "registry_mirror is" in exc.message
        return
    if mirror is None:
        assert not text.strip()
        return
    name = at_mirror(parse_name("team/a:1"), mirror)
    assert parse_listed(name.short) == name
    assert (name.host, name.namespace, name.model, name.tag) == (mirror, "team", "a", "1")
    port = mirror.partition(":")[2]
    assert not port or 0 < int(port) < 65536


@pytest.mark.parametrize("text", ["localhost", "10.0.0.1:5000", "mirror.example", "a_b:1"])
def test_mirrors(text):
    assert parse_mirror(f" {text} ") == text


@pytest.mark.parametrize(
    "text", ["http://m", "m/x", "[::1]:5000", "m:0", "m:65536", "m:", "m:a", "a:1:2", "m n", "é", "-m"]
)
def test_no_mirrors(text):
    with pytest.raises(InvalidInput, match="wanted HOST or HOST:PORT as in a model's name"):
        parse_mirror(text)


@pytest.mark.parametrize("name", ["hf.co/o/e:Q4", "h:5000/n/d:x"])
def test_only_the_default_registry_has_a_mirror(name):
    assert at_mirror(parse_name(name), MIRROR) == parse_name(name)
    assert at_mirror(parse_name("a"), None) == parse_name("a")
    assert at_mirror(parse_name("Registry.Ollama.AI/library/a"), MIRROR).short == f"{MIRROR}/library/a:latest"


def test_what_passes_through_the_mirror():
    names = [parse_name(text) for text in ("a", "b", f"{MIRROR}/library/b", "c", "d", "hf.co/o/e")]
    desired = [Desired(name) for name in names]
    desired[4] = Desired(names[4], origin=Origin(parse_name(f"{MIRROR.upper()}/Library/C")))
    passing = in_between(desired, MIRROR)
    # b's other name is declared, c's is what d is made from, d is not fetched, and e has no mirror.
    assert {key: name.short for key, name in passing.items()} == {f"{MIRROR}/library/a:latest": "a:latest"}
    assert in_between(desired, None) == {}
