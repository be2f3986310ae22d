# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether to worry, and why. What could not run is as bad as what failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ansible_collections.vedfinance.platform.plugins.module_utils._ledger import (
    Drill,
    failures_in_a_row,
    missed,
    newest_proof,
)

from . import words
from .model import BAD, GOOD, LEVELS, RECOVERY, WARNING, Section, Targets, Verdict
from .parts import data_age, dump_age, moment_of, sentence, streak


def worst(sections: Sequence[Section], journal: Sequence[Mapping[str, Any]], problems: Sequence[str]) -> Verdict:
    verdicts = []
    for one in sections:
        named = [f"{one.database}: {text}" for text in one.verdict.sentences]
        verdicts.append(
            Verdict(one.verdict.level, named if len(sections) > 1 else one.verdict.sentences, one.verdict.advice)
        )
    if not sections:
        verdicts.append(never_drilled())
    last = next((entry for entry in journal if entry["kind"] == RECOVERY), None)
    if last and last["outcome"] == "failed":
        advice = "Read the page of the recovery, mend the cause, and run playbooks/disaster_recovery.yml again."
        verdicts.append(Verdict(BAD, [f"The last recovery, {words.when(moment_of(last['began']))}, failed."], advice))
    if problems:
        files = words.times(len(problems), "file")
        verdicts.append(Verdict(WARNING, [f"{files} of the ledger or the journal cannot be read."], "See below which."))
    verdicts.sort(key=lambda verdict: LEVELS.index(verdict.level), reverse=True)
    level = verdicts[0].level
    return Verdict(
        level,
        [text for verdict in verdicts if verdict.level == level for text in verdict.sentences],
        " ".join(dict.fromkeys(verdict.advice for verdict in verdicts if verdict.level == level and verdict.advice)),
    )


def never_drilled() -> Verdict:
    return Verdict(
        BAD,
        ["There has never been a drill, so nothing proves that a dump can be restored."],
        "Run playbooks/verify_backup.yml, and see that it runs every night.",
    )


def standing(drills: Sequence[Drill], targets: Targets, now: datetime) -> Verdict:
    """Whether to worry now."""
    if not drills:
        return never_drilled()
    newest, proof, late = drills[0], newest_proof(drills), missed(drills, targets.max_age, now)
    last = f"The newest proved dump is {dump_age(proof, now)} old." if proof else "No drill ever proved a dump."
    if late:
        return Verdict(
            BAD, [f"A drill is missed: {late}.", last], "See why playbooks/verify_backup.yml does not run, and run it."
        )
    if not newest.proved:
        count = failures_in_a_row(drills)
        often = f" It is the {words.ordinal(count)} in a row without a proof." if count > 1 else ""
        return Verdict(BAD, [f"{_unproved(newest)}{often}", last], advice_for(newest))
    nights, ago = streak(drills), words.span((now - newest.ended_at).total_seconds())
    row = f" for the {words.ordinal(nights)} night in a row" if nights > 1 else ""
    good = f"The newest dump was restored and proved {ago} ago{row}."
    doubts = _doubts(newest, targets)
    if doubts:
        return Verdict(WARNING, [good, *doubts], "A recovery works all the same. Mend this in daylight.")
    return Verdict(GOOD, [good, in_case(newest, now)])


def drill_verdict(drill: Drill, targets: Targets) -> Verdict:
    if not drill.proved:
        reason = sentence(drill.reason or "no reason was given")
        said = "The drill could not run" if drill.outcome == "could_not_run" else "The dump was not proved"
        return Verdict(BAD, [f"{said}: {reason}"], advice_for(drill))
    good = f"{drill.dump.get('name') or 'The dump'} was restored and passed all {len(drill.proof)} checks."
    doubts = _doubts(drill, targets)
    if doubts:
        return Verdict(WARNING, [good, *doubts], "A recovery works all the same. Mend this in daylight.")
    return Verdict(GOOD, [good, in_case(drill, drill.began_at)])


def recovery_verdict(entry: Mapping[str, Any], targets: Targets) -> Verdict:
    message = sentence(str(entry.get("message") or "no message"))
    if entry["outcome"] == "undone":
        return Verdict(WARNING, [f"The recovery was undone. {message}"], headline="Undone")
    if entry["outcome"] != "succeeded":
        advice = "Read what failed, mend the cause, and run playbooks/disaster_recovery.yml again."
        return Verdict(BAD, [f"The recovery failed. {message}"], advice, "Not recovered")
    said = [message]
    rto = entry.get("rto_seconds")
    if rto is not None and targets.rto is not None and rto > targets.rto:
        said.append(f"But it took {words.span(rto)}, and {words.span(targets.rto)} were promised.")
    left = entry.get("outstanding_indexes") or []
    if left:
        said.append(f"But {words.times(len(left), 'index', 'indexes')} must still be built: run the playbook again.")
    return Verdict(WARNING if len(said) > 1 else GOOD, said, headline="Recovered")


def in_case(drill: Drill, now: datetime) -> str:
    return (
        f"A recovery would take about {words.span(drill.rto_seconds)} and would lose the data of"
        f" {words.span(data_age(drill, now))}."
    )


def advice_for(drill: Drill) -> str:
    if drill.outcome == "could_not_run":
        return "Mend the cause and run playbooks/verify_backup.yml again."
    return "Make a new backup with playbooks/backup.yml, and run playbooks/verify_backup.yml again."


def _unproved(drill: Drill) -> str:
    what = "could not run" if drill.outcome == "could_not_run" else "did not prove its dump"
    return f"The last drill, {words.when(drill.began_at)}, {what}: {sentence(drill.reason or 'no reason was given')}"


def _doubts(drill: Drill, targets: Targets) -> list[str]:
    """What is to be said against a drill that proved its dump."""
    doubts = []
    if drill.rejected:
        newer = words.times(len(drill.rejected), "newer dump")
        doubts.append(f"But {newer} cannot be restored.")
    for name, value, target in (("RPO", drill.rpo_seconds, targets.rpo), ("RTO", drill.rto_seconds, targets.rto)):
        if target is not None and value is None:
            doubts.append(f"But the {name} was not measured.")
        elif target is not None and value is not None and value > target:
            doubts.append(f"But the {name} is {words.span(value)}, and {words.span(target)} were promised.")
    return doubts
