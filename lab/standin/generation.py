# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generating text: what /api/generate, /api/chat and /v1 have in common, and the first two of these."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from . import answers, canned, gguf, gotext, names, show
from .errors import ApiError, HandlerDied, model_not_found
from .scheduler import Runner, RunnerDied, Scheduler
from .settings import Settings
from .store import Store

_BROKEN = "an error was encountered while running the model: unexpected EOF"
CLOUD_DISABLED = "ollama cloud is disabled: remote model is unavailable"


@dataclass
class Outcome:
    """The figures of a finished generation; durations in nanoseconds."""

    reason: str = "stop"
    prompt_tokens: int = 0
    tokens: int = 0
    started: int = field(default_factory=time.monotonic_ns)
    loaded: int = 0
    first: int = 0

    def figures(self) -> dict[str, int]:
        now = time.monotonic_ns()
        data = {
            "total_duration": now - self.started,
            "load_duration": self.loaded - self.started,
            "prompt_eval_count": self.prompt_tokens,
            "prompt_eval_duration": max(1, self.first - self.loaded),
            "eval_count": self.tokens,
            "eval_duration": max(1, now - self.first),
        }
        return {key: value for key, value in data.items() if value}


def parse_keep_alive(body: dict[str, Any], default: int | None = None) -> int | None:
    """keep_alive in nanoseconds, None where it is not given; raises ApiError 400."""
    value = body.get("keep_alive")
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        kind = {bool: "bool", list: "[]interface {}"}.get(type(value), "map[string]interface {}")
        raise ApiError(400, f"Unsupported type: '{kind}'")
    if isinstance(value, str):
        try:
            duration = gotext.parse_duration(value)
        except gotext.DurationError as error:
            raise ApiError(400, str(error)) from error
    else:
        duration = int(value * gotext.SECOND)
    return gotext.MAX_DURATION if duration < 0 else duration


class Generator:
    """Finds, loads and runs a model."""

    def __init__(self, settings: Settings, store: Store, scheduler: Scheduler):
        self.settings = settings
        self.store = store
        self.scheduler = scheduler

    def find(self, given: str) -> show.StoredModel:
        """The model of a request; raises ApiError 403 for a cloud name, 404 where there is none."""
        wanted = names.parse_request(given)
        if wanted.source == "cloud":
            raise ApiError(403, CLOUD_DISABLED)
        if wanted.name is None:
            raise model_not_found(given)
        return show.find(self.settings, self.store, wanted.name, given)

    def require(self, model: show.StoredModel, given: str, purpose: str) -> None:
        """Raises ApiError 400 where the model does not generate text."""
        try:
            model.gguf()
        except OSError:
            pass  # weights that are gone: a model without capabilities
        except gguf.GGUFError as error:
            if self.settings.profile.dies_on_bad_gguf:
                raise HandlerDied(str(error)) from error
        if "completion" not in model.capabilities():
            raise ApiError(400, f"{gotext.quote(given)} does not support {purpose}")

    def require_tools(self, model: show.StoredModel, body: dict[str, Any]) -> None:
        """Raises ApiError 400 where a request brings tools and the model cannot use them."""
        if body.get("tools") and "tools" not in model.capabilities():
            raise ApiError(400, f"{model.name.full} does not support tools")

    async def load(self, model: show.StoredModel, body: dict[str, Any], keep_alive: int | None) -> Runner:
        options = model.parameters | (body.get("options") or {})
        return await self.scheduler.acquire(model, options, keep_alive)

    async def run(
        self, runner: Runner, prompt: str, options: dict[str, Any], outcome: Outcome
    ) -> AsyncGenerator[str, None]:
        """The canned tokens, each after it went through the runner; `outcome` is filled in meanwhile."""
        limit = options.get("num_predict", -1)
        pieces, outcome.reason = canned.tokens(int(limit) if limit is not None else -1)
        outcome.prompt_tokens = canned.count_tokens(prompt)
        outcome.loaded = time.monotonic_ns()
        async with runner.lock:
            for piece in pieces:
                try:
                    await runner.work(self.settings.token_seconds)
                    await runner.echo(piece)
                except RunnerDied as error:
                    self.scheduler.unload(runner)
                    early = self.settings.profile.killed_before_first_token
                    raise ApiError(500, _BROKEN if outcome.tokens else early) from error
                outcome.first = outcome.first or time.monotonic_ns()
                outcome.tokens += 1
                yield piece


def prompt_of(messages: list[Any]) -> str:
    """What all messages say, in one text."""
    return " ".join(str(message.get("content", "")) for message in messages if isinstance(message, dict))


class Native:
    """Handlers of /api/generate, /api/chat and /api/ps."""

    def __init__(self, generator: Generator):
        self.generator = generator
        self.scheduler = generator.scheduler

    async def ps(self, request: web.Request) -> web.StreamResponse:
        await self.scheduler.ask_runners()
        return answers.json_answer({"models": self.scheduler.listing()})

    async def generate(self, request: web.Request) -> web.StreamResponse:
        body = await answers.read_json(request)
        prompt = answers.field(body, "prompt", str, "", "GenerateRequest")
        return await self._answer(request, body, prompt, chat=False)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = await answers.read_json(request)
        messages = answers.field(body, "messages", list, [], "ChatRequest")
        return await self._answer(request, body, prompt_of(messages), chat=True)

    async def _answer(self, request: web.Request, body: dict[str, Any], prompt: str, chat: bool) -> web.StreamResponse:
        struct = "ChatRequest" if chat else "GenerateRequest"
        given = answers.field(body, "model", str, "", struct)
        stream = answers.field(body, "stream", bool, True, struct)
        keep_alive = parse_keep_alive(body)
        if chat and not given:
            raise ApiError(400, "model is required")
        model = self.generator.find(given)
        wants_text = bool(body.get("messages")) if chat else bool(prompt)
        if not wants_text and keep_alive == 0:
            self.scheduler.expire(model)
            return answers.json_answer(_chunk(given, "", chat) | {"done": True, "done_reason": "unload"})
        self.generator.require(model, given, "chat" if chat else "generate")
        self.generator.require_tools(model, body if chat else {})
        outcome = Outcome()
        runner = await answers.while_connected(request, self.generator.load(model, body, keep_alive))
        try:
            if not wants_text:
                return answers.json_answer(_chunk(given, "", chat) | {"done": True, "done_reason": "load"})
            lines = self._lines(runner, body, prompt, chat, outcome)
            if stream:
                return await answers.stream_answer(request, lines, True)
            whole = await answers.while_connected(request, _join(lines, chat))
            return answers.json_answer(whole)
        finally:
            self.scheduler.release(runner)

    async def _lines(
        self, runner: Runner, body: dict[str, Any], prompt: str, chat: bool, outcome: Outcome
    ) -> AsyncGenerator[dict[str, Any], None]:
        given = body["model"]
        options = runner.model.parameters | (body.get("options") or {})
        text = ""
        async for piece in self.generator.run(runner, prompt, options, outcome):
            text += piece
            yield _chunk(given, piece, chat) | {"done": False}
        context = {} if chat else {"context": canned.context(prompt + text)}
        yield _chunk(given, "", chat) | {"done": True, "done_reason": outcome.reason} | context | outcome.figures()


async def _join(lines: AsyncGenerator[dict[str, Any], None], chat: bool) -> dict[str, Any]:
    """All lines of a stream as one answer."""
    text = ""
    last: dict[str, Any] = {}
    async for line in lines:
        text += line["message"]["content"] if chat else line["response"]
        last = line
    return last | ({"message": {"role": "assistant", "content": text}} if chat else {"response": text})


def _chunk(given: str, text: str, chat: bool) -> dict[str, Any]:
    content: dict[str, Any] = {"message": {"role": "assistant", "content": text}} if chat else {"response": text}
    return {"model": given, "created_at": gotext.timestamp()} | content
