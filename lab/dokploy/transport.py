# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP: REST, its tRPC twin, the deploy webhook, and the errors that come before any procedure."""

from __future__ import annotations

import contextlib
import json
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from lab.dokploy import keys, users, webhooks
from lab.dokploy.errors import TRPC_CODE, ApiError
from lab.dokploy.keys import Caller
from lab.dokploy.model import Model
from lab.dokploy.procedures import PROCEDURES, SUBSCRIPTION, Procedure, Server
from lab.dokploy.schema import validate
from lab.dokploy.users import Signed

JSON = "application/json"
# Answers that do not come from a procedure name the charset.
JSON_UTF8 = "application/json; charset=utf-8"
EVENT_STREAM = "text/event-stream"
_CONNECTED = "event: connected\ndata: {}\n\n\n"

# The REST route verifies the key once to let the request in and once more to know the session.
REST_VERIFICATIONS = 2
TRPC_VERIFICATIONS = 1
_OPEN_PROCEDURES = ("settings.health",)
_SIGN = {"/api/auth/sign-up/email": users.sign_up, "/api/auth/sign-in/email": users.sign_in}


@dataclass(frozen=True)
class Request:
    """What the routes look at."""

    method: str
    path: str
    query: dict[str, str]
    key: str | None
    session: str | None
    content_type: str | None
    body: bytes
    headers: dict[str, str]

    def json(self) -> Any:
        return json.loads(self.body) if self.body else {}


@dataclass(frozen=True)
class Answer:
    """A text of None is a body of zero bytes. Events are sent one by one, as they come."""

    status: int
    content_type: str | None = None
    text: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    events: Iterable[str] | None = None


class Transport(ThreadingHTTPServer):
    """Listens on the loopback only."""

    daemon_threads = True

    def __init__(self, server: Server, port: int) -> None:
        self._server = server
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        """Without the look-up of the host's name that http.server makes."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def respond(self, request: Request) -> Answer:
        if request.path != "/" and request.path.endswith("/"):
            target = request.path.rstrip("/")
            return Answer(308, None, target, {"Location": target})
        if request.content_type == JSON and not _is_json(request):
            return Answer(400, None, "Invalid JSON")
        if request.path == "/api/health":
            return Answer(200, JSON_UTF8, _dumped({"ok": True}))
        if request.path.startswith("/api/deploy/") and request.method == "POST":
            return self._webhook(request)
        if request.path in _SIGN and request.method == "POST":
            return self._sign(request, _SIGN[request.path])
        if request.path.startswith("/api/trpc/"):
            return self._trpc(request, request.path.removeprefix("/api/trpc/"))
        if request.path.startswith("/api/"):
            return self._rest(request, request.path.removeprefix("/api/"))
        return Answer(404, "text/plain", "Not Found")

    def _webhook(self, request: Request) -> Answer:
        with self._server.model.lock:
            path = request.path.removeprefix("/api/deploy/")
            status, message = webhooks.deploy(self._server, path, request.headers, request.json())
        return Answer(status, JSON_UTF8, _dumped({"message": message}))

    def _sign(self, request: Request, sign: Callable[[Model, dict[str, Any]], Signed]) -> Answer:
        given = request.json()
        if not isinstance(given, dict) or not all(isinstance(given.get(name), str) for name in ("email", "password")):
            return Answer(400, JSON, _dumped({"message": "Invalid body", "code": "VALIDATION_ERROR"}))
        with self._server.model.change():
            signed = sign(self._server.model, given)
        cookie = f"{users.COOKIE}={signed.token}; Path=/; HttpOnly; SameSite=Lax"
        return Answer(signed.status, JSON, _dumped(signed.body), {"Set-Cookie": cookie} if signed.token else {})

    def _rest(self, request: Request, name: str) -> Answer:
        caller = self._caller(request, REST_VERIFICATIONS)
        if caller is None:
            return Answer(401, JSON_UTF8, _dumped({"message": "Unauthorized"}))
        procedure = self._procedure(name)
        if procedure is None or procedure.method != request.method:
            return _rest_error(not_found_procedure(), None)
        try:
            if procedure.method == "POST":
                _need_json(request.content_type)
            is_query = procedure.method == "GET"
            given = validate(procedure.fields, request.query if is_query else request.json(), query=is_query)
            return Answer(200, JSON, self._run(procedure, caller, given))
        except ApiError as error:
            return _rest_error(error, name)

    def _trpc(self, request: Request, name: str) -> Answer:
        caller = self._caller(request, TRPC_VERIFICATIONS)
        procedure = self._procedure(name)
        try:
            if procedure is None or procedure.method not in (request.method, SUBSCRIPTION):
                raise not_found_procedure(name)
            if caller is None:
                if name not in _OPEN_PROCEDURES:
                    raise ApiError("UNAUTHORIZED", "UNAUTHORIZED")
                caller = Caller("nobody", "", ())
            if procedure.method == SUBSCRIPTION and request.method != "GET":
                return _stream(_failed_event(not_supported(request.method, name), name))
            given = validate(procedure.fields, _unwrapped(procedure, request))
            if procedure.method == SUBSCRIPTION:
                return _stream(_events(procedure.handle(self._server, caller, given)))
            text = self._run(procedure, caller, given)
            wrapped = {"json": None, "meta": {"values": ["undefined"]}} if text is None else {"json": json.loads(text)}
            return Answer(200, JSON, _dumped({"result": {"data": wrapped}}))
        except ApiError as error:
            return _trpc_error(error, name)

    def _procedure(self, name: str) -> Procedure | None:
        return PROCEDURES.get(name) if self._server.version.knows(name) else None

    def _caller(self, request: Request, times: int) -> Caller | None:
        with self._server.model.lock:
            model = self._server.model
            if request.key is not None:
                return keys.verify(model.tables["keys"], request.key, times)
            return users.caller_of(model, request.session)

    def _run(self, procedure: Procedure, caller: Caller, given: dict[str, Any]) -> str | None:
        lock = self._server.model.lock
        try:
            with contextlib.nullcontext() if procedure.waits else lock:
                result = procedure.handle(self._server, caller, given)
                return None if result is None else _dumped(result)
        except ApiError:
            raise
        except Exception as error:
            traceback.print_exc()
            raise ApiError("INTERNAL_SERVER_ERROR", str(error)) from error


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body leave in one packet; in two, a kept-alive connection waits for the peer's acknowledgement.
    wbufsize = 1 << 16
    server: Transport

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the names that http.server calls

    def _answer(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content_type = self.headers.get("Content-Type")
        answer = self.server.respond(
            Request(
                method=self.command,
                path=unquote(url.path),
                query=dict(parse_qsl(url.query, keep_blank_values=True)),
                key=self.headers.get("x-api-key"),
                session=_session(self.headers.get("Cookie")),
                content_type=content_type.partition(";")[0].strip().lower() if content_type else None,
                body=body,
                headers={name.lower(): value for name, value in self.headers.items()},
            )
        )
        self.send_response(answer.status)
        if answer.content_type:
            self.send_header("Content-Type", answer.content_type)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.events is not None:
            self._send_chunks(answer.events)
            return
        payload = (answer.text or "").encode()
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def _send_chunks(self, events: Iterable[str]) -> None:
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in chain(events, [""]):
            chunk = event.encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parameter's name in http.server
        """Silent: a deploy URL carries its credential in the path."""


def _stream(events: Iterable[str]) -> Answer:
    return Answer(200, EVENT_STREAM, None, {"Cache-Control": "no-cache, no-transform"}, events)


def _events(lines: Iterable[str]) -> Iterator[str]:
    yield _CONNECTED
    for line in lines:
        yield f"data: {_dumped({'json': line})}\n\n\n"
    yield "event: return\ndata: \n\n\n"


def _failed_event(error: ApiError, path: str) -> Iterator[str]:
    yield _CONNECTED
    yield f"event: serialized-error\ndata: {_dumped({'json': _trpc_body(error, path)})}\n\n\n"


def _session(cookies: str | None) -> str | None:
    morsel = SimpleCookie(cookies or "").get(users.COOKIE)
    return morsel.value if morsel else None


def not_supported(method: str, name: str) -> ApiError:
    message = f'Unsupported {method}-request to subscription procedure at path "{name}"'
    return ApiError("METHOD_NOT_SUPPORTED", message)


def not_found_procedure(name: str | None = None) -> ApiError:
    return ApiError("NOT_FOUND", "Not found" if name is None else f'No procedure found on path "{name}"')


def _need_json(content_type: str | None) -> None:
    if content_type is None:
        raise ApiError("UNSUPPORTED_MEDIA_TYPE", "Missing content-type header")
    if content_type != JSON:
        # The quote that is missing at the end is missing in the original, too.
        raise ApiError("UNSUPPORTED_MEDIA_TYPE", f'Unsupported content-type "{content_type}')


def _unwrapped(procedure: Procedure, request: Request) -> Any:
    """superjson: what stands under `json`; a procedure without fields takes none."""
    if not procedure.fields:
        return {}
    try:
        wrapper = json.loads(request.query.get("input", "{}")) if request.method == "GET" else request.json()
    except ValueError:
        return None
    return wrapper.get("json") if isinstance(wrapper, dict) else None


def _is_json(request: Request) -> bool:
    try:
        request.json()
    except ValueError:
        return False
    return True


def _rest_error(error: ApiError, path: str | None) -> Answer:
    issues = {} if error.issues is None else {"issues": error.issues}
    body = {"message": error.message, "code": error.code, "data": error.data(path), **issues}
    return Answer(error.status, JSON, _dumped(body))


def _trpc_error(error: ApiError, path: str) -> Answer:
    return Answer(error.status, JSON, _dumped({"error": {"json": _trpc_body(error, path)}}))


def _trpc_body(error: ApiError, path: str) -> dict[str, Any]:
    message = error.message if error.issues is None else json.dumps(error.issues, indent=2, ensure_ascii=False)
    return {"message": message, "code": TRPC_CODE[error.code], "data": error.data(path)}


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
