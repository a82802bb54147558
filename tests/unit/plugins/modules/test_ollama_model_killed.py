# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fetch that is killed before or after any of its writes: the name has a model all the time, and the next run finishes."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _apply
from ansible_collections.alchemorsel.ollama.plugins.module_utils._client import OllamaClient
from ansible_collections.alchemorsel.ollama.plugins.module_utils._pull import Clock
from fake_ollama import WRITES, digest_of, manifest

#: Servers and processes of their own: not for every save
pytestmark = pytest.mark.slow

ONE, TWO = manifest("one"), manifest("two")
MISMATCH = [{"error": "digest mismatch, file must be downloaded again: want sha256:1, got sha256:2"}]


class Killed(BaseException):
    """The process is gone: nothing in the module catches this."""


@pytest.fixture
def killed(monkeypatch):
    """`with killed(number, late)`: the process ends before the write of this number, or right after it."""

    @contextmanager
    def at(number, late):
        done = 0

        def mortal(send):
            def method(self, *arguments, **options):
                nonlocal done
                request = arguments[:2] if arguments[0] in ("GET", "POST", "DELETE") else ("POST", arguments[0])
                if not " ".join(request).startswith(WRITES):
                    return send(self, *arguments, **options)
                done += 1
                if done == number and not late:
                    raise Killed
                answer = send(self, *arguments, **options)
                if done == number:
                    raise Killed
                return answer

            return method

        with monkeypatch.context() as patch:
            patch.setattr(OllamaClient, "json", mortal(OllamaClient.json))
            patch.setattr(OllamaClient, "stream", mortal(OllamaClient.stream))
            patch.setattr(_apply, "Clock", lambda: Clock(sleep=lambda seconds: None))
            yield

    return at


def twice_wrong(ollama):
    """Let a blob come with wrong bytes first, so that the model is fetched again from nothing."""

    def pulled(model):
        ollama.held[model] = digest_of(TWO)
        return [{"status": "success"}]

    ollama.pulls = [MISMATCH, pulled]


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("wrong", [False, True], ids=["right bytes", "wrong bytes"])
@pytest.mark.parametrize("mirror", [False, True], ids=["own registry", "mirror"])
@pytest.mark.parametrize("how", ["latest", "pinned", "missing"])
def test_a_fetch_survives_the_death_of_its_process(run, ollama, killed, how, mirror, wrong, late):
    name = "a" if mirror else ollama.name("a")
    listed = "a:latest" if mirror else name
    new = ollama.publish("a", TWO)
    pin = {"digest": new} if how == "pinned" else {"state": "latest"}
    options = {"models": [{"name": name, **pin}], "registry_mirror": ollama.host if mirror else None, "retries": 1}
    before = {} if how == "missing" else {listed: digest_of(ONE)}
    deaths = 0
    while True:
        ollama.held = dict(before)
        ollama.pulls = []
        if wrong:
            twice_wrong(ollama)
        try:
            with killed(deaths + 1, late):
                run(**options)
        except Killed:
            deaths += 1
        else:
            break
        assert ollama.held.get(listed) in ({digest_of(ONE), new} if before else {None, new})
        ollama.pulls = []
        result = run(**options)
        assert not result.get("failed"), (deaths, result["msg"])
        assert ollama.held == {listed: new}, deaths
        assert run(**options)["actions"] == []
    assert ollama.held == {listed: new}
    # Each of the writes was met: at least the pull, and what keeps the old model meanwhile.
    assert deaths >= {"missing": 1, "latest": 3, "pinned": 3}[how] + (2 if wrong else 0)


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("mirror", [False, True], ids=["own registry", "mirror"])
def test_a_wrong_model_never_stays_after_the_death_of_the_process(run, ollama, killed, mirror, late):
    name = "a" if mirror else ollama.name("a")
    listed = "a:latest" if mirror else name
    options = {"models": [{"name": name, "digest": digest_of(TWO)}], "registry_mirror": ollama.host if mirror else None}
    deaths = 0
    while True:
        ollama.held = {listed: digest_of(ONE)}
        ollama.publish("a", TWO)

        def pulled(model):
            ollama.held[model] = digest_of(manifest("wrong"))
            return [{"status": "success"}]

        ollama.pulls = [pulled, pulled]
        try:
            with killed(deaths + 1, late):
                assert run(**options)["error_kind"] == "DigestNotServed"
        except Killed:
            deaths += 1
        else:
            break
        ollama.pulls = [pulled]
        assert run(**options)["error_kind"] == "DigestNotServed"
        assert ollama.held == {listed: digest_of(ONE)}, deaths
    assert ollama.held == {listed: digest_of(ONE)}
    assert deaths >= 2
