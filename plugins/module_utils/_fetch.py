# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetches one model, and loses nothing on the way."""

from __future__ import annotations

from typing import Callable

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import (
    REPAIR,
    UPDATE,
    Action,
    guard_name,
    new_name,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._clearing import Clearing
from ansible_collections.alchemorsel.ollama.plugins.module_utils._held import Held
from ansible_collections.alchemorsel.ollama.plugins.module_utils._live import Live
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName
from ansible_collections.alchemorsel.ollama.plugins.module_utils._progress import ENDED
from ansible_collections.alchemorsel.ollama.plugins.module_utils._pull import (
    DEFAULT_LIMITS,
    Clock,
    PullLimits,
    Report,
    pull,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._remove import remove
from ansible_collections.alchemorsel.ollama.plugins.module_utils._stock import is_broken
from ansible_collections.alchemorsel.ollama.plugins.module_utils._switch import arrived, switch
from ansible_collections.alchemorsel.ollama.plugins.module_utils._versions import dies_of_other_weights

_KEPT = "what was there before is there again"


class Fetcher:
    """Fetches models to one server.

    :param insecure: tells whether a model's registry speaks plain http
    :param report: called with model and status line of a pull
    :param store_path: the server's model directory, where it can be looked at
    :param clearing: returns what clears the way in the server's store for an action, where that can be looked at
    """

    def __init__(
        self,
        live: Live,
        *,
        insecure: Callable[[ModelName], bool],
        limits: PullLimits = DEFAULT_LIMITS,
        report: Report | None = None,
        clock: Clock | None = None,
        store_path: str | None = None,
        clearing: Callable[[Action], Clearing | None] = lambda action: None,
    ) -> None:
        self._live = live
        self._insecure = insecure
        self._limits = limits
        self._report = report
        self._clock = clock or Clock()
        self._clearing_of = clearing
        self._store_path = store_path
        #: what the operator should know of fetches that went well
        self.warnings: list[str] = []

    def fetch(self, action: Action) -> Held:
        """Pull a model and return it as the server lists it.

        What was there before is there until the new one is proven, and again if it is not.
        """
        try:
            return self._fetch(action)
        except errors.PullFailed as exc:
            if action.via is None:
                raise
            raise type(exc)(
                f"{action.name} could not be fetched from the mirror {action.via.host}: {exc.message}",
                url=exc.url,
                http_status=exc.http_status,
                error=exc.error,
            ) from exc

    def _fetch(self, action: Action) -> Held:
        guard = self._guard(action)
        try:
            right = self._pull(action, guard)
        except (errors.PullFailed, errors.StoreBroken):
            self._drop_guard(action, guard)
            raise
        try:
            model = self._proven(action, right)
        except errors.ServerUnreachable:
            # Nothing can be brought back now; the guard tells the next run.
            raise
        except errors.OllamaError:
            self._undo(action, guard)
            raise
        if action.via:
            model = self._take_over(action, model)
        if guard and guard.key in self._live.held:
            remove(self._live, guard)
            self._live.forget(guard)
        return model

    # --- pulling --------------------------------------------------------------------------------------------------

    def _pull(self, action: Action, guard: ModelName | None) -> bool:
        """Pull a model, and once more from nothing if a blob came with wrong bytes; tell whether it is right in the end.

        The server removes the first blob that came wrong and takes the pull for failed, but has put all others in
        their place by then, and never looks at them again.
        """
        until = self._clock.now() + self._limits.pull_timeout
        clearing = self._clearing_of(action)
        try:
            if not self._pull_once(action, until, clearing):
                return True
            self._take_away(action, guard)
            if self._pull_once(action, until, clearing):
                return False
        finally:
            self.warnings += clearing.warnings if clearing else []
        self.warnings.append(
            f"{action.name} came with wrong bytes at first, so that all that had been fetched of it was removed and fetched "
            "anew; look for a proxy that alters or shortens answers, or for bad memory or disk"
        )
        return True

    def _pull_once(self, action: Action, until: float, clearing: Clearing | None) -> bool:
        """Pull a model; tell whether a blob came with wrong bytes on the way."""
        place = action.via or action.name
        try:
            return pull(
                self._live.client,
                place.short,
                insecure=self._insecure(place),
                limits=self._limits,
                report=self._reporter(action.name),
                clock=self._clock,
                until=until,
                clear=clearing,
            )
        finally:
            if self._report:
                self._report(action.name.short, {"status": ENDED})

    def _reporter(self, name: ModelName) -> Report | None:
        """Return what shows the progress under a model's own name, wherever it comes from."""
        report = self._report
        return (lambda _place, line: report(name.short, line)) if report else None

    # --- proving --------------------------------------------------------------------------------------------------

    def _proven(self, action: Action, right: bool) -> Held:
        """Return what was pulled if it is what is wanted.

        :raises OllamaError: if it is not, or if that cannot be told
        """
        url = self._live.client.url
        place = action.via or action.name
        model = self._live.list().get(place.key)
        if not right:
            raise errors.DigestMismatch(
                f"{action.name} came with wrong bytes, was removed and fetched anew, and came with wrong bytes again; "
                f"{_KEPT}. Look for a proxy that alters or shortens answers, or for bad memory or disk",
                url=url,
            )
        if action.wanted and (model is None or model.digest not in action.wanted):
            found = model.digest if model else "nothing that the server lists"
            raise errors.DigestNotServed(
                f"{action.name} is pinned to {action.digest_after}, but the pull brought {found}; {_KEPT}. "
                "Pin that digest, or name a tag or mirror that still serves the pinned one",
                url=url,
            )
        if model is None:
            raise errors.BadAnswer(
                f"the pull of {action.name} ended with success, but the server does not list the model: its manifest or "
                f"config is broken at the source or on the server's disk; {_KEPT}. Give store_path, so that the disk is looked at",
                url=url,
            )
        self._check_weights(action.name, place)
        return model

    def _check_weights(self, name: ModelName, place: ModelName) -> None:
        """Find out whether the server could start again with this model.

        :raises WeightsUnusable: if it could not
        """
        client = self._live.client
        version = client.said_version or client.version()
        if not dies_of_other_weights(version):
            return
        try:
            client.show(place.short)
        except errors.HandlerDied as exc:
            raise errors.WeightsUnusable(
                f"the weights of {name} are no GGUF that this server, version {version}, can read: it panics over them, and would "
                f"do so at every start; {_KEPT}. Declare a model with GGUF weights, or update the server to 0.30 or newer",
                url=exc.url,
                http_status=exc.http_status,
            ) from exc
        except errors.ModelNotFound as exc:
            raise errors.BadAnswer(
                f"the pull of {name} ended with success, but the server cannot show the model: blobs of it are missing at the "
                f"source or on the server's disk; {_KEPT}",
                url=exc.url,
                http_status=exc.http_status,
                error=exc.error,
            ) from exc

    def _take_over(self, action: Action, fetched: Held) -> Held:
        """Give a model that has come under its name at the mirror its own one, and take the other name away."""
        there = self._live.held.get(action.name.key)
        if there is None or there.digest != fetched.digest:
            # A guard that an interrupted run left is not overwritten: its layers would stay for good.
            stale = guard_name(action.name).key in self._live.held
            aside = new_name(action.name) if stale else None
            switch(self._live.client, fetched.name, action.name, there, aside)
        remove(self._live, fetched.name)
        copied = f"was copied from {fetched.name} with digest {fetched.digest}"
        return arrived(self._live, action.name, fetched.digest, copied)

    # --- what was there before ------------------------------------------------------------------------------------

    def _guard(self, action: Action) -> ModelName | None:
        """Give the model that is there a second name, unless an interrupted run did so already.

        A pull under the name at the mirror does not touch it, so that only such a guard is one then. One of which files
        are broken guards nothing.
        """
        guard = guard_name(action.name)
        kept = self._live.held.get(guard.key)
        if kept and not is_broken(self._live.client, kept.name, self._store_path):
            return guard
        anew = action.cure is not None and action.cure.anew
        if action.kind not in (UPDATE, REPAIR) or action.via or anew or action.digest_before is None:
            return None
        if kept:
            remove(self._live, guard)
        self._live.client.copy(action.name.short, guard.short)
        return guard

    def _drop_guard(self, action: Action, guard: ModelName | None) -> None:
        """End a pull that failed with the model of the guard under its own name.

        The tag moves only at the end of a pull, so the old model is there still and its second name is not needed; but
        where an interrupted run left the guard, the tag holds what that run pulled, and the guard the only good one,
        unless any digest is good and the server can live with this one.
        """
        if guard is None:
            return
        held = self._live.list()
        kept, there = held.get(guard.key), held.get(action.name.key)
        if kept is None:
            return
        if there is not None and (there.digest == kept.digest or self._good(action)):
            remove(self._live, guard)
            self._live.forget(guard)
        else:
            self._bring_back(action, guard)

    def _good(self, action: Action) -> bool:
        """Tell whether what has the model's name is as good as what it had before."""
        if action.wanted:
            return False
        try:
            self._check_weights(action.name, action.name)
        except errors.OllamaError:
            return False
        return True

    def _take_away(self, action: Action, guard: ModelName | None) -> None:
        """Remove what was pulled with all its blobs, and have what was there before there meanwhile."""
        if action.via or guard is None:
            self._remove_pulled(action.via or action.name)
        else:
            there = self._live.list().get(action.name.key)
            switch(self._live.client, guard, action.name, there, new_name(action.name))

    def _undo(self, action: Action, guard: ModelName | None) -> None:
        """Bring back what was there before a pull."""
        self._take_away(action, guard)
        if guard:
            self._drop_guard(action, guard)
        else:
            self._live.list()

    def _bring_back(self, action: Action, guard: ModelName) -> None:
        """Let the model of the guard have its own name again."""
        there = self._live.held.get(action.name.key)
        switch(self._live.client, guard, action.name, there, new_name(action.name))
        remove(self._live, guard)
        self._live.list()

    def _remove_pulled(self, name: ModelName) -> None:
        """Remove what a pull has brought, as far as the API can."""
        try:
            remove(self._live, name)
        except errors.BadAnswer:
            # A manifest that does not parse; only another pull or somebody at the disk can take it away, and nobody lists it.
            return
