# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at a host before an incident: folders, clocks, database, timers, offsite remote. It only reads."""

from __future__ import annotations

import os
import subprocess
import time
import typing as t
from collections.abc import Callable, Mapping, Sequence

from ._errors import PlatformError

_CRON_FOLDER = "/etc/cron.d"
_COMMAND_SECONDS = 10.0

Command = Callable[[Sequence[str]], "str | None"]


def said_by(command: Sequence[str]) -> str | None:
    """What a program prints; None when it is not there, fails, or takes too long."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=_COMMAND_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def folder(path: str) -> dict[str, t.Any]:
    """Whether this user could write into a folder; one that is missing, whether he could make it."""
    there = path
    while not os.path.isdir(there) and not os.path.lexists(there) and os.path.dirname(there) != there:
        there = os.path.dirname(there)
    usable = os.path.isdir(there) and os.access(there, os.W_OK | os.X_OK)
    return {"path": path, "exists": there == path, "writable": usable}


def timer(name: str, run: Command = said_by) -> dict[str, t.Any]:
    """A systemd timer, and whether it will start anything."""
    asked = ["systemctl", "show", "--property=LoadState,ActiveState,NextElapseUSecRealtime", "--", f"{name}.timer"]
    said = run(asked)
    if said is None:
        return {"name": name, "state": "unknown", "detail": "systemctl does not answer"}
    values = dict(line.partition("=")[::2] for line in said.splitlines())
    if values.get("LoadState") != "loaded":
        return {"name": name, "state": "missing", "detail": f"there is no {name}.timer"}
    if values.get("ActiveState") != "active":
        return {
            "name": name,
            "state": "stopped",
            "detail": f"{name}.timer is {values.get('ActiveState') or 'not active'}",
        }
    return {"name": name, "state": "present", "detail": values.get("NextElapseUSecRealtime") or ""}


def cron_entry(name: str, file: str) -> dict[str, t.Any]:
    """An entry as ansible.builtin.cron writes it."""
    path = os.path.join(_CRON_FOLDER, file)
    try:
        with open(path, encoding="utf-8") as entries:
            lines = [line.strip() for line in entries]
    except FileNotFoundError:
        return {"name": name, "state": "missing", "detail": f"there is no {path}"}
    except (OSError, ValueError) as error:
        return {"name": name, "state": "unknown", "detail": f"{path} cannot be read: {error}"}
    following = lines[lines.index(mark) + 1 :] if (mark := f"#Ansible: {name}") in lines else []
    if not following or not following[0] or following[0].startswith("#"):
        return {"name": name, "state": "missing", "detail": f"{path} has no entry {name}"}
    return {"name": name, "state": "present", "detail": ""}


def schedules(by: str, names: Sequence[str], cron_file: str) -> list[dict[str, t.Any]]:
    """Of other schedulers nothing is seen from here."""
    if by == "systemd":
        return [timer(name) for name in names]
    if by == "cron":
        return [cron_entry(name, cron_file) for name in names]
    return []


def database(connect: Callable[[], t.Any], name: str) -> dict[str, t.Any]:
    """Whether the server answers and has the database, and how far its clock is from this host's.

    :param connect: gives a session in a block.
    """
    try:
        with connect() as session:
            before = time.time()
            ((there, now, version),) = session.rows(
                "SELECT EXISTS (SELECT FROM pg_database WHERE datname = %s),"
                " extract(epoch FROM clock_timestamp())::float8, current_setting('server_version')",
                (name,),
            )
            middle = (before + time.time()) / 2
    except PlatformError as error:
        return {"reached": False, "exists": False, "skew": None, "version": None, "detail": str(error)}
    return {"reached": True, "exists": bool(there), "skew": round(now - middle, 3), "version": version, "detail": ""}


def offsite(remote: t.Any) -> dict[str, t.Any]:
    """Whether the remote answers.

    :param remote: of pg_backup; None when none is configured.
    """
    if remote is None:
        return {}
    try:
        remote.require()
        copies = len(remote.manifests())
    except PlatformError as error:
        return {"reached": False, "copies": 0, "detail": str(error)}
    return {"reached": True, "copies": copies, "detail": ""}


def skew(controller: float | None, now: float) -> float | None:
    """Seconds by which this host is ahead of the controller; the way of the question is part of it."""
    return None if not controller else round(now - controller, 3)


def folders(paths: Sequence[str]) -> list[Mapping[str, t.Any]]:
    return [folder(path) for path in dict.fromkeys(paths) if path]
