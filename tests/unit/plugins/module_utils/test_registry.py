# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A manifest's digests: the one of its bytes, and those that a server may list instead."""

from __future__ import annotations

import hashlib
import json
import math

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import SourceBusy
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import parse_name
from ansible_collections.alchemorsel.ollama.plugins.module_utils._pull import Clock
from ansible_collections.alchemorsel.ollama.plugins.module_utils._registry import (
    Registry,
    read_manifest,
    read_retry_after,
)
from hypothesis import example, given
from hypothesis import strategies as st


def digest(body):
    return "sha256:" + hashlib.sha256(body).hexdigest()


def body_of(size):
    """Return a manifest whose JSON text has this many bytes."""
    empty = json.dumps({"config": {"size": 7}, "layers": [{"size": 100}], "x": ""}).encode()
    return empty.replace(b'""', b'"' + b"x" * (size - len(empty)) + b'"')


def test_digest_and_size():
    manifest = read_manifest(body_of(300))
    assert manifest.digest == digest(body_of(300))
    assert manifest.digests == {manifest.digest}
    assert manifest.size == 107


@pytest.mark.parametrize("end", [b"\n", b" \r\n\t" * 50])
def test_white_space_at_the_end_may_be_left_out(end):
    manifest = read_manifest(body_of(300) + end)
    assert manifest.digest == digest(body_of(300) + end)
    assert digest(body_of(300)) in manifest.digests


@pytest.mark.parametrize("step", [512, 1536, 3584, 7680])
def test_white_space_may_be_cut_where_the_decoder_stopped_reading(step):
    assert digest(body_of(step)) in read_manifest(body_of(step) + b"\n").digests
    body = body_of(step - 100) + b" " * 300
    assert digest(body[:step]) in read_manifest(body).digests
    # JSON text is never cut.
    longer = body_of(step + 1)
    assert read_manifest(longer).digests == {digest(longer)}


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"layers": 1}', b"\xff"])
def test_what_is_no_manifest(body):
    with pytest.raises(ValueError):
        read_manifest(body)


def part(number, size):
    return {"digest": f"sha256:{number:064x}", "size": size}


def test_blobs():
    body = json.dumps({"config": part(1, 7), "layers": [part(2, 100), part(3, 20), part(3, 20)]}).encode()
    manifest = read_manifest(body)
    assert manifest.size == 147
    assert manifest.blobs == {f"sha256:{1:064x}": 7, f"sha256:{2:064x}": 100, f"sha256:{3:064x}": 20}


@pytest.mark.parametrize("digest", [None, "", "sha256:1", "sha256:" + "B" * 64, "sha256:" + "b" * 64 + "/../x", 7])
def test_a_blob_without_a_digest_makes_them_unknown(digest):
    body = json.dumps({"config": part(1, 7), "layers": [{"digest": digest, "size": 100}]}).encode()
    assert (read_manifest(body).size, read_manifest(body).blobs) == (107, {})


# --- a source that asks to come back later ------------------------------------------------------------------------

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        ("Fri, 15 Jan 2027 08:00:10 GMT", 10.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        (None, None),
        ("", None),
        ("-1", None),
        ("soon", None),
    ],
)
def test_retry_after(text, seconds):
    assert read_retry_after(text, NOW) == seconds


@given(st.text() | st.integers().map(str) | st.datetimes().map(lambda when: when.strftime("%a, %d %b %Y %H:%M:%S GMT")))
@example("9" * 400)
@example("\u00b2")
@example("Mon, 31 Dec 9999 23:59:59 -2359")
def test_whatever_a_source_says_is_a_time_or_none(text):
    seconds = read_retry_after(text, NOW)
    assert seconds is None or (seconds >= 0 and math.isfinite(seconds))


class BusySource(Registry):
    """Asks to wait before each of its answers, and then has the model."""

    def __init__(self, asks, **options):
        self.now = 0.0
        self.pauses = []
        self.requests = 0
        self.body = body_of(300)
        self._asks = list(asks)
        super().__init__(clock=Clock(now=lambda: self.now, sleep=self._wait, random=lambda: 0.5), **options)

    def _wait(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds

    def _get(self, host, who, url):
        self.requests += 1
        if self._asks:
            return 429, b"slow down", self._asks.pop(0)
        return 200, self.body, None


def test_a_source_is_given_the_time_that_it_asks_for():
    source = BusySource([10.0, 0.0], retries=2, patience=60.0)
    manifest = source.manifest(parse_name("a"))
    assert (manifest.digest, manifest.waited) == (digest(body_of(300)), 11.0)
    assert source.pauses == [10.5, 0.5]
    assert source.manifest(parse_name("a")).waited == 0.0


@pytest.mark.parametrize(("asked", "patience", "most"), [(3600.0, 7200.0, 300), (299.0, 299.0, 299), (13.0, 12.0, 12)])
def test_a_wait_that_nobody_would_see_is_refused_at_once(asked, patience, most):
    source = BusySource([asked], retries=5, patience=patience)
    with pytest.raises(
        SourceBusy, match=f"asks to wait {asked:.0f} s, and a run waits for sources {most} s at most$"
    ) as caught:
        source.manifest(parse_name("a"))
    assert caught.value.too_long
    assert (source.requests, source.now) == (1, 0.0)


@pytest.mark.parametrize(
    ("asks", "retries"), [([3600.0], 0), ([10.0, 3600.0], 1)], ids=["nothing is retried", "the last answer"]
)
def test_the_last_answer_counts_as_well(asks, retries):
    source = BusySource(asks, retries=retries, patience=7200.0)
    with pytest.raises(SourceBusy, match="asks to wait 3600 s") as caught:
        source.manifest(parse_name("a"))
    assert caught.value.too_long
    assert source.requests == len(asks)


def test_all_models_of_a_run_are_waited_for_together():
    source = BusySource([9.0] * 1000, retries=1000, patience=60.0)
    answers = source.manifests(parse_name(f"m{number}") for number in range(40))
    assert len(answers) == 40 and all(answer.too_long for answer in answers.values())
    assert source.now < 60 + 9.5 * 8


def test_all_that_a_run_asks_one_after_the_other_is_waited_for_together():
    source = BusySource([], retries=5, patience=60.0)

    def ask(name, wait):
        source._asks = [wait]
        return source.manifests([parse_name(name)])[parse_name(name).key]

    assert ask("a", 40.0).waited == 40.5
    late = ask("b", 40.0)
    assert late.too_long and late.message.endswith("60 s at most, of which it has waited 40 s")
    # What takes time otherwise is not counted.
    source.now += 1000
    assert ask("c", 18.0).waited == 18.5


def test_sizes_are_asked_for_without_waiting():
    source = BusySource([10.0], retries=5, patience=60.0)
    assert source.sizes(parse_name("a")) == {}
    assert (source.requests, source.now) == (1, 0.0)
    layer = {"digest": "sha256:" + "a" * 64, "size": 5}
    source.body = json.dumps({"layers": [layer]}).encode()
    assert source.sizes(parse_name("a")) == {layer["digest"]: 5}


@pytest.mark.parametrize(
    ("asks", "options", "requests"),
    [
        ([10.0], {}, 1),
        ([10.0], {"retries": 5, "patience": 10.0}, 1),
        ([10.0] * 9, {"retries": 2, "patience": 99.0}, 3),
        ([10.0] * 9, {"retries": 9, "patience": 25.0}, 3),
        ([None], {"retries": 5, "patience": 99.0}, 1),
    ],
    ids=["no retries", "longer than allowed", "too often", "too long together", "without saying when"],
)
def test_patience_has_an_end(asks, options, requests):
    source = BusySource(asks, **options)
    with pytest.raises(SourceBusy, match="limits the rate") as caught:
        source.manifest(parse_name("a"))
    assert source.requests == requests
    assert ("it asks to wait 10 s" in caught.value.message) is (asks[0] is not None)
    assert source.now <= options.get("patience", 0.0)
