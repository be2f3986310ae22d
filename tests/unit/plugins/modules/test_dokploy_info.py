# SPDX-License-Identifier: GPL-3.0-or-later
"""The module around the reading: what it was told to read, and no change."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy import argspec
from ansible_collections.vedfinance.platform.plugins.modules import dokploy_info

from tests.unit.plugins.dokploy_answers import (
    APPLICATION_ID,
    KEY,
    URL,
    containers,
    get,
    one,
    queue,
    records,
    task,
    tasks,
)
from tests.unit.plugins.run_module import run_main
from tests.unit.plugins.scripted import Call, FakeClock, ScriptedTransport

VERSION = get("settings.getDokployVersion", "v0.30.2")
PROJECTS = get(
    "project.all",
    [
        {
            "name": "shop",
            "projectId": "p",
            "environments": [
                {
                    "name": "production",
                    "environmentId": "e",
                    "applications": [
                        {"applicationId": APPLICATION_ID, "name": "api"},
                        {"applicationId": "x", "name": "web"},
                        {"applicationId": "y", "name": "web"},
                    ],
                }
            ],
        }
    ],
)
ARGUMENTS = {"dokploy_url": URL, "dokploy_api_key": KEY, "project": "shop"}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*calls: Call, check: bool = False, **arguments: Any) -> dict[str, Any]:
        transport = ScriptedTransport(FakeClock(), *calls)
        monkeypatch.setattr(argspec, "RequestsTransport", lambda *_: transport)
        result = run_main(dokploy_info.main, capsys, {**ARGUMENTS, **arguments}, check)
        transport.assert_all_made()
        assert "s3cr3t" not in json.dumps(result)
        assert KEY not in json.dumps(result)
        return result

    return run


@pytest.mark.parametrize("check", [False, True])
def test_reads_in_check_mode_too(run: Any, check: bool) -> None:
    schedules = get("schedule.list", [], id=APPLICATION_ID, scheduleType="application")
    calls = (
        VERSION,
        PROJECTS,
        one(),
        tasks(task("Running")),
        queue(),
        records("done", "done"),
        containers(),
        schedules,
    )
    result = run(*calls, check=check, application="api", deployments=1)
    assert result["changed"] is False
    assert result["application"]["id"] == APPLICATION_ID
    assert len(result["deployments"]) == 1


def test_an_ambiguous_name_returns_the_candidates(run: Any) -> None:
    result = run(VERSION, PROJECTS, application="web")
    assert result["failed"]
    assert [candidate["id"] for candidate in result["candidates"]] == ["x", "y"]


def test_no_service_lists_all(run: Any) -> None:
    result = run(VERSION, PROJECTS)
    assert result["changed"] is False
    assert [(item["kind"], item["name"]) for item in result["services"]] == [
        ("application", "api"),
        ("application", "web"),
        ("application", "web"),
    ]


@pytest.mark.parametrize("other", ["compose", "compose_id", "database", "database_id"])
def test_two_kinds_of_services_at_once(run: Any, other: str) -> None:
    assert "mutually exclusive" in run(application="api", **{other: "x"})["msg"]
