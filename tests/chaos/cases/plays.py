# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The run itself is ended: by signals to Ansible, by the end of its connection, by the end of its process on the host, or it meets another one."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..case import Case, Unexpected
from ..site import MIB, Site, expect, models

TERM, KILL = signal.SIGTERM, signal.SIGKILL


@dataclass(frozen=True)
class Killed:
    """A run that is ended some time after a task began.

    :param task: the end of the task's name
    :param number: the signal
    :param after: seconds, at most
    :param module: its process on the host is killed, too
    :param upgrade: another image is declared
    :param then: the playbook that is run next, where it is not the same
    """

    book: str
    task: str
    number: signal.Signals
    after: float = 0.0
    module: bool = False
    upgrade: bool = False
    then: str = ""
    variables: dict[str, Any] = field(default_factory=dict)

    def __call__(self, site: Site) -> None:
        if self.book == "rollback":
            site.pair()
        image = {"ollama_image": site.other_image()} if self.upgrade else {}
        play = site.start(self.book, **image, **self.variables)
        # What check mode says instead of the exchange has its name, too, and is skipped before
        play.reach(rf"TASK \[.*{self.task}\]", 2 if self.task == "Exchange the container" else 1)
        if self.module:
            site.kill_module(self.after)
        else:
            site.moment(self.after)
        if play.kill(self.number).status == 0:
            raise Unexpected("the run had ended before it was killed")
        if self.then:
            site.last = (self.then, {})


@dataclass(frozen=True)
class MidPull:
    """A run that is hit while its server has a part of a blob.

    :param how: `term`, `kill`, `cut` the connection, or `module`: kill the module's process on the host
    """

    how: str
    state: str = "present"

    def __call__(self, site: Site) -> None:
        name = site.publish()
        declared = {"ollama_models_list": models(name, state=self.state)}
        if self.state == "latest":
            expect(site.run("models", **declared), "well")
            site.publish(1)
            site.registry.reset()
        site.registry.fail("stall", path=f"chaos/{site.case}/", request="blob_range", after=MIB)
        play = site.start("models", **declared, ollama_models_stall_timeout=60)
        site.registry.asked(f"GET /v2/chaos/{site.case}/blobs/", 2)
        site.moment(1)
        if self.how == "cut":
            play.cut()
            site.registry.heal()
            expect(play.end(), "any")
        elif self.how == "module":
            site.kill_module()
            site.registry.heal()
            expect(play.end(), "failing")
        else:
            play.kill(TERM if self.how == "term" else KILL)


def two_controllers(site: Site) -> None:
    """Two runs for the same model at the same time: one waits for the other, and one pull is made."""
    name = site.publish()
    site.registry.fail("drip", path=f"chaos/{site.case}/", request="blob_range", rate=MIB, chunk=50_000)
    first = site.start("models", ollama_models_list=models(name))
    site.moment(2)
    second = site.start("models", ollama_models_list=models(name))
    expect(first.end(), "well")
    expect(second.end(), "well")
    pulls = sum(f"HEAD /v2/chaos/{site.case}/blobs/" in line for line in site.registry.log())
    if pulls > 4:
        raise Unexpected(f"the blobs were asked for {pulls} times, once each is enough")


def removal(task: str, number: signal.Signals) -> Callable[[Site], None]:
    """Return a fault: the removal of the instance is ended; it is removed by the next run, and then declared again."""

    def strike(site: Site) -> None:
        Killed("server", task, number, after=0.5, variables={"ollama_state": "absent"})(site)
        expect(site.repeat(), "well")
        if (again := site.repeat()).changed:
            raise Unexpected(f"the removal changes something in each run: {again.changed}")
        site.may_go.add("ollama-previous")
        site.last = ("server", {})

    return strike


def daemon_change(site: Site) -> None:
    """A key that makes no restart necessary is added to daemon.json, and taken away after the case."""
    site.host.sh("cp -p /etc/docker/daemon.json /root/daemon.json")
    site.later.callback(site.host.sh, "mv /root/daemon.json /etc/docker/daemon.json; systemctl reload docker")
    change = {"docker_daemon_config": {"labels": ["chaos=1"]}}
    Killed("engine", "Write daemon.json", KILL, 0.5, True, variables=change)(site)


def first_run(site: Site) -> None:
    """On a new host, the first run of site.yml is ended in one phase after the other, by TERM and KILL in turns."""
    site.new_host()
    for number, (task, after) in enumerate(PHASES):
        play = site.start("site")
        play.reach(rf"TASK \[.*{task}\]")
        site.moment(after)
        if play.kill(KILL if number % 2 else TERM).status == 0:
            raise Unexpected(f"the run had ended before it was killed in {task}")
        site.quiet()
    site.may_go.add("ollama-previous")


PHASES = (
    ("Install the engine", 4.0),
    ("Change daemon.json", 0.5),
    ("Pull the image unless it is there", 2.0),
    ("Load the guard", 0.3),
    ("Define the container ollama", 1.0),
    ("Declare the models of the server", 1.5),
)


def pull(name: str, fault: str, expected: str, strike: MidPull, **more: Any) -> Case:
    given = "a declared model is missing" if strike.state == "present" else "a model is served, and its tag has moved"
    return Case(name, given, fault, expected, strike, **more)


def upgrade(name: str, task: str, number: signal.Signals, after: float, module: bool = False) -> Case:
    """Return a case of an upgrade that is ended in a task."""
    who = "Ansible and its module on the host get" if module else "Ansible gets"
    fault = f"{who} {number.name.removeprefix('SIG')} in the task {task!r}"
    how = "is gone" if number == KILL else "ends"
    return Case(
        name, "another image is declared", fault, how, Killed("server", task, number, after, module, upgrade=True)
    )


CASES = (
    pull("pull-term", "Ansible gets TERM in the middle of the pull", "ends", MidPull("term")),
    pull("pull-kill", "Ansible gets KILL in the middle of the pull", "is gone", MidPull("kill")),
    pull(
        "update-kill", "Ansible gets KILL in the middle of the pull", "is gone", MidPull("kill", "latest"), quick=True
    ),
    pull("update-term", "Ansible gets TERM in the middle of the pull", "ends", MidPull("term", "latest")),
    pull("module-kill", "the module's process on the host is killed", "fails", MidPull("module", "latest")),
    pull("connection-cut", "the connection to the host is cut", "goes on, or fails", MidPull("cut", "latest")),
    Case(
        "two-controllers",
        "a declared model is missing",
        "two controllers run at the same time",
        "both end well, and one has pulled",
        two_controllers,
        quick=True,
    ),
    upgrade("upgrade-kill-trial", "Start the canary and see it stay", KILL, 1.5),
    upgrade("upgrade-term-trial", "Read what the canary sees", TERM, 0.2),
    upgrade("upgrade-kill-exchange", "Exchange the container", KILL, 1.5, True),
    upgrade("upgrade-term-exchange", "Exchange the container", TERM, 1.5),
    upgrade("upgrade-kill-finish", "Remove the old container", KILL, 0.2),
    Case(
        "rollback-kill",
        "an earlier image is kept",
        "Ansible and its module on the host get KILL in the exchange of a rollback",
        "is gone; site.yml makes it good",
        Killed("rollback", "Exchange the container", KILL, 1.0, True, then="server"),
    ),
    Case(
        "rollback-term",
        "an earlier image is kept",
        "Ansible gets TERM in the trial of a rollback",
        "ends",
        Killed("rollback", "Start the canary and see it stay", TERM, 1.0),
    ),
    Case(
        "engine-change-kill",
        "daemon.json is to be changed",
        "Ansible gets KILL while it is written",
        "is gone",
        daemon_change,
    ),
    Case(
        "removal-term",
        "the instance is to be removed",
        "Ansible gets TERM while the containers go",
        "ends; the next run removes, and the one after it has the instance again with all models",
        removal("Remove the containers", TERM),
    ),
    Case(
        "removal-kill",
        "the instance is to be removed",
        "Ansible gets KILL while files and guard go",
        "is gone; the next run removes, and the one after it has the instance again with all models",
        removal("Remove what was written for it", KILL),
    ),
    Case(
        "first-run",
        "a new host",
        "site.yml is ended by TERM and KILL in six phases of its first run, one after the other",
        "ends each time",
        first_run,
    ),
)
