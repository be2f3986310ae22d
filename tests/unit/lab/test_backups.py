# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the week of dumps that need no server."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from pathlib import Path

import pytest

from lab import backups

NIGHT = dt.datetime(2026, 3, 9, 2, 0)
ARCHIVE_1_15 = b"PGDMP\x01\x0f\x00\x04\x08\x01\x01"
ARCHIVE_1_14 = b"PGDMP\x01\x0e\x00\x04\x08\x01\x00\xff\xff\xff\xff"


@pytest.mark.parametrize(
    ("now", "newest"),
    [
        (dt.datetime(2026, 3, 9, 2, 0), dt.datetime(2026, 3, 9, 2, 0)),
        (dt.datetime(2026, 3, 9, 1, 59, 59), dt.datetime(2026, 3, 8, 2, 0)),
        (dt.datetime(2026, 3, 9, 23, 0), dt.datetime(2026, 3, 9, 2, 0)),
    ],
)
def test_the_newest_night_is_the_latest_two_o_clock_that_has_passed(now: dt.datetime, newest: dt.datetime) -> None:
    nights = backups.last_nights(now, 7)
    assert nights[-1] == newest
    assert [later - earlier for earlier, later in pairwise(nights)] == [dt.timedelta(days=1)] * 6


@pytest.mark.parametrize("head", [ARCHIVE_1_15, ARCHIVE_1_14], ids=["1.15", "1.14"])
def test_backdating_replaces_only_the_seven_integers_of_the_moment(tmp_path: Path, head: bytes) -> None:
    archive = tmp_path / "a.dump"
    archive.write_bytes(head + b"\x01\x07\x00\x00\x00" * 7 + b"the rest")
    backups.backdate(archive, NIGHT)
    written = archive.read_bytes()
    assert written.startswith(head)
    assert written.endswith(b"the rest")
    moment = written[len(head) : -len(b"the rest")]
    integers = [int.from_bytes(moment[at + 1 : at + 5], "little") * (-1 if moment[at] else 1) for at in range(0, 35, 5)]
    assert integers[:6] == [0, 0, 2, 9, 2, 126]


def test_backdating_refuses_what_is_no_archive(tmp_path: Path) -> None:
    plain = tmp_path / "a.sql"
    plain.write_text("-- PostgreSQL database dump\n")
    with pytest.raises(ValueError, match="custom-format"):
        backups.backdate(plain, NIGHT)


def test_the_cut_is_inside_a_row_of_the_largest_table(tmp_path: Path) -> None:
    small = b"\nCOPY public.small (a) FROM stdin;\n1\n2\n\\.\n"
    rows = b"".join(b"%03d\tsome text\n" % number for number in range(100))
    dump = tmp_path / "a.sql"
    dump.write_bytes(b"-- head\n" + small + b"\nCOPY public.large (a, b) FROM stdin;\n" + rows + b"\\.\n" + small)
    backups.cut_in_largest_table(dump)
    content = dump.read_bytes()
    assert content.count(b"\\.\n") == 1
    last_row = content.rpartition(b"\n")[2]
    assert 0 < len(last_row) < len(b"000\tsome text")
    assert b"large" in content


def test_names_say_when_and_by_whom() -> None:
    names = [kind.name(NIGHT) for kind in backups.OLDEST_TO_NEWEST]
    assert names[0] == "vedfinance_20260309_020000.sql"
    assert "vedfinance_all_20260309_020000.sql.gz" in names
    utc = NIGHT.astimezone(dt.UTC)
    assert names[-2] == f"{utc:%Y-%m-%dT%H-%M-%S}-412Z.sql.gz"
    assert len(names) == 7
