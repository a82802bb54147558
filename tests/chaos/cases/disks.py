# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks that are full, have no inodes left, or are read-only. Each is a tmpfs of its own, so that nothing fills the machine's disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..case import Case, Unexpected
from ..site import MIB, Site, expect, models

MISSING = "a declared model of 3 MiB is missing"
#: the store goes to a tmpfs of so many bytes or inodes more than it needs, and what was below it is there again after the case
SMALL = """
docker stop ollama >/dev/null
mkdir /root/chaos-store
cp -a /var/lib/ollama/. /root/chaos-store/
used=$(du --summarize --block-size=4096 /root/chaos-store | cut -f 1)
files=$(find /root/chaos-store | wc -l)
mount -t tmpfs -o "size=$((used * 4096 + $1)),nr_inodes=$((files + $2)),mode=0750,uid=1000,gid=1000" tmpfs /var/lib/ollama
cp -a /root/chaos-store/. /var/lib/ollama/
rm -r /root/chaos-store
docker start ollama >/dev/null
"""
LARGE = "docker stop ollama >/dev/null; umount /var/lib/ollama; docker start ollama >/dev/null"
ROOM = "mount -o remount,size=64m,nr_inodes=10000 /var/lib/ollama"


@contextmanager
def small_store(site: Site, more: int, inodes: int = 1000) -> Iterator[None]:
    """Have a store with so little room; there is room at the end, and the disk of before after the case."""
    site.host.sh(SMALL, str(more), str(inodes))
    site.later.callback(site.host.sh, LARGE)
    if site.serving(site.before, 120) is None:
        raise RuntimeError("the server does not serve from the small store")
    with site.afterwards(lambda: site.host.sh(ROOM)):
        yield


def filled(site: Site) -> None:
    """Somebody else fills the disk while the model is pulled, for which there was room."""
    name = site.publish()
    site.registry.fail("drip", path=f"chaos/{site.case}/", request="blob_range", rate=MIB // 16, chunk=50_000)
    fill = "cat /dev/zero >/var/lib/ollama/filler 2>/dev/null || true"
    with small_store(site, 12 * MIB):
        play = site.start("models", ollama_models_list=models(name), ollama_models_min_free="0")
        site.registry.asked(f"GET /v2/chaos/{site.case}/blobs/", 2)
        with site.changed(fill, "rm /var/lib/ollama/filler"):
            expect(play.end(), "failing", "no space left on device")


def no_inodes(site: Site) -> None:
    """There is room, but for no further file."""
    name = site.publish()
    with small_store(site, 32 * MIB, 0):
        run = site.run("models", ollama_models_list=models(name), ollama_models_min_free="0")
        expect(run, "failing", "no space left on device")


def refused(site: Site) -> None:
    """What cannot fit is not begun."""
    name = site.publish()
    with small_store(site, 6 * MIB):
        run = site.run("models", ollama_models_list=models(name), ollama_models_min_free="5M")
        expect(run, "failing", "min_free wants 5")
    if blobs := [line for line in site.registry.log() if f"GET /v2/chaos/{site.case}/blobs/" in line]:
        raise Unexpected(f"the run has pulled what cannot fit: {blobs}")


def read_only(site: Site) -> None:
    """The store is mounted read-only below the server."""
    name = site.publish()
    enter = "nsenter --mount --target $(docker inspect --format '{{ .State.Pid }}' ollama) mount -o remount,bind,"
    with site.changed(f"{enter}ro /var/lib/ollama", f"{enter}rw /var/lib/ollama"):
        expect(site.run("models", ollama_models_list=models(name)), "failing", "read-only file system")


def read_only_update(site: Site) -> None:
    """A model is to be updated in a store that is read-only."""
    name = site.publish()
    declared = {"ollama_models_list": models(name, state="latest")}
    expect(site.run("models", **declared), "well")
    site.publish(1)
    enter = "nsenter --mount --target $(docker inspect --format '{{ .State.Pid }}' ollama) mount -o remount,bind,"
    with site.changed(f"{enter}ro /var/lib/ollama", f"{enter}rw /var/lib/ollama"):
        expect(site.run("models", **declared), "failing", "read-only file system")


def tmp_full(site: Site) -> None:
    """The host's /tmp has no byte left."""
    name = site.publish()
    fill = "mount -t tmpfs -o size=16k tmpfs /tmp; head -c 1m /dev/zero >/tmp/filler 2>/dev/null || true"
    with site.changed(fill, "umount --lazy /tmp"):
        run = site.run("models", ollama_models_list=models(name))
        expect(run, "any", "" if run.status == 0 else "No space left on device", traceback=True)


#: the engine's data goes to a tmpfs that has no room, as the store above
SMALL_ENGINE = """
docker stop ollama >/dev/null
systemctl stop docker.socket docker
mkdir /root/chaos-engine
mount -t tmpfs -o "size=$(($(du --summarize --block-size=1M /var/lib/docker | cut -f 1) * 3 / 2))m" tmpfs /root/chaos-engine
cp -a /var/lib/docker/. /root/chaos-engine/
mount --bind /root/chaos-engine /var/lib/docker
umount --lazy /root/chaos-engine
systemctl start docker
docker start ollama >/dev/null
"""
LARGE_ENGINE = """
docker stop ollama >/dev/null
systemctl stop docker.socket docker
umount --lazy /var/lib/docker
rmdir /root/chaos-engine
systemctl start docker
docker start ollama >/dev/null
"""


def engine_full(site: Site) -> None:
    """There is no room for the new container of an upgrade, nor for anything else of the engine."""
    site.host.sh(SMALL_ENGINE)
    site.later.callback(site.host.sh, LARGE_ENGINE)
    with site.changed("cat /dev/zero >/var/lib/docker/filler 2>/dev/null || true", "rm /var/lib/docker/filler"):
        run = site.run("server", ollama_image=site.other_image())
        expect(run, "failing", "(?i)no space left on device|free")


CASES = (
    Case(
        "store-full",
        "a part of a declared model of 3 MiB has come",
        "somebody else fills the disk of the store",
        "fails and names the disk",
        filled,
        quick=True,
    ),
    Case(
        "store-too-small",
        MISSING,
        "the store has 6 MiB, 5 of which are to stay free",
        "is refused before a byte is pulled",
        refused,
    ),
    Case("store-without-inodes", MISSING, "the store has no inode left", "fails and names the disk", no_inodes),
    Case("store-read-only", MISSING, "the store has become read-only", "fails and says so", read_only),
    Case(
        "update-read-only",
        "a model is served, and its tag has moved",
        "the store has become read-only",
        "fails and says so; the model of before stays",
        read_only_update,
    ),
    Case("tmp-full", MISSING, "the host's /tmp is full", "fails and says so, or ends well", tmp_full),
    Case(
        "engine-disk-full",
        "another image is declared",
        "/var/lib/docker is full",
        "fails; the old server serves on",
        engine_full,
    ),
)
