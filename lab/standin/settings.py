# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment variables of the server, read once."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import gotext
from .versions import DEFAULT_VERSION, PROFILES, Profile


class SettingsError(Exception):
    """An environment that the server cannot start with."""


@dataclass(frozen=True)
class Settings:
    """What the environment asks for. The `STANDIN_` ones are the stand-in's own."""

    host: str
    port: int
    models: Path
    home: Path
    profile: Profile
    noprune: bool = False
    no_cloud: bool = False
    origins: tuple[str, ...] = ()
    keep_alive: int = 5 * 60 * gotext.SECOND
    load_timeout: float = 300.0
    max_queue: int = 512
    max_loaded: int = 3
    context_length: int = 4096
    #: factor on the waits that only cost time in tests: retries, stalls, the one second per blob of 0.24.0
    time_scale: float = 1.0
    #: seconds that loading a model takes, and one token
    load_seconds: float = 0.02
    token_seconds: float = 0.002
    #: the part of each model that ps claims to be in GPU memory; there is no GPU, as where the real server lost one
    gpu_share: float = 0.0
    #: file to which `METHOD PATH` of each request is added; empty: none
    request_log: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def blobs(self) -> Path:
        return self.models / "blobs"


def parse_host(text: str) -> tuple[str, int]:
    """Host and port of OLLAMA_HOST: scheme and path are dropped, defaults are 127.0.0.1 and 11434."""
    value = text.strip(" \"'")
    scheme, separator, rest = value.partition("://")
    rest = rest if separator else value
    default = {"http": 80, "https": 443}.get(scheme if separator else "", 11434)
    rest = rest.split("/", 1)[0]
    if rest.startswith("["):
        host, _, port_text = rest[1:].partition("]")
        port_text = port_text.lstrip(":")
    else:
        host, _, port_text = rest.partition(":") if rest.count(":") <= 1 else (rest, "", "")
    if port_text and not (port_text.isdigit() and int(port_text) < 65536):
        print(f"invalid port, using default port={port_text} default={default}", file=sys.stderr)
        port_text = ""
    return host or "127.0.0.1", int(port_text) if port_text else default


def _number(environ: Mapping[str, str], key: str, default: int) -> int:
    text = environ.get(key, "").strip(" \"'")
    return int(text) if text.isdigit() else default


def _duration(environ: Mapping[str, str], key: str, default: int) -> int:
    text = environ.get(key, "").strip(" \"'")
    if not text:
        return default
    try:
        value = gotext.parse_duration(text)
    except gotext.DurationError:
        try:
            value = int(text) * gotext.SECOND
        except ValueError:
            return default
    return gotext.MAX_DURATION if value < 0 else value


def read(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of the environment; raises SettingsError for a version that is not played."""
    env = dict(os.environ if environ is None else environ)
    version = env.get("STANDIN_VERSION", "") or DEFAULT_VERSION
    if version not in PROFILES:
        raise SettingsError(f"STANDIN_VERSION={version} is not one of {', '.join(sorted(PROFILES))}: set one of these")
    host, port = parse_host(env.get("OLLAMA_HOST", ""))
    home = Path(env.get("HOME") or "/")
    models = env.get("OLLAMA_MODELS", "").strip(" \"'")
    load_timeout = _duration(env, "OLLAMA_LOAD_TIMEOUT", 300 * gotext.SECOND) / gotext.SECOND
    return Settings(
        host=host,
        port=port,
        models=Path(models) if models else home / ".ollama" / "models",
        home=home,
        profile=PROFILES[version],
        noprune=gotext.is_true(env.get("OLLAMA_NOPRUNE")),
        no_cloud=gotext.is_true(env.get("OLLAMA_NO_CLOUD")),
        origins=tuple(origin for origin in env.get("OLLAMA_ORIGINS", "").strip(" \"'").split(",") if origin),
        keep_alive=_duration(env, "OLLAMA_KEEP_ALIVE", 5 * 60 * gotext.SECOND),
        load_timeout=load_timeout if load_timeout > 0 else float("inf"),
        max_queue=_number(env, "OLLAMA_MAX_QUEUE", 512),
        max_loaded=_number(env, "OLLAMA_MAX_LOADED_MODELS", 0) or 3,
        context_length=_number(env, "OLLAMA_CONTEXT_LENGTH", 0) or 4096,
        time_scale=float(env.get("STANDIN_TIME_SCALE", "1")),
        load_seconds=float(env.get("STANDIN_LOAD_SECONDS", "0.02")),
        token_seconds=float(env.get("STANDIN_TOKEN_SECONDS", "0.002")),
        gpu_share=float(env.get("STANDIN_GPU_SHARE", "0")),
        request_log=env.get("STANDIN_REQUEST_LOG", ""),
        environ=env,
    )
