# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""/api/embed and the older /api/embeddings, with canned vectors."""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web

from . import answers, canned, gotext
from .errors import ApiError
from .generation import Generator, parse_keep_alive
from .gotext import Float32

NO_EMBEDDINGS = "This server does not support embeddings. Start it with `--embeddings`"
TOO_LONG = "the input length exceeds the context length"


class Embeddings:
    """Handlers that answer with vectors."""

    def __init__(self, generator: Generator):
        self.generator = generator

    async def embed(self, request: web.Request) -> web.StreamResponse:
        body = await answers.read_json(request)
        keep_alive = parse_keep_alive(body)
        inputs = parse_input(body)
        started = time.monotonic_ns()
        vectors, tokens, loaded = await self.vectors(request, body, inputs, keep_alive)
        answer: dict[str, Any] = {"model": body.get("model", ""), "embeddings": vectors}
        if inputs:
            figures = {"total_duration": time.monotonic_ns() - started, "load_duration": loaded - started}
            answer |= figures | {"prompt_eval_count": tokens}
        return answers.json_answer(answer)

    async def old(self, request: web.Request) -> web.StreamResponse:
        body = await answers.read_json(request)
        prompt = answers.field(body, "prompt", str, "", "EmbeddingRequest")
        vectors, _tokens, _loaded = await self.vectors(
            request, body, [prompt] if prompt else [], parse_keep_alive(body)
        )
        return answers.json_answer({"embedding": [float(value) for value in vectors[0]] if vectors else []})

    async def vectors(
        self, request: web.Request, body: dict[str, Any], inputs: list[str], keep_alive: int | None
    ) -> tuple[list[list[Float32]], int, int]:
        """One vector for each input, the tokens of all, and the moment (monotonic ns) when the model was loaded."""
        given = answers.field(body, "model", str, "", "EmbedRequest")
        try:
            model = self.generator.find(given)
        except ApiError as error:
            if error.status == 404 and given:
                raise ApiError(404, f"model {gotext.quote(given)} not found, try pulling it first") from error
            raise
        runner = await answers.while_connected(request, self.generator.load(model, body, keep_alive))
        try:
            loaded = time.monotonic_ns()
            header = model.gguf()
            status = self.generator.settings.profile.embed_completion_status
            if inputs and status and not header.is_embedding:
                raise ApiError(status, NO_EMBEDDINGS)
            counts = [canned.count_tokens(text) for text in inputs]
            if body.get("truncate") is False and any(count > runner.context_length for count in counts):
                raise ApiError(400, TOO_LONG)
            size = header.embedding_length
            return [canned.embedding(text, size) for text in inputs], sum(counts), loaded
        finally:
            self.generator.scheduler.release(runner)


def parse_input(body: dict[str, Any]) -> list[str]:
    """The texts of `input`; raises ApiError 400."""
    value = body.get("input")
    if value is None or value == "":
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    raise ApiError(400, "invalid input type")
