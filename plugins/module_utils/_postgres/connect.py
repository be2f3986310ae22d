# SPDX-License-Identifier: GPL-3.0-or-later
"""A PostgreSQL server and the sessions on it."""

from __future__ import annotations

import logging
import os
import select
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .._errors import PlatformError

try:
    import psycopg
except ImportError:
    HAS_PSYCOPG = False
    PSYCOPG_IMPORT_ERROR: str | None = traceback.format_exc()
else:
    HAS_PSYCOPG = True
    PSYCOPG_IMPORT_ERROR = None
    # It would write what it thinks of a lost connection into the module's stderr; the error itself is raised.
    logging.getLogger("psycopg").addHandler(logging.NullHandler())

if TYPE_CHECKING:
    from .container import Container

APPLICATION_NAME = "vedfinance.platform"
# Seconds to wait for a connection that only shall cancel what another does.
_CANCEL_TIMEOUT = 3
# What a role or a database limits for its everyday clients would end a long load, or the lock that guards it. Given at
# the start of a session, so that RESET keeps them off too.
_NO_LIMITS = " ".join(
    f"-c {name}=0" for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
)
_NEWER_LIMITS = ((140000, "idle_session_timeout"), (170000, "transaction_timeout"))
# COPY data are handed on in pieces of about this size.
_PIECE = 1 << 18
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
# A lost host must not hang a recovery: it is noticed while nothing is sent, and while what was sent is not confirmed.
_NOTICE_LOSS: dict[str, Any] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}


class ServerError(PlatformError):
    """The server refused a connection or a statement.

    :param sqlstate: PostgreSQL's error code, or None when the connection failed.
    """

    def __init__(self, msg: str, hint: str | None = None, sqlstate: str | None = None) -> None:
        super().__init__(msg, hint)
        self.sqlstate = sqlstate


@dataclass(frozen=True)
class Tls:
    """How the connection is encrypted and proved, by libpq's own names; it plays no part over a unix socket."""

    sslmode: str | None = None
    sslrootcert: str | None = None
    sslcert: str | None = None
    sslkey: str | None = None


@dataclass(frozen=True)
class Server:
    """Where a server is and who connects to it."""

    host: str | None = None
    port: int = 5432
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    maintenance_database: str = "postgres"
    tls: Tls = Tls()
    connect_timeout: int = 10
    container: Container | None = None

    def __str__(self) -> str:
        where = f"container {self.container.id[:12]}" if self.container else self.host or "the local socket"
        return f"{self.user or 'the default user'} at {where}:{self.port}"

    @property
    def way(self) -> str:
        """How the server is reached, for people."""
        if self.container is not None:
            return "docker exec" if self.container.relay else "container's socket"
        return "socket" if _is_socket(self.host or os.environ.get("PGHOST")) else "TCP"

    @property
    def is_local(self) -> bool:
        """Whether the server runs on this host, as far as its address tells."""
        host = self.host or os.environ.get("PGHOST")
        return _is_socket(host) or host in _LOOPBACK

    @contextmanager
    def connect(self, database: str | None = None, purpose: str = "") -> Iterator[Session]:
        """A session in autocommit mode; closed at the end, whatever happened."""
        session = self.open(database, purpose)
        try:
            yield session
        finally:
            session.close()

    def open(self, database: str | None = None, purpose: str = "") -> Session:
        name = database or self.maintenance_database
        try:
            connection = psycopg.connect(
                host=self.host,
                port=self.port,
                user=self.user,
                password=self.password,
                dbname=name,
                connect_timeout=self.connect_timeout,
                application_name=f"{APPLICATION_NAME} {purpose}".strip(),
                client_encoding="utf8",
                autocommit=True,
                options=_NO_LIMITS,
                **_NOTICE_LOSS,
                **vars(self.tls),
            )
        except psycopg.Error as error:
            raise _connection_failed(self, name, error) from None
        session = Session(self, connection, name)
        for since, limit in _NEWER_LIMITS:
            if session.server_version >= since:
                session.run(f"SET {limit} TO 0")
        return session


def _is_socket(host: str | None) -> bool:
    return not host or host.startswith(("/", "@"))


def _connection_failed(server: Server, database: str, error: psycopg.Error) -> ServerError:
    said = _reason(str(error))
    if "SSL" in said or "certificate" in said or "no encryption" in said:
        hint = (
            "Check sslmode, sslrootcert, sslcert and sslkey against what the server offers and demands; with"
            " verify-full, login_host must be the name in its certificate."
        )
    elif "refused" in said or "No such file" in said or "timeout" in said:
        hint = "Is PostgreSQL running there? Check login_host, login_port and login_unix_socket, or container."
    elif "password" in said or "authentication" in said or "no pg_hba.conf entry" in said:
        hint = "Check login_user and login_password, and pg_hba.conf of the server."
    elif "too many" in said or "connection slots" in said:
        hint = "End sessions that nobody needs, or raise the limit that is named."
    elif "does not exist" in said:
        hint = "Check the names of the role and of the database (login_user, login_db)."
    else:
        hint = "Check the login options."
    return ServerError(f"Cannot connect to database {database} as {server}: {said}.", hint, error.sqlstate)


def _reason(text: str) -> str:
    """Of all attempts that libpq tells of, the one that came furthest: a server's answer, else the first."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no reason given"]
    answers = [line for line in lines if "FATAL" in line or "SSL" in line or "certificate" in line]
    return (answers or lines)[0].lstrip("- ").replace("connection failed: ", "").rstrip(".")


class Session:
    """One connection. Errors come as :class:`ServerError`, with what PostgreSQL said and nothing of the data."""

    def __init__(self, server: Server, connection: psycopg.Connection[Any], database: str) -> None:
        self._server = server
        self._connection = connection
        self.database = database
        #: The server's process.
        self.pid = connection.info.backend_pid

    @property
    def lost(self) -> bool:
        """Whether the connection broke, so that nobody knows how its last statement ended."""
        return self._connection.closed

    @property
    def server_version(self) -> int:
        """The version as a number, for example 160014."""
        return self._connection.info.server_version

    def run(self, statement: str | bytes, parameters: Sequence[object] | None = None) -> str:
        """Run one statement; its command tag, for example ``INSERT 0 5``."""
        with _server_errors(self.database), self._connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.statusmessage or ""

    def rows(self, query: str | bytes, parameters: Sequence[object] | None = None) -> list[tuple[Any, ...]]:
        with _server_errors(self.database), self._connection.cursor() as cursor:
            cursor.execute(query, parameters)
            return cursor.fetchall()

    def value(self, query: str, parameters: Sequence[object] | None = None) -> Any:
        """The first column of the first row, or None."""
        found = self.rows(query, parameters)
        return found[0][0] if found else None

    @contextmanager
    def copy_in(self, statement: bytes) -> Iterator[CopyIn]:
        """Send COPY data; :attr:`CopyIn.stored` is known after the block."""
        with _server_errors(self.database), self._connection.cursor() as cursor:
            with cursor.copy(statement) as copy:
                copying = CopyIn(copy, self._connection)
                yield copying
            copying.stored = cursor.rowcount

    def copy_out(self, statement: bytes) -> Iterator[bytes]:
        """COPY data in large pieces. psycopg's own way takes twice the time, as it hands on every single row."""
        connection = self._connection.pgconn
        with _server_errors(self.database):
            self._expect(connection.exec_(statement), psycopg.pq.ExecStatus.COPY_OUT)
            readable = select.poll()
            readable.register(connection.socket, select.POLLIN)
            rows: list[memoryview] = []
            got, waiting = 1, 0
            while got >= 0:
                got, row = connection.get_copy_data(1)
                if got > 0:
                    rows.append(row)
                    waiting += got
                if rows and (got < 0 or waiting >= _PIECE):
                    yield b"".join(rows)
                    rows.clear()
                    waiting = 0
                if got == 0:
                    readable.poll()
                    connection.consume_input()
            while (result := connection.get_result()) is not None:
                self._expect(result, psycopg.pq.ExecStatus.COMMAND_OK)

    def _expect(self, result: psycopg.pq.abc.PGresult, status: psycopg.pq.ExecStatus) -> None:
        if result.status != status:
            fields = psycopg.pq.DiagnosticField
            said, state = (
                (result.error_field(which) or b"").decode("utf-8", "replace")
                for which in (fields.MESSAGE_PRIMARY, fields.SQLSTATE)
            )
            raise ServerError(f"PostgreSQL said in {self.database}: {said}.", None, state)

    def cancel(self) -> None:
        """Ask the server to stop what this session is doing; called from another thread, and never waits for long.

        libpq's own request has no time limit, and lets no other thread of Python run while it waits.
        """
        server = replace(self._server, connect_timeout=min(self._server.connect_timeout, _CANCEL_TIMEOUT))
        # A server that does not answer does nothing that could be stopped.
        with suppress(ServerError), server.connect(purpose="cancel") as session:
            session.run("SELECT pg_cancel_backend(%s)", (self.pid,))

    def close(self) -> None:
        self._connection.close()


class CopyIn:
    """Takes COPY data; ``stored`` is what the server counted."""

    def __init__(self, copy: psycopg.Copy, connection: psycopg.Connection[Any]) -> None:
        self._copy = copy
        self._connection = connection.pgconn
        self.stored = -1

    def write(self, data: bytes) -> None:
        self._copy.write(data)
        # Early psycopg 3.1 leaves all that a slow server does not take yet in memory.
        while self._connection.flush():
            number = self._connection.socket
            readable, _writable, _failed = select.select([number], [number], [])
            if readable:
                self._connection.consume_input()


@contextmanager
def _server_errors(database: str) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        diagnostic = error.diag
        said = diagnostic.message_primary or " ".join(str(error).split()) or type(error).__name__
        # message_detail may quote a row of somebody's data; the context names the table and line, which is enough.
        context = (diagnostic.context or "").splitlines()
        where = f" ({context[0].split(':', maxsplit=1)[0]})" if context else ""
        raise ServerError(f"PostgreSQL said in {database}: {said}{where}.", None, error.sqlstate) from None


def quote(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """An SQL string literal that means the same whatever standard_conforming_strings says."""
    escaped = text.replace("'", "''")
    return " E'" + escaped.replace("\\", "\\\\") + "'" if "\\" in escaped else "'" + escaped + "'"
