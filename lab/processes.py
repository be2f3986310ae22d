# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's processes: each is recorded when it starts, so that exactly it can be ended, and never a reused pid."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

POLL_SECONDS = 0.02
FRESH_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGTERM)
_NAME = re.compile(r"[A-Za-z0-9_.-]+")


class ProcessError(Exception):
    """A process of the lab could not be started or ended."""


@dataclass(frozen=True)
class Record:
    """What identifies a process: a pid alone may since belong to another."""

    pid: int
    started: int
    command: list[str]
    stop_signal: int = signal.SIGTERM


def spawn(
    state: Path,
    name: str,
    argv: Sequence[str],
    env: Mapping[str, str],
    log: Path,
    stop_signal: int = signal.SIGTERM,
) -> int:
    """Start a detached process, output appended to `log`, and record it. Secrets belong in `env`, never in `argv`."""
    if alive(state, name):
        raise ProcessError(f"{name} runs already (pid {_read(state, name).pid}); end it first")
    log.parent.mkdir(parents=True, exist_ok=True)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        pid = os.posix_spawnp(
            argv[0],
            list(argv),
            dict(env),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, output, 2),
                *((os.POSIX_SPAWN_CLOSE, descriptor) for descriptor in _inheritable_descriptors()),
            ],
            setsid=True,
            # A spawner that blocks or ignores signals must not hand that on: the child could not be ended by them.
            setsigmask=[],
            setsigdef=FRESH_SIGNALS,
        )
    except OSError as error:
        raise ProcessError(f"cannot start {name} ({argv[0]}): {error.strerror}") from error
    finally:
        os.close(output)
    started = _kernel_start_time(pid)
    if started is None:
        _reap(pid)
        raise ProcessError(f"{name} ended at once; its output is in {log}")
    _write(state, name, Record(pid, started, list(argv), int(stop_signal)))
    return pid


def alive(state: Path, name: str) -> bool:
    """Whether the recorded process itself still runs (a zombie does not)."""
    try:
        return _runs(_read(state, name))
    except FileNotFoundError:
        return False


def pid_of(state: Path, name: str) -> int | None:
    """The pid of a recorded process that still runs."""
    try:
        record = _read(state, name)
    except FileNotFoundError:
        return None
    return record.pid if _runs(record) else None


def recorded(state: Path) -> list[str]:
    """The names of all recorded processes, running or not."""
    return sorted(path.stem for path in _folder(state).glob("*.json"))


def end(state: Path, name: str, timeout: float = 10.0) -> None:
    """End a process with its own stop signal, after `timeout` with SIGKILL, and forget it. Not running is fine."""
    _end([name], state, timeout)


def end_all(state: Path, timeout: float = 10.0) -> list[str]:
    """End every recorded process and say which ran; repeats, because a supervisor may start another while it ends."""
    ended: list[str] = []
    while names := recorded(state):
        ended += [name for name in names if alive(state, name)]
        _end(names, state, timeout)
    return ended


def _end(names: Sequence[str], state: Path, timeout: float) -> None:
    records: dict[str, Record] = {}
    for name in names:
        try:
            records[name] = _read(state, name)
        except FileNotFoundError:
            continue
        _send(records[name], records[name].stop_signal)
    deadline = time.monotonic() + timeout
    for name, record in records.items():
        if not _ended_by(record, deadline):
            _send(record, signal.SIGKILL)
            if not _ended_by(record, time.monotonic() + 5):
                raise ProcessError(f"{name} (pid {record.pid}) does not end, not even after SIGKILL")
        _path(state, name).unlink(missing_ok=True)


def _send(record: Record, number: int) -> None:
    if _runs(record):
        try:
            os.kill(record.pid, number)
        except ProcessLookupError:
            pass
        except PermissionError as error:
            raise ProcessError(f"not allowed to end pid {record.pid}: the lab was started by another user") from error


def _ended_by(record: Record, deadline: float) -> bool:
    while _runs(record):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _runs(record: Record) -> bool:
    _reap(record.pid)
    return _kernel_start_time(record.pid) == record.started


def _reap(pid: int) -> None:
    """Collect the process if it is a dead child of ours; else it would stay a zombie as long as we live."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _kernel_start_time(pid: int) -> int | None:
    """Clock ticks from boot to the start of a process; None when there is none or it is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def _inheritable_descriptors() -> list[int]:
    """What our own starter handed to us: kept open by a lab that stays, its pipes would never end."""
    inheritable: list[int] = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the descriptor of this very listing is gone by now
            if int(name) > 2 and os.get_inheritable(int(name)):
                inheritable.append(int(name))
    return inheritable


def _folder(state: Path) -> Path:
    return state / "processes"


def _path(state: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise ProcessError(f"{name!r} is no name for a process: use letters, digits, '_', '-' and '.'")
    return _folder(state) / f"{name}.json"


def _read(state: Path, name: str) -> Record:
    return Record(**json.loads(_path(state, name).read_text(encoding="utf-8")))


def _write(state: Path, name: str, record: Record) -> None:
    path = _path(state, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(asdict(record)) + "\n", encoding="utf-8")
    partial.replace(path)
