# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs: stop, start and reload, the swarm's own roll-back, and tasks that are real processes."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from lab import processes
from lab.dokploy.tasks import Task, task_row
from lab.dokploy.tempo import human_duration
from tests.unit.lab.dokploy_world import World, until

OLD = "lab/api:1.4.0"
NEW = "lab/api:1.5.0"


def test_the_seeded_replicas_run_as_recorded_processes(tmp_path: Path) -> None:
    with World(tmp_path, replicas=2) as world:
        world.serves(OLD, OLD)
        names = {f"api.{row['containerId']}" for row in world.tasks()}
        assert names == set(processes.recorded(tmp_path))
        assert all(processes.alive(tmp_path, name) for name in names)
    assert processes.recorded(tmp_path) == []


def test_stop_ends_the_processes_and_answers_the_row_of_before(tmp_path: Path) -> None:
    with World(tmp_path, replicas=2) as world:
        world.serves(OLD, OLD)
        answer = world.post("application.stop")
        assert processes.recorded(tmp_path) == []
        assert answer["applicationStatus"] == "done"
        assert (world.application()["applicationStatus"], world.application()["replicas"]) == ("idle", 2)
        assert world.post("application.stop")["applicationStatus"] == "idle"
        assert {row["state"] for row in world.tasks()} == {"shutdown"}


def test_start_brings_one_replica_and_reload_all(tmp_path: Path) -> None:
    with World(tmp_path, replicas=2) as world:
        world.serves(OLD, OLD)
        world.post("application.stop")
        assert world.post("application.start")["applicationStatus"] == "idle"
        assert world.images() == [OLD]
        assert world.post("application.reload", appName=world.name) is True
        world.serves(OLD, OLD)
        assert len(world.deployments()) == 1


def test_an_update_alone_does_nothing_to_the_service(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.serves(OLD)
        before = world.tasks()[0]["containerId"]
        assert world.post("application.update", replicas=0, dockerImage=NEW) is True
        assert world.tasks()[0]["containerId"] == before
        world.post("application.reload", appName=world.name)
        world.serves()


def test_a_crashing_version_is_done_and_the_swarm_takes_the_old_one_back(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.serves(OLD)
        first = world.tasks()[0]["containerId"]
        world.post("application.update", dockerImage=f"{NEW}-crash")
        assert world.deployed(title="bad release")["status"] == "done"
        until(lambda: any(row["error"] for row in world.tasks()), "a failed task")
        failed = next(row for row in world.tasks() if row["error"])
        assert (failed["state"], failed["error"]) == ("shutdown", '"task: non-zero exit (3)"')
        assert failed["currentState"].startswith("Failed ")
        assert next(row for row in world.tasks() if row["containerId"] == first)["state"] == "shutdown"
        until(lambda: world.newest_task_runs(OLD), "the old version")
        world.serves(OLD)
        assert world.application()["applicationStatus"] == "done"
        assert world.application()["dockerImage"] == f"{NEW}-crash"


def test_a_crash_without_a_former_version_is_tried_again(tmp_path: Path) -> None:
    with World(tmp_path, docker_image=f"{NEW}-crash") as world:
        until(lambda: sum("Failed" in row["currentState"] for row in world.tasks()) >= 2, "two tries")


def test_a_task_that_is_killed_is_replaced(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.serves(OLD)
        task = world.tasks()[0]["containerId"]
        pid = processes.pid_of(tmp_path, f"api.{task}")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        until(lambda: any(row["error"] == '"task: non-zero exit (137)"' for row in world.tasks()), "the failure")
        world.serves(OLD)


def test_the_tasks_see_the_environment_of_the_application(tmp_path: Path) -> None:
    with World(tmp_path, env="APP_MODE=lab\nPORT=1\n# no=thing\nQUOTED='a b'") as world:
        world.serves(OLD)
        task = world.tasks()[0]["containerId"]
        seen = Path(f"/proc/{processes.pid_of(tmp_path, f'api.{task}')}/environ").read_bytes().split(b"\0")
        assert {b"APP_MODE=lab", b"QUOTED=a b", b"APP_VERSION=1.4.0", b"APP_BEHAVIOUR=ok"} <= set(seen)
        assert b"no=thing" not in b"".join(seen)


def test_a_restart_of_dokploy_alone_leaves_the_tasks(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.serves(OLD)
        before = world.tasks()[0]["containerId"]
        world.double.restart()
        assert world.tasks()[0]["containerId"] == before
        assert world.images() == [OLD]


def test_an_unknown_service_has_no_tasks(tmp_path: Path) -> None:
    with World(tmp_path, replicas=0) as world:
        assert world.get("docker.getServiceContainersByAppName", appName="nosuchapp") == []


def test_the_file_is_private_and_whole(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        path = tmp_path / "dokploy.json"
        world.serves(OLD)
        assert path.stat().st_mode & 0o777 == 0o600
        assert json.loads(path.read_text(encoding="utf-8"))["applications"][world.id]["name"] == "api"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (80, "About a minute"),
        (120, "2 minutes"),
        (3600, "About an hour"),
        (7200, "2 hours"),
        (172800, "2 days"),
    ],
)
def test_ages_are_worded_as_docker_does(seconds: float, words: str) -> None:
    assert human_duration(seconds) == words


def test_a_task_row_is_worded_as_docker_does() -> None:
    now = time.time()
    task = Task("api-abc", 1, 1, spec=None, desired="running", state="Running", since=now - 70)  # type: ignore[arg-type]
    assert task_row(task, now) == {
        "containerId": task.id,
        "name": "api-abc.1",
        "state": "running",
        "currentState": "Running about a minute ago",
        "node": "vm",
        "error": "",
    }
