# SPDX-License-Identifier: GPL-3.0-or-later
"""What the index says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.vedfinance.platform.plugins.module_utils._ledger import Drill, newest_proof

from . import words
from .judgement import standing, worst
from .model import KINDS, OUTCOMES, RECOVERY, WARNING, Index, Line, Section, Targets, drill_key, entry_key, file_of
from .parts import checks_of, moment_of, name_of, rejected_of, tiles_of, trends


def section(database: str, drills: Sequence[Drill], targets: Targets, now: datetime) -> Section:
    """:param drills: of this database, newest first."""
    proof = newest_proof(drills)
    return Section(
        database=database,
        verdict=standing(drills, targets, now),
        tiles=tiles_of(drills, targets, now),
        checks=checks_of(drills[0].proof) if drills else [],
        charts=trends(drills, targets, database),
        drills=[_line_of(drill) for drill in drills],
        rejected=[
            (words.day(drill.began_at), one) for drill in drills if drill is proof or not proof or
            drill.began_at > proof.began_at for one in rejected_of(drill.rejected)
        ],
    )  # fmt: skip


def index(
    host: str,
    sections: Sequence[Section],
    journal: Sequence[Mapping[str, Any]],
    problems: Sequence[str],
    targets: Targets,
    newest: datetime | None,
    now: datetime,
) -> Index:
    """:param journal: newest first. :param newest: when the newest drill ended."""
    recoveries = [_entry_line(entry) for entry in journal if entry["kind"] == RECOVERY]
    return Index(
        host=host,
        now=now,
        verdict=worst(sections, journal, problems),
        valid_until=newest + timedelta(seconds=targets.max_age) if newest else None,
        sections=sections,
        recoveries=recoveries,
        others=[_entry_line(entry) for entry in journal if entry["kind"] != RECOVERY],
        problems=problems,
    )


def _line_of(drill: Drill) -> Line:
    level, outcome = OUTCOMES[drill.outcome]
    if drill.proved and drill.rejected:
        level, outcome = WARNING, f"proved; {len(drill.rejected)} newer rejected"
    return Line(
        drill.began_at,
        "Drill",
        level,
        outcome,
        file_of(drill_key(drill)),
        str(drill.dump.get("name") or "none"),
        words.size(drill.dump.get("bytes")),
        words.span(drill.rpo_seconds),
        words.span(drill.rto_seconds),
    )


def _entry_line(entry: Mapping[str, Any]) -> Line:
    level, outcome = OUTCOMES.get(str(entry["outcome"]), (WARNING, str(entry["outcome"])))
    recovery = entry["kind"] == RECOVERY
    return Line(
        moment_of(entry["began"]),
        KINDS.get(str(entry["kind"]), str(entry["kind"]).replace("_", " ").capitalize()),
        level,
        "failed" if entry["outcome"] == "failed" else outcome,
        file_of(entry_key(entry)) if recovery else None,
        name_of((entry.get("dump") or {}).get("path")) if recovery else str(entry.get("message") or ""),
        words.size((entry.get("dump") or {}).get("size")) if recovery else "",
        words.span(entry.get("rpo_seconds")) if recovery else "",
        words.span(entry.get("rto_seconds")) if recovery else "",
    )
