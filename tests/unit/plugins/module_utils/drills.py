# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.vedfinance.platform.plugins.module_utils._ledger import PROVED, Drill

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)


def drill(days_ago: float = 0, outcome: str = PROVED, sha256: str | None = "a" * 64, **more: Any) -> Drill:
    ended = NOW - timedelta(days=days_ago)
    began = ended - timedelta(minutes=1)
    dump = {"path": "/b/one.dump", "name": "one.dump", "sha256": sha256, "bytes": 7, "format": "custom"}
    dump |= {"dumped_at": (began - timedelta(hours=1)).isoformat(), "fingerprint": more.pop("fingerprint", None)}
    told: dict[str, Any] = {
        "run": f"{began:%Y%m%dT%H%M%SZ}", "database": "vedfinance", "host": "vps", "outcome": outcome, "dump": dump,
        "verify": "rows", "began": began.isoformat(), "ended": ended.isoformat(),
        "reason": None if outcome == PROVED else "it would not", "restore_seconds": 2.5, "rto_seconds": 9.0,
        "rpo_seconds": 3600.0,
    }  # fmt: skip
    return Drill(**{**told, **more})
