# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Models of an earlier server taken over: same digests, nothing lost, once."""

from __future__ import annotations

import errno
import json
import os
from hashlib import sha256
from pathlib import Path

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _carry_over, _takeover
from ansible_collections.alchemorsel.ollama.plugins.modules import ollama_store

LIBRARY = "registry.ollama.ai/library"


def put_blob(models: Path, content: bytes) -> dict:
    digest = sha256(content).hexdigest()
    path = models / "blobs" / f"sha256-{digest}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return {"digest": f"sha256:{digest}", "size": len(content)}


def put_model(models: Path, name: str, content: bytes, tag: str = "latest") -> str:
    """Put a model into a store, and return its digest."""
    body = json.dumps(
        {"config": put_blob(models, b"config of " + content), "layers": [put_blob(models, content)]}
    ).encode()
    path = models / "manifests" / LIBRARY / name / tag
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    os.utime(path, ns=(1, 1_600_000_000_000_000_000))
    return f"sha256:{sha256(body).hexdigest()}"


def digests(models: Path) -> dict[str, str]:
    return {
        str(path.relative_to(models / "manifests" / LIBRARY)): f"sha256:{sha256(path.read_bytes()).hexdigest()}"
        for path in models.glob("manifests/*/*/*/*")
    }


def files(root: Path) -> dict[str, tuple[bytes, int]]:
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def old(tmp_path):
    """The directory of an earlier server, with two models that share nothing, and a key."""
    home = tmp_path / "old/.ollama"
    put_model(home / "models", "a", b"weights of a")
    put_model(home / "models", "b", b"weights of b", "8b")
    (home / "id_ed25519").write_text("private")
    (home / "id_ed25519").chmod(0o600)
    (home / "id_ed25519.pub").write_text("public")
    return home


@pytest.fixture
def new(tmp_path):
    path = tmp_path / "new"
    path.mkdir(mode=0o750)
    return path


@pytest.fixture
def run(run_module, old, new):
    def once(check_mode=False, **options):
        given = {
            "path": str(new),
            "source": str(old),
            "owner": os.getuid(),
            "group": os.getgid(),
            "_ansible_diff": True,
        }
        return run_module(ollama_store, {**given, **options}, check_mode)

    return once


def test_check_run_and_run_again(run, old, new):
    before, modified = files(old), 1_600_000_000_000_000_000
    predicted = run(check_mode=True)
    assert files(new) == {}
    result = run()
    assert (predicted["changed"], predicted["models"], predicted["diff"]) == (True, result["models"], result["diff"])
    assert result["diff"] == {"before": {"models": []}, "after": {"models": ["a:latest", "b:8b"]}}
    assert (
        digests(new / "models")
        == digests(old / "models")
        == {"a/latest": result["models"][0]["digest"], "b/8b": result["models"][1]["digest"]}
    )
    assert (result["bytes_copied"], result["bytes_linked"]) == (0, 68)
    for blob in (old / "models/blobs").iterdir():
        assert (new / "models/blobs" / blob.name).stat().st_ino == blob.stat().st_ino
    # A manifest is written anew by a server that pulls an update, so it is never shared
    one, other = (root / "models/manifests" / LIBRARY / "a/latest" for root in (old, new))
    assert one.stat().st_ino != other.stat().st_ino
    assert other.stat().st_mtime_ns == modified
    assert (new / ".ollama/id_ed25519").read_text() == "private"
    assert (new / ".ollama/id_ed25519").stat().st_mode & 0o777 == 0o600
    assert files(old) == before
    assert sorted(path.name for path in new.iterdir()) == [".alchemorsel-migrated", ".ollama", "models"]
    seen = files(new)
    again = run()
    assert (again["changed"], again["models"]) == (False, [])
    assert files(new) == seen


def test_a_model_that_was_removed_since_does_not_come_back(run, new):
    run()
    (new / "models/manifests" / LIBRARY / "a/latest").unlink()
    assert run()["changed"] is False
    assert list(digests(new / "models")) == ["b/8b"]


def test_elsewhere_files_are_copied_and_proven(run, monkeypatch, old, new):
    def no_link(*_names, **_options):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", no_link)
    result = run()
    assert (result["bytes_copied"], result["bytes_linked"]) == (68, 0)
    assert digests(new / "models") == digests(old / "models")
    for blob in (old / "models/blobs").iterdir():
        copy = new / "models/blobs" / blob.name
        assert copy.read_bytes() == blob.read_bytes()
        assert copy.stat().st_ino != blob.stat().st_ino


def test_a_damaged_file_is_not_copied(run, monkeypatch, old, new):
    monkeypatch.setattr(_carry_over.Carrier, "_can_link", lambda self, takeover: False)
    blob = next(path for path in (old / "models/blobs").iterdir() if path.read_bytes() == b"weights of a")
    blob.write_bytes(b"weights of A")
    result = run()
    assert result["failed"] is True
    assert "it is damaged" in result["msg"]
    assert digests(new / "models") == {}
    assert sorted(path.name for path in new.iterdir()) == ["models"]


def test_no_room_is_told_before_anything_is_copied(run, monkeypatch, new):
    monkeypatch.setattr(_carry_over, "same_file_system", lambda one, other: False)
    for check_mode in (True, False):
        result = run(check_mode=check_mode, min_free="1000P")
        assert result["failed"] is True
        assert "the models have 68 B (68 bytes) and lie on another file system" in result["msg"]
    assert files(new) == {}


def test_no_room_is_told_where_only_the_attempt_shows_another_file_system(run, monkeypatch, new):
    monkeypatch.setattr(_carry_over.Carrier, "_can_link", lambda self, takeover: False)
    assert "lie on another file system" in run(min_free="1000P")["msg"]
    assert digests(new / "models") == {}


def test_a_run_that_was_killed_is_finished(run, monkeypatch, new, old):
    put = _carry_over.Carrier._put
    left = [3]

    def die(self, path, mode):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        put(self, path, mode)

    monkeypatch.setattr(_carry_over.Carrier, "_put", die)
    with pytest.raises(KeyboardInterrupt):
        ollama_store.run(
            {"path": str(new), "source": str(old), "owner": os.getuid(), "group": os.getgid(), "min_free": "1G"}, False
        )
    assert digests(new / "models") == {}
    monkeypatch.setattr(_carry_over.Carrier, "_put", put)
    assert run()["changed"] is True
    assert digests(new / "models") == digests(old / "models")


def test_what_the_store_has_stays_and_what_is_not_whole_is_left(run, old, new):
    own = put_model(new / "models", "a", b"another a")
    (new / ".ollama").mkdir()
    (new / ".ollama/id_ed25519").write_text("own")
    for name in ("broken", "empty"):
        put_model(old / "models", name, name.encode())
    next(path for path in (old / "models/blobs").iterdir() if path.read_bytes() == b"broken").unlink()
    (old / "models/manifests" / LIBRARY / "empty/latest").write_bytes(b"")
    result = run()
    assert [model["name"] for model in result["models"]] == ["b:8b"]
    warnings = [text if isinstance(text, str) else text["event"]["msg"] for text in result["warnings"]]
    assert [text.split(",")[0].split(":")[0] for text in warnings] == ["a", "broken", "empty"]
    assert digests(new / "models")["a/latest"] == own
    assert (new / ".ollama/id_ed25519").read_text() == "own"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"source": "/does/not/exist"},
            "source is '/does/not/exist', which is no directory; wanted is what another Ollama server",
        ),
        ({"source": "/usr"}, "source is '/usr', which holds "),
        ({"min_free": "much"}, "min_free is 'much'"),
    ],
)
def test_bad_input_is_one_sentence(run, options, words):
    result = run(**options)
    assert result["failed"] is True
    assert words in result["msg"]


def test_the_store_itself_is_no_source(run, old):
    assert "which is the store itself" in run(path=str(old))["msg"]


def test_what_a_link_leads_to_stays_somebody_elses(run, old, new, tmp_path):
    """A second name of it would change its owner and its mode, and so would show what only root may read."""
    (blob,) = [path for path in (old / "models/blobs").iterdir() if path.read_bytes() == b"weights of a"]
    outside = tmp_path / "outside.gguf"
    blob.rename(outside)
    outside.chmod(0o600)
    blob.symlink_to(outside)
    result = run()
    assert result["bytes_copied"] == len(b"weights of a") and result["bytes_linked"] > 0
    assert outside.stat().st_nlink == 1 and outside.stat().st_mode & 0o777 == 0o600
    taken = new / "models/blobs" / blob.name
    assert taken.read_bytes() == b"weights of a" and not taken.is_symlink()


def test_what_is_behind_a_link_and_not_what_its_name_says_is_not_taken(run, old, new, tmp_path):
    (blob,) = [path for path in (old / "models/blobs").iterdir() if path.read_bytes() == b"weights of a"]
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret root!")
    assert secret.stat().st_size == blob.stat().st_size
    blob.unlink()
    secret.chmod(0o600)
    blob.symlink_to(secret)
    result = run()
    assert result["failed"] and "it is damaged" in result["msg"]
    assert secret.stat().st_nlink == 1 and secret.stat().st_mode & 0o777 == 0o600
    assert not (new / "models/blobs" / blob.name).exists()


def test_a_key_behind_a_link_is_not_taken(run, old, new, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("of root")
    for name in ("id_ed25519", "id_ed25519.pub"):
        (old / name).unlink()
        (old / name).symlink_to(secret)
    assert run()["changed"]
    assert not (new / ".ollama").exists()


@pytest.mark.parametrize("below", ["", "models", "..", "../../own"])
def test_where_a_server_has_its_files(old, below, tmp_path):
    (tmp_path / "own").mkdir()
    os.rename(old / "id_ed25519", old / "id_ed25519.kept")
    os.rename(old / "id_ed25519.kept", old / "id_ed25519")
    if below == "../../own":
        # As this collection lays it out: the key in .ollama, the models beside it
        (tmp_path / "own/.ollama").mkdir()
        os.rename(old / "models", tmp_path / "own/models")
        os.rename(old / "id_ed25519", tmp_path / "own/.ollama/id_ed25519")
    found = _takeover.find_source(os.path.normpath(old / below))
    assert Path(found.models, "manifests").is_dir()
    assert Path(found.key).read_text() == "private"


def fake_process(proc: Path, number: int, words: list[str], variables: dict[str, str], root: Path) -> None:
    process = proc / str(number)
    process.mkdir(parents=True)
    (process / "cmdline").write_bytes(b"\0".join(word.encode() for word in words) + b"\0")
    (process / "environ").write_bytes(b"\0".join(f"{key}={value}".encode() for key, value in variables.items()))
    (process / "root").symlink_to(root)


def test_servers_are_found_by_the_directory_that_they_use(old, tmp_path):
    proc, models = tmp_path / "proc", str(old / "models")
    container = tmp_path / "container"
    (container / "root").mkdir(parents=True)
    (container / "root/.ollama").symlink_to(old)
    fake_process(proc, 7, ["/bin/ollama", "serve"], {"HOME": "/root"}, container)
    fake_process(proc, 30, ["/usr/bin/python3", "-s", "/bin/ollama", "serve"], {"OLLAMA_MODELS": models}, Path("/"))
    fake_process(proc, 8, ["/bin/ollama", "serve"], {"HOME": "/root"}, tmp_path)
    fake_process(proc, 31, ["ollama", "start"], {"OLLAMA_MODELS": models}, Path("/"))
    fake_process(proc, 9, ["/bin/ollama", "list"], {"OLLAMA_MODELS": models}, Path("/"))
    fake_process(proc, 10, ["vi", "ollama serve.txt"], {"OLLAMA_MODELS": models}, Path("/"))
    found = _takeover.servers_on(models, str(proc))
    assert found == [
        "process 7 (/bin/ollama serve)",
        "process 30 (/usr/bin/python3 -s /bin/ollama serve)",
        "process 31 (ollama start)",
    ]


def test_nothing_is_taken_while_a_server_runs_there(run, monkeypatch, new):
    monkeypatch.setattr(_takeover, "servers_on", lambda models: ["process 7 (ollama serve)"])
    for check_mode in (True, False):
        result = run(check_mode=check_mode)
        assert result["failed"] is True
        assert "on which a server runs (process 7 (ollama serve)); stop it first" in result["msg"]
    assert files(new) == {}
