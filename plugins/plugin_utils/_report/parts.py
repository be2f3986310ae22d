# SPDX-License-Identifier: GPL-3.0-or-later
"""What the index and the page of a run have in common."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from ansible_collections.vedfinance.platform.plugins.module_utils._ledger import Drill, missed, newest_proof
from ansible_collections.vedfinance.platform.plugins.module_utils._ledger import moment as ledger_moment

from . import words
from .charts import SIZES, TIMES, Chart, Point
from .model import BAD, GOOD, WARNING, Check, Rejected, Row, Targets, Tile, file_of


def tiles_of(drills: Sequence[Drill], targets: Targets, now: datetime) -> list[Tile]:
    proof = newest_proof(drills)
    late = missed(drills, targets.max_age, now) is not None
    nights = 0 if late else streak(drills)
    return [
        Tile(
            "Newest proved dump",
            f"{dump_age(proof, now)} old" if proof else "none",
            str(proof.dump.get("name") or "") if proof else "nothing proves that a dump can be restored",
            _kept(_dump_seconds(proof, now), targets.rpo) if proof and drills[0].proved and not late else BAD,
        ),
        target_tile("RPO", "data that a recovery would lose", data_age(proof, now) if proof else None, targets.rpo),
        target_tile("RTO", "time that a recovery would take", proof.rto_seconds if proof else None, targets.rto),
        Tile(
            "Proved in a row",
            words.times(nights, "night"),
            f"{sum(drill.proved for drill in drills)} of {words.times(len(drills), 'drill')} proved their dump",
            GOOD if nights else BAD,
        ),
    ]


def target_tile(name: str, meaning: str, value: float | None, target: float | None) -> Tile:
    if target is None:
        return Tile(name, words.span(value), meaning, None)
    if value is None:
        return Tile(name, "not measured", f"target {words.span(target)}; {meaning}", WARNING)
    kept = value <= target
    said = f"{'within' if kept else 'above'} the target of {words.span(target)}"
    return Tile(name, words.span(value), f"{said}; {meaning}", GOOD if kept else WARNING)


def _kept(value: float | None, target: float | None) -> str | None:
    if value is None or target is None:
        return None
    return GOOD if value <= target else WARNING


def _dump_seconds(drill: Drill, now: datetime) -> float | None:
    made = drill.dump.get("dumped_at")
    return (now - ledger_moment(str(made))).total_seconds() if made else None


def data_age(drill: Drill, now: datetime) -> float | None:
    """How old the newest data of its dump have become: what a recovery would lose."""
    return None if drill.rpo_seconds is None else drill.rpo_seconds + (now - drill.began_at).total_seconds()


def dump_age(drill: Drill | None, now: datetime) -> str:
    return words.span(_dump_seconds(drill, now)) if drill else words.UNKNOWN


def checks_of(proof: Iterable[Mapping[str, Any]]) -> list[Check]:
    """Those that did not pass come first."""
    checks = [
        Check(
            words.check_in_words(one),
            str(one["result"]),
            GOOD if one["result"] == "passed" else BAD,
            words.detail_in_words(one),
            one.get("seconds"),
        )
        for one in proof
    ]
    return sorted(checks, key=lambda check: check.level == GOOD)


def rejected_of(rejected: Iterable[Mapping[str, Any]]) -> list[Rejected]:
    return [Rejected(name_of(one.get("path")), str(one.get("reason") or "no reason was given")) for one in rejected]


def rows_of(tables: Iterable[Mapping[str, Any]]) -> list[Row]:
    """The largest difference first."""
    rows = [
        Row(
            str(one["name"]), int(one["rows"]), None if one.get("live_rows") is None else int(one["live_rows"])
        )
        for one in tables
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (-abs(row.difference or 0), -row.rows, row.name))


def trends(drills: Sequence[Drill], targets: Targets, database: str) -> list[Chart]:
    """:param drills: newest first."""
    prefix = file_of(database).removesuffix(".html")

    def points(value_of: Callable[[Drill], float | None]) -> list[Point]:
        return [Point(words.day(drill.began_at), value_of(drill), drill.proved) for drill in reversed(drills)]

    # One without a proof may know an age: that of a dump which nothing can be restored from.
    rpo = points(lambda drill: drill.rpo_seconds if drill.proved else None)
    rto, sizes = points(lambda drill: drill.rto_seconds), points(lambda drill: drill.dump.get("bytes"))
    return [
        Chart(f"{prefix}-rpo", "RPO: age of the newest data", rpo, words.span, TIMES, targets.rpo),
        Chart(f"{prefix}-rto", "RTO: time to recover", rto, words.span, TIMES, targets.rto),
        Chart(f"{prefix}-size", "Size of the dumps", sizes, words.size, SIZES),
    ]


def dump_facts(dump: Mapping[str, Any], count: Any, made: Any) -> list[tuple[str, str]]:
    if not dump:
        return [("Dump", "none")]
    moment = ledger_moment(str(made)) if made else None
    return [
        ("Dump", str(dump.get("path") or words.UNKNOWN)),
        ("Made", words.when(moment) if moment else words.UNKNOWN),
        ("Format and size", f"{dump.get('format') or words.UNKNOWN}, {words.size(count)}"),
        ("SHA-256", str(dump.get("sha256") or words.UNKNOWN)),
    ]


def name_of(path: Any) -> str:
    return os.path.basename(str(path)) if path else "none"


def moment_of(seconds: Any) -> datetime:
    return datetime.fromtimestamp(float(seconds), timezone.utc)


def sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


def streak(drills: Iterable[Drill]) -> int:
    """How many nights in a row, up to the newest, ended with a proof. A night without any drill breaks it."""
    last_word: dict[Any, bool] = {}
    for drill in drills:
        last_word.setdefault(drill.began_at.astimezone(timezone.utc).date(), drill.proved)
    nights = 0
    for night in sorted(last_word, reverse=True):
        if not last_word[night] or night != max(last_word) - timedelta(days=nights):
            break
        nights += 1
    return nights
