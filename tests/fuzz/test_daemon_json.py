# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""daemon.json, whoever wrote it: a file is read or refused in words, and no address shows its user and password."""

from __future__ import annotations

import json
import string

from ansible.errors import AnsibleFilterError
from ansible_collections.alchemorsel.ollama.plugins.filter.daemon_config import daemon_config
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.strategies import bent, bent_json, can_be_shown, junk, texts

FILE = {
    "log-driver": "json-file",
    "log-opts": {"max-size": "10m", "max-file": "3"},
    "features": {"cdi": True, "containerd-snapshotter": False},
    "insecure-registries": ["registry.lab.test:5000"],
    "proxies": {"http-proxy": "http://proxy:3128", "no-proxy": "localhost"},
    "live-restore": True,
    "default-ulimits": {"nofile": {"Name": "nofile", "Hard": 5, "Soft": 5}},
}
DEFAULTS = {"log-driver": "local", "log-opts": {"max-size": "10m"}, "live-restore": True, "no-new-privileges": True}
COMMAND = "/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock --log-level warn"
#: Letters of passwords; the last ones are those that end something elsewhere.
SECRETS = st.text(string.ascii_uppercase + string.digits + "%!$'\"\\`{}<>;,|~/:?#", min_size=2, max_size=12).map(
    "S{}S".format
)
#: Places of daemon.json where addresses stand, of right and of wrong types.
PLACES = st.sampled_from(
    [
        lambda url: {"proxies": {"http-proxy": url}},
        lambda url: {"proxies": url},
        lambda url: {"registry-mirrors": [url]},
        lambda url: {"registry-mirrors": url},
        lambda url: {"log-opts": {"gelf-address": url}},
        lambda url: {"debug": url},
        lambda url: {"hosts": [url, url]},
        lambda url: {url: True},
    ]
)


@given(bent_json(FILE), bent(FILE), bent(DEFAULTS), st.booleans(), texts.map(lambda text: f"{COMMAND} {text}"))
@example(b"[" * 100_000, {}, {}, False, "")
@example(b'{"max-concurrent-downloads": ' + b"9" * 5000 + b"}", {}, {}, False, "")
def test_any_file_is_merged_or_refused(body, wanted, defaults, shared, command):
    text = body.decode("utf-8", "replace")
    more = {"shared": ["a container runs"] if shared else [], "command": command}
    try:
        plan = daemon_config(text, wanted, defaults, **more)
    except AnsibleFilterError as exc:
        assert not isinstance(wanted, dict) or not isinstance(defaults, dict), exc
        return
    assert can_be_shown([plan["error"], plan["problems"], plan["changes"], plan["pending"], plan["kept"]])
    if plan["error"] or plan["problems"]:
        return
    again = daemon_config(plan["text"], wanted, defaults, **more)
    assert (again["write"], again["text"]) == (False, plan["text"])


@given(
    PLACES,
    PLACES,
    SECRETS,
    st.sampled_from(["http", "tcp", "https"]),
    st.sampled_from(["file", "wanted", "command", "all"]),
)
def test_no_address_shows_its_password(place, other, secret, scheme, where):
    url = f"{scheme}://user:{secret}@proxy:3128"
    text = json.dumps({**FILE, **place(url)}) if where in ("file", "all") else json.dumps(FILE)
    wanted = place(url) if where == "wanted" else other(url) if where == "all" else {"debug": True}
    command = f"{COMMAND} --http-proxy={url} --log-opt gelf-address={url}" if where in ("command", "all") else COMMAND
    for shared in ([], ["a container runs"]):
        plan = daemon_config(text, wanted, DEFAULTS, {"proxies": {}}, shared, command=command)
        told = repr([plan["error"], plan["problems"], plan["changes"], plan["pending"], plan["kept"]])
        assert secret not in told and json.dumps(secret)[1:-1] not in told and repr(secret)[1:-1] not in told
        # What is written can be shown in a diff only where it holds no secret
        assert plan["secret"] or json.dumps(secret)[1:-1] not in plan["text"]


@given(junk, texts, st.lists(texts, max_size=2))
def test_what_is_no_text_of_a_file_is_refused(text, key, shared):
    try:
        plan = daemon_config(text, {key: text}, shared=shared)
    except AnsibleFilterError as exc:
        assert not isinstance(text, str) and "wants the text" in str(exc)
        return
    assert isinstance(text, str) and can_be_shown([plan["error"], plan["problems"]])
