# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is on a host, told as JSON: the models that are served, damage of the store, containers, files that nobody should leave.

Runs there, on the host's own Python: `python3 - URL STORE FOLDER... <look.py`. With its functions the tests damage directories of their own.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

#: tags of the collection's own, which are there during a run only
INTERNAL = "alchemorsel-tmp"
#: what Ansible, apt, editors and the collection write beside a file before they put it into its place
TEMPORARY = (".ansible_tmp*", ".*.ansible*", "*.tmp", ".*.tmp", "*.swp", "*~", "*.dpkg-new", "*.alchemorsel-*")
BLOB = re.compile(r"sha256-[0-9a-f]{64}")


def damage(store: Path) -> list[str]:
    """Return what is wrong with a store: blobs that are not what their names say, manifests that lack blobs, what was left."""
    blobs = sorted((store / "blobs").iterdir()) if (store / "blobs").is_dir() else []
    found = [text for blob in blobs for text in blob_damage(blob)]
    for path in sorted((store / "manifests").rglob("*")):
        if path.is_file():
            found += [f"{path.relative_to(store)}: {text}" for text in manifest_damage(path, store / "blobs")]
    return found


def blob_damage(blob: Path) -> list[str]:
    """Return what is wrong with one file beside the blobs."""
    if not BLOB.fullmatch(blob.name):
        return [f"left in the store: blobs/{blob.name}"]
    digest = hashlib.sha256()
    with blob.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return (
        [] if blob.name == f"sha256-{digest.hexdigest()}" else [f"blobs/{blob.name} has the sum {digest.hexdigest()}"]
    )


def manifest_damage(path: Path, blobs: Path) -> list[str]:
    """Return what is wrong with one manifest."""
    if INTERNAL in path.parts:
        return ["left in the store"]
    try:
        content = json.loads(path.read_bytes())
        parts = [content["config"], *content["layers"]]
        wanted = {part["digest"].replace(":", "-"): part["size"] for part in parts}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return [f"is no manifest: {type(error).__name__} {error}"]
    found = []
    for name, size in wanted.items():
        if not (blobs / name).is_file():
            found.append(f"lacks blobs/{name}")
        elif (blobs / name).stat().st_size != size:
            found.append(f"says {size} bytes, but blobs/{name} has {(blobs / name).stat().st_size}")
    return found


def left_files(folders: list[Path]) -> list[str]:
    """Return the temporary files below folders."""
    paths = [path for folder in folders if folder.is_dir() for path in sorted(folder.rglob("*"))]
    return [f"left: {path}" for path in paths if any(fnmatch.fnmatch(path.name, form) for form in TEMPORARY)]


def served(url: str) -> dict[str, str] | None:
    """Return the digest of each model that the server lists; None where it does not answer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/api/tags", timeout=60) as answer:
            return {model["name"]: f"sha256:{model['digest']}" for model in json.load(answer)["models"]}
    except (OSError, ValueError, KeyError):
        return None


def containers() -> dict[str, str] | None:
    """Return the state of each container; None where the engine does not answer."""
    command = ["docker", "ps", "--all", "--format", "{{.Names}} {{.State}}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    return None if done.returncode else dict(line.split(" ", 1) for line in done.stdout.splitlines())


def look(url: str, store: Path, folders: list[Path]) -> dict[str, Any]:
    """Return all of it."""
    return {
        "models": served(url),
        "damage": damage(store),
        "left": left_files(folders),
        "containers": containers(),
    }


if __name__ == "__main__":
    print(json.dumps(look(sys.argv[1], Path(sys.argv[2]), [Path(name) for name in sys.argv[3:]])))
