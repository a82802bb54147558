# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Ollama writes into a failed pull, and the exception that it means."""

from __future__ import annotations

import re
from re import Pattern

from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import (
    HTTP_TO_HTTPS,
    DigestMismatch,
    DiskFull,
    NewerServerWanted,
    PullFailed,
    SourceBusy,
    SourceFailed,
    SourceNotFound,
    SourceRefused,
    SourceTLSFailure,
    SourceUnreachable,
    SourceUnusable,
)

#: What Ollama writes into a failed pull -> exception and remedy. The first match wins; texts as recorded on 0.24.0 and 0.32.15.
PULL_ERRORS: tuple[tuple[Pattern[str], type[PullFailed], str], ...] = (
    (
        re.compile(r"no space left on device"),
        DiskFull,
        "free space in the server's store or move it; what was fetched stays there for the next run",
    ),
    (
        re.compile(r"digest mismatch"),
        DigestMismatch,
        "the server removed this blob, but will trust others that came wrong with it; look for a proxy that alters or shortens "
        "answers, or for bad memory or disk, and when that is mended, have the model pulled, removed and pulled again",
    ),
    (
        re.compile(r"pull model manifest: (file does not exist|404)"),
        SourceNotFound,
        "check name and tag at the source",
    ),
    (
        re.compile(r"pull model manifest: 412"),
        NewerServerWanted,
        "update the server, or declare an older tag of the model",
    ),
    (
        re.compile(r"(^|: )429: "),
        SourceBusy,
        "the source limits the rate; run again later or use a mirror",
    ),
    (
        re.compile(r"(^|: )5\d\d: "),
        SourceFailed,
        "the source has trouble; run again later",
    ),
    (
        re.compile(rf"x509:|tls: |server gave HTTP response to HTTPS client|{HTTP_TO_HTTPS}"),
        SourceTLSFailure,
        "a registry with plain http belongs into insecure_registries, one with TLS does not; a private CA belongs into the trust store "
        "of the Ollama server",
    ),
    (
        re.compile(r"realm host|unauthorized|pull model manifest: 40[0-3]|^40[13]: "),
        SourceRefused,
        "the source wants a login that Ollama cannot give, or the model is gated; use a source that serves it openly",
    ),
    (
        re.compile(r"no Location header|unexpected status code 30\d|insecure protocol http"),
        SourceUnusable,
        "the registry answers blob requests without a Location header or with a redirect that Ollama does not follow; put a mirror before it",
    ),
    (
        re.compile(r"requires MLX"),
        SourceUnusable,
        "declare the GGUF variant of the model",
    ),
    (
        re.compile(r"dial tcp|no such host|connection refused|i/o timeout|connection reset|network is unreachable"),
        SourceUnreachable,
        "check that the Ollama server's machine reaches the source (DNS, firewall, HTTPS_PROXY of the server)",
    ),
    (
        re.compile(
            r"^max retries exceeded: (EOF|unexpected EOF)$|^(EOF|unexpected EOF)$|-partial-\d+: (no such file|is a directory)"
            r"|^invalid character |jsonBlobDownloadPart"
        ),
        PullFailed,
        "the source sends less than it announces, or what an earlier pull left in the server's store can never be completed; with store_path "
        "this is seen and mended; else remove the files sha256-...-partial* from blobs in its model directory while nothing is pulled",
    ),
    (
        re.compile(r"file does not exist"),
        SourceUnusable,
        "the source serves the manifest but not all of its blobs; it has to be repaired there",
    ),
)


def pull_error(model: str, text: str, *, url: str | None = None, http_status: int | None = None) -> PullFailed:
    """Return the exception that fits the error text of a pull.

    :param model: name of the model as shown to people
    :param text: the server's own words
    """
    fitting = ((kind, remedy) for pattern, kind, remedy in PULL_ERRORS if pattern.search(text))
    kind, remedy = next(fitting, (PullFailed, "run again; the download continues where it stopped"))
    return kind(f"pull of {model} failed: {text} ({remedy})", url=url, http_status=http_status, error=text)
