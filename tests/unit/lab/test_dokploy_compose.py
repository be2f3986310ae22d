# SPDX-License-Identifier: GPL-3.0-or-later
"""Compose services: deployed through the queue, run as a stack's tasks or as plain containers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab import processes
from lab.dokploy import composefile, services
from lab.dokploy.model import Row
from tests.unit.lab.dokploy_world import GIT_URL, World, until

ONE = "services:\n  web:\n    image: lab/web:1\n"
TWO = "services:\n  web:\n    image: lab/web:2\n  worker:\n    image: lab/worker:1\n    deploy:\n      replicas: 2\n"
CRASHING = "services:\n  web:\n    image: lab/web:2-crash\n"


class Compose:
    """One compose service of a world."""

    def __init__(self, world: World, compose_type: str = "docker-compose", **settings: Any) -> None:
        self.world = world
        with world.double.model.change():
            row = services.add_compose(
                world.double.model,
                "stackapp",
                world.seeded.environment_id,
                **{"composeType": compose_type, "sourceType": "raw", **settings},
            )
        self.id, self.name = row["composeId"], row["appName"]

    def row(self) -> Row:
        row: Row = self.world.get("compose.one", composeId=self.id)
        return row

    def records(self) -> list[Row]:
        rows: list[Row] = self.world.get("deployment.allByCompose", composeId=self.id)
        return rows

    def call(self, verb: str, **fields: Any) -> tuple[int, Any]:
        return self.world.send("POST", f"compose.{verb}", {"composeId": self.id, **fields})

    def deployed(self, status: str = "done", file: str | None = None, verb: str = "deploy", **fields: Any) -> Row:
        if file is not None:
            assert self.call("update", composeFile=file)[0] == 200
        known = len(self.records())
        assert self.call(verb, **fields)[0] == 200
        until(
            lambda: (
                len(self.records()) > known
                and self.records()[0]["status"] == status
                and self.row()["composeStatus"] == status
            ),
            f"a deployment that ends {status}",
        )
        return self.records()[0]

    def containers(self) -> dict[str, str]:
        listed = self.world.get("docker.getContainersByAppNameMatch", appName=self.name, appType="docker-compose")
        return {row["name"].removeprefix(self.name): row["state"] for row in listed}

    def tasks(self, service: str) -> list[Row]:
        rows: list[Row] = self.world.get("docker.getServiceContainersByAppName", appName=f"{self.name}_{service}")
        return rows

    def run(self, **containers: str) -> None:
        wanted = {f"-{name.replace('_', '-')}": state for name, state in containers.items()}
        until(lambda: self.containers() == wanted, f"{wanted}, not {self.containers()}")


def running(rows: list[Row]) -> int:
    return sum(row["state"] == "running" and row["currentState"].startswith("Running") for row in rows)


def test_a_compose_project_runs_as_containers_that_the_swarm_does_not_know(tmp_path: Path) -> None:
    with World(tmp_path, replicas=0) as world:
        compose = Compose(world)
        assert compose.deployed(file=TWO, title="c1", description="cd")["title"] == "c1"
        compose.run(web_1="running", worker_1="running", worker_2="running")
        assert world.get("docker.getServiceContainersByAppName", appName=f"{compose.name}-web") == []
        container = world.get("docker.getContainersByAppNameMatch", appName=compose.name)[0]["containerId"]
        config = world.get("docker.getConfig", containerId=container)
        assert config["Config"]["Labels"]["com.docker.compose.project"] == compose.name
        assert config["Image"].startswith("sha256:")
        assert world.get("docker.getContainersByAppNameMatch", appName="nosuch", appType="docker-compose") == []


def test_a_service_that_left_the_file_is_removed_and_one_that_did_not_change_is_left_alone(tmp_path: Path) -> None:
    with World(tmp_path, replicas=0) as world:
        compose = Compose(world, "stack")
        compose.deployed(file=TWO)
        until(lambda: running(compose.tasks("worker")) == 2, "two workers")
        before = compose.tasks("web")
        compose.deployed(file=TWO.partition("  worker")[0], verb="redeploy")
        assert compose.tasks("worker") == []
        assert [row["containerId"] for row in compose.tasks("web")] == [row["containerId"] for row in before]


def test_a_crashing_container_is_done_and_stays_exited(tmp_path: Path) -> None:
    with World(tmp_path, replicas=0) as world:
        compose = Compose(world)
        compose.deployed(file=CRASHING)
        compose.run(web_1="exited")
        world.double.swarm.tick()
        assert compose.containers() == {"-web-1": "exited"}
        status = world.get("docker.getContainersByAppNameMatch", appName=compose.name)[0]["status"]
        assert status.startswith("Exited (1)")


def test_a_container_that_is_to_be_restarted_keeps_its_id(tmp_path: Path) -> None:
    with World(tmp_path, replicas=0) as world:
        compose = Compose(world)
        compose.deployed(file=f"{CRASHING}    restart: always\n")
        until(lambda: len(world.double.swarm.containers(compose.name)) == 1, "the container")
        first = world.double.swarm.containers(compose.name)[0]
        until(lambda: world.double.swarm.containers(compose.name)[0].id != first.id, "another try")
        assert {task.container_id for task in world.double.swarm.containers(compose.name)} == {first.container_id}
        statuses = set()

        def is_restarting() -> bool:
            listed = world.get("docker.getContainersByAppNameMatch", appName=compose.name)
            statuses.update(row["status"].partition(" (")[0] for row in listed if row["state"] == "restarting")
            return statuses == {"Restarting"}

        until(is_restarting, "a container that is about to be restarted")


def test_a_crashing_stack_is_done_and_its_tasks_fail_again_and_again(tmp_path: Path) -> None:
    """docker's own policy for a stack is to pause the update, not to take it back."""
    with World(tmp_path, replicas=0) as world:
        compose = Compose(world, "stack")
        compose.deployed(file=ONE)
        until(lambda: running(compose.tasks("web")) == 1, "the first version")
        compose.deployed(file=CRASHING)
        until(lambda: sum("Failed" in row["currentState"] for row in compose.tasks("web")) >= 2, "two failed tasks")
        assert compose.row()["composeStatus"] == "done"


def test_an_image_that_is_missing_fails_the_project_and_rejects_the_tasks_of_a_stack(tmp_path: Path) -> None:
    with World(tmp_path, replicas=0) as world:
        missing = ONE.replace(":1", ":nosuch")
        failed = Compose(world).deployed("error", file=missing)
        assert "manifest unknown" in world.get("deployment.readLogs", deploymentId=failed["deploymentId"])
        stack = Compose(world, "stack")
        stack.deployed(file=missing)
        until(lambda: any("No such image" in row["error"] for row in stack.tasks("web")), "a rejected task")


def test_bad_yaml_is_accepted_and_fails_when_it_is_deployed(tmp_path: Path) -> None:
    with World(tmp_path, replicas=0) as world:
        compose = Compose(world)
        record = compose.deployed("error", file="services: [\n")
        log = world.get("deployment.readLogs", deploymentId=record["deploymentId"])
        assert "❌ Has occurred an error: " in log
        assert log.endswith("\nError occurred ❌, check the logs for details.\n")
        assert compose.containers() == {}


def test_a_stopped_stack_is_gone_and_its_start_starts_nothing(tmp_path: Path) -> None:
    with World(tmp_path, replicas=0) as world:
        compose = Compose(world, "stack")
        compose.deployed(file=ONE)
        until(lambda: running(compose.tasks("web")) == 1, "the service")
        assert compose.call("stop") == (200, True)
        assert (compose.tasks("web"), compose.row()["composeStatus"]) == ([], "idle")
        assert compose.call("start") == (200, True)
        world.double.swarm.tick()
        assert (compose.tasks("web"), compose.row()["composeStatus"]) == ([], "done")
        compose.deployed(verb="redeploy")
        until(lambda: running(compose.tasks("web")) == 1, "the service again")


def test_a_stopped_project_keeps_its_containers_and_starts_again(tmp_path: Path) -> None:
    with World(tmp_path, replicas=0) as world:
        compose = Compose(world)
        compose.deployed(file=ONE)
        compose.run(web_1="running")
        assert compose.call("stop") == (200, True)
        assert processes.recorded(tmp_path) == []
        assert (compose.containers(), compose.row()["composeStatus"]) == ({"-web-1": "exited"}, "idle")
        assert compose.call("start") == (200, True)
        compose.run(web_1="running")


def test_a_project_that_never_was_deployed_cannot_be_stopped_or_started(tmp_path: Path) -> None:
    with World(tmp_path, replicas=0) as world:
        compose = Compose(world)
        status, body = compose.call("stop")
        assert (status, body["code"], compose.row()["composeStatus"]) == (500, "INTERNAL_SERVER_ERROR", "error")
        assert (compose.call("start")[0], compose.row()["composeStatus"]) == (500, "idle")


def test_compose_and_applications_share_one_queue(tmp_path: Path) -> None:
    with World(tmp_path, replicas=0) as world:
        world.from_git({"sha": "a" * 40, "message": "slow", "version": "1", "build_seconds": 3600})
        compose = Compose(world, composeFile=ONE)
        world.post("application.deploy")
        assert compose.call("deploy", title="waits")[1]["message"] == "Deployment queued"
        until(lambda: world.get("deployment.queueList")[-1]["state"] == "active", "the first build")
        waiting, active = world.get("deployment.queueList")
        assert (waiting["state"], active["data"]["applicationId"]) == ("waiting", world.id)
        assert waiting["data"] == {
            "composeId": compose.id,
            "titleLog": "waits",
            "descriptionLog": "",
            "type": "deploy",
            "applicationType": "compose",
            "server": False,
        }
        assert waiting["servicePath"]["href"].endswith(f"/services/compose/{compose.id}")
        assert compose.records() == []
        assert compose.call("cleanQueues")[0] == 200
        assert len(world.get("deployment.queueList")) == 1


def test_a_restart_of_the_server_cancels_a_running_deployment(tmp_path: Path) -> None:
    with World(tmp_path, replicas=0) as world:
        commit = {"sha": "a" * 40, "message": "m", "version": "1", "build_seconds": 3600, "compose_file": BUILT}
        compose = from_git(world, commit)
        compose.call("deploy")
        until(lambda: [row["status"] for row in compose.records()] == ["running"], "a build")
        world.double.restart()
        assert [(row["status"], row["finishedAt"]) for row in compose.records()] == [("cancelled", None)]
        assert compose.row()["composeStatus"] == "idle"


BUILT = "services:\n  web:\n    build: .\n"


def from_git(world: World, *commits: Row, compose_type: str = "docker-compose") -> Compose:
    with world.double.model.change():
        world.double.model.tables["repositories"][GIT_URL] = {"main": list(commits)}
    return Compose(world, compose_type, sourceType="git", customGitUrl=GIT_URL, customGitBranch="main")


def test_a_build_from_git_takes_the_commits_message_as_its_title(tmp_path: Path) -> None:
    with World(tmp_path, replicas=0) as world:
        compose = from_git(world, {"sha": "b" * 40, "message": "feat: B", "version": "2", "compose_file": BUILT})
        compose.deployed(title="mine")
        until(lambda: compose.records()[0]["title"] == "feat: B", "the commit's message")
        assert compose.records()[0]["description"] == f"Commit: {'b' * 40}"
        compose.run(web_1="running")


def test_a_build_that_fails_leaves_what_runs(tmp_path: Path) -> None:
    with World(tmp_path, replicas=0) as world:
        compose = from_git(world, {"sha": "b" * 40, "message": "B", "version": "2", "compose_file": BUILT})
        compose.deployed()
        compose.run(web_1="running")
        bad = {"sha": "c" * 40, "message": "C", "version": "3", "compose_file": BUILT, "behaviour": "fail-build"}
        with world.double.model.change():
            world.double.model.tables["repositories"][GIT_URL]["main"].append(bad)
        record = compose.deployed("error")
        assert "non-zero code" in world.get("deployment.readLogs", deploymentId=record["deploymentId"])
        compose.run(web_1="running")


def test_it_is_listed_with_its_environment_and_its_records_with_all_others(tmp_path: Path) -> None:
    with World(tmp_path, replicas=0) as world:
        compose = Compose(world)
        compose.deployed(file=ONE)
        listed = world.get("project.all")[0]["environments"][0]["compose"]
        assert listed == [{"composeId": compose.id, "name": "stackapp", "composeStatus": "done"}]
        central = world.get("deployment.allCentralized")[0]
        assert (central["compose"]["name"], central["application"]) == ("stackapp", None)
        by_type = world.get("deployment.allByType", id=compose.id, type="compose")
        assert [row["deploymentId"] for row in by_type] == [row["deploymentId"] for row in compose.records()]


def test_at_most_eleven_records_are_listed(tmp_path: Path) -> None:
    with World(tmp_path, replicas=0) as world:
        compose = Compose(world)
        for _turn in range(12):
            compose.call("deploy")
        until(lambda: world.get("deployment.queueList") == [], "an empty queue")
        assert len(compose.records()) == 11


def test_a_deleted_one_leaves_nothing(tmp_path: Path) -> None:
    with World(tmp_path, replicas=0) as world:
        compose = Compose(world, "stack")
        compose.deployed(file=ONE)
        assert compose.call("delete", deleteVolumes=False)[0] == 200
        assert processes.recorded(tmp_path) == []
        assert compose.call("deploy")[0] == 404


@pytest.mark.parametrize(
    "text", ["", "services: {}\n", "services:\n  web: {}\n", "services:\n  web:\n    ports: [80]\n", "a: [b\n"]
)
def test_a_file_that_names_no_service_to_run_is_bad(text: str) -> None:
    with pytest.raises(composefile.BadComposeFile):
        composefile.read(text, None)


def test_the_environment_fills_in_the_variables_of_the_file() -> None:
    text = (
        "services:\n  web:\n    image: lab/web:${TAG}\n    command: [sh, -c, exit 1]\n    environment: [PORT=$PORT]\n"
    )
    service = composefile.read(text, "TAG=7\nPORT=81")[0]
    assert (service.image, service.command, service.env) == ("lab/web:7", "sh -c exit 1", "PORT=81")
