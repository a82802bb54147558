# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removes begun downloads that can never be completed, around each attempt of a pull; what can be resumed is left alone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Callable, Optional

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._begun import (
    Parts,
    Verdict,
    any_begun,
    hopeless,
    in_use,
    part_span,
    read_plan,
    remove_plan,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._pull import Clock
from ansible_collections.alchemorsel.ollama.plugins.module_utils._store import blob_path, user_name

#: Seconds that a server may hold a download after its client has left: its longest pause is 32 seconds, and nothing ends that.
HELD = 40
#: Seconds between two looks: a server that is about to begin a download has written its plan by then.
SETTLED = 1.0

#: Of a download: its files with their sizes, which stay while it goes on, and whether some process has it open.
_State = tuple[Mapping[str, object], Optional[bool]]


class Clearing:
    """What stands in the way of one model's pull in the server's store.

    :param sizes: asks for the size of each blob of the model by digest; empty if that is not known
    :param url: the server, for messages
    """

    def __init__(
        self, model: str, root: str, sizes: Callable[[], Mapping[str, int]], *, url: str, clock: Clock
    ) -> None:
        self._model = model
        self._root = root
        self._sizes = sizes
        self._url = url
        self._clock = clock
        self._asked: Mapping[str, int] = {}
        self._attempts = 0
        #: blobs for which attempts of this pull have made a plan of another size than the manifest says
        self._again: set[str] = set()
        #: blobs whose download somebody else is at work on: they were waited for once
        self._left: set[str] = set()
        #: what the operator should know
        self.warnings: list[str] = []

    def __call__(self, until: float) -> bool:
        """Remove what cannot be completed; tell whether there was any.

        :param until: the clock's time at which the pull has to end
        :raises StoreBroken: if it cannot be removed
        :raises SourceUnusable: if the source has announced another size than its manifest again and again
        """
        self._attempts += 1
        suspects = [digest for digest in self._known() if self._verdict(digest)]
        states = self._settled(suspects, until) if suspects else {}
        try:
            cleared = {digest: verdict for digest in suspects if (verdict := self._clear(digest, states[digest]))}
        except OSError as exc:
            raise errors.StoreBroken(
                f"the download of {self._model} that was begun in the store can never be completed and has to go, but {exc.filename} "
                f"cannot be removed by user {user_name()}: {exc.strerror}; run the module with become, or remove all files whose "
                "names begin as its name does up to -partial, while nothing is pulled",
                url=self._url,
            ) from exc
        # The first time, it is what an earlier run has left, and the source may have become right since.
        made_now = {digest: verdict.why for digest, verdict in cleared.items() if verdict.by_source}
        if self._attempts > 1:
            for digest, why in made_now.items():
                if digest in self._again:
                    raise errors.SourceUnusable(
                        f"pull of {self._model} failed: the source announces another size for blob {digest} than its "
                        f"manifest: the download that the server began could never be completed, since {why}; the source "
                        "has to be repaired, or what stands between and alters answers. Nothing of that download was left.",
                        url=self._url,
                    )
            self._again.update(made_now)
        return bool(cleared)

    def _known(self) -> Mapping[str, int]:
        """Return the sizes of the model's blobs. The source is asked only where the store has a begun download, until it says them."""
        if not self._asked and any_begun(self._root):
            self._asked = self._sizes()
        return self._asked

    def _verdict(self, digest: str) -> Verdict | None:
        return hopeless(self._read(digest), self._known()[digest])

    def _settled(self, digests: Iterable[str], until: float) -> Mapping[str, _State | None]:
        """Look at some downloads until nobody is at work on them; return what was seen last, ``None`` for those that still changed."""
        states = {digest: self._state(digest) for digest in digests}
        before = states
        for _second in range(HELD):
            before = states
            self._clock.sleep(SETTLED)
            states = {digest: self._state(digest) for digest in before}
            # A server that writes its plan anew is at work, too.
            awaited = states.keys() - self._left
            calm = all(states[digest] == before[digest] and not states[digest][1] for digest in awaited)
            if calm or self._clock.now() + SETTLED >= until:
                break
        return {digest: state if state == before[digest] else None for digest, state in states.items()}

    def _state(self, digest: str) -> _State:
        return {name: _size(body) for name, body in self._read(digest).items()}, in_use(self._root, digest)

    def _clear(self, digest: str, state: _State | None) -> Verdict | None:
        """Remove one begun download that can never be completed and that nobody is at work on; return why."""
        verdict = self._verdict(digest)
        if verdict is None:
            # It has just been begun, or has just ended.
            return None
        what = (
            f"the download {blob_path(self._root, digest)}-partial that was begun can never be completed: {verdict.why}"
        )
        now = self._state(digest)
        if now[1] is not False or now != state:
            # Somebody else pulls it, or may do so: the server would write the plan anew.
            why = "some process is at work on it"
            if now[1] is None:
                remedy = "run the module with become" if os.geteuid() else "as root that takes CAP_SYS_PTRACE"
                why = (
                    f"user {user_name()} cannot see whether some process has it open; {remedy}, or remove the files whose names "
                    "begin with that one while nothing is pulled"
                )
            if digest not in self._left:
                self.warnings.append(f"{self._model}: {what}; it was left alone, since {why}")
            self._left.add(digest)
            return None
        remove_plan(self._root, digest, now[0])
        self.warnings.append(f"{self._model}: {what}; it was removed, so that the blob is fetched anew")
        return verdict

    def _read(self, digest: str) -> Parts:
        """Return a plan; nothing where it cannot be read, which is no fault of the plan."""
        try:
            return read_plan(self._root, digest)
        except OSError as exc:
            warning = (
                f"{self._model}: {exc.filename} cannot be read by user {user_name()}: {exc.strerror}; whether the download can be "
                "completed is not known; run the module with become if it cannot"
            )
            if warning not in self.warnings:
                self.warnings.append(warning)
            return {}


def _size(body: bytes | None) -> object:
    """Return what a file of a plan stands for, in a form that can be compared: its size, or what is wrong with it."""
    try:
        return part_span(body)
    except ValueError as exc:
        return str(exc)
