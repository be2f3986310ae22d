# SPDX-License-Identifier: GPL-3.0-or-later
"""What a policy lets go, and what no policy ever does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import yaml
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup.retention import (
    Held,
    Plan,
    Policy,
    plan,
)
from hypothesis import given, settings
from hypothesis import strategies as some

from tests.conftest import ROOT

NOW = datetime(2026, 11, 22, 2, 30, tzinfo=UTC)


def night(days_ago: int, **what: Any) -> Held:
    time = NOW.replace(hour=2, minute=0) - timedelta(days=days_ago)
    return Held(f"d{days_ago:04d}", time, 10, **what)


def kept(found: Plan) -> list[int]:
    return [int(verdict.held.name[1:]) for verdict in found.kept]


def reasons(found: Plan, days_ago: int) -> str:
    return "; ".join(next(one.reasons for one in found.verdicts if one.held.name == f"d{days_ago:04d}"))


PROVED = {"proved": "rows, 2026-11-22"}


def test_grandfather_father_son() -> None:
    nights = [night(days, **PROVED) for days in range(800)]
    policy = Policy(keep_last=2, keep_daily=4, keep_weekly=3, keep_monthly=3, keep_yearly=2)
    # The 22nd is a Sunday; the newest of a week, a month and a year is kept.
    assert kept(plan(nights, policy, NOW, UTC)) == [0, 1, 2, 3, 7, 14, 22, 53, 326]


def test_what_the_role_keeps_unless_told_otherwise() -> None:
    defaults = yaml.safe_load((ROOT / "roles" / "backup" / "defaults" / "main.yml").read_text())
    nights = [night(days, **PROVED) for days in range(800)]
    days = kept(plan(nights, Policy(**defaults["backup_retention"]), NOW, UTC))
    # Two weeks of nights, then Sundays, then the ends of months; a good one is never more than a month from another.
    assert days == [*range(14), 14, 21, 22, 28, 35, 42, 49, 53, 83, 114, 145, 175, 206, 236, 267, 295, 326]


def test_days_are_those_of_the_zone() -> None:
    late, early = NOW.replace(hour=23), NOW.replace(hour=1) + timedelta(days=1)
    held = [Held("d0002", late, **PROVED), Held("d0001", early, **PROVED)]
    policy = Policy(keep_daily=2)
    assert kept(plan(held, policy, NOW, UTC)) == [1, 2]
    assert kept(plan(held, policy, NOW, timezone(timedelta(hours=7)))) == [1]


def test_of_a_week_rather_one_that_was_proved() -> None:
    nights = [night(0, **PROVED), *(night(days) for days in range(7, 14)), night(20, **PROVED)]
    nights[5] = night(11, **PROVED)
    assert kept(plan(nights, Policy(keep_weekly=2), NOW, UTC)) == [0, 11]


def test_bad_ones_fill_no_place_and_go_when_something_newer_is_good() -> None:
    nights = [night(0, bad="cut off"), night(1, **PROVED), night(2, bad="cut off"), night(3), night(4)]
    found = plan(nights, Policy(keep_last=2), NOW, UTC)
    assert kept(found) == [0, 1, 3]
    assert "find out what is wrong" in reasons(found, 0)
    assert reasons(found, 2) == "cut off"
    assert reasons(found, 4) == "beyond keep_last 2"


def test_the_newest_proved_one_stays_whatever_its_age() -> None:
    nights = [*(night(days) for days in range(10)), night(400, **PROVED), night(500, **PROVED)]
    found = plan(nights, Policy(keep_last=1), NOW, UTC)
    assert kept(found) == [0, 400]
    assert "a drill has proved" in reasons(found, 400)
    assert kept(plan(nights, Policy(keep_last=1, min_proved=2), NOW, UTC)) == [0, 400, 500]


@pytest.mark.parametrize(
    ("nights", "why"),
    [
        ([night(0), night(1), night(2)], "only 0 are proved"),
        ([*(night(days, bad="failed") for days in range(3)), night(4, **PROVED), night(5)], "the newest 3 are bad"),
        (
            [night(0, partial=True), night(1, bad="x"), night(2, partial=True), night(4, **PROVED)],
            "the newest 3 are bad",
        ),
        ([night(0, bad="x"), night(1, bad="x")], "the newest 2 are bad"),
    ],
)
def test_nothing_goes(nights: list[Held], why: str) -> None:
    found = plan(nights, Policy(keep_last=1), NOW, UTC)
    assert why in str(found.stopped)
    assert not found.deleted


def test_strangers_are_neither_touched_nor_counted() -> None:
    nights = [*(night(days, foreign="no pattern") for days in range(5)), night(5, **PROVED), night(6), night(7)]
    found = plan(nights, Policy(keep_last=2), NOW, UTC)
    assert kept(found) == [0, 1, 2, 3, 4, 5, 6]


def test_what_a_link_points_to_and_what_is_young_stay() -> None:
    nights = [night(0, **PROVED), night(1), night(2), night(3, links=("latest_dump.sql",))]
    found = plan(nights, Policy(keep_last=1, keep_newer_than=30 * 3600), NOW, UTC)
    assert kept(found) == [0, 1, 3]
    assert reasons(found, 3) == "latest_dump.sql points to it"


@pytest.mark.parametrize("policy", [Policy(), Policy(keep_last=-1), Policy(keep_last=1, min_proved=-1)])
def test_no_policy_that_keeps_nothing(policy: Policy) -> None:
    with pytest.raises(PlatformError):
        plan([night(0)], policy, NOW, UTC)


helds = some.lists(
    some.builds(
        lambda number, hours, **what: Held(f"d{number:04d}", NOW - timedelta(hours=hours), 10, **what),
        number=some.integers(0, 9999),
        hours=some.integers(-30, 20_000),
        foreign=some.sampled_from([None, None, None, "no pattern"]),
        partial=some.sampled_from([False, False, False, True]),
        bad=some.sampled_from([None, None, "cut off"]),
        proved=some.sampled_from([None, "rows"]),
        links=some.sampled_from([(), (), (), ("latest",)]),
    ),
    max_size=40,
    unique_by=lambda one: one.name,
)
policies = some.builds(
    Policy,
    keep_last=some.integers(1, 5),
    keep_daily=some.integers(0, 5),
    keep_weekly=some.integers(0, 5),
    keep_monthly=some.integers(0, 5),
    keep_yearly=some.integers(0, 5),
    keep_newer_than=some.sampled_from([None, 3600.0, 500_000.0]),
    min_proved=some.integers(0, 3),
    stop_when_newest_bad=some.integers(0, 4),
)


@settings(deadline=None)
@given(helds, policies)
def test_what_holds_for_any_folder_and_policy(held: list[Held], policy: Policy) -> None:
    found = plan(held, policy, NOW, UTC)
    gone = {one.held for one in found.deleted}
    assert sorted(one.held.name for one in found.verdicts) == sorted(one.name for one in held)
    assert all(one.reasons for one in found.verdicts)
    newest_first = sorted(held, key=lambda one: (one.time, one.name), reverse=True)
    own = [one for one in newest_first if not one.foreign]
    good = [one for one in own if not one.partial and not one.bad]
    proved = [one for one in good if one.proved]
    assert not gone & set(proved[: policy.min_proved])
    assert not gone & set(good[: policy.keep_last])
    assert not any(one.foreign or one.partial or one.links for one in gone)
    if gone:
        assert len(proved) >= policy.min_proved
        newest = own[: policy.stop_when_newest_bad]
        assert not newest or set(newest) & set(good)
        # Something newer and good is left for whatever goes.
        left = [one for one in good if one not in gone]
        assert all(any(other.time >= one.time for other in left) for one in gone)
    # Deleting what goes changes nothing about what is left: the same policy finds nothing more.
    assert not plan([one for one in held if one not in gone], policy, NOW, UTC).deleted
