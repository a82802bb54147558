# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job on the lab: lab up, site.yml twice, health.yml, and a table of what stands there then.

    python lab/demo.py

Ends with status 1 where a run failed, a host isn't healthy, or the second run of site.yml changed something.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LAB_ID = os.environ.get("LAB_ID") or hashlib.sha256(str(ROOT).encode()).hexdigest()[:6]
ALL_HOSTS = ("deb12a", "deb12b", "deb13a")
HOSTS = [host for host in ALL_HOSTS if host in (os.environ.get("LAB_HOSTS") or ",".join(ALL_HOSTS)).split(",")]
REPORTS = ROOT / ".build" / "lab" / LAB_ID
SITE = ["playbooks/site.yml", "-i", "inventories/lab", "--limit", ",".join(HOSTS)]
HEALTH = ["playbooks/health.yml", "-i", "inventories/lab", "--limit", ",".join(HOSTS)]

# Asks a host for what the table shows; runs there, on its own Python.
PROBE = """
import json, subprocess, urllib.request
inspect = json.loads(subprocess.check_output(["docker", "inspect", "ollama"]))[0]
image = json.loads(subprocess.check_output(["docker", "image", "inspect", inspect["Image"]]))[0]
port, bindings = next((p, b) for p, b in inspect["NetworkSettings"]["Ports"].items() if b)
address = bindings[0]["HostIp"] + ":" + bindings[0]["HostPort"]
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
with opener.open("http://" + address + "/api/version", timeout=10) as answer:
    version, server = json.load(answer)["version"], answer.headers["Server"]
with opener.open("http://" + address + "/api/tags", timeout=30) as answer:
    models = json.load(answer)["models"]
release = dict(line.rstrip().split("=", 1) for line in open("/etc/os-release") if "=" in line)
engine = subprocess.check_output(["docker", "version", "--format", "{{.Server.Version}}"], text=True)
print(json.dumps({
    "os": release["PRETTY_NAME"].strip('"'), "engine": engine.strip(), "version": version, "server": server or "",
    "label": (image["Config"]["Labels"] or {}).get("alchemorsel.lab.server", ""), "user": inspect["Config"]["User"],
    "address": address, "port": port, "state": inspect["State"].get("Health", {}).get("Status", ""),
    "models": [[m["name"], m["digest"], m["size"]] for m in models]}))
"""


@dataclass
class Run:
    """What one run of ansible-playbook came to."""

    status: int
    seconds: float
    hosts: dict[str, dict[str, int]] = field(default_factory=dict)
    changed_tasks: dict[str, list[str]] = field(default_factory=dict)
    health: dict[str, dict[str, str]] = field(default_factory=dict)


def title(text: str) -> None:
    print(f"\n\033[1m== {text}\033[0m" if sys.stdout.isatty() else f"\n== {text}", flush=True)


def playbook(arguments: list[str], name: str) -> Run:
    """Runs ansible-playbook with its output live; its recap is read from the report that the lab's callback writes."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    report = REPORTS / f"{name}.json"
    report.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "LAB_REPORT_FILE": str(report),
        "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "lab" / "callback_plugins"),
        "ANSIBLE_CALLBACKS_ENABLED": "lab_report",
        "ANSIBLE_FORCE_COLOR": "1" if sys.stdout.isatty() else "0",
        "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "0",
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "0",
    }
    started = time.monotonic()
    status = subprocess.call(["ansible-playbook", *arguments], cwd=ROOT, env=environment)
    seconds = time.monotonic() - started
    found: dict[str, Any] = json.loads(report.read_text()) if report.exists() else {}
    return Run(status, seconds, **found)


def probe(host: str) -> dict[str, Any]:
    """What stands on a host; {} where it can't be told."""
    command = ["docker", "exec", "-i", f"alab-{LAB_ID}-{host}", "python3", "-"]
    done = subprocess.run(command, input=PROBE, capture_output=True, text=True)
    if done.returncode:
        print(f"{host}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return {}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def size(number: float) -> str:
    """Bytes for a person, in decimal units."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 10 else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def model_lines(models: list[list[Any]]) -> list[str]:
    """A model as two lines: short name, then digest and size."""
    lines = []
    for name, digest, bytes_ in sorted(models):
        lines += [name.rsplit("/", 1)[-1], f"  {digest.removeprefix('sha256:')[:12]}  {size(bytes_)}"]
    return lines or ["none"]


def server_kind(found: dict[str, Any]) -> str:
    """The server says so itself, by its header; a real one has none, so its image's label says it."""
    return "stand-in" if found["server"].startswith("alchemorsel-standin") else found["label"] or "real"


def column(host: str, found: dict[str, Any], runs: dict[str, Run]) -> list[list[str]]:
    """The cells of one host, each a list of lines."""
    first, second, health = runs["first"], runs["second"], runs["health"].health.get(host, {})
    cells = [[host]]
    if found:
        cells += [
            [found["os"]],
            [found["engine"]],
            [found["version"]],
            [server_kind(found)],
            [found["user"]],
            [found["address"]],
            model_lines(found["models"]),
        ]
    else:
        cells += [["?"]] * 7
    cells += [
        [health.get("verdict", "not asked")],
        [str(first.hosts.get(host, {}).get("changed", "-"))],
        [str(second.hosts.get(host, {}).get("changed", "-"))],
    ]
    return cells


ROWS = (
    "Host",
    "System",
    "Docker Engine",
    "Ollama",
    "Server",
    "Container user",
    "Published at",
    "Models",
    "Health",
    "Changed, 1st run",
    "Changed, 2nd run",
)


def table(columns: list[list[list[str]]]) -> str:
    """Rows of cells of lines, as text in columns."""
    head = [[name] for name in ROWS]
    all_columns = [head, *columns]
    widths = [max(len(line) for cell in cells for line in cell) for cells in all_columns]
    rule = "-+-".join("-" * width for width in widths)
    lines = []
    for row in range(len(ROWS)):
        cells = [cells[row] for cells in all_columns]
        for number in range(max(len(cell) for cell in cells)):
            parts = [cell[number] if number < len(cell) else "" for cell in cells]
            lines.append(" | ".join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip())
        if row == 0:
            lines.append(rule)
    return "\n".join(lines)


def hints(standin: bool) -> str:
    host = f"alab-{LAB_ID}-{HOSTS[0]}"
    body = '{"model": "models.lab.test:5443/library/tiny-a", "prompt": "Hello", "stream": false}'
    lines = [
        "Enter a host:      " + f"docker exec -it -u ops {host} bash -l",
        "Call the API:      " + f"docker exec {host} curl -s http://127.0.0.1:11435/api/generate -d '{body}'",
        "Take it down:      make lab-down   (make clean removes images and caches too)",
        "Your own hosts:    .build/venv/bin/ansible-playbook playbooks/site.yml -i inventories/prod",
    ]
    if standin:
        lines.insert(
            0,
            "The server is a stand-in: its answers are canned. LAB_OLLAMA_BINARY=/path/to/ollama make demo runs a real one.",
        )
    return "\n".join(lines)


def main() -> int:
    if not HOSTS:
        print(
            f"LAB_HOSTS={os.environ['LAB_HOSTS']} names no host of the lab; it has {', '.join(ALL_HOSTS)}.",
            file=sys.stderr,
        )
        return 1
    title("The lab comes up (lab/up.yml)")
    # Both are part of up.yml, but take minutes the first time: here they show what they are at.
    build = [sys.executable, "lab/images.py", "build"]
    for command in (["lab/engine.sh", "ensure"], build):
        if subprocess.call(command, cwd=ROOT, stdout=subprocess.DEVNULL if "build" in command else None):
            return 1
    up = playbook(["lab/up.yml"], "up")
    if up.status:
        return up.status
    runs: dict[str, Run] = {}
    for name, text, arguments in (
        ("first", "The main job: ansible-playbook playbooks/site.yml -i inventories/lab", SITE),
        ("second", "The same again: nothing may change", SITE),
        ("health", "Health: ansible-playbook playbooks/health.yml -i inventories/lab", HEALTH),
    ):
        title(text)
        runs[name] = playbook(arguments, name)
        if runs[name].status and name != "health":
            print(
                f"\nplaybooks/site.yml failed (status {runs[name].status}); the message above says why.",
                file=sys.stderr,
            )
            return 1

    title("What stands there now")
    found = {host: probe(host) for host in HOSTS}
    print(table([column(host, found[host], runs) for host in HOSTS]))
    print(
        f"\nLab up {up.seconds:.0f} s, first run {runs['first'].seconds:.0f} s, second run {runs['second'].seconds:.0f} s, "
        f"health {runs['health'].seconds:.0f} s.\n"
    )
    print(hints(any(server_kind(values) == "stand-in" for values in found.values() if values)))

    complaints = [
        f"{host}: the second run changed {', '.join(tasks)}" for host, tasks in runs["second"].changed_tasks.items()
    ]
    complaints += [
        f"{host}: {runs['health'].health.get(host, {}).get('msg', 'no verdict')}"
        for host in HOSTS
        if runs["health"].health.get(host, {}).get("verdict") != "healthy"
    ]
    complaints += [f"{host}: can't be looked at" for host in HOSTS if not found[host]]
    for complaint in complaints:
        print(f"FAILED  {complaint}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
