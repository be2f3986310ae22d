# SPDX-License-Identifier: GPL-3.0-or-later
"""What the page of one drill or recovery says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.vedfinance.platform.plugins.module_utils._ledger import Drill

from . import words
from .judgement import drill_verdict, recovery_verdict
from .model import Page, Targets, Tile, drill_key, entry_key
from .parts import checks_of, dump_facts, moment_of, rejected_of, rows_of, target_tile, tiles_of, trends
from .timeline import drill_bars, recovery_bars


def drill_page(drills: Sequence[Drill], targets: Targets) -> Page:
    """:param drills: the drill, and those before it of the same database, newest first."""
    drill, ended = drills[0], drills[0].ended_at
    dump = drill.dump
    return Page(
        key=drill_key(drill),
        title=f"Drill of {drill.database} on {drill.host}",
        moment=drill.began_at,
        verdict=drill_verdict(drill, targets),
        tiles=tiles_of(drills, targets, drill.began_at),
        checks=checks_of(drill.proof),
        bars=drill_bars(drill),
        charts=trends(drills, targets, drill.database),
        rejected=rejected_of(drill.rejected),
        rows=rows_of(drill.tables),
        compared=str(drill.compared_to_live.get("msg") or ""),
        facts=[
            *dump_facts(dump, dump.get("bytes"), dump.get("dumped_at")),
            ("Proved to the depth", drill.verify),
            ("Rows", words.number(drill.rows) if drill.rows else "none were restored"),
            ("RPO, by", drill.rpo_source or words.UNKNOWN),
            ("RTO, of", drill.rto_source or words.UNKNOWN),
            ("Kept ready to take over", drill.kept_as or "nothing"),
            ("Run", f"{drill.run}, {words.span((ended - drill.began_at).total_seconds())} in all"),
        ],
    )


def recovery_page(entry: Mapping[str, Any], drills: Sequence[Drill], targets: Targets) -> Page:
    """:param drills: those of its database that were before it, newest first."""
    dump, rto, rpo = entry.get("dump") or {}, entry.get("rto_seconds"), entry.get("rpo_seconds")
    database, tables = str(entry.get("database") or ""), entry.get("tables") or []
    return Page(
        key=entry_key(entry),
        title=f"{'Undone recovery' if entry['outcome'] == 'undone' else 'Recovery'} of {database} on {entry['host']}",
        moment=moment_of(entry["began"]),
        verdict=recovery_verdict(entry, targets),
        tiles=[
            _outage_tile(entry),
            target_tile("RPO", "age of the dump that was restored", rpo, targets.rpo),
            target_tile("RTO", "from the call until the API was healthy", rto, targets.rto),
            Tile("Rows restored", words.number(entry.get("rows")), f"in {words.times(len(tables), 'table')}"),
        ],
        checks=checks_of([*(entry.get("proof") or []), *_service_checks(entry)]),
        bars=recovery_bars(entry),
        charts=trends(drills, targets, database),
        rejected=rejected_of(entry.get("rejected") or []),
        rows=rows_of(tables),
        compared=str((entry.get("compared_to_live") or {}).get("msg") or ""),
        facts=[
            *dump_facts(dump, dump.get("size"), dump.get("created")),
            ("Old database, kept as", entry.get("previous_database") or "nothing"),
            ("Took over ready-made from", entry.get("verified_database") or "nothing: the dump was loaded"),
            ("Without a database for", words.span(entry.get("database_downtime_seconds"))),
            ("Indexes still to be built", ", ".join(entry.get("outstanding_indexes") or []) or "none"),
            ("Called by", str(entry.get("user") or words.UNKNOWN)),
            ("Run", f"{entry['run']}, {words.span(float(entry['ended']) - float(entry['began']))} in all"),
        ],
    )  # fmt: skip


def _outage_tile(entry: Mapping[str, Any]) -> Tile:
    name, clock = "API out of service", entry.get("clock") or {}
    if entry.get("outage_seconds") is not None:
        return Tile(name, words.span(entry["outage_seconds"]), "from the stop until it was healthy again")
    if "stopped" in clock:
        return Tile(name, words.span(float(entry["ended"]) - clock["planned"]), "from the stop until the run ended")
    return Tile(name, words.span(0), "it was not stopped")


def _service_checks(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What the play saw behind the restore; a recovery succeeds only when it saw both."""
    if entry["outcome"] == "undone":
        return [{"name": words.OLD_SERVICE, "result": "passed"}]
    if entry["outcome"] == "succeeded":
        return [{"name": words.SERVICE, "result": "passed"}]
    clock = entry.get("clock") or {}
    detail = "It was healthy, and then something else failed." if "healthy" in clock else ""
    return [{"name": words.SERVICE, "result": "failed" if "restored" in clock else "could not run", "detail": detail}]
