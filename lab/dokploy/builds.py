# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job does: record, build or pull, hand the service to the swarm, and say done without waiting for it."""

from __future__ import annotations

import copy
import threading
from typing import Any

from lab.dokploy import compose_builds, images, sources
from lab.dokploy.columns import columns_of
from lab.dokploy.kinds import APPLICATION, KINDS
from lab.dokploy.model import Model, Row, new_id, snapshot_image
from lab.dokploy.queue import Job
from lab.dokploy.recipes import Outcome, Recipe
from lab.dokploy.sources import image_of
from lab.dokploy.swarm import Swarm
from lab.dokploy.tasks import Spec
from lab.dokploy.tempo import Interrupted, Tempo, iso_now
from lab.dokploy.versions import COMMIT_OVERWRITES_TITLE, SWARM_ROLLS_BACK, Version
from lab.dokploy.views import environment_with_project

RECORD_DELAY_SECONDS = 0.6
OVERWRITE_DELAY_SECONDS = 0.5

_FAILED = "\nError occurred ❌, check the logs for details.\n"
# What docker does when an update names no action of its own.
_UNNAMED_ACTION = "pause"


class Builder:
    """Runs the jobs of the queue against the model and the swarm."""

    def __init__(self, model: Model, swarm: Swarm, tempo: Tempo, version: Version) -> None:
        self._model = model
        self._swarm = swarm
        self._tempo = tempo
        self._version = version

    def build(self, job: Job, ended: threading.Event) -> None:
        kind = KINDS[job.service]
        self._tempo.wait(RECORD_DELAY_SECONDS, ended)
        with self._model.change():
            service = self._model.tables[kind.table].get(job.service_id)
            if service is None:
                return
            service[kind.status] = "running"
        with self._model.change():
            record = self._model.add_record(kind.id, service, job.title, job.description, "Initializing deployment\n")
            rollback = snapshot(self._model, service, record) if kind is APPLICATION else None
        if kind is APPLICATION:
            recipe = sources.recipe_of(self._model, service, job.kind)
        else:
            recipe = compose_builds.recipe_of(self._model, self._swarm, service, job.kind)
        try:
            outcome = self._follow(recipe, record, ended)
        except Interrupted:
            if kind is APPLICATION:
                self._orphan(recipe, record)
            raise
        with self._model.change():
            log = outcome.log + ("" if outcome.ok else _FAILED)
            if outcome.ok and kind is APPLICATION:
                log += self._roll_out(service, rollback, outcome)
            self._model.end_record(record, outcome.ok, log)
        with self._model.change():
            service[kind.status] = "done" if outcome.ok else "error"
        if outcome.commit and job.kind == "deploy" and self._version.has(COMMIT_OVERWRITES_TITLE):
            self._tempo.wait(OVERWRITE_DELAY_SECONDS, ended)
            with self._model.change():
                record["title"] = outcome.commit["message"]
                record["description"] = f"Commit: {outcome.commit['sha']}"

    def _follow(self, recipe: Recipe, record: Row, ended: threading.Event) -> Outcome:
        while True:
            with self._model.change():
                try:
                    step = next(recipe)
                except StopIteration as end:
                    outcome: Outcome = end.value
                    return outcome
                self._model.add_to_log(record, step.log)
            self._tempo.wait(step.seconds, ended)

    def _orphan(self, recipe: Recipe, record: Row) -> None:
        """docker builds on without Dokploy: the image gets its tag, and nothing is rolled out."""
        with self._model.change():
            try:
                while True:
                    self._model.add_to_log(record, next(recipe).log)
            except StopIteration as end:
                self._model.add_to_log(record, end.value.log)

    def _roll_out(self, application: Row, rollback: Row | None, outcome: Outcome) -> str:
        """Answers what is logged of the image that is kept for a rollback."""
        self._swarm.apply(application["appName"], spec_of(application, self._version), application["replicas"])
        if rollback is None or outcome.image is None:
            return ""
        reference = snapshot_image(rollback)
        images.keep(self._model, reference, outcome.image)
        return sources.pushed(reference, outcome.image)


def snapshot(model: Model, application: Row, deployment: Row) -> Row | None:
    """Made before the build, so that a failed build has one too, without an image behind it."""
    registry = model.tables["registries"].get(application["rollbackRegistryId"])
    if not application["rollbackActive"] or registry is None:
        return None
    versions = [
        row["version"]
        for row in model.tables["rollbacks"].values()
        if row["fullContext"]["applicationId"] == application["applicationId"]
    ]
    version = max(versions, default=0) + 1
    rollback: Row = {
        "rollbackId": new_id(),
        "deploymentId": deployment["deploymentId"],
        "version": version,
        "image": f"{application['appName']}:v{version}",
        "createdAt": iso_now(),
        "fullContext": {
            **columns_of(application),
            "environment": copy.deepcopy(environment_with_project(model, application)),
            **{name: [] for name in ("domains", "mounts", "ports", "redirects", "security", "previewDeployments")},
            **dict.fromkeys(("server", "registry", "buildRegistry")),
            "rollbackRegistry": dict(registry),
        },
    }
    model.tables["rollbacks"][rollback["rollbackId"]] = rollback
    deployment["rollbackId"] = rollback["rollbackId"]
    return rollback


def spec_of(application: dict[str, Any], version: Version, image: str | None = None) -> Spec:
    """Dokploy's own update policy holds as long as the application has none."""
    update = application["updateConfigSwarm"]
    default = "rollback" if version.has(SWARM_ROLLS_BACK) else _UNNAMED_ACTION
    return Spec(
        image or image_of(application),
        application["env"] or "",
        application["command"],
        on_failure=update.get("FailureAction", _UNNAMED_ACTION) if update else default,
        stop_first=bool(update) and update.get("Order", "stop-first") == "stop-first",
    )
