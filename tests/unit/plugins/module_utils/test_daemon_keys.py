# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known of dockerd's settings: types, and the options of the command line that set the same."""

from __future__ import annotations

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._daemon_keys import (
    RELOADABLE,
    TYPES,
    options_of,
    type_problems,
)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"live-restore": "true"}, 'live-restore: found "true", wanted true or false'),
        ({"mtu": True}, "mtu: found true, wanted a whole number"),
        ({"log-opts": {"max-file": 3}}, 'log-opts: found {"max-file": 3}, wanted a mapping of texts'),
        ({"registry-mirrors": "https://m"}, 'registry-mirrors: found "https://m", wanted a list of texts'),
        ({"dns": [1]}, "dns: found [1], wanted a list of texts"),
        ({"runtimes": []}, "runtimes: found [], wanted a mapping of mappings"),
        ({"runtimes": {"a": "b"}}, 'runtimes: found {"a": "b"}, wanted a mapping of mappings'),
        ({"features": {"cdi": "on"}}, 'features: found {"cdi": "on"}, wanted a mapping of true or false'),
        (
            {"default-address-pools": {"base": "x"}},
            'default-address-pools: found {"base": "x"}, wanted a list of mappings',
        ),
        ({"builder": True}, "builder: found true, wanted a mapping"),
        ({"bip": 1}, "bip: found 1, wanted text"),
    ],
)
def test_wrong_types_are_told_with_found_and_wanted(config, words):
    assert type_problems(config) == [f"daemon.json key {words}"]


def test_right_types_removals_and_unknown_keys_pass():
    right = {
        "icc": None,
        "mtu": 1,
        "labels": [],
        "log-opts": {"a": "b", "gone": None},
        "runtimes": {"a": {}, "gone": None},
        "features": {"cdi": True},
        "default-address-pools": [{"base": "10.0.0.0/8", "size": 24}],
        "builder": {"gc": {"enabled": True}},
        "new": object,
        "bip": "x",
    }
    assert not type_problems(right)


def test_every_key_that_is_reloaded_has_a_type():
    assert TYPES.keys() >= RELOADABLE


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("", {}),
        ("/usr/sbin/dockerd", {}),
        ("dockerd -H fd:// --containerd=/run/c.sock", {"hosts": "fd://", "containerd": "/run/c.sock"}),
        ("dockerd --debug --tls --icc=false", {"debug": "true", "tls": "true", "icc": "false"}),
        ("dockerd --insecure-registry r:5000 --label a=b", {"insecure-registries": "r:5000", "labels": "a=b"}),
        ("dockerd -s overlay2 -l warn", {"storage-driver": "overlay2", "log-level": "warn"}),
        ("dockerd --log-opt max-size=1m -D", {"log-opts": "max-size=1m", "debug": "true"}),
        ("dockerd --https-proxy=http://p", {"proxies": "http://p"}),
    ],
)
def test_options_are_told_by_their_keys(command, found):
    assert options_of(command) == found
