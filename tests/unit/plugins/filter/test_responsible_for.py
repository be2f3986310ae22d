# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever owns a failure is named in its text, and nothing that is wrong with the contacts hides that text."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from tests.conftest import ROOT

# By its path: where Python has imported the folder of filters by name, Ansible finds none in it any more.
_SPEC = importlib.util.spec_from_file_location("responsible_for", ROOT / "plugins" / "filter" / "responsible_for.py")
assert _SPEC
assert _SPEC.loader
_FILTER = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_FILTER)
responsible_for = _FILTER.FilterModule().filters()["responsible_for"]

ADMIN = {"role": "System Admin", "channels": ["ops", "ops_mail"], "escalation": "Backend Lead", "escalate_after": "2d"}
LEAD = {
    "role": "Backend Lead",
    "owns": "API and database integrity",
    "events": ["deploy_*", "drill_failed"],
    "channels": ["dev_api"],
    "escalation": "System Admin",
}


def texts(contacts: Any, event: str) -> list[str]:
    return [one["text"] for one in responsible_for(contacts, event)]


def test_who_asked_for_the_event_owns_it() -> None:
    assert responsible_for([ADMIN, LEAD], "deploy_failed") == [
        {
            "role": "Backend Lead",
            "owns": "API and database integrity",
            "channels": ["dev_api"],
            "escalation": "System Admin",
            "escalate_after": "",
            "text": "Backend Lead (dev_api), then System Admin",
        }
    ]


def test_what_is_no_list_hides_no_failure() -> None:
    assert texts([{"role": "Admin", "events": 5, "channels": True}, LEAD], "deploy_failed") == [
        "Backend Lead (dev_api), then System Admin"
    ]


def test_what_nobody_asked_for_is_owned_by_who_takes_everything() -> None:
    (owner,) = responsible_for([ADMIN, LEAD], "backup_failed")
    assert owner["text"] == "System Admin (ops, ops_mail), then Backend Lead"
    assert owner["escalate_after"] == "2d"


def test_all_who_own_it_in_the_order_of_the_list() -> None:
    web = {"role": "Frontend Lead", "events": ["deploy_failed"]}
    assert texts([web, ADMIN, LEAD], "deploy_failed") == ["Frontend Lead", "Backend Lead (dev_api), then System Admin"]


@pytest.mark.parametrize("nobody", [[], None, [{**LEAD, "events": ["backup_*"]}]])
def test_nobody(nobody: Any) -> None:
    assert responsible_for(nobody, "deploy_failed") == []


def test_an_address_is_never_shown() -> None:
    address = "slack://a-secret/#dev-api"
    (owner,) = responsible_for([{**LEAD, "channels": [address, "mail"]}], "deploy_failed")
    assert owner["channels"] == ["mail"]
    assert "a-secret" not in str(owner)


def test_what_is_wrong_with_a_contact_hides_nobody_else() -> None:
    wrong = [{"owns": "no role"}, "no contact", {"role": "Nobody", "events": "deploy_failed", "escalate_after": "soon"}]
    assert texts([*wrong, LEAD], "deploy_failed") == ["Nobody", "Backend Lead (dev_api), then System Admin"]


def test_an_event_that_nobody_knows_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(AnsibleFilterError, match="No event is called deploy_fialed"):
        responsible_for([LEAD], "deploy_fialed")


@pytest.mark.parametrize("event", ["backup_failed", "drill_failed", "recovery_failed", "deploy_failed", "breach"])
def test_the_runbook_has_an_owner_for_everything(event: str) -> None:
    contacts = yaml.safe_load(
        (ROOT / "inventory" / "production" / "group_vars" / "platform" / "contacts.yml").read_text()
    )
    assert texts(contacts["platform_contacts"], event)
