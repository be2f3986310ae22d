# SPDX-License-Identifier: GPL-3.0-or-later
"""The module around the prober: nested options in, every attempt out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.modules import api_health

from tests.unit.plugins.run_module import run_main
from tests.unit.plugins.scripted import Call, FakeClock, ScriptedTransport, answer, refused


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*calls: Call, check: bool = False, **arguments: Any) -> dict[str, Any]:
        clock = FakeClock()
        transport = ScriptedTransport(clock, *calls)
        monkeypatch.setattr(api_health, "RequestsTransport", lambda *_: transport)
        monkeypatch.setattr(api_health, "SystemClock", lambda: clock)
        result = run_main(api_health.main, capsys, {"url": "http://127.0.0.1:3001", **arguments}, check)
        transport.assert_all_made()
        return result

    return run


def ask(body: object, status: int = 200, path: str = "/api/health") -> Call:
    return Call("GET", path, answer(body, status))


@pytest.mark.parametrize("check", [False, True])
def test_really_asks_in_check_mode_too(run: Any, check: bool) -> None:
    result = run(ask({"status": "ok"}), check=check)
    assert (result["healthy"], result["changed"]) == (True, False)


def test_nested_conditions(run: Any) -> None:
    expect = {
        "status": [200],
        "all": [{"path": "database.status", "in": ["OK", "WARN"]}],
        "any": [{"path": "metrics.users", "gte": 1}, {"path": "seeded", "equals": True}],
        "none": [{"path": "*.status", "equals": "FAIL"}],
        "version": "1.4.0",
    }
    good = {"database": {"status": "OK"}, "metrics": {"users": 3}, "version": "1.4.0"}
    bad = {**good, "integrity": {"status": "FAIL"}}
    result = run(ask(bad), ask(good), path="/api/health", expect=expect)
    assert [attempt["reason"] for attempt in result["attempts"]] == [
        "true in the body: *.status equals FAIL (found OK, FAIL)",
        "passed",
    ]


def test_a_failure_returns_the_attempts_and_the_redacted_body(run: Any) -> None:
    body = {"status": "error", "password": "s3cr3t", "echo": "value-of-header"}
    result = run(ask(body, 503), timeout=0, headers={"X-Key": "value-of-header"})
    assert result["failed"]
    assert not result["healthy"]
    assert "was not healthy within 0 s: status 503 instead of 200" in result["msg"]
    assert result["attempts"][0]["status"] == 503
    assert result["body"]["status"] == "error"
    assert "s3cr3t" not in json.dumps(result)
    assert "value-of-header" not in json.dumps(result)


def test_absent(run: Any) -> None:
    gone = Call("GET", "/api/health", refused())
    result = run(gone, gone, gone, state="absent", consecutive=3, interval=0.2)
    assert (result["absent"], result["status"], result["path"]) == (True, None, None)


def test_an_unknown_operator_is_refused(run: Any) -> None:
    assert "Unsupported parameters" in run(expect={"all": [{"path": "a", "is": 1}]})["msg"]
