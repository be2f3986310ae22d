# SPDX-License-Identifier: GPL-3.0-or-later
"""postgres.*, and the same for mysql, mariadb, mongo and redis."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

from lab.dokploy import backups, images, services, sources, views
from lab.dokploy.database_columns import ENGINES, columns_of_database
from lab.dokploy.errors import ApiError
from lab.dokploy.keys import Caller
from lab.dokploy.kinds import DATABASES, Kind
from lab.dokploy.model import Row
from lab.dokploy.procedures import common
from lab.dokploy.procedures.registry import Collector, Procedure, Server
from lab.dokploy.schema import ID, KEY, NAME, OPTIONAL_TEXT, TEXT, Field
from lab.dokploy.swarm import NoSuchService
from lab.dokploy.tasks import Spec


def _with_relations(server: Server, kind: Kind, row: Row) -> Row:
    """The row with its relations, as `one` answers it, and `deploy`, `stop` and `start` as it was before."""
    listed = {} if kind.name == "redis" else {"backups": backups.of_service(server.model, kind.id, row[kind.id])}
    return copy.deepcopy(
        {
            **columns_of_database(kind.name).of(row),
            "environment": views.environment_with_project(server.model, row),
            "mounts": row["mounts"],
            "server": None,
            **listed,
        }
    )


def _spec_of(row: Row) -> Spec:
    return Spec(row["dockerImage"], row["env"] or "", row["command"], stand_in=True)


def _procedures_of(kind: Kind) -> list[Procedure]:
    router = Collector(kind.name)

    def given_row(server: Server, caller: Caller, given: Row) -> tuple[Row, Row]:
        """The row, and the answer as it is before anything happens."""
        with server.model.lock:
            row = common.given_service(server, caller, kind, given)
            return row, _with_relations(server, kind, row)

    def become(server: Server, row: Row, status: str) -> None:
        with server.model.change():
            row["applicationStatus"] = status

    @router.query("one", **{kind.id: ID})
    def one(server: Server, caller: Caller, given: Row) -> Any:
        return _with_relations(server, kind, common.own_service(server, caller, kind, given))

    @router.query("search", **common.SEARCH)
    def search(server: Server, caller: Caller, given: Row) -> Any:
        return common.search(server, caller, kind, given)

    @router.mutation(
        "create",
        name=Field("string", minimum=1),
        appName=NAME,
        **ENGINES[kind.name].fields,
        dockerImage=OPTIONAL_TEXT,
        environmentId=KEY,
        description=TEXT,
    )
    def create(server: Server, caller: Caller, given: Row) -> Any:
        caller.need_permission("service")
        with server.model.change():
            server.model.one("environments", given["environmentId"], "Environment")
            settings = {name: given[name] for name in given.keys() - {"name", "environmentId", "appName"}}
            app_name = given.get("appName", kind.name)
            row = services.add_database(server.model, kind, given["name"], given["environmentId"], app_name, **settings)
            return columns_of_database(kind.name).of(row)

    @router.mutation("remove", **{kind.id: ID})
    def remove(server: Server, caller: Caller, given: Row) -> Any:
        caller.need_permission("service")
        row, before = given_row(server, caller, given)
        with server.model.change():
            services.remove(server.model, kind, row[kind.id])
        server.swarm.remove(row["appName"])
        return before

    @router.mutation("deploy", **{kind.id: KEY})
    def deploy(server: Server, caller: Caller, given: Row) -> Any:
        """Pulls and creates the service before it answers; there is no record of it."""
        row, before = given_row(server, caller, given)
        if images.find(server.model, row["dockerImage"]) is None:
            become(server, row, "error")
            raise ApiError("INTERNAL_SERVER_ERROR", sources.missing_image(row["dockerImage"]))
        server.swarm.apply(row["appName"], _spec_of(row), row["replicas"])
        become(server, row, "done")
        return before

    @router.waiting_mutation("stop", **{kind.id: ID})
    def stop(server: Server, caller: Caller, given: Row) -> Any:
        row, before = given_row(server, caller, given)
        with contextlib.suppress(NoSuchService):
            server.swarm.scale(row["appName"], 0)
        become(server, row, "idle")
        return before

    @router.waiting_mutation("start", **{kind.id: ID})
    def start(server: Server, caller: Caller, given: Row) -> Any:
        row, before = given_row(server, caller, given)
        common.start_one_replica(server, row["appName"])
        become(server, row, "done")
        return before

    @router.waiting_mutation("reload", **{kind.id: KEY}, appName=Field("string", minimum=1))
    def reload(server: Server, caller: Caller, given: Row) -> Any:
        """Stop and start, each awaited; an application's reload is neither."""
        row, _before = given_row(server, caller, given)
        with contextlib.suppress(NoSuchService):
            server.swarm.scale(row["appName"], 0)
        become(server, row, "idle")
        common.start_one_replica(server, row["appName"])
        become(server, row, "done")
        return True

    @router.query("readLogs", **{kind.id: ID}, tail=common.TAIL, since=OPTIONAL_TEXT, search=OPTIONAL_TEXT)
    def read_logs(server: Server, caller: Caller, given: Row) -> Any:
        row = common.given_service(server, caller, kind, given)
        return common.read_container_log(server.swarm.log(row["appName"]), given)

    return router.procedures


PROCEDURES = [procedure for kind in DATABASES for procedure in _procedures_of(kind)]
