# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ollama_model begins nothing that fits neither on the disk nor into the memory."""

from __future__ import annotations

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _stock
from store_site import Site

from lab.standin import names
from lab.standin.testing import MODELS
from lab.standin.versions import DEFAULT_VERSION

MODEL = (MODELS / "tiny-a.gguf").read_bytes()


@pytest.fixture
def bare(pool, model_registry, run_module, monkeypatch):
    """A site without a model; `free(bytes)` says how much room its disk has."""
    made = Site(pool(DEFAULT_VERSION), model_registry, run_module)
    made.free = lambda number: monkeypatch.setattr(_stock, "free_bytes", lambda root: number)
    for model, system in (("a", "One"), ("b", "Two")):
        model_registry.publish(model, weights="tiny-a", system=system)
    return made


def size(site, model: str) -> int:
    """The bytes of a model at its source."""
    return site.registry.store.manifest(names.parse(model)).size


def test_what_has_no_room_is_not_begun(bare):
    # The second model shares the weights.
    rest = size(bare, "b") - len(MODEL)
    wanted = size(bare, "a") + rest
    bare.free(wanted + 4999)
    before = bare.files()
    for check_mode in (True, False):
        result = bare.run(check_mode, name=[bare.name("a"), bare.name("b")], min_free="5000")
        assert result["error_kind"] == "InvalidInput"
        for figure in (
            f"({wanted} bytes)",
            f"({wanted + 4999} bytes)",
            "(5000 bytes)",
            f"{bare.name('b')} {rest} bytes",
        ):
            assert figure in result["msg"]
    assert bare.files() == before
    bare.free(wanted + 5000)
    assert bare.run(name=[bare.name("a"), bare.name("b")], min_free="5000")["changed"]
    # What is there needs no room, however little there is.
    bare.free(0)
    bare.registry.publish("a", weights="tiny-a", system="Newer")
    assert bare.run(name=[bare.name("b")])["changed"] is False
    newer = size(bare, "a") - len(MODEL)
    assert f"needs {newer} bytes" in bare.run(models=[{"name": bare.name("a"), "state": "latest"}])["msg"]


def test_a_source_that_cannot_be_read_is_not_judged(bare):
    bare.free(0)
    bare.registry.fail("status", "manifests", status=401, times=1)
    result = bare.run(name=[bare.name("a")])
    assert result["changed"] and "without knowing whether it fits" in str(result["warnings"])


@pytest.mark.parametrize("store", [True, False])
def test_a_model_larger_than_the_memory_is_refused(bare, store):
    total = size(bare, "a")
    path = {} if store else {"store_path": None}
    for check_mode in (True, False):
        result = bare.run(check_mode, name=[bare.name("a")], memory_limit=str(total - 1), **path)
        assert f"({total} bytes), memory_limit is" in result["msg"] and f"({total - 1} bytes)" in result["msg"]
    assert bare.server.json("GET", "/api/tags")["models"] == []
    assert bare.run(name=[bare.name("a")], memory_limit=str(total), **path)["changed"]
    # Models that are there are judged by what the server says of them, and so is what is made from them.
    assert "memory_limit is" in bare.run(name=[bare.name("a")], memory_limit=str(total - 1), **path)["msg"]
    derived = bare.run(models=[{"name": "bot", "from": bare.name("a")}], memory_limit=str(total - 1), **path)
    assert "bot:latest has" in derived["msg"]


def test_options_that_cannot_be(bare):
    result = bare.run(name=[bare.name("a")], memory_limit="0", retries=-1)
    assert "memory_limit is 0" in result["msg"] and "retries is -1" in result["msg"]
