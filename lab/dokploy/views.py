# SPDX-License-Identifier: GPL-3.0-or-later
"""The shapes in which the same rows are answered by different procedures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lab.dokploy.columns import columns_of
from lab.dokploy.compose_columns import COMPOSE_COLUMNS
from lab.dokploy.kinds import APPLICATION, COMPOSE, DATABASES, KINDS, Kind
from lab.dokploy.model import Model, Row

# Kinds of services that the double has none of; every environment lists them.
_EMPTY_KINDS = ("libsql",)
_LARGE = ("name", "description", "createdAt", "serverId")
_FOUND = ("name", "appName", "description", "environmentId", "createdAt")


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


def found(kind: Kind, service: Row) -> Row:
    """What a search answers."""
    source = () if kind in DATABASES else ("sourceType",)
    return pick(service, (kind.id, *_FOUND, kind.status, *source))


def small_services(model: Model, environment_id: str, reachable: Iterable[str] | None) -> dict[str, list[Row]]:
    """For project.all; `reachable` is None when everything is."""
    known = None if reachable is None else set(reachable)
    return {
        **{
            kind.table: [
                pick(row, (kind.id, "name", kind.status))
                for row in model.in_environment(kind.table, environment_id)
                if known is None or row[kind.id] in known
            ]
            for kind in KINDS.values()
        },
        **_none_of_the_others(),
    }


def large_services(model: Model, environment_id: str, *, app_name: bool) -> dict[str, list[Row]]:
    """For environment.one, and with appName for project.one and environment.byProjectId."""
    return {
        **{
            kind.table: [
                {**pick(row, _large(kind, app_name=app_name)), "server": None}
                for row in model.in_environment(kind.table, environment_id)
            ]
            for kind in KINDS.values()
        },
        **_none_of_the_others(),
    }


def _large(kind: Kind, *, app_name: bool) -> tuple[str, ...]:
    icon = () if kind in DATABASES else ("icon",)
    return (*_LARGE, kind.status, kind.id, *icon, *(("appName",) if app_name else ()))


def _none_of_the_others() -> dict[str, list[Row]]:
    return {name: [] for name in _EMPTY_KINDS}


def with_rollback(model: Model, deployment: Row) -> Row:
    return {**deployment, "rollback": model.tables["rollbacks"].get(deployment["rollbackId"])}


def compose_one(model: Model, compose: Row) -> Row:
    return {
        **COMPOSE_COLUMNS.of(compose),
        "environment": environment_with_project(model, compose),
        "deployments": [dict(row) for row in reversed(model.records_of(COMPOSE.id, compose[COMPOSE.id]))],
        **{name: [] for name in ("mounts", "domains", "backups")},
        **dict.fromkeys(("github", "gitlab", "bitbucket", "gitea", "server")),
        "hasGitProviderAccess": True,
        "unauthorizedProvider": None,
    }


def centralized(model: Model, deployment: Row, kind: Kind, service: Row) -> Row:
    environment = environment_with_project(model, service)
    place = {
        **pick(environment, ("environmentId", "name")),
        "project": pick(environment["project"], ("projectId", "name")),
    }
    short: dict[str, Any] = {**pick(service, (kind.id, "name", "appName", "icon")), "environment": place}
    if kind is APPLICATION:
        short["buildServer"] = None
    return {
        **deployment,
        **dict.fromkeys(("application", "compose", "server", "buildServer")),
        kind.name: {**short, "server": None},
    }


def service_path(model: Model, kind: Kind, service: Row) -> dict[str, str]:
    """Where the dashboard shows it."""
    environment = model.environment_of(service)
    place = f"project/{environment['projectId']}/environment/{environment['environmentId']}"
    return {"href": f"/dashboard/{place}/services/{kind.name}/{service[kind.id]}", "label": kind.title}
