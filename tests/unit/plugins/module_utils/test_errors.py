# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each way a pull fails, in the words that servers were recorded with, has its exception."""

from __future__ import annotations

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._pull_errors import pull_error
from ansible_collections.alchemorsel.ollama.plugins.module_utils._versions import check_floor, parse_version

MANIFEST = "pull model manifest: "
TEXTS = {
    MANIFEST + "file does not exist": (errors.SourceNotFound, False),
    MANIFEST + 'realm host "" does not match original host "127.0.0.1:5000"': (errors.SourceRefused, False),
    MANIFEST + "unauthorized: access denied": (errors.SourceRefused, False),
    MANIFEST + "400: bad": (errors.SourceRefused, False),
    MANIFEST + "403: ": (errors.SourceRefused, False),
    MANIFEST + '412: {"errors":[{"message":"requires a newer version of Ollama"}]}': (errors.NewerServerWanted, False),
    MANIFEST + "429: slow down": (errors.SourceBusy, True),
    MANIFEST + "405: no": (errors.PullFailed, True),
    "429: ": (errors.SourceBusy, True),
    "401: ": (errors.SourceRefused, False),
    "403: denied": (errors.SourceRefused, False),
    MANIFEST + "500: oops": (errors.SourceFailed, True),
    MANIFEST + "503: ": (errors.SourceFailed, True),
    "500: ": (errors.SourceFailed, True),
    MANIFEST + 'Get "https://h/v2/x": dial tcp 127.0.0.1:5999: connect: connection refused': (
        errors.SourceUnreachable,
        True,
    ),
    MANIFEST + 'Get "https://h/v2/x": dial tcp: lookup h on 192.0.2.53:53: no such host': (
        errors.SourceUnreachable,
        True,
    ),
    MANIFEST + 'Get "https://h/v2/x": tls: first record does not look like a TLS handshake': (
        errors.SourceTLSFailure,
        False,
    ),
    MANIFEST + 'Get "https://h/v2/x": x509: certificate signed by unknown authority': (errors.SourceTLSFailure, False),
    MANIFEST + 'Get "https://h/v2/x": http: server gave HTTP response to HTTPS client': (
        errors.SourceTLSFailure,
        False,
    ),
    MANIFEST + "400: <html>The plain HTTP request was sent to HTTPS port</html>": (errors.SourceTLSFailure, False),
    MANIFEST + "400: Client sent an HTTP request to an HTTPS server.\n": (errors.SourceTLSFailure, False),
    MANIFEST + 'Get "http://h/v2/x": EOF': (errors.PullFailed, True),
    MANIFEST + "unexpected end of JSON input": (errors.PullFailed, True),
    "file does not exist": (errors.SourceUnusable, False),
    "http: no Location header in response": (errors.SourceUnusable, False),
    "unexpected status code 302": (errors.SourceUnusable, False),
    "this model requires MLX support, but the MLX runtime is not available": (errors.SourceUnusable, False),
    "max retries exceeded: EOF": (errors.PullFailed, True),
    "context deadline exceeded": (errors.PullFailed, True),
    "digest mismatch, file must be downloaded again: want sha256:1, got sha256:2": (errors.DigestMismatch, True),
    "write /m/blobs/sha256-1-partial: no space left on device": (errors.DiskFull, False),
}


@pytest.mark.parametrize("text", TEXTS)
def test_pull_error(text):
    failure = pull_error("tiny:1b", text, url="http://s/api/pull", http_status=200)
    assert (type(failure), failure.retry) == TEXTS[text]
    result = failure.as_result()
    assert result["error"] == text
    assert result["msg"].startswith(f"pull of tiny:1b failed: {text} (")
    assert (result["url"], result["http_status"]) == ("http://s/api/pull", 200)
    assert result["error_kind"] == TEXTS[text][0].__name__


def test_result_has_no_empty_keys():
    assert errors.InvalidName("bad").as_result() == {"msg": "bad", "error_kind": "InvalidName"}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("0.32.15", (0, 32, 15)), ("v0.17.1", (0, 17, 1)), ("0.33.0-rc2", (0, 33, 0)), ("0.0.0", None), ("main", None)],
)
def test_versions(text, numbers):
    assert parse_version(text) == numbers


def test_the_floor():
    assert check_floor("0.17.1", "u") is None
    assert check_floor("0.100.0", "u") is None
    assert "unknown" in str(check_floor("0.0.0", "u"))
    assert "CVE-2026-7482" in str(check_floor("0.17.0", "u", allow_vulnerable=True))
    with pytest.raises(errors.OldServer, match="version 0.9.6, below 0.17.1.*allow_vulnerable_version"):
        check_floor("0.9.6", "u")
