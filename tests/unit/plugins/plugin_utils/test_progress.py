# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever keeps progress from being shown, the module runs as it was asked to."""

from __future__ import annotations

import json
import posixpath
import threading
from collections.abc import Callable
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.action.normal import ActionModule as NormalAction
from ansible_collections.vedfinance.platform.plugins.module_utils._progress import State
from ansible_collections.vedfinance.platform.plugins.plugin_utils import _progress
from ansible_collections.vedfinance.platform.plugins.plugin_utils._progress import ProgressAction

LOADING = json.dumps(asdict(State(1, "load", "users", done=1, total=2, seconds=1)))
Command = Callable[[str], dict[str, Any]]


class World:
    """A task whose module ends when it is told to, on a host that answers commands as the test wants."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answer: Command, transport: str = "local") -> None:
        self.commands: list[str] = []
        self.lines: list[str] = []
        self.given: dict[str, Any] = {}
        self.module_ends = threading.Event()
        self.result: dict[str, Any] = {"changed": True}
        world = self

        class Action(ProgressAction):
            def title(self) -> str:
                return "restore school"

            def get_shell_option(self, _option: str, default: Any = None) -> Any:
                return default

            def _low_level_execute_command(self, command: str) -> dict[str, Any]:
                world.commands.append(command)
                assert self._connection is not world.connection
                return answer(command)

        def run_module(action: Any, _tmp: Any, _task_vars: Any) -> dict[str, Any]:
            self.given = action._task.args
            assert self.module_ends.wait(30)
            return self.result

        monkeypatch.setattr(NormalAction, "run", run_module)
        monkeypatch.setattr(_progress, "Display", lambda: SimpleNamespace(display=self._display))
        self.connection = SimpleNamespace(
            transport=transport, become=None, _shell=SimpleNamespace(join_path=posixpath.join)
        )
        self.action: Any = Action.__new__(Action)
        self.action._connection = self.connection

    def _display(self, line: str, stderr: bool) -> None:
        assert stderr
        self.lines.append(line)
        self.module_ends.set()

    def run(self, **options: Any) -> dict[str, Any]:
        self.asked = {"progress_interval": 0.01, **options}
        self.action._task = SimpleNamespace(args=self.asked, async_val=0, no_log=False)
        try:
            return dict(self.action.run(None, {"inventory_hostname": "vps1"}))
        finally:
            assert self.action._task.args is self.asked


def test_shows_what_the_file_says_and_takes_its_own_option_back(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, lambda _command: {"stdout": LOADING})
    world.result["invocation"] = {"module_args": {"database": "school", "progress_file": "/tmp/random"}}
    assert world.run()["invocation"] == {"module_args": {"database": "school", "progress_file": None}}
    assert world.lines[0] == "  vps1 · restore school · load 50 % · users · 1 of 2 B · 1 B/s · 1 s left"
    assert world.given["progress_file"].startswith("/tmp/.ansible-progress-")
    assert world.commands[0] == f"cat {world.given['progress_file']} 2>/dev/null"


def test_shows_new_lines_of_a_log_in_place_of_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    building = json.dumps(asdict(State(1, "building", said=2, lines=("one", "two"))))
    world = World(monkeypatch, lambda _command: {"stdout": building})
    world.run()
    assert world.lines[:2] == ["  vps1 · restore school | one", "  vps1 · restore school | two"]


def test_follows_a_file_that_the_user_has_named(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, lambda _command: {"stdout": LOADING})
    world.result["failed"] = True
    world.run(progress_file="/run/my progress")
    assert set(world.commands) == {"cat '/run/my progress' 2>/dev/null"}


def test_removes_what_a_failed_module_may_have_left(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, lambda _command: {"stdout": LOADING})
    world.result["failed"] = True
    world.run()
    path = world.given["progress_file"]
    assert world.commands[-1] == f"rm -f {path} {path}.new"


def test_a_host_that_cannot_be_asked_is_left_in_peace(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_command: str) -> dict[str, Any]:
        if len(world.commands) == 3:
            # Time enough for a fourth question, which must not come.
            threading.Timer(0.2, world.module_ends.set).start()
        raise OSError("no second session is allowed")

    world = World(monkeypatch, refuse)
    assert world.run() == {"changed": True}
    assert len(world.commands) == 3
    assert world.lines == []


@pytest.mark.parametrize(
    ("transport", "options"),
    [("some.other.connection", {}), ("local", {"progress_interval": 0}), ("local", {"progress_interval": -1})],
)
def test_adds_nothing_where_nothing_is_shown(
    monkeypatch: pytest.MonkeyPatch, transport: str, options: dict[str, Any]
) -> None:
    world = World(monkeypatch, lambda _command: {"stdout": LOADING}, transport)
    world.module_ends.set()
    world.run(**options)
    assert world.given is world.asked
    assert world.commands == []


@pytest.mark.parametrize("interval", ["often", None, [1]])
def test_an_interval_that_is_none_is_the_modules_to_refuse(monkeypatch: pytest.MonkeyPatch, interval: Any) -> None:
    world = World(monkeypatch, lambda _command: {"stdout": ""})
    world.module_ends.set()
    world.run(progress_interval=interval)
    assert world.given["progress_interval"] == interval
