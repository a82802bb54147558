# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and digests: what Ollama takes, how it compares, and what is refused."""

from __future__ import annotations

import string

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidDigest, InvalidName
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import (
    matches,
    parse_digest,
    parse_listed,
    parse_name,
)
from hypothesis import given
from hypothesis import strategies as st

FIRST = string.ascii_letters + string.digits + "_"


def part(more, size):
    """Text that may be one part of a name."""
    rest = st.text(FIRST + more, max_size=size - 1)
    return st.builds(lambda head, tail: head + tail, st.sampled_from(FIRST), rest)


PARTS = st.tuples(part(".:-", 30), part("-", 80), part(".-", 80), part(".-", 80)).filter(
    lambda parts: parts[1].lower() != "alchemorsel-tmp" and not parts[3].lower().endswith(("cloud", "local"))
)


@pytest.mark.parametrize(
    ("text", "key", "short"),
    [
        ("llama3.2", "registry.ollama.ai/library/llama3.2:latest", "llama3.2:latest"),
        ("Library/Llama3:Latest", "registry.ollama.ai/library/llama3:latest", "Llama3:Latest"),
        ("registry.ollama.ai/library/llama3", "registry.ollama.ai/library/llama3:latest", "llama3:latest"),
        ("team/x:1", "registry.ollama.ai/team/x:1", "team/x:1"),
        ("hf.co/org/repo:Q4_K_M", "hf.co/org/repo:q4_k_m", "hf.co/org/repo:Q4_K_M"),
        ("127.0.0.1:5000/library/tiny", "127.0.0.1:5000/library/tiny:latest", "127.0.0.1:5000/library/tiny:latest"),
        ("http://h:1/ns/m", "h:1/ns/m:latest", "h:1/ns/m:latest"),
        ("  m:8b  ", "registry.ollama.ai/library/m:8b", "m:8b"),
        ("m.", "registry.ollama.ai/library/m.:latest", "m.:latest"),
        ("my-cloud", "registry.ollama.ai/library/my-cloud:latest", "my-cloud:latest"),
    ],
)
def test_normalised(text, key, short):
    name = parse_name(text)
    assert (name.key, name.short, str(name)) == (key, short, short)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        ("m@sha256:" + "a" * 64, "option digest"),
        ("tiny:", "its tag is ''"),
        ("registry.ollama.ai/tiny", "its namespace is 'registry.ollama.ai'"),
        ("host:5000/model", "its namespace is 'host:5000'"),
        ("host/a/b/model", "its host is 'host/a'"),
        ("ftp://h/n/m", "its host is 'ftp://h'"),
        ("[::1]:5000/ns/m", "IPv6 addresses are not possible"),
        (".m", "its model is '.m'"),
        ("m\n", None),
        ("a b", "its model is 'a b'"),
        ("m:a\nb", "its tag is"),
        ("é", "its model is 'é'"),
        ("m" * 81, "1 to 80"),
        ("alchemorsel-tmp/x", "this collection uses for itself"),
        ("x:cloud", "reserves"),
        ("x:LOCAL", "reserves"),
        ("x:8b-cloud", "reserves"),
        ("x:8b:cloud", "reserves"),
        ("x:8b:local", "reserves"),
    ],
)
def test_refused(text, words):
    if words is None:
        # Blanks at the ends are trimmed, as the server does.
        assert parse_name(text).model == "m"
        return
    with pytest.raises(InvalidName) as caught:
        parse_name(text)
    assert words in caught.value.message
    assert "\n" not in caught.value.message or "\n" in text


def test_listed_names_may_be_reserved():
    assert parse_listed("gpt:8b-cloud").reserved_tag
    assert parse_listed("x:local").reserved_tag
    assert parse_listed("alchemorsel-tmp/abc:guard").internal
    assert not parse_listed("host/alchemorsel-tmp/abc:guard").internal


@given(PARTS)
def test_what_is_shown_parses_to_the_same(parts):
    host, namespace, model, tag = parts
    name = parse_name(f"{host}/{namespace}/{model}:{tag}")
    assert (name.host, name.namespace, name.model, name.tag) == parts
    assert parse_name(name.short).key == name.key
    assert parse_name(name.key).key == name.key
    assert parse_name(name.short.swapcase()).key == name.key


@given(st.text(max_size=60))
def test_any_text_is_a_name_or_refused(text):
    try:
        name = parse_name(text)
    except InvalidName as exc:
        assert exc.message
    else:
        assert parse_name(name.short) == name


@pytest.mark.parametrize(
    ("pattern", "covered", "other"),
    [
        ("gemma3", "gemma3:27b", "gemma3n:2b"),
        ("gemma3:27b", "gemma3:27b", "gemma3:4b"),
        ("experiments/*", "experiments/a:1", "experiment/a:1"),
        ("*:q4*", "hf.co/o/r:Q4_K_M", "hf.co/o/r:Q8_0"),
        ("registry.ollama.ai/library/*", "mistral:7b", "team/mistral:7b"),
        ("HF.CO/*", "hf.co/o/r:1", "huggingface.co/o/r:1"),
    ],
)
def test_patterns(pattern, covered, other):
    assert matches(parse_name(covered), [pattern])
    assert not matches(parse_name(other), [pattern])
    assert not matches(parse_name(covered), [])


def test_digests():
    assert parse_digest("A" * 64) == "sha256:" + "a" * 64
    assert parse_digest(" sha256:" + "1" * 64) == "sha256:" + "1" * 64
    for bad in ("", "sha256:", "a80c4f17acd5", "sha512:" + "a" * 64, "sha256:" + "g" * 64, "sha256-" + "a" * 64):
        with pytest.raises(InvalidDigest, match="64 hexadecimal digits"):
            parse_digest(bad)
