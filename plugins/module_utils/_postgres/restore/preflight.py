# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that can be known to go wrong before a row is loaded, each with what to do about it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ..._errors import PlatformError
from ..connect import Server, ServerError, Session
from ..dump.model import Dump
from ..dump.report import in_units
from ..dump.script import Step
from .database import Properties, listed_beside, oid_of, size_of
from .roles import mapping_for, missing_roles

PASSED, WARNING, PROBLEM = "passed", "warning", "problem"
REQUIRE, CREATE, MAP = "require", "create", "map"
# Tables as stored are this much larger than as dumped (headers of rows and pages, indexes); measured on real dumps.
_STORED_PER_DUMPED = 2.0
_WAL_RESERVE = 128 << 20
# Bytes of plain dump per second on two cores with indexes and keys, until this server has its own record.
_USUAL_THROUGHPUT = 20e6
_OLDEST_SERVER = 12
_OPTIONS_OF_MEMBERS = 160000
# What only a superuser can create, whatever rights a login has.
_FOR_SUPERUSERS = {
    "access method", "event trigger", "foreign data wrapper", "language", "operator class", "operator family",
    "procedural language", "text search parser", "text search template", "trusted language",
}  # fmt: skip
_UNSAFE_LANGUAGE = re.compile(rb"\sLANGUAGE\s+\"?(c|internal|plpython3?u|plperlu|pltclu)\"?\s", re.IGNORECASE)
_ALL_TABLES = re.compile(rb"\sFOR\s+(ALL\s+TABLES|TABLES\s+IN\s+SCHEMA)", re.IGNORECASE)
_SETTING_VALUE = re.compile(rb"(?:=|\sTO\s)\s*(?:'((?:[^']|'')*)'|\"?([^\s\"]*)\"?)\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class Disk:
    """The file system that holds the server's data."""

    path: str
    free: int
    needed: int


@dataclass(frozen=True)
class Finding:
    """What one check says: it passed, or why the restore cannot begin (problem), or what to know (warning)."""

    name: str
    result: str
    detail: str = ""


@dataclass
class Preflight:
    """What was found."""

    superuser: bool = False
    live_exists: bool = False
    live_bytes: int = 0
    disk: Disk | None = None
    #: Roles that the dump names and the server does not have.
    missing_roles: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        """What forbids the restore."""
        return [finding.detail for finding in self.findings if finding.result == PROBLEM]

    @property
    def warnings(self) -> list[str]:
        return [finding.detail for finding in self.findings if finding.result == WARNING]

    def problem(self, name: str, detail: str) -> None:
        """Add what somebody else found."""
        self.findings.append(Finding(name, PROBLEM, detail))

    def as_dicts(self) -> list[dict[str, str]]:
        return [dict(vars(finding)) for finding in self.findings]

    def require(self) -> None:
        if problems := self.problems:
            raise PlatformError(
                "The restore cannot begin: " + " ".join(problems), live_untouched=True, problems=problems
            )


@dataclass(frozen=True)
class _Question:
    """What is to be restored where, for the checks."""

    session: Session
    server: Server
    dump: Dump | None
    database: str
    properties: Properties
    disk_path: str | None
    roles: str
    role_map: Mapping[str, str]
    disk_floor: int
    clones: bool
    begun: str | None
    found: Preflight

    @property
    def user(self) -> str:
        return str(self.session.value("SELECT current_user"))


#: A check's answers: result and detail; none when there is nothing to say.
_Answers = Iterator[tuple[str, str]]


def _problem(detail: str) -> tuple[str, str]:
    return PROBLEM, detail


def _warning(detail: str) -> tuple[str, str]:
    return WARNING, detail


def examine(
    session: Session,
    server: Server,
    dump: Dump | None,
    database: str,
    properties: Properties,
    disk_path: str | None,
    check_disk: bool,
    *,
    roles: str = REQUIRE,
    role_map: Mapping[str, str] | None = None,
    disk_floor: int = 0,
    swaps: bool = True,
    clones: bool = False,
    begun: str | None = None,
) -> Preflight:
    """Look at the server, change nothing.

    :param dump: None when a database that was verified before takes over.
    :param properties: what the restored database shall have.
    :param roles: what to do about roles that are missing: ``require``, ``create`` or ``map`` them.
    :param role_map: with ``map``, new names by old ones; a missing role without one is replaced by the owner.
    :param disk_floor: bytes that must stay free.
    :param swaps: whether the live database is to be replaced.
    :param clones: whether a copy of the verified database is made.
    :param begun: the staging database of this very restore, if it is there already.
    """
    found = Preflight()
    found.live_exists = oid_of(session, database) is not None
    found.live_bytes = size_of(session, database) if found.live_exists else 0
    question = _Question(
        session, server, dump, database, properties, disk_path, roles, role_map or {}, disk_floor, clones, begun, found
    )
    replaces = swaps and found.live_exists
    for name, wanted, check in (
        ("maintenance database", True, _maintenance_database),
        ("server", True, _server),
        ("version", True, _version),
        ("rights", True, _rights),
        ("sessions", replaces, _sessions),
        ("roles", True, _roles),
        ("settings", True, _settings),
        ("superuser", True, _superuser),
        ("extensions", True, _extensions),
        ("tablespaces", True, _tablespaces),
        ("bound to live", replaces, _bound_to_live),
        ("pg_cron", replaces, _cron),
        ("leftovers", True, _leftovers),
        ("disk", check_disk, _disk),
        ("write-ahead log", check_disk, _wal_kept),
    ):
        if wanted:
            found.findings += _asked(name, check, question)
    return found


def _asked(name: str, check: Callable[[_Question], _Answers], question: _Question) -> list[Finding]:
    """A check that could not look is a problem: nobody knows what it would have found."""
    findings = []
    try:
        findings += [Finding(name, result, detail) for result, detail in check(question)]
    except ServerError as error:
        findings.append(Finding(name, PROBLEM, f"The check '{name}' could not look: {error.msg}"))
    return findings or [Finding(name, PASSED)]


def bytes_needed(plain_bytes: int, live_bytes: int, wal_bytes: int = 0) -> int:
    """Disk that a second copy of the database takes while the old one still stands beside it."""
    return max(int(plain_bytes * _STORED_PER_DUMPED), live_bytes) + wal_bytes + _WAL_RESERVE


def estimate(plain_bytes: int, throughput: float | None) -> tuple[float, str]:
    """Seconds that a restore will take, and what that is based on.

    :param throughput: bytes of plain dump per second that the last restore here came to.
    """
    if throughput:
        return plain_bytes / throughput, "the last restore of this database"
    return plain_bytes / _USUAL_THROUGHPUT, "a usual server with two cores; this one has no restore to go by yet"


# -- the server and who asks ------------------------------------------------------------------------------------


def _maintenance_database(ask: _Question) -> _Answers:
    if ask.database == ask.server.maintenance_database:
        other = "postgres" if ask.database != "postgres" else "template1"
        yield _problem(f"login_db is {ask.database} itself; name another database, for example {other}.")
    if ask.session.value("SELECT datistemplate FROM pg_database WHERE datname = %s", (ask.database,)):
        yield _problem(f"{ask.database} is a template of this server, from which other databases are made: leave it.")


def _server(ask: _Question) -> _Answers:
    if ask.session.value("SELECT pg_is_in_recovery()"):
        yield _problem("This server is a standby, which takes no writes: name the primary.")
    elif ask.session.value("SELECT current_setting('transaction_read_only')::bool"):
        yield _problem("Sessions of this login are read-only (default_transaction_read_only): switch that off.")
    if ask.session.server_version < _OLDEST_SERVER * 10000:
        yield _problem(f"The server is older than PostgreSQL {_OLDEST_SERVER}.")


def _version(ask: _Question) -> _Answers:
    major, dump = ask.session.server_version // 10000, ask.dump
    if dump is not None and dump.server_major is not None and dump.server_major > major:
        yield _problem(
            f"The dump was made from PostgreSQL {dump.server_version}, this server is version {major}:"
            f" restore it on version {dump.server_major} or newer."
        )


def _rights(ask: _Question) -> _Answers:
    found, session, owner = ask.found, ask.session, ask.properties.owner
    found.superuser, may_create, may_signal = session.rows(
        "SELECT rolsuper, rolcreatedb, pg_has_role('pg_signal_backend', 'USAGE') FROM pg_roles"
        " WHERE rolname = current_user"
    )[0]
    if found.superuser:
        return
    user = ask.user
    if not may_create:
        yield _problem(f"Role {user} may not create databases: ALTER ROLE {user} CREATEDB.")
    if not may_signal and found.live_exists:
        yield _problem(f"Role {user} may not end other sessions: GRANT pg_signal_backend TO {user}.")
    if not _exists(session, owner):
        return
    if not session.value("SELECT pg_has_role(%s, 'MEMBER')", (owner,)):
        yield _problem(f"Role {user} is no member of {owner}, the database's owner: GRANT {owner} TO {user}.")
    elif not (session.value("SELECT pg_has_role(%s, 'USAGE')", (owner,)) and _may_become(session, owner)):
        options = " WITH INHERIT TRUE, SET TRUE" if session.server_version >= _OPTIONS_OF_MEMBERS else ""
        yield _problem(
            f"Role {user} is a member of {owner}, the database's owner, but without its rights: "
            + (f"GRANT {owner} TO {user}{options}." if options else f"ALTER ROLE {user} INHERIT.")
        )


def _exists(session: Session, role: str) -> bool:
    return bool(session.value("SELECT true FROM pg_roles WHERE rolname = %s", (role,)))


def _may_become(session: Session, role: str) -> bool:
    """From 16 on, a membership may come without the right to act as the role."""
    right = "SET" if session.server_version >= _OPTIONS_OF_MEMBERS else "MEMBER"
    return bool(session.value("SELECT pg_has_role(%s, %s)", (role, right)))


def _sessions(ask: _Question) -> _Answers:
    """Who is connected to the live database and cannot be sent away."""
    if not ask.found.superuser:
        superusers = ask.session.rows(
            "SELECT DISTINCT usename FROM pg_stat_activity a JOIN pg_roles r ON r.rolname = a.usename"
            " WHERE datname = %s AND rolsuper",
            (ask.database,),
        )
        if superusers:
            names = ", ".join(row[0] for row in superusers)
            yield _warning(
                f"Superusers are connected to {ask.database} ({names}); {ask.user} cannot end their sessions, and the"
                " swap waits for them only 5 s."
            )
    workers = ask.session.rows(
        "SELECT DISTINCT backend_type FROM pg_stat_activity WHERE datname = %s AND backend_type NOT IN"
        " ('client backend', 'autovacuum worker', 'parallel worker') ORDER BY 1",
        (ask.database,),
    )
    if workers:
        yield _warning(
            f"Processes of the server itself are connected to {ask.database} ({', '.join(row[0] for row in workers)});"
            " the swap does not end them, and waits for them only 5 s."
        )


# -- what the dump needs ----------------------------------------------------------------------------------------


def _roles(ask: _Question) -> _Answers:
    session, dump, owner = ask.session, ask.dump, ask.properties.owner
    of_dump = dump.roles if dump is not None else frozenset()
    missing = missing_roles(session, of_dump)
    ask.found.missing_roles = missing
    new_names = mapping_for(missing, ask.role_map, owner) if ask.roles == MAP else {}
    needed = {new_names.get(role, role) for role in of_dump} | ask.properties.roles
    for role in sorted(ask.role_map.keys() - of_dump) if ask.roles == MAP and dump is not None else ():
        yield _warning(f"role_map names {role}, which the dump does not.")
    if missing and ask.roles == CREATE:
        yield _warning(f"Missing roles are made, without login or password: {', '.join(missing)}.")
    if replaced := [f"{old} by {new}" for old, new in sorted(new_names.items()) if old in of_dump]:
        yield _warning(f"Roles of the dump are replaced: {', '.join(replaced)}.")
    absent = missing_roles(session, needed)
    for role in absent:
        if role.startswith("pg_"):
            yield _problem(
                f"Role {role} of the dump is one of PostgreSQL's own, of another version than this server: take it away"
                " with roles: map."
            )
        elif ask.roles != CREATE or role not in missing:
            yield _problem(f'Role {role} of the dump does not exist on this server: CREATE ROLE "{role}".')
    if ask.found.superuser or dump is None:
        return
    if (
        ask.roles == CREATE
        and missing
        and not session.value("SELECT rolcreaterole FROM pg_roles WHERE rolname = current_user")
    ):
        yield _problem(
            f"Role {ask.user} may not create the roles {', '.join(missing)}: ALTER ROLE {ask.user} CREATEROLE, or"
            " create them as another."
        )
    grantors = {
        step.understood.name.name
        for step in _steps(dump)
        if step.understood.kind == "become role" and step.understood.name is not None
    }
    for role in sorted({new_names.get(role, role) for role in dump.owners | grantors} - set(absent)):
        if not _may_become(session, role):
            yield _problem(
                f"Objects of the dump belong to {role}, or were granted by it, and this login is no member of it: GRANT"
                f" {role} to it, name another with roles: map and role_map, or connect as a superuser."
            )


def _settings(ask: _Question) -> _Answers:
    """Settings of the database that this login cannot carry over."""
    session, properties = ask.session, ask.properties
    if ask.found.superuser:
        return
    for role, name, _value in properties.settings:
        if role is not None and _exists(session, role) and not _may_become(session, role):
            yield _problem(
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
            yield _problem(
                f"Only a superuser can give the database its setting {name}: GRANT SET ON PARAMETER {name} to this"
                " login, or connect as a superuser."
            )


def _may_set(session: Session, name: str) -> bool:
    return bool(session.value("SELECT has_parameter_privilege(%s, 'SET')", (name,)))


def _steps(dump: Dump | None) -> Iterator[Step]:
    return (item for item in (dump.script if dump is not None else ()) if isinstance(item, Step))


def _superuser(ask: _Question) -> _Answers:
    """Statements that only a superuser may run."""
    if ask.found.superuser:
        return
    for step in _steps(ask.dump):
        kind, text = step.understood.kind, step.text
        if (
            kind in _FOR_SUPERUSERS
            or (kind in ("function", "procedure") and _UNSAFE_LANGUAGE.search(text))
            or (kind == "publication" and _ALL_TABLES.search(text))
        ):
            yield _problem(
                f"Only a superuser can create the {kind} {step.understood.name} ({step.place} of the dump): connect as"
                " one."
            )


def _extensions(ask: _Question) -> _Answers:
    session = ask.session
    wanted = sorted(ask.dump.catalogue.extensions) if ask.dump is not None else []
    for extension in wanted:
        needs_superuser, versions = session.rows(
            "SELECT coalesce(bool_or(superuser), true), count(*) FROM pg_available_extension_versions WHERE name = %s",
            (extension,),
        )[0]
        if not versions:
            yield _problem(
                f"Extension {extension} of the dump is not installed on this server: install its package, or use an"
                " image that carries it."
            )
        elif needs_superuser and not ask.found.superuser and not _trusted(session, extension):
            yield _problem(f"Only a superuser can create extension {extension}: connect as one.")
    if wanted and ask.found.live_exists:
        yield from _other_versions(ask, wanted)


def _trusted(session: Session, extension: str) -> bool:
    if session.server_version < 130000:
        return False
    return bool(
        session.value("SELECT bool_or(trusted) FROM pg_available_extension_versions WHERE name = %s", (extension,))
    )


def _other_versions(ask: _Question, wanted: list[str]) -> _Answers:
    """A dump names no versions: the restored database gets the newest that is installed, whatever live has."""
    try:
        with ask.server.connect(ask.database, "extensions") as inside:
            rows = inside.rows(
                "SELECT e.extname, e.extversion, a.default_version FROM pg_extension e"
                " JOIN pg_available_extensions a ON a.name = e.extname"
                " WHERE e.extname = ANY(%s) AND e.extversion <> a.default_version ORDER BY 1",
                (wanted,),
            )
    except ServerError as error:
        yield _warning(f"Which versions of extensions {ask.database} has could not be seen: {error.msg}")
        return
    for extension, old, new in rows:
        yield _warning(f"Extension {extension} is version {old} in {ask.database} and will be version {new}.")


def _tablespaces(ask: _Question) -> _Answers:
    named = {
        _tablespace_in(step.text) for step in _steps(ask.dump) if str(step.understood.name) == "default_tablespace"
    }
    for name in sorted(named - {"", "pg_default"}):
        if not ask.session.value("SELECT true FROM pg_tablespace WHERE spcname = %s", (name,)):
            yield _problem(f"Tablespace {name} of the dump does not exist on this server: CREATE TABLESPACE it.")
        else:
            yield _warning(f"Tables of the dump go to tablespace {name}, of whose disk nothing is known.")


def _tablespace_in(text: bytes) -> str:
    match = _SETTING_VALUE.search(text)
    return (match.group(1) or match.group(2) or b"").decode("utf-8", "replace") if match else ""


# -- what belongs to the live database --------------------------------------------------------------------------


def _bound_to_live(ask: _Question) -> _Answers:
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
            names = [row[0] for row in ask.session.rows(query, (ask.database,))]
        except ServerError:
            yield _warning(f"Whether {ask.database} has {what} could not be seen by this role.")
            continue
        if names:
            yield _problem(f"{ask.database} has {what} ({', '.join(names)}) that a swap would leave behind: {remedy}.")


def _cron(ask: _Question) -> _Answers:
    """pg_cron lives in one database of the server, and runs its jobs in databases by their names."""
    home = ask.session.value("SELECT current_setting('cron.database_name', true)")
    if ask.dump is not None and "pg_cron" in ask.dump.catalogue.extensions:
        yield _problem(
            f"The dump has the extension pg_cron, which can be created only in the database {home or '(none is set)'}"
            " and not in staging: move pg_cron to another database, or dump without it."
        )
    if not home:
        return
    if home == ask.database:
        yield _problem(
            f"pg_cron lives in {ask.database} (cron.database_name): its scheduler is always connected there, which no"
            " swap outlasts. Move it to another database."
        )
        return
    try:
        with ask.server.connect(home, "pg_cron") as inside:
            if inside.value("SELECT to_regclass('cron.job')") is None:
                return
            jobs = int(inside.value("SELECT count(*) FROM cron.job WHERE database = %s AND active", (ask.database,)))
            sees_all = ask.found.superuser or not inside.value("SELECT row_security_active('cron.job')")
    except ServerError as error:
        yield _warning(f"Whether pg_cron has jobs in {ask.database} could not be seen: {error.msg}")
        return
    if jobs:
        yield _warning(
            f"pg_cron runs {jobs} jobs in {ask.database}: one that is running is ended by the swap, and the next run is"
            " in the restored database."
        )
    elif not sees_all:
        yield _warning(f"pg_cron shows this login only its own jobs; others may run in {ask.database}.")


def _leftovers(ask: _Question) -> _Answers:
    for name in listed_beside(ask.session, ask.database, "staging"):
        if name == ask.begun:
            continue
        yield _warning(
            f"{name} ({in_units(size_of(ask.session, name))}) was left behind by an interrupted restore, which the next"
            " one removes, or belongs to one that is running."
        )


# -- disk -------------------------------------------------------------------------------------------------------


def _disk(ask: _Question) -> _Answers:
    found = ask.found
    copied = ask.dump is not None or ask.clones
    plain = ask.dump.plain_bytes if ask.dump is not None else 0
    stored = bytes_needed(plain, found.live_bytes)
    needed = (bytes_needed(plain, found.live_bytes, _wal_bytes(ask, stored)) if copied else 0) + ask.disk_floor
    path = ask.disk_path or _stored_at(ask)
    free = _free_at(ask, path) if path is not None else None
    if path is None or free is None:
        yield _problem(
            "The free disk space of the server cannot be seen"
            + (f" at {path}" if path else "")
            + ": name a path on its file system with disk_path, or answer for it with check_disk: false."
        )
        return
    found.disk = Disk(path, free, needed)
    if free < needed:
        stays = f", of which {in_units(ask.disk_floor)} (disk_floor) must stay free" if ask.disk_floor else ""
        yield _problem(
            f"The disk is too small: old and new database stand side by side, which takes {in_units(needed)} more"
            f"{stays}, and {path} has {in_units(free)} free. Make room there, for example by removing kept databases"
            " (…__before_…) that nobody needs."
        )
    else:
        yield PASSED, (f"{in_units(needed)} needed, {in_units(free)} free at {path}.")


def _wal_bytes(ask: _Question, stored: int) -> int:
    """Log that stands on the disk beside the data: all of it when something keeps it, else what a checkpoint leaves."""
    if next(_wal_kept(ask), None) is not None:
        return stored
    most = ask.session.value(
        "SELECT pg_size_bytes(current_setting('max_wal_size')) + CASE WHEN current_setting('wal_keep_size', true) IS"
        " NULL THEN 0 ELSE pg_size_bytes(current_setting('wal_keep_size', true)) END"
    )
    return min(int(most), stored)


def _wal_kept(ask: _Question) -> _Answers:
    """What lets the log of a whole restore pile up."""
    slots = ask.session.rows("SELECT slot_name FROM pg_replication_slots WHERE NOT active ORDER BY 1")
    if slots:
        yield _warning(
            f"Replication slots that nobody reads ({', '.join(row[0] for row in slots)}) keep all of the restore's"
            " write-ahead log on the disk: drop them if nobody needs them."
        )
    failing = ask.session.value(
        "SELECT last_failed_wal FROM pg_stat_archiver"
        " WHERE last_failed_time > coalesce(last_archived_time, '-infinity')"
    )
    if failing:
        yield _warning(
            f"Archiving of the write-ahead log fails (last at {failing}), so all of the restore's log stays on the"
            " disk: see to archive_command."
        )


def _stored_at(ask: _Question) -> str | None:
    """The folder of the new database's files, as seen by whoever can look at it."""
    server = ask.server
    if server.container is None and not server.is_local:
        return None
    try:
        tablespace = ask.session.value(
            "SELECT nullif(pg_tablespace_location(oid), '') FROM pg_tablespace WHERE spcname = %s",
            (ask.properties.tablespace or "pg_default",),
        )
        directory = str(tablespace or ask.session.value("SELECT current_setting('data_directory')"))
    except ServerError:
        return None
    if server.container is not None and not _only_inside(server):
        return os.path.join(server.container.root, directory.lstrip("/"))
    return directory


def _free_at(ask: _Question, path: str) -> int | None:
    container = ask.server.container
    if ask.disk_path is not None or container is None or not _only_inside(ask.server):
        return free_bytes(path)
    said = container.output("df", "-Pk", path)
    return free_by_df(said) if said is not None else None


def _only_inside(server: Server) -> bool:
    """Whether the server's files can be seen only by programs inside of its container."""
    return server.container is not None and server.container.relay is not None


def free_by_df(said: str) -> int | None:
    """Free bytes by the words of POSIX's ``df -Pk``."""
    columns = said.strip().splitlines()[-1].split() if said.strip() else []
    return int(columns[3]) * 1024 if len(columns) >= 6 and columns[3].isdigit() else None


def free_bytes(path: str) -> int | None:
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
