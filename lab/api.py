# SPDX-License-Identifier: GPL-3.0-or-later
"""The platform's API as it behaves in production, and no better: `python -m lab.api --port N`.

It keeps nothing about the database between requests, so it follows the database's name through a swap.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import socket
import sys
import threading
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg

Body = dict[str, Any]
Connection = psycopg.Connection[tuple[Any, ...]]

HOST = "127.0.0.1"
LIMITS = ((3, 1.0), (20, 10.0), (100, 60.0))
CONNECT_SECONDS = 2
SECONDS_BEFORE_CRASH = 0.3
BEHAVIOURS = ("ok", "crash", "fail-integrity", "degraded")
TABLES = (
    "users",
    "courses",
    "lessons",
    "enrollments",
    "lesson_progress",
    "quiz_attempts",
    "accounts",
    "transactions",
    "savings_goals",
    "notifications",
    "sessions",
    "behavior_logs",
    "integrity_checks",
)

WRONG_VALUES = {
    "accounts with a negative balance": 'SELECT count(*) FROM accounts WHERE "balanceCents" < 0',
    "accounts whose balance is not the sum of their transactions": (
        'SELECT count(*) FROM accounts LEFT JOIN (SELECT "accountId", sum("signedCents") AS booked FROM transactions'
        ' GROUP BY 1) t ON t."accountId" = accounts.id WHERE "balanceCents" <> coalesce(booked, 0)'
    ),
    "enrollments with an impossible progress": "SELECT count(*) FROM enrollments WHERE progress NOT BETWEEN 0 AND 1",
    "quiz attempts with an impossible score": "SELECT count(*) FROM quiz_attempts WHERE score NOT BETWEEN 0 AND 100",
    "accounts without their user": (
        'SELECT count(*) FROM accounts WHERE NOT EXISTS (SELECT FROM users WHERE users.id = "userId")'
    ),
    "transactions without their account": (
        'SELECT count(*) FROM transactions WHERE NOT EXISTS (SELECT FROM accounts WHERE accounts.id = "accountId")'
    ),
}


@dataclass(frozen=True)
class Settings:
    """What the environment and the command line say."""

    database_url: str
    version: str
    commit: str
    behaviour: str
    health_shape: str
    environment: str


@dataclass(frozen=True)
class Answer:
    status: int
    body: Body
    headers: Mapping[str, str] = field(default_factory=dict)


class RateLimiter:
    """Sliding windows per client, in this process's memory only: replicas do not share it."""

    def __init__(
        self, limits: tuple[tuple[int, float], ...] = LIMITS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._accepted: dict[str, deque[float]] = defaultdict(
            lambda: deque(maxlen=max(count for count, _seconds in limits))
        )

    def seconds_to_wait(self, client: str) -> float:
        """0 when the call is accepted (and counted), else how long until one would be."""
        with self._lock:
            now, calls = self._clock(), self._accepted[client]
            wait = max(
                (calls[-count] + window - now for count, window in self._limits if len(calls) >= count), default=0.0
            )
            if wait <= 0:
                calls.append(now)
            return max(wait, 0.0)


class Api:
    """Every endpoint as a method that gives an answer; knows nothing of HTTP transport."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._begun = time.monotonic()
        self.routes: dict[str, Callable[[], Answer]] = {
            "/api/health": self._health_a if settings.health_shape == "A" else self._health_b,
            "/api/health/db": self._health_database,
            "/api/health/ready": self._ready,
            "/api/health/live": lambda: Answer(200, {"status": "alive"}),
            "/api/version": lambda: Answer(200, {"version": settings.version, "commit": settings.commit}),
            "/api/debug/diagnostics/verify-integrity": self._verify_integrity,
            "/api/debug/verify-integrity": self._verify_integrity,
            "/api/courses": self._courses,
            "/api/users/count": self._users_count,
        }

    def answer(self, path: str) -> Answer:
        route = self.routes.get(path)
        if route is None:
            return problem(404, path, f"Cannot GET {path}", "Check the path")
        try:
            return route()
        except psycopg.Error as error:
            print(f"{path}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            return problem(500, path, "Internal server error", "Check the database connection")

    # -- health -----------------------------------------------------------------------------------------------------

    def _health_a(self) -> Answer:
        return Answer(200, {"status": "ok", **self._age(), "environment": self._settings.environment})

    def _health_b(self) -> Answer:
        database_up = self._database_error() is None
        degraded = self._settings.behaviour == "degraded"
        status = "degraded" if degraded and database_up else "healthy" if database_up else "unhealthy"
        checks = {
            "database": {"status": "up" if database_up else "down"},
            "memory": {"status": "degraded" if degraded else "up", "heapUsedMb": 91 if not degraded else 487},
            "disk": {"status": "up"},
        }
        return Answer(200 if status == "healthy" else 503, {"status": status, "checks": checks, **self._age()})

    def _health_database(self) -> Answer:
        error = self._database_error()
        if error is None:
            return Answer(200, {"status": "ok", "database": "connected"})
        return Answer(200, {"status": "error", "database": "disconnected", "error": error})

    def _ready(self) -> Answer:
        ready = self._database_error() is None
        return Answer(200 if ready else 503, {"status": "ready" if ready else "not ready"})

    def _age(self) -> Body:
        return {"timestamp": iso_now(), "uptime": round(time.monotonic() - self._begun, 3)}

    def _database_error(self) -> str | None:
        try:
            with self._connect() as connection:
                connection.execute("SELECT 1")
        except psycopg.Error as error:
            return str(error).strip()
        return None

    # -- data -------------------------------------------------------------------------------------------------------

    def _courses(self) -> Answer:
        """One statement, so that one answer can only come from one database."""
        with self._connect() as connection:
            row = connection.execute(
                "SELECT (SELECT oid::bigint FROM pg_database WHERE datname = current_database()),"
                " (SELECT count(*) FROM users), (SELECT count(*) FROM courses)"
            ).fetchone()
        oid, users, courses = row or (None, None, None)
        return Answer(200, {"database_oid": oid, "users": users, "courses": courses})

    def _users_count(self) -> Answer:
        with self._connect() as connection:
            return Answer(200, {"users": _number(connection, "SELECT count(*) FROM users")})

    # -- integrity --------------------------------------------------------------------------------------------------

    def _verify_integrity(self) -> Answer:
        """200 with FAIL inside; content to see nothing wrong in a database that holds nothing."""
        with self._connect() as connection:
            present = {
                row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            }
            integrity = self._integrity(connection, present)
            log_tracer = (
                _record(connection, integrity["status"])
                if "integrity_checks" in present
                else fail("cannot write integrity_checks")
            )
            metrics = {"tables": len(present & set(TABLES))}
        body = {
            "database": {"status": "OK"},
            "aiModel": {"status": "WARN", "message": "no model key configured"},
            "websockets": {"status": "OK", "clients": 0},
            "storage": {"status": "OK"},
            "sandbox": {"status": "OK"},
            "logTracer": log_tracer,
            "integrity": integrity,
            "metrics": metrics,
            "timestamp": iso_now(),
        }
        return Answer(200, body)

    def _integrity(self, connection: Connection, present: set[str]) -> Body:
        if self._settings.behaviour == "fail-integrity":
            return fail("this release needs the table ai_recommendations, which is missing")
        if not present:
            return {"status": "OK"}
        if missing := [table for table in TABLES if table not in present]:
            return fail(f"missing tables: {', '.join(missing)}")
        wrong = {what: count for what, query in WRONG_VALUES.items() if (count := _number(connection, query))}
        return fail("; ".join(f"{count} {what}" for what, count in wrong.items())) if wrong else {"status": "OK"}

    def _connect(self) -> Connection:
        return psycopg.connect(
            self._settings.database_url,
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
            application_name="vedfinance-api",
        )


def _record(connection: Connection, result: str) -> Body:
    connection.execute("INSERT INTO integrity_checks (result) VALUES (%s)", (result,))
    return {"status": "OK"}


def _number(connection: Connection, query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    return int(row[0]) if row else 0


def fail(message: str) -> Body:
    return {"status": "FAIL", "message": message}


def iso_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def problem(status: int, path: str, message: str, suggestion: str, headers: Mapping[str, str] | None = None) -> Answer:
    body = {
        "errorId": str(uuid.uuid4()),
        "statusCode": status,
        "timestamp": iso_now(),
        "path": path,
        "message": message,
        "suggestion": suggestion,
    }
    return Answer(status, body, headers or {})


class SharedPortServer(ThreadingHTTPServer):
    """Replicas bind the same port; the kernel spreads the connections among them."""

    daemon_threads = True
    request_queue_size = 128

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()


def handler_class(api: Api, limiter: RateLimiter | None) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        timeout = 30

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            wait = limiter.seconds_to_wait(self.client_address[0]) if limiter else 0.0
            if wait > 0:
                headers = {"Retry-After": str(math.ceil(wait))}
                self._send(problem(429, path, "ThrottlerException: Too Many Requests", "Slow down", headers))
            else:
                self._send(api.answer(path))

        def _send(self, answer: Answer) -> None:
            content = json.dumps(answer.body).encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def version_string(self) -> str:
            return "Express"

        def log_message(self, *_: Any) -> None:
            return

    return Handler


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    environment = os.environ
    parser = argparse.ArgumentParser(
        prog="python -m lab.api", description="The lab's API. DATABASE_URL and APP_* come from the environment."
    )
    parser.add_argument("--port", type=int, default=environment.get("PORT", "3001"))
    parser.add_argument(
        "--health-shape",
        choices=("A", "B"),
        default=environment.get("APP_HEALTH_SHAPE", "A"),
        help="A: always 200 and ok; B: with checks, 503 when degraded or without database",
    )
    parser.add_argument(
        "--rate-limit",
        choices=("on", "off"),
        default=environment.get("APP_RATE_LIMIT", "on"),
        help="3 per second, 20 per 10 s, 100 per minute and client, then 429",
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    settings = Settings(
        database_url=os.environ.get("DATABASE_URL", ""),
        version=os.environ.get("APP_VERSION", "0.0.0"),
        commit=os.environ.get("APP_COMMIT", ""),
        behaviour=os.environ.get("APP_BEHAVIOUR", "ok"),
        health_shape=options.health_shape,
        environment=os.environ.get("NODE_ENV", "production"),
    )
    if settings.behaviour not in BEHAVIOURS:
        print(f"APP_BEHAVIOUR={settings.behaviour}: choose one of {', '.join(BEHAVIOURS)}", file=sys.stderr)
        return 2
    if settings.behaviour == "crash":
        time.sleep(SECONDS_BEFORE_CRASH)
        print("TypeError: Cannot read properties of undefined (reading 'connect')", file=sys.stderr)
        return 1
    limiter = RateLimiter() if options.rate_limit == "on" else None
    with SharedPortServer((HOST, options.port), handler_class(Api(settings), limiter)) as server:
        print(f"API {settings.version} listens on {options.port}", flush=True)
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
