# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ollama_model against the stand-in and its registry's faults: each has its exception, and what is kept is whole."""

from __future__ import annotations

import hashlib
import shutil
import subprocess

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _apply
from ansible_collections.alchemorsel.ollama.plugins.module_utils._pull import Clock
from ansible_collections.alchemorsel.ollama.plugins.modules import ollama_model

from lab.standin.testing import ModelRegistry, OllamaServer, free_port

#: Servers and processes of their own: not for every save
pytestmark = pytest.mark.slow

#: bytes in which a reader that does not look at the first four finds lengths that it cannot have
NO_GGUF = b"".join(hashlib.sha256(bytes([number])).digest() for number in range(128))
QUICK = {"STANDIN_TIME_SCALE": "0.02"}


@pytest.fixture
def pull(run_module, model_registry, monkeypatch):
    """`pull(server, name, ...)` runs the module for one model, without its pauses between attempts."""
    monkeypatch.setattr(_apply, "Clock", lambda: Clock(sleep=lambda seconds: None))

    def run(server, name, **options):
        given = {"url": server.url, "insecure_registries": [model_registry.host], "retries": 0, **options}
        entry = {"name": name, **{key: given.pop(key) for key in ("state", "digest") if key in given}}
        return run_module(ollama_model, {**given, "models": [entry]})

    return run


def listed(server):
    """Return what the server lists, name -> digest."""
    return {model["name"]: f"sha256:{model['digest']}" for model in server.json("GET", "/api/tags")["models"]}


def wrong_blobs(server):
    """Return the names of blobs whose content is another one."""
    files = server.store.blobs.iterdir()
    return [path.name for path in files if path.name != f"sha256-{hashlib.sha256(path.read_bytes()).hexdigest()}"]


# --- each fault has its exception ---------------------------------------------------------------------------------

FAULTS = {
    "login": ({"kind": "status", "request": "manifest", "status": 401}, "SourceRefused"),
    "refused": ({"kind": "status", "request": "manifest", "status": 403}, "SourceRefused"),
    "gone": ({"kind": "status", "request": "manifest", "status": 404}, "SourceNotFound"),
    "newer server": ({"kind": "status", "request": "manifest", "status": 412}, "NewerServerWanted"),
    "rate": ({"kind": "status", "request": "manifest", "status": 429}, "SourceBusy"),
    "trouble": ({"kind": "status", "request": "manifest", "status": 500}, "SourceFailed"),
    "overload": ({"kind": "status", "request": "manifest", "status": 503}, "SourceFailed"),
    "cut": ({"kind": "drop", "request": "manifest", "after": -1}, "PullFailed"),
    "blob gone": ({"kind": "status", "request": "blob_head", "status": 404}, "SourceUnusable"),
    "blob trouble": ({"kind": "status", "request": "blob_head", "status": 500}, "SourceFailed"),
    "blob rate": ({"kind": "status", "request": "blob_head", "status": 429}, "SourceBusy"),
    "blob login": ({"kind": "status", "request": "blob_head", "status": 401}, "SourceRefused"),
    "blob refused": ({"kind": "status", "request": "blob_head", "status": 403}, "SourceRefused"),
    "no location": ({"kind": "no-location", "request": "blob_get"}, "SourceUnusable"),
    "redirect": (
        {"kind": "redirect", "request": "blob_get", "status": 302, "location": "http://[::1]"},
        "SourceUnusable",
    ),
    "wrong bytes": ({"kind": "corrupt", "request": "blob_range"}, "DigestMismatch"),
}


@pytest.fixture(scope="module")
def old_server(tmp_path_factory):
    """A server that many tests share: most of their pulls fail."""
    server = OllamaServer(tmp_path_factory.mktemp("empty"), "0.24.0", QUICK)
    yield server
    server.stop()


@pytest.fixture
def empty_server(old_server):
    """The same without a blob, however wrong it was."""
    for path in old_server.store.blobs.iterdir():
        path.unlink()
    return old_server


@pytest.mark.parametrize("fault", FAULTS)
def test_what_the_servers_pull_meets(pull, empty_server, model_registry, fault):
    model_registry.publish("library/tiny")
    description, kind = FAULTS[fault]
    model_registry.fail(**description)
    result = pull(empty_server, model_registry.model("tiny"))
    assert (result["error_kind"], result["changed"], listed(empty_server)) == (kind, False, {})
    assert model_registry.model("tiny") in result["msg"]
    assert result["error"]


#: what the module's own request for the manifest says of a pinned model: in the warning, since the pull decides then
OWN = {
    "login": "refuses to show it (401)",
    "refused": "refuses to show it (403)",
    "newer server": "newer versions of Ollama only (412)",
    "rate": "limits the rate (429)",
    "trouble": "answered 500",
    "overload": "answered 503",
    "cut": "cannot be reached from here",
}


@pytest.mark.parametrize("fault", OWN)
def test_what_the_modules_own_request_meets(pull, empty_server, model_registry, fault):
    digest = model_registry.publish("library/tiny")
    model_registry.fail(**FAULTS[fault][0], times=1)
    name = model_registry.model("tiny")
    result = pull(empty_server, name, digest=digest)
    assert listed(empty_server) == {name: digest}
    assert OWN[fault] in str(result["warnings"])
    pull(empty_server, name, state="absent")


def test_a_source_that_wants_an_hour_fails_its_model_at_once(pull, empty_server, model_registry):
    digest = model_registry.publish("library/tiny")
    model_registry.fail("status", request="manifest", status=429, headers={"Retry-After": "3600"})
    result = pull(empty_server, model_registry.model("tiny"), digest=digest, retries=5)
    assert (result["error_kind"], model_registry.counts["requests"]["manifest"]) == ("SourceBusy", 1)
    assert "it asks to wait 3600 s, and a run waits for sources 300 s at most" in result["msg"]


def test_check_mode_fails_as_the_run_does(site):
    site.registry.publish("new", weights="tiny-b", system="New")
    site.registry.fail("status", request="manifest", status=429, headers={"Retry-After": "3600"})
    checked, ran = (site.run(check, name=[site.name("new")]) for check in (True, False))
    for result in (checked, ran):
        assert (result["failed"], result["changed"], result["actions"]) == (True, False, [])
        assert result["error_kind"] == "SourceBusy" and "is not fetched" in result["msg"]
        assert "warnings" not in result or "fetched" not in str(result["warnings"])
    assert checked["msg"] == ran["msg"]


def test_a_shorter_wait_is_told(pull, empty_server, model_registry):
    digest = model_registry.publish("library/tiny")
    model_registry.fail("status", request="manifest", status=429, headers={"Retry-After": "1"}, times=1)
    name = model_registry.model("tiny")
    result = pull(empty_server, name, digest=digest, retries=5)
    assert listed(empty_server) == {name: digest}
    assert f"the source of {name} limits the rate (429): it was waited for" in str(result["warnings"])
    pull(empty_server, name, state="absent")


def test_a_manifest_that_is_gone_is_refused_before_anything_is_pulled(pull, empty_server, model_registry):
    digest = model_registry.publish("library/tiny")
    model_registry.fail(**FAULTS["gone"][0], times=1)
    result = pull(empty_server, model_registry.model("tiny"), digest=digest)
    assert (result["error_kind"], model_registry.counts["requests"]["manifest"]) == ("InvalidInput", 1)
    assert "does not have it; check name and tag" in result["msg"]


def test_a_source_where_nobody_listens(pull, standin):
    name = f"127.0.0.1:{free_port()}/library/tiny"
    result = pull(standin(), name, digest="1" * 64)
    assert result["error_kind"] == "SourceUnreachable"
    assert "check that the Ollama server's machine reaches the source" in result["msg"]
    assert "cannot be reached from here" in str(result["warnings"])


def test_tls_where_it_is_not_and_not_where_it_is(pull, standin, model_registry, tmp_path):
    openssl = shutil.which("openssl")
    assert openssl, "the test needs the command openssl"
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(cert)]
    command += ["-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    private = ModelRegistry(tmp_path / "registry", cert, key)
    try:
        digest = private.publish("library/tiny")
        server = standin()
        for source in (model_registry, private):
            result = pull(server, source.model("tiny"), insecure_registries=[])
            assert (result["error_kind"], listed(server)) == ("SourceTLSFailure", {})
            assert "private CA belongs into the trust store of the Ollama server" in result["msg"]
        # The module trusts the CA that it is given, the server's own trust store decides about the pull.
        trusting = standin(env={"SSL_CERT_FILE": str(cert)})
        result = pull(trusting, private.model("tiny"), digest=digest, registry_ca_path=str(cert))
        assert (listed(trusting), result.get("warnings")) == ({private.model("tiny"): digest}, None)
        assert "registry_ca_path" in str(pull(server, private.model("tiny"), digest=digest)["warnings"])
    finally:
        private.stop()


def test_a_mirror_gives_the_models_their_own_names(pull, standin, model_registry):
    digest = model_registry.publish("team/tiny")
    server = standin()
    result = pull(server, "team/tiny", registry_mirror=model_registry.host, digest=digest)
    assert (result["changed"], listed(server)) == (True, {"team/tiny:latest": digest})
    model_registry.fail("status", "/manifests/", status=503)
    result = pull(server, "team/other", registry_mirror=model_registry.host)
    assert (result["error_kind"], listed(server)) == ("SourceFailed", {"team/tiny:latest": digest})
    assert f"from the mirror {model_registry.host}" in result["msg"]


# --- wrong bytes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "version"), [("missing", "0.24.0"), ("there", "0.32.15"), ("there", "0.24.0"), ("mirror", "0.32.15")]
)
def test_no_blob_stays_wrong_when_several_came_wrong(pull, standin, model_registry, version, how):
    server = standin(version, env=QUICK)
    name = "team/tiny:latest" if how == "mirror" else model_registry.model("team/tiny")
    options = {"state": "latest", "retries": 3, "registry_mirror": model_registry.host if how == "mirror" else None}
    if how == "there":
        model_registry.publish("team/tiny", weights="tiny-b")
        pull(server, name, **options)
    digest = model_registry.publish("team/tiny", weights="tiny-a", system="Be right.")
    # The first two blobs of the pull: the server removes the first one only.
    model_registry.fail("corrupt", request="blob_range", times=2)
    result = pull(server, name, **options)
    assert not result.get("failed"), result["msg"]
    assert listed(server) == {name: digest}
    assert wrong_blobs(server) == []
    assert f"{name} came with wrong bytes at first" in str(result["warnings"])


@pytest.mark.parametrize("there", [False, True])
def test_bytes_that_come_wrong_again_are_not_kept(pull, standin, model_registry, there):
    server = standin()
    name = model_registry.model("team/tiny")
    old = {}
    if there:
        old = {name: model_registry.publish("team/tiny", weights="tiny-b")}
        pull(server, name)
    model_registry.publish("team/tiny", weights="tiny-c", system="Be right.")
    weights = model_registry.gguf_layer("tiny-c").digest
    for kind in ("corrupt", "delay", "corrupt"):
        model_registry.fail(kind, weights, request="blob_range", times=1)
    result = pull(server, name, state="latest", retries=3)
    assert (result["error_kind"], result["changed"]) == ("DigestMismatch", False)
    assert "came with wrong bytes again" in result["msg"]
    assert listed(server) == old
    assert wrong_blobs(server) == []
    assert not (server.store.blob(weights)).exists()


# --- weights that are not GGUF ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "version"),
    [
        ("missing", "0.24.0"),
        ("there", "0.24.0"),
        ("mirror", "0.24.0"),
        ("mirror, there", "0.24.0"),
        ("there", "0.32.15"),
    ],
)
def test_weights_that_would_end_the_server_do_not_stay(pull, standin, model_registry, version, how):
    server = standin(version, env=QUICK)
    mirror = {"registry_mirror": model_registry.host} if "mirror" in how else {}
    name = "team/other:latest" if mirror else model_registry.model("team/other")
    before = {}
    if "there" in how:
        before = {name: model_registry.publish("team/other")}
        pull(server, name, **mirror)
    digest = model_registry.publish("team/other", "latest", model_registry.layer("model", NO_GGUF))
    result = pull(server, name, state="latest", **mirror)
    if version == "0.24.0":
        assert (result["error_kind"], result["changed"]) == ("WeightsUnusable", False)
        assert (
            "it panics over them, and would do so at every start" in result["msg"]
            and "update the server to 0.30" in result["msg"]
        )
        assert listed(server) == before
    else:
        assert listed(server) == {name: digest}
    server.stop()
    assert listed(standin(version, env=QUICK, store=server.store.root)) == listed_on_disk(server)


def listed_on_disk(server):
    """Return what a store has, name -> digest."""
    return {name.short: f"sha256:{manifest.digest}" for name, manifest in server.store.models()}


def test_the_stand_in_does_not_survive_what_is_kept_from_it(standin, model_registry):
    model_registry.publish("team/other", "latest", model_registry.layer("model", NO_GGUF))
    server = standin("0.24.0", env=QUICK)
    server.lines("/api/pull", {"model": model_registry.model("team/other"), "insecure": True})
    server.stop()
    with pytest.raises(RuntimeError, match="panic"):
        standin("0.24.0", store=server.store.root)
    assert listed(standin("0.32.15", store=server.store.root)) == listed_on_disk(server)
