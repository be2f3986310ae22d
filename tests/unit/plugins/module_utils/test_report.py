# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's half of the report: nothing secret leaves it, and no page is half written."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._report import pages_in, read_source, write_pages

from tests.reports import SECRET, night, other, recovery, write


def test_drills_are_limited_by_database_and_newest_first(tmp_path: Path) -> None:
    others = [night(days, database="shop") for days in range(3)]
    write(tmp_path, [night(days) for days in range(3)] + others)
    found = read_source(str(tmp_path / "ledger"), str(tmp_path / "journal"), [], 2)
    assert sorted((drill["database"], drill["run"][:8]) for drill in found["drills"]) == [
        ("shop", "20261122"), ("shop", "20261123"), ("vedfinance", "20261122"), ("vedfinance", "20261123"),
    ]  # fmt: skip
    assert [drill["run"] for drill in found["drills"]] == sorted((d["run"] for d in found["drills"]), reverse=True)


def test_only_the_named_databases_are_told_of(tmp_path: Path) -> None:
    write(tmp_path, [night(0), night(0, database="shop")])
    found = read_source(str(tmp_path / "ledger"), str(tmp_path / "journal"), ["shop"], 9)
    assert [drill["database"] for drill in found["drills"]] == ["shop"]


def test_the_journal_is_newest_first(tmp_path: Path) -> None:
    write(tmp_path, [], [other(), recovery()])
    (tmp_path / "journal" / "lost+found").mkdir()
    found = read_source(str(tmp_path / "ledger"), str(tmp_path / "journal"), [], 9)
    assert [entry["kind"] for entry in found["journal"]] == ["disaster_recovery", "deploy"]


def test_what_looks_like_a_secret_is_masked_once_more(tmp_path: Path) -> None:
    write(tmp_path, [night(0, reason=f"cannot connect to {SECRET}")], [recovery(message=SECRET, api_key="k-123")])
    found = json.dumps(read_source(str(tmp_path / "ledger"), str(tmp_path / "journal"), [], 9))
    assert "hunter2" not in found
    assert "k-123" not in found


def test_a_very_long_text_is_clipped(tmp_path: Path) -> None:
    write(tmp_path, [night(0, reason="x" * 50_000)])
    (drill,) = read_source(str(tmp_path / "ledger"), str(tmp_path / "journal"), [], 9)["drills"]
    assert len(drill["reason"]) < 3000


def test_damaged_files_are_told_and_hide_nothing(tmp_path: Path) -> None:
    write(tmp_path, [night(0)], [recovery()])
    (tmp_path / "ledger" / "20261101T000000Z_vedfinance.json").write_text('{"ledger": 1')
    (tmp_path / "journal" / "20261101T000000Z_deploy.json").write_text("[]")
    found = read_source(str(tmp_path / "ledger"), str(tmp_path / "journal"), [], 9)
    assert len(found["drills"]) == len(found["journal"]) == 1
    assert [problem.split()[0] for problem in found["problems"]] == [
        "20261101T000000Z_vedfinance.json",
        "20261101T000000Z_deploy.json",
    ]


def test_folders_that_are_not_there_hold_nothing(tmp_path: Path) -> None:
    found = read_source(str(tmp_path / "no"), str(tmp_path / "no"), [], 9)
    assert found == {"drills": [], "journal": [], "problems": []}
    assert pages_in(str(tmp_path / "no")) == []


def test_pages_are_written_once_and_readable_for_the_group_only(tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    pages = {"index.html": "<p>new", "20261123T033000Z_vedfinance.html": "<p>one"}
    written = write_pages(str(folder), pages, check=False)
    # The index must not lead to a page that is not there yet.
    assert written[-1] == str(folder / "index.html")
    assert sorted(path.name for path in folder.iterdir()) == sorted(pages)
    assert stat.S_IMODE((folder / "index.html").stat().st_mode) == 0o640
    assert write_pages(str(folder), pages, check=False) == []


def test_check_mode_says_what_would_be_written(tmp_path: Path) -> None:
    assert write_pages(str(tmp_path / "no"), {"index.html": "x"}, check=True) == [str(tmp_path / "no" / "index.html")]
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("name", ["../index.html", "a/b.html", "index.php", ".html/../x"])
def test_a_page_stays_in_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(PlatformError, match="no name of a page"):
        write_pages(str(tmp_path), {name: "x"}, check=False)


def test_a_folder_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PlatformError, match="Is there room"):
        write_pages(str(tmp_path / "file"), {"index.html": "x"}, check=False)
