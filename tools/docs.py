# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the documentation that repeats data: each role's README, and the made parts of SECURITY.md, docs/hardening.md, health.md, gpu.md, docker.md, fuzz.md.

    python tools/docs.py            write what differs
    python tools/docs.py --check    change nothing, end with 1 if anything differs

Only the part between the two markers is made; what stands above the first and below the second one is written by hand and kept.
"""

from __future__ import annotations

import json
import re
import runpy
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

BEGIN = "<!-- Made by `make docs`; edit what follows the end mark, not this part. -->"
END = "<!-- End of the made part. -->"
RULES = Path("roles/ollama/vars/hardening.yml")
CHECKS = Path("roles/ollama/vars/hardening_checks.yml")
HARDENING = Path("docs/hardening.md")
VERDICTS = Path("plugins/module_utils/_verdicts.py")
FAULTS = Path("tests/unit/fixtures/health_faults.json")
HEALTH = Path("docs/health.md")
GPU = Path("docs/gpu.md")
GPU_PAGE = Path("tools/gpu_page.py")
CIS = Path("roles/docker/vars/main/cis.yml")
DAEMON_KEYS = Path("plugins/module_utils/_daemon_keys.py")
DOCKER = Path("docs/docker.md")
SECURITY = Path("SECURITY.md")
SECURITY_PAGE = Path("tools/security_page.py")
FUZZ = Path("docs/fuzz.md")
FUZZ_PAGE = Path("tools/fuzz_page.py")


def main() -> int:
    """Write or check all made parts; return the exit code."""
    check = "--check" in sys.argv[1:]
    stale = [path for path, made in documents() if update(path, made, check)]
    for path in stale:
        print(f"{path}: " + ("differs from its data; run `make docs`" if check else "written"))
    return int(check and bool(stale))


def documents() -> Iterator[tuple[Path, str]]:
    """Yield each document with its made part."""
    for spec in sorted(Path("roles").glob("*/meta/argument_specs.yml")):
        yield spec.parent.parent / "README.md", role_readme(spec.parent.parent)
    if RULES.exists():
        checks = yaml.safe_load(CHECKS.read_text())["ollama_hardening_checks"]
        yield HARDENING, hardening_page(yaml.safe_load(RULES.read_text())["ollama_hardening_rules"], checks)
    yield GPU, runpy.run_path(str(GPU_PAGE))["gpu_page"]()
    yield FUZZ, runpy.run_path(str(FUZZ_PAGE))["fuzz_page"]()
    yield HEALTH, health_page(runpy.run_path(str(VERDICTS))["VERDICTS"].values(), json.loads(FAULTS.read_text()))
    yield SECURITY, runpy.run_path(str(SECURITY_PAGE))["security_page"]()
    yield DOCKER, docker_page(yaml.safe_load(CIS.read_text())["_docker_cis"], runpy.run_path(str(DAEMON_KEYS)))


def update(path: Path, made: str, check: bool) -> bool:
    """Put `made` into the document, unless `check`; return whether it differed."""
    old = path.read_text() if path.exists() else ""
    above = old.partition(BEGIN)[0] if BEGIN in old else ""
    below = old.partition(END)[2] or "\n"
    new = f"{above}{BEGIN}\n{made.rstrip()}\n\n{END}{below}"
    if new != old and not check:
        path.parent.mkdir(exist_ok=True)
        path.write_text(new)
    return new != old


def role_readme(role: Path) -> str:
    """Return the made part of a role's README: its specification as a table."""
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]
    main_entry = specs["main"]
    lines = [f"# alchemorsel.ollama.{role.name}", "", sentence(main_entry["short_description"]), ""]
    for paragraph in as_list(main_entry.get("description")):
        lines += [markdown(paragraph), ""]
    lines += ["```yaml", "- hosts: ollama", "  become: true", "  roles:"]
    lines += [f"    - role: alchemorsel.ollama.{role.name}", "```", ""]
    tags = sorted(role_tags(role))
    if tags:
        lines += ["Tags: " + ", ".join(f"`{tag}`" for tag in tags) + ".", ""]
    lines += ["## Variables", "", "| Variable | Type | Default | Meaning |", "|---|---|---|---|"]
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text()) or {}
    lines += [
        option_row(name, {**option, "default": defaults.get(name, option.get("default"))})
        for name, option in flat_options(main_entry.get("options", {}))
    ]
    return "\n".join(lines)


def role_tags(role: Path) -> set[str]:
    """Return the tags that begin with the role's name, found in any of its task files."""
    words = re.compile(rf"\b{role.name}_(?:preflight|install|configure|service|verify)\b")
    found: set[str] = set()
    for path in (role / "tasks").glob("*.yml"):
        for tags in re.findall(r"^\s*tags:(.*(?:\n\s*- .*)*)", path.read_text(), re.MULTILINE):
            found.update(words.findall(tags))
    return found


def flat_options(options: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the options in the order of the specification, each followed by its own suboptions."""
    for name, option in options.items():
        yield prefix + name, option
        inner = f"{prefix}{name}[]." if option.get("type") == "list" else f"{prefix}{name}."
        yield from flat_options(option.get("options", {}), inner)


def option_row(name: str, option: dict[str, Any]) -> str:
    """Return one row of the table of variables."""
    kind = option.get("type", "str")
    if "elements" in option:
        kind += f" of {option['elements']}"
    default = "required" if option.get("required") else code(option.get("default"))
    meaning = " ".join(markdown(text) for text in as_list(option.get("description")))
    if "choices" in option:
        meaning += " One of " + ", ".join(code(choice) for choice in option["choices"]) + "."
    return f"| `{name}` | {kind} | {default} | {cell(meaning)} |"


def hardening_page(rules: list[dict[str, Any]], checks: list[dict[str, Any]]) -> str:
    """Return the made part of docs/hardening.md."""
    by_hand = {check["id"]: check for check in checks}
    lines = [
        "# The hardening score card",
        "",
        "Each rule is data in `roles/ollama/vars/hardening.yml`: a JMESPath expression over what `docker inspect` says of the container,",
        "and the value that it must have. The filter `alchemorsel.ollama.hardening_score`, the tests and this page read that one table.",
        "",
        "| Point | Rule | CIS Docker | Must be | Remedy |",
        "|---|---|---|---|---|",
    ]
    for rule in rules:
        wanted = code(rule["wanted"]) if rule.get("counted", True) else "shown, not counted"
        lines.append(f"| {rule['id']} | {cell(rule['title'])} | {rule['cis']} | {wanted} | {cell(rule['remedy'])} |")
    lines += [
        "",
        "## Each point on your own host",
        "",
        "The command prints what the container `ollama` has, and ends with 0, where the point holds; else it prints nothing and ends with 1 (of the last",
        "one, which could show a secret, nothing is printed in either case). Leave out what stands behind `|` to see what is there. It wants root or",
        "the group `docker`. `molecule/default` runs these commands as they stand here, also on containers without any protection. Below each",
        "stands the expression that the score card uses, which judges more closely; where it must be `[]`, it lists the offenders.",
        "",
    ]
    for rule in rules:
        lines += point_by_hand(rule, by_hand[rule["id"]] if rule.get("counted", True) else None)
    return "\n".join(lines)


def point_by_hand(rule: dict[str, Any], check: dict[str, Any] | None) -> Iterator[str]:
    """Yield the section of one rule; one that is not counted has no command."""
    yield f"### {rule['id']}. {rule['title']}"
    yield ""
    if check:
        yield from (f"**Cost:** {sentence(check['costs'])}", "", "```console", check_command(check), "```", "")
    yield from ("```text", rule["expression"].strip(), "```", "")


def check_command(check: dict[str, Any]) -> str:
    """Return the command that tells by hand whether a point holds."""
    options = ("-Ex" if "holds" in check else "-Ev") + ("q" if check.get("quiet") else "")
    pattern = check.get("holds", check.get("falls"))
    return f"docker inspect --format '{{{{json {check['look']}}}}}' ollama | grep {options} '{pattern}'"


def health_page(verdicts: Iterable[Any], faults: dict[str, dict[str, str]]) -> str:
    """Return the made part of docs/health.md."""
    lines = [
        "# The verdicts of `ollama_health`",
        "",
        "A verdict is the word for the first check that failed. Where time alone does not cure it, `wait_timeout` ends at once.",
        "The table is made from `plugins/module_utils/_verdicts.py`, from which the module takes its remedies too.",
        "",
        "| Verdict | Level | It means | Remedy | Waited for |",
        "|---|---|---|---|---|",
    ]
    for verdict in verdicts:
        waits = "no" if verdict.final else "yes"
        row = (code(verdict.word), verdict.level, cell(verdict.meaning), cell(verdict.remedy), waits)
        lines.append(f"| {' | '.join(row)} |")
    lines += [
        "",
        "## Faults, and what the module says of them",
        "",
        "Each fault is made on the stand-in by a test (`tests/unit/plugins/modules/test_ollama_health_table.py`), which holds the",
        "message to this table. `URL`, `DATE` and `N` stand for what differs from run to run.",
        "",
        "| Fault | Verdict | Message |",
        "|---|---|---|",
    ]
    lines += [
        f"| {cell(fault)} | {code(seen['verdict'])} | {cell(seen['message'])} |" for fault, seen in faults.items()
    ]
    return "\n".join(lines)


def docker_page(points: list[dict[str, Any]], keys: dict[str, Any]) -> str:
    """Return the made part of docs/docker.md."""
    lines = [
        "# The engine and its daemon.json",
        "",
        "The role `docker` adopts an engine that is there, or installs one, and merges settings into `/etc/docker/daemon.json`. Its variables",
        "are in [the role's README](../roles/docker/README.md); this page says which settings it brings, why, and what happens to a host that",
        "others use too.",
        "",
        "## Settings and CIS Docker Benchmark, section 2",
        "",
        "Made from `roles/docker/vars/main/cis.yml`. *Merged* fills a key that the host's file does not have; *checked* sets nothing and reports a",
        "host that says otherwise. The last column names what shows it on a running engine.",
        "",
        "| CIS | Setting | By default | Why | Shown by |",
        "|---|---|---|---|---|",
    ]
    for point in points:
        how = "merged" if "merged" in point else "checked" if "checked" in point else "left out"
        values = point.get("merged") or point.get("checked") or {}
        settings = ", ".join(code(f"{key}: {json.dumps(value)}") for key, value in values.items()) or code(
            point["setting"]
        )
        row = (point["cis"], settings, how, cell(point["why"]), code(point["test"]))
        lines.append(f"| {' | '.join(row)} |")
    names = ", ".join(code(key) for key in sorted(keys["RELOADABLE"]))
    members = " and ".join(code(name) for name in sorted(keys["RESTART_FEATURES"]))
    lines += [
        "",
        "## Reload or restart",
        "",
        f"A reload (SIGHUP) is enough for {names}; of `features`, {members} want a restart. Anything else restarts the engine.",
        "",
        "## Types that are checked",
        "",
        "Before the file is in place each of these keys is checked, in what was asked for and in what the host has. Keys that are not listed",
        "are left to the engine.",
        "",
        "| Wanted | Keys |",
        "|---|---|",
    ]
    kinds: dict[str, list[str]] = {}
    for key, kind in sorted(keys["TYPES"].items()):
        kinds.setdefault(kind, []).append(code(key))
    lines += [f"| {kind} | {', '.join(found)} |" for kind, found in kinds.items()]
    return "\n".join(lines)


def markdown(text: str) -> str:
    """Turn Ansible's markup into Markdown."""
    text = re.sub(r"\bO\([\w.]+#role:main:", "O(", text)
    text = re.sub(r"\bP\(([^#)]*)#[a-z]*\)", r"`\1`", text)
    text = re.sub(r"\b[VOCEM]\(([^()]*(?:\([^()]*\)[^()]*)*)\)", r"`\1`", text)
    text = re.sub(r"\b(?:RV)\(([^)]*)\)", r"`\1`", text)
    text = re.sub(r"\bB\(([^)]*)\)", r"**\1**", text)
    text = re.sub(r"\bI\(([^)]*)\)", r"*\1*", text)
    text = re.sub(r"\bL\(([^,)]*),\s*([^)]*)\)", r"[\1](\2)", text)
    return re.sub(r"\bU\(([^)]*)\)", r"<\1>", text)


def code(value: Any) -> str:
    """Return a value as it is written in YAML, as code; nothing for no value."""
    if value is None:
        return ""
    return cell(f"`{value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)}`")


def cell(text: str) -> str:
    """Return text that fits in one cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


def sentence(text: str) -> str:
    """Return text with a full stop."""
    return markdown(text).rstrip(".") + "."


def as_list(value: Any) -> list[str]:
    """Return a description as a list of paragraphs."""
    return [value] if isinstance(value, str) else list(value or [])


if __name__ == "__main__":
    sys.exit(main())
