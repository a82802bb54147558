# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server whose store can be broken, with a registry, and the module run on it."""

from __future__ import annotations

import json
from pathlib import Path

from ansible_collections.alchemorsel.ollama.plugins.modules import ollama_model


class Site:
    """A server with a registry, and the module run on it.

    :param version: version that the stand-in plays
    """

    def __init__(self, server, registry, run_module):
        self.server, self.registry, self._run_module = server, registry, run_module
        self.root = server.store.root

    def name(self, model: str) -> str:
        return self.registry.model(model)

    def run(self, check_mode=False, **options):
        given = {
            "url": self.server.url,
            "insecure_registries": [self.registry.host],
            "retries": 0,
            "timeout": 10,
            "store_path": str(self.root),
            "min_free": "0",
            "_ansible_diff": True,
            **options,
        }
        return self._run_module(
            ollama_model, {key: value for key, value in given.items() if value is not None}, check_mode
        )

    def cure(self, **options):
        """Run in check mode, for real and again: the first says what the second does, the third does nothing."""
        before = self.files()
        predicted = self.run(check_mode=True, **options)
        assert self.files() == before
        result = self.run(**options)
        assert "failed" not in result, result.get("msg")
        assert predicted["changed"] is result["changed"] is True
        told = [{**action, "digest_after": 0, "bytes": 0, "seconds": 0} for action in predicted["actions"]]
        assert [{**action, "digest_after": 0, "bytes": 0, "seconds": 0} for action in result["actions"]] == told
        for before_run, after_run in zip(predicted["actions"], result["actions"]):
            assert before_run["digest_after"] in ("unknown", after_run["digest_after"])
        again = self.run(**options)
        assert (again["changed"], again["actions"]) == (False, [])
        for name in [model["name"] for model in again["models"]]:
            self.server.json("POST", "/api/show", {"model": name, "system": "-"})
        return result

    def manifest_path(self, model: str) -> Path:
        found = [path for path in self.root.glob("manifests/*/*/*/*") if path.parts[-2] == model]
        assert len(found) == 1
        return found[0]

    def blob(self, model: str, kind: str) -> Path:
        """The file of a model's config or of its layer of some kind."""
        content = json.loads(self.manifest_path(model).read_bytes())
        parts = {part["mediaType"].rpartition(".")[2]: part for part in content["layers"]}
        return self.server.store.blob({**parts, "config": content["config"]}[kind]["digest"])

    def files(self) -> dict[str, int]:
        """All files of the store with their time of change."""
        return {str(path): path.stat().st_mtime_ns for path in sorted(self.root.rglob("*")) if path.is_file()}
