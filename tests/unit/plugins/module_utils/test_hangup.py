# SPDX-License-Identifier: GPL-3.0-or-later
"""A work ends with the play that wants it, tidies up, and hears signals for as long as it works only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._hangup import HungUp, ended_with_the_play

from tests.conftest import ROOT

PACKAGE = "ansible_collections.vedfinance.platform.plugins.module_utils"
Process: TypeAlias = subprocess.Popen[bytes]
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
# Says that it works, goes on for long, and writes down how it ended.
WORK = f"""
import sys, time
from {PACKAGE} import _hangup
_hangup._KNOCK_EVERY = float(sys.argv[2])
try:
    with _hangup.ended_with_the_play(grace=float(sys.argv[3])):
        try:
            print("at work", flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            while float(sys.argv[3]) < 1:
                time.sleep(60)
            open(sys.argv[1], "w").write("tidied up")
            raise
except _hangup.PlatformError:
    pass
"""


def start(result: Path, *, knock: float = 60, grace: float = 60, stdout: Any = subprocess.PIPE) -> Process:
    return subprocess.Popen(
        [sys.executable, "-c", WORK, str(result), str(knock), str(grace)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "collections")},
        stdout=stdout,
        stderr=subprocess.DEVNULL,
    )


def let_go(process: Process) -> int:
    """Read what it says, and be gone."""
    assert process.stdout
    assert process.stdout.readline() == b"at work\n"
    process.stdout.close()
    return process.wait(30)


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Whoever starts the tests may ignore some of them, as nohup and a shell's & do; what is ignored stays ignored."""
    before = handlers()
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)


def handlers() -> list[Any]:
    return [signal.getsignal(number) for number in SIGNALS]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_work_and_is_told(number: signal.Signals) -> None:
    before = handlers()
    tidied = False

    def work() -> None:
        nonlocal tidied
        try:
            signal.raise_signal(number)
            raise AssertionError("it went on")
        except HungUp:
            tidied = True
            for other in SIGNALS:
                signal.raise_signal(other)  # deaf while it tidies up
            raise

    with pytest.raises(PlatformError, match=number.name), ended_with_the_play():
        work()
    assert tidied
    assert handlers() == before


def test_work_that_ends_by_itself_leaves_no_trace() -> None:
    before, threads = handlers(), threading.active_count()
    with ended_with_the_play():
        pass
    with pytest.raises(PlatformError, match="its own"), ended_with_the_play():
        raise PlatformError("its own")
    assert handlers() == before
    assert threading.active_count() == threads


def test_what_was_started_with_nohup_stays_deaf() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_with_the_play():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_another_thread_it_leaves_the_signals_alone() -> None:
    before, seen = handlers(), []

    def work() -> None:
        with ended_with_the_play():
            seen.append(handlers())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_ends_at_once_when_its_reader_is_gone(tmp_path: Path) -> None:
    result = tmp_path / "result"
    assert let_go(start(result)) == 0
    assert result.read_text() == "tidied up"


def test_ends_with_its_terminal(tmp_path: Path) -> None:
    """ssh without pipelining gives the module one."""
    result = tmp_path / "result"
    master, slave = os.openpty()
    work = start(result, stdout=slave)
    os.close(slave)
    said = b""
    while not said.endswith(b"\n"):
        said += os.read(master, 1)
    os.close(master)
    assert work.wait(30) == 0
    assert result.read_text() == "tidied up"


def test_finds_out_about_a_reader_behind_another_process(tmp_path: Path) -> None:
    """As sudo does, the one between lets go only when it cannot pass something on."""
    result = tmp_path / "result"
    between = subprocess.Popen(
        [sys.executable, "-uc", "import sys\nfor line in sys.stdin:\n    print(line, end='')"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert between.stdin
    assert between.stdout
    work = start(result, knock=0.05, stdout=between.stdin)
    between.stdin.close()
    assert between.stdout.readline() == b"at work\n"
    assert between.stdout.readline() == b"\n"
    between.stdout.close()
    assert work.wait(30) == 0
    between.wait(30)
    assert result.read_text() == "tidied up"


def test_what_does_not_tidy_up_in_time_ends_all_the_same(tmp_path: Path) -> None:
    result = tmp_path / "result"
    assert let_go(start(result, grace=0.05)) == -signal.SIGALRM
    assert not result.exists()
