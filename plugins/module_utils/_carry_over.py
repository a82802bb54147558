# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Takes over the models of another store, as hard links or copies: blobs first, manifests last, each by a rename.

The source is only read, and keeps its names; with hard links, the files' owner changes on both sides.
A run that is killed leaves whole models and a folder that the next run removes.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from typing import Optional

from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidInput
from ansible_collections.alchemorsel.ollama.plugins.module_utils._store import (
    BLOBS,
    MANIFESTS,
    Contents,
    Stored,
    blob_path,
    free_bytes,
    read_contents,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._takeover import KEY, RECORD, Source, Takeover, no_room

_STAGING = ".alchemorsel-migration"
_CHUNK = 1024 * 1024
#: What says that a file cannot have a second name there, though it can be copied.
_NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS)


def existing(path: str) -> str:
    """Return the nearest directory above a path, or the path itself, that is there."""
    while not os.path.isdir(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path


def same_file_system(one: str, other: str) -> bool:
    """Tell whether files of one directory can, as it seems, have a second name in the other."""
    return os.stat(existing(one)).st_dev == os.stat(existing(other)).st_dev


def recorded(path: str) -> str:
    """Return from where the store at ``path`` was taken over, empty if it was not."""
    try:
        with open(os.path.join(path, RECORD), encoding="utf-8") as stream:
            return stream.read().strip()
    except FileNotFoundError:
        return ""


def contents_of(models: str) -> Contents:
    """Return what a store holds, which may not be there yet."""
    return read_contents(models) if os.path.isdir(models) else Contents(models)


class Carrier:
    """Carries models into the store at ``path``, for the user who owns that.

    :param min_free: bytes that must stay free where files are copied
    """

    def __init__(self, source: Source, path: str, owner: int, group: int, min_free: int) -> None:
        self._source = source
        self._path = path
        self._models = os.path.join(path, "models")
        self._staging = os.path.join(path, _STAGING)
        self._owner, self._group = owner, group
        self._min_free = min_free
        self.linked = self.copied = 0

    def run(self, takeover: Takeover, record: str) -> None:
        """Carry all out, and prove it.

        :param record: what to note as the place from which it came
        :raises InvalidInput: if there is no room, or a file is not what its name says
        """
        shutil.rmtree(self._staging, ignore_errors=True)
        for folder in (
            self._path,
            self._models,
            os.path.join(self._models, BLOBS),
            os.path.join(self._models, MANIFESTS),
        ):
            self._folder(folder)
        os.mkdir(self._staging, 0o700)
        try:
            links = self._can_link(takeover)
            copies = [size for blob, size in takeover.blobs.items() if not (links and self._is_plain(blob))]
            complaint = no_room(sum(copies), self._path, free_bytes(self._path), self._min_free)
            if complaint:
                raise InvalidInput(complaint)
            for blob, size in takeover.blobs.items():
                self._blob(blob, size, links)
            for model in takeover.models:
                self._manifest(model)
            self._key()
            self._prove(takeover)
            self._write(os.path.join(self._path, RECORD), f"{record}\n".encode(), 0o644)
        finally:
            shutil.rmtree(self._staging, ignore_errors=True)

    def _folder(self, path: str) -> None:
        if not os.path.isdir(path):
            os.mkdir(path, 0o755)
            os.chown(path, self._owner, self._group)

    def _can_link(self, takeover: Takeover) -> bool:
        """Try it, since mounts of one file system tell by nothing else that they allow it."""
        blob = next(filter(self._is_plain, takeover.blobs), None)
        if blob is None:
            return True
        linked = self._link(blob)
        if linked:
            os.unlink(self._staged)
        return linked

    def _is_plain(self, blob: str) -> bool:
        return stat.S_ISREG(os.lstat(blob_path(self._source.models, blob)).st_mode)

    def _link(self, blob: str) -> bool:
        """Give a file a second name; return whether it can have one.

        A symbolic link, as some make by hand, never leads to one: what it points to is somebody else's, whose owner and mode would change.
        """
        path = blob_path(self._source.models, blob)
        try:
            os.link(path, self._staged, follow_symlinks=False)
        except OSError as exc:
            if exc.errno not in _NO_LINKS:
                raise
            return False
        if stat.S_ISREG(os.lstat(self._staged).st_mode):
            return True
        os.unlink(self._staged)
        return False

    @property
    def _staged(self) -> str:
        return os.path.join(self._staging, "file")

    def _blob(self, blob: str, size: int, links: bool) -> None:
        if links and self._link(blob):
            self.linked += size
        else:
            self._copy(blob)
            self.copied += size
        self._put(blob_path(self._models, blob), 0o644)

    def _copy(self, blob: str) -> None:
        content = hashlib.sha256()
        with open(blob_path(self._source.models, blob), "rb") as source, open(self._staged, "wb") as target:
            while True:
                chunk = source.read(_CHUNK)
                if not chunk:
                    break
                content.update(chunk)
                target.write(chunk)
            target.flush()
            os.fsync(target.fileno())
        if f"sha256:{content.hexdigest()}" != blob:
            raise InvalidInput(
                f"the file of {blob} in {self._source.models} has the content of sha256:{content.hexdigest()}: it is damaged; remove the "
                "models that use it there, or leave source empty and have them pulled"
            )

    def _manifest(self, model: Stored) -> None:
        with open(model.path, "rb") as stream:
            body = stream.read()
        if f"sha256:{hashlib.sha256(body).hexdigest()}" != model.digest:
            raise InvalidInput(
                f"{model.path} was changed while it was read; stop the server that did it, and run again"
            )
        relative = os.path.relpath(model.path, os.path.join(self._source.models, MANIFESTS))
        folder = os.path.join(self._models, MANIFESTS)
        for part in os.path.dirname(relative).split(os.sep):
            folder = os.path.join(folder, part)
            self._folder(folder)
        self._write(os.path.join(self._models, MANIFESTS, relative), body, 0o644, like=model.path)

    def _key(self) -> None:
        """The key that the server is known by goes with the models, unless the store has one."""
        target = os.path.join(self._path, ".ollama", KEY)
        if not self._source.key or os.path.exists(target):
            return
        self._folder(os.path.dirname(target))
        # The private one last: it is the sign that both are there
        for suffix, mode in ((".pub", 0o644), ("", 0o600)):
            # Not through a link: it could lead to what only root may read
            if os.path.isfile(self._source.key + suffix) and not os.path.islink(self._source.key + suffix):
                with open(os.open(self._source.key + suffix, os.O_RDONLY | os.O_NOFOLLOW), "rb") as stream:
                    self._write(target + suffix, stream.read(), mode)

    def _write(self, path: str, content: bytes, mode: int, like: Optional[str] = None) -> None:
        """Write a small file; ``like``: with the times of another one."""
        with open(os.open(self._staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if like:
            status = os.stat(like)
            os.utime(self._staged, ns=(status.st_atime_ns, status.st_mtime_ns))
        self._put(path, mode)

    def _put(self, path: str, mode: int) -> None:
        os.chown(self._staged, self._owner, self._group)
        os.chmod(self._staged, mode)
        os.replace(self._staged, path)

    def _prove(self, takeover: Takeover) -> None:
        there = read_contents(self._models)
        for model in takeover.models:
            found = there.models.get(model.name.key)
            bad = there.bad(model.blobs)
            if found is None or found.digest != model.digest or bad:
                raise InvalidInput(
                    f"{model.name} was taken over to {self._models} and is not whole there ({bad[0] if bad else 'another manifest'}); "
                    "somebody else changes that store at the same time; run again"
                )
