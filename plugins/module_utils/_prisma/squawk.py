# SPDX-License-Identifier: GPL-3.0-or-later
"""Squawk, a linter for migrations: how it is called and what its findings mean here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import Protocol

from .._errors import PlatformError

#: What is passed over unless it is asked for: what Prisma itself writes so, and the timeouts that a deploy sets.
PASSED_OVER = (
    "prefer-bigint-over-int", "prefer-bigint-over-smallint", "prefer-identity", "prefer-text-field",
    "prefer-timestamp-tz", "prefer-robust-stmts", "require-lock-timeout", "require-statement-timeout",
    "require-timeout-settings", "require-table-schema",
)  # fmt: skip
_SECONDS = 60


@dataclass(frozen=True)
class Complaint:
    """One finding of Squawk; its line counts from 1."""

    rule: str
    line: int
    message: str
    help: str


class Linter(Protocol):
    def complaints(self, name: str, sql: str, version: int, in_transaction: bool) -> list[Complaint]: ...


class Squawk:
    """The program; it reads the script from its input and writes nothing."""

    def __init__(self, program: str = "squawk") -> None:
        self._program = program

    def complaints(self, name: str, sql: str, version: int, in_transaction: bool) -> list[Complaint]:
        command = [self._find(), "--reporter", "json", "--stdin-filepath", f"{name}/migration.sql"]
        command += ["--pg-version", f"{version // 10000}.{version % 10000}"]
        command += ["--assume-in-transaction"] if in_transaction else []
        try:
            # In a folder of nobody, as it would take a .squawk.toml that lies about.
            done = subprocess.run(
                command, input=sql, capture_output=True, text=True, timeout=_SECONDS, check=False, cwd="/"
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PlatformError(f"{self._program} could not be run: {error}.", _INSTALL) from None
        if done.returncode not in (0, 1) or not done.stdout.lstrip().startswith("["):
            said = (done.stderr or done.stdout).strip().splitlines() or ["nothing"]
            raise PlatformError(f"{self._program} ended with {done.returncode} and said: {said[0]}", _INSTALL)
        return read_report(done.stdout)

    def _find(self) -> str:
        # pip puts it beside the interpreter of its environment, which need not be in PATH.
        beside = os.path.dirname(sys.executable)
        found = shutil.which(self._program) or shutil.which(self._program, path=beside)
        if found is None:
            raise PlatformError(f"The program {self._program} is not on this host.", _INSTALL)
        return found


_INSTALL = "Install it with 'pip install squawk-cli' there, name it with squawk, or leave it out with lint_with=[own]."


def read_report(text: str) -> list[Complaint]:
    """The findings that ``squawk --reporter json`` prints; it counts lines from 0."""
    return [
        Complaint(each["rule_name"], int(each["line"]) + 1, each["message"], each.get("help") or "")
        for each in json.loads(text)
    ]
