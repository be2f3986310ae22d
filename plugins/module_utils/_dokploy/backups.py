# SPDX-License-Identifier: GPL-3.0-or-later
"""Dokploy's own backups of a database service, kept by their prefixes; and the files that they left."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

from ansible_collections.vedfinance.platform.plugins.module_utils._clock import Clock
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.client import (
    DokployClient,
    NotDokploy,
    Rejected,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.cron import checked_cron
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import (
    Service,
    ServiceQuery,
    find_service,
    id_column,
    rows_of,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.runs import (
    RUN_ARGUMENTS,
    Outcome,
    Run,
    Runner,
    moment,
    refuse_missing,
    refuse_several,
    runs_of,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._redact import redact_text

RUN_PROCEDURES = {
    "postgres": "backup.manualBackupPostgres",
    "mysql": "backup.manualBackupMySql",
    "mariadb": "backup.manualBackupMariadb",
    "mongo": "backup.manualBackupMongo",
}
MOST_FILES_LISTED = 100
NAMED_BEFORE_THE_RECORD = timedelta(seconds=10)
"""Some kinds of database choose the name of the file a moment before their run is recorded."""
_FILE_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d)[-:](\d\d)[-:](\d\d)[-.](\d{3})Z")

BACKUP_ARGUMENTS: dict[str, dict[str, object]] = {
    "name": {"type": "str", "required": True, "aliases": ["prefix"]},
    "state": {"type": "str", "choices": ["present", "absent", "run"], "default": "present"},
    "destination": {"type": "str"},
    "database_name": {"type": "str"},
    "cron": {"type": "str"},
    "keep_latest": {"type": "int"},
    "enabled": {"type": "bool"},
    "check_destination": {"type": "bool", "default": False},
    **RUN_ARGUMENTS,
}


# --- destinations -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Destination:
    id: str
    name: str
    bucket: str | None
    connection: Mapping[str, object] = field(repr=False)
    """With the keys, which Dokploy wants back to test the connection. Never shown."""

    @classmethod
    def from_row(cls, row: Mapping[str, t.Any]) -> Destination:
        columns = ("name", "provider", "accessKey", "secretAccessKey", "bucket", "region", "endpoint")
        return cls(
            id=str(row.get("destinationId")),
            name=str(row.get("name")),
            bucket=row.get("bucket"),
            connection={
                **{column: row.get(column) for column in columns},
                "additionalFlags": row.get("additionalFlags") or [],
            },
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(str(self.connection[key]) for key in ("secretAccessKey", "accessKey") if self.connection[key])

    def to_result(self) -> dict[str, object]:
        return {"id": self.id, "name": self.name, "bucket": self.bucket}


def destinations_of(client: DokployClient) -> list[Destination]:
    return [Destination.from_row(row) for row in rows_of(client.get("destination.all"))]


def chosen(destinations: list[Destination], wanted: str) -> Destination:
    """The one with this id, or with exactly this name."""
    matching = [one for one in destinations if wanted == one.id] or [one for one in destinations if wanted == one.name]
    refuse_several(f"destinations named {wanted!r}", "in this organisation", [one.id for one in matching])
    if not matching:
        names = ", ".join(sorted({one.name for one in destinations}))
        raise PlatformError(
            f"There is no destination with the name or id {wanted!r}.",
            f"There is: {names}."
            if names
            else "There is none at all: make one in the dashboard under S3 Destinations.",
        )
    return matching[0]


# --- backups ----------------------------------------------------------------------------------------------------------


def folder_of(prefix: str) -> str:
    """A prefix as Dokploy turns it into a folder: V(/nightly/) and V(nightly) are one."""
    return prefix.strip().strip("/")


@dataclass(frozen=True)
class Backup:
    id: str
    prefix: str
    database: str
    destination_id: str
    cron: str
    enabled: bool
    keep_latest: int
    """0 keeps all."""
    carried: Mapping[str, object] = field(repr=False, compare=False, default_factory=dict)
    """What backup.update wants to be told again. Never shown: the metadata of a compose can hold passwords."""

    @classmethod
    def from_row(cls, row: Mapping[str, t.Any]) -> Backup:
        return cls(
            id=str(row.get("backupId") or ""),
            prefix=str(row.get("prefix") or ""),
            database=str(row.get("database") or ""),
            destination_id=str(row.get("destinationId") or ""),
            cron=str(row.get("schedule") or ""),
            enabled=bool(row.get("enabled")),
            keep_latest=int(row.get("keepLatestCount") or 0),
            carried={column: row.get(column) for column in ("databaseType", "serviceName", "metadata")},
        )

    @property
    def columns(self) -> dict[str, object]:
        return {
            "schedule": self.cron,
            "enabled": self.enabled,
            "prefix": self.prefix,
            "destinationId": self.destination_id,
            "database": self.database,
            "keepLatestCount": self.keep_latest or None,
        }

    def to_result(self) -> dict[str, object]:
        return {
            "id": self.id or None,
            "name": self.prefix,
            "database_name": self.database,
            "destination_id": self.destination_id,
            "cron": self.cron,
            "enabled": self.enabled,
            "keep_latest": self.keep_latest,
        }


def backups_of(client: DokployClient, service: Service) -> list[Backup]:
    """The backups of a database or a compose; an application and a redis have none."""
    return _backups_in(_row_of(client, service)) if service.kind in (*RUN_PROCEDURES, "compose") else []


def _row_of(client: DokployClient, service: Service) -> dict[str, t.Any]:
    procedure = f"{service.kind}.one"
    row = client.get(procedure, **{id_column(service.kind): service.id})
    if not isinstance(row, dict):
        raise NotDokploy(f"The answer to {procedure} is not a service.", "Check dokploy_url.", procedure, 200)
    return row


def _backups_in(row: Mapping[str, t.Any]) -> list[Backup]:
    return [Backup.from_row(backup) for backup in rows_of(row.get("backups"))]


def meant(backups: list[Backup], prefix: str, database: str | None, destination_id: str | None) -> Backup | None:
    """The backup with this prefix; of several, the one with the database and the destination that were given."""
    matching = [one for one in backups if folder_of(one.prefix) == folder_of(prefix)]
    if len(matching) > 1:
        matching = [
            one for one in matching if database in (None, one.database) and destination_id in (None, one.destination_id)
        ]
    refuse_several(f"backups named {prefix!r}", "of this database service", [one.id for one in matching])
    return matching[0] if matching else None


# --- files ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BackupFile:
    path: str
    time: str
    size: int

    @classmethod
    def from_row(cls, row: Mapping[str, t.Any]) -> BackupFile | None:
        """None for what no backup wrote. Dokploy leaves ModTime empty, so that the name tells the time."""
        named = _FILE_TIME.match(str(row.get("Name")))
        if named is None or row.get("IsDir"):
            return None
        day, *rest = named.groups()
        return cls(str(row.get("Path")), "{}T{}:{}:{}.{}Z".format(day, *rest), int(row.get("Size") or 0))

    def to_result(self) -> dict[str, object]:
        return dict(vars(self))


def files_of(
    client: DokployClient, destination_id: str, folder: str, server_id: str | None, newest_day: str | None
) -> list[BackupFile]:
    """The files in a folder, newest first.

    Dokploy lists the first hundred by name, which are the oldest; those of the newest day are then asked for apart.
    """

    def listed(term: str) -> list[dict[str, t.Any]]:
        params = {"destinationId": destination_id, "search": f"{folder}/{term}"}
        return rows_of(client.get("backup.listBackupFiles", **params, **({"serverId": server_id} if server_id else {})))

    rows = listed("")
    if len(rows) >= MOST_FILES_LISTED and newest_day:
        rows += listed(newest_day)
    found = {file.path: file for file in map(BackupFile.from_row, rows) if file}
    return sorted(found.values(), key=lambda file: file.time, reverse=True)


def file_written_by(run: Run, files: list[BackupFile]) -> BackupFile | None:
    """The newest file, if it is not empty and not older than the run."""
    started = moment(run.started_at)
    if not files or started is None:
        return None
    written = moment(files[0].time)
    fresh = written is not None and written >= started - NAMED_BEFORE_THE_RECORD
    return files[0] if fresh and files[0].size > 0 else None


# --- doing it ---------------------------------------------------------------------------------------------------------


def keep_backup(
    client: DokployClient, clock: Clock, query: ServiceQuery, params: Mapping[str, t.Any], check: bool
) -> Outcome:
    """The whole of M(vedfinance.platform.dokploy_backup)."""
    if not params["name"].strip():
        raise PlatformError("name is empty.", "A backup is known by its prefix; / is the folder of the service itself.")
    if params["keep_latest"] is not None and params["keep_latest"] < 0:
        raise PlatformError("keep_latest is negative.", "Give 0 to keep all files.")
    cron = None if params["cron"] is None else checked_cron(params["cron"])
    client.version()
    service = find_service(client, query)
    if service.kind not in RUN_PROCEDURES:
        raise PlatformError(
            f"{service.name!r} is {service.kind}, of which Dokploy makes no database backups.",
            f"It makes them of {', '.join(RUN_PROCEDURES)}.",
        )
    keeper = _Keeper(client, clock, service, {**params, "cron": cron}, check)
    with keeper.secrets_hidden():
        return keeper.keep()


class _Keeper:
    """One backup, by its prefix in its database service."""

    def __init__(
        self, client: DokployClient, clock: Clock, service: Service, params: Mapping[str, t.Any], check: bool
    ) -> None:
        self._client = client
        self._clock = clock
        self._service = service
        self._params = params
        self._check = check
        self._name: str = params["name"].strip()
        self._destinations: list[Destination] = []
        self._secrets: tuple[str, ...] = ()

    @contextmanager
    def secrets_hidden(self) -> Iterator[None]:
        """Dokploy's errors hold command lines with the keys and passwords of whatever it called."""
        try:
            yield
        except PlatformError as error:
            error.msg = redact_text(error.msg, self._secrets)
            raise

    def keep(self) -> Outcome:
        state = self._params["state"]
        row = self._row()
        self._destinations = destinations_of(self._client)
        self._secrets += tuple(secret for one in self._destinations for secret in one.secrets)
        given = self._params["destination"]
        destination = chosen(self._destinations, given) if given else None
        before = self._stored(row, destination)
        if state == "absent":
            if before:
                self._remove(before)
            return self._outcome(before, None)
        wanted = self._wanted(row, before, destination)
        if self._params["check_destination"]:
            self._check_destination(self._destination(wanted.destination_id))
        after = self._written(before, wanted)
        runs = runs_of(self._client, "backup", after.id) if after.id else []
        outcome = self._outcome(before, after, runs)
        if state == "run":
            outcome.changed = True
        if state == "run" and not self._check:
            with outcome.told_on_failure():
                self._run(after, outcome)
        else:
            self._add_files(after, runs, outcome)
        return outcome

    def _row(self) -> dict[str, t.Any]:
        row = _row_of(self._client, self._service)
        self._secrets += tuple(str(row[key]) for key in ("databasePassword", "databaseRootPassword") if row.get(key))
        return row

    def _stored(self, row: Mapping[str, t.Any], destination: Destination | None) -> Backup | None:
        return meant(
            _backups_in(row), self._name, self._params["database_name"], destination.id if destination else None
        )

    def _destination(self, identity: str) -> Destination:
        return next(
            (one for one in self._destinations if one.id == identity),
            Destination.from_row({"destinationId": identity, "name": identity}),
        )

    def _outcome(self, before: Backup | None, after: Backup | None, runs: list[Run] | None = None) -> Outcome:
        return Outcome(
            changed=before != after,
            before=self._shown(before) if before else {},
            after=self._shown(after) if after else {},
            result={
                "backup": {"id": after.id or None, **self._shown(after)} if after else None,
                "last_run": runs[0].to_result() if runs else None,
                "files": None,
            },
        )

    def _shown(self, backup: Backup) -> dict[str, object]:
        shown = {key: value for key, value in backup.to_result().items() if key not in ("id", "destination_id")}
        return {**shown, "destination": self._destination(backup.destination_id).to_result()}

    # -- keeping

    def _remove(self, before: Backup) -> None:
        if not self._check:
            self._client.post("backup.remove", backupId=before.id)
            self._require(self._known(before.id) is None)

    def _known(self, identity: str) -> Backup | None:
        return next((one for one in _backups_in(self._row()) if one.id == identity), None)

    def _wanted(self, row: Mapping[str, t.Any], before: Backup | None, destination: Destination | None) -> Backup:
        """The backup with all that was given; what was not given stays, or has its default in a new one."""
        params = self._params
        database = params["database_name"] or (None if before else row.get("databaseName"))
        if before is None:
            refuse_missing(
                f"The backup {self._name!r}",
                {"cron": params["cron"], "destination": params["destination"], "database_name": database},
            )
        base = before or Backup("", self._name, "", "", "", True, 0)
        changes = {
            "cron": params["cron"],
            "destination_id": destination.id if destination else None,
            "database": database,
            "enabled": params["enabled"],
            "keep_latest": params["keep_latest"],
        }
        return replace(base, **{name: value for name, value in changes.items() if value is not None})

    def _written(self, before: Backup | None, wanted: Backup) -> Backup:
        if before == wanted or self._check:
            return wanted
        if before:
            self._client.post("backup.update", backupId=before.id, **{**wanted.carried, **wanted.columns})
            after = self._known(before.id)
            self._require(after == wanted)
        else:
            self._client.post(
                "backup.create",
                **wanted.columns,
                **{id_column(self._service.kind): self._service.id},
                databaseType=self._service.kind,
                backupType="database",
            )
            # Creation answers with nothing, not even an id.
            new = [one for one in _backups_in(self._row()) if replace(one, id="") == wanted]
            self._require(len(new) == 1)
            after = new[0]
        return t.cast(Backup, after)

    def _require(self, holds: bool) -> None:
        if not holds:
            raise PlatformError(
                f"Dokploy does not hold the backup {self._name!r} as it was told to.",
                "Somebody else changed it meanwhile. Look who, and run this again.",
                changed=True,
            )

    def _check_destination(self, destination: Destination) -> None:
        server = {"serverId": self._service.server_id} if self._service.server_id else {}
        try:
            self._client.post("destination.testConnection", **destination.connection, **server)
        except Rejected as error:
            raise PlatformError(
                f"Dokploy cannot reach the destination {destination.name!r}: {error.msg}",
                "Mend its keys, its bucket or its endpoint in the dashboard under S3 Destinations.",
                destination=destination.to_result(),
            ) from None

    # -- running, and what it left

    def _run(self, backup: Backup, outcome: Outcome) -> None:
        runner = Runner(self._client, self._clock, self._params, self._secrets)
        what = f"The backup {self._name!r} of {self._service.name!r}"
        finished = runner.run("backup", backup.id, what, RUN_PROCEDURES[self._service.kind])
        outcome.take(finished)
        files = self._files(backup, finished.run)
        outcome.result["files"] = [file.to_result() for file in files]
        written = file_written_by(finished.run, files)
        if written is None:
            raise PlatformError(
                f"{what} ended well, says Dokploy, but its newest file is "
                f"{f'{files[0].path} with {files[0].size} bytes' if files else 'missing'}.",
                "Nothing proves that this backup was written. Look into the bucket.",
            )
        outcome.result["file"] = written.to_result()

    def _add_files(self, backup: Backup, runs: list[Run], outcome: Outcome) -> None:
        newest = next((run for run in runs if run.status == "done"), None)
        try:
            files = self._files(backup, newest)
        except Rejected as error:
            # A folder into which nothing was ever written does not exist, which rclone calls an error.
            outcome.result["files"] = None if newest else []
            if newest:
                reason = redact_text(error.msg, self._secrets)
                outcome.warnings.append(f"The files of the backup cannot be listed: {reason}")
        else:
            outcome.result["files"] = [file.to_result() for file in files]

    def _files(self, backup: Backup, newest: Run | None) -> list[BackupFile]:
        parts = (self._service.app_name, folder_of(backup.prefix))
        return files_of(
            self._client,
            backup.destination_id,
            "/".join(part for part in parts if part),
            self._service.server_id,
            str(newest.started_at)[:10] if newest else None,
        )
