# SPDX-License-Identifier: GPL-3.0-or-later
"""The shapes in which the same rows are answered by different procedures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lab.dokploy.columns import columns_of
from lab.dokploy.model import Model, Row

# Kinds of services that the double has none of; every environment lists them.
_EMPTY_KINDS = ("mariadb", "mongo", "mysql", "redis", "compose", "libsql")
_SMALL = ("applicationId", "name", "applicationStatus")
_LARGE = ("name", "description", "createdAt", "serverId", "applicationStatus", "applicationId", "icon")
_FOUND = (
    "applicationId",
    "name",
    "appName",
    "description",
    "environmentId",
    "applicationStatus",
    "sourceType",
    "createdAt",
)


def pick(row: Row, names: Iterable[str]) -> Row:
    return {name: row[name] for name in names}


def environment_with_project(model: Model, service: Row) -> Row:
    environment = model.environment_of(service)
    return {**environment, "project": model.tables["projects"][environment["projectId"]]}


def application_row(model: Model, application: Row) -> Row:
    """The row with all its relations, as stop, start and delete answer it."""
    registry = model.tables["registries"].get(application["rollbackRegistryId"])
    without_password = {name: value for name, value in (registry or {}).items() if name != "password"}
    return {
        **columns_of(application),
        "environment": environment_with_project(model, application),
        "domains": [],
        "deployments": [dict(row) for row in reversed(model.deployments_of(application["applicationId"]))],
        **{name: [] for name in ("mounts", "redirects", "security", "ports")},
        **dict.fromkeys(("gitlab", "github", "bitbucket", "gitea", "server")),
        "previewDeployments": [],
        "registry": None,
        "buildRegistry": None,
        "rollbackRegistry": without_password or None,
    }


def application_one(model: Model, application: Row) -> Row:
    return {**application_row(model, application), "hasGitProviderAccess": True, "unauthorizedProvider": None}


def found(application: Row) -> Row:
    return pick(application, _FOUND)


def small_services(model: Model, environment_id: str, reachable: Iterable[str] | None) -> dict[str, list[Row]]:
    """For project.all; `reachable` is None when everything is."""
    applications = model.in_environment("applications", environment_id)
    databases = model.in_environment("postgres", environment_id)
    if reachable is not None:
        known = set(reachable)
        applications = [row for row in applications if row["applicationId"] in known]
        databases = [row for row in databases if row["postgresId"] in known]
    return {
        "applications": [pick(row, _SMALL) for row in applications],
        "postgres": [pick(row, ("postgresId", "name", "applicationStatus")) for row in databases],
        **{name: [] for name in _EMPTY_KINDS},
    }


def large_services(model: Model, environment_id: str, *, app_name: bool) -> dict[str, list[Row]]:
    """For environment.one, and with appName for project.one and environment.byProjectId."""
    extra = ("appName",) if app_name else ()
    database = tuple(name for name in _LARGE if name not in ("applicationId", "icon"))
    return {
        "applications": [
            {**pick(row, (*_LARGE, *extra)), "server": None}
            for row in model.in_environment("applications", environment_id)
        ],
        "postgres": [
            {**pick(row, (*database, "postgresId", *extra)), "server": None}
            for row in model.in_environment("postgres", environment_id)
        ],
        **{name: [] for name in _EMPTY_KINDS},
    }


def with_rollback(model: Model, deployment: Row) -> Row:
    return {**deployment, "rollback": model.tables["rollbacks"].get(deployment["rollbackId"])}


def centralized(model: Model, deployment: Row) -> Row:
    application = model.application(deployment["applicationId"])
    environment = environment_with_project(model, application)
    place = {
        **pick(environment, ("environmentId", "name")),
        "project": pick(environment["project"], ("projectId", "name")),
    }
    short: dict[str, Any] = {**pick(application, ("applicationId", "name", "appName", "icon")), "environment": place}
    return {
        **deployment,
        "application": {**short, "server": None, "buildServer": None},
        **dict.fromkeys(("compose", "server", "buildServer")),
    }


def service_path(model: Model, application: Row | None) -> dict[str, str]:
    """Where the dashboard shows it; a job may outlive its application."""
    if application is None:
        return {"href": "", "label": "Application"}
    environment = model.environment_of(application)
    place = f"project/{environment['projectId']}/environment/{environment['environmentId']}"
    return {
        "href": f"/dashboard/{place}/services/application/{application['applicationId']}",
        "label": "Application",
    }
