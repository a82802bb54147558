# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ollama_model: a check of current models for updates, against the stand-in and a registry."""

from __future__ import annotations

import pytest
from ansible_collections.alchemorsel.ollama.plugins.modules import ollama_model

COUNT = 20


def stats(store):
    """Return inode, size and time of the last write of everything in a store."""
    found = {path.relative_to(store).as_posix(): path.stat() for path in store.rglob("*")}
    return {name: (stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in found.items()}


@pytest.mark.parametrize("version", ["0.24.0", "0.32.15"])
def test_20_current_models_are_20_manifest_requests_and_no_write(
    run_module, standin, model_registry, tmp_path, version
):
    names = [f"current{number}" for number in range(COUNT)]
    for number, name in enumerate(names):
        model_registry.publish(name, weights="tiny-b", system=f"You are number {number}.")
    log = tmp_path / "requests.log"
    server = standin(version, env={"STANDIN_REQUEST_LOG": str(log), "STANDIN_TIME_SCALE": "0.01"})
    models = [model_registry.model(name) for name in names]
    for model in models:
        server.lines("/api/pull", {"model": model, "insecure": True})
    model_registry.reset()
    log.unlink()
    before = stats(server.store.root)
    options = {"url": server.url, "name": models, "state": "latest", "insecure_registries": [model_registry.host]}

    for check_mode in (True, False):
        result = run_module(ollama_model, options, check_mode)
        assert (result["changed"], result["actions"], len(result["models"])) == (False, [], COUNT)

    assert model_registry.counts["requests"] == {
        "manifest": 2 * COUNT,
        "blob_head": 0,
        "blob_get": 0,
        "blob_range": 0,
        "other": 0,
    }
    assert log.read_text().splitlines() == ["GET /api/tags"] * 2
    assert stats(server.store.root) == before

    # The same comparison does see a pull that brings nothing new: it writes the manifest again.
    server.lines("/api/pull", {"model": models[0], "insecure": True})
    assert stats(server.store.root) != before
