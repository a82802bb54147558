# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of another server's store is to be taken over, and who still uses it. Reads only."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidInput
from ansible_collections.alchemorsel.ollama.plugins.module_utils._progress import human_bytes
from ansible_collections.alchemorsel.ollama.plugins.module_utils._store import BLOBS, MANIFESTS, Contents, Stored

#: Written into the taking store when all is there: the path from which it was taken.
RECORD = ".alchemorsel-migrated"
KEY = "id_ed25519"


@dataclass(frozen=True)
class Source:
    """Where another server has its files.

    :param models: directory with manifests and blobs
    :param key: its private key, empty where there is none
    """

    models: str
    key: str = ""


@dataclass(frozen=True)
class Takeover:
    """What is to be done.

    :param models: models that the taking store lacks
    :param blobs: files that they need there, with their sizes
    :param warnings: a sentence for each model that is left
    """

    models: tuple[Stored, ...] = ()
    blobs: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """What the files have together."""
        return sum(self.blobs.values())


def find_source(path: str) -> Source:
    """Return where a server has its files below a directory: its home, its ``.ollama``, its store of this collection, or its models.

    :raises InvalidInput: if nothing there looks like a store
    """
    for models in (os.path.join(path, "models"), os.path.join(path, ".ollama", "models"), path):
        if all(os.path.isdir(os.path.join(models, name)) for name in (MANIFESTS, BLOBS)):
            break
    else:
        found = (
            f"holds {', '.join(sorted(os.listdir(path))[:8]) or 'nothing'}"
            if os.path.isdir(path)
            else "is no directory"
        )
        raise InvalidInput(
            f"source is '{path}', which {found}; wanted is what another Ollama server used as its directory, such as /root/.ollama, with "
            f"{MANIFESTS} and {BLOBS} in it or in its folder models"
        )
    home = os.path.dirname(models)
    # The models themselves may have been named, and lie in the home all the same.
    keys = [
        os.path.join(folder, KEY)
        for folder in (path, os.path.join(path, ".ollama"), home, os.path.join(home, ".ollama"))
    ]
    # A link to a key can lead to what only root may read
    return Source(models, next((key for key in keys if os.path.isfile(key) and not os.path.islink(key)), ""))


def plan(source: Contents, target: Contents) -> Takeover:
    """Return what a store lacks of another one. Models that it has by the same name stay as they are."""
    models: list[Stored] = []
    blobs: dict[str, int] = {}
    warnings: list[str] = []
    for key, model in sorted(source.models.items()):
        if model.name.internal:
            continue
        there = target.models.get(key)
        bad = source.bad(model.blobs)
        if model.problem:
            warnings.append(f"{model.name} is left: its manifest {model.problem}")
        elif there and there.digest != model.digest and not there.problem:
            warnings.append(f"{model.name} is left: the store has another version of it already, which stays")
        elif bad:
            warnings.append(f"{model.name} is left, since it is not whole: {bad[0]}")
        else:
            lacking = {blob: source.sizes[blob] for blob in model.blobs if target.sizes.get(blob) != source.sizes[blob]}
            if lacking or there is None or there.problem:
                models.append(model)
                blobs.update(lacking)
    return Takeover(tuple(models), blobs, tuple(warnings))


def no_room(needed: int, path: str, free: int, min_free: int) -> str:
    """Return a complaint if a copy would leave less than ``min_free`` bytes, else an empty text."""
    if not needed or needed <= free - min_free:
        return ""
    return (
        f"the models have {human_bytes(needed)} ({needed} bytes) and lie on another file system than {path}, where {human_bytes(free)} are free "
        f"and min_free wants {human_bytes(min_free)} to stay so; free {human_bytes(needed + min_free - free)} there, or move the store"
    )


def servers_on(models: str, proc: str = "/proc") -> list[str]:
    """Return which running servers use a model directory, seen from any mount namespace: ``process 812 (ollama serve)``."""
    try:
        wanted = _identity(models)
    except OSError:
        return []
    found = []
    for process in sorted(Path(proc).glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            words = _words(process / "cmdline")
            if not _serves(words):
                continue
            variables = dict(word.partition("=")[::2] for word in _words(process / "environ"))
            place = variables.get("OLLAMA_MODELS") or os.path.join(variables.get("HOME", "/"), ".ollama/models")
            if _identity(f"{process / 'root'}{place}") == wanted:
                found.append(f"process {process.name} ({' '.join(words)[:60]})")
        except OSError:
            # It has ended, or has no such directory.
            continue
    return found


def _serves(words: Iterable[str]) -> bool:
    """Tell whether a command line is that of a server, which may be a script of an interpreter."""
    return re.search(r"(^|[ /])ollama (serve|start)( |$)", " ".join(words)) is not None


def _words(path: Path) -> list[str]:
    return [word.decode("utf-8", "replace") for word in path.read_bytes().split(b"\0") if word]


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino
