# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of the lab: built where their recipe changed, and the Ollama image pushed to the lab's registry.

    python lab/images.py build
    python lab/images.py push --port PORT

Each image carries the hash of its recipe as a label; the same hash means nothing to do. All labs of a checkout share the
images `alab-<checkout>/...`; a lock lets one build at a time. Each command ends with one JSON object on stdout:
{"changed": true|false, and with push "versions"}; progress goes to stderr.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import io
import json
import os
import re
import ssl
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
IMAGE = ROOT / "lab" / "image"
CHECKOUT = hashlib.sha256(str(ROOT).encode()).hexdigest()[:6]
CACHE = Path(os.environ.get("LAB_CACHE_DIR") or ROOT / ".build" / "cache")
RELEASES = {"bookworm": "deb12", "trixie": "deb13"}
PACKAGES = "systemd,systemd-sysv,dbus,python3,python3-apt,ca-certificates,iproute2,iptables,sudo,procps"
OFFICIAL = "docker.io/ollama/ollama"
PLAYED_VERSIONS = ("0.32.15", "0.24.0")
RECIPE = "alchemorsel.lab.recipe"
PROBE_TIMEOUT = 4.0  # seconds
# The classic builder keeps no build cache beside the images, so that `make clean` can remove all it left.
BUILD_ENV = {**os.environ, "DOCKER_BUILDKIT": "0", "BUILDKIT_PROGRESS": "plain"}


class LabError(Exception):
    """Something the lab needs and can't have; the message says what and the remedy."""


def say(text: str) -> None:
    print(f"images: {text}", file=sys.stderr, flush=True)


def run(command: list[str], *, stdin: IO[bytes] | None = None, env: dict[str, str] | None = None) -> str:
    """Runs a command; its stdout. Raises LabError with the end of its output."""
    done = subprocess.run(
        command, stdin=stdin or subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env
    )
    if done.returncode:
        raise LabError(f"`{' '.join(command)}` ended with {done.returncode}:\n{done.stdout[-2000:]}")
    return done.stdout


@contextmanager
def locked() -> Iterator[None]:
    """One build at a time; the lock goes with the process that held it."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build runs: waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        if left := [str(path) for path in CACHE.glob("tmp-*")]:
            say("removing what a killed debootstrap left")
            run(as_root(["rm", "-rf", "--one-file-system", *left]))
        yield


def as_root(command: list[str]) -> list[str]:
    return command if os.geteuid() == 0 else ["sudo", *command]


def label(image: str, name: str) -> str | None:
    """A label of a local image; None where there is no such image."""
    form = f'{{{{ index .Config.Labels "{name}" }}}}'
    done = subprocess.run(["docker", "image", "inspect", "-f", form, image], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def registry_reachable() -> bool:
    """Whether docker.io answers at all; without it, base images are made here."""
    try:
        urllib.request.urlopen("https://registry-1.docker.io/v2/", timeout=PROBE_TIMEOUT).close()
    except urllib.error.HTTPError as error:
        return error.code == 401
    except (urllib.error.URLError, OSError):
        return False
    return True


def debootstrap(release: str) -> Path:
    """The root filesystem of a Debian release as a tar file, from the cache where it is there."""
    archive = CACHE / f"rootfs-{release}.tar"
    if archive.exists():
        return archive
    say(f"debootstrap {release} (1-3 minutes)")
    packages = (CACHE / f"debs-{release}").resolve()
    packages.mkdir(parents=True, exist_ok=True)
    part = archive.with_suffix(".part")
    with tempfile.TemporaryDirectory(prefix=f"tmp-{release}-", dir=CACHE) as folder:
        # In a mount namespace of its own, so that a killed debootstrap leaves no mounts behind.
        script = (
            'export PATH="$PATH:/usr/sbin:/sbin"; trap \'rm -rf "$3"\' EXIT; '
            'debootstrap --variant=minbase --include="$1" --cache-dir="$4" "$2" "$3" >"$3.log" 2>&1 '
            '|| { tail -n 5 "$3.log"; exit 1; }; rm -rf "$3"/var/cache/apt/archives/*.deb; '
            'tar -C "$3" -c . >"$5"; rm -f "$3.log"'
        )
        target = Path(folder).resolve() / "root"
        command = ["unshare", "--mount", "nice", "-n", "5", "bash", "-c", script, "debootstrap"]
        run(as_root([*command, PACKAGES, release, str(target), str(packages), str(part)]))
    part.rename(archive)
    return archive


def base_image(release: str) -> str:
    """A base image of a Debian release: from the container registry where one answers, else by debootstrap."""
    image = f"alab-{CHECKOUT}/base:{release}"
    if label(image, RECIPE) is not None:
        return image
    if registry_reachable():
        say(f"pulling docker.io/library/debian:{release}")
        run(["docker", "pull", "--quiet", f"docker.io/library/debian:{release}"])
        build(image, f"FROM docker.io/library/debian:{release}\n", [], {})
    else:
        archive = debootstrap(release)
        say(f"importing {archive.name}")
        label_change = f"LABEL alchemorsel.lab.checkout={CHECKOUT}"
        run(["docker", "import", "--change", label_change, str(archive), image])
    return image


def recipe_hash(dockerfile: str, files: list[tuple[str, Path]], arguments: dict[str, str]) -> str:
    """Hash of everything an image is made from."""
    parts = hashlib.sha256(json.dumps([dockerfile, arguments], sort_keys=True).encode())
    for name, path in files:
        parts.update(f"{name}\0{path.stat().st_mode:o}\0".encode())
        with path.open("rb") as handle:
            parts.update(hashlib.file_digest(handle, "sha256").digest())
    return parts.hexdigest()[:16]


def build(image: str, dockerfile: str, files: list[tuple[str, Path]], arguments: dict[str, str]) -> bool:
    """Builds an image where its recipe changed; whether it was built."""
    digest = recipe_hash(dockerfile, files, arguments)
    if label(image, RECIPE) == digest:
        return False
    say(f"building {image}")
    old = subprocess.run(["docker", "image", "inspect", "-f", "{{.Id}}", image], capture_output=True, text=True).stdout
    command = ["docker", "build", "--quiet", "--force-rm", "--tag", image, "--label", f"{RECIPE}={digest}"]
    command += ["--label", f"alchemorsel.lab.checkout={CHECKOUT}"]
    for name, value in arguments.items():
        command += ["--build-arg", f"{name}={value}"]
    with tempfile.TemporaryFile(dir=CACHE) as context:
        with tarfile.open(fileobj=context, mode="w") as archive:
            entry = tarfile.TarInfo("Dockerfile")
            entry.size = len(dockerfile.encode())
            archive.addfile(entry, io.BytesIO(dockerfile.encode()))
            for name, path in files:
                archive.add(path, name)
        context.seek(0)
        run([*command, "-"], stdin=context, env=BUILD_ENV)
    if old:
        # Its predecessor goes, unless a machine stands on it: then the engine refuses, and `make clean` removes it.
        subprocess.run(["docker", "rmi", old.strip()], capture_output=True)
    return True


def tree(folder: Path, name: str, suffixes: tuple[str, ...] = ()) -> list[tuple[str, Path]]:
    """The files below a folder as (name in the build context, path), sorted; symbolic links followed."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    return [
        (f"{name}/{path.relative_to(folder)}", path.resolve())
        for path in found
        if not suffixes or path.suffix in suffixes
    ]


def standin_files() -> list[tuple[str, Path]]:
    """The stand-in as a package."""
    return [("lab/__init__.py", ROOT / "lab" / "__init__.py"), *tree(ROOT / "lab" / "standin", "lab/standin")]


def support_files(*names: str) -> list[tuple[str, Path]]:
    return [(f"files/{name}", IMAGE / "files" / name) for name in names]


def build_host(release: str) -> bool:
    arguments = {"BASE": base_image(release), "CHECKOUT": CHECKOUT}
    image = f"alab-{CHECKOUT}/host:{RELEASES[release]}"
    files = support_files("alab-init", "alab-ca.service")
    return build(image, (IMAGE / "host.Dockerfile").read_text(), files, arguments)


def build_services() -> bool:
    """The services container; it stands on the Debian 12 host, and its apt repositories have packages of both releases,
    so the hosts' recipes are part of its own."""
    hosts = {name: f"alab-{CHECKOUT}/host:{tag}" for name, tag in RELEASES.items()}
    arguments = {"BASE": hosts["bookworm"], "TRIXIE": hosts["trixie"], "CHECKOUT": CHECKOUT}
    files = support_files("registry.yml", "docker-registry.conf", "alab-models.service", "apt.nginx")
    files += tree(IMAGE / "apt", "apt")
    files += [*standin_files(), *tree(ROOT / "lab" / "models", "lab/models", (".gguf",))]
    bases = "".join(f"# on {label(host, RECIPE)}\n" for host in hosts.values())
    dockerfile = bases + (IMAGE / "services.Dockerfile").read_text()
    return build(f"alab-{CHECKOUT}/services:latest", dockerfile, files, arguments)


def real_files(binary: Path) -> list[tuple[str, Path]]:
    """A real binary and its library folder, as they lie in the official image below /usr."""
    if not (binary.is_file() and os.access(binary, os.X_OK)):
        raise LabError(f"LAB_OLLAMA_BINARY={binary} is no executable file: name an `ollama` binary, or unset it.")
    files = [("ollama/bin/ollama", binary)]
    for folder in (binary.parent / "lib" / "ollama", binary.parent.parent / "lib" / "ollama"):
        if folder.is_dir():
            return files + tree(folder, "ollama/lib/ollama")
    return files


def server_images() -> list[tuple[str, str, bool]]:
    """The Ollama images to offer, as (local image, tag, whether it was built): binaries that were named, else the
    official image where its registry is reachable, else the stand-in in each version that it plays."""
    name = f"alab-{CHECKOUT}/ollama"
    base = base_image("bookworm")
    arguments = {"BASE": base, "CHECKOUT": CHECKOUT}
    if binaries := os.environ.get("LAB_OLLAMA_BINARY"):
        return [real_image(name, binary, arguments) for binary in binaries.split(":")]
    if registry_reachable():
        return [official_image(version) for version in PLAYED_VERSIONS]
    images = []
    dockerfile = (IMAGE / "standin.Dockerfile").read_text()
    files = [*standin_files(), *support_files("ollama")]
    for version in PLAYED_VERSIONS:
        image = f"{name}:stand-in-{version}"
        images.append((image, version, build(image, dockerfile, files, {**arguments, "VERSION": version})))
    return images


def real_image(name: str, binary: str, arguments: dict[str, str]) -> tuple[str, str, bool]:
    """The image of a binary, tagged with the version that it tells; two binaries have an image each."""
    image = f"{name}:real-{hashlib.sha256(os.path.realpath(binary).encode()).hexdigest()[:8]}"
    built = build(image, (IMAGE / "real.Dockerfile").read_text(), real_files(Path(binary)), arguments)
    answer = run(["docker", "run", "--rm", "--network", "none", image, "--version"])
    answered = re.search(r"version is (\d+\.\d+\.\d+\S*)", answer)
    if answered is None:
        raise LabError(f"LAB_OLLAMA_BINARY={binary}: `--version` answered {answer!r}, wanted an Ollama version.")
    return image, answered[1], built


def official_image(version: str) -> tuple[str, str, bool]:
    """The official image, with the lab's labels."""
    source, image = f"{OFFICIAL}:{version}", f"alab-{CHECKOUT}/ollama:official-{version}"
    labels = f"LABEL alchemorsel.lab.server=real alchemorsel.lab.version={version}\n"
    return image, version, build(image, f"FROM {source}\n{labels}", [], {})


def remote_digest(port: int, name: str, tag: str, ca: Path) -> str | None:
    """Digest of a tag in the lab's registry; None where it isn't there."""
    url = f"https://127.0.0.1:{port}/v2/{name}/manifests/{tag}"
    accept = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(ca))),
    )
    try:
        with opener.open(urllib.request.Request(url, method="HEAD", headers={"Accept": accept}), timeout=60) as answer:
            return str(answer.headers["Docker-Content-Digest"])
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise LabError(f"{url} answered HTTP {error.code}") from error
    except (urllib.error.URLError, OSError) as error:
        raise LabError(
            f"{url} doesn't answer: {error}. See `docker logs` and journalctl in the services host."
        ) from error


def push(port: int, ca: Path) -> dict[str, object]:
    """Pushes the Ollama images to the lab's registry where they aren't there yet; the versions offered, default first.

    Beside its version, an image is tagged with the hash of its recipe: both tags with one digest mean "pushed already".
    """
    changed = False
    images = server_images()
    for image, version, built in images:
        changed |= built
        recipe = f"recipe-{label(image, RECIPE)}"
        digests = {tag: remote_digest(port, "ollama/ollama", tag, ca) for tag in (version, recipe)}
        if digests[version] and digests[version] == digests[recipe]:
            continue
        changed = True
        for tag in digests:
            # An address of the loopback range is one that an engine needs no CA for.
            target = f"127.0.0.1:{port}/ollama/ollama:{tag}"
            say(f"pushing {image} as ollama/ollama:{tag}")
            run(["docker", "tag", image, target])
            try:
                run(["docker", "push", "--quiet", target])
            finally:
                run(["docker", "rmi", target])
    return {"changed": changed, "versions": [version for _, version, _ in images]}


def main() -> int:
    parser = argparse.ArgumentParser(description="Images of the lab")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build what the lab's machines are made of")
    pushing = commands.add_parser("push", help="push the Ollama images to the lab's registry")
    pushing.add_argument("--port", type=int, required=True, help="port of the registry on 127.0.0.1")
    pushing.add_argument("--ca", type=Path, required=True, help="certificate of the lab's CA")
    arguments = parser.parse_args()
    answer: dict[str, object] = {}
    try:
        with locked():
            if arguments.command == "push":
                answer |= push(arguments.port, arguments.ca)
            else:
                built = [build_host(release) for release in RELEASES]
                answer["changed"] = any([*built, build_services()])
    except LabError as error:
        print(f"images: {error}", file=sys.stderr)
        return 1
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
