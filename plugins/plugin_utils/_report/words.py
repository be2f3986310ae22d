# SPDX-License-Identifier: GPL-3.0-or-later
"""The report's words: durations, times, sizes, and what each check and phase means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from ansible_collections.vedfinance.platform.plugins.module_utils._drill import FRESHNESS
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.report import in_time, in_units

MINUS = "\N{MINUS SIGN}"
UNKNOWN = "unknown"
_DAY = 86400
_EVEN = re.compile(r" 0 (min|h)$")

SERVICE, OLD_SERVICE = "service", "service of the old database"
#: Of the checks that every drill makes, what it means that they passed. All others are SQL of the user's own.
CHECKS: Mapping[str, str] = {
    "rows": "Every table holds as many rows as the dump",
    "catalogue": "Every table, column, view, function and right of the dump is there",
    "valid indexes and constraints": "Every index and constraint is valid",
    "sequences": "No sequence would hand out a key that is taken",
    "prisma_migrations": "The migrations are complete",
    "content": "Every row equals the dump's, bit for bit",
    "amcheck": "Indexes and tables are sound inside",
    "settings and grants of the database": "The database has its settings and grants",
    FRESHNESS: "The newest business row is known",
    SERVICE: "The API is healthy, and its integrity report is good",
    OLD_SERVICE: "The API is healthy on the old database",
}
#: Phases of a restore, in their order. Those that are indented are parts of the one before.
PHASES: Mapping[str, str] = {
    "judge": "Read and judge the dump",
    "create": "Make the database",
    "load": "Load",
    "schema": "Tables",
    "data": "Rows",
    "indexes": "Indexes",
    "constraints": "Constraints",
    "views": "Views",
    "verify": "Prove",
    "keep": "Keep it ready",
    "clone": "Copy the kept database",
    "swap": "Take over",
    "analyze": "Statistics",
}
LOAD_PARTS = ("schema", "data", "indexes", "constraints", "views")


def span(seconds: float | None) -> str:
    """A duration, as exact as somebody who waits for it would say it."""
    if seconds is None:
        return UNKNOWN
    if 0 < seconds < 10:
        return f"{seconds:.1f} s" if seconds >= 0.05 else f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if _DAY <= seconds < 2 * _DAY:
        return f"{seconds // 3600:.0f} h"
    return _EVEN.sub("", in_time(seconds))


def size(count: float | None) -> str:
    return UNKNOWN if count is None else in_units(count)


def number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,.0f}"


def difference(value: int | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{MINUS if value < 0 else '+'}{abs(value):,}" if value else "0"


def times(count: int, one: str, many: str | None = None) -> str:
    """3 nights, 1 night."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def ordinal(count: int) -> str:
    """1st, 2nd, 11th, 23rd."""
    ending = "th" if count % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(count % 10, "th")
    return f"{count}{ending}"


def when(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%a %-d %b %Y, %H:%M UTC")


def day(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%-d %b")


def check_in_words(check: Mapping[str, Any]) -> str:
    name = str(check["name"])
    if name == FRESHNESS and check.get("result") == "passed":
        newest = datetime.fromtimestamp(float(check["detail"]), timezone.utc)
        return f"The newest business row is of {when(newest)}"
    return CHECKS.get(name) or f"Your check: {name}"


def detail_in_words(check: Mapping[str, Any]) -> str:
    return "" if check["name"] == FRESHNESS and check.get("result") == "passed" else str(check.get("detail") or "")
