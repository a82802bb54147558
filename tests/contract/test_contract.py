# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every recorded exchange, replayed.

pytest tests/contract                                     the stand-in, as each of its versions
pytest tests/contract --server-binary PATH[:VERSION]      a real Ollama, started with a store of its own for each case
pytest tests/contract --server-url URL                    a running server with an empty store: what needs only HTTP
"""

from __future__ import annotations

import json
from http.client import RemoteDisconnected
from pathlib import Path
from typing import Any

from . import normal, situations_inference, situations_models, situations_pull
from .registered import SITUATIONS
from .replay import Answer, send
from .world import World

TRANSCRIPTS = Path(__file__).parent / "transcripts"
_ARRANGED = (situations_inference, situations_models, situations_pull)

#: digests that cannot be equal: the stand-in does not quantize weights, the recorded 8-byte text is not known, and manifests
#: of imported models hold the store's path in 0.24.0
UNKNOWN_DIGESTS: dict[str, set[str]] = {
    "create-quantize": {
        "9354d8c6ea6cfd08bf7ac47a0657d9fb3aa85e7ab55401e16fb3e1806248d80a",
        "9b2599da5a2c23e2a43cffabec481e831ea884d7b5b502fd7d9d4a74fb711959",
    },
    "ps-loaded": {"d334019c6544b4ca9e73a8792cb46fb464be4e56b2bccdd152f4200488aaeddf"},
    "ps-keep-alive-forever": {"d334019c6544b4ca9e73a8792cb46fb464be4e56b2bccdd152f4200488aaeddf"},
    "tags-one-pulled": {"9846716aa7a019a456d6f5431863b93f1960b956bff4935dfb9ff4d3e6858e30"},
}
#: pulls of a large blob that may be over within 60 ms, and so without a line: (version, slug)
QUICK_LARGE = {
    ("0.32.15", "pull-resume-after-disconnect"),
    ("0.32.15", "pull-plan-without-its-first-file"),
    ("0.32.15", "pull-error-disk-full"),
    ("0.24.0", "pull-error-disk-full"),
}
#: a real 0.24.0 dies of this request, at times before its first line is on the wire; that it dies is checked in any case
MAY_DIE_SILENTLY = {"create-files-bad-gguf"}
#: slugs whose small blobs take long in every version
SLOW_SMALL = {"pull-error-discovery-500", "pull-joined-failed-preparation"}
#: headers that are compared
HEADERS = ("content-type", "allow")
GENERATED = ("generate", "chat", "v1")


def recorded_exchanges() -> list[tuple[str, str]]:
    """Version and slug of every recording."""
    return sorted((path.parent.name, path.stem) for path in TRANSCRIPTS.glob("*/*.json"))


def test_every_recording_has_a_situation() -> None:
    slugs = {slug for _version, slug in recorded_exchanges()}
    assert len(slugs) > 100
    assert slugs == set(SITUATIONS)


def test_exchange(exchange: tuple[str, str], world: World) -> None:
    version, slug = exchange
    recording = json.loads((TRANSCRIPTS / version / f"{slug}.json").read_text(encoding="utf-8"))
    SITUATIONS[slug].arrange(world)
    present = world.present_digests()
    if world.before_request is not None:
        world.before_request()
    try:
        answer = ask(world, recording["request"])
    except RemoteDisconnected:
        assert slug in MAY_DIE_SILENTLY, "the server closed the connection without an answer"
    else:
        compare(world, slug, recording["response"], answer, present)
    for check in world.afterwards:
        check()


def ask(world: World, request: dict[str, Any]) -> Answer:
    """Sends the recorded request with the names of this run."""
    body = request.get("body", b"")
    if world.request_body is not None:
        body = world.request_body
    elif isinstance(body, str):
        body = body.encode()
    elif not isinstance(body, bytes):
        body = world.to_live(json.dumps(body)).encode()
    return send(world.url, request | {"path": world.to_live(request["path"])}, body, world.on_line)


def compare(world: World, slug: str, recorded: dict[str, Any], answer: Answer, present: set[str]) -> None:
    """Status, headers, body and end of an answer against the recorded ones, by the rules of `normal`."""
    assert answer.status == recorded["status"], answer.text or answer.lines
    for header in HEADERS:
        assert answer.headers.get(header) == recorded["headers"].get(header), header
    assert ("transfer-encoding" in answer.headers) == ("transfer-encoding" in recorded["headers"])
    assert answer.disconnected == recorded.get("client_disconnected", False)
    assert answer.without_end == recorded.get("ended_without_final_chunk", False)
    if "lines" in recorded:
        compare_lines(world, slug, recorded["lines"], answer, present)
    else:
        compare_body(world, slug, recorded, answer)


def compare_lines(world: World, slug: str, recorded: list[dict[str, Any]], answer: Answer, present: set[str]) -> None:
    generated = slug.split("-")[0] in GENERATED
    live = rename(world, slug, recorded, answer.lines)
    wanted_drop, live_drop = set[str](), set[str]()
    if world.version != "0.24.0" and slug not in SLOW_SMALL:
        known = {json.loads(world.to_recorded(json.dumps(digest))) for digest in present}
        wanted_drop = normal.small_new_blobs(recorded, None)
        live_drop = normal.small_new_blobs(live, known)
    if (world.version, slug) in QUICK_LARGE:
        large = {line["digest"] for line in [*recorded, *live] if line.get("total", 0) >= 1_000_000}
        wanted_drop, live_drop = wanted_drop | large, live_drop | large
    wanted = normal.lines_of(recorded, wanted_drop, generated)
    assert normal.lines_of(live, live_drop, generated) == rename_recorded(slug, wanted)


def rename(world: World, slug: str, recorded: Any, live: Any) -> Any:
    """A live value with the names of the recording (rule 1) and without unknown digests (rule 8)."""
    text = world.to_recorded(json.dumps(live))
    unknown = UNKNOWN_DIGESTS.get(slug, set())
    return json.loads(normal.digests_of(text, normal.all_digests(json.dumps(recorded)), unknown))


def rename_recorded(slug: str, recorded: Any) -> Any:
    unknown = UNKNOWN_DIGESTS.get(slug, set())
    text = json.dumps(recorded)
    return json.loads(normal.digests_of(text, normal.all_digests(text), unknown))


def compare_body(world: World, slug: str, recorded: dict[str, Any], answer: Answer) -> None:
    generated = slug.split("-")[0] in GENERATED
    wanted = recorded["body"]
    if recorded["headers"].get("content-type") == "text/event-stream":
        assert normal.events_of(answer.text) == normal.events_of(wanted)
        return
    if isinstance(wanted, str):
        assert answer.text == wanted
        same = True
    else:
        live = rename(world, slug, wanted, json.loads(answer.text))
        trimmed = normal.trim_like(live, wanted)
        found = normal.body_of(trimmed, generated)
        assert found == normal.body_of(rename_recorded(slug, wanted), generated)
        same = found == json.loads(answer.text)
    if same and "content-length" in recorded["headers"]:
        assert answer.headers.get("content-length") == recorded["headers"]["content-length"]


def test_server_says_what_it_is(world: World) -> None:
    """The stand-in never passes for a real server, nor the other way round."""
    answer = send(world.url, {"method": "GET", "path": "/"}, b"")
    named = answer.headers.get("server", "")
    if world.given_url:
        assert named in ("", f"alchemorsel-standin/{world.version}")
    else:
        assert named == ("" if world.binary else f"alchemorsel-standin/{world.version}")
