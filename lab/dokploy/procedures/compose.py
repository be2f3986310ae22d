# SPDX-License-Identifier: GPL-3.0-or-later
"""compose.*"""

from __future__ import annotations

from typing import Any

from lab.dokploy import backups, compose_builds, services, views
from lab.dokploy.compose_columns import COMPOSE_COLUMNS, SOURCES, TYPES
from lab.dokploy.errors import ApiError, not_found
from lab.dokploy.keys import Caller
from lab.dokploy.kinds import COMPOSE
from lab.dokploy.model import Row, new_id
from lab.dokploy.procedures import common
from lab.dokploy.procedures.registry import Collector, Server
from lab.dokploy.schema import FLAG, ID, KEY, NAME, OPTIONAL_TEXT, TEXT, Field, choice
from lab.dokploy.versions import COMPOSE_DEPLOY_ANSWERS

_compose = Collector("compose")
PROCEDURES = _compose.procedures


def _given(server: Server, caller: Caller, given: Row) -> Row:
    return common.given_service(server, caller, COMPOSE, given)


@_compose.query("one", composeId=ID)
def one(server: Server, caller: Caller, given: Row) -> Any:
    row = common.own_service(server, caller, COMPOSE, given)
    return {
        **views.compose_one(server.model, row),
        "backups": backups.of_service(server.model, COMPOSE.id, row["composeId"]),
    }


@_compose.query("search", **common.SEARCH)
def search(server: Server, caller: Caller, given: Row) -> Any:
    return common.search(server, caller, COMPOSE, given)


@_compose.mutation(
    "create",
    name=Field("string", minimum=1),
    description=TEXT,
    environmentId=KEY,
    composeType=choice(*TYPES),
    appName=NAME,
    composeFile=OPTIONAL_TEXT,
    sourceType=choice(*SOURCES),
)
def create(server: Server, caller: Caller, given: Row) -> Any:
    caller.need_permission("service")
    with server.model.change():
        server.model.one("environments", given["environmentId"], "Environment")
        settings = {name: given[name] for name in given.keys() - {"name", "environmentId", "appName"}}
        app_name = given.get("appName", "compose")
        return services.add_compose(server.model, given["name"], given["environmentId"], app_name, **settings)


@_compose.mutation("update", composeId=KEY, **COMPOSE_COLUMNS.updatable)
def update(server: Server, caller: Caller, given: Row) -> Any:
    """Whatever the compose file says is accepted: it is read when it is deployed."""
    caller.need_permission("service")
    with server.model.change():
        row = _given(server, caller, given)
        row.update(given)
        return COMPOSE_COLUMNS.of(row)


@_compose.mutation("delete", composeId=ID, deleteVolumes=FLAG)
def delete(server: Server, caller: Caller, given: Row) -> Any:
    caller.need_permission("service")
    row = dict(_given(server, caller, given))
    server.queue.clean(row["composeId"])
    with server.model.change():
        services.remove(server.model, COMPOSE, row["composeId"])
    server.swarm.remove(*server.swarm.names_of(row["appName"]))
    return COMPOSE_COLUMNS.of(row)


@_compose.mutation("refreshToken", composeId=ID)
def refresh_token(server: Server, caller: Caller, given: Row) -> Any:
    with server.model.change():
        _given(server, caller, given)["refreshToken"] = new_id()
    return True


# -- deploying --------------------------------------------------------------------------------------------------------

_DEPLOY = {"composeId": ID, "title": OPTIONAL_TEXT, "description": OPTIONAL_TEXT}


@_compose.mutation("deploy", **_DEPLOY)
def deploy(server: Server, caller: Caller, given: Row) -> Any:
    return _enqueue(server, caller, given, "deploy", "Manual deployment", "Deployment queued")


@_compose.mutation("redeploy", **_DEPLOY)
def redeploy(server: Server, caller: Caller, given: Row) -> Any:
    return _enqueue(server, caller, given, "redeploy", "Rebuild deployment", "Redeployment queued")


def _enqueue(server: Server, caller: Caller, given: Row, kind: str, title: str, message: str) -> Any:
    compose_id = _given(server, caller, given)["composeId"]
    server.queue.add(compose_id, given.get("title") or title, given.get("description", ""), kind, COMPOSE.name)
    if not server.version.has(COMPOSE_DEPLOY_ANSWERS):
        return None
    return {"success": True, "message": message, "composeId": compose_id}


@_compose.mutation("cleanQueues", composeId=ID)
def clean_queues(server: Server, caller: Caller, given: Row) -> Any:
    server.queue.clean(_given(server, caller, given)["composeId"])
    return {"success": True, "message": "Queues cleaned successfully"}


# -- running ----------------------------------------------------------------------------------------------------------


@_compose.mutation("stop", composeId=ID)
def stop(server: Server, caller: Caller, given: Row) -> Any:
    """The services of a stack are gone afterwards; containers of a compose project end and stay."""
    row = _given(server, caller, given)
    names = server.swarm.names_of(row["appName"])
    if row["composeType"] == "stack":
        server.swarm.remove(*names)
    elif names:
        for name in names:
            server.swarm.halt(name)
    else:
        with server.model.change():
            row["composeStatus"] = "error"
        raise _no_compose_file(row, "stop")
    with server.model.change():
        row["composeStatus"] = "idle"
    return True


@_compose.mutation("start", composeId=ID)
def start(server: Server, caller: Caller, given: Row) -> Any:
    """Of a stack it starts nothing, and says done all the same."""
    row = _given(server, caller, given)
    if row["composeType"] == "docker-compose" and not compose_builds.start(server.model, server.swarm, row):
        with server.model.change():
            row["composeStatus"] = "idle"
        raise _no_compose_file(row, "up -d")
    with server.model.change():
        row["composeStatus"] = "done"
    return True


def _no_compose_file(row: Row, verb: str) -> ApiError:
    return ApiError(
        "INTERNAL_SERVER_ERROR",
        f'Command execution failed: Command failed: env -i PATH="$PATH" docker compose -p {row["appName"]} {verb}\n\n'
        "        Can't find a suitable configuration file in this directory or any\n"
        "        parent. Are you in the right directory?\n\n"
        "        Supported filenames: docker-compose.yml, docker-compose.yaml, compose.yml, compose.yaml\n"
        "        \n",
    )


@_compose.query("readLogs", composeId=ID, containerId=ID, tail=common.TAIL, since=OPTIONAL_TEXT, search=OPTIONAL_TEXT)
def read_logs(server: Server, caller: Caller, given: Row) -> Any:
    row = _given(server, caller, given)
    task = server.swarm.container(given["containerId"])
    if task is None or task.spec.project != row["appName"]:
        raise not_found("Container")
    return common.read_container_log(server.swarm.log(task.service), given)
