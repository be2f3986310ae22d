# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of the lock: it says who asks, and looks whether the other one lives."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.action import ActionBase
from ansible_collections.vedfinance.platform.plugins.action.platform_lock import ActionModule
from ansible_collections.vedfinance.platform.plugins.plugin_utils._play import this_owner

FREE: dict[str, Any] = {"changed": True, "msg": "free", "lock": None}


def lock_of(owner: dict[str, Any]) -> dict[str, Any]:
    return {"id": "L1", "owner": owner, "run": "R0", "playbook": "", "age": "3 s", "age_seconds": 3.0, "max_age": 9.0}


def refused_for(owner: dict[str, Any]) -> dict[str, Any]:
    return {"failed": True, "msg": "refused", "lock": lock_of(owner)}


def run(monkeypatch: pytest.MonkeyPatch, answers: list[dict[str, Any]]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    asked: list[dict[str, Any]] = []

    def execute(module_name: str, module_args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        assert module_name == "vedfinance.platform.platform_lock"
        assert task_vars == {"awx_job_id": 17}
        asked.append(module_args)
        return answers.pop(0)

    monkeypatch.setattr(ActionBase, "run", lambda *_given: {})
    action: Any = ActionModule.__new__(ActionModule)
    action._task = SimpleNamespace(args={"state": "held", "run": "R1"})
    action._execute_module = execute
    result = action.run(None, {"awx_job_id": 17})
    assert not answers
    return result, asked


def test_the_module_is_told_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    result, (asked,) = run(monkeypatch, [dict(FREE)])
    assert result["changed"]
    assert asked["owner"]["pid"] == os.getpid()
    assert asked["owner"]["job"] == "17"
    assert "dead" not in asked


def test_a_dead_owners_lock_is_asked_for_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = {**this_owner({}), "started": "1"}
    result, (_first, second) = run(monkeypatch, [refused_for(dead), dict(FREE)])
    assert second["dead"] == "L1"
    assert not result.get("failed")


def test_a_living_owner_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    result, (_asked,) = run(monkeypatch, [refused_for(this_owner({}))])
    assert result["failed"]
    assert result["lock"]["alive"] is True
    assert "still running: wait" in result["msg"]


def test_an_owner_elsewhere_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    result, (_asked,) = run(monkeypatch, [refused_for({**this_owner({}), "place": "another boot"})])
    assert result["failed"]
    assert result["lock"]["alive"] is None
    assert "--tags unlock" in result["msg"]


def test_a_look_tells_whether_the_owner_lives_and_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = {**this_owner({}), "started": "1"}
    result, (_asked,) = run(monkeypatch, [{"changed": False, "lock": lock_of(dead)}])
    assert result["lock"]["alive"] is False


def test_what_fails_without_a_lock_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    result, (_asked,) = run(monkeypatch, [{"failed": True, "msg": "no room"}])
    assert result["msg"] == "no room"
