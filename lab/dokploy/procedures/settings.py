# SPDX-License-Identifier: GPL-3.0-or-later
"""settings.*"""

from __future__ import annotations

from typing import Any

from lab.dokploy.errors import ApiError
from lab.dokploy.keys import Caller
from lab.dokploy.model import Row
from lab.dokploy.procedures.registry import Collector, Server
from lab.dokploy.schema import KEY, Field

_settings = Collector("settings")
PROCEDURES = _settings.procedures


@_settings.query("getDokployVersion")
def version(server: Server, caller: Caller, given: Row) -> Any:
    return server.version.text


@_settings.query("health")
def health(server: Server, caller: Caller, given: Row) -> Any:
    return {"status": "ok"}


@_settings.mutation("updateServerIp", serverIp=KEY)
def update_server_ip(server: Server, caller: Caller, given: Row) -> Any:
    """The double has no use for it; who may set it is what matters."""
    if caller.is_member:
        raise ApiError("UNAUTHORIZED", "UNAUTHORIZED")
    return True


@_settings.mutation("updateEnforceSSO", enforceSSO=Field("boolean"))
def update_enforce_sso(server: Server, caller: Caller, given: Row) -> Any:
    raise ApiError("FORBIDDEN", "Valid enterprise license required")
