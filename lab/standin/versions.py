# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between the Ollama versions that the stand-in can play. Every difference is decided here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """How one Ollama version behaves where the versions differ."""

    version: str
    #: seconds that fetching one new blob takes at least (0.24.0 looks for the end once a second)
    blob_floor: float
    #: show repeats a missing model's name as given (True) or in full with its tag (False)
    missing_name_as_given: bool
    #: tags carries capabilities, context_length, embedding_length and parent_model
    rich_tags: bool
    #: the config of created models lists the layers (`rootfs`)
    config_has_rootfs: bool
    #: an imported GGUF is written anew, so that its digest is another than the upload's
    rewrites_import: bool
    #: status lines while quantizing
    quantizing_lines: bool
    #: a model file that is no GGUF makes the handler die (status 500, empty body), and the whole server when it starts
    dies_on_bad_gguf: bool
    #: status of an embedding asked of a model that generates text, None where it answers
    embed_completion_status: int | None
    #: what the server says when the inference process ends before the first token
    killed_before_first_token: str
    #: ... and while it loads the model
    killed_while_loading: str
    #: ... and when loading takes longer than OLLAMA_LOAD_TIMEOUT
    load_timeout: str
    #: /v1 streams: the last chunk of a chat repeats the role
    v1_last_delta_full: bool
    #: a download that never gets a first byte is noticed as a stall
    stall_before_first_byte: bool
    #: ps asks each runner, and waits for one that hangs
    ps_asks_runners: bool


V0_24_0 = Profile(
    version="0.24.0",
    blob_floor=1.0,
    missing_name_as_given=True,
    rich_tags=False,
    config_has_rootfs=True,
    rewrites_import=False,
    quantizing_lines=True,
    dies_on_bad_gguf=True,
    embed_completion_status=None,
    killed_before_first_token=(
        "model runner has unexpectedly stopped, this may be due to resource limitations or an internal error, "
        "check ollama server logs for details"
    ),
    killed_while_loading="llama runner process has terminated: signal: killed",
    load_timeout="timed out waiting for llama runner to start - ",
    v1_last_delta_full=True,
    stall_before_first_byte=False,
    ps_asks_runners=False,
)

V0_32_15 = Profile(
    version="0.32.15",
    blob_floor=0.0,
    missing_name_as_given=False,
    rich_tags=True,
    config_has_rootfs=False,
    rewrites_import=True,
    quantizing_lines=False,
    dies_on_bad_gguf=False,
    embed_completion_status=501,
    killed_before_first_token="an error was encountered while running the model: unexpected EOF",
    killed_while_loading="llama-server process has terminated: signal: killed",
    load_timeout="timed out waiting for llama-server to start - ",
    v1_last_delta_full=False,
    stall_before_first_byte=True,
    ps_asks_runners=True,
)

PROFILES = {profile.version: profile for profile in (V0_24_0, V0_32_15)}
DEFAULT_VERSION = V0_32_15.version
