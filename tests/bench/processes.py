# SPDX-License-Identifier: GPL-3.0-or-later
"""What processes used: seconds of a core, which other work on the machine changes far less than the clock."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from lab.postgres import Server

_HIGH_WATER = re.compile(r"VmHWM:\s+(\d+) kB")
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Used:
    """By one program and those that it started and waited for.

    :param resident: the largest memory of one of them, in bytes.
    """

    cpu: float
    resident: int


class Peak(threading.Thread):
    """The most memory that a process has had. What wait(2) says of it includes the harness that started it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        super().__init__(daemon=True)
        self._status = Path(f"/proc/{process.pid}/status")
        self.bytes = 0
        self.start()

    def run(self) -> None:
        while found := _HIGH_WATER.search(self._read()):
            self.bytes = int(found.group(1)) * 1024
            time.sleep(0.02)

    def _read(self) -> str:
        try:
            return self._status.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""


def waited(process: subprocess.Popen[bytes], peak: Peak) -> Used:
    """Wait for a process, which must succeed."""
    _pid, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{process.args!r} failed: {process.returncode}")
    peak.join()
    return Used(usage.ru_utime + usage.ru_stime, peak.bytes)


def used_by_server(server: Server) -> float:
    """Seconds of a core that the server has used: its postmaster, all sessions that ended, and those that run."""
    postmaster = int((server.data / "postmaster.pid").read_text(encoding="utf-8").split()[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text(encoding="ascii").split()
    return sum(_used(pid) for pid in (postmaster, *map(int, children)))


def _used(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return sum(int(ticks) for ticks in fields[11:15]) / _TICKS
