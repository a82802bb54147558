# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of a plan that is about models whose files are broken: which they are, and how they become whole. Pure.

A pull fetches what is missing, but takes a blob that is there as it is. So a blob with a wrong size has to go first, and
nothing goes before the source has shown that it still serves what is to replace it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import (
    NO_OFFER,
    REPAIR,
    UNKNOWN,
    Action,
    Draft,
    Offer,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._created import Difference
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import Desired
from ansible_collections.alchemorsel.ollama.plugins.module_utils._held import Held
from ansible_collections.alchemorsel.ollama.plugins.module_utils._mirror import fetched_as, in_between
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName
from ansible_collections.alchemorsel.ollama.plugins.module_utils._states import ABSENT, PRESENT
from ansible_collections.alchemorsel.ollama.plugins.module_utils._store import Bad, Contents, Cure, Stored, blob_path

#: So many blobs are named in a reason.
_NAMED = 3
_BACKUP = "put its files back from a backup, or declare another model"


@dataclass(frozen=True)
class Fault:
    """A model whose files are broken.

    :param name: as on disk, or as the server lists it
    :param reason: what is broken
    :param stored: what the store holds of it, ``None`` where only the server was asked
    :param status: what show answered, where the store tells nothing
    """

    name: ModelName
    reason: str
    stored: Stored | None = None
    bad: tuple[Bad, ...] = ()
    status: int | None = None

    @property
    def digest(self) -> str:
        """The digest of its manifest, an empty text if that is none or not known."""
        return self.stored.digest if self.stored else ""

    @property
    def details(self) -> tuple[Difference, ...]:
        """What is not as it should be, for a diff."""
        if self.status is not None:
            return (Difference("show", f"status {self.status}", "answers"),)
        return tuple(
            Difference(f"blob {one.digest}", None if one.found is None else f"{one.found} bytes", f"{one.wanted} bytes")
            for one in self.bad
        )


@dataclass(frozen=True)
class Stock:
    """What is known of the server's disk and memory.

    :param contents: ``None`` without ``store_path``
    :param faults: broken models by key
    :param removable: whether ``user`` may remove blobs
    :param free: bytes for new blobs
    :param min_free: bytes that must stay free
    :param memory_limit: bytes that a model may have
    """

    contents: Contents | None = None
    faults: Mapping[str, Fault] = field(default_factory=dict)
    removable: bool = False
    user: str = ""
    free: int = 0
    min_free: int = 0
    memory_limit: int | None = None

    @property
    def judges(self) -> bool:
        """Whether the size of every model that is to be fetched has to be known before."""
        return self.contents is not None or self.memory_limit is not None


NO_STOCK = Stock()


def faults_of(contents: Contents) -> dict[str, Fault]:
    """Return the models of a store that are broken, by key."""
    faults = {}
    for key, stored in contents.models.items():
        bad = contents.bad(stored.blobs)
        if stored.problem:
            faults[key] = Fault(stored.name, f"its manifest {stored.path} {stored.problem}", stored)
        elif bad:
            faults[key] = Fault(stored.name, listed([str(one) for one in bad]), stored, bad)
    return faults


def listed(texts: Sequence[str]) -> str:
    """Return the first texts, and how many more there are."""
    rest = len(texts) - _NAMED
    return "; ".join(texts[:_NAMED]) + (f"; and {rest} more" if rest > 0 else "")


def needed(desired: Sequence[Desired]) -> list[Desired]:
    """Return what has to be whole for the declared set: declared models that are pulled, and undeclared bases and targets."""
    wanted = [item for item in desired if item.state != ABSENT]
    declared = {item.name.key for item in desired}
    origins = {item.origin.name.key: item.origin.name for item in wanted if item.origin}
    return [item for item in wanted if item.pulled] + [
        Desired(name) for key, name in origins.items() if key not in declared
    ]


def to_repair(desired: Sequence[Desired], stock: Stock) -> dict[str, Desired]:
    """Return what of :func:`needed` is broken, by key."""
    return {item.name.key: item for item in needed(desired) if item.name.key in stock.faults}


def mend(
    draft: Draft,
    desired: Sequence[Desired],
    held: Mapping[str, Held],
    offers: Mapping[str, Offer],
    stock: Stock,
    mirror: str | None = None,
) -> None:
    """Add the repairs of broken models, and to every fetch what has to go before it.

    :param mirror: as in the rules of the plan
    """
    # A base that nobody declares is fetched in the same way.
    passing = in_between([*desired, *(one for one in needed(desired) if one not in desired)], mirror)
    for key, item in to_repair(desired, stock).items():
        offer = offers.get(key, NO_OFFER)
        action, complaint = _repair(item, stock.faults[key], held, offer, stock)
        if action:
            via, complaint = fetched_as(action.name, mirror, passing)
            action = replace(action, via=via)
        if complaint:
            draft.complaints.append(complaint)
        elif action:
            draft.fetches.append(action)
            if offer.digest is None and not offer.busy:
                draft.warnings.append(f"{offer.problem}; it is pulled all the same, to repair it ({item.name})")
    order = {item.name.key: number for number, item in enumerate(desired)}
    draft.fetches = [
        _with_way(draft, fetch, offers.get(fetch.name.key, NO_OFFER), stock)
        for fetch in sorted(draft.fetches, key=lambda fetch: order.get(fetch.name.key, len(order)))
    ]
    draft.warnings += _others(draft, desired, stock)


def remaking(key: str, again: Iterable[str], stock: Stock) -> tuple[Cure | None, str]:
    """Return what has to go before a broken model is made again from another one, or a complaint; neither if it is whole.

    :param again: blobs that are fetched before
    """
    fault = stock.faults.get(key)
    if fault is None:
        return None, ""
    wrong = tuple(one for one in fault.bad if one.found is not None and one.digest not in again)
    return way(fault.name, wrong, stock)


def way(name: ModelName, wrong: Sequence[Bad], stock: Stock) -> tuple[Cure | None, str]:
    """Return how blobs with a wrong size are got rid of, or a complaint that they cannot be."""
    if not wrong or stock.contents is None:
        return Cure(), ""
    if stock.removable:
        return Cure(unlink=tuple(wrong)), ""
    users = {user.key: user for one in wrong for user in stock.contents.users(one.digest)}
    own = users.pop(name.key, None)
    if own and not users:
        return Cure(anew=True), ""
    files = ", ".join(blob_path(stock.contents.root, one.digest) for one in wrong)
    why = f"{', '.join(user.short for user in users.values())} also named there" if users else "no model named there"
    return None, (
        f"{name} cannot be made whole: {listed([str(one) for one in wrong])}. A pull takes a file that is there as it is, "
        f"user {stock.user} may not remove it, and the API cannot ({why}); run the module with become, or remove {files}"
    )


def _repair(
    item: Desired, fault: Fault, held: Mapping[str, Held], offer: Offer, stock: Stock
) -> tuple[Action | None, str]:
    """Return the pull that makes a broken model whole, or a complaint why there can be none."""
    there = held.get(item.name.key)
    before = there.digest if there else None
    # The digest of a manifest that is none stands for no model.
    known = "" if fault.stored and fault.stored.problem else before or fault.digest
    broken = f"{fault.name} is broken: {fault.reason}"
    if offer.gone:
        return None, f"{broken}. It cannot be fetched again: {offer.problem}; {_BACKUP}"
    if item.digest and offer.digest and item.digest not in offer.digests:
        return None, (
            f"{broken}. It is pinned to {item.digest}, but its source serves {offer.digest}; pin that one, or {_BACKUP}"
        )
    if item.state == PRESENT and not item.digest and known and offer.digest and known not in offer.digests:
        return None, (
            f"{broken}. It has digest {known}, but its source serves {offer.digest} now; declare it with state latest to have "
            f"that one, or {_BACKUP}"
        )
    cure, complaint = _cure(fault, held, offer, stock)
    if cure is None:
        return None, complaint
    if offer.digest is None and cure != Cure():
        return None, (
            f"{broken}. Something has to be removed before it is pulled again, and nothing is before the source has shown that "
            f"it still serves it: {offer.problem}"
        )
    action = Action(
        REPAIR,
        there.name if there else fault.name,
        fault.reason,
        before,
        item.digest or offer.digest or UNKNOWN,
        offer.size or (there.size if there else 0),
        wanted=offer.digests | {item.digest} if item.digest else frozenset(),
        details=fault.details,
        cure=cure,
        busy=offer.problem if offer.busy else "",
    )
    return action, ""


def _cure(fault: Fault, held: Mapping[str, Held], offer: Offer, stock: Stock) -> tuple[Cure | None, str]:
    """Return what has to go before a broken model is pulled again, or a complaint."""
    if fault.status is None:
        blobs = offer.blobs or (fault.stored.blobs if fault.stored else {})
        return way(fault.name, _wrong(stock, blobs), stock)
    if fault.status == 404:
        # A file is missing.
        return Cure(), ""
    twins = _twins(fault, held, stock)
    if not twins:
        return Cure(anew=True), ""
    hint = "find the file whose content does not have the digest that it is named after"
    if stock.contents is None:
        hint = "give store_path, so that a file with a wrong size can be found"
    return None, (
        f"{fault.name} is broken: {fault.reason}. A pull takes files that are there as they are, and the API does not remove "
        f"them while {', '.join(twins)} uses them too; {hint}"
    )


def _twins(fault: Fault, held: Mapping[str, Held], stock: Stock) -> list[str]:
    """Return the other models that share files with a broken one, as far as that can be told."""
    key = fault.name.key
    if stock.contents is not None:
        own = stock.contents.models[key].blobs if key in stock.contents.models else {}
        users = {user.key: user.short for digest in own for user in stock.contents.users(digest)}
        return [short for other, short in users.items() if other != key]
    digest = held[key].digest if key in held else None
    return [model.name.short for other, model in held.items() if other != key and model.digest == digest]


def _with_way(draft: Draft, fetch: Action, offer: Offer, stock: Stock) -> Action:
    """Return a fetch with what has to go before it; a blob with a wrong size may lie there without any model."""
    wrong = _wrong(stock, offer.blobs)
    if fetch.cure is not None or not wrong:
        return fetch
    cure, complaint = way(fetch.name, wrong, stock)
    if complaint:
        draft.complaints.append(complaint)
    return replace(fetch, cure=cure)


def _wrong(stock: Stock, blobs: Mapping[str, int]) -> tuple[Bad, ...]:
    """Return those of some blobs that are there with another size."""
    bad = stock.contents.bad(blobs) if stock.contents else ()
    return tuple(one for one in bad if one.found is not None)


def _others(draft: Draft, desired: Sequence[Desired], stock: Stock) -> list[str]:
    """Return a warning for each broken model that stays as it is."""
    handled = {*to_repair(desired, stock), *(action.name.key for action in draft.deletes + draft.cleanups)}
    # Those made from others are made again.
    handled |= {item.name.key for item in desired if item.origin}
    texts = []
    for key, fault in stock.faults.items():
        if key in handled or fault.name.internal:
            continue
        remedy = "remove it, or declare it so that it is pulled again"
        if fault.stored and fault.stored.problem:
            remedy = "remove that file, or declare the model; the server does not tidy up its store at a start while it is there"
        texts.append(f"{fault.name} is not declared to be there, and broken: {fault.reason}; {remedy}")
    return texts
