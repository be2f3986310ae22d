# SPDX-License-Identifier: GPL-3.0-or-later
"""The transport against real sockets, and its rules without any."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils import _http, _redact
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError

from tests.unit.plugins.scripted import Call, FakeClock, ScriptedTransport, answer, refused

GET = _http.Request("GET", "http://127.0.0.1:3000/api/x", timeout=30)


# --- addresses


@pytest.mark.parametrize("host", ["localhost", "api.localhost", "127.0.0.1", "127.8.8.8", "::1"])
def test_loopback_hosts(host: str) -> None:
    assert _http.is_loopback(host)


@pytest.mark.parametrize("host", ["10.0.0.1", "example.com", "localhost.example.com", "127.0.0.1.example.com", ""])
def test_other_hosts_are_not_loopback(host: str) -> None:
    assert not _http.is_loopback(host)


def test_plain_http_is_refused_unless_loopback_or_allowed() -> None:
    with pytest.raises(
        PlatformError, match=r"(?s)dokploy_url is plain HTTP to vps\.test.*SSH tunnel.*allow_plain_http"
    ):
        _http.refuse_plain_http("http://vps.test:3000", "dokploy_url", "the API key", False)
    _http.refuse_plain_http("http://vps.test:3000", "dokploy_url", "the API key", True)
    _http.refuse_plain_http("https://vps.test", "dokploy_url", "the API key", False)
    _http.refuse_plain_http("http://[::1]:3000", "dokploy_url", "the API key", False)


@pytest.mark.parametrize(
    "url", ["127.0.0.1:3000", "ftp://x", "http://", "http://u:p@x", "http://u@x", "http://x?key=1", "http://x#y"]
)
def test_addresses_that_cannot_be_used(url: str) -> None:
    with pytest.raises(PlatformError, match="url ") as caught:
        _http.checked_base_url(url, "url")
    assert "u:p" not in str(caught.value)


def test_a_shown_url_has_no_credentials_and_no_query() -> None:
    assert _redact.shown_url("http://u:secret@h:1/a?token=2#f") == "http://h:1/a"
    assert _redact.shown_url("/api/x?token=2") == "/api/x"
    assert _redact.shown_url("http://[::1]:3000/a") == "http://[::1]:3000/a"


# --- redaction


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://app:s3cr3t@db:5432/x failed",
        "Authorization: Bearer s3cr3ts3cr3t",
        '{"password": "s3cr3t", "a": 1}',
        "PASSWORD=s3cr3t",
        "--s3-secret-access-key=s3cr3t --s3-region=x",
        "--s3-access-key-id=s3cr3t",
        "APP_SECRET='s3cr3t'",
        "token eyJhbGciOis3cr3t.eyJzdWIis3cr3t.sigs3cr3t",
        "-----BEGIN RSA PRIVATE KEY-----\ns3cr3t\n-----END RSA PRIVATE KEY-----",
        "sk_live_s3cr3ts3cr3t",
    ],
)
def test_secret_looking_texts_are_masked(text: str) -> None:
    redacted = _redact.redact_text(text)
    assert "s3cr3t" not in redacted
    assert _redact.MASK in redacted


def test_harmless_texts_stay() -> None:
    text = "status: healthy, uptime: 12, database connected at http://127.0.0.1:5432/x, key: value"
    assert _redact.redact_text(text) == text


def test_of_a_secret_that_begins_like_another_nothing_is_left() -> None:
    named = {"A_TOKEN": "abcdef", "B_TOKEN": "abcdefghijkl", "HOST": "example", "PIN_TOKEN": "1234", "SECRET": None}
    secrets = _redact.secret_values(named)
    assert secrets == {"abcdef", "abcdefghijkl"}
    for order in (sorted(secrets), sorted(secrets, reverse=True)):
        assert _redact.redact_text("upload with abcdefghijkl to abcdef", order) == "upload with *** to ***"


def test_values_of_secret_keys_are_masked_at_any_depth() -> None:
    body = {"a": [{"dbPassword": "x", "API_KEY": 7, "hasToken": True, "token": None}], "b": "ok", "c": "my known"}
    assert _redact.redact(body, ["known"]) == {
        "a": [{"dbPassword": "***", "API_KEY": "***", "hasToken": True, "token": None}],
        "b": "ok",
        "c": "my ***",
    }


# --- Retry-After and repeats


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("-3", 0.0),
        ("Sun, 22 Nov 2026 02:00:30 GMT", 30.0),
        ("Sun, 22 Nov 2026 01:00:00 GMT", 0.0),
        ("soon", None),
        (None, None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert _http.retry_after_seconds(value, datetime(2026, 11, 22, 2, tzinfo=UTC)) == seconds


def test_a_get_is_repeated_after_passing_failures() -> None:
    clock = FakeClock()
    transport = ScriptedTransport(
        clock,
        Call("GET", "/api/x", refused()),
        Call("GET", "/api/x", answer(status=503)),
        Call("GET", "/api/x", answer("fine")),
    )
    assert _http.send_with_retries(transport, GET, clock).json() == "fine"
    assert clock.sleeps == [0.5, 1.0]
    transport.assert_all_made()


def test_retry_after_is_honoured_but_clamped() -> None:
    clock = FakeClock()
    transport = ScriptedTransport(
        clock,
        Call("GET", "/api/x", answer(status=429, headers={"retry-after": "3"})),
        Call("GET", "/api/x", answer(status=429, headers={"retry-after": "3600"})),
        Call("GET", "/api/x", answer("fine")),
    )
    _http.send_with_retries(transport, GET, clock)
    assert clock.sleeps == [3.0, _http.MAX_RETRY_AFTER]


def test_repeats_are_bounded_in_number() -> None:
    clock = FakeClock()
    transport = ScriptedTransport(clock, *[Call("GET", "/api/x", answer(status=502))] * 4)
    assert _http.send_with_retries(transport, GET, clock).status == 502
    transport.assert_all_made()


def test_repeats_stay_within_the_timeout_of_the_request() -> None:
    clock = FakeClock()
    transport = ScriptedTransport(
        clock, Call("GET", "/api/x", refused(), takes=20), Call("GET", "/api/x", refused(), takes=9.4)
    )
    with pytest.raises(_http.TransportError):
        _http.send_with_retries(transport, GET, clock)
    assert [round(request.timeout, 1) for request in transport.requests] == [30.0, 9.5]
    transport.assert_all_made()


POST = _http.Request("POST", "http://127.0.0.1:3000/api/x", timeout=30)


@pytest.mark.parametrize("kind", ["timeout", "reset", "unreachable"])
def test_a_post_is_never_repeated_after_a_lost_answer(kind: str) -> None:
    clock = FakeClock()
    transport = ScriptedTransport(clock, Call("POST", "/api/x", _http.TransportError(kind, "no")))
    with pytest.raises(_http.TransportError):
        _http.send_with_retries(transport, POST, clock)
    assert clock.sleeps == []


def test_a_post_is_never_repeated_after_an_answer() -> None:
    clock = FakeClock()
    outcome = answer(status=503)
    transport = ScriptedTransport(clock, Call("POST", "/api/x", outcome))
    assert _http.send_with_retries(transport, POST, clock) is outcome
    assert clock.sleeps == []


def test_a_post_that_was_refused_before_anything_was_sent_is_repeated() -> None:
    clock = FakeClock()
    transport = ScriptedTransport(clock, Call("POST", "/api/x", refused()), Call("POST", "/api/x", answer(True)))
    assert _http.send_with_retries(transport, POST, clock).json() is True
    transport.assert_all_made()


@pytest.mark.parametrize("kind", ["tls", "dns", "too_large"])
def test_what_will_not_pass_is_not_repeated(kind: str) -> None:
    clock = FakeClock()
    transport = ScriptedTransport(clock, Call("GET", "/api/x", _http.TransportError(kind, "no")))
    with pytest.raises(_http.TransportError):
        _http.send_with_retries(transport, GET, clock)


# --- real sockets


@contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """A socket that treats its first connection as told."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        connection, _address = listener.accept()
        with connection:
            connection.settimeout(5)
            connection.recv(65536)
            serve(connection)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/api/x?token=hidden"
    finally:
        thread.join(10)
        listener.close()


def send(url: str, timeout: float = 5, **options: object) -> _http.Response:
    transport = _http.RequestsTransport(**options)  # type: ignore[arg-type]
    return transport.send(_http.Request("GET", url, timeout=timeout))


def failure(url: str, timeout: float = 5, **options: object) -> _http.TransportError:
    with pytest.raises(_http.TransportError) as caught:
        send(url, timeout, **options)
    assert "hidden" not in str(caught.value)
    return caught.value


def head(*lines: str) -> bytes:
    return "\r\n".join(("HTTP/1.1 200 OK", "Connection: close", *lines, "", "")).encode()


def test_a_whole_answer() -> None:
    with server(lambda peer: peer.sendall(head("Content-Length: 4", "X-One: 1") + b"true")) as url:
        response = send(url)
    assert (response.status, response.json(), response.headers["x-one"]) == (200, True, "1")


def test_a_chunked_answer() -> None:
    with server(
        lambda peer: peer.sendall(head("Transfer-Encoding: chunked") + b"2\r\ntr\r\n2\r\nue\r\n0\r\n\r\n")
    ) as url:
        assert send(url).json() is True


def test_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = failure(f"http://127.0.0.1:{port}/x?token=hidden")
    assert error.kind == "refused"
    assert f"127.0.0.1:{port}" in error.msg


def test_closed_without_an_answer() -> None:
    with server(lambda peer: None) as url:
        assert failure(url).kind == "reset"


def test_cut_off_in_the_body() -> None:
    with server(lambda peer: peer.sendall(head("Content-Length: 40") + b"half")) as url:
        assert failure(url).kind == "reset"


def test_silence_is_a_timeout() -> None:
    with server(lambda peer: time.sleep(0.6)) as url:
        assert failure(url, timeout=0.2).kind == "timeout"


def drip(peer: socket.socket) -> None:
    peer.sendall(head("Content-Length: 1000000"))
    for _turn in range(100):
        try:
            peer.sendall(b"x")
        except OSError:
            return
        time.sleep(0.05)


def test_a_dripping_body_ends_at_the_deadline() -> None:
    with server(drip) as url:
        assert failure(url, timeout=0.3).kind == "timeout"


def test_a_body_without_end_is_cut() -> None:
    with server(lambda peer: peer.sendall(head() + b"x" * 5000)) as url:
        assert failure(url, max_bytes=1000).kind == "too_large"


def test_https_to_a_plain_port_is_a_tls_failure() -> None:
    with server(lambda peer: peer.sendall(head("Content-Length: 0"))) as url:
        assert failure(url.replace("http:", "https:")).kind == "tls"


def test_redirects_are_not_followed() -> None:
    moved = b"HTTP/1.1 308 Permanent Redirect\r\nLocation: http://elsewhere.invalid/\r\nContent-Length: 0\r\n\r\n"
    with server(lambda peer: peer.sendall(moved)) as url:
        assert send(url).status == 308


def test_the_environment_lends_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with server(lambda peer: peer.sendall(head("Content-Length: 4") + b"true")) as url:
        assert send(url).status == 200


def test_a_ca_path_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match=r"none\.pem does not exist"):
        _http.RequestsTransport(ca_path=str(tmp_path / "none.pem"))


def test_a_header_that_cannot_be_sent_is_not_shown() -> None:
    request = _http.Request("GET", "http://127.0.0.1:9/x", headers={"X-Key": "hidden\nvalue"})
    with pytest.raises(PlatformError, match="cannot be sent") as caught:
        _http.RequestsTransport().send(request)
    assert "hidden" not in str(caught.value)
