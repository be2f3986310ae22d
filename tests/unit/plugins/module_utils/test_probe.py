# SPDX-License-Identifier: GPL-3.0-or-later
"""A look at the host says what is there, and leaves it as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils import _probe as probe
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError


def test_a_missing_folder_could_be_made_and_is_not(tmp_path: Path) -> None:
    wanted = tmp_path / "a" / "b"
    assert probe.folder(str(wanted)) == {"path": str(wanted), "exists": False, "writable": True}
    assert not (tmp_path / "a").exists()


def test_below_a_file_there_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not probe.folder(str(tmp_path / "file"))["writable"]
    assert not probe.folder(str(tmp_path / "file" / "below"))["writable"]


def test_a_folder_without_the_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe.os, "access", lambda *_asked: False)
    assert probe.folders([str(tmp_path), "", str(tmp_path)]) == [
        {"path": str(tmp_path), "exists": True, "writable": False}
    ]


@pytest.mark.parametrize(
    ("said", "state"),
    [
        (None, "unknown"),
        ("LoadState=not-found\nActiveState=inactive\n", "missing"),
        ("LoadState=loaded\nActiveState=inactive\n", "stopped"),
        ("LoadState=loaded\nActiveState=active\nNextElapseUSecRealtime=Tue 2026-11-24 02:00:00 UTC\n", "present"),
    ],
)
def test_timers(said: str | None, state: str) -> None:
    asked: list[Sequence[str]] = []

    def run(command: Sequence[str]) -> str | None:
        asked.append(command)
        return said

    found = probe.timer("vedfinance-drill", run)
    assert found["state"] == state
    assert asked[0][:2] == ["systemctl", "show"]
    assert asked[0][-1] == "vedfinance-drill.timer"


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("#Ansible: vedfinance-drill\n30 3 * * * root true\n", "present"),
        ("#Ansible: vedfinance-drill\n#30 3 * * * root true\n", "missing"),
        ("#Ansible: vedfinance-drill\n", "missing"),
        ("#Ansible: vedfinance-drill-2\n30 3 * * * root true\n", "missing"),
        (None, "missing"),
    ],
)
def test_cron_entries(tmp_path: Path, text: str | None, state: str) -> None:
    if text is not None:
        (tmp_path / "cron").write_text(text)
    (found,) = probe.schedules("cron", ["vedfinance-drill"], str(tmp_path / "cron"))
    assert found["state"] == state


def test_other_schedulers_leave_nothing_to_see() -> None:
    assert probe.schedules("dokploy", ["vedfinance-drill"], "x") == []


def test_a_program_that_is_not_there_or_fails_says_nothing() -> None:
    assert probe.said_by(["/no/such/program"]) is None
    assert probe.said_by(["false"]) is None
    assert probe.said_by(["echo", "x"]) == "x\n"


class Answering:
    def __init__(self, there: bool, ahead: float) -> None:
        self.there, self.ahead = there, ahead

    def rows(self, _query: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        assert parameters == ("shop",)
        return [(self.there, probe.time.time() + self.ahead, "16.14")]


def test_the_servers_clock_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe.time, "time", lambda: 1000.0)

    @contextmanager
    def connect() -> Iterator[Answering]:
        yield Answering(there=True, ahead=7.5)

    assert probe.database(connect, "shop") == {
        "reached": True, "exists": True, "skew": 7.5, "version": "16.14", "detail": "",
    }  # fmt: skip


def test_a_server_that_does_not_answer_is_an_answer() -> None:
    def connect() -> Any:
        raise PlatformError("Connection refused.", "Is it running?")

    found = probe.database(connect, "shop")
    assert found["reached"] is False
    assert found["detail"] == "Connection refused. Is it running?"


class Remote:
    def __init__(self, copies: int | None) -> None:
        self.copies = copies

    def require(self) -> None:
        if self.copies is None:
            raise PlatformError("rclone knows no remote 'x'.")

    def manifests(self) -> list[int]:
        return list(range(self.copies or 0))


def test_the_offsite_remote() -> None:
    assert probe.offsite(None) == {}
    assert probe.offsite(Remote(3)) == {"reached": True, "copies": 3, "detail": ""}
    assert probe.offsite(Remote(None))["detail"] == "rclone knows no remote 'x'."


def test_clocks_are_compared_only_when_the_controller_tells_its_own() -> None:
    assert probe.skew(None, 5.0) is None
    assert probe.skew(2.0, 5.0) == 3.0
