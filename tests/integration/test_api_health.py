# SPDX-License-Identifier: GPL-3.0-or-later
"""api_health against a small real server that changes its mind, and through the ansible command."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils import _health
from ansible_collections.vedfinance.platform.plugins.modules import api_health

from tests.unit.plugins.run_module import run_main

ROOT = Path(__file__).resolve().parents[2]
HEALTHY = (200, {}, {"status": "ok", "database": "connected"})
STARTING = (503, {}, {"status": "degraded"})
LIMITED = (429, {"Retry-After": "1"}, {"message": "ThrottlerException"})
Answer = tuple[int, dict[str, str], object]


class Api(ThreadingHTTPServer):
    """Answers /health with the next of its answers, the last one for ever, and 404 elsewhere."""

    daemon_threads = True

    def __init__(self, port: int, *answers: Answer) -> None:
        self.answers = list(answers)
        self.seen: list[tuple[str, str | None]] = []
        super().__init__(("127.0.0.1", port), Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that breaks a TLS handshake off is part of the test."""


class Handler(BaseHTTPRequestHandler):
    server: Api

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers.get("X-Probe")))
        status, headers, body = (404, {}, {"statusCode": 404})
        if self.path == "/health":
            status, headers, body = (
                self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
            )
        raw = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(raw))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: Any) -> None:
        pass


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def serving(*answers: Answer, port: int = 0, tls: tuple[Path, Path] | None = None) -> Iterator[Api]:
    api = Api(port, *answers)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        api.socket = context.wrap_socket(api.socket, server_side=True)
    thread = threading.Thread(target=api.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield api
    finally:
        api.shutdown()
        thread.join()
        api.server_close()


def url_of(api: Api) -> str:
    return f"http://127.0.0.1:{api.server_port}"


@pytest.fixture
def probe(capsys: pytest.CaptureFixture[str]) -> Any:
    def probe(**arguments: Any) -> dict[str, Any]:
        return run_main(api_health.main, capsys, {"path": ["/api/health", "/health"], "timeout": 15, **arguments})

    return probe


def test_an_api_that_is_refused_then_starts_then_limits_then_serves(
    probe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_health.POLLING_FLOOR, "healthy", 0.2)
    port = free_port()
    ended, apis = threading.Event(), []

    def start_late() -> None:
        time.sleep(0.3)
        with serving(STARTING, LIMITED, HEALTHY, port=port) as api:
            apis.append(api)
            ended.wait(30)

    starter = threading.Thread(target=start_late)
    starter.start()
    try:
        result = probe(url=f"http://127.0.0.1:{port}", consecutive=2, interval=0.2)
    finally:
        ended.set()
        starter.join()
    statuses = [attempt["status"] for attempt in result["attempts"]]
    assert statuses[0] is None
    assert [status for status in statuses if status] == [503, 429, 200, 200]
    assert result["seconds"] > 1, "the pause that Retry-After asks for"
    assert (result["healthy"], result["path"], result["body"]) == (True, "/health", HEALTHY[2])
    # Once it has passed, the path that was right is asked first.
    assert [path for path, _headers in apis[0].seen] == ["/api/health", "/health"] * 3 + ["/health"]


def test_absent_when_the_last_one_has_gone(probe: Any) -> None:
    with serving(HEALTHY) as api:
        alive = probe(url=url_of(api), path="/health", state="absent", timeout=0.5, interval=0.2)
        port = api.server_port
    assert alive["failed"]
    assert "still answers, with status 200" in alive["msg"]
    gone = probe(url=f"http://127.0.0.1:{port}", state="absent", consecutive=3, interval=0.2)
    assert (gone["absent"], gone["passes"]) == (True, 3)


def test_a_listener_that_never_answers_is_not_absent(probe: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        result = probe(url=url, state="absent", timeout=0.5, request_timeout=0.3)
    assert result["failed"]
    assert "in time" in result["reason"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    subprocess.run(
        [*command.split(), "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    return certificate, key


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_certificates_are_verified(probe: Any, certificate: tuple[Path, Path]) -> None:
    with serving(HEALTHY, tls=certificate) as api:
        options = {"url": f"https://localhost:{api.server_port}", "path": "/health", "timeout": 0}
        distrusted = probe(**options)
        assert distrusted["failed"]
        assert "is not trusted" in distrusted["msg"]
        assert probe(**options, ca_path=str(certificate[0]))["healthy"]
        assert probe(**options, validate_certs=False)["healthy"]
        wrong_name = probe(**{**options, "url": f"https://127.0.0.1:{api.server_port}"}, ca_path=str(certificate[0]))
        assert "is not trusted" in wrong_name["msg"]


def test_through_the_ansible_command(tmp_path: Path) -> None:
    """Headers are sent and never shown, in check mode as well."""
    with serving((200, {}, {"status": "ok", "token": "s3cr3t"})) as api:
        arguments = {"url": url_of(api), "path": "/health", "headers": {"X-Probe": "header-value"}}
        command = [sys.executable, "-m", "ansible", "adhoc", "localhost", "-m", "vedfinance.platform.api_health"]
        command += ["-a", json.dumps(arguments), "--check", "-vvv", "-i", "localhost,", "-c", "local"]
        command += ["-e", f"ansible_python_interpreter={sys.executable}"]
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_HOME": str(tmp_path / "home"),
        }
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert api.seen == [("/health", "header-value")]
    assert "healthy: true" in done.stdout.lower() or '"healthy": true' in done.stdout
    assert "s3cr3t" not in done.stdout
    assert "header-value" not in done.stdout
