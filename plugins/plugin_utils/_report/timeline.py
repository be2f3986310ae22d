# SPDX-License-Identifier: GPL-3.0-or-later
"""The phases of a run, as bars from a beginning to an end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.vedfinance.platform.plugins.module_utils._ledger import Drill

from . import words
from .model import Bar


def drill_bars(drill: Drill) -> list[Bar]:
    restore, length = _restore_bars(drill.seconds, 0.0)
    return _placed(restore, length)


def recovery_bars(entry: Mapping[str, Any]) -> list[Bar]:
    """By the clock of the play; within the restore, by that of the engine."""
    clock, began, ended = entry.get("clock") or {}, float(entry["began"]), float(entry["ended"])
    bars = []
    if "stopped" in clock:
        until = clock.get("healthy", ended)
        bars.append(Bar("API out of service", until - clock["planned"], clock["planned"] - began, 0, outage=True))
    last, left = began, True
    for mark, name in (
        ("planned", "Find the dump, plan"),
        ("stopped", "Stop the API, and see that nothing answers"),
        ("restored", "Restore, prove, swap"),
        ("healthy", "Start the API, until it is healthy"),
    ):
        if mark not in clock:
            left = False
            bars.append(Bar(f"{name} (failed), and back", ended - last, last - began, 0))
            break
        bars.append(Bar(name, clock[mark] - last, last - began, 0))
        if mark == "restored":
            bars += [
                Bar(phase.name, phase.seconds, phase.start, 0, part=True)
                for phase in _restore_bars(entry.get("seconds") or {}, last - began)[0]
                if not phase.part
            ]
        last = float(clock[mark])
    if left:
        bars.append(Bar("Integrity report, a look from outside", ended - last, last - began, 0))
    return _placed(bars, ended - began)


def _restore_bars(seconds: Mapping[str, float], start: float) -> tuple[list[Bar], float]:
    """One behind the other, the parts of the load below it; and where the last one ends."""
    bars = []
    at = inner = start
    for phase, name in words.PHASES.items():
        if phase not in seconds:
            continue
        length = float(seconds[phase])
        if phase in words.LOAD_PARTS:
            bars.append(Bar(name, length, inner, 0, part=True))
            inner += length
        else:
            bars.append(Bar(name, length, at, 0))
            inner, at = at, at + length
    return bars, at


def _placed(bars: Sequence[Bar], length: float) -> list[Bar]:
    scale = 100 / length if length > 0 else 0.0
    return [
        Bar(one.name, one.seconds, _percent(one.start * scale), _percent(one.seconds * scale), one.part, one.outage)
        for one in bars
    ]


def _percent(value: float) -> float:
    return round(min(100.0, max(0.0, value)), 2)
