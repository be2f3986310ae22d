# SPDX-License-Identifier: GPL-3.0-or-later
"""The procedures that the double knows, by name."""

from __future__ import annotations

from lab.dokploy.procedures import (
    administration,
    applications,
    backups,
    compose,
    databases,
    deployments,
    docker,
    projects,
    schedules,
    settings,
)
from lab.dokploy.procedures.registry import SUBSCRIPTION, Procedure, Server

PROCEDURES: dict[str, Procedure] = {
    procedure.name: procedure
    for module in (
        administration,
        applications,
        backups,
        compose,
        databases,
        deployments,
        docker,
        projects,
        schedules,
        settings,
    )
    for procedure in module.PROCEDURES
}

__all__ = ["PROCEDURES", "SUBSCRIPTION", "Procedure", "Server"]
