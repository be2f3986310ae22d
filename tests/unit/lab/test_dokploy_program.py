# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m lab.dokploy` with the shipped task command: the API serves, survives a killed double, and ends with it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

from lab import processes
from lab.dokploy.model import Model
from tests.unit.lab.dokploy_world import until

ROOT = Path(__file__).resolve().parents[3]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> object:
    try:
        with urlopen(url, timeout=2) as response:
            return json.load(response)
    except OSError:
        return None


def start(state: Path, port: int, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "lab.dokploy", "--state", str(state), "--port", str(port), "--tempo", "0.1"]
    double = subprocess.Popen([*command, *more], cwd=ROOT)
    until(lambda: answers(f"http://127.0.0.1:{port}/api/health") == {"ok": True}, "the double")
    return double


def test_the_api_is_found_again_after_a_kill_and_ends_with_the_double(tmp_path: Path) -> None:
    port, api_port = free_port(), free_port()
    Model(tmp_path).seed(env=f"PORT={api_port}\nDATABASE_URL=postgresql://nobody@127.0.0.1:1/none")
    version_url = f"http://127.0.0.1:{api_port}/api/version"
    double = start(tmp_path, port)
    try:
        until(lambda: answers(version_url) is not None, "the API")
        assert dict(answers(version_url))["version"] == "1.4.0"  # type: ignore[call-overload]
        tasks = processes.recorded(tmp_path)
        double.kill()
        double.wait()
        assert answers(version_url) is not None
        double = start(tmp_path, port)
        assert processes.recorded(tmp_path) == tasks
    finally:
        double.send_signal(signal.SIGTERM)
        assert double.wait(timeout=20) == 0
        processes.end_all(tmp_path)
    assert processes.recorded(tmp_path) == []
    assert answers(version_url) is None


def test_it_ends_with_its_tasks_when_its_folder_is_removed(tmp_path: Path) -> None:
    state = tmp_path / "state"
    Model(state).seed()
    double = start(state, free_port(), "--task-command", "sleep 600")
    try:
        until(lambda: len(processes.recorded(state)) == 1, "the task")
        (name,) = processes.recorded(state)
        removed = state.rename(tmp_path / "removed")
        assert double.wait(timeout=20) == 0
        assert not processes.alive(removed, name)
        assert not state.exists()
    finally:
        double.kill()
        double.wait()
        processes.end_all(tmp_path / "removed")
