# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables of an inventory, and lists of the engine with what other people wrote into them, as the roles' filters get them."""

from __future__ import annotations

import re

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.alchemorsel.ollama.plugins.filter.collection_version import collection_version
from ansible_collections.alchemorsel.ollama.plugins.filter.container_plan import container_plan
from ansible_collections.alchemorsel.ollama.plugins.filter.gguf_paths import gguf_paths
from ansible_collections.alchemorsel.ollama.plugins.filter.gpu_request import gpu_request
from ansible_collections.alchemorsel.ollama.plugins.filter.hardening_score import hardening_score
from ansible_collections.alchemorsel.ollama.plugins.filter.loaded_models import loaded_models
from ansible_collections.alchemorsel.ollama.plugins.filter.network_guard import network_guard
from ansible_collections.alchemorsel.ollama.plugins.filter.probe_model import probe_model
from ansible_collections.alchemorsel.ollama.plugins.filter.removal_plan import removal_plan
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.strategies import bent, can_be_shown, junk, texts

MODELS = [{"name": "a", "loaded": True, "keep_alive": "-1"}, {"name": "b", "gguf": "x/b.gguf", "state": "present"}]
NETWORK = {
    "Id": "4f2a6c1d0b9e8877",
    "Name": "alchemorsel-network",
    "Driver": "bridge",
    "IPAM": {"Config": [{"Subnet": "172.18.0.0/16"}]},
    "Options": {"com.docker.network.bridge.enable_ip_masquerade": "true"},
}
#: A label or a name of somebody else's, or of ours.
WORDS = texts | st.sampled_from(
    ["ollama", "ollama-old", "ollama-next", "/ollama", "/var/lib/ollama", "true", "running", "exited"]
)
LABELS = st.none() | st.dictionaries(
    WORDS | st.sampled_from(["alchemorsel.instance", "alchemorsel.image"]), WORDS, max_size=3
)
CONTAINERS = st.fixed_dictionaries(
    {
        "Id": st.text("0123456789abcdef", min_size=64, max_size=64),
        "Names": st.none() | st.lists(WORDS.map("/{}".format), max_size=2),
        "Labels": LABELS,
        "State": WORDS,
        "ImageID": WORDS,
        "NetworkSettings": st.none() | st.just({}) | st.builds(lambda name: {"Networks": {name: {}}}, WORDS),
        "Mounts": st.none()
        | st.lists(
            st.fixed_dictionaries(
                {"Type": st.sampled_from(["bind", "volume"]), "RW": st.booleans(), "Destination": WORDS},
                optional={"Source": WORDS, "Name": WORDS},
            ),
            max_size=2,
        ),
    }
)
IMAGES = st.fixed_dictionaries(
    {"RepoTags": st.none() | st.lists(WORDS, max_size=2), "RepoDigests": st.none() | st.lists(WORDS, max_size=2)}
)
NETWORKS = st.fixed_dictionaries({"Name": WORDS, "Labels": LABELS})
DIFFS = st.fixed_dictionaries(
    {}, optional={"env": st.lists(WORDS, max_size=2), "labels": LABELS, "image": WORDS, "user": st.none() | WORDS}
)
RULES = [{"id": 1, "title": "x", "cis": "", "expression": "HostConfig.Privileged", "wanted": False, "remedy": "y"}]


def taken(function, *args, **options):
    """Return what a filter returns, None where it refuses in the words that Ansible shows."""
    try:
        found = function(*args, **options)
    except AnsibleFilterError as exc:
        assert str(exc)
        return None
    assert can_be_shown(found)
    return found


@given(bent(MODELS), texts)
@example([{"name": ["x"], "loaded": True}], "/srv")
def test_any_declared_models_are_taken_or_refused(models, folder):
    for found in (taken(loaded_models, models), taken(gguf_paths, models, folder), taken(probe_model, models, ["a"])):
        assert found is None or isinstance(found, (list, dict))


@given(
    bent(["192.0.2.0/24", "2001:db8::5"]),
    texts | st.sampled_from(["192.0.2.11", "::", "127.0.0.1"]),
    st.booleans(),
    st.booleans(),
)
def test_any_list_of_allowed_networks_is_taken_or_refused(allow, bind, exposed, guarded):
    found = taken(network_guard, NETWORK, "ollama", bind, 11435, allow_from=allow, exposed=exposed, guarded=guarded)
    assert found is None or found["problems"] or found["rules"].count("\n\t\t") <= 10


@given(
    texts | st.sampled_from(['x"accept', "br0", "a;b", "br-{x}"]),
    texts | st.sampled_from(["true", "false"]),
    st.lists(st.fixed_dictionaries({"HostIp": texts, "HostPort": texts | st.just("80")}), max_size=2),
)
@example('x"accept;#', "true", [])
@example("br0", "true", [{"HostIp": "", "HostPort": "\u00b2"}])
@example("br0", "true", [{"HostIp": "", "HostPort": "9" * 5000}])
def test_no_network_of_the_engine_writes_a_rule_of_its_own(bridge, masquerade, bindings):
    prefix = "com.docker.network.bridge."
    network = {**NETWORK, "Options": {prefix + "name": bridge, prefix + "enable_ip_masquerade": masquerade}}
    found = taken(network_guard, network, "ollama", "192.0.2.11", 11435, ["192.0.2.0/24"], bindings=bindings)
    for line in found["rules"].splitlines():
        assert re.fullmatch(r'[#\w.-]+ .*|\t*(iifname "[\w.:-]+" accept|[\w&|=!() {}:./,;-]+)|\}', line) and line.count(
            '"'
        ) in (0, 2)


@given(st.lists(CONTAINERS, max_size=4), st.lists(IMAGES, max_size=3), st.lists(NETWORKS, max_size=2), DIFFS, DIFFS)
def test_whatever_others_call_their_containers(containers, images, networks, before, after):
    listed = {"containers": containers, "images": images, "networks": networks}
    plan = removal_plan(listed, "ollama", "alchemorsel-network", "ollama/ollama:0.32.15", "/var/lib/ollama")
    ours = [one for one in containers if (one["Labels"] or {}).get("alchemorsel.instance") == "ollama"]
    assert len(plan["containers"]) == len(ours) and can_be_shown(plan)
    compared = {
        "actions": [{"removed": "x"}, {"created": "x", "create_parameters": {"Env": ["A=1"]}}],
        "diff": {"before": before, "after": after},
    }
    found = taken(container_plan, compared, containers, name="ollama", store="/var/lib/ollama")
    titles = {title[1:] for one in ours for title in one["Names"] or []}
    assert set(found["leftovers"]) <= titles


@pytest.mark.parametrize("where", ["env", "labels"])
@pytest.mark.parametrize("name", ["HTTP_PROXY", "MY_TOKEN", "DB_PASSWORD", "X"])
@pytest.mark.parametrize("gone", [True, False])
def test_no_difference_shows_a_password(where, name, gone):
    value = "http://user:SEKRET@proxy:3128"
    side = [f"{name}={value}"] if where == "env" else {name: value}
    diff = (
        {"before": {where: side}, "after": {where: type(side)()}}
        if gone
        else {"before": {where: type(side)()}, "after": {where: side}}
    )
    found = container_plan({"actions": [{"removed": "x"}], "diff": diff}, [], name="ollama")
    assert found["pending"] and "SEKRET" not in repr(found)


@given(
    bent(
        {
            "vendor": "nvidia",
            "cdi_devices": ["nvidia.com/gpu=0"],
            "gpus": [{"uuid": "GPU-1", "index": 0}],
            "checks": [],
        },
        0,
    ),
    st.lists(texts, max_size=3),
    texts,
)
def test_any_named_gpus_are_given_or_refused(info, devices, image):
    found = taken(gpu_request, info, "auto", devices, image)
    assert found["complaints"] or (found["count"] >= 1 and found["device_requests"][0]["device_ids"])


@given(junk, bent(RULES))
def test_any_container_is_scored_or_refused(container, rules):
    taken(hardening_score, container, rules)


@given(junk)
def test_any_name_of_a_collection_has_a_version_or_none(name):
    found = taken(collection_version, name)
    assert found is None or isinstance(found, str)
