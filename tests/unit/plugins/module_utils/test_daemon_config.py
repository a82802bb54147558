# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""daemon.json: merged, never overwritten, and restarted for only when it must be."""

from __future__ import annotations

import json
import re

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._daemon_config import parse, plan
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

OTHERS = ["containers of others run: theirs"]
DEFAULTS = {
    "icc": False,
    "live-restore": True,
    "log-driver": "json-file",
    "log-opts": {"max-size": "10m", "max-file": "3"},
}


def planned(text, wanted=None, defaults=None, **more):
    result = plan(text, DEFAULTS if defaults is None else defaults, wanted or {}, **more)
    assert not result["error"]
    return result


def test_defaults_make_the_file_where_there_is_none():
    result = planned("")
    assert json.loads(result["text"]) == DEFAULTS
    assert (result["write"], result["action"]) == (True, "restart")


def test_nothing_is_written_where_nothing_changes_however_the_file_looks():
    text = '{"log-opts":{"max-file":"3","max-size":"10m"},"log-driver":"json-file",\n\n"live-restore":true,"icc":false}'
    result = planned(text)
    assert (result["write"], result["text"], result["action"], result["changes"]) == (False, text, "none", [])


def test_foreign_keys_their_order_and_the_indentation_stay():
    text = '{\n\t"zeta-unknown": {"b": 1, "a": [2]},\n\t"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}},\n\t"bip": "10.9.0.1/24"\n}\n'
    result = planned(text, {"debug": True})
    after = json.loads(result["text"])
    assert list(after) == ["zeta-unknown", "runtimes", "bip", *DEFAULTS, "debug"]
    assert list(after["zeta-unknown"]) == ["b", "a"]
    assert result["text"].splitlines()[1].startswith('\t"zeta-unknown"')


def test_what_the_host_says_wins_over_a_default_and_is_told():
    result = planned('{"icc": true, "log-opts": {"max-size": "50m"}}')
    after = json.loads(result["text"])
    assert after["icc"] is True
    assert after["log-opts"] == {"max-size": "50m", "max-file": "3"}
    assert result["kept"] == [
        "icc: true (the role's default is false)",
        'log-opts: {"max-size": "50m"} (the role\'s default is {"max-size": "10m", "max-file": "3"})',
    ]


def test_what_was_asked_for_wins_over_the_host_and_null_removes():
    result = planned('{"icc": true, "bip": "10.9.0.1/24"}', {"icc": False, "bip": None, "log-opts": {"max-file": None}})
    after = json.loads(result["text"])
    assert after["icc"] is False
    assert "bip" not in after
    assert after["log-opts"] == {"max-size": "10m"}
    assert planned(result["text"], {"icc": False, "bip": None, "log-opts": {"max-file": None}})["write"] is False


def test_true_and_one_are_different():
    assert planned('{"x": 1}', {"x": True}, {})["write"] is True


@pytest.mark.parametrize("driver", ["journald", "none", "syslog"])
def test_rotation_options_only_for_a_driver_that_knows_them(driver):
    for text, wanted in ((json.dumps({"log-driver": driver}), {}), ("", {"log-driver": driver})):
        assert "log-opts" not in json.loads(planned(text, wanted)["text"])


@pytest.mark.parametrize(
    ("before", "wanted", "action"),
    [
        ({}, {"debug": True}, "reload"),
        ({}, {"insecure-registries": ["r:5000"]}, "reload"),
        ({"runtimes": {"a": {"path": "a"}}}, {"runtimes": {"b": {"path": "b"}}}, "reload"),
        ({}, {"features": {"buildkit": True}}, "reload"),
        ({"features": {"cdi": True}}, {"features": {"buildkit": True}}, "reload"),
        ({}, {"features": {"cdi": True}}, "restart"),
        ({"features": {"cdi": True}}, {"features": None}, "restart"),
        ({}, {"debug": True, "icc": False}, "restart"),
        ({}, {"some-new-key": 1}, "restart"),
        ({"debug": True}, {"debug": True}, "none"),
    ],
)
def test_restart_only_where_a_reload_is_not_enough(before, wanted, action):
    assert planned(json.dumps(before), wanted, {})["action"] == action


def test_live_restore_is_activated_before_the_restart():
    assert planned("")["reload_first"] is True
    assert planned('{"live-restore": true}')["reload_first"] is False
    assert planned("", {"live-restore": False})["reload_first"] is False


def test_an_interrupted_run_is_finished():
    written = planned("")["text"]
    result = planned(written, running_text="")
    assert (result["write"], result["action"], result["reload_first"]) == (False, "restart", True)


def test_on_a_shared_host_only_what_was_asked_for_and_needs_no_restart_is_applied():
    text = '{"runtimes": {"nvidia": {"path": "x"}}, "icc": true}'
    result = planned(text, {"debug": True, "icc": False, "mtu": 1400}, shared=OTHERS)
    assert json.loads(result["text"]) == {**json.loads(text), "debug": True}
    assert list(json.loads(result["text"])) == ["runtimes", "icc", "debug"]
    assert result["action"] == "reload"
    assert result["changes"] == ["debug: (none) -> true (reload)"]
    assert {line["key"] for line in result["pending"]} == {"icc", "mtu", *DEFAULTS}


def test_what_waits_is_told_with_values_reason_and_remedy():
    pending = planned('{"icc": true}', {"mtu": 1400}, {"live-restore": True}, shared=[*OTHERS, "the host has k3s"])[
        "pending"
    ]
    assert pending == [
        {
            "key": "live-restore",
            "now": "(none)",
            "wanted": "true",
            "reason": "it is a default of this role that nobody asked for, and containers of others run: theirs, the host has k3s",
            "remedy": "name it in docker_daemon_config, since a reload is enough, or set docker_manage_shared: true",
        },
        {
            "key": "mtu",
            "now": "(none)",
            "wanted": "1400",
            "reason": "it wants a restart of the engine, and containers of others run: theirs, the host has k3s",
            "remedy": "set docker_manage_shared: true when a restart of the engine is welcome",
        },
    ]


def test_an_engine_that_does_not_read_the_file_gets_nothing():
    result = planned('{"debug": false}', {"debug": True}, shared=["the engine is from snap"], unread="it is from snap")
    assert (result["write"], result["action"], result["text"]) == (False, "none", '{"debug": false}')
    assert [line["key"] for line in result["pending"]] == ["debug", *DEFAULTS]
    assert {line["reason"] for line in result["pending"]} == {"it is from snap"}


def test_on_a_shared_host_a_removal_waits_and_the_order_stays():
    result = planned('{"bip": "10.9.0.1/24", "x": 1}', {"bip": None, "debug": True}, {}, shared=OTHERS)
    assert list(json.loads(result["text"])) == ["bip", "x", "debug"]
    assert [(line["key"], line["now"], line["wanted"]) for line in result["pending"]] == [
        ("bip", '"10.9.0.1/24"', "(none)")
    ]


def test_on_a_shared_host_an_interrupted_restart_waits():
    result = planned('{"icc": false}', {"icc": False}, {}, running_text="{}", shared=OTHERS)
    assert (result["write"], result["action"]) == (False, "none")
    assert [(line["key"], line["now"], line["wanted"]) for line in result["pending"]] == [("icc", "(none)", "false")]


def test_an_interrupted_run_whose_change_cannot_be_told_any_more_restarts():
    text = '{"icc": false}'
    assert planned(text, {}, {}, running_text=text)["action"] == "restart"
    assert planned(text, {}, {})["action"] == "none"
    result = planned(text, {}, {}, running_text=text, shared=OTHERS)
    assert (result["action"], [line["wanted"] for line in result["pending"]]) == ("none", ['"a restart"'])


def test_live_restore_never_with_swarm():
    assert "live-restore" not in json.loads(planned("", swarm=True)["text"])
    assert "member of a swarm" in planned("", {"live-restore": True}, swarm=True)["problems"][0]


def test_hosts_is_refused_unless_the_host_has_it():
    assert "docker.socket" in planned("", {"hosts": ["unix://"]})["problems"][0]
    assert not planned('{"hosts": ["fd://"]}', {"hosts": ["unix://"]})["problems"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"icc": false,}', "it is not JSON: .* in line 1, column 1[45]"),
        ("{'icc': false}", "it is not JSON"),
        ("[1]", "not a JSON object"),
        ("null", "not a JSON object"),
    ],
)
def test_a_broken_file_is_named_and_kept(text, words):
    result = plan(text, DEFAULTS, {"debug": True})
    assert re.search(words, result["error"])
    assert (result["write"], result["text"], result["action"]) == (False, text, "none")


@pytest.mark.parametrize("text", ["", " \n", "\ufeff", "\ufeff{}"])
def test_an_empty_file_is_no_settings(text):
    assert parse(text) == {}


def test_a_wrong_type_is_told_with_where_to_correct_it():
    assert plan("", {}, {"mtu": True})["problems"] == [
        "daemon.json key mtu: found true, wanted a whole number; correct it in docker_daemon_config."
    ]
    assert plan('{"icc": "no"}', {}, {})["problems"] == [
        'daemon.json key icc: found "no", wanted true or false; correct it in /etc/docker/daemon.json, or name the key in docker_daemon_config.'
    ]
    assert not plan('{"icc": "no"}', {}, {"icc": False})["problems"]


COMMAND = "/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock --icc=false --log-driver journald --add-runtime x=y"


def test_what_the_command_line_sets_is_no_default_of_the_file():
    result = planned("", command=COMMAND)
    assert list(json.loads(result["text"])) == ["live-restore"]
    assert result["kept"] == ["log-driver: journald on dockerd's command line (the role's default is \"json-file\")"]


def test_what_the_command_line_sets_cannot_be_asked_for():
    problems = planned("", {"icc": True, "runtimes": {"a": {"path": "b"}}}, command=COMMAND)["problems"]
    assert len(problems) == 1
    assert (
        "sets icc, which the command line of dockerd sets to false; the engine does not start with both" in problems[0]
    )
    assert not planned('{"icc": true}', {"icc": False}, command="dockerd")["problems"]


def test_recommended_values_are_compared_and_not_set():
    recommended = {"log-level": "info", "experimental": False, "iptables": True}
    result = planned('{"log-level": "debug", "iptables": true}', {}, {}, recommended=recommended)
    assert (result["write"], result["kept"]) == (False, ['log-level: "debug" (recommended is "info")'])
    assert not planned('{"log-level": "debug"}', {"log-level": "debug"}, {}, recommended=recommended)["kept"]


PROXY = {"proxies": {"https-proxy": "http://ann:pa@ss@proxy:3128", "no-proxy": "a@b"}}


def test_passwords_of_addresses_show_nowhere_but_in_the_file():
    asked = planned("", PROXY, {})
    assert asked["secret"] is True
    assert json.loads(asked["text"]) == PROXY
    waits = planned(json.dumps(PROXY), {"proxies": None}, {}, shared=OTHERS)
    told = [*asked["changes"], *(str(line) for line in waits["pending"])]
    assert all("http://***@proxy:3128" in line and "ann" not in line and "ss@" not in line for line in told)
    assert planned("", {"registry-mirrors": ["https://m/a@b"]}, {})["secret"] is False


UNIT = [{"key": "proxies", "now": "(none)", "wanted": "http://a:b@proxy"}]


def test_a_change_of_the_unit_restarts_without_a_change_of_the_file():
    result = planned("{}", {}, {}, unit=UNIT)
    assert (result["write"], result["unit"], result["action"]) == (False, True, "restart")
    assert result["changes"] == ["proxies: (none) -> http://***@proxy (restart)"]


def test_a_change_of_the_unit_waits_on_a_shared_host_and_for_its_own_reasons():
    shared = planned("{}", {}, {}, unit=UNIT, shared=OTHERS)
    own = planned("{}", {"debug": True}, {}, unit=UNIT, unit_waits=["x has a GPU"])
    for result, action in ((shared, "none"), (own, "reload")):
        assert (result["unit"], result["action"], [line["key"] for line in result["pending"]]) == (
            False,
            action,
            ["proxies"],
        )
        assert not [line for line in result["changes"] if "proxies" in line]
    assert own["pending"][0]["reason"].endswith("and x has a GPU")


# A busy machine is not a wrong result
UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
JSON = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=4) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(
    st.sampled_from(["icc", "debug", "log-opts", "features", "x", "y", "live-restore"]), JSON, max_size=5
)


@UNTIMED
# The key stands on the command line, is declared, and has a default below it: the default counted from the second run on
@example({}, {"icc": {"": None}}, {"icc": {}}, False, False, COMMAND)
@example({}, {"runtimes": {"y": {"path": "/y"}}}, {"runtimes": {"x": {"path": "/x"}}}, False, False, COMMAND)
@given(OBJECTS, OBJECTS, OBJECTS, st.booleans(), st.booleans(), st.sampled_from(["", COMMAND]))
def test_the_second_run_has_nothing_to_do(current, defaults, wanted, shared, swarm, command):
    others = OTHERS if shared else []
    first = plan(json.dumps(current), defaults, wanted, shared=others, swarm=swarm, command=command)
    second = plan(first["text"], defaults, wanted, shared=others, swarm=swarm, command=command)
    assert (second["write"], second["action"], second["text"]) == (False, "none", first["text"])
    assert second["pending"] == first["pending"]


@UNTIMED
@given(OBJECTS, OBJECTS, OBJECTS)
def test_what_nobody_mentions_stays(current, defaults, wanted):
    after = json.loads(plan(json.dumps(current), defaults, wanted)["text"])
    untouched = [key for key in current if key not in wanted and key not in defaults]
    assert [key for key in after if key in untouched] == untouched
    assert all(after[key] == current[key] for key in untouched)
