# SPDX-License-Identifier: GPL-3.0-or-later
"""Feeds what a real Dokploy was asked to the double, in the condition the real one was in, and compares the answers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lab.dokploy.server import Double
from tests.contract.captured import ALL, LEFT_OUT, NOT_MODELLED, STANDS_FOR_A_TASK, Condition, replay

# Captured lists that end in "<+N more>".
ABRIDGED = {"63-deployment.allCentralized"}
RCLONE_TIME = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d")
# Values that are made when the answer is; of these only the type can agree.
MADE_ON_ANSWERING = {"currentState", "timestamp", "processedOn", "Created", "StartedAt", "Pid"}
# Jobs are numbered from the start of the server.
NUMBERED = {"34-deployment.queueList-busy": {"id"}}
# What a mutation makes up, unless the request names it.
MADE_UP = {"appName", "createdAt", "updatedAt", "logPath", "id", "userId", "key", "start", "slug", "token"} | {
    f"{kind}Id" for kind in ("application", "compose", "deployment", "destination", "environment", "mount", "postgres")
}
MADE_UP |= {"projectId", "registryId", "scheduleId", "refreshToken"}


def made_up(value: Any, request: str, at: str = "") -> set[str]:
    """Where a captured answer has what no other server makes up alike."""
    if isinstance(value, dict):
        own = {f"{at}{key}" for key, inner in value.items() if key in MADE_UP and str(inner) not in request}
        return own.union(*(made_up(inner, request, f"{at}{key}.") for key, inner in value.items()))
    if isinstance(value, list):
        return set().union(*(made_up(inner, request, at) for inner in value))
    return set()


def comparable(value: Any, name: str, at: str = "", made: frozenset[str] = frozenset()) -> Any:
    """Without what cannot agree, and with the deployments of an application, which have no order, in one."""
    if isinstance(value, dict):
        kept = {key: inner for key, inner in value.items() if f"{at}{key}" not in LEFT_OUT.get(name, ())}
        return {
            key: shape(inner)
            if key in MADE_ON_ANSWERING or f"{at}{key}" in made
            else comparable(inner, name, f"{at}{key}.", made)
            for key, inner in kept.items()
        }
    if isinstance(value, list):
        items = [comparable(inner, name, at, made) for inner in value]
        return sorted(items, key=lambda row: row["deploymentId"]) if at == "deployments." else items
    return RCLONE_TIME.sub("<time>", value) if isinstance(value, str) else value


def shape(value: Any) -> Any:
    """The keys, and the types of their values; of a list, the different shapes in it."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return sorted({json.dumps(shape(inner), sort_keys=True) for inner in value})
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


@pytest.mark.parametrize("name", sorted(ALL.keys() - NOT_MODELLED.keys()))
def test_the_double_answers_as_the_real_one_did(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    condition = Condition(tmp_path, name)
    for variable, value in condition.environment.items():
        monkeypatch.setenv(variable, value)
    with Double(tmp_path, tempo=0.01, task_command=STANDS_FOR_A_TASK) as double:
        condition.bring_about(double)
        response, payload = replay(condition, double)
    captured = condition.capture["response"]

    assert response.status == captured["status"]
    assert response.headers.get("Content-Type") == captured["headers"].get("content-type")
    assert response.headers.get("Location") == captured["headers"].get("location")
    assert response.headers.get("Cache-Control") == captured["headers"].get("cache-control")
    assert ("Set-Cookie" in response.headers) == ("set-cookie" in captured["headers"])
    assert (payload == b"") == captured["body_empty"]
    if captured["body_empty"]:
        return
    text = payload.decode()
    if captured["headers"].get("content-type") == "text/event-stream":
        assert comparable(text, name) == comparable(captured["body"], name)
        return
    body = json.loads(text) if captured["headers"].get("content-type") else text
    request, expected = condition.capture["request"], captured["body"]
    if name in ABRIDGED:
        expected = expected[:-1]
        body = body[: len(expected)]
    made = made_up(expected, json.dumps(request)) if request["method"] == "POST" else NUMBERED.get(name, set())
    assert comparable(body, name, made=frozenset(made)) == comparable(expected, name, made=frozenset(made))


def test_what_is_not_modelled_is_a_capture_and_has_a_reason() -> None:
    assert NOT_MODELLED.keys() <= ALL.keys()
    assert LEFT_OUT.keys() <= ALL.keys() - NOT_MODELLED.keys()
    assert all(len(reason) > 20 for reason in NOT_MODELLED.values())
