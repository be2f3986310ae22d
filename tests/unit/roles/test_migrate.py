# SPDX-License-Identifier: GPL-3.0-or-later
"""How the role migrate calls Prisma."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tests.unit.roles.templated import Templated

IN_CONTAINER = {"image": "api:1", "network": "apps", "database_url": "postgresql://db/a", "schema": "app"}


def drift_task() -> dict[str, Any]:
    steps = yaml.safe_load((ROOT / "roles" / "migrate" / "tasks" / "migrate.yml").read_text())
    return next(task for step in steps for task in step["block"] if task["name"] == "Compare the schema with the code")


def test_code_and_schema_are_compared_in_the_checkout_whoever_migrates() -> None:
    # The module takes chdir or image, never both.
    task = drift_task()
    assert "chdir" in task["vedfinance.platform.prisma_migrate"]
    given = {"migrate_options": IN_CONTAINER, "platform_postgres_database": "academy"}
    assert Templated("migrate", **given).value("migrate_prisma_options")["image"] == "api:1"
    name = task["vars"]["migrate_run_options"].strip("{ }")
    there = Templated("migrate", **given, migrate_run_options=Templated("migrate", **given).value(name))
    options = there.value("migrate_prisma_options")
    assert options["schema"] == "app"
    assert not options.keys() & {"image", "network", "database_url"}


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ({"commit": "4f1c9d2a" * 5, "subject": "Add a note", "clean": True}, 'commit 4f1c9d2a4f1c "Add a note"'),
        (
            {"commit": "4f1c9d2a" * 5, "subject": "Add a note", "clean": False},
            'commit 4f1c9d2a4f1c "Add a note", and what is not committed there',
        ),
        ({"msg": "no git checkout"}, None),
    ],
)
def test_the_plan_names_where_the_migrations_come_from(source: dict[str, Any], line: str | None) -> None:
    facts = {
        "inventory_hostname": "vps",
        "ansible_check_mode": False,
        "platform_postgres_database": "shop",
        "migrate_health_before": {"healthy": True},
        "migrate_lock": {"lock": None},
    }
    seen = {"pending": ["1_note"], "migrations": [], "findings": []}
    text = Templated(
        "migrate", **facts, migrate_seen=seen, migrate_source=source, migrate_dump_plan={}, platform_jsonb_schemas=[{}]
    ).text("plan.txt.j2")
    told = [each[16:] for each in text.splitlines() if each.startswith("from ")]
    assert told == ([line] if line else [])
    assert "1 column is checked before and after" in text
