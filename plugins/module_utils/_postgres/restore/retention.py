# SPDX-License-Identifier: GPL-3.0-or-later
"""How long databases of before a restore are kept: the newest few, or those younger than an age."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..._duration import seconds_in
from ..._errors import PlatformError
from .database import made_at


@dataclass(frozen=True)
class Keep:
    """A policy: a count, or an age in seconds."""

    count: int | None = None
    age: float | None = None

    @classmethod
    def parse(cls, text: str, option: str) -> Keep:
        """``3`` keeps the newest three, ``7d`` keeps what is younger than seven days."""
        text = text.strip()
        if text.isdecimal():
            return cls(count=int(text))
        if text[-1:].isalpha():
            return cls(age=seconds_in(text, option))
        raise PlatformError(
            f"Option {option} is {text!r}, which is neither a count nor an age.",
            "Write 3 to keep the newest three, or 7d to keep what is younger than seven days.",
        )

    def beyond(self, names: Sequence[str], now: datetime) -> list[str]:
        """Of these databases, newest first, the ones that the policy no longer keeps."""
        if self.count is not None:
            return list(names[self.count :])
        oldest = now - timedelta(seconds=self.age or 0)
        return [name for name in names if made_at(name) < oldest]
