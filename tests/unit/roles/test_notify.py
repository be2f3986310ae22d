# SPDX-License-Identifier: GPL-3.0-or-later
"""Every event has a text that a phone can show, whatever is known of it."""

from __future__ import annotations

from typing import Any

import jinja2
import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._notify.events import EVENTS

from tests.conftest import ROOT
from tests.unit.roles.templated import Templated

RUN = "20261123T020000Z"
KNOWN = {
    "database": "shop",
    "reason": "the disk\nis full " + "and so on " * 200,
    "dump": "shop_20261123.dump",
    "version": "1.4.0",
    "rows": 1234567,
    "rpo_seconds": 5400,
    "rto_seconds": 61.24,
    "outage_seconds": 200000,
    "failures_in_a_row": 3,
}


def lines_of(event: str, **given: Any) -> list[str]:
    # As Ansible's template lookup sets it up, with the one filter of its own that the templates use.
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROOT / "roles" / "notify" / "templates"),
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
        autoescape=jinja2.select_autoescape(),
    )
    environment.filters["split"] = str.split
    text = environment.get_template(f"{event}.j2").render(
        notify_event={"event": event, "run": RUN, **given}, inventory_hostname="vps"
    )
    return text.splitlines()


@pytest.mark.parametrize("event", EVENTS)
def test_nothing_known(event: str) -> None:
    title, *lines = lines_of(event)
    assert title.endswith(": vps")
    assert [line[:11].strip() for line in lines] == ["What", "Now", "To do", "Run"]
    assert all(line[11:].strip() for line in lines)


@pytest.mark.parametrize("event", EVENTS)
def test_everything_known(event: str) -> None:
    title, *lines = lines_of(event, facts=KNOWN, title="unused", host="db1", severity="warning")
    assert title.endswith(", WITH WARNINGS: shop on db1")
    assert len(title) <= 60
    assert [line[:11].strip() for line in lines] == ["What", "Version", "Dump", "Now", "To do", "Figures", "Run"]
    assert lines[0].startswith("What       the disk is full and so on")
    assert lines[5] == ("Figures    RPO 1 h 30 min, RTO 61.2 s, outage 2 d 7 h, 1,234,567 rows, 3 failures in a row")
    assert sum(map(len, lines)) < 900


def test_the_caller_knows_better() -> None:
    facts = {"what_stands": "The old version serves.", "what_to_do": "Wait."}
    lines = lines_of("deploy_failed", facts=facts, title="It fell")
    assert lines[1:4] == ["What       It fell", "Now        The old version serves.", "To do      Wait."]


def test_titles_tell_events_apart() -> None:
    titles = [lines_of(event)[0] for event in EVENTS]
    assert len(set(titles)) == len(titles)


def test_contacts_say_why_a_channel_is_silent() -> None:
    rows = [
        {
            "contact": "Ops",
            "channel": "mail",
            "address": "",
            "state": "silenced",
            "reason": "The channel has no address.",
        },
        {"contact": "Ops", "channel": "chat", "address": "json://… (Ops)", "state": "planned", "reason": None},
    ]
    text = Templated(
        "notify",
        inventory_hostname="vps",
        notify_to=[{"role": "Ops"}],
        notify_result={"deliveries": rows, "problems": [], "waiting": 1},
        notify_spool="/s",
    ).text("notify_contacts.j2")
    assert "mail: silenced: The channel has no address.\n" in text
    assert "chat: json://…\n" in text
    assert "1 undelivered message in /s" in text
