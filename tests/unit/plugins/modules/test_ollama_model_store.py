# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ollama_model sees broken models of a server's store and makes them whole; check mode says so before."""

from __future__ import annotations

import time
from hashlib import sha256
from pathlib import Path

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _stock
from ansible_collections.alchemorsel.ollama.plugins.module_utils._lock import TICK

from lab.standin import names

#: Servers and processes of their own: not for every save
pytestmark = pytest.mark.slow


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def nothing_is_removable(monkeypatch):
    monkeypatch.setattr(_stock, "may_remove", lambda root: False)


def reasons(result) -> list[tuple[str, str]]:
    return [(action["action"], action["name"]) for action in result["actions"]]


@pytest.mark.parametrize("damage", [Path.unlink, truncate], ids=["missing", "truncated"])
@pytest.mark.parametrize("kind", ["system", "model", "config"])
def test_a_broken_blob_is_made_whole(site, kind, damage):
    path = site.blob("a", kind)
    whole = path.read_bytes()
    damage(path)
    result = site.cure(name=[site.name("a"), site.name("b")])
    # The weights are shared by both models.
    broken = ["a", "b"] if kind == "model" else ["a"]
    assert reasons(result) == [("repair", site.name(model)) for model in broken]
    action = result["actions"][0]
    words = "is missing" if damage is Path.unlink else f"has {len(whole) - 3} bytes instead of {len(whole)}"
    assert words in action["reason"] and path.name.replace("-", ":") in action["reason"]
    assert action["digest_after"] == site.registry.digest("a")
    assert action["changed"] and path.read_bytes() == whole
    assert f"blob {path.name.replace('-', ':')}: {len(whole)} bytes" in result["diff"]["after"]


def test_what_is_whole_is_not_touched(site):
    before, counts = site.files(), site.registry.counts["requests"]
    result = site.run(name=[site.name("a"), site.name("b")], verify=True)
    assert (result["changed"], result["actions"]) == (False, [])
    assert (site.files(), site.registry.counts["requests"]) == (before, counts)


@pytest.mark.parametrize("body", [b"", b'{"layers": [', b"{}"])
def test_an_unusable_manifest_is_written_anew(site, body):
    site.manifest_path("a").write_bytes(body)
    result = site.cure(name=[site.name("a"), site.name("b")])
    assert reasons(result) == [("repair", site.name("a"))]
    assert f"its manifest {site.manifest_path('a')}" in result["actions"][0]["reason"]


def test_broken_models_that_nobody_declares_bring_a_warning(site):
    site.manifest_path("a").write_bytes(b"")
    truncate(site.blob("b", "system"))
    before = site.files()
    result = site.run(name=[])
    assert (result["changed"], site.files()) == (False, before)
    told = str(result["warnings"])
    assert f"{site.manifest_path('a')} is empty; remove that file" in told
    assert f"{site.name('b')} is not declared to be there, and broken: blob" in told
    assert "bytes instead of 3; remove it, or declare it" in told


def test_a_broken_model_that_is_to_go_just_goes(site):
    site.registry.publish("going", weights="tiny-a", system="Three")
    site.run(name=[site.name("going")])
    truncate(site.blob("going", "system"))
    result = site.run(name=[site.name("going")], state="absent")
    assert reasons(result) == [("delete", site.name("going"))]
    assert f"{site.name('going')} is not declared" not in str(result.get("warnings"))


def test_a_wrong_file_that_belongs_to_no_model_does_not_spoil_a_pull(site):
    path = site.blob("a", "system")
    site.run(name=[site.name("a")], state="absent")
    path.write_bytes(b"x")
    result = site.cure(name=[site.name("a"), site.name("b")])
    assert reasons(result) == [("pull", site.name("a"))]
    assert path.read_bytes() == b"One"


def test_what_came_wrong_in_a_pull_that_failed_is_not_trusted_by_the_next_one(site):
    # The server removes the first blob that came wrong, has put the others in their place, and never looks at them again.
    site.registry.publish("wrong", weights="tiny-b", system="Three", parameters={"temperature": 0.5})
    site.registry.fail("corrupt", "/wrong/", request="blob_range")
    assert site.run(name=[site.name("wrong")])["error_kind"] == "DigestMismatch"
    site.registry.heal()
    result = site.run(name=[site.name("wrong")])
    assert "failed" not in result, result.get("msg")
    assert reasons(result) == [("pull", site.name("wrong"))]
    for kind in ("model", "system", "params", "config"):
        path = site.blob("wrong", kind)
        assert sha256(path.read_bytes()).hexdigest() == path.name.removeprefix("sha256-"), kind
    assert site.run(name=[site.name("wrong")], verify=True)["actions"] == []


# --- nothing is lost ----------------------------------------------------------------------------------------------


def test_nothing_is_removed_that_the_source_no_longer_serves(site):
    truncate(site.blob("a", "system"))
    before = site.files()
    old = site.registry.digest("a")
    new = site.registry.publish("a", weights="tiny-a", system="Newer")
    for check_mode in (True, False):
        result = site.run(check_mode, name=[site.name("a")])
        assert result["error_kind"] == "InvalidInput"
        assert old in result["msg"] and new in result["msg"] and "state latest" in result["msg"]
    site.registry.unpublish("a")
    result = site.run(name=[site.name("a")])
    assert "cannot be fetched again" in result["msg"] and "from a backup" in result["msg"]
    site.registry.fail("status", "manifests", status=500)
    result = site.run(name=[site.name("a")])
    assert "nothing is before the source has shown" in result["msg"]
    assert site.files() == before


def test_latest_takes_the_newer_one(site):
    truncate(site.blob("a", "system"))
    new = site.registry.publish("a", weights="tiny-a", system="Newer")
    result = site.cure(models=[{"name": site.name("a"), "state": "latest"}])
    assert reasons(result) == [("repair", site.name("a"))]
    assert result["actions"][0]["digest_after"] == new


@pytest.mark.parametrize("served", [True, False])
def test_a_pin_is_made_whole_or_refused(site, served):
    pin = site.registry.digest("a")
    site.blob("a", "system").unlink()
    if not served:
        site.registry.publish("a", weights="tiny-a", system="Newer")
        assert (
            f"pinned to {pin}, but its source serves"
            in site.run(models=[{"name": site.name("a"), "digest": pin}])["msg"]
        )
        return
    result = site.cure(models=[{"name": site.name("a"), "digest": pin}])
    assert reasons(result) == [("repair", site.name("a"))]


def test_a_missing_blob_is_fetched_though_the_source_cannot_be_read_from_here(site):
    site.blob("a", "system").unlink()
    # The run before has ended just now; if it seemed to have worked since the first look, the source would be asked twice.
    time.sleep(2 * TICK)
    site.registry.fail("status", "manifests", status=401, times=1)
    result = site.run(name=[site.name("a")])
    assert result["actions"][0]["digest_after"] == site.registry.digest("a") and result["changed"]
    assert "pulled all the same, to repair it" in str(result["warnings"])


def test_a_file_that_is_what_its_name_promises_is_never_removed(site):
    """The manifest is what is wrong, also at the source."""
    path = site.manifest_path("a")
    body = path.read_bytes().replace(b'"size":3', b'"size":4')
    for manifest in (path, site.registry.store.manifest_path(names.parse("a"))):
        manifest.write_bytes(body)
    blob = site.blob("a", "system")
    result = site.run(name=[site.name("a")])
    assert result["error_kind"] == "StoreBroken" and "exactly the content that its name promises" in result["msg"]
    assert blob.read_bytes() == b"One"


# --- where files cannot be removed --------------------------------------------------------------------------------


def test_a_model_of_its_own_is_removed_over_the_api(site, monkeypatch):
    nothing_is_removable(monkeypatch)
    path = site.blob("a", "system")
    truncate(path)
    result = site.cure(name=[site.name("a"), site.name("b")])
    assert reasons(result) == [("repair", site.name("a"))]
    assert path.read_bytes() == b"One"


def test_a_shared_file_is_left_and_named(site, monkeypatch):
    nothing_is_removable(monkeypatch)
    path = site.blob("a", "model")
    truncate(path)
    before = site.files()
    for check_mode in (True, False):
        result = site.run(check_mode, name=[site.name("a")])
        assert result["error_kind"] == "InvalidInput" and str(path) in result["msg"]
        assert site.name("b") in result["msg"] and "with become" in result["msg"]
    assert site.files() == before


def test_a_pull_that_leaves_it_broken_is_a_failure(site, monkeypatch):
    path = site.blob("a", "system")
    truncate(path)
    # Somebody puts the wrong file back at once.
    monkeypatch.setattr("os.unlink", lambda file: None)
    result = site.run(name=[site.name("a")])
    assert result["error_kind"] == "StoreBroken" and "is not whole after its repair" in result["msg"]
    assert path.name.replace("-", ":") in result["msg"] and result["changed"]


# --- models made from others --------------------------------------------------------------------------------------


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "undeclared"])
@pytest.mark.parametrize("damage", [Path.unlink, truncate], ids=["missing", "truncated"])
def test_a_base_is_made_whole_before_what_is_made_from_it(site, damage, declared):
    models = [{"name": "bot", "from": site.name("a"), "system": "Bot."}, {"name": "chat", "copy_of": site.name("b")}]
    models += [{"name": site.name("a")}] if declared else []
    site.run(models=models)
    damage(site.blob("a", "model"))
    result = site.cure(models=models)
    kinds = [("repair", site.name("a")), ("repair", site.name("b")), ("create", "bot:latest")]
    assert reasons(result) == kinds


@pytest.mark.parametrize("damage", [Path.unlink, truncate], ids=["missing", "truncated"])
@pytest.mark.parametrize("kind", ["system", "config"])
@pytest.mark.parametrize("removable", [True, False])
def test_a_created_model_is_created_again(site, monkeypatch, damage, kind, removable):
    models = [{"name": "bot", "from": site.name("a"), "system": "Bot."}]
    site.run(models=models)
    if not removable:
        nothing_is_removable(monkeypatch)
    damage(site.blob("bot", kind))
    result = site.cure(models=models)
    assert reasons(result) == [("create", "bot:latest")] and result["actions"][0]["changed"]


# --- without store_path -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["system", "model"])
def test_verify_finds_a_missing_file(site, kind):
    site.server.json("POST", "/api/show", {"model": site.name("a")})
    site.blob("a", kind).unlink()
    plain = site.run(name=[site.name("a"), site.name("b")], store_path=None)
    assert plain["changed"] is False
    result = site.cure(name=[site.name("a")], store_path=None, verify=True)
    assert reasons(result) == [("repair", site.name("a"))]
    assert "answers show with 404" in result["actions"][0]["reason"]


def test_verify_replaces_a_model_with_wrong_bytes(site):
    site.registry.publish("c", weights="tiny-c", system="Three")
    site.run(name=[site.name("c")])
    truncate(site.blob("c", "model"))
    result = site.cure(name=[site.name("c")], store_path=None, verify=True)
    assert "answers show with 500" in result["actions"][0]["reason"]


def test_verify_says_what_it_cannot_do(site):
    site.run(models=[{"name": site.name("a")}, {"name": "twin", "copy_of": site.name("a")}])
    truncate(site.blob("b", "model"))
    result = site.run(name=[site.name("a")], store_path=None, verify=True)
    assert "twin:latest uses them too; give store_path" in result["msg"]
    # The weights are shared by both, which only the run can tell.
    result = site.run(name=[site.name("b")], store_path=None, verify=True)
    assert result["error_kind"] == "StoreBroken" and "give store_path" in result["msg"]


def test_a_directory_of_another_server_is_refused(site, tmp_path):
    for path, words in ((tmp_path / "none", "cannot be read"), (tmp_path, "no manifest of any model")):
        result = site.run(name=[site.name("a")], store_path=str(path))
        assert result["error_kind"] == "InvalidInput" and words in result["msg"] and str(path) in result["msg"]
