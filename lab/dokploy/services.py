# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the rows of compose services and databases, and removes those of all, within a `model.change()`."""

from __future__ import annotations

from typing import Any

from lab.dokploy.compose_columns import COMPOSE_COLUMNS
from lab.dokploy.database_columns import ENGINES, columns_of_database
from lab.dokploy.kinds import APPLICATION, COMPOSE, DATABASES, Kind
from lab.dokploy.model import Model, Row, new_app_name, new_id
from lab.dokploy.table import Columns
from lab.dokploy.tempo import iso_now


def add_compose(model: Model, name: str, environment_id: str, app_name: str = "compose", **given: Any) -> Row:
    return _add(model, COMPOSE, COMPOSE_COLUMNS, name, environment_id, app_name, {"refreshToken": new_id(), **given})


def add_database(model: Model, kind: Kind, name: str, environment_id: str, app_name: str, **given: Any) -> Row:
    row = _add(model, kind, columns_of_database(kind.name), name, environment_id, app_name, given)
    row["mounts"] = [_mount(kind, row)]
    return row


def _add(model: Model, kind: Kind, columns: Columns, name: str, environment_id: str, app_name: str, given: Row) -> Row:
    row = columns.new(
        **{
            **given,
            kind.id: new_id(),
            "name": name,
            "appName": new_app_name(app_name),
            "createdAt": iso_now(),
            "environmentId": environment_id,
        }
    )
    model.tables[kind.table][row[kind.id]] = row
    return row


def _mount(kind: Kind, row: Row) -> Row:
    owners = ("application", "compose", "libsql", *(database.name for database in DATABASES))
    return {
        "mountId": new_id(),
        "type": "volume",
        "hostPath": None,
        "volumeName": f"{row['appName']}-data",
        "filePath": None,
        "content": None,
        "serviceType": kind.name,
        "mountPath": ENGINES[kind.name].mount_path,
        **{f"{owner}Id": None for owner in owners},
        kind.id: row[kind.id],
    }


def remove(model: Model, kind: Kind, service_id: str) -> None:
    if kind is APPLICATION:
        model.remove_application(service_id)
        return
    if kind is COMPOSE:
        for record in model.records_of(kind.id, service_id):
            model.remove_deployment(record["deploymentId"])
    model.remove_what_hangs_on(kind.id, service_id)
    del model.tables[kind.table][service_id]
