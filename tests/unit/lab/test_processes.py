# SPDX-License-Identifier: GPL-3.0-or-later
"""Exactly the recorded process is ended, however it was started and whatever it does."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import processes

NAME = "api.task_1-x"


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    processes.end_all(tmp_path, timeout=1)


def spawn(state: Path, *argv: str, name: str = NAME) -> int:
    return processes.spawn(state, name, argv, dict(os.environ), state / "log")


def wait_for(log: Path, text: str) -> None:
    deadline = time.monotonic() + 10
    while text not in log.read_text():
        assert time.monotonic() < deadline, f"{text} never appeared"
        time.sleep(0.01)


def test_a_spawned_process_is_recorded_with_what_identifies_it(state: Path) -> None:
    pid = spawn(state, "sleep", "60")
    record = json.loads((state / "processes" / f"{NAME}.json").read_text())
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    assert record["pid"] == pid == processes.pid_of(state, NAME)
    assert record["started"] == int(fields[19])
    assert record["command"] == ["sleep", "60"]
    assert os.getsid(pid) == pid != os.getsid(0)


def test_the_end_of_a_process_is_awaited_and_its_record_removed(state: Path) -> None:
    pid = spawn(state, "sleep", "60")
    processes.end(state, NAME)
    assert not processes.alive(state, NAME)
    assert processes.recorded(state) == []
    assert not Path(f"/proc/{pid}").exists()


def test_ending_what_does_not_run_is_fine(state: Path) -> None:
    processes.end(state, "never-started")
    assert processes.end_all(state) == []


def test_a_process_that_ended_by_itself_is_not_alive_and_no_zombie(state: Path) -> None:
    pid = spawn(state, "sh", "-c", "echo done; sleep 0.05")
    deadline = time.monotonic() + 10
    while processes.alive(state, NAME):
        assert time.monotonic() < deadline
    assert not processes.alive(state, NAME)
    assert not Path(f"/proc/{pid}").exists()


def test_a_reused_pid_is_left_alone(state: Path) -> None:
    pid = spawn(state, "sleep", "60")
    path = state / "processes" / f"{NAME}.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"started": record["started"] - 1}))
    assert not processes.alive(state, NAME)
    processes.end(state, NAME)
    assert Path(f"/proc/{pid}").exists()
    path.write_text(json.dumps(record))


def test_a_name_that_runs_cannot_be_started_twice(state: Path) -> None:
    spawn(state, "sleep", "60")
    with pytest.raises(processes.ProcessError, match="runs already"):
        spawn(state, "sleep", "60")


def test_sigkill_follows_when_a_process_ignores_its_stop_signal(state: Path) -> None:
    pid = spawn(state, "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done")
    wait_for(state / "log", "ready")
    processes.end(state, NAME, timeout=0.2)
    assert not Path(f"/proc/{pid}").exists()


def test_a_process_can_have_its_own_stop_signal(state: Path) -> None:
    argv = ["sh", "-c", "trap 'echo stopped by INT; exit' INT; echo ready; while :; do sleep 0.05; done"]
    processes.spawn(state, NAME, argv, dict(os.environ), state / "log", stop_signal=signal.SIGINT)
    wait_for(state / "log", "ready")
    assert processes.end_all(state) == [NAME]
    assert "stopped by INT" in (state / "log").read_text()


def test_a_spawner_that_blocks_signals_does_not_hand_that_on(state: Path) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        pid = spawn(state, "sleep", "60")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    blocked = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigBlk"))
    assert int(blocked.split()[1], 16) == 0


def test_end_all_also_ends_what_a_supervisor_starts_while_it_ends(state: Path) -> None:
    """The supervisor's last act is to start (and record) another process."""
    start_another = (
        "from pathlib import Path; import os; from lab import processes;"
        f"processes.spawn(Path({str(state)!r}), 'late', ['sleep', '60'], dict(os.environ), Path('{state}/log'))"
    )
    code = (
        f"import signal, sys, time\n"
        f"def last_act(*_):\n exec({start_another!r})\n sys.exit()\n"
        "signal.signal(signal.SIGTERM, last_act)\nprint('ready', flush=True)\ntime.sleep(60)"
    )
    root = str(Path(processes.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root}
    processes.spawn(state, "supervisor", [sys.executable, "-c", code], environment, state / "log")
    wait_for(state / "log", "ready")
    assert sorted(processes.end_all(state)) == ["late", "supervisor"]
    assert processes.recorded(state) == []


def test_a_command_that_does_not_exist_is_named(state: Path) -> None:
    with pytest.raises(processes.ProcessError, match="no-such-program"):
        spawn(state, "no-such-program")
    assert processes.recorded(state) == []


def test_a_name_cannot_leave_the_folder(state: Path) -> None:
    with pytest.raises(processes.ProcessError, match="no name"):
        spawn(state, "true", name="../outside")


def test_no_descriptor_of_the_spawner_leaks_into_the_process(state: Path) -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    pid = spawn(state, "sh", "-c", "echo ready; while :; do sleep 0.05; done")
    os.close(reading)
    os.close(writing)
    wait_for(state / "log", "ready")
    opened = {os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")}
    assert opened == {"/dev/null", str(state / "log")}
