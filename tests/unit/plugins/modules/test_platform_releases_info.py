# SPDX-License-Identifier: GPL-3.0-or-later
"""The releases of a journal, as a play sees them."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.vedfinance.platform.plugins.modules.platform_releases_info import main

from tests.unit.plugins.module_utils.test_releases import write
from tests.unit.plugins.run_module import run_main


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    commits = ["aaaaaaaa1", "bbbbbbbb2", "aaaaaaaa3"]
    for number, commit in enumerate(commits, 1):
        write(tmp_path, number, release={"commit": commit}, outcome="failed" if number == 2 else "succeeded")
    write(tmp_path, 4, application={"id": "other"}, outcome="under_way", ended=None)
    return tmp_path


@pytest.mark.parametrize(
    ("options", "hours"),
    [
        ({}, ["04", "03", "02", "01"]),
        ({"limit": 1}, ["04"]),
        ({"limit": 0, "application_id": "app"}, ["03", "02", "01"]),
        ({"outcome": ["failed", "under_way"]}, ["04", "02"]),
        ({"commit": "AAAAAAAA"}, ["03", "01"]),
        ({"commit": "aaaaaaaa", "limit": 1}, ["03"]),
    ],
)
def test_what_is_told(
    journal: Path, capsys: pytest.CaptureFixture[str], options: dict[str, object], hours: list[str]
) -> None:
    result = run_main(main, capsys, {"journal_dir": str(journal), **options})
    assert [one["run"][9:11] for one in result["releases"]] == hours
    assert result["changed"] is False
    assert result["release"] is None


def test_the_sentence_says_how_it_stands(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (journal / "20261122T090000Z_deploy.json").write_text("{")
    result = run_main(main, capsys, {"journal_dir": str(journal), "application_id": "app"})
    assert result["msg"] == (
        "3 releases; the newest is 20261122T030000Z (aaaaaaaa3), succeeded. 1 entries cannot be read."
    )
    assert len(result["unreadable"]) == 1


def test_a_release_is_chosen_from_all(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(journal, 5, release={"commit": "cccccccc5", "dump": {"path": "/b/5.dump"}})
    result = run_main(main, capsys, {"journal_dir": str(journal), "release": "aaaaaaaa3", "limit": 1})
    assert result["release"]["run"] == "20261122T030000Z"
    assert result["release_dump"] == {"path": "/b/5.dump", "run": "20261122T050000Z"}


def test_a_release_that_is_not_there_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run_main(main, capsys, {"journal_dir": str(tmp_path), "release": "previous"})
    assert result["failed"] is True
    assert "no release that succeeded" in result["msg"]
