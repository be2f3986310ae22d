# SPDX-License-Identifier: GPL-3.0-or-later
"""When a database on a new host may be replaced, and when its application was never deployed there."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.roles.templated import Templated

APPLICATION = {"project": "shop", "environment": "production", "kind": "application", "name": "api"}


def role(**facts: Any) -> Templated:
    platform = {
        "platform_postgres_database": "shop",
        "platform_backup_dir": "/b",
        "platform_dokploy_url": "http://127.0.0.1:3000",
        "platform_dokploy_project": "shop",
        "platform_dokploy_environment": "production",
        "platform_dokploy_application": "api",
        "platform_api_url": "http://127.0.0.1:3001",
    }
    return Templated("provision_recovery_host", **platform, **facts)


def plan(exists: bool, rows: int | None, already: bool = False, migrations: int | None = None) -> dict[str, Any]:
    tables = [
        {"name": "public._prisma_migrations", "rows": 14, "live_rows": migrations},
        {"name": "public.users", "rows": 1000, "live_rows": 3},
    ]
    return {"plan": {"already_restored": already, "live": {"exists": exists, "rows": rows}}, "tables": tables}


@pytest.mark.parametrize(
    ("planned", "holds_data"),
    [
        (plan(exists=False, rows=None), False),
        (plan(exists=True, rows=0), False),
        (plan(exists=True, rows=14, migrations=14), False),
        (plan(exists=True, rows=17, migrations=14), True),
        # Too much to be counted, or unreadable.
        (plan(exists=True, rows=None), True),
        (plan(exists=True, rows=1000, already=True), False),
        # Nothing is fetched yet, so nothing is planned.
        ({"skipped": True}, False),
    ],
)
def test_data_is_whatever_an_application_does_not_leave_by_its_start(planned: dict[str, Any], holds_data: bool) -> None:
    assert role(provision_recovery_host_plan=planned).value("provision_recovery_host_holds_data") is holds_data


@pytest.mark.parametrize(
    ("services", "made"),
    [
        ({"services": [APPLICATION]}, True),
        ({"services": [{**APPLICATION, "kind": "compose"}]}, False),
        ({"services": [{**APPLICATION, "environment": "staging"}]}, False),
        ({"services": [{**APPLICATION, "name": "api-worker"}]}, False),
        ({"msg": "Dokploy does not answer."}, False),
    ],
)
def test_whether_the_application_is_made(services: dict[str, Any], made: bool) -> None:
    assert role(provision_recovery_host_services=services).value("provision_recovery_host_is_made") is made


@pytest.mark.parametrize(
    ("service", "deployed", "running"),
    [
        # Dokploy's own backup brings records of deployments back, and no service.
        ({"tasks": [], "quiesced": False, "deployments": [{"status": "done"}]}, False, False),
        ({"tasks": [{"state": "shutdown"}], "quiesced": False}, True, False),
        ({"tasks": [], "quiesced": True}, True, False),
        ({"tasks": [{"state": "running"}], "quiesced": False}, True, True),
    ],
)
def test_whether_it_ever_ran_here(service: dict[str, Any], deployed: bool, running: bool) -> None:
    told = role(provision_recovery_host_service=service)
    assert told.value("provision_recovery_host_was_deployed") is deployed
    assert told.value("provision_recovery_host_is_running") is running
