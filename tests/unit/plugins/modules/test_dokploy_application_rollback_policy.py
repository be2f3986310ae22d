# SPDX-License-Identifier: GPL-3.0-or-later
"""The switch and the registry, both or none, and no password of a registry."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy import argspec
from ansible_collections.vedfinance.platform.plugins.modules import dokploy_application_rollback_policy as policy

from tests.unit.plugins.dokploy_answers import APPLICATION_ID, KEY, URL, get, one, post, problem
from tests.unit.plugins.run_module import run_main
from tests.unit.plugins.scripted import Call, FakeClock, ScriptedTransport

VERSION = get("settings.getDokployVersion", "v0.30.2")
SWITCHED_ON = one(rollbackActive=True, rollbackRegistryId="g1")


def registries(*names: str) -> Call:
    rows = [
        {"registryId": f"g{number}", "registryName": name, "username": "lab", "password": "s3cr3t"}
        for number, name in enumerate(names, 1)
    ]
    return get("registry.all", rows)


def snapshots(count: int) -> Call:
    rows = [{"deploymentId": f"d{number}", "status": "done", "rollbackId": f"r{number}"} for number in range(count)]
    failed = {"deploymentId": "e", "status": "error", "rollbackId": "r"}
    return get("deployment.all", [failed, *rows], applicationId=APPLICATION_ID)


def update(**columns: Any) -> Call:
    return post("application.update", {"applicationId": APPLICATION_ID, **columns}, True)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*calls: Call, check: bool = False, **arguments: Any) -> dict[str, Any]:
        transport = ScriptedTransport(FakeClock(), *calls)
        monkeypatch.setattr(argspec, "RequestsTransport", lambda *_: transport)
        given = {"dokploy_url": URL, "dokploy_api_key": KEY, "application_id": APPLICATION_ID, **arguments}
        result = run_main(policy.main, capsys, given, check)
        transport.assert_all_made()
        assert "s3cr3t" not in json.dumps(result)
        return result

    return run


def test_switches_on_both_and_says_when_the_first_rollback_is_possible(run: Any) -> None:
    result = run(
        VERSION,
        one(),
        registries("snapshots", "other"),
        snapshots(0),
        update(rollbackActive=True, rollbackRegistryId="g1"),
        SWITCHED_ON,
        registry="snapshots",
    )
    assert result["changed"]
    assert result["diff"] == {
        "before": {"active": False, "registry_id": None, "registry": None},
        "after": {"active": True, "registry_id": "g1", "registry": "snapshots"},
    }
    assert "after the second deploy" in json.dumps(result["warnings"])


def test_check_mode_only_reads(run: Any) -> None:
    result = run(VERSION, one(), registries("snapshots"), snapshots(0), check=True)
    assert result["changed"]
    assert result["after"]["registry_id"] == "g1"


@pytest.mark.parametrize("arguments", [{}, {"registry": "snapshots"}, {"registry_id": "g1"}])
def test_a_second_run_changes_nothing(run: Any, arguments: dict[str, str]) -> None:
    result = run(VERSION, SWITCHED_ON, registries("snapshots", "other"), snapshots(3), **arguments)
    assert (result["changed"], result["snapshots"], result.get("warnings")) == (False, 3, None)


def test_the_switch_without_a_registry_is_no_policy(run: Any) -> None:
    calls = [VERSION, one(rollbackActive=True), registries("snapshots"), snapshots(0)]
    result = run(*calls, update(rollbackActive=True, rollbackRegistryId="g1"), SWITCHED_ON)
    assert result["changed"]
    assert result["before"] == {"active": True, "registry_id": None, "registry": None}


def test_switching_off_keeps_the_registry_for_the_snapshots_that_exist(run: Any) -> None:
    off = one(rollbackActive=False, rollbackRegistryId="g1")
    result = run(VERSION, SWITCHED_ON, snapshots(2), update(rollbackActive=False), off, active=False)
    assert result["changed"]
    assert result["after"]["registry_id"] == "g1"
    assert "2 snapshots of api exist" in json.dumps(result["warnings"])


def test_another_registry_leaves_snapshots_in_the_former(run: Any) -> None:
    moved = one(rollbackActive=True, rollbackRegistryId="g2")
    calls = [VERSION, SWITCHED_ON, registries("old", "new"), snapshots(2)]
    result = run(*calls, update(rollbackActive=True, rollbackRegistryId="g2"), moved, registry="new")
    assert "2 snapshots of api are in the former registry" in json.dumps(result["warnings"])


@pytest.mark.parametrize(
    ("names", "arguments", "told"),
    [
        ([], {}, "Dokploy has no registry"),
        (["a", "b"], {}, "There are 2 registries that could be meant: a (g1), b (g2)."),
        (["a", "a"], {"registry": "a"}, "There are 2 registries that could be meant"),
        (["a"], {"registry": "b"}, "There is no registry 'b' in Dokploy. There is: a (g1)."),
        (["a"], {"registry": "a", "registry_id": "g2"}, "There is no registry 'a' 'g2' in Dokploy."),
    ],
)
def test_which_registry_is_not_guessed(run: Any, names: list[str], arguments: dict[str, str], told: str) -> None:
    result = run(VERSION, one(), registries(*names), **arguments)
    assert result["failed"]
    assert told in result["msg"]


def test_without_a_look_at_the_registries_an_id_must_do(run: Any) -> None:
    denied = get("registry.all", problem("unauthorized", "UNAUTHORIZED", 401, "registry.all"), 401)
    calls = [VERSION, one(), denied]
    stored = [snapshots(1), update(rollbackActive=True, rollbackRegistryId="g1"), SWITCHED_ON]
    result = run(*calls, *stored, registry_id="g1")
    assert (result["changed"], result["after"]["registry"]) == (True, None)
    assert "Give registry_id in the place of registry" in run(*calls, registry="snapshots")["msg"]
    assert run(VERSION, SWITCHED_ON, denied, snapshots(1))["changed"] is False


def test_a_registry_makes_no_sense_when_it_is_switched_off(run: Any) -> None:
    assert "are for active=true" in run(active=False, registry="a")["msg"]


def test_what_was_not_stored_is_told(run: Any) -> None:
    calls = [VERSION, one(), registries("snapshots"), snapshots(0)]
    result = run(*calls, update(rollbackActive=True, rollbackRegistryId="g1"), one(rollbackActive=True))
    assert result["failed"]
    assert "holds another rollback policy" in result["msg"]
