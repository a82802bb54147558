# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every verdict of ollama_health with its meaning and remedy, and the check that carries one. No I/O, no imports of ours.

The documentation page is made from this table, and a failed check takes its remedy from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

OK, FAILED, SKIPPED, WARNING = "ok", "failed", "skipped", "warning"
HEALTHY = "healthy"
Number = Union[int, float]
Value = Union[int, float, str, bool, None]


@dataclass(frozen=True)
class Verdict:
    """One way to be ill. `final`: time alone does not cure it, so `wait_timeout` ends at once."""

    word: str
    level: str
    meaning: str
    remedy: str
    final: bool = False


_TABLE = (
    Verdict(
        "unreachable",
        "live",
        "No TCP connection can be made.",
        "check that the Ollama server runs and that url names its address",
    ),
    Verdict(
        "tls_failure",
        "live",
        "The TLS handshake failed, or the certificate is not trusted or has expired.",
        "give the CA's certificate in ca_path, or check scheme and port of url",
        final=True,
    ),
    Verdict(
        "no_answer",
        "live",
        "The connection is taken, but no answer comes, it breaks off, or a gateway finds no server behind it.",
        "the server may be starting (it looks for GPUs first) or hang; wait, or read its log",
    ),
    Verdict("not_ollama", "live", "Something answers, but not an Ollama server.", "check url"),
    Verdict(
        "refused",
        "live",
        "The server, or a gateway before it, refuses the request (401, 403). An Ollama server on loopback refuses host names "
        "that it does not know, with an empty body.",
        "use 127.0.0.1 or localhost in url; check api_key and client_cert",
        final=True,
    ),
    Verdict(
        "old_version",
        "live",
        "The server is older than min_version.",
        "upgrade the server, or lower min_version if its known holes are acceptable here",
        final=True,
    ),
    Verdict(
        "gpu_not_found",
        "live",
        "The server found fewer GPUs at its start than min_gpus.",
        "read the reasons of gpu_info and the server's log ('GPU discovery'); then restart the server",
    ),
    Verdict(
        "certificate_expiring",
        "live",
        "The server's certificate ends within min_certificate_days, or has ended and is not verified.",
        "renew the certificate of the server or of the gateway before it",
        final=True,
    ),
    Verdict(
        "low_space",
        "ready",
        "Less than min_free is free in store_path.",
        "remove models, or enlarge the file system",
        final=True,
    ),
    Verdict(
        "cloud_on",
        "ready",
        "The server offers cloud models, whose prompts leave the host.",
        "start the server with OLLAMA_NO_CLOUD=1",
        final=True,
    ),
    Verdict("model_missing", "ready", "A declared model is not on the server.", "pull it with ollama_model"),
    Verdict(
        "wrong_digest",
        "ready",
        "A declared model has another digest than declared.",
        "run ollama_model with this digest, or update the declared digest",
    ),
    Verdict("model_broken", "ready", "A model is listed, but its files are missing or damaged.", "pull it again"),
    Verdict(
        "busy",
        "inference",
        "The server has more requests than it queues (503, 429). It lives.",
        "try again later, or raise OLLAMA_MAX_QUEUE",
    ),
    Verdict(
        "not_loaded",
        "inference",
        "The model is not loaded, and to load it could evict another one.",
        "set allow_load: true, or prove a model that is loaded",
        final=True,
    ),
    Verdict(
        "loading",
        "inference",
        "The model was not loaded within load_timeout. It may still be on its way.",
        "raise load_timeout (a client that leaves aborts the load), or see whether another load hangs",
    ),
    Verdict(
        "out_of_memory",
        "inference",
        "The kernel killed a process of the server for memory during the check (cgroup). It may have served another model.",
        "raise the memory limit, or keep less in memory: fewer or smaller models, shorter contexts, less LLAMA_ARG_CACHE_RAM",
    ),
    Verdict(
        "runner_failed",
        "inference",
        "The process that holds the model died.",
        "look for an out-of-memory kill (kernel log; name container or cgroup_path to have it looked for) "
        "and at memory and pids limits",
    ),
    Verdict(
        "hung",
        "inference",
        "A loaded model gives no token, or the server does not tell which models are loaded. The server itself never notices.",
        "its runner hangs or others wait before it; if that stays, restart the server",
    ),
    Verdict(
        "slow",
        "inference",
        "A limit of time or rate is not kept.",
        "see whether the model is on the GPU and what else loads the host, or change the limit",
    ),
    Verdict(
        "empty_answer",
        "inference",
        "The model ended its answer without a word.",
        "try the model by hand; if it stays silent, pull or create it again",
    ),
    Verdict(
        "unexpected_answer",
        "inference",
        "The answer does not match expect.",
        "try prompt and model by hand; a model that thinks first needs more max_tokens",
    ),
    Verdict(
        "short_context",
        "inference",
        "The model is loaded with fewer tokens of context than min_context_length.",
        "set OLLAMA_CONTEXT_LENGTH or the model's num_ctx; no model has more context than it was trained for",
        final=True,
    ),
    Verdict(
        "on_cpu",
        "inference",
        "The model runs on the CPU, and gpu is required.",
        "read the reasons of gpu_info; if the GPU vanished from the container, recreate it",
        final=True,
    ),
    Verdict(
        "gpu_lost",
        "inference",
        "The server and a witness outside it disagree whether the model is on a GPU.",
        "recreate the container or restart the server; then read the reasons of gpu_info",
        final=True,
    ),
    Verdict(
        "gpu_unproven",
        "inference",
        "The witness that gpu_witness names cannot tell whether the model is on a GPU.",
        "run the module on the server's host, with rights to ask it, or choose another gpu_witness",
        final=True,
    ),
    Verdict(
        "bad_answer",
        "any",
        "The server answers with an error of its own, or with something that cannot be read.",
        "read the server's log",
    ),
)

VERDICTS = {verdict.word: verdict for verdict in _TABLE}
FINAL_VERDICTS = tuple(verdict.word for verdict in _TABLE if verdict.final)


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `verdict` is the word for its failure; `value` and `threshold` are in `unit`."""

    name: str
    status: str
    reason: str
    target: str | None = None
    verdict: str | None = None
    value: Value = None
    threshold: Value = None
    unit: str | None = None
    remedy: str | None = None


def failed(
    name: str,
    verdict: str,
    reason: str,
    target: str | None = None,
    value: Value = None,
    threshold: Value = None,
    unit: str | None = None,
    remedy: str | None = None,
) -> Check:
    """Return a failed check; without a remedy of its own it gets the verdict's."""
    remedy = remedy or VERDICTS[verdict].remedy
    return Check(name, FAILED, reason, target, verdict, value, threshold, unit, remedy)
