# SPDX-License-Identifier: GPL-3.0-or-later
"""Which way back is taken, what it changes, and what a person should know of it, before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import (
    BRANCH_COLUMNS,
    Application,
    Compose,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.rollback_marker import (
    Marker,
    Stored,
    marker_in,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.rollback_targets import (
    STRATEGIES,
    Rollable,
    Snapshot,
    Target,
    changed_names,
    obstacle_to,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.verdict import same_image
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError

SWITCH_ON = (
    "To have one next time, switch on snapshots with vedfinance.platform.dokploy_application_rollback_policy, and "
    "deploy: each successful deploy from then on keeps one."
)
_SHA = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Scene:
    """What is, before anything is done."""

    service: Rollable
    targets: Sequence[Target]
    reference: str | None
    """The one image that all running tasks run, when that can be seen."""
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def serving(self) -> Target | None:
        return next((target for target in self.targets if target.serving), None)

    @property
    def newest_done(self) -> Target | None:
        return next((target for target in self.targets if target.done), None)

    @property
    def image(self) -> str | None:
        return self.service.image if isinstance(self.service, Application) else None


@dataclass(frozen=True)
class Plan:
    target: Target
    strategy: str
    serves: bool
    """Whether the target serves already."""
    stored: Mapping[str, tuple[Stored, Stored]]
    """The columns of the service that change, with their values before and after."""
    sticky: bool
    environment: Mapping[str, list[str]] | None
    marker: Marker | None
    git_ref: str | None = None
    warnings: Sequence[str] = ()

    @property
    def there(self) -> bool:
        return self.serves and not self.stored

    @property
    def snapshot(self) -> Snapshot | None:
        """What is applied; None for the ways that deploy."""
        return self.target.snapshot if self.strategy == "snapshot" else None

    @property
    def values(self) -> dict[str, Stored]:
        return {name: new for name, (old, new) in self.stored.items()}


# --- choosing the way -------------------------------------------------------------------------------------------------


def choose_strategy(service: Rollable, target: Target, wanted: str, git_ref: str | None) -> str:
    """The first way that is open, or the refusal that says what would open one."""
    if not target.done:
        raise PlatformError(
            f"It cannot be rolled back to {target.label}: {target.reason}.", "Name a deployment whose status is done."
        )
    _refuse_commit_as_ref(target, git_ref)
    if target.id is None:
        # A person named an image or a branch, so that is the way.
        ways: Sequence[str] = ("image",) if target.image else ("git",)
        if wanted not in ("auto", *ways):
            raise PlatformError(f"{target.label} is no way of strategy={wanted}.", f"Use strategy={ways[0]} or auto.")
    else:
        ways = STRATEGIES if wanted == "auto" else (wanted,)
    obstacles = {way: obstacle_to(way, service, target, git_ref) for way in ways}
    for way, obstacle in obstacles.items():
        if obstacle is None:
            return way
    reasons = "; ".join(f"{way}: {obstacle}" for way, obstacle in obstacles.items())
    raise PlatformError(f"There is no way back to {target.label}. {reasons}.", _what_would_help(service, target))


def _refuse_commit_as_ref(target: Target, git_ref: str | None) -> None:
    ref = (git_ref or "").lower()
    if _SHA.fullmatch(ref) or (len(ref) >= 7 and (target.commit or "-").startswith(ref)):
        raise PlatformError(
            f"git_ref {git_ref} is a commit, and Dokploy clones with git clone --branch, which takes branches and tags "
            "only.",
            f"Put a tag on it (git tag rollback-{ref[:7]} {ref} and git push origin rollback-{ref[:7]}) and give the "
            "tag.",
        )


def _what_would_help(service: Rollable, target: Target) -> str:
    held = f" that is at {target.commit}" if target.commit else " that holds that version"
    by_git = f"Push a branch or tag{held} and name it in git_ref."
    if isinstance(service, Compose):
        if service.source_type in BRANCH_COLUMNS:
            return f"Dokploy keeps no former versions of a compose service. {by_git}"
        return "Dokploy keeps no former versions of a compose service. Store its former file, and deploy it."
    if service.source_type == "docker":
        return f"Name the image that it ran, with its tag, in to. {SWITCH_ON}"
    return f"{by_git} {SWITCH_ON}" if service.source_type in BRANCH_COLUMNS else SWITCH_ON


def make_plan(scene: Scene, target: Target, strategy: str, git_ref: str | None, pin: bool, now: str) -> Plan:
    service = scene.service
    warnings: list[str] = []
    environment = None
    if strategy == "snapshot" and isinstance(service, Application):
        environment = _environment_change(scene, target)
        _judge_replicas(service, target, warnings)
    lasting = _lasting_values(service, target, strategy, git_ref)
    kept = {name: value for name, value in lasting.items() if strategy != "snapshot" or pin}
    if pin and not lasting:
        kept = {"autoDeploy": False}
    old = columns_of(service)
    stored = {name: (old[name], new) for name, new in kept.items() if old[name] != new}
    sticky = bool(lasting) and all(kept.get(name, old[name]) == value for name, value in lasting.items())
    serves = _serves(scene, target, strategy)
    plan = Plan(
        target=target,
        strategy=strategy,
        serves=serves,
        stored=stored,
        sticky=sticky,
        environment=environment,
        marker=_marker(scene, target, stored, now),
        git_ref=git_ref,
        warnings=warnings,
    )
    return replace(plan, warnings=[*warnings, *_advice(scene, plan, serves, pin)])


def _environment_change(scene: Scene, target: Target) -> Mapping[str, list[str]] | None:
    then = target.snapshot.variables if target.snapshot else None
    return None if then is None else changed_names(scene.variables, then)


def _judge_replicas(service: Application, target: Target, warnings: list[str]) -> None:
    replicas = target.snapshot.replicas if target.snapshot else None
    if replicas == 0:
        raise PlatformError(
            f"The snapshot of {target.label} was made while the application had 0 replicas, and would stop it.",
            "Choose another target or another strategy.",
        )
    if replicas is not None and replicas != service.replicas:
        warnings.append(
            f"The snapshot brings its own number of replicas, {replicas} in the place of {service.replicas}, until the "
            "next deploy or reload."
        )


def _lasting_values(service: Rollable, target: Target, strategy: str, git_ref: str | None) -> dict[str, Stored]:
    """What Dokploy must hold for the next deploy or reload to lead to the target again."""
    if service.source_type == "docker" and target.image:
        return {"dockerImage": target.image}
    if service.source_type in BRANCH_COLUMNS and git_ref:
        return {BRANCH_COLUMNS[service.source_type]: git_ref}
    return {}


def columns_of(service: Rollable) -> dict[str, Stored]:
    columns: dict[str, Stored] = {"autoDeploy": service.auto_deploy}
    if isinstance(service, Application):
        columns["dockerImage"] = service.image
    if service.source_type in BRANCH_COLUMNS:
        columns[BRANCH_COLUMNS[service.source_type]] = service.git_ref
    return columns


def _serves(scene: Scene, target: Target, strategy: str) -> bool:
    if strategy == "git":
        # What serves is called latest, whatever it is; the newest record that is done tells what was built of it.
        newest = scene.targets[0] if scene.targets else None
        if newest is None or not newest.done:
            return False
        if target.commit:
            return newest.commit == target.commit
        marker = marker_in(scene.service.description)
        return marker is not None and marker.to == target.mark and marker.left != newest.id
    if strategy == "image":
        return bool(scene.reference and target.image and same_image(target.image, scene.reference))
    return target.serving


def _marker(scene: Scene, target: Target, stored: Mapping[str, tuple[Stored, Stored]], now: str) -> Marker | None:
    """What is to be remembered; of the newest version only what former rollbacks have stored."""
    newest = scene.newest_done
    if newest is None or newest.id is None:
        return None
    former = stored_by_rollbacks(scene.service)
    kept = {**former, **{name: (former.get(name, (old, new))[0], new) for name, (old, new) in stored.items()}}
    if newest.id == target.id and not kept:
        return None
    return Marker(now, newest.id, target.mark, kept)


def stored_by_rollbacks(service: Rollable) -> dict[str, tuple[Stored, Stored]]:
    """What former rollbacks have stored and nobody has changed since."""
    marker, columns = marker_in(service.description), columns_of(service)
    return {
        name: change for name, change in (marker.stored if marker else {}).items() if columns.get(name) == change[1]
    }


def _advice(scene: Scene, plan: Plan, serves: bool, pin: bool) -> list[str]:
    advice = []
    names = {word: names for word, names in (plan.environment or {}).items() if names}
    if names and not serves:
        told = "; ".join(f"{word}: {', '.join(found)}" for word, found in names.items())
        advice.append(f"The snapshot restores the environment variables of its time as well ({told}).")
    if plan.strategy == "snapshot" and not plan.sticky:
        rest = (
            "autoDeploy is off, so that no push does it, until state=unpinned or a person switches it on again."
            if pin
            else "Deploy a mended version next, or pin it (option pin; rollback_pin of the playbook)."
        )
        advice.append(
            f"It does not last: the next deploy, rebuild or reload of {scene.service.name} leads back to its newest "
            f"version. {rest}"
        )
    if plan.stored and plan.sticky:
        told = ", ".join(f"{name} was {old!r} and becomes {new!r}" for name, (old, new) in plan.stored.items())
        advice.append(f"It lasts: {told}. Store the new version there when it is ready, or use state=unpinned.")
    same = plan.target.image is not None and plan.target.image == scene.image
    if serves and same and scene.serving and plan.target.id not in (None, scene.serving.id):
        advice.append(
            f"{plan.target.label} ran the image {scene.image}, which serves now. If somebody moved that tag meanwhile, "
            "only a snapshot can tell the two apart."
        )
    return advice
