# SPDX-License-Identifier: GPL-3.0-or-later
"""Conditions of the captures of schedules, destinations, backups and restores."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

from lab.dokploy.buckets import Buckets
from lab.dokploy.database_columns import columns_of_database
from lab.dokploy.model import Row

BACKUP_FILE = "shop-db-ct0pth/nightly/2026-11-22T13-44-02-945Z.sql.gz"
BACKUP_SIZE = 544
# Where nothing listens: the stand-ins for PostgreSQL's tools never look.
ANY_PORT = 1
RUNS_PG_TOOLS = ("93-backup.manualBackupPostgres", "95-restore-via-trpc-get-sse")
RELATIONS = ("postgres", "mysql", "mariadb", "mongo", "libsql", "destination", "compose")
COMMANDS = {"90-schedule.runManually": "true", "90-schedule.runManually-failing": "false"}


def prepare(name: str, state: Path, tables: dict[str, Row], captures: dict[str, Any]) -> dict[str, str]:
    """Fills the tables and the buckets; the variables that the environment must have."""

    def body(capture: str) -> Any:
        return captures[capture]["response"]["body"]

    schedule = dict(body("90-schedule.create"))
    answer = body(name)
    if isinstance(answer, dict) and "cronExpression" in answer:
        schedule |= {column: answer[column] for column in schedule}
    if name in COMMANDS:
        schedule["command"] = COMMANDS[name]
    if name.startswith("90-") and name != "90-schedule.create":
        tables["schedules"][schedule["scheduleId"]] = schedule
    if name.startswith(("91-", "92-", "93-", "94-", "95-")):
        destination = body("91-destination.create")
        tables["destinations"][destination["destinationId"]] = dict(destination)
        content = b"\0" * BACKUP_SIZE
        buckets = Buckets(state)
        buckets.make(destination["bucket"])
        buckets.put(destination, BACKUP_FILE, content)
        database = dict(body("71-postgres.one"))
        # 92-backup.one is answered from this row: there the port is the captured one.
        port = None if name == "92-backup.one" else ANY_PORT
        tables["postgres"][database["postgresId"]] = columns_of_database("postgres").of(database) | {
            "externalPort": port
        }
        backup = body("92-backup.one")
        tables["backups"][backup["backupId"]] = {
            column: value for column, value in backup.items() if column not in RELATIONS
        }
    return {"LAB_PG_BIN": str(_stand_ins(state / "bin"))} if name in RUNS_PG_TOOLS else {}


def _stand_ins(folder: Path) -> Path:
    """Tools that succeed without a server."""
    folder.mkdir()
    for tool in ("initdb", "pg_dump", "pg_restore"):
        (folder / tool).write_text("#!/bin/sh\nexit 0\n")
        (folder / tool).chmod(stat.S_IRWXU)
    return folder
