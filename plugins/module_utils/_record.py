# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What earlier runs on this host found out and no server tells: hashes of files, and which models were made here.

One JSON file for each server, replaced as a whole. It only ever saves work: what it says of a file holds for exactly the
file that was hashed, what it says of a model for exactly the digest that was made. A record that is lost, damaged or
somebody else's is as good as an empty one, and hashes are taken and models made once more.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import is_digest

FORMAT = 1
#: No record of a server is larger.
MAX_RECORD = 16 * 1024 * 1024
#: How a model was made: from another one, as an alias, or from a file.
FROM, COPY_OF, GGUF = "from", "copy_of", "gguf"


@dataclass(frozen=True)
class Identity:
    """What tells one state of a file from another; ``changed`` cannot be set by anybody, unlike ``modified``."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int


def identity(status: os.stat_result) -> Identity:
    """Return the identity of a file as it is now."""
    return Identity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@dataclass(frozen=True)
class Hashed:
    """A file that was hashed, and its digest then."""

    identity: Identity
    digest: str


@dataclass(frozen=True)
class Made:
    """A model that was made here.

    :param digest: of the model
    :param source: digest of the file that it was made from
    :param recipe: what was declared over it then, as the server was told
    """

    digest: str
    how: str
    source: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)


#: Models that earlier runs made on a server, by the key of their name.
MadeHere = Mapping[str, Made]
NONE_MADE: MadeHere = MappingProxyType({})


@dataclass(frozen=True)
class SourceFile:
    """A file that a model is created from; ``digest`` is unknown as long as it is not hashed."""

    path: str
    digest: str
    identity: Identity


@dataclass
class Entries:
    """What a record holds: files by path, models by the key of their name."""

    files: dict[str, Hashed] = field(default_factory=dict)
    made: dict[str, Made] = field(default_factory=dict)


def replaceable(digests: Mapping[str, str], made: MadeHere) -> frozenset[str]:
    """Return the keys of models that this collection made as they are now, so that it can make them again.

    An alias is no more than a name. It counts as long as its model has another name that is no alias.

    :param digests: those of all models of the server, by key
    """
    here = {key: made[key] for key, digest in digests.items() if key in made and made[key].digest == digest}
    aliases = {key for key, item in here.items() if item.how == COPY_OF}
    elsewhere = {digest for key, digest in digests.items() if key not in aliases}
    return frozenset(key for key, item in here.items() if key not in aliases or item.digest in elsewhere)


def default_directory() -> str:
    """Return where records are kept if nothing is said."""
    if os.geteuid() == 0:
        return "/var/lib/alchemorsel-ollama"
    return os.path.expanduser("~/.local/state/alchemorsel-ollama")


def _is_whole(value: Any) -> bool:
    """Tell whether a value is a whole number, which a bool is to Python."""
    return isinstance(value, int) and not isinstance(value, bool)


def parse_entries(text: bytes, url: str) -> Entries:
    """Return what a record says; whatever is not as it was written is left out.

    :param url: the server that it must be about
    """
    entries = Entries()
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return entries
    if not isinstance(data, dict) or data.get("format") != FORMAT or data.get("url") != url:
        return entries
    for path, item in _items(data.get("files")):
        values = item.get("identity")
        known = isinstance(values, list) and len(values) == 5 and all(map(_is_whole, values))
        if known and is_digest(item.get("digest")):
            entries.files[path] = Hashed(Identity(*item["identity"]), item["digest"])
    for key, item in _items(data.get("made")):
        source, recipe = item.get("source", ""), item.get("recipe", {})
        known = item.get("how") in (FROM, COPY_OF) or (item.get("how") == GGUF and is_digest(source))
        if known and is_digest(item.get("digest")) and isinstance(recipe, dict):
            entries.made[key] = Made(item["digest"], item["how"], str(source), recipe)
    return entries


def _items(value: Any) -> list[tuple[str, dict[str, Any]]]:
    pairs = value.items() if isinstance(value, dict) else ()
    return [(key, item) for key, item in pairs if isinstance(item, dict)]


def encode_entries(entries: Entries, url: str) -> bytes:
    """Return what :func:`parse_entries` reads."""
    data = {
        "format": FORMAT,
        "url": url,
        "files": {
            path: {"identity": list(asdict(item.identity).values()), "digest": item.digest}
            for path, item in entries.files.items()
        },
        "made": {key: asdict(item) for key, item in entries.made.items()},
    }
    return json.dumps(data, indent=1, sort_keys=True).encode() + b"\n"


class Record:
    """The record of one server.

    :param directory: where records are kept; created when there is something to write
    :param keep: whether what is noted is written; without, nothing is changed on the disk
    """

    def __init__(self, directory: str, url: str, *, keep: bool = True) -> None:
        self._directory = directory
        self._url = url
        self._keep = keep
        self._path = os.path.join(directory, hashlib.sha256(url.encode()).hexdigest()[:32] + ".json")
        self._noted = Entries()
        self.entries = self._load()
        #: why it could not be written, one sentence
        self.problem = ""

    def digest(self, path: str, now: Identity) -> str | None:
        """Return the digest of a file that is as it was when it was hashed."""
        known = self.entries.files.get(path)
        return known.digest if known and known.identity == now else None

    def note_file(self, path: str, hashed: Hashed) -> None:
        """Keep a hash."""
        self._noted.files[path] = hashed
        self._write()

    def note_made(self, key: str, made: Made) -> None:
        """Keep how a model was made."""
        self._noted.made[key] = made
        self._write()

    def _load(self) -> Entries:
        """Return what the file says, if it is one that this user wrote and nobody else may write."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, "rb") as stream:
                status = os.fstat(stream.fileno())
                ours = status.st_uid == os.geteuid() and not status.st_mode & 0o022
                if not ours or not stat.S_ISREG(status.st_mode) or status.st_size > MAX_RECORD:
                    return Entries()
                return parse_entries(stream.read(MAX_RECORD), self._url)
        except OSError:
            return Entries()

    def _write(self) -> None:
        """Put what was noted over what the file says now, which another process may have written meanwhile."""
        before = self._load()
        self.entries = Entries({**before.files, **self._noted.files}, {**before.made, **self._noted.made})
        if not self._keep or self.entries == before:
            return
        # A file that is gone is not asked about again under this path, unless another one takes its place.
        there = {path: item for path, item in self.entries.files.items() if os.path.exists(path)}
        new = f"{self._path}.{os.getpid()}.new"
        try:
            os.makedirs(os.path.dirname(self._directory) or ".", exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.mkdir(self._directory, 0o700)
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as stream:
                stream.write(encode_entries(Entries(there, self.entries.made), self._url))
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(new, self._path)
        except OSError as exc:
            self.problem = (
                f"what was done cannot be recorded in '{self._directory}' ({exc.strerror}), so that files are hashed and models "
                "are created again in each run; let state_dir be a directory that the module's user can write"
            )
            with contextlib.suppress(OSError):
                os.unlink(new)
