# SPDX-License-Identifier: GPL-3.0-or-later
"""How a message reads where there is room, and where there is not."""

from __future__ import annotations

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._notify.contacts import Contact, Recipient
from ansible_collections.vedfinance.platform.plugins.module_utils._notify.events import Event, Failing, State, after
from ansible_collections.vedfinance.platform.plugins.module_utils._notify.message import (
    Limits,
    addressed,
    fitting_body,
    fitting_title,
    message_for,
)
from hypothesis import given
from hypothesis import strategies as st

RUN = "20261123T020000Z"
TITLE = "DRILL FAILED: shop on vps"


def event(name: str = "drill_failed", **values: str) -> Event:
    given_values = {"title": TITLE, "severity": "failure", "host": "vps", "database": "shop", "body": "What  it fell"}
    return Event(name=name, run=RUN, thread=RUN, **{**given_values, **values})


def test_the_run_stands_in_the_title_only_where_messages_cannot_be_joined() -> None:
    assert message_for(event(), Limits()).title == f"{TITLE} [{RUN}]"
    assert message_for(event(), Limits(threads=True)).title == TITLE


@pytest.mark.parametrize(
    ("limit", "title"),
    [(0, "A long title [run]"), (18, "A long title [run]"), (14, "A long… [run]"), (8, "A long…")],
)
def test_the_run_survives_a_short_title(limit: int, title: str) -> None:
    assert fitting_title("A long title", " [run]", limit) == title


def test_details_are_cut_first_and_it_says_so() -> None:
    long = event(details="\n".join(f"line {number}" for number in range(100)), report="/r.html", body="What\nOwner")
    cut = message_for(long, Limits(body=120, threads=True))
    assert len(cut.body) <= 120
    lines = cut.body.split("\n")
    assert lines[:4] == ["What", "Owner", "", "line 0"]
    assert lines[-1] == f"… {cut.cut_lines} more lines, see /r.html"
    assert cut.cut_lines == 103 - (len(lines) - 1)


def test_without_titles_the_title_needs_room_in_the_body() -> None:
    long = event(body="x\n" * 200)
    limits = Limits(title=0, body=150)
    message = message_for(long, limits)
    assert len(message.title) + 2 + len(message.body) <= 150
    assert message.cut_lines


@given(st.lists(st.text(alphabet="ab ", max_size=40), min_size=1, max_size=30), st.integers(1, 400))
def test_whatever_is_cut_fits_and_is_counted(lines: list[str], limit: int) -> None:
    body = "\n".join(lines)
    text, missing = fitting_body(body, limit)
    assert len(text) <= limit
    assert (missing == 0) is (text == body)
    if missing and missing < len(lines):
        assert text.split("\n")[:-1] == lines[: len(lines) - missing]


def test_one_endless_line_is_cut_within() -> None:
    assert fitting_body("x" * 50, 10) == ("x" * 9 + "…", 1)


def test_who_owns_it_who_else_is_told_and_where_the_story_is() -> None:
    told = [
        Recipient(Contact("Admin", "VPS")),
        Recipient(Contact("Backend", "API", ("drill_*",))),
        Recipient(Contact("Chief"), "Admin could not be reached"),
    ]
    assert addressed(event(report="/r.html"), told, None).body.split("\n") == [
        "What  it fell",
        "Owner      Backend (API)",
        "Also told  Admin, Chief",
        "Report     /r.html",
    ]


def test_a_recovery_says_what_it_ended() -> None:
    ended = addressed(event("drill_proved"), [], Failing(3, "2026-11-20T02:00:00Z"))
    assert ended.title == f"RECOVERED: {TITLE}"
    assert "It had failed 3 times since 2026-11-20T02:00:00Z." in ended.body
    assert "It had failed once since" in addressed(event("drill_proved"), [], Failing(1, "2026-11-20T02:00:00Z")).body


def test_why_someone_else_is_told_and_how_late() -> None:
    message = message_for(event(), Limits(threads=True), "Admin could not be reached", "2026-11-22T02:00:00Z")
    assert message.title == f"LATE, of 2026-11-22T02:00:00Z: {TITLE}"
    assert message.body.startswith("Escalated  You are told because Admin could not be reached.\nWhat")


def test_failures_are_counted_by_kind_host_and_database_until_a_success() -> None:
    state: State = {}
    for name, host, failures in [
        ("drill_failed", "vps", 0),
        ("drill_missed", "vps", 1),
        ("drill_failed", "other", 0),
        ("backup_failed", "vps", 0),
        ("backup_succeeded", "vps", 1),
        ("recovery_started", "vps", 0),
        ("drill_proved", "vps", 2),
        ("drill_proved", "vps", 0),
        ("breach", "vps", 0),
        ("breach", "vps", 0),
    ]:
        state, before = after(state, event(name, host=host), "2026-11-20T02:00:00Z")
        assert (before.failures if before else 0) == failures, (name, host)
    assert list(state) == ["drill|other|shop"]
