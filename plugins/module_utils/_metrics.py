# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups and drills as Prometheus reads them from a text file.

A file that nobody writes any more keeps its ages as they were; so each age has a time beside it, and alarms go by that.
"""

from __future__ import annotations

import math
import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ._errors import PlatformError
from ._ledger import Drill, failures_in_a_row, missed, moment, newest_proof
from ._postgres.dump.report import in_time
from ._whole_file import write_whole

PREFIX = "vedfinance_"
# Readable for the exporter, which runs as a user of its own.
_MODE = 0o644

#: Every metric, and what it says.
METRICS: Mapping[str, str] = {
    "backup_age_seconds": "Age of the newest dump that can be restored, when this was written.",
    "backup_timestamp_seconds": "When the newest dump that can be restored was made; 0 when there is none.",
    "backup_bytes": "Size of that dump.",
    "backup_rejected": "Dumps that are newer than that one and cannot be restored.",
    "backup_last_verified_age_seconds": "Time since a drill last proved a dump, when this was written.",
    "backup_last_verified_timestamp_seconds": "When a drill last proved a dump; 0 when none ever did.",
    "drill_success": "Whether the newest drill proved its dump.",
    "drill_missed": "Whether a drill is missed that should have been.",
    "drill_failures_in_a_row": "How many of the newest drills proved nothing.",
    "drill_timestamp_seconds": "When the newest drill ended; 0 when there was none.",
    "drill_restore_seconds": "How long the restore took in the newest drill that proved a dump.",
    "drill_rto_seconds": "How long a recovery would take, by that drill.",
    "drill_rto_target_seconds": "How long it may take.",
    "drill_rpo_seconds": "How old the newest business row was in that drill.",
    "drill_rpo_target_seconds": "How old it may be.",
    "drill_max_age_seconds": "Within which time there must be a drill.",
}


@dataclass(frozen=True)
class Targets:
    """What was promised; None where nothing was."""

    rpo_seconds: float | None = None
    rto_seconds: float | None = None


def samples(
    drills: Sequence[Drill],
    dump: Mapping[str, t.Any] | None,
    rejected: int,
    targets: Targets,
    max_age: float,
    now: datetime,
) -> dict[str, float]:
    """The values for one database. What never was is infinitely old; what nobody measured is no number.

    :param drills: of that database, newest first.
    :param dump: the newest dump that can be restored: its created and size.
    """
    newest, proof = next(iter(drills), None), newest_proof(drills)
    dumped = moment(str(dump["created"])) if dump else None
    verified = proof.ended_at if proof else None
    return {
        "backup_age_seconds": _age(dumped, now),
        "backup_timestamp_seconds": _timestamp(dumped),
        "backup_bytes": float(dump["size"]) if dump else 0.0,
        "backup_rejected": float(rejected),
        "backup_last_verified_age_seconds": _age(verified, now),
        "backup_last_verified_timestamp_seconds": _timestamp(verified),
        "drill_success": float(newest is not None and newest.proved),
        "drill_missed": float(missed(drills, max_age, now) is not None),
        "drill_failures_in_a_row": float(failures_in_a_row(drills)),
        "drill_timestamp_seconds": _timestamp(newest.ended_at if newest else None),
        "drill_restore_seconds": _number(proof.restore_seconds if proof else None),
        "drill_rto_seconds": _number(proof.rto_seconds if proof else None),
        "drill_rto_target_seconds": _number(targets.rto_seconds),
        "drill_rpo_seconds": _number(proof.rpo_seconds if proof else None),
        "drill_rpo_target_seconds": _number(targets.rpo_seconds),
        "drill_max_age_seconds": max_age,
    }


def missed_targets(values: Mapping[str, float]) -> list[str]:
    """For people: which promise the last proof does not keep. What was never measured keeps none."""
    said = []
    for name, what in (("rto", "RTO: a recovery would take"), ("rpo", "RPO: the newest business row would be of")):
        value, target = values[f"drill_{name}_seconds"], values[f"drill_{name}_target_seconds"]
        if math.isnan(target):
            continue
        if math.isnan(value):
            said.append(f"{name.upper()}: no drill has measured it, and {in_time(target)} were promised")
        elif value > target:
            ago = " ago" if name == "rpo" else ""
            said.append(f"{what} {in_time(value)}{ago}, and {in_time(target)} were promised")
    return said


def text_of(values: Mapping[str, float], labels: Mapping[str, str]) -> str:
    """Prometheus' text format."""
    told = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    lines = []
    for name, value in values.items():
        full = PREFIX + name
        lines += [f"# HELP {full} {METRICS[name]}", f"# TYPE {full} gauge", f"{full}{{{told}}} {_shown(value)}"]
    return "\n".join(lines) + "\n"


def write_text(path: str, text: str) -> None:
    """Aside and renamed: the exporter must never read half a file, and reads no name without .prom."""
    try:
        write_whole(path, text, _MODE)
    except OSError as error:
        raise PlatformError(
            f"The metrics could not be written to {path}: {error.strerror}.",
            "Name a folder that this user may write to, the one of node_exporter's --collector.textfile.directory.",
        ) from None


def _age(since: datetime | None, now: datetime) -> float:
    return math.inf if since is None else max(0.0, (now - since).total_seconds())


def _timestamp(when: datetime | None) -> float:
    return when.timestamp() if when else 0.0


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _shown(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) else repr(round(value, 3))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
