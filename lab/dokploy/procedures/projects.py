# SPDX-License-Identifier: GPL-3.0-or-later
"""project.* and environment.*"""

from __future__ import annotations

from typing import Any

from lab.dokploy import services, views
from lab.dokploy.errors import ApiError
from lab.dokploy.keys import Caller
from lab.dokploy.kinds import KINDS
from lab.dokploy.model import Row
from lab.dokploy.procedures.registry import Collector, Server
from lab.dokploy.schema import ID, KEY, OPTIONAL_TEXT, TEXT, Field

_project = Collector("project")
_environment = Collector("environment")


@_project.query("all")
def all_of(server: Server, caller: Caller, given: Row) -> Any:
    reachable = caller.services if caller.is_member else None
    answer = []
    for project in _theirs(server, caller):
        environments = [
            {
                **views.pick(row, ("name", "environmentId", "isDefault")),
                **views.small_services(server.model, row["environmentId"], reachable),
            }
            for row in _environments(server, project)
        ]
        if caller.is_member:
            environments = [row for row in environments if any(row[kind.table] for kind in KINDS.values())]
        answer.append({**project, "environments": environments, "projectTags": []})
    return answer


@_project.query("one", projectId=ID)
def one(server: Server, caller: Caller, given: Row) -> Any:
    if caller.is_member and not _reaches(server, caller, given["projectId"]):
        raise ApiError("UNAUTHORIZED", "You don't have access to this project")
    project = server.model.one("projects", given["projectId"], "Project")
    caller.need_organization(project["organizationId"], "project")
    environments = [
        {**row, **views.large_services(server.model, row["environmentId"], app_name=True)}
        for row in _environments(server, project)
    ]
    return {**project, "environments": environments, "projectTags": []}


@_project.query("search", q=OPTIONAL_TEXT, name=OPTIONAL_TEXT)
def search(server: Server, caller: Caller, given: Row) -> Any:
    wanted = (given.get("name") or given.get("q") or "").lower()
    rows = [row for row in _theirs(server, caller) if wanted in row["name"].lower()]
    return {"items": rows, "total": len(rows)}


@_project.mutation("create", name=Field("string", minimum=1), description=TEXT)
def create(server: Server, caller: Caller, given: Row) -> Any:
    caller.need_permission("project")
    with server.model.change():
        project, environment = server.model.add_project(given["name"], given.get("description"), caller.organization_id)
    return {"project": project, "environment": environment}


@_project.mutation("remove", projectId=ID)
def remove(server: Server, caller: Caller, given: Row) -> Any:
    """The rows of its services go with it; what the swarm runs of them stays."""
    caller.need_permission("project")
    with server.model.change():
        project = server.model.one("projects", given["projectId"], "Project")
        caller.need_organization(project["organizationId"], "project")
        for environment in _environments(server, project):
            for kind in KINDS.values():
                for row in server.model.in_environment(kind.table, environment["environmentId"]):
                    services.remove(server.model, kind, row[kind.id])
            del server.model.tables["environments"][environment["environmentId"]]
        return server.model.tables["projects"].pop(given["projectId"])


@_environment.query("one", environmentId=ID)
def environment_one(server: Server, caller: Caller, given: Row) -> Any:
    row = server.model.one("environments", given["environmentId"], "Environment")
    project = server.model.tables["projects"][row["projectId"]]
    theirs = project["organizationId"] == caller.organization_id
    if not theirs or (caller.is_member and not _reaches(server, caller, row["projectId"])):
        raise ApiError("FORBIDDEN", "You are not allowed to access this environment")
    shown = ("name", "description", "environmentId", "isDefault", "projectId", "env")
    listed = views.large_services(server.model, row["environmentId"], app_name=False)
    return {**views.pick(row, shown), **listed, "project": project}


@_environment.query("byProjectId", projectId=ID)
def environment_by_project(server: Server, caller: Caller, given: Row) -> Any:
    project = server.model.one("projects", given["projectId"], "Project")
    caller.need_organization(project["organizationId"], "project")
    return [
        {
            **views.pick(row, ("name", "description", "environmentId", "isDefault")),
            **views.large_services(server.model, row["environmentId"], app_name=True),
            "project": project,
        }
        for row in _environments(server, project)
    ]


@_environment.mutation("create", name=Field("string", minimum=1), projectId=KEY, description=TEXT)
def environment_create(server: Server, caller: Caller, given: Row) -> Any:
    caller.need_permission("environment")
    with server.model.change():
        server.model.one("projects", given["projectId"], "Project")
        return server.model.add_environment(given["name"], given["projectId"], given.get("description"))


def _environments(server: Server, project: Row) -> list[Row]:
    return [row for row in server.model.tables["environments"].values() if row["projectId"] == project["projectId"]]


def _theirs(server: Server, caller: Caller) -> list[Row]:
    return [
        row
        for row in server.model.tables["projects"].values()
        if row["organizationId"] == caller.organization_id
        and (not caller.is_member or _reaches(server, caller, row["projectId"]))
    ]


def _reaches(server: Server, caller: Caller, project_id: str) -> bool:
    tables = server.model.tables
    reached = (tables[kind.table].get(service_id) for service_id in caller.services for kind in KINDS.values())
    return any(row and server.model.environment_of(row)["projectId"] == project_id for row in reached)


PROCEDURES = [*_project.procedures, *_environment.procedures]
