# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets in every option that hides one: they stand where they have to, and nowhere else, whatever Ansible is asked to show."""

from __future__ import annotations

import base64
import json
import struct
import uuid

import pytest

from tests.abuse.lab import needles
from tests.abuse.options import hidden, unhidden

PORT = 5023
REGISTRY = f"registry.lab.test:{PORT}"
ALOUD = ["-vvvv", "--diff"]
#: Files that hold a secret because that is what they are for, by root or the server alone.
PLACES = {
    "/etc/docker/daemon.json",
    "/root/.docker/config.json",
    "/var/lib/ollama/.ollama/id_ed25519",
}


def made_up(name):
    """A secret that nobody else has, with its place in it."""
    return f"Sek{name}{uuid.uuid4().hex}"


def field(data):
    return struct.pack(">I", len(data)) + data


def private_key(secret):
    """A private key as ssh-keygen lays it out, in one line, so that a search finds the secret in it; its numbers are no key."""
    public = field(b"ssh-ed25519") + field(b"P" * 32)
    body = b"openssh-key-v1\0" + field(b"none") * 2 + field(b"") + struct.pack(">I", 1) + field(public)
    body += field(
        b"1234" * 2 + public + field(secret.encode()[:32].ljust(32, b"0") + b"P" * 32) + field(b"lab") + b"\x01\x02\x03"
    )
    text = base64.b64encode(body).decode()
    return f"-----BEGIN OPENSSH PRIVATE KEY-----\n{text}\n-----END OPENSSH PRIVATE KEY-----\n"


@pytest.fixture(scope="module")
def secrets():
    """Secrets by the option that has them; the key's is as long as its field."""
    names = ["api_key", "password", "ollama_identity", "ollama_models_api_key", "proxy", "host", "wrong"]
    found = {name: made_up(name[:4]) for name in names}
    found["ollama_identity"] = found["ollama_identity"][:32]
    return found


@pytest.fixture(scope="module")
def registry(host, secrets):
    """A registry that wants a login, in the lab's services."""
    line = host.sh(
        'perl -e \'print "ops:", crypt($ARGV[0], q($2b$05$abcdefghijklmnopqrstuu))\' "$(cat)"',
        inside=host.services,
        data=secrets["password"].encode(),
    )
    host.sh("cat >/run/abuse.htpasswd", inside=host.services, data=line.encode())
    settings = {
        "REGISTRY_HTTP_ADDR": f":{PORT}",
        "REGISTRY_HTTP_SECRET": "none",
        "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": "/tmp/abuse",
        "REGISTRY_AUTH": "htpasswd",
        "REGISTRY_AUTH_HTPASSWD_REALM": "lab",
        "REGISTRY_AUTH_HTPASSWD_PATH": "/run/abuse.htpasswd",
    }
    said = " ".join(f"--setenv={key}={value}" for key, value in settings.items())
    host.sh(
        f"systemd-run --quiet --unit=abuse {said} docker-registry serve /etc/docker/registry/config.yml",
        inside=host.services,
    )
    yield REGISTRY
    host.sh("systemctl stop abuse; rm -f /run/abuse.htpasswd", inside=host.services)


@pytest.fixture(scope="module")
def declared(registry, secrets):
    """Variables of all roles with a secret in each that hides one, and in addresses with a password."""
    return {
        "docker_registry_cas": [
            {"registry": one, "src": "{{ lab_ca_file }}"} for one in ("registry.lab.test:5000", registry)
        ],
        "docker_registry_logins": [{"registry": registry, "username": "ops", "password": secrets["password"]}],
        "docker_https_proxy": f"http://ops:{secrets['proxy']}@127.0.0.1:9",
        "docker_no_proxy": [".lab.test", "registry.lab.test"],
        "docker_manage_shared": True,
        "ollama_identity": private_key(secrets["ollama_identity"]),
        "ollama_models_api_key": secrets["ollama_models_api_key"],
        "ollama_models_list": [{"name": "models.lab.test:5443/library/tiny-a:latest", "loaded": True}],
    }


def check(run, secrets):
    """Nothing that was said shows a secret, and no process had one in its command line."""
    shown = {name: lines for name, secret in secrets.items() if (lines := run.shows(secret))}
    assert not shown
    assert run.processes == set() and run.looks > 10


def test_every_option_that_looks_like_a_secret_hides_it():
    assert unhidden() == []


def test_every_hidden_option_has_its_secret_here(secrets):
    """One that is new wants a secret in `secrets`, and a place in `declared` or in plays/modules.yml."""
    assert {name.rpartition(".")[2] for name in hidden()} <= set(secrets)


def test_the_search_finds_what_it_looks_for(host, secrets, registry):
    """Each way of looking sees a secret that is shown, in the command line of a process as well."""
    shown = made_up("show")
    run = host.play("role.yml", {"abuse_role": shown}, secrets=[shown])
    assert run.code != 0 and run.shows(shown)
    key = json.dumps(private_key(secrets["ollama_identity"]))
    assert any(one.decode() in key for one in needles(secrets["ollama_identity"]))
    host.sh(f"nohup sh -c 'sleep 20; : {shown}' >/dev/null 2>&1 &")
    seen = host.play(
        "modules.yml", {"abuse_url": "http://127.0.0.1:9", "abuse_key": "x"}, "--tags=never", secrets=[shown]
    )
    assert seen.processes


def test_nothing_is_shown_before_and_while_it_is_made(host, secrets, declared, record_property):
    theirs = json.loads(host.sh("mkdir -p /etc/docker; cat /etc/docker/daemon.json 2>/dev/null || echo {}"))
    theirs.setdefault("proxies", {})["http-proxy"] = f"http://them:{secrets['host']}@127.0.0.1:9"
    host.sh("cat >/etc/docker/daemon.json", data=json.dumps(theirs).encode())
    said = 0
    for options in (["--check"], [], []):
        run = host.play("site.yml", declared, *ALOUD, *options, secrets=list(secrets.values()))
        check(run, secrets)
        assert run.code == 0, run.output[-3000:]
        said += len(run.output)
    assert "changed=0" in run.output
    record_property("searched", f"{said / 1e6:.1f} MB of output")


def test_the_host_keeps_them_where_they_belong(host, secrets, record_property):
    """Whatever holds a secret on the host is readable by its owner alone, and nothing but what has to holds one."""
    patterns = "\n".join(sorted({needle.decode() for secret in secrets.values() for needle in needles(secret)}))
    host.sh("cat >/run/abuse-needles; chmod 600 /run/abuse-needles", data=patterns.encode())
    journal = host.sh(
        "journalctl --no-pager --output=cat | grep --fixed-strings --file=/run/abuse-needles | cut -c1-200 || true"
    )
    assert journal == ""
    found = host.sh(
        "find / -xdev \\( -path /proc -o -path /sys -o -path /run/abuse-needles \\) -prune -o -type f -size -20M -print0"
        " | xargs -0 grep --files-with-matches --fixed-strings --no-messages --file=/run/abuse-needles || true"
    ).split()
    assert set(found) <= PLACES
    # Without these, nothing was planted
    assert secrets["host"] in host.sh("cat /etc/docker/daemon.json")
    assert {"/etc/docker/daemon.json", "/root/.docker/config.json", "/var/lib/ollama/.ollama/id_ed25519"} <= set(found)
    assert all(line.endswith(" 600") for line in host.sh(f"stat -c '%n %a' {' '.join(found)}").splitlines())
    inspected = host.sh("docker inspect $(docker ps -aq); docker exec ollama env")
    assert not any(needle.decode() in inspected for name in secrets for needle in needles(secrets[name]))
    host.sh("rm /run/abuse-needles")
    record_property("searched", f"{len(found)} files hold one, the journal none")


def test_modules_show_no_key(host, secrets, record_property):
    said = 0
    for url in ("http://127.0.0.1:11435", "http://127.0.0.1:9"):
        run = host.play(
            "modules.yml", {"abuse_url": url, "abuse_key": secrets["api_key"]}, *ALOUD, secrets=list(secrets.values())
        )
        check(run, secrets)
        assert run.code == 0 and "Print all" in run.output
        said += len(run.output)
    record_property("searched", f"{said / 1e6:.1f} MB of output")


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("login", "did not accept the login as ops"),
        ("login_type", "docker_registry_logins"),
        ("identity", "ollama_identity is not what the server reads"),
        ("identity_type", "ollama_identity"),
        ("proxy", "found one that is not"),
        ("daemon", "proxies"),
        ("mirror", "docker_registry_mirrors"),
        ("server_proxy", "ollama_https_proxy holds credentials"),
        ("url", "contains a user or password"),
        ("key", "api_key"),
        ("key_type", "api_key"),
    ],
)
def test_refusals_show_none(host, secrets, declared, case, words):
    wrong = secrets["wrong"]
    role, changes = {
        "login": ("docker", {"docker_registry_logins": [{"registry": REGISTRY, "username": "ops", "password": wrong}]}),
        "login_type": (
            "docker",
            {"docker_registry_logins": [{"registry": REGISTRY, "username": "ops", "password": {"a": wrong}}, wrong]},
        ),
        "identity": ("ollama", {"ollama_identity": f"-----BEGIN RSA PRIVATE KEY-----\n{wrong}\n"}),
        "identity_type": ("ollama", {"ollama_identity": {"a": [wrong]}}),
        "proxy": ("docker", {"docker_https_proxy": f"proxy:{wrong}@127.0.0.1"}),
        "daemon": (
            "docker",
            {"docker_https_proxy": "", "docker_daemon_config": {"proxies": f"http://u:{wrong}@127.0.0.1:9"}},
        ),
        "mirror": (
            "docker",
            {
                "docker_registry_mirrors": [
                    f"https://u:{wrong}@mirror.example.com",
                    f"https://m.example.com?token={wrong}",
                ]
            },
        ),
        "server_proxy": ("ollama", {"ollama_https_proxy": f"http://u:{wrong}@127.0.0.1:9"}),
        "url": ("ollama_models", {"ollama_models_url": f"http://u:{wrong}@127.0.0.1:11435"}),
        "key": ("ollama_models", {"ollama_models_api_key": f"{wrong}\n{wrong}"}),
        "key_type": ("ollama_models", {"ollama_models_api_key": {"a": [wrong]}}),
    }[case]
    run = host.play("role.yml", {**declared, **changes, "abuse_role": role}, *ALOUD, secrets=list(secrets.values()))
    check(run, secrets)
    # A key of another type becomes a text, of which a server without a gateway makes nothing
    assert (run.code != 0 or case == "key_type") and words in run.output, run.output[-3000:]
