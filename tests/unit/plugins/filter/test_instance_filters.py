# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role ollama asks of its variables and of a host."""

from __future__ import annotations

import base64
import struct

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.alchemorsel.ollama.plugins.filter.loaded_models import loaded_models
from ansible_collections.alchemorsel.ollama.plugins.filter.ssh_public_key import ssh_public_key
from ansible_collections.alchemorsel.ollama.plugins.filter.subnet_conflicts import subnet_conflicts
from hypothesis import given
from hypothesis import strategies as st


def test_models_that_stay_in_memory():
    models = [
        {"name": "llama3.3:70b", "loaded": True},
        {"name": "phi3"},
        {"name": "Qwen2.5", "keep_alive": "-1"},
        {"name": "hf.co/org/repo:Q4_K_M", "keep_alive": -1, "loaded": True},
        {"name": "mistral", "loaded": False},
        {"name": "gemma3", "keep_alive": 0},
        {"name": "gone", "state": "absent", "loaded": True},
        {"name": "odd", "keep_alive": "5m"},
        {"name": "two words", "loaded": True},
    ]
    assert loaded_models(models) == ["llama3.3:70b", "Qwen2.5:latest", "hf.co/org/repo:Q4_K_M"]
    assert loaded_models([]) == []


@pytest.mark.parametrize("models", ["llama3.2", ["llama3.2"], None, [{"loaded": True}]])
def test_what_is_no_list_of_models_is_named(models):
    with pytest.raises(AnsibleFilterError, match="loaded_models wants a list of dictionaries with a name"):
        loaded_models(models)


ROUTES = [
    "default via 192.0.2.1 dev eth0",
    "10.0.0.0/8 via 192.0.2.9 dev eth0 proto static",
    "172.17.0.0/16 dev docker0 proto kernel scope link src 172.17.0.1 linkdown ",
    "192.0.2.0/24 dev eth0 proto kernel scope link src 192.0.2.2",
    "198.51.100.7 dev tun0",
    "blackhole 203.0.113.0/24",
    "",
]


@pytest.mark.parametrize(
    ("subnet", "words"),
    [
        ("172.30.0.0/24", []),
        ("172.17.5.0/24", ["172.17.0.0/16 dev docker0"]),
        ("10.1.0.0/16", ["10.0.0.0/8 via 192.0.2.9 dev eth0"]),
        ("198.51.100.0/24", ["198.51.100.7 dev tun0"]),
        ("203.0.113.0/25", ["blackhole 203.0.113.0/24"]),
        ("0.0.0.0/1", ["10.0.0.0/8 via"]),
        ("172.16.0.0/12", ["172.17.0.0/16 dev docker0"]),
    ],
)
def test_overlap_is_named_with_the_route(subnet, words):
    found = subnet_conflicts(subnet, ROUTES)
    assert len(found) == len(words)
    for text, word in zip(found, words):
        assert text.startswith(f"overlaps with the route {word}")


@pytest.mark.parametrize(
    ("subnet", "words"),
    [("172.30.0.1/24", "host bits set"), ("fd00::/64", "no IPv4 subnet"), ("172.30.0.0/30", "room for 1 containers")],
)
def test_what_is_no_subnet_is_told(subnet, words):
    found = subnet_conflicts(subnet, ROUTES)
    assert len(found) == 1
    assert words in found[0]


@given(st.integers(0, 2**32 - 1), st.integers(1, 29), st.integers(0, 2**32 - 1), st.integers(1, 32))
def test_overlap_is_mutual_containment(one, one_length, other, other_length):
    mask = min(one_length, other_length)
    expected = one >> (32 - mask) == other >> (32 - mask)
    subnet, route = text(one, one_length), text(other, other_length)
    assert bool(subnet_conflicts(subnet, [f"{route} dev eth1"])) is expected


def text(number: int, length: int) -> str:
    number = number >> (32 - length) << (32 - length)
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0)) + f"/{length}"


def fields(*parts: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def private_key(kind=b"ssh-ed25519", cipher=b"none", public=bytes(range(32)), secret=b"x" * 32, keys=1) -> str:
    """A key as ssh-keygen lays it out; what is random there is fixed here."""
    inner = b"12341234" + fields(kind, public, secret + public, b"comment") + b"\1\2\3"
    blob = fields(kind, public)
    body = b"openssh-key-v1\0" + fields(cipher, b"none", b"") + struct.pack(">I", keys) + fields(blob, inner)
    lines = base64.encodebytes(body).decode().strip()
    return f"-----BEGIN OPENSSH PRIVATE KEY-----\n{lines}\n-----END OPENSSH PRIVATE KEY-----\n"


def test_public_key_of_a_private_one():
    expected = "ssh-ed25519 " + base64.b64encode(fields(b"ssh-ed25519", bytes(range(32)))).decode()
    assert ssh_public_key(private_key()) == expected
    assert ssh_public_key("\n  " + private_key().replace("\n", "\r\n")) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh-ed25519 AAAA",
        private_key(kind=b"ssh-rsa"),
        private_key(cipher=b"aes256-ctr"),
        private_key(keys=2),
        private_key(public=b"short"),
        private_key().replace("OPENSSH", "RSA"),
        private_key()[:120],
        "-----BEGIN OPENSSH PRIVATE KEY-----\n???\n-----END OPENSSH PRIVATE KEY-----",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END OPENSSH PRIVATE KEY-----",
    ],
)
def test_anything_else_is_no_key(text):
    assert ssh_public_key(text) == ""
