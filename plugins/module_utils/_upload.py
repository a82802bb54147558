# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gives a server a GGUF file of the host and has a model created from it, so that the old one stays until then."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import (
    Action,
    new_name,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._files import Open, opened, pieces
from ansible_collections.alchemorsel.ollama.plugins.module_utils._held import Held
from ansible_collections.alchemorsel.ollama.plugins.module_utils._live import Live
from ansible_collections.alchemorsel.ollama.plugins.module_utils._origin import Recipe
from ansible_collections.alchemorsel.ollama.plugins.module_utils._progress import ENDED
from ansible_collections.alchemorsel.ollama.plugins.module_utils._pull import Clock, PullLimits, Report
from ansible_collections.alchemorsel.ollama.plugins.module_utils._record import SourceFile
from ansible_collections.alchemorsel.ollama.plugins.module_utils._switch import take_place

#: Seconds for what a server does with a file in silence: it reads, hashes and, from 0.30 on, writes it anew.
LEAST_LIMIT, LIMIT_PER_GB = 300.0, 60.0


def create_limit(size: int) -> float:
    """Return the seconds for a creation from a file of so many bytes."""
    return LEAST_LIMIT + LIMIT_PER_GB * size / 1e9


class Importer:
    """Creates models from files on one server.

    :param report: called with model and status line of an upload or a creation
    """

    def __init__(self, live: Live, *, limits: PullLimits, report: Report | None, clock: Clock) -> None:
        self._live = live
        self._limits = limits
        self._report = report
        self._clock = clock

    def create(self, action: Action, file: SourceFile) -> Held:
        """Upload the file unless the server has it, create the model, and return it as the server lists it."""
        try:
            if not self._live.client.has_blob(file.digest):
                self._upload(action, file)
            self._make(action, file)
        finally:
            self._tell(action, {"status": ENDED})
        return take_place(self._live, action, new_name(action.name), file.path)

    def _tell(self, action: Action, line: dict[str, object]) -> None:
        if self._report:
            self._report(action.name.short, line)

    def _upload(self, action: Action, file: SourceFile) -> None:
        try:
            with opened(file.path) as stream:
                if stream.identity != file.identity:
                    raise errors.FileChanged(f"'{file.path}' was changed after it was hashed; run again")
                self._live.client.upload_blob(
                    file.digest, self._told(action, file, stream), timeout=create_limit(file.identity.size)
                )
        except errors.BadAnswer as exc:
            raise _named(exc, f"the upload of '{file.path}' for {action.name} failed") from exc

    def _told(self, action: Action, file: SourceFile, stream: Open) -> Iterator[bytes]:
        """Yield the content of a file, and tell how far it is."""
        deadline = self._clock.now() + self._limits.pull_timeout
        line = {"status": "uploading", "digest": file.digest, "total": file.identity.size}
        done = 0
        for piece in pieces(stream):
            if self._clock.now() > deadline:
                raise errors.PullTimeout(
                    f"the upload of '{file.path}' for {action.name} did not end within pull_timeout, "
                    f"{self._limits.pull_timeout:g} s; check the way to {self._live.client.url}, or raise pull_timeout",
                    url=self._live.client.url,
                )
            yield piece
            done += len(piece)
            self._tell(action, {**line, "completed": done})

    def _make(self, action: Action, file: SourceFile) -> None:
        limit = create_limit(file.identity.size)
        fields = (action.recipe or Recipe()).body()
        failed = f"{action.name} cannot be created from '{file.path}'"
        try:
            for line in self._live.client.create_from_file(
                new_name(action.name).short, file.digest, timeout=limit, **fields
            ):
                # Where there are bytes, they are those of the server's own work.
                self._tell(action, {"status": str(line.get("status", ""))})
        except errors.BadAnswer as exc:
            raise _named(exc, failed) from exc
        except errors.StreamBroken as exc:
            raise errors.StreamBroken(
                f"{failed}: the server ended before it had said so; see its log whether it cannot read this file, or its "
                "memory was not enough. A model that was there before is still there",
                url=exc.url,
            ) from exc
        except errors.DeadlinePassed as exc:
            raise errors.DeadlinePassed(
                f"{failed} within {limit:.0f} s, which is {LEAST_LIMIT:g} s and {LIMIT_PER_GB:g} s for each GB; check the "
                "server's disk and log. A model that was there before is still there",
                url=exc.url,
            ) from exc


def _named(exc: errors.BadAnswer, failed: str) -> errors.OllamaError:
    """Return the error of an upload or a creation by its cause."""
    said = exc.error or exc.message
    kept = "A model that was there before is still there"
    if "no space left" in said:
        return errors.DiskFull(
            f"{failed}: {said}; free space in the server's store: from version 0.30 on it needs the size of the file twice. {kept}",
            url=exc.url,
            http_status=exc.http_status,
            error=exc.error,
        )
    if "digest mismatch" in said:
        return errors.FileChanged(
            f"{failed}: {said}; the file was changed meanwhile or damaged on the way, so run again. {kept}",
            url=exc.url,
            http_status=exc.http_status,
            error=exc.error,
        )
    remedy = "correct its declaration, or name a file that this version of Ollama can read"
    if exc.http_status == 413:
        remedy = "a gateway before the server limits the size of requests, so raise its limit"
    return errors.BadAnswer(
        f"{failed}: {said}; {remedy}. {kept}", url=exc.url, http_status=exc.http_status, error=exc.error
    )
