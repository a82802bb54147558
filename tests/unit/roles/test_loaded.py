# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The service that has models in memory again after a start of the container: a stand-in, and an engine that tells of starts."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from lab.standin.testing import OllamaServer, free_port

#: Servers and threads of their own: not for every save
pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).parents[3] / "roles/ollama/files/loaded.py"


@pytest.fixture
def loaded(monkeypatch):
    """The program as a module, with short pauses."""
    spec = importlib.util.spec_from_file_location("loaded", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "PAUSE", 0.01)
    monkeypatch.setattr(module, "AGAIN", 0.01)
    return module


@pytest.fixture
def server(tmp_path):
    one = OllamaServer(tmp_path / "server", "0.32.15", {"STANDIN_TIME_SCALE": "0.01"})
    yield one
    one.stop()


def put(server: OllamaServer, name: str, weights: str) -> None:
    from lab.standin import names, publish
    from lab.standin.testing import MODELS

    publish.publish_gguf(server.store, names.parse(name), MODELS / f"{weights}.gguf")


def in_memory(server: OllamaServer) -> list[str]:
    """Names of the models that stay for good."""
    return sorted(entry["name"] for entry in server.json("GET", "/api/ps")["models"] if entry["expires_at"] > "2100")


def config(server: OllamaServer, *models: str, **more) -> dict:
    return {"container": "ollama", "url": server.url, "models": list(models), "start_timeout": 10, **more}


def test_declared_models_are_loaded_for_good_also_one_that_embeds(loaded, server):
    put(server, "a:latest", "tiny-a")
    put(server, "bert:latest", "tiny-bert")
    assert loaded.load_all(config(server, "A:latest", "bert:latest")) == []
    assert in_memory(server) == ["a:latest", "bert:latest"]


def test_one_that_is_there_for_good_is_not_asked_for_again(loaded, server, monkeypatch):
    put(server, "a:latest", "tiny-a")
    # A client has it with another context; a load without one would start it anew
    server.json("POST", "/api/generate", {"model": "a:latest", "keep_alive": -1, "options": {"num_ctx": 128}})
    assert loaded.load_all(config(server, "a:latest")) == []
    assert server.json("GET", "/api/ps")["models"][0]["context_length"] == 128


def test_one_that_would_leave_is_kept(loaded, server):
    put(server, "a:latest", "tiny-a")
    server.json("POST", "/api/generate", {"model": "a:latest", "keep_alive": "5m"})
    assert in_memory(server) == []
    assert loaded.load_all(config(server, "a:latest")) == []
    assert in_memory(server) == ["a:latest"]


def test_a_model_that_is_missing_is_told_and_the_others_are_loaded(loaded, server):
    put(server, "a:latest", "tiny-a")
    assert loaded.load_all(config(server, "b:latest", "a:latest")) == ["b:latest is not on the server"]
    assert in_memory(server) == ["a:latest"]


def test_attempts_are_bounded(loaded, server, capsys):
    put(server, "a:latest", "tiny-a")
    asked = []

    def fail(self, model, seconds):
        asked.append((model, seconds))
        raise OSError("no memory")

    loaded.Server.load = fail
    assert loaded.load_all(config(server, "a:latest")) == ["a:latest cannot be loaded: no memory"]
    assert asked == [("a:latest", loaded.LEAST_LOAD)] * loaded.ATTEMPTS


def test_a_server_that_does_not_come_is_given_up(loaded):
    with pytest.raises(OSError):
        loaded.load_all(
            {"container": "x", "url": f"http://127.0.0.1:{free_port()}", "models": ["a"], "start_timeout": 0.1}
        )


def test_no_declared_model_asks_nobody(loaded):
    assert loaded.load_all({"container": "x", "url": "http://127.0.0.1:1", "models": [], "start_timeout": 10}) == []


class Engine:
    """What an engine tells of one container over its socket."""

    def __init__(self, path: Path):
        engine = self
        self.running, self.lines = True, threading.Condition()
        self.events: list[dict] = []
        self.connections = 0
        self.ended = False

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def address_string(self):
                return "socket"

            def log_message(self, *_):
                pass

            def do_GET(self):
                if self.path.startswith("/events"):
                    engine.tell(self)
                    return
                body = json.dumps({"State": {"Running": engine.running}}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True
            block_on_close = False

        self.server = Server(str(path), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def tell(self, handler) -> None:
        # Before the answer begins: whoever has it may start a container at once
        sent = len(self.events)
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.flush()
        # Before it counts: one that is counted before the end ends
        ended = self.ended
        self.connections += 1
        while True:
            with self.lines:
                self.lines.wait(0.05)
            while sent < len(self.events):
                line = json.dumps(self.events[sent]).encode() + b"\n"
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                handler.wfile.flush()
                sent += 1
            if ended:
                break
            # What came before the end is told, too
            ended = self.ended
        handler.wfile.write(b"0\r\n\r\n")
        handler.close_connection = True

    def start(self, name: str) -> None:
        with self.lines:
            self.events.append(
                {"Type": "container", "Action": "start", "Actor": {"ID": "1", "Attributes": {"name": name}}}
            )
            self.lines.notify_all()

    def stop(self) -> None:
        self.ended = True
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def engine(loaded, monkeypatch, tmp_path):
    monkeypatch.setattr(loaded, "ENGINE", str(tmp_path / "docker.sock"))
    one = Engine(tmp_path / "docker.sock")
    yield one
    one.stop()


def test_starts_are_told_at_once_and_as_they_come(loaded, engine):
    starts = loaded.starts("ollama")
    next(starts)
    for name in ("ollama-canary", "ollama"):
        engine.start(name)
    next(starts)
    engine.start("other")
    engine.ended = True
    assert list(starts) == []


def test_a_container_that_does_not_run_is_waited_for(loaded, engine):
    engine.running = False
    seen = []
    thread = threading.Thread(target=lambda: seen.extend(loaded.starts("ollama")))
    thread.start()
    wait_until(lambda: engine.connections == 1)
    engine.start("ollama")
    engine.ended = True
    thread.join(30)
    assert seen == [None]


def test_the_program_survives_the_engine_and_reads_its_list_anew(loaded, engine, server, monkeypatch, tmp_path, capsys):
    put(server, "a:latest", "tiny-a")
    put(server, "b:latest", "tiny-b")
    path = tmp_path / "loaded.json"
    path.write_text(json.dumps(config(server, "a:latest")))
    monkeypatch.setattr(loaded.sys, "argv", ["loaded.py", str(path)])
    stopping = threading.Event()

    class Clock:
        """The program works until it is stopped: here, in its next pause."""

        monotonic = staticmethod(time.monotonic)

        @staticmethod
        def sleep(seconds):
            if stopping.is_set():
                raise SystemExit
            time.sleep(seconds)

    monkeypatch.setattr(loaded, "time", Clock)

    def work():
        with contextlib.suppress(SystemExit):
            loaded.main()

    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: in_memory(server) == ["a:latest"])
    # The engine goes and comes back: the stream ends, and is asked for again
    engine.ended = True
    wait_until(lambda: engine.connections > 1)
    # Whoever is connected from now on has read the new list
    path.write_text(json.dumps(config(server, "b:latest")))
    engine.ended = False
    count = engine.connections
    wait_until(lambda: engine.connections > count or "b:latest" in in_memory(server))
    engine.start("ollama")
    wait_until(lambda: in_memory(server) == ["a:latest", "b:latest"])
    stopping.set()
    engine.ended = True
    thread.join(30)
    assert not thread.is_alive()


def wait_until(true, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)
