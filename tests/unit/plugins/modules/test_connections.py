# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever answers, or does not: one clear sentence of the right kind, and never a traceback."""

from __future__ import annotations

import builtins
import socket

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _transport
from ansible_collections.alchemorsel.ollama.plugins.module_utils._client import OllamaClient
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import parse_name
from ansible_collections.alchemorsel.ollama.plugins.module_utils._registry import Registry
from scripted_server import Reply

HTML = "<html><body>It works!</body></html>"

FAULTS = {
    "403 without a body": (Reply(403), errors.AccessRefused, "use 127.0.0.1 or localhost in url"),
    "403 of a gateway": (Reply(403, HTML), errors.AccessRefused, "check api_key"),
    "401": (Reply(401, {"error": "unauthorized"}), errors.AccessRefused, "unauthorized; check api_key"),
    "another server": (Reply(404, HTML), errors.NotOllama, "It works!"),
    "another server, 200": (Reply(200, HTML), errors.NotOllama, "It works!"),
    "JSON of another server": (Reply(200, {"status": "ok"}), errors.NotOllama, "is not an Ollama server"),
    "a list": (Reply(200, []), errors.NotOllama, "is not an Ollama server"),
    "an empty answer": (Reply(200), errors.NotOllama, "is not an Ollama server"),
    "a redirect": (
        Reply(301, headers={"Location": "https://x/"}),
        errors.NotOllama,
        "redirects /api/tags to https://x/",
    ),
    "busy": (Reply(503, {"error": "server busy"}), errors.ServerBusy, "server busy; try again later"),
    "gateway without server": (Reply(502, HTML), errors.ServerUnreachable, "server behind it does not"),
    "its own error": (Reply(500, {"error": "disk"}), errors.BadAnswer, "answered 500: disk"),
    "an error as OpenAI writes it": (Reply(500, {"error": {"message": "m"}}), errors.BadAnswer, "answered 500: m"),
    "hangs": (Reply(hang=True), errors.ServerTimeout, "did not answer GET /api/tags within 0.5 s"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults(scripted_server, fault):
    reply, kind, words = FAULTS[fault]
    server = scripted_server({"/api/tags": reply})
    with pytest.raises(errors.OllamaError) as caught:
        OllamaClient(server.url, timeout=0.5 if reply.hang else 30).tags()
    assert caught.type is kind
    assert words in caught.value.message
    assert caught.value.url == server.url + "/api/tags"
    if not reply.hang:
        assert caught.value.http_status == reply.status


def test_nobody_there():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(errors.ServerUnreachable, match="Connection refused; check that the Ollama server runs"):
        OllamaClient(f"http://127.0.0.1:{port}").tags()


def test_tls_to_plain_http(scripted_server):
    url = scripted_server({}).url.replace("http:", "https:")
    with pytest.raises(errors.TLSFailure, match="check scheme and port"):
        OllamaClient(url).tags()


def test_a_missing_model(scripted_server):
    server = scripted_server({"/api/show": Reply(404, {"error": "model 'x' not found"})})
    with pytest.raises(errors.ModelNotFound) as caught:
        OllamaClient(server.url).show("x")
    assert caught.value.error == "model 'x' not found"


def test_requests_is_missing(monkeypatch):
    real = builtins.__import__

    def without_requests(name, *args, **kwargs):
        if name == "requests":
            raise ImportError("No module named 'requests'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_requests)
    with pytest.raises(errors.LibraryMissing, match="the Python library requests is missing"):
        OllamaClient("http://127.0.0.1:1")


def test_the_module_says_that_requests_is_missing(run, monkeypatch):
    def missing():
        raise errors.LibraryMissing("requests", "trace")

    monkeypatch.setattr(
        "ansible_collections.alchemorsel.ollama.plugins.module_utils._transport.import_requests", missing
    )
    result = run(name="a")
    assert "Failed to import the required Python library (requests)" in result["msg"]
    assert (result["error_kind"], result["changed"]) == ("LibraryMissing", False)


def test_digests_are_complete_and_the_server_is_named(scripted_server):
    models = {"models": [{"name": "a", "digest": "0" * 64}, {"name": "b", "digest": ""}]}
    server = scripted_server({"/api/tags": Reply(body=models, headers={"X": "y"})})
    client = OllamaClient(server.url + "/")
    assert [item["digest"] for item in client.tags()] == ["sha256:" + "0" * 64, ""]
    assert "Python" in str(client.server_header)


@pytest.mark.parametrize("proxied", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_loopback_never_through_a_proxy(scripted_server, monkeypatch, proxied):
    monkeypatch.setenv(proxied, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    manifest = {"config": {}, "layers": []}
    server = scripted_server({"/api/tags": {"models": []}, "/v2/library/a/manifests/latest": manifest})
    assert OllamaClient(server.url).tags() == []
    host = server.url.partition("://")[2]
    assert Registry([host]).manifest(parse_name(f"{host}/library/a")).size == 0


@pytest.mark.parametrize(("key", "sent"), [("k1", "Bearer k1"), (None, None)])
def test_the_key_is_sent_and_netrc_is_not(scripted_server, monkeypatch, tmp_path, key, sent):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    # As for a server elsewhere, where the environment counts.
    monkeypatch.setattr(_transport, "is_loopback", lambda host: False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    seen = []
    server = scripted_server({"/api/tags": {"models": []}})
    client = OllamaClient(server.url, api_key=key)
    client._session.hooks["response"] = [lambda response, **_options: seen.append(response.request.headers)]
    client.tags()
    assert seen[0].get("Authorization") == sent


# --- streams ------------------------------------------------------------------------------------------------------


def pull(url, **options):
    return list(OllamaClient(url, timeout=5).pull("m", **options))


def test_a_pull_to_success(scripted_server):
    lines = [{"status": "pulling manifest"}, {"status": "success"}]
    server = scripted_server({"/api/pull": Reply(lines=lines)})
    assert pull(server.url) == lines
    assert server.sent("/api/pull") == [{"model": "m", "stream": True}]
    pull(server.url, insecure=True)
    assert server.sent("/api/pull")[1]["insecure"] is True


STREAMS = {
    "no success": (Reply(lines=[{"status": "x"}]), errors.StreamBroken, "ended before its last line"),
    "error line": (Reply(lines=[{"status": "x"}, {"error": "no space"}]), errors.BadAnswer, "reported: no space"),
    "error status": (Reply(400, {"error": "invalid model name"}), errors.BadAnswer, "invalid model name"),
    "no JSON": (Reply(200, HTML + "\n"), errors.BadAnswer, "not JSON"),
    "no object": (Reply(lines=["x"]), errors.BadAnswer, "not a JSON object"),
    "a line without end": (Reply(200, "x" * 5_000_000), errors.BadAnswer, "more than 4 MiB"),
    "hangs at once": (Reply(hang=True), errors.ServerTimeout, "did not answer"),
}


@pytest.mark.parametrize("case", STREAMS)
def test_streams_that_end_badly(scripted_server, case):
    reply, kind, words = STREAMS[case]
    server = scripted_server({"/api/pull": reply})
    with pytest.raises(errors.OllamaError) as caught:
        pull(server.url, timeout=0.4 if reply.hang else 30)
    assert caught.type is kind
    assert words in caught.value.message


def test_a_stream_that_goes_silent(scripted_server):
    server = scripted_server({"/api/pull": Reply(lines=[{"status": "x"}], hang=True)})
    stream = OllamaClient(server.url).pull("m", timeout=60)
    assert next(stream) == {"status": "x"}
    stream.limit(0.1)
    with pytest.raises(errors.DeadlinePassed, match="did not finish in time"):
        next(stream)


def test_a_limit_can_be_lengthened_while_reading(scripted_server):
    server = scripted_server({"/api/pull": Reply(lines=[{"status": "x"}, {"status": "success"}])})
    stream = OllamaClient(server.url).pull("m", timeout=60)
    for _line in stream:
        stream.limit(None)
    stream.close()
    stream.close()


# --- sources ------------------------------------------------------------------------------------------------------

SOURCES = {
    "gone": (Reply(404), errors.SourceNotFound, "does not have it"),
    "login": (Reply(401), errors.SourceRefused, "refuses to show it (401)"),
    "TLS": (
        Reply(400, "The plain HTTP request was sent to HTTPS port"),
        errors.SourceTLSFailure,
        "out of insecure_registries",
    ),
    "newer": (Reply(412), errors.NewerServerWanted, "newer versions of Ollama"),
    "rate": (Reply(429), errors.SourceBusy, "limits the rate"),
    "trouble": (Reply(500, "oops"), errors.SourceFailed, "answered 500 'oops'"),
    "page": (Reply(200, HTML), errors.SourceUnusable, "no manifest"),
    "JSON": (Reply(200, {}), errors.SourceUnusable, "no manifest"),
    "hangs": (Reply(hang=True), errors.SourceUnreachable, "cannot be reached from here"),
    "endless": (Reply(200, "x" * 5_000_000), errors.SourceUnreachable, "sends without end"),
}


@pytest.mark.parametrize("case", SOURCES)
def test_sources_that_cannot_be_read(scripted_server, case):
    reply, kind, words = SOURCES[case]
    server = scripted_server({"/v2/library/a/manifests/latest": reply})
    host = server.url.partition("://")[2]
    name = parse_name(f"{host}/library/a")
    answer = Registry([host.upper()], timeout=0.5 if reply.hang else 30).manifests([name])[name.key]
    assert answer.__class__ is kind
    assert words in answer.message


def test_https_unless_told_otherwise(scripted_server):
    host = scripted_server({}).url.partition("://")[2]
    name = parse_name(f"{host}/library/a")
    answer = Registry().manifests([name])[name.key]
    assert answer.__class__ is errors.SourceTLSFailure
    assert "insecure_registries" in answer.message
