# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connection options of the modules <-> client. The only module_utils that knows Ansible.

The options are documented once, in the doc fragment ``alchemorsel.ollama.server``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.common.parameters import env_fallback
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import LibraryMissing, OllamaError
from ansible_collections.alchemorsel.ollama.plugins.module_utils._masked import hidden_in
from ansible_collections.alchemorsel.ollama.plugins.module_utils._states import STATES

if TYPE_CHECKING:
    from ansible_collections.alchemorsel.ollama.plugins.module_utils._client import OllamaClient
    from ansible_collections.alchemorsel.ollama.plugins.module_utils._registry import Registry

DEFAULT_URL = "http://127.0.0.1:11434"


def server_argument_spec() -> dict[str, dict[str, Any]]:
    """Return the options that say how an Ollama server is reached."""
    return {
        "url": {"type": "str", "default": DEFAULT_URL, "fallback": (env_fallback, ["ALCHEMORSEL_OLLAMA_URL"])},
        "api_key": {"type": "str", "no_log": True, "fallback": (env_fallback, ["ALCHEMORSEL_OLLAMA_API_KEY"])},
        "ca_path": {"type": "path"},
        "client_cert": {"type": "path"},
        "client_key": {"type": "path", "no_log": False},
        "validate_certs": {"type": "bool", "default": True},
        "timeout": {"type": "float", "default": 30.0},
    }


def source_argument_spec() -> dict[str, dict[str, Any]]:
    """Return the options that say how the sources of models are read."""
    return {
        "registry_mirror": {"type": "str"},
        "insecure_registries": {"type": "list", "elements": "str", "default": []},
        "registry_ca_path": {"type": "path"},
    }


def progress_argument_spec() -> dict[str, dict[str, Any]]:
    """Return the options of the display of progress; those with an underscore are the action plugin's own.

    ``_defer``: answer ``work_due`` instead of beginning to pull; ``_offers``: the offers of that answer;
    ``_progress_file``: where to write progress.
    """
    return {
        "progress": {"type": "bool", "default": True},
        "progress_interval": {"type": "float", "default": 5.0},
        "_defer": {"type": "bool", "default": False},
        "_offers": {"type": "dict"},
        "_progress_file": {"type": "path"},
    }


def models_argument_spec() -> dict[str, dict[str, Any]]:
    """Return the options that declare models."""
    entry = {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": list(STATES)},
        "digest": {"type": "str"},
        "copy_of": {"type": "str"},
        "from": {"type": "str"},
        "gguf": {"type": "path"},
        "system": {"type": "str"},
        "template": {"type": "str"},
        "parameters": {"type": "dict"},
        "loaded": {"type": "bool"},
        "keep_alive": {"type": "str"},
    }
    return {
        "name": {"type": "list", "elements": "str"},
        "state": {"type": "str", "choices": list(STATES), "default": "present"},
        "models": {"type": "list", "elements": "dict", "options": entry},
    }


def memory_argument_spec() -> dict[str, dict[str, Any]]:
    """Return the limit of loads."""
    return {"load_timeout": {"type": "float"}}


def state_argument_spec() -> dict[str, dict[str, Any]]:
    """Return the option that says where this host keeps what no server tells."""
    return {"state_dir": {"type": "path"}}


def removal_argument_spec() -> dict[str, dict[str, Any]]:
    """Return the options that say what is removed that nobody declared."""
    return {
        "exclusive": {"type": "bool", "default": False},
        "protect": {"type": "list", "elements": "str", "default": []},
        "max_delete": {"type": "int", "default": 5},
        "allow_empty": {"type": "bool", "default": False},
        "prune_local": {"type": "bool", "default": False},
    }


def pulls_argument_spec() -> dict[str, dict[str, Any]]:
    """Return the limits of pulls."""
    return {
        "pull_timeout": {"type": "float", "default": 7200.0},
        "stall_timeout": {"type": "float", "default": 20.0},
        "retries": {"type": "int", "default": 5},
        "parallel": {"type": "int", "default": 2},
        "lock_timeout": {"type": "float", "default": 3600.0},
    }


def store_argument_spec() -> dict[str, dict[str, Any]]:
    """Return the options that say how closely the server's disk and memory are looked at."""
    return {
        "store_path": {"type": "path"},
        "verify": {"type": "bool", "default": False},
        "min_free": {"type": "bytes", "default": "1G"},
        "memory_limit": {"type": "bytes"},
    }


def registry_from_params(params: dict[str, Any]) -> Registry:
    """Return a reader of sources for the options of :func:`source_argument_spec`.

    :raises OllamaError: for values that cannot work
    """
    # Late, as in client_from_params: a run that finds nothing to do need not have the code for all else compiled.
    from ansible_collections.alchemorsel.ollama.plugins.module_utils._registry import Registry

    return Registry(
        params["insecure_registries"],
        params["registry_ca_path"],
        params["timeout"],
        mirror=params["registry_mirror"],
        retries=params.get("retries", 0),
        patience=params.get("pull_timeout", 0.0),
    )


def client_from_params(params: dict[str, Any]) -> OllamaClient:
    """Return a client for the options of :func:`server_argument_spec`.

    :raises OllamaError: for values that cannot work
    """
    from ansible_collections.alchemorsel.ollama.plugins.module_utils._client import OllamaClient

    return OllamaClient(
        params["url"],
        api_key=params["api_key"],
        ca_path=params["ca_path"],
        client_cert=params["client_cert"],
        client_key=params["client_key"],
        validate_certs=params["validate_certs"],
        timeout=params["timeout"],
    )


def fail(module: AnsibleModule, error: OllamaError, **result: Any) -> NoReturn:
    """End a module with an error: the single place that calls ``fail_json``.

    :param result: what the module has to tell besides, such as the actions done so far
    """
    # Ansible shows the options of a module that fails. An address with a password is refused, and shown all the same
    for address in (
        module.params.get("url"),
        module.params.get("registry_mirror"),
        *(module.params.get("insecure_registries") or []),
    ):
        module.no_log_values.update(hidden_in(address or ""))
    if isinstance(error, LibraryMissing):
        module.fail_json(
            msg=missing_required_lib(error.library), exception=error.trace, error_kind=error.kind, **result
        )
    module.fail_json(**{**result, **error.as_result()})
    raise AssertionError("fail_json ends the process")
