# SPDX-License-Identifier: GPL-3.0-or-later
"""The columns of the databases: what all have, and what each kind adds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from lab.dokploy.schema import FLAG, KEY, Field
from lab.dokploy.table import Columns

_TEXT = Field("string", minimum=1)
_NAMED = {"databaseName": _TEXT, "databaseUser": _TEXT, "databasePassword": KEY}
_ROOT = {"databaseRootPassword": Field("string", required=False)}


class Engine(NamedTuple):
    """What `create` of a kind of database takes beside name and place, its image, and where it keeps its data."""

    fields: Mapping[str, Field]
    image: str
    mount_path: str


ENGINES = {
    "postgres": Engine(_NAMED, "postgres:18", "/var/lib/postgresql/data"),
    "mysql": Engine({**_NAMED, **_ROOT}, "mysql:8", "/var/lib/mysql"),
    "mariadb": Engine({**_NAMED, **_ROOT}, "mariadb:11", "/var/lib/mysql"),
    "mongo": Engine({"databaseUser": _TEXT, "databasePassword": KEY, "replicaSets": FLAG}, "mongo:8", "/data/db"),
    "redis": Engine({"databasePassword": KEY}, "redis:8", "/data"),
}

_NULLS_BEFORE_STATUS = ("command", "args", "env", "memoryReservation", "externalPort", "memoryLimit")
_SWARM = (
    "healthCheckSwarm",
    "restartPolicySwarm",
    "placementSwarm",
    "updateConfigSwarm",
    "rollbackConfigSwarm",
    "modeSwarm",
    "labelsSwarm",
    "networkSwarm",
    "stopGracePeriodSwarm",
    "endpointSpecSwarm",
    "ulimitsSwarm",
)


def columns_of_database(kind: str) -> Columns:
    engine = ENGINES[kind]
    names = (
        f"{kind}Id",
        "name",
        "appName",
        *engine.fields,
        "description",
        "dockerImage",
        *_NULLS_BEFORE_STATUS,
        "cpuReservation",
        "cpuLimit",
        "applicationStatus",
        *_SWARM,
        "replicas",
        "createdAt",
        "environmentId",
        "serverId",
        "networkIds",
        "detachDokployNetwork",
    )
    defaults = {
        "dockerImage": engine.image,
        "applicationStatus": "idle",
        "replicas": 1,
        "networkIds": [],
        "detachDokployNetwork": False,
    }
    return Columns({name: (defaults.get(name), None) for name in names})
