# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the modules and their documentation say the same; shared options are written once."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.alchemorsel.ollama.plugins.doc_fragments import (
    inference,
    memory,
    models,
    outside,
    progress,
    pulls,
    removal,
    server,
    source,
    state,
    store,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _argspec, _health_options
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidInput

SPECS = {
    "inference": (inference.ModuleDocFragment, _health_options.inference_argument_spec),
    "outside": (outside.ModuleDocFragment, _health_options.outside_argument_spec),
    "progress": (progress.ModuleDocFragment, _argspec.progress_argument_spec),
    "memory": (memory.ModuleDocFragment, _argspec.memory_argument_spec),
    "server": (server.ModuleDocFragment, _argspec.server_argument_spec),
    "models": (models.ModuleDocFragment, _argspec.models_argument_spec),
    "pulls": (pulls.ModuleDocFragment, _argspec.pulls_argument_spec),
    "removal": (removal.ModuleDocFragment, _argspec.removal_argument_spec),
    "store": (store.ModuleDocFragment, _argspec.store_argument_spec),
    "state": (state.ModuleDocFragment, _argspec.state_argument_spec),
    "source": (source.ModuleDocFragment, _argspec.source_argument_spec),
}
PARAMS = {
    "url": "http://127.0.0.1:1",
    "api_key": None,
    "ca_path": None,
    "client_cert": None,
    "client_key": None,
    "validate_certs": True,
    "timeout": 30.0,
}
SOURCE = {"insecure_registries": [], "registry_ca_path": None, "registry_mirror": None, "timeout": 1}


@pytest.mark.parametrize("name", SPECS)
def test_fragment_equals_spec(name):
    fragment, spec = SPECS[name]
    documented = yaml.safe_load(fragment.DOCUMENTATION)["options"]
    assert {
        option: {key: entry[key] for key in ("type", "default", "elements") if key in entry}
        for option, entry in documented.items()
    } == {
        option: {key: entry[key] for key in ("type", "default", "elements") if key in entry}
        for option, entry in spec().items()
    }


def test_fragment_equals_spec_of_an_entry():
    documented = yaml.safe_load(models.ModuleDocFragment.DOCUMENTATION)["options"]["models"]["suboptions"]
    keys = ("type", "elements", "choices", "required")
    assert {option: {key: entry[key] for key in keys if key in entry} for option, entry in documented.items()} == {
        option: {key: entry[key] for key in keys if key in entry}
        for option, entry in _argspec.models_argument_spec()["models"]["options"].items()
    }


def test_the_key_never_leaves():
    assert _argspec.server_argument_spec()["api_key"]["no_log"] is True


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "127.0.0.1:11435"}, "needs a scheme and a host"),
        ({"url": "ftp://h"}, "needs a scheme and a host"),
        ({"url": "http://"}, "needs a scheme and a host"),
        ({"url": "http://h:port"}, "url 'http://h:port' is invalid"),
        ({"url": "http://h:99999"}, "is invalid"),
        ({"url": "http://h:0"}, "port 0"),
        ({"url": "http://h/?q"}, "cannot be part of it"),
        ({"url": "http://[::1"}, "is invalid"),
        ({"url": "http://user:secret@h:1"}, "give the key in api_key"),
        ({"timeout": 0}, "timeout is 0"),
        ({"ca_path": "/nonexistent/ca.pem"}, "ca_path is '/nonexistent/ca.pem'"),
        ({"client_cert": "/nonexistent/c.pem"}, "client_cert is"),
        ({"client_key": __file__}, "client_key is given without client_cert"),
    ],
)
def test_bad_connection_options(change, words):
    with pytest.raises(InvalidInput) as caught:
        _argspec.client_from_params({**PARAMS, **change})
    assert words in caught.value.message
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"insecure_registries": ["http://h:1"]}, "without http://"),
        ({"insecure_registries": [" "]}, "wanted HOST:PORT"),
        ({"registry_mirror": "http://m:5000"}, "without a scheme"),
        ({"registry_mirror": "m:5000/v2"}, "without a path"),
        ({"registry_mirror": "m:70000"}, "wanted HOST or HOST:PORT"),
        ({"registry_mirror": "Registry.Ollama.ai"}, "should be a mirror of"),
        ({"registry_ca_path": "/nonexistent"}, "registry_ca_path is '/nonexistent'"),
    ],
)
def test_bad_source_options(change, words):
    with pytest.raises(InvalidInput, match=words):
        _argspec.registry_from_params({**SOURCE, **change})
