# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a failed backup, drill or recovery says who owns it, and comes with as little as the first task knows."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.roles.templated import Templated

CONTACTS = [
    {"role": "System Admin", "channels": ["ops"]},
    {"role": "Backend Lead", "events": ["*_failed"], "channels": ["dev_api"], "escalation": "System Admin"},
]
LINE = "who owns this  Backend Lead (dev_api), then System Admin"
# What stands when the very first task has failed.
KNOWN: dict[str, dict[str, Any]] = {
    "backup": {"backup_failure": "no answer", "backup_dumps": {"latest_stable": None}},
    "backup_verification": {
        "backup_verification_entry": {},
        "backup_verification_ledger": {},
        "backup_verification_failure": "no answer",
        "backup_verification_warnings": [],
    },
    "disaster_recovery": {
        "disaster_recovery_failed_task": "Stop the API",
        "disaster_recovery_failure": "no answer",
        "disaster_recovery_restored": {},
        "disaster_recovery_run": "20261123T080000Z",
    },
}


def text_of(role: str, **given: Any) -> str:
    facts = {"inventory_hostname": "vps", "platform_postgres_database": "shop", "platform_backup_dir": "/b"}
    return Templated(role, **facts, **KNOWN[role], **given).text("failure.txt.j2")


@pytest.mark.parametrize("role", KNOWN)
def test_who_owns_it(role: str) -> None:
    assert LINE in text_of(role, platform_contacts=CONTACTS).splitlines()


@pytest.mark.parametrize("role", KNOWN)
@pytest.mark.parametrize("nobody", [{}, {"platform_contacts": []}])
def test_nobody_owns_it(role: str, nobody: dict[str, Any]) -> None:
    text = text_of(role, **nobody)
    assert "who owns this" not in text
    assert "no answer" in text
    assert "what to do" in text


def test_a_dump_that_was_not_sent_elsewhere_needs_no_other_dump() -> None:
    offsite = {"remote": "disk:pg"}

    def told(made: dict[str, Any]) -> str:
        return text_of("backup", backup_offsite=offsite, backup_made=made)

    unsent = told({"dump": "/b/shop.dump", "manifest": {"offsite": None}})
    assert "send it with playbooks/backup.yml --tags offsite" in unsent
    for made in ({"dump": "/b/shop.dump", "manifest": {"offsite": offsite}}, {"dump": None, "manifest": None}):
        assert "Mend the cause and run playbooks/backup.yml again." in told(made)


@pytest.mark.parametrize("role", ["migrate", "hotfix"])
@pytest.mark.parametrize(
    ("result", "lines"),
    [
        ({"msg": "Mend it.\nThen go on.\n"}, ['what happened  "Look" failed: Mend it.', "               Then go on."]),
        ({}, ['what happened  "Look" failed.', "what to do     Look at the error above."]),
    ],
)
def test_why_it_cannot_begin(role: str, result: dict[str, Any], lines: list[str]) -> None:
    facts = {"inventory_hostname": "vps", "ansible_failed_task": {"name": "Look"}, "ansible_failed_result": result}
    text = Templated(role, **facts, platform_postgres_database="shop").text("cannot_begin.txt.j2")
    assert text.splitlines()[2:] == lines
