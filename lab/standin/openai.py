# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""/v1/chat/completions, /v1/completions, /v1/embeddings and /v1/models: the same models in OpenAI's form."""

from __future__ import annotations

import base64
import random
import struct
import time
from collections.abc import AsyncGenerator
from typing import Any

from aiohttp import web

from . import answers, gotext, names, show
from .answers import JSON, JSON_BARE
from .embeddings import Embeddings, parse_input
from .errors import ApiError
from .generation import CLOUD_DISABLED, Generator, Outcome, prompt_of
from .library import Library
from .scheduler import Runner

EVENT_STREAM = "text/event-stream"
_OPTIONS = {
    "max_tokens": "num_predict",
    "seed": "seed",
    "temperature": "temperature",
    "top_p": "top_p",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}


def error_answer(error: ApiError, early: bool = False, chunked: bool = False) -> web.Response:
    """An error in OpenAI's form; `early` for those found before the model is looked at."""
    if error.text == CLOUD_DISABLED:
        return answers.error_answer(error)
    kind = {404: "not_found_error", 500: "api_error", 501: "api_error", 503: "api_error"}
    body = {"message": error.text, "type": kind.get(error.status, "invalid_request_error"), "param": None, "code": None}
    kind_of_json = JSON if early else JSON_BARE
    return answers.json_answer({"error": body}, error.status, kind_of_json, chunked=chunked, newline=not early)


def options_of(body: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's request fields as the server's own options."""
    return {option: body[key] for key, option in _OPTIONS.items() if body.get(key) is not None}


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + gotext.dump_json(data) + b"\n\n"


class OpenAI:
    """Handlers below /v1."""

    def __init__(self, generator: Generator, library: Library, embeddings: Embeddings):
        self.generator = generator
        self.library = library
        self.vectors = embeddings

    async def models(self, request: web.Request) -> web.StreamResponse:
        data = [_model_entry(entry.name.short, entry.name, entry.manifest.modified) for entry in self.library.models()]
        return answers.json_answer({"object": "list", "data": data or None}, content_type=JSON_BARE, newline=True)

    async def model(self, request: web.Request) -> web.StreamResponse:
        given = request.match_info["model"]
        name = names.parse_request(given).name
        label = name.short if name and not self.generator.settings.profile.missing_name_as_given else given
        try:
            model = show.find(self.generator.settings, self.generator.store, name, label)
        except ApiError as error:
            return error_answer(error)
        return answers.json_answer(
            _model_entry(given, model.name, model.manifest.modified), content_type=JSON_BARE, newline=True
        )

    async def chat(self, request: web.Request) -> web.StreamResponse:
        try:
            body = await answers.read_json(request, empty="EOF")
            messages = body.get("messages")
            if not isinstance(messages, list) or not messages:
                raise ApiError(400, "[] is too short - 'messages'")
        except ApiError as error:
            return error_answer(error, early=True)
        return await self._generate(request, body, prompt_of(messages), chat=True)

    async def completions(self, request: web.Request) -> web.StreamResponse:
        try:
            body = await answers.read_json(request, empty="EOF")
            prompt = answers.field(body, "prompt", str, "", "CompletionRequest")
        except ApiError as error:
            return error_answer(error, early=True)
        return await self._generate(request, body, prompt, chat=False)

    async def _generate(
        self, request: web.Request, body: dict[str, Any], prompt: str, chat: bool
    ) -> web.StreamResponse:
        runner: Runner | None = None
        stream = body.get("stream") is True
        try:
            given = str(body.get("model", ""))
            model = self.generator.find(given)
            self.generator.require(model, given, "chat" if chat else "generate")
            self.generator.require_tools(model, body if chat else {})
            options = options_of(body)
            runner = await answers.while_connected(request, self.generator.load(model, {"options": options}, None))
            form = _Form(given, chat, self.generator.settings.profile.v1_last_delta_full)
            outcome = Outcome()
            pieces = self.generator.run(runner, prompt, model.parameters | options, outcome)
            if stream:
                return await _stream(request, form, pieces, outcome)
            text = await answers.while_connected(request, joined(pieces))
            return answers.json_answer(form.whole(text, outcome), content_type=JSON_BARE, newline=True)
        except ApiError as error:
            return error_answer(error, chunked=stream and runner is not None)
        finally:
            if runner is not None:
                self.generator.scheduler.release(runner)

    async def embeddings(self, request: web.Request) -> web.StreamResponse:
        try:
            body = await answers.read_json(request, empty="EOF")
        except ApiError as error:
            return error_answer(error, early=True)
        try:
            vectors, tokens, _loaded = await self.vectors.vectors(request, body, parse_input(body), None)
        except ApiError as error:
            return error_answer(error)
        packed = body.get("encoding_format") == "base64"
        data = [
            {"object": "embedding", "embedding": _packed(vector) if packed else vector, "index": index}
            for index, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        answer = {"object": "list", "data": data, "model": body.get("model", ""), "usage": usage}
        return answers.json_answer(answer, content_type=JSON_BARE, newline=True)


class _Form:
    """The shape of one answer: chat or plain completion, whole or in chunks."""

    def __init__(self, model: str, chat: bool, last_delta_full: bool):
        self.model = model
        self.chat = chat
        self.last_delta_full = last_delta_full
        self.id = f"{'chatcmpl' if chat else 'cmpl'}-{random.randrange(1000)}"
        self.created = int(time.time())
        self.first = True

    def _around(self, kind: str, model: str, choice: dict[str, Any]) -> dict[str, Any]:
        head = {"id": self.id, "object": kind, "created": self.created}
        name = {"model": model, "system_fingerprint": "fp_ollama"}
        return head | (name | {"choices": [choice]} if self.chat else {"choices": [choice]} | name)

    def chunk(self, text: str) -> dict[str, Any]:
        if not self.chat:
            choice = {"text": text, "index": 0, "finish_reason": None}
            return self._around("text_completion", self.model, choice)
        delta = ({"role": "assistant"} if self.first or self.last_delta_full else {}) | {"content": text}
        self.first = False
        choice = {"index": 0, "delta": delta, "finish_reason": None}
        return self._around("chat.completion.chunk", self.model, choice)

    def last(self, reason: str) -> dict[str, Any]:
        if not self.chat:
            return self._around("text_completion", self.model, {"text": "", "index": 0, "finish_reason": reason})
        delta = {"role": "assistant", "content": ""} if self.last_delta_full else {}
        return self._around("chat.completion.chunk", self.model, {"index": 0, "delta": delta, "finish_reason": reason})

    def broken(self) -> dict[str, Any]:
        """What a stream ends with when the runner died: an empty chunk and no end mark."""
        if not self.chat:
            return self._around("text_completion", "", {"text": "", "index": 0, "finish_reason": None})
        choice = {"index": 0, "delta": {"content": ""}, "finish_reason": None}
        return self._around("chat.completion.chunk", "", choice)

    def whole(self, text: str, outcome: Outcome) -> dict[str, Any]:
        if self.chat:
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "message": message, "finish_reason": outcome.reason}
            answer = self._around("chat.completion", self.model, choice)
        else:
            choice = {"text": text, "index": 0, "finish_reason": outcome.reason}
            head = self._around("text_completion", self.model, choice)
            answer = {k: head[k] for k in ("id", "object", "created", "model", "system_fingerprint", "choices")}
        tokens = {"prompt_tokens": outcome.prompt_tokens, "completion_tokens": outcome.tokens}
        return answer | {"usage": tokens | {"total_tokens": outcome.prompt_tokens + outcome.tokens}}


async def joined(pieces: AsyncGenerator[str, None]) -> str:
    """All pieces as one text."""
    return "".join([piece async for piece in pieces])


async def _stream(
    request: web.Request, form: _Form, pieces: AsyncGenerator[str, None], outcome: Outcome
) -> web.StreamResponse:
    """Server-sent events; an error before the first token is raised, a later one is hidden in an empty chunk."""
    response: web.StreamResponse | None = None
    try:
        async for piece in pieces:
            if response is None:
                response = web.StreamResponse(headers={"Content-Type": EVENT_STREAM})
                response.enable_chunked_encoding()
                await response.prepare(request)
            await response.write(_event(form.chunk(piece)))
    except ApiError:
        if response is None:
            raise
        await response.write(_event(form.broken()))
    else:
        assert response is not None
        await response.write(_event(form.last(outcome.reason)) + b"data: [DONE]\n\n")
    await response.write_eof()
    return response


def _model_entry(shown: str, name: names.Name, modified: int) -> dict[str, Any]:
    return {"id": shown, "object": "model", "created": modified // gotext.SECOND, "owned_by": name.namespace}


def _packed(vector: list[gotext.Float32]) -> str:
    """A vector as base64 of little-endian 32-bit floats."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
