# SPDX-License-Identifier: GPL-3.0-or-later
"""What the results of the gates come to, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .gates import MISSING_TOOL, NOT_RUN, PASSED, SKIPPED, WOULD_RUN, Result


def verdict_of(results: Sequence[Result], *, check: bool) -> dict[str, Any]:
    """The module's result; ``passed`` is None when nothing was run."""
    stopping = [result for result in results if result.stops]
    if check:
        passed, msg = None, _planned(results)
    elif stopping:
        passed, msg = False, _failed(stopping)
    else:
        passed, msg = True, _passed(results)
    return {"msg": msg, "passed": passed, "gates": [result.as_dict() for result in results]}


def _planned(results: Sequence[Result]) -> str:
    would = [result for result in results if result.outcome == WOULD_RUN]
    missing = [result.reason for result in results if result.outcome == MISSING_TOOL]
    return f"{_gates(len(would))} would run{': ' if missing else ''}{', '.join(missing)}.{_skipped(results)}"


def _passed(results: Sequence[Result]) -> str:
    passed = sum(result.outcome == PASSED for result in results)
    tolerated = [result.gate.name for result in results if result.outcome not in (PASSED, SKIPPED)]
    also = f" Optional ones did not: {', '.join(tolerated)}." if tolerated else ""
    return f"{_gates(passed)} passed.{also}{_skipped(results)}"


def _failed(stopping: Sequence[Result]) -> str:
    asked = [result for result in stopping if result.outcome != NOT_RUN]
    return " ".join(
        f"Gate {result.gate.name!r} {_WORDS[result.outcome]}: {result.reason.rstrip('.')}."
        + (f" {result.hint}" if result.hint else "")
        for result in asked
    )


_WORDS = {"failed": "failed", "missing_tool": "could not run", "timed_out": "timed out"}


def _gates(number: int) -> str:
    return f"{number} gate{'' if number == 1 else 's'}"


def _skipped(results: Sequence[Result]) -> str:
    skipped = [f"{result.gate.name} ({result.reason})" for result in results if result.outcome == SKIPPED]
    return f" Skipped: {', '.join(skipped)}." if skipped else ""
