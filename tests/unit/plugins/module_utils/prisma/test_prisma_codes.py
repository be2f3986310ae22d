# SPDX-License-Identifier: GPL-3.0-or-later
"""What the real Prisma printed when it failed, explained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._prisma.codes import explain
from ansible_collections.vedfinance.platform.plugins.module_utils._prisma.squawk import PASSED_OVER, read_report

CAPTURES = Path(__file__).parent / "captures"
# As the native engine prints it.
NATIVE = """Error: P3018

A migration failed to apply. New migrations cannot be applied before the error is recovered from.

Migration name: 20260102000000_index

Database error code: 25001

Database error:
ERROR: CREATE INDEX CONCURRENTLY cannot run inside a transaction block
"""


def output(name: str) -> str:
    captured = json.loads((CAPTURES / f"{name}.json").read_text())
    return str(captured["stdout"] + captured["stderr"])


@pytest.mark.parametrize(
    ("name", "code", "sqlstate"),
    [
        ("p1000", "P1000", None),
        ("p1001", "P1001", None),
        ("p1002", "P1002", None),
        ("p1003", "P1003", None),
        ("p3005", "P3005", None),
        ("p3009", "P3009", None),
        ("p3015", "P3015", None),
        ("no_such_table", "P3018", "42P01"),
        ("already_exists", "P3018", "42P07"),
        ("lock_timeout", "P3018", "55P03"),
        ("statement_timeout", "P3018", "57014"),
    ],
)
def test_a_failure_is_told_by_its_code_or_its_sentence(name: str, code: str, sqlstate: str | None) -> None:
    found = explain(output(name))
    assert (found.code, found.sqlstate) == (code, sqlstate)
    assert code in str(found)
    assert found.remedy


def test_the_native_engine_names_both() -> None:
    found = explain(NATIVE)
    assert (found.code, found.sqlstate) == ("P3018", "25001")
    assert found.said == "CREATE INDEX CONCURRENTLY cannot run inside a transaction block"
    assert "a migration of its own" in str(found)


@pytest.mark.parametrize(
    ("said", "sqlstate"),
    [
        ('ERROR: column "note" of relation "users" already exists', "42701"),
        ('ERROR: column "note" of relation "users" does not exist', "42703"),
        ('ERROR: column "note" does not exist', "42703"),
        ('ERROR: relation "users" already exists', "42P07"),
        ('ERROR: relation "users" does not exist', "42P01"),
        ('ERROR: type "vector" does not exist', "42704"),
        ("ERROR: functions in index predicate must be marked IMMUTABLE", "42P17"),
    ],
)
def test_what_postgresql_said_stands_for_its_code(said: str, sqlstate: str) -> None:
    found = explain(f"Error querying the database: {said}")
    assert (found.sqlstate, found.said) == (sqlstate, said.removeprefix("ERROR: "))


def test_what_is_unknown_is_not_guessed() -> None:
    found = explain("Error: something new")
    assert (found.code, found.sqlstate, found.said) == (None, None, None)


@pytest.mark.parametrize("name", ["applied", "nothing_pending"])
def test_success_is_no_known_failure(name: str) -> None:
    assert explain(output(name)).code is None


def test_squawk_counts_lines_from_zero_and_we_do_not() -> None:
    found = read_report((CAPTURES / "squawk_2.70.0.json").read_text())
    kept = {(each.rule, each.line) for each in found if each.rule not in PASSED_OVER}
    assert kept == {
        ("adding-required-field", 3),
        ("require-concurrent-index-creation", 4),
        ("changing-column-type", 5),
        ("require-concurrent-index-creation", 6),
        ("constraint-missing-not-valid", 7),
        ("adding-foreign-key-constraint", 7),
        ("ban-truncate-cascade", 8),
        ("require-concurrent-index-creation", 10),
    }
