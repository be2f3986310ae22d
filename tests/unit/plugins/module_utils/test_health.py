# SPDX-License-Identifier: GPL-3.0-or-later
"""Judging and polling, without a network and without waiting."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._health import (
    MAX_ATTEMPTS_RETURNED,
    Condition,
    Expectation,
    Probe,
    parse_path,
    probe_from,
    run_probe,
    values_at,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._http import TransportError

from tests.unit.plugins.scripted import Call, FakeClock, ScriptedTransport, answer, refused

INTEGRITY = {
    "database": {"status": "OK", "latency": 3},
    "storage": {"status": "WARN"},
    "integrity": {"status": "FAIL", "errors": ["orphans"]},
    "metrics": {"users": 0},
    "timestamp": "2026-11-22T02:00:00Z",
}


# --- paths


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("status", ["status"]),
        ("$.checks.database.status", ["checks", "database", "status"]),
        ("items[0].id", ["items", 0, "id"]),
        ("[1]", [1]),
        ("*.status", ["*", "status"]),
        ("items[*].a-b", ["items", "*", "a-b"]),
        ("$", []),
    ],
)
def test_paths(path: str, steps: list[str | int]) -> None:
    assert parse_path(path) == steps


@pytest.mark.parametrize("path", ["a[", "a[x]", "a..b", "a]"])
def test_paths_that_cannot_be_read(path: str) -> None:
    with pytest.raises(PlatformError, match="cannot be read at character"):
        parse_path(path)


def test_values_of_branches_that_end_early_are_left_out() -> None:
    assert values_at(INTEGRITY, "*.status") == ["OK", "WARN", "FAIL"]
    assert values_at({"items": [{"id": 1}, {"id": 2}]}, "items[*].id") == [1, 2]
    assert values_at({"items": [1]}, "items[3]") == []
    assert values_at({"a": None}, "a") == [None]


# --- conditions


@pytest.mark.parametrize(
    ("tests", "value", "accepted"),
    [
        ({"equals": "ok"}, "ok", True),
        ({"equals": "ok"}, "OK", False),
        ({"equals": "5"}, 5, True),
        ({"equals": "true"}, True, True),
        ({"equals": 1}, True, False),
        ({"equals": True}, 1, False),
        ({"not_equals": "FAIL"}, "OK", True),
        ({"in": ["ok", None]}, None, True),
        ({"in": ["ok", "healthy"]}, "degraded", False),
        ({"not_in": ["FAIL"]}, "FAIL", False),
        ({"matches": "^1\\.4"}, "1.4.2", True),
        ({"matches": "down"}, {"db": "down"}, True),
        ({"gte": 1.0}, 0, False),
        ({"gte": 1.0}, 1, True),
        ({"gte": 1.0}, "5", False),
        ({"gte": 0.0}, True, False),
        ({"lte": 5.0}, 5.5, False),
        ({"gte": 1.0, "lte": 5.0}, 3, True),
        ({"gte": 1.0, "lte": 5.0}, 6, False),
    ],
)
def test_operators(tests: dict[str, Any], value: object, accepted: bool) -> None:
    assert Condition("x", tests).accepts(value) is accepted


def test_a_condition_must_test_something() -> None:
    with pytest.raises(PlatformError, match=r"condition on 'status' tests nothing.*equals"):
        Condition.from_option({"path": "status", "equals": None})


def test_a_bad_regular_expression_is_found_before_anything_is_asked() -> None:
    with pytest.raises(PlatformError, match="not a regular expression"):
        Condition.from_option({"path": "status", "matches": "("})


def objection(body: object, answered: int = 200, **expect: Any) -> str | None:
    return Expectation.from_option(expect).objection(answer(body, answered))


def test_status_alone() -> None:
    assert objection(b"static healthy") is None
    assert objection(None, 503) == "status 503 instead of 200"
    assert objection(None, 204, status=[200, 204]) is None


def test_a_redirect_says_where_to() -> None:
    response = answer(None, 308, headers={"location": "https://api.test/health?token=hidden"})
    assert Expectation().objection(response) == (
        "status 308 instead of 200 to https://api.test/health: name that address in url or path"
    )


def test_a_body_that_is_not_json_cannot_be_judged() -> None:
    assert "not JSON" in str(objection(b"healthy", none=[{"path": "status", "equals": "down"}]))


def test_ok_with_a_failure_inside_does_not_pass() -> None:
    told = objection(INTEGRITY, none=[{"path": "*.status", "equals": "FAIL"}])
    assert told == "true in the body: *.status equals FAIL (found OK, WARN, FAIL)"


def test_all_must_hold_for_each_value() -> None:
    assert objection(INTEGRITY, all=[{"path": "*.status", "in": ["OK", "WARN", "FAIL"]}]) is None
    assert "not true in the body" in str(objection(INTEGRITY, all=[{"path": "*.status", "equals": "OK"}]))


def test_any_needs_one() -> None:
    assert objection({"status": "healthy"}, any=[{"path": "status", "in": ["ok", "healthy"]}]) is None
    assert "none is true" in str(objection({"status": "degraded"}, any=[{"path": "status", "in": ["ok", "healthy"]}]))
    assert "none is true" in str(objection({}, any=[{"path": "status", "equals": "ok"}]))


@pytest.mark.parametrize("group", ["all", "none"])
def test_what_is_not_there_cannot_be_judged(group: str) -> None:
    told = objection({}, **{group: [{"path": "database.status", "equals": "FAIL"}]})
    assert "nothing at database.status" in str(told)


def test_exists_judges_absence_itself() -> None:
    assert objection({}, none=[{"path": "error", "exists": True}]) is None
    assert objection({}, all=[{"path": "error", "exists": False}]) is None
    assert objection({"error": None}, all=[{"path": "error", "exists": True}]) is None
    assert objection({"error": "x"}, none=[{"path": "error", "exists": True}]) is not None
    assert objection({}, all=[{"path": "id", "exists": True}]) is not None


def test_version_and_commit() -> None:
    body = {"version": "1.4.0", "build": {"sha": "3f2c1ab9d0e1f2a3b4c5d6e7f8a9b0c1d2e3f4a5"}}
    assert objection(body, version="1.4.0", commit="3F2C1AB", commit_path="build.sha") is None
    assert objection(body, version="1.4") == "serves version 1.4.0 instead of 1.4"
    assert "instead of 3f2c1a" in str(objection(body, commit="3f2c1a", commit_path="build.sha"))
    assert objection({}, version="1.4.0") == "serves version unknown (nothing at version) instead of 1.4.0"


def test_an_objection_shows_no_secret() -> None:
    told = objection({"token": "s3cr3t"}, all=[{"path": "token", "equals": "other"}])
    assert "s3cr3t" not in str(told)


# --- polling


def run(clock: FakeClock, *calls: Call, **options: Any) -> dict[str, Any]:
    transport = ScriptedTransport(clock, *calls)
    settings: dict[str, Any] = {"url": "http://127.0.0.1:3001", "paths": ("/health",), "timeout": 30.0, **options}
    try:
        return run_probe(Probe(**settings), transport, clock)
    finally:
        transport.assert_all_made()


def ok(**options: Any) -> Call:
    return Call("GET", "/health", answer({"status": "ok"}, **options))


def test_survives_all_that_can_happen_to_a_starting_api() -> None:
    clock = FakeClock()
    result = run(
        clock,
        Call("GET", "/health", refused()),
        Call("GET", "/health", TransportError("reset", "The connection was closed.")),
        Call("GET", "/health", TransportError("tls", "The certificate is not trusted.")),
        Call("GET", "/health", TransportError("timeout", "No answer in time.")),
        Call("GET", "/health", answer(b"<html>starting", 502)),
        ok(),
        expectation=Expectation.from_option({"all": [{"path": "status", "equals": "ok"}]}),
    )
    assert result["healthy"]
    assert [attempt["status"] for attempt in result["attempts"]] == [None, None, None, None, 502, 200]
    assert result["attempts"][0] == {
        "at": "2026-11-22T02:00:00Z",
        "status": None,
        "latency_ms": None,
        "reason": "Connection refused by http://127.0.0.1:3001.",
    }
    assert clock.sleeps == [1.0] * 5
    assert (result["reason"], result["body"], result["changed"]) == ("passed", {"status": "ok"}, False)


def test_passes_must_be_in_a_row() -> None:
    result = run(FakeClock(), ok(), ok(), Call("GET", "/health", answer({}, 500)), ok(), ok(), ok(), consecutive=3)
    assert (result["passes"], result["attempts_total"]) == (3, 6)


def test_429_neither_counts_nor_starts_again() -> None:
    clock = FakeClock()
    limited = Call("GET", "/health", answer(None, 429, headers={"retry-after": "4"}))
    result = run(clock, ok(), limited, ok(), consecutive=2)
    assert result["passes"] == 2
    assert clock.sleeps == [1.0, 4.0]
    assert "429" in result["attempts"][1]["reason"]


def test_only_429s_are_no_pass() -> None:
    limited = Call("GET", "/health", answer(None, 429, headers={"retry-after": "Sun, 22 Nov 2026 02:00:20 GMT"}))
    with pytest.raises(PlatformError, match="it lives, but that is no pass"):
        run(FakeClock(), limited, limited, timeout=20.0)


def test_a_wait_that_would_outlast_the_timeout_is_not_begun() -> None:
    clock = FakeClock()
    limited = Call("GET", "/health", answer(None, 429, headers={"retry-after": "50"}))
    with pytest.raises(PlatformError):
        run(clock, limited, timeout=25.0)
    assert clock.sleeps == []


def test_the_last_sleep_and_request_are_clipped_to_the_deadline() -> None:
    clock = FakeClock()
    slow = Call("GET", "/health", TransportError("timeout", "No answer in time."), takes=2.0)
    transport = ScriptedTransport(clock, slow, slow, slow)
    probe = Probe("http://127.0.0.1:3001", ("/health",), timeout=8.0, interval=5.0, request_timeout=2.5)
    with pytest.raises(PlatformError):
        run_probe(probe, transport, clock)
    assert clock.sleeps == [3.0, 1.0]
    assert [request.timeout for request in transport.requests] == [2.5, 2.5, 1.0]


def test_polling_has_a_floor() -> None:
    clock = FakeClock()
    run(clock, ok(), ok(), consecutive=2, interval=0.01)
    assert clock.sleeps == [1.0]


def test_a_timeout_of_zero_is_one_attempt() -> None:
    with pytest.raises(PlatformError, match=r"not healthy within 0 s.*\(1 attempts"):
        run(FakeClock(), Call("GET", "/health", refused()), timeout=0.0)


def test_the_first_path_that_is_not_404_is_used_and_kept_after_a_pass() -> None:
    missing = Call("GET", "/api/health", answer({"message": "Cannot GET"}, 404))
    result = run(FakeClock(), missing, ok(), ok(), paths=("/api/health", "/health"), consecutive=2)
    assert result["path"] == "/health"
    assert result["url"] == "http://127.0.0.1:3001/health"


def test_a_kept_path_that_goes_missing_is_looked_for_again() -> None:
    gone = Call("GET", "/health", answer(None, 404))
    found = Call("GET", "/api/health", answer({"status": "ok"}))
    missing = Call("GET", "/api/health", answer(None, 404))
    result = run(FakeClock(), missing, ok(), gone, found, found, found, paths=("/api/health", "/health"), consecutive=4)
    assert result["path"] == "/api/health"


def test_all_paths_missing() -> None:
    calls = [Call("GET", "/api/health", answer(None, 404)), Call("GET", "/health", answer(None, 404))]
    with pytest.raises(PlatformError, match="status 404 from each of /api/health, /health"):
        run(FakeClock(), *calls, paths=("/api/health", "/health"), timeout=0.0)


def test_absent_is_proved_by_refusals_in_a_row() -> None:
    clock = FakeClock()
    gone = Call("GET", "/health", refused())
    result = run(clock, ok(), gone, ok(), gone, gone, state="absent", consecutive=2, interval=0.1)
    assert (result["absent"], result["healthy"]) == (True, False)
    assert clock.sleeps == [0.2] * 4


@pytest.mark.parametrize("kind", ["timeout", "reset", "dns", "unreachable", "tls"])
def test_what_is_not_a_refusal_proves_no_absence(kind: str) -> None:
    with pytest.raises(PlatformError, match="was not absent"):
        run(FakeClock(), Call("GET", "/health", TransportError(kind, "no")), state="absent", timeout=0.0)


def test_a_429_is_not_absent() -> None:
    with pytest.raises(PlatformError, match="still answers, with status 429"):
        run(FakeClock(), Call("GET", "/health", answer(None, 429)), state="absent", timeout=0.0)


def test_a_proxys_status_is_absent_only_when_said_so() -> None:
    bad_gateway = Call("GET", "/health", answer(b"bad gateway", 502))
    with pytest.raises(PlatformError, match="still answers"):
        run(FakeClock(), bad_gateway, state="absent", timeout=0.0)
    assert run(FakeClock(), bad_gateway, state="absent", absent_status=(502,))["absent"]


def test_a_failure_carries_everything() -> None:
    body = {"status": "error", "DATABASE_URL": "postgresql://u:s3cr3t@h/d", "echo": "my-header-value"}
    call = Call("GET", "/health", answer(body, 503, seconds=0.02))
    with pytest.raises(PlatformError) as caught:
        run(FakeClock(), call, call, timeout=1.0, consecutive=2, headers={"X-Key": "my-header-value"})
    details = caught.value.details
    assert "0 of 2 passes in a row" in caught.value.msg
    assert details["body"] == {"status": "error", "DATABASE_URL": "***", "echo": "***"}
    assert (details["status"], details["attempts_total"], details["latency_p95_ms"]) == (503, 2, 20.0)


def test_attempts_and_body_are_capped() -> None:
    call = Call("GET", "/health", answer(b"x" * 10_000, 500))
    with pytest.raises(PlatformError) as caught:
        run(FakeClock(), *[call] * 61, timeout=60.0)
    details: dict[str, Any] = caught.value.details
    assert (len(details["attempts"]), details["attempts_total"]) == (MAX_ATTEMPTS_RETURNED, 61)
    assert details["attempts"][-1]["at"] == "2026-11-22T02:01:00Z"
    assert len(details["body"]) < 4100


def test_percentiles_are_of_answers_only() -> None:
    calls = [Call("GET", "/health", refused())]
    calls += [Call("GET", "/health", answer({}, seconds=n / 1000)) for n in range(1, 21)]
    result = run(FakeClock(), *calls, consecutive=20)
    assert (result["latency_p50_ms"], result["latency_p95_ms"]) == (10.0, 19.0)


def test_a_timeout_that_can_never_be_met_is_refused() -> None:
    with pytest.raises(PlatformError, match="5 passes in a row take at least 8 s"):
        Probe("http://x", ("/",), consecutive=5, interval=2.0, timeout=5.0)


# --- options


OPTIONS: dict[str, Any] = {
    "url": "http://127.0.0.1:3001/",
    "path": ["/health"],
    "state": "healthy",
    "absent_status": [],
    "expect": None,
    "consecutive": 1,
    "interval": 1.0,
    "timeout": 60.0,
    "request_timeout": 10.0,
    "headers": {},
    "allow_plain_http": False,
}


def test_addresses_are_joined_with_one_slash() -> None:
    probe = probe_from({**OPTIONS, "path": ["health", "/x"]})
    assert [probe.address(path) for path in probe.paths] == ["http://127.0.0.1:3001/health", "http://127.0.0.1:3001/x"]


def test_a_public_plain_http_address_is_probed_but_gets_no_headers() -> None:
    public = {**OPTIONS, "url": "http://vps.test:3001"}
    probe_from(public)
    with pytest.raises(PlatformError, match="the content of headers"):
        probe_from({**public, "headers": {"X-Key": "k"}})
    probe_from({**public, "headers": {"X-Key": "k"}, "allow_plain_http": True})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": []}, "path is empty"),
        ({"consecutive": 0}, "consecutive must be at least 1"),
        ({"state": "absent", "expect": {"status": [200]}}, "expect is for state=healthy"),
        ({"absent_status": [404]}, "only hold 502, 503 and 504"),
        ({"expect": {"version_path": "a["}}, "cannot be read"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(PlatformError, match=message):
        probe_from({**OPTIONS, **options})
