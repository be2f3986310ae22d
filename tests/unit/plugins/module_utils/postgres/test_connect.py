# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said about a server and about a connection that failed."""

from __future__ import annotations

import socket
from typing import Any, cast

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres import connect
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.argspec import server_of
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.connect import CopyIn, Server, Tls

TWO_ADDRESSES = """connection failed: connection to server at "localhost" (::1), port 5432 failed: Connection refused
\tIs the server running on that host and accepting TCP/IP connections?
connection to server at "localhost" (127.0.0.1), port 5432 failed: FATAL:  password authentication failed for user "x"
"""


@pytest.mark.parametrize(
    ("server", "way", "local"),
    [
        (Server(), "socket", True),
        (Server(host="/run/postgresql"), "socket", True),
        (Server(host="localhost"), "TCP", True),
        (Server(host="db.example.org"), "TCP", False),
    ],
)
def test_the_way_to_a_server(server: Server, way: str, local: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGHOST", raising=False)
    assert (server.way, server.is_local) == (way, local)
    monkeypatch.setenv("PGHOST", "db.example.org")
    assert server.way == ("TCP" if server.host is None else way)


@pytest.mark.parametrize(
    ("said", "reason", "hint"),
    [
        (TWO_ADDRESSES, "password authentication failed", "login_password"),
        (TWO_ADDRESSES.splitlines()[0], "Connection refused", "Is PostgreSQL running there"),
        ("connection failed: SSL error: certificate verify failed\n", "certificate verify failed", "sslrootcert"),
        ('FATAL:  role "x" does not exist', 'role "x" does not exist', "login_user"),
        ("", "no reason given", "login options"),
    ],
)
def test_of_all_attempts_the_one_that_came_furthest(said: str, reason: str, hint: str) -> None:
    failed = connect._connection_failed(Server(password="s3cr3t"), "db", connect.psycopg.OperationalError(said))
    assert reason in failed.msg
    assert failed.hint is not None
    assert hint in failed.hint
    assert "s3cr3t" not in f"{failed} {Server(password='s3cr3t')!r}"


def test_the_options_of_a_server() -> None:
    options = {
        "login_host": "db", "login_unix_socket": None, "login_port": 5433, "login_user": "u", "login_password": "p",
        "login_db": "postgres", "container": None, "sslmode": "verify-full", "sslrootcert": "/ca", "sslcert": None,
        "sslkey": None, "connect_timeout": 3,
    }  # fmt: skip
    tls = Tls(sslmode="verify-full", sslrootcert="/ca")
    assert server_of(options) == Server("db", 5433, "u", "p", "postgres", tls, 3)


class SlowServer:
    """A connection whose server takes what was written only in the third attempt."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        self.socket = self._ours.fileno()
        self.pgconn = self
        self.written = b""
        self.held = 3

    def write(self, data: bytes) -> None:
        self.written += data

    def flush(self) -> int:
        self.held -= 1
        return 1 if self.held else 0

    def close(self) -> None:
        self._ours.close()
        self._theirs.close()


def test_what_a_slow_server_does_not_take_is_waited_for() -> None:
    """Early psycopg 3.1 would keep a whole dump in memory."""
    slow = SlowServer()
    try:
        CopyIn(cast(Any, slow), cast(Any, slow)).write(b"rows")
    finally:
        slow.close()
    assert (slow.written, slow.held) == (b"rows", 0)
