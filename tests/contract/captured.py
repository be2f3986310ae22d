# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real Dokploy was asked and answered, and a state folder for the double as that server was at the time."""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from lab import processes
from lab.dokploy import keys, users
from lab.dokploy.columns import columns_of
from lab.dokploy.model import Model
from lab.dokploy.server import Double
from tests.contract import conditions_operations, conditions_services, conditions_users

CAPTURES = Path(__file__).parent / "captures"
EXCEPTIONS = tomllib.loads((CAPTURES / "not_modelled.toml").read_text(encoding="utf-8"))
NOT_MODELLED = {name: group["reason"] for group in EXCEPTIONS.get("not_modelled", []) for name in group["captures"]}
LEFT_OUT = {group["capture"]: set(group["keys"]) for group in EXCEPTIONS["left_out"]}
ALL = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in CAPTURES.glob("*.json")}

ORGANIZATION = "KuiAFcKm8aJyfobhBVgOw"
PROJECT = "PwbKs6QdfqCSPs6fOtLV5"
API = "iKGxALnfjMm3lPX3CDY-e"
WEB = "HP548PjminvS82pxuGAbU"
REPOSITORY = "http://127.0.0.1:8418/shop.git"
STANDS_FOR_A_TASK = ("sleep", "600")
OUTLASTS_THE_TEST = 3600.0

AGES = {"1 second ago": 1, "about a minute ago": 80, "About a minute ago": 80}


def body_of(name: str) -> Any:
    return ALL[name]["response"]["body"]


class Condition:
    """A state folder in which the double finds what the real server had when a capture was taken."""

    def __init__(self, state: Path, name: str) -> None:
        self.state = state
        self.name = name
        self.capture = ALL[name]
        self.model = Model(state)
        self.tables = self.model.tables
        self._objects()
        self._history()
        self._services()
        self._particulars()
        self.environment = conditions_operations.prepare(name, state, self.tables, ALL)
        conditions_users.prepare(name, self.model, ALL)
        conditions_services.prepare(name, state, self.tables, ALL)
        self.key = self._key()
        self.cookie = self._cookie()
        with self.model.change():
            pass

    def _objects(self) -> None:
        self.tables["projects"][PROJECT] = dict(body_of("10-project.create")["project"])
        for row in body_of("10-project.create")["environment"], body_of("10-environment.create"):
            self.tables["environments"][row["environmentId"]] = dict(row)
        registry = body_of("40-registry.create")
        self.tables["registries"][registry["registryId"]] = dict(registry)
        for row in body_of("32-application.one-after-failure"), body_of("62-application.one"):
            self.tables["applications"][row["applicationId"]] = columns_of(row)
        # What an application was called, and how it stood, in lists taken later.
        for listed in body_of("60-environment.byProjectId")[0]["applications"]:
            known = {key: listed[key] for key in ("name", "description", "applicationStatus")}
            self.tables["applications"][listed["applicationId"]].update(known)

    def _history(self) -> None:
        """The records that the answer shows; a rollback that a request names is taken from another capture."""
        for name in "54-rollback.delete", self.name:
            for row in _walk(body_of(name)):
                self._remember(row)
        if self.name == "c2-readLogs-tail-invalid":
            return
        wanted = {**(self.capture["request"]["query"] or {}), **_fields(self.capture)}
        if "unknown" in self.name:
            wanted = {}
        if deployment_id := wanted.get("deploymentId"):
            self._record(deployment_id, log=body_of(self.name) if "readLogs" in self.name else "")
        if rollback_id := wanted.get("rollbackId"):
            self.tables["rollbacks"].setdefault(
                rollback_id, {**body_of("54-rollback.delete"), "rollbackId": rollback_id}
            )
        if self.name != "54-rollback.delete":
            self.tables["deployments"].pop(body_of("54-rollback.delete")["deploymentId"])

    def _remember(self, row: dict[str, Any]) -> None:
        if "replicas" in row and "deployments" in row and "applicationId" in row:
            self.tables["applications"][row["applicationId"]] = columns_of(row)
        if "rollbackId" in row and "fullContext" in row:
            self.tables["rollbacks"][row["rollbackId"]] = {k: v for k, v in row.items() if k != "deployment"}
        if "logPath" in row and "title" in row:
            related = ("application", "compose", "server", "buildServer", "rollback")
            self.tables["deployments"][row["deploymentId"]] = {k: v for k, v in row.items() if k not in related}
        if "postgresId" in row and "databaseName" in row:
            computed = ("environment", "server")
            self.tables["postgres"][row["postgresId"]] = {k: v for k, v in row.items() if k not in computed}

    def _record(self, deployment_id: str, log: Any) -> None:
        template = body_of("14-deployment.all-done")[0]
        row = {**template, "deploymentId": deployment_id}
        self.tables["deployments"].setdefault(deployment_id, row)
        self.tables["logs"][deployment_id] = log if isinstance(log, str) else ""

    def _services(self) -> None:
        """Of each application, with no task running; the lists of tasks bring their own."""
        if "never-deployed" in self.name:
            return
        for row in self.tables["applications"].values():
            self._service(row["appName"], replicas=0)

    def _service(self, name: str, replicas: int) -> None:
        spec = {"image": "127.0.0.1:5000/lab/api:v2", "env": "APP_SECRET=<ENV_SECRET>\nAPP_MODE=lab", "command": None}
        self.tables["services"][name] = {"spec": spec, "replicas": replicas}

    def _particulars(self) -> None:
        if self.name.startswith("64-docker.getService") and body_of(self.name):
            for row in reversed(body_of(self.name)):
                self._task(row["containerId"], row["state"], *row["currentState"].split(" ", 1), row["error"])
        if self.name == "64-docker.getContainersByAppNameMatch":
            for row in reversed(body_of(self.name)):
                state, desired = ("Running", "running") if row["state"] == "running" else ("Shutdown", "shutdown")
                age = row["status"].removeprefix("Up ").partition(") ")[2] or row["status"].removeprefix("Up ") + " ago"
                self._task(row["name"].rpartition(".")[2], desired, state, age, "", row["containerId"])
        if self.name == "64-docker.getConfig":
            body = body_of(self.name)
            task_id = body["Name"].rpartition(".")[2]
            self._task(task_id, "running", "Running", "6 seconds ago", "", body["Id"])
            self.tables["tasks"][task_id]["image_id"] = body["Image"]
        if self.name.startswith("90-schedule.runManually"):
            self._task("t" * 25, "running", "Running", "6 seconds ago", "")
        if self.name.startswith("66-webhook"):
            self.tables["applications"][API]["refreshToken"] = "<REFRESH_TOKEN>"
        if self.name.startswith("11-") and "duplicate" not in self.name:
            self.tables["applications"].clear()
        if self.name == "a3-member-access-application.search":
            self.tables["applications"][API]["description"] = "x"
        commit = {"sha": "0" * 40, "message": "m", "version": "v1", "build_seconds": OUTLASTS_THE_TEST}
        self.tables["repositories"][REPOSITORY] = {"main": [commit]}

    def _task(self, task_id: str, desired: str, state: str, age: str, error: str, container: str | None = None) -> None:
        name = self.tables["applications"][API]["appName"]
        self._service(name, replicas=1)
        seconds = AGES.get(age) or int(age.split()[0])
        current = desired in ("running", "ready")
        row = {
            "service": name,
            "slot": 1,
            "version": 1 if current else 0,
            "spec": self.tables["services"][name]["spec"],
            "desired": desired,
            "state": state,
            "error": error,
            "since": time.time() - seconds,
            "start_at": time.time() + 600,
            "pid": 1,
            "exit_code": None if state == "Running" else 137,
            "id": task_id,
            "container_id": (container or task_id).ljust(64, "0"),
        }
        if state == "Running":
            row["pid"] = processes.spawn(self.state, f"api.{task_id}", STANDS_FOR_A_TASK, {}, self.state / "task.log")
        self.tables["tasks"][task_id] = row

    def _key(self) -> str | None:
        if "noauth" in self.name or self.name == "07-auth-none":
            return None
        if self.name == "07-auth-invalid":
            return "invalid"
        if "Cookie" in self.capture["request"]["headers"]:
            return None
        if self.name.startswith(("a1-", "a3-")):
            services = [API] if self.name.startswith("a3-") else []
            return keys.add(self.tables["keys"], organization_id=ORGANIZATION, role="member", services=services)
        limits: dict[str, int] = {}
        if self.name.startswith("06-ratelimit"):
            limits = {"limit": 10}
        elif self.name.startswith("06-rl5s"):
            limits = {"limit": 4, "window_ms": 50 if "after-window" in self.name else 5000}
        organization = "SjQ-PUgZLoO3Cqt3tGYo1" if self.name.startswith("a5-otherorg") else ORGANIZATION
        return conditions_users.admins_key(self.model, ALL, organization, **limits)

    def _cookie(self) -> str:
        """Of a session that began before."""
        if "Cookie" not in self.capture["request"]["headers"]:
            return ""
        signed = users.sign_in(self.model, ALL["02-signin"]["request"]["body"])
        return f"{users.COOKIE}={signed.token}"

    def bring_about(self, double: Double) -> None:
        """What must have happened through the running server."""
        self._run_again(double)
        calls = {"06-ratelimit-exhausted-is-401": 5, "06-rl5s-2": 2, "06-rl5s-3": 2, "06-rl5s-after-window": 2}
        for _turn in range(calls.get(self.name, 0)):
            assert send(double, "GET", "/api/settings.getDokployVersion", {"x-api-key": str(self.key)})[0].status == 200
        if self.name == "06-rl5s-after-window":
            time.sleep(0.06)
        if self.name == "34-deployment.queueList-busy":
            jobs = [job["data"] for job in reversed(body_of(self.name))]
            for job in jobs:
                double.queue.add(job["applicationId"], job["titleLog"], job["descriptionLog"], job["type"])
            deadline = time.monotonic() + 5
            while double.queue.jobs()[-1].started_ms is None:
                assert time.monotonic() < deadline, "the first job never became active"
                time.sleep(0.01)

    def _run_again(self, double: Double) -> None:
        """A start of the server cancels what ran."""
        with double.model.change():
            for table, status in ("deployments", "status"), ("applications", "applicationStatus"):
                for row_id, row in self.tables[table].items():
                    double.model.tables[table][row_id][status] = row[status]


def _walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for name, inner in value.items():
            if name != "fullContext":
                yield from _walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner)


def _fields(capture: dict[str, Any]) -> dict[str, Any]:
    body = capture["request"]["body"]
    return body if isinstance(body, dict) else {}


def send(
    double: Double, method: str, path: str, headers: dict[str, str], body: str | None = None
) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection("127.0.0.1", urlsplit(double.url).port or 0, timeout=20)
    try:
        connection.putrequest(method, path)
        for name, value in headers.items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body.encode())))
        connection.endheaders(None if body is None else body.encode())
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def replay(condition: Condition, double: Double) -> tuple[HTTPResponse, bytes]:
    request = condition.capture["request"]
    headers = dict(request["headers"])
    if "x-api-key" in headers:
        headers["x-api-key"] = str(condition.key)
    if "Cookie" in headers:
        headers["Cookie"] = condition.cookie
    if "Authorization" in headers:
        headers["Authorization"] = f"Bearer {condition.key}"
    path = quote(request["path"]) + (f"?{urlencode(request['query'])}" if request["query"] else "")
    body = request["body"]
    text = None if body is None else body["<raw>"] if isinstance(body, dict) and "<raw>" in body else json.dumps(body)
    return send(double, request["method"], path, headers, text)
