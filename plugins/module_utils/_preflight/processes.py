# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of other people, of which nothing is left when they are over: not when they hang, nor what they started."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# Inherited by all that a gate starts, also by what leaves its process group.
MARK = "VEDFINANCE_GATE"
_GRACE = 5.0
_HEARTBEAT = 0.2
# For what was written before the end; whoever goes on writing is not part of it.
_DRAIN = 1.0
_READ = 1 << 16
_LONGEST_LINE = 1 << 14
# Colours, and what moves the cursor.
_TERMINAL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")


@dataclass(frozen=True)
class Command:
    argv: Sequence[str]
    folder: str
    environment: Mapping[str, str]
    timeout: float


@dataclass(frozen=True)
class Ended:
    """How a program ended; ``exit_code`` is None when it had to be killed for taking too long."""

    exit_code: int | None
    seconds: float
    #: Names of the processes that it had left behind, and that were ended.
    left_behind: Sequence[str] = ()


class Processes:
    """Runs programs, several at once if need be.

    :param purpose: what tells this work from others on the machine, such as the folder of a checkout.
    """

    def __init__(self, purpose: str) -> None:
        self._purpose = purpose
        self._guard = threading.Lock()
        self._number = 0
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._over = False

    def run(self, command: Command, say: Callable[[str], None]) -> Ended:
        """Run to the end or to the timeout; each line of the output, without colours, is handed on.

        :raises OSError: when it cannot be started.
        """
        began = time.monotonic()
        mark, process = self._start(command)
        finished = False
        try:
            finished = _follow(process, began + command.timeout, say)
        finally:
            left_behind = _end(process, mark, gently=not finished)
            with self._guard:
                del self._running[mark]
        return Ended(process.returncode if finished else None, time.monotonic() - began, left_behind)

    def end_all(self) -> None:
        """Start nothing more and end what runs; called from another thread."""
        with self._guard:
            self._over = True
            running = dict(self._running)
        for mark, process in running.items():
            _signal_group(process, signal.SIGKILL)
            _end_marked(mark)

    def end_orphans(self) -> list[str]:
        """End what a run for the same purpose left behind when it was killed."""
        return _end_marked(f"{self._purpose}|", unless=_is_alive)

    def _start(self, command: Command) -> tuple[str, subprocess.Popen[bytes]]:
        with self._guard:
            if self._over:
                raise InterruptedError("the run is over")
            self._number += 1
            mark = f"{self._purpose}|{os.getpid()}|{_began(os.getpid())}|{self._number}|"
            process = subprocess.Popen(
                list(command.argv),
                cwd=command.folder,
                env={**command.environment, MARK: mark},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._running[mark] = process
        return mark, process


def _follow(process: subprocess.Popen[bytes], deadline: float, say: Callable[[str], None]) -> bool:
    """Whether it ended by itself in time. What holds its output open without being it, is not waited for."""
    if process.stdout is None:
        raise RuntimeError("a program was started without a pipe")
    pipe = process.stdout.fileno()
    poller = select.poll()
    poller.register(pipe, select.POLLIN)
    rest = b""
    drained = float("inf")
    try:
        while (left := deadline - time.monotonic()) > 0:
            ended = process.poll() is not None
            if ended:
                drained = min(drained, time.monotonic() + _DRAIN)
            written = poller.poll(0 if ended else min(left, _HEARTBEAT) * 1000)
            if ended and (not written or time.monotonic() > drained):
                return True
            if not written:
                continue
            data = os.read(pipe, _READ)
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                say(readable(line))
            if len(rest) > _LONGEST_LINE:
                whole, rest = _parted(rest)
                say(readable(whole))
            if not data:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, deadline - time.monotonic()))
                    return True
        return False
    finally:
        if rest:
            say(readable(rest))


def _parted(line: bytes) -> tuple[bytes, bytes]:
    """What can be shown of a line without end, and what is kept for later: no word is cut, as it may be a secret."""
    end = max(line.rfind(sign) for sign in (b" ", b"\t", b",", b";", b'"', b"\r")) + 1
    return (line[:end], line[end:]) if end and len(line) - end <= _LONGEST_LINE else (line, b"")


def readable(line: bytes) -> str:
    """A line as a terminal would leave it: without colours, and of what was written over only the last."""
    text = _TERMINAL.sub("", line.decode("utf-8", "replace")).rstrip("\r\n")
    return "".join(c if c.isprintable() or c == "\t" else "�" for c in text.rpartition("\r")[2])


def _end(process: subprocess.Popen[bytes], mark: str, *, gently: bool) -> list[str]:
    if gently and process.poll() is None:
        _signal_group(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
    left_behind = _end_marked(mark)
    _signal_group(process, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
    return left_behind


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    # It leads a group of its own, which has its id for as long as anybody is in it.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _end_marked(prefix: str, unless: Callable[[str], bool] = lambda _mark: False) -> list[str]:
    """Kill whatever carries such a mark in its environment, where the kernel shows it; the names of what was found."""
    wanted = f"{MARK}={prefix}".encode()
    found: dict[int, str] = {}
    # What forks while it is looked for is found in the next round.
    for _round in range(10):
        killed = False
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                pid = int(folder.name)
                marks = [one for one in (folder / "environ").read_bytes().split(b"\0") if one.startswith(wanted)]
                if not marks or pid == os.getpid() or unless(marks[0].decode("utf-8", "replace").partition("=")[2]):
                    continue
                found[pid] = (folder / "comm").read_text(errors="replace").strip()
                os.kill(pid, signal.SIGKILL)
                killed = True
        if not killed:
            break
        time.sleep(0.01)
    return list(found.values())


def _is_alive(mark: str) -> bool:
    """Whether the run that left this mark is still at work."""
    _purpose, pid, began, _number, _end_of_mark = mark.rsplit("|", 4)
    return began == _began(int(pid))


def _began(pid: int) -> str:
    """When a process began, by its kernel's ticks: a number that is used again belongs to another. Empty when gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    return ""
