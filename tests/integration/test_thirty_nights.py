# SPDX-License-Identifier: GPL-3.0-or-later
"""Thirty nights of a platform: real dumps, real drills and bad nights of each kind, by a clock of their own.

What is right is said here in a few plain rules, and compared every morning with what the collection says.
"""

from __future__ import annotations

import gzip
import math
import operator
import os
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.vedfinance.platform.plugins.module_utils._drill import Course, drill_of
from ansible_collections.vedfinance.platform.plugins.module_utils._ledger import read_ledger, write_drill
from ansible_collections.vedfinance.platform.plugins.module_utils._metrics import PREFIX, Targets, samples
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup.prune import Options, prune
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup.retention import Policy
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.folder import Proofs, catalogue
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.report import summary
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.tools import Tools
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.warm import fingerprint

from lab.backups import backdate, cut_in_largest_table
from tests.conftest import ROOT
from tests.integration.world import Live
from tests.modules import run_module

pytestmark = pytest.mark.slow

DAYS = 30
# In the past of the machine, as no dump is of tomorrow.
FIRST = (datetime.now(UTC) - timedelta(days=DAYS + 2)).replace(hour=2, minute=0, second=0, microsecond=0)
RETENTION_AT = timedelta(minutes=10)
DRILL_AT, MORNING = timedelta(hours=1, minutes=30), timedelta(hours=4)
CHECKS = [{"name": "there are users", "query": "SELECT count(*) > 0 FROM users"}]
FRESH = {
    "name": "newest business row", "expect": "*",
    "query": "SELECT extract(epoch FROM (SELECT max(at) FROM events))::bigint",
}  # fmt: skip
MAX_AGE, RPO = 26 * 3600.0, 26 * 3600.0
POLICY = Policy(keep_last=4, keep_weekly=2)
RULES = {
    rule["alert"]: str(rule["expr"])
    for rule in yaml.safe_load((ROOT / "docs" / "monitoring" / "alert-rules.yml").read_text())["groups"][0]["rules"]
}

# What happens in which night; in all others, a good dump is made and proved.
CUT, EMPTY, OTHERS, STRANGER, NONE, FLIPPED, HOLLOW = (
    "cut off", "empty", "an archive of another database", "a plain dump of another database", "none",
    "damaged gzip", "restores, but fails a check",
)  # fmt: skip
NIGHTS = {
    4: CUT, 6: EMPTY, 8: OTHERS, 9: STRANGER, 11: NONE, 13: FLIPPED, 15: HOLLOW,
    17: CUT, 18: NONE, 19: HOLLOW, 20: HOLLOW, 21: HOLLOW, 22: EMPTY, 23: FLIPPED,
}  # fmt: skip
COULD_NOT_RUN, NO_DRILL = 26, 28
# Of three bad dumps in a row one cannot tell which of the older ones will be needed; and nothing is proved at first.
NOTHING_GOES = {1, 23}
# They read well, so the drill takes them; the rest is seen before.
READS_WELL = (STRANGER, HOLLOW)
# They lie in the folder as what they are not.
REJECTED_UNREAD = (CUT, EMPTY, FLIPPED)


@dataclass
class Expected:
    """What is right, by plain rules."""

    good: list[str] = field(default_factory=list)
    bad_since: list[str] = field(default_factory=list)
    suspect: str | None = None
    proofs: dict[str, datetime] = field(default_factory=dict)
    last_proof: datetime | None = None
    last_drill: datetime | None = None
    failures: int = 0
    entries: int = 0

    @property
    def proved_last(self) -> str | None:
        return max(self.proofs, key=lambda one: self.proofs[one]) if self.proofs else None

    def night(self, name: str | None, kind: str | None) -> None:
        if name is None:
            return
        if kind is None:
            self.good.append(name)
            self.bad_since, self.suspect = [], None
        elif kind in READS_WELL:
            self.suspect = name
        if kind in (*READS_WELL, *REJECTED_UNREAD):
            self.bad_since.append(name)

    def drilled(self, at: datetime, *, ran: bool) -> str:
        self.entries += 1
        self.last_drill = at
        outcome = "could_not_run" if not ran else "failed" if self.suspect else "proved"
        self.failures = 0 if outcome == "proved" else self.failures + 1
        if outcome == "proved":
            self.last_proof = self.proofs[self.good[-1]] = at
        return outcome


class Platform:
    """A database that grows every day, its backup folder and its ledger."""

    def __init__(self, live: Live, folder: Path) -> None:
        self.live, self.backups, self.ledger = live, folder / "backups", folder / "ledger"
        self.backups.mkdir()
        live.execute(
            "CREATE TABLE users (id int PRIMARY KEY, name text); CREATE TABLE events (at timestamptz NOT NULL);"
            " INSERT INTO users SELECT n, 'user ' || n FROM generate_series(1, 50) n"
        )
        self.stranger = f"{live.name}__stranger"
        live.create(name=self.stranger)

    def day_of_work(self, night: datetime) -> None:
        self.live.execute(f"INSERT INTO events VALUES ('{(night - timedelta(minutes=10)).isoformat()}')")

    def dump(self, night: datetime, kind: str | None, number: int) -> str | None:
        if kind == NONE:
            return None
        stem = f"school_{night:%Y-%m-%dT%H-%M-%S}Z"
        if kind == OTHERS or (kind is None and number % 3 == 1):
            name = f"{stem}.dump"
            database = self.stranger if kind == OTHERS else self.live.name
            self.live.server.dump(self.backups / name, "--format=custom", database=database)
            backdate(self.backups / name, night)
        else:
            packed = kind == FLIPPED or (kind is None and number % 3 == 2)
            name = f"{stem}.sql.gz" if packed else f"{stem}.sql"
            content = self._plain(kind)
            (self.backups / name).write_bytes(gzip.compress(content, mtime=0) if packed else content)
        path = self.backups / name
        if kind == CUT:
            cut_in_largest_table(path)
        if kind == FLIPPED:
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 0x10
            path.write_bytes(bytes(content))
        os.utime(path, (night.timestamp(), night.timestamp()))
        return name

    def _plain(self, kind: str | None) -> bytes:
        if kind == EMPTY:
            return b""
        content = self.live.server.tool("pg_dump", database=self.stranger if kind == STRANGER else self.live.name)
        if kind == HOLLOW:
            # Somebody emptied a table before the dump was made.
            return re.sub(rb"(COPY public\.users .*?;\n).*?\n(\\\.\n)", rb"\1\2", content, flags=re.DOTALL)
        return content

    # -- the collection --------------------------------------------------------------------------------------------

    def found(self, now: datetime, *, by_ledger: bool) -> dict[str, Any]:
        drills = read_ledger(str(self.ledger)) if by_ledger else []
        folder = catalogue(
            str(self.backups), ["*"], Tools(self.live.server.settings.bin), until_stable=True,
            database=self.live.name, proofs=Proofs(drills), fingerprint=fingerprint,
        )  # fmt: skip
        return summary(folder, now)

    def retention(self, now: datetime) -> dict[str, Any]:
        """As backup.yml does it, behind the dump and before its drill."""
        options = Options(str(self.backups), self.live.name, POLICY, patterns=("school_*",), ledger=str(self.ledger))
        return prune(options, Tools(self.live.server.settings.bin), now, check=False).as_result()

    def drill(self, began: datetime, *, ran: bool) -> str:
        """As the role does it."""
        found = self.found(began, by_ledger=False)
        stable = found["latest_stable"]
        where = {} if ran else {"login_port": 1, "connect_timeout": 2}
        arguments = self.live.arguments(
            Path(stable["path"]), state="verified", keep=True, force=True, checks=[*CHECKS, FRESH], **where
        )
        restored = run_module("pg_restore_from_dump", arguments)
        failure = restored["msg"] if restored.get("failed") else None
        drill = drill_of(
            Course(
                run=f"{began:%Y%m%dT%H%M%SZ}", database=self.live.name, host="vps", verify="rows", began=began,
                ended=began + timedelta(minutes=5), found=found, restored=restored, failure=failure,
                unchanged=fingerprint(stable["path"]),
            )
        )  # fmt: skip
        write_drill(str(self.ledger), drill)
        return drill.outcome

    def metrics(self, now: datetime) -> dict[str, float]:
        found = self.found(now, by_ledger=True)
        drills = read_ledger(str(self.ledger))
        return samples(drills, found["latest_stable"], len(found["rejected"]), Targets(RPO, 1800), MAX_AGE, now)

    def kept_verified(self) -> list[str]:
        return [name for name in self.live.family() if "__verified_" in name]


def alarms(values: dict[str, float], now: datetime) -> set[str]:
    """Which of the example rules fire; those that look back in time need a Prometheus."""
    metrics = {PREFIX + name: value for name, value in values.items()}
    fired = set()
    for alert, expression in RULES.items():
        if "_over_time" in expression or "absent(" in expression:
            continue
        if any(holds(part, metrics, now) for part in expression.split(" or ")):
            fired.add(alert)
    return fired


def holds(comparison: str, metrics: dict[str, float], now: datetime) -> bool:
    """As much of PromQL as the rules need: sums and products of numbers, of metrics, and of the time, compared."""

    def value(term: str) -> float:
        if "-" in term:
            whole, part = term.split("-")
            return value(whole) - value(part)
        if "*" in term:
            return math.prod(map(value, term.split("*")))
        known = {**metrics, "time()": now.timestamp()}
        return known[term.strip()] if term.strip() in known else float(term)

    left, sign, right = re.split("(==|>=|>|<)", comparison)
    compare = {"==": operator.eq, ">=": operator.ge, ">": operator.gt, "<": operator.lt}[sign]
    return bool(compare(value(left), value(right)))


@pytest.fixture
def platform(live: Live, tmp_path: Path) -> Platform:
    return Platform(live, tmp_path)


def test_thirty_nights(platform: Platform) -> None:
    right = Expected()
    heard: set[str] = set()
    dropped: set[str] = set()
    for number in range(1, DAYS + 1):
        night, kind = FIRST + timedelta(days=number), NIGHTS.get(number)
        platform.day_of_work(night)
        name = platform.dump(night, kind, number)
        before = set(os.listdir(platform.backups))
        retained = platform.retention(night + RETENTION_AT)
        assert (retained["stopped"] is not None) == (number in NOTHING_GOES), (number, retained)
        gone = before - set(os.listdir(platform.backups))
        # What was the last good copy until this night, and what was proved last, whatever its age.
        assert not gone & ({*right.good[-1:], right.proved_last, name}), number
        assert gone == {one["name"] for one in retained["deleted"]}, number
        dropped |= gone
        right.bad_since = [one for one in right.bad_since if one not in gone]
        right.night(name, kind)
        began = night + DRILL_AT
        if number != NO_DRILL:
            outcome = platform.drill(began, ran=number != COULD_NOT_RUN)
            assert outcome == right.drilled(began + timedelta(minutes=5), ran=number != COULD_NOT_RUN), (number, kind)
        now = night + MORNING
        heard |= look_around(platform, right, number, now)
    assert len(dropped) > DAYS / 2
    assert heard == set(RULES) - {"BackupShrank", "BackupMetricsMissing", "RecoveryTimeTargetMissed"}


def look_around(platform: Platform, right: Expected, number: int, now: datetime) -> set[str]:
    """Everything that a morning must show; the alarms that ring."""
    where = f"night {number}"
    drills = read_ledger(str(platform.ledger))
    assert (len(drills), drills.problems) == (right.entries, []), where

    found = platform.found(now, by_ledger=True)
    stable = found["latest_stable"]
    assert Path(stable["path"]).name == right.good[-1], where
    proved = right.proofs.get(right.good[-1])
    assert (stable["proof"] or {}).get("ended") == (proved.isoformat() if proved else None), where
    assert all(one["reason"] for one in found["rejected"]), where

    assert (platform.backups / right.good[-1]).exists(), where
    assert len(platform.kept_verified()) == 1, where

    values = platform.metrics(now)
    assert right.last_drill is not None
    assert right.last_proof is not None
    dumped = datetime.strptime(right.good[-1].split("_")[1][:20], "%Y-%m-%dT%H-%M-%SZ").replace(tzinfo=UTC)
    expected = {
        "backup_timestamp_seconds": dumped.timestamp(),
        "backup_age_seconds": (now - dumped).total_seconds(),
        "backup_bytes": (platform.backups / right.good[-1]).stat().st_size,
        "backup_rejected": len(right.bad_since),
        "backup_last_verified_age_seconds": (now - right.last_proof).total_seconds(),
        "backup_last_verified_timestamp_seconds": right.last_proof.timestamp(),
        "drill_success": right.failures == 0,
        "drill_failures_in_a_row": right.failures,
        "drill_timestamp_seconds": right.last_drill.timestamp(),
        "drill_missed": number == NO_DRILL,
    }
    assert {one: values[one] for one in expected} == expected, where
    assert math.isfinite(values["drill_restore_seconds"]), where

    # The newest row was written ten minutes before the dump that was proved last.
    assert right.proved_last is not None
    assert (platform.backups / right.proved_last).exists(), where
    made = datetime.strptime(right.proved_last.split("_")[1][:20], "%Y-%m-%dT%H-%M-%SZ").replace(tzinfo=UTC)
    proof_began = right.last_proof - timedelta(minutes=5)
    assert values["drill_rpo_seconds"] == (proof_began - made).total_seconds() + 600, where

    rings = alarms(values, now)
    assert rings == {
        alert
        for alert, reason in {
            "BackupTooOld": now - dumped > timedelta(hours=26),
            "BackupRejected": bool(right.bad_since),
            "DrillFailed": right.failures > 0,
            "DrillsFailAgainAndAgain": right.failures >= 3,
            "DrillMissed": number == NO_DRILL,
            "LastProofTooOld": now - right.last_proof > timedelta(days=3),
            "RecoveryPointTargetMissed": (proof_began - made).total_seconds() + 600 > RPO,
        }.items()
        if reason
    }, where
    return rings
