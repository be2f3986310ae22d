# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pages consist of. Every level is told in a word, a symbol and a colour."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ansible_collections.vedfinance.platform.plugins.module_utils._ledger import Drill

from .charts import Chart

GOOD, WARNING, BAD = LEVELS = ("good", "warning", "bad")
SYMBOLS: Mapping[str, str] = {GOOD: "\N{CHECK MARK}", WARNING: "!", BAD: "\N{MULTIPLICATION X}"}
_HEADLINES: Mapping[str, str] = {GOOD: "No need to worry", WARNING: "Have a look", BAD: "Worry"}
OUTCOMES: Mapping[str, tuple[str, str]] = {
    "proved": (GOOD, "proved"),
    "failed": (BAD, "not proved"),
    "could_not_run": (BAD, "could not run"),
    "succeeded": (GOOD, "succeeded"),
    "undone": (WARNING, "undone"),
}
RECOVERY = "disaster_recovery"
KINDS: Mapping[str, str] = {RECOVERY: "Recovery", "deploy": "Deployment", "rollback": "Rollback", "backup": "Backup"}
_SAFE = re.compile(r"[^\w.-]+", re.ASCII)


@dataclass(frozen=True)
class Targets:
    """What was promised, in seconds; None where nothing was. ``max_age`` is the time within which there is a drill."""

    rpo: float | None
    rto: float | None
    max_age: float


@dataclass(frozen=True)
class Verdict:
    """:param sentences: why, the most important first. :param advice: what to do."""

    level: str
    sentences: Sequence[str]
    advice: str = ""
    headline: str = ""

    def __post_init__(self) -> None:
        if not self.headline:
            object.__setattr__(self, "headline", _HEADLINES[self.level])

    def __str__(self) -> str:
        return " ".join([f"{self.headline}.", *self.sentences])


@dataclass(frozen=True)
class Tile:
    """One figure of the first screen. Without a level where nothing was promised."""

    name: str
    value: str
    note: str
    level: str | None = None


@dataclass(frozen=True)
class Bar:
    """A phase in the timeline; its place in percent of the whole."""

    name: str
    seconds: float
    start: float
    width: float
    part: bool = False
    outage: bool = False


@dataclass(frozen=True)
class Check:
    words: str
    result: str
    level: str
    detail: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class Row:
    """A table, and how many rows the database had or has beside those of the dump."""

    name: str
    rows: int
    live: int | None

    @property
    def difference(self) -> int | None:
        return None if self.live is None else self.rows - self.live


@dataclass(frozen=True)
class Rejected:
    name: str
    reason: str


@dataclass(frozen=True)
class Line:
    """One line of the index: a drill, a recovery, or what else stands in the journal."""

    moment: datetime
    what: str
    level: str
    outcome: str
    link: str | None = None
    dump: str = ""
    size: str = ""
    rpo: str = ""
    rto: str = ""


@dataclass(frozen=True)
class Page:
    """The page of one drill or recovery."""

    key: str
    title: str
    moment: datetime
    verdict: Verdict
    tiles: Sequence[Tile]
    checks: Sequence[Check]
    bars: Sequence[Bar]
    charts: Sequence[Chart]
    rejected: Sequence[Rejected]
    rows: Sequence[Row]
    compared: str
    facts: Sequence[tuple[str, str]]

    @property
    def file(self) -> str:
        return file_of(self.key)


@dataclass(frozen=True)
class Section:
    """What the index says of one database."""

    database: str
    verdict: Verdict
    tiles: Sequence[Tile]
    checks: Sequence[Check]
    charts: Sequence[Chart]
    drills: Sequence[Line]
    rejected: Sequence[tuple[str, Rejected]]


@dataclass(frozen=True)
class Index:
    host: str
    now: datetime
    verdict: Verdict
    #: When the index says nothing any more, because there should have been another drill.
    valid_until: datetime | None
    sections: Sequence[Section]
    recoveries: Sequence[Line]
    others: Sequence[Line]
    problems: Sequence[str] = field(default_factory=list)


def file_of(key: str) -> str:
    """A name for files and links. Two keys never share one."""
    safe = _SAFE.sub("-", key)
    return f"{safe}.html" if safe == key else f"{safe}-{hashlib.sha256(key.encode()).hexdigest()[:8]}.html"


def drill_key(drill: Drill) -> str:
    return f"{drill.run}_{drill.database}"


def entry_key(entry: Mapping[str, Any]) -> str:
    return f"{entry['run']}_{entry['kind']}"
