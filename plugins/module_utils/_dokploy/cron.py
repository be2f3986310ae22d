# SPDX-License-Identifier: GPL-3.0-or-later
"""Cron expressions, checked before they are stored."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError

_HINT = "Write five fields (minute, hour, day of the month, month, day of the week), as in 0 2 * * *, or @daily."
_NICKNAMES = ("@hourly", "@daily", "@weekly", "@monthly", "@yearly")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PART = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d+))?", re.ASCII)


class _Field(t.NamedTuple):
    name: str
    least: int
    most: int
    words: tuple[str, ...] = ()

    def number(self, text: str) -> int | None:
        if text.lower() in self.words:
            return self.words.index(text.lower()) + self.least
        return int(text) if text.isdigit() and self.least <= int(text) <= self.most else None

    def accepts(self, part: str) -> bool:
        match = _PART.fullmatch(part)
        if match is None or (match["step"] and int(match["step"]) == 0):
            return False
        numbers = [self.number(text) for text in (match["first"], match["last"]) if text]
        known = [number for number in numbers if number is not None]
        return known == numbers and known == sorted(known)


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 7, _DAYS),
)


def checked_cron(text: str) -> str:
    """The expression with single spaces, or the reason why it is none."""
    words = text.split()
    if len(words) == 1 and words[0] in _NICKNAMES:
        return words[0]
    if len(words) != len(_FIELDS):
        raise PlatformError(f"cron is {text!r}, which has {len(words)} fields.", _HINT)
    for field, word in zip(_FIELDS, words):
        if not all(field.accepts(part) for part in word.split(",")):
            raise PlatformError(
                f"cron is {text!r}: its {field.name} is {word!r}, which is not {field.least} to {field.most}.", _HINT
            )
    return " ".join(words)
