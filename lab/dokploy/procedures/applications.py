# SPDX-License-Identifier: GPL-3.0-or-later
"""application.*"""

from __future__ import annotations

import contextlib
import copy
from typing import Any

from lab.dokploy import schema, views
from lab.dokploy.builds import spec_of
from lab.dokploy.columns import UPDATABLE, columns_of
from lab.dokploy.errors import ApiError
from lab.dokploy.keys import Caller
from lab.dokploy.kinds import APPLICATION
from lab.dokploy.model import Row, new_id
from lab.dokploy.procedures import common
from lab.dokploy.procedures.registry import Collector, Server
from lab.dokploy.schema import ID, KEY, NAME, OPTIONAL_TEXT, TEXT, Field
from lab.dokploy.swarm import NoSuchService

_application = Collector("application")
PROCEDURES = _application.procedures


def _given(server: Server, caller: Caller, given: Row) -> Row:
    return common.given_service(server, caller, APPLICATION, given)


@_application.query("one", applicationId=ID)
def one(server: Server, caller: Caller, given: Row) -> Any:
    return views.application_one(server.model, common.own_service(server, caller, APPLICATION, given))


@_application.query("search", **common.SEARCH, repository=OPTIONAL_TEXT, owner=OPTIONAL_TEXT, dockerImage=OPTIONAL_TEXT)
def search(server: Server, caller: Caller, given: Row) -> Any:
    return common.search(server, caller, APPLICATION, given)


@_application.mutation("create", name=Field("string", minimum=1), appName=NAME, description=TEXT, environmentId=KEY)
def create(server: Server, caller: Caller, given: Row) -> Any:
    caller.need_permission("service")
    with server.model.change():
        server.model.one("environments", given["environmentId"], "Environment")
        app_name = given.get("appName", "app")
        row = server.model.add_application(given["name"], app_name, given["environmentId"], given.get("description"))
        return columns_of(row)


@_application.mutation("delete", applicationId=ID)
def delete(server: Server, caller: Caller, given: Row) -> Any:
    row = _given(server, caller, given)
    caller.need_permission("service")
    answer = copy.deepcopy(views.application_row(server.model, row))
    server.queue.clean(row["applicationId"])
    with server.model.change():
        server.model.remove_application(row["applicationId"])
    server.swarm.remove(row["appName"])
    return answer


# -- settings: the database only, nothing happens to the service ------------------------------------------------------


@_application.mutation("update", applicationId=ID, **UPDATABLE)
def update(server: Server, caller: Caller, given: Row) -> Any:
    caller.need_service(given["applicationId"])
    caller.need_permission("service")
    values = {name: value for name, value in given.items() if name != "applicationId"}
    if not values:
        raise ApiError("INTERNAL_SERVER_ERROR", "No values to set")
    with server.model.change():
        row = server.model.tables["applications"].get(given["applicationId"])
        if row is None:
            raise ApiError("BAD_REQUEST", "Error updating application")
        row.update(values)
    return True


def _save(server: Server, caller: Caller, given: Row, **values: Any) -> bool:
    with server.model.change():
        _given(server, caller, given).update({**given, **values})
    return True


@_application.mutation(
    "saveEnvironment",
    applicationId=KEY,
    env=schema.NEEDED_TEXT,
    buildArgs=schema.NEEDED_TEXT,
    buildSecrets=schema.NEEDED_TEXT,
    createEnvFile=schema.NEEDED_FLAG,
)
def save_environment(server: Server, caller: Caller, given: Row) -> Any:
    return _save(server, caller, given)


@_application.mutation(
    "saveDockerProvider",
    applicationId=KEY,
    dockerImage=schema.NEEDED_TEXT,
    username=schema.NEEDED_TEXT,
    password=schema.NEEDED_TEXT,
    registryUrl=schema.NEEDED_TEXT,
)
def save_docker_provider(server: Server, caller: Caller, given: Row) -> Any:
    """The status becomes idle although the old version still runs."""
    return _save(server, caller, given, sourceType="docker", applicationStatus="idle")


@_application.mutation(
    "saveGitProvider",
    applicationId=KEY,
    customGitBuildPath=schema.NEEDED_TEXT,
    customGitUrl=schema.NEEDED_TEXT,
    watchPaths=schema.NEEDED_LIST,
    enableSubmodules=schema.FLAG,
    customGitBranch=Field("string", minimum=1),
    customGitSSHKeyId=TEXT,
)
def save_git_provider(server: Server, caller: Caller, given: Row) -> Any:
    return _save(server, caller, given, sourceType="git", applicationStatus="idle")


@_application.mutation(
    "saveBuildType",
    applicationId=KEY,
    buildType=UPDATABLE["buildType"],
    dockerfile=schema.NEEDED_TEXT,
    dockerContextPath=schema.NEEDED_TEXT,
    dockerBuildStage=schema.NEEDED_TEXT,
    herokuVersion=schema.NEEDED_TEXT,
    railpackVersion=schema.NEEDED_TEXT,
    publishDirectory=TEXT,
    isStaticSpa=schema.NULLABLE_FLAG,
)
def save_build_type(server: Server, caller: Caller, given: Row) -> Any:
    return _save(server, caller, given)


@_application.mutation("refreshToken", applicationId=ID)
def refresh_token(server: Server, caller: Caller, given: Row) -> Any:
    return _save(server, caller, given, refreshToken=new_id())


@_application.mutation("markRunning", applicationId=ID)
def mark_running(server: Server, caller: Caller, given: Row) -> Any:
    _save(server, caller, given, applicationStatus="running")


# -- deploying --------------------------------------------------------------------------------------------------------

_DEPLOY = {"applicationId": ID, "title": OPTIONAL_TEXT, "description": OPTIONAL_TEXT}


@_application.mutation("deploy", **_DEPLOY)
def deploy(server: Server, caller: Caller, given: Row) -> Any:
    _enqueue(server, caller, given, "deploy", "Manual deployment")


@_application.mutation("redeploy", **_DEPLOY)
def redeploy(server: Server, caller: Caller, given: Row) -> Any:
    _enqueue(server, caller, given, "redeploy", "Rebuild deployment")


def _enqueue(server: Server, caller: Caller, given: Row, kind: str, title: str) -> None:
    row = _given(server, caller, given)
    server.queue.add(row["applicationId"], given.get("title") or title, given.get("description", ""), kind)


@_application.mutation("cleanQueues", applicationId=ID)
def clean_queues(server: Server, caller: Caller, given: Row) -> Any:
    server.queue.clean(_given(server, caller, given)["applicationId"])


@_application.mutation("cancelDeployment", applicationId=ID)
def cancel_deployment(server: Server, caller: Caller, given: Row) -> Any:
    _given(server, caller, given)
    raise ApiError("BAD_REQUEST", "Deployment cancellation only available in cloud version")


# -- running ----------------------------------------------------------------------------------------------------------


def _before(server: Server, caller: Caller, given: Row) -> tuple[Row, Row]:
    """The row, and the answer as it is before anything happens."""
    with server.model.lock:
        row = _given(server, caller, given)
        return row, copy.deepcopy(views.application_row(server.model, row))


@_application.waiting_mutation("stop", applicationId=ID)
def stop(server: Server, caller: Caller, given: Row) -> Any:
    """The service goes to 0; `replicas` stays; the answer is the row as it was before."""
    row, before = _before(server, caller, given)
    with contextlib.suppress(NoSuchService):  # Dokploy swallows the error of the shell
        server.swarm.scale(row["appName"], 0)
    with server.model.change():
        row["applicationStatus"] = "idle"
    return before


@_application.waiting_mutation("start", applicationId=ID)
def start(server: Server, caller: Caller, given: Row) -> Any:
    """Always one replica, whatever `replicas` says."""
    row, before = _before(server, caller, given)
    common.start_one_replica(server, row["appName"])
    with server.model.change():
        row["applicationStatus"] = "done"
    return before


@_application.mutation("reload", applicationId=KEY, appName=Field("string", minimum=1, nonoptional=True))
def reload(server: Server, caller: Caller, given: Row) -> Any:
    """The service anew from the database, with `replicas`; no record, and nothing is awaited."""
    row = _given(server, caller, given)
    server.swarm.apply(row["appName"], spec_of(row, server.version), row["replicas"])
    with server.model.change():
        row["applicationStatus"] = "done"
    return True


@_application.query("readLogs", applicationId=ID, tail=common.TAIL, since=OPTIONAL_TEXT, search=OPTIONAL_TEXT)
def read_logs(server: Server, caller: Caller, given: Row) -> Any:
    row = _given(server, caller, given)
    return common.read_container_log(server.swarm.log(row["appName"]), given)


@_application.query("readAppMonitoring", appName=ID)
def read_app_monitoring(server: Server, caller: Caller, given: Row) -> Any:
    return {name: [] for name in ("cpu", "memory", "disk", "network", "block")}
