# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A download that the server has begun and can never complete does not stand in the way for ever."""

from __future__ import annotations

import json
import time

import pytest

#: Servers and processes of their own: not for every save
pytestmark = pytest.mark.slow

WEIGHTS = "tiny-b"
#: In less than the pauses between the attempts of a server that plays them quickly, and the stall is seen.
STALL = {"stall_timeout": 0.5, "pull_timeout": 60}


def announce(site, more, **options):
    """Let the registry say that the weights of `new` have more bytes than they have; return their size and begun files."""
    layer = site.registry.gguf_layer(WEIGHTS)
    headers = {"Content-Length": str(layer.size + more)}
    site.registry.fail("status", layer.digest, status=200, request="blob_head", headers=headers, **options)
    return layer


@pytest.fixture
def new(site):
    site.registry.publish("new", weights=WEIGHTS, system="New")
    return site.name("new")


def begun(site):
    return sorted(path.name for path in site.server.store.blobs.glob("*-partial*"))


def settled(site):
    """Return the files of the store once the server, which a run has left, writes none any more."""
    files, deadline = None, time.monotonic() + 60
    while files != (files := site.files()):
        assert time.monotonic() < deadline, "the server goes on writing"
        time.sleep(0.5)
    return files


def begin(site, *bodies):
    """Write the files of a plan for the weights of `new`."""
    name = site.registry.gguf_layer(WEIGHTS).digest.replace(":", "-")
    for number, body in enumerate(bodies):
        if body is not None:
            path = site.server.store.blobs / f"{name}-partial-{number}"
            path.write_text(body if isinstance(body, str) else json.dumps(body))


def test_a_plan_for_more_than_there_is_goes_before_the_next_pull(site, new):
    layer = announce(site, 1000)
    failed = site.run(name=[new], store_path=None, min_free=None, **STALL)
    assert failed["failed"] and len(begun(site)) == 2
    site.registry.heal()
    begun_before = settled(site)
    assert site.run(True, name=[new])["changed"]
    assert site.files() == begun_before, "check mode removes nothing"
    result = site.run(name=[new])
    assert "failed" not in result, result.get("msg")
    assert begun(site) == []
    assert f"it is for {layer.size + 1000} bytes, and the manifest of the source says {layer.size}" in str(
        result["warnings"]
    )
    assert site.run(name=[new], verify=True)["actions"] == []


def test_a_run_that_fails_leaves_nothing_that_cannot_be_used(site, new):
    announce(site, 1000)
    assert site.run(name=[new], **STALL)["failed"]
    assert begun(site) == []


def test_the_same_run_mends_it_if_the_registry_was_wrong_once(site, new):
    announce(site, 1000, times=1)
    result = site.run(name=[new], retries=2, **STALL)
    assert "failed" not in result, result.get("msg")
    assert begun(site) == []


def test_a_registry_that_goes_on_is_named(site, new):
    layer = announce(site, 1000)
    result = site.run(name=[new], retries=1, **STALL)
    assert result["error_kind"] == "SourceUnusable"
    assert f"announces another size for blob {layer.digest} than its manifest" in result["msg"]
    assert begun(site) == []


def test_without_the_store_the_message_says_what_may_be_in_the_way(site, new):
    announce(site, 1000)
    result = site.run(name=[new], store_path=None, min_free=None, **STALL)
    assert "give store_path" in result["msg"] or "with store_path" in result["msg"]
    assert "sha256-...-partial*" in result["msg"]


PLANS = {
    "empty": [""],
    "half": ['{"N":0,"Off'],
    "no number": ['{"N":0,"Offset":0,"Size":"x","Completed":0}'],
    "a list": ["[1]"],
    # What a server leaves that starts again and removes what is older than an hour.
    "first file lost": [None, {"N": 1, "Offset": 100, "Size": 300, "Completed": 300}],
}


@pytest.mark.parametrize("plan", PLANS)
def test_a_plan_that_cannot_be_followed_goes(site, new, plan):
    begin(site, *PLANS[plan])
    blind = site.run(name=[new], store_path=None, min_free=None, **STALL)
    assert "sha256-...-partial*" in blind["msg"]
    result = site.run(name=[new])
    assert "failed" not in result, result.get("msg")
    assert begun(site) == []


def test_an_honest_download_goes_on_where_it_was(site, new):
    layer = site.registry.gguf_layer(WEIGHTS)
    content = site.registry.store.blob(layer.digest).read_bytes()
    half = len(content) // 2
    begin(site, {"N": 0, "Offset": 0, "Size": len(content), "Completed": half})
    partial = site.server.store.blobs / (layer.digest.replace(":", "-") + "-partial")
    partial.write_bytes(content[:half])
    site.registry.reset()
    result = site.run(name=[new])
    assert "failed" not in result, result.get("msg")
    assert any(f"bytes={half}-" in entry for entry in site.registry.counts["log"])


def test_another_models_download_stays(site, new):
    other = site.server.store.blobs / ("sha256-" + "0" * 64 + "-partial-0")
    other.write_text("")
    assert "failed" not in site.run(name=[new])
    assert other.exists()
