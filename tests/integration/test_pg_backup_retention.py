# SPDX-License-Identifier: GPL-3.0-or-later
"""What really goes from a folder of dumps, and what stays there whatever stands in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils import _ledger
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup import files
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup.manifest import (
    Manifest,
    Offsite,
    manifest_of,
)

from tests.modules import run_module

SCHOOL_SQL = Path(__file__).parents[1] / "unit/plugins/module_utils/postgres/dumps/school.sql"
NOW = datetime.now(UTC).replace(microsecond=0)


class Backups:
    """A folder of dumps, one for each night, and a ledger."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "backups"
        self.ledger = folder / "ledger"
        self.folder.mkdir()
        self.offsite: Offsite | None = None

    def night(self, days_ago: int, *, manifest: bool = True, is_folder: bool = False, database: str = "school") -> Path:
        began = NOW - timedelta(days=days_ago)
        dump = self.folder / f"{database}_{began:%Y%m%dT%H%M%SZ}"
        if is_folder:
            dump.mkdir()
            (dump / "toc.dat").write_text(f"table of contents {days_ago}")
        else:
            # No two nights are the same, or a drill of one would prove the other.
            dump.write_bytes(SCHOOL_SQL.read_bytes().replace(b"16.14", b"16.%02d" % days_ago))
        if manifest:
            Manifest(
                dump=dump.name,
                sha256=files.sha256_of(str(dump)),
                bytes=files.size_of(str(dump)),
                format="directory" if is_folder else "plain",
                compression="none",
                database=database,
                began=began.isoformat(),
                ended=began.isoformat(),
                offsite=replace(self.offsite, path=dump.name) if self.offsite else None,
            ).write(manifest_of(str(dump)))
        os.utime(dump, (began.timestamp(), began.timestamp()))
        return dump

    def drill(self, dump: Path, outcome: str = "proved", days_ago: int = 0) -> None:
        when = NOW - timedelta(days=days_ago)
        known = {"name": dump.name, "sha256": files.sha256_of(str(dump)), "bytes": files.size_of(str(dump))}
        run = f"{when:%Y%m%dT%H%M%SZ}"
        while (self.ledger / f"{run}_school.json").exists():
            when += timedelta(seconds=1)
            run = f"{when:%Y%m%dT%H%M%SZ}"
        reason = None if outcome == "proved" else "users are missing"
        drill = _ledger.Drill(
            run, "school", "vps", outcome, known, "rows", when.isoformat(), when.isoformat(), reason=reason
        )
        _ledger.write_drill(str(self.ledger), drill)

    def prune(self, *, check: bool = False, **options: Any) -> dict[str, Any]:
        arguments = {"path": str(self.folder), "database": "school", "ledger_dir": str(self.ledger), **options}
        return run_module("pg_backup_retention", arguments, check=check)

    def pruned(self, **options: Any) -> dict[str, Any]:
        result = self.prune(**options)
        assert not result.get("failed"), result["msg"]
        return result

    @property
    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir() if not path.name.endswith(".manifest.json"))

    @property
    def manifests(self) -> list[str]:
        return sorted(path.name[:-14] for path in self.folder.iterdir() if path.name.endswith(".manifest.json"))


@pytest.fixture
def backups(tmp_path: Path) -> Backups:
    return Backups(tmp_path)


def named(dumps: Sequence[Path]) -> list[str]:
    return sorted(dump.name for dump in dumps)


def test_the_plan_is_what_happens(backups: Backups) -> None:
    dumps = [backups.night(days, is_folder=days % 2 == 1) for days in range(6)]
    backups.drill(dumps[4])
    before = backups.names
    planned = backups.prune(check=True, keep_last=2)
    assert backups.names == before
    done = backups.pruned(keep_last=2)
    assert {name: value for name, value in planned.items() if name != "invocation"} == {
        name: value for name, value in done.items() if name != "invocation"
    }
    assert [row["name"] for row in done["deleted"]] == [dumps[days].name for days in (2, 3, 5)]
    assert done["newest_proved"] == dumps[4].name
    assert backups.names == backups.manifests == named([dumps[0], dumps[1], dumps[4]])
    again = backups.pruned(keep_last=2)
    assert (again["changed"], again["deleted"]) == (False, [])


def test_a_week_of_bad_nights_leaves_the_last_good_one(backups: Backups) -> None:
    dumps = [backups.night(days) for days in range(10)]
    backups.drill(dumps[8], days_ago=8)
    for dump in dumps[:7]:
        dump.write_bytes(dump.read_bytes()[:-100])
    stopped = backups.pruned(keep_last=1)
    assert "the newest 3 are bad" in stopped["stopped"]
    assert stopped["changed"] is False
    done = backups.pruned(keep_last=1, stop_when_newest_bad=0)
    assert backups.names == named([*dumps[:7], dumps[7], dumps[8]])
    assert {row["bad"] is not None for row in done["kept"]} == {True, False}


def test_a_failed_drill_and_a_changed_file_count_as_bad(backups: Backups) -> None:
    dumps = [backups.night(days) for days in range(4)]
    backups.drill(dumps[1], days_ago=3)
    backups.drill(dumps[2], days_ago=2)
    backups.drill(dumps[1], "could_not_run")
    # Of the same size, so that only its content tells.
    dumps[1].write_bytes(dumps[1].read_bytes()[:-1] + b"x")
    backups.drill(dumps[0], "failed")
    done = backups.pruned(keep_last=1)
    bad = {row["name"]: row["bad"] for row in done["kept"] + done["deleted"]}
    assert "users are missing" in bad[dumps[0].name]
    assert "checksum differs" in bad[dumps[1].name]
    assert done["newest_proved"] == dumps[2].name
    assert [row["name"] for row in done["deleted"]] == [dumps[3].name]


def test_without_a_proof_nothing_goes(backups: Backups) -> None:
    dumps = [backups.night(days) for days in range(3)]
    assert "only 0 are proved" in backups.pruned(keep_last=1)["msg"]
    backups.ledger.mkdir()
    (backups.ledger / "broken.json").write_text("{")
    result = backups.pruned(keep_last=1, min_proved=0)
    assert "broken.json is no drill" in result["notes"][0]
    assert backups.names == [dumps[0].name]


def test_what_is_not_ours_is_not_touched(backups: Backups, tmp_path: Path) -> None:
    dumps = [backups.night(days) for days in range(3)]
    backups.drill(dumps[0])
    foreign = [backups.night(5, database="other"), backups.night(6, manifest=False)]
    (backups.folder / "notes").mkdir()
    (backups.folder / "notes" / "toc.txt").touch()
    archive = backups.night(7, is_folder=True)
    (archive / "more").mkdir()
    (backups.folder / "latest_dump.sql").symlink_to(dumps[2].name)
    precious = tmp_path / "passwd"
    precious.write_text("root")
    (backups.folder / "school_20200101T000000Z").symlink_to(precious)
    trick = backups.folder / "school_20200102T000000Z"
    trick.write_text("x")
    manifest = Path(manifest_of(str(trick)))
    manifest.write_text(Path(manifest_of(str(dumps[0]))).read_text().replace(dumps[0].name, "../passwd"))
    done = backups.pruned(keep_last=1)
    assert [row["name"] for row in done["deleted"]] == [dumps[1].name]
    assert any("is no file name" in note for note in done["notes"])
    assert precious.read_text() == "root"
    assert trick.exists()
    assert all(dump.exists() for dump in (*foreign, archive, dumps[2]))
    again = backups.pruned(keep_last=1, patterns=["school_*"], check_content=False)
    assert [row["name"] for row in again["deleted"]] == [foreign[1].name]
    assert precious.exists()


def test_dumps_without_manifest_are_judged_and_known_by_their_content(backups: Backups) -> None:
    dumps = [backups.night(days, manifest=False) for days in range(4)]
    backups.drill(dumps[2])
    dumps[0].write_bytes(dumps[0].read_bytes()[:-200])
    done = backups.pruned(keep_last=1, patterns=["school_2*"])
    assert [row["name"] for row in done["deleted"]] == [dumps[3].name]
    assert "no dump that can be restored" in done["kept"][0]["bad"]


def test_what_is_being_made_is_no_failure_and_what_a_kill_left_is(backups: Backups) -> None:
    proved = backups.night(3)
    backups.drill(proved)
    left = backups.folder / ".partial-school_20261122"
    with files.Partial(str(backups.folder), "school_now"):
        left.touch()
        result = backups.pruned(keep_last=1, stop_when_newest_bad=1, patterns=["school_*"])
        assert [row["name"] for row in result["kept"]] == [left.name, proved.name]
    assert "the newest 1 are bad" in result["stopped"]
    assert left.exists()


def test_a_manifest_whose_dump_is_gone_goes_too(backups: Backups) -> None:
    dumps = [backups.night(days) for days in range(3)]
    backups.drill(dumps[0])
    dumps[1].unlink()
    making = Path(manifest_of(str(dumps[2])))
    dumps[2].rename(dumps[2].with_name(f".partial-{dumps[2].name}"))
    backups.pruned(keep_last=1)
    assert backups.manifests == named([dumps[0], dumps[2]])
    assert making.exists()


def test_copies_elsewhere_go_only_when_asked(backups: Backups, tmp_path: Path) -> None:
    if shutil.which("rclone") is None:
        pytest.skip("the program rclone is not on this machine")
    there = tmp_path / "there"
    config = tmp_path / "rclone.conf"
    config.write_text(f"[disk]\ntype = alias\nremote = {there}\n")
    backups.offsite = Offsite("disk:", "", NOW.isoformat(), "sha256")
    dumps = [backups.night(days, is_folder=days == 2) for days in range(4)]
    backups.drill(dumps[0])
    subprocess.run(["cp", "-r", str(backups.folder), str(there)], check=True)
    backups.pruned(keep_last=3)
    assert len(list(there.iterdir())) == 8
    offsite = {"remote": "disk:", "rclone_config": str(config)}
    unknown = backups.prune(keep_last=1, offsite={**offsite, "remote": "nosuch:"})
    assert "knows no remote" in unknown["msg"]
    assert backups.names == named(dumps[:3])
    done = backups.pruned(keep_last=1, offsite=offsite)
    assert len(done["deleted"]) == 2
    assert backups.names == [dumps[0].name]
    assert named([path for path in there.iterdir() if not path.name.endswith("json")]) == named([dumps[0], dumps[3]])


def test_what_cannot_be_deleted_is_told(backups: Backups, monkeypatch: pytest.MonkeyPatch) -> None:
    dumps = [backups.night(days) for days in range(4)]
    backups.drill(dumps[0])
    unlink = os.unlink

    def refused(path: Any, **options: Any) -> None:
        if path == dumps[2].name:
            raise PermissionError(13, "Permission denied", path)
        unlink(path, **options)

    monkeypatch.setattr(os, "unlink", refused)
    result = backups.prune(keep_last=1)
    assert result["failed"]
    assert "Permission denied" in result["msg"]
    assert [row["name"] for row in result["deleted"]] == [dumps[3].name]
    assert backups.names == backups.manifests == named(dumps[:3])
