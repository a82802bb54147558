# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ollama_model fetches from a registry that takes its time, by way of the stand-in; the registry counts."""

from __future__ import annotations

import pytest
from ansible_collections.alchemorsel.ollama.plugins.modules import ollama_model

#: Servers and processes of their own: not for every save
pytestmark = pytest.mark.slow

WEIGHTS = ["tiny-a", "tiny-b", "tiny-c", "tiny-bert"]


@pytest.fixture(params=["0.24.0", "0.32.15"])
def pull(request, run_module, standin, model_registry):
    """Run the module on a fresh server."""
    # 0.32 asks anew for what has no first byte for 30 s, and those that meet wait for each other; 0.24 pauses after each blob
    server = standin(request.param, {"STANDIN_TIME_SCALE": "1" if request.param == "0.32.15" else "0.1"})
    model_registry.fail("delay", request="blob_range", seconds=0.2)

    def run(models, **options):
        return run_module(
            ollama_model,
            {
                "url": server.url,
                "insecure_registries": [model_registry.host],
                "retries": 0,
                "models": [{"name": model_registry.model(name), **others} for name, others in models.items()],
                **options,
            },
        )

    run.server = server
    return run


def meet(registry, models, path=""):
    """Let so many models meet, and give others the time to come beside them."""
    registry.heal()
    registry.fail("meet", path, request="blob_range", models=models, seconds=0.2)


def ranges(registry):
    """The digests of the blobs whose bytes were sent."""
    return [line.split()[1].rpartition("/")[2] for line in registry.counts["log"] if "bytes=" in line]


@pytest.mark.parametrize(("parallel", "most"), [(1, 1), (2, 2), (4, 4)])
def test_models_at_once(pull, model_registry, parallel, most):
    digests = {
        f"par{number}": model_registry.publish(f"par{number}", weights=weights, system=f"of {number}")
        for number, weights in enumerate(WEIGHTS)
    }
    meet(model_registry, most)
    result = pull(dict.fromkeys(digests, {}), parallel=parallel)
    assert [action["digest_after"] for action in result["actions"]] == list(digests.values())
    assert model_registry.counts["models_at_once"] == most
    assert len(ranges(model_registry)) == len(set(ranges(model_registry)))


def test_models_that_share_a_blob(pull, model_registry):
    """One after another until the shared blob is there, and then at the same time."""
    names = [f"share{number}" for number in range(4)]
    for name in names:
        model_registry.publish(name, weights="tiny-a", system=f"of {name}")
    meet(model_registry, 3, "/share[123]/")
    model_registry.fail("delay", "/share0/", request="blob_range", seconds=0.2)
    result = pull(dict.fromkeys(names, {}), parallel=4)
    assert [action["digest_after"] for action in result["actions"]] == [model_registry.digest(name) for name in names]
    assert model_registry.counts["models_at_once"] == 3
    assert len(ranges(model_registry)) == len(set(ranges(model_registry)))
    for name in names:
        assert pull.server.json("POST", "/api/show", {"model": model_registry.model(name)})["system"] == f"of {name}"


def test_updates_at_once_keep_what_the_others_need(pull, model_registry):
    """The template of the new "y" is a blob that only the old "x" has; the end of the update of "x" takes it away."""
    for name, weights, template in (("x", "tiny-a", "{{ .Prompt }} of both"), ("y", "tiny-b", "old")):
        model_registry.publish(name, weights=weights, template=template)
    models = {name: {"state": "latest"} for name in ("x", "y")}
    pull(models, parallel=1)
    new = {
        "x": model_registry.publish("x", weights="tiny-a", template="new"),
        "y": model_registry.publish("y", weights="tiny-c", template="{{ .Prompt }} of both"),
    }
    result = pull(models, parallel=2)
    assert [action["digest_after"] for action in result["actions"]] == list(new.values())
    shown = pull.server.json("POST", "/api/show", {"model": model_registry.model("y")})
    assert shown["template"] == "{{ .Prompt }} of both"


def test_a_failure_of_one_leaves_the_others(pull, model_registry):
    names = [f"fail{number}" for number in range(4)]
    digests = {
        name: model_registry.publish(name, weights=weights, system=f"of {name}")
        for name, weights in zip(names, WEIGHTS)
    }
    model_registry.heal()
    model_registry.fail("corrupt", "/fail1/", request="blob_range", times=1)
    model_registry.fail("delay", request="blob_range", seconds=0.2)
    result = pull(dict.fromkeys(names, {}))
    assert (result["error_kind"], result["changed"]) == ("DigestMismatch", True)
    wanted = [digest for name, digest in digests.items() if name != "fail1"]
    assert [action["digest_after"] for action in result["actions"]] == wanted
    assert [model["digest"] for model in result["models"]] == wanted
    model_registry.heal()
    assert [action["name"] for action in pull(dict.fromkeys(names, {}))["actions"]] == [model_registry.model("fail1")]
