# SPDX-License-Identifier: GPL-3.0-or-later
"""Stopping and starting a compose service.

Dokploy keeps no number of replicas for it, so any deploy starts it again. What nobody asks for, a deploy by webhook,
is switched off while it is stopped; whether it was on is kept in a marker in the description.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import replace

from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.build_log import failing_line, lines_of
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.client import safe_words
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.deployments import (
    Deployment,
    build_log,
    deployments_of,
    queue_of,
    with_token,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import Compose
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.keeper import (
    BuiltKeeper,
    Outcome,
    Plan,
    state_word,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.marker import (
    remembered_auto_deploy,
    with_marker,
    without_marker,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.tasks import Task, running
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError

TITLE = "Started by vedfinance.platform"
LOST_AFTER = 30.0
LOG_LINES = 200
DEPLOY_STARTS_IT = (
    "{name} is a compose service, for which Dokploy keeps no number of replicas: a deploy from the dashboard or "
    "through the API starts it again. Its webhook does not, until state=running."
)


def newest_of_each(tasks: Sequence[Task]) -> list[Task]:
    """One container per slot: a stack leaves those of earlier tasks behind."""
    newest: dict[str, Task] = {}
    for task in tasks:
        newest.setdefault(task.slot, task)
    return list(newest.values())


class ComposeKeeper(BuiltKeeper[Compose]):
    def plan_stop(self, service: Compose, tasks: Sequence[Task] | None) -> Plan:
        marked = remembered_auto_deploy(service.description)
        remembered = True if service.auto_deploy else bool(marked)
        update: dict[str, object] = {}
        if service.auto_deploy:
            update["autoDeploy"] = False
        if remembered != marked:
            update["description"] = with_marker(service.description, remembered, self._clock.now())
        alive = tasks is None or any(task.alive for task in tasks)
        seen_alive = service.status != "idle" if tasks is None else alive
        changed = bool(update) or seen_alive
        before = {"auto_deploy": service.auto_deploy, "state": state_word(tasks)}
        after = {"auto_deploy": False, "state": "stopped"} if changed else before
        return Plan(update, alive, changed, before, after, remembered)

    def plan_run(self, service: Compose, tasks: Sequence[Task] | None, replicas: int | None) -> Plan:
        marked = remembered_auto_deploy(service.description)
        auto_deploy = service.auto_deploy or bool(marked)
        update: dict[str, object] = {}
        if auto_deploy != service.auto_deploy:
            update["autoDeploy"] = auto_deploy
        if marked is not None:
            update["description"] = without_marker(service.description)
        before = {"auto_deploy": service.auto_deploy, "state": state_word(tasks)}
        serving = service.status == "done" and marked is None if tasks is None else self._all_run(tasks)
        changed = bool(update) or not serving
        after = {"auto_deploy": auto_deploy, "state": "running"} if changed else before
        return Plan(update, not serving, changed, before, after)

    def was_stopped_by_us(self, service: Compose) -> bool:
        return remembered_auto_deploy(service.description) is not None

    def predicted(self, service: Compose, plan: Plan) -> Compose:
        return replace(service, auto_deploy=bool(plan.after["auto_deploy"]))

    def send_stop(self, service: Compose) -> None:
        """Of a stack, it removes the services; their volumes stay."""
        self._client.post("compose.stop", **self.identity(service))

    def send_run(self, outcome: Outcome[Compose], deadline: float) -> None:
        if outcome.service.compose_type == "stack":
            # compose.start answers a stack with success, and starts nothing.
            self._redeploy(outcome.service, deadline)
        else:
            self._client.post("compose.start", **self.identity(outcome.service))

    def _redeploy(self, service: Compose, deadline: float) -> None:
        record = self._redeployed(service, deadline)
        # Docker removes the networks of a stopped stack a moment after its services; amid that, a deploy fails.
        while self._met_a_vanishing_network(service, record) and self._clock.monotonic() < deadline:
            self.pause()
            record = self._redeployed(service, deadline)
        self._require_done(service, record)

    def _redeployed(self, service: Compose, deadline: float) -> Deployment:
        token = secrets.token_hex(8)
        description = with_token("", token)
        self._client.post("compose.redeploy", **self.identity(service), title=TITLE, description=description)
        seen = self._clock.monotonic()
        while True:
            # The queue is read before the records: a job that starts in between is then seen at least once.
            queued = any(job.token == token for job in queue_of(self._client, service) or ())
            mine = [record for record in deployments_of(self._client, service) if record.token == token]
            now = self._clock.monotonic()
            if mine and mine[0].finished:
                return mine[0]
            if queued or mine:
                seen = now
            elif now - seen > LOST_AFTER:
                raise PlatformError(
                    f"The redeployment of the stack {service.name} is neither queued nor recorded: Dokploy lost it.",
                    "It was restarted meanwhile, or somebody emptied its queue. Run this again.",
                )
            if now >= deadline:
                raise PlatformError(
                    f"The redeployment of the stack {service.name} has not ended after {self._wait_timeout:g} s.",
                    "Dokploy builds one thing at a time: look at its queue. Run this again, or raise wait_timeout.",
                )
            self.pause()

    def _met_a_vanishing_network(self, service: Compose, record: Deployment) -> bool:
        if record.status == "done":
            return False
        vanished = re.compile(rf"network {re.escape(service.app_name)}_\S+ not found")
        return vanished.search(build_log(self._client, record.id, LOG_LINES) or "") is not None

    def _require_done(self, service: Compose, record: Deployment) -> None:
        if record.status == "done":
            return
        told = failing_line(lines_of(build_log(self._client, record.id, LOG_LINES) or ""))
        raise PlatformError(
            f"The redeployment of the stack {service.name} ended {record.status}: "
            f"{safe_words(told) if told else 'its log says nothing'}",
            f"Its log is that of deployment {record.id} in Dokploy. Mend the cause and run this again.",
        )

    @staticmethod
    def _all_run(tasks: Sequence[Task]) -> bool:
        """Something runs, and nothing else but what has done its work."""
        newest = newest_of_each(tasks)
        up = running(newest)
        return bool(up) and all(task in up or (not task.alive and not task.failed) for task in newest)

    def shortfall(self, tasks: Sequence[Task], plan: Plan) -> str | None:
        if self._all_run(tasks):
            return None
        newest = newest_of_each(tasks)
        down = [f"{task.name} {task.since}" for task in newest if task.state != "running" and task.state != "complete"]
        return f"{len(running(newest))} running containers" + (f" ({', '.join(down)})" if down else "")

    def require_kept(self, stored: Compose, plan: Plan) -> None:
        if stored.auto_deploy != plan.after["auto_deploy"]:
            raise PlatformError(
                f"The automatic deploy of {stored.name} is {'on' if stored.auto_deploy else 'off'} again.",
                "Somebody changed it meanwhile. Look who, and run this again.",
                compose=stored.to_result(),
            )

    def notes(self, outcome: Outcome[Compose], stopped: bool) -> list[str]:
        if not (stopped and outcome.plan.changed):
            return []
        return [DEPLOY_STARTS_IT.format(name=outcome.service.name)]
