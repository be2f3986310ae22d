# SPDX-License-Identifier: GPL-3.0-or-later
"""From names, which are not unique in Dokploy, to one application; and the few fields of it that are not secret."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.client import DokployClient, NotDokploy
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError

DEFAULT_ENVIRONMENT = "production"


@dataclass(frozen=True)
class ApplicationQuery:
    project: str | None = None
    environment: str | None = None
    application: str | None = None
    application_id: str | None = None


@dataclass(frozen=True)
class Application:
    """The fields that may be seen. C(application.one) also holds env, build secrets, a password and a webhook token."""

    id: str
    name: str
    app_name: str
    status: str
    source_type: str | None
    image: str | None
    replicas: int
    description: str | None
    server_id: str | None
    mode_overridden: bool
    project: str
    environment: str

    @classmethod
    def from_row(cls, row: Mapping[str, t.Any]) -> Application:
        environment = row.get("environment") or {}
        source_type = row.get("sourceType")
        return cls(
            id=row["applicationId"],
            name=row["name"],
            app_name=row["appName"],
            status=row.get("applicationStatus") or "unknown",
            source_type=source_type,
            image=row.get("dockerImage") if source_type == "docker" else None,
            replicas=int(row.get("replicas") or 0),
            description=row.get("description"),
            server_id=row.get("serverId"),
            mode_overridden=row.get("modeSwarm") is not None,
            project=(environment.get("project") or {}).get("name") or "",
            environment=environment.get("name") or "",
        )

    def to_result(self) -> dict[str, object]:
        return {
            "id": self.id,
            "name": self.name,
            "app_name": self.app_name,
            "project": self.project,
            "environment": self.environment,
            "status": self.status,
            "source_type": self.source_type,
            "image": self.image,
            "replicas": self.replicas,
        }


def find_application(client: DokployClient, query: ApplicationQuery) -> Application:
    """The one application that the query means.

    It is always read through C(application.one): Dokploy lets keys of foreign organisations write, but not read.
    """
    if query.application_id:
        application = read_application(client, query.application_id)
        _check_names(application, query)
        return application
    if not (query.project and query.application):
        raise PlatformError(
            "Which application is meant is not known.", "Give application_id, or project and application by name."
        )
    return read_application(client, _id_by_names(client, query))


def read_application(client: DokployClient, application_id: str) -> Application:
    row = client.get("application.one", applicationId=application_id)
    if not isinstance(row, dict) or not {"applicationId", "name", "appName"} <= row.keys():
        raise NotDokploy(
            "The answer to application.one is not an application.", "Check dokploy_url.", "application.one", 200
        )
    return Application.from_row(row)


def _check_names(application: Application, query: ApplicationQuery) -> None:
    for option in ("project", "environment", "application"):
        wanted = getattr(query, option)
        actual = application.name if option == "application" else getattr(application, option)
        if wanted and wanted != actual:
            raise PlatformError(
                f"The application with application_id {application.id} has the {option} {actual!r}, not {wanted!r}.",
                f"Correct application_id, or leave {option} out.",
            )


def _id_by_names(client: DokployClient, query: ApplicationQuery) -> str:
    projects = _rows(client.get("project.all"))
    if not projects:
        raise PlatformError(
            "This API key sees no project at all.",
            "It is of another organisation, or of a member to whom nothing is assigned. Use a key of "
            "the right organisation.",
        )
    project = _only(projects, str(query.project), "project", "projectId", "in this organisation")
    wanted_environment = query.environment or DEFAULT_ENVIRONMENT
    environments = _rows(project.get("environments"))
    environment = _only(
        environments, wanted_environment, "environment", "environmentId", f"in the project {query.project!r}"
    )
    applications = _rows(environment.get("applications"))
    if not _named(applications, str(query.application)) and _named(
        _rows(environment.get("compose")), str(query.application)
    ):
        raise PlatformError(
            f"{query.application!r} in {query.project!r} / {wanted_environment!r} is a compose "
            "service, not an application.",
            "Only applications can be handled.",
        )
    application = _only(
        applications,
        str(query.application),
        "application",
        "applicationId",
        f"in {query.project!r} / {wanted_environment!r}",
    )
    return str(application["applicationId"])


def _rows(value: object) -> list[dict[str, t.Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _named(rows: Sequence[dict[str, t.Any]], name: str) -> list[dict[str, t.Any]]:
    return [row for row in rows if row.get("name") == name]


def _only(rows: Sequence[dict[str, t.Any]], name: str, kind: str, id_key: str, where: str) -> dict[str, t.Any]:
    """The row with exactly this name, or an error that lists what there is."""
    matching = _named(rows, name)
    if len(matching) == 1:
        return matching[0]
    if matching:
        ids = [str(row.get(id_key)) for row in matching]
        hint = (
            "Name the right one in application_id." if kind == "application" else "Rename one, or give application_id."
        )
        raise PlatformError(
            f"There are {len(matching)} {kind}s named {name!r} {where}: {', '.join(ids)}.",
            hint,
            candidates=[{"id": identity, "name": name} for identity in ids],
        )
    names = sorted({str(row.get("name")) for row in rows})
    raise PlatformError(
        f"There is no {kind} named {name!r} {where}.",
        f"There is: {', '.join(names)}." if names else f"There is no {kind} at all.",
    )
