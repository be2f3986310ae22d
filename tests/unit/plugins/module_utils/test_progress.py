# SPDX-License-Identifier: GPL-3.0-or-later
"""What is counted, written, read back and shown."""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils import _progress
from ansible_collections.vedfinance.platform.plugins.module_utils._progress import (
    Progress,
    State,
    line,
    log_lines,
    rate_of,
    said_since,
    seconds_left,
    state_in,
)

LOADING = State(2, "load", "behavior_logs", "bytes", 312_400_000, 723_000_000, 412_000, 5.2)


def written(path: Path, until: Callable[[State], bool] = bool) -> State:
    waiting = threading.Event()
    for _attempt in range(1000):
        if path.exists() and not path.is_symlink() and until(state := state_in(path.read_text()) or State()):
            return state
        waiting.wait(0.01)
    raise AssertionError("it was not written")


# -- counted and written -----------------------------------------------------------------------------------------


def test_counts_from_several_threads_without_a_path() -> None:
    progress = Progress()
    progress.begin("load", 80_000)

    def work() -> None:
        for _chunk in range(1000):
            progress.add(10, rows=2)

    threads = [threading.Thread(target=work) for _number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    progress.doing("users")
    state = progress.state()
    assert (state.phase, state.what, state.done, state.total, state.rows) == ("load", "users", 80_000, 80_000, 16_000)
    progress.end()


def test_a_phase_starts_anew() -> None:
    progress = Progress()
    progress.begin("load", 10)
    progress.add(10, 5)
    progress.doing("users")
    progress.begin("indexes", 3, "indexes")
    state = progress.state()
    assert (state.number, state.phase, state.what, state.unit) == (2, "indexes", "", "indexes")
    assert (state.done, state.total, state.rows) == (0, 3, 0)


def test_the_file_is_whole_private_and_gone_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "_WRITE_EVERY", 0.001)
    path = tmp_path / "progress"
    with Progress(str(path)) as progress:
        progress.begin("load", 10_000)
        written(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for _chunk in range(200):
            progress.add(50)
            assert state_in(path.read_text())
        progress.doing("the last thing said")
        written(path, until=lambda state: state.what == "the last thing said")
    assert list(tmp_path.iterdir()) == []


def test_what_stood_there_before_is_no_hindrance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed work leaves its files; a link that somebody has put there is not followed."""
    monkeypatch.setattr(_progress, "_WRITE_EVERY", 0.001)
    precious = tmp_path / "precious"
    precious.write_text("precious")
    path = tmp_path / "progress"
    path.symlink_to(precious)
    (tmp_path / "progress.new").symlink_to(precious)
    with Progress(str(path)) as progress:
        progress.begin("load")
        assert written(path).phase == "load"
    assert precious.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [precious]


@pytest.mark.parametrize("path", ["missing/folder/progress", "", "a\0b"])
def test_a_file_that_cannot_be_written_fails_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(_progress, "_WRITE_EVERY", 0.001)
    monkeypatch.chdir(tmp_path)
    tried = threading.Event()
    write = Progress._write

    def note(progress: Progress) -> None:
        tried.set()
        write(progress)

    monkeypatch.setattr(Progress, "_write", note)
    with Progress(path) as progress:
        progress.begin("load", 10)
        if path:
            assert tried.wait(10)
        progress.add(10)
        assert progress.state().done == 10
    assert os.listdir(tmp_path) == []


# -- read --------------------------------------------------------------------------------------------------------


def test_a_state_survives_the_way_through_a_login_shell() -> None:
    text = f"Welcome!\r\n{json.dumps(asdict(LOADING))}\r\n"
    assert state_in(text) == LOADING


@pytest.mark.parametrize(
    "text",
    [
        "",
        "No such file",
        "{}",
        '{"phase": "load"}',
        "{1}",
        json.dumps({**asdict(LOADING), "more": 1}),
        json.dumps({**asdict(LOADING), "done": "many"}),
        json.dumps({**asdict(LOADING), "what": None}),
        json.dumps(asdict(LOADING))[:-20],
    ],
)
def test_what_is_no_state_is_none(text: str) -> None:
    assert state_in(text) is None


def after(seconds: float, done: int, number: int = 1) -> State:
    return State(number, "load", done=done, total=1000, seconds=seconds)


def test_rate_and_what_is_left() -> None:
    first, second = after(5, 500), after(10, 600)
    assert rate_of(None, first) == 100
    assert rate_of(first, second) == 20
    assert rate_of(after(5, 900, number=0), first, before=7) == 100, "another phase says nothing about this one"
    assert rate_of(first, first, before=7) == 7
    assert rate_of(None, after(0, 0)) is None
    assert seconds_left(second, 20) == 20
    assert seconds_left(second, None) is None
    assert seconds_left(second, 0.0) is None
    assert seconds_left(after(10, 1000), 20) is None
    assert seconds_left(State(unit="indexes", done=1, total=2), 1.0) is None


def test_a_rate_follows_a_change_without_jumping() -> None:
    """After one half-life it has gone half of the way."""
    rate = rate_of(after(0, 0), after(10, 0), before=100)
    assert rate == pytest.approx(50)
    assert rate_of(after(10, 0), after(20, 0), before=rate) == pytest.approx(25)


# -- shown -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "rate", "shown"),
    [
        (LOADING, 61_000_000.0, "load 43 % · behavior_logs · 312 of 723 MB · 412,000 rows · 61 MB/s · 7 s left"),
        (State(1, "judge", done=4_250_000, seconds=3), 1_400_000.0, "judge · 4.2 MB · 1.4 MB/s · 3 s so far"),
        (State(1, "judge", done=7_000, total=1_200_000_000_000), 500.0, "judge 0 % · 0.0 of 1.2 TB · 500 B/s"),
        (State(3, "keys", "k", "keys", 3, 11, 0, 75.2), 0.04, "keys 27 % · k · 3 of 11 keys · 1 min 15 s so far"),
        (State(3, "checks", unit="checks", done=1200), None, "checks · 1,200 checks · 0 s so far"),
        (State(4, "analyze", seconds=7300), None, "analyze · 2 h 1 min so far"),
        (State(2, "load", done=2000, total=1000, seconds=1), 0.0, "load 100 % · 2 of 1 kB · 1 s so far"),
    ],
)
def test_line(state: State, rate: float | None, shown: str) -> None:
    assert line("vps1", "restore vedfinance", state, rate).startswith(f"  vps1 · restore vedfinance · {shown}")


def test_names_in_a_dump_cannot_write_over_the_screen() -> None:
    state = State(1, "load", "evil\x1b[2J\n\u202etable", done=1, total=2)
    assert line("h", "t", state, None) == "  h · t · load 50 % · evil�[2J��table · 1 of 2 B · 0 s so far"
    long = line("h", "t", State(1, "load", "x" * 200), None)
    assert f"· {'x' * 59}… ·" in long


# -- a log -------------------------------------------------------------------------------------------------------


def test_lines_of_a_log_are_written_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "_WRITE_EVERY", 0.001)
    path = tmp_path / "progress"
    with Progress(str(path)) as progress:
        progress.begin("building")
        progress.say(["one", "two"])
        progress.say(["three"])
        state = written(path, lambda state: state.said == 3)
    assert state.lines == ("one", "two", "three")


def test_only_the_last_lines_are_kept_and_the_new_ones_shown() -> None:
    progress = Progress()
    progress.say([str(number) for number in range(500)])
    earlier = progress.state()
    assert (earlier.said, earlier.lines[-1]) == (500, "499")
    assert len(earlier.lines) == 100
    assert said_since(earlier, earlier) == ([], 0)
    progress.say(["500", "501"])
    assert said_since(earlier, progress.state()) == (["500", "501"], 0)
    shown, left_out = said_since(None, progress.state())
    assert (shown[-1], len(shown), left_out) == ("501", 30, 472)


def test_lines_of_a_log_cannot_move_the_cursor() -> None:
    assert log_lines("vps1", "deploy api", ["a\x1b[2Jb"], 1200) == [
        "  vps1 · deploy api | … 1,200 lines left out",
        "  vps1 · deploy api | a�[2Jb",
    ]


@pytest.mark.parametrize("broken", ['{"lines": 3}', '{"lines": [1]}', '{"said": "x"}', "[{}]"])
def test_a_log_that_is_none(broken: str) -> None:
    assert state_in(broken) is None
