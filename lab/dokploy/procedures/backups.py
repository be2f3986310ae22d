# SPDX-License-Identifier: GPL-3.0-or-later
"""destination.* and backup.*; the clock starts no backup: a test lets one run by `manualBackupPostgres`."""

from __future__ import annotations

from typing import Any

from lab.dokploy import backups
from lab.dokploy.backups import BackupFailed
from lab.dokploy.buckets import RcloneFailed
from lab.dokploy.database_columns import columns_of_database
from lab.dokploy.errors import ApiError
from lab.dokploy.keys import Caller
from lab.dokploy.model import Row, new_app_name, new_id
from lab.dokploy.procedures.registry import Collector, Server
from lab.dokploy.schema import FLAG, ID, KEY, NULLABLE_FLAG, NULLABLE_NUMBER, OBJECT, TEXT, Field, choice
from lab.dokploy.tempo import iso_now

_destination = Collector("destination")
_backup = Collector("backup")

_NAMED = Field("string", minimum=1)
_TYPES = ("postgres", "mariadb", "mysql", "mongo", "web-server", "libsql")
_KINDS = ("database", "compose")
_SERVICES = ("composeId", "postgresId", "mariadbId", "mysqlId", "mongoId", "libsqlId")
_DESTINATION = {
    "name": _NAMED,
    "provider": Field("string", nullable=True),
    "accessKey": KEY,
    "bucket": KEY,
    "region": KEY,
    "endpoint": KEY,
    "secretAccessKey": KEY,
    "additionalFlags": Field("array", nullable=True),
}


# -- destinations ---------------------------------------------------------------------------------------------------


@_destination.mutation("create", **_DESTINATION)
def create_destination(server: Server, caller: Caller, given: Row) -> Any:
    """Without looking whether it can be reached."""
    caller.need_permission("destination")
    columns = ("name", "provider", "accessKey", "secretAccessKey", "bucket", "region", "endpoint", "additionalFlags")
    row: Row = {
        "destinationId": new_id(),
        **{name: given[name] for name in columns},
        "organizationId": caller.organization_id,
        "createdAt": iso_now(),
    }
    with server.model.change():
        server.model.tables["destinations"][row["destinationId"]] = row
    return row


@_destination.query("all")
def destinations(server: Server, caller: Caller, given: Row) -> Any:
    """Newest first, with the keys."""
    caller.need_permission("destination")
    rows = server.model.tables["destinations"].values()
    return [row for row in reversed(rows) if row["organizationId"] == caller.organization_id]


@_destination.mutation("testConnection", **_DESTINATION)
def test_connection(server: Server, caller: Caller, given: Row) -> Any:
    caller.need_permission("destination")
    try:
        server.buckets.check(given)
    except RcloneFailed as error:
        raise ApiError("BAD_REQUEST", str(error)) from error


# -- backups --------------------------------------------------------------------------------------------------------


@_backup.mutation(
    "create",
    schedule=KEY,
    enabled=NULLABLE_FLAG,
    prefix=_NAMED,
    destinationId=KEY,
    keepLatestCount=NULLABLE_NUMBER,
    database=_NAMED,
    **dict.fromkeys(_SERVICES, TEXT),
    databaseType=choice(*_TYPES, required=True),
    userId=TEXT,
    backupType=choice(*_KINDS),
    serviceName=TEXT,
    includeEncryptionKey=FLAG,
    metadata=OBJECT,
)
def create(server: Server, caller: Caller, given: Row) -> Any:
    """Answers nothing: whoever needs the id looks into the database's list."""
    _need_access(caller, given)
    row: Row = {
        "backupId": new_id(),
        "appName": new_app_name("backup"),
        "schedule": given["schedule"],
        "enabled": None,
        "database": given["database"],
        "prefix": given["prefix"],
        "serviceName": None,
        "destinationId": given["destinationId"],
        "keepLatestCount": None,
        "includeEncryptionKey": True,
        "backupType": "database",
        "databaseType": given["databaseType"],
        **dict.fromkeys(_SERVICES),
        "userId": None,
        "metadata": None,
        **given,
    }
    with server.model.change():
        if row["destinationId"] not in server.model.tables["destinations"]:
            raise ApiError("BAD_REQUEST", "Error creating the Backup")
        server.model.tables["backups"][row["backupId"]] = row


@_backup.query("one", backupId=ID)
def one(server: Server, caller: Caller, given: Row) -> Any:
    """With the password of the database."""
    row = _given(server, caller, given, "NOT_FOUND")
    databases = {
        kind: columns_of_database(kind).of(server.model.tables[kind][row[f"{kind}Id"]]) if row[f"{kind}Id"] else None
        for kind in ("postgres", "mysql", "mariadb", "mongo")
    }
    destination = backups.without_keys(server.model.tables["destinations"][row["destinationId"]])
    compose = server.model.tables["compose"].get(row["composeId"])
    return {**row, **databases, "libsql": None, "destination": destination, "compose": compose}


@_backup.mutation(
    "update",
    schedule=KEY,
    enabled=Field("boolean", nullable=True),
    prefix=_NAMED,
    backupId=KEY,
    destinationId=KEY,
    database=_NAMED,
    keepLatestCount=Field("number", nullable=True),
    serviceName=Field("string", nullable=True),
    metadata=Field("object", nullable=True),
    databaseType=choice(*_TYPES, required=True),
    includeEncryptionKey=FLAG,
)
def update(server: Server, caller: Caller, given: Row) -> Any:
    with server.model.change():
        _given(server, caller, given).update(given)


@_backup.mutation("remove", backupId=KEY)
def remove(server: Server, caller: Caller, given: Row) -> Any:
    """The records go with it, the objects stay."""
    with server.model.change():
        row = _given(server, caller, given)
        server.model.remove_backup(row["backupId"])
    return row


@_backup.waiting_mutation("manualBackupPostgres", backupId=ID)
def run_manually(server: Server, caller: Caller, given: Row) -> Any:
    row = _given(server, caller, given)
    if row["postgresId"] not in server.model.tables["postgres"]:
        raise ApiError("BAD_REQUEST", "Postgres not found")
    try:
        server.backups.run(row["backupId"])
    except (BackupFailed, RcloneFailed) as error:
        raise ApiError("BAD_REQUEST", str(error)) from error
    return True


@_backup.query("listBackupFiles", destinationId=KEY, search=KEY, serverId=TEXT)
def files(server: Server, caller: Caller, given: Row) -> Any:
    caller.need_permission("backup")
    try:
        return server.buckets.listed(_destination_of(server, given, "BAD_REQUEST"), given["search"])
    except RcloneFailed as error:
        raise ApiError("BAD_REQUEST", str(error)) from error


@_backup.subscription(
    "restoreBackupWithLogs",
    databaseId=KEY,
    databaseType=choice(*_TYPES, required=True),
    backupType=choice(*_KINDS, required=True),
    databaseName=_NAMED,
    backupFile=_NAMED,
    destinationId=_NAMED,
)
def restore(server: Server, caller: Caller, given: Row) -> Any:
    caller.need_service(given["databaseId"])
    destination = _destination_of(server, given, "NOT_FOUND")
    database = server.model.one("postgres", given["databaseId"], "Postgres")
    return server.backups.restore(dict(database), dict(destination), given["databaseName"], given["backupFile"])


def _given(server: Server, caller: Caller, given: Row, code: str = "BAD_REQUEST") -> Row:
    """Only `one` says that it is not found by a 404."""
    row: Row | None = server.model.tables["backups"].get(given["backupId"])
    if row is None:
        raise ApiError(code, "Backup not found")
    _need_access(caller, row)
    return row


def _need_access(caller: Caller, row: Row) -> None:
    service = next(filter(None, (row.get(name) for name in _SERVICES)), None)
    if service:
        caller.need_service(service)


def _destination_of(server: Server, given: Row, code: str) -> Row:
    row: Row | None = server.model.tables["destinations"].get(given["destinationId"])
    if row is None:
        raise ApiError(code, "Destination not found")
    return row


PROCEDURES = [*_destination.procedures, *_backup.procedures]
