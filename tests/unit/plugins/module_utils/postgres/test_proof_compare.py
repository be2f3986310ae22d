# SPDX-License-Identifier: GPL-3.0-or-later
"""What a recovery would lose, in figures and in a sentence."""

from __future__ import annotations

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.compare import compare


def test_losses_come_first_and_the_heaviest_of_them_before() -> None:
    compared = compare(
        {"a": 10, "users": 112, "logs": 2000, "new": 3}, {"a": 10, "users": 100, "logs": 900, "old": 4}, 0
    )
    assert compared["tables"] == [
        {"table": "logs", "live_rows": 2000, "dump_rows": 900, "difference": -1100},
        {"table": "users", "live_rows": 112, "dump_rows": 100, "difference": -12},
        {"table": "new", "live_rows": 3, "dump_rows": 0, "difference": -3},
        {"table": "old", "live_rows": 0, "dump_rows": 4, "difference": 4},
    ]
    assert compared["msg"] == (
        "The recovery would lose 1,115 rows in 3 tables: logs −1,100, users −12, new −3;"
        " the recovery would bring back 4 rows in 1 table: old +4."
    )


@pytest.mark.parametrize(
    ("dump_rows", "tolerance", "told"),
    [(99, 1.0, 0), (98, 1.0, 1), (101, 1.0, 0), (102, 1.0, 1), (99, 0.0, 1), (100, 0.0, 0)],
)
def test_the_tolerance_is_a_percentage_of_the_live_rows(dump_rows: int, tolerance: float, told: int) -> None:
    assert len(compare({"t": 100}, {"t": dump_rows}, tolerance)["tables"]) == told


def test_no_tolerance_hides_a_table_that_live_has_emptied() -> None:
    assert compare({"t": 0}, {"t": 1}, 50.0)["msg"] == "The recovery would bring back 1 row in 1 table: t +1."


def test_what_cannot_be_known_is_said() -> None:
    compared = compare({"t": 5, "u": 1}, {"t": None, "u": 1}, 2.5)
    assert compared["tables"] == []
    assert compared["msg"] == (
        "The recovery would change no number of rows by more than 2.5 %;"
        " 1 tables are INSERT statements in the dump and were not compared."
    )


def test_a_long_list_is_cut_short_in_the_sentence_only() -> None:
    compared = compare({f"t{n}": 1 for n in range(8)}, {}, 0)
    assert len(compared["tables"]) == 8
    assert compared["msg"].endswith("t4 −1 and 3 more.")
