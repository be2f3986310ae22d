# SPDX-License-Identifier: GPL-3.0-or-later
"""A live database of its own for a test, and pg_restore_from_dump pointed at it."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.postgres import REPORT_ROLE, Login, Server
from tests.modules import run_module, start_module

MODULE = "pg_restore_from_dump"
# What pg_dump writes anew each time, or in the words of its own version.
_FLEETING = re.compile(r"^(\\(?:un)?restrict .*|-- Dumped .*)\n", re.MULTILINE)

SCHOOL = """
CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL, email text UNIQUE);
CREATE TABLE courses (id serial PRIMARY KEY, title text NOT NULL, price numeric(8,2) CHECK (price >= 0));
CREATE TABLE enrollments (
    user_id int NOT NULL REFERENCES users, course_id int NOT NULL REFERENCES courses, since date,
    PRIMARY KEY (user_id, course_id));
CREATE INDEX enrollments_since ON enrollments (since);
CREATE TABLE era (name text);
INSERT INTO users SELECT n, 'user ' || n, n || '@example.org' FROM generate_series(1, 100) n;
INSERT INTO courses (title, price) SELECT 'course ' || n, n * 1.5 FROM generate_series(1, 20) n;
INSERT INTO enrollments SELECT u, 1 + u % 20, date '2026-01-01' + u FROM generate_series(1, 100) u;
INSERT INTO era VALUES ('old');
"""
SCHOOL_ROWS = 221
# Every way in which a disaster differs from the dump: rows gone, rows added, rows changed, a view that pg_dump lacks.
DISASTER = """
DELETE FROM enrollments WHERE user_id > 40;
INSERT INTO users SELECT n, 'ghost', NULL FROM generate_series(1001, 1010) n;
UPDATE era SET name = 'broken';
CREATE VIEW in_the_way AS SELECT id, name FROM users;
"""


@dataclass(frozen=True)
class State:
    """All that a failed restore must leave as it was."""

    oid: int
    content: str
    properties: object
    databases: frozenset[str]


@dataclass
class Live:
    """A database that belongs to the application's role."""

    server: Server
    name: str
    folder: Path
    #: Login options of the module; the operator has no more rights than a restore needs.
    login: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.login = self.login or self.login_as(self.server.operator)

    def login_as(self, login: Login) -> dict[str, Any]:
        settings = self.server.settings
        return {
            "login_host": settings.host,
            "login_port": settings.port,
            "login_user": login.user,
            "login_password": login.password,
            "client_bin_dir": settings.bin,
        }

    # -- the database --------------------------------------------------------------------------------------------

    def create(self, clauses: str = "", name: str | None = None) -> None:
        with self.server.connect() as connection:
            owner = self.server.settings.app_user
            connection.execute(f'CREATE DATABASE "{name or self.name}" OWNER {owner} TEMPLATE template0 {clauses}')

    def decorate(self) -> None:
        """What belongs to a database itself, and is in no plain dump."""
        self.administer(
            f'REVOKE ALL ON DATABASE "{self.name}" FROM PUBLIC',
            f'GRANT CONNECT ON DATABASE "{self.name}" TO {REPORT_ROLE}',
            f'GRANT CREATE ON DATABASE "{self.name}" TO {self.server.settings.operator_user} WITH GRANT OPTION',
            f"COMMENT ON DATABASE \"{self.name}\" IS 'It''s the \\ live one'",
            f'ALTER DATABASE "{self.name}" CONNECTION LIMIT 40',
            f"ALTER DATABASE \"{self.name}\" SET statement_timeout = '31s'",
            f'ALTER DATABASE "{self.name}" SET search_path = "$user", public, "Odd, one"',
            f"ALTER ROLE {self.server.settings.app_user} IN DATABASE \"{self.name}\" SET work_mem = '9MB'",
        )

    def administer(self, *statements: str, database: str = "postgres") -> None:
        with self.server.connect(database=database) as connection:
            for statement in statements:
                connection.execute(statement)

    def execute(self, script: str, login: Login | None = None, database: str | None = None) -> None:
        """Several statements at once, as the application unless said otherwise."""
        with self.server.connect(login or self.server.app, database or self.name) as connection:
            connection.execute(script)

    def value(self, query: str, database: str | None = None) -> Any:
        with self.server.connect(database=database or self.name) as connection:
            row = connection.execute(query).fetchone()
            return row[0] if row else None

    def dump(self, *arguments: str, name: str = "dump", database: str | None = None) -> Path:
        path = self.folder / name
        self.server.dump(path, *arguments, database=database or self.name)
        return path

    def content(self, database: str | None = None) -> str:
        """The whole content as pg_dump writes it; two databases of the same content give the same text."""
        plain = self.server.tool("pg_dump", database=database or self.name).decode("utf-8", "surrogateescape")
        return _FLEETING.sub("", plain)

    def properties(self, database: str | None = None) -> object:
        """What pg_dump --create says about the database itself, and so is not in its content."""
        return self.value(
            "SELECT json_build_object('owner', datdba::regrole, 'encoding', encoding, 'collate', datcollate,"
            " 'limit', datconnlimit, 'settings', (SELECT json_agg(json_build_array(setrole::regrole, setconfig)"
            " ORDER BY setrole) FROM pg_db_role_setting WHERE setdatabase = d.oid), 'grants', (SELECT"
            " json_agg(item ORDER BY item) FROM (SELECT acl::text AS item FROM unnest(datacl) acl) acls), 'comment',"
            " shobj_description(d.oid, 'pg_database')) FROM pg_database d WHERE datname = current_database()",
            database,
        )

    def state(self) -> State:
        return State(self.oid(), self.content(), self.properties(), frozenset(self.family()))

    def oid(self, database: str | None = None) -> int:
        return int(self.value("SELECT oid FROM pg_database WHERE datname = current_database()", database))

    def family(self) -> list[str]:
        """The database and those that stand beside it."""
        with self.server.connect() as connection:
            rows = connection.execute(
                "SELECT datname FROM pg_database WHERE datname = %s OR starts_with(datname, %s) ORDER BY 1",
                (self.name, f"{self.name}__"),
            ).fetchall()
        return [str(row[0]) for row in rows]

    def drop(self) -> None:
        with self.server.connect() as connection:
            for name in self.family():
                connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    # -- the module ----------------------------------------------------------------------------------------------

    def arguments(self, src: Path | None, **options: Any) -> dict[str, Any]:
        where = {"src": str(src)} if src else {}
        return {"database": self.name, **self.login, **where, **options}

    def restore(self, src: Path, *, check: bool = False, **options: Any) -> dict[str, Any]:
        """The module's result, which must be no failure."""
        return _succeeded(run_module(MODULE, self.arguments(src, **options), check=check))

    def refuse(self, src: Path, *, check: bool = False, **options: Any) -> dict[str, Any]:
        """The result of a restore that must fail."""
        result = run_module(MODULE, self.arguments(src, **options), check=check)
        assert result.get("failed"), result["msg"]
        assert result["changed"] is False
        assert result["live_untouched"] is True
        return result

    def undo(self, *, check: bool = False, **options: Any) -> dict[str, Any]:
        return _succeeded(run_module(MODULE, self.arguments(None, state="undone", **options), check=check))

    def verify(self, src: Path, *, check: bool = False, **options: Any) -> dict[str, Any]:
        return self.restore(src, check=check, state="verified", **options)

    def complete(self, *, check: bool = False, **options: Any) -> dict[str, Any]:
        return _succeeded(run_module(MODULE, self.arguments(None, state="completed", **options), check=check))

    def clean(self, *, check: bool = False, **options: Any) -> dict[str, Any]:
        return _succeeded(run_module(MODULE, self.arguments(None, state="cleaned", **options), check=check))

    def start_restore(self, src: Path, **options: Any) -> subprocess.Popen[str]:
        return start_module(MODULE, self.arguments(src, **options))


def _succeeded(result: dict[str, Any]) -> dict[str, Any]:
    assert not result.get("failed"), result["msg"]
    return result
