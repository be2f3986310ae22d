# SPDX-License-Identifier: GPL-3.0-or-later
"""The API without a database: it boots and answers, and says so in the shapes of production."""

from __future__ import annotations

import pytest

from lab.api import Api, RateLimiter, Settings

SECRET = "hunter2-of-the-lab"
NO_DATABASE = f"postgresql://app:{SECRET}@127.0.0.1:1/none"


def api(health_shape: str = "A", behaviour: str = "ok") -> Api:
    return Api(Settings(NO_DATABASE, "1.4.0", "c0ffee", behaviour, health_shape, "production"))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_shape_a_is_ok_even_without_a_database() -> None:
    answer = api("A").answer("/api/health")
    assert answer.status == 200
    assert answer.body["status"] == "ok"
    assert set(answer.body) == {"status", "timestamp", "uptime", "environment"}


def test_shape_b_is_503_without_a_database() -> None:
    answer = api("B").answer("/api/health")
    assert answer.status == 503
    assert answer.body["status"] == "unhealthy"
    assert answer.body["checks"]["database"] == {"status": "down"}


def test_the_database_health_is_always_200() -> None:
    answer = api().answer("/api/health/db")
    assert answer.status == 200
    assert answer.body["status"] == "error"
    assert answer.body["database"] == "disconnected"
    assert answer.body["error"]


@pytest.mark.parametrize(
    ("path", "status"), [("/api/health/live", 200), ("/api/health/ready", 503), ("/api/version", 200)]
)
def test_the_other_endpoints_that_need_no_database(path: str, status: int) -> None:
    assert api().answer(path).status == status


@pytest.mark.parametrize("path", ["/api/courses", "/api/users/count", "/api/debug/diagnostics/verify-integrity"])
def test_what_needs_the_database_is_500_in_the_shape_of_errors(path: str) -> None:
    answer = api().answer(path)
    assert answer.status == 500
    assert set(answer.body) == {"errorId", "statusCode", "timestamp", "path", "message", "suggestion"}
    assert answer.body["statusCode"] == 500
    assert answer.body["path"] == path


def test_an_unknown_path_is_404() -> None:
    assert api().answer("/health").status == 404


def test_the_password_of_the_database_is_in_no_answer(capfd: pytest.CaptureFixture[str]) -> None:
    answers = [api(shape).answer(path) for shape in "AB" for path in api(shape).routes]
    assert SECRET not in repr(answers)
    assert SECRET not in "".join(capfd.readouterr())


def test_three_calls_a_second_then_wait() -> None:
    clock = Clock()
    limiter = RateLimiter(clock=clock)
    assert [limiter.seconds_to_wait("a") for _turn in range(3)] == [0, 0, 0]
    assert limiter.seconds_to_wait("a") == pytest.approx(1.0)
    assert limiter.seconds_to_wait("b") == 0
    clock.now += 1.01
    assert limiter.seconds_to_wait("a") == 0


@pytest.mark.parametrize(("pace", "accepted", "longest_wait"), [(0.4, 20, 10), (0.55, 100, 60)])
def test_the_longer_windows(pace: float, accepted: int, longest_wait: float) -> None:
    clock = Clock()
    limiter = RateLimiter(clock=clock)
    calls = 0
    while (wait := limiter.seconds_to_wait("a")) == 0:
        calls += 1
        clock.now += pace
    assert calls == accepted
    assert wait == pytest.approx(longest_wait - accepted * pace)
