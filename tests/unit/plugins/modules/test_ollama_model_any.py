# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Some servers and declared sets by chance, on the stand-in with its store: check mode says what a run does.

tests/unit/plugins/module_utils/test_converge_any.py does the same for many more, with a server in memory.
"""

from __future__ import annotations

import random

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import guard_name, hold_name, new_name
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import parse_name
from ansible_collections.alchemorsel.ollama.plugins.modules import ollama_model

from lab.standin.testing import MODELS
from lab.standin.versions import PROFILES
from tests.unit import prediction

#: Servers and processes of their own: not for every save
pytestmark = pytest.mark.slow

PULLED, MIRRORED, MADE = ["any-a", "any-b", "any-c", "any-d"], ["any-e", "any-f"], ["x", "y", "z"]
WEIGHTS = ["tiny-a", "tiny-b", "tiny-c"]


class World:
    """A server, a registry and files, all of it by chance."""

    def __init__(self, server, registry, run_module, folder, seed):
        self.server, self.registry, self.run_module, self.folder = server, registry, run_module, folder
        self.chance = random.Random(seed)
        self.root = server.store.root
        for number in range(2):
            data = (MODELS / f"{WEIGHTS[number]}.gguf").read_bytes()
            (folder / f"{number}.gguf").write_bytes(data[:-1] + b"%d" % number)

    def name(self, model):
        return model if model in MIRRORED else self.registry.model(model)

    def run(self, options, check_mode=False):
        given = {
            "url": self.server.url,
            "insecure_registries": [self.registry.host],
            "registry_mirror": self.registry.host,
            "store_path": str(self.root),
            "state_dir": str(self.folder / "state"),
            "min_free": "0",
            "retries": 0,
            "timeout": 10,
            "_ansible_diff": True,
        }
        return self.run_module(ollama_model, {**given, **options}, check_mode)

    def publish(self):
        for model in [*PULLED, *MIRRORED, "any-other"]:
            system = self.chance.choice(["One", "Two"])
            self.registry.publish(model, weights=self.chance.choice(WEIGHTS), system=system)

    def declared(self):
        """Return options with a declared set that is not refused for itself."""
        chance = self.chance
        pulled = chance.sample([*PULLED, *MIRRORED], 4)
        entries = [
            {"name": self.name(model), "state": chance.choice(["present", "latest", "latest"])} for model in pulled
        ]
        entries[0].pop("state")
        entries[0].update(
            chance.choice([{"digest": self.registry.digest(pulled[0])}, {"loaded": True}, {"loaded": False}])
        )
        base = chance.choice(entries)["name"]
        fields = {"system": chance.choice(["S", "T"]), "parameters": {"top_k": chance.randint(1, 2)}}
        kinds = [
            {"copy_of": base},
            {"from": base, **fields},
            {"gguf": str(self.folder / f"{chance.randint(0, 1)}.gguf"), **fields},
            {"state": "absent"},
        ]
        made = [{"name": name, **chance.choice(kinds)} for name in chance.sample(MADE, 2)]
        gone = [model for model in [*PULLED, *MIRRORED] if model not in pulled][:1]
        entries += [*made, {"name": self.name(gone[0]), "state": "absent"}]
        chance.shuffle(entries)
        rules = {"exclusive": chance.choice([True, False]), "protect": [self.name("any-other")], "max_delete": 99}
        return {
            "models": entries,
            **rules,
            "prune_local": chance.choice([True, False]),
            "parallel": chance.randint(1, 3),
        }

    def disturb(self):
        """Leave what interrupted runs leave, load models, and spoil files."""
        # 0.24.0 lists models of one second in any order; a seed is to mean the same wherever it runs
        listed = sorted(item["name"] for item in self.server.json("GET", "/api/tags")["models"])
        for make in (guard_name, new_name, hold_name):
            owner = parse_name(self.chance.choice([*listed, "nobody"]))
            body = {"source": self.chance.choice(listed), "destination": make(owner).short}
            self.server.json("POST", "/api/copy", body)
        self.server.json("POST", "/api/generate", {"model": self.chance.choice(listed), "keep_alive": -1})
        blobs = sorted(path for path in self.root.glob("blobs/*") if path.stat().st_size < 100)
        spoiled = self.chance.choice(blobs)
        if self.chance.random() < 0.5:
            spoiled.unlink()
        else:
            spoiled.write_bytes(spoiled.read_bytes() + b"?")

    def digests(self):
        return {item["name"]: "sha256:" + item["digest"] for item in self.server.json("GET", "/api/tags")["models"]}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("version", sorted(PROFILES))
def test_check_mode_says_what_a_run_does(pool, model_registry, run_module, tmp_path, version, seed):
    world = World(pool(version), model_registry, run_module, tmp_path, seed)
    world.publish()
    world.run({"name": [world.name("any-other")]})
    earlier = world.run(world.declared())
    assert not earlier.get("failed"), earlier["msg"]
    world.publish()
    world.disturb()
    options = world.declared()
    before = world.digests()
    predicted = world.run(options, check_mode=True)
    assert world.digests() == before
    result = world.run(options)
    if predicted.get("failed"):
        assert result["msg"] == predicted["msg"]
        assert world.digests() == before
        return
    assert not result.get("failed"), result["msg"]
    prediction.check(predicted, result)
    again = world.run(options)
    assert (again["changed"], again["actions"], again["models"]) == (False, [], result["models"])
    left = {name for name in world.digests() if name.startswith("alchemorsel-tmp/")}
    # What is the operator's to decide is told each time.
    assert [name for name in left if not any(name in str(text) for text in again["warnings"])] == []
