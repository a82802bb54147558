# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Situations of pulls: what the registry does, and what happens meanwhile."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from lab.standin.store import sha256
from lab.standin.testing import MODELS, free_port

from .registered import TINY_CONFIG, published_tiny, pulled_tiny, situation
from .replay import Line, wait_for
from .world import NEUTRAL_REGISTRY, NEUTRAL_RESOLVER, World

NEWER = (
    '{"errors":[{"code":"MANIFEST_INVALID","message":"The model you are attempting to pull '
    'requires a newer version of Ollama"}]}'
)
HERE = Path(__file__).parent


def noise(size: int, seed: str) -> bytes:
    """Bytes that do not compress, the same every time."""
    return random.Random(seed).randbytes(size)


def big(world: World, tag: str, recorded: str, size: int = 6_000_000, model: str = "big") -> str:
    """A model of one large blob, which the recording calls by another digest; the blob's digest."""
    layer = world.registry.layer("model", noise(size, seed=f"{model}:{tag}"))
    world.registry.publish(f"library/{model}", tag, layer, config=TINY_CONFIG)
    world.stands_for(recorded, layer.digest)
    return layer.digest


def slowly(world: World) -> None:
    world.registry.fail("drip", request="blob_range", rate=1_000_000, chunk=50_000)


def after(amount: int) -> Callable[[Line], bool]:
    """A test of a progress line: so many bytes have arrived."""
    return lambda line: bool(line.get("completed", 0) >= amount and line.get("total", 0) > amount)


@situation("pull-fresh")
def published(world: World) -> None:
    published_tiny(world)
    world.start()


@situation("pull-error-404", "pull-error-404-stream-false")
def not_published(world: World) -> None:
    world.start()


@situation("pull-error-connection-refused", "pull-error-connection-refused-stream-false")
def nobody_listens(world: World) -> None:
    world.start()


@situation("pull-error-401")
def unauthorized(world: World) -> None:
    published(world)
    world.registry.fail("status", request="manifest", status=401)


@situation("pull-error-412")
def too_old(world: World) -> None:
    published(world)
    world.registry.fail("status", request="manifest", status=412, body=NEWER)


@situation("pull-error-tls-to-plain-http")
def plain_http_of_another_kind(world: World) -> None:
    """Python's own server answers a TLS greeting with a page without a status line, as the recording's registry did."""
    world.start()
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)],
        cwd=world.directory,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    world.cleanups += [process.kill, process.wait]
    world.names[NEUTRAL_REGISTRY] = f"127.0.0.1:{port}"
    world.wait_for_port(port)


@situation("pull-cloud-name-no-cloud-stream-true")
def resolver_that_knows_nothing(world: World) -> None:
    """A name server that answers every question with "no such name", known to the server only."""
    address = "127.0.0.153"
    process = subprocess.Popen([sys.executable, str(HERE / "nonames.py"), address], stdout=subprocess.PIPE, text=True)
    world.cleanups += [process.kill, process.wait]
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", "the name server needs root: it listens on port 53"
    resolv = world.directory / "resolv.conf"
    resolv.write_text(f"nameserver {address}\n", encoding="ascii")
    script = f'mount --bind {resolv} "$(readlink -f /etc/resolv.conf)" && exec "$@"'
    world.start(prefix=("unshare", "--mount", "sh", "-c", script, "sh"))
    world.names[NEUTRAL_RESOLVER] = f"{address}:53"


@situation("pull-error-disk-full", "pull-error-disk-full-stream-false")
def full_disk(world: World) -> None:
    """A store on a file system of 2.3 MB that only the server sees."""
    big(world, "d", "2fdf26aab8bdf8e1abefdd019de7eb38abf09ecb4f91f8cd6875fa716504037f", size=8_000_000)
    store = world.directory / "home" / ".ollama" / "models"
    store.mkdir(parents=True)
    script = f'mount -t tmpfs -o size=2300k tmpfs {store} && exec "$@"'
    world.start(prefix=("unshare", "--mount", "sh", "-c", script, "sh"))


@situation("pull-error-digest-mismatch")
def wrong_bytes(world: World) -> None:
    """The config is in the store already, the other blob is served with wrong bytes."""
    pulled_tiny(world)
    tag, recorded, got = {
        "0.24.0": (
            "t20",
            "754d48583c3e0abd874ff51bf969bb7e304c9ac0429fbe34c16e62857b16391d",
            "752c6341b0198a153ca290de94b18b18e3fa7b0481518780b005c7e09e3bb162",
        ),
        "0.32.15": (
            "t21",
            "bb6fe1ecdd0eecbb48c948191c6bafede59f9e746b1cea931a2aca8a11767deb",
            "149e87f10114a96be852bf1000d6644bf5b220027cf82983d6ce7a31067dd9ce",
        ),
    }[world.version]
    data = noise(300_000, seed="t21")
    layer = world.registry.layer("model", data)
    world.registry.publish("library/e", tag, layer, config=TINY_CONFIG)
    world.stands_for(recorded, layer.digest)
    world.stands_for(got, sha256(bytes(byte ^ 0xFF for byte in data)))
    world.registry.fail("corrupt", layer.digest, request="blob_range")


@situation("pull-error-discovery-500")
def no_download_url(world: World) -> None:
    tag, recorded = {
        "0.24.0": ("t26", "080b8ed892ae568a80c56aba5aaa12464078737da60157d198633846c14b7ae5"),
        "0.32.15": ("t27", "a3fff776ccc344cd184cb8a76b8924af0bf7f162d44374ab214d8b294cf3e008"),
    }[world.version]
    big(world, tag, recorded, size=300_000, model="e")
    world.registry.fail("status", request="blob_get", status=500)
    world.start()


@situation("pull-error-no-location")
def no_location(world: World) -> None:
    world.registry.publish("library/e", "t3", world.registry.layer("model", noise(300_000, "t3")), config=TINY_CONFIG)
    world.registry.fail("no-location", request="blob_get")
    world.start()


@situation("pull-error-max-retries")
def forbidden_ranges(world: World) -> None:
    big(world, "r2", "70781211ed18b978291c0da24b6259b80e907aa86235e298d5c2b0d2b1ed191c", size=2_000_000)
    world.registry.fail("status", request="blob_range", status=403, body="denied")
    world.start()


def _moved_tag(world: World, env: dict[str, str] | None = None) -> None:
    """The tag was pulled; then it moved to other layers with the same config."""
    registry = world.registry
    world.start(env)
    registry.publish(
        "library/mv", "t", registry.gguf_layer("tiny-b"), registry.layer("system", b"first"), config=TINY_CONFIG
    )
    world.pull("mv:t")
    weights = registry.layer("model", (MODELS / "tiny-a.gguf").read_bytes() + b"x")
    text = registry.layer("system", b"the second system")
    registry.publish("library/mv", "t", weights, text, config=TINY_CONFIG)
    world.stands_for("a3d66b1f279c5b562cea5e5965c8a823077f92a960c6ffe7a914f3ed57bb272f", weights.digest)
    world.stands_for("899a28b42296c0725f4d89c6fe0353faac73c1471b9e6a753a75e7882c712b81", text.digest)


@situation("pull-moved-tag")
def moved_tag(world: World) -> None:
    _moved_tag(world)


@situation("pull-moved-tag-noprune")
def moved_tag_noprune(world: World) -> None:
    _moved_tag(world, {"OLLAMA_NOPRUNE": "1"})


@situation("pull-client-disconnect")
def client_leaves(world: World) -> None:
    big(world, "d", "229a1b9f587d3d29ee700370bb9beee2e723f4362464afef0bf25989f423d921")
    slowly(world)
    world.start()
    world.on_line = after(2_000_000)


@situation("pull-resume-after-disconnect")
def client_left_before(world: World) -> None:
    """A client left after 2 MB; the second pull asks for the rest only."""
    client_leaves(world)
    assert world.on_line is not None
    world.stream("/api/pull", {"model": world.registry.model("big:d"), "insecure": True}, world.on_line)
    world.on_line = None
    partials = world.store.blobs
    wait_for(lambda: '"Completed":0' not in _part_file(partials) and _part_file(partials), "saved progress")
    world.registry.reset()

    def only_the_rest() -> None:
        assert world.registry.counts["bytes"] < 5_000_000, "the second pull fetched everything again"

    world.afterwards.append(only_the_rest)


def _part_file(blobs: Path) -> str:
    return "".join(path.read_text(encoding="utf-8") for path in blobs.glob("*-partial-*"))


def _plan(world: World, tag: str, digest: str, number: int, content: str) -> None:
    """What an earlier pull left of a blob of 2 MB: a file of its plan."""
    name = big(world, tag, digest, size=2_000_000).replace(":", "-")
    world.store.blobs.mkdir(parents=True, exist_ok=True)
    (world.store.blobs / f"{name}-partial-{number}").write_text(content, encoding="utf-8")


@situation("pull-plan-too-large")
def plan_for_more_than_there_is(world: World) -> None:
    digest = "2723f1cd86cf1040a577ec035ae1edf8fcb831fdbd8ddbc081c28a5be7cf1d45"
    _plan(world, "p1", digest, 0, '{"N":0,"Offset":0,"Size":2001000,"Completed":0}\n')


@situation("pull-plan-empty")
def plan_that_is_empty(world: World) -> None:
    _plan(world, "p2", "3d10e09879eeab814c0aa8c0da374b6ab936eda1ed16aa0aed4bb2e896db82bb", 0, "")


@situation("pull-plan-cut")
def plan_that_is_cut(world: World) -> None:
    _plan(world, "p3", "592e9c906344d1f3f1685b0b7e99c42b9e2bdebeb464088bfe9dca4f3960497e", 0, '{"N":0,"Off')


@situation("pull-plan-without-its-first-file")
def plan_that_lost_a_file(world: World) -> None:
    digest = "27585cdce4e6ba1dcf8f0b37f3083e0f75335dc8e24a15a5dd5e77d6b6751d07"
    _plan(world, "p4", digest, 1, '{"N":1,"Offset":500000,"Size":1500000,"Completed":0}\n')


@situation("pull-concurrent-second-client")
def another_client_pulls(world: World) -> None:
    digest = big(world, "c", "00a4a86c1d91c64c9606cefa8213afe861dc853ff0e576d362e0ef661bbd6df9")
    slowly(world)
    world.background("/api/pull", {"model": world.registry.model("big:c"), "insecure": True})
    world.wait_for_request("blob_range")

    def fetched_once() -> None:
        log = world.registry.counts["log"]
        ranges = [entry for entry in log if digest in entry and "bytes=" in entry]
        assert len(ranges) == 1, f"the blob was fetched {len(ranges)} times"

    world.afterwards.append(fetched_once)


@situation("pull-joined-failed-preparation")
def joined_while_preparing(world: World) -> None:
    """The first client waits for HEAD of the blob, which fails; this one joined before and hears nothing of it."""
    big(world, "1", "349af8e1b3f53946ca7fc35c4400c97911914772bdbd1ffa355dcf6752a27f1b", model="j")
    world.registry.fail("delay", request="blob_head", seconds=5, status=404)
    world.background("/api/pull", {"model": world.registry.model("j:1"), "insecure": True})
    world.wait_for_request("blob_head")
    lines: list[Line] = []

    def long_enough(line: Line) -> bool:
        lines.append(line)
        return len(lines) > 150  # 9 s: well after the failure

    world.on_line = long_enough
    world.exits_with(2)


def _signal_after(world: World, amount: int, number: int) -> None:
    enough = after(amount)
    sent: list[int] = []

    def watch(line: Line) -> bool:
        if not sent and enough(line):
            sent.append(number)
            world.signal(number)
        return False

    world.on_line = watch


@situation("pull-server-killed")
def server_killed(world: World) -> None:
    big(world, "k", "8a1d010c67f516e7700f8a0079f03846022a66390c2417df8420c26c27813ea8")
    slowly(world)
    world.start()
    _signal_after(world, 3_000_000, signal.SIGKILL)
    world.exits_with(-signal.SIGKILL)


@situation("pull-server-sigterm")
def server_terminated(world: World) -> None:
    big(world, "g", "e45d9762c74250aa6c457408816e223990887f26480bc401957db181aeb8c5a3")
    slowly(world)
    world.start()
    _signal_after(world, 2_000_000, signal.SIGTERM)
    world.exits_with(0)
    blobs = world.store.blobs
    world.afterwards.append(lambda: _assert_saved(blobs))


def _assert_saved(blobs: Path) -> None:
    assert '"Completed":0' not in _part_file(blobs), "the progress was not saved"
    assert _part_file(blobs), "no part file is left"


@situation("pull-stall")
def registry_stalls(world: World) -> None:
    """Each connection stops after 3 MB, until the registry recovers."""
    big(world, "s", "71cfcbb84b71e851809443be3789ced695e4f3b100f55b325ea7778b42a13d81", size=8_000_000)
    world.registry.fail("stall", request="blob_range", after=3_000_000)
    world.start()

    def recover() -> None:
        world.wait_for_request("blob_range", 2)
        time.sleep(0.2)
        world.registry.heal()

    world.at_once(recover)
