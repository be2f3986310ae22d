# SPDX-License-Identifier: GPL-3.0-or-later
"""dokploy_schedule and dokploy_backup over real HTTP: real commands, and real dumps of a real PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy import runs
from ansible_collections.vedfinance.platform.plugins.modules import dokploy_backup, dokploy_schedule

from lab.dokploy.buckets import FOLDER
from tests.conftest import ROOT
from tests.integration.world import Live
from tests.unit.lab.dokploy_world import World
from tests.unit.plugins.run_module import run_main

ENV_SECRET, S3_ACCESS, S3_SECRET = "env-s3cr3t-0815", "s3-access-s3cr3t-0815", "s3-key-s3cr3t-0815"
DESTINATION = {
    "name": "r2",
    "provider": "Other",
    "accessKey": S3_ACCESS,
    "secretAccessKey": S3_SECRET,
    "bucket": "dumps",
    "region": "us-east-1",
    "endpoint": "http://127.0.0.1:9",
    "additionalFlags": [],
}


class Runner:
    """Runs both modules, and finds no secret in whatever they return."""

    def __init__(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        self.world = world
        self.capsys = capsys
        self.secrets = [world.seeded.api_key, ENV_SECRET, S3_ACCESS, S3_SECRET]

    def schedule(self, check: bool = False, **options: Any) -> dict[str, Any]:
        return self._run(dokploy_schedule.main, {"application": "api", "name": "clean", **options}, check)

    def backup(self, check: bool = False, **options: Any) -> dict[str, Any]:
        return self._run(dokploy_backup.main, {"database": "db", "name": "daily", **options}, check)

    def _run(self, main: Any, options: dict[str, Any], check: bool) -> dict[str, Any]:
        login = {"dokploy_url": self.world.double.url, "dokploy_api_key": self.world.seeded.api_key}
        result = run_main(main, self.capsys, {**login, "project": "vedfinance", **options}, check)
        assert not self.leaks(json.dumps(result))
        return result

    def leaks(self, text: str) -> list[str]:
        return [secret for secret in self.secrets if secret in text]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(runs, "POLL_SECONDS", 0.05)
    with World(tmp_path / "dokploy", env=f"APP_SECRET={ENV_SECRET}\nOTHER={ENV_SECRET}", replicas=1) as world:
        world.double.buckets.make("dumps")
        world.send("POST", "destination.create", DESTINATION)
        yield world


@pytest.fixture
def runner(world: World, capsys: pytest.CaptureFixture[str]) -> Runner:
    return Runner(world, capsys)


# --- schedules --------------------------------------------------------------------------------------------------------


def test_a_schedule_is_kept_run_and_removed(world: World, runner: Runner) -> None:
    world.deployed()
    definition = {"cron": "30 3 * * *", "command": "echo cleaned; env", "shell": "sh", "enabled": False}
    planned = runner.schedule(check=True, **definition)
    assert world.get("schedule.list", id=world.id, scheduleType="application") == []
    created = runner.schedule(**definition)
    assert (created["changed"], created["diff"]) == (True, planned["diff"])
    assert not runner.schedule(**definition)["changed"]

    updated = runner.schedule(timezone="Asia/Ho_Chi_Minh", enabled=True)
    assert updated["schedule"] == {**created["schedule"], "timezone": "Asia/Ho_Chi_Minh", "enabled": True}

    ran = runner.schedule(state="run")
    assert (ran["changed"], ran["last_run"]["status"]) == (True, "done")
    assert {"cleaned", "APP_SECRET=***", "OTHER=***"} <= set(ran["log"])
    assert runner.schedule()["last_run"] == ran["last_run"]

    failed = runner.schedule(state="run", command="echo no such table; exit 3")
    assert failed["failed"]
    assert "no such table | ❌ Command failed" in failed["msg"]
    assert (failed["changed"], failed["last_run"]["status"]) == (True, "error")
    assert failed["schedule"]["command"] == "echo no such table; exit 3"

    assert runner.schedule(state="absent")["changed"]
    assert not runner.schedule(state="absent")["changed"]


def test_on_the_host_of_dokploy_and_in_a_compose(world: World, runner: Runner) -> None:
    place = {"application": None, "dokploy_server": True}
    ran = runner.schedule(**place, state="run", cron="@daily", command="echo one\necho two")
    assert ran["log"][-2:] == ["one", "two"]
    assert not runner.schedule(**place, command="echo one\necho two")["changed"]

    _status, compose = world.send(
        "POST",
        "compose.create",
        {"name": "stack", "environmentId": world.seeded.environment_id, "composeType": "stack"},
    )
    place = {"application": None, "compose_id": compose["composeId"], "service_name": "worker"}
    assert runner.schedule(**place, cron="@daily", command="true")["changed"]
    assert not runner.schedule(**place, command="true")["changed"]
    assert runner.schedule(**{**place, "service_name": "web"}, check=True, cron="@daily", command="true")["changed"]


def test_two_of_one_name(world: World, runner: Runner) -> None:
    for _turn in range(2):
        given = {"name": "clean", "cronExpression": "@daily", "command": "true", "scheduleType": "application"}
        world.post("schedule.create", **given)
    refused = runner.schedule(state="absent")
    assert "There are 2 schedules named 'clean' in application 'api'" in refused["msg"]
    assert len(refused["candidates"]) == 2


# --- backups ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def database(world: World, runner: Runner, live: Live) -> dict[str, Any]:
    live.execute("CREATE TABLE kept (n int)")
    row = world.publish(live.server, live.name)
    runner.secrets.append(row["databasePassword"])
    return row


def test_a_backup_is_kept_run_and_removed(
    world: World, runner: Runner, database: dict[str, Any], tmp_path: Path
) -> None:
    definition = {"cron": "0 2 * * *", "destination": "r2", "check_destination": True}
    planned = runner.backup(check=True, **definition)
    assert world.get("postgres.one", postgresId=database["postgresId"])["backups"] == []
    created = runner.backup(**definition)
    assert (created["changed"], created["diff"]) == (True, planned["diff"])
    assert created["backup"]["database_name"] == database["databaseName"]
    assert (created["files"], created["last_run"]) == ([], None)
    assert not runner.backup(**definition)["changed"]

    first = runner.backup(state="run", keep_latest=1)
    second = runner.backup(state="run")
    assert second["files"] == [second["file"]]
    assert second["file"]["time"] > first["file"]["time"]
    assert second["file"]["size"] == (tmp_path / "dokploy" / FOLDER / "dumps" / second["file"]["path"]).stat().st_size
    assert second["log"][-1] == "Backup done ✅"
    told = runner.backup()
    assert (told["changed"], told["last_run"], told["files"]) == (False, second["last_run"], second["files"])

    assert runner.backup(state="absent")["changed"]
    assert not runner.backup(state="absent")["changed"]


def test_a_backup_that_fails_shows_its_reason_and_no_key(runner: Runner, database: dict[str, Any]) -> None:
    failed = runner.backup(state="run", cron="0 2 * * *", destination="r2", database_name="nosuch")
    assert 'database "nosuch" does not exist' in failed["msg"]
    assert (failed["changed"], failed["last_run"]["status"], failed["files"]) == (True, "error", None)


def test_a_destination_that_is_gone_shows_no_key(world: World, runner: Runner, database: dict[str, Any]) -> None:
    with world.double.model.change():
        (row,) = world.double.model.tables["destinations"].values()
        row["bucket"] = "nosuch"
    assert (
        "cannot reach the destination 'r2'"
        in runner.backup(cron="@daily", destination="r2", check_destination=True)["msg"]
    )
    assert "directory not found" in runner.backup(cron="@daily", destination="r2", state="run")["msg"]


# --- as a user meets them ---------------------------------------------------------------------------------------------


def test_through_ansible_playbook_as_verbose_as_can_be(
    world: World, runner: Runner, database: dict[str, Any], tmp_path: Path
) -> None:
    """The runbook's backup as the documentation shows it, with the key from the environment."""
    shown = yaml.safe_load(dokploy_backup.EXAMPLES)[0]
    backup = shown["vedfinance.platform.dokploy_backup"]
    failing = {**backup, "database_name": "nosuch", "state": "run"}
    tasks: list[dict[str, Any]] = [
        {"vedfinance.platform.dokploy_backup": {**backup, "check_destination": True}},
        {"vedfinance.platform.dokploy_backup": failing, "ignore_errors": True},
    ]
    defaults = {"group/vedfinance.platform.dokploy": {"dokploy_url": world.double.url}}
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "module_defaults": defaults}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([{**play, "tasks": tasks}]))
    (tmp_path / "inventory").write_text("localhost\n")
    command = [sys.executable, "-m", "ansible", "playbook", "--inventory", tmp_path / "inventory", "--diff", "-vvv"]
    command += ["--extra-vars", f"ansible_python_interpreter={sys.executable}", tmp_path / "play.yml"]
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "DOKPLOY_API_KEY": world.seeded.api_key,
    }
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "+    cron: 0 2 * * *\n" in done.stdout
    assert "does not exist" in done.stdout
    assert not runner.leaks(done.stdout + done.stderr)
