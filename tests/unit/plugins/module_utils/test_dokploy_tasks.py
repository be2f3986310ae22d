# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs of a service: tasks, containers and images."""

from __future__ import annotations

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import (
    Application,
    Compose,
    Database,
    Service,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.tasks import (
    RunningImage,
    Task,
    images_of,
    running,
    tasks_of,
)

from tests.unit.plugins.dokploy_answers import (
    APP_NAME,
    COMPOSE_APP_NAME,
    DATABASE_APP_NAME,
    client_for,
    compose_row,
    config_of,
    container,
    containers,
    database_row,
    get,
    no_docker,
    problem,
    row,
    task,
    tasks,
)
from tests.unit.plugins.scripted import Call, FakeClock

TASK = "d5u4ynz2af6z5qdx9qgk3s4hn"
API = Application.from_row(row())
COMPOSE = Compose.from_row(compose_row())
STACK = Compose.from_row(compose_row(composeType="stack"))


def seen(service: Service, *calls: Call) -> list[Task] | None:
    client, transport = client_for(FakeClock(), *calls)
    found = tasks_of(client, service)
    transport.assert_all_made()
    return found


def images(service: Service, *calls: Call) -> dict[str, RunningImage] | None:
    client, transport = client_for(FakeClock(), *calls)
    found = images_of(client, service)
    transport.assert_all_made()
    assert "s3cr3t" not in repr(found)
    return found


@pytest.mark.parametrize("state", ["New", "Pending", "Preparing", "Ready", "Starting", "Running", "Somehow", ""])
def test_what_may_yet_run_is_alive(state: str) -> None:
    assert Task.from_row(task(state)).alive


@pytest.mark.parametrize("state", ["Shutdown", "Failed", "Rejected", "Complete", "Remove", "Orphaned"])
def test_what_has_ended_is_not(state: str) -> None:
    assert not Task.from_row(task(state)).alive


@pytest.mark.parametrize(
    ("state", "status", "alive", "wanted", "failed", "error"),
    [
        ("running", "Up 3 seconds", True, True, False, ""),
        ("restarting", "Restarting (1) 2 seconds ago", True, True, False, ""),
        ("paused", "Up 3 hours (Paused)", True, True, False, ""),
        ("somehow", "Somehow", True, True, False, ""),
        ("created", "Created", False, False, False, ""),
        ("exited", "Exited (0) 4 seconds ago", False, False, False, ""),
        ("exited", "Exited (137) 4 seconds ago", False, False, True, "exit code 137"),
        ("dead", "Dead", False, False, True, ""),
    ],
)
def test_containers(state: str, status: str, alive: bool, wanted: bool, failed: bool, error: str) -> None:
    one = Task.from_container(container("shop-web-1", state, status))
    assert (one.alive, one.wanted, one.failed, one.error) == (alive, wanted, failed, error)


def test_a_task_s_error_is_masked_and_clipped() -> None:
    error = Task.from_row(task("Failed", error='"PASSWORD=s3cr3t ' + "x" * 500 + '"')).error
    assert "s3cr3t" not in error
    assert len(error) < 250


def test_a_label_without_an_error_is_none() -> None:
    """So the real one ends its answer (64-docker.getServiceContainersByAppName)."""
    told = Task.from_row(task("Shutdown", desired="shutdown", error="Error:"))
    assert (told.error, told.failed) == ("", False)


def test_containers_of_successive_tasks_share_a_slot() -> None:
    names = [f"my.stack_web.1.{TASK}", "my.stack_web.1.j9r0f5jeaocox65q5di2ap4qw"]
    assert {Task.from_container(container(name)).slot for name in names} == {"my.stack_web.1"}
    assert Task.from_container(container("api.example.com")).slot == "api.example.com"


def test_applications_and_databases_are_asked_for_their_tasks() -> None:
    assert [one.state for one in seen(API, tasks(task("Running"))) or ()] == ["running"]
    call = get("docker.getServiceContainersByAppName", [task("Running")], appName=DATABASE_APP_NAME)
    assert len(seen(Database.from_row(database_row()), call) or ()) == 1


def test_a_remote_server_is_asked_for_its_own_tasks() -> None:
    call = get("docker.getServiceContainersByAppName", [task("Running")], appName=APP_NAME, serverId="s1")
    assert seen(Application.from_row(row(serverId="s1")), call)


def test_compose_services_are_asked_for_their_containers() -> None:
    found = seen(
        COMPOSE, containers(container("other-name"), app_name=COMPOSE_APP_NAME, appType="docker-compose")
    )  # a container may have a name of its own in the compose file
    assert [one.name for one in found or ()] == ["other-name"]


def test_a_stack_that_only_begins_with_the_same_name_is_another() -> None:
    mine, other = container(f"{COMPOSE_APP_NAME}_web.1.x"), container(f"{COMPOSE_APP_NAME}-2_web.1.x")
    found = seen(STACK, containers(other, mine, app_name=COMPOSE_APP_NAME, appType="stack"))
    assert [one.name for one in found or ()] == [mine["name"]]


def test_what_may_not_be_read_is_none() -> None:
    assert seen(API, no_docker()) is None
    unknown = problem("Not found", "NOT_FOUND", 404, None)
    call = get("docker.getContainersByAppNameMatch", unknown, 404, appName=COMPOSE_APP_NAME, appType="docker-compose")
    assert seen(COMPOSE, call) is None
    body = problem('unauthorized to access resource "docker"', "UNAUTHORIZED", 401, "docker.x")
    assert images(API, get("docker.getContainersByAppNameMatch", body, 401, appName=APP_NAME)) is None


def test_only_wanted_tasks_in_the_state_running_run() -> None:
    rows = [task("Running", "a"), task("Running", "b", "shutdown"), task("Starting", "c")]
    assert [one.id for one in running([Task.from_row(item) for item in rows])] == ["a"]


def test_images_by_task_of_the_running_containers() -> None:
    rows = (
        container(f"{APP_NAME}.1.{TASK}", identity="c1"),
        container(f"{APP_NAME}.1.j9r0f5jeaocox65q5di2ap4qw", "exited", "Exited (1) 3 seconds ago", "c0"),
        container(f"{APP_NAME}-web.1.759de5c52845zq2ii78bdx96h", identity="c9"),
    )
    found = images(API, containers(*rows), config_of("c1", "lab/api:1.4.0", "sha256:ab"))
    assert found == {TASK: RunningImage("lab/api:1.4.0", "sha256:ab")}


def test_images_of_a_stack_are_by_container_as_its_tasks_are() -> None:
    call = containers(container(f"{COMPOSE_APP_NAME}_web.1.{TASK}"), app_name=COMPOSE_APP_NAME, appType="stack")
    assert images(STACK, call, config_of("c1", "lab/web:1")) == {"c1": RunningImage("lab/web:1", "sha256:1")}


def test_images_of_docker_compose_are_by_container() -> None:
    call = containers(container("shop-web-1"), app_name=COMPOSE_APP_NAME, appType="docker-compose")
    assert images(COMPOSE, call, config_of("c1", "lab/web:1")) == {"c1": RunningImage("lab/web:1", "sha256:1")}


@pytest.mark.parametrize(("status", "body"), [(200, None), (404, "gone"), (400, "gone"), (500, "gone")])
def test_a_container_that_is_gone_meanwhile_has_no_image(status: int, body: str | None) -> None:
    told = None if body is None else problem(body, "X", status, "docker.getConfig")
    gone = get("docker.getConfig", told, status, containerId="c1")
    assert images(API, containers(container(f"{APP_NAME}.1.{TASK}")), gone) == {}
