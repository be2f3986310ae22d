# SPDX-License-Identifier: GPL-3.0-or-later
"""What preflight reckons without a server."""

from __future__ import annotations

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.preflight import (
    Finding,
    Preflight,
    bytes_needed,
    estimate,
    free_by_df,
    free_bytes,
)


def test_a_problem_forbids_and_a_warning_does_not() -> None:
    found = Preflight(findings=[Finding("version", "passed"), Finding("sessions", "warning", "Somebody is there.")])
    found.require()
    found.problem("proof", "It cannot be proved.")
    with pytest.raises(PlatformError, match=r"cannot begin: It cannot be proved\.") as refused:
        found.require()
    assert refused.value.details == {"live_untouched": True, "problems": ["It cannot be proved."]}
    assert found.as_dicts()[1:] == [
        {"name": "sessions", "result": "warning", "detail": "Somebody is there."},
        {"name": "proof", "result": "problem", "detail": "It cannot be proved."},
    ]


def test_room_for_the_larger_of_dump_and_live() -> None:
    base = bytes_needed(0, 0)
    assert bytes_needed(1000, 100) - base == 2000
    assert bytes_needed(1000, 5000, 7) - base == 5007


def test_time_by_the_last_restore() -> None:
    assert estimate(1000, 500.0) == (2.0, "the last restore of this database")
    seconds, basis = estimate(40_000_000, None)
    assert seconds == 2.0
    assert "no restore to go by" in basis


@pytest.mark.parametrize(
    ("said", "free"),
    [
        ("Filesystem 1024-blocks Used Available Capacity Mounted on\noverlay 100 60 40 60% /\n", 40960),
        ("Filesystem 1024-blocks Used Available Capacity Mounted on\n", None),
        ("", None),
    ],
)
def test_free_bytes_by_df(said: str, free: int | None) -> None:
    assert free_by_df(said) == free


def test_free_bytes_of_a_path_that_is_not_there() -> None:
    free = free_bytes("/nosuch/folder/of/a/server")
    assert free is not None
    assert free > 0
