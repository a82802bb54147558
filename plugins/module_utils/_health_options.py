# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of ollama_health -> the question that is put to a server. Knows no Ansible.

Documented in the doc fragments `inference` and `outside` and in the module.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _health as health
from ansible_collections.alchemorsel.ollama.plugins.module_utils._answers import is_loopback, wrong_seconds
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidInput
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import parse_name
from ansible_collections.alchemorsel.ollama.plugins.module_utils._outside import Places, check_places
from ansible_collections.alchemorsel.ollama.plugins.module_utils._probe import LEVELS, Question
from ansible_collections.alchemorsel.ollama.plugins.module_utils._run import MAX_TOKENS, PROMPT, RunLimits
from ansible_collections.alchemorsel.ollama.plugins.module_utils._versions import FLOOR, version_numbers
from ansible_collections.alchemorsel.ollama.plugins.module_utils._witness import WITNESSES

LONGEST_PROMPT = 4000
MOST_TOKENS = 512


def health_argument_spec() -> dict[str, dict[str, Any]]:
    """Return the options that say what must hold, but for inference."""
    return {
        "level": {"type": "str", "choices": list(LEVELS), "default": "ready"},
        "min_version": {"type": "str", "default": FLOOR},
        "min_certificate_days": {"type": "int", "default": 14},
        "models": {"type": "list", "elements": "raw", "default": []},
        "require_cloud_disabled": {"type": "bool", "default": False},
        "store_path": {"type": "path"},
        "min_free": {"type": "bytes", "default": "1G"},
        "wait_timeout": {"type": "float", "default": 0.0},
        "wait_sleep": {"type": "float", "default": 2.0},
    }


def inference_argument_spec() -> dict[str, dict[str, Any]]:
    """Return the options of a proven inference."""
    return {
        "inference_models": {"type": "list", "elements": "str", "default": []},
        "allow_load": {"type": "bool", "default": False},
        "load_timeout": {"type": "float", "default": 300.0},
        "max_seconds": {"type": "float", "default": 30.0},
        "max_first_token_seconds": {"type": "float", "no_log": False},
        "min_tokens_per_second": {"type": "float", "no_log": False},
        "min_context_length": {"type": "int"},
        "prompt": {"type": "str", "default": PROMPT},
        "max_tokens": {"type": "int", "default": MAX_TOKENS, "no_log": False},
        "expect": {"type": "str"},
    }


def outside_argument_spec() -> dict[str, dict[str, Any]]:
    """Return the options that name witnesses outside the server."""
    return {
        "gpu": {"type": "str", "choices": ["any", "required"], "default": "any"},
        "gpu_witness": {"type": "str", "choices": list(WITNESSES), "default": "auto"},
        "min_gpus": {"type": "int", "default": 0},
        "container": {"type": "str"},
        "log_path": {"type": "path"},
        "cgroup_path": {"type": "path"},
    }


def question_from_params(params: dict[str, Any]) -> Question:
    """Return the question; raises InvalidInput for options that cannot work."""
    _check_numbers(params)
    if not version_numbers(params["min_version"]):
        raise InvalidInput(f"min_version is '{params['min_version']}'; wanted a version such as {FLOOR}")
    return Question(
        level=params["level"],
        min_version=params["min_version"],
        min_certificate_days=params["min_certificate_days"],
        models=tuple(health.wanted_models(params["models"])),
        require_cloud_disabled=params["require_cloud_disabled"],
        store_path=params["store_path"],
        min_free=params["min_free"],
        inference_models=tuple(parse_name(name) for name in params["inference_models"]),
        allow_load=params["allow_load"],
        limits=RunLimits(
            load_timeout=params["load_timeout"],
            max_seconds=params["max_seconds"],
            max_first_token_seconds=params["max_first_token_seconds"],
            min_tokens_per_second=params["min_tokens_per_second"],
            min_context_length=params["min_context_length"],
            gpu_required=params["gpu"] == "required",
            prompt=_checked_prompt(params["prompt"]),
            max_tokens=params["max_tokens"],
            expect=_checked_expectation(params["expect"]),
        ),
        places=check_places(
            Places(
                container=params["container"],
                log_path=params["log_path"],
                cgroup_path=params["cgroup_path"],
                gpu_witness=params["gpu_witness"],
                min_gpus=params["min_gpus"],
                local=is_loopback(urlsplit(params["url"]).hostname),
            )
        ),
    )


def _check_numbers(params: dict[str, Any]) -> None:
    for option in ("load_timeout", "max_seconds", "max_first_token_seconds", "wait_sleep", "wait_timeout"):
        wanted = wrong_seconds(params[option], zero=option == "wait_timeout")
        if wanted:
            raise InvalidInput(f"{option} is {params[option]:g}; wanted {wanted}")
    if params["min_certificate_days"] < 0:
        raise InvalidInput(f"min_certificate_days is {params['min_certificate_days']}; wanted 0 or more")
    if not 1 <= params["max_tokens"] <= MOST_TOKENS:
        raise InvalidInput(f"max_tokens is {params['max_tokens']}; wanted 1 to {MOST_TOKENS}")


def _checked_prompt(prompt: str) -> str:
    if not prompt.strip():
        raise InvalidInput("prompt is empty, with which a server only loads the model; wanted a text")
    if len(prompt) > LONGEST_PROMPT:
        raise InvalidInput(f"prompt has {len(prompt)} characters; wanted at most {LONGEST_PROMPT}")
    return prompt


def _checked_expectation(expect: str | None) -> str | None:
    try:
        re.compile(expect or "")
    except re.error as exc:
        raise InvalidInput(
            f"expect is '{expect}', which is no regular expression: {exc}; wanted one of Python"
        ) from exc
    return expect
