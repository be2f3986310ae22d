# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate: whose key it is, and how often it may be used."""

from __future__ import annotations

from typing import Any

import pytest

from lab.dokploy import keys

REST = 2
TRPC = 1


@pytest.fixture
def table() -> dict[str, Any]:
    return {}


def test_a_request_counts_twice_so_ten_are_five(table: dict[str, Any]) -> None:
    key = keys.add(table, organization_id="o", limit=10)
    assert [keys.verify(table, key, REST) is not None for _turn in range(7)] == [True] * 5 + [False] * 2


def test_the_trpc_route_counts_once(table: dict[str, Any]) -> None:
    key = keys.add(table, organization_id="o", limit=3)
    assert [keys.verify(table, key, TRPC) is not None for _turn in range(4)] == [True] * 3 + [False]


def test_an_odd_limit_is_used_up_in_the_middle_of_a_request(table: dict[str, Any]) -> None:
    key = keys.add(table, organization_id="o", limit=3)
    assert [keys.verify(table, key, REST) is not None for _turn in range(2)] == [True, False]


def test_the_gate_opens_again_when_the_window_has_passed(
    table: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(keys.time, "time", lambda: now[0])
    key = keys.add(table, organization_id="o", limit=4, window_ms=5000)
    assert [keys.verify(table, key, REST) is not None for _turn in range(3)] == [True, True, False]
    now[0] += 5
    assert keys.verify(table, key, REST) is None
    now[0] += 0.1
    assert keys.verify(table, key, REST) is not None


def test_a_key_without_limit_is_never_counted(table: dict[str, Any]) -> None:
    key = keys.add(table, organization_id="o")
    assert all(keys.verify(table, key, REST) for _turn in range(50))


def test_a_key_expires(table: dict[str, Any]) -> None:
    expired, valid = (keys.add(table, organization_id="o", lifetime=seconds) for seconds in (-1, 60))
    assert keys.verify(table, expired, REST) is None
    assert keys.verify(table, valid, REST) is not None


@pytest.mark.parametrize("key", [None, "", "invalid"])
def test_no_key_and_a_wrong_one_are_refused(table: dict[str, Any], key: str | None) -> None:
    keys.add(table, organization_id="o")
    assert keys.verify(table, key, REST) is None


def test_the_key_itself_is_not_kept(table: dict[str, Any]) -> None:
    assert keys.add(table, organization_id="o") not in str(table)
