# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the contract suite runs against: the stand-in, a real binary, or a server that runs already."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.standin.testing import ModelRegistry, OllamaServer, http
from lab.standin.versions import PROFILES

from .registered import SITUATIONS
from .test_contract import recorded_exchanges
from .world import TIME_SCALE, World


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("contract")
    group.addoption("--server-binary", help="PATH[:VERSION] of a real ollama binary, which the suite starts itself")
    group.addoption(
        "--server-url", help="URL of a running server with an empty store: only what needs nothing but HTTP"
    )


def _binary(config: pytest.Config) -> tuple[Path | None, str]:
    """The real binary, if one is given, and its version (default: the newest that is recorded)."""
    text = config.getoption("--server-binary")
    if not text:
        return None, ""
    path, _separator, version = text.partition(":")
    if not Path(path).is_file():
        raise pytest.UsageError(f"--server-binary {path} is no file: give the path of an ollama binary")
    version = version or max(PROFILES, key=lambda text: [int(part) for part in text.split(".")])
    if version not in PROFILES:
        raise pytest.UsageError(f"--server-binary says version {version}; recorded are {', '.join(PROFILES)}")
    return Path(path).resolve(), version


def _url_version(url: str) -> str:
    status, body = http("GET", f"{url}/api/version")
    version = json.loads(body)["version"] if status == 200 else f"status {status}"
    if version not in PROFILES:
        raise pytest.UsageError(f"the server at {url} is version {version}; recorded are {', '.join(PROFILES)}")
    return str(version)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "world" not in metafunc.fixturenames:
        return
    config = metafunc.config
    url = config.getoption("--server-url")
    only = _url_version(url) if url else _binary(config)[1]
    if "exchange" in metafunc.fixturenames:
        chosen = [
            (version, slug)
            for version, slug in recorded_exchanges()
            if (not only or version == only) and (not url or SITUATIONS[slug].needs_only_http)
        ]
        metafunc.parametrize("exchange", chosen, ids=[f"{version}-{slug}" for version, slug in chosen])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """With --server-url: which recordings were left out, since they need control over the server's store or end."""
    if config.getoption("--server-url"):
        left_out = sorted(slug for slug, situation in SITUATIONS.items() if not situation.needs_only_http)
        terminalreporter.write_line(f"left out, more than HTTP is needed ({len(left_out)}): {', '.join(left_out)}")


@pytest.fixture(scope="session")
def _pool() -> Iterator[dict[str, OllamaServer]]:
    """Stand-ins that several cases use one after the other."""
    servers: dict[str, OllamaServer] = {}
    yield servers
    for server in servers.values():
        server.stop()


@pytest.fixture
def world(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    model_registry: ModelRegistry,
    _pool: dict[str, OllamaServer],
) -> Iterator[World]:
    """The world of one exchange."""
    binary, version = _binary(request.config)
    url = request.config.getoption("--server-url")
    if url and not version:
        version = _url_version(url)
    if "exchange" in request.fixturenames:
        version = request.getfixturevalue("exchange")[0]
    made = World(tmp_path, version or max(PROFILES), model_registry, binary, url)
    if binary is None and url is None:
        made.pool = _pool
        if made.version not in _pool:
            home = tmp_path_factory.mktemp("pool")
            _pool[made.version] = OllamaServer(home, made.version, {"STANDIN_TIME_SCALE": str(TIME_SCALE)})
    yield made
    made.close()
