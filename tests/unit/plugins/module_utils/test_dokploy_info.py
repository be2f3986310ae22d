# SPDX-License-Identifier: GPL-3.0-or-later
"""What is shown of a service, its deployments, its queue and its schedules; and of all services."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import ServiceQuery
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.info import read_info

from tests.unit.plugins.dokploy_answers import (
    APP_NAME,
    APPLICATION_ID,
    COMPOSE_APP_NAME,
    COMPOSE_ID,
    DATABASE_APP_NAME,
    DATABASE_ID,
    client_for,
    compose_one,
    config_of,
    container,
    containers,
    database_one,
    get,
    job,
    no_docker,
    one,
    problem,
    queue,
    records,
    task,
    tasks,
)
from tests.unit.plugins.scripted import Call, FakeClock

VERSION = get("settings.getDokployVersion", "v0.30.2")
TASK = "d5u4ynz2af6z5qdx9qgk3s4hn"
NO_SCHEDULES = get("schedule.list", [], id=APPLICATION_ID, scheduleType="application")
REST = (containers(), NO_SCHEDULES)
"""What is asked of an application beside what the tests are about."""


def read(query: ServiceQuery, *calls: Call, **params: object) -> dict[str, Any]:
    client, transport = client_for(FakeClock(), VERSION, *calls)
    result = read_info(client, query, {"deployments": 5, "log_lines": 0, "rollback_targets": False, **params})
    transport.assert_all_made()
    assert "s3cr3t" not in json.dumps(result)
    return result


def info(*calls: Call, **params: object) -> dict[str, Any]:
    return read(ServiceQuery(application_id=APPLICATION_ID), *calls, **params)


def test_a_serving_application() -> None:
    calls = (one(), tasks(task("Running")), queue(), records("done", "error", "done"), *REST)
    result = info(*calls, deployments=2)
    assert (result["version"], result["quiesced"], result["replicas_remembered"]) == ("v0.30.2", False, None)
    assert [item["id"] for item in result["deployments"]] == ["d0", "d1"]
    assert (result["queue"], result["building"]) == ([], False)
    assert result["tasks"][0]["state"] == "running"
    assert (result["images"], result["failed_log"], result["rollback_targets"]) == ([], None, None)
    assert (result["schedules"], result["backups"]) == ([], [])


def test_the_images_that_run() -> None:
    listed = containers(container(f"{APP_NAME}.1.{TASK}"))
    calls = (one(), tasks(task("Running", TASK)), queue(), records("done"), listed, config_of("c1", "lab/api:1"))
    result = info(*calls, NO_SCHEDULES)
    assert result["images"] == [{"task": TASK, "reference": "lab/api:1", "image_id": "sha256:1"}]


def test_a_quiesced_application() -> None:
    description = "x [stopped by vedfinance.platform at 2026-11-22T02:00:00Z, replicas before: 2]"
    result = info(one(replicas=0, description=description), tasks(), queue(), records(), *REST)
    assert (result["quiesced"], result["replicas_remembered"]) == (True, 2)


def test_a_raised_number_is_not_quiesced_any_more() -> None:
    description = "[stopped by vedfinance.platform at 2026-11-22T02:00:00Z, replicas before: 2]"
    result = info(one(replicas=1, description=description), tasks(), queue(), records(), *REST)
    assert result["quiesced"] is False


def test_queued_is_building() -> None:
    result = info(one(), tasks(), queue(job("other"), job(state="waiting")), records("done"), *REST)
    assert result["queue"] == [{"id": "job-8", "title": "release 2", "type": "deploy", "state": "waiting"}]
    assert result["building"]


def test_a_running_record_is_building() -> None:
    assert info(one(), tasks(), queue(), records("running"), *REST)["building"]


def test_what_may_not_be_read_is_null() -> None:
    old = get("deployment.queueList", problem("Not found", "NOT_FOUND", 404, None), 404)
    denied = problem("no access", "UNAUTHORIZED", 401, "schedule.list")
    no_schedules = get("schedule.list", denied, 401, id=APPLICATION_ID, scheduleType="application")
    result = info(one(), no_docker(), old, records("done"), no_schedules)
    assert (result["tasks"], result["images"], result["queue"], result["building"]) == (None, None, None, False)
    assert result["schedules"] is None


def test_titles_that_hold_secrets_are_masked() -> None:
    rows = [{"deploymentId": "d", "title": "fix PASSWORD=s3cr3t", "status": "done", "errorMessage": "token: s3cr3t"}]
    result = info(one(), tasks(), queue(), get("deployment.all", rows, applicationId=APPLICATION_ID), *REST)
    assert result["deployments"][0]["title"] == "fix PASSWORD=***"


def test_the_commit_of_a_deployment() -> None:
    sha = "4f1c9d2a7be06c5d1c9f7a1c2b0e8d3f6a5b4c3d"
    rows = [
        {"deploymentId": "d0", "title": "Mend the cart", "description": f"Commit: {sha}", "status": "done"},
        {"deploymentId": "d1", "title": "Mend", "description": f"Hash: {sha}", "status": "done"},
        {"deploymentId": "d2", "title": "Manual deployment", "description": "", "status": "done"},
    ]
    result = info(one(), tasks(), queue(), get("deployment.all", rows, applicationId=APPLICATION_ID), *REST)
    assert [item["commit"] for item in result["deployments"]] == [sha, sha, None]


def test_the_log_of_the_newest_failed_deployment() -> None:
    text = "one\n\nENV API_PEPPER=s3cr3t\nlogin at https://u:s3cr3t@git.test\nfatal: no branch\n"
    log = get("deployment.readLogs", text, deploymentId="d1", tail="20")
    calls = (one(), tasks(), queue(), records("done", "error", "error"), containers(), log, NO_SCHEDULES)
    assert info(*calls, log_lines=20)["failed_log"] == {
        "deployment_id": "d1",
        "lines": ["one", "ENV API_PEPPER=***", "login at https://***@git.test", "fatal: no branch"],
        "failing_line": "fatal: no branch",
    }


def test_a_log_that_this_version_cannot_read() -> None:
    unknown = problem("Not found", "NOT_FOUND", 404, None)
    log = get("deployment.readLogs", unknown, 404, deploymentId="d0", tail="20")
    calls = (one(), tasks(), queue(), records("error"), containers(), log, NO_SCHEDULES)
    assert info(*calls, log_lines=20)["failed_log"] == {
        "deployment_id": "d0",
        "lines": None,
        "failing_line": None,
    }


def test_no_log_is_read_when_nothing_failed() -> None:
    assert info(one(), tasks(), queue(), records("done"), *REST, log_lines=20)["failed_log"] is None


RUN = {
    "deploymentId": "r1",
    "status": "done",
    "createdAt": "2026-11-22T13:40:18.303Z",
    "startedAt": "2026-11-22T13:40:18.303Z",
    "finishedAt": "2026-11-22T13:40:18.427Z",
}
SHOWN_RUN = {
    "deployment_id": "r1",
    "status": "done",
    "started_at": "2026-11-22T13:40:18.303Z",
    "finished_at": "2026-11-22T13:40:18.427Z",
    "seconds": 0.124,
}


def test_schedules_without_their_commands() -> None:
    row = {
        "scheduleId": "s1",
        "name": "cleanup",
        "scheduleType": "application",
        "cronExpression": "0 3 * * *",
        "timezone": None,
        "command": "curl -u admin:s3cr3t x",
        "enabled": True,
        "deployments": [RUN],
    }
    listed = get("schedule.list", [row], id=APPLICATION_ID, scheduleType="application")
    shown = info(one(), tasks(), queue(), records(), containers(), listed)["schedules"]
    assert [(item["name"], item["cron"], item["enabled"]) for item in shown] == [("cleanup", "0 3 * * *", True)]
    assert shown[0]["last_run"] == SHOWN_RUN


def test_what_can_be_rolled_back_to() -> None:
    rows = [
        {"deploymentId": "d0", "title": "2", "status": "done", "rollbackId": "r0", "rollback": {"image": "r/api:v2"}},
        {"deploymentId": "d1", "title": "1", "status": "error", "rollbackId": "r1", "rollback": {"image": "r/api:v1"}},
    ]
    secrets = {"env": "X=s3cr3t", "buildSecrets": "s3cr3t"}
    listed = [{**row, "rollback": {**row["rollback"], "fullContext": secrets}} for row in rows]  # type: ignore[dict-item]
    git = one(sourceType="git", customGitBranch="main")
    targets = get("deployment.allByType", listed, id=APPLICATION_ID, type="application")
    result = info(git, tasks(), queue(), records(), *REST, targets, tasks(), rollback_targets=True)
    assert [(item["id"], item["strategy"]) for item in result["rollback_targets"]] == [("d0", "snapshot"), ("d1", None)]
    assert "no image of it" in result["rollback_targets"][1]["reason"]


# --- compose and databases


def of_compose(one: Call, *rows: dict[str, str], description: str = "") -> dict[str, Any]:
    listed = containers(*rows, app_name=COMPOSE_APP_NAME, appType="docker-compose")
    records = get("deployment.allByCompose", [], composeId=COMPOSE_ID)
    job = {"id": "j", "data": {"composeId": COMPOSE_ID, "titleLog": "c1", "type": "deploy"}, "state": "active"}
    schedules = get("schedule.list", [], id=COMPOSE_ID, scheduleType="compose")
    images = [config_of("c1", "lab/web:1")] if rows and rows[0]["state"] == "running" else []
    calls = (one, listed, queue(job), records, listed, *images, schedules, compose_one())
    return read(ServiceQuery(compose_id=COMPOSE_ID), *calls)


def test_a_compose_service() -> None:
    result = of_compose(compose_one(), container("shop-web-1"))
    assert result["compose"]["compose_type"] == "docker-compose"
    assert (result["quiesced"], result["auto_deploy_remembered"], result["building"]) == (False, None, True)
    assert result["images"] == [{"task": "c1", "reference": "lab/web:1", "image_id": "sha256:1"}]


def test_a_quiesced_compose_service_runs_nothing_and_has_no_webhook() -> None:
    marked = "[stopped by vedfinance.platform at 2026-11-22T02:00:00Z, auto deploy before: on]"
    down = container("shop-web-1", "exited", "Exited (0) 1 second ago")
    result = of_compose(compose_one(autoDeploy=False, description=marked), down)
    assert (result["quiesced"], result["auto_deploy_remembered"]) == (True, True)
    brought_back = of_compose(compose_one(autoDeploy=False, description=marked), container("shop-web-1"))
    assert brought_back["quiesced"] is False
    assert of_compose(compose_one(autoDeploy=True, description=marked), down)["quiesced"] is False
    assert of_compose(compose_one(autoDeploy=False), down)["quiesced"] is False


def test_a_database_with_its_backups() -> None:
    backup = {
        "backupId": "b1",
        "prefix": "nightly",
        "database": "shop",
        "destinationId": "dest",
        "schedule": "0 2 * * *",
        "enabled": True,
        "keepLatestCount": 7,
        "postgres": {"databasePassword": "s3cr3t"},
        "destination": {"secretAccessKey": "s3cr3t"},
    }
    running = get("docker.getServiceContainersByAppName", [task("Running")], appName=DATABASE_APP_NAME)
    result = read(
        ServiceQuery(database_id=DATABASE_ID),
        database_one(),
        running,
        containers(app_name=DATABASE_APP_NAME),
        database_one(backups=[backup]),
        get("deployment.allByType", [RUN], id="b1", type="backup"),
    )
    assert result["database"]["kind"] == "postgres"
    assert (result["deployments"], result["queue"], result["building"], result["schedules"]) == ([], None, False, [])
    assert result["quiesced"] is False
    (shown,) = result["backups"]
    assert (shown["name"], shown["cron"], shown["enabled"], shown["last_run"]) == (
        "nightly",
        "0 2 * * *",
        True,
        SHOWN_RUN,
    )


# --- of all

OVERVIEW = [
    {
        "name": "shop",
        "projectId": "p1",
        "env": "s3cr3t",
        "environments": [
            {
                "name": "production",
                "environmentId": "e1",
                "applications": [{"applicationId": "a1", "name": "api", "applicationStatus": "done", "env": "s3cr3t"}],
                "compose": [{"composeId": "c1", "name": "monitoring", "composeStatus": "idle"}],
                "postgres": [{"postgresId": "d1", "name": "db", "applicationStatus": "done"}],
            },
            {"name": "staging", "environmentId": "e2", "redis": [{"redisId": "r1", "name": "cache"}]},
        ],
    },
    {"name": "blog", "projectId": "p2", "environments": [{"name": "production", "applications": []}]},
]


def listed(*query: str) -> list[tuple[str, ...]]:
    services = read(ServiceQuery(*query), get("project.all", OVERVIEW))["services"]
    return [(item["project"], item["environment"], item["kind"], item["id"], item["status"]) for item in services]


def test_all_services_when_none_is_named() -> None:
    assert listed() == [
        ("shop", "production", "application", "a1", "done"),
        ("shop", "production", "compose", "c1", "idle"),
        ("shop", "production", "postgres", "d1", "done"),
        ("shop", "staging", "redis", "r1", None),
    ]


def test_all_services_of_a_project_or_an_environment() -> None:
    assert [item[3] for item in listed("shop", "staging")] == ["r1"]
    assert listed("blog") == []
