# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in's parts that need no server: Go's texts, names, GGUF headers, the gate, download parts."""

from __future__ import annotations

import hashlib

import pytest

from lab.standin import download, gate, gguf, gotext, names, settings
from lab.standin.gotext import DurationError, Float32
from lab.standin.testing import MODELS


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (0.7, "0.7"), (1e-05, "1e-05"), (1048576.0, "1.048576e+06"), (131072.0, "131072"), (2.1e7, "2.1e+07")],
)
def test_floats_as_show_writes_them(value: float, text: str) -> None:
    assert gotext.float_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1048576.0, b"1048576"),
        (1e-05, b"0.00001"),
        (1e-07, b"1e-7"),
        (1e22, b"1e+22"),
        (Float32(0.1), b"0.1"),
        (-0.5, b"-0.5"),
    ],
)
def test_floats_as_json(value: float, text: bytes) -> None:
    assert gotext.dump_json(value) == text


def test_json_escapes_what_go_escapes() -> None:
    assert gotext.dump_json({"a": "</s>&\x01é"}) == '{"a":"\\u003c/s\\u003e\\u0026\\u0001é"}'.encode()


@pytest.mark.parametrize(("text", "seconds"), [("5m", 300), ("-1.5h", -5400), ("0", 0), ("1m30s", 90), (".5s", 0.5)])
def test_durations(text: str, seconds: float) -> None:
    assert gotext.parse_duration(text) == seconds * gotext.SECOND


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-1", 'time: missing unit in duration "-1"'),
        ("", 'time: invalid duration ""'),
        ("1d", 'time: unknown unit "d" in duration "1d"'),
        ("x", 'time: invalid duration "x"'),
    ],
)
def test_texts_that_are_no_durations(text: str, message: str) -> None:
    with pytest.raises(DurationError) as caught:
        gotext.parse_duration(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("llama3", "llama3:latest"),
        ("ns/m:1b", "ns/m:1b"),
        ("registry.ollama.ai/library/m", "m:latest"),
        ("127.0.0.1:5000/library/m:t", "127.0.0.1:5000/library/m:t"),
        ("http://h:1/ns/m", "h:1/ns/m:latest"),
    ],
)
def test_names(text: str, short: str) -> None:
    name = names.parse(text)
    assert name is not None
    assert name.short == short


@pytest.mark.parametrize("text", ["", "a b", "m:", "a/b/c/d", "n.s/m", "[::1]/ns/m", "m@sha256:0", "-m"])
def test_texts_that_are_no_names(text: str) -> None:
    assert names.parse(text) is None


@pytest.mark.parametrize(
    ("text", "source", "short"),
    [
        ("x:cloud", "cloud", "x:cloud"),
        ("x:8b:cloud", "cloud", "x:8b-cloud"),
        ("x:local", "local", "x:latest"),
        ("x", "", "x:latest"),
    ],
)
def test_names_that_say_where_a_model_runs(text: str, source: str, short: str) -> None:
    request = names.parse_request(text)
    assert request.name is not None
    assert (request.source, request.name.short) == (source, short)


def test_rewriting_gives_the_bytes_of_llama_quantize() -> None:
    """The digest of the recorded import (create-files of 0.32.15)."""
    data = gguf.rewrite(MODELS / "tiny-a.gguf")
    assert hashlib.sha256(data).hexdigest() == "67c89b536fcb40ca0f3fa9ba2537800ab7ca4c091e2eb1928415ffd5d4397a57"


@pytest.mark.parametrize(
    ("count", "text"),
    [(119872, "120K"), (1_240_000_000, "1.2B"), (7_000_000_000, "7B"), (1_500_000, "1.50M"), (12, "12")],
)
def test_parameter_counts(count: int, text: str) -> None:
    assert gguf.human_number(count) == text


@pytest.mark.parametrize("total", [1, 99_999_999, 100_000_001, 1_600_000_001, 40_000_000_000])
def test_parts_cover_a_blob_without_gaps(total: int) -> None:
    parts = download.plan_parts(total)
    assert sum(part.Size for part in parts) == total
    assert [part.Offset for part in parts] == [sum(p.Size for p in parts[:n]) for n in range(len(parts))]
    assert all(part.Size <= download.PART_MAX for part in parts)


@pytest.mark.parametrize(
    ("header", "bind", "allowed"),
    [
        ("evil.example", "127.0.0.1", False),
        ("evil.example", "0.0.0.0", True),
        ("localhost:11434", "127.0.0.1", True),
        ("host.internal", "127.0.0.1", True),
        ("10.0.0.5:80", "127.0.0.1", True),
        ("8.8.8.8", "127.0.0.1", False),
        ("[::1]:80", "127.0.0.1", True),
    ],
)
def test_hosts(header: str, bind: str, allowed: bool) -> None:
    assert gate.host_allowed(header, bind) is allowed


@pytest.mark.parametrize(
    ("origin", "extra", "allowed"),
    [
        ("", (), True),
        ("http://localhost:3000", (), True),
        ("https://evil.example", (), False),
        ("null", (), False),
        ("https://ok.example", ("https://ok.example",), True),
        ("https://any.example", ("*",), True),
    ],
)
def test_origins(origin: str, extra: tuple[str, ...], allowed: bool) -> None:
    assert gate.origin_allowed(origin, "127.0.0.1:1", extra) is allowed


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("", "127.0.0.1", 11434),
        ("0.0.0.0", "0.0.0.0", 11434),
        ("http://h", "h", 80),
        ("[::]:5", "::", 5),
        ("h:x", "h", 11434),
        ("https://h/path", "h", 443),
    ],
)
def test_ollama_host(text: str, host: str, port: int) -> None:
    assert settings.parse_host(text) == (host, port)


def test_keep_alive_of_the_environment() -> None:
    assert settings.read({"OLLAMA_KEEP_ALIVE": "-1"}).keep_alive == gotext.MAX_DURATION
    assert settings.read({"OLLAMA_KEEP_ALIVE": "90"}).keep_alive == 90 * gotext.SECOND


def test_a_version_that_is_not_played() -> None:
    with pytest.raises(settings.SettingsError, match=r"STANDIN_VERSION=1\.0 is not one of 0\.24\.0, 0\.32\.15"):
        settings.read({"STANDIN_VERSION": "1.0"})
