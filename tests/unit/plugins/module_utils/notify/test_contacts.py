# SPDX-License-Identifier: GPL-3.0-or-later
"""Who hears of what, as a table; and who hears it when the first cannot be reached."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._notify.contacts import (
    DELIVERED,
    FAILED,
    SILENCED,
    Contact,
    Outcome,
    Recipient,
    Told,
    contacts_from,
    deliver,
    owners,
    problems_of,
    route,
    unreached,
)

DAY = 86400.0
ADMIN = Contact("Admin", "VPS", ("*",), ("ops", "mail"), escalation="Backend")
BACKEND = Contact("Backend", "API", ("drill_failed", "deploy_*"), ("dev",), escalation="Chief", escalate_after=2 * DAY)
SECURITY = Contact("Security", "breaches", ("breach",), ("safe",), escalation="Admin")
NIGHT = Contact("Night", "backups", ("*_failed",), ("pager",), escalation="Admin")
CHIEF = Contact("Chief", "", ("breach",), ("phone",), escalation="Owner", escalate_after=DAY)
OWNER = Contact("Owner", "", ("breach",), ("letter",))
ALL = (ADMIN, BACKEND, SECURITY, NIGHT, CHIEF, OWNER)


@pytest.mark.parametrize(
    ("event", "recovered", "standing", "roles"),
    [
        ("backup_succeeded", False, 0, ["Admin"]),
        ("backup_failed", False, 0, ["Admin", "Night"]),
        # Who heard of the failure hears its end.
        ("backup_succeeded", True, 0, ["Admin", "Night"]),
        ("drill_proved", True, 0, ["Admin", "Backend", "Night"]),
        ("drill_proved", False, 0, ["Admin"]),
        ("drill_failed", False, 0, ["Admin", "Backend", "Night"]),
        ("drill_missed", False, 0, ["Admin"]),
        ("deploy_started", False, 0, ["Admin", "Backend"]),
        ("breach", False, 0, ["Admin", "Security", "Chief", "Owner"]),
        # Above whom it has gone on too long, as far up as that is so.
        ("deploy_failed", False, 2 * DAY - 1, ["Admin", "Backend", "Night"]),
        ("deploy_failed", False, 2 * DAY, ["Admin", "Backend", "Night", "Chief", "Owner"]),
        ("deploy_started", False, 9 * DAY, ["Admin", "Backend"]),
        ("test", False, 0, ["Admin", "Backend", "Security", "Night", "Chief", "Owner"]),
    ],
)
def test_route(event: str, recovered: bool, standing: float, roles: list[str]) -> None:
    assert [one.contact.role for one in route(event, ALL, recovered, standing)] == roles


def test_who_is_told_for_someone_else_is_told_why() -> None:
    above = route("deploy_failed", ALL, standing=2 * DAY)[-2:]
    assert [one.because for one in above] == [
        "this has been failing for longer than Backend was given",
        "this has been failing for longer than Chief was given",
    ]


@pytest.mark.parametrize(
    ("broken", "told", "alone"),
    [
        ((), ["Night"], []),
        # One of two channels is enough.
        (("pager",), ["Night", "Admin"], []),
        (("pager", "ops"), ["Night", "Admin"], []),
        (("pager", "ops", "mail"), ["Night", "Admin", "Backend"], []),
        (("pager", "ops", "mail", "dev", "phone"), ["Night", "Admin", "Backend", "Chief", "Owner"], []),
        (
            ("pager", "ops", "mail", "dev", "phone", "letter"),
            ["Night", "Admin", "Backend", "Chief", "Owner"],
            ["Night", "Admin", "Backend", "Chief", "Owner"],
        ),
    ],
)
def test_escalation(broken: tuple[str, ...], told: list[str], alone: list[str]) -> None:
    def send(_recipient: Recipient, channel: str) -> Outcome:
        return Outcome(FAILED if channel in broken else DELIVERED)

    result = deliver([Recipient(NIGHT)], ALL, send)
    assert [one.recipient.contact.role for one in result] == told
    assert unreached(result) == alone


def test_a_circle_of_escalations_ends() -> None:
    pair = (Contact("A", channels=("a",), escalation="B"), Contact("B", channels=("b",), escalation="A"))
    result = deliver([Recipient(pair[0])], pair, lambda *_: Outcome(FAILED))
    assert [one.recipient.because for one in result] == ["", "A could not be reached"]
    assert unreached(result) == ["A", "B"]


def test_a_channel_of_two_contacts_is_used_once() -> None:
    sent: list[str] = []

    def send(_recipient: Recipient, channel: str) -> Outcome:
        sent.append(channel)
        return Outcome(FAILED)

    both = [Recipient(Contact("A", channels=("ops",))), Recipient(Contact("B", channels=("ops", "mail")))]
    result = deliver(both, [], send)
    assert sent == ["ops", "mail"]
    assert all(one.outcomes["ops"].state == FAILED for one in result)


def test_nobody_steps_in_for_who_was_silenced() -> None:
    result = deliver([Recipient(NIGHT)], ALL, lambda *_: Outcome(SILENCED))
    assert [one.recipient.contact.role for one in result] == ["Night"]
    assert unreached(result) == []
    assert Told(Recipient(NIGHT)).reached


@pytest.mark.parametrize(("event", "roles"), [("drill_failed", ["Backend", "Night"]), ("backup_succeeded", ["Admin"])])
def test_owner_is_who_asked_for_it_by_name(event: str, roles: list[str]) -> None:
    assert [contact.role for contact in owners(event, route(event, ALL))] == roles


def test_problems_are_found_before_they_matter() -> None:
    contacts = (
        Contact("A", events=("backup_fail",), channels=("opps",), escalation="Nobody"),
        Contact("B", events=("*",), escalate_after=DAY, channels=("ops",)),
        Contact("B", events=("*",)),
    )
    assert problems_of(contacts, {"ops": "x"}) == [
        "B is there more than once.",
        "A: there is no channel opps. Known: ops.",
        "A: no event is called backup_fail.",
        "A: escalation names Nobody, whom nobody knows.",
        "B: escalate_after without escalation does nothing.",
        "B has no channel.",
    ]
    assert problems_of((SECURITY, ADMIN), {"ops": "", "mail": "", "safe": ""}) == [
        "Admin: escalation names Backend, whom nobody knows."
    ]
    assert "Nobody is told of breach." in problems_of((BACKEND,), {})


def row(**values: Any) -> dict[str, Any]:
    return {"role": "A", "owns": "", "events": ["*"], "channels": [], "escalation": "", "escalate_after": "", **values}


def test_an_address_among_the_channels_is_refused_unseen() -> None:
    with pytest.raises(PlatformError) as refused:
        contacts_from([row(channels=["slack://TOKEN/x/y"])])
    assert "contact A" in str(refused.value)
    assert "TOKEN" not in str(refused.value)


def test_durations_are_read_and_refused() -> None:
    assert contacts_from([row(escalate_after="2d")])[0].escalate_after == 2 * DAY
    with pytest.raises(PlatformError, match="escalate_after of A"):
        contacts_from([row(escalate_after="soon")])
