# SPDX-License-Identifier: GPL-3.0-or-later
"""What the platform's developers do: commit and push, or publish the tag of an image, good or bad."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import client
from lab.git import BEHAVIOUR_FILE, FRONTEND_FILE, VERSION_FILE, Git, message_of
from lab.migrations import PRISMA
from lab.platform import Description, LabError

REPOSITORY = "lab/api"
# What the tag of an image promises of its behaviour.
TAGS = {
    "ok": "",
    "crash": "-crash",
    "fail": "-fail",
    "slow": "-slow",
    "wrong-version": "-wrong-version",
    "missing": "-nosuch",
}
# What can be wrong with what is built from a commit, the API and the frontend.
BUILT = ("ok", "crash", "fail-integrity", "degraded", "slow", "wrong-version", "fail-build")
FRONTENDS = ("ok", "fail", "flaky", "canceled", "skip", "stuck")


@dataclass(frozen=True)
class Change:
    """What a commit brings; without a version, the present one's last number grows by 1."""

    version: str | None = None
    behaviour: str = "ok"
    frontend: str = "ok"
    migration: Path | None = None
    migration_name: str | None = None
    message: str | None = None


def commit(description: Description, change: Change, *, push: bool = False) -> Iterator[str]:
    """A real commit in the checkout; of its push, the hook of the origin tells Dokploy and Pages."""
    repository = repository_of(description)
    git = Git(Path(repository["checkout"]))
    version = change.version or _next_version((git.folder / VERSION_FILE).read_text(encoding="utf-8").strip())
    for file, word in ((VERSION_FILE, version), (BEHAVIOUR_FILE, change.behaviour), (FRONTEND_FILE, change.frontend)):
        (git.folder / file).write_text(f"{word}\n", encoding="utf-8")
    if change.migration:
        yield f"migration {_add_migration(git.folder, change.migration, change.migration_name)}"
    message = change.message or message_of(git, f"release {version}")
    sha = git.commit(message)
    yield f"commit {sha} of version {version}: {message}"
    if push:
        branch = git("rev-parse", "--abbrev-ref", "HEAD").strip()
        git("push", "--quiet", "origin", branch)
        yield f"pushed to {branch} of {repository['origin']}"


def _next_version(version: str) -> str:
    begin, _dot, last = version.rpartition(".")
    if not last.isdigit():
        raise LabError(f"{VERSION_FILE} is {version!r}, which has no next: give one with --version")
    return f"{begin}.{int(last) + 1}"


def _add_migration(checkout: Path, sql: Path, name: str | None) -> str:
    full_name = f"{time.strftime('%Y%m%d%H%M%S', time.gmtime())}_{name or sql.stem}"
    folder = checkout / PRISMA / "migrations" / full_name
    folder.mkdir()
    (folder / "migration.sql").write_bytes(sql.read_bytes())
    return full_name


def repository_of(description: Description) -> dict[str, str]:
    found: dict[str, str] | None = description["git"]
    if found is None:
        raise LabError("this lab has no git: run `python -m lab down` and `up` without --only")
    return found


def image_of(version: str, behaviour: str = "ok") -> str:
    return f"{REPOSITORY}:{version}{TAGS[behaviour]}"


def release(description: Description, version: str, behaviour: str = "ok", webhook: bool = False) -> Iterator[str]:
    """Point Dokploy at the image; its registry may also call the webhook, as one does after a push."""
    dokploy = dokploy_of(description)
    if dokploy["source"] == "git":
        raise LabError("this lab builds its API from git: use `python -m lab commit --version 1.5.0 --push`")
    image = image_of(version, behaviour)
    application = {"applicationId": dokploy["application_id"]}
    ask_dokploy(description, "application.update", {**application, "dockerImage": image})
    yield f"published {image}; what is deployed next of {dokploy['application']} is this"
    if webhook:
        row = ask_dokploy(description, f"application.one?applicationId={dokploy['application_id']}")
        status, _answer = client.call(f"{dokploy['url']}/api/deploy/{row['refreshToken']}", {})
        if status != 200:
            raise LabError(f"Dokploy's webhook answered {status}")
        yield "Dokploy was told by its webhook, and deploys it by itself"


def dokploy_of(description: Description) -> dict[str, Any]:
    found: dict[str, Any] | None = description["dokploy"]
    if found is None:
        raise LabError("this lab has no Dokploy: run `python -m lab down` and `up` without --only")
    return found


def ask_dokploy(description: Description, procedure: str, body: dict[str, Any] | None = None) -> Any:
    dokploy = dokploy_of(description)
    try:
        status, answer = client.call(f"{dokploy['url']}/api/{procedure}", body, {"x-api-key": dokploy["api_key"]})
    except client.Unreachable as error:
        raise LabError(str(error)) from error
    if status != 200:
        raise LabError(f"Dokploy answered {status} to {procedure.partition('?')[0]}")
    return answer
