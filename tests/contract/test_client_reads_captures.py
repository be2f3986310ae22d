# SPDX-License-Identifier: GPL-3.0-or-later
"""The client reads every captured answer of the real Dokploy: the right value, or the right exception."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy import client as dokploy
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.deployments import Deployment
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import Application, Compose, Database
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.tasks import (
    RunningImage,
    Task,
    images_of,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._http import Response

from tests.unit.plugins.dokploy_answers import client_for, row
from tests.unit.plugins.scripted import Call, FakeClock

CAPTURES = {path.stem: json.loads(path.read_text()) for path in sorted(Path(__file__).parent.glob("captures/*.json"))}
STREAMS = {"95-restore-missing-file-sse", "95-restore-via-trpc-get-sse", "95-restore-via-trpc-post"}
SECRETS = (
    "<ENV_SECRET>",
    "<REFRESHTOKEN>",
    "<REGISTRY_PASSWORD>",
    "<S3_ACCESS_KEY>",
    "<S3_SECRET_KEY>",
    "<DB_PASSWORD>",
)


def response_of(name: str) -> Response:
    captured = CAPTURES[name]["response"]
    body = captured["body"]
    if captured["body_empty"]:
        raw = b""
    elif isinstance(body, str) and "json" not in captured["headers"].get("content-type", ""):
        raw = body.encode()
    else:
        raw = json.dumps(body).encode()
    return Response(captured["status"], captured["headers"], raw, captured["elapsed_ms"] / 1000)


def read(name: str) -> object:
    client, _calls = client_for(FakeClock())
    procedure = CAPTURES[name]["request"]["path"].removeprefix("/api/")
    return client.read(procedure, response_of(name))


def expected_exception(name: str) -> type[dokploy.DokployError] | None:
    """By the rules of the facts, worked out from the capture alone."""
    captured = CAPTURES[name]["response"]
    status, body = captured["status"], captured["body"]
    if status < 300:
        return dokploy.NotDokploy if name in STREAMS else None
    if status < 400:
        return dokploy.NotDokploy
    if status == 401:
        return dokploy.NotPermitted if "code" in body else dokploy.KeyRejected
    if status == 403:
        return dokploy.NotPermitted
    if status == 404:
        unrouted = body.get("message") == "Not found" and "path" not in body.get("data", {})
        return dokploy.UnknownProcedure if unrouted else dokploy.NotFound
    return dokploy.ServerFailed if status >= 500 else dokploy.Rejected


def test_the_captures_are_there() -> None:
    assert len(CAPTURES) == 258


@pytest.mark.parametrize("name", CAPTURES)
def test_every_capture(name: str) -> None:
    expected = expected_exception(name)
    if expected is None:
        captured = CAPTURES[name]["response"]
        assert read(name) == (None if captured["body_empty"] else captured["body"])
        return
    with pytest.raises(dokploy.DokployError) as caught:
        read(name)
    assert caught.type is expected
    assert not [secret for secret in SECRETS if secret in str(caught.value)]
    assert len(str(caught.value)) < 900


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("06-ratelimit-exhausted-is-401", dokploy.KeyRejected),
        ("07-auth-invalid", dokploy.KeyRejected),
        ("08-unknown-procedure-noauth", dokploy.KeyRejected),
        ("08-unknown-procedure", dokploy.UnknownProcedure),
        ("08-wrong-method-get-on-mutation", dokploy.UnknownProcedure),
        ("08-unknown-id-app", dokploy.NotFound),
        ("08-bad-json", dokploy.Rejected),
        ("08-no-body", dokploy.Rejected),
        ("08-trailing-slash", dokploy.NotDokploy),
        ("a1-member-noaccess-docker.getServiceContainersByAppName", dokploy.NotPermitted),
        ("a5-otherorg-application.one", dokploy.NotPermitted),
        ("a5-otherorg-environment.one", dokploy.NotPermitted),
        ("21-application.start-never-deployed", dokploy.ServerFailed),
        ("22-application.update-unknown-field", dokploy.ServerFailed),
    ],
)
def test_the_telling_ones_by_name(name: str, expected: type[dokploy.DokployError]) -> None:
    with pytest.raises(expected):
        read(name)


def test_what_a_shell_on_the_server_wrote_is_told_without_the_command() -> None:
    for name, outcome in (
        ("21-application.start-never-deployed", "not found"),
        ("40-registry.create-bad", "401 Unauthorized"),
        ("82-compose.stop", "Can't find a suitable configuration file"),
    ):
        with pytest.raises(dokploy.DokployError, match=outcome) as caught:
            read(name)
        assert "docker login" not in str(caught.value)
        assert "docker compose" not in str(caught.value)


def test_a_command_line_with_keys_is_not_repeated() -> None:
    with pytest.raises(dokploy.Rejected) as caught:
        read("91-destination.testConnection-fails-leaks")
    assert "rclone ls" not in str(caught.value)
    assert "Failed to ls: directory not found" in str(caught.value)


def rows_with(*columns: str) -> list[str]:
    """The captures that answer with one row that has these columns."""
    bodies = {name: capture["response"]["body"] for name, capture in CAPTURES.items()}
    return [name for name, body in bodies.items() if isinstance(body, dict) and set(columns) <= body.keys()]


APPLICATIONS = rows_with("applicationId", "appName", "applicationStatus")
COMPOSES = rows_with("composeId", "appName", "composeStatus")
DATABASES = rows_with("postgresId", "appName", "applicationStatus")
RECORDS = [name for name in CAPTURES if "deployment.all" in name and CAPTURES[name]["response"]["status"] == 200]
TASKS = [
    name for name in CAPTURES if "getServiceContainersByAppName" in name and CAPTURES[name]["response"]["status"] == 200
]


@pytest.mark.parametrize("name", APPLICATIONS)
def test_applications_lose_their_secrets(name: str) -> None:
    row: Any = read(name)
    application = Application.from_row(row)
    assert (application.id, application.app_name) == (row["applicationId"], row["appName"])
    assert not [secret for secret in SECRETS if secret in repr(application)]


@pytest.mark.parametrize("name", COMPOSES)
def test_compose_services_lose_their_secrets(name: str) -> None:
    row: Any = read(name)
    compose = Compose.from_row(row)
    assert (compose.id, compose.app_name) == (row["composeId"], row["appName"])
    assert compose.compose_type == row["composeType"]
    assert "APP_VERSION" not in repr(compose)
    assert not [secret for secret in SECRETS if secret in repr(compose)]


@pytest.mark.parametrize("name", DATABASES)
def test_databases_lose_their_secrets(name: str) -> None:
    row: Any = read(name)
    database = Database.from_row(row, "postgres")
    assert (database.id, database.app_name, database.image) == (row["postgresId"], row["appName"], row["dockerImage"])
    assert not [secret for secret in SECRETS if secret in repr(database)]


@pytest.mark.parametrize("name", RECORDS)
def test_records_lose_their_secrets(name: str) -> None:
    answered: Any = read(name)
    rows = [row for row in answered if row != "<+7 more>"]  # a long list, cut when it was captured
    records = [Deployment.from_row(row) for row in rows]
    assert [record.id for record in records] == [row["deploymentId"] for row in rows]
    assert {record.status for record in records} <= {"running", "done", "error", "cancelled"}
    assert not [secret for secret in SECRETS if secret in repr(records)]


def test_there_is_something_of_each_kind() -> None:
    assert len(APPLICATIONS) > 10
    assert len(COMPOSES) > 2
    assert len(DATABASES) > 3
    assert len(RECORDS) > 10
    assert len(TASKS) == 4


def test_tasks_during_a_crash() -> None:
    rows: Any = read("64-docker.getServiceContainersByAppName-during-crash")
    seen = [(task.state, task.alive, task.wanted, task.failed) for task in map(Task.from_row, rows)]
    assert seen == [
        ("ready", True, True, False),
        ("failed", False, False, True),
        ("running", True, False, False),
        ("shutdown", False, False, False),
        ("shutdown", False, False, False),
    ]
    assert rows[-1]["error"] == "Error:"  # Dokploy's own label, of an error that is not there
    assert Task.from_row(rows[1]).error == "task: non-zero exit (1)"


def call(name: str, path: str, **params: str) -> Call:
    return Call("GET", f"/api/{path}", response_of(name), params=params)


def test_the_image_of_a_running_task() -> None:
    application = Application.from_row(row())
    config = call("64-docker.getConfig", "docker.getConfig", containerId="a2943ea34a4e")
    name = "64-docker.getContainersByAppNameMatch"
    listed = call(name, "docker.getContainersByAppNameMatch", appName=application.app_name)
    client, transport = client_for(FakeClock(), listed, config)
    image = "sha256:ae3694f56730a17661f5fc961f2357018f95a13b1e9cb9e1a346a929267cd6e0"
    assert images_of(client, application) == {
        "d5u4ynz2af6z5qdx9qgk3s4hn": RunningImage("127.0.0.1:5000/lab/api:v2", image)
    }
    transport.assert_all_made()


def test_containers_that_were_replaced() -> None:
    rows: Any = read("64-docker.getContainersByAppNameMatch")
    seen = [(task.state, task.alive, task.failed) for task in map(Task.from_container, rows)]
    assert seen == [("running", True, False)] + [("exited", False, True)] * 3
    assert len({task.slot for task in map(Task.from_container, rows)}) == 1
