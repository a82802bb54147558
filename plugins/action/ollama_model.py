# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ollama_model with progress.

The module runs once as any other, and puts off only what takes long, pulls and uploads: where there are some, it answers
``work_due``. Then it runs again in the background of the host, writes its progress to a file, and is watched from here until it has ended.
"""

from __future__ import annotations

import posixpath
import shlex
import time
import uuid
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.alchemorsel.ollama.plugins.module_utils._progress import (
    PULLING,
    Pace,
    Progress,
    Pull,
    describe,
    parse_progress,
    seconds_left,
)

display = Display()

#: The least seconds between two looks. Where it is known how long the pulls will take, the next look comes at half of
#: that, else after a share of the time gone by: so the end is seen soon, with few looks on the way.
FIRST_LOOK = 0.5
SHARE = 0.03
#: Seconds for which a lost connection is tried again.
RECONNECT = 300.0
#: Seconds to wait for the result of a process that is gone, and for one that is past its limit.
RESULT = 20.0
#: So many hosts at a time may show a line in each interval.
HOSTS = 4
#: Intervals after which a line that has not changed is shown again.
QUIET = 6

INTERNAL_OPTIONS = ("_defer", "_offers", "_progress_file")
#: What async_status tells besides the module's own result.
JOB_KEYS = ["ansible_job_id", "results_file", "started", "finished", "child_pid"]
JOB_KEYS += ["stdout", "stdout_lines", "stderr", "stderr_lines"]

#: The shell's words for: the file is not there, or not any more; the process that wrote it is gone.
NO_FILE = "no file"
NO_PROCESS = "no process"


class ActionModule(ActionBase):
    """Runs the module, in the background where it has something to pull."""

    _supports_async = True
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        interval = self._interval()
        if interval is None:
            wrap_async = bool(self._task.async_val) and not self._connection.has_native_async
            return public(self._execute_module(task_vars=variables, wrap_async=wrap_async))
        first = self._execute_module(module_args={**self._task.args, "_defer": True}, task_vars=variables)
        if "work_due" not in first:
            return public(first)
        screen = Screen(host_label(self._task, variables), line_gap(interval, variables), silent=self._task.no_log)
        return public(self._in_background(first["work_due"], screen, variables))

    def _interval(self) -> float | None:
        """Return the seconds between two lines; ``None`` where the module is to run directly.

        A value that is none is left to the module, which refuses it.
        """
        direct = self._task.async_val or self._task.check_mode or self._connection.has_native_async
        if direct or not truth(self._task.args.get("progress", True)):
            return None
        try:
            interval = float(self._task.args.get("progress_interval") or 5.0)
        except (TypeError, ValueError):
            return None
        return interval if interval > 0 else None

    # --- the background -------------------------------------------------------------------------------------------

    def _in_background(self, due: dict[str, Any], screen: Screen, variables: dict[str, Any]) -> dict[str, Any]:
        """Run the module, for at most the seconds that are due, and return its result."""
        limit = int(due["seconds"]) + 1
        folder = str(ActionBase.get_shell_option(self, "async_dir", default="~/.ansible_async"))
        name = f"alchemorsel-{uuid.uuid4().hex}.progress"
        path = posixpath.join(folder, name)
        arguments = {**self._task.args, "_progress_file": path, "_offers": due["offers"]}
        self._task.async_val = limit
        try:
            job = self._execute_module(module_args=arguments, task_vars=variables, wrap_async=True)
        finally:
            self._task.async_val = 0
        if job.get("failed") or "ansible_job_id" not in job or "results_file" not in job:
            return {**job, "failed": True, "changed": False}
        # The wrapper on the host has made the folder's path absolute, as the user under whom the module runs.
        folder = posixpath.dirname(job["results_file"])
        watch = Watch(job["ansible_job_id"], folder, posixpath.join(folder, name), limit)
        result = self._until_end(watch, screen, variables)
        self._clean_up(watch)
        return result

    def _until_end(self, watch: Watch, screen: Screen, variables: dict[str, Any]) -> dict[str, Any]:
        """Look at the work until it has ended, however often the connection is lost meanwhile."""
        lost_since: float | None = None
        while True:
            time.sleep(watch.pause(screen.due_in(time.monotonic()), screen.left))
            try:
                result = self._look(watch, screen, variables)
            except AnsibleError as exc:
                now = time.monotonic()
                if lost_since is None:
                    lost_since = now
                    screen.say(f"connection lost, is tried again for {RECONNECT:.0f} s; the work goes on there")
                elif now - lost_since > RECONNECT:
                    raise AnsibleConnectionFailure(
                        f"The connection was lost for more than {RECONNECT:.0f} s while models were pulled: {exc}. The work "
                        "goes on there as long as the host is up; run the task again when the host can be reached."
                    ) from exc
                self._reset()
                continue
            if lost_since is not None:
                lost_since = None
                screen.say("connected again")
            if result is not None:
                return result

    def _look(self, watch: Watch, screen: Screen, variables: dict[str, Any]) -> dict[str, Any] | None:
        """Show how far the work is; return its result if it has ended.

        :raises AnsibleError: if the host cannot be asked
        """
        lines = self._shell(watch.command())
        if not lines:
            raise AnsibleConnectionFailure("the host's shell gave no answer")
        progress = parse_progress(lines[0])
        if progress:
            watch.pid = progress.pid
            screen.show(progress, time.monotonic())
        gone = NO_PROCESS in lines
        if NO_FILE not in lines and not gone and not watch.overdue:
            return None
        status = self._status(watch, variables)
        if status.get("finished"):
            return watch.result(status)
        if "finished" not in status:
            raise AnsibleConnectionFailure(str(status.get("msg") or "async_status gave no answer"))
        if (gone or watch.overdue) and watch.waited():
            return {"failed": True, "changed": False, "error_kind": "JobLost", "msg": watch.lost()}
        return None

    def _status(self, watch: Watch, variables: dict[str, Any]) -> dict[str, Any]:
        return dict(
            self._execute_module(
                module_name="ansible.builtin.async_status",
                module_args={"jid": watch.job, "_async_dir": watch.folder, "mode": "status"},
                task_vars=variables,
            )
        )

    def _shell(self, command: str) -> list[str]:
        """Run a command on the host as the user under whom the module runs, and return its lines."""
        answer = ActionBase._low_level_execute_command(self, command, sudoable=True)
        return str(answer.get("stdout") or "").splitlines()

    def _clean_up(self, watch: Watch) -> None:
        """Remove what the job left; the result is there already, so that a failure is no failure of the task."""
        try:
            self._shell(f"rm -f {' '.join(shlex.quote(path) for path in watch.files())}")
        except AnsibleError as exc:
            display.vvv(f"{watch.folder}/{watch.job} was not removed: {exc}")

    def _reset(self) -> None:
        """Give up a connection that broke, where its kind can be told so."""
        try:
            self._connection.reset()
        except AnsibleError as exc:
            display.vvv(f"reset of the connection: {exc}")


class Watch:
    """One job on the host, and what is known of it.

    :param job: its id
    :param folder: where its result will be
    :param path: the module's progress file
    :param limit: seconds after which the host ends it
    """

    def __init__(self, job: str, folder: str, path: str, limit: int) -> None:
        self.job, self.folder, self.path, self.limit = job, folder, path, limit
        #: the process that writes the progress file, once it is known
        self.pid = 0
        self._began = time.monotonic()
        self._waiting_since: float | None = None

    def pause(self, longest: float, left: float | None) -> float:
        """Return the seconds to the next look.

        :param longest: seconds to the next line
        :param left: seconds that the work will still take, ``None`` if that is not known
        """
        guess = SHARE * (time.monotonic() - self._began) if left is None else left / 2
        return max(FIRST_LOOK, min(longest, guess))

    def files(self) -> tuple[str, ...]:
        """Return what a job can leave on the host."""
        return (posixpath.join(self.folder, self.job), self.path, f"{self.path}.new")

    def command(self) -> str:
        """Return the shell command of one look; it always prints something."""
        command = f"cat {shlex.quote(self.path)} 2>/dev/null || echo {shlex.quote(NO_FILE)}"
        if self.pid:
            command += f"; echo; kill -0 {self.pid} 2>/dev/null || echo {shlex.quote(NO_PROCESS)}"
        return command

    @property
    def overdue(self) -> bool:
        """Whether the host should have ended it."""
        return time.monotonic() > self._began + self.limit + RESULT

    def waited(self) -> bool:
        """Tell whether a result has been waited for long enough, from the first call on."""
        now = time.monotonic()
        if self._waiting_since is None:
            self._waiting_since = now
        return now - self._waiting_since > RESULT

    def result(self, status: dict[str, Any]) -> dict[str, Any]:
        """Return the module's result, or in plain words that there is none."""
        message = status.get("msg")
        if status.get("failed") and message in ("could not find job", "Timeout exceeded"):
            text = self.lost() if message == "could not find job" else self.lost(f"was ended after {self.limit} s")
            return {"failed": True, "changed": False, "error_kind": "JobLost", "msg": text}
        return status

    def lost(self, how: str = "has ended without a result") -> str:
        """Return the message of a job that left no result."""
        return (
            f"The process that pulled the models in the background of the host {how}; see there whether it was killed or the "
            "host restarted, then run again: what was fetched stays there."
        )


class Screen:
    """The lines of one host.

    :param gap: seconds between two lines for a pull
    """

    def __init__(self, host: str, gap: float, *, silent: bool = False) -> None:
        self._gap = gap
        self._host = host
        self._silent = silent
        self._due = time.monotonic() + gap
        self._paces: dict[str, Pace] = {}
        self._shown: dict[str, tuple[Pull, float]] = {}
        #: seconds that what is under way will still take, ``None`` if that is not known
        self.left: float | None = None

    def due_in(self, now: float) -> float:
        """Return the seconds to the next line."""
        return self._due - now

    def show(self, progress: Progress, now: float) -> None:
        """Take note of the progress; show it if a line is due."""
        for pull in progress.pulls:
            pace = self._paces.setdefault(pull.model, Pace())
            if pull.step == PULLING:
                pace.feed(pull.at, pull.got)
        ends = [seconds_left(pull, self._paces[pull.model].rate) for pull in progress.pulls]
        known = [end for end in ends if end is not None]
        self.left = max(known) if known and len(known) == len(ends) else None
        if now < self._due:
            return
        self._due = now + self._gap
        for pull in progress.pulls:
            before, when = self._shown.get(pull.model, (None, now))
            if pull != before or now - when >= QUIET * self._gap:
                self._shown[pull.model] = (pull, now)
                self.say(describe(pull, self._paces[pull.model].rate))

    def say(self, text: str) -> None:
        """Show one line."""
        if not self._silent:
            display.display(f"[{self._host}] {text}")


def truth(value: Any) -> bool:
    """Return an option as the module will read it; what it will refuse is as good as false."""
    return str(value).strip().lower() in ("true", "yes", "on", "y", "t", "1", "1.0")


def host_label(task: Any, variables: Mapping[str, Any]) -> str:
    """Return how a task's host is named, as Ansible does it for its results."""
    host = str(variables.get("inventory_hostname", ""))
    return f"{host} -> {task.delegate_to}" if task.delegate_to else host


def line_gap(interval: float, variables: Mapping[str, Any]) -> float:
    """Return the seconds between two lines of a host: more where many hosts work at a time."""
    at_once = min(len(variables.get("ansible_play_batch") or [""]), int(variables.get("ansible_forks") or 1))
    return interval * max(1.0, at_once / HOSTS)


def public(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result without what only this plugin and the module know of.

    The id of a job stays where the user asked for one with ``async``.
    """
    shown = dict(result)
    if shown.get("finished"):
        for key in JOB_KEYS:
            shown.pop(key, None)
    invocation = shown.get("invocation")
    if isinstance(invocation, Mapping) and isinstance(invocation.get("module_args"), Mapping):
        given = invocation["module_args"]
        kept = {key: value for key, value in given.items() if key not in INTERNAL_OPTIONS}
        shown["invocation"] = {**invocation, "module_args": kept}
    return shown
