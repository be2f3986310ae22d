# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger's word on a folder of dumps: what is not read again, what may not be taken, what is taken first."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._ledger import COULD_NOT_RUN, FAILED, Drill
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup.manifest import Manifest, manifest_of
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump import folder as folders
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.folder import Folder, Proofs, catalogue
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.judge import judge
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.report import summary
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.tools import Tools
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.warm import fingerprint

from tests.unit.plugins.module_utils.drills import drill
from tests.unit.plugins.module_utils.postgres.given import SCHOOL

NIGHTS = ("20261121_020000", "20261122_020000", "20261122_030000")
OLD, MIDDLE, NEW = (f"school_{night}.sql" for night in NIGHTS)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = 3600.0


@pytest.fixture
def dumps(tmp_path: Path) -> Path:
    """Three nights, each with a content of its own."""
    for number, name in enumerate((OLD, MIDDLE, NEW)):
        (tmp_path / name).write_bytes(SCHOOL.replace(b"-- Dumped by", b"-- Night %d\n-- Dumped by" % number))
    return tmp_path


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which files were read."""
    names: list[str] = []

    def noted(path: str, *arguments: Any, **options: Any) -> Any:
        names.append(Path(path).name)
        return judge(path, *arguments, **options)

    monkeypatch.setattr(folders, "judge", noted)
    return names


def drilled(path: Path, outcome: str = "proved", days_ago: float = 0, **more: Any) -> Drill:
    dump = judge(str(path))
    told = drill(days_ago, outcome, dump.sha256, fingerprint=fingerprint(str(path)), **more)
    return Drill(**{**vars(told), "dump": {**told.dump, "dumped_at": dump.created.isoformat(), "rows": dump.rows}})


def looked_at(folder: Path, *drills: Drill, prefer: float = 0.0, **options: Any) -> Folder:
    return catalogue(str(folder), ["*"], Tools(), proofs=Proofs(drills, prefer), fingerprint=fingerprint, **options)


def taken(folder: Folder) -> str | None:
    return Path(folder.latest_stable.path).name if folder.latest_stable else None


def test_what_a_drill_has_read_is_not_read_again(dumps: Path, read: list[str]) -> None:
    found = looked_at(dumps, drilled(dumps / NEW), until_stable=True)
    assert taken(found) == NEW
    assert read == []
    told = summary(found, NOW)["latest_stable"]
    assert (told["complete"], told["judged"], told["rows"]) == (True, True, judge(str(dumps / NEW)).rows)
    assert told["proof"]["verify"] == "rows"
    assert told["created"] == judge(str(dumps / NEW)).created.isoformat(timespec="seconds")


@pytest.mark.parametrize("change", [lambda path: path.write_bytes(SCHOOL), lambda path: path.chmod(0o640)])
def test_a_file_that_somebody_has_touched_is_read(
    dumps: Path, read: list[str], change: Callable[[Path], object]
) -> None:
    drills = [drilled(dumps / NEW)]
    change(dumps / NEW)
    looked_at(dumps, *drills, until_stable=True)
    assert read == [NEW]


def test_a_copy_has_the_proof_of_its_content(dumps: Path, read: list[str]) -> None:
    drills = [drilled(dumps / NEW)]
    copied = dumps / "school_20261122_040000.sql"
    copied.write_bytes((dumps / NEW).read_bytes())
    found = looked_at(dumps, *drills, until_stable=True)
    assert taken(found) == copied.name
    assert found.latest_stable is not None
    assert found.latest_stable.proof is drills[0]
    assert read == [copied.name]


FAILED_CHECK = ({"name": "users", "result": "failed", "detail": "", "seconds": 0},)


def test_a_server_that_failed_does_not_take_a_proof_back(dumps: Path) -> None:
    before = drilled(dumps / NEW, days_ago=1)
    found = looked_at(dumps, drilled(dumps / NEW, FAILED), before, until_stable=True)
    assert taken(found) == NEW
    assert found.latest_stable is not None
    assert found.latest_stable.proof is before


@pytest.mark.parametrize(("proof", "proved_before"), [((), False), (FAILED_CHECK, False), (FAILED_CHECK, True)])
def test_what_failed_its_last_drill_is_passed_over(
    dumps: Path, proof: tuple[dict[str, Any], ...], proved_before: bool
) -> None:
    before = [drilled(dumps / NEW, days_ago=1)] if proved_before else []
    found = looked_at(dumps, drilled(dumps / NEW, FAILED, proof=proof), *before, until_stable=True)
    assert taken(found) == MIDDLE
    (rejected,) = summary(found, NOW)["rejected"]
    assert rejected["code"] == "drill_failed"
    assert "it would not" in rejected["reason"]
    assert "another drill" in rejected["hint"]


def test_a_drill_that_could_not_run_says_nothing_of_the_dump(dumps: Path) -> None:
    found = looked_at(dumps, drilled(dumps / NEW, COULD_NOT_RUN))
    assert taken(found) == NEW
    assert found.latest_stable is not None
    assert found.latest_stable.proof is None


def test_a_later_proof_takes_a_failure_back(dumps: Path) -> None:
    assert taken(looked_at(dumps, drilled(dumps / NEW), drilled(dumps / NEW, FAILED, 1))) == NEW


@pytest.mark.parametrize("until_stable", [True, False])
@pytest.mark.parametrize(
    ("proved", "prefer", "expected"),
    [(MIDDLE, 0.0, NEW), (MIDDLE, HOUR, MIDDLE), (OLD, HOUR, NEW), (OLD, 26 * HOUR, OLD), (NEW, 26 * HOUR, NEW)],
)
def test_a_proof_is_preferred_within_bounds(
    dumps: Path, proved: str, prefer: float, expected: str, until_stable: bool
) -> None:
    found = looked_at(dumps, drilled(dumps / proved), prefer=prefer, until_stable=until_stable)
    assert taken(found) == expected
    passed_over = [Path(one["path"]).name for one in summary(found, NOW)["unproved"]]
    assert (NEW in passed_over) == (expected != NEW)


def test_what_is_too_old_is_too_old_even_when_proved(dumps: Path) -> None:
    found = looked_at(dumps, drilled(dumps / NEW), max_age=1)
    assert found.latest_stable is None
    assert {entry.rejected.code for entry in found.entries if entry.rejected} == {"too_old"}


def test_manifests_are_no_dumps_and_tell_what_was_changed(dumps: Path) -> None:
    dump = judge(str(dumps / NEW))
    manifest = Manifest(NEW, dump.sha256, dump.size, "plain", "none", "school", "2026-11-22", "2026-11-22")
    manifest.write(manifest_of(str(dumps / NEW)))
    found = looked_at(dumps)
    assert (taken(found), len(found.entries)) == (NEW, 3)
    (dumps / NEW).write_bytes((dumps / NEW).read_bytes().replace(b"Ann", b"Eve", 1) + b"\n")
    found = looked_at(dumps)
    assert taken(found) == MIDDLE
    (rejected,) = summary(found, NOW)["rejected"]
    assert "manifest" in rejected["reason"]
