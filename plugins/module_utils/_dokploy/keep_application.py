# SPDX-License-Identifier: GPL-3.0-or-later
"""Stopping an application so that nothing starts it again, and starting it with as many replicas as it had.

C(application.stop) alone is undone by the next deploy, redeploy, reload or webhook, since each re-applies the stored
number of replicas. So the stored number becomes 0, and a marker in the description keeps the old one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import Application
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.keeper import (
    BuiltKeeper,
    Outcome,
    Plan,
    state_word,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.marker import (
    remembered_replicas,
    with_marker,
    without_marker,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.tasks import Task, running
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError


def _plan(
    application: Application,
    tasks: Sequence[Task] | None,
    update: Mapping[str, object],
    act: bool,
    changed: bool,
    replicas: int,
    remembered: int | None,
) -> Plan:
    before = {"replicas": application.replicas, "state": state_word(tasks)}
    after = {"replicas": replicas, "state": "running" if replicas else "stopped"} if changed else before
    return Plan(update, act, changed, before, after, remembered)


class ApplicationKeeper(BuiltKeeper[Application]):
    def plan_stop(self, service: Application, tasks: Sequence[Task] | None) -> Plan:
        marked = remembered_replicas(service.description)
        if service.replicas > 0:
            remembered: int | None = service.replicas
        else:
            remembered = marked if marked is not None else len([task for task in tasks or () if task.wanted]) or None
        update: dict[str, object] = {}
        if service.replicas != 0:
            update["replicas"] = 0
        if remembered is not None and remembered != marked:
            update["description"] = with_marker(service.description, remembered, self._clock.now())
        alive = tasks is None or any(task.alive for task in tasks)
        seen_alive = service.status != "idle" if tasks is None else alive
        return _plan(service, tasks, update, bool(update) or alive, bool(update) or seen_alive, 0, remembered)

    def plan_run(self, service: Application, tasks: Sequence[Task] | None, replicas: int | None) -> Plan:
        marked = remembered_replicas(service.description)
        target = replicas or (service.replicas if service.replicas > 0 else marked) or 1
        update: dict[str, object] = {}
        if service.replicas != target:
            update["replicas"] = target
        if marked is not None:
            update["description"] = without_marker(service.description)
        if tasks is None:
            serving = "replicas" not in update and service.status != "idle"
        else:
            serving = len(running(tasks)) == target
        return _plan(service, tasks, update, not serving, bool(update) or not serving, target, None)

    def require_keepable(self, service: Application) -> None:
        if service.mode_overridden:
            raise PlatformError(
                f"{service.name} has a service mode of its own (Advanced > Swarm Settings > Mode), which overrides its "
                "replicas: a stop would be undone by the next deploy.",
                "Clear that setting and set the number of replicas instead.",
            )

    def was_stopped_by_us(self, service: Application) -> bool:
        return remembered_replicas(service.description) is not None

    def predicted(self, service: Application, plan: Plan) -> Application:
        return replace(service, replicas=self._replicas(service, plan))

    @staticmethod
    def _replicas(service: Application, plan: Plan) -> int:
        return int(str(plan.update.get("replicas", service.replicas)))

    def send_stop(self, service: Application) -> None:
        self._client.post("application.stop", **self.identity(service))

    def send_run(self, outcome: Outcome[Application], deadline: float) -> None:
        # Never application.start: it scales to 1, whatever the number of replicas.
        service = outcome.service
        self._client.post("application.reload", **self.identity(service), appName=service.app_name)

    def shortfall(self, tasks: Sequence[Task], plan: Plan) -> str | None:
        """Old tasks that are about to be replaced count as little as those that are being ended."""
        ids = {task.id for task in running(tasks)}
        target = plan.after["replicas"]
        if len(ids) == target and ids == {task.id for task in tasks if task.wanted}:
            return None
        return f"{len(ids)} running tasks of {target}"

    def require_kept(self, stored: Application, plan: Plan) -> None:
        if stored.replicas != plan.after["replicas"]:
            raise PlatformError(
                f"Dokploy holds {stored.replicas} replicas for {stored.name} instead of {plan.after['replicas']}.",
                "Somebody changed it meanwhile. Look who, and run this again.",
                application=stored.to_result(),
            )
