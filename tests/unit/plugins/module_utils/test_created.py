# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declared fields against what the server shows, and the values that it shows, read as Go writes them."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._created import (
    Difference,
    compare,
    parse_literal,
    parse_parameters,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._origin import Recipe, parse_origin
from ansible_collections.alchemorsel.ollama.plugins.module_utils._parameters import PARAMETERS, convert
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.created_models import Content, literal

BASE = Content(parameters={"temperature": 0.7, "stop": ["</s>"]}, license="free")
RECIPE = Recipe("Be brief.", "{{ .System }} {{ .Prompt }}", {"num_ctx": 8192, "stop": ["a", "b"]})


def made(base=BASE, recipe=RECIPE):
    return base.over("base", recipe.body())


def fields(shown, base=BASE, recipe=RECIPE):
    result = compare(shown.show(), base.show(), recipe)
    assert result.unproven == ()
    return {one.field: (one.before, one.after) for one in result.differences}


# --- values -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1.0),
        ("0.7", 0.7),
        ("1e-05", 0.00001),
        ("1.048576e+06", 1048576.0),
        ("131072", 131072.0),
        ("-1", -1.0),
        ("true", True),
        ("<nil>", None),
        ('"</s>"', "</s>"),
        (r'"\n"', "\n"),
        (r'"a\"b"', 'a"b'),
        (r'"\x01\u200b\U000e0001"', "\x01\u200b\U000e0001"),
        (r'"\xff"', "\ufffd"),
        ("", ""),
        ("map[string]interface {}{}", "map[string]interface {}{}"),
    ],
)
def test_literals(text, value):
    assert parse_literal(text) == value


SCALARS = (
    st.text()
    | st.booleans()
    | st.none()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(2**53), 2**53)
)


@given(SCALARS)
def test_what_go_writes_is_read_back(value):
    assert parse_literal(literal(value)) == value


@given(
    st.dictionaries(st.sampled_from(sorted(PARAMETERS)), SCALARS | st.lists(SCALARS, min_size=1), min_size=1),
    st.randoms(),
)
def test_parameters_are_read_back_in_any_order(parameters, chance):
    pairs = [
        (key, item) for key, value in parameters.items() for item in (value if isinstance(value, list) else [value])
    ]
    lines = [f"{key:<30} {literal(item)}" for key, item in pairs]
    chance.shuffle(lines)
    read = parse_parameters("\n".join(lines))
    assert sorted(
        map(repr, itertools.chain(*([(key, item) for item in items] for key, items in read.items())))
    ) == sorted(
        repr((key, float(item) if isinstance(item, int) and not isinstance(item, bool) else item))
        for key, item in pairs
    )


# --- comparison ---------------------------------------------------------------------------------------------------


def test_as_declared():
    assert fields(made()) == {}
    assert fields(BASE.over("base", {}), recipe=Recipe()) == {}


@pytest.mark.parametrize(
    ("shown", "base", "recipe", "wanted"),
    [
        (made(), BASE, Recipe("Be long.", RECIPE.template, RECIPE.parameters), {"system": ("Be brief.", "Be long.")}),
        (made(), BASE, Recipe("", RECIPE.template, RECIPE.parameters), {"system": ("Be brief.", "")}),
        (made(), BASE, Recipe(RECIPE.system, "", RECIPE.parameters), {"template": (RECIPE.template, "{{ .Prompt }}")}),
        (made(), BASE, Recipe(RECIPE.system, "x", RECIPE.parameters), {"template": (RECIPE.template, "x")}),
        (
            made(),
            BASE,
            Recipe(RECIPE.system, RECIPE.template, {"num_ctx": 4096}),
            {"parameter num_ctx": ("8192", "4096"), "parameter stop": ("a, b", "</s>")},
        ),
        (
            made(),
            BASE,
            Recipe(RECIPE.system, RECIPE.template, {"stop": ["b", "a"]}),
            {"parameter num_ctx": ("8192", None)},
        ),
        (
            made(),
            Content(parameters={"stop": ["</s>"]}, license="free"),
            RECIPE,
            {"parameter temperature": ("0.7", None)},
        ),
        (made(), Content(parameters=BASE.parameters, license="paid"), RECIPE, {"license": ("free", "paid")}),
        (
            made(),
            Content(parameters=BASE.parameters, license="free", system="Base."),
            Recipe("", RECIPE.template, RECIPE.parameters),
            {"system": ("Be brief.", "Base.")},
        ),
    ],
)
def test_differences(shown, base, recipe, wanted):
    assert fields(shown, base, recipe) == wanted


def test_another_base():
    assert list(fields(made(), Content("other", parameters=BASE.parameters, license="free"))) == ["weights"]


def test_a_stop_of_the_base_can_be_removed():
    recipe = Recipe(parameters={"stop": []})
    assert fields(made(recipe=recipe), recipe=recipe) == {}
    assert fields(made(recipe=Recipe()), recipe=recipe) == {"parameter stop": ("</s>", None)}


TEMPLATES = ["{{ .Prompt }}", "a\nb", 'a "b"\nc', " a", 'a"""\nb', '"a"', "a\nSYSTEM x"]


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_hidden_behind_the_one_of_the_weights(template):
    base = Content(jinja="{% if tools %}")
    recipe = Recipe(template=template)
    assert fields(made(base, recipe), base, recipe) == {}
    for other in TEMPLATES:
        if other != template:
            assert list(fields(made(base, Recipe(template=other)), base, recipe)) == ["template"]


def test_what_is_not_shown_is_not_guessed():
    shown, base = made().show(), BASE.show()
    del shown["modelfile"]
    assert compare(shown, base, RECIPE).unproven == ("weights",)
    shown["template"] = "{% if tools %}"
    assert compare(shown, base, RECIPE).unproven == ("weights", "template")


def test_renderer_and_parser_are_the_bases():
    shown, base = made().show(), BASE.show()
    base["modelfile"] = base["modelfile"].replace("PARAMETER", "RENDERER r\nPARSER p\nPARAMETER", 1)
    assert compare(shown, base, RECIPE).differences == (Difference("renderer and parser", None, "RENDERER r PARSER p"),)
    shown["modelfile"] = shown["modelfile"].replace("PARAMETER", "RENDERER r\nPARSER p\nPARAMETER", 1)
    assert compare(shown, base, RECIPE).differences == ()


TEXTS = st.text(max_size=8) | st.sampled_from(TEMPLATES)
VALUES = {
    "num_ctx": st.integers(1, 10**7),
    "temperature": st.floats(0, 2),
    "stop": st.lists(TEXTS, max_size=3),
    "use_mmap": st.booleans(),
}
SETS = st.fixed_dictionaries({}, optional=VALUES)


@given(
    st.builds(Content, system=TEXTS, template=TEXTS, parameters=SETS),
    st.builds(Recipe, TEXTS, TEXTS, SETS),
    st.builds(Recipe, TEXTS, TEXTS, SETS),
)
def test_what_was_created_is_as_declared_and_what_differs_is_seen(base, recipe, other):
    assert fields(made(base, recipe), base, recipe) == {}
    mine, theirs = made(base, recipe), made(base, other)
    assert bool(fields(theirs, base, recipe)) == (essence(mine) != essence(theirs))


def essence(content):
    parameters = {
        key: sorted(value) if isinstance(value, list) else value
        for key, value in content.parameters.items()
        if value != []
    }
    return content.system, content.template or "{{ .Prompt }}", parameters


# --- what is declared ---------------------------------------------------------------------------------------------


def test_values_are_converted_as_jinja_hands_them_over():
    complaints = []
    given_values = {
        "temperature": "0.2",
        "num_ctx": "8192",
        "seed": 7.0,
        "use_mmap": "True",
        "top_p": 1,
        "stop": "###",
    }
    converted = convert(given_values, complaints)
    assert converted == {
        "temperature": 0.2,
        "num_ctx": 8192,
        "seed": 7,
        "use_mmap": True,
        "top_p": 1.0,
        "stop": ["###"],
    }
    assert [type(converted[key]) for key in ("num_ctx", "seed", "use_mmap", "top_p")] == [int, int, bool, float]
    assert convert({"stop": ["a", 42]}, complaints) == {"stop": ["a", "42"]}
    assert complaints == []


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("num_contxt", 1, "parameter 'num_contxt' is not known to Ollama; wanted 'num_ctx'"),
        ("zzz", 1, "one of draft_num_predict, "),
        ("num_ctx", "8k", "parameter 'num_ctx' is '8k'; wanted a whole number"),
        ("num_ctx", 1.5, "wanted a whole number"),
        ("num_ctx", True, "wanted a whole number"),
        ("num_ctx", None, "is None; wanted a whole number, or leave it out"),
        ("num_ctx", float("inf"), "wanted a whole number"),
        ("temperature", "hot", "wanted a number"),
        ("temperature", "nan", "wanted a number"),
        ("temperature", 10**400, "wanted a number"),
        ("use_mmap", 1, "wanted true or false"),
        ("use_mmap", "maybe", "wanted true or false"),
        ("stop", [""], "wanted a list of texts that are not empty"),
        ("stop", {"a": 1}, "wanted a list of texts"),
        ("stop", [None], "wanted a list of texts"),
    ],
)
def test_unfit_parameters(key, value, words):
    complaints = []
    convert({key: value}, complaints)
    assert len(complaints) == 1 and words in complaints[0]


@given(
    st.dictionaries(
        st.sampled_from(sorted(PARAMETERS)), SCALARS | st.lists(SCALARS) | st.dictionaries(st.text(), SCALARS)
    )
)
def test_a_conversion_is_a_value_or_a_complaint(parameters):
    complaints = []
    converted = convert(parameters, complaints)
    assert len(converted) + len(complaints) == len(parameters)
    assert convert(converted, []) == converted
    assert convert({key: str(value) for key, value in converted.items() if key != "stop"}, []) == {
        key: value for key, value in converted.items() if key != "stop"
    }


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"from": "a", "digest": "sha256:1"}, "has from and a digest; the server gives a created model its digest"),
        ({"copy_of": "a", "system": "x"}, "has copy_of and system; an alias is its target without any change"),
        ({"copy_of": "a", "from": "b"}, "has copy_of and from"),
        (
            {"system": "x", "parameters": {}},
            "has system, parameters without from or gguf; name the model",
        ),
        ({"from": "a:cloud"}, "model 'm', from: model name 'a:cloud' has the tag 'cloud'"),
        ({"from": "a", "parameters": {"top_k": "x"}}, "model 'm': parameter 'top_k' is 'x'"),
    ],
)
def test_refused_declarations(entry, words):
    complaints = []
    parse_origin({"name": "m", **entry}, complaints)
    assert len(complaints) == 1 and words in complaints[0]
