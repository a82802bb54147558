# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Callback of the demo: what a run came to, as JSON in the file that LAB_REPORT_FILE names, beside the live output."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: lab_report
type: aggregate
short_description: Writes the recap and the health verdicts of a run to a file
description: The demo of the lab reads the file for its table.
options: {}
"""


class CallbackModule(CallbackBase):
    """{"hosts": {host: {ok, changed, failures, ...}}, "changed_tasks": {host: [task]}, "health": {host: {verdict, msg}}}"""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "lab_report"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self.changed_tasks: dict[str, list[str]] = {}
        self.health: dict[str, dict[str, str]] = {}

    def _take(self, result: Any) -> None:
        host, values = result._host.get_name(), result._result
        if values.get("changed"):
            self.changed_tasks.setdefault(host, []).append(result._task.get_name())
        if "verdict" in values and "healthy" in values:
            self.health[host] = {"verdict": values["verdict"], "msg": values["msg"]}

    def v2_runner_on_ok(self, result: Any) -> None:
        self._take(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._take(result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        hosts = {host: stats.summarize(host) for host in sorted(stats.processed)}
        report = {"hosts": hosts, "changed_tasks": self.changed_tasks, "health": self.health}
        if path := os.environ.get("LAB_REPORT_FILE"):
            Path(path).write_text(json.dumps(report, indent=2), encoding="utf-8")
