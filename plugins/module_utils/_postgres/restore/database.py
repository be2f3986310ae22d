# SPDX-License-Identifier: GPL-3.0-or-later
"""What belongs to a database itself and is in no plain dump: owner, locale, settings, grants, limit and comment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone

from ..._errors import PlatformError
from ..connect import ServerError, Session, literal, quote
from .mark import without_mark

# These values are lists of names, which one literal would turn into a single odd name.
NAME_LISTS = {"search_path", "temp_tablespaces", "session_preload_libraries", "local_preload_libraries"}
_LIST_ITEM = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^,"]*?))\s*(?:,|$)')
LONGEST_NAME = 63
_FIRST_WITH_PROVIDERS = 150000
# A name's time must sort, and must need no quotes when it is typed at three in the morning.
_TIME = "%Y%m%d_%H%M%S"


@dataclass(frozen=True)
class Grant:
    """One privilege on a database; ``grantee`` is None for PUBLIC."""

    grantee: str | None
    privilege: str
    grantable: bool


@dataclass
class Properties:
    """A database as its server describes it."""

    owner: str
    encoding: str
    locale: dict[str, str] = field(default_factory=dict)
    tablespace: str | None = None
    connection_limit: int = -1
    comment: str | None = None
    #: None: no grants were ever changed, the defaults hold.
    grants: frozenset[Grant] | None = None
    #: (role or None for all, name, value)
    settings: tuple[tuple[str | None, str, str], ...] = ()
    taken_from: str = ""

    @property
    def roles(self) -> frozenset[str]:
        """Every role that must exist before a database can be given these."""
        named = {grant.grantee for grant in self.grants or ()} | {role for role, _name, _value in self.settings}
        return frozenset({self.owner, *(role for role in named if role is not None)})

    def give_to(self, owner: str) -> None:
        """Another owner gets what the former one had, as with ALTER DATABASE … OWNER TO."""
        if self.grants is not None:
            self.grants = frozenset(
                replace(grant, grantee=owner) if grant.grantee == self.owner else grant for grant in self.grants
            )
        self.owner = owner


def oid_of(session: Session, name: str) -> int | None:
    found = session.value("SELECT oid FROM pg_database WHERE datname = %s", (name,))
    return int(found) if found is not None else None


def size_of(session: Session, name: str) -> int:
    """Bytes on disk; 0 when this role may not ask."""
    try:
        return int(session.value("SELECT pg_database_size(%s)", (name,)) or 0)
    except ServerError:
        return 0


def read_properties(session: Session, name: str) -> Properties:
    """Everything about a database that a new one needs in order to take its place."""
    row = session.rows(
        "SELECT to_jsonb(d) - 'datacl', pg_get_userbyid(datdba), pg_encoding_to_char(encoding), spcname,"
        " shobj_description(d.oid, 'pg_database'), datacl IS NULL"
        " FROM pg_database d JOIN pg_tablespace t ON t.oid = dattablespace WHERE datname = %s",
        (name,),
    )[0]
    columns, owner, encoding, tablespace, comment, default_grants = row
    return Properties(
        owner=owner,
        encoding=encoding,
        locale=_locale(columns),
        tablespace=tablespace,
        connection_limit=int(columns["datconnlimit"]),
        comment=without_mark(comment),
        grants=None if default_grants else _grants(session, name),
        settings=_settings(session, name),
        taken_from=name,
    )


def properties_for(session: Session, source: str, owner: str | None) -> Properties:
    """What a database must have in order to take the place of another.

    :param owner: who shall own it, if it is not to be the same.
    """
    properties = read_properties(session, source)
    properties.give_to(owner or properties.owner)
    return properties


def _locale(columns: dict[str, str]) -> dict[str, str]:
    """The clauses of CREATE DATABASE that give the new database the same sort order."""
    clauses = {"LC_COLLATE": columns["datcollate"], "LC_CTYPE": columns["datctype"]}
    provider = columns.get("datlocprovider", "c")
    locale = columns.get("datlocale") or columns.get("daticulocale")
    if provider == "c" and "datlocprovider" in columns:
        # Else it would be that of template0, which may be another.
        clauses["LOCALE_PROVIDER"] = "libc"
    elif provider == "i" and locale:
        clauses |= {"LOCALE_PROVIDER": "icu", "ICU_LOCALE": locale}
        if columns.get("daticurules"):
            clauses["ICU_RULES"] = columns["daticurules"]
    elif provider == "b" and locale:
        clauses |= {"LOCALE_PROVIDER": "builtin", "BUILTIN_LOCALE": locale}
    return clauses


def _grants(session: Session, name: str) -> frozenset[Grant]:
    rows = session.rows(
        "SELECT CASE WHEN a.grantee = 0 THEN NULL ELSE pg_get_userbyid(a.grantee) END, a.privilege_type, a.is_grantable"
        " FROM pg_database d, aclexplode(d.datacl) a WHERE d.datname = %s",
        (name,),
    )
    return frozenset(Grant(*row) for row in rows)


def _settings(session: Session, name: str) -> tuple[tuple[str | None, str, str], ...]:
    rows = session.rows(
        "SELECT r.rolname, unnest(s.setconfig) FROM pg_db_role_setting s"
        " JOIN pg_database d ON d.oid = s.setdatabase LEFT JOIN pg_roles r ON r.oid = s.setrole"
        " WHERE d.datname = %s ORDER BY 1 NULLS FIRST",
        (name,),
    )
    return tuple((role, *entry.split("=", 1)) for role, entry in rows)


def create(session: Session, name: str, properties: Properties) -> None:
    """A new, empty database that differs from the other one in nothing but its name and content."""
    clauses = [f"OWNER {quote(properties.owner)}", "TEMPLATE template0", f"ENCODING {literal(properties.encoding)}"]
    for clause, value in properties.locale.items():
        bare = clause == "LOCALE_PROVIDER"
        if bare and value == "libc" and session.server_version < _FIRST_WITH_PROVIDERS:
            # There it is the only one, and has no name.
            continue
        clauses.append(f"{clause} {value if bare else literal(value)}")
    # Naming the default one needs a right that leaving it out does not.
    if properties.tablespace not in (None, "pg_default"):
        clauses.append(f"TABLESPACE {quote(str(properties.tablespace))}")
    session.run(f"CREATE DATABASE {quote(name)} {' '.join(clauses)}")


def clone(session: Session, name: str, template: str, owner: str) -> None:
    """A copy of a closed database, file by file where the server can (PostgreSQL 15 and newer log it otherwise)."""
    strategy = " STRATEGY file_copy" if session.server_version >= 150000 else ""
    session.run(f"CREATE DATABASE {quote(name)} OWNER {quote(owner)} TEMPLATE {quote(template)}{strategy}")


def open_to_connections(session: Session, name: str) -> None:
    """Let clients into a closed database."""
    session.run(f"ALTER DATABASE {quote(name)} ALLOW_CONNECTIONS true")


def reset_properties(session: Session, name: str) -> None:
    """Take away the comment of a database, and the settings that it has for all roles and for single ones."""
    database = quote(name)
    session.run(f"COMMENT ON DATABASE {database} IS NULL")
    session.run(f"ALTER DATABASE {database} RESET ALL")
    for role in {role for role, _name, _value in _settings(session, name) if role is not None}:
        with _as_role(session, role):
            session.run(f"ALTER ROLE {quote(role)} IN DATABASE {database} RESET ALL")


def apply_properties(session: Session, name: str, properties: Properties) -> None:
    """Give a database the settings, grants, limit and comment of another. Raises what the server refuses."""
    database = quote(name)
    for role, key, value in properties.settings:
        setting = f"SET {_setting_name(key)} TO {_setting_value(key, value)}"
        if role is None:
            session.run(f"ALTER DATABASE {database} {setting}")
        else:
            # A role may change its own settings.
            with _as_role(session, role):
                session.run(f"ALTER ROLE {quote(role)} IN DATABASE {database} {setting}")
    if properties.grants is not None:
        # Else a login with a grant option of its own would become the grantor.
        with _as_role(session, properties.owner):
            _grant(session, name, properties.owner, properties.grants)
    if properties.comment is not None:
        session.run(f"COMMENT ON DATABASE {database} IS {literal(properties.comment)}")
    session.run(f"ALTER DATABASE {database} CONNECTION LIMIT {properties.connection_limit}")


def effective_grants(properties: Properties) -> frozenset[Grant]:
    """Its grants, or PostgreSQL's own if they were never changed."""
    if properties.grants is not None:
        return properties.grants
    of_owner = {Grant(properties.owner, privilege, False) for privilege in ("CREATE", "CONNECT", "TEMPORARY")}
    return frozenset({*of_owner, Grant(None, "CONNECT", False), Grant(None, "TEMPORARY", False)})


def _grant(session: Session, name: str, owner: str, grants: Iterable[Grant]) -> None:
    database = quote(name)
    for holder in {None, owner, *(grant.grantee for grant in _grants(session, name))}:
        session.run(f"REVOKE ALL ON DATABASE {database} FROM {'PUBLIC' if holder is None else quote(holder)} CASCADE")
    for grant in sorted(grants, key=lambda one: (one.grantee or "", one.privilege)):
        grantee = "PUBLIC" if grant.grantee is None else quote(grant.grantee)
        option = " WITH GRANT OPTION" if grant.grantable else ""
        session.run(f"GRANT {grant.privilege} ON DATABASE {database} TO {grantee}{option}")


@contextmanager
def _as_role(session: Session, role: str) -> Iterator[None]:
    """What a role may do, whoever may become it can do without being a superuser; a superuser may do it anyway."""
    become = session.value("SELECT NOT rolsuper FROM pg_roles WHERE rolname = current_user")
    if become:
        session.run(f"SET ROLE {quote(role)}")
    try:
        yield
    except ServerError:
        # Inside of a failed transaction this is refused too, and the rollback does it.
        with suppress(ServerError):
            session.run("RESET ROLE")
        raise
    if become:
        session.run("RESET ROLE")


def _setting_name(key: str) -> str:
    return ".".join(quote(part) for part in key.split("."))


def _setting_value(key: str, value: str) -> str:
    if key.lower() not in NAME_LISTS:
        return literal(value)
    return ", ".join(literal(item) for item in _list_items(value)) or "''"


def _list_items(value: str) -> Iterator[str]:
    at = 0
    while at < len(value):
        match = _LIST_ITEM.match(value, at)
        if match is None or match.end() == at:
            return
        quoted, bare = match.groups()
        yield quoted.replace('""', '"') if quoted is not None else bare
        at = match.end()


def differences(session: Session, name: str, wanted: Properties) -> list[str]:
    """What of the wanted properties a database lacks, by name."""
    found = read_properties(session, name)
    return [
        label
        for label, same in (
            ("owner", found.owner == wanted.owner),
            ("encoding", found.encoding == wanted.encoding),
            ("locale", all(found.locale.get(key) == value for key, value in wanted.locale.items())),
            ("connection limit", found.connection_limit == wanted.connection_limit),
            ("comment", found.comment == wanted.comment),
            ("grants", effective_grants(found) == effective_grants(wanted)),
            ("settings", _compared(found) == _compared(wanted)),
        )
        if not same
    ]


def _compared(properties: Properties) -> set[tuple[str | None, str, tuple[str, ...]]]:
    """Settings, however the names of a list are quoted."""
    return {
        (role, name, tuple(_list_items(value)) if name.lower() in NAME_LISTS else (value,))
        for role, name, value in properties.settings
    }


# -- the names of databases that stand beside the live one -------------------------------------------------------


def beside(database: str, role: str, now: datetime | None = None) -> str:
    """A name such as ``vedfinance__before_20261122_031502``."""
    stamp = (now or datetime.now(timezone.utc)).strftime(_TIME)
    name = f"{database}__{role}_{stamp}"
    if len(name.encode()) > LONGEST_NAME:
        raise PlatformError(
            f"The database name {database} is too long: {name} would have more than {LONGEST_NAME} bytes.",
            "PostgreSQL would cut the name off.",
        )
    return name


def unused_beside(session: Session, database: str, role: str) -> str:
    """The name for this moment, or for the next one that no database has yet."""
    now = datetime.now(timezone.utc)
    while oid_of(session, name := beside(database, role, now)) is not None:
        now += timedelta(seconds=1)
    return name


def listed_beside(session: Session, database: str, role: str) -> list[str]:
    """The databases of that role, newest first."""
    prefix = f"{database}__{role}_"
    names = [
        row[0] for row in session.rows("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (prefix,))
    ]
    return sorted((name for name in names if _is_time(name[len(prefix) :])), reverse=True)


def time_of(name: str) -> str:
    """The part of a name by which the databases beside the live one are ordered."""
    return name[-len("20261122_031502") :]


def made_at(name: str) -> datetime:
    """When a database beside the live one got its name."""
    return datetime.strptime(time_of(name), _TIME).replace(tzinfo=timezone.utc)


def _is_time(text: str) -> bool:
    try:
        return time_of(text) == text and made_at(text) is not None
    except ValueError:
        return False


def drop(session: Session, name: str) -> None:
    """Drop a database that nobody should be using any more."""
    terminate_sessions(session, [name])
    session.run("SET lock_timeout TO '10s'")
    try:
        session.run(f"DROP DATABASE IF EXISTS {quote(name)}")
    finally:
        session.run("RESET lock_timeout")


# A role without pg_monitor is not told what kind of session another role's is.
CLIENTS_OF = """
FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
WHERE a.datname = ANY(%s) AND a.pid <> pg_backend_pid()
    AND coalesce(a.backend_type, 'client backend') = 'client backend'
"""
# A superuser's session ends for a superuser only, and one refusal would spare all the others.
_TERMINATE = (
    "SELECT pg_terminate_backend(a.pid)" + CLIENTS_OF + "AND (NOT r.rolsuper OR current_setting('is_superuser')::bool)"
)


def terminate_sessions(session: Session, names: list[str]) -> int:
    """End the client sessions of these databases that this login may end; how many were told to go."""
    rows = session.rows(
        _TERMINATE,
        (names,),
    )
    return len(rows)
