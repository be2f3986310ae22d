# SPDX-License-Identifier: GPL-3.0-or-later
"""How many processor cores the server has: more connections than that would only get in each other's way."""

from __future__ import annotations

import math
import os
import re

from ..connect import Server, ServerError, Session

_MOST = 8
_UNKNOWN = 2
# The restore's own: lock, eviction, one to look.
_BESIDE = 3
_PROCESSOR = re.compile(r"^processor\s*:", re.MULTILINE)
_CGROUPS = "/sys/fs/cgroup"


def cores(session: Session, server: Server, begun: str | None = None) -> tuple[int, str]:
    """The cores that a restore may use, and where that is known from.

    :param begun: the restore's own new database, if it is there already.
    """
    found, known_from = _cores_of(session, server)
    if found > _MOST:
        found, known_from = _MOST, f"{known_from}, of which {_MOST} are used"
    return within_connections(session, found, known_from, begun)


def within_connections(session: Session, found: int, known_from: str, begun: str | None = None) -> tuple[int, str]:
    """No more than the connections that are left, and why."""
    free = _connections_left(session, begun)
    if free < found:
        return max(1, free), f"{known_from}, but only {max(free, 0)} connections are left"
    return found, known_from


def _cores_of(session: Session, server: Server) -> tuple[int, str]:
    if server.container is not None and server.container.relay is not None:
        inside = server.container.output("sh", "-c", f"nproc; cat {_CGROUPS}/cpu.max 2>/dev/null || true")
        if inside is not None and (lines := inside.split("\n", 1))[0].isdigit():
            return _at_most(int(lines[0]), quota(lines[1])), "the container"
    elif server.container is not None:
        return _at_most(_on_this_host(), _quota_of(server.container.pid)), "this host and the container's limit"
    elif server.is_local:
        return _at_most(_on_this_host(), _quota_of(os.getpid())), "this host"
    return _told_by_server(session)


def _told_by_server(session: Session) -> tuple[int, str]:
    try:
        found = processors(str(session.value("SELECT pg_read_file('/proc/cpuinfo', 0, 1000000)")))
    except ServerError:
        return _UNKNOWN, "a guess: the server is on another host, and this login may not read its /proc/cpuinfo"
    return (found, "the server's /proc/cpuinfo") if found else (_UNKNOWN, "a guess: the server does not say")


def processors(cpuinfo: str) -> int:
    """Cores by Linux's list of them."""
    return len(_PROCESSOR.findall(cpuinfo))


def quota(cpu_max: str) -> float | None:
    """Cores that a control group may use, by its ``cpu.max``; None without a limit."""
    words = cpu_max.split()
    if len(words) != 2 or not words[0].isdigit() or not words[1].isdigit() or words[1] == "0":
        return None
    return int(words[0]) / int(words[1])


def groups(proc_cgroup: str) -> tuple[str | None, str | None]:
    """The control groups that limit a process, of version 2 and of version 1, from ``/proc/<pid>/cgroup``."""
    unified = v1 = None
    for line in proc_cgroup.splitlines():
        number, controllers, path = (*line.split(":", 2), "", "")[:3]
        if number == "0" and not controllers:
            unified = path
        elif "cpu" in controllers.split(","):
            v1 = path
    return unified, v1


def _quota_of(pid: int) -> float | None:
    """The tightest limit from the group of a process up to the root."""
    unified, v1 = groups(_read(f"/proc/{pid}/cgroup"))
    limits = [quota(_read(f"{_CGROUPS}{path}/cpu.max")) for path in _upwards(unified)]
    for path in _upwards(v1):
        period = _read(f"{_CGROUPS}/cpu{path}/cpu.cfs_period_us")
        limits.append(quota(f"{_read(f'{_CGROUPS}/cpu{path}/cpu.cfs_quota_us').strip()} {period}"))
    return min((limit for limit in limits if limit is not None), default=None)


def _upwards(path: str | None) -> list[str]:
    parts = (path or "").strip("/").split("/")
    return [] if path is None else ["/" + "/".join(parts[:length]) for length in range(len(parts), -1, -1)]


def _at_most(found: int, limit: float | None) -> int:
    return found if limit is None else max(1, min(found, math.ceil(limit)))


def _on_this_host() -> int:
    return len(os.sched_getaffinity(0))


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def _connections_left(session: Session, begun: str | None) -> int:
    """Connections that this login may still open, and those that the restore has opened to load."""
    return int(
        session.value(
            "SELECT least(current_setting('max_connections')::int"
            " - current_setting('superuser_reserved_connections')::int - (SELECT count(*) FROM pg_stat_activity"
            " WHERE datid IS NOT NULL AND datname IS DISTINCT FROM %s::text),"
            " CASE WHEN rolconnlimit < 0 THEN 1000000 ELSE rolconnlimit - (SELECT count(*) FROM pg_stat_activity"
            " WHERE usename = current_user AND datname IS DISTINCT FROM %s::text) END)"
            " FROM pg_roles WHERE rolname = current_user",
            (begun, begun),
        )
        - _BESIDE
    )
