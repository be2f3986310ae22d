# SPDX-License-Identifier: GPL-3.0-or-later
"""A server with the settings of a production host, and dumps of the lab's dataset, made once and kept."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.postgres import Server

#: Scale of the dataset that gives a plain dump of about this many megabytes.
SCALES = {"tiny": 0.005, "small": 0.11, "large": 1.0}
DATABASE = "vedfinance"
# As on a host of 4 GB; all else is PostgreSQL's own default, above all fsync, full_page_writes and wal_level.
PRODUCTION = {
    "shared_buffers": "1GB",
    "effective_cache_size": "3GB",
    "min_wal_size": "80MB",
    "max_wal_size": "1GB",
    "maintenance_work_mem": "64MB",
    "wal_level": "replica",
    "fsync": "on",
}
_BEGIN = dt.datetime(2025, 1, 1)
_END = dt.datetime(2026, 1, 1)


@dataclass(frozen=True)
class Dumps:
    """The same database, dumped in each way."""

    plain: Path
    gzip: Path
    custom: Path
    directory: Path

    @classmethod
    def within(cls, folder: Path) -> Dumps:
        return cls(folder / "dump.sql", folder / "dump.sql.gz", folder / "dump.custom", folder / "dump.directory")


@contextmanager
def production_server(folder: Path) -> Iterator[Server]:
    """A fresh server; gone afterwards."""
    shutil.rmtree(folder, ignore_errors=True)
    server = Server(folder)
    server.start()
    try:
        server.create_roles()
        with server.connect() as connection:
            for name, value in PRODUCTION.items():
                connection.execute(f"ALTER SYSTEM SET {name} TO '{value}'".encode())
        server.stop()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def dumps_of(server: Server, size: str, cache: Path) -> Dumps:
    """The dumps of one size; the database itself is gone afterwards."""
    folder = cache / f"{size}-{Path(server.settings.bin).parent.name}"
    complete = folder / "complete.json"
    dumps = Dumps.within(folder)
    if complete.exists():
        return dumps
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    server.create_empty_database()
    server.fill(0, SCALES[size], _BEGIN, _END)
    server.load_constraints()
    server.refresh_views()
    server.dump(dumps.plain)
    server.dump(dumps.custom, "--format=custom")
    server.dump(dumps.directory, "--format=directory", "--jobs=2")
    with dumps.gzip.open("wb") as packed:
        subprocess.run(["gzip", "--stdout", dumps.plain], stdout=packed, check=True)
    with server.connect() as connection:
        connection.execute(f"DROP DATABASE {DATABASE}".encode())
    complete.write_text(json.dumps({"bytes": dumps.plain.stat().st_size}), encoding="utf-8")
    return dumps
