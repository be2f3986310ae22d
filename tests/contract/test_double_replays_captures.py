# SPDX-License-Identifier: GPL-3.0-or-later
"""Feeds what a real Dokploy was asked to the double, in the condition the real one was in, and compares the answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.dokploy.server import Double
from tests.contract.captured import ALL, LEFT_OUT, NOT_MODELLED, STANDS_FOR_A_TASK, Condition, replay

# Captured lists that end in "<+N more>".
ABRIDGED = {"63-deployment.allCentralized"}
# Values that are made when the answer is; of these only the type can agree.
MADE_ON_ANSWERING = {"currentState", "timestamp", "processedOn", "id", "Created", "StartedAt", "Pid"}


def comparable(value: Any, name: str, at: str = "") -> Any:
    """Without what cannot agree, and with the deployments of an application, which have no order, in one."""
    if isinstance(value, dict):
        kept = {key: inner for key, inner in value.items() if f"{at}{key}" not in LEFT_OUT.get(name, ())}
        return {
            key: shape(inner) if key in MADE_ON_ANSWERING else comparable(inner, name, f"{at}{key}.")
            for key, inner in kept.items()
        }
    if isinstance(value, list):
        items = [comparable(inner, name, at) for inner in value]
        return sorted(items, key=lambda row: row["deploymentId"]) if at == "deployments." else items
    return value


def shape(value: Any) -> Any:
    """The keys, and the types of their values; of a list, the different shapes in it."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return sorted({json.dumps(shape(inner), sort_keys=True) for inner in value})
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


@pytest.mark.parametrize("name", sorted(ALL.keys() - NOT_MODELLED.keys()))
def test_the_double_answers_as_the_real_one_did(name: str, tmp_path: Path) -> None:
    condition = Condition(tmp_path, name)
    with Double(tmp_path, tempo=0.01, task_command=STANDS_FOR_A_TASK) as double:
        condition.bring_about(double)
        response, payload = replay(condition, double)
    captured = condition.capture["response"]

    assert response.status == captured["status"]
    assert response.headers.get("Content-Type") == captured["headers"].get("content-type")
    assert response.headers.get("Location") == captured["headers"].get("location")
    assert (payload == b"") == captured["body_empty"]
    if captured["body_empty"]:
        return
    text = payload.decode()
    body = json.loads(text) if captured["headers"].get("content-type") else text
    if condition.capture["request"]["method"] == "GET" or captured["status"] >= 400:
        expected = captured["body"]
        if name in ABRIDGED:
            expected = expected[:-1]
            body = body[: len(expected)]
        assert comparable(body, name) == comparable(expected, name)
    else:
        assert shape(body) == shape(captured["body"])


def test_what_is_not_modelled_is_a_capture_and_has_a_reason() -> None:
    assert NOT_MODELLED.keys() <= ALL.keys()
    assert LEFT_OUT.keys() <= ALL.keys() - NOT_MODELLED.keys()
    assert all(len(reason) > 20 for reason in NOT_MODELLED.values())
