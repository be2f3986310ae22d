# SPDX-License-Identifier: GPL-3.0-or-later
"""A week of nightly dumps as the platform really has them: by several hands, in several formats, the newest broken."""

from __future__ import annotations

import datetime as dt
import gzip
import mmap
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import zstandard

from lab.postgres import Server

NIGHTLY_HOUR = 2
ROWS_BEFORE_THE_WEEK = 0.86
ROWS_PER_DAY = 0.02
HISTORY = dt.timedelta(days=365)
CUT_AT = 0.6
LATEST = "latest_dump.sql"


@dataclass(frozen=True)
class Kind:
    """One way in which a dump is made: how it is named for a moment, and who writes it."""

    label: str
    name: Callable[[dt.datetime], str]
    write: Callable[[Server, Path, dt.datetime], None]


def _named(pattern: str) -> Callable[[dt.datetime], str]:
    return lambda moment: moment.strftime(pattern)


def _dokploy_name(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%dT%H-%M-%S}-412Z.sql.gz"


def _plain(server: Server, path: Path, moment: dt.datetime) -> None:
    server.dump(path)


def _cut(server: Server, path: Path, moment: dt.datetime) -> None:
    server.dump(path)
    cut_in_largest_table(path)


def _custom(server: Server, path: Path, moment: dt.datetime) -> None:
    server.dump(path, "--format=custom")
    backdate(path, moment)


def _cluster(server: Server, path: Path, moment: dt.datetime) -> None:
    server.tool("pg_dumpall", f"--file={path}")


def _zstd_of(raw: Path, path: Path, moment: dt.datetime) -> None:
    with raw.open("rb") as source, path.open("wb") as target:
        zstandard.ZstdCompressor(write_checksum=True).copy_stream(source, target, size=raw.stat().st_size)


def _gzip_of(raw: Path, path: Path, moment: dt.datetime) -> None:
    with raw.open("rb") as source, gzip.GzipFile(path, "wb", compresslevel=6, mtime=moment.timestamp()) as target:
        shutil.copyfileobj(source, target)


def _compressed(
    write: Callable[[Server, Path, dt.datetime], None], compress: Callable[[Path, Path, dt.datetime], None]
) -> Callable[[Server, Path, dt.datetime], None]:
    def write_compressed(server: Server, path: Path, moment: dt.datetime) -> None:
        raw = path.with_suffix(".raw")
        try:
            write(server, raw, moment)
            compress(raw, path, moment)
        finally:
            raw.unlink(missing_ok=True)

    return write_compressed


OLDEST_TO_NEWEST = (
    Kind("plain", _named("vedfinance_%Y%m%d_%H%M%S.sql"), _plain),
    Kind("custom", _named("vedfinance_%Y%m%d_%H%M%S.dump"), _custom),
    Kind("gzip", _named("vedfinance_%Y%m%d_%H%M%S.sql.gz"), _compressed(_plain, _gzip_of)),
    Kind("zstd", _named("vedfinance_%Y%m%d_%H%M%S.sql.zst"), _compressed(_plain, _zstd_of)),
    Kind("pg_dumpall, gzip", _named("vedfinance_all_%Y%m%d_%H%M%S.sql.gz"), _compressed(_cluster, _gzip_of)),
    Kind("Dokploy's: custom in gzip", _dokploy_name, _compressed(_custom, _gzip_of)),
    Kind("plain, cut off in mid-data", _named("vedfinance_%Y%m%d_%H%M%S.sql"), _cut),
)


def last_nights(now: dt.datetime, count: int) -> list[dt.datetime]:
    """The last 02:00 local times that have passed, oldest first."""
    tonight = now.replace(hour=NIGHTLY_HOUR, minute=0, second=0, microsecond=0)
    newest = tonight if tonight <= now else tonight - dt.timedelta(days=1)
    return [newest - dt.timedelta(days=days) for days in reversed(range(count))]


def grow_and_dump(server: Server, folder: Path, scale: float, now: dt.datetime | None = None) -> Iterator[str]:
    """Fill the empty database day by day up to `scale`, dumping it each night; yields a line of progress per dump."""
    present = (now or dt.datetime.now()).replace(microsecond=0)
    nights = last_nights(present, len(OLDEST_TO_NEWEST))
    folder.mkdir(parents=True, exist_ok=True)
    reached = scale * ROWS_BEFORE_THE_WEEK
    server.fill(0, reached, nights[0] - HISTORY, nights[0])
    server.load_constraints()
    for night, kind in zip(nights, OLDEST_TO_NEWEST, strict=True):
        server.refresh_views()
        path = folder / kind.name(night)
        kind.write(server, path, night)
        path.chmod(0o600)
        os.utime(path, (night.timestamp(), night.timestamp()))
        yield f"{path.name} ({kind.label})"
        following = reached + scale * ROWS_PER_DAY
        server.fill(reached, following, night, min(night + dt.timedelta(days=1), present))
        reached = following
    _point_latest_to(path)


def cut_in_largest_table(plain: Path) -> None:
    """Leave a plain dump as if its writing had stopped in the middle of a row of its largest COPY block."""
    with plain.open("r+b") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            length, data = max(_copy_blocks(content))
            row_end = content.find(b"\n", data + int(length * CUT_AT))
            row_begin = content.rfind(b"\n", 0, row_end) + 1
        file.truncate((row_begin + row_end) // 2)


def _copy_blocks(plain: mmap.mmap) -> Iterator[tuple[int, int]]:
    """Length and place of the data of each COPY block."""
    position = 0
    while (begin := plain.find(b"\nCOPY ", position)) != -1:
        data = plain.find(b"\n", begin + 1) + 1
        position = plain.find(b"\n\\.\n", data - 1)
        yield position - data, data


def backdate(archive: Path, moment: dt.datetime) -> None:
    """Make the header of a custom-format archive say that it was made at another moment."""
    with archive.open("r+b") as file:
        head = file.read(11)
        if head[:5] != b"PGDMP":
            raise ValueError(f"{archive} is not a custom-format archive")
        version, integer_bytes = (head[5], head[6]), head[8]
        compression_bytes = 1 if version >= (1, 15) else 1 + integer_bytes
        local = time.localtime(moment.timestamp())
        fields = (
            local.tm_sec,
            local.tm_min,
            local.tm_hour,
            local.tm_mday,
            local.tm_mon - 1,
            local.tm_year - 1900,
            local.tm_isdst,
        )
        file.seek(len(head) + compression_bytes)
        file.write(b"".join(bytes([value < 0]) + abs(value).to_bytes(integer_bytes, "little") for value in fields))


def _point_latest_to(dump: Path) -> None:
    link = dump.with_name(LATEST)
    link.unlink(missing_ok=True)
    link.symlink_to(dump.name)
