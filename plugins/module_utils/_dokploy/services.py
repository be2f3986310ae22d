# SPDX-License-Identifier: GPL-3.0-or-later
"""The service that is meant, in the state that is wanted: the whole of M(vedfinance.platform.dokploy_service)."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible_collections.vedfinance.platform.plugins.module_utils._clock import Clock
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.client import DokployClient
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import (
    Application,
    Compose,
    Service,
    ServiceQuery,
    find_service,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.keep_application import ApplicationKeeper
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.keep_compose import ComposeKeeper
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.keep_database import DatabaseKeeper
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.keeper import Keeper, Outcome
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError

SERVICE_ARGUMENTS: dict[str, dict[str, object]] = {
    "state": {"type": "str", "choices": ["running", "stopped"], "required": True},
    "replicas": {"type": "int"},
    "wait_timeout": {"type": "float", "default": 300.0},
    "stable_for": {"type": "float", "default": 3.0},
}


def keep_service(
    client: DokployClient, clock: Clock, query: ServiceQuery, params: Mapping[str, t.Any], check: bool
) -> Outcome[t.Any]:
    replicas = params["replicas"]
    if replicas is not None and (params["state"] == "stopped" or replicas < 1):
        raise PlatformError(
            "replicas is for state=running, and at least 1.", "Leave it out, or use state=stopped to have none."
        )
    if replicas is not None and query.kind != "application":
        raise PlatformError(f"Dokploy keeps no number of replicas for a {query.option} service.", "Leave replicas out.")
    client.version()
    service = find_service(client, query)
    keeper = _keeper_of(service)(client, clock, params["wait_timeout"], params["stable_for"])
    if params["state"] == "stopped":
        return keeper.stop(service, check)
    return keeper.run(service, replicas, check)


def _keeper_of(service: Service) -> type[Keeper[t.Any]]:
    if isinstance(service, Application):
        return ApplicationKeeper
    return ComposeKeeper if isinstance(service, Compose) else DatabaseKeeper
