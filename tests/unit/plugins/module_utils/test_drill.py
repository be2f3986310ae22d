# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever the modules said in a drill, or did not come to say, becomes an honest entry."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._drill import FRESHNESS, Course, api_seconds, drill_of

from tests.unit.plugins.module_utils.drills import NOW

STABLE = {
    "path": "/b/one.dump", "size": 7, "created": "2026-11-23T02:00:00+00:00", "sha256": "a" * 64, "format": "custom",
    "tables": 3, "rows": 9, "fingerprint": "f",
}  # fmt: skip
CUT = {
    "path": "/b/two.sql",
    "size": 5,
    "created": "2026-11-23T02:30:00+00:00",
    "reason": "cut off",
    "code": "truncated",
}
FOUND: dict[str, Any] = {"latest_stable": STABLE, "rejected": [CUT]}
PASSED = {"name": "rows", "result": "passed", "detail": "", "seconds": 0.1}
RESTORED: dict[str, Any] = {
    "dump": {**STABLE, "path": "/tmp/carried"}, "proof": [PASSED], "rows": 9, "tables": [{"name": "t", "rows": 9}],
    "seconds": {"judge": 1.0, "create": 0.5, "load": 3.0, "verify": 0.5, "keep": 9.0, "total": 14.0},
    "verified_database": "v__verified_1", "compared_to_live": {"msg": "equal"},
}  # fmt: skip


def entry(**how: Any) -> Any:
    told: dict[str, Any] = {"found": FOUND, "restored": RESTORED, "unchanged": "f", "swap_seconds": 0.1, **how}
    return drill_of(Course("20261123T033000Z", "v", "vps", "rows", NOW, NOW + timedelta(seconds=14), **told))


def failed(**how: Any) -> dict[str, Any]:
    return {"failed": True, "msg": "it would not", "dump": STABLE, "seconds": {"judge": 1.0}, "proof": [], **how}


def test_a_proof() -> None:
    drill = entry(api_seconds=6.0)
    assert drill.outcome == "proved"
    assert drill.reason is None
    assert (drill.dump["path"], drill.dump["name"], drill.dump["fingerprint"]) == ("/b/one.dump", "one.dump", "f")
    assert (drill.dump["sha256"], drill.dump["bytes"], drill.dump["dumped_at"]) == ("a" * 64, 7, STABLE["created"])
    assert drill.kept_as == "v__verified_1"
    assert drill.restore_seconds == 5.0
    assert drill.rto_seconds == pytest.approx(11.1)
    assert (drill.rpo_seconds, drill.rpo_source) == (7200.0, "the dump's age")
    assert drill.rejected == [{"path": "/b/two.sql", "reason": "cut off", "code": "truncated"}]


def test_the_newest_row_tells_more_than_the_dump() -> None:
    told = {"name": FRESHNESS, "result": "passed", "detail": str(int(NOW.timestamp()) - 90), "seconds": 0.0}
    drill = entry(restored={**RESTORED, "proof": [PASSED, told]})
    assert (drill.rpo_seconds, drill.rpo_source) == (90.0, FRESHNESS)


@pytest.mark.parametrize(
    ("course", "outcome"),
    [
        ({"found": {}, "restored": {}}, "could_not_run"),
        ({"found": {"latest_stable": None, "rejected": []}, "restored": {}}, "could_not_run"),
        ({"found": {"latest_stable": None, "rejected": [CUT]}, "restored": {}}, "failed"),
        ({"restored": {}}, "could_not_run"),
        ({"restored": failed()}, "could_not_run"),
        ({"restored": failed(seconds={"judge": 1.0, "create": 0.1, "load": 0.2})}, "failed"),
        ({"restored": failed(proof=[PASSED, {**PASSED, "result": "failed"}])}, "failed"),
        ({"restored": failed(proof=[{**PASSED, "result": "could not run"}], seconds={"load": 1})}, "could_not_run"),
        ({"restored": failed(proof=[PASSED, {**PASSED, "result": "could not run"}, PASSED])}, "failed"),
        ({"restored": {**RESTORED, "proof": []}, "failure": None}, "failed"),
        ({"restored": RESTORED, "failure": "the container is gone"}, "failed"),
    ],
)
def test_what_is_no_proof(course: dict[str, Any], outcome: str) -> None:
    drill = entry(**{"failure": "it would not", **course})
    assert drill.outcome == outcome
    assert drill.reason
    assert (drill.restore_seconds, drill.rto_seconds, drill.kept_as) == (None, None, None)


def test_a_folder_of_bad_dumps_names_the_newest() -> None:
    drill = entry(found={"latest_stable": None, "rejected": [CUT]}, restored={}, failure="no stable dump")
    assert (drill.dump["name"], drill.dump["sha256"], drill.rpo_seconds) == ("two.sql", None, None)


def test_a_dump_that_was_replaced_meanwhile_is_known_by_what_was_restored() -> None:
    drill = entry(restored={**RESTORED, "dump": {**STABLE, "sha256": "c" * 64}})
    assert drill.dump["sha256"] == "c" * 64
    assert drill.dump["fingerprint"] is None


def test_the_last_recovery_tells_how_long_the_api_takes(tmp_path: Path) -> None:
    def journal(name: str, **entry: Any) -> None:
        (tmp_path / f"{name}_disaster_recovery.json").write_text(json.dumps(entry))

    clock = {"began": 0.0, "planned": 10.0, "stopped": 13.0, "restored": 40.0, "healthy": 44.5}
    assert api_seconds(str(tmp_path)) is None
    journal("1", outcome="succeeded", restored=True, clock={**clock, "healthy": 99.0})
    journal("2", outcome="succeeded", restored=True, clock=clock)
    journal("3", outcome="failed", restored=True, clock=clock)
    journal("4", outcome="succeeded", restored=False, clock={"began": 0.0})
    (tmp_path / "5_disaster_recovery.json").write_text("{")
    assert api_seconds(str(tmp_path)) == 7.5
