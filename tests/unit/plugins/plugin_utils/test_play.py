# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose play this is, and whether another one still runs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.plugin_utils import _play
from ansible_collections.vedfinance.platform.plugins.plugin_utils._play import alive, this_owner


@pytest.fixture
def other() -> Any:
    """A process that lives until it is told to end."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    yield process
    process.kill()
    process.wait()


def owner_of(pid: int) -> dict[str, Any]:
    return {**this_owner({}), "pid": pid, "started": _play._started(pid)}


def test_the_owner_is_this_process_of_this_user_and_machine() -> None:
    owner = this_owner({})
    assert (owner["pid"], owner["controller"], owner["job"]) == (os.getpid(), socket.gethostname(), "")
    assert owner["user"]
    assert alive(owner)


@pytest.mark.parametrize("awx", ["awx", "tower"])
def test_in_awx_the_owner_is_who_started_the_job(awx: str) -> None:
    owner = this_owner({f"{awx}_user_name": "ann", f"{awx}_job_id": 17})
    assert (owner["user"], owner["job"]) == ("ann", "17")


def test_a_user_without_a_name_is_told_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(_play.getpass, "getuser", nameless)
    assert this_owner({})["user"] == f"uid {os.getuid()}"


def test_a_process_is_alive_until_it_has_ended(other: subprocess.Popen[bytes]) -> None:
    owner = owner_of(other.pid)
    assert alive(owner) is True
    other.kill()
    other.wait()
    assert alive(owner) is False


def test_a_corpse_does_not_live(other: subprocess.Popen[bytes]) -> None:
    owner = owner_of(other.pid)
    other.kill()
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
    assert alive(owner) is False


def test_a_pid_that_is_used_again_is_another_process(other: subprocess.Popen[bytes]) -> None:
    assert alive({**owner_of(other.pid), "started": "1"}) is False


@pytest.mark.parametrize("unknown", [{"place": "another boot"}, {"place": ""}, {"started": ""}, {"pid": 0}])
def test_what_cannot_be_seen_is_not_judged(unknown: dict[str, Any]) -> None:
    assert alive({**this_owner({}), **unknown}) is None


def test_ps_tells_when_a_process_began_where_there_is_no_proc(
    other: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_proc(path: str) -> Any:
        return type("Missing", (), {"read_text": staticmethod(_missing), "exists": staticmethod(lambda: False)})

    monkeypatch.setattr(_play, "Path", no_proc)
    began = ["Mon Nov 23 04:00:00 2026\n", "\n"]
    monkeypatch.setattr(
        _play.subprocess, "run", lambda *_args, **_kwargs: subprocess.CompletedProcess([], 0, stdout=began.pop(0))
    )
    assert _play._started(other.pid) == "Mon Nov 23 04:00:00 2026"
    assert _play._started(other.pid) is None


def _missing(**_encoding: str) -> str:
    raise FileNotFoundError
