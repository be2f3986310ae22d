# SPDX-License-Identifier: GPL-3.0-or-later
"""The procedures that the double knows, by name."""

from __future__ import annotations

from lab.dokploy.procedures import applications, deployments, projects, services
from lab.dokploy.procedures.registry import Procedure, Server

PROCEDURES: dict[str, Procedure] = {
    procedure.name: procedure
    for module in (applications, deployments, projects, services)
    for procedure in module.PROCEDURES
}

__all__ = ["PROCEDURES", "Procedure", "Server"]
