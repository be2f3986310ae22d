# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of records, of the queue and of build logs, and what is left out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.deployments import (
    Deployment,
    Job,
    build_log,
    builds_of,
    deployments_of,
    queue_of,
    whole_queue,
    with_token,
)

from tests.contract.captured import body_of
from tests.unit.plugins.dokploy_answers import (
    APPLICATION_ID,
    COMPOSE_ID,
    client_for,
    get,
    job,
    problem,
    queue,
    records,
)
from tests.unit.plugins.scripted import FakeClock

TOKEN = "0123456789abcdef"
APPLICATION: Any = SimpleNamespace(kind="application", id=APPLICATION_ID)
COMPOSE: Any = SimpleNamespace(kind="compose", id=COMPOSE_ID)
MISSING = problem("Not found", "NOT_FOUND", 404, None)
DENIED = problem("no access", "UNAUTHORIZED", 401, "deployment.queueList")


def client(*calls: Any) -> Any:
    return client_for(FakeClock(), *calls)[0]


def test_the_commit_is_found_in_what_dokploy_and_webhooks_write() -> None:
    newest = Deployment.from_row(body_of("31-deployment.all-git-done")[0])
    assert newest.commit == "6e149ee86aed0f8e4cf29d79b31eb6bbb28b3ee5"
    assert Job.from_row({"data": {"descriptionLog": "Hash: 6E149EE86A"}}).commit == "6e149ee86a"
    assert Deployment.from_row({"title": "see Commit: 6e149ee", "description": ""}).commit == "6e149ee"
    assert Deployment.from_row({"description": "Commit: not yet"}).commit is None


def test_the_token_is_found_behind_a_description_that_is_too_long_to_show() -> None:
    row = {"description": with_token("x" * 5000, TOKEN)}
    deployment = Deployment.from_row(row)
    assert deployment.token == TOKEN
    assert len(deployment.description) < 300
    assert "token" not in deployment.to_result()
    assert with_token("", TOKEN) == f"[run {TOKEN}]"
    assert Job.from_row({"data": {"descriptionLog": row["description"]}}).token == TOKEN


def test_jobs_of_applications_and_of_compose_services() -> None:
    busy = [Job.from_row(row) for row in body_of("34-deployment.queueList-busy")]
    assert [(item.id, item.state, item.title) for item in busy][-1] == ("job-8", "active", "slow-1")
    assert busy[-1].begun_at - busy[-1].queued_at == 13
    assert busy[0].begun_at == 0
    assert Job.from_row({"data": {"composeId": COMPOSE_ID}}).service_id == COMPOSE_ID
    assert Job.from_row({"timestamp": None}).queued_at == 0


def test_records_of_each_kind() -> None:
    assert [item.id for item in deployments_of(client(records("done", "error")), APPLICATION)] == ["d0", "d1"]
    by_compose = get("deployment.allByCompose", body_of("81-deployment.allByCompose"), composeId=COMPOSE_ID)
    assert deployments_of(client(by_compose), COMPOSE)[0].title == "c1"


@pytest.mark.parametrize(("body", "status"), [(MISSING, 404), (DENIED, 401)])
def test_a_queue_that_is_not_there_or_may_not_be_read(body: dict[str, Any], status: int) -> None:
    call = get("deployment.queueList", body, status)
    assert whole_queue(client(call)) is None
    assert queue_of(client(call), APPLICATION) is None


def test_builds_are_of_this_service_only() -> None:
    other = job("another", "waiting")
    builds = builds_of(client(queue(job(), other), records("running", "done")), APPLICATION)
    assert bool(builds)
    assert str(builds) == "deployment d0 (release 0) running, job-8 (release 2) active"
    assert not builds_of(client(queue(other), records("done")), APPLICATION)


@pytest.mark.parametrize(
    ("answer", "status", "text"),
    [
        ("line\n", 200, "line\n"),
        (["odd"], 200, None),
        (MISSING, 404, None),
        (problem("Deployment not found", "NOT_FOUND", 404, "deployment.readLogs"), 404, None),
        (problem("no", "UNAUTHORIZED", 401, "deployment.readLogs"), 401, None),
    ],
)
def test_the_log_of_a_build(answer: Any, status: int, text: str | None) -> None:
    call = get("deployment.readLogs", answer, status, deploymentId="d1", tail="10000")
    assert build_log(client(call), "d1", 99999) == text
