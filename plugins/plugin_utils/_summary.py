# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of each host of a run, in one table: for a run over several platforms."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..module_utils._clock import Clock
from ..module_utils._lock import spoken

#: Under this name a playbook keeps what a host's row shall tell, by the host's name, with set_stats.
FIGURES = "platforms"
DONE, PLANNED, FAILED, UNREACHABLE, NOT_BEGUN = "done", "planned", "FAILED", "UNREACHABLE", "not begun"
_SPANS = {"rpo_seconds": "RPO", "rto_seconds": "RTO"}
_LONGEST = 160
# The failures of the roles are whole pages; this line of them is the reason.
_REASON = re.compile(r"^\s*what happened\s+(.+)$", re.MULTILINE)


@dataclass
class _Platform:
    began: float | None = None
    ended: float = 0.0
    reason: str = ""


class Summary:
    """Notes when each host began and ended, and the last thing that went wrong."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._platforms: dict[str, _Platform] = {}

    def expect(self, hosts: Iterable[str]) -> None:
        """The hosts of a play, in its order. A play that is of the controller too is a check before the work."""
        names = list(hosts)
        if "localhost" not in names:
            for name in names:
                self._platforms.setdefault(name, _Platform())

    def begin(self, host: str) -> None:
        platform = self._platforms.get(host)
        if platform and platform.began is None:
            platform.began = platform.ended = self._clock.monotonic()

    def end(self, host: str, failure: str | None = None) -> None:
        """Of a task.

        :param failure: its message, which a later one replaces: a role's last word sums up what was before.
        """
        if platform := self._platforms.get(host):
            platform.ended = self._clock.monotonic()
            platform.reason = platform.reason if failure is None else reason_in(failure)

    def lines(
        self, failed: Iterable[str], unreachable: Iterable[str], figures: Mapping[str, t.Any], planned: bool = False
    ) -> list[str]:
        """The table; empty unless there are several hosts, and one of them began.

        :param failed: the hosts that failed in the end, whatever was rescued on the others.
        :param figures: what playbooks kept, by host.
        """
        if len(self._platforms) < 2 or not any(platform.began is not None for platform in self._platforms.values()):
            return []
        outcomes = dict.fromkeys(self._platforms, PLANNED if planned else DONE)
        outcomes.update({host: NOT_BEGUN for host, platform in self._platforms.items() if platform.began is None})
        outcomes.update({host: FAILED for host in failed if host in outcomes})
        outcomes.update({host: UNREACHABLE for host in unreachable if host in outcomes})
        width = max(len("platform"), *map(len, outcomes))
        rows = [f"{'platform':<{width}}  {'outcome':<11}  {'seconds':>7}"]
        for host, outcome in outcomes.items():
            platform = self._platforms[host]
            seconds = "" if platform.began is None else f"{platform.ended - platform.began:.1f}"
            went_wrong = outcome in (FAILED, UNREACHABLE)
            told = platform.reason if went_wrong else _told(figures.get(host))
            rows.append(f"{host:<{width}}  {outcome:<11}  {seconds:>7}  {told}".rstrip())
        left = [host for host, outcome in outcomes.items() if outcome not in (DONE, PLANNED)]
        again = [f"the others again: --limit {','.join(left)}"] if left else []
        return [f"PLATFORMS  {_counted(outcomes.values())}", "", *rows, *again]


def reason_in(message: str) -> str:
    """The reason that a failure gives, in one line."""
    found = _REASON.search(message)
    words = (found.group(1) if found else message).split()
    text = "".join(character if character.isprintable() else "�" for character in " ".join(words))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _told(kept: t.Any) -> str:
    if not isinstance(kept, Mapping):
        return ""
    spans = [
        f"{label} {spoken(kept[name])}" for name, label in _SPANS.items() if isinstance(kept.get(name), (int, float))
    ]
    return reason_in(", ".join([*spans, str(kept["what"])] if kept.get("what") else spans))


def _counted(outcomes: Iterable[str]) -> str:
    known = list(outcomes)
    kinds = (FAILED, UNREACHABLE, NOT_BEGUN, PLANNED, DONE)
    return ", ".join(f"{known.count(kind)} {kind}" for kind in kinds if kind in known)
