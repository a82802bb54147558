# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of ollama_model in processes that can be killed: each is a fork of one that has imported everything already."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any


class Processes:
    """One process that waits for work.

    :param locks: where locks of servers lie
    """

    def __init__(self, locks: Path) -> None:
        self._locks = str(locks)
        self._parent = subprocess.Popen(
            [sys.executable, __file__],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._pid = 0
        self._known = threading.Event()

    def start(self, options: dict[str, Any], out: Path) -> None:
        """Start the module; what it writes goes into a file."""
        order = {"options": options, "locks": self._locks, "out": str(out)}
        self._known.clear()
        self._parent.stdin.write(json.dumps(order) + "\n")
        self._parent.stdin.flush()
        self._pid = int(self._parent.stdout.readline())
        self._known.set()

    def kill(self) -> None:
        """End the one that was started, as nothing can prevent; it may be at work before its number is known here."""
        assert self._known.wait(60)
        os.kill(self._pid, signal.SIGKILL)

    def wait(self) -> bool:
        """Wait for its end; tell whether it was killed."""
        return os.WIFSIGNALED(int(self._parent.stdout.readline()))

    def stop(self) -> None:
        self._parent.stdin.close()
        self._parent.wait()
        self._parent.stdout.close()


def serve() -> None:
    """Fork for each line of the input; say the process id at once, and how it ended then."""
    from ansible.module_utils import basic
    from ansible_collections.alchemorsel.ollama.plugins.module_utils import _converge, _lock, _transport
    from ansible_collections.alchemorsel.ollama.plugins.modules import ollama_model

    _transport.import_requests()
    assert _converge.converge
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if not pid:
            descriptor = os.open(order["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": order["options"]}).encode()
            basic._ANSIBLE_PROFILE = "legacy"
            _lock.DIRECTORIES = (order["locks"],)
            try:
                ollama_model.main()
            finally:
                sys.stdout.flush()
                os._exit(0)
        print(pid, flush=True)
        print(os.waitpid(pid, 0)[1], flush=True)


if __name__ == "__main__":
    serve()
