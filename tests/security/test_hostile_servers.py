# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that mean harm or are sick, each a real socket: no answer of theirs takes longer, or more, than it may."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils import _http
from ansible_collections.vedfinance.platform.plugins.module_utils._clock import SystemClock
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.client import DokployClient
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import risks_of
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.client import PagesClient
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.argspec import server_of

from tests.modules import run_module

KEY = "kEy-of-the-platform"
DEEP = b"[" * 200_000 + b"]" * 200_000
Talk = Callable[[socket.socket], None]


@contextmanager
def server(talk: Talk) -> Iterator[str]:
    """The address of something that listens; each connection is given to ``talk`` when its request has come."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)

        def serve(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                connection.settimeout(5)
                connection.recv(65536)
                talk(connection)

        def accept() -> None:
            while not over.is_set():
                with suppress(TimeoutError):
                    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
            accepting.join()


def says(body: bytes, status: str = "200 OK", *headers: str) -> Talk:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers])
    return lambda connection: connection.sendall(f"{head}\r\n\r\n".encode("latin-1") + body)


def drips(before: bytes, drop: bytes) -> Talk:
    def talk(connection: socket.socket) -> None:
        connection.sendall(before)
        while True:
            connection.sendall(drop)
            time.sleep(0.05)

    return talk


def never_ends(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[")
    while True:
        connection.sendall(b"0," * 100_000)


#: By what is wrong, and a part of what is said of it.
HOSTILE: dict[str, tuple[Talk, str]] = {
    "drips its headers": (drips(b"HTTP/1.1 200 OK\r\nX: ", b"x"), "did not end in time"),
    "drips its body": (drips(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", b" "), "did not end in time"),
    "has endless headers": (drips(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 500), "closed before the answer was complete"),
    "has an endless body": (never_ends, "more than 8388608 bytes"),
    "sends a bomb": (says(gzip.compress(bytes(50 << 20)), "200 OK", "Content-Encoding: gzip"), "packed body"),
    "nests without end": (says(DEEP), "not"),
    "nests a little too deep": (says(b"[" * 70 + b"]" * 70), "not"),
    "speaks another language": (lambda connection: connection.sendall(b"\0\1\2 220 hello\r\n\r\n"), "closed before"),
    "says nothing": (lambda _connection: None, "closed before"),
    "shows a web page": (says(b"<html>hello</html>", "200 OK", "Content-Type: text/html"), "not"),
    "is cut off": (lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"), "closed"),
    "redirects without end": (
        drips(b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\n\r\n", b"x" * 100_000),
        "did not end in time",
    ),
    "redirects nowhere": (says(b"", "302 Found", "Location: http://[::1"), "not"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_neither_dokploy_nor_cloudflare_can_hold_or_flood_a_module(what: str) -> None:
    talk, said = HOSTILE[what]
    with server(talk) as url:
        transport, clock = _http.RequestsTransport(), SystemClock()
        begun = time.monotonic()
        for call in (
            lambda: DokployClient(url, KEY, transport, clock, 0.4).get("project.all"),
            lambda: PagesClient(url, "account", KEY, "web", transport, clock, 0.4).get(),
        ):
            with pytest.raises(PlatformError) as caught:
                call()
            assert said in str(caught.value) or "redirects" in str(caught.value), caught.value
            assert KEY not in str(caught.value)
        # Far from an assertion of speed: a server that is believed would hold it for ever.
        assert time.monotonic() - begun < 30


@pytest.mark.parametrize(
    "value", [None, 1, "x", [], [1], {"a": None}, [{"projectId": {}}], True, [[]], {"environments": 3}]
)
def test_wrong_types_are_an_error_and_no_traceback(value: object) -> None:
    with server(says(json.dumps(value).encode())) as url:
        result = run_module("dokploy_info", {"dokploy_url": url, "dokploy_api_key": KEY, "request_timeout": 1})
    assert "Traceback" not in json.dumps(result)
    assert KEY not in json.dumps({name: one for name, one in result.items() if name != "invocation"})


def test_a_key_never_goes_where_a_redirect_leads() -> None:
    arrived: list[bytes] = []

    def listen(connection: socket.socket) -> None:
        arrived.append(b"came")

    with server(listen) as elsewhere, server(says(b"", "307 Temporary Redirect", f"Location: {elsewhere}/x")) as url:
        result = run_module("dokploy_info", {"dokploy_url": url, "dokploy_api_key": KEY, "request_timeout": 2})
        health = run_module("api_health", {"url": url, "timeout": 0.1, "headers": {"x-api-key": KEY}})
    assert "redirects" in result["msg"]
    assert "status 307 instead of 200" in health["msg"]
    assert arrived == []


def test_what_an_api_says_cannot_steer_a_terminal() -> None:
    body = json.dumps({"status": "\x1b]0;owned\x07\x1b[2J\x9bnot ok\u202e", "b": "a\rOK\nok"}).encode()
    expect = {"all": [{"path": "status", "equals": "ok"}]}
    with server(says(body)) as url:
        result = run_module("api_health", {"url": url, "timeout": 0.1, "expect": expect})
    told = json.dumps(result["body"]) + result["msg"] + json.dumps(result["attempts"])
    assert "owned" in told
    assert not [sign for sign in ("\\u001b", "\x1b", "\\u009b", "\x9b", "\\u202e", "\\r", "\r") if sign in told]


@pytest.mark.parametrize("body", [DEEP, b"[" * 70 + b"]" * 70, b"\xff\xfe", b"NaN NaN"])
def test_a_body_that_is_no_honest_json_is_not_healthy(body: bytes) -> None:
    expect = {"all": [{"path": "status", "equals": "ok"}]}
    with server(says(body)) as url:
        result = run_module("api_health", {"url": url, "timeout": 0.1, "expect": expect})
    assert "not JSON" in result["msg"]


# -- who is on the other side -----------------------------------------------------------------------------------------

LOGIN: dict[str, Any] = {
    "login_host": None, "login_unix_socket": None, "login_port": 5432, "login_user": "u", "login_password": None,
    "login_db": "postgres", "sslmode": None, "sslrootcert": None, "sslcert": None, "sslkey": None, "connect_timeout": 1,
    "container": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "mode"),
    [
        ({"login_host": "db.example.com"}, "verify-full"),
        ({"login_host": "10.0.0.3"}, "verify-full"),
        ({"login_host": "10.0.0.3", "sslmode": "prefer"}, "prefer"),
        ({"login_host": "127.0.0.1"}, None),
        ({"login_host": "/run/postgresql"}, None),
        ({"login_unix_socket": "/run/postgresql"}, None),
        ({}, None),
    ],
)
def test_over_a_network_postgresql_must_prove_who_it_is(
    given: dict[str, Any], mode: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGSSLMODE", raising=False)
    assert server_of({**LOGIN, **given}).tls.sslmode == mode


def test_what_switches_a_protection_off_is_told() -> None:
    assert risks_of({"validate_certs": True, "allow_plain_http": False, "login_host": "db", "sslmode": None}) == []
    assert risks_of({"login_host": "127.0.0.1", "sslmode": "disable"}) == []
    told = risks_of({"validate_certs": False, "allow_plain_http": True, "login_host": "db", "sslmode": "require"})
    assert [text.split()[0] for text in told] == ["validate_certs", "allow_plain_http", "sslmode"]
    result = run_module("api_health", {"url": "http://127.0.0.1:1", "timeout": 0.1, "validate_certs": False})
    assert any("validate_certs is false" in str(warning) for warning in result["warnings"])
