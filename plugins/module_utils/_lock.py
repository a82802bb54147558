# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One changing run per server at a time, on the machine where the module runs.

The lock is flock on a file whose name derives from the server's address. The kernel frees it when its holder ends,
however that happens. The file stays, and says who was the last to hold it: so a run notices that another one has been
at work since it looked at the server. It is written only by a run that holds the lock.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import math
import os
import stat
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Callable
from urllib.parse import urlsplit

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._answers import is_loopback
from ansible_collections.alchemorsel.ollama.plugins.module_utils._progress import human_time
from ansible_collections.alchemorsel.ollama.plugins.module_utils._pull import Clock

#: Where the file may lie: the first that has it, or else the first that can be written. The same for all users, so no TMPDIR.
DIRECTORIES = ("/run/lock", "/tmp")
#: Seconds between two tries.
POLL = 0.5
#: Seconds by which the time of a file may lag behind the clock.
TICK = 0.05

_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PORTS = {"http": 80, "https": 443}


def server_address(url: str) -> str:
    """Return host and port of a server: the same for all spellings of this machine's loopback, whatever scheme and path."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".").lower()
    return f"{'loopback' if is_loopback(host) else host} {parts.port or _PORTS.get(parts.scheme)}"


def lock_name(url: str) -> str:
    """Return the name of a server's lock file."""
    return f"alchemorsel-ollama-{hashlib.sha256(server_address(url).encode()).hexdigest()[:16]}.lock"


@dataclass(frozen=True)
class Holder:
    """What a lock file says.

    :param since: seconds of the wall clock
    :param working: it has not said that it was done
    """

    pid: int
    since: float
    working: bool = True

    def age(self, now: float) -> str:
        """Return when it began."""
        return f"began {human_time(now - self.since)} ago"


def parse_holder(text: str) -> Holder | None:
    """Return what a lock file says, ``None`` if it is nothing that this module writes: everybody may write there."""
    try:
        data = json.loads(text)
        holder = Holder(int(data["pid"]), float(data["since"]), bool(data["working"]))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    return holder if math.isfinite(holder.since) else None


class ServerLock:
    """The lock of one server; made before the server is looked at, or told when that was.

    :param waiting: called with the words for the holder at each try in vain
    :param since: time of the wall clock at which the server was looked at, where that was before this object was made
    """

    def __init__(
        self,
        url: str,
        *,
        waiting: Callable[[str], None] | None = None,
        directories: Sequence[str] | None = None,
        clock: Clock | None = None,
        wall: Callable[[], float] = time.time,
        since: float | None = None,
    ) -> None:
        self._url = url
        self._waiting = waiting
        self._paths = [os.path.join(folder, lock_name(url)) for folder in directories or DIRECTORIES]
        self._clock = clock or Clock()
        self._wall = wall
        self._since = since
        self._held: tuple[int, Holder] | None = None
        self._mark = self._peek()
        #: whether somebody else has been at work since the server was looked at; known once the lock is held
        self.disturbed = False

    def __enter__(self) -> ServerLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def acquire(self, timeout: float) -> None:
        """Take the lock; wait for it if another run holds it.

        :raises ServerLocked: if that takes longer than ``timeout`` seconds
        :raises LockUnusable: if the file cannot be used
        """
        deadline = self._clock.now() + timeout
        while True:
            path, descriptor = self._open()
            if not _locked(descriptor):
                self._wait(path, _read_and_close(descriptor), deadline, timeout)
            elif _is(path, descriptor):
                self._take(path, descriptor)
                return
            else:
                # Something that tidies up removed it between open and flock: others would lock another file.
                os.close(descriptor)

    def release(self) -> None:
        """Say that the work is done, and free the lock; without the lock, do nothing."""
        if self._held is None:
            return
        descriptor, holder = self._held
        self._held = None
        try:
            _write(descriptor, Holder(holder.pid, holder.since, working=False))
        except OSError:
            # The next run takes this one for killed, and looks at the server once more: no harm done.
            return
        finally:
            os.close(descriptor)

    def _wait(self, path: str, said: str, deadline: float, timeout: float) -> None:
        """Wait until the next try, unless the time is up."""
        holder = parse_holder(said)
        words = f"process {holder.pid}" if holder else "a process that the lock file does not name"
        left = deadline - self._clock.now()
        if left <= 0:
            began = f", which {holder.age(self._wall())}" if holder else ""
            raise errors.ServerLocked(
                f"another run works on the models of {self._url}: {words}{began}, and it was not done within lock_timeout, "
                f"{timeout:g} s. Wait for its end, or end it: what it has fetched stays there. Or raise lock_timeout. "
                f"The lock, {path}, is free as soon as that process has ended",
                url=self._url,
            )
        if self._waiting:
            self._waiting(words)
        self._clock.sleep(min(POLL, left))

    def _take(self, path: str, descriptor: int) -> None:
        """Note who was here, and write that this run is."""
        said = _read(descriptor)
        before = parse_holder(said)
        written = self._since is not None and os.fstat(descriptor).st_mtime > self._since - TICK
        self.disturbed = said != self._mark or (before is not None and (before.working or written))
        holder = Holder(os.getpid(), round(self._wall(), 6))
        try:
            _write(descriptor, holder)
        except OSError as exc:
            os.close(descriptor)
            raise _unusable(path, f"it cannot be written: {exc.strerror}") from exc
        self._held = (descriptor, holder)

    def _peek(self) -> str:
        """Return what the file says now; what is wrong with it shows when it is needed."""
        for path in self._paths:
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError:
                continue
            return _read_and_close(descriptor)
        return ""

    def _open(self) -> tuple[str, int]:
        """Open the file that is there, or else make it.

        With O_CREAT the kernel refuses even root a file of somebody else in a directory with the sticky bit
        (fs.protected_regular), so it is tried without first.
        """
        while True:
            for path in self._paths:
                try:
                    descriptor = os.open(path, _FLAGS)
                except OSError as exc:
                    if exc.errno in (errno.ENOENT, errno.ENOTDIR) or not os.path.lexists(path):
                        continue
                    raise _unusable(path, f"it cannot be opened: {exc.strerror}") from exc
                found = os.fstat(descriptor)
                if stat.S_ISREG(found.st_mode) and found.st_nlink <= 1:
                    return path, descriptor
                os.close(descriptor)
                raise _unusable(path, "it is no plain file with this one name")
            made = self._make()
            if made:
                return made

    def _make(self) -> tuple[str, int] | None:
        """Make the file where it can be made; ``None`` if somebody else was faster."""
        reasons = []
        for path in self._paths:
            # So that the file may be locked by all users from its first moment on.
            mask = os.umask(0)
            try:
                return path, os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o666)
            except FileExistsError:
                return None
            except OSError as exc:
                reasons.append(f"{path}: {exc.strerror}")
            finally:
                os.umask(mask)
        raise errors.LockUnusable(
            f"the lock of {self._url} cannot be made ({'; '.join(reasons)}); let one of these directories be writable"
        )


def _locked(descriptor: int) -> bool:
    """Lock an open file; tell whether that went without waiting."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(descriptor))
    except OSError:
        return False


def _read(descriptor: int) -> str:
    return os.pread(descriptor, 4096, 0).decode("utf-8", "replace")


def _read_and_close(descriptor: int) -> str:
    try:
        return _read(descriptor)
    except OSError:
        # A directory, for instance; what is wrong with it is told when it is needed.
        return ""
    finally:
        os.close(descriptor)


def _write(descriptor: int, holder: Holder) -> None:
    data = json.dumps(asdict(holder)).encode()
    os.pwrite(descriptor, data, 0)
    os.ftruncate(descriptor, len(data))


def _unusable(path: str, why: str) -> errors.LockUnusable:
    return errors.LockUnusable(
        f"the lock file {path} cannot be used: {why}. Wanted is a plain file that all who run this module may read and write "
        "(mode 0666), or none; remove it while no run is at work"
    )
