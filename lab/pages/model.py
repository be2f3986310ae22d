# SPDX-License-Identifier: GPL-3.0-or-later
"""What the double knows: one project, its branches and its deployments, kept in one file."""

from __future__ import annotations

import json
import os
import re
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

Row = dict[str, Any]

FILE_NAME = "pages.json"
PRODUCTION, PREVIEW = "production", "preview"
#: How long each stage takes at tempo 1.
STAGES = {"queued": 0.5, "initialize": 1.5, "clone_repo": 1.0, "build": 4.0, "deploy": 2.0}
FOREVER = 10**9
_SKIPPED = re.compile(r"\[(?:ci[ -]skip|skip[ -]ci|cf-pages-skip)\]", re.IGNORECASE)
_SAID = re.compile(r"\[pages: ([\w:]+)\]")
_BEHAVIOUR = re.compile(rf"ok|flaky|canceled|skip|stuck|fail(?::(?:{'|'.join(STAGES)}))?")


class Seeded(NamedTuple):
    """What a caller needs to talk to the double. The tokens are shown only here and in the file."""

    account_id: str
    api_token: str
    read_token: str
    project: str


class Push(NamedTuple):
    """What the git host tells."""

    branch: str
    commit: str
    message: str = ""
    behaviour: str | None = None

    def checked_behaviour(self) -> str:
        said = _SAID.search(self.message)
        behaviour = self.behaviour or ("skip" if _SKIPPED.search(self.message) else said[1] if said else "ok")
        if not _BEHAVIOUR.fullmatch(behaviour):
            raise ValueError(f"no such behaviour: {behaviour}")
        return behaviour


def seed(state: Path, project: str = "vedfinance-web", production_branch: str = "main") -> Seeded:
    """A state file with a project that nothing was deployed to yet."""
    seeded = Seeded(secrets.token_hex(16), secrets.token_urlsafe(30), secrets.token_urlsafe(30), project)
    model = Model(state)
    with model.change():
        model.tables = {
            "project": {
                "id": str(uuid.uuid4()),
                "account_id": seeded.account_id,
                "name": project,
                "production_branch": production_branch,
                "created": time.time(),
                "canonical": None,
                "domains": [f"{project}.pages.dev", "app.example.com"],
                # A plain value may be a secret, and a build may print it.
                "env_vars": {
                    "NODE_VERSION": {"type": "plain_text", "value": "20"},
                    "SENTRY_AUTH_TOKEN": {"type": "plain_text", "value": f"sntrys_{secrets.token_hex(12)}"},
                },
                "source": {
                    "owner": "vedfinance",
                    "repo_name": "vedfinance",
                    "production_branch": production_branch,
                    "pr_comments_enabled": True,
                    "deployments_enabled": True,
                    "production_deployments_enabled": True,
                    "preview_deployment_setting": "all",
                    "path_includes": ["*"],
                    "path_excludes": [],
                },
            },
            "heads": {},
            "deployments": [],
            "tokens": {seeded.api_token: "edit", seeded.read_token: "read"},
        }
    return seeded


class Model:
    """Every change happens in `change()`, which holds the lock, lets the time pass and writes the file."""

    def __init__(self, state: Path, tempo: float = 1.0, now: Callable[[], float] = time.time) -> None:
        self.lock = threading.RLock()
        self._path = state / FILE_NAME
        self._tempo = tempo
        self.now = now
        self._written = self._path.read_text(encoding="utf-8") if self._path.exists() else "{}"
        self.tables: Row = json.loads(self._written)

    @property
    def seeded(self) -> bool:
        return bool(self.tables)

    @property
    def project(self) -> Row:
        row: Row = self.tables["project"]
        return row

    @property
    def deployments(self) -> list[Row]:
        """Newest first."""
        rows: list[Row] = self.tables["deployments"]
        return rows[::-1]

    @contextmanager
    def change(self) -> Iterator[None]:
        with self.lock:
            if self.seeded:
                self._settle()
            try:
                yield
            finally:
                self._write()

    def push(self, push: Push) -> Row | None:
        """The deployment that the push starts, if its branch is deployed automatically."""
        behaviour = push.checked_behaviour()
        with self.change():
            self.tables["heads"][push.branch] = {**push._asdict(), "behaviour": behaviour}
            return self._add(push.branch, "github:push") if self._automatic(push.branch) else None

    def build_head(self, branch: str) -> Row | None:
        """None when there is no such branch."""
        return self._add(branch, "ad_hoc") if branch in self.tables["heads"] else None

    def retry(self, row: Row) -> Row:
        behaviour = "ok" if row["behaviour"] == "flaky" else row["behaviour"]
        return self._append(row["branch"], row["commit"], row["message"], behaviour, row["trigger"])

    def environment_of(self, branch: str) -> str:
        return PRODUCTION if branch == self.project["production_branch"] else PREVIEW

    def _automatic(self, branch: str) -> bool:
        source = self.project["source"]
        if self.environment_of(branch) == PRODUCTION:
            return bool(source["deployments_enabled"] and source["production_deployments_enabled"])
        return bool(source["deployments_enabled"] and source["preview_deployment_setting"] != "none")

    def _add(self, branch: str, trigger: str) -> Row:
        head = self.tables["heads"][branch]
        return self._append(branch, head["commit"], head["message"], head["behaviour"], trigger)

    def _append(self, branch: str, commit: str, message: str, behaviour: str, trigger: str) -> Row:
        made = str(uuid.uuid4())
        row: Row = {
            "id": made,
            "short_id": made[:8],
            "environment": self.environment_of(branch),
            "branch": branch,
            "commit": commit,
            "message": message,
            "behaviour": behaviour,
            "trigger": trigger,
            "created": self.now(),
            "skipped": behaviour == "skip",
            "stages": self._timeline(behaviour),
            "settled": False,
        }
        self.tables["deployments"].append(row)
        return row

    def _timeline(self, behaviour: str) -> list[Row]:
        """When each stage begins and ends, and how. One build runs at a time; the next one waits, queued."""
        if behaviour == "skip":
            return []
        kind, _colon, where = behaviour.partition(":")
        ending = {
            "fail": ("failure", where or "build"),
            "flaky": ("failure", "build"),
            "canceled": ("canceled", "build"),
        }
        status, last = ending.get(kind, ("success", "deploy"))
        running = (row["stages"][-1]["ended"] for row in self.tables["deployments"] if row["stages"])
        moment = self.now()
        free = max((ended for ended in running if moment < ended < moment + FOREVER / 2), default=moment)
        timeline: list[Row] = []
        for name, seconds in STAGES.items():
            ended = (free if name == "queued" else moment) + seconds * self._tempo
            if behaviour == "stuck" and name == "build":
                ended = moment + FOREVER
            timeline.append({"name": name, "started": moment, "ended": ended, "status": "success"})
            if name == last:
                timeline[-1]["status"] = status
                break
            moment = ended
        return timeline

    def _settle(self) -> None:
        """What was built meanwhile takes production, in the order in which it was done."""
        done = [row for row in self.tables["deployments"] if not row["settled"] and self.finished(row)]
        for row in sorted(done, key=lambda row: float(row["stages"][-1]["ended"]) if row["stages"] else 0.0):
            row["settled"] = True
            if row["environment"] == PRODUCTION and self.succeeded(row):
                self.project["canonical"] = row["id"]

    def finished(self, row: Row) -> bool:
        return not row["stages"] or bool(row["stages"][-1]["ended"] <= self.now())

    def succeeded(self, row: Row) -> bool:
        return self.finished(row) and bool(row["stages"]) and row["stages"][-1]["status"] == "success"

    def _write(self) -> None:
        text = json.dumps(self.tables, ensure_ascii=False)
        if text == self._written:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".part")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        partial.replace(self._path)
        self._written = text
