# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server, the engine or the host goes down, at a moment when there is something to lose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..case import Case, Unexpected
from ..machine import docker
from ..site import BASE, MIB, STORE, Site, expect, models

#: as where the server crashes: the engine does not know that it was wanted
CRASH = "kill -9 $(docker inspect --format '{{ .State.Pid }}' ollama)"
RELAY = 11999


@dataclass(frozen=True)
class AtRequest:
    """The server's process is killed while it works on a request of the run.

    :param request: beginning of the request
    :param more: what is declared beside the models that are there
    :param within: seconds after the request, at most
    :param file: size of a file on the host from which a model is made
    """

    request: str
    more: tuple[dict[str, Any], ...]
    within: float = 0.02
    file: int = 0

    def __call__(self, site: Site) -> None:
        more = [{**item, "gguf": site.gguf(self.file)} if self.file else item for item in self.more]
        site.may_change |= {item["name"] for item in self.more}
        seconds = site.random.uniform(0, self.within)
        with site.relayed(RELAY, self.request, seconds) as struck:
            url = f"http://127.0.0.1:{RELAY}"
            relayed = {"ollama_models_url": url, "ollama_models_store_path": STORE}
            run = site.run("models", ollama_models_list=models(*more), **relayed)
            site.last = ("models", {"ollama_models_list": models(*more)})
            if not struck():
                raise Unexpected(f"the run has not sent {self.request}: {run.output[-600:]}")
            expect(run, "any")


@dataclass(frozen=True)
class MidPull:
    """Something goes down while the server has a part of a blob.

    :param script: what root does on the host
    """

    script: str = ""
    act: Callable[[Site], None] | None = None
    declared: dict[str, Any] = field(default_factory=dict)

    def __call__(self, site: Site) -> None:
        name = site.publish()
        site.registry.fail("stall", path=f"chaos/{site.case}/", request="blob_range", after=MIB)
        play = site.start("models", ollama_models_list=models(name), ollama_models_stall_timeout=20)
        site.registry.asked(f"GET /v2/chaos/{site.case}/blobs/", 2)
        site.moment(1)
        if self.script:
            site.host.sh(self.script)
        if self.act:
            self.act(site)
        site.registry.heal()
        expect(play.end(), "any")


def reboot(site: Site) -> None:
    site.restart()


def power_loss(site: Site) -> None:
    """All processes end at once. What the kernel has of files stays, so a lost cache of a disk is not shown."""
    docker("kill", site.host.name)
    docker("start", site.host.name)
    site.host.settled()


@dataclass(frozen=True)
class Afterwards:
    """Something happened to the container; a run of the role ollama makes it good, and it ends well."""

    script: str

    def __call__(self, site: Site) -> None:
        site.host.sh(self.script)
        site.last = ("server", {})


def hangs(site: Site) -> None:
    """The server's process is stopped: it takes connections and does not answer."""
    name = site.publish()
    with site.changed("docker pause ollama", "docker unpause ollama"):
        run = site.run("models", ollama_models_list=models(name), ollama_models_timeout=5)
        expect(run, "failing", "did not answer|no answer|timed out|within|reach")


PULL = "a declared model is missing, and a part of it has come"
COPY = {"name": "chaos-alias:latest", "copy_of": BASE[0]}
MADE = {"name": "chaos-made:latest", "from": BASE[0], "system": "You answer in one sentence."}

CASES = (
    Case(
        "server-killed-mid-pull",
        PULL,
        "the server's process is killed",
        "goes on, or fails",
        MidPull(CRASH),
    ),
    Case(
        "server-killed-mid-create",
        "a model is to be created from another one",
        "the server's process is killed while it creates it",
        "fails, or goes on",
        AtRequest("POST /api/create", (MADE,)),
        quick=True,
    ),
    Case(
        "server-killed-mid-copy",
        "an alias is declared",
        "the server's process is killed while it copies",
        "fails, or goes on",
        AtRequest("POST /api/copy", (COPY,)),
    ),
    Case(
        "server-killed-mid-upload",
        "a model is to be made from a file of the host, 200 MB",
        "the server's process is killed while it takes the file",
        "fails",
        AtRequest("POST /api/blobs/", ({"name": "chaos-file:latest"},), within=0.3, file=200_000_000),
        leaves=r"left in the store: blobs/sha256-\w{1,20}$",
    ),
    Case(
        "server-hangs",
        "a declared model is missing",
        "the server takes connections and does not answer",
        "fails in time",
        hangs,
    ),
    Case(
        "engine-restart-mid-pull",
        PULL,
        "the engine is restarted",
        "ends in any way",
        MidPull("systemctl restart docker"),
    ),
    Case(
        "engine-killed-mid-pull",
        PULL,
        "the engine's process is killed",
        "ends in any way",
        MidPull("systemctl kill --signal=KILL docker"),
    ),
    Case(
        "containerd-killed-mid-pull",
        PULL,
        "containerd's process is killed",
        "ends in any way",
        MidPull("systemctl kill --signal=KILL --kill-whom=main containerd"),
    ),
    Case("host-reboot-mid-pull", PULL, "the host is rebooted", "fails", MidPull(act=reboot)),
    Case(
        "host-power-loss-mid-pull",
        PULL,
        "the host is gone at once, and started again",
        "fails",
        MidPull(act=power_loss),
    ),
    Case(
        "container-stopped",
        "the server serves",
        "somebody stops its container",
        "the next run of the role ollama starts it",
        Afterwards("docker stop ollama"),
    ),
    Case(
        "container-removed",
        "the server serves",
        "somebody removes its container",
        "the next run of the role ollama makes it anew, with its models",
        Afterwards("docker rm --force ollama"),
    ),
)
