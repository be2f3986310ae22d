# SPDX-License-Identifier: GPL-3.0-or-later
"""The module around the roller: the exact calls, and what is refused before any of them changes something."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy import argspec
from ansible_collections.vedfinance.platform.plugins.modules import dokploy_rollback

from tests.unit.plugins.dokploy_answers import (
    APP_NAME,
    APPLICATION_ID,
    KEY,
    URL,
    get,
    job,
    no_docker,
    one,
    post,
    problem,
    queue,
    records,
    task,
    tasks,
)
from tests.unit.plugins.rollback_answers import COMMITS, build, containers, git_row, history
from tests.unit.plugins.run_module import run_main
from tests.unit.plugins.scripted import Call, FakeClock, ScriptedTransport, answer

VERSION = get("settings.getDokployVersion", "v0.30.2")
T1, T2 = "t1".ljust(25, "0"), "t2".ljust(25, "0")
LATEST, SNAPSHOT = f"{APP_NAME}:latest", f"127.0.0.1:5000/lab/{APP_NAME}:v1"
MEMORY = "[rolled back by vedfinance.platform at 2026-11-22T02:00:00Z: d1 -> d0]"
BUILDS = [build("d1", "B", snapshot=2, replicas=1), build("d0", "A", snapshot=1, replicas=1)]
IDLE = [queue(), records("done", "done")]


def application(**columns: Any) -> Call:
    return get("application.one", git_row(**{"replicas": 1, **columns}), applicationId=APPLICATION_ID)


def runs(identity: str, image: str, *ended: str) -> list[Call]:
    rows = [task("Running", identity), *(task("Shutdown", former, "shutdown") for former in ended)]
    return [tasks(*rows), *containers({identity: image})]


def update(**columns: Any) -> Call:
    return post("application.update", {"applicationId": APPLICATION_ID, **columns}, True)


PLANNED = [VERSION, application(), *IDLE, history(*BUILDS), *runs(T1, LATEST), application()]
ROLLED = [
    *runs(T1, LATEST),
    records("done", "done"),
    queue(),
    post("rollback.rollback", {"rollbackId": "r1"}),
]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*calls: Call, check: bool = False, **arguments: Any) -> dict[str, Any]:
        clock = FakeClock()
        transport = ScriptedTransport(clock, *calls)
        monkeypatch.setattr(argspec, "RequestsTransport", lambda *_: transport)
        monkeypatch.setattr(dokploy_rollback, "RequestsTransport", lambda *_: transport)
        monkeypatch.setattr(dokploy_rollback, "SystemClock", lambda: clock)
        given = {"dokploy_url": URL, "dokploy_api_key": KEY, "application_id": APPLICATION_ID, "stable_for": 0}
        result = run_main(dokploy_rollback.main, capsys, {**given, **arguments}, check)
        transport.assert_all_made()
        assert "s3cr3t" not in json.dumps(result)
        assert KEY not in json.dumps(result)
        return result

    return run


def test_check_mode_only_reads(run: Any) -> None:
    result = run(*PLANNED, check=True)
    assert (result["changed"], result["strategy"], result["verdict"]) == (True, "snapshot", None)
    assert result["diff"] == {
        "before": {"deployment": "d1", "image": LATEST, "commit": COMMITS["B"], "replicas": 1},
        "after": {"deployment": "d0", "image": f"{APP_NAME}:v1", "commit": COMMITS["A"], "replicas": 1},
    }


def test_a_rollback_is_remembered_then_made_then_proved(run: Any) -> None:
    result = run(
        *PLANNED,
        update(description=f"the api {MEMORY}"),
        *ROLLED,
        *runs(T2, SNAPSHOT, T1),
        records("done", "done"),
        queue(),
        application(description=f"the api {MEMORY}"),
    )
    assert (result["changed"], result["sticky"], result["verdict"]["serving"]) == (True, False, True)
    assert (result["from"]["image"], result["to"]["image"]) == (LATEST, SNAPSHOT)


def test_a_second_run_only_reads(run: Any) -> None:
    calls = [VERSION, application(description=f"the api {MEMORY}"), *IDLE, history(*BUILDS), *runs(T2, SNAPSHOT)]
    result = run(*calls, application())
    assert (result["changed"], result["to"]["deployment"], result["verdict"]) == (False, "d0", None)
    assert result["diff"]["before"] == result["diff"]["after"]


def test_what_swarm_reverted_is_a_failure_and_is_forgotten(run: Any) -> None:
    reverted = [
        tasks(task("Running", T2), task("Failed", "t3", "shutdown", "task: non-zero exit (1)")),
        *containers({T2: LATEST}),
        records("done", "done"),
        queue(),
    ]
    result = run(*PLANNED, update(description=f"the api {MEMORY}"), *ROLLED, *reverted, update(description="the api"))
    assert result["failed"]
    assert "does not serve" in result["msg"]
    assert "name another version in to" in result["msg"]
    assert (result["changed"], result["verdict"]["serving"], result["verdict"]["images"]) == (True, False, [LATEST])


def test_another_image_is_a_failure_even_when_no_task_failed(run: Any) -> None:
    calls = [*PLANNED, update(description=f"the api {MEMORY}"), *ROLLED, *runs(T2, LATEST, T1)]
    result = run(*calls, records("done", "done"), queue(), update(description="the api"))
    assert f"{LATEST} runs instead of {APP_NAME}:v1: Docker Swarm has reverted it" in result["msg"]


def test_who_may_not_change_the_application_is_told_that_it_is_not_remembered(run: Any) -> None:
    denied = problem("not permitted", "UNAUTHORIZED", 401, "application.update")
    body = {"applicationId": APPLICATION_ID, "description": f"the api {MEMORY}"}
    calls = [*PLANNED, post("application.update", body, denied, 401), *ROLLED, *runs(T2, SNAPSHOT, T1)]
    result = run(*calls, records("done", "done"), queue(), application())
    assert result["changed"]
    assert "is not remembered in its description" in json.dumps(result["warnings"])


def test_a_snapshot_that_was_deleted_meanwhile_changes_nothing(run: Any) -> None:
    gone = problem("Error input: Rolling back", "BAD_REQUEST", 400, "rollback.rollback")
    refused = post("rollback.rollback", {"rollbackId": "r1"}, gone, 400)
    calls = [*PLANNED, update(description=f"the api {MEMORY}"), *ROLLED[:-1], refused, update(description="the api")]
    result = run(*calls)
    assert "Error input: Rolling back" in result["msg"]
    assert result["changed"] is False


def test_without_docker_it_is_not_called_a_success(run: Any) -> None:
    calls = [VERSION, application(), *IDLE, history(*BUILDS), no_docker(), application()]
    calls += [update(description=f"the api {MEMORY}")]
    look = [no_docker(), records("done", "done"), queue()]
    result = run(*calls, *look, post("rollback.rollback", {"rollbackId": "r1"}), *look)
    assert "not proved: this API key may not read Docker" in result["msg"]
    assert "expect_version" in result["msg"]


def test_the_word_of_the_application_is_a_proof(run: Any) -> None:
    def says(version: str) -> Call:
        return Call("GET", "/api/version", answer({"version": version}))

    look = [no_docker(), records("done", "done"), queue()]
    calls = [VERSION, application(), *IDLE, history(*BUILDS), no_docker(), application()]
    calls += [update(description=f"the api {MEMORY}"), *look, says("1.5.0")]
    calls += [post("rollback.rollback", {"rollbackId": "r1"})]
    watched = [*look, says("1.5.0"), *[call for _turn in range(3) for call in [*look, says("1.4.0")]]]
    result = run(
        *calls, *watched, application(), api_url="http://127.0.0.1:3001", expect_version="1.4.0", wait_timeout=30
    )
    assert result["verdict"]["serving"], result["msg"]
    assert result["verdict"]["version"] == "1.4.0"


def test_listed_only_reads_even_when_it_is_stopped(run: Any) -> None:
    result = run(VERSION, application(replicas=0), history(*BUILDS), *runs(T1, LATEST), state="listed")
    assert [target["id"] for target in result["targets"]] == ["d1", "d0"]
    assert (result["changed"], "strategy" in result) == (False, False)


@pytest.mark.parametrize(
    ("columns", "seen"),
    [
        ({"replicas": 0}, []),
        ({"description": "[stopped by vedfinance.platform at 2026-11-22T02:00:00Z, replicas before: 2]"}, []),
        ({"applicationStatus": "idle"}, [tasks(task("Shutdown", T1, "shutdown"))]),
    ],
)
def test_what_was_stopped_is_not_started_by_a_rollback(run: Any, columns: dict[str, Any], seen: list[Call]) -> None:
    result = run(VERSION, application(**columns), *seen)
    assert "is stopped, and a rollback would start it" in result["msg"]
    assert result["changed"] is False


@pytest.mark.parametrize("state", ["Failed", "Running"])
def test_idle_is_not_stopped(run: Any, state: str) -> None:
    idle = [VERSION, application(applicationStatus="idle"), tasks(task(state, T1, "shutdown", "exit 1"))]
    assert run(*idle, *IDLE, history(*BUILDS), *runs(T1, LATEST), application(), check=True)["changed"]


def test_a_queued_build_is_refused_or_awaited(run: Any) -> None:
    busy = [queue(job(state="waiting")), records("done")]
    refused = run(VERSION, application(), *busy)
    assert "job-8 (release 2) waiting" in refused["msg"]
    assert "wait_for_builds" in refused["msg"]
    awaited = run(
        VERSION,
        application(),
        *busy,
        *IDLE,
        application(description=f"the api {MEMORY}"),
        history(*BUILDS),
        *runs(T2, SNAPSHOT),
        application(),
        wait_for_builds=True,
    )
    assert (awaited["changed"], awaited["waited"]) == (False, 1.0)


def test_a_refusal_brings_the_targets(run: Any) -> None:
    rows = [build("d1", "B"), build("d0", "A")]
    result = run(VERSION, application(), *IDLE, history(*rows), *runs(T1, LATEST))
    assert "dokploy_application_rollback_policy" in result["msg"]
    assert [target["commit"] for target in result["targets"]] == [COMMITS["B"], COMMITS["A"]]


def test_unpinned_puts_back_only_what_is_still_as_it_was_stored(run: Any) -> None:
    stored = "; stored customGitBranch main => v1, autoDeploy true => false]"
    pinned = {"customGitBranch": "hotfix", "autoDeploy": False, "description": MEMORY.replace("]", stored)}
    result = run(
        VERSION,
        application(**pinned),
        update(autoDeploy=True, description=MEMORY),
        application(autoDeploy=True, description=MEMORY),
        state="unpinned",
    )
    assert result["stored"] == {"autoDeploy": {"before": False, "after": True}}
    assert "customGitBranch is 'hotfix'" in json.dumps(result["warnings"])
    assert run(VERSION, application(**pinned), state="unpinned", check=True)["changed"]
    assert run(VERSION, application(description=MEMORY), state="unpinned")["changed"] is False


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"state": "listed", "to": "previous"}, "are for state=rolled_back"),
        ({"state": "unpinned", "pin": True}, "are for state=rolled_back"),
        ({"api_url": "http://127.0.0.1:3001"}, "api_url goes with"),
        ({"expect_version": "1.4.0"}, "api_url goes with"),
    ],
)
def test_options_that_make_no_sense(run: Any, arguments: dict[str, Any], told: str) -> None:
    assert told in run(**arguments)["msg"]


def test_one_reads_docker_sources_too(run: Any) -> None:
    rows = [build("d1", snapshot=2, image="lab/api:1.4.0"), build("d0", snapshot=1, image="lab/api:1.3.0")]
    result = run(VERSION, one(), *IDLE, history(*rows), *runs(T1, "lab/api:1.4.0"), check=True, strategy="image")
    assert result["stored"] == {"dockerImage": {"before": "lab/api:1.4.0", "after": "lab/api:1.3.0"}}
