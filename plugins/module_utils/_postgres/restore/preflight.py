# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that can be known to go wrong before anything is written, each with what to do about it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from ..._errors import PlatformError
from ..connect import Server, ServerError, Session
from ..dump.model import Dump
from ..dump.report import in_units
from .database import Properties, oid_of, size_of

# Tables as stored are this much larger than as dumped (headers of rows and pages, indexes); measured on real dumps.
_STORED_PER_DUMPED = 2.0
_WAL_RESERVE = 128 << 20


@dataclass(frozen=True)
class Disk:
    """The file system that holds the server's data."""

    path: str
    free: int
    needed: int


@dataclass
class Preflight:
    """What was found. ``problems`` forbid the restore, ``warnings`` do not."""

    superuser: bool = False
    live_exists: bool = False
    live_bytes: int = 0
    disk: Disk | None = None
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def require(self) -> None:
        if self.problems:
            raise PlatformError(
                "The restore cannot begin: " + " ".join(self.problems), live_untouched=True, problems=self.problems
            )


def bytes_needed(dump: Dump, live_bytes: int) -> int:
    """Disk that a second copy of the database takes while the old one still stands beside it."""
    return max(int(dump.plain_bytes * _STORED_PER_DUMPED), live_bytes) + _WAL_RESERVE


def examine(
    session: Session,
    server: Server,
    dump: Dump,
    database: str,
    properties: Properties,
    disk_path: str | None,
    check_disk: bool,
) -> Preflight:
    """Look at the server, change nothing.

    :param properties: what the restored database shall have.
    """
    found = Preflight()
    found.live_exists = oid_of(session, database) is not None
    found.live_bytes = size_of(session, database) if found.live_exists else 0
    if database == server.maintenance_database:
        found.problems.append(f"login_db is {database} itself; name another database, for example postgres.")
    _version(session, dump, found)
    _rights(session, database, properties.owner, found)
    _roles(session, dump, properties, found)
    _settings(session, properties, found)
    _extensions(session, dump, found)
    if found.live_exists:
        _bound_to_live(session, database, found)
    if check_disk:
        _disk(session, server, dump, disk_path, found)
    return found


def _version(session: Session, dump: Dump, found: Preflight) -> None:
    major = session.server_version // 10000
    if dump.server_major is not None and dump.server_major > major:
        found.problems.append(
            f"The dump was made from PostgreSQL {dump.server_version}, this server is version {major}:"
            f" restore it on version {dump.server_major} or newer."
        )


def _rights(session: Session, database: str, owner: str, found: Preflight) -> None:
    found.superuser, may_create, may_signal = session.rows(
        "SELECT rolsuper, rolcreatedb, pg_has_role('pg_signal_backend', 'USAGE') FROM pg_roles"
        " WHERE rolname = current_user"
    )[0]
    if found.superuser:
        return
    user = session.value("SELECT current_user")
    if not may_create:
        found.problems.append(f"Role {user} may not create databases: ALTER ROLE {user} CREATEDB.")
    if not may_signal and found.live_exists:
        found.problems.append(f"Role {user} may not end other sessions: GRANT pg_signal_backend TO {user}.")
    exists = session.value("SELECT true FROM pg_roles WHERE rolname = %s", (owner,))
    if exists and not session.value("SELECT pg_has_role(%s, 'MEMBER')", (owner,)):
        found.problems.append(f"Role {user} is no member of {owner}, the database's owner: GRANT {owner} TO {user}.")
    if found.live_exists:
        superusers = session.rows(
            "SELECT DISTINCT usename FROM pg_stat_activity a JOIN pg_roles r ON r.rolname = a.usename"
            " WHERE datname = %s AND rolsuper",
            (database,),
        )
        if superusers:
            names = ", ".join(row[0] for row in superusers)
            found.warnings.append(
                f"Superusers are connected to {database} ({names}); {user} cannot end their sessions, and the swap"
                " waits for them only 5 s."
            )


def _roles(session: Session, dump: Dump, properties: Properties, found: Preflight) -> None:
    wanted = sorted(dump.roles | properties.roles)
    known = {row[0] for row in session.rows("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", (wanted,))}
    for role in wanted:
        if role not in known and not role.startswith("pg_"):
            found.problems.append(f'Role {role} of the dump does not exist on this server: CREATE ROLE "{role}".')
    if found.superuser:
        return
    for role in sorted(dump.owners & known):
        if not session.value("SELECT pg_has_role(%s, 'MEMBER')", (role,)):
            found.problems.append(
                f"Objects of the dump belong to {role}, of which this login is no member: GRANT {role} to it, or"
                " connect as a superuser."
            )


def _settings(session: Session, properties: Properties, found: Preflight) -> None:
    """Settings of the database that this login cannot carry over."""
    if found.superuser:
        return
    for role, name, _value in properties.settings:
        if role is not None and not session.value(
            "SELECT coalesce((SELECT pg_has_role(oid, 'MEMBER') FROM pg_roles WHERE rolname = %s), true)", (role,)
        ):
            found.problems.append(
                f"Role {role} has the setting {name} in this database, and this login is no member of it: GRANT {role}"
                " to it, or connect as a superuser."
            )
    # A name that the server does not know may be anything, so it is kept for superusers as well.
    reserved = session.rows(
        "SELECT DISTINCT w.name FROM unnest(%s::text[]) w(name)"
        " LEFT JOIN pg_settings s ON lower(s.name) = lower(w.name)"
        " WHERE s.name IS NULL OR s.context IN ('superuser', 'superuser-backend') ORDER BY 1",
        ([name for _role, name, _value in properties.settings],),
    )
    for (name,) in reserved:
        if not (session.server_version >= 150000 and _may_set(session, name)):
            found.problems.append(
                f"Only a superuser can give the database its setting {name}: GRANT SET ON PARAMETER {name} to this"
                " login, or connect as a superuser."
            )


def _may_set(session: Session, name: str) -> bool:
    return bool(session.value("SELECT has_parameter_privilege(%s, 'SET')", (name,)))


def _extensions(session: Session, dump: Dump, found: Preflight) -> None:
    for extension in sorted(dump.catalogue.extensions):
        rows = session.rows(
            "SELECT coalesce(bool_or(superuser), true), count(*) FROM pg_available_extension_versions WHERE name = %s",
            (extension,),
        )
        needs_superuser, versions = rows[0]
        if not versions:
            found.problems.append(
                f"Extension {extension} of the dump is not installed on this server: install its package, or use an"
                " image that carries it."
            )
        elif needs_superuser and not found.superuser and not _trusted(session, extension):
            found.problems.append(f"Only a superuser can create extension {extension}: connect as one.")


def _trusted(session: Session, extension: str) -> bool:
    if session.server_version < 130000:
        return False
    return bool(
        session.value("SELECT bool_or(trusted) FROM pg_available_extension_versions WHERE name = %s", (extension,))
    )


def _bound_to_live(session: Session, database: str, found: Preflight) -> None:
    """Things that belong to the live database's own identity and would stay with the old one."""
    for what, query, remedy in (
        ("prepared transactions", "SELECT gid FROM pg_prepared_xacts WHERE database = %s", "commit or roll them back"),
        (
            "logical replication slots",
            "SELECT slot_name FROM pg_replication_slots WHERE database = %s",
            "drop them, and make them again after the restore",
        ),
        (
            "subscriptions",
            "SELECT subname FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE datname = %s",
            "drop them, and make them again after the restore",
        ),
    ):
        try:
            names = [row[0] for row in session.rows(query, (database,))]
        except ServerError:
            found.warnings.append(f"Whether {database} has {what} could not be seen by this role.")
            continue
        if names:
            found.problems.append(
                f"{database} has {what} ({', '.join(names)}) that a swap would leave behind: {remedy}."
            )


def _disk(session: Session, server: Server, dump: Dump, disk_path: str | None, found: Preflight) -> None:
    needed = bytes_needed(dump, found.live_bytes)
    path = disk_path or _data_directory(session, server)
    free = _free(path) if path else None
    if path is None or free is None:
        found.problems.append(
            "The free disk space of the server cannot be seen"
            + (f" at {path}" if path else "")
            + ": name a path on its file system with disk_path, or answer for it with check_disk: false."
        )
        return
    found.disk = Disk(path, free, needed)
    if free < needed:
        found.problems.append(
            f"The disk is too small: old and new database stand side by side, which takes {in_units(needed)} more, and"
            f" {path} has {in_units(free)} free. Make room there, for example by removing kept databases"
            " (…__before_…) that nobody needs."
        )


def _data_directory(session: Session, server: Server) -> str | None:
    if server.host and not server.host.startswith("/") and server.host not in ("127.0.0.1", "::1", "localhost"):
        return None
    try:
        directory = str(session.value("SELECT current_setting('data_directory')"))
    except ServerError:
        return None
    return os.path.join(server.root, directory.lstrip("/")) if server.root != "/" else directory


def _free(path: str) -> int | None:
    """Free bytes of the file system of a path; the data folder itself may be closed to this user, its parents not."""
    while path:
        try:
            status = os.statvfs(path)
        except (PermissionError, FileNotFoundError):
            parent = os.path.dirname(path)
            if parent == path:
                return None
            path = parent
            continue
        except OSError:
            return None
        return status.f_bavail * status.f_frsize
    return None
