# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel, tools, the package manager and the engine of a host write: read as far as it is what it should be, and never a traceback."""

from __future__ import annotations

import base64
import struct
from pathlib import Path

from ansible.errors import AnsibleFilterError
from ansible_collections.alchemorsel.ollama.plugins.filter.engine_packages import engine_packages
from ansible_collections.alchemorsel.ollama.plugins.filter.engine_storage import engine_storage
from ansible_collections.alchemorsel.ollama.plugins.filter.memory_verdict import memory_verdict
from ansible_collections.alchemorsel.ollama.plugins.filter.openpgp_fingerprints import openpgp_fingerprints
from ansible_collections.alchemorsel.ollama.plugins.filter.ssh_public_key import ssh_public_key
from ansible_collections.alchemorsel.ollama.plugins.filter.subnet_conflicts import subnet_conflicts
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _gpu_parse as gpu
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _witness as witness
from ansible_collections.alchemorsel.ollama.plugins.module_utils._cgroup import (
    Memory,
    cgroup_directories,
    check_memory,
    parse_kills,
    parse_limit,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._drain import busy_clients
from ansible_collections.alchemorsel.ollama.plugins.module_utils._takeover import servers_on
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.strategies import bent_json, bent_lines, can_be_shown, texts

GPUS = [
    "0, GPU-6a1f, NVIDIA H100, 81559, 550.54.15, 9.0, Disabled",
    "1, GPU-7b, NVIDIA H100, [N/A], 550.54.15, 9.0, Enabled",
]
INFO = {"ServerVersion": "26.1.5", "CDISpecDirs": ["/etc/cdi"], "CgroupDriver": "systemd", "ServerErrors": []}
SS = [
    "0 0 172.18.0.2:11434 172.18.0.1:52000",
    "\t cubic bytes_sent:90 lastsnd:40 lastrcv:9000",
    "0 0 [::1]:11434 [::1]:4",
]
LOG = [
    'time=x level=INFO msg="Listening on [::]:11434"',
    'msg="inference compute" id=GPU-6a library=CUDA name="H100" pci_id=01:00',
]
PACKAGES = [
    "package docker.io 26.1.5+dfsg1-9",
    "package containerd 1.7.24~ds1-6",
    "hold docker.io",
    "broken dpkg interrupted",
    "candidate docker.io 27.5.1+dfsg4-1",
    "offer docker.io 27.5.1+dfsg4-1",
    "gone docker.io 26.1.5+dfsg1-9",
    "stale /usr/sbin/dockerd",
]
FAMILIES = {"docker.io": {"same": ["docker.io", "docker-cli"], "with": ["containerd"], "floors": True}}
DISKS = ["root /var/lib/docker", "disk now ext4 9000000 /", "disk wanted xfs 100 /srv", "ftype wanted 0", "held 1 2 3"]
ROUTES = [
    "default via 10.0.0.1 dev eth0",
    "172.17.0.0/16 dev docker0 proto kernel",
    "unreachable 10.9.0.0/16",
    "10.0.0.0/24 dev eth0",
]
STORED = ["4920753328 " + "a" * 64 + " registry.ollama.ai/library/llama3.1/8b", "5 - registry.ollama.ai/library/b/1"]
DECLARED = [{"name": "llama3.1:8b"}, {"name": "b:1"}]
PGP = [
    "-----BEGIN PGP PUBLIC KEY BLOCK-----",
    "",
    base64.b64encode(b"\x98\x06\x04abcde").decode(),
    "=abcd",
    "-----END PGP PUBLIC KEY BLOCK-----",
]


def field(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


PUBLIC = field(b"ssh-ed25519") + field(b"P" * 32)
SECRET = b"SECRET" * 5 + b"se"
KEY = (
    b"openssh-key-v1\0"
    + field(b"none")
    + field(b"none")
    + field(b"")
    + struct.pack(">I", 1)
    + field(PUBLIC)
    + field(PUBLIC + field(SECRET + b"P" * 32))
)
PRIVATE = ["-----BEGIN OPENSSH PRIVATE KEY-----", base64.b64encode(KEY).decode(), "-----END OPENSSH PRIVATE KEY-----"]


@given(bent_lines(GPUS))
@example(["\u00b2, GPU-6a1f, NVIDIA H100, \u00b2, 550.54.15, 9.0, Disabled"])
@example(["9" * 5000 + ", GPU-6a1f, NVIDIA H100, " + "9" * 5000 + ", 550.54.15, 9.0, Disabled"])
def test_whatever_nvidia_smi_says_of_gpus(lines):
    assert can_be_shown(gpu.parse_gpus("\n".join(lines)))


@given(bent_lines(["812, 4096", "813, [N/A]", "812, 1"]))
@example(["9" * 5000 + ", 1"])
@example(["812, " + "9" * 400])
def test_whatever_nvidia_smi_says_of_processes(lines):
    used = witness.parse_compute_apps("\n".join(lines))
    owners = dict.fromkeys(used, True)
    assert can_be_shown([list(map(str, used)), witness.smi_account(used, owners).reason])


@given(bent_json(INFO).map(lambda body: body.decode("utf-8", "replace")))
def test_whatever_docker_info_says(text):
    found = gpu.parse_engine(text)
    assert can_be_shown([found.version, found.cdi, found.cgroup_driver, found.problem])


@given(
    bent_lines(
        ["NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.15  Release Build", "cdiVersion: 0.6.0"]
    ),
    bent_lines(
        ["Fabric Manager version is : 550.54.15", "NVIDIA Container Toolkit CLI version 1.17.4", "nvidia.com/gpu=0"]
    ),
)
def test_whatever_drivers_and_tools_say_of_themselves(one, other):
    text = "\n".join([*one, *other])
    parsers = [gpu.parse_driver_version, gpu.parse_fabric_version, gpu.parse_toolkit_version, gpu.parse_cdi_devices]
    parsers += [gpu.spec_version, gpu.spec_driver, gpu.library_version, gpu.describes_gpus]
    assert can_be_shown([parse(text) for parse in parsers])


@given(bent_lines(LOG))
def test_whatever_a_servers_log_says_of_its_start(lines):
    libraries = witness.libraries_of_last_start(lines)
    assert can_be_shown([witness.log_account(libraries).reason, witness.gpus_of_last_start(lines)])


@given(
    bent_lines(["4:memory:/docker/a", "0::/system.slice/docker-a.scope"]), bent_lines(["oom 0", "oom_kill 3"]), texts
)
@example([], ["oom_kill " + "9" * 5000], "9" * 5000)
def test_whatever_the_kernel_counts(groups, events, limit):
    kills, most = parse_kills("\n".join(events)), parse_limit(limit)
    assert can_be_shown(cgroup_directories("\n".join(groups)))
    assert can_be_shown(check_memory(Memory("x", 0), Memory("x", kills, most)).reason)


@given(bent_lines(["812 (ollama (x)) S 1 812 812 0"]), st.dictionaries(st.integers(0, 9), st.integers(0, 9)))
@example(["812 (ollama) S " + "9" * 5000 + " 812"], {})
def test_whatever_proc_says_of_a_process(lines, parents):
    found = witness.parse_stat("\n".join(lines))
    assert found is None or witness.is_below(3, found[1], parents) in (True, False, None)


@given(bent_lines(SS))
@example(["0 0 172.18.0.2:11434 172.18.0.1:52000", "\t lastsnd:" + "9" * 5000])
def test_whatever_ss_says_of_clients(lines):
    assert can_be_shown(busy_clients("\n".join(lines)))


@given(
    st.lists(st.lists(texts | st.sampled_from(["ollama", "serve", "/usr/bin/ollama"]), max_size=4), max_size=3), texts
)
def test_whatever_processes_are_called(tmp_path_factory, commands, place):
    proc = tmp_path_factory.mktemp("proc")
    for number, words in enumerate(commands):
        folder = proc / str(number)
        folder.mkdir()
        folder.joinpath("cmdline").write_bytes("\0".join(words).encode())
        folder.joinpath("environ").write_bytes(f"HOME=/x\0OLLAMA_MODELS={place}".encode())
    assert can_be_shown(servers_on("/", str(proc)))


@given(bent_lines(PACKAGES), texts, st.booleans(), st.booleans())
def test_whatever_the_package_manager_says(lines, pin, upgrade, shared):
    for floors in ([], [{"version": "27.0", "why": "CVE-x", "refused": True}]):
        wish = {
            "engine": "docker.io",
            "present": True,
            "install": ["docker.io"],
            "families": FAMILIES,
            "pin": pin,
            "upgrade": upgrade,
        }
        wish.update(running="26.1.5", shared=shared, containers=1, floors=floors)
        assert can_be_shown(engine_packages(lines, **wish))


@given(bent_lines(DISKS), texts | st.just("/srv"))
@example(["disk now ext4 \u00b2 /"], "/srv")
@example(["held x y z"], "/srv")
@example(["disk now ext4 " + "9" * 5000 + " /"], "/srv")
def test_whatever_a_host_says_of_its_disks(lines, wanted):
    assert can_be_shown(engine_storage(lines, wanted, min_free=1 << 40, file_systems=["ext4", "xfs"]))


@given(bent_lines(ROUTES), texts | st.sampled_from(["172.30.0.0/24", "10.0.0.0/8", "0.0.0.0/0"]))
def test_whatever_routes_a_host_has(routes, subnet):
    assert can_be_shown(subnet_conflicts(subnet, routes))


@given(bent_lines(STORED))
@example(["x"])
@example(["9" * 5000 + " - registry.ollama.ai/library/b/1"])
@example(["9" * 400 + " - registry.ollama.ai/library/b/1"])
def test_whatever_lies_in_the_store_of_a_host(lines):
    assert can_be_shown(memory_verdict(lines, DECLARED, 1 << 30, 2, 1024))


@given(
    bent_lines(PRIVATE)
    | bent_lines(["-----BEGIN RSA PRIVATE KEY-----", "SECRETSECRET", "-----END RSA PRIVATE KEY-----"])
)
@example(PRIVATE)
def test_a_private_key_gives_a_public_one_or_nothing_and_never_itself(lines):
    public = ssh_public_key("\n".join(lines))
    assert public == "" or public.startswith("ssh-ed25519 ")
    assert b"SECRET" not in base64.b64decode(public.partition(" ")[2] + "==")


@given(bent_lines(PGP))
@example([*PGP[:2], "\u00fc\u00fc\u00fc\u00fc", PGP[4]])
@example([*PGP[:2], base64.b64encode(b"\x9a\x00\x01\x11\x70\x04" + b"x" * 69999).decode(), PGP[4]])
def test_any_text_is_a_key_of_packages_or_none(lines):
    try:
        assert all(len(one) == 40 for one in openpgp_fingerprints("\n".join(lines)))
    except AnsibleFilterError as exc:
        assert can_be_shown(str(exc))


def test_the_examples_are_read():
    """Those that are bent are right ones, so that what is bent is what is looked at."""
    assert (
        len(gpu.parse_gpus("\n".join(GPUS))) == 2
        and gpu.parse_engine('{"ServerVersion": "26.1.5"}').version == "26.1.5"
    )
    assert (
        ssh_public_key("\n".join(PRIVATE)).startswith("ssh-ed25519 ") and len(openpgp_fingerprints("\n".join(PGP))) == 1
    )
    assert busy_clients("\n".join(SS)) == ["172.18.0.1:52000"] and len(witness.gpus_of_last_start(LOG)) == 1
    assert memory_verdict(STORED, DECLARED, 1 << 30, 2, 1024)["complaint"] and Path("/proc").is_dir()
    assert len(engine_storage(DISKS, "/srv", min_free=1 << 20, file_systems=["ext4", "xfs"])) == 3
