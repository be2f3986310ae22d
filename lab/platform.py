# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole platform: brought up as one, described by one file, taken down without a trace of a process."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lab import backups, client, git, prisma, processes
from lab.dokploy import builds, images, repositories
from lab.dokploy.model import Model, Row, new_id, snapshot_image
from lab.dokploy.sources import image_of
from lab.dokploy.tempo import iso_now
from lab.pages import model as pages
from lab.pages.server import BASE as PAGES_BASE
from lab.postgres import PROCESS as POSTGRES
from lab.postgres import Server, Settings, find_binaries, free_port

ROOT = Path(__file__).resolve().parent.parent
DOKPLOY, PAGES = "dokploy", "pages"
DESCRIPTION = "lab.json"
MARKER = ".vedfinance-lab"
KEPT_AFTER_DOWN = ("logs", "journal")
PROJECT, ENVIRONMENT, APPLICATION = "vedfinance", "production", "api"
OTHER_APPLICATIONS = ("web", "api-worker")
IMAGE = "lab/api:1.4.0"
HEALTH_PATH = "/api/health"
INTEGRITY_PATH = "/api/debug/diagnostics/verify-integrity"
VERSION_PATH = "/api/version"
START_SECONDS = 30.0
# The API answers three calls per second at most.
API_POLL_SECONDS = 0.4

Say = Callable[[str], None]
Description = dict[str, Any]


class LabError(Exception):
    """The lab cannot do what was asked; the message says what to do."""


@dataclass(frozen=True)
class Wanted:
    """What `up` was asked for."""

    scale: float = 0.01
    postgres_version: str | None = None
    replicas: int = 1
    health_shape: str = "A"
    rate_limit: str = "on"
    tempo: float = 1.0
    only_postgres: bool = False
    #: What Dokploy makes the API from: image or git.
    source: str = "image"
    #: Whether the real Prisma is linked into the checkout.
    prisma: bool = False


def default_state() -> Path:
    return Path(os.environ.get("LAB_STATE") or ROOT / ".lab")


def up(state: Path, wanted: Wanted, say: Say = print) -> Description:
    """Bring the platform up, or say that it is up already. What a failed start began is ended again."""
    with _claimed(state):
        description = describe(state)
        if description and is_complete(state, description):
            say(f"the lab is up already: {state / DESCRIPTION}")
            return description
        if processes.end_all(state) or description:
            say("what a crashed lab left behind is removed")
        _empty(state)
        begun = time.monotonic()
        try:
            description = _bring_up(state, wanted, say)
        except BaseException:
            processes.end_all(state)
            raise
        say(f"the lab is up after {time.monotonic() - begun:.0f} s: {state / DESCRIPTION}")
        return description


def down(state: Path, say: Say = print) -> None:
    """End every process and remove the data; logs and journal stay to be read."""
    if not (state / MARKER).exists():
        say(f"no lab in {state}")
        return
    with _claimed(state):
        ended = processes.end_all(state)
        _empty(state, keep=KEPT_AFTER_DOWN)
    say(f"ended: {', '.join(ended)}" if ended else "nothing was running")


def describe(state: Path) -> Description | None:
    """What lab.json says; None when the lab is down."""
    try:
        description: Description = json.loads((state / DESCRIPTION).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return description


def opened(state: Path) -> Description:
    """What lab.json says, or an error that says how to start the lab."""
    description = describe(state)
    if description is None:
        raise LabError(f"no lab is up in {state}: run `python -m lab up` first")
    return description


def server_of(description: Description) -> Server:
    return Server(Path(description["state"]), Settings(**description["postgres"]))


def _bring_up(state: Path, wanted: Wanted, say: Say) -> Description:
    server = Server(state, Settings.fresh(state, find_binaries(wanted.postgres_version)))
    folder = state / "backups" / "postgres"
    journal = state / "journal"
    journal.mkdir(exist_ok=True)
    _start_postgres(server, folder, wanted.scale, say)
    description: Description = {
        "state": str(state),
        "python": sys.executable,
        "postgres": server.settings.as_dict(),
        "api": None,
        "dokploy": None,
        "git": None,
        "pages": None,
        "backups": str(folder),
        "journal": str(journal),
        "jsonb_schemas": str(ROOT / "lab" / "jsonb"),
    }
    if not wanted.only_postgres:
        description |= _start_services(server, wanted, say)
    _write_private(state / DESCRIPTION, json.dumps(description, indent=2) + "\n")
    return description


def _start_postgres(server: Server, folder: Path, scale: float, say: Say) -> None:
    run_as = server.start()
    with server.connect() as connection:
        version = connection.info.parameter_status("server_version")
    say(
        f"PostgreSQL {version} on {server.settings.host}:{server.settings.port}, run as user {run_as.user}"
        + (" (it refuses to run as root)" if run_as.switched else "")
    )
    server.create_roles()
    server.create_empty_database()
    for dump in backups.grow_and_dump(server, folder, scale):
        say(f"  nightly dump {dump}")
    say(f"database {server.settings.database}: {sum(server.row_counts().values())} rows at scale {scale}")


def _start_services(server: Server, wanted: Wanted, say: Say) -> Description:
    repository = git.create(server.state)
    if wanted.prisma:
        say(f"Prisma {link_prisma(Path(repository['checkout']))}")
    commits = git.Git(Path(repository["checkout"])).log("--reverse")
    frontend = _start_pages(server.state, commits, wanted.tempo)
    say(f"git origin {repository['origin']}, checkout {repository['checkout']}")
    api_url = f"http://127.0.0.1:{(api_port := free_port())}"
    dokploy_port = free_port()
    dokploy_url = f"http://127.0.0.1:{dokploy_port}"
    model = Model(server.state)
    seeded = model.seed(
        project=PROJECT,
        environment=ENVIRONMENT,
        application=APPLICATION,
        docker_image=IMAGE,
        replicas=wanted.replicas,
        env=_application_environment(server, api_port, wanted),
    )
    with model.change():
        for name in OTHER_APPLICATIONS:
            model.add_application(name, f"{PROJECT}-{name}", seeded.environment_id)
        _keep_snapshots(model, model.application(seeded.application_id))
        if wanted.source == "git":
            _build_from_git(model, model.application(seeded.application_id), repository)
    _spawn_dokploy(server.state, dokploy_port, wanted.tempo)
    _wait(server.state, f"{dokploy_url}/api/health", DOKPLOY)
    say(f"Dokploy double on {dokploy_url}")
    project, authorization = pages_project(frontend)
    _wait(server.state, project, PAGES, authorization)
    say(f"Cloudflare Pages double on {frontend['url']}")
    _wait(server.state, api_url + HEALTH_PATH, DOKPLOY)
    _status, version = client.call(api_url + VERSION_PATH)
    say(f"API {version['version']} on {api_url}, replicas: {wanted.replicas}, health shape {wanted.health_shape}")
    return {
        "api": {
            "url": api_url,
            "health_path": HEALTH_PATH,
            "integrity_path": INTEGRITY_PATH,
            "version_path": VERSION_PATH,
        },
        "dokploy": {
            "url": dokploy_url,
            "api_key": seeded.api_key,
            "project": PROJECT,
            "environment": ENVIRONMENT,
            "application": APPLICATION,
            "application_id": seeded.application_id,
            "app_name": seeded.app_name,
            "source": wanted.source,
        },
        "git": repository,
        "pages": frontend,
    }


def _keep_snapshots(model: Model, application: Row) -> None:
    """Every deployment from now on is kept in a registry, so that Dokploy itself can roll back to it."""
    registry_id = new_id()
    model.tables["registries"][registry_id] = {
        "registryId": registry_id,
        "registryName": "lab",
        "imagePrefix": None,
        "username": "lab",
        "password": secrets.token_urlsafe(12),
        "registryUrl": "127.0.0.1:5000",
        "createdAt": iso_now(),
        "registryType": "cloud",
        "organizationId": model.organization_of(application),
    }
    application.update(rollbackActive=True, rollbackRegistryId=registry_id)


def _build_from_git(model: Model, application: Row, repository: Mapping[str, str]) -> None:
    """As if the head of the branch had been deployed, and kept, before."""
    url = Path(repository["origin"]).as_uri()
    application.update(
        sourceType="git", customGitUrl=url, customGitBranch=repository["branch"], customGitBuildPath=f"/{git.API}"
    )
    commit = repositories.head(model, url, repository["branch"], git.API)
    assert commit
    image, reference = images.from_commit(commit), image_of(application)
    images.keep(model, reference, image)
    model.tables["checkouts"][application["applicationId"]] = commit
    model.tables["services"][application["appName"]]["spec"]["image"] = reference
    (record,) = model.deployments_of(application["applicationId"])
    record.update(title=commit["message"], description=f"Commit: {commit['sha']}")
    kept = builds.snapshot(model, application, record)
    assert kept
    images.keep(model, snapshot_image(kept), image)


def link_prisma(checkout: Path) -> str:
    """The command of the real CLI, which is installed when this machine can."""
    installed = prisma.installed_prisma()
    if installed is None:
        raise LabError("Prisma cannot be installed here: it needs node, npm and a registry of npm")
    modules = checkout / git.API / "node_modules"
    if not modules.is_symlink():
        shutil.rmtree(modules)
    (command,) = prisma.prepare_project(checkout / git.API, installed)
    return command


def pages_project(frontend: dict[str, str]) -> tuple[str, dict[str, str]]:
    """The call that asks for the project."""
    path = f"{PAGES_BASE}/accounts/{frontend['account_id']}/pages/projects/{frontend['project']}"
    return frontend["url"] + path, {"Authorization": f"Bearer {frontend['api_token']}"}


def _start_pages(state: Path, commits: Sequence[git.Commit], tempo: float) -> Description:
    """With every commit deployed, an hour after the other."""
    seeded = pages.seed(state)
    for hours, commit in enumerate(commits, start=1):
        moment = time.time() - 3600 * (len(commits) - hours + 1)
        pages.Model(state, now=partial(float, moment)).push(pages.Push(git.BRANCH, commit.sha, commit.message))
    port = free_port()
    argv = [sys.executable, "-m", "lab.pages", "--state", str(state), "--port", str(port), "--tempo", str(tempo)]
    processes.spawn(state, PAGES, argv, _python_environment(), state / "logs" / "pages.log")
    token = {"account_id": seeded.account_id, "api_token": seeded.api_token, "project": seeded.project}
    return {"url": f"http://127.0.0.1:{port}", **token}


def _application_environment(server: Server, port: int, wanted: Wanted) -> str:
    variables = {
        "NODE_ENV": "production",
        "PORT": str(port),
        "DATABASE_URL": server.app_url,
        "APP_HEALTH_SHAPE": wanted.health_shape,
        "APP_RATE_LIMIT": wanted.rate_limit,
    }
    return "\n".join(f"{name}={value}" for name, value in variables.items())


def _spawn_dokploy(state: Path, port: int, tempo: float) -> None:
    argv = [sys.executable, "-m", "lab.dokploy", "--state", str(state), "--port", str(port), "--tempo", str(tempo)]
    processes.spawn(state, DOKPLOY, argv, _python_environment(), state / "logs" / "dokploy.log")


def _python_environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}


def _wait(state: Path, url: str, process: str, headers: Mapping[str, str] | None = None) -> None:
    deadline = time.monotonic() + START_SECONDS
    reason = "no answer"
    while time.monotonic() < deadline and processes.alive(state, process):
        try:
            status, _body = client.call(url, headers=headers, timeout=2)
            if status == 200:
                return
            reason = f"status {status}"
        except client.Unreachable as error:
            reason = str(error)
        time.sleep(API_POLL_SECONDS)
    raise LabError(f"{url} did not come up ({reason}); see {state / 'logs'}")


def is_complete(state: Path, description: Description) -> bool:
    needed = [POSTGRES] + ([DOKPLOY, PAGES] if description["dokploy"] else [])
    return all(processes.alive(state, name) for name in needed)


@contextmanager
def _claimed(state: Path) -> Iterator[None]:
    """Makes the folder ours, and keeps other lab commands off it."""
    if state.exists() and not (state / MARKER).exists() and any(state.iterdir()):
        raise LabError(f"{state} is not empty and not a lab's: choose another folder with --state or LAB_STATE")
    state.mkdir(parents=True, exist_ok=True)
    with (state / MARKER).open("w", encoding="utf-8") as marker:
        try:
            fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LabError(f"another lab command is at work in {state}: wait until it is done") from error
        marker.write("`python -m lab up` empties this folder.\n")
        marker.flush()
        yield


def _empty(state: Path, keep: tuple[str, ...] = ()) -> None:
    for entry in state.iterdir():
        if entry.name in (MARKER, *keep):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _write_private(path: Path, text: str) -> None:
    partial = path.with_suffix(".part")
    partial.touch(mode=0o600)
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
