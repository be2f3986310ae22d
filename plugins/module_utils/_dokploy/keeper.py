# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing a service into a state and watching until it is there: what all kinds of services have in common."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.vedfinance.platform.plugins.module_utils._clock import Clock
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.client import DokployClient
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.deployments import builds_of, deployments_of
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import Service, id_column, read_service
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.tasks import Task, running, tasks_of
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError

POLL_SECONDS = 0.5
UNVERIFIED = (
    "The tasks of {app_name} may not be read with this API key (Docker: read), so nothing proves that it is {state}. "
    "Prove it with vedfinance.platform.api_health, state={proof}."
)
S = t.TypeVar("S", bound=Service)


@dataclass(frozen=True)
class Plan:
    """What will be sent. A plan that changes nothing sends nothing that matters."""

    update: Mapping[str, object]
    act: bool
    """Whether the service is told to stop or to start."""
    changed: bool
    before: Mapping[str, object]
    after: Mapping[str, object]
    remembered: int | bool | None = None


@dataclass
class Outcome(t.Generic[S]):
    service: S
    plan: Plan
    tasks: list[Task] | None
    verified: bool = False
    waited: float = 0.0
    warnings: list[str] = field(default_factory=list)

    def to_result(self) -> dict[str, object]:
        remembered = self.plan.remembered
        return {
            self.service.option: self.service.to_result(),
            "replicas_remembered": None if isinstance(remembered, bool) else remembered,
            "auto_deploy_remembered": remembered if isinstance(remembered, bool) else None,
            "tasks": None if self.tasks is None else [task.to_result() for task in self.tasks],
            "verified": self.verified,
            "waited": round(self.waited, 1),
        }


def state_word(tasks: Sequence[Task] | None) -> str:
    if tasks is None:
        return "unknown"
    return "running" if any(task.alive for task in tasks) else "stopped"


class Keeper(t.Generic[S]):
    """Brings one service into a state, and watches until it is there. How, is for each kind of service to say."""

    def __init__(self, client: DokployClient, clock: Clock, wait_timeout: float, stable_for: float) -> None:
        self._client = client
        self._clock = clock
        self._wait_timeout = wait_timeout
        self._stable_for = stable_for

    # -- for each kind

    def require_keepable(self, service: S) -> None:
        """Refuses a service that would not stay in its state."""

    def plan_stop(self, service: S, tasks: Sequence[Task] | None) -> Plan:
        raise NotImplementedError

    def plan_run(self, service: S, tasks: Sequence[Task] | None, replicas: int | None) -> Plan:
        raise NotImplementedError

    def require_startable(self, service: S, tasks: Sequence[Task] | None) -> None:
        """Refuses what could only fail."""

    def predicted(self, service: S, plan: Plan) -> S:
        """The service as it would be."""
        return service

    def wait_for_builds(self, service: S, deadline: float) -> None:
        """A build that is under way starts the service again when it ends."""

    def send_stop(self, service: S) -> None:
        raise NotImplementedError

    def send_run(self, outcome: Outcome[S], deadline: float) -> None:
        raise NotImplementedError

    def shortfall(self, tasks: Sequence[Task], plan: Plan) -> str | None:
        """What keeps the tasks from being as many as they should; None when nothing does."""
        raise NotImplementedError

    def require_kept(self, stored: S, plan: Plan) -> None:
        """Refuses what somebody else changed meanwhile."""

    def notes(self, outcome: Outcome[S], stopped: bool) -> list[str]:
        """What a person should know of the state that was reached."""
        return []

    # -- for all

    def stop(self, service: S, check: bool = False) -> Outcome[S]:
        self.require_keepable(service)
        tasks = tasks_of(self._client, service)
        return self._kept(service, self.plan_stop(service, tasks), tasks, check, stop=True)

    def run(self, service: S, replicas: int | None = None, check: bool = False) -> Outcome[S]:
        self.require_keepable(service)
        tasks = tasks_of(self._client, service)
        plan = self.plan_run(service, tasks, replicas)
        if plan.act:
            self.require_startable(service, tasks)
        return self._kept(service, plan, tasks, check, stop=False)

    def _kept(self, service: S, plan: Plan, tasks: list[Task] | None, check: bool, stop: bool) -> Outcome[S]:
        if check:
            return Outcome(self.predicted(service, plan), plan, tasks)
        outcome = Outcome(service, plan, tasks)
        started = self._clock.monotonic()
        try:
            if plan.update:
                self._client.post(f"{service.kind}.update", **self.identity(service), **plan.update)
            (self._stop if stop else self._run)(outcome, started + self._wait_timeout)
            stored = t.cast(S, read_service(self._client, service.kind, service.id))
            self.require_kept(stored, plan)
            outcome.service = stored
            outcome.warnings += self.notes(outcome, stop)
        except PlatformError as error:
            outcome.waited = self._clock.monotonic() - started
            error.details = {**outcome.to_result(), "changed": plan.changed, **error.details}
            raise
        outcome.waited = self._clock.monotonic() - started
        return outcome

    @staticmethod
    def identity(service: S) -> dict[str, str]:
        return {id_column(service.kind): service.id}

    def pause(self) -> None:
        self._clock.sleep(POLL_SECONDS)

    # -- stopping

    def _stop(self, outcome: Outcome[S], deadline: float) -> None:
        act = outcome.plan.act
        while True:
            self.wait_for_builds(outcome.service, deadline)
            if act:
                self.send_stop(outcome.service)
            if self._stays_stopped(outcome, deadline):
                return
            act = True

    def _stays_stopped(self, outcome: Outcome[S], deadline: float) -> bool:
        """True after a while without a living task; False when something started one again."""
        quiet_since: float | None = None
        while True:
            tasks = outcome.tasks = tasks_of(self._client, outcome.service)
            if tasks is None:
                self._warn_unverified(outcome, "stopped", "absent")
                return True
            now = self._clock.monotonic()
            alive = [task for task in tasks if task.alive]
            if alive and now >= deadline:
                raise PlatformError(
                    f"{outcome.service.name} still has {len(alive)} living tasks after {self._wait_timeout:g} s: "
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
            self.pause()

    # -- running

    def _run(self, outcome: Outcome[S], deadline: float) -> None:
        service = outcome.service
        if outcome.plan.act:
            self.send_run(outcome, deadline)
        known = {task.id for task in outcome.tasks or ()}
        failures: dict[str, str] = {}
        stable_since: float | None = None
        stable_ids: set[str] = set()
        gone_since: float | None = None
        while True:
            tasks = outcome.tasks = tasks_of(self._client, service)
            if tasks is None:
                self._warn_unverified(outcome, "running", "healthy")
                return
            now = self._clock.monotonic()
            failures.update(
                {task.id: task.error or task.since for task in tasks if task.failed and task.id not in known}
            )
            ids = {task.id for task in running(tasks)}
            shortfall = self.shortfall(tasks, outcome.plan)
            if shortfall:
                stable_since = None
            elif stable_since is None or ids != stable_ids:
                stable_since, stable_ids = now, ids
            elif now - stable_since >= self._stable_for:
                outcome.verified = True
                self._warn_of_failures(outcome, failures)
                return
            reasons = sorted(set(failures.values()))
            if not reasons or any(task.alive for task in tasks):
                gone_since = None
            elif gone_since is None:
                gone_since = now
            elif now - gone_since >= self._stable_for:
                raise PlatformError(
                    f"{service.name} does not start: {'; '.join(reasons)}. Docker has given it up, and nothing of it "
                    "runs.",
                    "Look at its log in Dokploy. Mend the cause, or deploy a version that starts, and run this again.",
                    errors=reasons,
                )
            if now >= deadline:
                raise PlatformError(
                    f"{service.name} has {shortfall or f'{len(ids)} running tasks, not for long enough,'} after "
                    f"{self._wait_timeout:g} s: {'; '.join(reasons) or 'no task reported an error'}.",
                    "Look at its log in Dokploy, mend the cause and run this again, or raise wait_timeout.",
                    errors=reasons,
                )
            self.pause()

    @staticmethod
    def _warn_of_failures(outcome: Outcome[S], failures: Mapping[str, str]) -> None:
        """Swarm puts the old version back when the new one fails, and its tasks do not tell their version."""
        if failures:
            outcome.warnings.append(
                f"{len(failures)} tasks of {outcome.service.app_name} failed before the present ones ran "
                f"({'; '.join(sorted(set(failures.values())))}). Docker Swarm may have put the previous version back: "
                "prove the version that serves with vedfinance.platform.api_health."
            )

    @staticmethod
    def _warn_unverified(outcome: Outcome[S], state: str, proof: str) -> None:
        outcome.warnings.append(UNVERIFIED.format(app_name=outcome.service.app_name, state=state, proof=proof))


class BuiltKeeper(Keeper[S]):
    """Of a service that Dokploy builds: an application or a compose service."""

    def wait_for_builds(self, service: S, deadline: float) -> None:
        while builds := builds_of(self._client, service):
            if self._clock.monotonic() >= deadline:
                raise PlatformError(
                    f"{service.name} is still being built after {self._wait_timeout:g} s, and a "
                    f"build that ends starts the service again: {builds}.",
                    "Wait for it, or end it in the dashboard, and run this again; or raise wait_timeout. "
                    "It was not stopped yet, but what starts it again has been switched off.",
                )
            self.pause()

    def require_startable(self, service: S, tasks: Sequence[Task] | None) -> None:
        if tasks or self.was_stopped_by_us(service):
            return
        records = deployments_of(self._client, service)
        # Only the newest eleven records are kept; without a look at the tasks, any record speaks for a service.
        if any(record.status == "done" for record in records) or (tasks is None and records):
            return
        raise PlatformError(
            f"{service.name} ({service.app_name}) has never been deployed with success, so there is nothing to start.",
            "Deploy it once, from the dashboard or through its webhook, and run this again.",
            **{service.option: service.to_result()},
        )

    def was_stopped_by_us(self, service: S) -> bool:
        raise NotImplementedError
