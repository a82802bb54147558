# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests, stores, files of weights and the files that runs leave: any bytes are understood or refused, and lead nowhere outside."""

from __future__ import annotations

import io
import json
import os
import tempfile
from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _takeover as takeover
from ansible_collections.alchemorsel.ollama.plugins.module_utils._broken import faults_of
from ansible_collections.alchemorsel.ollama.plugins.module_utils._certificate import check_certificate
from ansible_collections.alchemorsel.ollama.plugins.module_utils._gguf import check_header
from ansible_collections.alchemorsel.ollama.plugins.module_utils._lock import parse_holder
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import is_digest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._preflight import no_room
from ansible_collections.alchemorsel.ollama.plugins.module_utils._record import parse_entries
from ansible_collections.alchemorsel.ollama.plugins.module_utils._registry import read_manifest, read_retry_after
from ansible_collections.alchemorsel.ollama.plugins.module_utils._store import blob_path, parse_manifest, read_contents
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.strategies import EDGES, bent_json, can_be_shown, texts
from tests.unit.gguf_files import ARCHITECTURE, STRING, TENSOR, header

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
MANIFEST = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "config": {"digest": A, "size": 5, "mediaType": "application/vnd.docker.container.image.v1+json"},
    "layers": [{"digest": B, "size": 7, "mediaType": "application/vnd.ollama.image.model"}],
}
URL = "http://127.0.0.1:11435"
MADE = {"digest": A, "how": "gguf", "source": B, "recipe": {"system": "x"}}
RECORD = {
    "format": 1,
    "url": URL,
    "files": {"/srv/a.gguf": {"identity": [1, 2, 3, 4, 5], "digest": A}},
    "made": {"registry.ollama.ai/library/a:latest": MADE},
}
OUTSIDE = [
    "sha256:" + "../" * 20 + "etc",
    "sha256-../../x",
    "/etc/passwd",
    "sha256:" + "A" * 64,
    "sha256:" + "a" * 63 + "\n",
]
#: Parts of paths that a file system can hold, and that no name of a model has.
FILES = st.sampled_from(
    [*(edge for edge in EDGES if edge and "/" not in edge and "\0" not in edge and edge != ".."), "x"]
)
WHOLE = header([ARCHITECTURE, ("general.name", STRING, "n"), ("t", 9, (STRING, ["a", "b"]))], [TENSOR]) + b"\0" * 64


@given(
    bent_json(MANIFEST)
    | st.sampled_from(OUTSIDE).map(lambda text: json.dumps({**MANIFEST, "layers": [{"digest": text}]}).encode())
)
@example(json.dumps({**MANIFEST, "layers": [{"digest": B, "size": 10**400}]}).encode())
def test_any_bytes_are_a_manifest_or_none_and_name_blobs_in_the_store_only(body):
    try:
        manifest = read_manifest(body)
    except ValueError:
        pass
    else:
        assert all(map(is_digest, [manifest.digest, *manifest.digests, *manifest.blobs]))
        assert manifest.size >= 0
        assert can_be_shown(no_room([], "/x", manifest.size, 0))
        f"{manifest.size / 1e9:.1f}"
    try:
        blobs = parse_manifest(body)
    except ValueError as exc:
        assert can_be_shown(str(exc))
    else:
        assert all(os.path.dirname(os.path.normpath(blob_path("/s", digest))) == "/s/blobs" for digest in blobs)
        f"{sum(blobs.values()) / 1e9:.1f}"


@given(st.lists(st.tuples(st.lists(FILES, min_size=1, max_size=5), bent_json(MANIFEST)), max_size=4))
def test_whatever_lies_in_a_store_is_read_and_taken_over_from_inside_only(files):
    with tempfile.TemporaryDirectory() as folder:
        outside = Path(folder, "outside")
        outside.mkdir()
        outside.joinpath("x").write_bytes(json.dumps(MANIFEST).encode())
        root = Path(folder, "models")
        for part in ("manifests", "blobs"):
            root.joinpath(part).mkdir(parents=True)
        root.joinpath("blobs", A.replace(":", "-")).write_bytes(b"12345")
        for parts, body in files:
            place = root.joinpath("manifests", *(part.encode()[:80].decode("utf-8", "ignore") or "x" for part in parts))
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(body)
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                continue
        source = read_contents(str(root))
        assert can_be_shown([str(fault) for fault in faults_of(source).values()])
        wanted = takeover.plan(source, read_contents(str(outside)))
        assert can_be_shown(list(wanted.warnings))
        for model in wanted.models:
            assert os.path.realpath(model.path).startswith(str(root.joinpath("manifests").resolve()) + "/")
        assert all(is_digest(blob) for blob in wanted.blobs)


@st.composite
def damaged(draw, data):
    """Some bytes, with bytes in them changed, put in, left out, or cut off."""
    out = bytearray(data)
    for _turn in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(out)))
        put = draw(st.binary(max_size=8) | st.sampled_from([b"\xff" * 8, b"\0" * 8, b"\0\0\0\0\0\0\0\x7f"]))
        out[at : at + draw(st.integers(0, 8))] = put
    return bytes(out[: draw(st.integers(0, len(out)))] if draw(st.booleans()) else out)


@given(damaged(WHOLE), st.integers(0, 1 << 50))
def test_any_file_is_one_of_weights_or_refused(data, size):
    for claimed in (len(data), size):
        try:
            found = check_header(io.BytesIO(data), claimed)
        except errors.UnusableFile as exc:
            assert can_be_shown(exc.as_result())
        else:
            assert found.architecture and found.tensors > 0


@given(bent_json(RECORD))
def test_whatever_a_record_says(body):
    entries = parse_entries(body, URL)
    assert all(is_digest(item.digest) for item in (*entries.files.values(), *entries.made.values()))


@given(bent_json({"pid": 7, "since": 1.5, "working": True}), st.floats(0, 4e9))
@example(b'{"pid": 1, "since": -1e308, "working": true}', 0.0)
def test_whatever_a_lock_file_says(body, now):
    holder = parse_holder(body.decode("utf-8", "replace"))
    assert holder is None or can_be_shown(f"{holder.pid}, which {holder.age(now)}")


@given(texts)
def test_whatever_a_source_says_of_waiting(text):
    seconds = read_retry_after(text, 1.7e9)
    assert seconds is None or 0 <= seconds < 1e13


@given(
    damaged(
        bytes.fromhex("3030302ea003020102020101300506032b6570300030") + b"\x1e\x17\r260101000000Z\x17\r270101000000Z"
    )
)
def test_whatever_is_shown_as_a_certificate(der):
    check = check_certificate(der, datetime(2026, 11, 26, tzinfo=timezone.utc), 14)
    assert check.status in ("ok", "failed", "skipped") and can_be_shown(check.reason)
