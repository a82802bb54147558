# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/hardening.md has a command for each point that counts, and the shell reads it as one; molecule/default runs them."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
RULES = yaml.safe_load((ROOT / "roles/ollama/vars/hardening.yml").read_text(encoding="utf-8"))["ollama_hardening_rules"]
CHECKS = yaml.safe_load((ROOT / "roles/ollama/vars/hardening_checks.yml").read_text(encoding="utf-8"))[
    "ollama_hardening_checks"
]
COMMANDS = re.findall(r"^docker inspect .+$", (ROOT / "docs/hardening.md").read_text(encoding="utf-8"), re.MULTILINE)


def test_each_point_that_counts_has_one_check_with_its_cost():
    assert [check["id"] for check in CHECKS] == [rule["id"] for rule in RULES if rule.get("counted", True)]
    for check in CHECKS:
        assert ("holds" in check) != ("falls" in check)
        assert check["costs"].endswith(".")


def test_the_page_has_the_commands_in_the_order_of_the_points():
    assert len(COMMANDS) == len(CHECKS)
    for command, check in zip(COMMANDS, CHECKS):
        words = shlex.split(command)
        assert words[:4] == ["docker", "inspect", "--format", f"{{{{json {check['look']}}}}}"]
        assert words[4:7] == ["ollama", "|", "grep"]
        assert words[-1] == check.get("holds", check.get("falls"))


#: What `docker inspect` prints of other forms than those that molecule/default has, by point: those that hold, and those that fall.
FORMS = {
    1: (["null", '["no-new-privileges"]', '["seccomp=unconfined"]'], ['["apparmor:unconfined"]', '["label=disable"]']),
    5: (
        [
            '[{"Type":"bind","Source":"/srv/ollama","Destination":"/var/lib/ollama"}]',
            '[{"Type":"bind","Source":"/etc/alchemorsel/ollama-ca","Destination":"/c"}]',
            '[{"Type":"volume","Name":"m","Source":"/var/lib/docker/volumes/m/_data","Destination":"/c"}]',
            '[{"Type":"bind","Source":"/develop","Destination":"/c"}]',
            "[]",
        ],
        [
            '[{"Type":"bind","Source":"/","Destination":"/c"}]',
            '[{"Type":"bind","Source":"/etc","Destination":"/c"}]',
            '[{"Type":"bind","Source":"/etc/ssh","Destination":"/c"}]',
            '[{"Type":"bind","Source":"/var/lib","Destination":"/c"}]',
            '[{"Type":"bind","Source":"/var/lib/docker/volumes/x","Destination":"/c"}]',
        ],
    ),
    6: (['{"11434/tcp":[{"HostIp":"","HostPort":"1024"}]}', "{}"], ['{"11434/tcp":[{"HostIp":"","HostPort":"1023"}]}']),
    7: (["null", "{}"], ['{"11434/tcp":{},"22/tcp":{}}']),
    12: (
        ["{}", '{"11434/tcp":[{"HostIp":"192.0.2.7","HostPort":"1"}]}'],
        ['{"1/tcp":[{"HostIp":"::","HostPort":"1"}]}', '{"1/tcp":[{"HostIp":"","HostPort":"1"}]}'],
    ),
    17: (
        ["null", "[]", '[{"PathOnHost":"/dev/kfd"},{"PathOnHost":"/dev/dri/renderD128"}]'],
        ['[{"PathOnHost":"/dev/kmem"}]', '[{"PathOnHost":"/dev/dri/card0"}]', '[{"PathOnHost":"/dev/sda"}]'],
    ),
    22: (['["no-new-privileges"]', '["no-new-privileges:true"]'], ["null", '["no-new-privileges:false"]']),
    24: ([f'"registry.test/o/o@sha256:{"b" * 64}"'], ['"ollama/ollama:latest"', '"example.test/sha256:latest"']),
    29: (['"1000"', '"1000:0"', '"ollama"'], ['""', '"0"', '"root"', '"0:1000"', '"root:root"']),
    31: (["null", "{}", '{"/tmp":"nodev,nosuid","/run":"rw,nosuid,nodev"}'], ['{"/tmp":"rw,nosuid"}']),
    33: (['["HTTPS_PROXY=http://proxy.test:3128"]'], ['["A=http://user:pw@proxy.test"]', '["HF_TOKEN=x"]']),
}


@pytest.mark.parametrize("point", FORMS)
def test_the_commands_judge_other_forms_as_the_rules_do(point):
    grep = COMMANDS[point - 1].partition(" | ")[2]
    for wanted, lines in zip((0, 1), FORMS[point]):
        for line in lines:
            json.loads(line)
            done = subprocess.run(
                ["/bin/sh", "-c", grep], input=line + "\n", capture_output=True, text=True, check=False
            )
            assert done.returncode == wanted, line
            assert done.stdout == ("" if wanted or point == 33 else line + "\n")
