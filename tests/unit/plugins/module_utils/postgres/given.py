# SPDX-License-Identifier: GPL-3.0-or-later
"""A real dump of pg_dump 16, and ways to make another of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.judge import judge
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.model import Dump, DumpRejected
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.reader import (
    CopyData,
    CopyEnd,
    Event,
    Reader,
)

SCHOOL_SQL = Path(__file__).parent / "dumps" / "school.sql"
SCHOOL = SCHOOL_SQL.read_bytes()
SCHOOL_ROWS = {"public.users": 5, "public.notes": 5, 'public.odd;"$$': 2, "public.empty": 0}


def dump_of(body: bytes) -> bytes:
    """A dump as pg_dump frames it."""
    head = b"--\n-- PostgreSQL database dump\n--\n\n\\restrict KEY\n\n-- Dumped from database version 16.14\n"
    return head + body + b"\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict KEY\n\n"


def judged(content: bytes, folder: Path, name: str = "dump.sql") -> Dump:
    path = folder / name
    path.write_bytes(content)
    return judge(str(path))


def rejected(content: bytes, folder: Path, name: str = "dump.sql") -> DumpRejected | None:
    """Why a dump is rejected; None when it is accepted."""
    try:
        judged(content, folder, name)
    except DumpRejected as rejected:
        return rejected
    return None


def in_chunks(content: bytes, size: int) -> Iterator[bytes]:
    return (content[at : at + size] for at in range(0, len(content), size))


def events(chunks: Iterable[bytes]) -> list[Event]:
    """What the reader says, with COPY data in one piece."""
    found: list[Event] = []
    for event in Reader(chunks):
        if isinstance(event, CopyData) and found and isinstance(found[-1], CopyData):
            found[-1] = CopyData(found[-1].data + event.data)
        elif not (isinstance(event, CopyEnd) and event.bytes == 0 and isinstance(found[-1], CopyData)):
            found.append(event)
    return found
