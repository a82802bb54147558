# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters of the role docker: what they add to the functions behind them."""

from __future__ import annotations

import re

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.alchemorsel.ollama.plugins.filter.collection_version import collection_version
from ansible_collections.alchemorsel.ollama.plugins.filter.daemon_config import daemon_config


def test_daemon_config_takes_the_options_by_name():
    result = daemon_config('{"icc": true}', {"debug": True}, defaults={"icc": False}, shared=["k3s"])
    assert result["text"] == '{\n  "icc": true,\n  "debug": true\n}\n'
    assert result["action"] == "reload"


@pytest.mark.parametrize(("text", "config"), [({"icc": True}, {}), ("{}", "icc=true"), (None, {})])
def test_daemon_config_names_the_wrong_argument(text, config):
    with pytest.raises(AnsibleFilterError, match="daemon_config"):
        daemon_config(text, config)


@pytest.mark.parametrize("more", [{"defaults": ["icc"]}, {"recommended": "icc"}, {"shared": True}])
def test_daemon_config_names_the_wrong_option(more):
    with pytest.raises(AnsibleFilterError, match="daemon_config: " + next(iter(more))):
        daemon_config("", {}, **more)


def test_version_of_an_installed_collection_of_one_that_is_not_and_of_a_checkout():
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", collection_version("community.docker"))
    assert collection_version("community.surely_not_there") == ""
    assert collection_version("alchemorsel.ollama") == ""


@pytest.mark.parametrize("name", ["docker", "a.b.c", "", None, "../x.y"])
def test_version_wants_a_collection_name(name):
    with pytest.raises(AnsibleFilterError, match="namespace.name|such as community.docker"):
        collection_version(name)
