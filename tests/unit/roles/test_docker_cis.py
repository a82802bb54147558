# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CIS points of the role docker: all of section 2, and each with a test that looks at its setting."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.alchemorsel.ollama.plugins.module_utils._daemon_keys import TYPES, type_problems

ROLE = "roles/docker/vars/main/cis.yml"


@pytest.fixture
def points(request):
    return yaml.safe_load((request.config.rootpath / ROLE).read_text())["_docker_cis"]


def test_no_point_of_the_section_is_missing(points):
    assert [point["cis"] for point in points] == [f"2.{number}" for number in range(1, 19)]


def test_each_point_names_a_test_that_looks_at_its_setting(points, request):
    for point in points:
        text = (request.config.rootpath / point["test"]).read_text()
        assert point["setting"] in text, point["cis"]


def test_settings_are_keys_that_dockerd_knows_with_values_of_their_type(points):
    for point in points:
        assert point["setting"] in TYPES
        for values in (point.get("merged", {}), point.get("checked", {})):
            assert values.keys() <= TYPES.keys()
            assert not type_problems(values)
