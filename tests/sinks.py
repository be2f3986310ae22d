# SPDX-License-Identifier: GPL-3.0-or-later
"""Where notifications end in the tests: a mail server, and a web server with the rules of Slack's webhooks."""

from __future__ import annotations

import email
import email.policy
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller


class MailSink:
    """Takes mail for everyone but those whom it refuses. It knows no passwords."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refused: set[str] = set()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        self._controller = Controller(self, hostname="127.0.0.1", port=port)
        self._controller.start()

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802 - so aiosmtpd calls it
        if address in self.refused:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - so aiosmtpd calls it
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"

    def close(self) -> None:
        self._controller.stop()

    def url(self, *recipients: str, login: str = "") -> str:
        return f"mailto://{login}{self.address}?from=platform@example.com&to={','.join(recipients)}"


@contextmanager
def mails_of_the_lab() -> Iterator[tuple[list[EmailMessage], str]]:
    """What people get, and the address that makes every channel of the lab (``lab_channel``) lead there."""
    sink = MailSink()
    try:
        yield sink.mails, sink.url("ops@example.com")
    finally:
        sink.close()


class SlackSink(ThreadingHTTPServer):
    """Answers as the webhooks of Slack do: in words of plain text, and with a limit on length and on rate."""

    daemon_threads = True
    text_limit = 40_000
    size_limit = 100_000

    def __init__(self) -> None:
        self.payloads: list[dict[str, Any]] = []
        #: How many of the next requests are too many.
        self.limited = 0
        self.statuses: list[int] = []
        super().__init__(("127.0.0.1", 0), _SlackHandler)
        self.address = f"127.0.0.1:{self.server_address[1]}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,))
        self._thread.start()

    def judge(self, kind: str, body: bytes) -> tuple[int, str]:
        if self.limited:
            self.limited -= 1
            return 429, "rate_limited"
        if len(body) > self.size_limit:
            return 413, "request_entity_too_large"
        try:
            payload = json.loads(body)
        except ValueError:
            payload = None
        if not isinstance(payload, dict) or "json" not in kind:
            return 400, "invalid_payload"
        texts = [payload.get("text"), *(one.get("text") for one in payload.get("attachments", ()))]
        if not any(texts):
            return 400, "no_text"
        if sum(len(text or "") for text in texts) > self.text_limit:
            return 400, "msg_too_long"
        self.payloads.append(payload)
        return 200, "ok"

    def close(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _SlackHandler(BaseHTTPRequestHandler):
    server: SlackSink

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, said = self.server.judge(self.headers.get("Content-Type", ""), body)
        self.server.statuses.append(status)
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said.encode())

    def log_message(self, *_: Any) -> None:
        pass
