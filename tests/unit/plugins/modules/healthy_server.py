# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a healthy Ollama server answers to the requests of ollama_health; tests change single replies."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from scripted_server import Reply

DIGEST = "a" * 64
LLM = {"details": {}, "capabilities": ["completion"], "model_info": {"llama.context_length": 8192}}
BERT = {"details": {}, "capabilities": ["embedding"], "model_info": {}}
FINAL = {
    "model": "a",
    "response": "",
    "done": True,
    "eval_count": 4,
    "eval_duration": 2_000_000,
    "prompt_eval_count": 7,
}
ANSWER = Reply(lines=[{"model": "a", "response": "ready", "done": False}, FINAL])
LOADED = {"model": "a", "response": "", "done": True, "done_reason": "load"}


# Longer than any run of the tests, and not pinned
def ps_entry(name="a:latest", stays=9e6, **fields):
    until = (datetime.now(timezone.utc) + timedelta(seconds=stays)).isoformat()
    return {
        "name": name,
        "digest": DIGEST if name.startswith("a") else "b" * 64,
        "size": 100,
        "size_vram": 0,
        "expires_at": until,
        "context_length": 4096,
        **fields,
    }


def generate(body):
    """A load without a prompt, an answer with one."""
    return ANSWER if body.get("prompt") else LOADED


def replies(**changed):
    """A healthy server with two models, nothing loaded; `changed` by the last part of the path."""
    answers = {
        "version": {"version": "0.32.15"},
        "tags": {
            "models": [
                {"name": "a:latest", "digest": DIGEST, "size": 5},
                {"name": "b:1", "digest": "b" * 64, "size": 9},
            ]
        },
        "status": {"cloud": {"disabled": True, "source": "env"}},
        "show": LLM,
        "ps": [{"models": []}, {"models": [ps_entry()]}],
        "generate": generate,
    }
    return {f"/api/{name}": reply for name, reply in {**answers, **changed}.items()}
