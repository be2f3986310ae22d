# SPDX-License-Identifier: GPL-3.0-or-later
"""Who runs this play, and whether another play of this controller still runs."""

from __future__ import annotations

import getpass
import multiprocessing
import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_PIDS = Path("/proc/self/ns/pid")
_AWX = ("awx", "tower")


def this_owner(task_vars: Mapping[str, Any]) -> dict[str, Any]:
    """The owner of a lock: ansible-playbook itself, whose worker this process is."""
    parent = multiprocessing.parent_process()
    pid = parent.pid if parent and parent.pid else os.getpid()
    return {
        "user": _awx(task_vars, "user_name") or _user(),
        "controller": socket.gethostname(),
        "place": _place(),
        "pid": pid,
        "started": _started(pid) or "",
        "job": _awx(task_vars, "job_id"),
    }


def alive(owner: Mapping[str, Any]) -> bool | None:
    """Whether the owner's process lives; None when it is of another machine or container, and cannot be seen."""
    if not owner.get("started") or not owner.get("pid") or owner.get("place") != _place():
        return None
    return bool(_started(int(owner["pid"])) == owner["started"])


def _awx(task_vars: Mapping[str, Any], name: str) -> str:
    return next((str(task_vars[f"{awx}_{name}"]) for awx in _AWX if task_vars.get(f"{awx}_{name}")), "")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"uid {os.getuid()}"


def _place() -> str:
    """Within it, a pid and its start mean one process. A container has pids of its own."""
    try:
        return f"{_BOOT.read_text(encoding='ascii').strip()} {os.readlink(_PIDS)}"
    except OSError:
        return socket.gethostname()


def _started(pid: int) -> str | None:
    """When the process began, in its system's own words; None when there is none, or only its corpse."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None if Path("/proc/self/stat").exists() else _started_by_ps(pid)
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


def _started_by_ps(pid: int) -> str | None:
    """Where there is no /proc, as on macOS."""
    answer = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], stdout=subprocess.PIPE, text=True, check=False)
    return answer.stdout.strip() or None
