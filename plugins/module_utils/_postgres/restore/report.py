# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user asked for, and what is known, filled stage by stage, so that a failure can say how far it came."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..._errors import PlatformError
from ..._hangup import HungUp
from .proof import Invariant
from .retention import Keep


@dataclass(frozen=True)
class Options:
    """What the user asked for; the module's documentation says what each means."""

    database: str
    src: str | None = None
    owner: str | None = None
    roles: str = "require"
    role_map: Mapping[str, str] = field(default_factory=dict)
    jobs: int | None = None
    max_age: float | None = None
    defer_indexes: bool = False
    verify: str = "rows"
    invariants: tuple[Invariant, ...] = ()
    skip_checks: frozenset[str] = frozenset()
    compare_tolerance: float = 0.0
    keep_previous: Keep = field(default_factory=lambda: Keep(count=3))
    previous_database: str | None = None
    keep: bool = False
    keep_verified: int = 1
    use_verified: bool = True
    clone_verified: bool = False
    force: bool = False
    lock_timeout: float = 60.0
    disk_path: str | None = None
    disk_floor: int = 0
    check_disk: bool = True
    diff: bool = False


@dataclass
class Report:
    """The module's result."""

    database: str
    changed: bool = False
    msg: str = ""
    previous_database: str | None = None
    verified_database: str | None = None
    dump: dict[str, Any] = field(default_factory=dict)
    plan: dict[str, Any] = field(default_factory=dict)
    tables: list[dict[str, Any]] = field(default_factory=list)
    rows: int = 0
    compared_to_live: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    downtime_seconds: float = 0.0
    proof: list[dict[str, Any]] = field(default_factory=list)
    outstanding_indexes: list[str] = field(default_factory=list)
    built_indexes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    removed_databases: list[str] = field(default_factory=list)
    live_untouched: bool = True
    diff: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._begun = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._begun

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure a phase."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = time.monotonic() - begun

    @contextmanager
    def kept_on_failure(self) -> Iterator[None]:
        """An error takes along all that is known; only a swap may say of itself that it does not know how it ended."""
        try:
            yield
        except PlatformError as error:
            self.seconds["total"] = self.elapsed
            raise self._told_by(error) from None
        except HungUp as ended:
            self.seconds["total"] = self.elapsed
            raise self._told_by(ended.as_error()) from None
        self.seconds["total"] = self.elapsed

    def note(self, text: str) -> None:
        """Something a person may want to know, once."""
        if text not in self.notes:
            self.notes.append(text)

    def as_result(self) -> dict[str, Any]:
        """For the module's exit."""
        result = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        result["seconds"] = {phase: round(seconds, 3) for phase, seconds in self.seconds.items()}
        result["downtime_seconds"] = round(self.downtime_seconds, 3)
        diff = result.pop("diff")
        return {**result, **({"diff": diff} if diff else {})}

    def _told_by(self, error: PlatformError) -> PlatformError:
        untouched = bool(error.details.get("live_untouched", self.live_untouched))
        error.details = {**self.as_result(), **error.details, "live_untouched": untouched, "changed": not untouched}
        for unhelpful in ("msg", "tables", "diff"):
            error.details.pop(unhelpful, None)
        if untouched:
            error.hint = f"{error.hint or ''} Database {self.database} is untouched.".strip()
        return error
