# SPDX-License-Identifier: GPL-3.0-or-later
"""The double's backups against a real PostgreSQL: what is stored, what is listed, and what a restore tells and does."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from lab.dokploy.buckets import FOLDER
from lab.dokploy.model import Row
from tests.integration.world import Live
from tests.unit.lab.dokploy_world import World

DESTINATION = {
    "name": "s3",
    "provider": "Other",
    "accessKey": "AK",
    "secretAccessKey": "SK",
    "bucket": "dumps",
    "region": "us-east-1",
    "endpoint": "http://127.0.0.1:9",
    "additionalFlags": [],
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "dokploy", replicas=0) as world:
        world.double.buckets.make("dumps")
        yield world


def backup(world: World, live: Live, **fields: object) -> tuple[Row, str, str]:
    """A database of Dokploy that is the live one, and a backup of it: the database, the backup, the destination."""
    database = world.publish(live.server, live.name)
    _status, destination = world.send("POST", "destination.create", DESTINATION)
    given = {
        "schedule": "0 2 * * *",
        "enabled": True,
        "prefix": "/nightly/",
        "destinationId": destination["destinationId"],
        "database": live.name,
        "postgresId": database["postgresId"],
        "databaseType": "postgres",
        "backupType": "database",
        **fields,
    }
    assert world.send("POST", "backup.create", given) == (200, None)
    (row,) = world.get("postgres.one", postgresId=database["postgresId"])["backups"]
    return database, row["backupId"], destination["destinationId"]


def restore(world: World, database: Row, destination: str, live: Live, file: str) -> list[str]:
    given = {
        "databaseId": database["postgresId"],
        "databaseType": "postgres",
        "backupType": "database",
        "databaseName": live.name,
        "backupFile": file,
        "destinationId": destination,
    }
    query = urlencode({"input": json.dumps({"json": given})})
    url = f"{world.double.url}/api/trpc/backup.restoreBackupWithLogs?{query}"
    with urlopen(Request(url, headers={"x-api-key": world.seeded.api_key})) as response:
        lines = response.read().decode().splitlines()
    return [json.loads(line[6:])["json"] for line in lines if line.startswith('data: {"json"')]


def test_a_backup_is_a_custom_dump_in_gzip_and_comes_back(world: World, live: Live, tmp_path: Path) -> None:
    live.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")
    database, backup_id, destination = backup(world, live)
    assert world.send("POST", "backup.manualBackupPostgres", {"backupId": backup_id}) == (200, True)

    (folder,) = world.get("backup.listBackupFiles", destinationId=destination, search="/")
    assert (folder["Path"], folder["IsDir"]) == (database["appName"], True)
    search = f"{database['appName']}/nightly/"
    (listed,) = world.get("backup.listBackupFiles", destinationId=destination, search=search)
    stored = (tmp_path / "dokploy" / FOLDER / "dumps" / listed["Path"]).read_bytes()
    assert listed["Name"].endswith("Z.sql.gz")
    assert listed["Size"] == len(stored)
    assert gzip.decompress(stored).startswith(b"PGDMP")
    (record,) = world.get("deployment.allByType", id=backup_id, type="backup")
    assert record["status"] == "done"
    assert world.get("deployment.readLogs", deploymentId=record["deploymentId"]).endswith("Backup done ✅\n")

    live.execute("INSERT INTO kept VALUES (2), (3)")
    assert restore(world, database, destination, live, listed["Path"])[-1] == "Restore completed successfully!"
    assert live.value("SELECT count(*) FROM kept") == 1


def test_only_the_latest_are_kept(world: World, live: Live) -> None:
    database, backup_id, destination = backup(world, live, keepLatestCount=2)
    for _turn in range(3):
        assert world.send("POST", "backup.manualBackupPostgres", {"backupId": backup_id})[0] == 200
    search = f"{database['appName']}/nightly/"
    assert len(world.get("backup.listBackupFiles", destinationId=destination, search=search)) == 2
    assert len(world.get("deployment.allByType", id=backup_id, type="backup")) == 3


def test_a_failure_is_recorded_and_leaks_the_keys(world: World, live: Live) -> None:
    _database, backup_id, _destination = backup(world, live, database="nosuch")
    status, answer = world.send("POST", "backup.manualBackupPostgres", {"backupId": backup_id})
    assert status == 400
    assert "--s3-secret-access-key=SK" in answer["message"]
    assert 'database "nosuch" does not exist' in answer["message"]
    (record,) = world.get("deployment.allByType", id=backup_id, type="backup")
    assert record["status"] == "error"


def test_without_postgresqls_tools_the_backup_fails(
    world: World, live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _database, backup_id, _destination = backup(world, live)
    monkeypatch.setenv("LAB_PG_BIN", str(tmp_path))
    status, answer = world.send("POST", "backup.manualBackupPostgres", {"backupId": backup_id})
    assert status == 400
    assert "holds no initdb" in answer["message"]


def test_a_database_that_is_published_nowhere_has_no_container(world: World, live: Live) -> None:
    database, backup_id, destination = backup(world, live)
    with world.double.model.change():
        world.double.model.tables["postgres"][database["postgresId"]]["externalPort"] = None
    assert world.send("POST", "backup.manualBackupPostgres", {"backupId": backup_id})[0] == 400
    (record,) = world.get("deployment.allByType", id=backup_id, type="backup")
    assert "Container not found" in world.get("deployment.readLogs", deploymentId=record["deploymentId"])
    lines = restore(world, database, destination, live, "nope.sql.gz")
    assert [line.startswith("Error:") for line in lines] == [False, False, True, True]


def test_an_update_and_a_removal(world: World, live: Live) -> None:
    database, backup_id, destination = backup(world, live)
    changed = {
        "backupId": backup_id,
        "schedule": "0 3 * * *",
        "enabled": False,
        "prefix": "other",
        "destinationId": destination,
        "database": live.name,
        "keepLatestCount": None,
        "serviceName": None,
        "metadata": None,
        "databaseType": "postgres",
    }
    assert world.send("POST", "backup.update", changed) == (200, None)
    row = world.get("backup.one", backupId=backup_id)
    assert (row["schedule"], row["enabled"], row["prefix"]) == ("0 3 * * *", False, "other")
    assert "secretAccessKey" not in row["destination"]
    assert world.send("POST", "backup.remove", {"backupId": backup_id})[0] == 200
    assert world.get("postgres.one", postgresId=database["postgresId"])["backups"] == []
    assert world.send("GET", f"backup.one?backupId={backup_id}")[0] == 404
