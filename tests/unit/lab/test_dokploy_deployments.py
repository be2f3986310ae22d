# SPDX-License-Identifier: GPL-3.0-or-later
"""Records and what they leave out: delay, overwritten titles, pruning, snapshots, and a restart in the middle."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from lab.dokploy import keys
from tests.unit.lab.dokploy_world import World, until

OLD = "lab/api:1.4.0"
SHA = "6e149ee86aed0f8e4cf29d79b31eb6bbb28b3ee5"


def commit(version: str, **more: Any) -> dict[str, Any]:
    return {"sha": SHA, "message": f"feat: {version}", "version": version, **more}


def test_the_record_appears_after_the_answer(tmp_path: Path) -> None:
    with World(tmp_path, tempo=0.3) as world:
        assert world.post("application.deploy", title="mine", description="corr-id") is None
        assert [row["title"] for row in world.deployments()] == ["Manual deployment"]
        assert [job["data"]["titleLog"] for job in world.get("deployment.queueList")] == ["mine"]
        until(lambda: world.deployments()[0]["title"] == "mine", "the record")
        until(lambda: world.deployments()[0]["status"] == "done", "its end")
        record = world.deployments()[0]
        assert (record["title"], record["description"]) == ("mine", "corr-id")
        until(lambda: world.get("deployment.queueList") == [], "an empty queue")


def test_a_queued_application_shows_nothing_of_it(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.from_git(commit("1", build_seconds=60))
        world.post("application.deploy", title="slow")
        until(lambda: world.deployments()[0]["status"] == "running", "the slow build")
        assert world.application()["applicationStatus"] == "running"
        world.post("application.deploy", title="waiting")
        assert [(job["data"]["titleLog"], job["state"]) for job in world.get("deployment.queueList")] == [
            ("waiting", "waiting"),
            ("slow", "active"),
        ]
        assert "waiting" not in [row["title"] for row in world.deployments()]
        world.post("application.cleanQueues")
        assert [job["data"]["titleLog"] for job in world.get("deployment.queueList")] == ["slow"]


def test_a_missing_image_ends_in_error_and_leaves_the_old_one(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.post("application.update", dockerImage="lab/api:1.5.0-nosuch")
        record = world.deployed("error")
        log = world.get("deployment.readLogs", deploymentId=record["deploymentId"], tail=3)
        assert "Pulling image failed" in log
        assert log.endswith("Error occurred ❌, check the logs for details.\n")
        assert record["errorMessage"] is None
        assert world.application()["applicationStatus"] == "error"
        world.serves(OLD)


def test_a_git_build_overwrites_the_title_after_it_is_done(tmp_path: Path) -> None:
    with World(tmp_path, tempo=0.2) as world:
        world.from_git(commit("1", build_seconds=0.1))
        record = world.deployed(title="my title", description="my text")
        assert record["title"] == "my title"
        until(lambda: world.deployments()[0]["title"] == "feat: 1", "the commit's title")
        assert world.deployments()[0]["description"] == f"Commit: {SHA}"
        world.serves(f"{world.name}:latest")


def test_a_failed_build_has_the_title_of_its_commit_but_a_failed_clone_not(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.from_git(commit("1", behaviour="fail-build", build_seconds=0.1))
        world.deployed("error", title="mine")
        until(lambda: world.deployments()[0]["title"] == "feat: 1", "the commit's title")
        world.post("application.update", customGitBranch="nosuch")
        world.deployed("error", title="bad branch")
        until(lambda: world.get("deployment.queueList") == [], "the end of the job")
        assert world.deployments()[0]["title"] == "bad branch"


def test_redeploy_builds_the_checkout_that_is_there(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.from_git(commit("1", build_seconds=0.1))
        world.deployed()
        world.from_git(commit("1", build_seconds=0.1), commit("2", build_seconds=0.1))
        world.post("application.redeploy", title="rebuild")
        until(lambda: world.deployments()[0]["title"] == "rebuild", "the record")
        until(lambda: world.deployments()[0]["status"] == "done", "its end")
        assert world.double.model.tables["images"][f"{world.name}:latest"]["version"] == "1"


def test_eleven_records_are_kept(tmp_path: Path) -> None:
    with World(tmp_path, tempo=0) as world:
        for number in range(12):
            world.post("application.redeploy", title=f"release {number}")
        until(lambda: world.get("deployment.queueList") == [], "the last one")
        assert [row["title"] for row in world.deployments()] == [f"release {number}" for number in range(11, 0, -1)]
        assert len(world.double.model.tables["logs"]) == 11


def test_a_restart_cancels_what_runs_and_loses_what_waits(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.from_git(commit("1", build_seconds=600))
        world.post("application.deploy", title="interrupted")
        until(lambda: world.deployments()[0]["status"] == "running", "the build")
        world.post("application.deploy", title="lost")
        world.double.restart()
        assert world.get("deployment.queueList") == []
        record = world.deployments()[0]
        assert (record["title"], record["status"], record["finishedAt"]) == ("interrupted", "cancelled", None)
        assert world.application()["applicationStatus"] == "idle"


def test_a_removed_record_does_not_stop_its_build(tmp_path: Path) -> None:
    with World(tmp_path, tempo=0.1) as world:
        world.from_git(commit("1", build_seconds=3))
        world.post("application.deploy")
        until(lambda: world.deployments()[0]["status"] == "running", "the build")
        world.post("deployment.removeDeployment", deploymentId=world.deployments()[0]["deploymentId"])
        assert len(world.deployments()) == 1
        world.serves(f"{world.name}:latest")
        assert len(world.deployments()) == 1


def test_a_rollback_leaves_no_trace_and_brings_the_old_environment(tmp_path: Path) -> None:
    with World(tmp_path, env="MODE=old") as world:
        world.snapshots()
        good = world.deployed(title="good")
        world.post("application.update", env="MODE=new", dockerImage="lab/api:1.5.0", replicas=2)
        world.deployed()
        world.serves("lab/api:1.5.0", "lab/api:1.5.0")
        records = world.deployments()
        world.post("application.stop")
        assert world.post("rollback.rollback", rollbackId=good["rollbackId"]) is None
        world.serves(f"127.0.0.1:5000/lab/{world.name}:v1")
        container = world.get("docker.getContainersByAppNameMatch", appName=world.name)[0]["containerId"]
        assert world.get("docker.getConfig", containerId=container)["Config"]["Env"] == ["MODE=old"]
        assert world.deployments() == records
        assert world.application()["applicationStatus"] == "idle"
        world.post("application.reload", appName=world.name)
        world.serves("lab/api:1.5.0", "lab/api:1.5.0")


def test_a_failed_build_has_a_snapshot_that_the_swarm_refuses(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.snapshots()
        world.post("application.update", dockerImage="lab/api:nosuch")
        failed = world.deployed("error")
        assert failed["rollbackId"]
        world.serves(OLD)
        untouched = world.tasks()
        world.post("rollback.rollback", rollbackId=failed["rollbackId"])
        until(lambda: any("No such image" in row["error"] for row in world.tasks()), "the refusal")
        until(lambda: world.tasks()[0]["state"] == "shutdown" and world.swarm_is_calm(), "the swarm's own way back")
        world.serves(OLD)
        assert [row["containerId"] for row in world.tasks() if row["state"] == "running"] == [
            row["containerId"] for row in untouched
        ]


def test_without_a_registry_there_is_no_snapshot(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.post("application.update", rollbackActive=True)
        assert world.deployed()["rollbackId"] is None


def test_pruning_takes_snapshots_along(tmp_path: Path) -> None:
    with World(tmp_path, tempo=0) as world:
        world.snapshots()
        for number in range(12):
            world.post("application.redeploy", title=f"release {number}")
        until(lambda: world.get("deployment.queueList") == [], "the last one")
        rollbacks = world.double.model.tables["rollbacks"].values()
        assert {row["rollbackId"] for row in rollbacks} == {row["rollbackId"] for row in world.deployments()}
        assert sorted(row["version"] for row in rollbacks) == list(range(2, 13))


def test_the_webhook_deploys_what_was_stopped(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.post("application.stop")
        token = world.application()["refreshToken"]
        answer = (200, {"message": "Application deployed successfully"})
        assert world.send("POST", f"deploy/{token}", {}) == answer
        until(lambda: world.deployments()[0]["title"] == "NEW CHANGES", "the record")
        world.serves(OLD)
        world.post("application.update", autoDeploy=False)
        assert world.send("POST", f"deploy/{token}", {})[0] == 400


def test_a_stop_is_undone_by_a_build_that_was_running(tmp_path: Path) -> None:
    with World(tmp_path, tempo=0.05) as world:
        world.from_git(commit("1", build_seconds=16))
        world.post("application.deploy")
        until(lambda: world.deployments()[0]["status"] == "running", "the build")
        world.post("application.stop")
        assert world.application()["applicationStatus"] == "idle"
        world.serves(f"{world.name}:latest")
        until(lambda: world.application()["applicationStatus"] == "done", "the end of the build")


def test_a_key_of_another_organisation_may_write_but_not_read(tmp_path: Path) -> None:
    with World(tmp_path, replicas=0) as world:
        with world.double.model.change():
            foreign = keys.add(world.double.model.tables["keys"], organization_id="another")
        assert world.send("GET", f"application.one?applicationId={world.id}", key=foreign)[0] == 401
        assert world.post("application.update", key=foreign, description="x") is True


@pytest.mark.parametrize("tempo", [0.02, 0.06])
def test_a_stop_lasts_as_long_as_the_tempo_says(tmp_path: Path, tempo: float) -> None:
    with World(tmp_path, tempo=tempo, replicas=0) as world:
        begun = time.monotonic()
        world.post("application.stop")
        assert time.monotonic() - begun >= 5 * tempo
