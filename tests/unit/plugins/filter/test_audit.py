# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which containers an audit looks at, and what it says of each beside the score."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.alchemorsel.ollama.plugins.filter.audit_plan import audit_plan
from ansible_collections.alchemorsel.ollama.plugins.filter.audit_report import audit_report
from hypothesis import given
from hypothesis import strategies as st

PERFECT: dict[str, Any] = {"passed": 33, "total": 33, "failed": [], "notes": []}
HEALTHY = {"healthy": True, "verdict": "healthy", "msg": "http://127.0.0.1:11435 is healthy: Ollama 0.32.15"}


def listed(name, instance="", **more):
    """A container as the engine's API lists it."""
    labels = {"alchemorsel.instance": instance} if instance else None
    return {"Names": [f"/{name}"], "State": "running", "Labels": labels, "Image": "i", "Command": "c", **more}


def port(address, public, private=11434):
    return {"Ports": [{"IP": address, "PublicPort": public, "PrivatePort": private, "Type": "tcp"}]}


def inspected(*places, network="alchemorsel-network", running=True):
    """A container as `docker inspect` shows it, published at places."""
    return {
        "Name": "/ollama",
        "State": {"Running": running},
        "HostConfig": {
            "NetworkMode": network,
            "PortBindings": {"11434/tcp": [{"HostIp": address, "HostPort": number} for address, number in places]},
        },
        "NetworkSettings": {"Networks": {network: {"IPAddress": "172.18.0.2"}}},
    }


LOCAL = inspected(("127.0.0.1", "11435"))


def said(container=None, **how):
    """What is said of each matter, and which of them do not hold."""
    report = audit_report(
        container or LOCAL, PERFECT, **{"instance_name": "ollama", "engine": "26.1.5", "health": HEALTHY, **how}
    )
    lines = dict(line.split(": ", 1) for line in report["lines"][1:])
    return lines, report["broken"]


def test_servers_of_the_collection_are_audited_and_what_upgrades_keep_is_not():
    containers = [
        listed("ollama", "ollama", **port("127.0.0.1", 11435)),
        listed("second", "second", State="exited"),
        listed("ollama-previous", "ollama", State="created"),
        listed("theirs", Image="ollama/ollama"),
        listed("web"),
    ]
    plan = audit_plan(containers)
    assert plan["containers"] == [
        {"name": "ollama", "instance": "ollama", "url": "http://127.0.0.1:11435"},
        {"name": "second", "instance": "second", "url": ""},
    ]
    assert (plan["missing"], plan["others"]) == ([], ["theirs"])


def test_containers_are_named_by_name_and_by_pattern_and_those_that_are_not_there_are_told():
    containers = [
        listed("my-ollama", Command="/bin/ollama serve"),
        listed("web"),
        listed("old-ollama", **port("::", 1)),
    ]
    plan = audit_plan(containers, ["web", "*-ollama", "gone", "x*"])
    assert [entry["name"] for entry in plan["containers"]] == ["my-ollama", "old-ollama", "web"]
    assert {entry["instance"] for entry in plan["containers"]} == {""}
    assert (plan["missing"], plan["others"]) == (["gone", "x*"], [])


@pytest.mark.parametrize(
    ("more", "url"),
    [
        (port("0.0.0.0", 11500), "http://127.0.0.1:11500"),
        (port("::", 11500), "http://127.0.0.1:11500"),
        (port("::1", 11500), "http://[::1]:11500"),
        (port("192.0.2.7", 11435), "http://192.0.2.7:11435"),
        ({"HostConfig": {"NetworkMode": "host"}}, "http://127.0.0.1:11434"),
        ({"NetworkSettings": {"Networks": {"n": {"IPAddress": "172.18.0.2"}}}}, "http://172.18.0.2:11434"),
        ({**port("127.0.0.1", 80, 8080), "NetworkSettings": {"Networks": {"n": None}}}, ""),
        ({**port("127.0.0.1", 11435), "State": "exited"}, ""),
        ({"Names": ["/web/alias", "/ollama"]}, ""),
    ],
)
def test_where_the_host_reaches_a_server(more, url):
    assert audit_plan([listed("ollama", "ollama", **more)])["containers"][0]["url"] == url


def test_a_server_as_the_role_makes_it():
    lines, broken = said(guard=["driver bridge", "nft", "loaded"])
    assert broken == []
    assert lines["version"].endswith("Ollama 0.32.15")
    assert lines["published"] == "on loopback only (127.0.0.1:11435)"
    assert "alchemorsel_ollama is loaded" in lines["guard"]


@pytest.mark.parametrize(
    ("container", "how", "broken", "words"),
    [
        (LOCAL, {"guard": ["nft", "table"]}, True, "not as its file says. Run the role ollama"),
        (LOCAL, {"guard": ["nft"]}, True, "26.1.5 lets neighbours in at 172.18.0.2:11434.*ollama_guard: true"),
        (LOCAL, {"engine": ""}, True, "of unknown version lets neighbours in"),
        (LOCAL, {"engine": "28.0.0"}, False, "no nftables table alchemorsel_ollama; engine 28.0.0 itself"),
        (
            LOCAL,
            {"instance_name": "", "guard": ["loaded"]},
            True,
            "no table of this collection.*Let the role ollama run it",
        ),
        (inspected(), {}, False, "nothing is published"),
        (inspected(("192.0.2.7", "1")), {"engine": "29.3.1"}, True, "whoever reaches the published address is let in"),
        (inspected(("192.0.2.7", "1")), {"guard": ["loaded"]}, False, "is loaded"),
        (inspected(network="host"), {}, False, "nothing to guard"),
    ],
)
def test_the_guard(container, how, broken, words):
    lines, found = said(container, **how)
    assert ("guard" in found) is broken
    assert re.search(words, lines["guard"])


@pytest.mark.parametrize(
    ("container", "broken", "words"),
    [
        (inspected(("0.0.0.0", "11500")), True, "on every address of the host (0.0.0.0:11500)"),
        (inspected(("", "11500")), True, "on every address of the host (0.0.0.0:11500)"),
        (inspected(("127.0.0.1", "1"), ("::", "2")), True, "(127.0.0.1:1, [::]:2)"),
        (inspected(network="host"), True, "has the host's network"),
        (inspected(("::1", "1")), False, "on loopback only ([::1]:1)"),
        (inspected(("192.0.2.7", "1")), False, "on 192.0.2.7:1"),
        (inspected(), False, "nowhere"),
        ({"Name": "/x"}, False, "nowhere"),
    ],
)
def test_where_it_is_published(container, broken, words):
    lines, found = said(container)
    assert ("published" in found) is broken
    assert words in lines["published"]


@pytest.mark.parametrize(
    ("container", "health", "broken", "words"),
    [
        (
            LOCAL,
            {"healthy": False, "verdict": "old_version", "msg": "0.16.0 is older than 0.17.1."},
            True,
            "0.16.0 is older",
        ),
        (
            LOCAL,
            {"healthy": False, "verdict": "unreachable", "msg": "nobody listens. Start it."},
            False,
            "nobody listens",
        ),
        (LOCAL, {}, False, "nobody asked"),
        (inspected(running=False), {}, False, "does not run"),
    ],
)
def test_the_version(container, health, broken, words):
    lines, found = said(container, health=health)
    assert ("version" in found) is broken
    assert words in lines["version"]


def test_each_failed_point_is_a_line_with_found_wanted_and_remedy():
    point = {
        "id": 4,
        "title": "Not privileged",
        "cis": "5.5",
        "found": True,
        "wanted": False,
        "remedy": "Do not set it.",
    }
    long = {**point, "id": 5, "cis": "", "found": ["x" * 500]}
    score = {
        **PERFECT,
        "passed": 31,
        "failed": [point, long],
        "notes": [{"id": 1, "title": "AppArmor", "found": "none"}],
    }
    report = audit_report(LOCAL, score, "ollama", "26.1.5", ["loaded"], HEALTHY)
    assert report["lines"][:2] == [
        "ollama: 31 of 33 points, 2 findings",
        "point 4: Not privileged (CIS 5.5): found true, wanted false. Do not set it.",
    ]
    assert len(report["lines"][2]) < 300 and "Not privileged: found" in report["lines"][2]
    assert report["lines"][-1] == "not counted: AppArmor: none"
    assert (report["name"], report["passed"], report["total"]) == ("ollama", 31, 33)


def test_one_finding_is_one_and_a_container_of_others_is_told_whose_remedies_these_are():
    report = audit_report(inspected(("127.0.0.1", "1")), PERFECT, "", "26.1.5", [], HEALTHY)
    assert report["lines"][0] == "ollama: 33 of 33 points, 1 finding"
    assert report["lines"][-1].startswith("remedies: they name what the role ollama sets")


@pytest.mark.parametrize(
    ("function", "arguments", "words"),
    [
        (audit_plan, ("x",), "found str"),
        (audit_plan, ([1],), "found list"),
        (audit_plan, ([], "x"), "named is to be a list"),
        (audit_report, ([], PERFECT), "the container is to be a mapping"),
        (audit_report, ({}, {}), "score lacks failed, notes, passed, total"),
        (audit_report, ({}, PERFECT, "", "", [], []), "health is to be a mapping"),
    ],
)
def test_wrong_argument_is_named(function, arguments, words):
    with pytest.raises(AnsibleFilterError, match=words):
        function(*arguments)


ODD = st.none() | st.text(max_size=5) | st.integers() | st.just([])


@given(st.lists(st.dictionaries(st.sampled_from(["State", "Labels", "HostConfig", "NetworkSettings", "Image"]), ODD)))
def test_any_list_of_an_engine_has_a_plan(containers):
    assert audit_plan(containers, ["*"])["missing"] in ([], ["*"])


@given(st.dictionaries(st.sampled_from(["Name", "State", "HostConfig", "NetworkSettings"]), ODD), st.text(max_size=8))
def test_whatever_is_inspected_has_a_report(container, engine):
    report = audit_report(container, PERFECT, engine=engine)
    assert len(report["lines"]) == 4 + bool(report["broken"])
