# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A long plan of all kinds of actions whose process is killed after any of its requests: the server serves on, the next run ends it."""

from __future__ import annotations

import json
import os
import shutil

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import guard_name, new_name
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import parse_name
from ansible_collections.alchemorsel.ollama.plugins.modules import ollama_model
from deadly_proxy import DeadlyProxy
from module_processes import Processes

from lab.standin.testing import MODELS
from lab.standin.versions import PROFILES

#: Servers and processes of their own: not for every save
pytestmark = pytest.mark.slow

ALL_KINDS = {"pull", "update", "repair", "create", "copy", "load", "unload", "delete", "restore", "cleanup"}
ASKED = {"pull", "copy", "delete", "create", "generate", "blobs"}
EVERY = int(os.environ.get("EVERY", "5"))
#: what the server is at for some time
LONG = ("POST /api/pull", "POST /api/create", "POST /api/generate")


@pytest.fixture
def processes(lock_folder):
    made = Processes(lock_folder)
    yield made
    made.stop()


class Site:
    """A server for which there is much to do, again and again from the same beginning."""

    def __init__(self, server, proxy, registry, run_module, folder):
        self.server, self.proxy, self.registry, self.run_module, self.folder = (
            server,
            proxy,
            registry,
            run_module,
            folder,
        )
        self.root, self.state, self.file = server.store.root, folder / "state", folder / "model.gguf"
        self._make()

    def name(self, model):
        return self.registry.model(model)

    def publish(self, system, **weights):
        for model, file in weights.items():
            self.registry.publish(f"cut-{model}", weights=f"tiny-{file}", system=f"{system} {model}")

    def bring(self, last):
        """Put a file that the server has not in the place of the declared one."""
        self.file.write_bytes((MODELS / "tiny-a.gguf").read_bytes()[:-1] + last)

    def options(self, models, **options):
        given = {
            "url": self.proxy.url,
            "insecure_registries": [self.registry.host],
            "registry_mirror": self.registry.host,
            "store_path": str(self.root),
            "state_dir": str(self.state),
            "min_free": "0",
            "retries": 0,
            "timeout": 10,
            "lock_timeout": 5,
        }
        return {**given, "models": models, **options}

    def run(self, models, **options):
        return self.run_module(ollama_model, self.options(models, **options))

    def _make(self):
        self.bring(b"1")
        self.publish(
            "old", one="a", two="b", base="c", broken="bert", gone="a", extra="b", idle="b", kept="c", mirrored="a"
        )
        pulled = ("one", "two", "base", "broken", "gone", "extra", "idle", "kept")
        models = [{"name": self.name(f"cut-{model}")} for model in pulled] + [{"name": "cut-mirrored"}]
        models += [
            {"name": "bot", "gguf": str(self.file)},
            {"name": "made", "from": self.name("cut-base"), "system": "S"},
        ]
        models += [{"name": "alias", "copy_of": self.name("cut-base")}]
        result = self.run(models)
        assert "failed" not in result, result["msg"]
        self.publish("new", one="b", two="c", base="bert", other="bert", mirrored="c")
        for source, name in (
            ("one", guard_name(parse_name(self.name("cut-kept")))),
            ("two", new_name(parse_name("nobody"))),
        ):
            self.server.json("POST", "/api/copy", {"source": self.name(f"cut-{source}"), "destination": name.short})
        content = json.loads(self.server.store.manifest_path(_stored(self.name("cut-broken"))).read_bytes())
        (system,) = [part["digest"] for part in content["layers"] if part["mediaType"].endswith("system")]
        self.server.store.blob(system).write_bytes(b"?")
        self.bring(b"2")
        for place in (self.root, self.state):
            shutil.copytree(place, self.folder / "before" / place.name)
        self.before = self.digests()

    @property
    def models(self):
        return [
            {"name": self.name("cut-one"), "state": "latest"},
            {"name": self.name("cut-two"), "state": "latest"},
            {"name": "cut-mirrored", "state": "latest"},
            {"name": "cut-other"},
            {"name": self.name("cut-broken")},
            {"name": self.name("cut-base"), "state": "latest", "loaded": True},
            {"name": self.name("cut-idle"), "loaded": False},
            {"name": "bot", "gguf": str(self.file), "system": "Be brief."},
            {"name": "made", "from": self.name("cut-base"), "system": "T"},
            {"name": "alias", "copy_of": self.name("cut-base")},
            {"name": self.name("cut-gone"), "state": "absent"},
        ]

    @property
    def rest(self):
        return {"exclusive": True, "protect": [self.name("cut-kept")]}

    def begin(self):
        """Put everything back, and some models into memory."""
        for entry in self.server.json("GET", "/api/ps")["models"]:
            self.server.json("POST", "/api/generate", {"model": entry["name"], "keep_alive": 0})
        for place in (self.root, self.state):
            shutil.rmtree(place)
            shutil.copytree(self.folder / "before" / place.name, place)
        for model in ("base", "idle", "gone"):
            self.server.json("POST", "/api/generate", {"model": self.name(f"cut-{model}"), "keep_alive": -1})
        self.proxy.arm(0, lambda: None)

    def digests(self):
        return {item["name"]: "sha256:" + item["digest"] for item in self.server.json("GET", "/api/tags")["models"]}

    def served(self):
        """The models that the server has and can show, as it does without its memory of what it has shown."""
        shown = {}
        for name, digest in self.digests().items():
            if self.server.request("POST", "/api/show", {"model": name, "system": "-"})[0] == 200:
                shown[name] = digest
        return shown


def deaths(writes, version):
    """Yield the numbers of requests at which the process ends, and whether the server has done them then.

    Each version has others, together every one of a few; with EVERY=1 in the environment all of them, in both ways.
    """
    for number, write in enumerate(writes, 1):
        if EVERY == 1 or number % EVERY == version:
            yield number, True
        if write in LONG and (EVERY == 1 or number % EVERY == 2):
            yield number, False


def _stored(name):
    from lab.standin import names

    return names.parse(name)


@pytest.fixture(params=sorted(PROFILES))
def busy(request, standin, model_registry, run_module, tmp_path):
    server = standin(request.param, {"STANDIN_TIME_SCALE": "0.01", "STANDIN_LOAD_SECONDS": "0"})
    proxy = DeadlyProxy(server.url)
    yield Site(server, proxy, model_registry, run_module, tmp_path)
    proxy.stop()


def test_a_long_plan_survives_the_death_of_its_process(busy, processes, tmp_path):
    """With one fetch at a time and with two, in turns."""
    busy.begin()
    whole = busy.run(busy.models, **busy.rest)
    assert {action["action"] for action in whole["actions"]} == ALL_KINDS, whole
    wanted, writes = busy.digests(), list(busy.proxy.writes)
    assert {write.split("/")[2] for write in writes} == ASKED
    assert not [name for name in wanted if "alchemorsel-tmp" in name or name == busy.name("cut-mirrored")]
    staying = {name: digest for name, digest in busy.before.items() if name in wanted}
    broken = busy.name("cut-broken")
    killed = 0
    for number, late in deaths(writes, sorted(PROFILES).index(busy.server.version)):
        busy.begin()
        busy.proxy.arm(number, processes.kill, late=late)
        processes.start(busy.options(busy.models, **busy.rest, parallel=1 + number // EVERY % 2), tmp_path / "out")
        killed += processes.wait()
        served = busy.served()
        # What is broken before can be shown only in the end; it keeps its name.
        served.setdefault(broken, busy.digests().get(broken))
        for name, digest in staying.items():
            assert served.get(name) in (digest, wanted[name]), (number, busy.proxy.writes, name)
        result = busy.run(busy.models, **busy.rest)
        assert not result.get("failed"), (number, busy.proxy.writes, result["msg"])
        assert (busy.digests(), set(busy.served())) == (wanted, set(wanted)), (number, busy.proxy.writes)
        again = busy.run(busy.models, **busy.rest)
        assert (again["changed"], again["actions"]) == (False, []), (number, again["actions"])
    assert killed
