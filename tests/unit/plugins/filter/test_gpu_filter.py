# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.alchemorsel.ollama.plugins.filter.gpu_request import FilterModule

gpu_request = FilterModule().filters()["gpu_request"]
NOTHING = {"device_requests": [], "devices": [], "groups": [], "count": 0, "complaints": []}


def test_plain_data_comes_back():
    info = {"vendor": "nvidia", "cdi_devices": ["nvidia.com/gpu=0"]}
    wanted = [{"driver": "cdi", "count": 0, "device_ids": ["nvidia.com/gpu=0"]}]
    assert gpu_request(info, "auto", [0]) == {**NOTHING, "device_requests": wanted, "count": 1}
    assert gpu_request({}) == NOTHING


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["text"], "what gpu_info returned is to be a mapping, found str"),
        ([{}, "auto", "0"], "devices is to be a list, found str"),
        ([{}, "auto", [], "", "text"], "container is to be a mapping, found str"),
    ],
)
def test_a_wrong_type_is_named(arguments, words):
    with pytest.raises(AnsibleFilterError, match=words):
        gpu_request(*arguments)
