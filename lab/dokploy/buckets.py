# SPDX-License-Identifier: GPL-3.0-or-later
"""Object storage as folders, and rclone's way of reaching it: its command lines are what Dokploy's errors leak."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]

FOLDER = "buckets"
LISTED_AT_MOST = 100
_PATIENCE = ("--retries", "1", "--low-level-retries", "1", "--timeout", "10s", "--contimeout", "5s")


class RcloneFailed(Exception):
    """Says what Dokploy says: the whole command, keys included."""


class Buckets:
    """Every bucket is a folder in the double's state; a bucket that has no folder does not exist."""

    def __init__(self, state: Path) -> None:
        self._root = state / FOLDER

    def make(self, bucket: str) -> Path:
        folder = self._root / bucket
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def check(self, destination: Row) -> None:
        """What `destination.testConnection` does; the keys are not checked."""
        if not self._folder(destination).is_dir():
            raise _not_found("ls", destination, "", _PATIENCE)

    def put(self, destination: Row, key: str, content: bytes) -> None:
        if not self._folder(destination).is_dir():
            raise _not_found("rcat", destination, key)
        path = self._path(destination, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def get(self, destination: Row, key: str) -> bytes | None:
        path = self._path(destination, key)
        return path.read_bytes() if path.is_file() else None

    def keep_latest(self, destination: Row, folder: str, count: int) -> None:
        """The names are times, so that the newest sorts last."""
        objects = sorted(self._path(destination, folder).glob("*.sql.gz"))
        for path in objects[:-count]:
            path.unlink()

    def listed(self, destination: Row, search: str) -> list[Row]:
        """One level: of the folder that the search names up to its last slash, what contains the rest."""
        if not self._folder(destination).is_dir():
            raise _not_found("lsjson", destination, "")
        folder, _slash, term = search.rpartition("/")
        parent = folder.strip().strip("/")
        place = self._path(destination, parent)
        found = [_described(path, parent) for path in sorted(place.iterdir())] if place.is_dir() else []
        return [row for row in found if term.lower() in row["Path"].lower()][:LISTED_AT_MOST]

    def _folder(self, destination: Row) -> Path:
        return self._root / Path(destination["bucket"]).name

    def _path(self, destination: Row, key: str) -> Path:
        folder = self._folder(destination)
        path = (folder / key).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise RcloneFailed(f"{key} leaves the bucket")
        return path


def command(verb: str, destination: Row, key: str, options: Sequence[str] = ()) -> str:
    """rclone's command line as a shell would take it."""
    provider = f"--s3-provider={destination['provider']} " if destination["provider"] else ""
    place = f":s3:{destination['bucket']}" + (f"/{key}" if key else "")
    flags = [
        f"--s3-access-key-id={destination['accessKey']}",
        f"--s3-secret-access-key={destination['secretAccessKey']}",
        f"--s3-region={destination['region']}",
        f"--s3-endpoint={destination['endpoint']}".replace(":", "\\:"),
        "--s3-no-check-bucket",
        "--s3-force-path-style",
        *options,
    ]
    return f"rclone {verb} {provider}{' '.join(flags)} " + place.replace(":", "\\:")


def notice() -> str:
    """What rclone says before anything else on a server that has no configuration of its own."""
    return f'{_now()} NOTICE: Config file "/root/.config/rclone/rclone.conf" not found - using defaults\n'


def _not_found(verb: str, destination: Row, key: str, options: Sequence[str] = ()) -> RcloneFailed:
    failed = f"Command execution failed: Command failed: {command(verb, destination, key, options)}\n"
    return RcloneFailed(f"{failed}{notice()}{_now()} Failed to {verb}: directory not found\n")


def _described(path: Path, parent: str) -> Row:
    """As `rclone lsjson` does; folders have no storage class."""
    place = f"{parent}/{path.name}" if parent else path.name
    tier = {} if path.is_dir() else {"Tier": "STANDARD"}
    size = 0 if path.is_dir() else path.stat().st_size
    return {"Path": place, "Name": path.name, "Size": size, "ModTime": "", "IsDir": path.is_dir(), **tier}


def _now() -> str:
    return time.strftime("%Y/%m/%d %H:%M:%S", time.gmtime())
