# SPDX-License-Identifier: GPL-3.0-or-later
"""The double's HTTP: envelopes, tokens, pages of lists, and the errors with Cloudflare's codes."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from lab.pages.model import PRODUCTION, Model, Push, Row
from lab.pages.views import deployment_view, log_lines, project_view

BASE = "/client/v4"
MOST_PER_PAGE = 25
HTTP_POLL_SECONDS = 0.01
#: Where Cloudflare's own code is not documented.
UNKNOWN = 8000000


class Refused(Exception):
    """An answer without success."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.errors = [{"code": code, "message": message}]


class Request:
    def __init__(self, method: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body

    def json(self) -> Row:
        try:
            given = json.loads(self.body or b"{}")
        except ValueError:
            raise Refused(400, UNKNOWN, "Request body is not valid JSON.") from None
        return given if isinstance(given, dict) else {}

    def form(self) -> dict[str, str]:
        """The fields of a multipart body."""
        kind = self.headers.get("content-type", "")
        if not kind.startswith("multipart/form-data"):
            raise Refused(400, UNKNOWN, "Request body is not multipart/form-data.")
        message = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + self.body)
        fields: dict[str, str] = {}
        for part in message.get_payload() if message.is_multipart() else []:
            assert not isinstance(part, str)
            content = part.get_payload(decode=True)
            name = part.get_param("name", header="content-disposition")
            if isinstance(content, bytes) and isinstance(name, str):
                fields[name] = content.decode()
        return fields


class Api:
    """One account's API: what a request is answered with."""

    def __init__(self, model: Model) -> None:
        self._model = model
        deployments = r"/deployments"
        one = deployments + r"/(?P<deployment>[^/]+)"
        self._routes: list[tuple[str, str, Callable[..., Any]]] = [
            ("GET", r"", self._project),
            ("PATCH", r"", self._patch),
            ("GET", deployments, self._list),
            ("POST", deployments, self._build),
            ("GET", one, self._one),
            ("POST", one + r"/retry", self._retry),
            ("POST", one + r"/rollback", self._rollback),
            ("GET", one + r"/history/logs", self._logs),
        ]

    def respond(self, request: Request) -> tuple[int, Row]:
        if request.path == "/lab/push" and request.method == "POST":
            return self._push(request)
        try:
            with self._model.change():
                self._admit(request)
                return 200, self._routed(request)
        except Refused as refused:
            return refused.status, _envelope(None, refused.errors)

    def _push(self, request: Request) -> tuple[int, Row]:
        try:
            given = request.json()
            row = self._model.push(
                Push(given["branch"], given["commit"], given.get("message", ""), given.get("behaviour"))
            )
        except (KeyError, ValueError, Refused) as error:
            return 400, {"error": f"a push has a branch and a commit, and a known behaviour: {error}"}
        return 200, {"deployment": row and row["id"]}

    def _admit(self, request: Request) -> None:
        header = request.headers.get("authorization", "")
        if not header:
            raise Refused(400, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")
        kind, _space, token = header.partition(" ")
        if kind != "Bearer" or not re.fullmatch(r"[\w-]{8,}", token):
            raise Refused(400, 6003, "Invalid request headers")
        rights = self._model.tables["tokens"].get(token)
        if rights is None:
            raise Refused(401, 10000, "Authentication error")
        if request.method != "GET" and rights != "edit":
            raise Refused(403, 10000, "Authentication error")

    def _routed(self, request: Request) -> Row:
        project = self._model.project
        account = re.fullmatch(rf"{BASE}/accounts/([^/]+)(/.*)", request.path)
        if account is None or not re.fullmatch(r"[0-9a-f]{32}", account[1]):
            message = f"Could not route to {request.path}, perhaps your object identifier is invalid?"
            raise Refused(404, 7003, message)
        if account[1] != project["account_id"]:
            raise Refused(403, 10000, "Authentication error")
        if (request.method, account[2]) == ("GET", "/pages/projects"):
            return self._paged(request, [project], lambda _row: project_view(self._model))
        found = re.fullmatch(r"/pages/projects/([^/]+)(/.*)?", account[2])
        if found is None:
            raise Refused(404, 7000, "No route for that URI")
        if found[1] != project["name"]:
            message = "Project not found. The specified project name does not match any of your existing projects."
            raise Refused(404, 8000007, message)
        for method, pattern, handle in self._routes:
            matched = re.fullmatch(pattern, found[2] or "")
            if matched and method == request.method:
                answer: Row = handle(request, **matched.groupdict())
                return answer
        raise Refused(405, 10405, "Method not allowed for this authentication scheme")

    # -- the project

    def _project(self, _request: Request) -> Row:
        return _envelope(project_view(self._model))

    def _patch(self, request: Request) -> Row:
        """As the real one does, it ignores a flag that does not stand under source.config, in silence."""
        given = request.json().get("source")
        config = given.get("config") if isinstance(given, dict) else None
        if isinstance(config, dict):
            self._model.project["source"].update(config)
        return self._project(request)

    # -- its deployments

    def _list(self, request: Request) -> Row:
        wanted = request.query.get("env")
        rows = [row for row in self._model.deployments if wanted in (None, row["environment"])]
        return self._paged(request, rows, lambda row: deployment_view(self._model, row))

    def _one(self, _request: Request, deployment: str) -> Row:
        return _envelope(deployment_view(self._model, self._row(deployment)))

    def _build(self, request: Request) -> Row:
        branch = request.form().get("branch") or self._model.project["production_branch"]
        row = self._model.build_head(branch)
        if row is None:
            raise Refused(400, UNKNOWN, f"The branch {branch} does not exist in the repository.")
        return _envelope(deployment_view(self._model, row))

    def _retry(self, _request: Request, deployment: str) -> Row:
        row = self._row(deployment)
        if not self._model.finished(row):
            raise Refused(400, UNKNOWN, "A deployment that is being built cannot be retried.")
        return _envelope(deployment_view(self._model, self._model.retry(row)))

    def _rollback(self, _request: Request, deployment: str) -> Row:
        row = self._row(deployment)
        if row["environment"] != PRODUCTION or not self._model.succeeded(row):
            raise Refused(400, UNKNOWN, "Only a successful deployment of production can be rolled back to.")
        self._model.project["canonical"] = row["id"]
        return _envelope(deployment_view(self._model, row))

    def _logs(self, request: Request, deployment: str) -> Row:
        lines = log_lines(self._model, self._row(deployment))
        shown = lines[: int(request.query.get("size", 100))]
        return _envelope({"total": len(lines), "includes_container_logs": False, "data": shown})

    def _row(self, wanted: str) -> Row:
        for row in self._model.deployments:
            if row["id"] == wanted:
                return row
        message = "The deployment ID you have specified does not exist. Update the deployment ID and try again."
        raise Refused(404, 8000009, message)

    def _paged(self, request: Request, rows: list[Row], view: Callable[[Row], Row]) -> Row:
        try:
            page = int(request.query.get("page", 1))
            per_page = int(request.query.get("per_page", MOST_PER_PAGE))
        except ValueError:
            page = per_page = 0
        if page < 1 or not 1 <= per_page <= MOST_PER_PAGE:
            message = "Invalid list options provided. Review the `page` or `per_page` parameter."
            raise Refused(400, 8000024, message)
        shown = rows[(page - 1) * per_page : page * per_page]
        counts = {
            "page": page,
            "per_page": per_page,
            "count": len(shown),
            "total_count": len(rows),
            "total_pages": -(-len(rows) // per_page),
        }
        return {**_envelope([view(row) for row in shown]), "result_info": counts}


class Double:
    """Serves on the loopback. Usable within a process (`with Double(state) as double: double.url`) or as a program."""

    def __init__(self, state: Path, port: int = 0, tempo: float = 1.0, now: Callable[[], float] = time.time) -> None:
        self.model = Model(state, tempo, now)
        if not self.model.seeded:
            raise LookupError(f"{state} has no project of Pages: make one with lab.pages.model.seed")
        self._http = _Http(Api(self.model), port)
        serve = self._http.serve_forever
        self._thread = threading.Thread(target=serve, args=(HTTP_POLL_SECONDS,), name="pages", daemon=True)

    @property
    def url(self) -> str:
        """The base of the API, as C(https://api.cloudflare.com/client/v4) is."""
        return f"{self.origin}{BASE}"

    @property
    def origin(self) -> str:
        """Where C(/lab/push) is."""
        return f"http://127.0.0.1:{self._http.server_port}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def __enter__(self) -> Double:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, api: Api, port: int) -> None:
        self.api = api
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        """Without the look-up of the host's name that http.server makes."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body leave in one packet; in two, a kept-alive connection waits for the peer's acknowledgement.
    wbufsize = 1 << 16
    server: _Http

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, answer = self.server.api.respond(Request(self.command, unquote(url.path), query, headers, body))
        payload = json.dumps(answer, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the names that http.server calls

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parameter's name in http.server
        """Silent."""


def _envelope(result: Any, errors: list[Row] | None = None) -> Row:
    return {"result": result, "success": not errors, "errors": errors or [], "messages": []}
