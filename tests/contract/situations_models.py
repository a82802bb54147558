# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Situations of exchanges about stored models: what is in the store before the request."""

from __future__ import annotations

from lab.standin import names
from lab.standin.testing import MODELS

from .registered import pulled_tiny, situation
from .world import World

TINY_B = (MODELS / "tiny-b.gguf").read_bytes()
DERIVED = {
    "template": "{{ .System }} {{ .Prompt }}",
    "system": 'You are "tiny".\nSecond line',
    "license": ["License one", "License two"],
    "parameters": {
        "temperature": 0.7,
        "num_ctx": 131072,
        "top_k": 40,
        "top_p": 1.0,
        "stop": ["</s>", "\n", 'a"b', "tab\t"],
        "use_mmap": True,
        "num_predict": -1,
        "repeat_penalty": 1e-05,
        "seed": 1048576,
        "min_p": 0,
        "mirostat_tau": 123456.789,
        "num_keep": 1000000,
        "num_batch": 21000000,
    },
    "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello\nthere"}],
}


@situation(
    "root-get",
    "version-get",
    "tags-empty",
    "unknown-path",
    "wrong-method-get-pull",
    "host-evil",
    "v1-unknown-path",
    "v1-models-empty",
    "v1-models-one-missing",
    "v1-chat-missing",
    "v1-chat-empty-body",
    "v1-chat-no-messages",
    "v1-chat-cloud-name-no-cloud",
    "v1-embeddings-missing",
    "show-missing",
    "show-cloud-name-no-cloud",
    "copy-missing",
    "delete-missing",
    "delete-invalid-name",
    "generate-missing",
    "embed-missing",
    "blobs-head-missing",
    "blobs-post-mismatch",
    "create-no-from",
    "pull-empty-body",
    "pull-invalid-name-stream-true",
    needs_only_http=True,
)
def empty(world: World) -> None:
    """A server without models."""
    if not world.given_url:
        world.start()


@situation("blobs-post-gguf", needs_only_http=True)
def a_file_to_upload(world: World) -> None:
    empty(world)
    world.request_body = (MODELS / "tiny-a.gguf").read_bytes()


@situation("blobs-post-again")
def blob_is_there(world: World) -> None:
    world.upload(b"hello")


@situation("tags-one-pulled", "copy-ok", "delete-ok", "pull-up-to-date", "pull-up-to-date-stream-false")
def one_pulled(world: World) -> None:
    pulled_tiny(world)


@situation("delete-corrupt-manifest")
def corrupt_manifest(world: World) -> None:
    world.create("tiny")
    name = names.parse("tiny")
    assert name is not None
    world.store.manifest_path(name).write_text('{"schemaVersion":2,"mediaType":"application', encoding="utf-8")


@situation("show-not-gguf")
def weights_that_are_no_gguf(world: World) -> None:
    world.registry.publish("library/c", "1", world.registry.layer("model", bytes(range(256)) * 1000))
    world.pull("c:1")


@situation("show-base", "create-bad-template", "create-from-full", "create-quantize-from-f32", "create-files-again")
def base(world: World) -> None:
    world.create("base")


@situation("create-files-full")
def base_and_template(world: World) -> None:
    world.create("base")


@situation("show-derived", "create-from-full-again")
def derived(world: World) -> None:
    world.create("base")
    world.derive("derived", "base", **DERIVED)


@situation("create-files")
def uploaded(world: World) -> None:
    world.upload((MODELS / "tiny-a.gguf").read_bytes())


@situation("create-quantize", "create-quantize-bogus")
def uploaded_f16(world: World) -> None:
    world.upload(TINY_B)


@situation("create-files-missing-blob")
def nothing_uploaded(world: World) -> None:
    world.start()


@situation("create-files-truncated-gguf")
def uploaded_half(world: World) -> None:
    world.upload(TINY_B[:200000])


@situation("create-files-not-gguf")
def uploaded_text(world: World) -> None:
    digest = world.upload(b"this is not a GGUF file, and long enough to have a header")
    world.stands_for("ef875a1705a5fdac206be996f4dc1f726ea6b68861eb741c37def7277f179e37", digest)


@situation("create-files-bad-gguf")
def uploaded_crafted(world: World) -> None:
    world.upload(b"GGUF\x03\x00\x00\x00" + b"\xff" * 64)
    if world.version == "0.24.0":
        world.exits_with(2)
