# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of a plan that is about models created from files of the host. Pure.

What the server shows cannot prove such a model: 0.32 writes the weights anew, so that no digest leads back to the file,
and both versions add a template and parameters of their own choice. But whoever created it here has recorded the file's
digest, what was declared, and the digest of the model that came of it. As long as all three are the same, so is the model.
Otherwise it is created anew, under another name first: equal input gives an equal digest, and then nothing has changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Union

from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import (
    CREATE,
    UNKNOWN,
    Action,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._created import Difference, text_of
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import Desired
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import UnusableFile
from ansible_collections.alchemorsel.ollama.plugins.module_utils._held import Held
from ansible_collections.alchemorsel.ollama.plugins.module_utils._origin import Import
from ansible_collections.alchemorsel.ollama.plugins.module_utils._record import (
    GGUF,
    NONE_MADE,
    Made,
    MadeHere,
    SourceFile,
)

NO_FILES: Mapping[str, Union[SourceFile, UnusableFile]] = MappingProxyType({})


@dataclass(frozen=True)
class Local:
    """What is known on the host: declared files by path, or what is wrong with them, and the models that were made here."""

    files: Mapping[str, Union[SourceFile, UnusableFile]] = field(default_factory=lambda: NO_FILES)
    made: MadeHere = field(default_factory=lambda: NONE_MADE)


NOTHING_LOCAL = Local()


def plan_imports(
    desired: Sequence[Desired],
    held: Mapping[str, Held],
    local: Local,
    missing: frozenset[str],
    complaints: list[str],
) -> Iterator[Action]:
    """Yield the creations that models from files need.

    :param missing: keys of models that the server lists although files of them are missing
    :param complaints: gets a sentence for each file that cannot be used
    """
    for item in desired:
        if item.file is None:
            continue
        file, there = local.files[item.file.path], held.get(item.name.key)
        if isinstance(file, UnusableFile):
            complaints.append(f"{item.name} cannot be created: {file.message}")
            continue
        made = local.made.get(item.name.key)
        reason, details = verdict(item.file, file, there, made, item.name.key in missing)
        if reason:
            yield Action(
                CREATE,
                there.name if there else item.name,
                reason,
                digest_before=there.digest if there else None,
                digest_after=UNKNOWN,
                bytes=file.identity.size,
                recipe=item.file.recipe,
                details=details,
                file=file,
            )


def verdict(
    wanted: Import, file: SourceFile, there: Held | None, made: Made | None, missing: bool
) -> tuple[str, tuple[Difference, ...]]:
    """Return why a model has to be created, and what that changes; no reason if it is as declared.

    :param made: what is recorded of its creation
    :param missing: whether files of it are missing on the server
    """
    if there is None:
        return "not there", (Difference("gguf", None, wanted.path), *_changes({}, "", wanted, file))
    if missing:
        return "files of it are missing", ()
    if file.digest == UNKNOWN:
        return "its file was changed or never hashed", ()
    if made is None or made.how != GGUF:
        return "there is no record of its creation, so it is created anew and the digests are compared", ()
    if made.digest != there.digest:
        return "it is not what was created here, so it is created anew and the digests are compared", ()
    changes = _changes(made.recipe, made.source, wanted, file)
    return (f"not as declared: {', '.join(change.field for change in changes)}" if changes else ""), changes


def _changes(before: Mapping[str, Any], source: str, wanted: Import, file: SourceFile) -> tuple[Difference, ...]:
    """Return what is declared otherwise than at the creation; the weights by the digest of their file."""
    old, new = _fields(before), _fields(wanted.recipe.body())
    if file.digest != UNKNOWN:
        old, new = {"weights": source or None, **old}, {"weights": file.digest, **new}
    return tuple(
        Difference(name, text_of(old.get(name)), text_of(new.get(name)))
        for name in {**new, **old}
        if old.get(name) != new.get(name)
    )


def _fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a creation by the names that people know, texts first, parameters sorted."""
    fields = {name: body[name] for name in ("system", "template") if name in body}
    parameters = body.get("parameters")
    pairs = sorted(parameters.items()) if isinstance(parameters, Mapping) else []
    return {**fields, **{f"parameter {key}": value for key, value in pairs}}
