# SPDX-License-Identifier: GPL-3.0-or-later
"""schedule.*; the clock starts none of them: a test lets one run by `runManually`."""

from __future__ import annotations

from typing import Any

from lab.dokploy import commands, views
from lab.dokploy.commands import Run
from lab.dokploy.keys import Caller
from lab.dokploy.model import Row, new_app_name, new_id
from lab.dokploy.procedures.registry import Collector, Server
from lab.dokploy.schema import FLAG, ID, KEY, OPTIONAL_TEXT, TEXT, choice
from lab.dokploy.tempo import iso_now

_schedule = Collector("schedule")
PROCEDURES = _schedule.procedures

_TYPES = ("application", "compose", "server", "dokploy-server")
_FIELDS = {
    "name": KEY,
    "description": TEXT,
    "cronExpression": KEY,
    "appName": OPTIONAL_TEXT,
    "serviceName": TEXT,
    "shellType": choice("bash", "sh"),
    "scheduleType": choice(*_TYPES),
    "command": KEY,
    "script": TEXT,
    "applicationId": TEXT,
    "composeId": TEXT,
    "serverId": TEXT,
    "organizationId": TEXT,
    "enabled": FLAG,
    "timezone": TEXT,
}
_OWNER = {"application": "applicationId", "compose": "composeId", "server": "serverId"}


@_schedule.mutation("create", **_FIELDS)
def create(server: Server, caller: Caller, given: Row) -> Any:
    _need_access(caller, given)
    row: Row = {
        "scheduleId": new_id(),
        "name": given["name"],
        "description": None,
        "cronExpression": given["cronExpression"],
        "appName": new_app_name("schedule"),
        "serviceName": None,
        "shellType": "bash",
        "scheduleType": "application",
        "command": given["command"],
        **dict.fromkeys(("script", "applicationId", "composeId", "serverId", "organizationId")),
        "enabled": True,
        "timezone": None,
        "createdAt": iso_now(),
        **given,
    }
    if row["scheduleType"] == "dokploy-server":
        row["organizationId"] = caller.organization_id
    with server.model.change():
        server.model.tables["schedules"][row["scheduleId"]] = row
    return row


@_schedule.mutation("update", scheduleId=ID, **_FIELDS)
def update(server: Server, caller: Caller, given: Row) -> Any:
    """What is not given stays as it is."""
    row = _given(server, caller, given)
    with server.model.change():
        row.update(given)
    return row


@_schedule.query("one", scheduleId=KEY)
def one(server: Server, caller: Caller, given: Row) -> Any:
    row = _given(server, caller, given)
    related = {kind: _related(server, row, kind, "appName", "serverId") for kind in ("application", "compose")}
    owner = _owner(server, row)
    for short in filter(None, related.values()):
        short["environment"] = views.environment_with_project(server.model, owner or {})
    return {**row, **related, "server": None}


@_schedule.query("list", id=KEY, scheduleType=choice(*_TYPES, required=True))
def list_of(server: Server, caller: Caller, given: Row) -> Any:
    """Oldest first. Of the server itself all those of the organisation, whatever the id."""
    kind = given["scheduleType"]
    column, wanted = _OWNER.get(kind, "organizationId"), given["id"]
    if kind == "dokploy-server":
        wanted = caller.organization_id
    _need_access(caller, {column: wanted})
    rows = [row for row in server.model.tables["schedules"].values() if row[column] == wanted]
    return [_listed(server, row) for row in rows]


@_schedule.mutation("delete", scheduleId=KEY)
def delete(server: Server, caller: Caller, given: Row) -> Any:
    row = _given(server, caller, given)
    with server.model.change():
        server.model.remove_schedule(row["scheduleId"])
    return True


@_schedule.waiting_mutation("runManually", scheduleId=ID)
def run_manually(server: Server, caller: Caller, given: Row) -> Any:
    """Answers when the command has ended; that it failed is no error of the call."""
    with server.model.change():
        row = dict(_given(server, caller, given))
        record = server.model.add_record(
            "scheduleId", row, "Schedule", "Schedule", "Initializing schedule\n", folder="schedules"
        )
    begin, run, end = _run(server, row)
    with server.model.change():
        server.model.end_record(record, run.ok, f"{begin}{run.output}{end}")
        return views.pick(record, ("status", "deploymentId", "logPath"))


def _run(server: Server, row: Row) -> tuple[str, Run, str]:
    """What is logged before and after, and what happened in between. The server runs the script, not the command."""
    if row["scheduleType"] in ("server", "dokploy-server"):
        announced = f'echo "PID: $$ | Schedule ID: {row["scheduleId"]}"\n{row["script"] or ""}'
        return "", commands.on_server(announced), ""
    task = commands.container_of(server.swarm, _service(server, row))
    shell, command = row["shellType"], row["command"]
    begin = f"docker exec {task.container_id if task else ''} {shell} -c {command}\n"
    if task is None:
        return begin, Run(False, "Error: No such container: \n"), "❌ Command failed\n"
    run = commands.in_container(server.model, task, shell, command)
    return begin, run, "✅ Command executed successfully\n" if run.ok else "❌ Command failed\n"


def _service(server: Server, row: Row) -> str:
    """What swarm calls the service whose container is meant."""
    owner = _owner(server, row)
    if owner is None:
        return ""
    if row["scheduleType"] == "application":
        return str(owner["appName"])
    return f"{owner['appName']}{'_' if owner['composeType'] == 'stack' else '-'}{row['serviceName']}"


def _owner(server: Server, row: Row) -> Row | None:
    tables = server.model.tables
    owner: Row | None = tables["applications"].get(row["applicationId"]) or tables["compose"].get(row["composeId"])
    return owner


def _listed(server: Server, row: Row) -> Row:
    related = {kind: _related(server, row, kind, "appName", "name", "serverId") for kind in ("application", "compose")}
    return {
        **row,
        **related,
        "server": None,
        "deployments": server.model.records_of("scheduleId", row["scheduleId"]),
    }


def _related(server: Server, row: Row, kind: str, *names: str) -> Row | None:
    owner = _owner(server, row) if row[f"{kind}Id"] else None
    return views.pick(owner, (f"{kind}Id", *names)) if owner else None


def _given(server: Server, caller: Caller, given: Row) -> Row:
    row = server.model.one("schedules", given["scheduleId"], "Schedule")
    _need_access(caller, row)
    return row


def _need_access(caller: Caller, row: Row) -> None:
    service = row.get("applicationId") or row.get("composeId")
    if service:
        caller.need_service(service)
    else:
        caller.need_permission("schedule")
