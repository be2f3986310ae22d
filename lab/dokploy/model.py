# SPDX-License-Identifier: GPL-3.0-or-later
"""What the server knows, kept in one file that survives its restart."""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from lab.dokploy import keys
from lab.dokploy.columns import new_application
from lab.dokploy.errors import not_found
from lab.dokploy.kinds import APPLICATION, COMPOSE, Kind
from lab.dokploy.tempo import iso_now

Row = dict[str, Any]

FILE_NAME = "dokploy.json"
KEPT_DEPLOYMENTS = 10
_ID_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-"
_SUFFIX_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_TABLES = (
    "projects",
    "environments",
    "applications",
    "compose",
    "postgres",
    "mysql",
    "mariadb",
    "mongo",
    "redis",
    "registries",
    "deployments",
    "rollbacks",
    "logs",
    "repositories",
    "checkouts",
    "images",
    "services",
    "tasks",
    "schedules",
    "destinations",
    "backups",
    "organizations",
    "members",
    "users",
    "sessions",
    "logins",
    "keys",
)


class Seeded(NamedTuple):
    """What a caller needs to find what was seeded. The key is shown only here."""

    api_key: str
    project_id: str
    environment_id: str
    application_id: str
    app_name: str


def new_id() -> str:
    """An id in Dokploy's manner: it may begin with '-' or '_'."""
    return "".join(secrets.choice(_ID_ALPHABET) for _turn in range(21))


def new_app_name(begin: str) -> str:
    """What a service is called everywhere but in the dashboard."""
    return f"{begin}-{''.join(secrets.choice(_SUFFIX_ALPHABET) for _turn in range(6))}"


class Model:
    """Tables of rows by id. Every change happens in `change()`, which holds the lock and writes the file."""

    def __init__(self, state: Path) -> None:
        self.lock = threading.RLock()
        self._path = state / FILE_NAME
        state.mkdir(parents=True, exist_ok=True)
        stored: dict[str, Row] = json.loads(self._path.read_text(encoding="utf-8")) if self._path.exists() else {}
        self.tables: dict[str, Row] = {name: stored.get(name, {}) for name in _TABLES}

    @contextmanager
    def change(self) -> Iterator[None]:
        with self.lock:
            try:
                yield
            finally:
                self._write()

    def _write(self) -> None:
        partial = self._path.with_suffix(".part")
        # A folder that was removed is not made again: its swarm notices, and ends.
        with suppress(FileNotFoundError):
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(json.dumps(self.tables, ensure_ascii=False))
            partial.replace(self._path)

    # -- finding ------------------------------------------------------------------------------------------------

    def one(self, table: str, row_id: str, what: str) -> Row:
        row: Row | None = self.tables[table].get(row_id)
        if row is None:
            raise not_found(what)
        return row

    def application(self, application_id: str) -> Row:
        return self.one("applications", application_id, "Application")

    def service(self, kind: Kind, service_id: str) -> Row:
        return self.one(kind.table, service_id, kind.title)

    def environment_of(self, service: Row) -> Row:
        row: Row = self.tables["environments"][service["environmentId"]]
        return row

    def organization_of(self, service: Row) -> str:
        project: Row = self.tables["projects"][self.environment_of(service)["projectId"]]
        return str(project["organizationId"])

    def in_environment(self, table: str, environment_id: str) -> list[Row]:
        """Newest first."""
        rows = [row for row in self.tables[table].values() if row["environmentId"] == environment_id]
        return sorted(rows, key=lambda row: str(row["createdAt"]))[::-1]

    def deployments_of(self, application_id: str) -> list[Row]:
        return self.records_of("applicationId", application_id)

    def records_of(self, owner: str, owner_id: str) -> list[Row]:
        """Newest first. `owner` is the column of a record that names what it belongs to."""
        rows = [row for row in self.tables["deployments"].values() if row[owner] == owner_id]
        return sorted(rows, key=lambda row: str(row["createdAt"]))[::-1]

    # -- making -------------------------------------------------------------------------------------------------

    def add_project(self, name: str, description: str | None, organization_id: str) -> tuple[Row, Row]:
        """The project and the default environment that comes with it."""
        project: Row = {
            "projectId": new_id(),
            "name": name,
            "description": description,
            "createdAt": iso_now(),
            "organizationId": organization_id,
            "env": "",
        }
        self.tables["projects"][project["projectId"]] = project
        environment = self.add_environment("production", project["projectId"], "Production environment", default=True)
        return project, environment

    def add_environment(self, name: str, project_id: str, description: str | None, *, default: bool = False) -> Row:
        row: Row = {
            "environmentId": new_id(),
            "name": name,
            "description": description,
            "createdAt": iso_now(),
            "env": "",
            "projectId": project_id,
            "isDefault": default,
        }
        self.tables["environments"][row["environmentId"]] = row
        return row

    def add_application(self, name: str, app_name: str, environment_id: str, description: str | None = None) -> Row:
        row = new_application(
            applicationId=new_id(),
            name=name,
            appName=new_app_name(app_name),
            description=description,
            refreshToken=new_id(),
            createdAt=iso_now(),
            environmentId=environment_id,
        )
        self.tables["applications"][row["applicationId"]] = row
        return row

    def add_deployment(self, application: Row, title: str, description: str, log: str) -> Row:
        return self.add_record("applicationId", application, title, description, log)

    def add_record(self, owner: str, service: Row, title: str, description: str, log: str, folder: str = "logs") -> Row:
        """A running record; all but the newest ten go first, with their logs and snapshots."""
        for old in self.records_of(owner, service[owner])[KEPT_DEPLOYMENTS:]:
            self.remove_deployment(old["deploymentId"])
        now = iso_now()
        app_name = service["appName"]
        row: Row = {
            "deploymentId": new_id(),
            "title": title,
            "description": description,
            "status": "running",
            "logPath": f"/etc/dokploy/{folder}/{app_name}/{app_name}-{now[:10]}:{now[11:19]}.log",
            "pid": None,
            "applicationId": None,
            "composeId": None,
            "serverId": None,
            "isPreviewDeployment": False,
            "previewDeploymentId": None,
            "createdAt": now,
            "startedAt": now,
            "finishedAt": None,
            "errorMessage": None,
            "scheduleId": None,
            "backupId": None,
            "rollbackId": None,
            "volumeBackupId": None,
            "buildServerId": None,
            owner: service[owner],
        }
        self.tables["deployments"][row["deploymentId"]] = row
        self.tables["logs"][row["deploymentId"]] = log
        return row

    def end_record(self, record: Row, ok: bool, log: str) -> None:
        record["status"] = "done" if ok else "error"
        record["finishedAt"] = iso_now()
        self.add_to_log(record, log)

    def add_to_log(self, record: Row, log: str) -> None:
        # It may have been removed in the meantime.
        if record["deploymentId"] in self.tables["deployments"]:
            self.tables["logs"][record["deploymentId"]] += log

    def remove_deployment(self, deployment_id: str) -> Row:
        row: Row = self.tables["deployments"].pop(deployment_id)
        self.tables["logs"].pop(deployment_id, None)
        if row["rollbackId"]:
            self.remove_rollback(row["rollbackId"])
        return row

    def remove_rollback(self, rollback_id: str) -> None:
        rollback = self.tables["rollbacks"].pop(rollback_id, None)
        if rollback:
            self.tables["images"].pop(snapshot_image(rollback), None)

    def remove_application(self, application_id: str) -> None:
        for row in self.deployments_of(application_id):
            self.remove_deployment(row["deploymentId"])
        self.remove_what_hangs_on("applicationId", application_id)
        del self.tables["applications"][application_id]

    def remove_what_hangs_on(self, column: str, service_id: str) -> None:
        """The schedules and backups of a service go with it; the stored objects stay."""
        for row in list(self.tables["schedules"].values()):
            if row.get(column) == service_id:
                self.remove_schedule(row["scheduleId"])
        for row in list(self.tables["backups"].values()):
            if row.get(column) == service_id:
                self.remove_backup(row["backupId"])

    def remove_schedule(self, schedule_id: str) -> None:
        for row in self.records_of("scheduleId", schedule_id):
            self.remove_deployment(row["deploymentId"])
        del self.tables["schedules"][schedule_id]

    def remove_backup(self, backup_id: str) -> None:
        for row in self.records_of("backupId", backup_id):
            self.remove_deployment(row["deploymentId"])
        del self.tables["backups"][backup_id]

    def cancel_running(self) -> None:
        """What a start of the server does to what the last one left unfinished."""
        for row in self.tables["deployments"].values():
            if row["status"] == "running":
                row["status"] = "cancelled"
                for kind in (APPLICATION, COMPOSE):
                    if service := self.tables[kind.table].get(row[kind.id]):
                        service[kind.status] = "idle"

    # -- seeding ------------------------------------------------------------------------------------------------

    def seed(
        self,
        *,
        project: str = "vedfinance",
        environment: str = "production",
        application: str = "api",
        docker_image: str = "lab/api:1.4.0",
        env: str = "",
        replicas: int = 1,
    ) -> Seeded:
        """One deployed docker application and an owner's key; the swarm starts its tasks with the server."""
        # Users are rows of a model, too, so that their module needs this one.
        from lab.dokploy import users

        with self.change():
            owner = users.add_user(self, "owner@lab.invalid", users.new_secret())
            organization_id = users.add_organization(self, "My Organization", owner["id"], is_default=True)["id"]
            project_row, environment_row = self.add_project(project, None, organization_id)
            environment_row["name"] = environment
            row = self.add_application(application, f"{project}-{application}", environment_row["environmentId"])
            row.update(
                sourceType="docker", dockerImage=docker_image, env=env, replicas=replicas, applicationStatus="done"
            )
            log = f"Initializing deployment\nPulling {docker_image}\n✅ Pulling image completed.\n"
            self.add_deployment(row, "Manual deployment", "", log).update(status="done", finishedAt=iso_now())
            self.tables["services"][row["appName"]] = {
                "spec": {"image": docker_image, "env": env, "command": None},
                "replicas": replicas,
            }
            key = keys.add(self.tables["keys"], organization_id=organization_id, user_id=owner["id"], name="lab")
        return Seeded(
            key, project_row["projectId"], environment_row["environmentId"], row["applicationId"], row["appName"]
        )


def snapshot_image(rollback: Row) -> str:
    """Where the registry keeps the image of a rollback."""
    registry = rollback["fullContext"]["rollbackRegistry"]
    return f"{registry['registryUrl']}/{registry['username']}/{rollback['image']}"
