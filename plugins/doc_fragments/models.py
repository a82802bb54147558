# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The declared models; kept in step with _argspec.models_argument_spec by a test."""

    DOCUMENTATION = r"""
options:
  name:
    description:
      - Names of models, the short form of O(models).
    type: list
    elements: str
  state:
    description:
      - State of the models in O(name), and of those in O(models) that do not say theirs.
    type: str
    choices: [present, latest, absent]
    default: present
  models:
    description:
      - The declared models. Names are compared as the server does it, so V(llama3.2), V(library/llama3.2:latest) and
        V(Llama3.2:LATEST) are one model, and declaring it twice is refused.
      - Exactly one of O(models) and O(name) must be given.
    type: list
    elements: dict
    suboptions:
      name:
        description:
          - Name of the model in any form that Ollama takes, such as V(llama3.2:3b), V(hf.co/org/repo:Q4_K_M) or
            V(registry.example:5000/team/model:tag). Without a tag, V(latest) is meant.
          - Cloud models and the tags C(cloud), C(local) and those that end in C(-cloud) are refused, since the API gives them another meaning.
        type: str
        required: true
      state:
        description:
          - V(present) pulls the model if it is missing, and never touches it when it is there.
          - V(latest) also pulls it when the manifest at its source differs, which one request to the source tells.
          - V(absent) removes it.
          - If not given, the O(state) of the module is used.
        type: str
        choices: [present, latest, absent]
      digest:
        description:
          - Exactly this manifest, V(sha256:) and 64 hexadecimal digits, goes with O(models[].state=present) only.
          - If the server has another one, the source is asked first. If the source does not serve this digest, the module fails and changes nothing.
        type: str
      copy_of:
        description:
          - The model is an alias, kept on the digest of this other model, which must be there or declared.
          - Aliases are switched after all fetches, and only if these went well. O(exclusive) keeps the other model.
        type: str
      from:
        description:
          - The model is created from this other model, which must be there or declared, with O(models[].system), O(models[].template)
            and O(models[].parameters) over what that one has. O(exclusive) keeps the other model.
          - It is created again when its base has changed, and when a field differs from the declaration or is no longer declared.
            The old model stays until the new one is there.
          - To tell, the server is asked to show the model and its base, one request for each. Where it does not show enough, the model
            is created under another name and the digests are compared.
        type: str
      gguf:
        description:
          - The model is created from this GGUF file, which lies on the host where the module runs, with O(models[].system),
            O(models[].template) and O(models[].parameters) over what the server reads from the file. Wants an absolute path.
          - The header of the file is checked, the file is hashed, and it is uploaded unless the server has it. It must be one whole
            model, neither one of several parts nor an adapter or a projector, and no symbolic link. A file that changes meanwhile is refused.
          - The model is created again when the file has other content, and when a field differs from the declaration or is no longer
            declared. The old model stays until the new one is there.
          - No server tells from which file a model was created, and from version 0.30 on it writes the weights anew. So the hash of the
            file, by path, size, inode and times, and what was created from it are recorded in O(state_dir). What the record does not
            prove is hashed and created anew, under another name, and the digests are compared; equal ones count as no change.
          - From version 0.30 on, the server's store needs the size of the file twice for that, and keeps the uploaded file until a restart finds
            it older than an hour.
          - The upload is bounded by O(pull_timeout), the creation by 300 seconds and 60 seconds more for each GB of the file.
        type: path
      system:
        description:
          - System text. An empty one keeps that of the base, which Ollama cannot remove.
        type: str
      template:
        description:
          - Template of the prompt, in the syntax of Go. An empty one keeps that of the base, or what the server makes of the one in
            O(models[].gguf).
        type: str
      parameters:
        description:
          - Parameters such as C(temperature), C(num_ctx) and C(stop), over those of the base. Names that Ollama does not know are refused.
          - Texts are converted to the type of the parameter, since that is what templates give; V("0.2") becomes V(0.2). C(stop) is a list of
            texts, an empty one removes those of the base.
        type: dict
      loaded:
        description:
          - V(true) has the model loaded into memory for good, so that no request waits for a load and the server does not unload it by itself.
            V(false) has it unloaded. If not given, and O(models[].keep_alive) neither, the memory is not looked at.
          - A model that is in memory for good is not touched. One that the server would unload after a while is kept for good, which does
            not load it again. Where the model was updated or created anew, the old one is unloaded and the new one loaded.
          - Models are loaded one after another, after all fetches and before removals, those that are to be unloaded before that.
            If one had to leave for another and both are declared loaded, the module fails and names them.
          - The server runs an alias, and a model created from another one, in the process of that one, and shows only the name under which the process
            was started. An alias counts as loaded when its target is. For a model with O(models[].from) this option is refused, unless it has a
            parameter of its own that the process is started with (C(num_ctx), C(num_batch), C(num_gpu), C(main_gpu), C(use_mmap),
            C(num_thread) or C(draft_num_predict)); declare it of the base. A base counts as loaded when a declared model that is created from it is.
          - A request that asks for other options, such as another C(num_ctx), makes the server load the model anew and forget that it was to
            stay. The next run finds that and loads it for good again. Set C(OLLAMA_KEEP_ALIVE=-1) of the server where clients do so.
          - The server finds a process by its weights. Of a model that was replaced while it was in memory, by somebody else or by a run that declared
            nothing of its memory, the old version can be unloaded only if it has the same weights. If it has others, it stays beside the new one with
            V(true), and with V(false) the module fails (V(ServerBusy)) before it removes other models. It leaves when its time is up, when the
            memory is needed, or when the server is restarted.
        type: bool
      keep_alive:
        description:
          - The same in the words of Ollama's API. A negative number or duration, such as V(-1), means O(models[].loaded=true), and V(0) means
            O(models[].loaded=false).
          - Numbers may be texts, since that is what templates give. The server itself would refuse V("-1").
          - Any other duration is refused, since the server unloads the model after that time by itself, so that it would not stay as declared.
        type: str
"""
