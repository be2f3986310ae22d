# SPDX-License-Identifier: GPL-3.0-or-later
"""Compose services, stopped with their webhook off and started again, call by call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy import keep_compose
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import Compose
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.keep_compose import ComposeKeeper
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.keeper import Outcome
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError

from tests.unit.plugins.dokploy_answers import (
    COMPOSE_APP_NAME,
    COMPOSE_ID,
    client_for,
    compose_one,
    compose_row,
    container,
    containers,
    get,
    post,
    problem,
    queue,
)
from tests.unit.plugins.scripted import Call, FakeClock

AT = "[stopped by vedfinance.platform at 2026-11-22T02:00:00Z, auto deploy before:"
MARKED, MARKED_OFF = f"{AT} on]", f"{AT} off]"
STOPPED: dict[str, Any] = {"autoDeploy": False, "description": MARKED, "composeStatus": "idle"}
STOP = post("compose.stop", {"composeId": COMPOSE_ID}, True)
START = post("compose.start", {"composeId": COMPOSE_ID}, True)
TOKEN = "0123456789abcdef"
REDEPLOY = post(
    "compose.redeploy",
    {"composeId": COMPOSE_ID, "title": "Started by vedfinance.platform", "description": f"[run {TOKEN}]"},
    {"success": True, "message": "Redeployment queued", "composeId": COMPOSE_ID},
)


@pytest.fixture(autouse=True)
def _known_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keep_compose.secrets, "token_hex", lambda _length: TOKEN)


def seen(*rows: dict[str, str], kind: str = "docker-compose", takes: float = 0.0) -> Call:
    return containers(*rows, app_name=COMPOSE_APP_NAME, appType=kind, takes=takes)


WEB = container("shop-web-1")
UP = seen(WEB)
DOWN = seen(container("shop-web-1", "exited", "Exited (137) 2 seconds ago"))


def records(*statuses: str, description: str = "") -> Call:
    rows = [
        {"deploymentId": f"d{n}", "title": "c1", "description": description, "status": status}
        for n, status in enumerate(statuses)
    ]
    return get("deployment.allByCompose", rows, composeId=COMPOSE_ID)


IDLE = [queue(), records("done")]


def update(**fields: object) -> Call:
    return post("compose.update", {"composeId": COMPOSE_ID, **fields}, {"composeId": COMPOSE_ID})


def keep(act: Callable[[ComposeKeeper], Outcome[Compose]], *calls: Call) -> Outcome[Compose]:
    clock = FakeClock()
    client, transport = client_for(clock, *calls)
    try:
        outcome = act(ComposeKeeper(client, clock, wait_timeout=60, stable_for=1.0))
        assert "s3cr3t" not in str(outcome.to_result())
        return outcome
    finally:
        transport.assert_all_made()


def stop(columns: dict[str, Any], *calls: Call, check: bool = False) -> Outcome[Compose]:
    return keep(lambda keeper: keeper.stop(Compose.from_row(compose_row(**columns)), check), *calls)


def run(columns: dict[str, Any], *calls: Call, check: bool = False) -> Outcome[Compose]:
    return keep(lambda keeper: keeper.run(Compose.from_row(compose_row(**columns)), None, check), *calls)


# --- stopped


def test_stopping_switches_the_webhook_off_before_and_watches() -> None:
    switch_off = update(autoDeploy=False, description=MARKED)
    outcome = stop({}, UP, switch_off, *IDLE, STOP, UP, DOWN, DOWN, DOWN, compose_one(**STOPPED))
    assert (outcome.plan.changed, outcome.verified) == (True, True)
    assert outcome.plan.before == {"auto_deploy": True, "state": "running"}
    assert outcome.plan.after == {"auto_deploy": False, "state": "stopped"}
    result = outcome.to_result()
    assert (result["auto_deploy_remembered"], result["replicas_remembered"]) == (True, None)
    assert result["compose"]["auto_deploy"] is False  # type: ignore[index]
    assert "a deploy from the dashboard or through the API starts it again" in outcome.warnings[0]


def test_a_webhook_that_was_off_stays_off_and_is_remembered_as_such() -> None:
    off = {"autoDeploy": False, "description": MARKED_OFF}
    outcome = stop(
        {"autoDeploy": False}, UP, update(description=MARKED_OFF), *IDLE, STOP, *[DOWN] * 3, compose_one(**off)
    )
    assert outcome.plan.remembered is False
    assert outcome.plan.before["auto_deploy"] is False


def test_a_second_stop_changes_and_sends_nothing() -> None:
    outcome = stop(STOPPED, DOWN, *IDLE, *[DOWN] * 3, compose_one(**STOPPED))
    assert (outcome.plan.changed, outcome.verified, outcome.warnings) == (False, True, [])
    assert outcome.plan.before == outcome.plan.after


def test_goes_on_after_an_interruption_between_update_and_stop() -> None:
    assert stop(STOPPED, UP, *IDLE, STOP, *[DOWN] * 3, compose_one(**STOPPED)).plan.changed


def test_what_was_never_deployed_is_only_kept_from_starting() -> None:
    none = seen()
    outcome = stop(
        {}, none, update(autoDeploy=False, description=MARKED), *IDLE, none, none, none, compose_one(**STOPPED)
    )
    assert (outcome.plan.changed, outcome.verified) == (True, True)


def test_a_deploy_by_hand_brought_it_back_and_it_is_stopped_again() -> None:
    outcome = stop({**STOPPED, "composeStatus": "done"}, UP, *IDLE, STOP, *[DOWN] * 3, compose_one(**STOPPED))
    assert (outcome.plan.changed, outcome.plan.remembered) == (True, True)


def test_a_build_that_is_under_way_is_waited_for_before_the_stop() -> None:
    job = {"id": "j", "data": {"composeId": COMPOSE_ID, "titleLog": "c2", "type": "deploy"}, "state": "active"}
    switch_off = update(autoDeploy=False, description=MARKED)
    building = [queue(job), records("running")]
    stop({}, UP, switch_off, *building, *IDLE, STOP, *[DOWN] * 3, compose_one(**STOPPED))


def test_a_stack_is_gone_when_it_is_stopped() -> None:
    columns = {**STOPPED, "composeType": "stack"}
    task = container(f"{COMPOSE_APP_NAME}_web.1.d5u4ynz2af6z5qdx9qgk3s4hn")
    none = seen(kind="stack")
    outcome = stop(columns, seen(task, kind="stack"), *IDLE, STOP, none, none, none, compose_one(**columns))
    assert (outcome.verified, outcome.tasks) == (True, [])


def test_check_mode_of_stopping_reads_only() -> None:
    outcome = stop({}, UP, check=True)
    assert (outcome.plan.changed, outcome.verified, outcome.service.auto_deploy) == (True, False, False)
    assert not stop(STOPPED, DOWN, check=True).plan.changed


def test_somebody_switched_the_webhook_on_meanwhile() -> None:
    with pytest.raises(PlatformError, match="automatic deploy of monitoring is on again"):
        stop(STOPPED, DOWN, *IDLE, *[DOWN] * 3, compose_one(autoDeploy=True))


def test_a_failed_stop_tells_what_is_known() -> None:
    message = "Command execution failed: Command failed: docker compose -p x stop\nno configuration file\n"
    failed = post("compose.stop", {"composeId": COMPOSE_ID}, problem(message, "X", 500, "compose.stop"), 500)
    with pytest.raises(PlatformError, match="no configuration file") as caught:
        stop({}, UP, update(autoDeploy=False, description=MARKED), *IDLE, failed)
    assert (caught.value.details["changed"], caught.value.details["auto_deploy_remembered"]) == (True, True)


def no_docker() -> Call:
    body = problem('unauthorized to access resource "docker"', "UNAUTHORIZED", 401, "docker.x")
    params = {"appName": COMPOSE_APP_NAME, "appType": "docker-compose"}
    return get("docker.getContainersByAppNameMatch", body, 401, **params)


def test_without_docker_permission_nothing_is_claimed() -> None:
    switch_off = update(autoDeploy=False, description=MARKED)
    outcome = stop({}, no_docker(), switch_off, *IDLE, STOP, no_docker(), compose_one(**STOPPED))
    assert (outcome.plan.changed, outcome.verified) == (True, False)
    assert "state=absent" in outcome.warnings[0]
    assert not stop(STOPPED, no_docker(), check=True).plan.changed
    assert not run({}, no_docker(), check=True).plan.changed
    assert run(STOPPED, no_docker(), check=True).plan.changed


# --- running


def test_running_restores_the_webhook_and_watches() -> None:
    starting = seen(container("shop-web-1", "created", "Created"))
    outcome = run(STOPPED, DOWN, update(autoDeploy=True, description=None), START, starting, UP, UP, UP, compose_one())
    assert (outcome.plan.changed, outcome.verified, outcome.plan.remembered) == (True, True, None)
    assert outcome.plan.after == {"auto_deploy": True, "state": "running"}


def test_a_webhook_that_was_off_is_not_switched_on() -> None:
    marked_off = {**STOPPED, "description": f"mine {MARKED_OFF}"}
    off = compose_one(autoDeploy=False, description="mine")
    outcome = run(marked_off, DOWN, update(description="mine"), START, *[UP] * 3, off)
    assert outcome.plan.after["auto_deploy"] is False


def test_a_second_run_changes_and_sends_nothing() -> None:
    outcome = run({}, UP, UP, UP, UP, compose_one())
    assert (outcome.plan.changed, outcome.verified) == (False, True)


def test_what_did_its_work_and_ended_is_no_failure() -> None:
    both = seen(WEB, container("shop-migrate-1", "exited", "Exited (0) 9 seconds ago", "c2"))
    assert not run({}, both, both, both, both, compose_one()).plan.changed


def test_what_crashed_is_started_again_and_told() -> None:
    crashed = seen(WEB, container("shop-worker-1", "exited", "Exited (1) 9 seconds ago", "c2"), takes=40.0)
    with pytest.raises(
        PlatformError, match=r"1 running containers \(shop-worker-1 Exited \(1\) 9 seconds ago\) after 60"
    ):
        run({}, crashed, START, crashed, crashed)


def test_a_restarting_container_does_not_serve() -> None:
    restarting = seen(WEB, container("shop-worker-1", "restarting", "Restarting (1) 1 second ago", "c2"), takes=40.0)
    with pytest.raises(PlatformError, match="shop-worker-1 Restarting"):
        run({}, restarting, START, restarting, restarting)


def test_what_was_never_deployed_cannot_run() -> None:
    with pytest.raises(PlatformError, match=r"monitoring .* has never been deployed with success") as caught:
        run({"composeStatus": "idle"}, seen(), records("error"))
    assert caught.value.details["compose"]["id"] == COMPOSE_ID  # type: ignore[index]


def test_check_mode_of_running_reads_only() -> None:
    outcome = run(STOPPED, DOWN, check=True)
    assert (outcome.plan.changed, outcome.service.auto_deploy) == (True, True)


# --- running, of a stack

STACK: dict[str, Any] = {"composeType": "stack"}
NONE = seen(kind="stack")
TASK = seen(container(f"{COMPOSE_APP_NAME}_web.1.d5u4ynz2af6z5qdx9qgk3s4hn"), kind="stack")
MINE = f"[run {TOKEN}]"
JOB = queue(
    {"id": "j", "data": {"composeId": COMPOSE_ID, "descriptionLog": MINE, "type": "redeploy"}, "state": "waiting"}
)


def test_a_stack_is_redeployed_since_start_would_start_nothing() -> None:
    outcome = run(
        STACK,
        NONE,
        records("done"),
        REDEPLOY,
        JOB,
        records("done"),
        queue(),
        records("running", description=MINE),
        queue(),
        records("done", description=MINE),
        TASK,
        TASK,
        TASK,
        compose_one(**STACK),
    )
    assert (outcome.plan.changed, outcome.verified) == (True, True)


def test_a_stack_s_containers_of_earlier_tasks_do_not_count() -> None:
    old = container(f"{COMPOSE_APP_NAME}_web.1.j9r0f5jeaocox65q5di2ap4qw", "exited", "Exited (1) 9 minutes ago", "c0")
    rows = seen(container(f"{COMPOSE_APP_NAME}_web.1.d5u4ynz2af6z5qdx9qgk3s4hn"), old, kind="stack")
    assert not run(STACK, rows, rows, rows, rows, compose_one(**STACK)).plan.changed


def test_a_redeployment_that_fails_tells_its_log_without_secrets() -> None:
    log = get(
        "deployment.readLogs",
        "one\n\nError: no such image PASSWORD=s3cr3t PEPPER=s3cr3t\n",
        deploymentId="d0",
        tail="200",
    )
    with pytest.raises(
        PlatformError, match=r"ended error: Error: no such image PASSWORD=\*\*\* PEPPER=\*\*\*"
    ) as caught:
        run(STACK, NONE, records("done"), REDEPLOY, queue(), records("error", description=MINE), log, log)
    assert "deployment d0" in str(caught.value)


def test_a_redeployment_is_repeated_while_docker_still_removes_the_networks_of_the_stop() -> None:
    gone = f"Creating service\nError response from daemon: network {COMPOSE_APP_NAME}_default not found\n"
    outcome = run(
        STACK,
        NONE,
        records("done"),
        REDEPLOY,
        queue(),
        records("error", description=MINE),
        get("deployment.readLogs", gone, deploymentId="d0", tail="200"),
        REDEPLOY,
        queue(),
        records("done", description=MINE),
        TASK,
        TASK,
        TASK,
        compose_one(**STACK),
    )
    assert outcome.verified


def test_a_redeployment_that_dokploy_lost_is_told() -> None:
    with pytest.raises(PlatformError, match="neither queued nor recorded"):
        run(STACK, NONE, records("done"), REDEPLOY, *IDLE * 62)


def test_a_redeployment_that_waits_too_long_is_told() -> None:
    with pytest.raises(PlatformError, match="has not ended after 60 s"):
        run(STACK, NONE, records("done"), REDEPLOY, *[JOB, records("done")] * 121)
