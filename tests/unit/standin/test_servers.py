# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fixtures `standin` and `model_registry` give what they promise."""

from __future__ import annotations

import urllib.request

import pytest

from lab.standin.testing import ModelRegistry


@pytest.mark.parametrize("version", ["0.24.0", "0.32.15"])
def test_a_pull_gives_the_published_digest(version, standin, model_registry: ModelRegistry) -> None:
    server = standin(version, env={"STANDIN_TIME_SCALE": "0.05"})
    digest = model_registry.publish("library/tiny", weights="tiny-b", system="Be brief.")
    lines = server.lines("/api/pull", {"model": model_registry.model("tiny"), "insecure": True})
    assert lines[-1] == {"status": "success"}
    (model,) = server.json("GET", "/api/tags")["models"]
    assert "sha256:" + model["digest"] == digest
    counts = model_registry.counts
    assert counts["requests"] == {"manifest": 1, "blob_head": 3, "blob_get": 3, "blob_range": 3, "other": 0}
    assert counts["bytes"] == model["size"]


def test_a_fault_shows_as_the_servers_error(standin, model_registry: ModelRegistry) -> None:
    model_registry.publish("library/tiny")
    model_registry.fail("status", "/manifests/", status=503, body="later", times=1)
    server = standin()
    wanted = {"model": model_registry.model("tiny"), "insecure": True}
    assert server.lines("/api/pull", wanted)[-1] == {"error": "pull model manifest: 503: later"}
    assert server.lines("/api/pull", wanted)[-1] == {"status": "success"}


def test_every_answer_says_that_it_is_a_stand_in(standin) -> None:
    with urllib.request.urlopen(standin("0.24.0").url) as response:
        assert response.headers["Server"] == "alchemorsel-standin/0.24.0"
