# SPDX-License-Identifier: GPL-3.0-or-later
"""A build as it goes: lines of its log with the time that each stage takes, and in the end what came of it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple

from lab.dokploy.images import Image


class Step(NamedTuple):
    """What is logged, and how long the build is busy after it."""

    log: str
    seconds: float = 0.0


class Outcome(NamedTuple):
    """`log` ends the build's log. `commit` is what was cloned; a failed clone finds none."""

    ok: bool
    log: str = ""
    image: Image | None = None
    commit: dict[str, Any] | None = None


# What stands between two steps happens at once, with the model locked.
Recipe = Generator[Step, None, Outcome]
