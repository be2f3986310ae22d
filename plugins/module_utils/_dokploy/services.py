# SPDX-License-Identifier: GPL-3.0-or-later
"""Stopping a service so that nothing starts it again, and starting it with as many replicas as it had.

C(application.stop) alone is undone by the next deploy, redeploy, reload or webhook, since each re-applies the stored
number of replicas. So the stored number becomes 0, and a marker in the description, which the dashboard shows, keeps
the old one.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.client import (
    DokployClient,
    NotPermitted,
    UnknownProcedure,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.deployments import builds_of, deployments_of
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import (
    Application,
    ApplicationQuery,
    find_application,
    read_application,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._http import Clock, clip, redact_text, utc_text

POLL_SECONDS = 0.5
ENDED_STATES = frozenset({"complete", "shutdown", "failed", "rejected", "remove", "orphaned"})
UNVERIFIED = (
    "The tasks of {app_name} may not be read with this API key (Docker: read), so nothing proves that it is {state}. "
    "Prove it with vedfinance.platform.api_health, state={proof}."
)


# --- the marker -------------------------------------------------------------------------------------------------------

_MARKER = re.compile(r"\s*\[stopped by vedfinance\.platform at (?P<at>\S+), replicas before: (?P<replicas>\d+)\]")


def remembered_replicas(description: str | None) -> int | None:
    match = _MARKER.search(description or "")
    return int(match.group("replicas")) if match else None


def with_marker(description: str | None, replicas: int, now: datetime) -> str:
    marker = f"[stopped by vedfinance.platform at {utc_text(now)}, replicas before: {replicas}]"
    return f"{without_marker(description) or ''} {marker}".strip()


def without_marker(description: str | None) -> str | None:
    return _MARKER.sub("", description or "").strip() or None


# --- tasks ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """A swarm task. C(desired) is what swarm wants of it, C(state) what it is."""

    id: str
    name: str
    desired: str
    state: str
    since: str
    error: str

    @classmethod
    def from_row(cls, row: Mapping[str, t.Any]) -> Task:
        current = str(row.get("currentState") or "")
        return cls(
            id=str(row.get("containerId")),
            name=str(row.get("name")),
            desired=str(row.get("state") or "").lower(),
            state=(current.split() or ["unknown"])[0].lower(),
            since=current,
            error=clip(redact_text(str(row.get("error") or "").strip('"')), 200),
        )

    @property
    def alive(self) -> bool:
        """Whether it runs or may yet run; a state that is not known counts as alive."""
        return self.state not in ENDED_STATES

    @property
    def wanted(self) -> bool:
        return self.alive and self.desired != "shutdown"

    @property
    def failed(self) -> bool:
        """Ended by itself; a task that swarm shut down did not."""
        return not self.alive and (self.state != "shutdown" or bool(self.error))

    def to_result(self) -> dict[str, object]:
        return dict(vars(self))


def tasks_of(client: DokployClient, application: Application) -> list[Task] | None:
    """The tasks, newest first, ended ones included; None when this key may not read Docker."""
    params = {"appName": application.app_name}
    if application.server_id:
        params["serverId"] = application.server_id
    try:
        rows = client.get("docker.getServiceContainersByAppName", **params)
    except (NotPermitted, UnknownProcedure):
        return None
    return [Task.from_row(row) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _running(tasks: Sequence[Task]) -> list[Task]:
    return [task for task in tasks if task.wanted and task.state == "running"]


def _state_word(tasks: Sequence[Task] | None) -> str:
    if tasks is None:
        return "unknown"
    return "running" if any(task.alive for task in tasks) else "stopped"


# --- plans ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """What will be sent. A plan that changes nothing sends nothing that matters."""

    update: Mapping[str, object] | None
    act: bool
    """Whether application.stop or application.reload is called."""
    changed: bool
    replicas: int
    remembered: int | None
    before: Mapping[str, object]
    after: Mapping[str, object]


def _plan(
    application: Application,
    tasks: Sequence[Task] | None,
    update: Mapping[str, object] | None,
    act: bool,
    changed: bool,
    replicas: int,
    remembered: int | None,
) -> Plan:
    before = {"replicas": application.replicas, "state": _state_word(tasks)}
    after = {"replicas": replicas, "state": "running" if replicas else "stopped"} if changed else before
    return Plan(update, act, changed, replicas, remembered, before, after)


def plan_stop(application: Application, tasks: Sequence[Task] | None, now: datetime) -> Plan:
    marked = remembered_replicas(application.description)
    if application.replicas > 0:
        remembered: int | None = application.replicas
    else:
        remembered = marked if marked is not None else len([task for task in tasks or () if task.wanted]) or None
    update: dict[str, object] = {}
    if application.replicas != 0:
        update["replicas"] = 0
    if remembered is not None and remembered != marked:
        update["description"] = with_marker(application.description, remembered, now)
    alive = tasks is None or any(task.alive for task in tasks)
    seen_alive = application.status != "idle" if tasks is None else alive
    return _plan(application, tasks, update or None, bool(update) or alive, bool(update) or seen_alive, 0, remembered)


def plan_run(application: Application, tasks: Sequence[Task] | None, replicas: int | None) -> Plan:
    marked = remembered_replicas(application.description)
    target = replicas or (application.replicas if application.replicas > 0 else marked) or 1
    update: dict[str, object] = {}
    if application.replicas != target:
        update["replicas"] = target
    if marked is not None:
        update["description"] = without_marker(application.description)
    if tasks is None:
        serving = "replicas" not in update and application.status != "idle"
    else:
        serving = len(_running(tasks)) == target
    return _plan(application, tasks, update or None, not serving, bool(update) or not serving, target, None)


# --- doing it ---------------------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    application: Application
    plan: Plan
    tasks: list[Task] | None
    verified: bool = False
    waited: float = 0.0
    warnings: list[str] = field(default_factory=list)

    def to_result(self) -> dict[str, object]:
        return {
            "application": self.application.to_result(),
            "replicas_remembered": self.plan.remembered,
            "tasks": None if self.tasks is None else [task.to_result() for task in self.tasks],
            "verified": self.verified,
            "waited": round(self.waited, 1),
        }


class ServiceKeeper:
    """Brings one application's service into a state, and watches until it is there."""

    def __init__(self, client: DokployClient, clock: Clock, wait_timeout: float, stable_for: float) -> None:
        self._client = client
        self._clock = clock
        self._wait_timeout = wait_timeout
        self._stable_for = stable_for

    def stop(self, application: Application, check: bool = False) -> Outcome:
        self._require_replicas_to_count(application)
        tasks = tasks_of(self._client, application)
        plan = plan_stop(application, tasks, self._clock.now())
        return (
            self._predicted(application, plan, tasks)
            if check
            else self._carried_out(application, plan, tasks, self._stop)
        )

    def run(self, application: Application, replicas: int | None, check: bool = False) -> Outcome:
        self._require_replicas_to_count(application)
        tasks = tasks_of(self._client, application)
        plan = plan_run(application, tasks, replicas)
        if plan.act:
            self._require_deployed(application, tasks)
        return (
            self._predicted(application, plan, tasks)
            if check
            else self._carried_out(application, plan, tasks, self._run)
        )

    @staticmethod
    def _predicted(application: Application, plan: Plan, tasks: list[Task] | None) -> Outcome:
        return Outcome(replace(application, replicas=plan.replicas), plan, tasks)

    def _require_replicas_to_count(self, application: Application) -> None:
        if application.mode_overridden:
            raise PlatformError(
                f"{application.name} has a service mode of its own (Advanced > Swarm Settings > "
                "Mode), which overrides its "
                "replicas: a stop would be undone by the next deploy.",
                "Clear that setting and set the number of replicas instead.",
            )

    def _require_deployed(self, application: Application, tasks: Sequence[Task] | None) -> None:
        if tasks or remembered_replicas(application.description) is not None:
            return
        records = deployments_of(self._client, application.id)
        # Only the newest eleven records are kept; without a look at the tasks, any record speaks for a service.
        if any(record.status == "done" for record in records) or (tasks is None and records):
            return
        raise PlatformError(
            f"{application.name} ({application.app_name}) has never been deployed with success, so "
            "there is no service to start.",
            "Deploy it once, from the dashboard or through its webhook, and run this again.",
            application=application.to_result(),
        )

    def _carried_out(
        self,
        application: Application,
        plan: Plan,
        tasks: list[Task] | None,
        action: t.Callable[[Outcome, float], None],
    ) -> Outcome:
        outcome = Outcome(application, plan, tasks)
        started = self._clock.monotonic()
        try:
            if plan.update:
                self._client.post("application.update", applicationId=application.id, **plan.update)
            action(outcome, started + self._wait_timeout)
            outcome.application = self._reread(application, plan.replicas)
        except PlatformError as error:
            outcome.waited = self._clock.monotonic() - started
            error.details = {**outcome.to_result(), "changed": plan.changed, **error.details}
            raise
        outcome.waited = self._clock.monotonic() - started
        return outcome

    def _reread(self, application: Application, replicas: int) -> Application:
        stored = read_application(self._client, application.id)
        if stored.replicas != replicas:
            raise PlatformError(
                f"Dokploy holds {stored.replicas} replicas for {application.name} instead of {replicas}.",
                "Somebody changed it meanwhile. Look who, and run this again.",
                application=stored.to_result(),
            )
        return stored

    # -- stopping

    def _stop(self, outcome: Outcome, deadline: float) -> None:
        act = outcome.plan.act
        while True:
            self._wait_for_builds(outcome.application, deadline)
            if act:
                self._client.post("application.stop", applicationId=outcome.application.id)
            if self._stays_stopped(outcome, deadline):
                return
            act = True

    def _wait_for_builds(self, application: Application, deadline: float) -> None:
        """A build that is under way has read the old number of replicas, and applies it when it ends."""
        while builds := builds_of(self._client, application.id):
            if self._clock.monotonic() >= deadline:
                raise PlatformError(
                    f"{application.name} is still being built after {self._wait_timeout:g} s, and a "
                    "build that ends starts the "
                    f"service again: {builds}.",
                    "Wait for it, or end it in the dashboard, and run this again; or raise wait_timeout. "
                    "Its number of replicas is already 0, but it was not stopped yet.",
                )
            self._clock.sleep(POLL_SECONDS)

    def _stays_stopped(self, outcome: Outcome, deadline: float) -> bool:
        """True after a while without a living task; False when something started one again."""
        quiet_since: float | None = None
        while True:
            tasks = outcome.tasks = tasks_of(self._client, outcome.application)
            if tasks is None:
                self._warn_unverified(outcome, "stopped", "absent")
                return True
            now = self._clock.monotonic()
            alive = [task for task in tasks if task.alive]
            if alive and now >= deadline:
                raise PlatformError(
                    f"{outcome.application.name} still has {len(alive)} living tasks after {self._wait_timeout:g} s: "
                    f"{', '.join(f'{task.name} {task.since}' for task in alive)}.",
                    "Dokploy says nothing when Docker fails to stop a service. Look at docker service ps on the host.",
                )
            if alive and quiet_since is not None:
                return False
            if not alive:
                quiet_since = now if quiet_since is None else quiet_since
                if now - quiet_since >= self._stable_for:
                    outcome.verified = True
                    return True
            self._clock.sleep(POLL_SECONDS)

    # -- running

    def _run(self, outcome: Outcome, deadline: float) -> None:
        application, target = outcome.application, outcome.plan.replicas
        if outcome.plan.act:
            # Never application.start: it scales to 1, whatever the number of replicas.
            self._client.post("application.reload", applicationId=application.id, appName=application.app_name)
        known = {task.id for task in outcome.tasks or ()}
        failures: dict[str, str] = {}
        stable_since: float | None = None
        stable_ids: set[str] = set()
        while True:
            tasks = outcome.tasks = tasks_of(self._client, application)
            if tasks is None:
                self._warn_unverified(outcome, "running", "healthy")
                return
            now = self._clock.monotonic()
            failures.update(
                {task.id: task.error or task.since for task in tasks if task.failed and task.id not in known}
            )
            wanted = {task.id for task in tasks if task.wanted}
            running = {task.id for task in _running(tasks)}
            if len(running) != target or wanted != running:
                stable_since = None
            elif stable_since is None or running != stable_ids:
                stable_since, stable_ids = now, running
            elif now - stable_since >= self._stable_for:
                outcome.verified = True
                self._warn_of_failures(outcome, failures)
                return
            if now >= deadline:
                reasons = "; ".join(sorted(set(failures.values()))) or "no task reported an error"
                raise PlatformError(
                    f"{application.name} has {len(running)} running tasks of {target} after "
                    f"{self._wait_timeout:g} s: {reasons}.",
                    "Look at the application's log in Dokploy, mend the cause and run this again, or "
                    "raise wait_timeout.",
                    errors=sorted(set(failures.values())),
                )
            self._clock.sleep(POLL_SECONDS)

    @staticmethod
    def _warn_of_failures(outcome: Outcome, failures: Mapping[str, str]) -> None:
        """Swarm puts the old version back when the new one fails, and its tasks do not tell their version."""
        if failures:
            outcome.warnings.append(
                f"{len(failures)} tasks of {outcome.application.app_name} failed before the present ones ran "
                f"({'; '.join(sorted(set(failures.values())))}). Docker Swarm may have put the previous version back: "
                "prove the version that serves with vedfinance.platform.api_health."
            )

    def _warn_unverified(self, outcome: Outcome, state: str, proof: str) -> None:
        outcome.warnings.append(UNVERIFIED.format(app_name=outcome.application.app_name, state=state, proof=proof))


# --- the module -------------------------------------------------------------------------------------------------------

SERVICE_ARGUMENTS: dict[str, dict[str, object]] = {
    "state": {"type": "str", "choices": ["running", "stopped"], "required": True},
    "replicas": {"type": "int"},
    "wait_timeout": {"type": "float", "default": 300.0},
    "stable_for": {"type": "float", "default": 3.0},
}


def keep_service(
    client: DokployClient, clock: Clock, query: ApplicationQuery, params: Mapping[str, t.Any], check: bool
) -> Outcome:
    """The whole of M(vedfinance.platform.dokploy_service)."""
    replicas = params["replicas"]
    if replicas is not None and (params["state"] == "stopped" or replicas < 1):
        raise PlatformError(
            "replicas is for state=running, and at least 1.", "Leave it out, or use state=stopped to have none."
        )
    client.version()
    application = find_application(client, query)
    keeper = ServiceKeeper(client, clock, params["wait_timeout"], params["stable_for"])
    if params["state"] == "stopped":
        return keeper.stop(application, check)
    return keeper.run(application, replicas, check)
