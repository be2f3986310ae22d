# SPDX-License-Identifier: GPL-3.0-or-later
"""What a procedure is, and what it works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lab.dokploy.backups import Backups
from lab.dokploy.buckets import Buckets
from lab.dokploy.keys import Caller
from lab.dokploy.model import Model
from lab.dokploy.queue import BuildQueue
from lab.dokploy.schema import Field, Fields
from lab.dokploy.swarm import Swarm
from lab.dokploy.versions import Version


@dataclass(frozen=True)
class Server:
    """The parts of the server that procedures act on."""

    model: Model
    swarm: Swarm
    queue: BuildQueue
    buckets: Buckets
    backups: Backups
    version: Version


SUBSCRIPTION = "SUBSCRIPTION"

# None is answered as an empty body.
Handler = Callable[[Server, Caller, dict[str, Any]], Any]


@dataclass(frozen=True)
class Procedure:
    """A query is a GET with a query string, a mutation a POST with a JSON body, a subscription tRPC's alone."""

    name: str
    method: str
    fields: Fields
    handle: Handler
    waits: bool


class Collector:
    """Gathers the procedures of a module."""

    def __init__(self, router: str) -> None:
        self._router = router
        self.procedures: list[Procedure] = []

    def query(self, verb: str, /, **fields: Field) -> Callable[[Handler], Handler]:
        return self._collect("GET", verb, fields)

    def mutation(self, verb: str, /, **fields: Field) -> Callable[[Handler], Handler]:
        return self._collect("POST", verb, fields)

    def waiting_mutation(self, verb: str, /, **fields: Field) -> Callable[[Handler], Handler]:
        """One that lasts; it takes the model's lock itself, for as long as it needs."""
        return self._collect("POST", verb, fields, waits=True)

    def subscription(self, verb: str, /, **fields: Field) -> Callable[[Handler], Handler]:
        """What it returns are the lines to be streamed."""
        return self._collect(SUBSCRIPTION, verb, fields, waits=True)

    def _collect(self, method: str, verb: str, fields: Fields, *, waits: bool = False) -> Callable[[Handler], Handler]:
        def register(handle: Handler) -> Handler:
            self.procedures.append(Procedure(f"{self._router}.{verb}", method, fields, handle, waits))
            return handle

        return register
