# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits for the deployment of a commit, asks for one or repeats it where that is wanted, and proves that it serves.

For modules: ``deploy(client, clock, params, check, progress) -> Outcome``, with C(DEPLOYMENT_ARGUMENTS).
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Mapping
from contextlib import suppress

from ansible_collections.vedfinance.platform.plugins.module_utils._clock import Clock
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.build_log import failing_line, new_lines
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._http import TransportError
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.client import PagesClient, PagesError
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.deployments import (
    PRODUCTION,
    SKIPPED,
    SUCCESS,
    Deployment,
    build_log,
    checked_commit,
    deployment_from,
    deployments,
    read_deployment,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.outcome import UNKNOWN_YET, Outcome
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.project import (
    Project,
    needs_switch,
    read_project,
    switch,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._progress import Progress

POLL_SECONDS = 2.0
SLOW_POLL_SECONDS = 5.0
SLOW_AFTER = 60.0
SHORTEST_SLEEP = 0.001
#: Production takes over a moment after the last stage is done.
CONFIRM_SECONDS = 60.0

DEPLOYMENT_ARGUMENTS: dict[str, dict[str, object]] = {
    "state": {"type": "str", "choices": ["present", "rolled_back"], "default": "present"},
    "commit": {"type": "str"},
    "branch": {"type": "str"},
    "trigger": {"type": "str", "choices": ["never", "missing", "always"], "default": "never"},
    "retry_failed": {"type": "bool", "default": False},
    "accept_skipped": {"type": "bool", "default": False},
    "to": {"type": "str"},
    "production_deployments": {
        "type": "str",
        "choices": ["unchanged", "enabled", "disabled"],
        "default": "unchanged",
    },
    "appear_timeout": {"type": "float", "default": 120.0},
    "wait_timeout": {"type": "float", "default": 1500.0},
    "log_lines": {"type": "int", "default": 50},
    "progress_interval": {"type": "float", "default": 2.0},
    "progress_file": {"type": "path"},
}

T = t.TypeVar("T")


def check_options(params: Mapping[str, t.Any]) -> None:
    if params["state"] == "rolled_back":
        given = [name for name in ("commit", "branch") if params[name]]
        if given:
            raise PlatformError(f"{given[0]} is not for state=rolled_back.", "Name the target in to.")
        if not params["to"]:
            raise PlatformError("state=rolled_back needs to.", "Give an id of a deployment, a commit, or previous.")
    elif params["to"]:
        raise PlatformError("to is for state=rolled_back.", "Name the commit that shall serve in commit.")
    branch = params["branch"]
    if branch is not None and (not branch.strip() or not branch.isprintable()):
        raise PlatformError("branch is empty or cannot be printed.", "Leave it out for the production branch.")
    for option in ("appear_timeout", "wait_timeout", "log_lines"):
        if params[option] < 0:
            raise PlatformError(f"{option} must not be negative.", "Leave it out for the default.")


class Patience:
    """Time that passes while Cloudflare is asked again and again, and that outlasts a failure of a moment."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._started = clock.monotonic()
        self._seconds = seconds

    @property
    def waited(self) -> float:
        return self._clock.monotonic() - self._started

    @property
    def over(self) -> bool:
        return self.waited >= self._seconds

    def until(self, look: Callable[[], T], done: Callable[[T], bool], seconds: float | None = None) -> T | None:
        """What was seen at last; None when nothing could be seen. It ends with C(seconds), or with all patience."""
        ends = min(self._seconds, self._seconds if seconds is None else self.waited + seconds)
        seen: T | None = None
        while True:
            try:
                seen = look()
                if done(seen):
                    return seen
            except (TransportError, PagesError) as error:
                if isinstance(error, PagesError) and not error.passing:
                    raise
                if self.waited >= ends and seen is None:
                    raise
            left = ends - self.waited
            if left < SHORTEST_SLEEP:
                return seen
            self._clock.sleep(min(left, SLOW_POLL_SECONDS if self.waited > SLOW_AFTER else POLL_SECONDS))


class Deployer:
    def __init__(
        self,
        client: PagesClient,
        clock: Clock,
        project: Project,
        params: Mapping[str, t.Any],
        progress: Progress,
        pushes_deploy: bool | None,
    ) -> None:
        self._client = client
        self._project = project
        self._params = params
        self._progress = progress
        self._pushes_deploy = pushes_deploy
        self._patience = Patience(clock, params["wait_timeout"])
        self._commit: str | None = checked_commit(params["commit"]) if params["commit"] else None
        self._branch: str = params["branch"] or project.production_branch
        self._environment = project.environment_of(self._branch)
        self._trigger: str = params["trigger"]
        self._log: list[str] = []
        self.outcome = Outcome.of(project)

    # -- what there is

    @property
    def waits(self) -> bool:
        """Without any of these, only production_deployments is to be set."""
        return bool(self._commit or self._params["branch"] or self._trigger != "never")

    @property
    def wanted(self) -> str:
        return f"commit {self._commit}" if self._commit else f"branch {self._branch}"

    def _fits(self, deployment: Deployment) -> bool:
        return deployment.branch == self._branch and (not self._commit or deployment.is_of(self._commit))

    def _look(self, most_pages: int = 1) -> Deployment | None:
        """The newest fitting deployment."""
        listed = deployments(self._client, self._environment, most_pages)
        return next((deployment for deployment in listed if self._fits(deployment)), None)

    def _at_first(self) -> Deployment | None:
        """What serves goes before what was built of the same commit later, and perhaps failed."""
        canonical = self._project.canonical
        if self._commit and self._environment == PRODUCTION and canonical and self._fits(canonical):
            return canonical
        return self._look(most_pages=10)

    # -- check mode

    def predict(self) -> None:
        outcome = self.outcome
        found = outcome.deployment = self._at_first()
        builds = self._trigger == "always" or self._would_build(found)
        if builds:
            outcome.triggered = True
        elif found is None:
            self._refuse_when_no_push_deploys()
            outcome.notes.append(
                f"There is no deployment of {self.wanted} yet; it would be waited for as long as "
                f"{self._params['appear_timeout']:g} s."
            )
        elif found.status == SUCCESS:
            self._note_or_refuse(found, self._project)
            return
        elif found.status == SKIPPED:
            self._skipped(found)
            return
        elif found.finished:
            if not self._params["retry_failed"]:
                self._failed(found)
            outcome.retried = True
        # What others have built changes nothing but production.
        outcome.acted = outcome.triggered or outcome.retried or self._environment == PRODUCTION
        if self._environment == PRODUCTION:
            outcome.after = {**UNKNOWN_YET, "commit": self._commit or (found.commit if found else None)}
            if found is not None and not found.finished:
                outcome.after = {"id": found.id, "commit": found.commit, "url": found.url}

    def _would_build(self, found: Deployment | None) -> bool:
        return self._trigger == "missing" and (
            found is None or (found.status == SKIPPED and not self._params["accept_skipped"])
        )

    # -- doing it

    def run(self) -> None:
        found = None if self._trigger == "always" else self._at_first() or self._appeared()
        if found is None or self._would_build(found):
            found = self._build()
        self.outcome.deployment = found
        found = self._followed(found)
        if found.status not in (SUCCESS, SKIPPED) and self._params["retry_failed"]:
            self.outcome.retried = self.outcome.acted = True
            self._log = []
            found = self._followed(deployment_from(self._client.post(f"/deployments/{found.id}/retry")))
        if found.status == SKIPPED:
            if self._would_build(found) and not self.outcome.triggered:
                found = self._followed(self._build())
            if found.status == SKIPPED:
                self._skipped(found)
                return
        if found.status != SUCCESS:
            self._failed(found)
        self._confirm(found)

    def _appeared(self) -> Deployment | None:
        """The deployment that a push starts, once it is there; None when one shall be asked for."""
        if not self._pushes_deploy and self._environment == PRODUCTION:
            if self._trigger == "missing":
                return None
            self._refuse_when_no_push_deploys()
        self._progress.begin(f"waiting for {self.wanted}")
        found = self._patience.until(self._look, lambda seen: seen is not None, seconds=self._params["appear_timeout"])
        if found is not None or self._trigger == "missing":
            return found
        newest = next(iter(deployments(self._client, self._environment, 1)), None)
        raise PlatformError(
            f"No deployment of {self.wanted} appeared in {self._client.project} within {self._patience.waited:.0f} s; "
            f"the newest of {self._environment} is {newest.label if newest else 'none'}.",
            f"Was it pushed to {self._branch} of {self._project.repository}? If it was, Cloudflare was not told: run "
            f"this again with trigger=missing, which has the head of {self._branch} built.",
        )

    def _refuse_when_no_push_deploys(self) -> None:
        if self._environment != PRODUCTION or self._pushes_deploy:
            return
        disabled = self._pushes_deploy is False
        why = "are disabled" if disabled else "come by upload, since no repository is connected to it"
        raise PlatformError(
            f"There is no deployment of {self.wanted}, and no push will make one: production deployments of "
            f"{self._client.project} {why}.",
            "Set production_deployments=enabled for the next push, and trigger=missing to have the branch built now."
            if disabled
            else "Upload one, for example with wrangler pages deploy.",
        )

    def _build(self) -> Deployment:
        self.outcome.triggered = self.outcome.acted = True
        built = deployment_from(self._client.post_form("/deployments", branch=self._branch))
        self.outcome.deployment = built
        if self._commit and not built.is_of(self._commit):
            raise PlatformError(
                f"The head of {self._branch} is not commit {self._commit}: Cloudflare builds {built.label} now, which "
                f"will {'take production' if self._environment == PRODUCTION else 'be its preview'} when it is done.",
                f"Push {self._commit} to {self._branch}, or name in commit what is there. To keep what serves now, run "
                "this with state=rolled_back after that build.",
            )
        return built

    def _followed(self, deployment: Deployment) -> Deployment:
        """The deployment when it is done; an error when it is not in time."""
        outcome, client = self.outcome, self._client
        outcome.deployment = deployment
        self._progress.begin(f"building {deployment.label}")

        def look() -> Deployment:
            seen = outcome.deployment = read_deployment(client, deployment.id)
            self._show_log(seen)
            return seen

        if not deployment.finished:
            deployment = self._patience.until(look, lambda seen: seen.finished) or deployment
        if not deployment.finished:
            self._take_log(deployment)
            raise PlatformError(
                f"Deployment {deployment.label} is still {deployment.status} (stage {_at(deployment)}) after "
                f"{self._patience.waited:.0f} s. It goes on.",
                "Run this again to go on waiting, or raise wait_timeout. Cloudflare ends a build after 20 minutes.",
            )
        return deployment

    def _show_log(self, deployment: Deployment) -> None:
        if not self._params["progress_file"]:
            return
        # What is shown while it works is not worth a failure.
        with suppress(PlatformError):
            lines = build_log(self._client, deployment)
            self._progress.say(new_lines(self._log, lines))
            self._log = lines

    def _take_log(self, deployment: Deployment) -> None:
        """The reason why a build failed matters more than a log that cannot be read."""
        try:
            lines = build_log(self._client, deployment)
        except PlatformError as error:
            self.outcome.notes.append(f"Its log cannot be read: {error.msg}")
            return
        self.outcome.log_tail = lines[-self._params["log_lines"] :] if self._params["log_lines"] else []
        if deployment.failing_stage:
            self.outcome.failing_line = failing_line(lines)

    # -- judging it

    def _failed(self, deployment: Deployment) -> t.NoReturn:
        self._take_log(deployment)
        line = self.outcome.failing_line
        how = "was canceled" if deployment.status == "canceled" else "failed"
        raise PlatformError(
            f"Deployment {deployment.label} {how} in stage {_at(deployment)}{f': {line}' if line else ''}."
            f"{self._standing(deployment)}",
            "See log_tail. If the commit is good, run this with retry_failed=true; otherwise push a mended one.",
        )

    def _skipped(self, deployment: Deployment) -> None:
        said = (
            f"Cloudflare skipped {deployment.label}: its message says so, or it touches nothing that the project's "
            f"build watch paths include.{self._standing(deployment)}"
        )
        if not self._params["accept_skipped"]:
            raise PlatformError(
                said, "Set accept_skipped=true if the frontend need not change, or trigger=always to have it built."
            )
        self.outcome.notes.append(said)

    def _standing(self, deployment: Deployment) -> str:
        """What production serves instead, as far as it can be read."""
        try:
            project = read_project(self._client)
        except PlatformError:
            return ""
        self.outcome.saw(project)
        newer = project.latest
        superseded = newer and newer.environment == PRODUCTION and newer.created > deployment.created
        return (
            f" Production serves {project.canonical.label if project.canonical else 'nothing yet'}."
            f"{f' The newer {newer.label} is {newer.status}.' if newer and superseded else ''}"
        )

    def _confirm(self, deployment: Deployment) -> None:
        """What production serves is the proof; of a preview, its own success is."""
        if self._environment != PRODUCTION:
            self.outcome.notes.append(f"{self._branch} is not the production branch: it serves at {deployment.url}.")
            return
        seen = self._patience.until(
            lambda: read_project(self._client),
            lambda project: _serves(project, deployment) or _newer(project, deployment),
            seconds=CONFIRM_SECONDS,
        )
        project = seen or self._project
        self.outcome.saw(project)
        self._note_or_refuse(deployment, project)

    def _note_or_refuse(self, deployment: Deployment, project: Project) -> None:
        if self._environment != PRODUCTION:
            return
        canonical = project.canonical
        if not _serves(project, deployment):
            if canonical and _newer(project, deployment):
                raise PlatformError(
                    f"Deployment {deployment.label} succeeded, but was superseded by a newer one: production serves "
                    f"{canonical.label}.",
                    "Wait for that commit instead, or bring this one back with state=rolled_back and its id in to.",
                )
            serves = (
                f"the older {canonical.label}: it was not put in its place yet, or was rolled back"
                if canonical
                else "nothing yet"
            )
            raise PlatformError(
                f"Deployment {deployment.label} succeeded, but production serves {serves}.",
                "If it was built a moment ago, run this again. If it was rolled back and shall serve again, run this "
                "with state=rolled_back and its id in to.",
            )
        self.outcome.deployment = canonical
        latest = project.latest
        if latest and latest.environment == PRODUCTION and not latest.finished:
            self.outcome.notes.append(f"{latest.label} is being built, and will take production when it is done.")

    def finish(self) -> None:
        self.outcome.waited = self._patience.waited


def _at(deployment: Deployment) -> str:
    stage = deployment.failing_stage or next(
        (stage for stage in deployment.stages if stage.status in ("active", "idle")), None
    )
    return stage.name if stage else "unknown"


def _serves(project: Project, deployment: Deployment) -> bool:
    """A rebuild of the same commit by somebody else is as good."""
    canonical = project.canonical
    return canonical is not None and (
        canonical.id == deployment.id
        or (
            bool(deployment.commit)
            and canonical.commit == deployment.commit
            and canonical.created >= deployment.created
        )
    )


def _newer(project: Project, deployment: Deployment) -> bool:
    canonical = project.canonical
    return canonical is not None and canonical.created > deployment.created


def deploy(client: PagesClient, clock: Clock, params: Mapping[str, t.Any], check: bool, progress: Progress) -> Outcome:
    project = read_project(client)
    wanted = params["production_deployments"]
    switches = needs_switch(project, wanted)
    enabled_before = project.production_deployments_enabled
    enables = switches and wanted == "enabled"
    if enables and not check:
        project = switch(client, project, True)
    deployer = Deployer(client, clock, project, params, progress, enables or enabled_before)
    outcome = deployer.outcome
    outcome.switch_before = enabled_before
    try:
        if deployer.waits:
            if check:
                deployer.predict()
            else:
                deployer.run()
        else:
            outcome.deployment = project.canonical
        if switches and check:
            outcome.switch_after = wanted == "enabled"
        elif switches and wanted == "disabled":
            outcome.saw(switch(client, project, False))
    except PlatformError as error:
        deployer.finish()
        error.details = {**error.details, **outcome.to_result(), "changed": outcome.changed}
        raise
    deployer.finish()
    return outcome
