# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as proved, and which dumps cannot be compared row by row."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.connect import ServerError
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.contents import obstacles
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.proof import Proof

from tests.unit.plugins.module_utils.postgres.given import dump_of, judged

TABLE = b"CREATE TABLE public.t (n integer, point text);\n"
COPY = b"COPY public.t (n, point) FROM stdin;\n1\treal\n\\.\n"


def test_nothing_checked_is_nothing_proved() -> None:
    assert not Proof().holds


def test_every_check_must_pass() -> None:
    proof = Proof()
    proof.check("good", list)
    assert proof.holds
    proof.check("bad", lambda: [f"problem {n}" for n in range(7)])
    assert not proof.holds
    assert [(check.name, check.result, check.detail) for check in proof.failures] == [
        ("bad", "failed", "problem 0; problem 1; problem 2; problem 3; problem 4; and 2 more")
    ]


def test_a_check_that_could_not_run_is_no_pass() -> None:
    def refused() -> NoReturn:
        raise ServerError("permission denied")

    proof = Proof()
    proof.check("asked", refused)
    assert not proof.holds
    assert proof.checks[0].result == "could not run"
    assert proof.checks[0].detail == "permission denied"


def test_a_remark_is_told_and_refuses_nothing() -> None:
    proof = Proof()
    proof.check("fair", list, ["the dump has it so"])
    proof.check("both", lambda: ["wrong"], ["the dump has it so"])
    assert [(check.result, check.detail) for check in proof.checks] == [
        ("passed", "the dump has it so"),
        ("failed", "wrong"),
    ]


def test_results_for_machines() -> None:
    proof = Proof()
    proof.check("good", list)
    (told,) = proof.as_dicts()
    assert {name: told[name] for name in ("name", "result", "detail")} == {
        "name": "good",
        "result": "passed",
        "detail": "",
    }
    assert told["seconds"] >= 0


FLOATS = TABLE.replace(b"n integer", b"n double precision[]") + COPY
OLD = b"\n-- Dumped from database version 11.22\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (dump_of(TABLE + COPY), None),
        (dump_of(TABLE + b"INSERT INTO public.t VALUES (1, 'x');\n"), "The rows of public.t are INSERT statements"),
        (dump_of(FLOATS), None),
        (
            dump_of(FLOATS).replace(b"\n-- Dumped from database version 16.14\n", OLD),
            "PostgreSQL 11.22 wrote floating-point",
        ),
        (dump_of(TABLE + COPY).replace(b"\n-- Dumped from database version 16.14\n", OLD), None),
        (
            dump_of(b"CREATE TYPE public.c AS (x real);\n" + TABLE + COPY).replace(b"version 16.14", b"version 9.6.24"),
            "PostgreSQL 9.6.24 wrote floating-point numbers in other digits than a server of today (public.c)",
        ),
        (dump_of(TABLE + COPY + COPY), None),
        (dump_of(TABLE + COPY + COPY.replace(b"(n, point)", b"(point, n)")), "data of public.t by different columns"),
    ],
    ids=["COPY", "INSERT", "floats", "old floats", "old", "old type", "two blocks", "two blocks of other columns"],
)
def test_what_cannot_be_compared_is_known_before(content: bytes, said: str | None, tmp_path: Path) -> None:
    found = obstacles(judged(content, tmp_path))
    assert len(found) == (said is not None)
    assert said is None or said in found[0]
