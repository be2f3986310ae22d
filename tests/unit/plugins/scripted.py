# SPDX-License-Identifier: GPL-3.0-or-later
"""Scripted HTTP: each call is expected in its turn, any other fails the test. And a clock that only sleep moves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from ansible_collections.vedfinance.platform.plugins.module_utils._http import Request, Response, TransportError

START = datetime(2026, 11, 22, 2, 0, 0, tzinfo=UTC)


class FakeClock:
    def __init__(self) -> None:
        self.seconds = 0.0
        self.sleeps: list[float] = []

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(round(seconds, 3))
        self.seconds += seconds


def answer(
    body: object = None, status: int = 200, *, headers: Mapping[str, str] | None = None, seconds: float = 0.01
) -> Response:
    """A JSON answer; None is an empty body, bytes are sent as they are."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return Response(status, {"content-type": "application/json", **(headers or {})}, raw, seconds)


def refused(url: str = "http://127.0.0.1:3001") -> TransportError:
    return TransportError("refused", f"Connection refused by {url}.", "Nothing listens there.")


@dataclass
class Call:
    method: str
    path: str
    outcome: Response | Exception = field(default_factory=answer)
    params: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    takes: float = 0.0
    """Seconds that pass on the clock."""


class ScriptedTransport:
    def __init__(self, clock: FakeClock, *calls: Call) -> None:
        self._clock = clock
        self._calls = list(calls)
        self.requests: list[Request] = []

    def send(self, request: Request) -> Response:
        self.requests.append(request)
        target = urlsplit(request.url).path
        assert self._calls, f"unexpected call: {request.method} {target}"
        call = self._calls.pop(0)
        assert (request.method, target) == (call.method, call.path)
        assert dict(request.params) == dict(call.params)
        assert (json.loads(request.body) if request.body else None) == call.body
        assert call.headers.items() <= request.headers.items()
        self._clock.seconds += call.takes
        if isinstance(call.outcome, Exception):
            raise call.outcome
        return call.outcome

    def assert_all_made(self) -> None:
        assert not self._calls, f"calls not made: {[(call.method, call.path) for call in self._calls]}"
