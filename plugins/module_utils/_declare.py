# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a task declares, checked before the server is asked: pure functions over plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidInput, InvalidName
from ansible_collections.alchemorsel.ollama.plugins.module_utils._keep_alive import parse_loaded
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName, parse_digest, parse_name
from ansible_collections.alchemorsel.ollama.plugins.module_utils._origin import (
    Import,
    Origin,
    parse_import,
    parse_origin,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._states import ABSENT, PRESENT


@dataclass(frozen=True)
class Desired:
    """One declared model; ``digest`` pins its manifest, ``origin`` or ``file`` is what it is made from if it is not pulled.

    :param loaded: in memory for good, not in memory, or (``None``) not looked at
    """

    name: ModelName
    state: str = PRESENT
    digest: str | None = None
    origin: Origin | None = None
    loaded: bool | None = None
    file: Import | None = None

    @property
    def pulled(self) -> bool:
        """Whether it comes from the source that its name tells."""
        return self.origin is None and self.file is None


def refuse(complaints: Sequence[str]) -> None:
    """Raise all complaints at once, if there are any.

    :raises InvalidInput: with one sentence for each
    """
    if not complaints:
        return
    if len(complaints) == 1:
        raise InvalidInput(f"{complaints[0]}. Nothing was changed.")
    listed = "; ".join(f"({number}) {text}" for number, text in enumerate(complaints, 1))
    raise InvalidInput(f"{len(complaints)} complaints, nothing was changed: {listed}")


def declare(entries: Iterable[Mapping[str, Any]], state: str = PRESENT) -> list[Desired]:
    """Return the declared models in their order.

    :param entries: dicts with ``name`` and, optionally, ``state``, ``digest`` and what :func:`parse_origin` and :func:`parse_loaded` read
    :param state: for entries that do not say theirs
    :raises InvalidInput: with everything that is wrong in all of them
    """
    desired: list[Desired] = []
    complaints: list[str] = []
    seen: dict[str, str] = {}
    for entry in entries:
        shown = str(entry["name"])
        wanted = entry.get("state") or state
        try:
            name = parse_name(shown)
        except InvalidName as exc:
            complaints.append(exc.message)
            continue
        if name.key in seen:
            complaints.append(
                f"'{seen[name.key]}' and '{shown}' are the same model, {name.short}, and both are declared; remove one"
            )
            continue
        seen[name.key] = shown
        digest = None
        if entry.get("digest"):
            try:
                digest = parse_digest(str(entry["digest"]))
            except InvalidInput as exc:
                complaints.append(f"model '{shown}': {exc.message}")
            if wanted != PRESENT:
                complaints.append(
                    f"model '{shown}' has a digest and state '{wanted}'; a digest pins the model and goes with state 'present' only"
                )
        origin = None if wanted == ABSENT else parse_origin(entry, complaints)
        file = None if wanted == ABSENT else parse_import(entry, complaints)
        loaded = parse_loaded(entry, wanted == ABSENT, complaints)
        desired.append(Desired(name, wanted, digest, origin, loaded, file))
    refuse(complaints)
    return desired
