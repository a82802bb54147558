# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network, time, packages and files of the host are not as they should be."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..case import Case, Unexpected
from ..machine import docker
from ..site import BASE, MIB, STORE, Site, expect, models
from .registry import answering

MISSING = "a declared model is missing"


def no_names(site: Site) -> None:
    """No name can be resolved, neither by the host nor by the server."""
    name = site.publish()
    with site.changed("iptables -I OUTPUT -d 127.0.0.11 -j DROP", "iptables -D OUTPUT -d 127.0.0.11 -j DROP"):
        expect(
            site.run("models", ollama_models_list=models(name)),
            "failing",
            "(?i)no such host|resol|lookup|timed out|timeout",
        )


def no_route(site: Site) -> None:
    """All packets to the registry are lost for 10 s from the middle of the pull."""
    name = site.publish()
    site.registry.fail("drip", path=f"chaos/{site.case}/", request="blob_range", rate=MIB, chunk=50_000)
    play = site.start("models", ollama_models_list=models(name), ollama_models_stall_timeout=30)
    site.registry.asked(f"GET /v2/chaos/{site.case}/blobs/", 2)
    address = site.host.sh("getent hosts models.lab.test").split()[0]
    rules = [
        f"iptables -{{}} {chain} -{way} {address} -j DROP" for chain in ("FORWARD", "INPUT", "OUTPUT") for way in "sd"
    ]
    rules = [rule for rule in rules if "INPUT -d" not in rule and "OUTPUT -s" not in rule]
    do, undo = ("; ".join(rule.format(verb) for rule in rules) for verb in "ID")
    with site.changed(f"{do}; sleep 10", undo):
        site.registry.heal()
    expect(play.end(), "any")


def expired(site: Site) -> None:
    """The certificate of the registry ended yesterday."""
    name = site.publish()
    do = f"mkdir -p {UNITS}; cat >{UNITS}/chaos.conf; systemctl daemon-reload; systemctl restart alab-models"
    undo = f"rm {UNITS}/chaos.conf; systemctl daemon-reload; systemctl restart alab-models"
    with site.changed(do, undo, site.services, stdin=EXPIRED):
        answering(site, "--insecure")
        expect(site.run("models", ollama_models_list=models(name)), "failing", "(?i)expired")
    answering(site)


UNITS = "/run/systemd/system/alab-models.service.d"
# As lab/image/files/alab-models.service, with another certificate
EXPIRED = """[Service]
ExecStart=
ExecStart=/usr/bin/python3 -m lab.standin registry --store /srv/models --listen 0.0.0.0:5443 \\
    --cert /etc/alab/tls/expired.crt --key /etc/alab/tls/services.key
"""


def skewed(offset: str, ends: str) -> Callable[[Site], None]:
    """Return a fault: the clock of the module's process is wrong, and so is that of all that it starts."""

    def strike(site: Site) -> None:
        name = site.publish()
        with site.changed(SKEWED, "rm /usr/local/bin/skewed-python", stdin=WRAPPER.replace("OFFSET", offset)):
            declared = {"ollama_models_list": models(name, state="latest")}
            run = site.run("models", **declared, ansible_python_interpreter="/usr/local/bin/skewed-python")
            site.last = ("models", declared)
            expect(run, ends)

    return strike


SKEWED = """
ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || {
  apt-get -qq update
  apt-get -qq install --yes libfaketime >/dev/null
}
cat >/usr/local/bin/skewed-python
chmod 755 /usr/local/bin/skewed-python
"""
WRAPPER = """#!/bin/sh
LD_PRELOAD=$(ls /usr/lib/*/faketime/libfaketime.so.1) FAKETIME=OFFSET exec /usr/bin/python3 "$@"
"""


def lock_held(site: Site) -> None:
    """Another program holds the package lock for 15 s, while the role docker has a package to install."""
    site.host.sh(MISSING_PACKAGE)
    docker("exec", "--detach", site.host.name, "python3", "-c", HOLD)
    site.host.sh("until test -e /run/chaos.held; do sleep 0.1; done; rm /run/chaos.held", timeout=20)
    expect(site.run("engine"), "well")


MISSING_PACKAGE = "apt-get -qq remove --yes python3-requests >/dev/null"
HOLD = """
import fcntl, pathlib, time
with open("/var/lib/dpkg/lock-frontend", "w") as lock:
    fcntl.lockf(lock, fcntl.LOCK_EX)
    pathlib.Path("/run/chaos.held").touch()
    time.sleep(15)
"""


def half_installed(site: Site) -> None:
    """A package of somebody else did not come to its end, and the role docker has a package to install."""
    site.host.sh(MISSING_PACKAGE)
    with site.changed(HALF, "dpkg --purge half >/dev/null"):
        expect(site.run("engine"), "failing", "half")


HALF = """
mkdir -p /run/half/DEBIAN
printf 'Package: half\nVersion: 1\nArchitecture: all\nMaintainer: Lab <lab@lab.test>\nDescription: Half\n' >/run/half/DEBIAN/control
printf '#!/bin/sh\nexit 1\n' >/run/half/DEBIAN/postinst
chmod 755 /run/half/DEBIAN/postinst
dpkg-deb --build /run/half /run/half.deb >/dev/null
dpkg --install /run/half.deb >/dev/null 2>&1 || true
rm -r /run/half /run/half.deb
"""


def broken_daemon_json(site: Site) -> None:
    """Somebody has written a comma too many into daemon.json."""
    do = "cp -p /etc/docker/daemon.json /run/daemon.json; printf '{\"debug\": true,}\n' >/etc/docker/daemon.json"
    with site.changed(do, "mv /run/daemon.json /etc/docker/daemon.json"):
        expect(site.run("engine"), "failing", "daemon.json")
        if "true,}" not in (text := site.host.sh("cat /etc/docker/daemon.json")):
            raise Unexpected(f"somebody else's daemon.json was written: {text}")


def same_name(site: Site) -> None:
    """Somebody has put another container in the place of ours."""
    do = "docker stop ollama >/dev/null; docker rename ollama chaos-kept; docker create --name ollama $(docker inspect --format '{{ .Image }}' chaos-kept)"
    undo = "docker rm --force ollama >/dev/null; docker rename chaos-kept ollama; docker start ollama"
    with site.changed(do, undo):
        expect(site.run("server"), "any")


def left_canary(site: Site) -> None:
    """Where an upgrade puts its canary, there is a container of somebody else."""
    do = "docker create --name ollama-canary $(docker inspect --format '{{ .Image }}' ollama)"
    with site.changed(do, "docker rm ollama-canary >/dev/null 2>&1 || true"):
        expect(
            site.run("server", ollama_image=site.other_image()),
            "failing",
            "ollama-canary is there that this role did not make",
        )
        if "ollama-canary" not in (site.look().containers or {}):
            raise Unexpected("somebody's container was removed")


def all_of_root(site: Site) -> None:
    """The role gives away no file that is there already: it tells the command that does, which is what somebody then runs."""
    site.host.sh(f"chown --recursive 0:0 /var/lib/ollama; {RESTART}")
    expect(site.run("server"), "failing", "stop what serves from it, and run chown -R 1000:1000 on it")
    site.host.sh("docker stop ollama; chown -R 1000:1000 /var/lib/ollama; docker start ollama")


@dataclass(frozen=True)
class Then:
    """Something happened to the files of the store; a run makes it good.

    :param script: what root does, with the path of the manifest and of the weights of one of the models
    """

    script: str
    book: str = "models"
    variables: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, site: Site) -> None:
        path = f"{STORE}/manifests/{BASE[1].replace(':latest', '/latest')}"
        layers = json.loads(site.host.run("cat", path))["layers"]
        weights = max(layers, key=lambda layer: int(layer["size"]))["digest"].replace(":", "-")
        site.host.sh(self.script, path, f"{STORE}/blobs/{weights}")
        site.last = (self.book, dict(self.variables))


SERVES = "the models are served"
NEXT = "the next run mends it"
RESTART = "docker restart ollama >/dev/null"
OWNED = f"chown 0:0 /var/lib/ollama; {RESTART}"
FLIPPED = "printf '\\377' | dd of=\"$2\" bs=1 seek=1000 conv=notrunc status=none"

CASES = (
    Case("dns-gone", MISSING, "no name can be resolved", "fails and says so", no_names),
    Case(
        "packets-lost",
        "a declared model is missing, and a part of it has come",
        "all packets to the registry are lost for 10 s",
        "goes on, or fails",
        no_route,
    ),
    Case("certificate-expired", MISSING, "the registry's certificate has expired", "fails and says so", expired),
    Case(
        "clock-ahead",
        MISSING,
        "the host's clock is 400 days ahead (libfaketime)",
        "ends in any way",
        skewed("+400d", "any"),
    ),
    Case(
        "clock-behind",
        MISSING,
        "the host's clock is 400 days behind (libfaketime)",
        "ends in any way",
        skewed("-400d", "any"),
    ),
    Case(
        "package-lock-held",
        "a package that the role docker needs is missing",
        "another program holds the package lock for 15 s",
        "waits and ends well",
        lock_held,
    ),
    Case(
        "dpkg-interrupted",
        "a package that the role docker needs is missing",
        "dpkg has not finished with somebody else's package",
        "fails and names the package",
        half_installed,
    ),
    Case(
        "daemon-json-broken",
        SERVES,
        "somebody has made daemon.json unreadable",
        "fails, and leaves the file",
        broken_daemon_json,
    ),
    Case("same-name", SERVES, "another container has the name of ours", "ends in any way; no model is lost", same_name),
    Case(
        "same-name-as-canary",
        "another image is declared",
        "somebody's container has the name of the canary",
        "fails and names the container, which stays; the old server serves on",
        left_canary,
    ),
    Case(
        "store-of-root",
        SERVES,
        "the directory of the models belongs to root, and the server starts again",
        NEXT,
        Then(OWNED, "server"),
    ),
    Case(
        "all-of-root",
        SERVES,
        "all files of the store belong to root, and the server starts again",
        "fails and names the command that gives them back; after that, all is as before",
        all_of_root,
    ),
    Case(
        "manifest-emptied",
        SERVES,
        "a manifest is empty, as after a crash of the host",
        NEXT,
        Then(': >"$1"'),
        quick=True,
    ),
    Case("blob-shortened", SERVES, "a blob has lost its end", NEXT, Then('truncate --size -1000 "$2"')),
    Case("blob-removed", SERVES, "a blob is gone", NEXT, Then('rm "$2"')),
    Case(
        "blob-flipped",
        SERVES,
        "a byte of a blob is another one",
        "the next run with ollama_models_verify mends it",
        Then(FLIPPED, variables={"ollama_models_verify": True}),
    ),
)
