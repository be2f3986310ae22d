# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job does: record, build or pull, hand the service to the swarm, and say done without waiting for it."""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass
from typing import Any

from lab.dokploy import images
from lab.dokploy.columns import columns_of
from lab.dokploy.images import Image
from lab.dokploy.model import Model, Row, new_id, snapshot_image
from lab.dokploy.queue import Job
from lab.dokploy.swarm import Spec, Swarm
from lab.dokploy.tempo import Tempo, iso_now
from lab.dokploy.views import environment_with_project

RECORD_DELAY_SECONDS = 0.6
PULL_SECONDS = 0.35
GIT_BUILD_SECONDS = 3.0
OVERWRITE_DELAY_SECONDS = 0.5

_FAILED = "\nError occurred ❌, check the logs for details.\n"


@dataclass(frozen=True)
class Outcome:
    """`commit` is what a clone found; a failed clone finds none."""

    ok: bool
    log: str
    image: Image | None = None
    commit: Row | None = None


class Builder:
    """Runs the jobs of the queue against the model and the swarm."""

    def __init__(self, model: Model, swarm: Swarm, tempo: Tempo) -> None:
        self._model = model
        self._swarm = swarm
        self._tempo = tempo

    def build(self, job: Job, ended: threading.Event) -> None:
        self._tempo.wait(RECORD_DELAY_SECONDS, ended)
        with self._model.change():
            application = self._model.tables["applications"].get(job.application_id)
            if application is None:
                return
            application["applicationStatus"] = "running"
        with self._model.change():
            deployment = self._model.add_deployment(
                application, job.title, job.description, "Initializing deployment\n"
            )
            rollback = self._snapshot(application, deployment)
        commit = self._commit(application, job.kind)
        self._tempo.wait(self._seconds(application, commit), ended)
        with self._model.change():
            outcome = self._outcome(application, job.kind, commit)
            self._finish(application, deployment, rollback, outcome)
        with self._model.change():
            application["applicationStatus"] = "done" if outcome.ok else "error"
        if outcome.commit and job.kind == "deploy":
            self._tempo.wait(OVERWRITE_DELAY_SECONDS, ended)
            with self._model.change():
                deployment["title"] = outcome.commit["message"]
                deployment["description"] = f"Commit: {outcome.commit['sha']}"

    def _finish(self, application: Row, deployment: Row, rollback: Row | None, outcome: Outcome) -> None:
        if outcome.ok:
            if rollback and outcome.image:
                images.keep(self._model, snapshot_image(rollback), outcome.image)
            self._swarm.apply(application["appName"], spec_of(application), application["replicas"])
        deployment["status"] = "done" if outcome.ok else "error"
        deployment["finishedAt"] = iso_now()
        # The record may have been removed while the build ran; the build goes on unrecorded.
        if deployment["deploymentId"] in self._model.tables["deployments"]:
            self._model.tables["logs"][deployment["deploymentId"]] += outcome.log + ("" if outcome.ok else _FAILED)

    def _snapshot(self, application: Row, deployment: Row) -> Row | None:
        """Made before the build, so that a failed build has one too, without an image behind it."""
        registry = self._model.tables["registries"].get(application["rollbackRegistryId"])
        if not application["rollbackActive"] or registry is None:
            return None
        versions = [
            row["version"]
            for row in self._model.tables["rollbacks"].values()
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
                "environment": copy.deepcopy(environment_with_project(self._model, application)),
                **{name: [] for name in ("domains", "mounts", "ports", "redirects", "security", "previewDeployments")},
                **dict.fromkeys(("server", "registry", "buildRegistry")),
                "rollbackRegistry": dict(registry),
            },
        }
        self._model.tables["rollbacks"][rollback["rollbackId"]] = rollback
        deployment["rollbackId"] = rollback["rollbackId"]
        return rollback

    # -- the sources ------------------------------------------------------------------------------------------------

    def _commit(self, application: Row, kind: str) -> Row | None:
        """The commit that a job builds: a deploy clones, a redeploy takes the checkout that is there."""
        if application["sourceType"] != "git":
            return None
        with self._model.change():
            checkouts = self._model.tables["checkouts"]
            if kind == "deploy":
                branches = self._model.tables["repositories"].get(application["customGitUrl"], {})
                commits = branches.get(application["customGitBranch"], [])
                if not commits:
                    return None
                checkouts[application["applicationId"]] = commits[-1]
            commit: Row | None = checkouts.get(application["applicationId"])
            return commit

    def _seconds(self, application: Row, commit: Row | None) -> float:
        if application["sourceType"] == "git" and commit:
            return float(commit.get("build_seconds", GIT_BUILD_SECONDS))
        return PULL_SECONDS

    def _outcome(self, application: Row, kind: str, commit: Row | None) -> Outcome:
        if application["sourceType"] == "docker":
            return self._pull(application) if kind == "deploy" else Outcome(True, "", self._image(application))
        if application["sourceType"] == "git":
            return self._git(application, kind, commit)
        return Outcome(False, f"Error: ❌ {application['sourceType'].title()} Provider not found\n")

    def _image(self, application: Row) -> Image | None:
        return images.find(self._model, image_of(application))

    def _pull(self, application: Row) -> Outcome:
        reference = application["dockerImage"]
        image = self._image(application)
        begin = f"Pulling {reference}\n" + ("Login Succeeded\n" if application["username"] else "")
        if image is None:
            reason = f"manifest for {reference} not found: manifest unknown: manifest unknown"
            return Outcome(False, f"{begin}Error response from daemon: {reason}\n❌ Pulling image failed\n")
        return Outcome(True, f"{begin}{reference}\n✅ Pulling image completed.\n", image)

    def _git(self, application: Row, kind: str, commit: Row | None) -> Outcome:
        url, branch = application["customGitUrl"], application["customGitBranch"]
        folder = f"/etc/dokploy/applications/{application['appName']}/code"
        begin = f"Cloning Repo Custom {url} to {folder}: ✅\nCloning into '{folder}'...\n" if kind == "deploy" else ""
        if commit is None:
            return Outcome(
                False,
                f"{begin}warning: Could not find remote branch {branch} to clone.\n"
                f"fatal: Remote branch {branch} not found in upstream origin\n"
                f"❌ [ERROR] Fail to clone the repository {url}\n",
            )
        if commit.get("behaviour") == "fail-build":
            return Outcome(False, f"{begin}❌ Docker build failed\n", None, commit)
        image = images.from_commit(commit)
        images.keep(self._model, image_of(application), image)
        tagged = f"Successfully tagged {image_of(application)}\n✅ Docker build completed.\n"
        return Outcome(True, f"{begin}{tagged}", image, commit)


def image_of(application: dict[str, Any]) -> str:
    """What `reload` and every deploy run."""
    if application["sourceType"] == "docker":
        return str(application["dockerImage"])
    return f"{application['appName']}:latest"


def spec_of(application: dict[str, Any], image: str | None = None) -> Spec:
    return Spec(image or image_of(application), application["env"] or "", application["command"])
