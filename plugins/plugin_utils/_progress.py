# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the progress of a module while it runs, in ansible-playbook, ansible-runner and AWX alike."""

from __future__ import annotations

import contextvars
import copy
import math
import multiprocessing
import os
import secrets
import shlex
import signal
import threading
import time
from contextlib import suppress
from typing import Any

from ansible.plugins.action.normal import ActionModule as NormalAction
from ansible.utils.display import Display
from ansible_collections.vedfinance.platform.plugins.module_utils._progress import (
    State,
    line,
    log_lines,
    rate_of,
    said_since,
    state_in,
)

DEFAULT_INTERVAL = 5.0
# Connections that start a program of their own for each command, so that two commands can run at the same time.
_SIDE_BY_SIDE = ("local", "ssh")
_MOST_FAILURES = 3
_HEARTBEAT = 1.0
_LAST_LOOK = 5.0


class ProgressAction(NormalAction):
    """Runs the module of the same name as ever, while a thread reads the module's file of progress.

    The module must have the options ``progress_file`` and ``progress_interval``. Lines of a log that it follows are
    shown in place of how far it is. It runs in the foreground: its result,
    its end with the play, check mode, become and timeouts are what they are without this plugin.
    """

    #: The default of the module's own option.
    default_interval = DEFAULT_INTERVAL

    def title(self) -> str:
        """What is being done, for the lines; never a secret."""
        raise NotImplementedError

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        if self._task.async_val:
            return dict(super().run(tmp, task_vars))
        asked = self._task.args
        path = self._path(asked) if self._can_be_shown(asked) else None
        follower = _Follower(self, path, self._interval(asked), str((task_vars or {}).get("inventory_hostname", "")))
        if path:
            self._task.args = {**asked, "progress_file": path}
        follower.start()
        try:
            result = dict(super().run(tmp, task_vars))
        finally:
            follower.stop()
            self._task.args = asked
        if path and result.get("failed") and not asked.get("progress_file"):
            follower.remove()
        return _as_asked(result, asked.get("progress_file"))

    def _can_be_shown(self, asked: dict[str, Any]) -> bool:
        return self._interval(asked) > 0 and not self._task.no_log and self._connection.transport in _SIDE_BY_SIDE

    def _interval(self, asked: dict[str, Any]) -> float:
        """What is no number is the module's to complain about."""
        with suppress(TypeError, ValueError):
            return max(0.0, float(asked.get("progress_interval", self.default_interval)))
        return self.default_interval

    def _path(self, asked: dict[str, Any]) -> str:
        if asked.get("progress_file"):
            return str(self._remote_expand_user(str(asked["progress_file"])))
        folders = self.get_shell_option("system_tmpdirs", default=["/tmp"])  # noqa: S108 # nobody can guess the name
        return str(self._connection._shell.join_path(folders[-1], f".ansible-progress-{secrets.token_hex(16)}"))


class _Follower:
    """Reads the file every few seconds over a connection of its own, and ends the worker when its parent is dead."""

    def __init__(self, action: ProgressAction, path: str | None, interval: float, host: str) -> None:
        self._action = _beside(action) if path else action
        self._title = action.title()
        self._path = path
        self._interval = interval
        self._host = host
        self._over = threading.Event()
        self._showing = threading.Lock()
        self._seen: State | None = None
        self._rate: float | None = None
        # Ansible keeps the current task in a context variable.
        self._thread = threading.Thread(target=contextvars.copy_context().run, args=(self._follow,), daemon=True)

    def start(self) -> None:
        with suppress(RuntimeError):  # no thread to spare: the module runs all the same
            self._thread.start()

    def stop(self) -> None:
        """Returns when nothing will be shown any more: a worker that ends amid it would hold the queue's lock."""
        with self._showing:
            self._over.set()
        if self._thread.ident is not None:
            self._thread.join(_LAST_LOOK)

    def remove(self) -> None:
        """A module that was killed has left its file."""
        if self._path and self._seen:
            with suppress(Exception):
                path = shlex.quote(self._path)
                self._action._low_level_execute_command(f"rm -f {path} {path}.new")

    def _follow(self) -> None:
        failures = 0
        next_look = time.monotonic() + self._interval if self._path else math.inf
        while not self._over.wait(max(0.0, min(_HEARTBEAT, next_look - time.monotonic()))):
            _end_with_the_parent()
            if time.monotonic() < next_look:
                continue
            try:
                self._look()
                failures = 0
            except Exception:  # whatever a connection may raise, the module is not concerned
                failures += 1
            next_look = time.monotonic() + self._interval if failures < _MOST_FAILURES else math.inf

    def _look(self) -> None:
        answer = self._action._low_level_execute_command(f"cat {shlex.quote(str(self._path))} 2>/dev/null")
        state = state_in(answer["stdout"])
        if state is None:
            return
        self._rate = rate_of(self._seen, state, self._rate)
        lines = log_lines(self._host, self._title, *said_since(self._seen, state))
        self._seen = state
        with self._showing:
            if not self._over.is_set():
                for text in lines or [line(self._host, self._title, state, self._rate)]:
                    # stderr, as of curl or pg_dump: what reads the output of a callback is not disturbed.
                    Display().display(text, stderr=True)


def _beside(action: ProgressAction) -> ProgressAction:
    """The same action with a connection of its own; a become plugin keeps what it waits for, so it is copied too."""
    twin = copy.copy(action)
    twin._connection = copy.copy(action._connection)
    twin._connection.become = copy.copy(action._connection.become)
    return twin


def _end_with_the_parent() -> None:
    """Ansible's workers outlive a killed ansible-playbook; this one does what it does when it is told to end."""
    parent = multiprocessing.parent_process()
    if parent is not None and os.getppid() != parent.pid:
        os.kill(os.getpid(), signal.SIGTERM)


def _as_asked(result: dict[str, Any], progress_file: Any) -> dict[str, Any]:
    """The result tells the arguments of the task, not those that were added here."""
    arguments = result.get("invocation", {}).get("module_args") if isinstance(result.get("invocation"), dict) else None
    if isinstance(arguments, dict) and "progress_file" in arguments:
        arguments["progress_file"] = progress_file
    return result
