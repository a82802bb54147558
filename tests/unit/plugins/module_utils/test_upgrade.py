# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a container that is not as declared."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.alchemorsel.ollama.plugins.filter.container_plan import container_plan
from ansible_collections.alchemorsel.ollama.plugins.filter.probe_model import probe_model
from ansible_collections.alchemorsel.ollama.plugins.module_utils._upgrade import choose_probe, differences, plan

STORE = "/var/lib/ollama"
RECREATED = {"actions": [{"stopped": "1"}, {"removed": "1"}, {"created": "Created container"}, {"started": "2"}]}
CREATED = {"actions": [{"created": "Created container"}, {"started": "2"}]}
UPDATED = {"actions": [{"updated": "1", "update_parameters": {}}]}
IN_PLACE = {"actions": [], "diff": {"before": {"restart_policy": "no"}, "after": {"restart_policy": "always"}}}
SAME = {"actions": [], "diff": {"before": {}, "after": {}}}


def container(name, state="running", *, image="sha256:1", mounts=(), ours=True, **labels):
    instance = {"alchemorsel.instance": "ollama"} if ours else {}
    return {
        "Names": [f"/{name}"],
        "State": state,
        "ImageID": image,
        "Labels": {**instance, **labels},
        "Mounts": list(mounts),
    }


def bind(source, writable=True):
    return {"Type": "bind", "Source": source, "Destination": "/data", "RW": writable}


def decide(compared, *containers, **options):
    return plan(compared, containers, name="ollama", store=STORE, **options)


# --- what to do -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("compared", "present", "options", "action"),
    [
        (SAME, [container("ollama")], {}, "none"),
        ({}, [container("ollama")], {}, "none"),
        (CREATED, [], {}, "run"),
        (UPDATED, [container("ollama")], {}, "run"),
        (IN_PLACE, [container("ollama")], {}, "run"),
        (UPDATED, [container("ollama")], {"recreate": "never"}, "run"),
        (RECREATED, [container("ollama")], {}, "upgrade"),
        (RECREATED, [container("ollama")], {"state": "stopped"}, "run"),
        (RECREATED, [container("ollama")], {"recreate": "never"}, "hold"),
        (RECREATED, [container("ollama", "exited")], {"recreate": "never"}, "hold"),
        # Nothing serves that a trial could protect
        (RECREATED, [container("ollama", "exited")], {}, "run"),
        (RECREATED, [container("ollama", "restarting")], {}, "run"),
        (CREATED, [], {"recreate": "never"}, "run"),
    ],
)
def test_action(compared, present, options, action):
    assert decide(compared, *present, **options)["action"] == action


@pytest.mark.parametrize(
    ("present", "repair", "leftovers"),
    [
        ([container("ollama")], "none", []),
        ([], "none", []),
        # Killed during the trial, and after it
        ([container("ollama"), container("ollama-canary")], "none", ["ollama-canary"]),
        ([container("ollama"), container("ollama-next", "created")], "none", ["ollama-next"]),
        # Killed between the stop and the first renaming
        ([container("ollama", "exited"), container("ollama-next", "created")], "restore", ["ollama-next"]),
        # An operator stopped it
        ([container("ollama", "exited")], "none", []),
        # Killed between the two renamings
        ([container("ollama-old", "exited"), container("ollama-next", "created")], "restore", ["ollama-next"]),
        # Killed between the second renaming and the start
        ([container("ollama-old", "exited"), container("ollama", "created")], "restore", []),
        # The new one started and ended
        ([container("ollama-old", "exited"), container("ollama", "exited")], "restore", []),
        # Killed before the new one was proven
        ([container("ollama-old", "exited"), container("ollama")], "finish", []),
        # The image before is kept for good
        ([container("ollama"), container("ollama-previous", "created")], "none", []),
    ],
)
def test_what_a_killed_run_left(present, repair, leftovers):
    decided = decide({}, *present)
    assert (decided["repair"], decided["leftovers"]) == (repair, leftovers)


def test_images_that_can_be_gone_back_to_are_named_by_id_and_reference():
    decided = decide(
        {},
        container("ollama"),
        container("ollama-previous", "created", image="sha256:0", **{"alchemorsel.image": "ollama:1"}),
        container("ollama-old", "exited", image="sha256:9", **{"alchemorsel.image": "ollama:9"}),
    )
    assert decided["previous"] == {"id": "sha256:0", "reference": "ollama:1"}
    assert decided["aside"] == {"id": "sha256:9", "reference": "ollama:9"}
    bare = decide({}, container("ollama"))
    assert (bare["previous"], bare["aside"]) == ({}, {})


def test_containers_of_others_with_a_needed_name_are_foreign_and_never_removed():
    decided = decide(
        {}, container("ollama"), container("ollama-canary", ours=False), container("ollama-previous", ours=False)
    )
    assert [danger.split(" is there that this role did not make")[0] for danger in decided["dangers"]] == [
        "A container named ollama-canary",
        "A container named ollama-previous",
    ]
    assert (decided["leftovers"], decided["previous"]) == ([], {})


def test_another_instance_with_a_name_that_ends_alike_is_foreign():
    other = container("ollama-next", **{"alchemorsel.instance": "ollama-next"})
    assert "container named ollama-next is there" in decide({}, container("ollama"), other)["dangers"][0]


def test_a_link_is_no_name():
    entry = container("web")
    entry["Names"] = ["/other/ollama-canary", "/web"]
    assert decide({}, entry)["leftovers"] == []


def writers(decided):
    """Whom the sentences of a plan name."""
    ending = " can write to the models of ollama, and two servers on one store delete each other's files: stop it, or mount them read-only there."
    assert all(danger.endswith(ending) for danger in decided["dangers"])
    return [danger[len("The running container ") : -len(ending)] for danger in decided["dangers"]]


# --- who else writes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "found"),
    [
        (container("web", ours=False, mounts=[bind(STORE)]), ["web (/var/lib/ollama at /data)"]),
        (
            container("web", ours=False, mounts=[bind("/var/lib/ollama/models")]),
            ["web (/var/lib/ollama/models at /data)"],
        ),
        (container("web", ours=False, mounts=[bind("/var/lib")]), ["web (/var/lib at /data)"]),
        (container("web", ours=False, mounts=[bind("/")]), ["web (/ at /data)"]),
        (container("web", "paused", ours=False, mounts=[bind(STORE)]), ["web (/var/lib/ollama at /data)"]),
        # Another instance of ours
        (
            container("second", **{"alchemorsel.instance": "second"}, mounts=[bind(STORE)]),
            ["second (/var/lib/ollama at /data)"],
        ),
        (container("web", ours=False, mounts=[bind(STORE, writable=False)]), []),
        (container("web", "exited", ours=False, mounts=[bind(STORE)]), []),
        (container("web", ours=False, mounts=[bind("/var/lib/ollama2")]), []),
        (container("ollama", mounts=[bind(STORE)]), []),
    ],
)
def test_who_can_write_to_the_store(other, found):
    assert writers(decide({}, other)) == found


def test_a_volume_is_known_by_its_name():
    mount = {"Type": "volume", "Name": "models", "Source": "", "Destination": "/data", "RW": True}
    entry = container("web", ours=False, mounts=[mount])
    assert writers(plan({}, [entry], name="ollama", store="models")) == ["web (models at /data)"]
    assert writers(plan({}, [entry], name="ollama", store="other")) == []


# --- what differs -----------------------------------------------------------------------------------------------------


def test_differences_name_the_key_the_value_now_and_the_value_wanted():
    diff = {
        "before": {
            "expected_env": ["A=1", "B=2"],
            "user": "1000:1000",
            "expected_ulimits": [{"Name": "nofile", "Soft": 1}],
        },
        "after": {
            "expected_env": ["A=1", "B=3", "C=4"],
            "user": "1001:1000",
            "expected_ulimits": [{"Name": "nofile", "Soft": 2}],
        },
    }
    assert differences(diff) == [
        {"name": "env.B", "now": "2", "wanted": "3"},
        {"name": "env.C", "now": None, "wanted": "4"},
        {"name": "user", "now": "1000:1000", "wanted": "1001:1000"},
        {"name": "ulimits", "now": [{"Name": "nofile", "Soft": 1}], "wanted": [{"Name": "nofile", "Soft": 2}]},
    ]


def test_a_declared_image_is_named_once_and_by_its_reference():
    diff = {
        "before": {
            "labels": {"alchemorsel.image": "ollama:1", "a": "b"},
            "image": "sha256:1",
            "image_name": "sha256:1",
        },
        "after": {"labels": {"alchemorsel.image": "ollama:2", "a": "b"}, "image": "sha256:2", "image_name": "sha256:2"},
    }
    assert differences(diff) == [{"name": "image", "now": "ollama:1", "wanted": "ollama:2"}]


def test_what_another_image_brings_along_is_left_out():
    diff = {
        "before": {
            "labels": {"alchemorsel.image": "ollama:1", "from": "old", "team": "a"},
            "env": ["IMAGES=1", "GONE=1", "MINE=1"],
        },
        "after": {
            "labels": {"alchemorsel.image": "ollama:2", "from": "new", "team": "b"},
            "env": ["IMAGES=2", "MINE=2"],
        },
    }
    created = {"Env": ["MINE=2"], "Labels": {"alchemorsel.image": "ollama:2", "team": "b"}}
    compared = {
        "actions": [{"removed": "1"}, {"created": "Created container", "create_parameters": created}],
        "diff": diff,
    }
    assert [entry["name"] for entry in decide(compared, container("ollama"))["pending"]] == [
        "image",
        "labels.team",
        "env.GONE",
        "env.MINE",
    ]
    # The same without another image: what differs was changed by hand
    same = {key: {**value, "labels": {"from": key}} for key, value in diff.items()}
    assert {"env.IMAGES", "labels.from"} <= {entry["name"] for entry in differences(same, created)}


def test_an_image_without_another_reference_is_named_by_its_id():
    assert differences({"before": {"image": "sha256:1"}, "after": {"image": "sha256:2"}}) == [
        {"name": "image", "now": "sha256:1", "wanted": "sha256:2"}
    ]


def test_secrets_are_not_shown():
    diff = {"before": {"env": ["HF_TOKEN=hush"]}, "after": {"env": ["HF_TOKEN=hushhush"]}}
    assert "hush" not in str(differences(diff))
    assert differences(diff) == [{"name": "env.HF_TOKEN", "now": "(not shown)", "wanted": "(not shown)"}]


def test_nothing_differs():
    assert differences({}) == []
    assert decide(SAME, container("ollama"))["pending"] == []


# --- the model of a trial ---------------------------------------------------------------------------------------------

MODELS = [
    {"name": "big:latest", "size": 4000, "remote": False},
    {"name": "small:latest", "size": 1000, "remote": False},
    {"name": "undeclared:latest", "size": 10, "remote": False},
    {"name": "cloudy:latest", "size": 1, "remote": True},
]


@pytest.mark.parametrize(
    ("declared", "probe", "free", "model"),
    [
        (["big", "small"], "", 1500, "small"),
        (["big", "small"], "", 1499, ""),
        (["big", "small:latest"], "big:latest", 6000, "big"),
        (["big", "small"], "big", 5999, ""),
        (["gone"], "", 10**9, ""),
        (["cloudy"], "", 10**9, ""),
        ([], "", 10**9, ""),
        (["big"], "undeclared", 15, "undeclared"),
        (["not a name"], "", 10**9, ""),
    ],
)
def test_probe(declared, probe, free, model):
    chosen = choose_probe(MODELS, declared, probe, free)
    assert chosen["model"] == (f"{model}:latest" if model else "")
    assert bool(chosen["reason"]) == (not model)


def test_why_there_is_no_probe():
    assert choose_probe(MODELS, [], "", 1)["reason"] == "no declared model is on the server"
    assert choose_probe(MODELS, [], "gone", 1)["reason"] == "gone is not on the server"
    assert choose_probe(MODELS, ["big"], "", 3 * 10**3)["reason"].startswith(
        "0.0 GB of memory are free, and big:latest wants 0.0 GB"
    )


# --- the filters ------------------------------------------------------------------------------------------------------


def test_filters_take_their_options_by_name_and_refuse_other_types():
    assert container_plan(RECREATED, [container("ollama")], name="ollama", recreate="never")["action"] == "hold"
    assert probe_model(MODELS, ["big"], probe="small", free=1500)["model"] == "small:latest"
    with pytest.raises(AnsibleFilterError, match="container_plan wants a result of docker_container, found list"):
        container_plan([], [], name="ollama")
    with pytest.raises(AnsibleFilterError, match="containers is to be a list of mappings, found dict"):
        container_plan({}, {}, name="ollama")
    with pytest.raises(AnsibleFilterError, match="probe_model wants a list of models, found str"):
        probe_model("big", [])
