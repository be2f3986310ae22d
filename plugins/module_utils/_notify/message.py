# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an event reads on a channel: whole where there is room, and cut where there is not, saying so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .contacts import Recipient, owners
from .events import Event, Failing


@dataclass(frozen=True)
class Limits:
    """What fits into a channel.

    :param title: characters of a title; 0 when the channel has none and it becomes the body's first line.
    :param threads: whether the channel can join a result to its start.
    """

    title: int = 250
    body: int = 32768
    threads: bool = False


@dataclass(frozen=True)
class Message:
    title: str
    body: str
    severity: str
    thread: str
    cut_lines: int = 0


def addressed(event: Event, recipients: Sequence[Recipient], ended: Failing | None) -> Event:
    """The event with who owns it, and with the failures that it ended."""
    lines = [event.body.rstrip()]
    if ended:
        times = "once" if ended.failures == 1 else f"{ended.failures} times"
        lines.append(f"Before     It had failed {times} since {ended.since}.")
    told = [recipient.contact for recipient in recipients]
    own = owners(event.name, recipients)
    if own:
        lines.append(f"Owner      {', '.join(contact.shown() for contact in own)}")
    others = [contact.role for contact in told if contact not in own]
    if others:
        lines.append(f"Also told  {', '.join(others)}")
    if event.report:
        lines.append(f"Report     {event.report}")
    return replace(
        event,
        title=f"RECOVERED: {event.title}" if ended else event.title,
        body="\n".join(line for line in lines if line),
    )


def message_for(event: Event, limits: Limits, because: str = "", late: str = "") -> Message:
    """The event as a channel of these limits takes it.

    :param because: why this is told to someone whose business it is not.
    :param late: when it happened, if it is told late.
    """
    title = f"LATE, of {late}: {event.title}" if late else event.title
    if not limits.threads and event.run not in title:
        title = fitting_title(title, f" [{event.run}]", limits.title)
    else:
        title = fitting_title(title, "", limits.title)
    body = f"Escalated  You are told because {because}.\n{event.body}" if because else event.body
    if event.details:
        body = f"{body}\n\n{event.details.rstrip()}"
    # Without titles, the title and a line break go into the body.
    room = limits.body - (len(title) + 2 if limits.title <= 0 else 0)
    body, cut_lines = fitting_body(body, room, event.report)
    return Message(title, body, event.severity, event.thread, cut_lines)


def fitting_title(title: str, ending: str, limit: int) -> str:
    """The title and its ending; where there is no room, the ending stays whole."""
    if limit <= 0 or len(title) + len(ending) <= limit:
        return title + ending
    if len(ending) >= limit // 2:
        ending = ""
    return f"{title[: limit - len(ending) - 1].rstrip()}…{ending}"


def fitting_body(body: str, limit: int, report: str = "") -> tuple[str, int]:
    """As many whole lines as there is room for, then how many are missing; and that number."""
    if len(body) <= limit:
        return body, 0
    lines = body.split("\n")
    where = f"see {report}" if report else "see the report"
    for kept in range(len(lines) - 1, 0, -1):
        missing = len(lines) - kept
        text = "\n".join([*lines[:kept], f"… {missing} more line{'s' if missing > 1 else ''}, {where}"])
        if len(text) <= limit:
            return text, missing
    return f"{body[: max(0, limit - 1)]}…", len(lines)
