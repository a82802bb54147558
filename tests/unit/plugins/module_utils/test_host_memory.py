# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What may be in memory at once, with plain values."""

from __future__ import annotations

import pytest
from ansible_collections.alchemorsel.ollama.plugins.filter.memory_verdict import memory_verdict
from ansible_collections.alchemorsel.ollama.plugins.module_utils._host_memory import default_context, sized

GIB = 1 << 30
LINES = [
    f"{5 * GIB} aa registry.ollama.ai/library/llama3.1/8b",
    f"{5 * GIB} aa registry.ollama.ai/library/assistant/latest",
    f"{4 * GIB} bb registry.ollama.ai/library/Qwen2.5/7b",
    f"{1 * GIB} - registry.example:5000/team/small/latest",
    f"{40 * GIB} cc registry.ollama.ai/library/llama3.3/70b",
]
DECLARED = [
    {"name": "llama3.1:8b"},
    {"name": "assistant"},
    {"name": "qwen2.5:7b"},
    {"name": "registry.example:5000/team/small"},
]


def test_declared_models_are_counted_once_for_their_weights():
    found = sized(LINES, [*DECLARED, {"name": "missing"}, {"name": "llama3.3:70b", "state": "absent"}, {"name": "a b"}])
    assert [(model.name, model.bytes) for model in found] == [
        ("llama3.1:8b", 5 * GIB),
        ("qwen2.5:7b", 4 * GIB),
        ("registry.example:5000/team/small:latest", GIB),
    ]


@pytest.mark.parametrize(
    ("limit", "at_once", "cache", "complaint", "warning"),
    [
        (12 * GIB, 2, 1024, "", ""),
        (11 * GIB, 2, 1024, "", ""),
        (
            11 * GIB - 1,
            2,
            1024,
            "",
            "contexts of unknown size) + 2 x 1.0 GiB of prompt cache are 11.0 GiB",
        ),
        (11 * GIB - 1, 2, 0, "", ""),
        (11 * GIB - 1, 1, 1024, "", ""),
        (12 * GIB, 3, 1024, "", "3 x 1.0 GiB of prompt cache are 13.0 GiB"),
        (6 * GIB, 1, 1024, "", ""),
        (6 * GIB - 1, 1, 1024, "", "limit of 6.0 GiB: llama3.1:8b 5.0 GiB (and contexts of unknown size) + 1 x 1.0"),
        (5 * GIB, 1, 0, "", ""),
        (5 * GIB - 1, 1, 0, "the limit is 5.0 GiB, less than the files of llama3.1:8b 5.0 GiB, so", ""),
        (3 * GIB, 2, 1024, "less than the files of llama3.1:8b 5.0 GiB, qwen2.5:7b 4.0 GiB, so", ""),
    ],
)
def test_verdict(limit, at_once, cache, complaint, warning):
    found = memory_verdict(LINES, DECLARED, limit, at_once, cache)
    assert complaint in found["complaint"]
    assert warning in found["warning"]
    assert (bool(found["complaint"]), bool(found["warning"])) == (bool(complaint), bool(warning))


@pytest.mark.parametrize(
    ("options", "figures"),
    [
        # Llama 3.1 8B has 32 layers with 8 heads of 128 numbers, for keys and for values: 128 KiB a token in f16
        ({}, "llama3.1:8b 5.0 GiB and 0.5 GiB for 1 x 4096 tokens + 1 x 1.0 GiB of prompt cache are 6.5 GiB"),
        (
            {"parallel": 4, "context": 16384},
            "and 8.0 GiB for 4 x 16384 tokens + 1 x 1.0 GiB of prompt cache are 14.0 GiB",
        ),
        ({"context": 1000000}, "and 16.0 GiB for 1 x 131072 tokens"),
        ({"parallel": 4, "context": 16384, "kv_cache_type": "q8_0"}, "and 4.2 GiB for 4 x 16384 tokens"),
        ({"parallel": 4, "context": 16384, "kv_cache_type": "q4_0"}, "and 2.2 GiB for 4 x 16384 tokens"),
    ],
)
def test_contexts_are_counted(options, figures):
    shapes = [f"aa {32 * 8 * (128 + 128)} 131072", "bb 1 0"]
    assert figures in memory_verdict(LINES, DECLARED, 64 * GIB, 1, 1024, shapes=shapes, **options)["figures"]


def test_contexts_can_be_what_does_not_fit():
    shapes = [f"aa {32 * 8 * (128 + 128)} 131072"]
    assert memory_verdict(LINES, DECLARED, 8 * GIB, 1, 1024, shapes=shapes)["warning"] == ""
    found = memory_verdict(LINES, DECLARED, 8 * GIB, 1, 1024, shapes=shapes, context=32768)
    assert "does not fit into the limit of 8.0 GiB: llama3.1:8b 5.0 GiB and 4.0 GiB for 1 x 32768" in found["warning"]


def test_nothing_known_is_nothing_said():
    assert memory_verdict([], DECLARED, 1, 2, 1024) == {"complaint": "", "warning": "", "figures": ""}


@pytest.mark.parametrize(
    ("sizes", "context"),
    [
        ([], None),
        ([None], None),
        ([81559, None], None),
        ([8192], 4096),
        ([24564], 32768),
        ([16384, 8192], 32768),
        ([81559], 262144),
        ([24564, 24564], 262144),
    ],
)
def test_context_that_the_server_takes(sizes, context):
    assert default_context([{"memory_mib": size} for size in sizes]) == context
