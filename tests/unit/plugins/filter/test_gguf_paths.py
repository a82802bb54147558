# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that resolves relative paths of GGUF files."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.alchemorsel.ollama.plugins.filter.gguf_paths import gguf_paths
from hypothesis import given
from hypothesis import strategies as st

NAMES = st.text("ab", min_size=1, max_size=3)
MODELS = st.lists(
    st.fixed_dictionaries({"name": NAMES}, optional={"gguf": st.text("a/~$.", max_size=5), "loaded": st.booleans()})
)


def test_relative_paths_get_the_directory_and_nothing_else_changes():
    models = [
        {"name": "a", "gguf": "a.gguf", "parameters": {"num_ctx": 4096}},
        {"name": "b", "gguf": "/srv/b.gguf"},
        {"name": "c", "gguf": "~/c.gguf"},
        {"name": "d", "gguf": "$HOME/d.gguf"},
        {"name": "e", "state": "latest"},
        {"name": "f", "gguf": "team/f.gguf"},
        {"name": "g", "gguf": None},
    ]
    before = [dict(model) for model in models]
    found = gguf_paths(models, "/srv/preload/")
    assert [model.get("gguf") for model in found] == [
        "/srv/preload/a.gguf",
        "/srv/b.gguf",
        "~/c.gguf",
        "$HOME/d.gguf",
        None,
        "/srv/preload/team/f.gguf",
        None,
    ]
    assert [{**model, "gguf": 0} for model in found] == [{**model, "gguf": 0} for model in before]
    assert "gguf" not in found[4]
    assert models == before


@given(models=MODELS)
def test_a_second_time_changes_nothing(models):
    once = gguf_paths(models, "/srv")
    assert gguf_paths(once, "/elsewhere") == once
    assert [model["name"] for model in once] == [model["name"] for model in models]


def test_relative_path_without_a_directory_is_refused_with_every_model():
    models = [{"name": "a", "gguf": "a.gguf"}, {"name": "b", "gguf": "/b.gguf"}, {"name": "c", "gguf": "c.gguf"}]
    with pytest.raises(AnsibleFilterError, match=r"'a\.gguf' of a, 'c\.gguf' of c; .*ollama_preload_dir"):
        gguf_paths(models, "")
    assert gguf_paths(models[1:2], "") == models[1:2]


@pytest.mark.parametrize("models", ["llama3.2", ["llama3.2"], None, {"name": "a"}])
def test_what_is_no_list_of_models_is_named(models):
    with pytest.raises(AnsibleFilterError, match="gguf_paths wants a list of dictionaries"):
        gguf_paths(models, "/srv")
