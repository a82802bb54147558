# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command line: the `ollama` commands that the stand-in knows, and the lab's own."""

from __future__ import annotations

import argparse
import json
import os
import sys
import urllib.error
import urllib.request

from . import publish, registry, serve, settings


def _base_url() -> str:
    host, port = settings.parse_host(os.environ.get("OLLAMA_HOST", ""))
    host = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _size(number: int) -> str:
    """Bytes as the list shows them: decimal units, at most three digits."""
    for limit, unit in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "KB")):
        if number >= limit:
            value = number / limit
            return f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"
    return f"{number} B"


def _list() -> int:
    """`ollama list`: exit status 1 where no server answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{_base_url()}/api/tags", timeout=30) as response:
            models = json.load(response)["models"]
    except (urllib.error.URLError, OSError, ValueError, KeyError):
        print("Error: could not connect to ollama app, is it running?", file=sys.stderr)
        return 1
    print(f"{'NAME':<40}{'ID':<16}{'SIZE':<10}MODIFIED")
    for model in models:
        print(f"{model['name']:<40}{model['digest'][:12]:<16}{_size(model['size']):<10}{model['modified_at'][:19]}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ollama", description="Ollama-compatible test server (stand-in)")
    parser.add_argument("--version", "-v", action="store_true", help="print the version that is played")
    commands = parser.add_subparsers(dest="command")
    for name in ("serve", "start"):
        commands.add_parser(name, help="serve the API; OLLAMA_* and STANDIN_* variables say how")
    for name in ("list", "ls"):
        commands.add_parser(name, help="list the models of the server at OLLAMA_HOST")
    registry.add_arguments(commands.add_parser("registry", help="serve a model store read-only as a registry"))
    publish.add_arguments(commands.add_parser("publish", help="put a GGUF file into a model store under a name"))
    return parser


def main(argv: list[str] | None = None) -> int:
    """Runs one command; the exit status."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    try:
        if arguments.version:
            print(f"ollama version is {settings.read().profile.version} (stand-in)")
            return 0
        if arguments.command in ("serve", "start"):
            return serve.main(settings.read())
        if arguments.command in ("list", "ls"):
            return _list()
        if arguments.command == "registry":
            return registry.main(arguments)
        if arguments.command == "publish":
            return publish.main(arguments)
    except settings.SettingsError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    parser.print_help()
    return 0


if __name__ == "__main__":
    sys.exit(main())
