# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An engine's packages: adopted as they are, and moved, held and removed only where that was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.alchemorsel.ollama.plugins.filter.engine_packages import engine_packages
from ansible_collections.alchemorsel.ollama.plugins.module_utils._engine_packages import matches, numbers

DATA = yaml.safe_load((Path(__file__).parents[4] / "roles/docker/vars/main/packages.yml").read_text())
FAMILIES, FLOORS = DATA["_docker_families"], DATA["_docker_floors"]

OLD, NEW, NEWEST = "5:29.3.1-1~debian.13~trixie", "5:29.3.2-1~debian.13~trixie", "5:29.4.0-1~debian.13~trixie"
INSTALLED = [f"package docker-ce {OLD}", f"package docker-ce-cli {OLD}", "package containerd.io 2.0.1-1"]
OFFERS = [
    f"candidate docker-ce {NEWEST}",
    *(f"offer docker-ce {version}" for version in (NEWEST, NEW, OLD)),
    f"candidate docker-ce-cli {NEWEST}",
    *(f"offer docker-ce-cli {version}" for version in (NEWEST, NEW, OLD)),
    "candidate containerd.io 2.0.2-1",
    "offer containerd.io 2.0.2-1",
    "gone containerd.io 2.0.1-1",
]


def decide(lines, **wish):
    return engine_packages(
        lines, **{"engine": "docker-ce", "present": True, "families": FAMILIES, "floors": FLOORS, **wish}
    )


def nothing_done(result):
    return not any(result[name] for name in ("install", "remove", "upgrade", "back", "moves", "restart"))


@pytest.mark.parametrize(
    ("version", "pin", "meant"),
    [
        ("5:26.1.5-1~debian.13~trixie", "26.1.5", True),
        ("5:26.1.5-1~debian.13~trixie", "26.1", True),
        ("5:26.1.5-1~debian.13~trixie", "26", True),
        ("5:26.1.5-1~debian.13~trixie", "26.1.5-1", True),
        ("5:26.1.5-1~debian.13~trixie", "26.1.5-1~debian.13~trixie", True),
        ("5:26.1.5-1~debian.13~trixie", "5:26.1.5-1~debian.13~trixie", True),
        ("5:26.1.5-1~debian.13~trixie", "5:26.1.5*", True),
        ("5:26.1.5-1~debian.13~trixie", "26.1.*", True),
        ("26.1.5+dfsg1-9+b7", "26.1.5", True),
        ("5:20.10.24~3-0~debian-bookworm", "20.10.24", True),
        ("5:26.1.5-1~debian.13~trixie", "26.1.5-2", False),
        ("5:26.1.50-1~debian.13~trixie", "26.1.5", False),
        ("5:26.10.0-1~debian.13~trixie", "26.1", False),
        ("5:28.0.0~rc.1-1~debian.13~trixie", "28.0.0", False),
        ("4:26.1.5-1", "5:26.1.5", False),
        ("5:26.1.5-1", "26.2*", False),
    ],
)
def test_what_a_pin_means(version, pin, meant):
    assert matches(version, pin) is meant


def test_numbers_of_the_software():
    assert numbers("5:29.3.1-1~debian.13~trixie") == (29, 3, 1)
    assert numbers("20.10.24+dfsg1-1+deb12u1") == (20, 10, 24)
    assert numbers("master") == ()


@pytest.mark.parametrize("engine", ["docker-ce", "docker.io", "moby-engine", ""])
def test_an_engine_of_any_origin_is_adopted_as_it_is(engine):
    lines = [f"package {engine} {NEWEST}", "hold containerd", "package containerd 1"] if engine else []
    result = decide(lines, engine=engine, running="29.4.0")
    assert nothing_done(result)
    assert (result["hold"], result["pending"], result["notes"], result["problems"]) == ([], [], [], [])
    assert result["major"] == 29


def test_without_upgrade_a_newer_version_is_no_matter_and_another_pin_waits():
    assert nothing_done(decide([*INSTALLED, *OFFERS])) and not decide([*INSTALLED, *OFFERS])["pending"]
    result = decide([*INSTALLED, *OFFERS], pin="29.4.0")
    assert nothing_done(result)
    assert result["pending"] == [f"docker-ce {OLD} -> 29.4.0 (restart)", f"docker-ce-cli {OLD} -> 29.4.0 (restart)"]


def test_an_upgrade_takes_the_newest_and_knows_the_way_back():
    result = decide([*INSTALLED, *OFFERS], upgrade=True)
    assert result["upgrade"] == [f"docker-ce={NEWEST}", f"docker-ce-cli={NEWEST}", "containerd.io=2.0.2-1"]
    # The old containerd.io is in no repository any more
    assert result["back"] == [f"docker-ce={OLD}", f"docker-ce-cli={OLD}"]
    assert result["moves"][0] == f"docker-ce {OLD} -> {NEWEST}"
    assert (result["version"], result["pending"], result["problems"]) == (NEWEST, [], [])


def test_an_upgrade_with_a_pin_takes_the_newest_that_is_meant():
    result = decide([*INSTALLED, *OFFERS], upgrade=True, pin="29.3")
    assert result["upgrade"][:2] == [f"docker-ce={NEW}", f"docker-ce-cli={NEW}"]


def test_an_upgrade_that_has_nothing_to_do_does_nothing():
    lines = [line.replace(OLD, NEWEST).replace("2.0.1-1", "2.0.2-1") for line in INSTALLED] + OFFERS
    assert nothing_done(decide(lines, upgrade=True))


def test_packages_of_the_engine_that_are_not_installed_stay_so():
    lines = [*INSTALLED, *OFFERS, f"candidate docker-ce-rootless-extras {NEWEST}"]
    assert not any("rootless" in item for item in decide(lines, upgrade=True)["upgrade"])


def test_an_older_pin_is_refused_with_upgrade_and_waits_without():
    lines = [line.replace(OLD, NEWEST) for line in INSTALLED] + OFFERS
    assert "older than the installed docker-ce" in decide(lines, upgrade=True, pin="29.3.2")["problems"][0]
    assert decide(lines, pin="29.3.2")["problems"] == []


def test_a_pin_that_nobody_offers_is_refused_and_the_offers_are_named():
    (problem,) = decide([*INSTALLED, *OFFERS], upgrade=True, pin="30")["problems"]
    assert "docker_version is 30" in problem and f"offered are {NEWEST}, {NEW}, {OLD}" in problem
    (problem,) = decide([], present=False, pin="30", install=["docker-ce"])["problems"]
    assert "no version of docker-ce is offered" in problem


def test_before_the_repository_is_there_a_pin_cannot_be_judged():
    result = decide([], present=False, pin="30", install=["docker-ce"], final=False)
    assert (result["problems"], result["install"]) == ([], ["docker-ce"])


def test_a_host_of_others_is_told_of_the_upgrade():
    result = decide([*INSTALLED, *OFFERS, "stale /usr/bin/dockerd"], upgrade=True, shared=True)
    assert nothing_done(result)
    assert f"docker-ce {OLD} -> {NEWEST} (restart)" in result["pending"]
    assert any("/usr/bin/dockerd was replaced" in line for line in result["pending"])


def test_a_program_that_was_replaced_waits_for_its_restart():
    lines = [*INSTALLED, "stale /usr/bin/dockerd"]
    assert decide(lines)["pending"] == [f"/usr/bin/dockerd was replaced by {OLD} while the engine ran (restart)"]
    result = decide(lines, upgrade=True)
    assert (result["restart"], result["pending"]) == (True, [])


def test_hold_is_for_what_is_installed_and_not_held():
    result = decide([*INSTALLED, "hold docker-ce", "package runc 1.1"], hold=True)
    assert result["hold"] == ["docker-ce-cli", "containerd.io"]
    assert result["keep_held"] == ["docker-ce", "docker-ce-cli", "containerd.io"]


def test_a_hold_of_somebody_else_is_not_lifted_by_an_upgrade():
    result = decide([*INSTALLED, *OFFERS, "hold containerd.io"], upgrade=True)
    assert (result["hold"], result["keep_held"]) == ([], ["containerd.io"])


def test_a_fresh_engine_gets_client_and_engine_of_the_pinned_version():
    wanted = ["docker-ce", "docker-ce-cli", "containerd.io", "iptables"]
    result = decide([*OFFERS, "package iptables 1.8"], present=False, install=wanted, pin="29.3.2")
    assert result["install"] == [f"docker-ce={NEW}", f"docker-ce-cli={NEW}", "containerd.io"]
    assert decide(OFFERS, present=False, install=wanted)["install"] == wanted


def test_floors_act_on_the_packages_of_docker_com():
    (problem,) = decide(["package docker-ce 5:27.0.1-1"])["problems"]
    assert "found 5:27.0.1-1, wanted 28.3.3 or newer" in problem and "docker_upgrade: true" in problem
    result = decide(["package docker-ce 5:27.0.1-1"], allow_vulnerable=True)
    assert result["problems"] == [] and "CVE-2025-54388" in result["notes"][0]


def test_floors_judge_the_engine_as_it_will_be():
    lines = ["package docker-ce 5:27.0.1-1", f"candidate docker-ce {NEWEST}", f"offer docker-ce {NEWEST}"]
    lines.append("gone docker-ce 5:27.0.1-1")
    result = decide(lines, upgrade=True)
    assert (result["problems"], result["notes"], result["major"]) == ([], [], 29)
    fresh = [f"candidate docker-ce {NEWEST}", f"offer docker-ce {NEWEST}", "offer docker-ce 5:27.0.1-1"]
    (problem,) = decide(fresh, present=False, install=["docker-ce"], pin="27")["problems"]
    assert "Raise docker_version" in problem


def test_between_the_floors_the_hole_is_told():
    result = decide(["package docker-ce 5:29.0.0-1"])
    assert result["problems"] == [] and "CVE-2026-33997" in result["notes"][0]


def test_floors_inform_for_a_distribution():
    result = decide(["package docker.io 26.1.5+dfsg1-9+b7"], engine="docker.io")
    assert result["problems"] == [] and "keep its updates coming" in result["notes"][0]


def test_conflicts_are_named_and_removed_by_choice_only():
    lines = ["package containerd 1.7", "package podman-docker 5"]
    wish = {
        "present": False,
        "install": ["docker-ce"],
        "conflicts": ["containerd", "runc", "podman-docker"],
        "final": False,
    }
    result = decide(lines, **wish)
    assert result["remove"] == [] and "`apt-get remove containerd podman-docker`" in result["problems"][0]
    result = decide(lines, **wish, remove_conflicts=True)
    assert (result["remove"], result["problems"]) == (["containerd", "podman-docker"], [])
    result = decide(lines, **wish, remove_conflicts=True, shared=True)
    assert result["remove"] == [] and "docker_manage_shared" in result["problems"][0]


def test_what_dpkg_left_is_a_matter_where_packages_change_or_where_it_is_the_engine():
    broken = "broken libfoo half-configured"
    assert decide([*INSTALLED, broken])["problems"] == []
    (problem,) = decide([*INSTALLED, *OFFERS, broken], upgrade=True)["problems"]
    assert "libfoo (half-configured)" in problem and "dpkg --configure -a" in problem
    assert decide([broken], present=False, install=["docker-ce"], final=False)["problems"]
    assert decide(["broken docker-ce half-installed"])["problems"]


@pytest.mark.parametrize(
    ("wish", "text"),
    [
        ({}, "no container runs"),
        ({"containers": 2, "live_restore": True}, "2 running container(s) go on"),
        ({"containers": 2}, "2 running container(s) stop"),
    ],
)
def test_the_fate_of_the_containers(wish, text):
    assert text in decide(INSTALLED, **wish)["fate"]


def test_pin_and_upgrade_do_not_reach_what_is_no_package():
    assert "did not come as a package" in decide([], engine="", running="29.4.0", upgrade=True)["notes"][0]


@pytest.mark.parametrize(
    ("lines", "options", "named"),
    [
        ("package a 1", {"engine": "", "present": True}, "list of lines"),
        ([], {"engine": ""}, "present"),
        ([], {"engine": "", "present": True, "pinned": "1"}, "pinned"),
        ([], {"engine": "", "present": True, "pin": 29.3}, "pin is to be of type str"),
    ],
)
def test_a_wrong_argument_is_named(lines, options, named):
    with pytest.raises(AnsibleFilterError, match=named):
        engine_packages(lines, **options)
