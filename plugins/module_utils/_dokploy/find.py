# SPDX-License-Identifier: GPL-3.0-or-later
"""From names, which are not unique in Dokploy, to one service; and the few fields of it that are not secret."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.client import DokployClient, NotDokploy
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError

DEFAULT_ENVIRONMENT = "production"
DATABASE_TYPES = ("postgres", "mysql", "mariadb", "mongo", "redis")
BRANCH_COLUMNS = {
    "git": "customGitBranch",
    "github": "branch",
    "gitlab": "gitlabBranch",
    "bitbucket": "bitbucketBranch",
    "gitea": "giteaBranch",
}


@dataclass(frozen=True)
class ServiceQuery:
    """What a person gave to say which service is meant: names, or an id, of one kind of service."""

    project: str | None = None
    environment: str | None = None
    application: str | None = None
    application_id: str | None = None
    compose: str | None = None
    compose_id: str | None = None
    database: str | None = None
    database_id: str | None = None
    database_type: str = "postgres"

    @property
    def option(self) -> str | None:
        """The option that names the service: C(application), C(compose) or C(database)."""
        for option in ("application", "compose", "database"):
            if getattr(self, option) or getattr(self, f"{option}_id"):
                return option
        return None

    @property
    def kind(self) -> str:
        return self.database_type if self.option == "database" else self.option or "application"

    @property
    def name(self) -> str | None:
        return getattr(self, self.option) if self.option else None

    @property
    def id(self) -> str | None:
        return getattr(self, f"{self.option}_id") if self.option else None


@dataclass(frozen=True)
class _Common:
    kind: str
    id: str
    name: str
    app_name: str
    status: str
    source_type: str | None
    description: str | None
    server_id: str | None
    project: str
    environment: str

    @property
    def option(self) -> str:
        """The option that names such a service, and the key under which a result holds it."""
        return self.kind if self.kind in ("application", "compose") else "database"

    def to_result(self) -> dict[str, object]:
        return {
            "kind": self.kind,
            "id": self.id,
            "name": self.name,
            "app_name": self.app_name,
            "project": self.project,
            "environment": self.environment,
            "status": self.status,
            "source_type": self.source_type,
        }


def id_column(kind: str) -> str:
    """The name of a kind's id, in rows and as parameter of its procedures."""
    return f"{kind}Id"


def _common_fields(row: Mapping[str, t.Any], kind: str) -> dict[str, t.Any]:
    environment = row.get("environment") or {}
    return {
        "kind": kind,
        "id": row[id_column(kind)],
        "name": row["name"],
        "app_name": row["appName"],
        "status": row.get("composeStatus" if kind == "compose" else "applicationStatus") or "unknown",
        "source_type": row.get("sourceType"),
        "description": row.get("description"),
        "server_id": row.get("serverId"),
        "project": (environment.get("project") or {}).get("name") or "",
        "environment": environment.get("name") or "",
    }


def _git_ref(row: Mapping[str, t.Any]) -> str | None:
    column = BRANCH_COLUMNS.get(str(row.get("sourceType")))
    return row.get(column) if column else None


@dataclass(frozen=True)
class Application(_Common):
    """The fields that may be seen. C(application.one) also holds env, build secrets, a password and a webhook token."""

    image: str | None
    replicas: int
    mode_overridden: bool
    git_ref: str | None
    command: str | None = field(repr=False)
    auto_deploy: bool
    rollback_active: bool
    rollback_registry_id: str | None

    @classmethod
    def from_row(cls, row: Mapping[str, t.Any]) -> Application:
        return cls(
            **_common_fields(row, "application"),
            image=row.get("dockerImage") if row.get("sourceType") == "docker" else None,
            replicas=int(row.get("replicas") or 0),
            mode_overridden=row.get("modeSwarm") is not None,
            git_ref=_git_ref(row),
            command=row.get("command"),
            auto_deploy=bool(row.get("autoDeploy")),
            rollback_active=bool(row.get("rollbackActive")),
            rollback_registry_id=row.get("rollbackRegistryId"),
        )

    def to_result(self) -> dict[str, object]:
        return {**super().to_result(), "image": self.image, "git_ref": self.git_ref, "replicas": self.replicas}


@dataclass(frozen=True)
class Compose(_Common):
    """The fields that may be seen. C(compose.one) also holds env, the compose file and a webhook token."""

    compose_type: str
    git_ref: str | None
    auto_deploy: bool

    @classmethod
    def from_row(cls, row: Mapping[str, t.Any]) -> Compose:
        return cls(
            **_common_fields(row, "compose"),
            compose_type=row.get("composeType") or "docker-compose",
            git_ref=_git_ref(row),
            auto_deploy=bool(row.get("autoDeploy")),
        )

    def to_result(self) -> dict[str, object]:
        return {
            **super().to_result(),
            "compose_type": self.compose_type,
            "git_ref": self.git_ref,
            "auto_deploy": self.auto_deploy,
        }


@dataclass(frozen=True)
class Database(_Common):
    """The fields that may be seen. C(postgres.one) and its like also hold the passwords."""

    image: str | None

    @classmethod
    def from_row(cls, row: Mapping[str, t.Any], kind: str = "postgres") -> Database:
        return cls(**_common_fields(row, kind), image=row.get("dockerImage"))

    def to_result(self) -> dict[str, object]:
        return {**super().to_result(), "image": self.image}


Service = t.Union[Application, Compose, Database]


def find_service(client: DokployClient, query: ServiceQuery) -> Service:
    """The one service that the query means.

    It is always read through its C(one) procedure: Dokploy lets keys of foreign organisations write, but not read.
    """
    option = query.option
    if query.id:
        service = read_service(client, query.kind, query.id)
        _check_names(service, query)
        return service
    if not (option and query.project and query.name):
        what = option or "application"
        raise PlatformError(
            f"Which {'service' if option is None else what} is meant is not known.",
            f"Give {what}_id, or project and {what} by name.",
        )
    return read_service(client, query.kind, _id_by_names(client, query))


def find_application(client: DokployClient, query: ServiceQuery) -> Application:
    service = find_service(client, query)
    if not isinstance(service, Application):
        raise PlatformError(f"{service.name!r} is a {service.kind} service.", "Only applications can be handled here.")
    return service


def read_service(client: DokployClient, kind: str, service_id: str) -> Service:
    procedure = f"{kind}.one"
    row = client.get(procedure, **{id_column(kind): service_id})
    if not isinstance(row, dict) or not {id_column(kind), "name", "appName"} <= row.keys():
        raise NotDokploy(
            f"The answer to {procedure} is not {'an' if kind == 'application' else 'a'} {kind}.",
            "Check dokploy_url.",
            procedure,
            200,
        )
    if kind == "application":
        return Application.from_row(row)
    if kind == "compose":
        return Compose.from_row(row)
    return Database.from_row(row, kind)


def read_application(client: DokployClient, application_id: str) -> Application:
    return t.cast(Application, read_service(client, "application", application_id))


def all_projects(client: DokployClient) -> list[dict[str, t.Any]]:
    """Every project that the key sees, with its environments and the names of their services."""
    projects = rows_of(client.get("project.all"))
    if not projects:
        raise PlatformError(
            "This API key sees no project at all.",
            "It is of another organisation, or of a member to whom nothing is assigned. Use a key of "
            "the right organisation.",
        )
    return projects


def rows_of(value: object) -> list[dict[str, t.Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _check_names(service: Service, query: ServiceQuery) -> None:
    for option in ("project", "environment", str(query.option)):
        wanted = getattr(query, option)
        actual = service.name if option == query.option else getattr(service, option)
        if wanted and wanted != actual:
            raise PlatformError(
                f"The {query.option} with {query.option}_id {service.id} has the {option} {actual!r}, not {wanted!r}.",
                f"Correct {query.option}_id, or leave {option} out.",
            )


def lists_of(environment: Mapping[str, t.Any]) -> dict[str, list[dict[str, t.Any]]]:
    """The rows of an environment by kind."""
    return {
        kind: rows_of(environment.get("applications" if kind == "application" else kind))
        for kind in ("application", "compose", *DATABASE_TYPES)
    }


def _id_by_names(client: DokployClient, query: ServiceQuery) -> str:
    projects = all_projects(client)
    project = _only(projects, str(query.project), "project", "projectId", "in this organisation")
    wanted_environment = query.environment or DEFAULT_ENVIRONMENT
    environments = rows_of(project.get("environments"))
    environment = _only(
        environments, wanted_environment, "environment", "environmentId", f"in the project {query.project!r}"
    )
    where, name, rows = f"in {query.project!r} / {wanted_environment!r}", str(query.name), lists_of(environment)
    if not _named(rows[query.kind], name):
        others = [kind for kind in rows if _named(rows[kind], name)]
        if others:
            raise PlatformError(
                f"{name!r} {where} is {_called(others[0])}, not {_called(query.kind)}.",
                "Use the option for what it is."
                if others[0] not in DATABASE_TYPES
                else f"Give it as database, with database_type={others[0]}.",
            )
    id_key = id_column(query.kind)
    return str(_only(rows[query.kind], name, query.kind, id_key, where, f"{query.option}_id")[id_key])


def _called(kind: str) -> str:
    return {"application": "an application", "compose": "a compose service"}.get(kind, f"a {kind} database")


def _named(rows: Sequence[dict[str, t.Any]], name: str) -> list[dict[str, t.Any]]:
    return [row for row in rows if row.get("name") == name]


def _only(
    rows: Sequence[dict[str, t.Any]], name: str, kind: str, id_key: str, where: str, id_option: str | None = None
) -> dict[str, t.Any]:
    """The row with exactly this name, or an error that lists what there is."""
    matching = _named(rows, name)
    if len(matching) == 1:
        return matching[0]
    noun = {"compose": "compose service"}.get(kind, f"{kind} database" if kind in DATABASE_TYPES else kind)
    if matching:
        ids = [str(row.get(id_key)) for row in matching]
        raise PlatformError(
            f"There are {len(matching)} {noun}s named {name!r} {where}: {', '.join(ids)}.",
            f"Name the right one in {id_option}." if id_option else "Rename one, or give the id of the service.",
            candidates=[{"id": identity, "name": name} for identity in ids],
        )
    names = sorted({str(row.get("name")) for row in rows})
    raise PlatformError(
        f"There is no {noun} named {name!r} {where}.",
        f"There is: {', '.join(names)}." if names else f"There is no {noun} at all.",
    )
