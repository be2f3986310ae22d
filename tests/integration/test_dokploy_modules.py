# SPDX-License-Identifier: GPL-3.0-or-later
"""dokploy_info and dokploy_service over real HTTP, against the double and its real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.vedfinance.platform.plugins.module_utils._clock import SystemClock
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy import keeper
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.client import DokployClient
from ansible_collections.vedfinance.platform.plugins.module_utils._http import Request, RequestsTransport
from ansible_collections.vedfinance.platform.plugins.modules import dokploy_info, dokploy_service

from lab.dokploy import keys
from lab.dokploy.model import Model, Seeded
from lab.dokploy.server import Double
from tests.unit.lab.dokploy_world import until
from tests.unit.plugins.run_module import run_main

ROOT = Path(__file__).resolve().parents[2]
TASK = ("sh", "-c", 'test "$APP_BEHAVIOUR" != crash && exec sleep 600')
SECRET = "s3cr3t-of-the-env"


@dataclass
class World:
    double: Double
    seeded: Seeded
    capsys: pytest.CaptureFixture[str]

    def __post_init__(self) -> None:
        self.client = DokployClient(self.double.url, self.seeded.api_key, RequestsTransport(), SystemClock())

    @property
    def arguments(self) -> dict[str, Any]:
        return {
            "dokploy_url": self.double.url,
            "dokploy_api_key": self.seeded.api_key,
            "project": "vedfinance",
            "application": "api",
        }

    def service(self, state: str, check: bool = False, **options: Any) -> dict[str, Any]:
        settings = {"stable_for": 0.3, "wait_timeout": 20, **self.arguments, **options}
        return self._checked(run_main(dokploy_service.main, self.capsys, {"state": state, **settings}, check))

    def info(self, **options: Any) -> dict[str, Any]:
        return self._checked(run_main(dokploy_info.main, self.capsys, {**self.arguments, **options}))

    def _checked(self, result: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps(result)
        assert SECRET not in text
        assert self.seeded.api_key not in text
        return result

    def running(self) -> int:
        return sum(task["state"] == "running" for task in self.info()["tasks"])

    def columns(self) -> dict[str, Any]:
        row: Any = self.client.get("application.one", applicationId=self.seeded.application_id)
        return dict(row)

    def update(self, **columns: object) -> None:
        self.client.post("application.update", applicationId=self.seeded.application_id, **columns)


@pytest.fixture
def world(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(keeper, "POLL_SECONDS", 0.05)
    model = Model(tmp_path)
    seeded = model.seed(env=f"APP_SECRET={SECRET}", replicas=2)
    with Double(tmp_path, tempo=0.1, task_command=TASK) as double:
        world = World(double, seeded, capsys)
        assert world.service("running", stable_for=0)["verified"]
        yield world


def test_stopped_stays_stopped_and_running_brings_back_what_was(world: World) -> None:
    before = world.columns()
    assert world.service("running")["changed"] is False

    planned = world.service("stopped", check=True)
    assert planned["changed"]
    assert world.running() == 2
    assert world.columns() == before

    stopped = world.service("stopped")
    assert (stopped["changed"], stopped["verified"], stopped["replicas_remembered"]) == (True, True, 2)
    assert stopped["diff"] == planned["diff"]
    assert world.service("stopped")["changed"] is False

    world.client.post("application.redeploy", applicationId=world.seeded.application_id)
    assert world.service("stopped")["verified"]
    assert world.info()["quiesced"]
    assert world.running() == 0

    started = world.service("running")
    assert (started["changed"], started["verified"], started["replicas_remembered"]) == (True, True, None)
    assert world.running() == 2
    assert world.columns()["description"] == before["description"]
    assert world.service("running")["changed"] is False


def test_goes_on_after_an_interruption(world: World) -> None:
    marker = "[stopped by vedfinance.platform at 2026-11-22T02:00:00Z, replicas before: 2]"
    world.service("running")
    world.update(replicas=0, description=marker)
    stopped = world.service("stopped")
    assert (stopped["changed"], stopped["replicas_remembered"]) == (True, 2)
    assert world.running() == 0
    world.update(replicas=2, description=None)
    assert world.service("running")["changed"]
    assert world.running() == 2


def test_a_build_under_way_does_not_bring_it_back(world: World) -> None:
    world.service("running")
    world.client.post("application.deploy", applicationId=world.seeded.application_id, title="release 2")
    assert world.info()["building"]
    assert world.service("stopped")["verified"]
    info = world.info()
    assert info["deployments"][0]["title"] == "release 2"
    assert (info["building"], world.running()) == (False, 0)


def test_a_version_that_crashes_is_given_up_by_swarm(world: World) -> None:
    """It goes back to what was before the update, of which no task ran."""
    world.service("stopped")
    world.update(dockerImage="lab/api:1.5.0-crash")
    result = world.service("running", stable_for=0.5)
    assert result["failed"]
    assert "does not start: task: non-zero exit" in result["msg"]
    assert result["changed"]


def test_a_crash_loop_is_told_with_its_reason(world: World) -> None:
    world.service("stopped")
    world.update(command="/bin/false")
    world.service("running", wait_timeout=0)
    until(lambda: any(task["error"] for task in world.info()["tasks"]), "the first crash")
    result = world.service("running", wait_timeout=8)
    assert result["failed"]
    assert "task: non-zero exit (1)" in result["msg"]
    assert result["changed"]


def test_what_was_never_deployed(world: World) -> None:
    created: Any = world.client.post("application.create", name="new", environmentId=world.seeded.environment_id)
    result = world.service("running", application=None, project=None, application_id=created["applicationId"])
    assert "has never been deployed with success" in result["msg"]


def test_two_of_one_name_are_listed(world: World) -> None:
    world.client.post("application.create", name="api", environmentId=world.seeded.environment_id)
    result = world.info()
    assert result["failed"]
    assert len(result["candidates"]) == 2
    assert world.info(application=None, application_id=world.seeded.application_id)["application"]["name"] == "api"


def test_keys_that_do_not_do(world: World) -> None:
    rejected = world.info(dokploy_api_key="wrong")
    assert "did not accept the API key" in rejected["msg"]

    table = world.double.model.tables["keys"]
    projects: Any = world.client.get("project.all")
    organization = projects[0]["organizationId"]
    with world.double.model.change():
        limited = keys.add(table, organization_id=organization, limit=2)
        member = keys.add(table, organization_id=organization, role="member", services=(world.seeded.application_id,))
    assert "The rate limit of the API key is used up" in world.info(dokploy_api_key=limited)["msg"]

    assert world.info(dokploy_api_key=member)["tasks"] is None
    before = world.columns()
    denied = world.service("stopped", dokploy_api_key=member)
    assert "may not call application.update" in denied["msg"]
    assert world.columns() == before


# --- compose and databases

COMPOSE_FILE = f"""
services:
  web:
    image: lab/api:1.4.0
    environment:
      APP_SECRET: {SECRET}
"""


def compose_of(world: World, compose_type: str) -> dict[str, Any]:
    """The options that name a new compose service that has been deployed."""
    created: Any = world.client.post(
        "compose.create",
        name="monitoring",
        environmentId=world.seeded.environment_id,
        composeType=compose_type,
        sourceType="raw",
        composeFile=COMPOSE_FILE,
    )
    world.client.post("compose.deploy", composeId=created["composeId"])
    options = {"application": None, "compose": "monitoring"}
    until(lambda: world.info(**options)["compose"]["status"] == "done", "the compose service to be deployed")
    return options


def call_webhook(world: World, options: dict[str, Any]) -> int:
    """As a git host does; the status of the answer."""
    row: Any = world.client.get("compose.one", composeId=world.info(**options)["compose"]["id"])
    request = Request("POST", f"{world.double.url}/api/deploy/compose/{row['refreshToken']}", body=b"{}")
    return RequestsTransport().send(replace(request, headers={"Content-Type": "application/json"})).status


@pytest.mark.parametrize("compose_type", ["docker-compose", "stack"])
def test_a_compose_service_stays_stopped_and_comes_back(world: World, compose_type: str) -> None:
    options = compose_of(world, compose_type)
    assert world.service("running", **options)["changed"] is False
    images = world.info(**options)["images"]
    assert [image["reference"] for image in images] == ["lab/api:1.4.0"]

    planned = world.service("stopped", check=True, **options)
    stopped = world.service("stopped", **options)
    assert (planned["changed"], stopped["changed"], stopped["verified"]) == (True, True, True)
    assert stopped["diff"] == planned["diff"]
    assert stopped["auto_deploy_remembered"] is True
    assert world.info(**options)["quiesced"]
    assert world.service("stopped", **options)["changed"] is False
    assert call_webhook(world, options) == 400
    assert world.info(**options)["quiesced"]

    started = world.service("running", **options)
    assert (started["changed"], started["verified"], started["compose"]["auto_deploy"]) == (True, True, True)
    assert world.info(**options)["quiesced"] is False
    assert world.service("running", **options)["changed"] is False


def test_a_stack_whose_redeployment_fails_tells_why(world: World) -> None:
    options = compose_of(world, "stack")
    identity = world.service("stopped", **options)["compose"]["id"]
    world.client.post("compose.update", composeId=identity, composeFile="services: [")
    result = world.service("running", **options)
    assert result["failed"]
    assert "The redeployment of the stack monitoring ended error" in result["msg"]
    log = world.info(log_lines=20, **options)["failed_log"]
    assert log["lines"]


def test_a_database_is_stopped_and_started(world: World) -> None:
    created: Any = world.client.post(
        "postgres.create",
        name="db",
        databaseName="shop",
        databaseUser="shop",
        databasePassword=SECRET,
        environmentId=world.seeded.environment_id,
    )
    options = {"application": None, "database": "db"}
    assert "deploy it once" in world.service("running", **options)["msg"]
    world.client.post("postgres.deploy", postgresId=created["postgresId"])
    assert world.service("running", **options)["verified"]

    stopped = world.service("stopped", **options)
    assert (stopped["changed"], stopped["verified"]) == (True, True)
    assert stopped["diff"]["after"] == {"state": "stopped"}
    assert world.service("stopped", **options)["changed"] is False
    assert world.service("running", **options)["changed"]
    assert world.service("running", **options)["changed"] is False
    assert world.info(**options)["database"]["kind"] == "postgres"


def test_all_services_are_listed(world: World) -> None:
    world.client.post("compose.create", name="monitoring", environmentId=world.seeded.environment_id)
    listed = world.info(application=None)["services"]
    assert [(item["kind"], item["name"]) for item in listed if item["project"] == "vedfinance"] == [
        ("application", "api"),
        ("compose", "monitoring"),
    ]


def test_a_key_of_another_organisation_writes_nothing(world: World) -> None:
    """Dokploy would let it stop the service, though it may not read it."""
    with world.double.model.change():
        foreign = keys.add(world.double.model.tables["keys"], organization_id="another")
    before = world.columns()
    result = world.service(
        "stopped", dokploy_api_key=foreign, project=None, application=None, application_id=world.seeded.application_id
    )
    assert "may not call application.one" in result["msg"]
    assert world.columns() == before


def test_something_else_at_the_address(world: World) -> None:
    assert world.info(dokploy_url=f"{world.double.url}/dashboard")["failed"]


def test_through_ansible_playbook(world: World, tmp_path: Path) -> None:
    """The action group, the key from the environment and the diff, as a user meets them."""
    task = {"project": "vedfinance", "application": "api"}
    play = [
        {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "module_defaults": {"group/vedfinance.platform.dokploy": {"dokploy_url": world.double.url}},
            "tasks": [
                {"vedfinance.platform.dokploy_info": task},
                {"vedfinance.platform.dokploy_service": {**task, "state": "stopped", "stable_for": 0.5}},
            ],
        }
    ]
    playbook = tmp_path / "play.yml"
    playbook.write_text(yaml.safe_dump(play))
    inventory = tmp_path / "inventory"
    inventory.write_text("localhost\n")
    command = [sys.executable, "-m", "ansible", "playbook", "--inventory", inventory, "--diff", "-vvv", playbook]
    command += ["--extra-vars", f"ansible_python_interpreter={sys.executable}"]
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "DOKPLOY_API_KEY": world.seeded.api_key,
    }
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "-    replicas: 2\n" in done.stdout
    assert "+    replicas: 0\n" in done.stdout
    assert world.seeded.api_key not in done.stdout
    assert SECRET not in done.stdout
    assert world.info()["quiesced"]
