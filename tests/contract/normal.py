# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is not compared between a recorded and a live answer, and why. Everything else must be equal.

1. Names of the run: the registry's address, the port without a listener, the store's path and the resolver's address are put
   back to the neutral ones of the recordings; so are digests of blobs that had to be made anew (`World.stands_for`).
2. Times: any moment becomes TIME, one that means "for ever" FOREVER; durations become DURATION but must be positive numbers.
3. Generated text becomes TEXT, and token counts of inputs COUNT: the stand-in has no tokenizer and no model. The number of
   generated tokens is compared. Lines with generated text that follow each other count as one. Tokens need not make a
   text: one of a model with random weights can be half a character.
4. Vectors become VECTOR but must consist of numbers; `context` becomes TOKENS.
5. `size` in ps is the memory of an inference process: SIZE.
6. Random numbers in ids: `chatcmpl-351` becomes `chatcmpl-N`.
7. Progress lines of one blob count as one, without `completed`: their number is a matter of time. Version 0.32.15 writes
   none for a new blob that takes less than 60 ms: lines of new blobs below 1 MB are left out there, on both sides.
8. Digests whose value depends on what the stand-in does not do (quantizing) are `unknown` in the case and become DIGEST.
9. Parameters in show come in random order: their lines are sorted. Entries of `/v1/models` likewise (all of one second).
10. Recordings are cut at long lists (`body_trimmed`): tensors are compared as far as they are recorded, in any order.
11. Content-Length is compared where no rule above changed the body.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_RANDOM_ID = re.compile(r"^(chatcmpl|cmpl|msg|resp)[-_][0-9a-f]+$")
_COUNTS = ("prompt_eval_count", "prompt_tokens", "input_tokens", "total_tokens")
_TEXTS = ("response", "content", "text")
_MOMENTS = ("created", "created_at", "completed_at")
_SMALL = 1_000_000


def _vector(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, (int, float)) for item in value)


def _scalar(key: str, value: Any, generated: bool) -> Any:
    """One value by rules 2 to 6."""
    if key in _MOMENTS and isinstance(value, int) and value > 10**9:
        return "TIME"
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        return "FOREVER" if value[:4] > "2200" else "TIME"
    if key.endswith("_duration") and isinstance(value, int) and value > 0:
        return "DURATION"
    if key in _COUNTS and isinstance(value, int) and value > 0:
        return "COUNT"
    if key == "id" and isinstance(value, str) and _RANDOM_ID.match(value):
        return _RANDOM_ID.sub(r"\1-N", value)
    if generated and key in _TEXTS and isinstance(value, str) and value:
        return "TEXT"
    if key == "embedding" and isinstance(value, str):
        return "VECTOR"
    return value


def value_of(value: Any, key: str = "", generated: bool = False) -> Any:
    """A JSON value by rules 2 to 6."""
    if key in ("embedding", "context") and _vector(value):
        return "TOKENS" if key == "context" else "VECTOR"
    if key == "embeddings" and isinstance(value, list):
        return ["VECTOR" if _vector(item) else item for item in value]
    if isinstance(value, dict):
        data = {name: value_of(item, name, generated) for name, item in value.items()}
        if generated and value.get("eval_count") and value.get("response") == "":
            data["response"] = "TEXT"
        return data | {"size": "SIZE"} if "size_vram" in data else data
    if isinstance(value, list):
        return [value_of(item, key, generated) for item in value]
    return _scalar(key, value, generated)


def all_digests(text: str) -> set[str]:
    """Every digest in a text."""
    return set(_DIGEST.findall(text))


def digests_of(text: str, known: set[str], unknown: set[str]) -> str:
    """Rule 8: digests that are declared unknown, and live ones that no recording has, become DIGEST."""

    def one(match: re.Match[str]) -> str:
        digest = match.group()
        return digest if digest in known and digest not in unknown else "DIGEST"

    return _DIGEST.sub(one, text) if unknown else text


def _is_token(line: dict[str, Any]) -> bool:
    return line.get("done") is False


def lines_of(lines: Iterable[dict[str, Any]], drop: set[str], generated: bool) -> list[dict[str, Any]]:
    """The lines of a stream by rules 3 and 7; `drop` holds digests whose progress is left out."""
    result: list[dict[str, Any]] = []
    for line in lines:
        if line.get("digest") in drop and line.get("status", "").startswith("pulling "):
            continue
        line = value_of({k: v for k, v in line.items() if k != "completed"}, generated=generated)
        if _is_token(line):
            line = value_of(line | ({"response": "x"} if "response" in line else {}), generated=generated)
            if "message" in line:
                line["message"]["content"] = "TEXT"
        if result and result[-1] == line and ("digest" in line or _is_token(line)):
            continue
        result.append(line)
    return result


def small_new_blobs(lines: Iterable[dict[str, Any]], present: set[str] | None) -> set[str]:
    """Rule 7: digests of small blobs that were new.

    `present` are the digests in the store beforehand; None for a recording, where one line with all bytes tells the same.
    """
    seen: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        if "digest" in line and line.get("total", 0) < _SMALL:
            seen.setdefault(line["digest"], []).append(line)
    if present is not None:
        return set(seen) - present
    return {d for d, run in seen.items() if len(run) > 1 or run[0].get("completed") != run[0].get("total")}


def events_of(text: str) -> list[Any]:
    """The events of a text/event-stream, `[DONE]` as text."""
    data = [block.removeprefix("data: ") for block in text.split("\n\n") if block]
    events = [item if item == "[DONE]" else value_of(json.loads(item), generated=True) for item in data]
    result: list[Any] = []
    for event in events:
        if not (result and _is_piece(event) and event == result[-1]):
            result.append(event)
    return result


def _is_piece(event: Any) -> bool:
    return isinstance(event, dict) and event["choices"][0]["finish_reason"] is None


def body_of(body: Any, generated: bool) -> Any:
    """A whole JSON body by all rules but 1 and 8."""
    data = value_of(body, generated=generated)
    if isinstance(data, dict):
        for key in ("parameters", "modelfile"):
            if isinstance(data.get(key), str):
                data[key] = sorted(data[key].split("\n"))
        if data.get("object") == "list" and isinstance(data.get("data"), list):
            data["data"].sort(key=lambda entry: str(entry.get("id", entry.get("index"))))
    return data


def trim_like(live: Any, recorded: Any) -> Any:
    """Rule 10: the live body with as many tensors as the recorded one."""
    if isinstance(live, dict) and isinstance(recorded, dict) and "tensors" in recorded:
        wanted = [tensor["name"] for tensor in recorded["tensors"]]
        by_name = {tensor["name"]: tensor for tensor in live.get("tensors", [])}
        return live | {"tensors": [by_name.get(name, f"no tensor {name}") for name in wanted]}
    return live
