# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands beside the live database is dropped by policy, and never what a running restore needs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.world import Live
from tests.modules import run_module


def name_at(live: Live, role: str, age: timedelta) -> str:
    return f"{live.name}__{role}_{datetime.now(UTC) - age:%Y%m%d_%H%M%S}"


@pytest.fixture
def surrounded(live: Live) -> tuple[Live, dict[str, str]]:
    names = {
        "staging": name_at(live, "staging", timedelta(hours=1)),
        "verifying": name_at(live, "verifying", timedelta(hours=1)),
        "new": name_at(live, "before", timedelta(days=1)),
        "old": name_at(live, "before", timedelta(days=9)),
        "undone": name_at(live, "undone", timedelta(days=9)),
        "verified": f"{live.name}__verified_000000000000",
        # Names of other people's databases only look alike.
        "not ours": f"{live.name}__before_the_move",
        "not ours either": f"{live.name}__verified_by_hand",
        "nor this": f"{live.name}__verified_too",
    }
    for name in names.values():
        live.create(name=name)
    return live, names


@pytest.mark.parametrize(
    ("keep", "gone"),
    [
        ("3", {"staging", "verifying"}),
        ("1", {"staging", "verifying", "old"}),
        ("7d", {"staging", "verifying", "old", "undone"}),
        ("0", {"staging", "verifying", "new", "old", "undone"}),
    ],
)
def test_cleaned(surrounded: tuple[Live, dict[str, str]], keep: str, gone: set[str]) -> None:
    live, names = surrounded
    before = live.family()
    planned = live.clean(keep_previous=keep, check=True)
    assert live.family() == before
    result = live.clean(keep_previous=keep)
    assert set(result["removed_databases"]) == set(planned["removed_databases"]) == {names[one] for one in gone}
    assert set(live.family()) == set(before) - {names[one] for one in gone}
    assert live.clean(keep_previous=keep)["changed"] is False


def test_verified_databases_go_by_their_own_policy(surrounded: tuple[Live, dict[str, str]]) -> None:
    live, names = surrounded
    left = {names["staging"], names["verifying"]}
    assert set(live.clean(keep_verified=0)["removed_databases"]) == {names["verified"]} | left


def test_a_running_restore_keeps_its_own(surrounded: tuple[Live, dict[str, str]]) -> None:
    live, names = surrounded
    key = f"hashtextextended('vedfinance.platform restore of {live.name}', 0)"
    with live.server.connect() as restoring:
        restoring.execute(f"SELECT pg_advisory_lock({key})".encode())
        result = live.clean(keep_previous="0")
    assert result["removed_databases"] == [names["verifying"]]
    assert any("left alone" in note for note in result["notes"])


@pytest.mark.parametrize("keep", ["-1", "\N{SUPERSCRIPT TWO}", "many", "7 parsecs", ""])
def test_a_policy_that_is_none_is_refused(live: Live, keep: str) -> None:
    result = run_module("pg_restore_from_dump", live.arguments(None, state="cleaned", keep_previous=keep))
    assert result["failed"]
    assert "keep_previous" in result["msg"]


@pytest.mark.parametrize(("keep", "number"), [(True, 0), (False, -1)])
def test_a_count_that_keeps_nothing_of_what_shall_be_kept_is_refused(live: Live, keep: bool, number: int) -> None:
    arguments = live.arguments(None, state="cleaned", keep=keep, keep_verified=number)
    assert "keep_verified" in run_module("pg_restore_from_dump", arguments)["msg"]
