# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The score card: every rule passes on a hardened container and falls when its own option is weakened."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.alchemorsel.ollama.plugins.filter import hardening_score as filter_file

ROOT = Path(__file__).resolve().parents[4]
RULES = yaml.safe_load((ROOT / "roles/ollama/vars/hardening.yml").read_text(encoding="utf-8"))["ollama_hardening_rules"]
COUNTED = [rule for rule in RULES if rule.get("counted", True)]

HARDENED: dict[str, Any] = {
    "AppArmorProfile": "docker-default",
    "ProcessLabel": "",
    "Config": {
        "User": "1000:1000",
        "Image": "sha256:" + "a" * 64,
        "Env": ["PATH=/usr/bin", "OLLAMA_HOST=0.0.0.0:11434", "NVIDIA_VISIBLE_DEVICES=void"],
        "ExposedPorts": {"11434/tcp": {}},
        "Healthcheck": {"Test": ["CMD", "ollama", "list"]},
    },
    "HostConfig": {
        "CapAdd": None,
        "CapDrop": ["ALL"],
        "CgroupParent": "",
        "CpuQuota": 0,
        "DeviceCgroupRules": None,
        "DeviceRequests": [{"Driver": "cdi", "Count": 0, "DeviceIDs": ["nvidia.com/gpu=0"]}],
        "Devices": [],
        "IpcMode": "private",
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
        "Memory": 8589934592,
        "NanoCpus": 2000000000,
        "NetworkMode": "alchemorsel-network",
        "PidMode": "",
        "PidsLimit": 512,
        "PortBindings": {"11434/tcp": [{"HostIp": "127.0.0.1", "HostPort": "11435"}]},
        "Privileged": False,
        "PublishAllPorts": False,
        "ReadonlyRootfs": True,
        "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
        "SecurityOpt": ["no-new-privileges:true"],
        "Tmpfs": {"/tmp": "rw,nosuid,nodev,noexec,size=64m,mode=1777"},
        "UTSMode": "",
        "Ulimits": [{"Name": "nofile", "Soft": 65536, "Hard": 65536}],
        "UsernsMode": "",
    },
    "Mounts": [
        {"Type": "bind", "Source": "/var/lib/ollama", "Destination": "/var/lib/ollama", "Propagation": "rprivate"},
        {"Type": "bind", "Source": "/etc/alchemorsel/ollama-ca", "Destination": "/c", "Propagation": "rprivate"},
    ],
    "NetworkSettings": {"Networks": {"alchemorsel-network": {}}},
}


def bind(source: str, propagation: str = "rprivate") -> dict[str, str]:
    """A bind mount of a host directory as inspect shows it."""
    return {"Type": "bind", "Source": source, "Destination": "/host", "Propagation": propagation}


def published(address: str, port: str, inside: str = "11434/tcp") -> dict[str, list[dict[str, str]]]:
    """A port binding as inspect shows it."""
    return {inside: [{"HostIp": address, "HostPort": port}]}


WEAKENED: list[tuple[int, str, Any]] = [
    (1, "HostConfig.SecurityOpt", ["no-new-privileges:true", "apparmor=unconfined"]),
    (1, "HostConfig.SecurityOpt", ["no-new-privileges:true", "apparmor:unconfined"]),
    (1, "HostConfig.SecurityOpt", ["no-new-privileges:true", "label=disable"]),
    (1, "HostConfig.SecurityOpt", ["no-new-privileges:true", "systempaths=unconfined"]),
    (1, "AppArmorProfile", "unconfined"),
    (2, "HostConfig.CapAdd", ["SYS_ADMIN"]),
    (3, "HostConfig.CapDrop", None),
    (3, "HostConfig.CapDrop", ["NET_RAW"]),
    (4, "HostConfig.Privileged", True),
    (5, "Mounts", [bind("/")]),
    (5, "Mounts", [bind("/etc")]),
    (5, "Mounts", [bind("/etc/ssh")]),
    (5, "Mounts", [bind("/proc")]),
    (5, "Mounts", [bind("/var/lib/docker/volumes/x")]),
    (5, "Mounts", None),
    (6, "HostConfig.PortBindings", published("127.0.0.1", "80")),
    (7, "HostConfig.PortBindings", published("127.0.0.1", "8080", "8080/tcp")),
    (7, "Config.ExposedPorts", {"11434/tcp": {}, "22/tcp": {}}),
    (8, "HostConfig.NetworkMode", "host"),
    (9, "HostConfig.Memory", 0),
    (10, "HostConfig.NanoCpus", 0),
    (11, "HostConfig.ReadonlyRootfs", False),
    (12, "HostConfig.PortBindings", published("", "11435")),
    (12, "HostConfig.PortBindings", published("0.0.0.0", "11435")),
    (12, "HostConfig.PortBindings", published("::", "11435")),
    (12, "HostConfig.PublishAllPorts", True),
    (13, "HostConfig.RestartPolicy", {"Name": "no"}),
    (13, "HostConfig.RestartPolicy", {"Name": ""}),
    (14, "HostConfig.PidMode", "host"),
    (15, "HostConfig.IpcMode", "host"),
    (16, "HostConfig.UTSMode", "host"),
    (17, "HostConfig.Devices", [{"PathOnHost": "/dev/sda"}]),
    (17, "HostConfig.Devices", [{"PathOnHost": "/dev/kfd"}, {"PathOnHost": "/dev/dri/card0"}]),
    (17, "HostConfig.DeviceCgroupRules", ["a *:* rwm"]),
    (18, "HostConfig.Ulimits", None),
    (18, "HostConfig.Ulimits", [{"Name": "nproc", "Soft": 1, "Hard": 1}]),
    (19, "Mounts", [bind("/srv/models", "rshared")]),
    (20, "HostConfig.SecurityOpt", ["no-new-privileges:true", "seccomp=unconfined"]),
    (21, "HostConfig.CgroupParent", "/system.slice"),
    (22, "HostConfig.SecurityOpt", None),
    (22, "HostConfig.SecurityOpt", ["no-new-privileges:false"]),
    (23, "Config.Healthcheck", None),
    (23, "Config.Healthcheck", {"Test": ["NONE"]}),
    (24, "Config.Image", "ollama/ollama:latest"),
    (24, "Config.Image", "example.test/sha256:latest"),
    (25, "HostConfig.PidsLimit", None),
    (25, "HostConfig.PidsLimit", -1),
    (26, "HostConfig.NetworkMode", "default"),
    (26, "NetworkSettings.Networks", {"alchemorsel-network": {}, "bridge": {}}),
    (27, "HostConfig.UsernsMode", "host"),
    (28, "Mounts", [bind("/srv/docker.sock")]),
    (29, "Config.User", ""),
    (29, "Config.User", "0"),
    (29, "Config.User", "0:1000"),
    (29, "Config.User", "root:root"),
    (30, "HostConfig.LogConfig", {"Type": "json-file", "Config": {}}),
    (30, "HostConfig.LogConfig", {"Type": "json-file", "Config": {"max-size": "10m"}}),
    (31, "HostConfig.Tmpfs", {"/tmp": "rw"}),
    (31, "HostConfig.Tmpfs", {"/tmp": "rw,nosuid"}),
    (32, "HostConfig.DeviceRequests", [{"Driver": "", "Count": -1, "DeviceIDs": None, "Capabilities": [["gpu"]]}]),
    (32, "HostConfig.DeviceRequests", [{"Driver": "cdi", "Count": 0, "DeviceIDs": ["nvidia.com/gpu=all"]}]),
    (32, "Config.Env", ["NVIDIA_VISIBLE_DEVICES=all"]),
    (33, "Config.Env", ["HF_TOKEN=abc"]),
    (33, "Config.Env", ["DB_PASSWORD=abc"]),
    (33, "Config.Env", ["HTTPS_PROXY=http://user:pw@proxy.test:3128"]),
]

ALSO_HARDENED: list[tuple[str, Any]] = [
    ("AppArmorProfile", ""),
    ("HostConfig.CapAdd", []),
    ("HostConfig.DeviceRequests", None),
    ("HostConfig.Devices", None),
    ("HostConfig.Devices", [{"PathOnHost": "/dev/kfd"}, {"PathOnHost": "/dev/dri/renderD128"}]),
    ("HostConfig.PortBindings", None),
    ("HostConfig.PortBindings", published("192.0.2.7", "11435")),
    ("HostConfig.Tmpfs", None),
    ("HostConfig.LogConfig", {"Type": "journald", "Config": {}}),
    ("HostConfig.CpuQuota", 100000),
    ("HostConfig.SecurityOpt", ["no-new-privileges"]),
    ("Config.Image", "registry.test/ollama/ollama@sha256:" + "b" * 64),
    ("Config.Env", ["HTTPS_PROXY=http://proxy.test:3128", "OLLAMA_KEEP_ALIVE=5m"]),
    ("Mounts", [bind("/srv/develop"), bind("/devices"), bind("/etcetera")]),
    ("Mounts", []),
]


def changed(path: str, value: Any) -> dict[str, Any]:
    """The hardened container with one value replaced."""
    container = copy.deepcopy(HARDENED)
    *parents, last = path.split(".")
    place = container
    for parent in parents:
        place = place[parent]
    place[last] = value
    return container


def failed_ids(container: dict[str, Any]) -> list[int]:
    """Numbers of the points that do not pass."""
    return [point["id"] for point in filter_file.hardening_score(container, RULES)["failed"]]


def test_the_table_has_the_33_points_once_each() -> None:
    assert [rule["id"] for rule in COUNTED] == list(range(1, 34))


def test_a_hardened_container_has_all_points() -> None:
    score = filter_file.hardening_score(HARDENED, RULES)
    assert (score["passed"], score["total"], score["failed"]) == (33, 33, [])


@pytest.mark.parametrize(("rule", "path", "value"), WEAKENED)
def test_a_weakened_option_costs_its_point(rule: int, path: str, value: Any) -> None:
    assert rule in failed_ids(changed(path, value))


def test_each_rule_has_a_weakening() -> None:
    assert {rule for rule, _path, _value in WEAKENED} == {rule["id"] for rule in COUNTED}


@pytest.mark.parametrize(("path", "value"), ALSO_HARDENED)
def test_other_hardened_forms_pass(path: str, value: Any) -> None:
    assert failed_ids(changed(path, value)) == []


def test_enforcement_is_shown_and_not_counted() -> None:
    score = filter_file.hardening_score(changed("AppArmorProfile", ""), RULES)
    assert [note["id"] for note in score["notes"]] == [1, 1]
    assert score["notes"][0]["found"].startswith("none")
    assert score["total"] == 33


def test_a_secret_is_not_in_the_result() -> None:
    score = filter_file.hardening_score(changed("Config.Env", ["HF_TOKEN=hunter2"]), RULES)
    assert "hunter2" not in str(score)


def test_a_data_that_the_rule_cannot_read_does_not_pass() -> None:
    container = changed("Config.Image", None)
    point = next(p for p in filter_file.hardening_score(container, RULES)["points"] if p["id"] == 24)
    assert not point["passed"]
    assert point["found"].startswith("cannot be told")


def test_a_number_does_not_pass_for_a_yes() -> None:
    rule = {"id": 1, "title": "t", "cis": "", "expression": "HostConfig.Memory", "wanted": True, "remedy": "r"}
    assert filter_file.hardening_score(changed("HostConfig.Memory", 1), [rule])["passed"] == 0


@pytest.mark.parametrize("container", [None, "text", [], {}, {"Config": {}}, {"Config": {}, "HostConfig": None}])
def test_what_is_no_container_is_refused(container: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="wants the inspect data"):
        filter_file.hardening_score(container, RULES)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([], "at least one rule"),
        ("text", "at least one rule"),
        (["text"], "rule 1 wants to be a dictionary"),
        ([{"id": 7, "title": "t"}], "rule 7 lacks cis, expression, remedy, wanted"),
        ([{"id": 7, "title": "t", "cis": "", "expression": "a[", "wanted": 1, "remedy": "r"}], "rule 7 .*not JMESPath"),
    ],
)
def test_bad_rules_are_refused(rules: Any, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        filter_file.hardening_score(HARDENED, rules)


def test_without_jmespath_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filter_file, "HAS_JMESPATH", False)
    with pytest.raises(AnsibleFilterError, match="needs the Python library jmespath"):
        filter_file.hardening_score(HARDENED, RULES)


def test_the_filter_is_offered() -> None:
    assert filter_file.FilterModule().filters() == {"hardening_score": filter_file.hardening_score}
