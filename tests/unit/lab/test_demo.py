# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demo shows of two recoveries, of which one followed a drill."""

from __future__ import annotations

from lab.demo import side_by_side


def test_a_cold_and_a_warm_recovery_side_by_side() -> None:
    cold = {"seconds": {"total": 41.26}, "outage_seconds": 65.0, "rto_seconds": 80.04}
    warm = {"seconds": {"total": 0.31}, "outage_seconds": 12.0, "rto_seconds": 20.0}
    heading, *table, _meaning = side_by_side(cold, warm)
    assert heading.startswith("\n=== Side by side")
    assert table == [
        "                                        cold      warm",
        "restore, proof and swap               41.3 s     0.3 s",
        "time without the API                  65.0 s    12.0 s",
        "from the command to a healthy API     80.0 s    20.0 s",
    ]
