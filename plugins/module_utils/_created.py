# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Declared fields of a created model against what the server shows of it and of its base: pure functions.

The server records nothing reliable about a model's base. But it shows the files that a model consists of, its texts and
its parameters, for the model and for the base alike: a created model is right if it is the base with the declared fields
over it. So a changed base and a field that is no longer declared are seen without any record of ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Union

from ansible_collections.alchemorsel.ollama.plugins.module_utils._origin import Recipe

#: One value of a parameter: text, number, or bool; ``None`` for what the server calls <nil>.
Scalar = Union[str, float, bool, None]

_FILE = re.compile(r"^(?:FROM|ADAPTER|DRAFT) .*?sha256[-:]([0-9a-f]{64})\s*$", re.MULTILINE)
_QUOTED = re.compile(r'"""(?:.*?)"""(?=\n|\Z)|"[^"]*"(?=\n|\Z)|[^\n]*', re.DOTALL)
_CODE = re.compile(r"(?:RENDERER [^\n]*\n)?(?:PARSER [^\n]*\n)?")
_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|([abfnrtv\\\"']))")
_LETTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


@dataclass(frozen=True)
class Difference:
    """One field that is not as declared; texts as people read them, ``None`` for a field that is not set."""

    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Comparison:
    """What is different, and what cannot be told from what the server shows."""

    differences: tuple[Difference, ...] = ()
    unproven: tuple[str, ...] = ()


def compare(shown: Mapping[str, Any], base: Mapping[str, Any], recipe: Recipe) -> Comparison:
    """Compare a created model with its base and what is declared over it.

    :param shown: answer of ``/api/show`` for the created model
    :param base: the same for its base
    """
    differences: list[Difference] = []
    unproven: list[str] = []
    files, wanted_files = _files(shown), _files(base)
    if files and wanted_files:
        if files != wanted_files:
            differences.append(Difference("weights", " ".join(files), " ".join(wanted_files)))
    else:
        unproven.append("weights")
    for field, wanted in (
        ("system", recipe.system or base.get("system") or ""),
        ("license", base.get("license") or ""),
        ("messages", base.get("messages") or []),
    ):
        found = shown.get(field) or type(wanted)()
        if found != wanted:
            differences.append(Difference(field, _text(found), _text(wanted)))
    template = _template(shown, base, recipe)
    if template is None:
        unproven.append("template")
    elif not template:
        after = recipe.template or str(base.get("template") or "")
        differences.append(Difference("template", str(shown.get("template") or ""), after))
    code, wanted_code = _code(shown), _code(base)
    if code != wanted_code:
        differences.append(Difference("renderer and parser", code or None, wanted_code or None))
    differences += _parameters(shown, base, recipe)
    return Comparison(tuple(differences), tuple(unproven))


def declared(base: str, recipe: Recipe) -> tuple[Difference, ...]:
    """Return the declared fields of a model that is not there yet."""
    fields = [("from", base), ("system", recipe.system), ("template", recipe.template)]
    fields += [(f"parameter {key}", _text(values(value))) for key, value in sorted(recipe.parameters.items())]
    return tuple(Difference(field, None, text) for field, text in fields if text)


def text_of(value: Any) -> str | None:
    """Return a declared value as people read it, ``None`` for one that is not set."""
    return None if value is None else _text(value if isinstance(value, str) else values(value))


# --- files and template -------------------------------------------------------------------------------------------


def _files(shown: Mapping[str, Any]) -> list[str]:
    """Return the digests of the files that a model consists of, in order; nothing if they are not shown."""
    head = str(shown.get("modelfile") or "").partition("\nTEMPLATE ")[0]
    return [f"sha256:{digest}" for digest in _FILE.findall(head)]


def _template(shown: Mapping[str, Any], base: Mapping[str, Any], recipe: Recipe) -> bool | None:
    """Tell whether the template is the declared one, or the base's; ``None`` if it cannot be told.

    Where the weights bring a Jinja template, 0.32 shows that one instead of the model's own, which only its Modelfile has.
    """
    own, rest = _section(shown)
    if recipe.template:
        if shown.get("template") == recipe.template or _begins(rest, recipe.template):
            return True
    elif own is not None:
        base_own, _rest = _section(base)
        if own == base_own:
            return True
    elif shown.get("template") == base.get("template"):
        return None if _jinja(shown) else True
    return None if own is None and _jinja(shown) else False


def _jinja(shown: Mapping[str, Any]) -> bool:
    return "{%" in str(shown.get("template") or "")


def _section(shown: Mapping[str, Any]) -> tuple[str | None, str]:
    """Return the template in a Modelfile as it is quoted there, and the text that begins with it."""
    _head, found, rest = str(shown.get("modelfile") or "").partition("\nTEMPLATE ")
    quoted = _QUOTED.match(rest)
    return (quoted.group() if found and quoted else None), rest


def _begins(rest: str, text: str) -> bool:
    """Tell whether a Modelfile goes on with this argument, quoted as the server does it."""
    quoted = quote(text)
    return rest.startswith(quoted) and rest[len(quoted) :][:1] in ("", "\n")


def quote(text: str) -> str:
    """Return an argument as the server writes it into a Modelfile; the quotes of the text itself are not escaped."""
    if "\n" in text or text.startswith(" ") or text.endswith(" "):
        return f'"""{text}"""' if '"' in text else f'"{text}"'
    return text


def _code(shown: Mapping[str, Any]) -> str:
    """Return the lines about the server's own renderer and parser, which follow template and system text."""
    own, rest = _section(shown)
    rest = rest[len(own or "") :].lstrip("\n")
    system = f"SYSTEM {quote(str(shown.get('system') or ''))}"
    if rest.startswith(system):
        rest = rest[len(system) :].lstrip("\n")
    found = _CODE.match(rest)
    return " ".join(found.group().split()) if found else ""


# --- parameters ---------------------------------------------------------------------------------------------------


def _parameters(shown: Mapping[str, Any], base: Mapping[str, Any], recipe: Recipe) -> list[Difference]:
    found = parse_parameters(str(shown.get("parameters") or ""))
    wanted = parse_parameters(str(base.get("parameters") or ""))
    wanted.update({key: values(value) for key, value in recipe.parameters.items()})
    return [
        Difference(f"parameter {key}", _text(found.get(key, [])) or None, _text(wanted.get(key, [])) or None)
        for key in sorted({*found, *wanted})
        if _multiset(found.get(key, [])) != _multiset(wanted.get(key, []))
    ]


def values(value: Any) -> list[Scalar]:
    """Return a declared value as a list of what the server shows, numbers as floats."""
    items = value if isinstance(value, list) else [value]
    return [float(item) if isinstance(item, (int, float)) and not isinstance(item, bool) else item for item in items]


def parse_parameters(text: str) -> dict[str, list[Scalar]]:
    """Parse the parameters that the server shows: a line for each, lists as a repeated key, the order is chance."""
    found: dict[str, list[Scalar]] = {}
    for line in text.split("\n"):
        parts = line.split(None, 1)
        if parts:
            found.setdefault(parts[0], []).append(parse_literal(parts[1].strip() if len(parts) > 1 else ""))
    return found


def parse_literal(text: str) -> Scalar:
    """Parse a value as Go writes it; what is none is returned as a text.

    Strings are quoted with escapes, numbers are always floats (``1`` is 1.0, ``1.048576e+06`` is 1048576).
    """
    if text in ("true", "false"):
        return text == "true"
    if text == "<nil>":
        return None
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return _unescape(text[1:-1])
    try:
        return float(text)
    except ValueError:
        return text


def _unescape(text: str) -> str:
    """Return a Go string without its escapes; ``\\x`` stands for a byte."""

    def one(match: re.Match[str]) -> bytes:
        byte, short, long, letter = match.groups()
        if byte:
            return bytes([int(byte, 16)])
        code = 0 if letter else int(short or long, 16)
        if code > 0x10FFFF or 0xD800 <= code < 0xE000:
            # No character: it stays as it is written
            return match.group().encode()
        return (_LETTERS.get(letter, letter) if letter else chr(code)).encode()

    out, end = b"", 0
    for match in _ESCAPE.finditer(text):
        out += text[end : match.start()].encode() + one(match)
        end = match.end()
    return (out + text[end:].encode()).decode("utf-8", "replace")


def _multiset(items: list[Scalar]) -> list[str]:
    return sorted(f"{type(item).__name__} {item!r}" for item in items)


def _text(value: Any) -> str:
    """Return a field as one line for people; texts are shown as they are, if they have one line."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return f"{value.get('role')}: {value.get('content')}"
    return str(value)
