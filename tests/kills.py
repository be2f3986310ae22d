# SPDX-License-Identifier: GPL-3.0-or-later
"""A play that is killed in the middle: all of it, or only the controller, whose modules then go on by themselves."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

VICTIMS = ("everything", "controller")


def kill(controller: int, victim: str) -> Sequence[int]:
    """Gives those that were left alive, stopped; none of them can have started another unseen."""
    frozen: list[int] = []
    while new := [pid for pid in (controller, *_descendants(controller)) if pid not in frozen]:
        send(new, signal.SIGSTOP)
        frozen += new
    if victim == "everything":
        send(frozen, signal.SIGKILL)
        return ()
    os.kill(controller, signal.SIGKILL)
    return frozen[1:]


def send(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _descendants(pid: int) -> list[int]:
    """The processes below a process, whatever their session: Ansible gives its workers one of their own."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(stat.read_text(errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found, waiting = [], [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found
