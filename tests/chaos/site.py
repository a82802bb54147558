# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one host that all cases use, and the services beside it: what a case can do to them, and how they are as before again."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from .case import Unexpected
from .machine import ROOT, Machine, Registry, docker
from .play import Play
from .verdict import Run, Seen, lost, seen

HERE = Path(__file__).resolve().parent
SOURCE = "models.lab.test:5443"
URL = "http://127.0.0.1:11435"
STORE = "/var/lib/ollama/models"
#: where the roles write
FOLDERS = (
    "/etc/docker",
    "/etc/alchemorsel",
    "/etc/systemd/system",
    "/usr/local/lib/alchemorsel",
    "/var/lib/alchemorsel-ollama",
)
BASE = tuple(f"{SOURCE}/library/{name}:latest" for name in ("tiny-a", "tiny-b", "tiny-bert"))
#: the output of all runs
LOGS = ROOT / ".build" / "chaos" / "log"
MIB = 1 << 20
BOOKS = {
    "models": "playbooks/update_models.yml",
    "site": "playbooks/site.yml",
    "rollback": "playbooks/rollback.yml",
    "server": "tests/chaos/plays/server.yml",
    "engine": "tests/chaos/plays/engine.yml",
}
#: what the inventory would say: where the store is, and limits that are so short that a case ends
LIMITS = {
    "ollama_store_dir": "/var/lib/ollama",
    "ollama_models_retries": 1,
    "ollama_models_stall_timeout": 4,
    "ollama_start_timeout": 60,
    "ollama_drain_timeout": 3,
}

#: the containers between two cases
KEPT = {"ollama", "ollama-previous"}
SECOND = "localhost/chaos:second"
COPY_IMAGE = """
docker image inspect "$1" >/dev/null 2>&1 && exit
docker create --name chaos-seed "$(docker inspect --format '{{ .Image }}' ollama)" >/dev/null
docker commit --change "LABEL alchemorsel.chaos=$2" chaos-seed "$1" >/dev/null
docker rm chaos-seed >/dev/null
"""

# A module is what the shell of a become has started, or a file that was sent to the host
KILL_MODULE = """
find_modules() {
  pgrep --full '[A]nsiballZ_|[a]sync_wrapper'
  for shell in $(pgrep --full '^/bin/sh -c echo BECOME-SUCCESS'); do pgrep --parent "$shell"; done
}
for try in $(seq 200); do
  test -z "$(find_modules || true)" || break
  sleep 0.05
done
sleep "$1"
# By then it may be the turn of the next one
for try in $(seq 200); do
  pids=$(find_modules || true)
  test -z "$pids" || break
  sleep 0.05
done
echo $pids
test -z "$pids" || kill -9 $pids
"""

# Puts a model into the registry's store: its weights are a small model's, then a text, then nothing up to the size.
PUBLISH = """
import os, sys
sys.path.insert(0, "/usr/lib/alab")
from pathlib import Path
from lab.standin import names, publish
from lab.standin.store import Store
name, text, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
store, weights = Store(Path("/srv/models")), Path("/tmp/weights.gguf")
with weights.open("wb") as stream:
    stream.write(Path("/usr/lib/alab/lab/models/tiny-a.gguf").read_bytes() + text.encode())
    stream.truncate(max(size, stream.tell()))
publish.publish_gguf(store, names.parse(name), weights, system=text)
weights.unlink()
print("sha256:" + store.manifest(names.parse(name)).digest)
"""


class Site:
    """The host, the services, and the variables of the next run.

    :param lab: name of the lab, such as alab-chaos
    :param name: of the host in the inventory
    :param seed: of all that is random
    :param bring_up: makes the machines that are missing
    """

    def __init__(self, lab: str, name: str, seed: int, ca: Path, bring_up: Callable[[], None]) -> None:
        self.name, self.seed, self.bring_up = name, seed, bring_up
        self.host, self.services = Machine(f"{lab}-{name}"), Machine(f"{lab}-services")
        self.registry = Registry(self.services, ca)
        self.last: tuple[str, dict[str, Any]] = ("models", {})
        self.may_change: set[str] = set()
        #: containers that a case may take away, which the site makes again
        self.may_go: set[str] = set()
        self.published: list[str] = []
        #: the runs of the case
        self.plays: list[Play] = []
        #: what is undone when the verdict has been given
        self.later = ExitStack()
        self.current = self.first = ""
        #: what there was when the case began, and what was seen last
        self.before = self.seen = Seen(None, None)
        self.begin("")

    def begin(self, case: str) -> None:
        """Forget the case before; what is random depends on seed and name of the case alone."""
        self.count = 0
        self.case, self.random = case, random.Random(f"{self.seed} {case}")
        self.may_change.clear()
        self.published.clear()
        self.plays.clear()
        self.may_go.clear()

    # --- runs of the product

    def start(self, book: str, **variables: Any) -> Play:
        """Start a run, which will be the one to be repeated after the fault."""
        self.last = (book, variables)
        image = {"ollama_image": self.current} if self.current else {}
        self.count += 1
        log = LOGS / f"{self.case or 'ready'}-{self.count}-{book}.log"
        self.plays.append(
            Play(self.name, BOOKS[book], {"ollama_models_list": models(), **LIMITS, **image, **variables}, log)
        )
        return self.plays[-1]

    def stop(self) -> None:
        """End the runs that go on, as where a case failed before it had ended its own."""
        for play in self.plays:
            if play.process.poll() is None:
                play.kill()

    def run(self, book: str, **variables: Any) -> Run:
        """Run a playbook to its end."""
        return self.start(book, **variables).end()

    def repeat(self) -> Run:
        """Run again what was run last."""
        return self.run(self.last[0], **self.last[1])

    # --- what there is

    def look(self) -> Seen:
        """Return what there is on the host."""
        code = (HERE / "look.py").read_text(encoding="utf-8")
        self.seen = seen(json.loads(self.host.python(code, URL, STORE, *FOLDERS, timeout=300)))
        return self.seen

    def serving(self, before: Seen, seconds: float) -> float | None:
        """Wait until all models of before are served; the seconds that it took, None if it took longer than given."""
        began = time.monotonic()
        while lost(before, self.look(), self.may_change):
            if time.monotonic() - began > seconds:
                return None
            time.sleep(0.5)
        return time.monotonic() - began

    def image(self, container: str = "ollama") -> str:
        """Return the image that a container was made from, as it was declared."""
        form = '{{ index .Config.Labels "alchemorsel.image" }}'
        return self.host.run("docker", "inspect", "--format", form, container).strip()

    def other_image(self) -> str:
        """Return the one of two images that the container is not made from."""
        return SECOND if self.current != SECOND else self.first

    def prepare(self, upgrades: bool = True) -> None:
        """Take note of what there is, and have a copy of the image on the host, with one of the two as the image before."""
        # What a case has left was judged with it, and is no part of where the next one begins
        for name in (self.look().containers or {}).keys() - KEPT:
            self.host.run("docker", "rm", "--force", name)
        self.current = self.first = self.image()
        if upgrades:
            self.host.sh(COPY_IMAGE, SECOND, self.current)
            form = '{{ index .Config.Labels "alchemorsel.chaos" }}'
            self.first = self.host.run("docker", "image", "inspect", "--format", form, SECOND).strip()
            self.pair()
        self.before = self.look()

    def pair(self) -> None:
        """Have the other one of the two images as the image before, which it is no more after a rollback."""
        kept = "ollama-previous" in (self.look().containers or {}) and self.image("ollama-previous")
        if kept != self.other_image():
            expect(self.run("server", ollama_image=self.other_image()), "well")
            self.current = self.image()

    def moment(self, most: float) -> None:
        """Wait a random while, the same for the same seed."""
        time.sleep(self.random.uniform(0, most))

    # --- what cases need

    def publish(self, number: int = 0, size: int = 3 * MIB) -> str:
        """Publish a model of this case; return its name, under which the next one with another number replaces it."""
        name = f"{SOURCE}/chaos/{self.case}:latest"
        text = f"{self.case} {number} of seed {self.seed}"
        self.services.python(PUBLISH, f"chaos/{self.case}:latest", text, str(size))
        if name not in self.published:
            self.published.append(name)
        self.may_change.add(name)
        return name

    def manifest(self, content: bytes | str) -> str:
        """Publish a manifest of any kind under the name of this case; return the name."""
        name = f"{SOURCE}/chaos/{self.case}:latest"
        text = content if isinstance(content, str) else content.decode()
        path = f"/srv/models/manifests/registry.ollama.ai/chaos/{self.case}/latest"
        self.services.sh('mkdir -p "$(dirname "$1")"; cat >"$1"', path, stdin=text)
        if name not in self.published:
            self.published.append(name)
        return name

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> str:
        """Send a request to the server on the host, past the collection."""
        code = (
            "import sys, urllib.request as u\n"
            "request = u.Request(sys.argv[2], sys.argv[3].encode() or None, method=sys.argv[1])\n"
            "print(u.build_opener(u.ProxyHandler({})).open(request, timeout=60).read().decode(errors='replace'))"
        )
        return self.host.python(code, method, URL + path, json.dumps(body) if body is not None else "")

    @contextmanager
    def changed(self, do: str, undo: str, machine: Machine | None = None, stdin: str = "") -> Iterator[None]:
        """Run a script on the host (or another machine), and another one at the end, whatever happens between."""
        place = machine or self.host
        with self.afterwards(lambda: place.sh(undo)):
            place.sh(do, stdin=stdin)
            yield

    @contextmanager
    def relayed(self, port: int, request: str, seconds: float) -> Iterator[Callable[[], bool]]:
        """Have a relay to the server on a port of the host, which kills the server when a request passes; gives whether it has."""
        code = (HERE / "relay.py").read_text(encoding="utf-8")
        self.host.sh("rm -f /run/chaos.py*; cat >/run/chaos.py", stdin=code)
        pid = self.host.run("docker", "inspect", "--format", "{{ .State.Pid }}", "ollama").strip()
        command = ["python3", "/run/chaos.py", str(port), "11435", request, str(seconds), pid]
        docker("exec", "--detach", self.host.name, *command)
        self.host.sh(f"until ss -Hltn sport = :{port} | grep -q .; do sleep 0.1; done", timeout=120)
        with self.afterwards(lambda: self.host.sh("pkill --full ^python3./run/chaos.py; rm -f /run/chaos.py*")):
            yield lambda: self.host.sh("ls /run/chaos.py.struck 2>/dev/null || true") != ""

    def gguf(self, size: int) -> str:
        """Put a file with weights on the host, as large as wanted; return its path. It goes after the case."""
        path = "/root/chaos.gguf"
        docker("cp", "--quiet", str(ROOT / "lab/models/tiny-a.gguf"), f"{self.host.name}:{path}")
        self.host.sh('truncate --size "$2" "$1"', path, str(size))
        self.later.callback(self.host.sh, f"rm -f {path}")
        return path

    @contextmanager
    def afterwards(self, undo: Callable[[], Any]) -> Iterator[None]:
        """Have something undone at the end, whatever happens before."""
        try:
            yield
        finally:
            undo()

    def kill_module(self, within: float = 0.0) -> None:
        """Kill the processes of the module that is at work on the host, so many seconds after it began, at most."""
        if not self.host.sh(KILL_MODULE, str(self.random.uniform(0, within))).strip():
            raise Unexpected(f"there was no module at work on the host: {self.host.sh('ps -ef | tail -20')}")

    def quiet(self, seconds: float = 60) -> None:
        """Wait until nothing that a killed run has started is at work on the host."""
        script = "while pgrep --full '^/bin/sh -c echo BECOME-SUCCESS|[A]nsiballZ_' >/dev/null; do sleep 0.5; done"
        self.host.sh(script, timeout=seconds)

    def new_host(self) -> None:
        """Put a new machine in the place of the host."""
        docker("rm", "--force", "--volumes", self.host.name)
        # It has no copy of the image, so that no run can declare that
        self.current = ""
        self.bring_up()

    def restart(self) -> None:
        """Restart the host, as a reboot does."""
        docker("restart", "--time", "60", self.host.name)
        self.host.settled()

    def tidy(self, sweep: bool = False) -> None:
        """Remove what the case has published and what the server has of it, and to sweep what the server would remove later."""
        self.later.close()
        self.registry.reset()
        self.serving(self.before, 60)
        for name in self.seen.models or {}:
            if name in self.may_change or name in self.published:
                self.request("DELETE", "/api/delete", {"model": name})
        for name in self.published:
            path = name.removeprefix(SOURCE).replace(":", "/")
            self.services.sh('rm -rf "$1"', f"/srv/models/manifests/registry.ollama.ai{path}")
        if sweep:
            self.host.sh(f"find {STORE}/blobs -type f -regextype egrep ! -regex '.*/sha256-[0-9a-f]{{64}}' -delete")
        self.current = self.image()
        self.before = self.look()


def models(*more: str | Mapping[str, Any], **options: Any) -> list[dict[str, Any]]:
    """Return the declaration of the models that are always there, and of more."""
    extra = [{"name": item, **options} if isinstance(item, str) else dict(item) for item in more]
    return [*({"name": name} for name in BASE), *extra]


def expect(run: Run, ends: str, says: str = "", traceback: bool = False) -> None:
    """Raise Unexpected unless a run has ended as expected: `well`, `failing` or `any`, with words (a regular expression) in its output.

    :param traceback: may be there, where Ansible itself has one
    """
    words = " ".join(run.output.split())
    if ends != "any" and (run.status == 0) != (ends == "well"):
        raise Unexpected(f"the run ended with {run.status}, expected was an end that is {ends}: {words[-600:]}")
    if not re.search(says, words):
        raise Unexpected(f"the run did not say '{says}': {words[-900:]}")
    if not traceback and "Traceback (most recent call last)" in run.output:
        raise Unexpected(f"a traceback: {words[-900:]}")


def lab_ca(lab_id: str) -> Path:
    """Return the certificate of the lab's CA."""
    return ROOT / ".build" / "lab" / lab_id / "ca" / "ca.crt"
