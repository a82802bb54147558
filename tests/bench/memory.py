# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Peak memory of the module's process."""

from __future__ import annotations

from collections.abc import Iterator

from .figures import Line, NotRun, at_most
from .pulls import forget, publish_sparse
from .scale import MB, Scale
from .world import World, publish, sparse_gguf

LIMIT = at_most(60, "MB")
MODULE = "plays/models.yml"


def memory(world: World, scale: Scale) -> Iterator[Line | NotRun]:
    """A run without change, a pull, an upload."""
    with world.registry() as registry:
        names = publish(registry, 20)
        with world.servers(registry, [names]) as (server,):
            inventory = world.inventory(registry, [server], wanted=[registry.model(name) for name in names])
            payload = world.payload(MODULE, inventory, "ollama_model", progress=False)
            peaks = tuple(world.module(payload)[0].megabytes for _run in range(scale.runs))
            yield Line("memory-noop", "No-op, 20 models", "MB", peaks, limit=LIMIT)

            size = scale.memory_pull_bytes
            model = publish_sparse(registry, world.directory, "big", size)
            inventory = world.inventory(registry, [server], wanted=[model])
            payload = world.payload(MODULE, inventory, "ollama_model", progress=False)
            peak = world.module(payload)[0].megabytes
            yield Line("memory-pull", f"Pull of a model of {size // MB} MB", "MB", (peak,), limit=LIMIT)
            forget(server, [model])

            size = scale.upload_bytes
            text = f"Upload of a GGUF file of {size // MB} MB"
            if "gguf" not in world.options()["models"]["suboptions"]:
                yield NotRun("memory-upload", text, "ollama_model has no option gguf")
                return
            path = sparse_gguf(world.directory / "upload.gguf", size)
            payload = world.payload("plays/gguf.yml", inventory, "ollama_model", gguf=str(path))
            used, result = world.module(payload)
            if not result["changed"]:
                raise SystemExit("upload: nothing was created")
            path.unlink()
            note = f"{used.seconds:.0f} s, of which {used.processor:.0f} s on a processor"
            yield Line("memory-upload", text, "MB", (used.megabytes,), limit=LIMIT, note=note)
