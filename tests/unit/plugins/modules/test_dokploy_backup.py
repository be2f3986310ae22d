# SPDX-License-Identifier: GPL-3.0-or-later
"""The module around the keeper of backups: options in, result out, nothing secret in either."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy import argspec
from ansible_collections.vedfinance.platform.plugins.modules import dokploy_backup

from tests.unit.plugins.captured_answers import body_of
from tests.unit.plugins.dokploy_answers import KEY, URL, get, problem
from tests.unit.plugins.run_module import run_main
from tests.unit.plugins.scripted import Call, FakeClock, ScriptedTransport

VERSION = get("settings.getDokployVersion", "v0.30.2")
DATABASE = {**body_of("71-postgres.one"), "databasePassword": "s3cr3t", "backups": [body_of("92-backup.one")]}
FOUND = get("postgres.one", DATABASE, postgresId=DATABASE["postgresId"])
DESTINATION = {**body_of("91-destination.all")[0], "accessKey": "s3cr3t", "secretAccessKey": "s3cr3t"}
RUNS = get(
    "deployment.allByType",
    body_of("93-deployment.allByType-backup"),
    id=DATABASE["backups"][0]["backupId"],
    type="backup",
)
UNREADABLE = get(
    "backup.listBackupFiles",
    problem("s3cr3t is denied", "BAD_REQUEST", 400, "backup.listBackupFiles"),
    400,
    destinationId=DESTINATION["destinationId"],
    search="shop-db-ct0pth/nightly/",
)
ARGUMENTS = {"dokploy_url": URL, "dokploy_api_key": KEY, "database_id": DATABASE["postgresId"], "name": "nightly"}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*calls: Call, check: bool = True, **arguments: Any) -> dict[str, Any]:
        transport = ScriptedTransport(FakeClock(), *calls)
        monkeypatch.setattr(argspec, "RequestsTransport", lambda *_: transport)
        result = run_main(dokploy_backup.main, capsys, {**ARGUMENTS, **arguments}, check)
        transport.assert_all_made()
        assert "s3cr3t" not in json.dumps(result)
        assert KEY not in json.dumps(result)
        return result

    return run


def test_check_mode_predicts_with_a_diff_and_warns_of_what_it_could_not_see(run: Any) -> None:
    destinations = get("destination.all", [DESTINATION])
    result = run(VERSION, FOUND, FOUND, destinations, RUNS, UNREADABLE, cron="0 2 * * *", keep_latest=14)
    assert result["changed"]
    assert (result["diff"]["before"]["cron"], result["diff"]["after"]["cron"]) == ("0 4 * * *", "0 2 * * *")
    assert result["backup"]["keep_latest"] == 14
    assert result["files"] is None
    assert "*** is denied" in json.dumps(result["warnings"])


def test_the_prefix_may_be_called_so(run: Any) -> None:
    result = run(VERSION, FOUND, FOUND, get("destination.all", []), name=None, prefix="nightly", state="absent")
    assert result["changed"]


def test_a_database_is_needed(run: Any) -> None:
    assert "one of the following is required: database, database_id" in run(database_id=None)["msg"]


def test_a_failure_is_one_message(run: Any) -> None:
    result = run(VERSION, FOUND, FOUND, get("destination.all", [DESTINATION]), destination="s3")
    assert result["failed"]
    assert "There is: lab-s3." in result["msg"]


def test_a_missing_library_is_named(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dokploy_backup, "HAS_REQUESTS", False)
    assert "requests" in run()["msg"]
