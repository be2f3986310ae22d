# SPDX-License-Identifier: GPL-3.0-or-later
"""Which dump of a folder a recovery should take."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump import folder as folders
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.folder import Folder, catalogue
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.report import (
    in_time,
    in_units,
    summary,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.source import Tools

from tests.unit.plugins.module_utils.postgres.given import SCHOOL, dump_of

HOUR = 3600
CUT = SCHOOL[:3000]


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    """Newest first: cut off, of a whole server, good, good and old."""
    for hours, name, content in (
        (1, "newest.sql", CUT),
        (20, "cluster.sql", b"--\n-- PostgreSQL database cluster dump\n--\n"),
        (40, "good.sql", SCHOOL),
        (90, "old.sql", dump_of(b"")),
    ):
        (tmp_path / name).write_bytes(content)
        moment = time.time() - hours * HOUR
        os.utime(tmp_path / name, (moment, moment))
    (tmp_path / "latest.sql").symlink_to("newest.sql")
    (tmp_path / "folder.sql").mkdir()
    (tmp_path / ".hidden.sql").write_bytes(SCHOOL)
    return tmp_path


def look(path: Path, *patterns: str, **options: Any) -> Folder:
    return catalogue(str(path), patterns or ("*",), Tools(), **options)


def names(entries: list[folders.Entry]) -> list[str]:
    return [os.path.basename(entry.path) for entry in entries]


def test_the_newest_good_one_is_taken_and_the_newer_ones_are_told(backups: Path) -> None:
    found = look(backups)
    assert names(found.entries) == ["newest.sql", "cluster.sql", "good.sql", "old.sql"]
    assert found.latest_stable is not None
    assert found.latest_stable.path == str(backups / "good.sql")
    assert names(found.newer_rejected) == ["newest.sql", "cluster.sql"]
    assert [entry.rejected.code for entry in found.newer_rejected if entry.rejected] == ["truncated", "cluster_dump"]
    assert found.links == {"latest.sql": "newest.sql"}


def test_reading_may_stop_at_the_first_good_one(backups: Path) -> None:
    found = look(backups, until_stable=True)
    assert [entry.judged for entry in found.entries] == [True, True, True, False]


def test_a_dump_that_says_it_is_older_than_its_file_does_not_stop_the_search(backups: Path) -> None:
    """Files are read by the time of the file; what the dump itself says decides."""
    late = SCHOOL.replace(b"-- Dumped by", b"-- Started on 2020-01-01 00:00:00 UTC\n-- Dumped by")
    (backups / "copied.sql").write_bytes(late)
    found = look(backups, until_stable=True)
    assert found.latest_stable is not None
    assert found.latest_stable.path == str(backups / "good.sql")


def test_a_dump_in_directory_format_is_one_dump(backups: Path) -> None:
    archive = backups / "nightly"
    archive.mkdir()
    (archive / "toc.dat").write_bytes(b"PGDMP" + bytes(100))
    (archive / "1.dat").write_bytes(b"\\.\n\n\n")
    moment = time.time() - HOUR
    for file in archive.iterdir():
        os.utime(file, (moment, moment))
    program = backups.parent / "pg_restore"
    listing = "seq -f '%g; 0 1 TABLE DATA public t o' 4"
    program.write_text(f"#!/bin/sh\ncase $1 in --list) {listing};; *) cat <<'END'\n{SCHOOL.decode()}END\nesac\n")
    program.chmod(0o755)
    found = catalogue(str(backups), ["*"], Tools(str(backups.parent)))
    entry = next(entry for entry in found.entries if entry.path == str(archive))
    assert entry.dump is not None, entry.rejected
    assert (entry.dump.rows, str(entry.dump.format), entry.size) == (12, "directory", 110)
    assert "folder.sql" not in names(found.entries)


def test_patterns_and_age(backups: Path) -> None:
    assert names(look(backups, "o*", "*cluster*").entries) == ["cluster.sql", "old.sql"]
    aged = look(backups, max_age=24.0 * HOUR)
    assert aged.latest_stable is None
    assert [entry.rejected.code for entry in aged.entries if entry.rejected][2:] == ["too_old", "too_old"]


def test_dumps_of_other_databases_are_left_out(backups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = folders.judge

    def named(path: str, tools: Tools) -> object:
        dump = judge(path, tools)
        dump.database = "other" if path.endswith("good.sql") else None
        return dump

    monkeypatch.setattr(folders, "judge", named)
    assert "good.sql" not in names(look(backups, database="vedfinance").entries)
    assert "good.sql" in names(look(backups, database="other").entries)


def test_the_report(backups: Path) -> None:
    found = look(backups)
    assert found.latest_stable is not None
    dump = found.latest_stable.dump
    assert dump is not None
    told = summary(found, dump.created)
    assert told["latest_stable"]["rows"] == 12
    assert told["latest_stable"]["age"] == "0 s"
    assert told["msg"].endswith("2 newer was rejected.")
    assert [entry["complete"] for entry in told["dumps"]] == [False, False, True, True]
    assert told["rejected"][0]["where"].startswith("byte 3000")
    assert told["dumps"][2]["path"] == told["latest_stable"]["path"]


def test_a_folder_without_a_good_dump(backups: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    empty = tmp_path_factory.mktemp("empty")
    now = look(backups).entries[0].created
    assert "holds no dump at all" in summary(look(empty), now)["msg"]
    bad = summary(look(backups, "[nc]*"), now)
    assert bad["latest_stable"] is None
    assert "There is no stable dump among the 2 files" in bad["msg"]
    assert "the file is cut off" in bad["msg"]


@pytest.mark.parametrize(("name", "message"), [("typo", "does not exist"), ("good.sql", "is a file")])
def test_no_folder(backups: Path, name: str, message: str) -> None:
    with pytest.raises(PlatformError, match=message):
        look(backups / name)


@pytest.mark.parametrize(
    ("seconds", "text"), [(5.9, "5 s"), (60, "1 min"), (3599, "59 min"), (18600, "5 h 10 min"), (273600, "3 d 4 h")]
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert in_time(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (768e6, "768 MB"), (2.5e12, "2.5 TB")]
)
def test_sizes_for_people(size: float, text: str) -> None:
    assert in_units(size) == text
