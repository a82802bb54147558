# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a server's model directory holds, read by stat: ``manifests/<host>/<namespace>/<model>/<tag>`` and ``blobs/sha256-<hex>``.

Only manifests are opened; the blobs they name are compared by size. Reads only, and never over the network.
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._answers import whole
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName, parse_listed

MANIFESTS, BLOBS = "manifests", "blobs"
#: No manifest is larger; stops the reader where a file only looks like one.
MAX_MANIFEST = 4 * 1024 * 1024
_CHUNK = 1024 * 1024
_DIGEST = re.compile(r"sha256[:-]([0-9a-fA-F]{64})")
_PARTIAL = re.compile(r"sha256-([0-9a-fA-F]{64})-partial")


@dataclass(frozen=True)
class Bad:
    """A blob that is not as its manifest says: ``found`` bytes instead of ``wanted``, ``None`` where it is missing."""

    digest: str
    wanted: int
    found: int | None = None

    def __str__(self) -> str:
        if self.found is None:
            return f"blob {self.digest} is missing ({self.wanted} bytes)"
        return f"blob {self.digest} has {self.found} bytes instead of {self.wanted}"


@dataclass(frozen=True)
class Cure:
    """What has to go before a model is made whole, since the server keeps every blob that is there, whatever its size.

    :param unlink: files of the store
    :param anew: the model itself, over the API, and with it the blobs that no other model uses
    """

    unlink: tuple[Bad, ...] = ()
    anew: bool = False


@dataclass(frozen=True)
class Stored:
    """One model of the store, named as on disk.

    :param problem: why its manifest is none, such as ``is empty``; there is no digest and no blob then
    :param blobs: the blobs that its manifest names, with their sizes; 0 where it tells no size
    """

    name: ModelName
    path: str
    digest: str = ""
    blobs: Mapping[str, int] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class Contents:
    """What the store holds.

    :param models: by the key of their name
    :param sizes: bytes of each blob that is there
    :param partial: bytes that are there of blobs that a pull has begun
    """

    root: str
    models: Mapping[str, Stored] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    partial: Mapping[str, int] = field(default_factory=dict)

    def bad(self, blobs: Mapping[str, int]) -> tuple[Bad, ...]:
        """Return those of some blobs that are missing or have another size."""
        looked = ((digest, wanted, self.sizes.get(digest)) for digest, wanted in blobs.items())
        # Where no size is told, none is wrong.
        return tuple(Bad(*one) for one in looked if one[2] is None or (one[1] > 0 and one[2] != one[1]))

    def users(self, digest: str) -> list[ModelName]:
        """Return the models that use a blob."""
        return [model.name for model in self.models.values() if digest in model.blobs]


def blob_path(root: str, digest: str) -> str:
    """Return where a blob lies."""
    return os.path.join(root, BLOBS, digest.replace(":", "-"))


def read_contents(root: str) -> Contents:
    """Return what the store holds.

    :raises InvalidInput: if it cannot be read
    """
    try:
        if not stat.S_ISDIR(os.stat(root).st_mode):
            raise NotADirectoryError(20, "Not a directory", root)
        sizes, partial = _blobs(os.path.join(root, BLOBS))
        models = {model.name.key: model for model in _models(os.path.join(root, MANIFESTS))}
    except OSError as exc:
        raise _unreadable(root, exc) from exc
    return Contents(root, models, sizes, partial)


def read_model(root: str, name: ModelName) -> Stored | None:
    """Return one model in the spelling that is given, ``None`` if the store does not have it.

    :raises InvalidInput: if it cannot be read
    """
    path = os.path.join(root, MANIFESTS, name.host, name.namespace, name.model, name.tag)
    try:
        return _stored(name, path)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise _unreadable(root, exc) from exc


def bad_blobs(root: str, blobs: Mapping[str, int]) -> tuple[Bad, ...]:
    """Return those of some blobs that are missing or have another size now.

    :raises InvalidInput: if the store cannot be read
    """
    sizes: dict[str, int] = {}
    try:
        for digest in blobs:
            size = _size(blob_path(root, digest))
            if size is not None:
                sizes[digest] = size
    except OSError as exc:
        raise _unreadable(root, exc) from exc
    return Contents(root, sizes=sizes).bad(blobs)


def is_as_named(path: str) -> bool:
    """Tell whether a blob's content has the digest that it is named after; reads all of it."""
    content = hashlib.sha256()
    with open(path, "rb") as stream:
        while True:
            chunk = stream.read(_CHUNK)
            if not chunk:
                break
            content.update(chunk)
    return content.hexdigest() == os.path.basename(path)[len("sha256-") :]


def unproven_blobs(root: str, blobs: Mapping[str, int]) -> list[str]:
    """Return the paths of blobs that no model uses, with a content that is not what they are named after.

    The server gives a blob its name before it looks at the content, and never looks again: what a pull left that failed over wrong
    bytes, or whose server was killed, is trusted by the next one. What a model uses is not read here.

    :param blobs: those that are looked at; all, if there are none
    :raises InvalidInput: if the store cannot be read
    """
    contents = read_contents(root)
    used = {digest for model in contents.models.values() for digest in model.blobs}
    wrong = []
    for digest in sorted((blobs.keys() or contents.sizes.keys()) & contents.sizes.keys() - used):
        try:
            if not is_as_named(blob_path(root, digest)):
                wrong.append(blob_path(root, digest))
        except FileNotFoundError:
            # It was removed just now.
            continue
        except OSError as exc:
            raise _unreadable(root, exc) from exc
    return wrong


def may_remove(root: str) -> bool:
    """Tell whether blobs can be removed by the user under whom the module runs."""
    return os.access(os.path.join(root, BLOBS), os.W_OK | os.X_OK)


def free_bytes(root: str) -> int:
    """Return the bytes that are free for new blobs, for an unprivileged user.

    :raises InvalidInput: if the store cannot be looked at
    """
    try:
        return shutil.disk_usage(root).free
    except OSError as exc:
        raise _unreadable(root, exc) from exc


def user_name() -> str:
    """Return the name of the user under whom the module runs."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def parse_manifest(body: bytes) -> dict[str, int]:
    """Return the blobs that a manifest names, with their sizes; 0 where it tells none.

    The server takes the first JSON value of the file and ignores what follows, and so does this.

    :raises ValueError: with the words that say what is wrong with it
    """
    text = body.decode("utf-8", "replace").lstrip()
    if not text:
        raise ValueError("is empty" if not body else "holds nothing but white space")
    try:
        content: Any = json.JSONDecoder().raw_decode(text)[0]
    except (ValueError, RecursionError) as exc:
        raise ValueError("is no complete JSON text") from exc
    if not isinstance(content, dict) or not isinstance(content.get("layers") or [], list):
        raise ValueError("is JSON, but no manifest")
    blobs: dict[str, int] = {}
    for part in [*(content.get("layers") or []), content.get("config")]:
        digest = part.get("digest") if isinstance(part, dict) else None
        match = _DIGEST.fullmatch(digest) if isinstance(digest, str) else None
        if match:
            blobs[f"sha256:{match.group(1)}"] = whole(part.get("size"))
        elif digest or (part is not None and not isinstance(part, dict)):
            raise ValueError("is JSON, but no manifest")
    if not blobs:
        raise ValueError("names no blob")
    return blobs


def _blobs(directory: str) -> tuple[dict[str, int], dict[str, int]]:
    """Return the sizes of the blobs that are there, and what is there of those that a pull has begun."""
    sizes: dict[str, int] = {}
    partial: dict[str, int] = {}
    for entry in _entries(directory):
        blob, begun = _DIGEST.fullmatch(entry.name), _PARTIAL.fullmatch(entry.name)
        if not blob and not begun:
            continue
        found = _status(entry.path)
        if blob and found:
            sizes[f"sha256:{blob.group(1)}"] = found.st_size
        elif begun and found:
            # It has its whole length from the beginning; what is not fetched yet takes no room.
            partial[f"sha256:{begun.group(1)}"] = min(found.st_size, found.st_blocks * 512)
    return sizes, partial


def _models(directory: str) -> Iterator[Stored]:
    """Yield every model; what cannot be the name of one is left out, as the server does."""
    for parts in _tags(directory):
        host, namespace, model, tag = parts
        try:
            name = parse_listed(f"{host}/{namespace}/{model}:{tag}")
        except errors.InvalidName:
            continue
        try:
            yield _stored(name, os.path.join(directory, *parts))
        except FileNotFoundError:
            # It was removed just now.
            continue


def _tags(directory: str) -> Iterator[tuple[str, ...]]:
    """Yield the four parts of the path of each file that is four levels deep."""
    pending: list[tuple[str, ...]] = [()]
    while pending:
        parts = pending.pop()
        for entry in _entries(os.path.join(directory, *parts)):
            inner = (*parts, entry.name)
            if entry.is_dir():
                if len(inner) < 4:
                    pending.append(inner)
            elif len(inner) == 4:
                yield inner


def _stored(name: ModelName, path: str) -> Stored:
    with open(path, "rb") as stream:
        body = stream.read(MAX_MANIFEST + 1)
    try:
        if len(body) > MAX_MANIFEST:
            raise ValueError("is too large for a manifest")
        return Stored(name, path, f"sha256:{hashlib.sha256(body).hexdigest()}", parse_manifest(body))
    except ValueError as exc:
        return Stored(name, path, problem=str(exc))


def _entries(directory: str) -> list[os.DirEntry[str]]:
    """Return what a directory holds; a store that is new does not have all of them."""
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _size(path: str) -> int | None:
    found = _status(path)
    return found.st_size if found else None


def _status(path: str) -> Optional[os.stat_result]:
    """Return a file's status; a link to nowhere is missing, as it is for the server."""
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _unreadable(root: str, exc: OSError) -> errors.InvalidInput:
    return errors.InvalidInput(
        f"store_path is '{root}', which cannot be read by user {user_name()}: {exc.filename or root}: {exc.strerror}; give the "
        "server's model directory (the one with manifests and blobs) as the host where the module runs sees it, and run the "
        "module as a user who may read it, with become. Nothing was changed."
    )
