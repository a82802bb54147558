# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """How closely disk and memory are looked at; kept in step with _argspec.store_argument_spec by a test."""

    DOCUMENTATION = r"""
options:
  store_path:
    description:
      - The server's model directory, the one with C(manifests) and C(blobs), as the host where the module runs sees it. The user under
        whom it runs must be able to read it.
      - With it, the files of all models are compared by size with what their manifests say, without a request and without reading
        them. Declared models that are broken, and undeclared ones from which declared ones are made, are repaired and then looked at
        again. Other broken models bring a warning.
      - A model is repaired by a pull, after its source has shown that it still serves the digest that is there, or for
        O(models[].state=latest) any digest. If it does not, the module fails and changes nothing.
      - A pull takes a file that is there as it is. So a file with a wrong size is removed first, after its content was found not to have
        the digest that it is named after. Where the user may not do that, a model that shares it with no other is removed over the
        API and pulled as a whole.
      - What an interrupted pull left of a blob is resumed. Where that can never be completed, because the server has planned it for another
        size than the source's manifest says, or because a file of the plan (C(blobs/sha256-*-partial-*)) is lost or cannot be read, it is
        removed before the pull, with a warning, unless some process has it open or the user may not see that. Without O(store_path), every pull of such a model
        fails until somebody removes these files.
      - The sources of missing models are asked for their manifests too, for O(min_free).
    type: path
  verify:
    description:
      - Whether the server is asked to show each declared model, one request each, and those that it lists but cannot show are repaired.
      - Without O(store_path), a model that is shown with an error other than C(404) is removed over the API and pulled as a whole.
    type: bool
    default: false
  min_free:
    description:
      - Free space that must be left in O(store_path) after all fetches, in bytes or with a unit, such as V(20G). If it would be less, the
        module fails and changes nothing.
      - What is there already does not count, and of what an interrupted pull left only the rest. A model whose source cannot be read
        from the host is not judged, and a warning says so.
    type: bytes
    default: 1G
  memory_limit:
    description:
      - Size that no declared model may exceed, in bytes or with a unit, such as the memory limit of the server's container. If one does,
        the module fails and changes nothing.
      - The sources of missing models are asked for their manifests to know their sizes.
    type: bytes
"""
