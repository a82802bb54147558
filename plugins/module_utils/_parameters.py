# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parameters of a created model: which there are, and their values as the server has to get them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Callable, Union

#: A value as the server stores it.
Value = Union[int, float, bool, "list[str]"]

_INTEGER = re.compile(r"[+-]?[0-9]+")
_TRUE, _FALSE = ("true", "yes", "on"), ("false", "no", "off")


class Unfit(ValueError):
    """A value of another kind than the parameter's."""


def _integer(value: Any) -> int:
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value == value // 1:
        return int(value)
    raise Unfit


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise Unfit
    try:
        number = float(value)
    except ValueError as exc:
        raise Unfit from exc
    if not math.isfinite(number):
        raise Unfit
    return number


def _switch(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in (*_TRUE, *_FALSE):
        return value.strip().lower() in _TRUE
    raise Unfit


def _texts(value: Any) -> list[str]:
    """Return a list of texts; whole numbers are what Jinja makes of texts such as "42"."""
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, (str, int)) and not isinstance(item, bool) and item != "" for item in items):
        raise Unfit
    return [str(item) for item in items]


#: Kind of a parameter -> what is wanted in words, and the conversion.
KINDS: Mapping[str, tuple[str, Callable[[Any], Value]]] = {
    "int": ("a whole number", _integer),
    "float": ("a number", _number),
    "bool": ("true or false", _switch),
    "texts": ("a list of texts that are not empty", _texts),
}

#: All parameters that 0.24.0 and 0.32.15 know; the server stores others, too, and never uses them.
PARAMETERS: Mapping[str, str] = {
    "draft_num_predict": "int",  # 0.32 only
    "frequency_penalty": "float",
    "main_gpu": "int",
    "min_p": "float",
    "num_batch": "int",
    "num_ctx": "int",
    "num_gpu": "int",
    "num_keep": "int",
    "num_predict": "int",
    "num_thread": "int",
    "presence_penalty": "float",
    "repeat_last_n": "int",
    "repeat_penalty": "float",
    "seed": "int",
    "stop": "texts",
    "temperature": "float",
    "top_k": "int",
    "top_p": "float",
    "typical_p": "float",
    "use_mmap": "bool",
}


def convert(parameters: Mapping[str, Any], complaints: list[str]) -> dict[str, Value]:
    """Return parameters with the types that the server wants.

    :param parameters: values as YAML or Jinja gives them, so that numbers may be texts
    :param complaints: gets a sentence for everything that is wrong
    """
    converted: dict[str, Value] = {}
    for key, value in parameters.items():
        if key not in PARAMETERS:
            close = get_close_matches(str(key), PARAMETERS, 1)
            hint = f"'{close[0]}'" if close else f"one of {', '.join(PARAMETERS)}"
            complaints.append(f"parameter '{key}' is not known to Ollama; wanted {hint}")
            continue
        wanted, conversion = KINDS[PARAMETERS[key]]
        try:
            converted[key] = conversion(value)
        except (ValueError, OverflowError):
            # Unfit, or more digits than Python reads
            complaints.append(f"parameter '{key}' is {value!r}; wanted {wanted}, or leave it out")
    return converted
