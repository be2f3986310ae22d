# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab that builds from git, and all that a release touches in it: API, schema, frontend and repository."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import client, migrations, platform
from lab.git import Commit, Git
from lab.platform import Wanted, server_of
from lab.releases import Change, commit
from tests.recovery import DATABASE, SCALE, PlayedLab

DEPLOY = "playbooks/deploy.yml"
BRISK: dict[str, Any] = {
    "deploy_migrations": "before",
    "deploy_public_api_url": "",
    "rollback_public_api_url": "",
    **{
        f"{role}_{option}": value
        for role in ("deploy", "rollback", "disaster_recovery")
        for option, value in {"stable_for": 1, "health_consecutive": 1, "integrity_timeout": 5}.items()
    },
}
PUSHED: dict[str, Any] = {**BRISK, "deploy_push": True}


@dataclass(frozen=True)
class Standing:
    """What the users have, and what the next push begins with."""

    version: str
    commit: str
    #: The commit of the frontend that is canonical.
    frontend: str
    tables: dict[str, int]
    migrations: list[str]
    origin: list[Commit]
    changed_files: str
    integrity: list[str]


class JourneyLab(PlayedLab):
    def __init__(self, state: Path) -> None:
        wanted = Wanted(scale=SCALE, tempo=0.1, rate_limit="off", source="git", prisma=True)
        super().__init__(state, platform.up(state, wanted, lambda _line: None))
        self.server = server_of(self.description)
        self.checkout = Git(Path(self.description["git"]["checkout"]))
        self.origin = Git(Path(self.description["git"]["origin"]))

    def commit(self, folder: Path, migration: tuple[str, str] | None = None, **change: Any) -> Commit:
        if migration:
            name, sql = migration
            change["migration"] = folder / f"{name}.sql"
            change["migration"].write_text(sql)
        list(commit(self.description, Change(**change)))
        return self.head()

    def head(self) -> Commit:
        return self.checkout.log("--max-count=1")[0]

    def standing(self) -> Standing:
        told = self.ask(self.description["api"]["version_path"])[1]
        report = self.ask(self.description["api"]["integrity_path"])[1]
        return Standing(
            version=told["version"],
            commit=told["commit"],
            frontend=self.frontend(),
            tables=self.server.row_counts(),
            migrations=self.migrations(),
            origin=self.origin.log("main"),
            changed_files=self.checkout("status", "--porcelain"),
            integrity=[
                name for name, part in report.items() if isinstance(part, dict) and part.get("status") == "FAIL"
            ],
        )

    def newest_migration(self) -> str:
        return migrations.read(self.checkout.folder)[-1].name

    def migrations(self) -> list[str]:
        """Those that are applied, by name; one that was begun twice stands there twice."""
        with self.server.connect(database=DATABASE) as connection:
            rows = connection.execute("SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL")
            return sorted(str(name) for (name,) in rows.fetchall())

    def frontend(self) -> str:
        pages = self.description["pages"]
        url = f"{pages['url']}/client/v4/accounts/{pages['account_id']}/pages/projects/{pages['project']}"
        _status, answer = client.call(url, headers={"Authorization": f"Bearer {pages['api_token']}"})
        return str(answer["result"]["canonical_deployment"]["deployment_trigger"]["metadata"]["commit_hash"])
