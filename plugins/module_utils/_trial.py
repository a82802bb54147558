# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets models answer and leaves the server's memory as it was. What that tells is judged in `_run.py` and `_witness.py`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _inference as inference
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _run as run
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _witness as witness
from ansible_collections.alchemorsel.ollama.plugins.module_utils._client import OllamaClient
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName
from ansible_collections.alchemorsel.ollama.plugins.module_utils._outside import Host
from ansible_collections.alchemorsel.ollama.plugins.module_utils._sockets import Patience
from ansible_collections.alchemorsel.ollama.plugins.module_utils._verdicts import Check, Number

#: The list of loaded models comes at once, but where a runner hangs (0.32: 19.5 to 30 s). More is not waited for.
LIST_SECONDS = 10.0
#: What is kept of an answer, in characters.
_MAX_TEXT = 64 * 1024


def list_loaded(client: OllamaClient) -> list[dict[str, Any]]:
    """Return the loaded models; raises ServerTimeout soon where a runner hangs."""
    return client.ps(min(client.timeout, LIST_SECONDS))


@dataclass
class Answer:
    """What arrived of an answer; filled while it arrives, so that it tells how far a broken one came."""

    pieces: int = 0
    length: int = 0
    text: str = ""
    first_after: float | None = None
    started: float = 0.0
    #: seconds that a load took which nobody expected: the model was listed as loaded, its process had died
    reloaded_in: float | None = None
    seconds: float = 0.0
    final: dict[str, Any] = field(default_factory=dict)


class Trial:
    """The run of one model.

    :param tags: the server's models
    :param about: what show says of the model
    :param host: where to ask witnesses outside the server
    """

    def __init__(
        self,
        client: OllamaClient,
        name: ModelName,
        tags: list[dict[str, Any]],
        about: dict[str, Any],
        version: str,
        limits: run.RunLimits,
        host: Host,
    ) -> None:
        self.client = client
        self.name = name
        self.model = name.short
        self.tags = tags
        self.about = about
        self.version = version
        self.limits = limits
        self.host = host
        self.embeds = inference.is_embedding_only(about)
        self._loaded: list[dict[str, Any]] = []
        self._loading = False

    def carry_out(
        self, allow_load: bool, loaded: list[dict[str, Any]] | None = None
    ) -> tuple[list[Check], run.Measurement | None]:
        """Load the model if it is not loaded, let it answer, and leave memory as it was.

        :param loaded: what ps just said, None to ask anew: others use the server too
        """
        try:
            self._loaded = list_loaded(self.client) if loaded is None else loaded
        except errors.OllamaError as error:
            return [run.failed_list(error)], None
        now = datetime.now(timezone.utc)
        entry = self._entry()
        if entry is not None and inference.is_staying(entry, now):
            return self._answer(entry, inference.keep_alive(entry, now), None)
        others = [one for one in self._loaded if one is not entry and inference.is_staying(one, now)]
        if others and not allow_load:
            return [inference.evicts(self.model, others)], None
        started = time.monotonic()
        try:
            load = self.client.embed if self.embeds else self.client.generate
            load(self.model, timeout=self.limits.load_timeout)
        except errors.OllamaError as error:
            return [run.failed_load(error, self.model, self.limits.load_timeout)], None
        load_seconds = time.monotonic() - started
        try:
            self._loaded = list_loaded(self.client)
        except errors.OllamaError as error:
            return [run.failed_list(error)], None
        entry = self._entry()
        # Where others were loaded and this one does not show, it may run in the process of one of them: that one stays.
        stay = None if entry is None and others else 0
        return self._answer(entry, stay, load_seconds)

    def _entry(self) -> dict[str, Any] | None:
        return inference.find_loaded(self.name, self.tags, self._loaded)

    def _answer(
        self, entry: dict[str, Any] | None, stay: Number | None, load_seconds: float | None
    ) -> tuple[list[Check], run.Measurement | None]:
        """Let the model answer, `stay` being the keep_alive to send (None: none)."""
        claim = witness.Claim(
            self.model,
            (entry or {}).get("size"),
            (entry or {}).get("size_vram", 0) if entry else None,
            sum(one.get("size_vram") or 0 for one in self._loaded),
        )
        wanted = self.host.places.gpu_witness
        # Before the answer, after which the model may be gone.
        needed = witness.is_wanted(claim, wanted, self.limits.gpu_required)
        account = self.host.gpu_account() if needed else None
        fields: dict[str, Any] = {} if stay is None else {"keep_alive": stay}
        options: dict[str, Any] = {**inference.runner_options(entry, self.about, self.version)}
        answer = Answer()
        try:
            if self.embeds:
                self._embed(answer, {**fields, "input": self.limits.prompt, "options": options})
            else:
                options["num_predict"] = self.limits.max_tokens
                if self.limits.expect is not None:
                    options["temperature"] = 0
                self._generate(answer, {**fields, "prompt": self.limits.prompt, "options": options})
        except errors.OllamaError as error:
            if self._loading:
                return [run.failed_load(error, self.model, self.limits.load_timeout)], None
            return [run.failed_answer(error, self.model, self.limits.max_seconds, answer.pieces)], None
        measured = run.without_reload(self._measure(answer, entry or {}, claim, load_seconds))
        checks = run.judge_run(measured, self.limits, answer.text)
        checks += witness.judge_gpu(claim, self.limits.gpu_required, account, wanted)
        return checks, measured

    def _measure(
        self, answer: Answer, entry: dict[str, Any], claim: witness.Claim, load_seconds: float | None
    ) -> run.Measurement:
        tokens = run.count(answer.final, "eval_count")
        return run.Measurement(
            model=self.model,
            kind="embed" if self.embeds else "generate",
            was_loaded=load_seconds is None and answer.reloaded_in is None,
            seconds=answer.seconds,
            load_seconds=answer.reloaded_in if load_seconds is None else load_seconds,
            seconds_to_first_token=answer.first_after,
            tokens=tokens,
            tokens_per_second=run.per_second(tokens, run.count(answer.final, "eval_duration")),
            prompt_tokens=run.count(answer.final, "prompt_eval_count"),
            answer_length=answer.length,
            durations=run.durations(answer.final),
            size=claim.size,
            size_vram=claim.size_vram,
            context_length=entry.get("context_length"),
        )

    def _generate(self, answer: Answer, fields: dict[str, Any]) -> None:
        """Let the model write a few tokens."""
        for line in self._lines(answer, "/api/generate", "done", {**fields, "stream": True}):
            text = str(line.get("response") or "")
            # A model that thinks writes its first tokens there.
            both = text + str(line.get("thinking") or "")
            if both:
                answer.pieces += 1
                answer.length += len(both)
                answer.text = (answer.text + text)[:_MAX_TEXT]
                # The first token of a model that had to be loaded came with the end of the load.
                if answer.first_after is None and answer.reloaded_in is None:
                    answer.first_after = time.monotonic() - answer.started
            if line.get("done"):
                answer.final = line
        answer.seconds = time.monotonic() - answer.started

    def _embed(self, answer: Answer, fields: dict[str, Any]) -> None:
        """Let the model embed the prompt: an answer of one line."""
        for line in self._lines(answer, "/api/embed", "embeddings", fields):
            answer.final = line
        answer.seconds = time.monotonic() - answer.started
        vectors = answer.final.get("embeddings")
        first = vectors[0] if isinstance(vectors, list) and vectors else None
        answer.pieces, answer.length = 1, len(first) if isinstance(first, list) else 0

    def _lines(self, answer: Answer, path: str, last: str, fields: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Ask the model and yield its lines, the one that has `last` being the last.

        They must come within the limit altogether, a load that nobody expected apart.
        """
        limit = self.limits.max_seconds
        answer.started = time.monotonic()
        patience = Patience(limit, self._while_it_loads, limit + self.limits.load_timeout)
        body = {"model": self.model, **fields}
        with self.client.stream(
            path, body, done=lambda line: bool(line.get(last)), timeout=limit, patience=patience
        ) as stream:
            if self._loading:
                self._loading = False
                answer.reloaded_in = time.monotonic() - answer.started
                answer.started = time.monotonic()
            stream.limit(answer.started + limit - time.monotonic())
            yield from stream

    def _while_it_loads(self) -> float | None:
        """Return how long to wait further for a model that gives no answer: only while it is being loaded.

        ps goes on listing a model whose process was killed; the next request loads it again, and would abort that by
        leaving. While it loads, ps does not list it.
        """
        if self._loading:
            return None
        try:
            loaded = list_loaded(self.client.twin(self.client.timeout))
        except errors.OllamaError:
            return None
        self._loading = inference.find_loaded(self.name, self.tags, loaded) is None
        return self.limits.load_timeout - self.limits.max_seconds if self._loading else None
