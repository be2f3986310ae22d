# SPDX-License-Identifier: GPL-3.0-or-later
"""The client reads every captured answer of the real Dokploy: the right value, or the right exception."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy import client as dokploy
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.deployments import Deployment
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import Application
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.services import Task
from ansible_collections.vedfinance.platform.plugins.module_utils._http import Response

from tests.unit.plugins.dokploy_answers import client_for
from tests.unit.plugins.scripted import FakeClock

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


def test_a_command_line_with_keys_is_not_repeated() -> None:
    with pytest.raises(dokploy.Rejected) as caught:
        read("91-destination.testConnection-fails-leaks")
    assert "rclone ls" not in str(caught.value)
    assert "Failed to ls: directory not found" in str(caught.value)


APPLICATIONS = [
    name
    for name, capture in CAPTURES.items()
    if capture["response"]["status"] == 200 and isinstance(capture["response"]["body"], dict)
    if {"applicationId", "appName", "applicationStatus"} <= capture["response"]["body"].keys()
]
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
        ("shutdown", False, False, True),
    ]
    assert Task.from_row(rows[1]).error == "task: non-zero exit (1)"
