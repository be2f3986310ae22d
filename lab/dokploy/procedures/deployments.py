# SPDX-License-Identifier: GPL-3.0-or-later
"""deployment.* and rollback.*"""

from __future__ import annotations

import copy
from typing import Any

from lab.dokploy import views
from lab.dokploy.builds import spec_of
from lab.dokploy.errors import ApiError
from lab.dokploy.keys import Caller
from lab.dokploy.kinds import APPLICATION, COMPOSE, KINDS, Kind
from lab.dokploy.model import Row, snapshot_image
from lab.dokploy.procedures import common
from lab.dokploy.procedures.registry import Collector, Server
from lab.dokploy.schema import ID, Field, choice

_deployment = Collector("deployment")
_rollback = Collector("rollback")

_DEPLOYED = (APPLICATION, COMPOSE)
_TYPES = ("application", "compose", "server", "schedule", "previewDeployment", "backup", "volumeBackup")


@_deployment.query("all", applicationId=ID)
def all_of(server: Server, caller: Caller, given: Row) -> Any:
    """An unknown id has no deployments, which is no error."""
    caller.need_service(given["applicationId"])
    return server.model.deployments_of(given["applicationId"])


@_deployment.query("allByCompose", composeId=ID)
def all_by_compose(server: Server, caller: Caller, given: Row) -> Any:
    common.given_service(server, caller, COMPOSE, given)
    return server.model.records_of(COMPOSE.id, given["composeId"])


@_deployment.query("allByType", id=ID, type=choice(*_TYPES, required=True))
def all_by_type(server: Server, caller: Caller, given: Row) -> Any:
    caller.need_service(given["id"])
    rows = server.model.records_of(f"{given['type']}Id", given["id"])
    return [views.with_rollback(server.model, row) for row in rows]


@_deployment.query("allCentralized")
def all_centralized(server: Server, caller: Caller, given: Row) -> Any:
    rows = [
        views.centralized(server.model, row, kind, service)
        for kind in _DEPLOYED
        for service in server.model.tables[kind.table].values()
        if _is_theirs(server, caller, kind, service)
        for row in server.model.records_of(kind.id, service[kind.id])
    ]
    return sorted(rows, key=lambda row: str(row["createdAt"]), reverse=True)


@_deployment.query("queueList")
def queue_list(server: Server, caller: Caller, given: Row) -> Any:
    rows = []
    for job in server.queue.jobs():
        kind = KINDS[job.service]
        service = server.model.tables[kind.table].get(job.service_id)
        if service and _is_theirs(server, caller, kind, service):
            rows.append(job.row(views.service_path(server.model, kind, service)))
    return rows


@_deployment.query(
    "readLogs", deploymentId=ID, tail=Field("integer", required=False, default=100, minimum=1, maximum=10000)
)
def read_logs(server: Server, caller: Caller, given: Row) -> Any:
    row = _given(server, caller, given)
    lines = str(server.model.tables["logs"].get(row["deploymentId"], "")).split("\n")
    # What follows the last line break is no line.
    complete = [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    return "".join(complete[-given["tail"] :])


@_deployment.mutation("removeDeployment", deploymentId=ID)
def remove_deployment(server: Server, caller: Caller, given: Row) -> Any:
    """Even of a running build, which goes on unrecorded."""
    row = _given(server, caller, given)
    with server.model.change():
        return dict(server.model.remove_deployment(row["deploymentId"]))


@_deployment.mutation("killProcess", deploymentId=ID)
def kill_process(server: Server, caller: Caller, given: Row) -> Any:
    """Builds of applications never carry a pid."""
    _given(server, caller, given)
    raise ApiError("BAD_REQUEST", "Deployment is not running")


@_rollback.mutation("rollback", rollbackId=ID)
def rollback(server: Server, caller: Caller, given: Row) -> Any:
    """The service as it was in the snapshot; neither a record nor the status changes, and nothing is awaited."""
    row = server.model.tables["rollbacks"].get(given["rollbackId"])
    if row is None:
        raise ApiError("BAD_REQUEST", "Error input: Rolling back")
    snapshot = row["fullContext"]
    caller.need_service(snapshot["applicationId"])
    server.swarm.apply(
        snapshot["appName"], spec_of(snapshot, server.version, snapshot_image(row)), snapshot["replicas"]
    )


@_rollback.mutation("delete", rollbackId=ID)
def delete(server: Server, caller: Caller, given: Row) -> Any:
    """The record of the deployment goes with it."""
    row = server.model.one("rollbacks", given["rollbackId"], "Rollback")
    caller.need_service(row["fullContext"]["applicationId"])
    with server.model.change():
        deployment = server.model.tables["deployments"][row["deploymentId"]]
        answer = copy.deepcopy({**row, "deployment": deployment})
        server.model.remove_deployment(row["deploymentId"])
    return answer


def _given(server: Server, caller: Caller, given: Row) -> Row:
    row = server.model.one("deployments", given["deploymentId"], "Deployment")
    caller.need_service(row["applicationId"] or row["composeId"])
    return row


def _is_theirs(server: Server, caller: Caller, kind: Kind, service: Row) -> bool:
    return server.model.organization_of(service) == caller.organization_id and caller.reaches(service[kind.id])


PROCEDURES = [*_deployment.procedures, *_rollback.procedures]
