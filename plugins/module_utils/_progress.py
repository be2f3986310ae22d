# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a long work is: kept by the module in a small file, read and shown by the action plugin beside it."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from types import TracebackType

BYTES = "bytes"
_WRITE_EVERY = 0.5
_HALF_LIFE = 10.0
_LONGEST_NAME = 60
_LINES_KEPT = 100
_LINES_AT_ONCE = 30


@dataclass(frozen=True)
class State:
    """One look at the work."""

    #: Phases are counted, since two of them may have one name.
    number: int = 0
    phase: str = ""
    what: str = ""
    unit: str = BYTES
    done: int = 0
    total: int = 0
    rows: int = 0
    #: Since the phase began, by the clock of the host that works.
    seconds: float = 0.0
    #: How many lines of a log there were, and the last of them.
    said: int = 0
    lines: tuple[str, ...] = ()


class Progress:
    """Counts, and if it has a path, writes there what it has counted. It never fails the work.

    The file is for its owner only, is always whole, and goes with :meth:`end`. A work of half a second writes none.
    """

    def __init__(self, path: str | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._writer: threading.Thread | None = None
        self._begun = time.monotonic()
        self._number = self._done = self._total = self._rows = 0
        self._phase, self._what, self._unit = "", "", BYTES
        self._said = 0
        self._lines: deque[str] = deque(maxlen=_LINES_KEPT)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def begin(self, phase: str, total: int = 0, unit: str = BYTES) -> None:
        """A phase; what is left of it can be told when its total is known."""
        with self._lock:
            self._number += 1
            self._phase, self._total, self._unit = phase, total, unit
            self._what, self._done, self._rows = "", 0, 0
            self._begun = time.monotonic()
        if self._path and self._writer is None:
            # A thread writes, so that counting costs nothing and the last thing said is never held back.
            self._writer = threading.Thread(target=self._write_until_over, name="progress", daemon=True)
            with suppress(RuntimeError):  # the host has no thread to spare
                self._writer.start()

    def add(self, amount: int, rows: int = 0) -> None:
        with self._lock:
            self._done += amount
            self._rows += rows

    def doing(self, what: str) -> None:
        """The table or index at work."""
        with self._lock:
            self._what = what

    def say(self, lines: Sequence[str]) -> None:
        """New lines of a log; nothing secret may be in them."""
        with self._lock:
            self._said += len(lines)
            self._lines.extend(lines)

    def end(self) -> None:
        self._over.set()
        if self._writer is not None and self._writer.ident is not None:
            self._writer.join()
            self._remove()

    def state(self) -> State:
        with self._lock:
            seconds = time.monotonic() - self._begun
            return State(
                self._number,
                self._phase,
                self._what,
                self._unit,
                self._done,
                self._total,
                self._rows,
                seconds,
                self._said,
                tuple(self._lines),
            )

    def _write_until_over(self) -> None:
        while not self._over.wait(_WRITE_EVERY):
            with suppress(OSError, ValueError):
                self._write()

    def _write(self) -> None:
        path = str(self._path)
        new = f"{path}.new"
        with suppress(FileNotFoundError):
            os.unlink(new)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            json.dump(asdict(self.state()), file)
        os.replace(new, path)

    def _remove(self) -> None:
        for path in (str(self._path), f"{self._path}.new"):
            with suppress(OSError, ValueError):
                os.unlink(path)


# -- read ------------------------------------------------------------------------------------------------------------


def state_in(text: str) -> State | None:
    """The state that a file holds, whatever a login shell has written around it; None when there is none."""
    try:
        found = json.loads(text[text.index("{") : text.rindex("}") + 1])
        lines = tuple(found.pop("lines", ()))
        state = State(**found, lines=lines)
    except (ValueError, TypeError, AttributeError):
        return None
    fits = all(isinstance(found.get(name), str) for name in ("phase", "what", "unit")) and all(
        isinstance(found.get(name), (int, float)) for name in ("number", "done", "total", "rows", "seconds")
    )
    says = isinstance(state.said, int) and all(isinstance(text, str) for text in lines)
    return state if fits and says else None


def rate_of(earlier: State | None, later: State, before: float | None = None) -> float | None:
    """Units per second between two looks, smoothed by the rate ``before``; a new phase starts anew."""
    if earlier is None or earlier.number != later.number:
        earlier, before = State(), None
    seconds = later.seconds - earlier.seconds
    if seconds <= 0:
        return before
    rate = (later.done - earlier.done) / seconds
    if before is None:
        return rate
    weight: float = 0.5 ** (seconds / _HALF_LIFE)
    return before * weight + rate * (1 - weight)


def seconds_left(state: State, rate: float | None) -> float | None:
    """None when nobody can say: of what is no stream of bytes, one piece may take longer than all others."""
    if state.unit != BYTES or not rate or rate <= 0 or state.done >= state.total:
        return None
    return (state.total - state.done) / rate


def said_since(earlier: State | None, later: State) -> tuple[list[str], int]:
    """The new lines of the log, as many as a person can follow, and how many are left out before them."""
    new = later.said - (earlier.said if earlier else 0)
    shown = list(later.lines[-min(new, _LINES_AT_ONCE) :]) if new > 0 else []
    return shown, max(0, new - len(shown))


# -- shown -----------------------------------------------------------------------------------------------------------


def line(host: str, title: str, state: State, rate: float | None) -> str:
    """What a person reads; made of names in a dump too, so it can neither move the cursor nor break the line."""
    left = seconds_left(state, rate)
    parts = [
        host,
        title,
        f"{state.phase} {_percent(state)} %" if state.total > 0 else state.phase,
        state.what if len(state.what) <= _LONGEST_NAME else f"{state.what[: _LONGEST_NAME - 1]}…",
        _amount(state),
        f"{state.rows:,} rows" if state.rows else "",
        f"{_in_units(rate)}/s" if state.unit == BYTES and rate and rate >= 1 else "",
        f"{_duration(left)} left" if left is not None else f"{_duration(state.seconds)} so far",
    ]
    return _printable(" · ".join(part for part in parts if part))


def log_lines(host: str, title: str, shown: Sequence[str], left_out: int) -> list[str]:
    prefix = " · ".join(part for part in (host, title) if part)
    lines = [f"… {left_out:,} lines left out", *shown] if left_out else shown
    return [_printable(f"{prefix} | {text}") for text in lines]


def _printable(text: str) -> str:
    return "  " + "".join(character if character.isprintable() else "�" for character in text)


def _percent(state: State) -> int:
    return min(100, 100 * state.done // state.total)


def _amount(state: State) -> str:
    if not state.done and not state.total:
        return ""
    if state.unit != BYTES:
        return f"{state.done:,} of {state.total:,} {state.unit}" if state.total else f"{state.done:,} {state.unit}"
    if not state.total:
        return _in_units(state.done)
    of, unit = _in_units(state.total).split()
    return f"{_number(state.done / _SIZES[unit])} of {of} {unit}"


_SIZES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def _in_units(size: float) -> str:
    unit = next((unit for unit in _SIZES if size < 1000 * _SIZES[unit]), "TB")
    return f"{_number(size / _SIZES[unit])} {unit}"


def _number(value: float) -> str:
    return f"{value:.1f}" if 0 < value < 10 and not float(value).is_integer() else f"{value:.0f}"


def _duration(seconds: float) -> str:
    whole = int(seconds + 0.5)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
