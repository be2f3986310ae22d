# SPDX-License-Identifier: GPL-3.0-or-later
"""A double of an older Dokploy does not know what came later."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.dokploy.procedures import PROCEDURES
from lab.dokploy.versions import CURRENT, SINCE, Version
from tests.unit.lab.dokploy_world import World, until


@pytest.mark.parametrize(("version", "status"), [("v0.28.2", 404), ("v0.28.3", 200), ("v0.28.10", 200), (CURRENT, 200)])
def test_a_later_procedure_is_unknown(version: str, status: int, tmp_path: Path) -> None:
    with World(tmp_path, version=version) as world:
        assert world.get("settings.getDokployVersion") == version
        answered, body = world.send("GET", "deployment.queueList")
        assert answered == status
        if status == 404:
            assert body["message"] == "Not found"
            assert "path" not in body["data"]


def test_before_0_25_7_titles_stay_and_compose_answers_nothing(tmp_path: Path) -> None:
    with World(tmp_path, version="v0.25.6") as world:
        world.from_git({"sha": "a" * 40, "message": "feat: A", "version": "1"})
        world.deployed(title="mine")
        created = world.send(
            "POST", "compose.create", {"name": "c", "environmentId": world.seeded.environment_id, "sourceType": "raw"}
        )[1]
        of_compose = {"composeId": created["composeId"]}
        assert world.send("POST", "compose.deploy", of_compose) == (200, None)
        until(lambda: world.get("compose.one", **of_compose)["composeStatus"] == "error", "the deployment behind it")
        assert world.deployments()[0]["title"] == "mine"


def test_every_procedure_that_came_later_exists() -> None:
    assert SINCE.keys() <= PROCEDURES.keys()
    assert all(Version().knows(name) for name in PROCEDURES)
