# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Downloads that the server has begun: ``blobs/sha256-<hex>-partial``, and a plan in ``blobs/sha256-<hex>-partial-<n>``, JSON each.

The server makes the plan once, for the size that the source says then, and follows it in all later pulls. A plan for another
size than the blob has, or one that has lost a file or cannot be read, is never completed. It also stays in the memory of a server
that works on it, up to 32 seconds longer than its client, and such a server writes plan files anew.
"""

from __future__ import annotations

import itertools
import json
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.alchemorsel.ollama.plugins.module_utils._numbers import is_whole
from ansible_collections.alchemorsel.ollama.plugins.module_utils._store import BLOBS, blob_path

#: No file of a plan is larger: it has one line.
MAX_PART = 64 * 1024
#: Number of the right to look into processes, as linux/capability.h has it.
CAP_SYS_PTRACE = 19
_MARK = "-partial"

#: File name -> its content, ``None`` for what is no regular file.
Parts = Mapping[str, Optional[bytes]]


@dataclass(frozen=True)
class Verdict:
    """Why a plan can never be completed."""

    why: str
    #: the plan is whole: its source has said another size when it was made
    by_source: bool


def part_span(body: bytes | None) -> tuple[int, int] | None:
    """Return where a file of a plan begins (-1: it does not say) and the bytes that it stands for; ``None`` for an unknown form.

    The server takes the first JSON value of the file and ignores what follows, and so does this.

    :raises ValueError: with the words that say why the server cannot read it
    """
    if body is None:
        raise ValueError("is no regular file")
    text = body[:MAX_PART].decode("utf-8", "replace").lstrip(" \t\r\n")
    if not text:
        raise ValueError("is empty")
    try:
        content: Any = json.JSONDecoder().raw_decode(text)[0]
    except (ValueError, RecursionError) as exc:
        raise ValueError("is no complete JSON text") from exc
    if not isinstance(content, dict):
        raise ValueError("is JSON, but no part of a download")
    if "Size" not in content:
        # No known version writes that. One that does may be able to complete it.
        return None
    size = content["Size"]
    if not is_whole(size) or size < 0:
        raise ValueError("has a size that is none")
    offset: Any = content.get("Offset")
    return int(offset) if is_whole(offset) else -1, int(size)


def hopeless(parts: Parts, wanted: int) -> Verdict | None:
    """Return why a plan can never be completed, ``None`` if it can, or where that is not known.

    :param wanted: size of the blob as the manifest of its source says, 0 if it says none
    """
    spans, faults = [], []
    for name in sorted(parts):
        try:
            spans.append(part_span(parts[name]))
        except ValueError as exc:
            faults.append(f"{name} {exc}")
    known = sorted(span for span in spans if span is not None)
    if not parts or wanted <= 0 or len(known) < len(spans):
        return None
    if faults:
        return Verdict(faults[0], by_source=False)
    total = sum(size for _offset, size in known)
    if total == wanted:
        return None
    # Where a file is missing, its source is not to blame.
    ends = itertools.accumulate((size for _offset, size in known), initial=0)
    whole = all(offset == end for (offset, _size), end in zip(known, ends))
    return Verdict(f"it is for {total} bytes, and the manifest of the source says {wanted}", by_source=whole)


def in_order(names: Collection[str]) -> list[str]:
    """Return the files of a plan in an order in which they can be removed: what is there after each step is a beginning of the blob."""
    return sorted(names, key=lambda name: (_number(name), name), reverse=True)


def _number(name: str) -> int:
    number = name.rpartition("-")[2]
    # What has no number belongs to no beginning.
    return int(number) if number.isascii() and number.isdecimal() and len(number) < 10 else 1 << 32


# --- on the disk --------------------------------------------------------------------------------------------------


def any_begun(root: str) -> bool:
    """Tell whether the store has a plan of any blob."""
    return any(_MARK + "-" in name for name in _names(os.path.join(root, BLOBS)))


def read_plan(root: str, digest: str) -> dict[str, bytes | None]:
    """Return the plan for a blob; links are not followed.

    :raises OSError: if it cannot be read
    """
    directory, blob = os.path.split(blob_path(root, digest))
    parts: dict[str, bytes | None] = {}
    for name in _names(directory):
        if name.startswith(f"{blob}{_MARK}-"):
            try:
                parts[name] = _read(os.path.join(directory, name))
            except FileNotFoundError:
                # The download ended just now.
                continue
    return parts


def _read(path: str) -> bytes | None:
    """Return the beginning of a file, ``None`` for what is no regular one."""
    if not stat.S_ISREG(os.lstat(path).st_mode):
        return None
    # Another kind of file may have taken its place: neither a link is followed nor a pipe waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as stream:
        return stream.read(MAX_PART) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None


def remove_plan(root: str, digest: str, names: Collection[str]) -> None:
    """Remove the files of a plan and what was fetched by it; a link goes, not what it leads to.

    :raises OSError: if that cannot be done
    """
    path = blob_path(root, digest)
    for name in [*in_order(names), os.path.basename(path) + _MARK]:
        try:
            os.unlink(os.path.join(os.path.dirname(path), name))
        except FileNotFoundError:
            # The server was faster.
            continue


def in_use(root: str, digest: str, processes: str = "/proc") -> bool | None:
    """Tell whether some process has a begun download open, ``None`` where this user may not see that.

    The server has it open from the first request to the end. In a container it has another path there, but is the same file.
    Root sees the files of all processes, unless it lacks CAP_SYS_PTRACE, as in many containers; others see those of their
    own, unless these have another group: of a file that is theirs, that is what counts (ptrace(2), access mode checking).
    """
    path = blob_path(root, digest) + _MARK
    try:
        wanted = os.stat(path)
    except OSError:
        return False
    files, unseen = _open_files(processes, os.path.basename(path))
    if any(os.path.samestat(found, wanted) for found in files):
        return True
    user = os.geteuid()
    if user != 0:
        return False if wanted.st_uid == user and user not in unseen.values() else None
    # What refuses all the same is under another security profile: then the first process is the host's, which pulls nothing.
    ignored = {"1"} if _sees_all(processes) else set()
    return None if unseen.keys() - ignored else False


def _sees_all(processes: str) -> bool:
    """Tell whether this process may look into all others."""
    try:
        with open(os.path.join(processes, "self", "status"), encoding="ascii", errors="replace") as lines:
            rights = next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), 0)
    except (OSError, ValueError, IndexError):
        return False
    return bool(rights >> CAP_SYS_PTRACE & 1)


def _open_files(processes: str, name: str) -> tuple[list[os.stat_result], dict[str, int]]:
    """Return the status of all open files with a name, and the processes that were not to be looked into, with their users."""
    found: list[os.stat_result] = []
    unseen: dict[str, int] = {}
    for process in filter(str.isdecimal, _names(processes)):
        folder, owner = os.path.join(processes, process), -1
        try:
            owner = os.stat(folder).st_uid
            found += _named_files(os.path.join(folder, "fd"), name)
        except PermissionError:
            unseen[process] = owner
        except OSError:
            # It has just ended.
            continue
    return found, unseen


def _named_files(folder: str, name: str) -> Iterator[os.stat_result]:
    """Yield the status of those of a process's open files that have a name.

    :raises PermissionError: if they are not to be looked at; they may be listed all the same
    """
    for descriptor in os.listdir(folder):
        link = os.path.join(folder, descriptor)
        try:
            if os.path.basename(os.readlink(link)) == name:
                yield os.stat(link)
        except PermissionError:
            raise
        except OSError:
            # It is closed by now, or no file that could be looked at.
            continue


def _names(folder: str) -> list[str]:
    """Return what a directory holds; nothing if it is gone or another user's."""
    try:
        return os.listdir(folder)
    except OSError:
        return []
