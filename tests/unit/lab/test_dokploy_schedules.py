# SPDX-License-Identifier: GPL-3.0-or-later
"""Schedules run their command for real: where the application runs, or on the server."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.lab.dokploy_world import World, until


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    env = "DATABASE_URL=postgresql://nowhere\nPORT=3000"
    with World(tmp_path_factory.mktemp("state"), env=env) as world:
        world.serves("lab/api:1.4.0")
        yield world


def create(world: World, command: str, **fields: Any) -> str:
    given = {"name": "job", "cronExpression": "0 2 * * *", "shellType": "sh", "command": command, **fields}
    status, row = world.send("POST", "schedule.create", given)
    assert status == 200
    return str(row["scheduleId"])


def of_application(world: World, command: str, **fields: Any) -> str:
    return create(world, command, scheduleType="application", applicationId=world.id, **fields)


def run(world: World, schedule_id: str) -> tuple[str, str]:
    """The status of the call's answer, and the log of the record that it names."""
    status, answer = world.send("POST", "schedule.runManually", {"scheduleId": schedule_id})
    assert status == 200
    return answer["status"], world.get("deployment.readLogs", deploymentId=answer["deploymentId"])


def test_the_command_sees_what_the_application_sees(world: World) -> None:
    status, log = run(world, of_application(world, 'echo "$DATABASE_URL $PORT $APP_VERSION"'))
    assert status == "done"
    assert log.splitlines()[0] == "Initializing schedule"
    assert log.splitlines()[-2:] == ["postgresql://nowhere 3000 1.4.0", "✅ Command executed successfully"]


def test_a_failing_command_is_no_failing_call(world: World) -> None:
    schedule = of_application(world, "echo before; echo problem >&2; exit 3")
    status, log = run(world, schedule)
    assert status == "error"
    assert log.splitlines()[-3:] == ["before", "problem", "❌ Command failed"]
    (record,) = world.get("deployment.allByType", id=schedule, type="schedule")
    assert (record["status"], record["scheduleId"], record["applicationId"]) == ("error", schedule, None)


def test_the_server_runs_the_script_and_not_the_command(world: World) -> None:
    schedule = create(
        world, "echo command", scheduleType="dokploy-server", script='echo "script ${PORT-without a port}"'
    )
    status, log = run(world, schedule)
    assert status == "done"
    assert "script without a port" in log
    assert "command" not in log
    listed = world.get("schedule.list", id="whatever", scheduleType="dokploy-server")
    assert [row["scheduleId"] for row in listed] == [schedule]


def test_without_a_container_the_run_fails(world: World) -> None:
    schedule = of_application(world, "true")
    world.post("application.stop")
    until(lambda: not world.images(), "the end of the task")
    assert run(world, schedule)[0] == "error"
    world.post("application.start")
    world.serves("lab/api:1.4.0")
    assert run(world, schedule)[0] == "done"


def test_in_a_service_of_a_compose(world: World) -> None:
    file = "services:\n  web:\n    image: lab/web:1\n    environment:\n      COLOUR: blue\n"
    place = {"environmentId": world.seeded.environment_id, "composeType": "docker-compose", "sourceType": "raw"}
    _status, compose = world.send("POST", "compose.create", {"name": "shop", "composeFile": file, **place})
    world.send("POST", "compose.deploy", {"composeId": compose["composeId"]})
    schedule = create(
        world, 'echo "$COLOUR"', scheduleType="compose", composeId=compose["composeId"], serviceName="web"
    )
    until(lambda: run(world, schedule)[0] == "done", "a run in the service's container")
    assert "blue\n" in run(world, schedule)[1]


def test_an_update_changes_what_is_given_and_a_deletion_takes_the_records_along(world: World) -> None:
    schedule = of_application(world, "true", enabled=False, timezone="Asia/Ho_Chi_Minh")
    run(world, schedule)
    required = {"scheduleId": schedule, "name": "job", "cronExpression": "0 3 * * *", "command": "false"}
    assert world.send("POST", "schedule.update", required)[0] == 200
    row = world.get("schedule.one", scheduleId=schedule)
    assert (row["cronExpression"], row["command"]) == ("0 3 * * *", "false")
    assert (row["enabled"], row["timezone"], row["applicationId"]) == (False, "Asia/Ho_Chi_Minh", world.id)
    listed = world.get("schedule.list", id=world.id, scheduleType="application")
    mine = next(row for row in listed if row["scheduleId"] == schedule)
    assert [record["status"] for record in mine["deployments"]] == ["done"]

    assert world.send("POST", "schedule.delete", {"scheduleId": schedule}) == (200, True)
    assert world.get("deployment.allByType", id=schedule, type="schedule") == []
    status, answer = world.send("GET", f"schedule.one?scheduleId={schedule}")
    assert (status, answer["message"]) == (404, "Schedule not found")
