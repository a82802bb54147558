# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""/v1/messages and /v1/responses: two more forms of the same generation, whole answers only."""

from __future__ import annotations

import random
import time
from typing import Any

from aiohttp import web

from . import answers
from .answers import JSON_BARE
from .errors import ApiError
from .generation import Generator, Outcome, prompt_of
from .openai import error_answer, joined


class MoreOpenAI:
    """Handlers of the two endpoints; streams are not recorded and so not offered."""

    def __init__(self, generator: Generator):
        self.generator = generator

    async def messages(self, request: web.Request) -> web.StreamResponse:
        try:
            body = await answers.read_json(request)
            text, outcome = await self._run(request, body, prompt_of(body.get("messages") or []), "max_tokens")
        except ApiError as error:
            kind = {400: "invalid_request_error", 404: "not_found_error"}.get(error.status, "api_error")
            failure = {"type": "error", "error": {"type": kind, "message": error.text}}
            return answers.json_answer(failure, error.status, JSON_BARE, newline=True)
        answer = {
            "id": f"msg_{random.getrandbits(96):024x}",
            "type": "message",
            "role": "assistant",
            "model": body.get("model", ""),
            "content": [{"type": "text", "text": text}],
            "stop_reason": "max_tokens" if outcome.reason == "length" else "end_turn",
            "usage": {"input_tokens": outcome.prompt_tokens, "output_tokens": outcome.tokens},
        }
        return answers.json_answer(answer, content_type=JSON_BARE, newline=True)

    async def responses(self, request: web.Request) -> web.StreamResponse:
        try:
            body = await answers.read_json(request)
            prompt = body.get("input") if isinstance(body.get("input"), str) else prompt_of(body.get("input") or [])
            created = int(time.time())
            text, outcome = await self._run(request, body, str(prompt), "max_output_tokens")
        except ApiError as error:
            return error_answer(error)
        answer = _response(body, created, text, outcome)
        return answers.json_answer(answer, content_type=JSON_BARE, newline=True)

    async def _run(self, request: web.Request, body: dict[str, Any], prompt: str, limit: str) -> tuple[str, Outcome]:
        given = str(body.get("model", ""))
        model = self.generator.find(given)
        self.generator.require(model, given, "chat")
        options = {"num_predict": body[limit]} if body.get(limit) is not None else {}
        runner = await answers.while_connected(request, self.generator.load(model, {"options": options}, None))
        outcome = Outcome()
        try:
            pieces = self.generator.run(runner, prompt, model.parameters | options, outcome)
            return await answers.while_connected(request, joined(pieces)), outcome
        finally:
            self.generator.scheduler.release(runner)


def _response(body: dict[str, Any], created: int, text: str, outcome: Outcome) -> dict[str, Any]:
    content = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    message = {
        "id": f"msg_{random.randrange(10**6):06d}",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [content],
    }
    usage = {
        "input_tokens": outcome.prompt_tokens,
        "output_tokens": outcome.tokens,
        "total_tokens": outcome.prompt_tokens + outcome.tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    return {
        "id": f"resp_{random.randrange(10**6):06d}",
        "object": "response",
        "created_at": created,
        "completed_at": int(time.time()),
        "status": "completed",
        "incomplete_details": None,
        "model": body.get("model", ""),
        "previous_response_id": None,
        "instructions": body.get("instructions"),
        "output": [message],
        "error": None,
        "tools": [],
        "tool_choice": "auto",
        "truncation": "disabled",
        "parallel_tool_calls": True,
        "text": {"format": {"type": "text"}},
        "top_p": body.get("top_p", 1),
        "presence_penalty": 0,
        "frequency_penalty": 0,
        "top_logprobs": 0,
        "temperature": body.get("temperature", 1),
        "reasoning": None,
        "usage": usage,
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": None,
        "store": False,
        "background": False,
        "service_tier": "default",
        "metadata": {},
        "safety_identifier": None,
        "prompt_cache_key": None,
    }
