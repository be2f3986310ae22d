# SPDX-License-Identifier: GPL-3.0-or-later
"""The module around the service keeper: options in, result out, nothing secret in either."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy import argspec
from ansible_collections.vedfinance.platform.plugins.modules import dokploy_service

from tests.unit.plugins.dokploy_answers import (
    APPLICATION_ID,
    COMPOSE_APP_NAME,
    COMPOSE_ID,
    DATABASE_APP_NAME,
    DATABASE_ID,
    KEY,
    URL,
    compose_one,
    container,
    containers,
    database_one,
    get,
    no_docker,
    one,
    task,
    tasks,
)
from tests.unit.plugins.run_module import run_main
from tests.unit.plugins.scripted import Call, FakeClock, ScriptedTransport, answer

VERSION = get("settings.getDokployVersion", "v0.30.2")
ARGUMENTS = {"dokploy_url": URL, "dokploy_api_key": KEY, "application_id": APPLICATION_ID}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*calls: Call, check: bool = True, **arguments: Any) -> dict[str, Any]:
        transport = ScriptedTransport(FakeClock(), *calls)
        monkeypatch.setattr(argspec, "RequestsTransport", lambda *_: transport)
        result = run_main(dokploy_service.main, capsys, {**ARGUMENTS, **arguments}, check)
        transport.assert_all_made()
        assert "s3cr3t" not in json.dumps(result)
        assert KEY not in json.dumps(result)
        return result

    return run


def test_check_mode_predicts_with_a_diff(run: Any) -> None:
    result = run(VERSION, one(), tasks(task("Running")), state="stopped")
    assert result["changed"]
    assert result["diff"] == {
        "before": {"replicas": 2, "state": "running"},
        "after": {"replicas": 0, "state": "stopped"},
    }
    assert result["application"]["replicas"] == 0
    assert result["replicas_remembered"] == 2


def test_what_could_not_be_verified_is_a_warning(run: Any) -> None:
    result = run(VERSION, one(), no_docker(), no_docker(), one(), check=False, state="running")
    assert not result["verified"]
    assert "vedfinance.platform.api_health" in json.dumps(result["warnings"])


def test_a_failure_is_one_message(run: Any) -> None:
    refusal = Call("GET", "/api/settings.getDokployVersion", answer({"message": "Unauthorized"}, 401))
    result = run(refusal, state="stopped")
    assert result["failed"]
    assert "did not accept the API key" in result["msg"]
    assert (result["status"], result["procedure"]) == (401, "settings.getDokployVersion")


@pytest.mark.parametrize(("state", "replicas"), [("stopped", 2), ("running", 0)])
def test_replicas_that_make_no_sense(run: Any, state: str, replicas: int) -> None:
    assert "replicas is for state=running" in run(state=state, replicas=replicas)["msg"]


def test_url_and_key_may_come_from_the_environment(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOKPLOY_URL", f"{URL}/api/")
    monkeypatch.setenv("DOKPLOY_API_KEY", KEY)
    result = run(VERSION, one(), tasks(), state="stopped", dokploy_url=None, dokploy_api_key=None)
    assert result["changed"]


def test_a_missing_library_is_named(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dokploy_service, "HAS_REQUESTS", False)
    assert "requests" in run(state="stopped")["msg"]


@pytest.mark.parametrize("other", ["compose", "compose_id", "database", "database_id"])
def test_two_kinds_of_services_at_once(run: Any, other: str) -> None:
    assert "mutually exclusive" in run(state="stopped", **{other: "x"})["msg"]


@pytest.mark.parametrize("kind", ["compose", "database"])
def test_replicas_are_for_applications(run: Any, kind: str) -> None:
    result = run(state="running", replicas=2, application_id=None, **{f"{kind}_id": "x"})
    assert f"keeps no number of replicas for a {kind} service" in result["msg"]


def test_a_compose_service_in_check_mode(run: Any) -> None:
    listed = containers(container("shop-web-1"), app_name=COMPOSE_APP_NAME, appType="docker-compose")
    result = run(VERSION, compose_one(), listed, state="stopped", application_id=None, compose_id=COMPOSE_ID)
    assert result["changed"]
    assert result["diff"]["after"] == {"auto_deploy": False, "state": "stopped"}
    assert (result["compose"]["auto_deploy"], result["auto_deploy_remembered"]) == (False, True)


def test_a_database_in_check_mode(run: Any) -> None:
    listed = get("docker.getServiceContainersByAppName", [task("Running")], appName=DATABASE_APP_NAME)
    result = run(VERSION, database_one(), listed, state="stopped", application_id=None, database_id=DATABASE_ID)
    assert result["changed"]
    assert result["diff"] == {"before": {"state": "running"}, "after": {"state": "stopped"}}
    assert result["database"]["kind"] == "postgres"
