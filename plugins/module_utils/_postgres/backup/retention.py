# SPDX-License-Identifier: GPL-3.0-or-later
"""Which dumps are kept and which may go, each with the reason. It looks at nothing and deletes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from ..._errors import PlatformError


@dataclass(frozen=True)
class Held:
    """Something in the folder that is, or may be, a dump.

    :param foreign: why it is not recognised as a dump of this database; such a one is never touched.
    :param partial: it never became a dump.
    :param bad: why no recovery should take it; None when nothing speaks against it.
    :param proved: since when a drill proves that it can be restored; None when none does.
    :param links: what points to it.
    """

    name: str
    time: datetime
    bytes: int = 0
    foreign: str | None = None
    partial: bool = False
    bad: str | None = None
    proved: str | None = None
    links: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        return not (self.foreign or self.partial or self.bad)


@dataclass(frozen=True)
class Policy:
    """How many are kept of each kind; of a day, a week and so on, one.

    :param keep_newer_than: seconds.
    :param min_proved: how many proved ones must be left; as long as there are fewer, nothing goes.
    :param stop_when_newest_bad: when so many of the newest are bad, nothing goes. 0 never stops.
    """

    keep_last: int = 0
    keep_daily: int = 0
    keep_weekly: int = 0
    keep_monthly: int = 0
    keep_yearly: int = 0
    keep_newer_than: float | None = None
    min_proved: int = 1
    stop_when_newest_bad: int = 3

    def require(self) -> None:
        counts = (self.keep_last, self.keep_daily, self.keep_weekly, self.keep_monthly, self.keep_yearly)
        if min(*counts, self.min_proved, self.stop_when_newest_bad) < 0:
            raise PlatformError("A count of the policy is negative.", "Write numbers from 0 on.")
        if not any(counts) and self.keep_newer_than is None:
            raise PlatformError(
                "The policy keeps nothing.", "Give keep_last, keep_daily, keep_weekly, keep_monthly or keep_newer_than."
            )

    def __str__(self) -> str:
        rules = {name: value for name, value in vars(self).items() if name.startswith("keep_") and value}
        return ", ".join(
            f"{name} {value:g}{' s' if name == 'keep_newer_than' else ''}" for name, value in rules.items()
        )


@dataclass(frozen=True)
class Verdict:
    held: Held
    keep: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """One verdict for each, newest first.

    :param stopped: why nothing goes, whatever the policy says; None when it may.
    """

    verdicts: tuple[Verdict, ...]
    stopped: str | None = None

    @property
    def kept(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if verdict.keep]

    @property
    def deleted(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if not verdict.keep]


_PERIODS: tuple[tuple[str, Callable[[datetime], tuple[int, ...]]], ...] = (
    ("daily", lambda time: (time.year, time.month, time.day)),
    ("weekly", lambda time: tuple(time.isocalendar()[:2])),
    ("monthly", lambda time: (time.year, time.month)),
    ("yearly", lambda time: (time.year,)),
)


def plan(held: Iterable[Held], policy: Policy, now: datetime, zone: tzinfo | None = None) -> Plan:
    """What becomes of each.

    :param zone: in which days begin; that of this host by default.
    """
    policy.require()
    newest_first = sorted(held, key=lambda one: (one.time, one.name), reverse=True)
    stopped = why_stopped(newest_first, policy)
    reasons = {one.name: _of_itself(one) for one in newest_first}
    good = [one for one in newest_first if one.good]
    for rule, one in _kept_by_rule(good, policy, zone):
        reasons[one.name].append(rule)
    for one in guardians(newest_first, policy.min_proved):
        reasons[one.name].append(f"one of the newest {policy.min_proved} that a drill has proved ({one.proved})")
    if good:
        reasons[good[0].name].append("the newest good one")
    for one in newest_first:
        if policy.keep_newer_than is not None and one.time >= now - timedelta(seconds=policy.keep_newer_than):
            reasons[one.name].append("keep_newer_than")
        if one.bad and (not good or one.time >= good[0].time):
            reasons[one.name].append("nothing newer is good: find out what is wrong with it first")
    verdicts = []
    for one in newest_first:
        kept = tuple(reasons[one.name])
        if not kept and stopped:
            kept = (f"nothing goes: {stopped}",)
        gone = (one.bad,) if one.bad else (f"beyond {policy}",)
        verdicts.append(Verdict(one, bool(kept), kept or gone))
    return Plan(tuple(verdicts), stopped)


def why_stopped(newest_first: Sequence[Held], policy: Policy) -> str | None:
    """Why nothing may go at all; None when it may."""
    own = [one for one in newest_first if not one.foreign]
    newest = own[: policy.stop_when_newest_bad]
    if newest and not any(one.good for one in newest):
        names = ", ".join(one.name for one in newest)
        return f"the newest {len(newest)} are bad ({names}), so backups or drills are broken"
    proved = sum(one.good and one.proved is not None for one in own)
    if proved < policy.min_proved:
        return f"only {proved} are proved by a drill, and min_proved is {policy.min_proved}"
    return None


def guardians(newest_first: Iterable[Held], count: int) -> list[Held]:
    """The newest ones that are proved, which never go, whatever their age."""
    return [one for one in newest_first if one.good and one.proved is not None][:count]


def _of_itself(one: Held) -> list[str]:
    found = []
    if one.foreign:
        found.append(f"not touched: {one.foreign}")
    if one.partial:
        found.append("not touched: it is being made, or the next backup removes it")
    found += [f"{link} points to it" for link in one.links]
    return found


def _kept_by_rule(good: Sequence[Held], policy: Policy, zone: tzinfo | None) -> Iterable[tuple[str, Held]]:
    for one in good[: policy.keep_last]:
        yield f"keep_last {policy.keep_last}", one
    for period, key in _PERIODS:
        count = getattr(policy, f"keep_{period}")
        if not count:
            continue
        by_period: dict[tuple[int, ...], Held] = {}
        for one in good:
            when = key(one.time.astimezone(zone))
            chosen = by_period.get(when)
            # The newest of its time, but rather one of which it is known that it can be restored.
            if chosen is None or (chosen.proved is None and one.proved is not None):
                by_period[when] = one
        for when in sorted(by_period, reverse=True)[:count]:
            yield f"keep_{period} {count} ({'-'.join(f'{part:02d}' for part in when)})", by_period[when]
