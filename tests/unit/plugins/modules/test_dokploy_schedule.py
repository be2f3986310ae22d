# SPDX-License-Identifier: GPL-3.0-or-later
"""The module around the keeper of schedules: options in, result out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy import argspec
from ansible_collections.vedfinance.platform.plugins.modules import dokploy_schedule

from tests.unit.plugins.captured_answers import body_of
from tests.unit.plugins.dokploy_answers import APPLICATION_ID, KEY, URL, get, one
from tests.unit.plugins.run_module import run_main
from tests.unit.plugins.scripted import Call, FakeClock, ScriptedTransport

VERSION = get("settings.getDokployVersion", "v0.30.2")
LISTED = get("schedule.list", body_of("90-schedule.list"), id=APPLICATION_ID, scheduleType="application")
ARGUMENTS = {"dokploy_url": URL, "dokploy_api_key": KEY, "application_id": APPLICATION_ID, "name": "migrate"}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*calls: Call, check: bool = True, **arguments: Any) -> dict[str, Any]:
        transport = ScriptedTransport(FakeClock(), *calls)
        monkeypatch.setattr(argspec, "RequestsTransport", lambda *_: transport)
        result = run_main(dokploy_schedule.main, capsys, {**ARGUMENTS, **arguments}, check)
        transport.assert_all_made()
        assert "s3cr3t" not in json.dumps(result)
        assert KEY not in json.dumps(result)
        return result

    return run


def test_check_mode_predicts_with_a_diff(run: Any) -> None:
    result = run(VERSION, one(), LISTED, cron="@daily")
    assert result["changed"]
    assert (result["diff"]["before"]["cron"], result["diff"]["after"]["cron"]) == ("0 3 * * *", "@daily")
    assert result["schedule"]["cron"] == "@daily"
    assert result["last_run"]["status"] == "done"


def test_two_kinds_of_service_exclude_each_other(run: Any) -> None:
    assert "mutually exclusive" in run(compose_id="c", service_name="web")["msg"]


def test_a_failure_is_one_message(run: Any) -> None:
    result = run(VERSION, one(), cron="0 25 * * *")
    assert result["failed"]
    assert "its hour is '25'" in result["msg"]


def test_a_missing_library_is_named(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dokploy_schedule, "HAS_REQUESTS", False)
    assert "requests" in run()["msg"]
