# SPDX-License-Identifier: GPL-3.0-or-later
"""Is it up, is it down, is it right: polling an HTTP endpoint and judging the body, not only the status."""

from __future__ import annotations

import json
import math
import re
import typing as t
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.vedfinance.platform.plugins.module_utils._clock import Clock, utc_text
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._http import (
    HTTP_ARGUMENTS,
    Request,
    Response,
    Transport,
    TransportError,
    checked_base_url,
    refuse_plain_http,
    retry_after_seconds,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._redact import clip, redact, redact_text, shown_url

POLLING_FLOOR = {"healthy": 1.0, "absent": 0.2}
MAX_ATTEMPTS_RETURNED = 50
MAX_BODY_CHARACTERS = 4000
MAX_RETRY_AFTER = 60.0
SHORTEST_REQUEST = 1.0
OPERATORS = ("equals", "not_equals", "in", "not_in", "matches", "exists", "gte", "lte")
SHORTEST_COMMIT = 7


# --- JSON paths -------------------------------------------------------------------------------------------------------

_STEP = re.compile(r"\.?(?:\[(?P<index>\d+|\*)\]|(?P<name>[^.\[\]]+))")


def parse_path(path: str) -> list[str | int]:
    """C(checks.database.status), C(items[0].id), C(*.status), optionally after C($.): the steps from the top."""
    text = path.strip()
    text = text[1:] if text.startswith("$") and text[1:2] in ("", ".", "[") else text
    steps: list[str | int] = []
    position = 0
    while position < len(text):
        match = _STEP.match(text, position)
        if not match:
            raise PlatformError(
                f"The JSON path {path!r} cannot be read at character {position + 1}.",
                "Write it as checks.database.status, items[0].id or *.status.",
            )
        index = match.group("index")
        steps.append(match.group("name") if index is None else "*" if index == "*" else int(index))
        position = match.end()
    return steps


def values_at(document: object, path: str) -> list[object]:
    """Every value that the path leads to; an empty list when it leads nowhere."""
    found = [document]
    for step in parse_path(path):
        found = [value for parent in found for value in _children(parent, step)]
    return found


def _children(parent: object, step: str | int) -> list[object]:
    if isinstance(parent, dict):
        if step == "*":
            return list(parent.values())
        return [parent[str(step)]] if str(step) in parent else []
    if isinstance(parent, list):
        if step == "*":
            return list(parent)
        return [parent[step]] if isinstance(step, int) and step < len(parent) else []
    return []


# --- expectations -----------------------------------------------------------------------------------------------------


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _same(left: object, right: object) -> bool:
    """Equal values; a number or truth value also equals its text, because templates often turn one into the other."""
    if isinstance(left, str) != isinstance(right, str):
        return not isinstance(left, (dict, list)) and _as_text(left).lower() == _as_text(right).lower()
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan


@dataclass(frozen=True)
class Condition:
    path: str
    tests: Mapping[str, t.Any]

    @classmethod
    def from_option(cls, option: Mapping[str, t.Any]) -> Condition:
        tests = {name: option[name] for name in OPERATORS if option.get(name) is not None}
        if not tests:
            raise PlatformError(
                f"The condition on {option['path']!r} tests nothing.", f"Give it one of {', '.join(OPERATORS)}."
            )
        parse_path(option["path"])
        if "matches" in tests:
            try:
                re.compile(tests["matches"])
            except re.error as error:
                raise PlatformError(f"matches {tests['matches']!r} is not a regular expression: {error}.") from None
        return cls(option["path"], tests)

    def accepts(self, value: object) -> bool:
        verdicts: dict[str, t.Callable[[t.Any], bool]] = {
            "equals": lambda wanted: _same(value, wanted),
            "not_equals": lambda wanted: not _same(value, wanted),
            "in": lambda wanted: any(_same(value, item) for item in wanted),
            "not_in": lambda wanted: not any(_same(value, item) for item in wanted),
            "matches": lambda wanted: re.search(wanted, _as_text(value)) is not None,
            "gte": lambda wanted: _number(value) >= wanted,
            "lte": lambda wanted: _number(value) <= wanted,
        }
        return all(verdicts[name](wanted) for name, wanted in self.tests.items() if name != "exists")

    def verdicts(self, document: object) -> list[bool] | None:
        """One verdict for each value at the path; None when there is no value to judge."""
        values = values_at(document, self.path)
        exists = self.tests.get("exists")
        if exists is False:
            return [not values]
        if not values:
            return [False] if exists else None
        return [self.accepts(value) for value in values]

    def __str__(self) -> str:
        return f"{self.path} " + " and ".join(f"{name} {_as_text(wanted)}" for name, wanted in self.tests.items())


@dataclass(frozen=True)
class Expectation:
    """What an answer must be, in order to pass."""

    status: tuple[int, ...] = (200,)
    all_of: tuple[Condition, ...] = ()
    any_of: tuple[Condition, ...] = ()
    none_of: tuple[Condition, ...] = ()
    version: str | None = None
    version_path: str = "version"
    commit: str | None = None
    commit_path: str = "commit"

    @classmethod
    def from_option(cls, option: Mapping[str, t.Any] | None) -> Expectation:
        option = option or {}

        def conditions(name: str) -> tuple[Condition, ...]:
            return tuple(Condition.from_option(item) for item in option.get(name) or ())

        expectation = cls(
            status=tuple(option.get("status") or (200,)),
            all_of=conditions("all"),
            any_of=conditions("any"),
            none_of=conditions("none"),
            version=option.get("version"),
            version_path=option.get("version_path") or "version",
            commit=option.get("commit"),
            commit_path=option.get("commit_path") or "commit",
        )
        parse_path(expectation.version_path)
        parse_path(expectation.commit_path)
        return expectation

    @property
    def reads_body(self) -> bool:
        return bool(self.all_of or self.any_of or self.none_of or self.version or self.commit)

    def objection(self, response: Response) -> str | None:
        """Why the answer does not pass, or None when it does."""
        if response.status not in self.status:
            location = response.headers.get("location")
            towards = f" to {shown_url(location)}: name that address in url or path" if location else ""
            return f"status {response.status} instead of {' or '.join(map(str, self.status))}{towards}"
        if not self.reads_body:
            return None
        try:
            document = response.json()
        except ValueError:
            return "the body is not JSON, so that it cannot be judged"
        return self._objection_to(document)

    def _objection_to(self, document: object) -> str | None:
        for condition in self.all_of:
            verdicts = condition.verdicts(document)
            if verdicts is None:
                return f"the body has nothing at {condition.path}"
            if not all(verdicts):
                return f"not true in the body: {condition}{_seen(document, condition.path)}"
        for condition in self.none_of:
            verdicts = condition.verdicts(document)
            if verdicts is None:
                return f"the body has nothing at {condition.path}, so that it cannot be excluded"
            if any(verdicts):
                return f"true in the body: {condition}{_seen(document, condition.path)}"
        if self.any_of and not any(any(condition.verdicts(document) or ()) for condition in self.any_of):
            return f"none is true in the body: {'; '.join(map(str, self.any_of))}"
        return self._wrong_release(document)

    def _wrong_release(self, document: object) -> str | None:
        if self.version is not None:
            served = values_at(document, self.version_path)
            if not any(_same(value, self.version) for value in served):
                return f"serves version {_served(served, self.version_path)} instead of {self.version}"
        if self.commit is not None:
            served = values_at(document, self.commit_path)
            if not any(_same_commit(str(value), self.commit) for value in served):
                return f"serves commit {_served(served, self.commit_path)} instead of {self.commit}"
        return None


def _same_commit(served: str, wanted: str) -> bool:
    """The same commit, also when one of the two is abbreviated."""
    shorter, longer = sorted((served.lower(), wanted.lower()), key=len)
    return served.lower() == wanted.lower() or (len(shorter) >= SHORTEST_COMMIT and longer.startswith(shorter))


def _served(values: Sequence[object], path: str) -> str:
    return clip(redact_text(_as_text(values[0])), 80) if values else f"unknown (nothing at {path})"


def _seen(document: object, path: str) -> str:
    name = str(([step for step in parse_path(path) if step != "*"] or ["value"])[-1])
    seen = [_as_text(t.cast("dict[str, object]", redact({name: value}))[name]) for value in values_at(document, path)]
    return f" (found {clip(', '.join(seen), 120)})" if seen else ""


# --- polling ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Attempt:
    at: str
    status: int | None
    latency_ms: float | None
    reason: str

    def to_result(self) -> dict[str, object]:
        return {"at": self.at, "status": self.status, "latency_ms": self.latency_ms, "reason": self.reason}


@dataclass(frozen=True)
class Probe:
    """What to ask, how often, and when to stop."""

    url: str
    paths: tuple[str, ...]
    state: str = "healthy"
    expectation: Expectation = field(default_factory=Expectation)
    absent_status: tuple[int, ...] = ()
    consecutive: int = 1
    interval: float = 1.0
    timeout: float = 60.0
    request_timeout: float = 10.0
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shortest = (self.consecutive - 1) * max(self.interval, POLLING_FLOOR[self.state])
        if shortest > self.timeout:
            raise PlatformError(
                f"{self.consecutive} passes in a row take at least {shortest:g} s, more than the timeout of "
                f"{self.timeout:g} s.",
                "Raise timeout, or lower consecutive or interval.",
            )

    def address(self, path: str) -> str:
        return f"{self.url}/{path.lstrip('/')}" if path else self.url


@dataclass
class Report:
    """All that was seen; complete also when the wait was in vain."""

    reached: bool = False
    passes: int = 0
    path: str | None = None
    attempts_total: int = 0
    attempts: deque[Attempt] = field(default_factory=lambda: deque(maxlen=MAX_ATTEMPTS_RETURNED))
    latencies: list[float] = field(default_factory=list)
    last_response: Response | None = None
    seconds: float = 0.0

    @property
    def reason(self) -> str:
        return self.attempts[-1].reason if self.attempts else "nothing was asked"

    def percentile(self, fraction: float) -> float | None:
        """Nearest rank, over the attempts that got an answer."""
        ordered = sorted(self.latencies)
        return ordered[max(0, math.ceil(fraction * len(ordered)) - 1)] if ordered else None

    def body(self, secrets: Sequence[str] = ()) -> object:
        """The last body, redacted and clipped: JSON as it is when it is small enough, else text."""
        if self.last_response is None:
            return None
        try:
            document = redact(self.last_response.json(), secrets)
        except ValueError:
            return clip(redact_text(self.last_response.text, secrets), MAX_BODY_CHARACTERS)
        text = json.dumps(document)
        return document if len(text) <= MAX_BODY_CHARACTERS else clip(text, MAX_BODY_CHARACTERS)


class Prober:
    """Polls until the wanted state was seen N times in a row, or the time is over."""

    def __init__(self, probe: Probe, transport: Transport, clock: Clock) -> None:
        self._probe = probe
        self._transport = transport
        self._clock = clock
        self._paths = probe.paths
        self._report = Report()

    def run(self) -> Report:
        probe, report = self._probe, self._report
        interval = max(probe.interval, POLLING_FLOOR[probe.state])
        started = self._clock.monotonic()
        deadline = started + probe.timeout
        while True:
            asked_at = self._clock.monotonic()
            passed, pause = self._attempt(max(SHORTEST_REQUEST, deadline - asked_at))
            if passed is not None:
                report.passes = report.passes + 1 if passed else 0
            now = self._clock.monotonic()
            report.seconds = now - started
            report.reached = report.passes >= probe.consecutive
            if report.reached or now >= deadline or now + pause > deadline:
                return report
            next_at = min(deadline, max(asked_at + interval, now + pause))
            self._clock.sleep(max(0.0, next_at - now))

    def _attempt(self, remaining: float) -> tuple[bool | None, float]:
        """Ask once: whether it passed (None: neither passed nor failed), and the pause that the server wants."""
        at = utc_text(self._clock.now())
        response: Response | None = None
        try:
            response = self._ask(min(self._probe.request_timeout, remaining))
        except TransportError as error:
            passed: bool | None = self._probe.state == "absent" and error.kind == "refused"
            reason = error.msg
        else:
            self._report.last_response = response
            passed, reason = self._judge(response)
        latency = None if response is None else round(response.seconds * 1000, 1)
        if latency is not None:
            self._report.latencies.append(latency)
        self._report.attempts_total += 1
        self._report.attempts.append(Attempt(at, response.status if response else None, latency, reason))
        return passed, self._wanted_pause(response)

    def _ask(self, timeout: float) -> Response:
        """The answer of the first path that is not 404; the path that passed before is asked first."""
        for path in self._paths:
            request = Request("GET", self._probe.address(path), headers=self._probe.headers, timeout=timeout)
            response = self._transport.send(request)
            self._report.path = path
            if response.status != 404 or path == self._paths[-1]:
                return response
        raise AssertionError("a probe has at least one path")

    def _judge(self, response: Response) -> tuple[bool | None, str]:
        if self._probe.state == "absent":
            if response.status in self._probe.absent_status:
                return True, f"a proxy answers {response.status} in its place"
            return False, f"still answers, with status {response.status}"
        if response.status == 429 and 429 not in self._probe.expectation.status:
            return None, "rate limited (429): it lives, but that is no pass"
        objection = self._probe.expectation.objection(response)
        if objection is None:
            path = self._report.path or ""
            self._paths = (path, *(other for other in self._probe.paths if other != path))
            return True, "passed"
        if response.status == 404 and len(self._probe.paths) > 1:
            return False, f"status 404 from each of {', '.join(self._probe.paths)}"
        return False, objection

    def _wanted_pause(self, response: Response | None) -> float:
        if response is None or response.status not in (429, 503):
            return 0.0
        asked = retry_after_seconds(response.headers.get("retry-after"), self._clock.now())
        return min(MAX_RETRY_AFTER, asked or 0.0)


# --- the module -------------------------------------------------------------------------------------------------------

_CONDITION_ARGUMENTS: dict[str, object] = {
    "path": {"type": "str", "required": True},
    "equals": {"type": "raw"},
    "not_equals": {"type": "raw"},
    "in": {"type": "list", "elements": "raw"},
    "not_in": {"type": "list", "elements": "raw"},
    "matches": {"type": "str"},
    "exists": {"type": "bool"},
    "gte": {"type": "float"},
    "lte": {"type": "float"},
}
_CONDITIONS: dict[str, object] = {"type": "list", "elements": "dict", "options": _CONDITION_ARGUMENTS}

EXPECT_ARGUMENT: dict[str, object] = {
    "type": "dict",
    "options": {
        "status": {"type": "list", "elements": "int", "default": [200]},
        "all": _CONDITIONS,
        "any": _CONDITIONS,
        "none": _CONDITIONS,
        "version": {"type": "str"},
        "version_path": {"type": "str", "default": "version"},
        "commit": {"type": "str"},
        "commit_path": {"type": "str", "default": "commit"},
    },
}

HEALTH_ARGUMENTS: dict[str, dict[str, object]] = {
    **HTTP_ARGUMENTS,
    "url": {"type": "str", "required": True},
    "path": {"type": "list", "elements": "str", "default": ["/api/health"]},
    "state": {"type": "str", "choices": ["healthy", "absent"], "default": "healthy"},
    "absent_status": {"type": "list", "elements": "int", "default": []},
    "expect": EXPECT_ARGUMENT,
    "consecutive": {"type": "int", "default": 1},
    "interval": {"type": "float", "default": 1.0},
    "timeout": {"type": "float", "default": 60.0},
    "headers": {"type": "dict", "default": {}, "no_log": True},
}


def probe_from(params: Mapping[str, t.Any]) -> Probe:
    url = checked_base_url(params["url"], "url")
    if params["headers"]:
        refuse_plain_http(url, "url", "the content of headers", params["allow_plain_http"])
    if not params["path"]:
        raise PlatformError("path is empty.", "Name at least one path, such as /api/health.")
    if params["consecutive"] < 1:
        raise PlatformError("consecutive must be at least 1.", "A check that asks for nothing proves nothing.")
    if params["state"] == "absent" and params["expect"]:
        raise PlatformError("expect is for state=healthy.", "Leave it out with state=absent.")
    if not set(params["absent_status"]) <= {502, 503, 504}:
        raise PlatformError(
            "absent_status may only hold 502, 503 and 504.", "Any other answer comes from something alive."
        )
    return Probe(
        url=url,
        paths=tuple(params["path"]),
        state=params["state"],
        expectation=Expectation.from_option(params["expect"]),
        absent_status=tuple(params["absent_status"]),
        consecutive=params["consecutive"],
        interval=params["interval"],
        timeout=params["timeout"],
        request_timeout=params["request_timeout"],
        headers={str(name): str(value) for name, value in params["headers"].items()},
    )


def run_probe(probe: Probe, transport: Transport, clock: Clock) -> dict[str, object]:
    """The result of M(vedfinance.platform.api_health), or an error that carries it when the state was not reached."""
    report = Prober(probe, transport, clock).run()
    result: dict[str, object] = {
        "changed": False,
        "healthy": report.reached and probe.state == "healthy",
        "absent": report.reached and probe.state == "absent",
        "url": shown_url(probe.address(report.path or probe.paths[0])),
        "path": report.path,
        "status": report.attempts[-1].status,
        "reason": report.reason,
        "passes": report.passes,
        "attempts_total": report.attempts_total,
        "attempts": [attempt.to_result() for attempt in report.attempts],
        "latency_p50_ms": report.percentile(0.50),
        "latency_p95_ms": report.percentile(0.95),
        "seconds": round(report.seconds, 1),
        "body": report.body(tuple(probe.headers.values())),
    }
    if report.reached:
        return result
    seen = f"{report.passes} of {probe.consecutive} passes in a row" if probe.consecutive > 1 else "no pass"
    raise PlatformError(
        f"{result['url']} was not {probe.state} within {probe.timeout:g} s: {report.reason.rstrip('.')} "
        f"({report.attempts_total} attempts, {seen} at the end).",
        _ADVICE[probe.state],
        **result,
    )


_ADVICE = {
    "healthy": "The attempts and the last body are in the result. Look at the API's log, or raise "
    "timeout if it only needs longer.",
    "absent": "Something still serves at this address. Find what holds the port, and stop it before you go on.",
}
