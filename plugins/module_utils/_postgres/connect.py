# SPDX-License-Identifier: GPL-3.0-or-later
"""Reaches a PostgreSQL server: over TCP, a unix socket, or the socket inside of a container."""

from __future__ import annotations

import json
import os
import subprocess
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from .._errors import PlatformError

try:
    import psycopg
except ImportError:
    HAS_PSYCOPG = False
    PSYCOPG_IMPORT_ERROR: str | None = traceback.format_exc()
else:
    HAS_PSYCOPG = True
    PSYCOPG_IMPORT_ERROR = None

APPLICATION_NAME = "vedfinance.platform"
_CONNECT_TIMEOUT = 10
# Dokploy's own database runs beside the platform's, under a name that a search for "postgres" finds first.
_DOKPLOY_OWN = "dokploy-postgres"
_SWARM_SERVICE = "com.docker.swarm.service.name"


class ServerError(PlatformError):
    """The server refused a connection or a statement.

    :param sqlstate: PostgreSQL's error code, or None when the connection failed.
    """

    def __init__(self, msg: str, hint: str | None = None, sqlstate: str | None = None) -> None:
        super().__init__(msg, hint)
        self.sqlstate = sqlstate


@dataclass(frozen=True)
class Server:
    """Where a server is and who connects to it."""

    host: str | None = None
    port: int = 5432
    user: str | None = None
    password: str | None = None
    maintenance_database: str = "postgres"
    #: The server's own root directory as seen from this host; differs from ``/`` for a container.
    root: str = "/"

    def __str__(self) -> str:
        return f"{self.user or 'the default user'} at {self.host or 'the local socket'}:{self.port}"

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
                connect_timeout=_CONNECT_TIMEOUT,
                application_name=f"{APPLICATION_NAME} {purpose}".strip(),
                # A lost host must not hang a recovery.
                keepalives_idle=30,
                keepalives_interval=10,
                keepalives_count=3,
                client_encoding="utf8",
                autocommit=True,
            )
        except psycopg.Error as error:
            raise _connection_failed(self, name, error) from None
        return Session(connection, name)


def _connection_failed(server: Server, database: str, error: psycopg.Error) -> ServerError:
    # libpq goes on with guesses on further lines; the hint says it better.
    said = str(error).splitlines()[0].replace("connection failed: ", "")
    if "refused" in said or "No such file" in said or "timeout" in said:
        hint = "Is PostgreSQL running there? Check login_host, login_port and login_unix_socket, or container."
    elif "password" in said or "authentication" in said or "no pg_hba.conf entry" in said:
        hint = "Check login_user and login_password, and pg_hba.conf of the server."
    elif "does not exist" in said:
        hint = "Check the names of the role and of the database (login_user, login_db)."
    else:
        hint = "Check the login options."
    return ServerError(f"Cannot connect to database {database} as {server}: {said}.", hint, error.sqlstate)


class Session:
    """One connection. Errors come as :class:`ServerError`, with what PostgreSQL said and nothing of the data."""

    def __init__(self, connection: psycopg.Connection[Any], database: str) -> None:
        self._connection = connection
        self.database = database

    @property
    def pid(self) -> int:
        return self._connection.info.backend_pid

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
                copying = CopyIn(copy)
                yield copying
            copying.stored = cursor.rowcount

    def cancel(self) -> None:
        """Ask the server to stop what this session is doing; called from another thread."""
        self._connection.cancel()

    def close(self) -> None:
        self._connection.close()


class CopyIn:
    """Takes COPY data; ``stored`` is what the server counted."""

    def __init__(self, copy: psycopg.Copy) -> None:
        self.write: Callable[[bytes], None] = copy.write
        self.stored = -1


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


def in_container(server: Server, container: str) -> Server:
    """The same server reached through the unix socket inside of its container.

    :param container: a container's name or id, or the name of a Swarm service.
    """
    details = _inspect(container)
    pid = details.get("State", {}).get("Pid") or 0
    name = str(details.get("Name", "")).lstrip("/")
    service = (details.get("Config", {}).get("Labels") or {}).get(_SWARM_SERVICE, "")
    if _DOKPLOY_OWN in (name.split(".", maxsplit=1)[0], service) and container not in (name, _DOKPLOY_OWN):
        raise PlatformError(
            f"Container {container} is {_DOKPLOY_OWN}, Dokploy's own database.",
            "Name the platform's database container; ask for dokploy-postgres by its full name if you mean it.",
        )
    if not pid:
        raise PlatformError(f"Container {container} is not running.", "Start it, then run this again.")
    root = f"/proc/{pid}/root"
    # /var/run is an absolute link in most images and would be resolved on the host.
    socket = f"{root}/run/postgresql"
    if not os.access(socket, os.X_OK):
        raise PlatformError(
            f"The socket folder of container {container} ({socket}) cannot be entered.",
            "Run as root on the Docker host (become: true), or publish a port and use login_host.",
        )
    return replace(server, host=socket, root=root)


def _inspect(container: str) -> dict[str, Any]:
    details = _details(container) or _details(_task_of_service(container))
    if details:
        return details
    running = _docker("ps", "--format", "{{.Names}}").stdout.split()
    raise PlatformError(
        f"There is no container {container!r}, and no Swarm service of that name.",
        f"Running here: {', '.join(sorted(running)) or 'none'}.",
    )


def _details(container: str | None) -> dict[str, Any]:
    result = _docker("inspect", "--type", "container", container) if container else None
    found = json.loads(result.stdout) if result is not None and result.returncode == 0 else []
    return dict(found[0]) if found else {}


def _task_of_service(service: str) -> str | None:
    listed = _docker("ps", "--quiet", "--filter", f"label={_SWARM_SERVICE}={service}").stdout.split()
    if len(listed) > 1:
        raise PlatformError(f"Service {service} has {len(listed)} containers.", "Name one of them by its id.")
    return listed[0] if listed else None


def _docker(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(("docker", *words), capture_output=True, text=True, timeout=30, check=False)
    except FileNotFoundError:
        raise PlatformError(
            "The program docker is not on this host.",
            "The option container needs it; use login_host or login_unix_socket otherwise.",
        ) from None
    except subprocess.TimeoutExpired:
        raise PlatformError(f"'docker {words[0]}' did not answer within 30 s.", "Is the Docker daemon well?") from None
