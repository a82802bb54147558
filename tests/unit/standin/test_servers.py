# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fixtures `standin` and `model_registry` give what they promise, and the stand-in what no recording shows."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.standin.testing import ROOT, ModelRegistry, OllamaServer, hang

StandIn = Callable[..., OllamaServer]


@pytest.mark.parametrize("version", ["0.24.0", "0.32.15"])
def test_a_pull_gives_the_published_digest(version: str, standin: StandIn, model_registry: ModelRegistry) -> None:
    server = standin(version, env={"STANDIN_TIME_SCALE": "0.05"})
    digest = model_registry.publish("library/tiny", weights="tiny-b", system="Be brief.")
    lines = server.lines("/api/pull", {"model": model_registry.model("tiny"), "insecure": True})
    assert lines[-1] == {"status": "success"}
    (model,) = server.json("GET", "/api/tags")["models"]
    assert "sha256:" + model["digest"] == digest
    counts = model_registry.counts
    assert counts["requests"] == {"manifest": 1, "blob_head": 3, "blob_get": 3, "blob_range": 3, "other": 0}
    assert counts["bytes"] == model["size"]


def test_a_fault_shows_as_the_servers_error(standin: StandIn, model_registry: ModelRegistry) -> None:
    model_registry.publish("library/tiny")
    model_registry.fail("status", "/manifests/", status=503, body="later", times=1)
    server = standin()
    wanted = {"model": model_registry.model("tiny"), "insecure": True}
    assert server.lines("/api/pull", wanted)[-1] == {"error": "pull model manifest: 503: later"}
    assert server.lines("/api/pull", wanted)[-1] == {"status": "success"}


def test_what_the_disk_refuses_is_the_servers_error(
    standin: StandIn, model_registry: ModelRegistry, tmp_path: Path
) -> None:
    """A directory in the place of a file stands for a disk that takes no further one: root can write anywhere else."""
    model_registry.publish("library/tiny")
    server = standin()
    wanted = {"model": model_registry.model("tiny"), "insecure": True}
    assert server.lines("/api/pull", wanted)[-1] == {"status": "success"}
    folder = next(server.store.manifests.glob("*/*/tiny"))
    (folder / "other").mkdir()
    copied = {"source": wanted["model"], "destination": model_registry.model("tiny:other")}
    status, answer = server.request("POST", "/api/copy", copied)
    assert (status, json.loads(answer)) == (500, {"error": f"open {folder}/other: is a directory"})
    blob = next(server.store.blobs.iterdir())
    blob.rename(tmp_path / "taken")
    for partial, operation in (("partial-0", "read"), ("partial", "open")):
        refused = blob.with_name(f"{blob.name}-{partial}")
        refused.mkdir()
        assert server.lines("/api/pull", wanted)[-1] == {"error": f"{operation} {refused}: is a directory"}
        refused.rmdir()


def test_blobs_from_another_host(standin: StandIn, model_registry: ModelRegistry) -> None:
    """A registry that sends its clients elsewhere for blobs: 307 to another host name."""
    model_registry.publish("library/tiny")
    elsewhere = model_registry.url.replace("127.0.0.1", "localhost")
    model_registry.fail("redirect", request="blob_get", location=elsewhere)
    lines = standin().lines("/api/pull", {"model": model_registry.model("tiny"), "insecure": True})
    assert lines[-1] == {"status": "success"}


def test_every_answer_says_that_it_is_a_stand_in(standin: StandIn) -> None:
    with urllib.request.urlopen(standin("0.24.0").url) as response:
        assert response.headers["Server"] == "alchemorsel-standin/0.24.0"


def test_a_model_is_unloaded_when_its_time_is_over(standin: StandIn, model_registry: ModelRegistry) -> None:
    model_registry.publish("library/tiny")
    server = standin()
    name = model_registry.model("tiny")
    server.lines("/api/pull", {"model": name, "insecure": True})
    server.json("POST", "/api/generate", {"model": name, "keep_alive": -1})
    assert [model["name"] for model in server.json("GET", "/api/ps")["models"]] == [name]
    assert len(server.runners) == 1
    server.json("POST", "/api/generate", {"model": name, "keep_alive": 0.3})
    deadline = time.monotonic() + 20
    while server.json("GET", "/api/ps")["models"] and time.monotonic() < deadline:
        time.sleep(0.1)
    assert server.json("GET", "/api/ps")["models"] == []


def test_the_end_by_a_signal_is_quiet(standin: StandIn) -> None:
    assert standin().signal(signal.SIGTERM) == 0


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    openssl = shutil.which("openssl")
    assert openssl, "the test needs the command openssl"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(cert)]
    command += ["-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


def test_a_private_ca_is_trusted_by_directory_only(
    standin: StandIn, tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    cert, key = certificate
    registry = ModelRegistry(tmp_path / "registry", cert, key)
    try:
        registry.publish("library/tiny")
        wanted = {"model": registry.model("tiny")}
        trusted = tmp_path / "trusted"
        trusted.mkdir()
        shutil.copy(cert, trusted / "any-name.crt")
        with_directory = standin(env={"SSL_CERT_DIR": f"/etc/ssl/certs:{trusted}"})
        assert with_directory.lines("/api/pull", wanted)[-1] == {"status": "success"}
        error = standin().lines("/api/pull", wanted)[-1]["error"]
        assert error.endswith("tls: failed to verify certificate: x509: certificate signed by unknown authority")
    finally:
        registry.stop()


@pytest.mark.parametrize(("version", "seconds"), [("0.24.0", 0.0), ("0.32.15", 1.0)])
def test_ps_waits_for_a_runner_that_hangs(
    version: str, seconds: float, standin: StandIn, model_registry: ModelRegistry
) -> None:
    """As 0.32 does for 20 s; 0.24.0 answers at once."""
    model_registry.publish("library/tiny")
    server = standin(version, env={"STANDIN_TIME_SCALE": "0.05", "STANDIN_GPU_SHARE": "0.5"})
    name = model_registry.model("tiny")
    server.lines("/api/pull", {"model": name, "insecure": True})
    server.json("POST", "/api/generate", {"model": name})
    hang(server.runners[0])
    started = time.monotonic()
    (entry,) = server.json("GET", "/api/ps")["models"]
    # At least: how much longer it takes is the machine's affair.
    assert time.monotonic() - started >= seconds
    assert entry["size_vram"] == entry["size"] // 2
    os.kill(server.runners[0], signal.SIGCONT)


def test_the_log_tells_what_it_computes_with(standin: StandIn) -> None:
    for share, library in (("0", "cpu"), ("1", "CUDA")):
        lines = standin(env={"STANDIN_GPU_SHARE": share}).log.read_text(encoding="utf-8").splitlines()
        assert 'msg="Listening on 127.0.0.1:' in lines[0]
        assert lines[1].endswith(f" library={library}")


def _command(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lab.standin", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, timeout=60, check=False
    )


def test_list_names_the_models(standin: StandIn, model_registry: ModelRegistry) -> None:
    model_registry.publish("library/tiny")
    server = standin()
    server.lines("/api/pull", {"model": model_registry.model("tiny"), "insecure": True})
    done = _command("list", OLLAMA_HOST=server.url)
    assert done.returncode == 0
    assert model_registry.model("tiny") in done.stdout


def test_list_fails_without_a_server() -> None:
    done = _command("list", OLLAMA_HOST="127.0.0.1:1")
    assert done.returncode == 1
    assert done.stderr == "Error: could not connect to ollama app, is it running?\n"


def test_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    home = tmp_path / "file"
    home.write_text("", encoding="utf-8")
    done = _command("serve", HOME=str(home), OLLAMA_HOST="127.0.0.1:0")
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: could not create directory mkdir {home}/.ollama: ")


def test_publish_refuses_what_is_no_gguf(tmp_path: Path) -> None:
    file = tmp_path / "x.gguf"
    file.write_bytes(b"nothing")
    done = _command("publish", "--store", str(tmp_path / "store"), "--name", "library/x", "--gguf", str(file))
    assert done.returncode == 1
    assert done.stderr == f"Error: {file} is not a GGUF file that can be read: invalid file magic\n"
