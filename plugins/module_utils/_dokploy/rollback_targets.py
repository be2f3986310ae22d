# SPDX-License-Identifier: GPL-3.0-or-later
"""What an application can be rolled back to, how, and why not.

Dokploy keeps eleven records. A record leads back to its version by a registry snapshot, by the image it pulled, or by
a branch or tag of its commit. A rollback to a snapshot leaves no record: only the images that run tell of it.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.client import (
    DokployClient,
    Rejected,
    ServerFailed,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.deployments import (
    MOST_LOG_LINES,
    UNFINISHED,
    Deployment,
    build_log,
    deployments_of,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import (
    BRANCH_COLUMNS,
    Application,
    Compose,
    rows_of,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.rollback_marker import Marker, marker_in
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.tasks import images_of, running, tasks_of
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.verdict import same_image
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError

STRATEGIES = ("snapshot", "image", "git")
IMAGE_MARK, BRANCH_MARK = "image:", "branch:"
Rollable = t.Union[Application, Compose]

_PULLING = re.compile(r"^Pulling (\S+)\s*$", re.MULTILINE)
_COMMIT_PREFIX = re.compile(r"[0-9a-f]{7,40}")
# A quoted value may have lines, which are no assignments of their own.
_ASSIGNMENT = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?([\w.-]+)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|'[^']*'|`[^`]*`|[^\n]*)""", re.MULTILINE
)
# Other words before an equals sign may be the end of a key that was pasted with its line breaks.
_USUAL_NAME = re.compile(r"[A-Z][A-Z0-9_]*|[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Snapshot:
    """A copy of the image in the rollback registry, and of the settings of that time, which hold secrets."""

    id: str
    image: str | None
    replicas: int | None = None
    variables: Mapping[str, str] | None = field(default=None, repr=False)

    @classmethod
    def from_row(cls, rollback_id: str, row: Mapping[str, t.Any]) -> Snapshot:
        context = row.get("fullContext") or {}
        env = context.get("env")
        return cls(
            rollback_id,
            row.get("image"),
            int(context["replicas"]) if context.get("replicas") is not None else None,
            variables_of(env) if context else None,
        )

    def runs_as(self, reference: str) -> bool:
        """The registry's part of its name is not told by every version of Dokploy."""
        return self.image is not None and f"/{reference.partition('@')[0]}".endswith(f"/{self.image}")


@dataclass(frozen=True)
class Target:
    id: str | None
    """The id of its record; None for an image or a branch that no record names."""
    title: str
    status: str
    created_at: str | None
    commit: str | None = None
    image: str | None = None
    """What a docker source pulled."""
    snapshot: Snapshot | None = None
    strategy: str | None = None
    reason: str | None = None
    """Why there is no way back to it."""
    serving: bool = False

    @property
    def done(self) -> bool:
        return self.status == "done"

    @property
    def version(self) -> str | None:
        return self.image or self.commit

    @property
    def mark(self) -> str:
        """What a memory calls it. An id has no colon."""
        return self.id or (f"{IMAGE_MARK}{self.image}" if self.image else f"{BRANCH_MARK}{self.title}")

    @property
    def label(self) -> str:
        what = self.image or self.title or "no title"
        commit = f", commit {self.commit[:12]}" if self.commit else ""
        return f"deployment {self.id} ({what}{commit})" if self.id else what

    @classmethod
    def of_image(cls, image: str) -> Target:
        """One that no record names, but a person."""
        return cls(None, "", "done", None, image=image)

    @classmethod
    def of_git_ref(cls, git_ref: str) -> Target:
        return cls(None, git_ref, "done", None)

    def to_result(self) -> dict[str, object]:
        return {
            "id": self.id,
            "title": self.title,
            "status": self.status,
            "created_at": self.created_at,
            "commit": self.commit,
            "image": self.image,
            "snapshot": self.snapshot.image if self.snapshot else None,
            "serving": self.serving,
            "strategy": self.strategy,
            "reason": self.reason,
        }


# --- environment ------------------------------------------------------------------------------------------------------


def variables_of(env: object) -> dict[str, str]:
    return dict(_ASSIGNMENT.findall(str(env or "")))


def changed_names(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, list[str]]:
    """What differs, by name only: the values are secrets."""

    def shown(names: Iterable[str]) -> list[str]:
        return sorted(name for name in names if _USUAL_NAME.fullmatch(name))

    return {
        "added": shown(after.keys() - before.keys()),
        "removed": shown(before.keys() - after.keys()),
        "changed": shown(name for name in before.keys() & after.keys() if before[name] != after[name]),
    }


# --- reading ----------------------------------------------------------------------------------------------------------


def targets_of(client: DokployClient, service: Rollable) -> list[Target]:
    """Every record, newest first, with the way back to it and the mark of the one that serves."""
    return mark_serving(service, read_targets(client, service), serving_reference(client, service))


def read_targets(client: DokployClient, service: Rollable) -> list[Target]:
    if isinstance(service, Compose):
        return [_judged(service, _target(record, None)) for record in deployments_of(client, service)]
    rows = rows_of(client.get("deployment.allByType", id=service.id, type="application"))
    targets = [_target(Deployment.from_row(row), row.get("rollback")) for row in rows]
    if service.source_type == "docker":
        targets = [_with_pulled_image(client, target) for target in targets]
    return [_judged(service, target) for target in targets]


def _target(record: Deployment, rollback: Mapping[str, t.Any] | None) -> Target:
    rollback = rollback or {}
    context = rollback.get("fullContext") or {}
    return Target(
        id=record.id,
        title=record.title,
        status=record.status,
        created_at=record.created_at,
        commit=record.commit,
        image=context.get("dockerImage") if context.get("sourceType") == "docker" else None,
        snapshot=Snapshot.from_row(record.rollback_id, rollback) if record.rollback_id else None,
    )


def _with_pulled_image(client: DokployClient, target: Target) -> Target:
    """A rebuild pulls nothing, so that its log does not tell its image."""
    if target.image or not target.done or target.id is None:
        return target
    try:
        log = build_log(client, target.id, MOST_LOG_LINES)
    except (Rejected, ServerFailed):
        return target  # the file is gone
    pulled = _PULLING.search(log or "")
    return replace(target, image=pulled.group(1)) if pulled else target


def _judged(service: Rollable, target: Target) -> Target:
    if not target.done:
        return replace(target, reason=not_built(target))
    obstacles = []
    for strategy in STRATEGIES:
        obstacle = obstacle_to(strategy, service, target, None)
        if obstacle is None:
            return replace(target, strategy=strategy)
        obstacles.append(f"{strategy}: {obstacle}")
    return replace(target, reason="; ".join(obstacles))


def not_built(target: Target) -> str:
    if target.status == UNFINISHED:
        return "it is still being built"
    return f"its build ended with {target.status}, so that there is no image of it"


def obstacle_to(strategy: str, service: Rollable, target: Target, git_ref: str | None) -> str | None:
    """Why this way is not open; None when it is."""
    if strategy == "snapshot":
        return None if target.snapshot else "no snapshot was kept of it"
    if strategy == "image":
        if service.source_type != "docker":
            return f"a source of the type {service.source_type} overwrites its image with each build"
        return None if target.image else "which image it ran is not known"
    if service.source_type not in BRANCH_COLUMNS:
        return f"a source of the type {service.source_type} has no branch"
    return None if git_ref else "no branch or tag that holds it was given in git_ref"


# --- serving ----------------------------------------------------------------------------------------------------------


def serving_reference(client: DokployClient, service: Rollable) -> str | None:
    """The one image that all running tasks run; None when there is none, several, or no permission to look."""
    tasks = tasks_of(client, service)
    images = images_of(client, service) if tasks else None
    if not tasks or images is None:
        return None
    seen = {images[task.id].reference for task in running(tasks) if task.id in images}
    return seen.pop() if len(seen) == 1 else None


def mark_serving(service: Rollable, targets: Sequence[Target], reference: str | None) -> list[Target]:
    serving = _serving(service, targets, reference)
    return [replace(target, serving=target is serving) for target in targets]


def _serving(service: Rollable, targets: Sequence[Target], reference: str | None) -> Target | None:
    if reference is None:
        return None
    for target in targets:
        if target.snapshot and target.snapshot.runs_as(reference):
            return target
    done = [target for target in targets if target.done]
    if service.source_type == "docker":
        return next((target for target in done if target.image and same_image(target.image, reference)), None)
    return done[0] if done and f"/{reference}".endswith(f"/{service.app_name}:latest") else None


# --- choosing ---------------------------------------------------------------------------------------------------------


def choose_target(service: Rollable, targets: Sequence[Target], wanted: str) -> Target:
    """The one record or image that O(to) means."""
    if wanted == "previous":
        return _previous(targets, marker_in(service.description))
    return _named(service, targets, wanted)


def _previous(targets: Sequence[Target], marker: Marker | None) -> Target:
    """What served before the newest successful deployment, whether or not it is back already."""
    done = [target for target in targets if target.done]
    if not done:
        raise PlatformError(
            "There is no successful deployment at all, so there is nothing to return to.",
            "Deploy a version that works.",
            targets=_results(targets),
        )
    if marker and marker.left != marker.to and marker.left in [target.id for target in done[:2]]:
        return _remembered(done, marker)
    before = _before(done)
    serving = next((target for target in targets if target.serving), None)
    if serving and serving not in (done[0], before):
        raise PlatformError(
            f"It serves {serving.label}, which is neither its newest successful deployment nor the one "
            "before it: somebody rolled it back already.",
            "Name in to what you want to return to: the id of a deployment, a commit or an image.",
            targets=_results(targets),
        )
    newest = done[0].version
    twin = next((target for target in done[2:] if newest and target.version == newest), None)
    if twin and before.version != newest and done[1] is before:
        raise PlatformError(
            f"The newest deployment {done[0].id} runs the version of {twin.label} again, so that somebody seems to "
            f"have rolled back from {before.label}, and the one before it would be that one.",
            "Name in to what you want to return to: the id of a deployment, a commit or an image.",
            targets=_results(targets),
        )
    return before


def _remembered(done: Sequence[Target], marker: Marker) -> Target:
    for target in done:
        if target.id == marker.to:
            return target
    if marker.to.startswith((IMAGE_MARK, BRANCH_MARK)) and done[0].id != marker.left:
        return done[0]  # what was deployed of it
    if marker.to.startswith(IMAGE_MARK):
        return Target.of_image(marker.to[len(IMAGE_MARK) :])
    raise PlatformError(
        f"It was rolled back to {marker.to} at {marker.at}, of which Dokploy keeps no record.",
        "Name in to what you want to return to: the id of a deployment, a commit or an image.",
        targets=_results(done),
    )


def _before(done: Sequence[Target]) -> Target:
    """The last one of another version; a rebuild of the same version only when there is a snapshot of it."""
    older = done[1:]
    other = [target for target in older if not (target.version and target.version == done[0].version)]
    same = [target for target in older if target.snapshot and target.image]
    if other or same:
        return (other or same)[0]
    which = "the only successful one" if not older else "of the same version as all that were before it"
    raise PlatformError(
        f"The newest {done[0].label} is {which}, so there is no previous version.",
        "If there is an older one, give its image in to, or a branch or tag that holds it in git_ref.",
        targets=_results(done),
    )


def _named(service: Rollable, targets: Sequence[Target], wanted: str) -> Target:
    for target in targets:
        if target.id == wanted:
            return target
    found = []
    if _COMMIT_PREFIX.fullmatch(wanted):
        found = [target for target in targets if target.done and (target.commit or "").startswith(wanted)]
    if not found:
        found = [
            target
            for target in targets
            if target.done
            and target.image
            and wanted in (target.image, target.image.partition("@")[0].rpartition(":")[2])
        ]
    versions = {str(target.version) for target in found}
    if len(versions) > 1:
        raise PlatformError(
            f"{wanted!r} means more than one version: {', '.join(sorted(versions))}.",
            "Give more of it, or the id of a deployment.",
            targets=_results(targets),
        )
    if found:
        return next((target for target in found if target.snapshot), found[0])
    if service.source_type == "docker" and _looks_like_image(wanted):
        return Target.of_image(wanted)
    raise PlatformError(
        f"{service.name} has no successful deployment with the id, the commit or the image {wanted!r}; Dokploy "
        "keeps eleven records.",
        "Look at targets for what there is. A commit needs at least its first seven digits.",
        targets=_results(targets),
    )


def _looks_like_image(text: str) -> bool:
    return "/" in text or ":" in text


def _results(targets: Sequence[Target]) -> list[dict[str, object]]:
    return [target.to_result() for target in targets]
