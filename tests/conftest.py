# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that tests of every kind may use."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from lab.standin.testing import ModelRegistry, OllamaServer
from lab.standin.versions import DEFAULT_VERSION

# How long an example takes says something about what else the machine does.
settings.register_profile(
    "untimed",
    deadline=None,
    max_examples=int(os.environ.get("EXAMPLES") or 100),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("untimed")

StandInFactory = Callable[..., OllamaServer]


@pytest.fixture
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandInFactory]:
    """A factory of stand-in servers: `standin(version="0.32.15", env={...}, store=path)`; all end with the test.

    A server has `.url`, `.store`, `.stop()`, `.json(method, path, body)`, `.lines(path, body)`.
    """
    directory = tmp_path_factory.mktemp("standin")
    numbers = itertools.count()
    servers: list[OllamaServer] = []

    def start(
        version: str = DEFAULT_VERSION, env: Mapping[str, str] | None = None, store: Path | None = None
    ) -> OllamaServer:
        server = OllamaServer(directory / str(next(numbers)), version, env, store)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def _registry_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelRegistry]:
    registry = ModelRegistry(tmp_path_factory.mktemp("registry"))
    yield registry
    registry.stop()


@pytest.fixture
def model_registry(_registry_process: ModelRegistry) -> Iterator[ModelRegistry]:
    """A model registry without faults, its counters at zero; what tests published before may still be there.

    `.host` stands in model names, `.publish(name, tag, weights="tiny-a", system=...)` adds a model,
    `.fail(kind, path, ...)` a fault, `.counts` says what was served.
    """
    _registry_process.reset()
    yield _registry_process
    _registry_process.reset()
