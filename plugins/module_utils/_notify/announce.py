# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From an event to a told contact, or to a message that waits in the spool."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from .._clock import Clock, utc_text
from .._duration import seconds_in
from .._errors import PlatformError
from .._redact import redact_text
from .channels import Channel, Sending, open_channel, shown_address
from .contacts import (
    DELIVERED,
    FAILED,
    PLANNED,
    SILENCED,
    Contact,
    Outcome,
    Recipient,
    Told,
    contacts_from,
    deliver,
    problems_of,
    route,
    unreached,
)
from .events import EVENTS, GOOD, SEVERITIES, Event, Failing, after, severity_of
from .message import addressed, message_for
from .spool import Spool, Undelivered, seconds_since

#: Messages that one run sends again on one channel; the rest is left to the next.
RESENT_AT_ONCE = 10

NOTIFY_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "event": {"type": "str", "required": True, "choices": list(EVENTS)},
    "title": {"type": "str", "required": True},
    "body": {"type": "str", "default": ""},
    "details": {"type": "str", "default": ""},
    "severity": {"type": "str", "choices": list(SEVERITIES)},
    "host": {"type": "str", "required": True},
    "database": {"type": "str", "default": ""},
    "run": {"type": "str", "required": True},
    "thread": {"type": "str"},
    "report": {"type": "str", "default": ""},
    "contacts": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "role": {"type": "str", "required": True},
            "owns": {"type": "str", "default": ""},
            "events": {"type": "list", "elements": "str", "default": ["*"]},
            "channels": {"type": "list", "elements": "str", "default": []},
            "escalation": {"type": "str", "default": ""},
            "escalate_after": {"type": "str", "default": ""},
        },
    },
    "channels": {"type": "dict", "default": {}, "no_log": True},
    "secrets": {"type": "list", "elements": "str", "default": [], "no_log": True},
    "spool": {"type": "path", "required": True},
    "spool_max_age": {"type": "str", "default": "7d"},
    "timeout": {"type": "float", "default": 30.0},
    "retries": {"type": "int", "default": 2},
    "retry_wait": {"type": "float", "default": 2.0},
    "required": {"type": "bool", "default": False},
}


@dataclass(frozen=True)
class Announcement:
    """What is to be told, and by which ways.

    :param channels: addresses by name; an empty one is silenced.
    :param required: whether it is a failure when someone heard nothing.
    """

    event: Event
    contacts: Sequence[Contact]
    channels: Mapping[str, str]
    spool: Spool
    spool_max_age: float
    sending: Sending
    required: bool = False


def masked(params: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The options that are texts for people, without secrets."""
    secrets = [*params["secrets"], *_addresses(params).values()]
    return {name: redact_text(params[name], secrets) for name in ("title", "body", "details", "report")}


def _addresses(params: Mapping[str, t.Any]) -> dict[str, str]:
    return {str(name): str(url or "").strip() for name, url in params["channels"].items()}


def announcement_from(params: Mapping[str, t.Any]) -> Announcement:
    """What the options say, without secrets, or the reason why they cannot be used."""
    params = {**params, **masked(params)}
    run = params["run"]
    event = Event(
        name=params["event"],
        title=" ".join(params["title"].split()),
        severity=params["severity"] or severity_of(params["event"]),
        host=params["host"],
        run=run,
        # The runs of two hosts may begin in the same second.
        thread=f"{params['thread'] or run}.{params['host']}",
        body=params["body"].strip("\n"),
        details=params["details"].strip("\n"),
        database=params["database"],
        report=params["report"],
    )
    return Announcement(
        event=event,
        contacts=contacts_from(params["contacts"]),
        channels=_addresses(params),
        spool=Spool(params["spool"]),
        spool_max_age=seconds_in(params["spool_max_age"], "spool_max_age"),
        sending=Sending(params["timeout"], params["retries"], params["retry_wait"]),
        required=params["required"],
    )


@dataclass
class _Post:
    """The channels, each opened once, and which of them took nothing in this run."""

    announcement: Announcement
    opening: Callable[[str, str, Sending], Channel]
    refused: set[str] = field(default_factory=set)
    _open: dict[str, Channel] = field(default_factory=dict)

    def send(self, name: str, event: Event, because: str = "", late: str = "", dry: bool = False) -> Outcome:
        url = self.announcement.channels.get(name)
        if url is None:
            return Outcome(FAILED, f"There is no channel {name}.")
        if not url:
            return Outcome(SILENCED, "The channel has no address.")
        try:
            if name not in self._open:
                self._open[name] = self.opening(name, url, self.announcement.sending)
            channel = self._open[name]
            message = message_for(event, channel.limits, because, late)
            reason = None if dry else channel.send(message)
        except PlatformError as error:
            reason = str(error)
        if reason:
            self.refused.add(name)
            return Outcome(FAILED, reason)
        return Outcome(PLANNED if dry else DELIVERED, cut_lines=message.cut_lines)


def announce(
    announcement: Announcement,
    clock: Clock,
    dry: bool = False,
    opening: Callable[[str, str, Sending], Channel] = open_channel,
) -> dict[str, t.Any]:
    """Tell everyone whom it concerns, then what earlier runs could not tell. Nothing is sent or written when dry."""
    post = _Post(announcement, opening)
    spool, contacts = announcement.spool, announcement.contacts
    problems = problems_of(contacts, announcement.channels)
    now = clock.now()
    event = announcement.event
    before = _remember(announcement, event, utc_text(now), dry, problems)
    ended = before if event.meaning == GOOD else None
    standing = seconds_since(before.since, now) if before else 0.0
    recipients = route(event.name, contacts, ended is not None, standing)
    event = addressed(event, recipients, ended)
    spooled: list[str] = []

    def tell(recipient: Recipient, channel: str) -> Outcome:
        outcome = post.send(channel, event, recipient.because, dry=dry)
        if outcome.state == FAILED and channel in announcement.channels and not dry:
            kept = Undelivered(
                event, channel, recipient.contact.role, utc_text(now), 1, outcome.reason, recipient.because
            )
            try:
                spooled.append(spool.put(kept))
            except PlatformError as error:
                problems.append(str(error))
        return outcome

    told = deliver(recipients, contacts, tell)
    resent, aged_out, waiting = _catch_up(announcement, post, clock, dry, set(spooled), problems)
    alone = unreached(told)
    result: dict[str, t.Any] = {
        "event": event.name,
        "title": event.title,
        "severity": event.severity,
        "recovered": ended is not None,
        "failures_before": before.failures if before else 0,
        "recipients": [one.recipient.contact.role for one in told],
        "unreached": alone,
        "deliveries": [row for one in told for row in _rows(one, announcement.channels)],
        "undelivered": spooled,
        "resent": resent,
        "aged_out": aged_out,
        "waiting": waiting,
        "problems": problems,
    }
    result["changed"] = bool(resent or aged_out or spooled) or any(
        row["state"] in (DELIVERED, PLANNED) for row in result["deliveries"]
    )
    result["msg"] = _summary(result, dry)
    if announcement.required and (alone or not told):
        raise PlatformError(result["msg"], "Run playbooks/contacts.yml with --tags test.", **_without_msg(result))
    return result


def _without_msg(result: Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {name: value for name, value in result.items() if name != "msg"}


def _remember(announcement: Announcement, event: Event, now: str, dry: bool, problems: list[str]) -> Failing | None:
    """Write down what is failing now; what was failing before. Without a spool, nothing was."""
    spool = announcement.spool
    if dry:
        return after(spool.state(), event, now)[1]
    try:
        spool.prepare()
        with spool.locked("failing"):
            state = spool.state()
            left, before = after(state, event, now)
            if left != state:
                spool.write_state(left)
        return before
    except PlatformError as error:
        problems.append(str(error))
        return None


def _catch_up(
    announcement: Announcement, post: _Post, clock: Clock, dry: bool, new: set[str], problems: list[str]
) -> tuple[int, int, int]:
    """Send what waits, oldest first, on channels that take messages; drop what is too old. Sent, dropped, left."""
    spool = announcement.spool
    if dry:
        return 0, 0, len(spool.waiting()[0])
    sent = dropped = 0
    tried: dict[str, int] = {}
    try:
        with spool.locked("resending", wait=False) as alone:
            messages, bad_files = spool.waiting()
            problems += bad_files
            if not alone:
                return 0, 0, len(messages)
            for message in messages:
                if message.path in new:
                    continue
                name = message.channel
                if message.age(clock.now()) > announcement.spool_max_age:
                    spool.remove(message)
                    dropped += 1
                    problems.append(
                        f"Given up after {message.attempts} attempts: {message.event.title} ({message.at}), "
                        f"for {message.contact}."
                    )
                    continue
                if not announcement.channels.get(name) or name in post.refused or tried.get(name, 0) >= RESENT_AT_ONCE:
                    continue
                tried[name] = tried.get(name, 0) + 1
                outcome = post.send(name, message.event, message.because, late=message.at)
                if outcome.state == DELIVERED:
                    spool.remove(message)
                    sent += 1
                else:
                    spool.put(replace(message, attempts=message.attempts + 1, reason=outcome.reason))
            return sent, dropped, len(messages) - sent - dropped
    except PlatformError as error:
        problems.append(str(error))
        return sent, dropped, 0


def _rows(told: Told, channels: Mapping[str, str]) -> list[dict[str, t.Any]]:
    contact = told.recipient.contact
    return [
        {
            "contact": contact.role,
            "channel": name,
            "address": f"{shown_address(channels.get(name, ''))} ({contact.role})",
            "state": outcome.state,
            "reason": outcome.reason or None,
            "because": told.recipient.because or None,
            "cut_lines": outcome.cut_lines,
        }
        for name, outcome in told.outcomes.items()
    ]


def _summary(result: Mapping[str, t.Any], dry: bool) -> str:
    rows = result["deliveries"]
    if not rows:
        return f"Nobody is told of {result['event']}: no contact asks for it."
    by_state = {
        state: list(dict.fromkeys(f"{row['contact']} ({row['channel']})" for row in rows if row["state"] == state))
        for state in (DELIVERED, PLANNED, SILENCED, FAILED)
    }
    said = []
    if by_state[PLANNED]:
        said.append(f"Would tell {', '.join(by_state[PLANNED])}.")
    if by_state[DELIVERED]:
        said.append(f"Told {', '.join(by_state[DELIVERED])}.")
    if by_state[SILENCED]:
        said.append(f"Silenced: {', '.join(by_state[SILENCED])}.")
    if by_state[FAILED]:
        reasons = "; ".join(dict.fromkeys(row["reason"] for row in rows if row["state"] == FAILED))
        said.append(f"{'Cannot tell' if dry else 'NOT told'} {', '.join(by_state[FAILED])}: {reasons.rstrip('.')}.")
    if result["undelivered"]:
        said.append(f"{len(result['undelivered'])} kept to be sent by the next run.")
    if result["resent"]:
        said.append(f"{result['resent']} sent late.")
    if result["aged_out"]:
        said.append(f"{result['aged_out']} given up.")
    if result["unreached"]:
        said.append(f"NOBODY HEARD for {', '.join(result['unreached'])}.")
    return " ".join(said)
