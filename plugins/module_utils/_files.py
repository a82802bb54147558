# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""GGUF files of the host: opened, checked, hashed and read piece by piece, whatever else happens to them meanwhile."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Callable

from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import UNKNOWN
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import Desired
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import FileChanged, UnusableFile
from ansible_collections.alchemorsel.ollama.plugins.module_utils._gguf import check_header
from ansible_collections.alchemorsel.ollama.plugins.module_utils._progress import ENDED
from ansible_collections.alchemorsel.ollama.plugins.module_utils._pull import Report
from ansible_collections.alchemorsel.ollama.plugins.module_utils._record import (
    Hashed,
    Identity,
    Record,
    SourceFile,
    identity,
)

#: Bytes that are read at a time.
PIECE = 1024 * 1024
#: Seconds within which a second change of a file may get the same time as the first one: of clocks with a finer tick
#: than a second, and of those without.
TICK, COARSE_TICK = 0.05, 2.0


@dataclass(frozen=True)
class Open:
    """A file that is open, and how it was then."""

    path: str
    stream: BinaryIO
    identity: Identity

    def check(self) -> None:
        """See that it still is as it was.

        :raises FileChanged: if it is not
        """
        if identity(os.fstat(self.stream.fileno())) != self.identity:
            raise FileChanged(
                f"'{self.path}' was changed while it was read; let whatever writes it end, then run again",
                error=self.path,
            )


@contextmanager
def opened(path: str) -> Iterator[Open]:
    """Open a file of the host, which must be a regular one.

    :raises UnusableFile: with what is wrong, also for what goes wrong while it is read
    """
    try:
        # Without waiting for somebody who writes into a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        raise UnusableFile(f"'{path}' {_cannot_open(path, exc)}") from exc
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        kind = "a directory" if stat.S_ISDIR(status.st_mode) else "no regular file"
        raise UnusableFile(f"'{path}' is {kind}; name a GGUF file")
    with open(descriptor, "rb", buffering=PIECE) as stream:
        yield Open(path, stream, identity(status))


def _cannot_open(path: str, exc: OSError) -> str:
    if exc.errno == errno.ELOOP:
        return f"is a symbolic link; name the file that it points to, '{os.path.realpath(path)}'"
    if exc.errno in (errno.ENOENT, errno.ENOTDIR):
        return (
            "is not there on the host where the module runs; put it there, or declare the model without gguf if it is to stay as "
            "it is on the server"
        )
    return f"cannot be read: {exc.strerror}; let the module's user read it (see become)"


def pieces(file: Open) -> Iterator[bytes]:
    """Yield the content of a file.

    :raises FileChanged: if there is more or less of it than before
    """
    left = file.identity.size
    file.stream.seek(0)
    while left:
        try:
            piece = file.stream.read(min(PIECE, left))
        except OSError as exc:
            raise UnusableFile(f"'{file.path}' cannot be read: {exc.strerror}; check the disk") from exc
        left -= len(piece)
        if not piece:
            file.check()
            raise FileChanged(f"'{file.path}' became shorter while it was read; run again when it is complete")
        yield piece
    file.check()


def hash_file(file: Open, tell: Callable[[int], None]) -> str:
    """Return the digest of a file.

    :param tell: called with each percent that is done
    """
    _settle(file.identity)
    hasher = hashlib.sha256()
    done = percent = 0
    for piece in pieces(file):
        hasher.update(piece)
        done += len(piece)
        if 100 * done // file.identity.size > percent:
            percent = 100 * done // file.identity.size
            tell(percent)
    return f"sha256:{hasher.hexdigest()}"


def _settle(state: Identity) -> None:
    """Wait until a further change of a file would be seen by its times."""
    tick = TICK if state.changed % 10**9 else COARSE_TICK
    left = state.changed / 1e9 + tick - time.time()
    if 0 < left <= tick:
        time.sleep(left)


def examine(path: str, record: Record, *, hash_now: bool, tell: Callable[[int], None]) -> SourceFile:
    """Return what there is to know of a file; the record tells its digest, or it is checked and hashed.

    :param hash_now: without, the digest of a file that the record does not know stays unknown
    :raises UnusableFile: if no model can be made of it
    """
    with opened(path) as file:
        size = file.identity.size
        digest = record.digest(path, file.identity)
        if digest is None:
            try:
                check_header(file.stream, size)
            except UnusableFile as exc:
                raise UnusableFile(f"'{path}' {exc.message}") from exc
            except OSError as exc:
                raise UnusableFile(f"'{path}' cannot be read: {exc.strerror}; check the disk") from exc
            if not hash_now:
                return SourceFile(path, UNKNOWN, file.identity)
            digest = hash_file(file, tell)
            record.note_file(path, Hashed(file.identity, digest))
        return SourceFile(path, digest, file.identity)


def examine_all(
    desired: Iterable[Desired], record: Record, *, hash_now: bool, report: Report | None = None
) -> dict[str, SourceFile | UnusableFile]:
    """Return what there is to know of each declared file, by path; what is wrong with it if it is not usable."""
    found: dict[str, SourceFile | UnusableFile] = {}
    for item in desired:
        if item.file is None or item.file.path in found:
            continue
        name, path = item.name.short, item.file.path
        try:
            found[path] = examine(path, record, hash_now=hash_now, tell=_teller(name, path, report))
        except UnusableFile as exc:
            found[path] = exc
        finally:
            if report:
                report(name, {"status": ENDED})
    return found


def _teller(name: str, path: str, report: Report | None) -> Callable[[int], None]:
    def tell(percent: int) -> None:
        if report:
            report(name, {"status": f"hashing {os.path.basename(path)}, {percent} %"})

    return tell
