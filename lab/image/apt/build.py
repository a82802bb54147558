# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The apt repositories of the lab: packages that are made when the services' image is built, and a key that is made then.

    python3 build.py --root /srv/apt --debs bookworm=/var/cache/apt/archives --debs trixie=/srv/debs/trixie

Each file *.control beside this one is a repository. Its first stanza says where it lies; each further one is a package:

    Path: linux/debian                 address below the server's root; @arch@ stands for the architecture
    Suite: trixie                      "/" for a flat repository
    Component: stable                  not for a flat one
    Key: linux/debian/gpg              where the armoured key lies
    Release: trixie                    the --debs that `From` takes packages of

    Package: docker-ce
    Versions: 5:26.1.5-1 5:26.1.5-2    one package each, of the same content
    From: docker.io                    packages of the distribution whose files are taken over; none: only files/
    Only: usr/bin/docker               patterns of those files, which are kept; default all
    Without: usr/bin/docker            patterns of those files, which are left out
    Depends: ${from}, docker-ce-cli    ${from}: what the packages in `From` depend on, but for each other;
                                       ${version}: this package's version

Any other field goes into the package as it stands. What lies below files/<Package>/ is laid over the files, its DEBIAN/ has
the maintainer scripts. To add a package, add its stanza, and its files if it has some of its own. Nothing else.
"""

from __future__ import annotations

import argparse
import email.utils
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from fnmatch import fnmatch
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Fields of a stanza that say how the package is made
RECIPE = ("Versions", "From", "Only", "Without")
DEFAULTS = {"Maintainer": "The lab <lab@lab.test>", "Section": "admin", "Priority": "optional"}

Fields = dict[str, str]


def run(*command: str) -> str:
    """Runs a command; its stdout. What it says on stderr is shown."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def stanzas(text: str) -> list[Fields]:
    """The stanzas of a control file; a folded value becomes one line, a line that begins with # is a comment."""
    found = []
    for block in re.split(r"\n[ \t]*\n", text):
        fields: Fields = {}
        name = ""
        for line in block.splitlines():
            if line.startswith("#") or not line.strip():
                continue
            if line[0].isspace():
                fields[name] += " " + line.strip()
            else:
                name, _, value = line.partition(":")
                fields[name] = value.strip()
        if fields:
            found.append(fields)
    return found


def newest(folder: Path, name: str) -> Path:
    """The downloaded package of that name."""
    found = sorted(folder.glob(f"{name}_*.deb"))
    if not found:
        sys.exit(f"{folder} has no package {name}: host.Dockerfile downloads what the roles install. Name it there.")
    return found[-1]


def inherited(debs: list[Path], renamed: set[str]) -> str:
    """What the packages depend on, without those that are repacked under another name, too."""
    wanted = [run("dpkg-deb", "--field", str(deb), "Depends") for deb in debs]
    items = [item.strip() for text in wanted for item in text.replace("\n", " ").split(",") if item.strip()]
    return ", ".join(dict.fromkeys(item for item in items if re.split(r"[ (:|]", item)[0] not in renamed))


def lay_out(fields: Fields, debs: list[Path], tree: Path) -> None:
    """The files of a package and its DEBIAN/ without `control`."""
    conffiles = []
    for deb in debs:
        run("dpkg-deb", "--extract", str(deb), str(tree))
        with tempfile.TemporaryDirectory() as control:
            run("dpkg-deb", "--control", str(deb), control)
            if (listed := Path(control) / "conffiles").exists():
                conffiles += listed.read_text().split()
    only, without = (fields.get(name, "").split() for name in ("Only", "Without"))
    for path in [path for path in tree.rglob("*") if path.is_symlink() or not path.is_dir()]:
        name = path.relative_to(tree).as_posix()
        if (only and not any(fnmatch(name, item) for item in only)) or any(fnmatch(name, item) for item in without):
            path.unlink()
    own = HERE / "files" / fields["Package"]
    if own.is_dir():
        shutil.copytree(own, tree, dirs_exist_ok=True)
    (tree / "DEBIAN").mkdir(exist_ok=True)
    for script in (tree / "DEBIAN").iterdir():
        script.chmod(0o755 if script.name in ("preinst", "postinst", "prerm", "postrm") else 0o644)
    if kept := [name for name in conffiles if (tree / name.lstrip("/")).exists()]:
        (tree / "DEBIAN" / "conffiles").write_text("\n".join(kept) + "\n")


def make_packages(fields: Fields, debs: list[Path], renamed: set[str], arch: str, pool: Path) -> list[tuple[str, Path]]:
    """One package for each version, as (its control data, its file)."""
    made = []
    depends = inherited(debs, renamed)
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        tree.chmod(0o755)
        lay_out(fields, debs, tree)
        for version in fields["Versions"].split():
            control = {"Package": fields["Package"], "Version": version, "Architecture": arch, **DEFAULTS}
            control |= {name: value for name, value in fields.items() if name not in RECIPE}
            text = "".join(f"{name}: {value}\n" for name, value in control.items())
            text = text.replace("${from}", depends).replace("${version}", version)
            (tree / "DEBIAN" / "control").write_text(text)
            deb = pool / f"{fields['Package']}_{version.split(':')[-1]}_{arch}.deb"
            run("dpkg-deb", "--root-owner-group", "-Zzstd", "-z1", "--build", str(tree), str(deb))
            made.append((text, deb))
    return made


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def make_repository(recipe: Path, root: Path, debs: dict[str, Path], arch: str) -> str:
    """Makes one repository below the root, and signs it; where its key is to lie."""
    head, *packages = stanzas(recipe.read_text())
    base = root / head["Path"].replace("@arch@", arch)
    flat = head["Suite"] == "/"
    top = base if flat else base / "dists" / head["Suite"]
    pool = base if flat else top / "pool" / head["Component"] / arch
    index = base if flat else top / head["Component"] / f"binary-{arch}"
    for folder in (pool, index):
        folder.mkdir(parents=True, exist_ok=True)
    renamed = {name for fields in packages for name in fields.get("From", "").split()}
    lines = []
    for fields in packages:
        sources = [newest(debs[head["Release"]], name) for name in fields.get("From", "").split()]
        for control, deb in make_packages(fields, sources, renamed, arch, pool):
            name = f"./{deb.name}" if flat else str(deb.relative_to(base))
            lines.append(f"{control}Filename: {name}\nSize: {deb.stat().st_size}\nSHA256: {sha256(deb)}\n")
    (index / "Packages").write_text("\n".join(lines))
    listed = index / "Packages"
    release = {"Origin": "Lab", "Label": "Lab", "Date": email.utils.formatdate(usegmt=True), "Architectures": arch}
    if not flat:
        release |= {"Suite": head["Suite"], "Codename": head["Suite"], "Components": head["Component"]}
    text = "".join(f"{name}: {value}\n" for name, value in release.items())
    text += f"SHA256:\n {sha256(listed)} {listed.stat().st_size} {listed.relative_to(top)}\n"
    (top / "Release").write_text(text)
    run("gpg", "--batch", "--yes", "--clearsign", "--output", str(top / "InRelease"), str(top / "Release"))
    return head["Key"]


def main() -> int:
    parser = argparse.ArgumentParser(description="The lab's apt repositories")
    parser.add_argument("--root", type=Path, required=True, help="folder that the server serves")
    parser.add_argument("--debs", action="append", default=[], help="release=folder with downloaded packages of it")
    arguments = parser.parse_args()
    debs = {name: Path(folder) for name, _, folder in (item.partition("=") for item in arguments.debs)}
    arch = run("dpkg", "--print-architecture").strip()
    with tempfile.TemporaryDirectory() as home:
        os.environ["GNUPGHOME"] = home
        name = "Packages of the lab <apt@lab.test>"
        run("gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", name, "rsa3072", "sign", "never")
        shown = run("gpg", "--batch", "--with-colons", "--fingerprint")
        fingerprint = next(line.split(":")[9] for line in shown.splitlines() if line.startswith("fpr:"))
        key = run("gpg", "--batch", "--armor", "--export", fingerprint)
        places = [make_repository(recipe, arguments.root, debs, arch) for recipe in sorted(HERE.glob("*.control"))]
        run("gpgconf", "--kill", "gpg-agent")
    (arguments.root / "fingerprint").write_text(fingerprint + "\n")
    for place in ["key.asc", *places]:
        (arguments.root / place).write_text(key)
    return 0


if __name__ == "__main__":
    sys.exit(main())
