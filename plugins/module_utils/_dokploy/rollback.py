# SPDX-License-Identifier: GPL-3.0-or-later
"""Back to a version that served before, by the way that Dokploy has left open, and proved like a deploy.

C(rollback.rollback) answers at once, leaves no record and is undone by the next deploy or reload. So the way back is
chosen and explained before anything is sent, remembered in the description of the application, and judged by what runs.
"""

from __future__ import annotations

import contextlib
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ansible_collections.vedfinance.platform.plugins.module_utils._clock import Clock, utc_text
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.client import (
    DokployClient,
    NotFound,
    NotPermitted,
    Rejected,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.deploy import (
    DEPLOY_ARGUMENTS,
    Deployer,
    expected_word,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.deploy import Outcome as Deployed
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.deployments import builds_of
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import (
    Application,
    Compose,
    ServiceQuery,
    find_service,
    id_column,
    read_service,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.marker import (
    remembered_auto_deploy,
    remembered_replicas,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.rollback_marker import (
    Marker,
    Stored,
    marker_in,
    with_marker,
    without_marker,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.rollback_plan import (
    Plan,
    Scene,
    choose_strategy,
    columns_of,
    make_plan,
    stored_by_rollbacks,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.rollback_targets import (
    STRATEGIES,
    Rollable,
    Snapshot,
    Target,
    choose_target,
    mark_serving,
    read_targets,
    serving_reference,
    variables_of,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.tasks import tasks_of
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.verdict import (
    LOOK,
    Rollout,
    Verdict,
    Wanted,
    Word,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._http import Transport
from ansible_collections.vedfinance.platform.plugins.module_utils._progress import Progress

POLL_SECONDS = 1.0
CHOOSE_ANOTHER = (
    "Look at the log of the application in Dokploy, and name another version in to; targets lists what there is."
)


def _described(scene: Scene, marker: Marker | None) -> str | None:
    description = scene.service.description
    return with_marker(description, marker) if marker else without_marker(description)


# --- doing it ---------------------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What was found, chosen and done; also of a failure, as far as it came."""

    service: Rollable
    scene: Scene | None = None
    plan: Plan | None = None
    verdict: Verdict | None = None
    deployed: Deployed | None = None
    """Of the ways that build or pull: what came of it."""
    unpinned: Mapping[str, tuple[Stored, Stored]] | None = None
    changed: bool = False
    sent: bool = False
    """Whether anything was asked of Docker or stored for it."""
    waited: float = 0.0
    warnings: list[str] = field(default_factory=list)

    @property
    def stored(self) -> Mapping[str, tuple[Stored, Stored]]:
        return self.plan.stored if self.plan else self.unpinned or {}

    @property
    def origin(self) -> dict[str, object]:
        if self.scene is None or self.plan is None:
            return {}
        serving = self.scene.serving
        return {
            "deployment": serving.id if serving else None,
            "image": self.scene.reference or (serving.image if serving else None),
            "commit": serving.commit if serving else None,
            "replicas": _replicas(self.service),
        }

    @property
    def destination(self) -> dict[str, object]:
        if self.plan is None:
            return {}
        target, snapshot = self.plan.target, self.plan.snapshot
        seen = self.verdict.images if self.verdict and self.verdict.serving else None
        built = self.verdict.record if self.verdict else None
        return {
            "deployment": built.id if built else target.id,
            "image": seen[0] if seen and len(seen) == 1 else snapshot.image if snapshot else target.image,
            "commit": built.commit if built and built.commit else target.commit,
            "replicas": snapshot.replicas if snapshot and snapshot.replicas else _replicas(self.service),
        }

    @property
    def before(self) -> dict[str, object]:
        return {**self.origin, **{name: old for name, (old, new) in self.stored.items()}}

    @property
    def after(self) -> dict[str, object]:
        if not self.changed:
            return self.before
        return {**self.destination, **{name: new for name, (old, new) in self.stored.items()}}

    def to_result(self) -> dict[str, object]:
        result: dict[str, object] = {self.service.kind: self.service.to_result()}
        if self.scene:
            result["targets"] = [target.to_result() for target in self.scene.targets]
        if self.plan:
            deployed = self.deployed
            environment = self.plan.environment
            result.update(
                {
                    "from": self.origin,
                    "to": self.destination,
                    "strategy": self.plan.strategy,
                    "sticky": self.plan.sticky,
                    "environment_changes": None if environment is None else dict(environment),
                    "verdict": self.verdict.to_result() if self.verdict else None,
                    "deployment": deployed.record.to_result() if deployed and deployed.record else None,
                    "log_tail": deployed.log if deployed else [],
                    "failing_line": deployed.failing_line if deployed else None,
                    "waited": round(self.waited, 1),
                }
            )
        if self.plan or self.unpinned is not None:
            result["stored"] = {name: {"before": old, "after": new} for name, (old, new) in self.stored.items()}
        return result


def _replicas(service: Rollable) -> int | None:
    return service.replicas if isinstance(service, Application) else None


class Roller:
    """Rolls one application or compose service back."""

    def __init__(
        self, client: DokployClient, clock: Clock, wait_timeout: float, stable_for: float, word: Word | None
    ) -> None:
        self._client = client
        self._clock = clock
        self._started = clock.monotonic()
        self._deadline = self._started + wait_timeout
        self._wait_timeout = wait_timeout
        self._stable_for = stable_for
        self._word = word
        self.warnings: list[str] = []

    # -- reading

    def listed(self, service: Rollable) -> Outcome:
        return Outcome(service, self.scene_of(service))

    def scene_of(self, service: Rollable) -> Scene:
        targets = read_targets(self._client, service)
        reference = serving_reference(self._client, service)
        return Scene(service, mark_serving(service, targets, reference), reference)

    def refuse_stopped(self, service: Rollable) -> None:
        if isinstance(service, Compose):
            stopped = remembered_auto_deploy(service.description) is not None
        else:
            stopped = service.replicas == 0 or remembered_replicas(service.description) is not None
            stopped = stopped or (service.status == "idle" and self._is_silent(service))
        if stopped:
            raise PlatformError(
                f"{service.name} is stopped, and a rollback would start it.",
                "Start it first with vedfinance.platform.dokploy_service, state=running; then it can be proved.",
            )

    def _is_silent(self, service: Rollable) -> bool:
        """C(idle) alone is no proof: storing a new image sets it as well. A task that crashed was not stopped."""
        tasks = tasks_of(self._client, service)
        return tasks is not None and not any(task.alive or task.failed for task in tasks)

    def wait_for_builds(self, service: Rollable, wait: bool, check: bool) -> Rollable:
        """The service as it is when none is left; check mode waits for nothing."""
        waited = False
        while builds := builds_of(self._client, service):
            if not wait:
                raise PlatformError(
                    f"{service.name} has builds under way, which would undo a rollback when they end: {builds}.",
                    "Wait for them, or end them in the dashboard; or set wait_for_builds to true.",
                )
            if check:
                self.warnings.append(f"It would wait for what is being built: {builds}.")
                break
            if self._clock.monotonic() >= self._deadline:
                raise PlatformError(
                    f"{service.name} is still being built after {self._wait_timeout:g} s: {builds}.",
                    "Nothing was rolled back. End the build in the dashboard, or raise wait_timeout.",
                )
            waited = True
            self._clock.sleep(POLL_SECONDS)
        return self._reread(service) if waited else service

    def _reread(self, service: Rollable) -> Rollable:
        return t.cast(Rollable, read_service(self._client, service.kind, service.id))

    # -- rolling back

    def roll_back(
        self,
        service: Rollable,
        to: str | None,
        strategy: str,
        git_ref: str | None,
        pin: bool,
        wait: bool,
        check: bool,
    ) -> Outcome:
        outcome = Outcome(service)
        try:
            self.refuse_stopped(service)
            outcome.service = self.wait_for_builds(service, wait, check)
            outcome.scene = self.scene_of(outcome.service)
            outcome.scene, outcome.plan = self.plan(outcome.scene, to, strategy, git_ref, pin)
            outcome.warnings += [*self.warnings, *outcome.plan.warnings]
            outcome.changed = not outcome.plan.there
            if outcome.changed and not check:
                self.carry_out(outcome.scene, outcome.plan, outcome)
                outcome.service = self._reread(service)
        except PlatformError as error:
            outcome.waited = self._clock.monotonic() - self._started
            error.details = {**error.details, **outcome.to_result(), "changed": outcome.sent}
            raise
        outcome.waited = self._clock.monotonic() - self._started
        return outcome

    def plan(
        self, scene: Scene, wanted: str | None, strategy: str, git_ref: str | None, pin: bool
    ) -> tuple[Scene, Plan]:
        if wanted is None and git_ref:
            target = Target.of_git_ref(git_ref)
        else:
            target = choose_target(scene.service, scene.targets, wanted or "previous")
        way = choose_strategy(scene.service, target, strategy, git_ref)
        if way == "snapshot":
            scene = replace(scene, variables=self._variables(scene.service))
        return scene, make_plan(scene, target, way, git_ref, pin, utc_text(self._clock.now()))

    def _variables(self, service: Rollable) -> dict[str, str]:
        row = self._client.get("application.one", applicationId=service.id)
        return variables_of(row.get("env") if isinstance(row, dict) else None)

    def carry_out(self, scene: Scene, plan: Plan, outcome: Outcome) -> None:
        if plan.snapshot is None:
            self._by_deploy(scene, plan, outcome)
            return
        if not plan.serves:
            self._by_snapshot(scene, plan, plan.snapshot, outcome)
        if plan.stored:
            self._store(scene.service, {**plan.values, "description": _described(scene, plan.marker)})

    def _by_deploy(self, scene: Scene, plan: Plan, outcome: Outcome) -> None:
        target, newest = plan.target, scene.newest_done
        by_image = plan.strategy == "image"
        given = {
            "title": f"Rollback to {target.version or target.title}",
            "description": f"from deployment {newest.id}" if newest else "",
            "image": target.image if by_image else None,
            "git_ref": None if by_image else plan.git_ref,
            "commit": None if by_image else target.commit,
            "wait_timeout": max(0.0, self._deadline - self._clock.monotonic()),
            "stable_for": self._stable_for,
        }
        params = {**{name: option.get("default") for name, option in DEPLOY_ARGUMENTS.items()}, **given}
        self._remember(scene, plan.marker, outcome)
        deployer = Deployer(self._client, self._clock, scene.service, params, self._word, Progress())
        outcome.deployed = deployed = deployer.outcome
        try:
            deployer.run(None, check=False)
        except PlatformError as error:
            error.details = {name: value for name, value in error.details.items() if name == "candidates"}
            # What is stored and still being built may yet come.
            if deployed.source_put_back or not (deployed.sent and plan.stored):
                self._forget(scene)
            _advise_otherwise(error)
            raise
        finally:
            outcome.sent = deployed.changed
            outcome.verdict = deployed.verdict
            outcome.warnings += deployed.warnings

    def _by_snapshot(self, scene: Scene, plan: Plan, snapshot: Snapshot, outcome: Outcome) -> None:
        self._remember(scene, plan.marker and replace(plan.marker, stored=stored_by_rollbacks(scene.service)), outcome)
        wanted = Wanted(_countable(scene.service, snapshot), word=self._word)
        rollout = Rollout(self._client, self._clock, scene.service, wanted, self._stable_for)
        rollout.look()
        try:
            outcome.sent = True
            self._client.post("rollback.rollback", rollbackId=snapshot.id)
        except (Rejected, NotPermitted, NotFound):
            outcome.sent = False
            self._forget(scene)
            raise
        outcome.verdict = rollout.watch(self._deadline)
        seen = outcome.verdict.images or []
        others = [image for image in seen if not snapshot.runs_as(image)]
        if outcome.verdict.serving and others:
            # The verdict was not told which image it must be: no call tells the whole name of a snapshot's.
            outcome.verdict.serving = False
            told = f"{', '.join(others)} runs instead of {snapshot.image}: Docker Swarm has reverted it"
            outcome.verdict.reasons = [told]
        if seen and seen == others:
            self._forget(scene)
        if not outcome.verdict.serving:
            error = outcome.verdict.error(f"The rollback to {plan.target.label}")
            _advise_otherwise(error)
            raise error

    def _remember(self, scene: Scene, marker: Marker | None, outcome: Outcome) -> None:
        """Before it is done, so that an interruption leaves no rollback that nobody knows of."""
        description = _described(scene, marker)
        if description == scene.service.description:
            return
        try:
            self._store(scene.service, {"description": description})
        except NotPermitted:
            outcome.warnings.append(
                "The user of this API key may not change the application, so the rollback is not remembered in its "
                "description."
            )

    def _forget(self, scene: Scene) -> None:
        """When it is certain that the rollback failed."""
        with contextlib.suppress(PlatformError):
            self._store(scene.service, {"description": scene.service.description})

    def _store(self, service: Rollable, values: Mapping[str, Stored]) -> None:
        self._client.post(f"{service.kind}.update", **{id_column(service.kind): service.id}, **values)

    # -- unpinning

    def unpin(self, service: Rollable, check: bool) -> Outcome:
        marker = marker_in(service.description)
        columns = columns_of(service)
        back: dict[str, tuple[Stored, Stored]] = {}
        outcome = Outcome(service)
        for name, (old, new) in (marker.stored if marker else {}).items():
            if columns.get(name) == new:
                back[name] = (new, old)
            elif columns.get(name) != old:
                outcome.warnings.append(
                    f"{name} is {columns.get(name)!r}, which this module did not store, so that it stays as it is."
                )
        outcome.unpinned = back
        outcome.changed = bool(marker and marker.stored)
        if marker and outcome.changed and not check:
            values = {name: value for name, (_new, value) in back.items()}
            memory = with_marker(service.description, replace(marker, stored={}))
            self._store(service, {**values, "description": memory})
            outcome.service = self._reread(service)
        return outcome


def _countable(service: Rollable, snapshot: Snapshot) -> int | None:
    """A service mode of its own decides how many tasks there are."""
    return None if isinstance(service, Application) and service.mode_overridden else snapshot.replicas


def _advise_otherwise(error: PlatformError) -> None:
    """A rollback that failed is not mended by a rollback."""
    error.hint = error.hint and error.hint.replace(LOOK, CHOOSE_ANOTHER)


# --- the module -------------------------------------------------------------------------------------------------------

ROLLBACK_ARGUMENTS: dict[str, dict[str, object]] = {
    "state": {"type": "str", "choices": ["rolled_back", "listed", "unpinned"], "default": "rolled_back"},
    "to": {"type": "str"},
    "strategy": {"type": "str", "choices": ["auto", *STRATEGIES], "default": "auto"},
    "git_ref": {"type": "str"},
    "pin": {"type": "bool", "default": False},
    "wait_for_builds": {"type": "bool", "default": False},
    "wait_timeout": {"type": "float", "default": 600.0},
    "stable_for": {"type": "float", "default": 10.0},
    **{name: DEPLOY_ARGUMENTS[name] for name in ("api_url", "version_path", "expect_version", "expect_commit")},
}


def roll_back(
    client: DokployClient,
    clock: Clock,
    transport: Transport,
    query: ServiceQuery,
    params: Mapping[str, t.Any],
    check: bool,
) -> Outcome:
    """The whole of M(vedfinance.platform.dokploy_rollback)."""
    state, git_ref = params["state"], params["git_ref"]
    if state != "rolled_back" and (params["to"] or git_ref or params["pin"]):
        raise PlatformError("to, git_ref and pin are for state=rolled_back.", "Leave them out.")
    if bool(params["api_url"]) != bool(params["expect_version"] or params["expect_commit"]):
        raise PlatformError(
            "api_url goes with expect_version or expect_commit.", "Give the address and what it must tell, or neither."
        )
    word = expected_word({**params, "expect": None}, transport)
    client.version()
    service = find_service(client, query)
    if not isinstance(service, (Application, Compose)):
        raise PlatformError(f"{service.name!r} is a database.", "Restore a dump of it instead.")
    roller = Roller(client, clock, params["wait_timeout"], params["stable_for"], word)
    if state == "listed":
        return roller.listed(service)
    if state == "unpinned":
        return roller.unpin(service, check)
    return roller.roll_back(
        service, params["to"], params["strategy"], git_ref, params["pin"], params["wait_for_builds"], check
    )
