# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can happen, and what follows from it for the next of its kind."""

from __future__ import annotations

from dataclasses import dataclass

STARTED, GOOD, BAD, ALARM = "started", "good", "bad", "alarm"
SEVERITIES = ("info", "success", "warning", "failure")
TEST = "test"

# Event → its kind, and what it says about that kind. A good one ends what a bad one began; an alarm has no end.
EVENTS: dict[str, tuple[str, str]] = {
    "backup_succeeded": ("backup", GOOD),
    "backup_failed": ("backup", BAD),
    "drill_proved": ("drill", GOOD),
    "drill_failed": ("drill", BAD),
    "drill_missed": ("drill", BAD),
    "recovery_started": ("recovery", STARTED),
    "recovery_succeeded": ("recovery", GOOD),
    "recovery_failed": ("recovery", BAD),
    "deploy_started": ("deploy", STARTED),
    "deploy_succeeded": ("deploy", GOOD),
    "deploy_failed": ("deploy", BAD),
    "rollback_succeeded": ("rollback", GOOD),
    "rollback_failed": ("rollback", BAD),
    "migrate_succeeded": ("migrate", GOOD),
    "migrate_failed": ("migrate", BAD),
    "breach": ("breach", ALARM),
    TEST: (TEST, STARTED),
}
_SEVERITY_OF = {STARTED: "info", GOOD: "success", BAD: "failure", ALARM: "failure"}


@dataclass(frozen=True)
class Event:
    """One thing that happened, in words that may be shown to anyone.

    :param body: what a person must know, short.
    :param details: what may be cut away where there is no room.
    :param thread: joins the start of something with its result.
    :param report: path or address of the whole story.
    """

    name: str
    title: str
    severity: str
    host: str
    run: str
    thread: str
    body: str = ""
    details: str = ""
    database: str = ""
    report: str = ""

    @property
    def kind(self) -> str:
        return EVENTS[self.name][0]

    @property
    def meaning(self) -> str:
        return EVENTS[self.name][1]


def severity_of(name: str) -> str:
    """The severity of an event of which nothing else is said."""
    return _SEVERITY_OF[EVENTS[name][1]]


def failures_of(kind: str) -> set[str]:
    """The events by which something of this kind fails."""
    return {name for name, (its_kind, meaning) in EVENTS.items() if its_kind == kind and meaning == BAD}


@dataclass(frozen=True)
class Failing:
    """Failures in a row, of one kind, host and database."""

    failures: int
    since: str


State = dict[str, Failing]


def failing_key(event: Event) -> str:
    return "|".join((event.kind, event.host, event.database))


def after(state: State, event: Event, now: str) -> tuple[State, Failing | None]:
    """The state that this event leaves, and the failures that stood before it."""
    key = failing_key(event)
    before = state.get(key)
    others = {name: failing for name, failing in state.items() if name != key}
    if event.meaning == GOOD:
        return others, before
    if event.meaning == BAD:
        failing = Failing(before.failures + 1, before.since) if before else Failing(1, now)
        return {**others, key: failing}, before
    return state, before
