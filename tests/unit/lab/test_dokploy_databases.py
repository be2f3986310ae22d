# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases as services: deployed at once, stopped, started and reloaded, and never with a record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab import processes
from lab.dokploy.model import Row
from tests.unit.lab.dokploy_world import World

SECRETS = {"databaseName": "shop", "databaseUser": "shop", "databasePassword": "p"}


class Database:
    """One database of a world."""

    def __init__(self, world: World, kind: str = "postgres", **settings: Any) -> None:
        self.world, self.kind = world, kind
        place = {"name": "db", "environmentId": world.seeded.environment_id}
        self.status, self.created = world.send("POST", f"{kind}.create", {**place, **SECRETS, **settings})
        self.id = self.created[f"{kind}Id"]
        self.name = self.created["appName"]

    def call(self, verb: str, **fields: Any) -> tuple[int, Any]:
        return self.world.send("POST", f"{self.kind}.{verb}", {f"{self.kind}Id": self.id, **fields})

    def row(self) -> Row:
        row: Row = self.world.get(f"{self.kind}.one", **{f"{self.kind}Id": self.id})
        return row

    def runs(self) -> bool:
        rows = self.world.get("docker.getServiceContainersByAppName", appName=self.name)
        return any(row["state"] == "running" for row in rows)


@pytest.mark.parametrize("kind", ["postgres", "mysql", "mariadb", "mongo", "redis"])
def test_every_kind_is_deployed_stopped_and_started(kind: str, tmp_path: Path) -> None:
    with World(tmp_path, replicas=0) as world:
        database = Database(world, kind)
        status, before = database.call("deploy")
        assert (status, before["applicationStatus"], database.row()["applicationStatus"]) == (200, "idle", "done")
        assert database.call("start")[1]["applicationStatus"] == "done"
        assert database.runs()
        assert database.call("stop")[1]["applicationStatus"] == "done"
        assert (database.runs(), database.row()["applicationStatus"]) == (False, "idle")
        assert processes.recorded(tmp_path) == []
        assert database.row()["mounts"][0]["volumeName"] == f"{database.name}-data"
        listed = world.get("project.all")[0]["environments"][0][kind]
        assert listed == [{f"{kind}Id": database.id, "name": "db", "applicationStatus": "idle"}]


def test_a_reload_is_a_stop_and_a_start(tmp_path: Path) -> None:
    with World(tmp_path, replicas=0) as world:
        database = Database(world)
        database.call("deploy")
        assert database.call("start")[0] == 200
        before = world.get("docker.getServiceContainersByAppName", appName=database.name)
        assert database.call("reload", appName=database.name) == (200, True)
        after = world.get("docker.getServiceContainersByAppName", appName=database.name)
        assert after[0]["containerId"] != before[0]["containerId"]
        assert database.runs()
        assert database.call("reload")[0] == 400


def test_what_never_was_deployed_stops_and_does_not_start(tmp_path: Path) -> None:
    with World(tmp_path, replicas=0) as world:
        database = Database(world)
        assert (database.call("stop")[0], database.row()["applicationStatus"]) == (200, "idle")
        status, body = database.call("start")
        assert (status, "not found" in body["message"]) == (500, True)


def test_an_image_that_is_missing_fails_the_deploy(tmp_path: Path) -> None:
    with World(tmp_path, replicas=0) as world:
        database = Database(world, dockerImage="postgres:nosuch")
        assert (database.call("deploy")[0], database.row()["applicationStatus"]) == (500, "error")


def test_a_removed_one_leaves_nothing(tmp_path: Path) -> None:
    with World(tmp_path, replicas=0) as world:
        database = Database(world)
        database.call("deploy")
        assert database.call("remove")[1]["name"] == "db"
        assert database.call("deploy")[0] == 404
        assert processes.recorded(tmp_path) == []


def test_search_finds_by_a_part_of_the_name(tmp_path: Path) -> None:
    with World(tmp_path, replicas=0) as world:
        database = Database(world)
        assert [row["postgresId"] for row in world.get("postgres.search", name="D")["items"]] == [database.id]
        assert world.get("postgres.search", name="x") == {"items": [], "total": 0}


def test_a_removed_project_takes_its_rows_along_and_leaves_what_runs(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        Database(world).call("deploy")
        world.serves("lab/api:1.4.0")
        status, row = world.send("POST", "project.remove", {"projectId": world.seeded.project_id})
        assert (status, row["name"], world.get("project.all")) == (200, "vedfinance", [])
        assert world.send("GET", f"application.one?applicationId={world.id}")[0] == 404
        assert world.get("deployment.allCentralized") == []
        world.serves("lab/api:1.4.0")
