# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names, digests and addresses: whatever is written there is understood or refused, leads nowhere outside of the store, and shows no secret."""

from __future__ import annotations

import os
import string

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import guard_name, hold_name, new_name
from ansible_collections.alchemorsel.ollama.plugins.module_utils._answers import can_be_sent, check_url, is_loopback
from ansible_collections.alchemorsel.ollama.plugins.module_utils._lock import lock_name
from ansible_collections.alchemorsel.ollama.plugins.module_utils._mirror import parse_mirror
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import (
    is_digest,
    matches,
    parse_digest,
    parse_listed,
    parse_name,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._registry import Registry
from ansible_collections.alchemorsel.ollama.plugins.module_utils._store import blob_path, read_model
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.strategies import can_be_shown, json_strings, texts

STORE = "/var/lib/ollama/models"
PARTS = st.lists(st.sampled_from([*"/:@.-_", "a", "B", "7", "..", "http://", "h:1", "x" * 80]), max_size=9).map("".join)
#: What may stand where a key or a password stands; letters that no other part of an address has.
SECRETS = st.text(string.ascii_uppercase + "%!$'\"`{}<>;,/|~", min_size=3, max_size=12).map(lambda text: f"S{text}S")


def inside(path, root=STORE):
    """Tell whether a path lies below a directory, whatever dots and slashes are in it."""
    return os.path.normpath(path) == path and path.startswith(root + "/") and "\0" not in path


@given(texts | PARTS)
def test_a_name_is_understood_or_refused_and_stays_inside_of_the_store(text):
    for parse in (parse_name, parse_listed):
        try:
            name = parse(text)
        except errors.InvalidName as exc:
            assert can_be_shown(exc.as_result())
            continue
        for one in (name, guard_name(name), new_name(name), hold_name(name)):
            assert inside("/".join((STORE, "manifests", one.host, one.namespace, one.model, one.tag)))
        assert parse_listed(name.short) == name


@given(json_strings)
def test_a_servers_name_of_a_model_opens_no_file_outside_of_the_store(text):
    try:
        name = parse_listed(text)
    except errors.InvalidName:
        return
    try:
        assert read_model("/nowhere", name) is None
    except errors.InvalidInput as exc:
        # The name is longer than a file's name can be
        assert "/nowhere" in exc.message


@given(texts | st.text("0123456789abcdefABCDEF", min_size=60, max_size=68).map("sha256:".__add__))
@example("sha256:" + "../" * 21 + "a")
def test_a_digest_is_one_or_refused_and_its_blob_lies_in_the_store(text):
    try:
        digest = parse_digest(text)
    except errors.InvalidDigest:
        assert not is_digest(text)
        return
    assert is_digest(digest) and inside(blob_path(STORE, digest))


@given(texts, st.lists(texts | PARTS, max_size=3))
def test_any_pattern_covers_a_name_or_does_not(text, patterns):
    name = parse_listed("team/a:7")
    assert matches(name, [*patterns, text]) in (True, False)
    assert matches(name, [*patterns, "TEAM/*"])


@given(texts | PARTS)
def test_a_registry_is_taken_or_refused(text):
    try:
        mirror = parse_mirror(text)
        Registry([text], mirror=mirror)
    except errors.InvalidInput as exc:
        assert can_be_shown(exc.as_result())
        return
    assert mirror is None or parse_name(f"{mirror}/library/a").host == mirror


@given(texts | st.builds("{}://{}{}".format, st.sampled_from(["http", "https", "ftp", ""]), PARTS, texts))
def test_an_address_is_taken_or_refused(text):
    try:
        url = check_url(text)
    except errors.InvalidInput as exc:
        assert can_be_shown(exc.as_result())
        return
    assert url.startswith(("http://", "https://")) and not url.endswith("/")
    assert len(lock_name(url)) < 60


@given(
    st.sampled_from(
        ["http://{}@host:1", "http://user:{}@host", "//user:{}@[::1", "user:{}@host:1", "http://host:x/?key={}"]
    )
    | st.sampled_from(
        ["http://host:1?key={}", "host:1/?api_key={}", "http://host:x?{}", "http://[::1?{}", "ftp://h?key={}"]
    )
    | st.sampled_from(["http://host/#{}", "http:///?{}", "?{}", "http://host:99999/?key={}", "http://host:1/ ?key={}"]),
    SECRETS,
)
def test_what_stands_where_passwords_stand_is_never_shown(form, secret):
    try:
        check_url(form.format(secret))
    except errors.InvalidInput as exc:
        assert secret not in exc.message
        assert secret not in repr(exc.as_result())
        return
    # A secret with a slash may have been read as a part of the path
    assert "@" not in form or "/" in secret


@given(json_strings)
def test_whether_a_host_is_this_one_can_be_told(text):
    assert is_loopback(text) in (True, False)


@given(json_strings)
def test_a_key_that_can_be_sent_is_a_header(text):
    if can_be_sent(text):
        assert text.isascii() and "\n" not in text and "\r" not in text
