# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab refuses before it starts anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import platform, postgres
from lab.__main__ import main


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 1
    return capsys.readouterr().err


def test_a_folder_with_other_peoples_files_is_not_emptied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert "is not empty and not a lab's" in refused(capsys, "--state", str(tmp_path), "up")
    assert main(["--state", str(tmp_path), "down"]) == 0
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_down_without_a_lab_is_fine_and_makes_nothing(tmp_path: Path) -> None:
    assert main(["--state", str(tmp_path / "none"), "down"]) == 0
    assert not (tmp_path / "none").exists()


def test_a_disaster_needs_a_lab(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "python -m lab up" in refused(capsys, "--state", str(tmp_path), "break", "corrupt")


def test_status_of_no_lab_is_down(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--state", str(tmp_path), "status"]) == 1
    assert "down" in capsys.readouterr().out


def test_a_failing_start_says_why_and_forgets_its_half(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_PG_BIN", str(tmp_path))
    assert "LAB_PG_BIN" in refused(capsys, "--state", str(tmp_path / "lab"), "up")
    assert platform.describe(tmp_path / "lab") is None


def test_an_unknown_version_names_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAB_PG_BIN", raising=False)
    monkeypatch.setenv("LAB_PG_VERSION", "9.6")
    with pytest.raises(postgres.ServerError, match="16 or 18"):
        postgres.find_binaries()


def test_a_long_path_gets_no_unix_socket(tmp_path: Path) -> None:
    binaries = tmp_path / "bin"
    assert postgres.Settings.fresh(Path("/tmp/short"), binaries).socket == "/tmp/short/postgres/run"
    assert postgres.Settings.fresh(Path("/tmp") / ("x" * 90), binaries).socket is None


def test_passwords_do_not_show_in_settings() -> None:
    settings = postgres.Settings.fresh(Path("/tmp/lab"), Path("/bin"))
    for password in (settings.superuser_password, settings.app_password, settings.operator_password):
        assert password not in repr(settings)
