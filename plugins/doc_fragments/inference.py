# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options of a proven inference; kept in step with _health_options.inference_argument_spec by a test."""

    DOCUMENTATION = r"""
options:
  inference_models:
    description:
      - The models that must answer at O(level=inference).
      - If empty, one is chosen, a declared one that is loaded, else any that is loaded, else the smallest declared one,
        else the smallest there is; those that only embed come last.
    type: list
    elements: str
    default: []
  allow_load:
    description:
      - Whether a model may be loaded for the check while others are loaded, which can evict one of them.
      - Where no model is loaded, one is loaded in any case, and unloaded again.
      - Between the look at what is loaded and the load, another client may load a model; nothing can prevent that.
    type: bool
    default: false
  load_timeout:
    description:
      - Time limit for loading a model, in seconds. Large models from slow disks need minutes.
      - The server gives up a load whose client leaves, so a limit that is too short makes the load fail.
    type: float
    default: 300.0
  max_seconds:
    description:
      - Time limit for the answer of a loaded model, in seconds. The time of a load is not part of it.
    type: float
    default: 30.0
  max_first_token_seconds:
    description: Time limit for the first token of a loaded model, in seconds. Not judged if not given.
    type: float
  min_tokens_per_second:
    description: Rate that a model must reach by the server's own counters, in tokens per second. Not judged if not given.
    type: float
  min_context_length:
    description: Tokens of context that the model must be loaded with. Not judged if not given.
    type: int
  prompt:
    description:
      - What the models are asked, or embed. At most 4000 characters.
    type: str
    default: "Answer with one word: ready?"
  max_tokens:
    description:
      - Length of the answer, in tokens, from 1 to 512. A model that thinks before it answers uses them for that, too.
    type: int
    default: 16
  expect:
    description:
      - Regular expression (of Python) that must be found in the answer. What a model thinks before it is no part of it.
      - If given, the temperature is 0, so that the same model gives the same answer.
      - Not for models that only embed.
    type: str
"""
