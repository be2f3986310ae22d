# SPDX-License-Identifier: GPL-3.0-or-later
"""How an application is built from its source: pulled, or cloned and built."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from lab.dokploy import images, repositories
from lab.dokploy.images import Image
from lab.dokploy.model import Model, Row
from lab.dokploy.recipes import Outcome, Recipe, Step

PULL_SECONDS = 0.35
GIT_BUILD_SECONDS = 3.0

_CLONED = (
    "remote: Enumerating objects: 4, done.        \n"
    "remote: Total 4 (delta 0), reused 0 (delta 0), pack-reused 0        \n"
    "Receiving objects:  50% (2/4)\rReceiving objects: 100% (4/4)\rReceiving objects: 100% (4/4), done.\n"
)
_STAGES = ("FROM lab/api", "ARG SLEEP=0", "RUN sleep $SLEEP", "COPY VERSION /app/VERSION", 'CMD ["/app/server"]')
_FAILING_STAGES = ("FROM lab/api", "RUN echo compiling && false")
_COMPILE_ERROR = (
    "compiling\nThe command '/bin/sh -c echo compiling && false' returned a non-zero code: 1\n❌ Docker build failed\n"
)


def image_of(application: dict[str, Any]) -> str:
    """What `reload` and every deploy run."""
    if application["sourceType"] == "docker":
        return str(application["dockerImage"])
    return f"{application['appName']}:latest"


def recipe_of(model: Model, application: Row, kind: str) -> Recipe:
    """A redeploy neither pulls nor clones."""
    if application["sourceType"] == "docker":
        return _pull(model, application) if kind == "deploy" else _apply_again(model, application)
    if application["sourceType"] == "git":
        return _git(model, application, kind)
    return _no_source(application)


def _no_source(application: Row) -> Recipe:
    yield Step("", PULL_SECONDS)
    return Outcome(False, f"Error: ❌ {application['sourceType'].title()} Provider not found\n")


def _apply_again(model: Model, application: Row) -> Recipe:
    yield Step("", PULL_SECONDS)
    return Outcome(True, "", images.find(model, image_of(application)))


def _pull(model: Model, application: Row) -> Recipe:
    reference = application["dockerImage"]
    login = "Login Succeeded\n" if application["username"] else ""
    yield Step(f"Pulling {reference}\n{login}", PULL_SECONDS)
    image = images.find(model, reference)
    if image is None:
        return Outcome(False, missing_image(reference))
    return Outcome(True, f"{reference}\n✅ Pulling image completed.\n", image)


def missing_image(reference: str) -> str:
    reason = f"manifest for {reference} not found: manifest unknown: manifest unknown"
    return f"Error response from daemon: {reason}\n❌ Pulling image failed\n"


def _git(model: Model, application: Row, kind: str) -> Recipe:
    commit = yield from checkout(model, application, application["applicationId"], "applications", kind)
    if commit is None:
        return Outcome(False, clone_failed(application) if kind == "deploy" else "❌ Docker build failed\n")
    return (yield from docker_build(model, application["appName"], image_of(application), commit))


def checkout(model: Model, service: Row, service_id: str, folder: str, kind: str) -> Generator[Step, None, Row | None]:
    """The commit that a job builds: a deploy clones, a redeploy takes the checkout that is there."""
    checkouts = model.tables["checkouts"]
    if kind == "deploy":
        url = service["customGitUrl"]
        target = f"/etc/dokploy/{folder}/{service['appName']}/code"
        found = repositories.head(model, url, service["customGitBranch"], service.get("customGitBuildPath"))
        if found:
            checkouts[service_id] = found
        yield Step(f"Cloning Repo Custom {url} to {target}: ✅\nCloning into '{target}'...\n")
        yield Step(_CLONED) if found else Step("", PULL_SECONDS)
        return found
    commit: Row | None = checkouts.get(service_id)
    return commit


def clone_failed(service: Row) -> str:
    branch = service["customGitBranch"]
    return (
        f"warning: Could not find remote branch {branch} to clone.\n"
        f"fatal: Remote branch {branch} not found in upstream origin\n"
        f"❌ [ERROR] Fail to clone the repository {service['customGitUrl']}\n"
    )


def docker_build(model: Model, name: str, tag: str, commit: Row) -> Recipe:
    """The time of the build is spread over its stages, so that the log grows as it goes."""
    fails = commit.get("behaviour") == "fail-build"
    stages = _FAILING_STAGES if fails else _STAGES
    seconds = float(commit.get("build_seconds", GIT_BUILD_SECONDS))
    yield Step(f"Building {name}\nSending build context to Docker daemon  60.93kB\r\r\n")
    for number, stage in enumerate(stages, start=1):
        running = "" if stage.startswith("FROM") else f" ---> Running in {commit['sha'][:12]}\n"
        yield Step(f"Step {number}/{len(stages)} : {stage}\n{running}", seconds / len(stages))
    if fails:
        return Outcome(False, _COMPILE_ERROR, None, commit)
    image = images.from_commit(commit)
    images.keep(model, tag, image)
    built = f"Successfully built {image.id.removeprefix('sha256:')[:12]}\nSuccessfully tagged {tag}\n"
    return Outcome(True, f"{built}✅ Docker build completed.\n", image, commit)


def pushed(reference: str, image: Image) -> str:
    """What follows when the image is kept for a rollback."""
    return (
        "🔄 [Enabled Rollback Registry]\n"
        f"📦 [Enabled Registry] Uploading image to 'cloud' | '{reference}'\n"
        "✅ Registry Login Success\n✅ Image Tagged\n"
        f"{reference.rpartition(':')[2]}: digest: {image.id} size: 737\n✅ Image Pushed\n"
    )
