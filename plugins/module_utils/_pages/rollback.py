# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings back a successful deployment of production, or a newer one again, and proves that it serves.

For modules: ``roll_back(client, clock, params, check) -> Outcome``.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping, Sequence

from ansible_collections.vedfinance.platform.plugins.module_utils._clock import Clock
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.client import NoDeployment, PagesClient
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.deploy import CONFIRM_SECONDS, Patience
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.deployments import (
    PREVIEW,
    PRODUCTION,
    SUCCESS,
    Deployment,
    deployments,
    is_commit,
    read_deployment,
    served,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.outcome import Outcome
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.project import (
    Project,
    needs_switch,
    read_project,
    switch,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._redact import clip

PREVIOUS = "previous"
MOST_PAGES = 10
MOST_CANDIDATES = 20
_WHOLE_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


# --- choosing ---------------------------------------------------------------------------------------------------------


def refused(msg: str, known: Sequence[Deployment]) -> PlatformError:
    good = [deployment for deployment in known if deployment.status == SUCCESS][:MOST_CANDIDATES]
    shown = ", ".join(deployment.label for deployment in good[:5]) or "none"
    return PlatformError(
        msg,
        f"Possible are successful deployments of production: {shown}{' and more' if len(good) > 5 else ''}.",
        candidates=[deployment.to_result() for deployment in good],
    )


def previous(known: Sequence[Deployment], canonical: Deployment | None) -> Deployment:
    """The last one of another commit before the newest. When production was rolled back already, what it serves."""
    good = [deployment for deployment in known if deployment.status == SUCCESS]
    if canonical is None or not good:
        raise refused("Nothing was ever deployed to production, so there is nothing to go back to.", known)
    newest = good[0]
    if canonical.created < newest.created and canonical.commit != newest.commit:
        return canonical
    for deployment in good[1:]:
        if deployment.created < newest.created and deployment.commit != newest.commit:
            return deployment
    raise refused(f"There is no successful deployment of production of another commit before {newest.label}.", known)


def named(known: Sequence[Deployment], canonical: Deployment | None, wanted: str) -> Deployment | None:
    """The deployment of production with this id, short id or commit; None when there is none."""
    for deployment in known:
        if wanted in (deployment.id, deployment.short_id):
            return _proved(deployment, known)
    found = [deployment for deployment in known if is_commit(wanted) and deployment.commit.startswith(wanted)]
    if len({deployment.commit for deployment in found}) > 1:
        raise refused(f"{wanted} is the beginning of more than one commit.", known)
    good = [deployment for deployment in found if deployment.status == SUCCESS]
    if canonical is not None and any(deployment.id == canonical.id for deployment in good):
        return canonical
    return _proved((good or found)[0], known) if found else None


def _proved(deployment: Deployment, known: Sequence[Deployment]) -> Deployment:
    if deployment.environment != PRODUCTION:
        raise refused(
            f"{deployment.label} is a preview of branch {deployment.branch}, not a deployment of production.", known
        )
    if deployment.status == SUCCESS:
        return deployment
    stage = deployment.failing_stage
    how = {"queued": "is being built", "active": "is being built", "skipped": "was skipped"}.get(
        deployment.status, f"{deployment.status} in stage {stage.name if stage else 'unknown'}"
    )
    raise refused(f"{deployment.label} cannot be rolled back to: it {how}.", known)


def chosen(client: PagesClient, project: Project, to: str) -> Deployment:
    wanted = to.strip().lower()
    known = list(deployments(client, PRODUCTION, MOST_PAGES))
    if wanted == PREVIOUS:
        return previous(known, project.canonical)
    found = named(known, project.canonical, wanted)
    if found is None:
        found = _elsewhere(client, known, wanted)
    if found is None:
        raise refused(f"{project.name} has no deployment of production with the id or commit {clip(to, 60)!r}.", known)
    return found


def _elsewhere(client: PagesClient, known: Sequence[Deployment], wanted: str) -> Deployment | None:
    """An older one by its whole id, or a preview, of which is told that it is one."""
    if _WHOLE_ID.fullmatch(wanted):
        try:
            return _proved(read_deployment(client, wanted), known)
        except NoDeployment:
            return None
    previews = list(deployments(client, PREVIEW, 2))
    for deployment in previews:
        if wanted == deployment.short_id or (is_commit(wanted) and deployment.commit.startswith(wanted)):
            return _proved(deployment, known)
    return None


# --- doing it ---------------------------------------------------------------------------------------------------------


def roll_back(client: PagesClient, clock: Clock, params: Mapping[str, t.Any], check: bool) -> Outcome:
    project = read_project(client)
    outcome = Outcome.of(project)
    wanted = params["production_deployments"]
    switches = needs_switch(project, wanted)
    patience = Patience(clock, CONFIRM_SECONDS)
    try:
        target = outcome.deployment = chosen(client, project, params["to"])
        goes = project.canonical is None or project.canonical.id != target.id
        if check:
            outcome.after = served(target)
            if switches:
                outcome.switch_after = wanted == "enabled"
        else:
            # Before the rollback, so that no push comes between the two.
            if switches:
                project = switch(client, project, wanted == "enabled")
                outcome.saw(project)
            if goes:
                project = _take(client, patience, target, outcome)
    except PlatformError as error:
        outcome.waited = patience.waited
        error.details = {**error.details, **outcome.to_result(), "changed": outcome.changed}
        raise
    outcome.waited = patience.waited
    if not goes:
        outcome.notes.append(f"Production serves {target.label} already.")
    outcome.notes += notes(project, target, outcome.switch_after)
    return outcome


def _take(client: PagesClient, patience: Patience, target: Deployment, outcome: Outcome) -> Project:
    outcome.acted = True
    client.post(f"/deployments/{target.id}/rollback")
    seen = patience.until(
        lambda: read_project(client),
        lambda project: project.canonical is not None and project.canonical.id == target.id,
    )
    if seen is not None:
        outcome.saw(seen)
    if seen is None or seen.canonical is None or seen.canonical.id != target.id:
        serves = seen.canonical.label if seen and seen.canonical else "nothing"
        raise PlatformError(
            f"Cloudflare took the rollback to {target.label}, but production still serves {serves} after "
            f"{patience.waited:.0f} s.",
            "Look at the project in the dashboard, and run this again.",
        )
    return seen


def notes(project: Project, target: Deployment, pushes_deploy: bool | None) -> list[str]:
    """What will undo the rollback."""
    told = []
    latest = project.latest
    if latest and latest.id != target.id and latest.environment == PRODUCTION and not latest.finished:
        told.append(f"{latest.label} is being built, and will take production when it is done.")
    if pushes_deploy:
        told.append(
            f"The next push to {project.production_branch} deploys again: revert the commit before, or switch "
            "production deployments off (production_deployments=disabled)."
        )
    elif pushes_deploy is False:
        told.append("Production deployments are disabled: no push deploys until production_deployments=enabled.")
    return told
