# SPDX-License-Identifier: GPL-3.0-or-later
"""Schedules, call by call, as the captures show them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import ServiceQuery, read_service
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.runs import Outcome
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.schedules import (
    Place,
    Schedule,
    keep_schedule,
    new_columns,
    schedules_of,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._http import TransportError

from tests.unit.plugins.captured_answers import body_of
from tests.unit.plugins.dokploy_answers import APPLICATION_ID, client_for, get, one, post, problem
from tests.unit.plugins.scripted import Call, FakeClock

VERSION = get("settings.getDokployVersion", "v0.30.2")
SCHEDULE_ID = "Udf2n65ST1C7Ta1e9DMHz"
DONE, FAILED = "yrsPA93ZBPFJBjN5YB0k3", "CzIK4NNVI6Ops1TsuI7pB"
COMMAND = "echo hello-from-schedule; cat /app/VERSION"
NOTHING: dict[str, Any] = {
    "name": "migrate",
    "state": "present",
    "service_name": None,
    "server_id": None,
    "dokploy_server": False,
    "cron": None,
    "timezone": None,
    "command": None,
    "shell": None,
    "enabled": None,
    "wait_timeout": 60.0,
    "log_lines": 50,
}
NIGHTLY = {"cron": "0 3 * * *", "command": COMMAND, "timezone": "UTC", "shell": "bash", "enabled": False}


def row(**columns: Any) -> dict[str, Any]:
    return {**body_of("90-schedule.list")[0], **columns}


def listed(*rows: dict[str, Any], kind: str = "application", of: str = APPLICATION_ID) -> Call:
    return get("schedule.list", list(rows), id=of, scheduleType=kind)


def runs(name: str | None, *more: dict[str, Any]) -> Call:
    rows = [*more, *(body_of(f"90-deployment.allByType-schedule{name}") if name is not None else [])]
    return get("deployment.allByType", rows, id=SCHEDULE_ID, type="schedule")


def log(deployment_id: str, text: object = None) -> Call:
    shown = body_of("90-deployment.readLogs-schedule") if text is None else text
    return get("deployment.readLogs", shown, deploymentId=deployment_id, tail="50")


def run_call(told: object, status: int = 200) -> Call:
    return post("schedule.runManually", {"scheduleId": SCHEDULE_ID}, told, status)


def keep(*calls: Call, check: bool = False, query: ServiceQuery | None = None, **given: Any) -> Outcome:
    clock = FakeClock()
    client, transport = client_for(clock, VERSION, *calls)
    query = query or ServiceQuery(application_id=APPLICATION_ID)
    try:
        return keep_schedule(client, clock, query, {**NOTHING, **given}, check)
    finally:
        transport.assert_all_made()


def failure(*calls: Call, **given: Any) -> PlatformError:
    with pytest.raises(PlatformError) as raised:
        keep(*calls, **given)
    return raised.value


# --- present and absent -----------------------------------------------------------------------------------------------


def test_created_with_the_defaults_of_a_new_schedule_and_read_again() -> None:
    body = {
        "name": "migrate",
        "cronExpression": "0 3 * * *",
        "command": COMMAND,
        "shellType": "bash",
        "timezone": "UTC",
        "enabled": True,
        "scheduleType": "application",
        "applicationId": APPLICATION_ID,
    }
    created = row(enabled=True, deployments=[])
    outcome = keep(
        one(),
        listed(row(name="another", scheduleId="x")),
        post("schedule.create", body, created),
        listed(created),
        cron="0  3 * * *",
        command=COMMAND,
    )
    assert outcome.changed
    assert outcome.before == {}
    assert outcome.after["command"] == COMMAND
    assert outcome.result["schedule"]["id"] == SCHEDULE_ID  # type: ignore[index]
    assert outcome.result["last_run"] is None


def test_the_same_again_writes_nothing() -> None:
    outcome = keep(one(), listed(row()), **NIGHTLY)
    assert not outcome.changed
    assert outcome.result["last_run"] == {
        "deployment_id": DONE,
        "status": "done",
        "started_at": "2026-11-22T13:40:18.303Z",
        "finished_at": "2026-11-22T13:40:18.427Z",
        "seconds": 0.124,
    }


def test_only_what_differs_is_sent_with_what_the_call_cannot_do_without() -> None:
    body = {
        "scheduleId": SCHEDULE_ID,
        "scheduleType": "application",
        "name": "migrate",
        "cronExpression": "0 3 * * *",
        "command": "echo ok",
    }
    after = row(command="echo ok")
    outcome = keep(
        one(), listed(row()), post("schedule.update", body, after), listed(after), **{**NIGHTLY, "command": "echo ok"}
    )
    assert outcome.changed
    assert {key for key in outcome.after if outcome.after[key] != outcome.before[key]} == {"command"}


def test_no_time_zone_means_utc() -> None:
    assert not keep(one(), listed(row(timezone=None)), timezone="UTC").changed


def test_check_mode_foresees_without_writing() -> None:
    changed = keep(one(), listed(row()), check=True, **{**NIGHTLY, "enabled": True, "shell": "sh"})
    assert (changed.changed, changed.after["enabled"], changed.after["shell"]) == (True, True, "sh")
    assert changed.result["schedule"]["id"] == SCHEDULE_ID  # type: ignore[index]
    created = keep(one(), listed(), check=True, cron="@daily", command="true")
    assert (created.changed, created.after["enabled"], created.after["timezone"]) == (True, True, "UTC")
    assert created.result["schedule"]["id"] is None  # type: ignore[index]
    assert keep(one(), listed(row()), check=True, state="absent").changed
    assert keep(one(), listed(row()), check=True, state="run").changed


def test_what_dokploy_does_not_hold_afterwards_is_a_failure() -> None:
    body = {"scheduleId": SCHEDULE_ID, "scheduleType": "application", "name": "migrate", "cronExpression": "0 3 * * *"}
    body |= {"command": COMMAND, "enabled": True}
    error = failure(one(), listed(row()), post("schedule.update", body, row()), listed(row()), enabled=True)
    assert "as it was told to" in error.msg
    assert error.details["changed"]


def test_removed_and_seen_to_be_gone() -> None:
    gone = post("schedule.delete", {"scheduleId": SCHEDULE_ID}, True)
    outcome = keep(one(), listed(row()), gone, listed(), state="absent")
    assert (outcome.changed, outcome.after, outcome.result["schedule"]) == (True, {}, None)
    assert not keep(one(), listed(), state="absent").changed
    assert "as it was told to" in failure(one(), listed(row()), gone, listed(row()), state="absent").msg


def test_two_of_one_name_are_refused() -> None:
    error = failure(one(), listed(row(), row(scheduleId="second")), state="absent")
    assert f"There are 2 schedules named 'migrate' in application 'api': {SCHEDULE_ID}, second." in error.msg
    assert error.details["candidates"] == [SCHEDULE_ID, "second"]


@pytest.mark.parametrize(
    ("given", "reason"), [({"cron": "@daily"}, "and command is needed"), ({}, "and cron and command is needed")]
)
def test_a_new_one_must_be_told_completely(given: dict[str, Any], reason: str) -> None:
    assert reason in failure(one(), listed(), **given).msg


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"cron": "0 25 * * *"}, "its hour is '25'"),
        ({"command": "  "}, "command is empty"),
        ({"timezone": "Berlin time"}, "timezone is 'Berlin time'"),
    ],
)
def test_nonsense_is_refused_before_anything_is_listed(given: dict[str, Any], reason: str) -> None:
    assert reason in failure(one(), **given).msg


def test_a_secret_in_the_command_is_not_shown() -> None:
    stored = row(command="curl -H 'Authorization: Bearer s3cr3t-0123456789' http://api/clean")
    outcome = keep(one(), listed(stored))
    assert "s3cr3t" not in str((outcome.result, outcome.before, outcome.after))


# --- places -----------------------------------------------------------------------------------------------------------


def compose_one() -> Call:
    return get("compose.one", {"composeId": "c", "name": "stack", "appName": "shop-stack-1"}, composeId="c")


def test_in_a_compose_the_service_is_part_of_the_place() -> None:
    other = row(scheduleType="compose", applicationId=None, composeId="c", serviceName="web", deployments=[])
    mine = {**other, "scheduleId": "mine", "serviceName": "worker"}
    body = {"cronExpression": "@daily", "command": "true", "shellType": "bash", "timezone": "UTC", "enabled": True}
    body |= {"name": "migrate", "scheduleType": "compose", "composeId": "c", "serviceName": "worker"}
    outcome = keep(
        compose_one(),
        listed(other, kind="compose", of="c"),
        post("schedule.create", body, mine),
        listed(other, {**mine, "cronExpression": "@daily", "command": "true", "enabled": True}, kind="compose", of="c"),
        query=ServiceQuery(compose_id="c"),
        service_name="worker",
        cron="@daily",
        command="true",
    )
    assert outcome.result["schedule"]["service_name"] == "worker"  # type: ignore[index]


def test_on_a_host_the_command_is_a_script() -> None:
    whoami = get("user.get", body_of("05-whoami-apikey"))
    organization = body_of("05-whoami-apikey")["organizationId"]
    place = {"scheduleType": "dokploy-server", "organizationId": organization}
    body = {"name": "migrate", "cronExpression": "@daily", "command": "", "script": "df -h", "shellType": "bash"}
    body |= {"timezone": "UTC", "enabled": True, **place}
    created = row(applicationId=None, deployments=[], **body)
    call = listed(created, kind="dokploy-server", of=organization)
    outcome = keep(
        whoami,
        listed(kind="dokploy-server", of=organization),
        post("schedule.create", body, created),
        call,
        query=ServiceQuery(),
        dokploy_server=True,
        cron="@daily",
        command="df -h",
    )
    assert outcome.after["command"] == "df -h"
    assert "names no organisation" in failure(get("user.get", []), query=ServiceQuery(), dokploy_server=True).msg
    assert new_columns("n", Place("server", "s1", "x"), {})["serverId"] == "s1"


@pytest.mark.parametrize(
    ("query", "given", "reason"),
    [
        (ServiceQuery(), {}, "Where the schedule belongs is not known"),
        (ServiceQuery(application_id="a"), {"server_id": "s"}, "Where the schedule belongs is not known"),
        (ServiceQuery(application_id="a"), {"service_name": "web"}, "service_name goes with compose"),
        (ServiceQuery(compose_id="c"), {}, "service_name goes with compose"),
        (ServiceQuery(application_id="a"), {"name": " "}, "name is empty"),
    ],
)
def test_places_that_make_no_sense(query: ServiceQuery, given: dict[str, Any], reason: str) -> None:
    clock = FakeClock()
    client, _calls = client_for(clock, VERSION)
    with pytest.raises(PlatformError) as raised:
        keep_schedule(client, clock, query, {**NOTHING, **given}, False)
    assert reason in raised.value.msg


def test_schedules_of_a_service_for_those_who_only_read() -> None:
    client, transport = client_for(FakeClock(), one(), listed(row()))
    found = schedules_of(client, read_service(client, "application", APPLICATION_ID))
    assert [schedule.name for schedule in found] == ["migrate"]
    transport.assert_all_made()


# --- running ----------------------------------------------------------------------------------------------------------


def test_run_waits_for_the_record_and_returns_its_log() -> None:
    outcome = keep(
        one(),
        listed(row(deployments=[])),
        runs(None),
        run_call(body_of("90-schedule.runManually")),
        runs(""),
        log(DONE),
        state="run",
    )
    assert outcome.changed
    assert outcome.result["last_run"]["status"] == "done"  # type: ignore[index]
    assert outcome.result["log"][-1] == "✅ Command executed successfully"  # type: ignore[index]


def test_a_command_that_fails_is_a_failure_though_the_call_is_not() -> None:
    text = "docker exec x bash -c exit 3\nPASSWORD=s3cr3t\nOTHER=s3cr3t\nno such table\n❌ Command failed\n"
    error = failure(
        one(),
        listed(row()),
        runs(""),
        run_call(body_of("90-schedule.runManually-failing")),
        runs("-failed"),
        log(FAILED, text),
        state="run",
    )
    assert "The schedule 'migrate' of application 'api' ended with status error" in error.msg
    assert "no such table | ❌ Command failed" in error.msg
    assert error.details["last_run"]["deployment_id"] == FAILED  # type: ignore[index]
    assert error.details["changed"]
    assert "s3cr3t" not in str((error, error.details))


def test_before_dokploy_told_the_status_a_failing_command_was_an_error_of_the_call() -> None:
    told = problem("boom", "INTERNAL_SERVER_ERROR", 500, "schedule.runManually")
    error = failure(one(), listed(row()), runs(""), run_call(told, 500), runs("-failed"), log(FAILED, ""), state="run")
    assert "ended with status error" in error.msg
    assert "boom" in error.msg


def test_a_refusal_that_left_no_record_is_told_as_it_is() -> None:
    told = problem("no container", "BAD_REQUEST", 400, "schedule.runManually")
    error = failure(one(), listed(row()), runs(""), run_call(told, 400), runs(""), state="run")
    assert "Dokploy rejected schedule.runManually (status 400): no container" in error.msg


def test_a_run_that_outlasts_its_call_is_followed() -> None:
    running = {**body_of("90-deployment.allByType-schedule-failed")[0], "status": "running", "finishedAt": None}
    lost = Call(
        "POST",
        "/api/schedule.runManually",
        TransportError("timeout", "No answer in time."),
        body={"scheduleId": SCHEDULE_ID},
    )
    done = {**running, "status": "done"}
    outcome = keep(
        one(),
        listed(row()),
        runs(""),
        lost,
        runs("", running),
        runs("", running),
        runs("", done),
        log(FAILED),
        state="run",
    )
    assert outcome.result["last_run"]["deployment_id"] == FAILED  # type: ignore[index]
    error = failure(one(), listed(row()), runs(""), lost, runs("", running), log(FAILED), state="run", wait_timeout=0)
    assert "still runs after 0 s" in error.msg
    assert error.details["last_run"]["status"] == "running"  # type: ignore[index]


def test_a_run_without_a_record_is_not_believed() -> None:
    error = failure(one(), listed(row()), runs(""), run_call(True), runs(""), state="run")
    assert "keeps no record of it" in error.msg


def test_another_run_at_the_same_time_is_not_taken_for_mine() -> None:
    other = {
        **body_of("90-deployment.allByType-schedule")[0],
        "deploymentId": "x",
        "createdAt": "2026-11-23T00:00:00.000Z",
    }
    told = body_of("90-schedule.runManually")
    outcome = keep(one(), listed(row()), runs(None), run_call(told), runs("", other), log(DONE), state="run")
    assert outcome.result["last_run"]["deployment_id"] == DONE  # type: ignore[index]


def test_before_logs_could_be_read_there_is_none() -> None:
    unknown = get(
        "deployment.readLogs", problem("Not found", "NOT_FOUND", 404, None), 404, deploymentId=DONE, tail="50"
    )
    outcome = keep(one(), listed(row()), runs(None), run_call(True), runs(""), unknown, state="run")
    assert outcome.result["log"] == []


def test_a_schedule_of_an_old_dokploy_lacks_columns() -> None:
    assert Schedule.from_row({"scheduleId": "s", "name": "n", "scheduleType": "application"}).enabled is False
