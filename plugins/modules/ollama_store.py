#!/usr/bin/python
# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ollama_store
short_description: Take over the models of another Ollama server of the same host
version_added: 0.1.0
author: Alchemorsel contributors (@alchemorsel)
description:
  - Gives the models and the key of an earlier server, such as one that ran as root, to a server that runs as another user. Nothing is downloaded,
    and each model keeps its digest and its date.
  - On one file system the files get a second name (hard links), which takes no room and no time. Elsewhere they are copied, hashed on the way, and
    the room is counted first.
  - The source is only read. It stays complete and keeps its names until you remove it; with hard links the owner of its files changes, though
    not that of its directories, so that a server of another user can read them still.
  - It is done once. That it was done is recorded in the store, so that a model that was removed since does not come back.
  - It fails, and changes nothing, while a server runs on the source, seen by the processes of this host and its containers.
  - A model that the store has already stays as it is, and one that is not whole in the source is left. Both are warnings.
extends_documentation_fragment:
  - alchemorsel.ollama.attributes
options:
  path:
    description:
      - Directory of the server that gets the models. They go to its folder C(models), the key to its folder C(.ollama).
    type: path
    required: true
  source:
    description:
      - Directory of the other server, such as V(/root/.ollama), V(/usr/share/ollama/.ollama), the mount point of a Docker volume, or a
        directory with C(manifests) and C(blobs).
    type: path
    required: true
  owner:
    description: Numeric user that owns what is taken over.
    type: int
    required: true
  group:
    description: Numeric group that owns what is taken over.
    type: int
    required: true
  min_free:
    description: Room that must stay free where files are copied, as a number of bytes with its unit.
    type: str
    default: 1G
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: alchemorsel.ollama.ollama_model
"""

EXAMPLES = r"""
- name: Take over what the server of the installation script has pulled
  alchemorsel.ollama.ollama_store:
    path: /var/lib/ollama
    source: /usr/share/ollama/.ollama
    owner: 1000
    group: 1000
"""

RETURN = r"""
models:
  description: The models that were taken over.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the model.
      type: str
      sample: llama3.2:3b
    digest:
      description: Digest of its manifest.
      type: str
      sample: sha256:8fdf8f752f6e80de33e82f381aba784c025982752cd1ae9377add66449d2225f
bytes_linked:
  description: Bytes of files that got a second name. In check mode, whether they can is told by the file systems alone.
  returned: success
  type: int
bytes_copied:
  description: Bytes of files that were copied.
  returned: success
  type: int
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.formatters import human_to_bytes
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _carry_over as carry
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _takeover as takeover
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidInput, OllamaError
from ansible_collections.alchemorsel.ollama.plugins.module_utils._store import free_bytes


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "source": {"type": "path", "required": True},
            "owner": {"type": "int", "required": True},
            "group": {"type": "int", "required": True},
            "min_free": {"type": "str", "default": "1G"},
        },
        supports_check_mode=True,
    )
    try:
        result = run(module.params, module.check_mode)
    except OllamaError as exc:
        module.fail_json(msg=f"{exc.message}. Nothing was lost: the source is as it was.")
    except OSError as exc:
        module.fail_json(
            msg=f"{exc.filename or module.params['path']}: {exc.strerror}; run the module as root, on a host where both directories can be "
            "read. The source is as it was; run again."
        )
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(**result)


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Return the module's result; what was recorded as done is not looked at again.

    :raises InvalidInput: if it cannot be done
    """
    path, origin = params["path"], params["source"]
    done: dict[str, Any] = {"changed": False, "models": [], "bytes_linked": 0, "bytes_copied": 0, "warnings": []}
    if carry.recorded(path) == origin:
        return done
    try:
        min_free = human_to_bytes(params["min_free"])
    except ValueError as exc:
        raise InvalidInput(
            f"min_free is '{params['min_free']}'; wanted a number of bytes with its unit, such as 1G"
        ) from exc
    source = takeover.find_source(origin)
    if os.path.realpath(source.models) == os.path.realpath(f"{path}/models"):
        raise InvalidInput(
            f"source is '{origin}', which is the store itself, so that there is nothing to take over; leave it out, "
            f"and give its files to the server's user with chown -R {params['owner']}:{params['group']}"
        )
    target = carry.contents_of(f"{path}/models")
    steps = takeover.plan(carry.contents_of(source.models), target)
    complaints = [
        f"source is '{origin}', on which a server runs ({found}); stop it first, with systemctl stop ollama or docker stop, and keep it from "
        "being started again"
        for found in takeover.servers_on(source.models)
    ]
    links = carry.same_file_system(source.models, path)
    room = "" if links else takeover.no_room(steps.bytes, path, free_bytes(carry.existing(path)), min_free)
    if complaints or room:
        raise InvalidInput("; ".join([*complaints, *([room] if room else [])]))
    linked, copied = (steps.bytes, 0) if links else (0, steps.bytes)
    if not check_mode:
        carrier = carry.Carrier(source, path, params["owner"], params["group"], min_free)
        carrier.run(steps, origin)
        linked, copied = carrier.linked, carrier.copied
    names = [model.name.short for model in steps.models]
    had = [model.name.short for model in target.models.values()]
    return {
        "changed": True,
        "models": [{"name": model.name.short, "digest": model.digest} for model in steps.models],
        "bytes_linked": linked,
        "bytes_copied": copied,
        "warnings": list(steps.warnings),
        "diff": {"before": {"models": sorted(had)}, "after": {"models": sorted({*had, *names})}},
    }


if __name__ == "__main__":
    main()
