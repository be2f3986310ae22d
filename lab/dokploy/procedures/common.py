# SPDX-License-Identifier: GPL-3.0-or-later
"""What the procedures of every kind of service share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lab.dokploy import views
from lab.dokploy.errors import ApiError
from lab.dokploy.keys import Caller
from lab.dokploy.kinds import DATABASES, Kind
from lab.dokploy.model import Row
from lab.dokploy.procedures.registry import Server
from lab.dokploy.schema import OPTIONAL_TEXT, Field
from lab.dokploy.swarm import NoSuchService

TAIL = Field("integer", required=False, default=100, minimum=1, maximum=10000)
SEARCH = {
    "q": OPTIONAL_TEXT,
    "name": OPTIONAL_TEXT,
    "appName": OPTIONAL_TEXT,
    "description": OPTIONAL_TEXT,
    "projectId": OPTIONAL_TEXT,
    "environmentId": OPTIONAL_TEXT,
    "limit": Field("number", required=False, default=20, minimum=1, maximum=100),
    "offset": Field("number", required=False, default=0, minimum=0),
}
_CONTAINED = ("name", "appName", "description", "repository", "owner", "dockerImage")


def given_service(server: Server, caller: Caller, kind: Kind, given: Row) -> Row:
    caller.need_service(given[kind.id])
    return server.model.service(kind, given[kind.id])


def own_service(server: Server, caller: Caller, kind: Kind, given: Row) -> Row:
    """Few procedures look at the organisation as this one does."""
    row = given_service(server, caller, kind, given)
    caller.need_organization(server.model.organization_of(row), kind.title if kind in DATABASES else kind.name)
    return row


def search(server: Server, caller: Caller, kind: Kind, given: Row) -> Row:
    rows = [row for row in server.model.tables[kind.table].values() if _matches(server, caller, kind, row, given)]
    rows.sort(key=lambda row: str(row["createdAt"]), reverse=True)
    page = rows[given.get("offset", 0) :][: given["limit"]]
    return {"items": [views.found(kind, row) for row in page], "total": len(rows)}


def _matches(server: Server, caller: Caller, kind: Kind, row: Row, given: Row) -> bool:
    environment = server.model.environment_of(row)
    anywhere = " ".join(str(row[name] or "") for name in ("name", "appName", "description"))
    return (
        caller.reaches(row[kind.id])
        and server.model.organization_of(row) == caller.organization_id
        and given.get("environmentId", row["environmentId"]) == row["environmentId"]
        and given.get("projectId", environment["projectId"]) == environment["projectId"]
        and given.get("q", "").lower() in anywhere.lower()
        and all(given[name].lower() in str(row[name] or "").lower() for name in _CONTAINED if name in given)
    )


def start_one_replica(server: Server, name: str) -> None:
    """Always one, whatever `replicas` says."""
    try:
        server.swarm.scale(name, 1)
    except NoSuchService as error:
        raise ApiError(
            "INTERNAL_SERVER_ERROR",
            f"Command execution failed: Command failed: docker service scale {name}=1 \n"
            f"{name}: Error response from daemon: service {name} not found\n",
        ) from error


def read_container_log(path: Path, given: Row) -> Any:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True) if path.exists() else []
    wanted = given.get("search", "").lower()
    return "".join([line for line in lines if wanted in line.lower()][-given["tail"] :])
