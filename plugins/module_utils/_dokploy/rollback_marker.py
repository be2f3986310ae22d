# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory of a rollback, in the description of the application, where the dashboard shows it.

C(rollback.rollback) leaves no record, and one that is made by an image or a branch looks like a new version. Without
this memory, the next C(previous) would lead back to the version that was left.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

Stored = t.Union[str, bool, None]

_MARKER = re.compile(
    r"\s*\[rolled back by vedfinance\.platform at (?P<at>\S+): (?P<left>\S+) -> (?P<to>[^\s;\]]+)"
    r"(?:; stored (?P<stored>[^\]]*))?\]"
)
_WORDS: dict[str, Stored] = {"true": True, "false": False, "null": None}


@dataclass(frozen=True)
class Marker:
    """A rollback away from the deployment C(left), to a deployment, an image or a branch."""

    at: str
    left: str
    to: str
    stored: Mapping[str, tuple[Stored, Stored]] = field(default_factory=dict)
    """The columns of the application that it changed, with their values before and after."""

    def __str__(self) -> str:
        stored = ", ".join(f"{name} {_word(old)} => {_word(new)}" for name, (old, new) in self.stored.items())
        tail = f"; stored {stored}" if stored else ""
        return f"[rolled back by vedfinance.platform at {self.at}: {_word(self.left)} -> {_word(self.to)}{tail}]"


def marker_in(description: str | None) -> Marker | None:
    match = _MARKER.search(description or "")
    if match is None:
        return None
    stored = {}
    for change in (match.group("stored") or "").split(", "):
        parts = change.split(" ")
        if len(parts) == 4:
            stored[parts[0]] = (_value(parts[1]), _value(parts[3]))
    return Marker(match.group("at"), unquote(match.group("left")), unquote(match.group("to")), stored)


def with_marker(description: str | None, marker: Marker) -> str:
    return f"{without_marker(description) or ''} {marker}".strip()


def without_marker(description: str | None) -> str | None:
    return _MARKER.sub("", description or "").strip() or None


def _word(value: Stored) -> str:
    """One word, whatever is in the value."""
    for word, meaning in _WORDS.items():
        if value is meaning:
            return word
    text = str(value)
    return f"%{ord(text[0]):02X}{text[1:]}" if text in _WORDS else quote(text, safe="/:@+~")


def _value(word: str) -> Stored:
    return _WORDS[word] if word in _WORDS else unquote(word)
