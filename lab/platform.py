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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from lab import backups, client, processes
from lab.dokploy.model import Model, Row, new_id
from lab.dokploy.tempo import iso_now
from lab.postgres import PROCESS as POSTGRES
from lab.postgres import Server, Settings, find_binaries, free_port

ROOT = Path(__file__).resolve().parent.parent
DOKPLOY = "dokploy"
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


def default_state() -> Path:
    return Path(os.environ.get("LAB_STATE") or ROOT / ".lab")


def up(state: Path, wanted: Wanted, say: Say = print) -> Description:
    """Bring the platform up, or say that it is up already. What a failed start began is ended again."""
    with _claimed(state):
        description = describe(state)
        if description and _complete(state, description):
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
        "backups": str(folder),
        "journal": str(journal),
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
    _spawn_dokploy(server.state, dokploy_port, wanted.tempo)
    _wait(server.state, f"{dokploy_url}/api/health", DOKPLOY)
    say(f"Dokploy double on {dokploy_url}")
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
        },
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
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}
    processes.spawn(state, DOKPLOY, argv, environment, state / "logs" / "dokploy.log")


def _wait(state: Path, url: str, process: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    reason = "no answer"
    while time.monotonic() < deadline and processes.alive(state, process):
        try:
            status, _body = client.call(url, timeout=2)
            if status == 200:
                return
            reason = f"status {status}"
        except client.Unreachable as error:
            reason = str(error)
        time.sleep(API_POLL_SECONDS)
    raise LabError(f"{url} did not come up ({reason}); see {state / 'logs'}")


def _complete(state: Path, description: Description) -> bool:
    needed = [POSTGRES] + ([DOKPLOY] if description["dokploy"] else [])
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


# -- status -----------------------------------------------------------------------------------------------------------


def status(state: Path) -> dict[str, Any]:
    """What runs, where, and what is in it; every part that cannot be read says why instead."""
    description = describe(state)
    if description is None:
        return {"state": str(state), "up": False, "processes": _process_table(state)}
    server = server_of(description)
    chosen = server.settings
    return {
        "state": str(state),
        "up": _complete(state, description),
        "processes": _process_table(state),
        "postgres": {"host": chosen.host, "port": chosen.port, "socket": chosen.socket, **_databases(server)},
        "api": _api_status(description["api"]),
        "dokploy": {"url": description["dokploy"]["url"]} if description["dokploy"] else None,
        "dumps": _dumps(Path(description["backups"])),
    }


def _process_table(state: Path) -> list[dict[str, Any]]:
    return [{"name": name, "pid": processes.pid_of(state, name)} for name in processes.recorded(state)]


def _databases(server: Server) -> dict[str, Any]:
    try:
        with server.connect() as connection:
            names = [
                row[0]
                for row in connection.execute("SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1")
            ]
        return {"databases": names, "rows": server.row_counts() if server.settings.database in names else None}
    except psycopg.OperationalError as error:
        return {"error": str(error).strip()}


def _api_status(api: dict[str, str] | None) -> dict[str, Any] | None:
    if api is None:
        return None
    try:
        code, body = client.call(api["url"] + api["health_path"], timeout=2)
    except client.Unreachable as error:
        return {"url": api["url"], "error": str(error)}
    return {"url": api["url"], "status": code, "body": body}


def _dumps(folder: Path) -> list[dict[str, Any]]:
    files = sorted((path for path in folder.iterdir() if path.is_file()), key=lambda path: path.stat().st_mtime)
    return [
        {
            "name": path.name,
            "bytes": path.stat().st_size,
            "modified": time.strftime("%Y-%m-%d %H:%M", time.localtime(path.stat().st_mtime)),
            "link_to": os.readlink(path) if path.is_symlink() else None,
        }
        for path in files
    ]
