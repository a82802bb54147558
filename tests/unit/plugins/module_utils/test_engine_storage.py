# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The place of an engine's data: each reason not to go on, and none where all is well."""

from __future__ import annotations

import re

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.alchemorsel.ollama.plugins.filter.engine_storage import engine_storage
from ansible_collections.alchemorsel.ollama.plugins.module_utils._engine_storage import Disk, parse_lines

SYSTEMS = ["ext4", "xfs", "btrfs"]
GIB = 1024**3
NOW = ["root /var/lib/docker", "disk now ext4 9000000 /", "disk containerd ext4 9000000 /"]


def judged(*lines, wanted="", **more):
    return engine_storage([*NOW, *lines], wanted, file_systems=SYSTEMS, min_free=2 * GIB, **more)


def test_lines_are_read_and_others_skipped():
    found = parse_lines(
        [*NOW, "package docker.io 1", "", "disk wanted xfs 5 /srv/a disk", "ftype wanted 0", "disk odd", "held 1 2 3"]
    )
    assert found.root == "/var/lib/docker"
    assert found.disks["now"] == Disk("ext4", 9000000 * 1024, "/")
    assert found.disks["wanted"] == Disk("xfs", 5 * 1024, "/srv/a disk", False)
    assert found.held == [1, 2, 3]
    assert "odd" not in found.disks


def test_nothing_is_said_where_nothing_is_asked_for_and_there_is_room():
    assert judged() == []
    assert engine_storage([], "", file_systems=SYSTEMS, min_free=GIB) == []


@pytest.mark.parametrize("system", ["ext4", "btrfs", "xfs"])
def test_a_mounted_disk_of_a_known_file_system_is_right(system):
    assert (
        judged(f"disk wanted {system} 9000000 /srv/docker", "ftype wanted 1", "held 0 0 0", wanted="/srv/docker") == []
    )


def test_an_xfs_of_which_nothing_more_is_known_is_left_to_the_engine():
    assert judged("disk wanted xfs 9000000 /srv/docker", "held 0 0 0", wanted="/srv/docker") == []


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["disk wanted ext4 9000000 /"], "no disk is mounted there: it lies on the file system of /. Mount the disk"),
        (["disk wanted nfs4 9000000 /srv/docker"], "lies on nfs4, wanted is one of ext4, xfs, btrfs"),
        (["disk wanted tmpfs 9000000 /srv/docker"], "lies on tmpfs"),
        (
            ["disk wanted xfs 9000000 /srv/docker", "ftype wanted 0"],
            "an xfs without d_type .*says ftype=0.*mkfs.xfs -n ftype=1",
        ),
        (["disk wanted ext4 1000000 /srv/docker"], "/srv/docker .* has 1.0 GiB free, wanted are 2.0 GiB"),
        (
            ["disk wanted ext4 9000000 /srv/docker", "held 1 0 2"],
            "/var/lib/docker holds 1 container, 2 volumes, which would stay behind",
        ),
    ],
)
def test_each_reason_is_told_with_its_remedy(lines, words):
    problems = judged(*lines, wanted="/srv/docker")
    assert len(problems) == 1
    assert re.search(words, problems[0])


def test_what_was_said_is_not_asked_again():
    lines = ["disk wanted ext4 9000000 /", "held 3 2 1"]
    assert judged(*lines, wanted="/srv/docker", mounted=False, abandon=True) == []


def test_the_present_root_is_no_move():
    assert judged("disk wanted ext4 9000000 /", "held 3 2 1", wanted="/var/lib/docker", mounted=False) == []


def test_room_is_wanted_once_for_each_file_system_and_where_the_images_lie():
    low = ["root /var/lib/docker", "disk now ext4 1000000 /", "disk containerd ext4 1000000 /"]
    assert len(engine_storage(low, "", file_systems=SYSTEMS, min_free=2 * GIB)) == 1
    apart = ["root /var/lib/docker", "disk now ext4 9000000 /data", "disk containerd ext4 1000000 /"]
    assert len(engine_storage(apart, "", file_systems=SYSTEMS, min_free=2 * GIB)) == 1
    assert engine_storage(apart, "", file_systems=SYSTEMS, min_free=2 * GIB, containerd=False) == []
    assert engine_storage(low, "", file_systems=SYSTEMS, min_free=0) == []


@pytest.mark.parametrize(("lines", "systems"), [("disk", SYSTEMS), ([], None), ([], {"ext4": ""})])
def test_the_filter_names_the_wrong_argument(lines, systems):
    with pytest.raises(AnsibleFilterError, match="engine_storage"):
        engine_storage(lines, "", file_systems=systems)
