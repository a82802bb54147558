# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removes begun downloads that can never be completed, around each attempt of a pull; what can be resumed is left alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Callable

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._begun import (
    Parts,
    any_begun,
    hopeless,
    in_use,
    read_plan,
    remove_plan,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._pull import Clock
from ansible_collections.alchemorsel.ollama.plugins.module_utils._store import blob_path, user_name

#: Seconds that a server may hold a download after its client has left: its longest pause is 32 seconds, and nothing ends that.
HELD = 40
#: Seconds in which a server that is about to begin a download has written its plan.
SETTLED = 1.0


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
        self._asked: Mapping[str, int] | None = None
        self._attempts = 0
        #: blobs for which attempts of this pull have made a plan that cannot be completed
        self._again: set[str] = set()
        #: what the operator should know
        self.warnings: list[str] = []

    def __call__(self, until: float) -> bool:
        """Remove what cannot be completed; tell whether there was any.

        :param until: the clock's time at which the pull has to end
        :raises StoreBroken: if it cannot be removed
        :raises SourceUnusable: if the source has announced another size than its manifest again and again
        """
        self._attempts += 1
        try:
            cleared = {digest: why for digest in self._known() if (why := self._clear(digest, until))}
        except OSError as exc:
            raise errors.StoreBroken(
                f"the download of {self._model} that was begun in the store can never be completed and has to go, but {exc.filename} "
                f"cannot be removed by user {user_name()}: {exc.strerror}; run the module with become, or remove all files whose "
                "names begin as its name does up to -partial, while nothing is pulled",
                url=self._url,
            ) from exc
        # The first time, it is what an earlier run has left, and the source may have become right since.
        if self._attempts > 1:
            for digest, why in cleared.items():
                if digest in self._again:
                    raise errors.SourceUnusable(
                        f"pull of {self._model} failed: the source announces another size for blob {digest} than its "
                        f"manifest: the download that the server began could never be completed, since {why}; the source "
                        "has to be repaired, or what stands between and alters answers. Nothing of that download was left.",
                        url=self._url,
                    )
            self._again.update(cleared)
        return bool(cleared)

    def _known(self) -> Mapping[str, int]:
        """Return the sizes of the model's blobs. The source is asked once, and only where the store has a begun download."""
        if self._asked is None:
            if not any_begun(self._root):
                return {}
            self._asked = self._sizes()
        return self._asked

    def _clear(self, digest: str, until: float) -> str:
        """Remove one begun download that can never be completed and that nobody is at work on; return why."""
        seen = self._read(digest)
        why = hopeless(seen, self._known()[digest])
        if not why:
            return ""
        self._clock.sleep(SETTLED)
        for _second in range(HELD):
            if not in_use(self._root, digest) or self._clock.now() + 1 >= until:
                break
            self._clock.sleep(1.0)
        what = f"the download {blob_path(self._root, digest)}-partial that was begun can never be completed: {why}"
        if in_use(self._root, digest):
            # Somebody else pulls it: the server would write the plan anew.
            self.warnings.append(f"{self._model}: {what}; it was left alone, since it is open in some process")
            return ""
        if self._read(digest) != seen:
            # It has just been begun, or has just ended.
            return ""
        remove_plan(self._root, digest, seen)
        self.warnings.append(f"{self._model}: {what}; it was removed, so that the blob is fetched anew")
        return why

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
