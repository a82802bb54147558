# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role docker makes of the lines about a host, and of the engine's answer."""

from __future__ import annotations

import base64
import json

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.alchemorsel.ollama.plugins.filter.engine_seen import engine_seen

DEBIAN = ["package docker.io 1:26.1.5+dfsg1-9", "path /usr/sbin/dockerd", "service enabled active"]
BYTES = b"{\xff}"
INFO = {"ServerVersion": "26.1.5+dfsg1", "Swarm": {"LocalNodeState": "inactive"}, "LiveRestoreEnabled": True}


def coded(text: str | bytes) -> str:
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def test_nothing_is_there():
    seen = engine_seen([], {"skipped": True})
    assert (
        not seen["present"] and not seen["answers"] and not seen["service"] and not seen["snap"] and not seen["swarm"]
    )
    assert (seen["package"], seen["version"], seen["major"], seen["shared"]) == ("", "0", 0, [])
    assert seen["json"] == {"mode": "", "text": "", "former": "", "interrupted": False}


@pytest.mark.parametrize(
    ("lines", "engine"),
    [
        ([*DEBIAN, f"info {coded(json.dumps(INFO))}", 'running "ollama"', 'running "web/db,db"'], {"skipped": True}),
        (DEBIAN, {"host_info": INFO, "containers": [{"Names": ["/ollama"]}, {"Names": ["/web/db", "/db"]}]}),
    ],
    ids=["by the look", "by Ansible"],
)
def test_the_answer_of_the_engine(lines, engine):
    seen = engine_seen(lines, engine, ["ollama"])
    assert seen["present"] and seen["answers"] and seen["service"]
    assert (seen["package"], seen["version"], seen["major"], seen["containers"]) == ("docker.io", "26.1.5+dfsg1", 26, 2)
    assert seen["shared"] == ["containers of others run: db"]
    assert seen["info"]["LiveRestoreEnabled"] is True


def test_an_engine_that_does_not_answer_has_the_version_of_its_package():
    seen = engine_seen(
        ["package docker-ce 5:29.3.1-1~debian.12", "dockerd /usr/bin/dockerd -H fd://", "service disabled inactive"]
    )
    assert not seen["answers"] and not seen["service"]
    assert (seen["package"], seen["version"], seen["major"]) == ("docker-ce", "29.3.1-1~debian.12", 29)
    assert seen["command"] == "/usr/bin/dockerd -H fd://"


@pytest.mark.parametrize(
    "info", [json.dumps({"ServerVersion": "", "Swarm": {"LocalNodeState": ""}, "ServerErrors": ["refused"]}), "no JSON"]
)
def test_a_client_without_an_engine_is_no_answer_and_no_swarm(info):
    seen = engine_seen([*DEBIAN, f"info {coded(info)}"], {"msg": "Error connecting"})
    assert (seen["answers"], seen["swarm"], seen["shared"]) == (False, False, [])


def test_a_container_without_a_name_is_somebody():
    assert engine_seen([], {"host_info": INFO, "containers": [{"Names": None}]})["shared"] == [
        "containers of others run: ?"
    ]


def test_podman_answers_at_the_same_socket_and_is_no_engine():
    assert not engine_seen(["package podman-docker 5.4.2"], {"host_info": INFO})["present"]
    assert engine_seen(["package docker.io 26.1.5", "package podman-docker 5.4.2"], {"host_info": INFO})["present"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("path /var/lib/docker/swarm/docker-state.json", "the engine is a member of a swarm"),
        ("path /snap/bin/docker", "the engine is from snap"),
        ("path /usr/local/bin/k3s", "the host has k3s"),
        ("package kubelet 1.34.2", "the host has a kubelet"),
        ("path /var/lib/kubelet/config.yaml", "the host has a kubelet"),
    ],
)
def test_who_else_uses_it(line, reason):
    assert engine_seen([line])["shared"] == [reason]


def test_a_member_of_a_swarm_says_so_itself():
    assert engine_seen([], {"host_info": {**INFO, "Swarm": {"LocalNodeState": "locked"}}})["swarm"]


def test_daemon_json_and_what_an_interrupted_run_left():
    text = '{"icc": false, "labels": ["a=ö"]}\n'
    assert engine_seen([f"json daemon.json 0644 {coded(text)}"])["json"] == {
        "mode": "0644",
        "text": text,
        "former": text,
        "interrupted": False,
    }
    # An empty file is no text, and one is still there
    both = ["json daemon.json 0600 ", f"json daemon.json.running 0600 {coded('{}')}"]
    assert engine_seen(both)["json"] == {"mode": "0600", "text": "", "former": "{}", "interrupted": True}
    # Bytes that are no text are told by what reads them, not lost here
    kept = engine_seen([f"json daemon.json 0644 {coded(BYTES)}"])["json"]["text"]
    assert kept.encode("utf-8", "surrogateescape") == BYTES


def test_dictionaries_and_lists_of_lines():
    seen = engine_seen(
        [
            "ca registry.test:5000 644:root:root:aa",
            "sum /etc/docker/alchemorsel-proxy.env 600:root:root:bb",
            "source /etc/apt/sources.list.d/docker.list",
            "gpu /trainer nvidia",
            "nvidia 0000:01:00.0",
            "",
        ]
    )
    assert seen["cas"] == {"registry.test:5000": "644:root:root:aa"}
    assert seen["sums"] == {"/etc/docker/alchemorsel-proxy.env": "600:root:root:bb"}
    assert seen["sources"] == ["/etc/apt/sources.list.d/docker.list"]
    assert (seen["legacy_gpu"], seen["nvidia"]) == (["trainer"], ["0000:01:00.0"])


@pytest.mark.parametrize(("lines", "engine"), [("package a 1", {}), ([], ["ServerVersion"])])
def test_a_wrong_argument_is_named(lines, engine):
    with pytest.raises(AnsibleFilterError, match="engine_seen"):
        engine_seen(lines, engine)
