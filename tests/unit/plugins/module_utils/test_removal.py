# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes with an instance and what stays, from what an engine lists."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.alchemorsel.ollama.plugins.filter.removal_plan import removal_plan

IMAGE = "docker.io/ollama/ollama:0.32.15"


def container(name, instance=None, networks=(), mounts=()):
    return {
        "Names": [f"/{name}"],
        "Labels": {"alchemorsel.instance": instance} if instance else None,
        "NetworkSettings": {"Networks": {network: {} for network in networks}},
        "Mounts": [{"Source": source, "Name": None} for source in mounts],
    }


def network(labels=None):
    return {"Name": "apps", "Labels": labels}


def decide(containers=(), images=(), networks=(), store="/var/lib/ollama"):
    listed = {"containers": list(containers), "images": list(images), "networks": list(networks)}
    return removal_plan(listed, "ollama", "apps", IMAGE, store)


def test_all_containers_of_the_instance_go_and_no_other():
    found = decide(
        [container("ollama", "ollama"), container("ollama-canary", "ollama"), container("two", "two"), container("db")]
    )
    assert found["containers"] == ["ollama", "ollama-canary"]


@pytest.mark.parametrize(
    ("labels", "others", "goes", "stays"),
    [
        ({"alchemorsel.network": "true"}, [], True, []),
        (
            {"alchemorsel.network": "true"},
            [container("two", "two", ["apps"])],
            False,
            ["the network apps, on which there is two"],
        ),
        ({"alchemorsel.network": "true"}, [container("db", networks=["other"])], True, []),
        ({}, [], False, ["the network apps, which this role did not make"]),
        (None, [container("db", networks=["apps"])], False, ["the network apps, on which there is db"]),
    ],
)
def test_network(labels, others, goes, stays):
    found = decide([container("ollama", "ollama", ["apps"]), *others], networks=[network(labels)])
    assert (found["network"], found["stays"]) == (goes, stays)


def test_a_network_that_is_not_there_is_not_spoken_of():
    assert (decide()["network"], decide()["stays"]) == (False, [])


@pytest.mark.parametrize(
    ("tags", "repo_digests", "goes", "stays"),
    [
        (
            ["ollama/ollama:0.32.15", "localhost/ollama:current"],
            [],
            ["localhost/ollama:current"],
            ["the image ollama/ollama:0.32.15"],
        ),
        (
            ["localhost/ollama:current"],
            ["ollama/ollama@sha256:1"],
            ["localhost/ollama:current"],
            ["the image ollama/ollama@sha256:1"],
        ),
        # As people call it: by what was declared, else by what is no instance's own name
        (
            ["localhost/b:current", "a:1", "ollama/ollama:0.32.15", "localhost/ollama:current"],
            ["a@sha256:1"],
            ["localhost/ollama:current"],
            ["the image ollama/ollama:0.32.15"],
        ),
        (
            ["localhost/b:current", "z:1", "localhost/ollama:current"],
            ["a@sha256:1"],
            ["localhost/ollama:current"],
            ["the image z:1"],
        ),
        # With its last name the engine would remove an image that came from an archive
        (
            ["localhost/ollama:current"],
            ["localhost/ollama@sha256:1"],
            [],
            ["the image localhost/ollama:current, which has no other name"],
        ),
        (["localhost/ollama-two:current"], None, [], []),
        (["ollama/ollama:0.32.15"], None, [], ["the image ollama/ollama:0.32.15"]),
        (["ollama/ollama:0.24.0"], None, [], []),
        (["<none>:<none>"], ["<none>@<none>"], [], []),
        (None, None, [], []),
    ],
)
def test_images(tags, repo_digests, goes, stays):
    found = decide(images=[{"RepoTags": tags, "RepoDigests": repo_digests}])
    assert (found["tags"], found["stays"]) == (goes, stays)


def test_who_else_uses_the_store():
    own, other = container("ollama", "ollama", mounts=["/var/lib/ollama"]), container("two", mounts=["/var/lib/ollama"])
    assert decide([own, other])["store_users"] == ["two"]
    assert decide([own, other], store="/srv/other")["store_users"] == []
    part = container("part", mounts=["/var/lib/ollama/models"])
    above = container("above", mounts=["/var/lib"])
    watch = {**container("watch"), "Mounts": [{"Source": "/", "RW": False}]}
    beside = container("beside", mounts=["/var/lib/ollama2"])
    assert decide([own, part, above, watch, beside])["store_users"] == ["above", "part"]
    volume = {**container("three"), "Mounts": [{"Source": "/var/lib/docker/volumes/models/_data", "Name": "models"}]}
    assert decide([volume], store="models")["store_users"] == ["three"]


def test_an_engine_that_lists_nothing_and_what_is_no_list():
    assert removal_plan({}, "ollama", "apps", IMAGE, "/srv")["containers"] == []
    with pytest.raises(AnsibleFilterError, match="wants what docker_host_info returns, found str"):
        removal_plan("", "ollama", "apps", IMAGE, "/srv")
