# SPDX-License-Identifier: GPL-3.0-or-later
"""The compose service and the database that the real server had when it was asked about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_IMAGE = "127.0.0.1:5000/lab/postgres:15"


def prepare(name: str, state: Path, tables: dict[str, Any], captures: dict[str, Any]) -> None:
    if "unknown" in name:
        return
    if name.startswith(("80-", "81-", "82-", "83-", "84-", "85-", "86-", "87-")) and name != "80-compose.create":
        _compose(name, tables, captures)
    if name.startswith(("71-", "72-")):
        _postgres(name, state, tables, captures)


def _compose(name: str, tables: dict[str, Any], captures: dict[str, Any]) -> None:
    latest = "80-compose.create" if name.startswith("80-") else "80-compose.update"
    row = dict(captures[latest]["response"]["body"])
    row["composeType"] = "stack" if "stack" in name else "docker-compose"
    row["composeStatus"] = _told(captures[name], "composeStatus")
    tables["compose"][row["composeId"]] = row
    if name == "82-compose.start":
        tables["checkouts"][row["composeId"]] = {"compose_file": row["composeFile"]}


def _postgres(name: str, state: Path, tables: dict[str, Any], captures: dict[str, Any]) -> None:
    row = dict(captures["71-postgres.one"]["response"]["body"])
    row["applicationStatus"] = _told(captures[name], "applicationStatus")
    tables["postgres"][row["postgresId"]] = row
    if name != "71-postgres.deploy":
        spec = {"image": _IMAGE, "env": "", "stand_in": True}
        tables["services"][row["appName"]] = {"spec": spec, "replicas": 0}
    if name == "72-postgres.readLogs":
        log = state / "logs" / f"{row['appName']}.log"
        log.parent.mkdir()
        log.write_text(captures[name]["response"]["body"], encoding="utf-8")


def _told(capture: dict[str, Any], column: str) -> str:
    """As the answer has it, which for what changes the status is the one of before."""
    body = capture["response"]["body"]
    return str(body.get(column, "done")) if isinstance(body, dict) else "done"
