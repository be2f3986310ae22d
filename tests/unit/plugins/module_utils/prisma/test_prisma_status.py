# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands between files and table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._prisma.files import (
    Folder,
    Migration,
    folder_of,
    read_folder,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._prisma.status import Status, status_of
from ansible_collections.vedfinance.platform.plugins.module_utils._prisma.table import History, Row

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
FIRST, SECOND, THIRD = "20260101000000_first", "20260201000000_second", "20260301000000_third"


def file(name: str, sql: str | None = "SELECT 1;\n") -> Migration:
    return Migration(name, sql)


def row(migration: Migration, how: str = "applied", steps: int = 1) -> Row:
    finished = NOW + timedelta(seconds=1.5) if how == "applied" else None
    return Row(migration.name, migration.checksum or "", NOW, finished, NOW if how == "rolled back" else None, steps)


def judged(files: list[Migration], rows: list[Row], *loose: str) -> Status:
    return status_of(Folder(tuple(files), loose), History(tuple(rows)))


def states(status: Status) -> dict[str, str]:
    return {each.name: each.state for each in status.migrations}


def kinds(status: Status) -> dict[str, bool]:
    return {problem.kind: problem.blocks for problem in status.problems}


def test_all_applied_is_no_problem() -> None:
    files = [file(FIRST), file(SECOND)]
    status = judged(files, [row(each) for each in files])
    assert states(status) == {FIRST: "applied", SECOND: "applied"}
    assert (status.head, status.pending, status.problems) == (SECOND, [], ())
    assert status.migrations[0].seconds == 1.5


def test_a_folder_without_a_row_is_pending() -> None:
    status = judged([file(FIRST), file(SECOND)], [row(file(FIRST))])
    assert (status.pending, status.head, status.problems) == ([SECOND], FIRST, ())


def test_an_edited_file_is_told_by_its_checksum() -> None:
    status = judged([file(FIRST, "SELECT 2;")], [row(file(FIRST))])
    assert states(status) == {FIRST: "edited"}
    assert kinds(status) == {"edited": False}


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_other_line_endings_are_no_edit(ending: str) -> None:
    applied = file(FIRST, "SELECT 1;\nSELECT 2;\n")
    now = file(FIRST, "SELECT 1;\nSELECT 2;\n".replace("\n", ending))
    assert states(judged([now], [row(applied)])) == {FIRST: "applied"}


def test_a_row_without_a_folder_is_ahead_of_the_code() -> None:
    status = judged([file(FIRST)], [row(file(FIRST)), row(file(SECOND))])
    assert states(status)[SECOND] == "ahead"
    assert (status.head, status.pending) == (SECOND, [])
    assert "no down migrations" in status.problems[0].remedy


def test_a_failed_one_blocks_and_is_never_resolved_from_here() -> None:
    failed = Row(SECOND, file(SECOND).checksum or "", NOW, None, None, 0, "ERROR: relation does not exist")
    status = judged([file(FIRST), file(SECOND), file(THIRD)], [row(file(FIRST)), failed])
    assert states(status) == {FIRST: "applied", SECOND: "failed", THIRD: "pending"}
    assert kinds(status) == {"failed": True}
    assert f"--rolled-back {SECOND}" in status.blocking[0].remedy
    assert status.migrations[1].logs == "ERROR: relation does not exist"


def test_a_second_attempt_that_failed_hides_no_first_one() -> None:
    rows = [row(file(FIRST), "rolled back"), row(file(FIRST), "failed")]
    assert states(judged([file(FIRST)], rows)) == {FIRST: "failed"}


def test_what_was_rolled_back_runs_again() -> None:
    status = judged([file(FIRST)], [row(file(FIRST), "rolled back")])
    assert states(status) == {FIRST: "rolled_back"}
    assert status.pending == [FIRST]


def test_what_was_rolled_back_and_then_applied_is_applied() -> None:
    rows = [row(file(FIRST), "rolled back"), row(file(FIRST))]
    assert states(judged([file(FIRST)], rows)) == {FIRST: "applied"}


def test_of_what_was_rolled_back_and_deleted_nothing_is_left() -> None:
    status = judged([], [row(file(FIRST), "rolled back")])
    assert (status.migrations, status.problems, status.head) == ((), (), None)


def test_resolved_without_running_is_said() -> None:
    status = judged([file(FIRST)], [row(file(FIRST), steps=0)])
    assert states(status) == {FIRST: "resolved"}
    assert status.head == FIRST
    assert kinds(status) == {"resolved": False}


def test_a_folder_without_its_file_blocks() -> None:
    status = judged([file(FIRST, None)], [])
    assert (states(status), kinds(status), status.pending) == ({FIRST: "incomplete"}, {"incomplete": True}, [])


def test_one_that_comes_late_is_said() -> None:
    status = judged([file(FIRST), file(SECOND)], [row(file(SECOND))])
    assert status.pending == [FIRST]
    assert kinds(status) == {"late": False}


@pytest.mark.parametrize("name", ["20260101_eight_digits", "init", "202601010000000_fifteen", "20260101000000"])
def test_a_badly_named_folder_is_said(name: str) -> None:
    assert kinds(judged([file(name)], [row(file(name))])) == {"badly_named": False}


def test_loose_and_empty_files_are_said() -> None:
    status = judged([file(FIRST, " \n")], [row(file(FIRST, " \n"))], "fix.sql")
    assert kinds(status) == {"loose_file": False, "empty": False}


def test_no_table_in_an_empty_schema_is_a_beginning() -> None:
    status = status_of(Folder((file(FIRST),)), History(exists=False, empty_schema=True))
    assert (status.pending, status.problems) == ([FIRST], ())


def test_no_table_in_a_schema_with_others_needs_a_baseline() -> None:
    status = status_of(Folder((file(FIRST),)), History(exists=False, empty_schema=False))
    assert kinds(status) == {"baseline_needed": True}


def test_the_folder_is_read_as_prisma_reads_it(tmp_path: Path) -> None:
    for name in (SECOND, FIRST):
        (tmp_path / name).mkdir()
    (tmp_path / FIRST / "migration.sql").write_bytes("SELECT 'ä';\r\n".encode())
    (tmp_path / "migration_lock.toml").write_text('provider = "postgresql"\n')
    (tmp_path / "stray.sql").touch()
    folder = read_folder(str(tmp_path))
    assert [(each.name, each.sql) for each in folder.migrations] == [(FIRST, "SELECT 'ä';\r\n"), (SECOND, None)]
    assert folder.loose == ("stray.sql",)
    assert folder_of(folder.as_data()) == folder


def test_what_is_no_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / FIRST).mkdir()
    (tmp_path / FIRST / "migration.sql").write_bytes(b"SELECT '\xff';")
    with pytest.raises(PlatformError, match=rf"{FIRST}/migration.sql is not UTF-8 at byte 8"):
        read_folder(str(tmp_path))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="cannot be read: No such file"):
        read_folder(str(tmp_path / "none"))
