# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom an event concerns, and who is told when the first cannot be reached. Knows nothing of how messages travel."""

from __future__ import annotations

import typing as t
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from .._duration import seconds_in
from .._errors import PlatformError
from .events import ALARM, BAD, EVENTS, GOOD, TEST, failures_of

DELIVERED, FAILED, SILENCED, PLANNED = "delivered", "failed", "silenced", "planned"


@dataclass(frozen=True)
class Contact:
    """A role of the runbook.

    :param events: names or shell patterns of the events that concern it.
    :param channels: names of the channels it is told on, all of them.
    :param escalation: the role that is told when none of the channels takes the message.
    :param escalate_after: seconds of standing failure after which that role is told as well; None for never.
    """

    role: str
    owns: str = ""
    events: tuple[str, ...] = ("*",)
    channels: tuple[str, ...] = ()
    escalation: str = ""
    escalate_after: float | None = None

    def wants(self, names: set[str]) -> bool:
        return any(fnmatchcase(name, pattern) for name in names for pattern in self.events)

    def shown(self) -> str:
        return f"{self.role} ({self.owns})" if self.owns else self.role


@dataclass(frozen=True)
class Recipient:
    """A contact that is to be told.

    :param because: why it is told of what is not its own; empty for its own.
    """

    contact: Contact
    because: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of a message on one channel."""

    state: str
    reason: str = ""
    cut_lines: int = 0


@dataclass(frozen=True)
class Told:
    """What became of a message to one contact, channel by channel."""

    recipient: Recipient
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)

    @property
    def reached(self) -> bool:
        """Nobody waits for one who was silenced on purpose."""
        return not self.outcomes or any(outcome.state != FAILED for outcome in self.outcomes.values())


def contacts_from(rows: Sequence[Mapping[str, t.Any]]) -> list[Contact]:
    """The contacts of the inventory, or the reason why one is none."""
    contacts = []
    for row in rows:
        role = row["role"]
        for channel in row.get("channels") or ():
            if "://" in channel:
                raise PlatformError(
                    f"A channel of the contact {role} is an address, which is a secret.",
                    "Put it under channels (platform_channels) with a name, and give the name here.",
                )
        contacts.append(
            Contact(
                role=role,
                owns=row.get("owns") or "",
                events=tuple(row.get("events") or ("*",)),
                channels=tuple(row.get("channels") or ()),
                escalation=row.get("escalation") or "",
                escalate_after=seconds_in(row["escalate_after"], f"escalate_after of {role}")
                if row.get("escalate_after")
                else None,
            )
        )
    return contacts


def problems_of(contacts: Sequence[Contact], channels: Mapping[str, str]) -> list[str]:
    """What is wrong with the list, found before it matters."""
    roles = [contact.role for contact in contacts]
    problems = [f"{role} is there more than once." for role in dict.fromkeys(roles) if roles.count(role) > 1]
    for contact in contacts:
        if not contact.channels:
            problems.append(f"{contact.role} has no channel.")
        problems += [
            f"{contact.role}: there is no channel {channel}. Known: {', '.join(sorted(channels)) or 'none'}."
            for channel in contact.channels
            if channel not in channels
        ]
        problems += [
            f"{contact.role}: no event is called {pattern}."
            for pattern in contact.events
            if not any(fnmatchcase(name, pattern) for name in EVENTS)
        ]
        if contact.escalation and contact.escalation not in roles:
            problems.append(f"{contact.role}: escalation names {contact.escalation}, whom nobody knows.")
        if contact.escalate_after is not None and not contact.escalation:
            problems.append(f"{contact.role}: escalate_after without escalation does nothing.")
    problems += [
        f"Nobody is told of {name}."
        for name, (_kind, meaning) in EVENTS.items()
        if meaning in (BAD, ALARM) and not any(contact.wants({name}) for contact in contacts)
    ]
    return problems


def route(name: str, contacts: Sequence[Contact], recovered: bool = False, standing: float = 0.0) -> list[Recipient]:
    """Who is told of an event.

    :param recovered: it ends failures, so whoever was told of those hears the good end too.
    :param standing: for how many seconds its kind has been failing.
    """
    if name == TEST:
        return [Recipient(contact) for contact in contacts]
    kind, meaning = EVENTS[name]
    names = {name} | (failures_of(kind) if recovered and meaning == GOOD else set())
    chosen = [Recipient(contact) for contact in contacts if contact.wants(names)]
    if meaning != BAD:
        return chosen
    told = {recipient.contact.role for recipient in chosen}
    overdue = deque(chosen)
    while overdue:
        contact = overdue.popleft().contact
        if contact.escalate_after is None or standing < contact.escalate_after:
            continue
        for above in _named(contact.escalation, contacts):
            if above.role not in told:
                told.add(above.role)
                chosen.append(Recipient(above, f"this has been failing for longer than {contact.role} was given"))
                overdue.append(chosen[-1])
    return chosen


def deliver(
    recipients: Sequence[Recipient],
    contacts: Sequence[Contact],
    send: Callable[[Recipient, str], Outcome],
) -> list[Told]:
    """Tell everyone, each channel once; and whom the unreached escalate to, as far up as it goes.

    :param send: sends to a channel by its name.
    """
    waiting = deque(recipients)
    roles = {recipient.contact.role for recipient in recipients}
    by_channel: dict[str, Outcome] = {}
    told = []
    while waiting:
        recipient = waiting.popleft()
        contact = recipient.contact
        for channel in contact.channels:
            if channel not in by_channel:
                by_channel[channel] = send(recipient, channel)
        told.append(Told(recipient, {channel: by_channel[channel] for channel in contact.channels}))
        if told[-1].reached:
            continue
        for above in _named(contact.escalation, contacts):
            if above.role not in roles:
                roles.add(above.role)
                waiting.append(Recipient(above, f"{contact.role} could not be reached"))
    return told


def unreached(told: Sequence[Told]) -> list[str]:
    """The roles that heard nothing, and neither did anyone above them."""
    by_role = {one.recipient.contact.role: one for one in told}

    def heard(role: str, seen: frozenset[str]) -> bool:
        one = by_role.get(role)
        if one is None or role in seen:
            return False
        return one.reached or heard(one.recipient.contact.escalation, seen | {role})

    return [role for role in by_role if not heard(role, frozenset())]


def owners(name: str, recipients: Sequence[Recipient]) -> list[Contact]:
    """Of those who are told, those whose business it is: who asked for it by more than a bare star."""
    own = [recipient.contact for recipient in recipients if not recipient.because]
    named = [
        contact for contact in own if any(pattern != "*" and fnmatchcase(name, pattern) for pattern in contact.events)
    ]
    return named or own


def _named(role: str, contacts: Sequence[Contact]) -> Iterator[Contact]:
    return (contact for contact in contacts if contact.role == role)
