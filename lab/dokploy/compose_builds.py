# SPDX-License-Identifier: GPL-3.0-or-later
"""How a compose service is deployed: its file read, its images found or built, its services handed to docker."""

from __future__ import annotations

from dataclasses import dataclass

from lab.dokploy import composefile, images, sources
from lab.dokploy.composefile import BadComposeFile, ComposeService
from lab.dokploy.model import Model, Row
from lab.dokploy.recipes import Outcome, Recipe, Step
from lab.dokploy.swarm import Swarm
from lab.dokploy.tasks import Spec

UP_SECONDS = 1.0

_BANNER_WIDTH = 78


@dataclass(frozen=True)
class _Plan:
    """One service of the file, as docker is to run it."""

    name: str
    spec: Spec
    replicas: int


def recipe_of(model: Model, swarm: Swarm, compose: Row, kind: str) -> Recipe:
    if compose["sourceType"] not in ("raw", "git"):
        yield Step("", UP_SECONDS)
        return Outcome(False, f"Error: ❌ {compose['sourceType'].title()} Provider not found\n")
    commit: Row | None = None
    if compose["sourceType"] == "raw":
        yield Step("File 'docker-compose.yml' created: ✅\n")
        model.tables["checkouts"][compose["composeId"]] = {"compose_file": compose["composeFile"]}
    else:
        commit = yield from sources.checkout(model, compose, compose["composeId"], "compose", kind)
        if commit is None:
            return Outcome(False, sources.clone_failed(compose))
    yield Step(_banner(compose))
    try:
        services = _deployed_file(model, compose)
    except BadComposeFile as error:
        return Outcome(False, f"❌ Has occurred an error: {error}\n\n", None, commit)
    for service in services:
        if service.image is None and commit:
            built = yield from sources.docker_build(model, service.name, _built_image(compose, service), commit)
            yield Step(built.log)
            if not built.ok:
                return Outcome(False, "", None, commit)
        elif service.image is None or (not _is_stack(compose) and images.find(model, service.image) is None):
            # A stack is accepted with any image; it is its tasks that are then rejected.
            return Outcome(False, sources.missing_image(service.image or service.name), None, commit)
    yield Step("", UP_SECONDS)
    log = _up(swarm, compose, services, force=any(service.image is None for service in services))
    return Outcome(True, f"{log}Docker Compose Deployed: ✅\n", None, commit)


def start(model: Model, swarm: Swarm, compose: Row) -> bool:
    """`docker compose up` of what was deployed last; false when nothing was."""
    if compose["composeId"] not in model.tables["checkouts"]:
        return False
    _up(swarm, compose, _deployed_file(model, compose), force=False)
    return True


def _deployed_file(model: Model, compose: Row) -> list[ComposeService]:
    return composefile.read(model.tables["checkouts"][compose["composeId"]].get("compose_file", ""), compose["env"])


def _up(swarm: Swarm, compose: Row, services: list[ComposeService], *, force: bool) -> str:
    """Services that the file no longer names are removed."""
    plans = [_plan(compose, service) for service in services]
    names = [plan.name for plan in plans]
    swarm.remove(*(name for name in swarm.names_of(compose["appName"]) if name not in names))
    for plan in plans:
        has_ended = plan.spec.containers and not swarm.runs(plan.name)
        swarm.apply(plan.name, plan.spec, plan.replicas, force=force or has_ended)
    word = "Updating service {}\n" if _is_stack(compose) else " Container {}-1  Started\n"
    return "".join(word.format(name) for name in names)


def _plan(compose: Row, service: ComposeService) -> _Plan:
    is_stack = _is_stack(compose)
    spec = Spec(
        service.image or _built_image(compose, service),
        service.env,
        service.command,
        on_failure=service.on_failure,
        stop_first=service.stop_first or not is_stack,
        project=compose["appName"],
        containers=not is_stack,
        restarts=is_stack or service.restarts,
    )
    stand_in = "PORT" not in spec.variables()
    name = f"{compose['appName']}{'_' if is_stack else '-'}{service.name}"
    return _Plan(name, Spec(**{**spec.__dict__, "stand_in": stand_in}), service.replicas)


def _is_stack(compose: Row) -> bool:
    return bool(compose["composeType"] == "stack")


def _built_image(compose: Row, service: ComposeService) -> str:
    return f"{compose['appName']}-{service.name}:latest"


def _banner(compose: Row) -> str:
    path = "docker-compose.yml" if compose["sourceType"] == "raw" else compose["composePath"]
    name = compose["appName"]
    if _is_stack(compose):
        command = f"stack deploy -c {path} {name} --prune --with-registry-auth"
    else:
        command = f"compose -p {name} -f {path} up -d --build --remove-orphans"
    lines = (
        f"App Name: {name}",
        "Build Compose 🐳",
        "Detected: 0 mounts 📂",
        f"Command: docker {command}",
        f"Source Type: docker {compose['sourceType']} ✅",
        f"Compose Type: {compose['composeType']} ✅",
    )
    framed = "".join(f"║ {line:<{_BANNER_WIDTH - 1}}║\n" for line in lines)
    edge = "═" * _BANNER_WIDTH
    return f"╔{edge}╗\n{framed}╚{edge}╝\n"
