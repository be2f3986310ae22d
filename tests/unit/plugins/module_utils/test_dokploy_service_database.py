# SPDX-License-Identifier: GPL-3.0-or-later
"""Database services, stopped and started, call by call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import Database
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.keep_database import DatabaseKeeper
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.keeper import Outcome
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError

from tests.unit.plugins.dokploy_answers import (
    DATABASE_APP_NAME,
    DATABASE_ID,
    client_for,
    database_one,
    database_row,
    get,
    post,
    problem,
    task,
)
from tests.unit.plugins.scripted import Call, FakeClock

STOP = post("postgres.stop", {"postgresId": DATABASE_ID}, {"applicationStatus": "done", "databasePassword": "s3cr3t"})
START = post("postgres.start", {"postgresId": DATABASE_ID}, {"databasePassword": "s3cr3t"})
IDLE: dict[str, Any] = {"applicationStatus": "idle"}


def tasks(*rows: dict[str, str], takes: float = 0.0, status: int = 200) -> Call:
    body: object = list(rows) if status == 200 else problem("unauthorized", "UNAUTHORIZED", 401, "docker.x")
    return get("docker.getServiceContainersByAppName", body, status, takes=takes, appName=DATABASE_APP_NAME)


UP, DOWN, UNSEEN = tasks(task("Running")), tasks(), tasks(status=401)


def keep(act: Callable[[DatabaseKeeper], Outcome[Database]], *calls: Call) -> Outcome[Database]:
    clock = FakeClock()
    client, transport = client_for(clock, *calls)
    try:
        outcome = act(DatabaseKeeper(client, clock, wait_timeout=20, stable_for=1.0))
        assert "s3cr3t" not in str(outcome.to_result())
        return outcome
    finally:
        transport.assert_all_made()


def stop(columns: dict[str, Any], *calls: Call, check: bool = False) -> Outcome[Database]:
    return keep(lambda keeper: keeper.stop(Database.from_row(database_row(**columns)), check), *calls)


def run(columns: dict[str, Any], *calls: Call, check: bool = False) -> Outcome[Database]:
    return keep(lambda keeper: keeper.run(Database.from_row(database_row(**columns)), None, check), *calls)


def test_stopping_watches_that_it_stays_stopped() -> None:
    leaving = tasks(task("Running", desired="shutdown"))
    outcome = stop({}, UP, STOP, leaving, DOWN, DOWN, DOWN, database_one(**IDLE))
    assert (outcome.plan.changed, outcome.verified) == (True, True)
    assert (outcome.plan.before, outcome.plan.after) == ({"state": "running"}, {"state": "stopped"})
    assert outcome.to_result()["database"]["status"] == "idle"  # type: ignore[index]


def test_a_second_stop_changes_and_sends_nothing() -> None:
    outcome = stop(IDLE, DOWN, DOWN, DOWN, DOWN, database_one(**IDLE))
    assert (outcome.plan.changed, outcome.verified) == (False, True)


def test_starting() -> None:
    starting = tasks(task("Starting"))
    outcome = run(IDLE, DOWN, START, starting, UP, UP, UP, database_one())
    assert (outcome.plan.changed, outcome.verified) == (True, True)
    assert outcome.plan.after == {"state": "running"}


def test_a_second_run_changes_and_sends_nothing() -> None:
    assert not run({}, UP, UP, UP, UP, database_one()).plan.changed


def test_each_kind_has_its_own_procedures() -> None:
    row = {**database_row(), "redisId": "r1"}
    clock = FakeClock()
    redis = Database.from_row(row, "redis")
    one = get("redis.one", row, redisId="r1")
    client, transport = client_for(clock, UP, post("redis.stop", {"redisId": "r1"}), DOWN, DOWN, DOWN, one)
    assert DatabaseKeeper(client, clock, 20, 1.0).stop(redis).verified
    transport.assert_all_made()


def test_what_was_never_deployed_cannot_start() -> None:
    message = "Command execution failed: Command failed: docker service scale x=1\nservice x not found\n"
    failed = post("postgres.start", {"postgresId": DATABASE_ID}, problem(message, "X", 500, "postgres.start"), 500)
    with pytest.raises(PlatformError, match="service x not found If db was never deployed, deploy it once"):
        run(IDLE, DOWN, failed)


def test_a_crash_loop_fails_with_what_the_tasks_said() -> None:
    failed = task("Failed", "t2", "shutdown", "task: non-zero exit (1)")
    crashing = tasks(task("Ready", "t3", "ready"), failed, takes=11.0)
    with pytest.raises(PlatformError, match=r"db has 0 running tasks after 20 s: task: non-zero exit \(1\)"):
        run(IDLE, DOWN, START, crashing, crashing)


def test_check_mode_reads_only() -> None:
    assert stop({}, UP, check=True).plan.changed
    assert run(IDLE, DOWN, check=True).plan.changed


def test_without_docker_permission_the_stop_is_sent_and_nothing_is_claimed() -> None:
    outcome = stop({}, UNSEEN, STOP, UNSEEN, database_one(**IDLE))
    assert (outcome.plan.changed, outcome.verified) == (True, False)
    assert "state=absent" in outcome.warnings[0]
    assert not stop(IDLE, UNSEEN, STOP, UNSEEN, database_one(**IDLE)).plan.changed
    assert not run({}, UNSEEN, UNSEEN, database_one()).plan.changed
