# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fingerprints of repository keys; the expected ones were told by gpg."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.alchemorsel.ollama.plugins.filter.openpgp_fingerprints import openpgp_fingerprints
from ansible_collections.alchemorsel.ollama.plugins.module_utils._openpgp import KeyFormatError, fingerprints

# Made for this test with `gpg --quick-gen-key ... ed25519`
KEY = """-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawNqWxYJKwYBBAHaRw8BAQdA6o36oKgiAgaO5OoKiUeDHzx8tdisz+3cIq26
bxhpdBe0IUxhYiByZXBvc2l0b3J5IDxsYWJAZXhhbXBsZS50ZXN0PoiQBBMWCAA4
FiEEUE1EHGKpTune8Va1Rbx4b+NxMHkFAmsDalsCGwMFCwkIBwIGFQoJCAsCBBYC
AwECHgECF4AACgkQRbx4b+NxMHlEKQEApE//16lBTWmAZ68oOjpAIPZLgG5eYENZ
dB85FWjGT4kA/2SWXy3YdytE/NrB2RdwP1+xTFtnLReDDpvD/rxsxfsM
=ncD/
-----END PGP PUBLIC KEY BLOCK-----
"""
FINGERPRINT = "504D441C62A94EE9DEF156B545BC786FE3713079"


def test_fingerprint_is_the_one_that_gpg_tells():
    assert fingerprints(KEY) == [FINGERPRINT]


def test_every_key_is_told_whether_in_one_file_or_several_blocks():
    assert fingerprints(f"# a comment\n{KEY}\n{KEY}") == [FINGERPRINT, FINGERPRINT]


def test_armour_headers_are_no_part_of_the_key():
    assert fingerprints(KEY.replace("BLOCK-----\n", "BLOCK-----\nComment: a key\n", 1)) == [FINGERPRINT]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no armoured public key"),
        ("<html>404 Not Found</html>", "no armoured public key"),
        (KEY.replace("-----END", "-----"), "is missing"),
        (KEY.replace("mDME", "m*ME"), "damaged"),
        (KEY.replace("mDME", "ADME"), "no packet begins"),
        (KEY.replace("LRe", ""), "cut off|damaged"),
        ("\n".join(KEY.splitlines()[:3] + KEY.splitlines()[-1:]), "cut off|damaged"),
        (KEY.replace("mDMEaw", "mDMFaw"), "not of version 4"),
    ],
)
def test_what_is_no_key_is_refused(text, words):
    with pytest.raises(KeyFormatError, match=words):
        fingerprints(text)


def test_the_filter_gives_one_sentence():
    with pytest.raises(AnsibleFilterError, match="not an OpenPGP public key: it holds no armoured public key"):
        openpgp_fingerprints("nothing")
    with pytest.raises(AnsibleFilterError, match="wants armoured text, found int"):
        openpgp_fingerprints(3)
