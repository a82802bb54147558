# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which models are loaded, for how long, and the process that stands for each model's runner.

A runner is a child process that repeats each line it gets (`cat`): loading waits for the first line to come back, and
so does every token. Killed or stopped, it makes the server behave as the real one does when its runner is killed or
hangs.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from . import gotext
from .errors import ApiError
from .settings import Settings
from .show import StoredModel

#: options that a loaded runner cannot change: with other values it is loaded anew
RUNNER_OPTIONS = ("num_ctx", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread", "shift")
_INTEGERS = (
    "num_keep",
    "seed",
    "num_predict",
    "top_k",
    "repeat_last_n",
    "num_ctx",
    "num_batch",
    "num_gpu",
    "main_gpu",
    "num_thread",
)
_FLOATS = ("top_p", "min_p", "typical_p", "temperature", "repeat_penalty", "presence_penalty", "frequency_penalty")
PING_SECONDS = 20.0
_QUEUE_FULL = "server busy, please try again.  maximum pending requests exceeded"


class RunnerDied(Exception):
    """The runner's process ended."""


def check_options(options: dict[str, Any]) -> None:
    """Raises ApiError 500 for an option of the wrong type; unknown options are ignored."""
    for key, value in options.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if key in _INTEGERS and not number:
            raise ApiError(500, f"option {gotext.quote(key)} must be of type integer")
        if key in _FLOATS and not number:
            raise ApiError(500, f"option {gotext.quote(key)} must be of type float32")
        if key == "use_mmap" and not isinstance(value, (bool, type(None))):
            raise ApiError(500, f"option {gotext.quote(key)} must be of type boolean")


@dataclass
class Runner:
    """One loaded model."""

    model: StoredModel
    path: Path
    options: dict[str, Any]
    context_length: int
    keep_alive: int
    process: asyncio.subprocess.Process
    expires_at: int = 0
    busy: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def echo(self, text: str) -> None:
        """Sends a line through the process and waits until it comes back; raises RunnerDied."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(text.replace("\n", " ").encode() + b"\n")
            await self.process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError) as error:
            raise RunnerDied from error
        if not await self.process.stdout.readline():
            raise RunnerDied

    async def work(self, seconds: float) -> None:
        """Lets so much time pass; raises RunnerDied as soon as the process ends."""
        end = asyncio.ensure_future(self.process.wait())
        try:
            if (await asyncio.wait([end], timeout=seconds))[0]:
                raise RunnerDied
        finally:
            end.cancel()

    @property
    def alive(self) -> bool:
        return self.process.returncode is None

    @property
    def stopped(self) -> bool:
        """Whether it hangs, which is a stopped process here."""
        try:
            stat = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii", errors="replace")
        except OSError:
            return False
        return stat.rpartition(") ")[2].startswith("T")

    def kill(self) -> None:
        if self.alive:
            try:
                self.process.kill()
            except ProcessLookupError:
                return  # it ended by itself in this moment


def _cancel_with(task: asyncio.Task[Runner], done: asyncio.Future[Runner]) -> None:
    """Who asked for a load has gone: the load ends."""
    if done.cancelled():
        task.cancel()


@dataclass
class _Pending:
    model: StoredModel
    options: dict[str, Any]
    done: asyncio.Future[Runner]


class Scheduler:
    """Loads one model at a time; requests for loaded models do not wait."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.runners: dict[Path, Runner] = {}
        self._queue: asyncio.Queue[_Pending] = asyncio.Queue(max(1, settings.max_queue))
        self._loop_task: asyncio.Task[None] | None = None
        self._timers: dict[Path, asyncio.TimerHandle] = {}

    def start(self) -> None:
        self._loop_task = asyncio.get_running_loop().create_task(self._work())

    async def acquire(self, model: StoredModel, options: dict[str, Any], keep_alive: int | None) -> Runner:
        """The runner of a model, loaded if need be, counted as busy until `release`."""
        check_options(options)
        layer = model.manifest.layer("model")
        assert layer is not None
        runner = self.runners.get(model.store.blob(layer.digest))
        if runner is not None and runner.busy == 0 and not await self._answers(runner):
            self.unload(runner)
            runner = None
        if runner is None or not self._fits(runner, options):
            pending = _Pending(model, options, asyncio.get_running_loop().create_future())
            try:
                self._queue.put_nowait(pending)
            except asyncio.QueueFull as error:
                raise ApiError(503, _QUEUE_FULL) from error
            runner = await pending.done
        runner.busy += 1
        if keep_alive is not None:
            runner.keep_alive = keep_alive
        return runner

    def release(self, runner: Runner) -> None:
        """One request less; the last one starts the time that the model stays loaded."""
        runner.busy -= 1
        if runner.busy == 0 and self.runners.get(runner.path) is runner:
            self._arm(runner)

    def expire(self, model: StoredModel) -> None:
        """Unloads a model, whichever name loaded it, when its running requests are done."""
        layer = model.manifest.layer("model")
        runner = self.runners.get(model.store.blob(layer.digest)) if layer else None
        if runner is not None:
            runner.keep_alive = 0
            if runner.busy == 0:
                self._arm(runner)

    async def _answers(self, runner: Runner) -> bool:
        """Whether an idle runner still answers in 20 s."""
        runner.busy += 1  # it must not be unloaded meanwhile
        ping = asyncio.ensure_future(runner.echo("ping"))
        deadline = time.monotonic() + 3 * PING_SECONDS
        try:
            # One that is not stopped is only late, on a busy machine: it has more, however short the time is made
            while not (await asyncio.wait([ping], timeout=PING_SECONDS * self.settings.time_scale))[0]:
                if runner.stopped or time.monotonic() > deadline:
                    return False
            await ping
        except RunnerDied:
            return False
        finally:
            ping.cancel()
            runner.busy -= 1
        return True

    def _fits(self, runner: Runner, options: dict[str, Any]) -> bool:
        wanted = {key: options[key] for key in RUNNER_OPTIONS if key in options}
        return runner.alive and wanted == runner.options

    def _arm(self, runner: Runner) -> None:
        previous = self._timers.pop(runner.path, None)
        if previous is not None:
            previous.cancel()
        runner.expires_at = time.time_ns() + runner.keep_alive
        if runner.keep_alive < gotext.MAX_DURATION:
            delay = max(0.0, runner.keep_alive / gotext.SECOND)
            self._timers[runner.path] = asyncio.get_running_loop().call_later(delay, self._expired, runner)

    def _expired(self, runner: Runner) -> None:
        if runner.busy == 0 and self.runners.get(runner.path) is runner:
            self.unload(runner)

    def unload(self, runner: Runner) -> None:
        self.runners.pop(runner.path, None)
        runner.kill()

    async def _work(self) -> None:
        while True:
            pending = await self._queue.get()
            if pending.done.cancelled():
                continue
            task = asyncio.ensure_future(self._load(pending.model, pending.options))
            pending.done.add_done_callback(partial(_cancel_with, task))
            await asyncio.wait([task])
            if task.cancelled() or pending.done.cancelled():
                continue
            error = task.exception()
            if error is None:
                pending.done.set_result(task.result())
            else:
                pending.done.set_exception(error)

    async def _load(self, model: StoredModel, options: dict[str, Any]) -> Runner:
        layer = model.manifest.layer("model")
        assert layer is not None
        path = model.store.blob(layer.digest)
        old = self.runners.get(path)
        if old is not None and self._fits(old, options):
            return old
        if old is not None:
            self.unload(old)
        while len(self.runners) >= self.settings.max_loaded:
            idle = [runner for runner in self.runners.values() if runner.busy == 0]
            if idle:
                self.unload(min(idle, key=lambda runner: runner.expires_at))
            else:
                await asyncio.sleep(0.05)
        trained = model.gguf().context_length
        wanted = int(options.get("num_ctx") or self.settings.context_length)
        process = await asyncio.create_subprocess_exec(
            "cat", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True
        )
        kept = {key: options[key] for key in RUNNER_OPTIONS if key in options}
        runner = Runner(model, path, kept, min(wanted, trained or wanted), self.settings.keep_alive, process)
        try:
            await asyncio.wait_for(self._warm_up(runner), self.settings.load_timeout)
        except RunnerDied as error:
            raise ApiError(500, self.settings.profile.killed_while_loading) from error
        except asyncio.TimeoutError as error:
            runner.kill()
            raise ApiError(500, self.settings.profile.load_timeout) from error
        except asyncio.CancelledError:
            runner.kill()
            raise
        runner.expires_at = time.time_ns() + runner.keep_alive
        self.runners[path] = runner
        return runner

    async def _warm_up(self, runner: Runner) -> None:
        await runner.work(self.settings.load_seconds)
        await runner.echo("ready")

    async def ask_runners(self) -> None:
        """What ps of 0.32 does before it answers: it asks each runner, and waits for one that hangs."""
        if self.settings.profile.ps_asks_runners and any(runner.stopped for runner in self.runners.values()):
            await asyncio.sleep(PING_SECONDS * self.settings.time_scale)

    def listing(self) -> list[dict[str, Any]]:
        """The answer of ps: longest remaining first."""
        loaded = sorted(self.runners.values(), key=lambda runner: -runner.expires_at)
        sizes = {runner.path: runner.path.stat().st_size if runner.path.exists() else 0 for runner in loaded}
        return [
            {
                "name": runner.model.name.short,
                "model": runner.model.name.short,
                "size": sizes[runner.path],
                "digest": runner.model.manifest.digest,
                "details": runner.model.details() | {"parent_model": ""},
                "expires_at": gotext.timestamp(runner.expires_at),
                "size_vram": int(sizes[runner.path] * self.settings.gpu_share),
                "context_length": runner.context_length,
            }
            for runner in loaded
        ]

    def stop(self) -> None:
        for runner in list(self.runners.values()):
            self.unload(runner)
