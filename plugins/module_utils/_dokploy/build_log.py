# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of a build: its new lines while it grows, and the one that tells why it failed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ansible_collections.vedfinance.platform.plugins.module_utils._redact import clip, redact_text

LONGEST_LINE = 300

_COLOURS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_BUILDKIT = re.compile(r"^#\d+ (?:\d+\.\d+ )?")
_LAST_WORDS = re.compile(r"^Error occurred .*check the logs")

# What names the cause comes before what only says that there was one. Of several, the first to appear is the cause.
_TELLING: tuple[re.Pattern[str], ...] = tuple(
    re.compile("|".join(patterns), re.IGNORECASE)
    for patterns in (
        (r"no space left on device", r"heap out of memory", r"^killed\b", r"\boom.?killed", r"exit code: 137"),
        (
            r"\berror TS\d+:",
            r"^(?:Error: )?P[1-6]\d{3}\b",
            r"Prisma schema validation",
            r"\bERR_PNPM_\w+",
            r"^\W*(?:uncaught )?(?:syntax|type|reference|range)error:",
            r"cannot find module",
            r"module not found",
            r"^npm (?:ERR!|error) (?:404|code E(?!LIFECYCLE)\w+)",
            r"could not resolve\b",
        ),
        (
            r"^fatal: ",
            r"permission denied \(publickey\)",
            r"authentication failed",
            r"manifest (?:for .* not found|unknown)",
            r"pull access denied",
            r"^Error response from daemon:",
            r"\byaml: ",
            r"dockerfile parse error",
            r"failed to read dockerfile",
            r": not found$",
        ),
        (
            r"^\W*\w*Error\b\]?: ",
            r"^\W*\[error\]",
            r"^ERROR: failed to",
            r"has occurred an error: ",
            r"^npm (?:ERR!|error) \S",
            r"command not found",
            r"no such file or directory",
        ),
        (r"returned a non-zero code", r"did not complete successfully", r"\bexit(?:ed with)? (?:code|status):? [1-9]"),
        (r"❌", r"\bfail(?:ed|ure)?\b"),
    )
)


def lines_of(text: str, secrets: Sequence[str] = ()) -> list[str]:
    """As a terminal would show them at last: without colours, overwritten beginnings, and what looks like a secret."""
    lines = redact_text(_COLOURS.sub("", text), secrets).split("\n")
    return [clip(_as_shown(line), LONGEST_LINE) for line in lines if line.strip()]


def _as_shown(line: str) -> str:
    parts = [part for part in line.split("\r") if part.strip()]
    return parts[-1].rstrip() if parts else ""


def new_lines(seen: Sequence[str], lines: Sequence[str]) -> list[str]:
    """What came since: the log only grows, but only its end is read."""
    for length in range(min(len(seen), len(lines)), 0, -1):
        if list(seen[-length:]) == list(lines[:length]):
            return list(lines[length:])
    return list(lines)


def failing_line(lines: Sequence[str]) -> str | None:
    """The best guess of the line that a person would point at."""
    candidates = [_BUILDKIT.sub("", line).strip() for line in lines]
    candidates = [line for line in candidates if line and not _LAST_WORDS.match(line)]
    for pattern in _TELLING:
        for line in candidates:
            if pattern.search(line):
                return line
    return candidates[-1] if candidates else None
