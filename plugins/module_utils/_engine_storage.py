# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether an engine's data has a good place: file system, mount point, room, and what would stay behind. Pure functions, no I/O.

The lines are those of the role docker's look at the host:

    root PATH                                   the present data-root
    disk WHICH FILESYSTEM FREE_KIB MOUNTPOINT   WHICH is now, wanted or containerd
    ftype WHICH 0|1                             whether an xfs stores the types of its entries
    held CONTAINERS IMAGES VOLUMES              what lies in the present data-root
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ansible_collections.alchemorsel.ollama.plugins.module_utils._numbers import counted


class Disk(NamedTuple):
    """Where a directory lies, or would lie: bytes that are free, and whether xfs stores types (None: not known)."""

    file_system: str
    free: int
    mount: str
    ftype: bool | None = None


class Found(NamedTuple):
    """What the lines say: the present data-root, the disks by name, and the numbers of containers, images and volumes."""

    root: str
    disks: dict[str, Disk]
    held: list[int]


def parse_lines(lines: Iterable[str]) -> Found:
    """What was found; lines that are none of ours are skipped."""
    root = ""
    disks: dict[str, Disk] = {}
    held = [0, 0, 0]
    for line in lines:
        word, *rest = line.split(None, 4) or [""]
        if word == "root":
            root = line[5:]
        elif word == "disk" and len(rest) == 4 and (free := counted(rest[2])) is not None:
            disks[rest[0]] = Disk(rest[1], free * 1024, rest[3])
        elif word == "ftype" and len(rest) == 2 and rest[0] in disks:
            disks[rest[0]] = disks[rest[0]]._replace(ftype=rest[1] == "1")
        elif word == "held" and len(rest) == 3:
            held = [counted(number) or 0 for number in rest]
    return Found(root, disks, held)


def storage_problems(
    lines: Iterable[str],
    *,
    wanted: str,
    mounted: bool,
    abandon: bool,
    min_free: int,
    containerd: bool,
    file_systems: list[str],
) -> list[str]:
    """One sentence for each reason not to go on.

    ``wanted`` is the data-root that was asked for ("" for none); ``mounted``: it has to be a mount point; ``abandon``: what is in the
    old one may stay behind; ``containerd``: images lie, or may lie, in /var/lib/containerd; ``file_systems``: those that the engine's
    storage driver is known to work on.
    """
    present, disks, held = parse_lines(lines)
    moves = bool(wanted) and wanted.rstrip("/") != present.rstrip("/")
    problems = []
    place = disks.get("wanted")
    if wanted and place:
        problems += _place_problems(wanted, place, mounted, file_systems)
    if moves and any(held) and not abandon:
        problems.append(
            f"The data-root would change from {present} to {wanted}, and {present} holds {_count(held)}, which would stay behind and "
            f"no longer be seen. Stop the engine, copy them with `rsync -aHAX --numeric-ids {present}/ {wanted}/` and set "
            "docker_data_root_abandon: true, or set it to go on without them."
        )
    problems += _room_problems(
        {
            wanted or present: disks.get("wanted" if wanted else "now"),
            "/var/lib/containerd": disks.get("containerd") if containerd else None,
        },
        min_free,
    )
    return problems


def _place_problems(wanted: str, place: Disk, mounted: bool, file_systems: list[str]) -> list[str]:
    problems = []
    if mounted and place.mount.rstrip("/") != wanted.rstrip("/"):
        problems.append(
            f"docker_data_root is {wanted}, and no disk is mounted there: it lies on the file system of {place.mount}. Mount the disk, "
            "also in /etc/fstab, or set docker_data_root_mounted: false to use a directory of that file system."
        )
    if place.file_system not in file_systems:
        problems.append(
            f"docker_data_root {wanted} lies on {place.file_system}, wanted is one of {', '.join(file_systems)}, on which the storage "
            "driver overlay2 is known to work. Choose another place, or make another file system there."
        )
    elif place.file_system == "xfs" and place.ftype is False:
        problems.append(
            f"docker_data_root {wanted} lies on an xfs without d_type (`xfs_info {place.mount}` says ftype=0), which overlay2 refuses. "
            "Make the file system anew with `mkfs.xfs -n ftype=1`."
        )
    return problems


def _room_problems(places: dict[str, Disk | None], min_free: int) -> list[str]:
    problems = []
    seen = set()
    for path, disk in places.items():
        if disk is None or disk.mount in seen or disk.free >= min_free:
            continue
        seen.add(disk.mount)
        problems.append(
            f"{path} lies on the file system of {disk.mount}, which has {_size(disk.free)} free, wanted are {_size(min_free)}. "
            "Make room (`docker system df` shows what can go), or lower docker_min_free."
        )
    return problems


def _count(held: list[int]) -> str:
    names = ("container", "image", "volume")
    return ", ".join(f"{number} {name}{'' if number == 1 else 's'}" for number, name in zip(held, names) if number)


def _size(number: int) -> str:
    return f"{number / 2**30:.1f} GiB"
