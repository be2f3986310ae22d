# SPDX-License-Identifier: GPL-3.0-or-later
"""The waits that the real server has, at a chosen tempo, and the clock of the rows."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime


class Interrupted(Exception):
    """The wait ended because the server does."""


class Tempo:
    """Scales every wait; `factor` 0.1 is ten times as fast as the real server."""

    def __init__(self, factor: float = 1.0) -> None:
        self._factor = factor

    def scaled(self, seconds: float) -> float:
        return seconds * self._factor

    def wait(self, seconds: float, ended: threading.Event) -> None:
        if ended.wait(self.scaled(seconds)):
            raise Interrupted


def iso_now() -> str:
    return iso(time.time())


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def human_duration(seconds: float) -> str:
    """As docker words it."""
    whole = int(seconds)
    minutes, hours = whole // 60, (whole + 1800) // 3600
    if whole < 1:
        return "Less than a second"
    if whole < 60:
        return "1 second" if whole == 1 else f"{whole} seconds"
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    if hours < 48:
        return "About an hour" if hours <= 1 else f"{hours} hours"
    return f"{hours // 24} days"
