# SPDX-License-Identifier: GPL-3.0-or-later
"""Two streams of COPY data have one digest exactly when they hold the same rows."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.content import RowsDigest

from tests.unit.plugins.module_utils.postgres.given import in_chunks

ROWS = [
    b"1\tone",
    b"2\ttwo",
    b"",
    b"",
    b"3\tlong " + b"x" * 90,
    rb"4" + b"\t" + rb"a\\",
    rb"5" + b"\t" + rb"\N",
    b"1\tone",
]
LONG = 1 << 20


def digest(pieces: Iterable[bytes]) -> int:
    rows = RowsDigest()
    for piece in pieces:
        rows.update(piece)
    return rows.value


def stream(rows: Iterable[bytes]) -> bytes:
    return b"".join(row + b"\n" for row in rows)


def of(*rows: bytes) -> int:
    return digest([stream(rows)])


def test_the_order_of_rows_does_not_matter() -> None:
    shuffled = random.Random(1).sample(ROWS, len(ROWS))
    assert shuffled != ROWS
    assert of(*shuffled) == of(*ROWS)


@pytest.mark.parametrize(
    "others",
    [
        ROWS[:-1],
        [*ROWS, b"1\tone"],
        [*ROWS, b""],
        [row for row in ROWS if row],
        [*ROWS[:-1], b"2\ttwo"],
        [b"1\tone ", *ROWS[1:]],
        [b"1one\t", *ROWS[1:]],
        [b"1\ttwo", b"2\tone", *ROWS[2:]],
        [],
    ],
    ids=[
        "a double one less", "a double one more", "an empty row more", "no empty rows", "another row is double",
        "a space more", "a tab elsewhere", "fields swapped between rows", "nothing",
    ],
)  # fmt: skip
def test_other_rows_have_another_digest(others: list[bytes]) -> None:
    assert of(*others) != of(*ROWS)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_where_the_stream_is_cut_does_not_matter(size: int, line_end: bytes) -> None:
    data = stream(ROWS).replace(b"\n", line_end)
    assert digest(in_chunks(data, size)) == of(*ROWS)


def test_pieces_without_bytes_change_nothing() -> None:
    assert digest([b"", b"1\t", b"", b"one\n", b""]) == of(b"1\tone")


@pytest.mark.parametrize("size", [1, 2, 5, 100])
@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (b"a\\\nb\nc\n", [rb"a\nb", b"c"]),
        (b"a\\\\\nb\n", [rb"a\\", b"b"]),
        (b"a\\\\\\\nb\n", [rb"a\\\nb"]),
        (b"\\\n\n", [rb"\n"]),
        (b"\\\\\r\nb\r\n", [rb"\\", b"b"]),
    ],
)
def test_a_line_break_behind_a_backslash_belongs_to_its_row(sent: bytes, stored: list[bytes], size: int) -> None:
    assert digest(in_chunks(sent, size)) == of(*stored)


@pytest.mark.parametrize("length", [LONG - 1, LONG, LONG + 1, 3 * LONG])
def test_a_long_row_is_the_same_in_one_piece_and_in_many(length: int) -> None:
    row = b"1\t" + b"x" * (length - 3) + b"y"
    whole = of(b"before", row, b"after")
    assert digest(in_chunks(stream([b"before", row, b"after"]), 200_000)) == whole
    assert of(b"after", row, b"before") == whole
    assert of(b"before", row[:-1] + b"z", b"after") != whole


def test_two_long_rows_are_two() -> None:
    row = b"x" * (LONG + 5)
    assert digest(in_chunks(stream([row, row]), 70_000)) == of(row, row) != of(row + row)


def test_a_row_that_has_not_ended_does_not_count() -> None:
    assert digest([b"1\tone\n2\tt"]) == of(b"1\tone")
