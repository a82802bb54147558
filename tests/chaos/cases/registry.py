# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry has trouble while a model is pulled; it ends, and the next run has the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..case import Case, Unexpected
from ..site import MIB, Site, expect, models

GIVEN = "one of the declared models is missing"


@dataclass(frozen=True)
class Trouble:
    """What the registry does to the requests for one model (lab/standin/faults.py), and what the run makes of it.

    :param ends: `well`, `failing` or `any`
    :param says: regular expression for the output
    :param requests: how many of them there are, where that is what counts
    """

    ends: str
    says: str
    kind: str
    options: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    requests: int | None = None

    def __call__(self, site: Site) -> None:
        name = site.publish()
        site.registry.fail(self.kind, path=f"chaos/{site.case}/", **self.options)
        # Without a look at the progress, which costs the most of a short run; the cases of killed runs have it
        variables = {"ollama_models_list": models(name), "ollama_models_progress": False, **self.variables}
        expect(site.run("models", **variables), self.ends, self.says)
        asked = [line for line in site.registry.log() if f"/chaos/{site.case}/" in line]
        if self.requests is not None and len(asked) != self.requests:
            raise Unexpected(f"the registry was asked {len(asked)} times, {self.requests} are right: {asked[:9]}")


def down(site: Site) -> None:
    """Nobody listens at the registry's port."""
    name = site.publish()
    with site.changed("systemctl stop alab-models", "systemctl start alab-models", site.services):
        expect(site.run("models", ollama_models_list=models(name)), "failing", "connection refused|Connection refused")
    answering(site)


def dies_midway(site: Site) -> None:
    """The registry's process is killed when a part of the blob has come; systemd starts it again."""
    name = site.publish()
    site.registry.fail("drip", path=f"chaos/{site.case}/", request="blob_range", rate=200_000, chunk=20_000)
    play = site.start("models", ollama_models_list=models(name))
    site.registry.asked(f"GET /v2/chaos/{site.case}/blobs/", 2)
    site.moment(1)
    site.services.sh("systemctl kill --signal=KILL alab-models")
    answering(site)
    expect(play.end(), "any")


def moved_tag(site: Site) -> None:
    """The tag gets another manifest between the first byte and the last of the blob."""
    name = site.publish()
    site.registry.fail("drip", path=f"chaos/{site.case}/", request="blob_range", rate=MIB, chunk=50_000)
    play = site.start("models", ollama_models_list=models(name, state="latest"))
    site.registry.asked(f"GET /v2/chaos/{site.case}/blobs/", 2)
    site.publish(1)
    expect(play.end(), "any")


def update_dies(site: Site) -> None:
    """The new blob of a moved tag comes wrong: the model that is served stays."""
    name = site.publish()
    declared = {"ollama_models_list": models(name, state="latest")}
    expect(site.run("models", **declared), "well")
    old = (site.look().models or {})[name]
    site.publish(1)
    site.registry.fail("corrupt", path=f"chaos/{site.case}/", request="blob_range")
    expect(site.run("models", **declared), "failing", "digest mismatch")
    if (site.look().models or {}).get(name) != old:
        expect(site.repeat(), "well", f"{name} was {old} and has gone")


def foreign_puller(site: Site) -> None:
    """Somebody else's pull of the model leaves while the request for the blob's head, which will fail, is under way."""
    name = site.publish()
    site.registry.fail("delay", path=f"chaos/{site.case}/", request="blob_head", seconds=3.0, status=500, times=1)
    url = "http://127.0.0.1:11435/api/pull"
    site.host.sh(f'timeout 2.5 curl --silent --data \'{{"model": "{name}"}}\' {url} >/dev/null 2>&1 &')
    site.registry.asked(f"HEAD /v2/chaos/{site.case}/blobs/")
    expect(site.run("models", ollama_models_list=models(name)), "any")


def answering(site: Site, trust: str = "--cacert /etc/alab/tls/ca.crt") -> None:
    """Wait until the registry answers."""
    script = f"until curl --silent --fail {trust} https://localhost:5443/v2/ >/dev/null; do sleep 0.1; done"
    site.services.sh(script, timeout=120)


def pull(name: str, fault: str, expected: str, strike: Callable[[Site], None], **more: Any) -> Case:
    """Return a case of a model that is missing."""
    return Case(name, GIVEN, fault, expected, strike, **more)


SLOW = {"ollama_models_pull_timeout": 12}
BLOB = {"request": "blob_range"}

CASES = (
    pull("registry-down", "the registry refuses connections", "fails, and names source and reason", down, quick=True),
    pull("registry-dies", "the registry is killed in the middle of a blob", "goes on, or fails", dies_midway),
    pull(
        "manifest-500",
        "the registry answers 500 to requests for the manifest",
        "fails as the source's trouble",
        Trouble("failing", "500", "status", {"status": 500, "request": "manifest"}),
    ),
    pull(
        "blob-500-thrice",
        "the registry answers 500 to the first three requests for a blob",
        "ends well",
        Trouble("well", "", "status", {"status": 500, "request": "blob_get", "times": 3}),
    ),
    pull(
        "too-many-requests",
        "the registry answers 429 with Retry-After: 2, once",
        "ends well, or fails and says that the source limits the rate",
        Trouble("any", "", "status", {"status": 429, "times": 1, "headers": {"Retry-After": "2"}}),
    ),
    pull(
        "always-too-many-requests",
        "the registry answers 429 with Retry-After: 3600",
        "fails at once, and names the time that the source asks for",
        Trouble(
            "failing",
            "is not fetched: .*asks to wait 3600 s",
            "status",
            {"status": 429, "headers": {"Retry-After": "3600"}},
            requests=1,
        ),
    ),
    pull(
        "stall-before-first-byte",
        "the registry takes the request for the blob and sends nothing",
        "fails when nothing has come for ollama_models_stall_timeout",
        Trouble("failing", "stall|no progress|nothing", "stall", {"after": -1, **BLOB}),
    ),
    pull(
        "stall-after-first-byte",
        "the registry sends 1 MiB of the blob and then nothing",
        "goes on from where it was after ollama_models_stall_timeout, as often as it takes",
        Trouble("any", "", "stall", {"after": MIB, **BLOB}),
    ),
    pull(
        "one-byte-a-second",
        "the registry sends 1 byte a second",
        "fails at ollama_models_pull_timeout",
        Trouble("failing", "", "drip", {"rate": 1, "chunk": 1, **BLOB}, SLOW),
    ),
    pull(
        "reset-every-mib",
        "the registry cuts the connection after each MiB",
        "goes on from where it was and ends well",
        Trouble("well", "", "drop", {"after": MIB, **BLOB}, {"ollama_models_stall_timeout": 30}),
    ),
    pull(
        "truncated",
        "the registry ends the answer in good order after 1 MiB, twice",
        "goes on, or fails",
        Trouble("any", "", "truncate", {"after": MIB, "times": 2, **BLOB}, {"ollama_models_stall_timeout": 30}),
    ),
    pull(
        "wrong-bytes",
        "the registry sends wrong bytes in the right number",
        "fails with the mismatch, and nothing of the bytes is kept",
        Trouble("failing", "digest mismatch", "corrupt", {**BLOB}),
        quick=True,
    ),
    pull(
        "wrong-bytes-once",
        "the registry sends wrong bytes once",
        "ends well",
        Trouble("well", "", "corrupt", {"times": 1, **BLOB}),
    ),
    pull(
        "content-length-too-small",
        "the registry says 17 bytes for blobs of other sizes",
        "fails with the mismatch",
        Trouble("failing", "", "status", {"status": 200, "request": "blob_head", "headers": {"Content-Length": "17"}}),
    ),
    pull(
        "content-length-too-large",
        "the registry says 1 MiB more than each blob has",
        "fails, and names the source's two sizes",
        Trouble(
            "failing",
            "announces another size for blob",
            "status",
            {"status": 200, "request": "blob_head", "headers": {"Content-Length": str(4 * MIB)}},
            {"ollama_models_stall_timeout": 8},
        ),
    ),
    pull(
        "content-length-too-large-once",
        "the registry says 1 MiB more than the first blob has, once",
        "ends well",
        Trouble(
            "well",
            "",
            "status",
            {"status": 200, "request": "blob_head", "headers": {"Content-Length": str(4 * MIB)}, "times": 1},
            {"ollama_models_stall_timeout": 8},
        ),
    ),
    pull(
        "no-location",
        "the registry answers requests for blobs without the Location that Ollama wants",
        "fails and says so",
        Trouble("failing", "no Location header", "no-location", {"request": "blob_get"}),
    ),
    pull(
        "redirect-loop",
        "the registry redirects each request for the manifest to itself",
        "fails and says so",
        Trouble("failing", "redirect", "redirect", {"request": "manifest", "status": 302}),
    ),
    pull(
        "redirect-to-file",
        "the registry redirects requests for blobs to file:///etc/passwd",
        "fails, and nothing of the file is taken",
        Trouble("failing", "", "redirect", {"request": "blob_get", "location": "file:///etc/passwd?"}),
    ),
    pull(
        "redirect-to-http",
        "the registry redirects the request for the manifest to http",
        "fails",
        Trouble("failing", "", "redirect", {"request": "manifest", "location": "http://models.lab.test:5443"}),
    ),
    pull("moved-tag", "the tag gets another manifest in the middle of the pull", "ends well or fails", moved_tag),
    Case(
        "update-with-wrong-bytes",
        "a model is served, and its tag has moved",
        "the registry sends wrong bytes for the new blob",
        "fails with the mismatch; the model of before stays",
        update_dies,
    ),
    pull(
        "foreign-puller-leaves",
        "somebody else pulls the same model and leaves while the registry's answer to HEAD is under way, which is a 500",
        "ends in any way; the server may crash, which Ollama does then",
        foreign_puller,
    ),
)
