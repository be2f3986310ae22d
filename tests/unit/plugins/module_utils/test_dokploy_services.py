# SPDX-License-Identifier: GPL-3.0-or-later
"""Stopping for good and starting as before, call by call."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import Application
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.keep_application import ApplicationKeeper
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.keeper import Outcome
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.marker import (
    remembered_auto_deploy,
    remembered_replicas,
    with_marker,
    without_marker,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError

from tests.unit.plugins.dokploy_answers import (
    APP_NAME,
    APPLICATION_ID,
    client_for,
    get,
    job,
    no_docker,
    one,
    post,
    problem,
    queue,
    records,
    row,
    task,
    tasks,
)
from tests.unit.plugins.scripted import START, Call, FakeClock

MARKED = "the api [stopped by vedfinance.platform at 2026-11-22T02:00:00Z, replicas before: 2]"
STOPPED = {"replicas": 0, "description": MARKED}
QUIET = [tasks(task("Shutdown", desired="shutdown"))] * 3
IDLE = [queue(), records("done")]
STOP = post("application.stop", {"applicationId": APPLICATION_ID}, {"applicationStatus": "done"})
RELOAD = post("application.reload", {"applicationId": APPLICATION_ID, "appName": APP_NAME}, True)


def update(**fields: object) -> Call:
    return post("application.update", {"applicationId": APPLICATION_ID, **fields}, True)


def keep(
    act: Callable[[ApplicationKeeper], Outcome[Application]], *calls: Call, clock: FakeClock | None = None
) -> Outcome[Application]:
    clock = clock or FakeClock()
    client, transport = client_for(clock, *calls)
    try:
        return act(ApplicationKeeper(client, clock, wait_timeout=20, stable_for=1.0))
    finally:
        transport.assert_all_made()


def stop(columns: dict[str, object], *calls: Call, check: bool = False) -> Outcome[Application]:
    return keep(lambda keeper: keeper.stop(Application.from_row(row(**columns)), check), *calls)


def run(
    columns: dict[str, object], *calls: Call, replicas: int | None = None, check: bool = False
) -> Outcome[Application]:
    return keep(lambda keeper: keeper.run(Application.from_row(row(**columns)), replicas, check), *calls)


# --- the marker


def test_the_marker_remembers_and_goes_without_a_trace() -> None:
    assert with_marker("the api", 2, START) == MARKED
    assert remembered_replicas(MARKED) == 2
    assert without_marker(MARKED) == "the api"


@pytest.mark.parametrize("description", [None, "", "  "])
def test_an_empty_description_comes_back_empty(description: str | None) -> None:
    marked = with_marker(description, 3, START)
    assert (remembered_replicas(marked), without_marker(marked)) == (3, None)


def test_there_is_only_one_marker() -> None:
    assert with_marker(MARKED, 5, START).count("stopped by") == 1
    assert remembered_replicas(with_marker(MARKED, 5, START)) == 5
    assert remembered_replicas("stopped by hand, replicas before: 3") is None


@pytest.mark.parametrize("auto_deploy", [True, False])
def test_the_marker_of_a_compose_service_remembers_its_automatic_deploy(auto_deploy: bool) -> None:
    marked = with_marker("the stack", auto_deploy, START)
    assert remembered_auto_deploy(marked) is auto_deploy
    assert remembered_replicas(marked) is None
    assert without_marker(marked) == "the stack"
    assert remembered_auto_deploy(MARKED) is None


# --- stopped


def test_stopping_stores_0_in_one_update_and_watches() -> None:
    outcome = stop(
        {},
        tasks(task("Running")),
        update(replicas=0, description=MARKED),
        *IDLE,
        STOP,
        tasks(task("Running", desired="shutdown")),
        *QUIET,
        one(**STOPPED, applicationStatus="idle"),
    )
    assert outcome.plan.changed
    assert outcome.verified
    result = outcome.to_result()
    assert (result["replicas_remembered"], outcome.service.replicas) == (2, 0)
    assert outcome.plan.before == {"replicas": 2, "state": "running"}
    assert outcome.plan.after == {"replicas": 0, "state": "stopped"}


def test_a_second_stop_changes_and_sends_nothing() -> None:
    outcome = stop(STOPPED, tasks(), *IDLE, *QUIET, one(**STOPPED))
    assert not outcome.plan.changed
    assert outcome.verified
    assert outcome.plan.before == outcome.plan.after


def test_goes_on_after_an_interruption_between_update_and_stop() -> None:
    outcome = stop(STOPPED, tasks(task("Running")), *IDLE, STOP, *QUIET, one(**STOPPED))
    assert outcome.plan.changed
    assert outcome.plan.remembered == 2


def test_a_build_that_is_under_way_is_waited_for_before_the_stop() -> None:
    outcome = stop(
        {},
        tasks(task("Running")),
        update(replicas=0, description=MARKED),
        queue(job()),
        records("running", "done"),
        queue(),
        records("running", "done"),
        *IDLE,
        STOP,
        *QUIET,
        one(**STOPPED),
    )
    assert outcome.waited == 2.0


def test_builds_of_other_applications_are_not_waited_for() -> None:
    stop(STOPPED, tasks(), queue(job("other")), records("done"), *QUIET, one(**STOPPED))


def test_before_the_queue_could_be_read_the_records_must_do() -> None:
    unknown = get("deployment.queueList", problem("Not found", "NOT_FOUND", 404, None), 404)
    stop(STOPPED, tasks(), unknown, records("done"), *QUIET, one(**STOPPED))


def test_a_build_that_does_not_end() -> None:
    waiting = [queue(job(state="waiting")), records("done")]
    with pytest.raises(PlatformError, match=r"still being built after 20 s.*job-8 \(release 2\) waiting") as caught:
        stop({}, tasks(task("Running")), update(replicas=0, description=MARKED), *waiting * 41)
    assert caught.value.details["changed"] is True
    assert caught.value.details["replicas_remembered"] == 2


def test_what_comes_back_is_stopped_again() -> None:
    outcome = stop(
        STOPPED,
        tasks(),
        *IDLE,
        tasks(),
        tasks(task("Starting")),
        *IDLE,
        STOP,
        *QUIET,
        one(**STOPPED),
    )
    assert outcome.verified


def test_a_service_that_docker_does_not_stop() -> None:
    alive = tasks(task("Running"), takes=9.0)
    with pytest.raises(PlatformError, match=rf"still has 1 living tasks after 20 s: {APP_NAME}\.1 Running"):
        stop(STOPPED, alive, *IDLE, STOP, alive, alive, alive)


def test_without_docker_permission_the_stop_is_sent_and_nothing_is_claimed() -> None:
    outcome = stop(
        {},
        no_docker(),
        update(replicas=0, description=MARKED),
        *IDLE,
        STOP,
        no_docker(),
        one(**STOPPED),
    )
    assert outcome.plan.changed
    assert not outcome.verified
    assert outcome.tasks is None
    assert "state=absent" in outcome.warnings[0]
    again = stop({**STOPPED, "applicationStatus": "idle"}, no_docker(), *IDLE, STOP, no_docker(), one(**STOPPED))
    assert not again.plan.changed


def test_0_replicas_by_hand_remembers_the_tasks_that_run() -> None:
    running = tasks(task("Running", "a"), task("Running", "b"), task("Failed", "c", "shutdown"))
    outcome = stop({"replicas": 0}, running, update(description=MARKED), *IDLE, STOP, *QUIET, one(**STOPPED))
    assert outcome.plan.remembered == 2


def test_0_replicas_by_hand_and_no_task_is_stopped_already() -> None:
    outcome = stop({"replicas": 0}, tasks(), *IDLE, *QUIET, one(replicas=0))
    assert (outcome.plan.changed, outcome.plan.remembered) == (False, None)


def test_a_number_raised_by_hand_replaces_a_stale_marker() -> None:
    marked = MARKED.replace("before: 2", "before: 4")
    outcome = stop(
        {"replicas": 4, "description": MARKED},
        tasks(task("Running")),
        update(replicas=0, description=marked),
        *IDLE,
        STOP,
        *QUIET,
        one(replicas=0, description=marked),
    )
    assert outcome.plan.remembered == 4


def test_check_mode_reads_only() -> None:
    outcome = stop({}, tasks(task("Running")), check=True)
    assert outcome.plan.changed
    assert not outcome.verified
    assert outcome.service.replicas == 0
    assert not stop(STOPPED, tasks(), check=True).plan.changed


def test_somebody_else_changed_the_number_meanwhile() -> None:
    with pytest.raises(PlatformError, match="holds 3 replicas for api instead of 0"):
        stop(STOPPED, tasks(), *IDLE, *QUIET, one(replicas=3))


def test_a_mode_of_its_own_overrides_replicas() -> None:
    for act in (stop, run):
        with pytest.raises(PlatformError, match="service mode of its own"):
            act({"modeSwarm": {"Global": {}}})


# --- running

TWO = tasks(task("Running", "a"), task("Running", "b"))


def test_running_restores_the_remembered_number_by_reload() -> None:
    outcome = run(
        STOPPED,
        tasks(),
        update(replicas=2, description="the api"),
        RELOAD,
        tasks(task("Starting", "a"), task("Preparing", "b")),
        tasks(task("Running", "a"), task("Starting", "b")),
        TWO,
        TWO,
        TWO,
        one(),
    )
    assert outcome.plan.changed
    assert outcome.verified
    assert outcome.plan.remembered is None
    assert outcome.plan.after == {"replicas": 2, "state": "running"}


def test_a_description_that_was_empty_becomes_empty() -> None:
    marked = with_marker(None, 2, START)
    run(
        {"replicas": 0, "description": marked}, tasks(), update(replicas=2, description=None), RELOAD, *[TWO] * 3, one()
    )


def test_a_second_run_changes_and_sends_nothing() -> None:
    outcome = run({}, TWO, *[TWO] * 3, one())
    assert not outcome.plan.changed
    assert outcome.verified


def test_goes_on_after_an_interruption_between_update_and_reload() -> None:
    outcome = run({}, tasks(), records("done"), RELOAD, *[TWO] * 3, one())
    assert outcome.plan.changed


def test_another_number() -> None:
    outcome = run({"replicas": 1}, tasks(task("Running")), update(replicas=2), RELOAD, *[TWO] * 3, one(), replicas=2)
    assert outcome.plan.before == {"replicas": 1, "state": "running"}


def test_0_without_a_marker_becomes_1() -> None:
    single = tasks(task("Running"))
    outcome = run({"replicas": 0}, tasks(), records("done"), update(replicas=1), RELOAD, *[single] * 3, one(replicas=1))
    assert outcome.plan.after["replicas"] == 1


def test_a_stale_marker_is_only_removed() -> None:
    outcome = run({"description": MARKED}, TWO, update(description="the api"), *[TWO] * 3, one())
    assert outcome.plan.changed


def test_a_replaced_task_starts_the_watch_again() -> None:
    other = tasks(task("Running", "a"), task("Running", "c"))
    outcome = run({}, TWO, TWO, TWO, other, other, other, one())
    assert outcome.waited == 2.0


def test_a_stop_that_got_no_further_than_its_update_is_undone_without_a_restart() -> None:
    outcome = run(STOPPED, TWO, update(replicas=2, description="the api"), *[TWO] * 3, one())
    assert outcome.plan.changed


def test_a_task_that_is_being_ended_does_not_count() -> None:
    leaving = tasks(task("Running", "a"), task("Running", "b"), task("Running", "old", "shutdown"))
    assert run({}, leaving, *[leaving] * 3, one()).verified


def test_old_tasks_that_are_about_to_be_replaced_do_not_count_yet() -> None:
    rolling = tasks(task("Starting", "c"), task("Running", "a"), task("Running", "b"))
    run({}, tasks(task("Running", "a")), RELOAD, rolling, *[TWO] * 3, one())


def test_a_crash_loop_fails_with_what_the_tasks_said() -> None:
    crashing = tasks(
        task("Ready", "c", "ready"),
        task("Failed", "b", "shutdown", '"task: non-zero exit (1)"'),
        task("Shutdown", "old", "shutdown"),
        takes=9.0,
    )
    with pytest.raises(PlatformError, match=r"0 running tasks of 2 after 20 s: task: non-zero exit \(1\)\.") as caught:
        run(STOPPED, tasks(), update(replicas=2, description="the api"), RELOAD, crashing, crashing, crashing)
    assert caught.value.details["errors"] == ["task: non-zero exit (1)"]
    assert caught.value.details["changed"] is True


def test_what_swarm_gives_up_is_not_waited_for() -> None:
    """Its update is undone after the first failure: back to the 0 tasks from before."""
    failed = task("Failed", "b", "shutdown", '"task: non-zero exit (1)"')
    trying = tasks(task("Ready", "c", "ready"), failed)
    given_up = tasks(task("Shutdown", "c", "shutdown"), failed)
    with pytest.raises(
        PlatformError, match=r"api does not start: task: non-zero exit \(1\)\. Docker has given"
    ) as caught:
        run(STOPPED, tasks(), update(replicas=2, description="the api"), RELOAD, trying, trying, *[given_up] * 3)
    assert caught.value.details["errors"] == ["task: non-zero exit (1)"]
    assert caught.value.details["waited"] == 2.0


def test_a_version_that_failed_and_was_put_back_is_a_warning() -> None:
    failed = task("Failed", "c", "shutdown", "task: non-zero exit (1)")
    put_back = tasks(task("Running", "a"), task("Running", "b"), failed)
    outcome = run({}, tasks(task("Running", "a")), RELOAD, *[put_back] * 3, one())
    assert outcome.verified
    assert "1 tasks of shop-api-jmwfym failed" in outcome.warnings[0]
    assert "non-zero exit" in outcome.warnings[0]


def test_failures_from_before_are_not_blamed() -> None:
    old = task("Failed", "old", "shutdown", "yesterday")
    slow = tasks(old, takes=11.0)
    with pytest.raises(PlatformError, match="no task reported an error"):
        run({}, tasks(old), RELOAD, slow, slow)


def test_what_was_never_deployed_cannot_run() -> None:
    with pytest.raises(PlatformError, match=r"never been deployed with success.*Deploy it once"):
        run({}, tasks(), records("error"))


def test_without_docker_permission_running_is_not_claimed() -> None:
    idle = {"applicationStatus": "idle"}
    outcome = run(idle, no_docker(), records("error"), RELOAD, no_docker(), one())
    assert outcome.plan.changed
    assert not outcome.verified
    assert "state=healthy" in outcome.warnings[0]
    assert not run({}, no_docker(), no_docker(), one()).plan.changed
    run({"replicas": 1}, no_docker(), records("done"), update(replicas=2), RELOAD, no_docker(), one(), replicas=2)


def test_check_mode_of_running_reads_only() -> None:
    outcome = run(STOPPED, tasks(), check=True)
    assert (outcome.plan.changed, outcome.service.replicas) == (True, 2)
    assert not run({}, TWO, check=True).plan.changed
