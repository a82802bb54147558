# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands in every text: in what hosts and servers answer, as templates, too, and in what an inventory says; none is carried out.

What the operator writes into an inventory is a template to Ansible, and that is meant so. What a host or a server answers never is one.
"""

from __future__ import annotations

import json
import re
import shlex
import uuid
from pathlib import Path

import pytest

from tests.abuse.lab import ROOT
from tests.abuse.options import texts_of

#: Releases of ansible-core that are installed: the one of the tests, and the oldest that is supported.
CORES = [name for name in ("venv", "venv-2.17") if (ROOT / ".build" / name / "bin/ansible-playbook").exists()]
ROLES = ["docker", "nvidia_container_toolkit", "ollama", "ollama_models"]
#: Words of errors that nobody should have to read.
TRACES = re.compile(
    r"Traceback \(most recent|object has no attribute|unhashable|is undefined|Unexpected (templating|failure)|TypeError|ValueError"
)


class Mark:
    """A file that a command would make, here or on the host."""

    def __init__(self, host):
        self.host = host
        self.name = f"abuse-{uuid.uuid4().hex}"

    def shell(self, more=""):
        """Ways in which a shell would make it, or one with more to its name."""
        touch = f"touch /tmp/{self.name}{more}"
        return f"$({touch})`{touch}`\"; {touch}; '\n{touch}\n--x -e"

    def jinja(self, place="/tmp/"):
        """A template that would make it on the controller, and print the product of two numbers."""
        return "{{ lookup('ansible.builtin.pipe', 'touch " + place + self.name + "') }}{{ 1234 * 1001 }}"

    def check(self, run):
        """Nobody made it, and no template was resolved."""
        assert not [path for folder in ("/tmp", ROOT) for path in Path(folder).glob(f"*{self.name}*")]
        assert (
            self.host.sh(f"ls -d /tmp/{self.name}* /root/{self.name}* /home/ops/{self.name}* 2>/dev/null || true") == ""
        )
        assert "1235234" not in run.output
        assert not TRACES.search(run.output), run.output[-3000:]


@pytest.fixture
def mark(host):
    return Mark(host)


def test_the_mark_would_be_seen(mark):
    """A template and a shell that are let do what they want make it."""
    made = Path("/tmp") / mark.name
    run = mark.host.play("role.yml", {"abuse_role": mark.jinja()})
    assert made.exists() and "1235234" in run.output
    made.unlink()
    mark.host.sh(f"printf %s {json.dumps(mark.shell())} | sed 's/^/: \"/' | sh 2>/dev/null || true", check=False)
    mark.host.sh(f"sh -c 'x=$(touch /tmp/{mark.name})'")
    with pytest.raises(AssertionError):
        mark.check(run)
    mark.host.sh(f"rm -f /tmp/{mark.name}")


#: Makes and removes what `hostile` wants; $1 is both kinds of commands, $2 a template alone, which can be the name of a file.
SPOIL = r"""
cp /etc/os-release /run/abuse-os-release; hostname >/run/abuse-hostname; cp -a /etc/docker/daemon.json /run/abuse-daemon.json
mkdir -p /etc/ansible/facts.d
{ grep -v ^PRETTY_NAME /run/abuse-os-release; printf 'PRETTY_NAME="Debian %s"\n' "$2"; } >/etc/os-release
hostname 'x{{ 1234 * 1001 }}'
echo '# https://apt.lab.test/linux' >"/etc/apt/sources.list.d/$2.list"
docker create --name theirs --label "x=$1" --env "Y=$1" --volume /srv:/srv:ro "$(docker images --quiet | head -n 1)" >/dev/null
docker network create --label "x=$1" theirs >/dev/null
cd /var/lib/ollama
printf 'x\rstore /etc\n%s' "$1" >.alchemorsel-migrated
mkdir -p models/manifests
for end in "$(printf '\nx')" "$(printf '\rx')" "$(printf '\342\200\250x')"; do
  for forged in 'store ' 'entry ' 'mounted ' 'route ' "$2"; do
    name="x${end%x}$forged"
    : >"$name"
    mkdir -p "models/manifests/$name/etc/systemd"
    echo '{}' >"models/manifests/$name/etc/systemd/system"
  done
done
"""
RESTORE = r"""
cp /run/abuse-os-release /etc/os-release; hostname "$(cat /run/abuse-hostname)"; cp -a /run/abuse-daemon.json /etc/docker/daemon.json
docker rm theirs; docker network rm theirs; rm -rf /etc/ansible/facts.d
cd /var/lib/ollama && rm -rf x* models/manifests/x* .alchemorsel-migrated
find /etc/apt/sources.list.d -name '{*.list' -delete
rm -f /run/abuse-*
"""
#: Creates a model of which the server shows what it is given.
CREATE = "import sys, urllib.request as r; r.urlopen(r.Request('http://127.0.0.1:11435/api/create', sys.stdin.buffer.read()), timeout=60).read()"


@pytest.fixture
def hostile(host, mark):
    """A host whose users, tools and server answer with templates and commands wherever they can."""
    both, here = mark.jinja() + mark.shell(), mark.jinja("")
    host.sh(f"set -- {shlex.quote(both)} {shlex.quote(here)}\n{SPOIL}")
    host.sh("cat >/etc/ansible/facts.d/theirs.fact", data=json.dumps({"a": both, "b": [both]}).encode())
    config = json.loads(host.sh("cat /etc/docker/daemon.json"))
    host.sh("cat >/etc/docker/daemon.json", data=json.dumps({**config, "labels": [f"a={both}"]}).encode())
    model = {"model": "theirs", "from": "models.lab.test:5443/library/tiny-a:latest"}
    model.update(system=both, template="{{ .Prompt }}" + mark.shell(), parameters={"stop": [both]})
    host.sh(f"python3 -c {shlex.quote(CREATE)}", data=json.dumps(model).encode())
    yield mark
    host.sh(RESTORE, check=False)


@pytest.mark.parametrize("core", CORES)
def test_what_hosts_and_servers_answer_is_no_command_and_no_template(host, hostile, core, record_property):
    program = {"PATH": f"{ROOT}/.build/{core}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    models = [{"name": "models.lab.test:5443/library/tiny-a:latest"}]
    for play in ("site.yml", "modules.yml"):
        variables = {"ollama_models_list": models, "abuse_url": "http://127.0.0.1:11435", "abuse_key": "x"}
        run = host.play(play, variables, "-vvv", "--diff", environment=program)
        hostile.check(run)
        assert run.code == 0, run.output[-4000:]
        assert hostile.name in run.output
    # What was forged is told as it stands there, and nothing was given away
    assert host.sh("stat -c %u /etc/systemd/system /etc").split() == ["0", "0"]
    record_property("core", core)


def poison(option, text):
    """Return a value of a variable's type that has this text wherever it can have one."""
    kind = option.get("type", "str")
    if kind == "list":
        return [f"/srv/{text}" if option["elements"] == "path" else text, text]
    if kind == "dict":
        return {"KEY": text, "OTHER": text}
    return f"/srv/{text}" if kind == "path" else text


def told(run, names):
    """Return the variables that the failure of a run names, or whose text it shows, in which the name stands, too."""
    failures = "\n".join(
        re.findall(
            r"^(?:fatal|failed|\[ERROR\]).*?(?=^(?:PLAY RECAP|TASK|ok:|changed:)|\Z)",
            run.output,
            re.MULTILINE | re.DOTALL,
        )
    )
    # Of a text that is no number at all, and of a key, nothing but the option of the module is shown
    options = {name: name.removeprefix("ollama_models_") for name in names}
    return {
        name
        for name, option in options.items()
        if re.search(rf"\b{name}\b|argument '{option}'|\"{option} has ", failures)
    }


@pytest.mark.parametrize("role", ROLES)
def test_what_an_inventory_says_is_refused_or_used_as_it_stands(host, mark, role, record_property):
    """All texts at once; what is refused is named and left out, until the role takes the rest."""
    options = texts_of(role)
    variables = {name: poison(option, mark.shell(f"-{name}")) for name, option in options.items()}
    if role == "ollama_models":
        # The texts that the role ollama has used are the server's proxy, and it fetches nothing any more
        declared = host.play("role.yml", {"abuse_role": "ollama"})
        assert declared.code == 0, declared.output[-4000:]
        fields = ("name", "digest", "from", "system", "template", "gguf", "keep_alive")
        variables["ollama_models_list"] = [dict.fromkeys(fields, mark.shell("-ollama_models_list"))]
    count, refused = len(variables), set()
    for _round in range(len(options)):
        run = host.play("role.yml", {**variables, "abuse_role": role})
        mark.check(run)
        if run.code == 0:
            break
        named = told(run, variables)
        assert named, run.output[-4000:]
        refused |= named
        variables = {name: value for name, value in variables.items() if name not in named}
    assert run.code == 0 and len(refused) + len(variables) == count
    record_property("refused", len(refused))
    record_property("used", " ".join(sorted(variables)) or "none")
