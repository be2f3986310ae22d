# SPDX-License-Identifier: GPL-3.0-or-later
"""The module around the deployer: options in, result out, nothing secret in either."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy import argspec
from ansible_collections.vedfinance.platform.plugins.modules import dokploy_deploy

from tests.unit.plugins.dokploy_answers import APPLICATION_ID, KEY, URL, get, no_docker, one, queue, records
from tests.unit.plugins.run_module import run_main
from tests.unit.plugins.scripted import Call, FakeClock, ScriptedTransport, answer

VERSION = get("settings.getDokployVersion", "v0.30.2")
ARGUMENTS = {"dokploy_url": URL, "dokploy_api_key": KEY, "application_id": APPLICATION_ID}
LOOK = [no_docker(), records("done"), queue()]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*calls: Call, api: tuple[Call, ...] = (), check: bool = True, **arguments: Any) -> dict[str, Any]:
        dokploy, api_of_application = (ScriptedTransport(FakeClock(), *script) for script in (calls, api))
        monkeypatch.setattr(argspec, "RequestsTransport", lambda *_: dokploy)
        monkeypatch.setattr(dokploy_deploy, "RequestsTransport", lambda *_: api_of_application)
        result = run_main(dokploy_deploy.main, capsys, {**ARGUMENTS, **arguments}, check)
        dokploy.assert_all_made()
        api_of_application.assert_all_made()
        assert "s3cr3t" not in json.dumps(result)
        assert KEY not in json.dumps(result)
        return result

    return run


def test_check_mode_predicts_with_a_diff(run: Any) -> None:
    result = run(VERSION, one(), *LOOK, image="lab/api:1.5.0")
    assert result["changed"]
    assert result["diff"]["before"]["stored_image"] == "lab/api:1.4.0"
    assert result["diff"]["after"]["stored_image"] == "lab/api:1.5.0"


def test_the_application_is_asked_over_its_own_address(run: Any) -> None:
    told = Call("GET", "/v", answer({"build": {"number": 7}}))
    expect = {"version_path": "build.number"}
    result = run(
        VERSION,
        one(),
        *LOOK,
        api=(told,),
        api_url="http://127.0.0.1:9",
        version_path="/v",
        expect_version="8",
        expect=expect,
    )
    assert result["diff"]["before"]["version"] == "7"


def test_a_failure_carries_what_is_known(run: Any) -> None:
    result = run(VERSION, one(replicas=0))
    assert result["failed"]
    assert "has 0 replicas" in result["msg"]


@pytest.mark.parametrize("other", ["compose", "compose_id"])
def test_one_service_at_a_time(run: Any, other: str) -> None:
    assert "mutually exclusive" in run(**{other: "shop"})["msg"]
