# SPDX-License-Identifier: GPL-3.0-or-later
"""The VPS is lost. Another host, reached over ssh, has an empty server and a new Dokploy; the dump is elsewhere."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import processes
from lab.platform import server_of
from lab.postgres import REPORT_ROLE
from tests.far import FarHost
from tests.far.hosts import far_host
from tests.modules import run_module
from tests.recovery import DATABASE, GOOD_IMAGE, Play, PlayedLab, content_of, quiet_lab, same_as_dump, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.environ.get("JOURNEYS") != "all", reason="`make journeys` plays it"),
]

PROVISION = "playbooks/provision_recovery_host.yml"


class NewHost(PlayedLab):
    """What stands on the new host; the old one is a remote of rclone by now."""

    def __init__(self, folder: Path, far: FarHost) -> None:
        with far.network():
            super().__init__(folder / "lab", quiet_lab(folder / "lab", replicas=1))
        self.far = far
        self.server = server_of(self.description)
        self.folder = folder
        self.backups = folder / "backups"
        self.backups.mkdir()
        (folder / "rclone.conf").write_text(f"[offsite]\ntype = alias\nremote = {folder}/elsewhere\n")
        self.offsite = {"remote": "offsite:pg", "rclone_config": str(folder / "rclone.conf")}
        (folder / "hosts.json").write_text(
            json.dumps({"platform": {"hosts": {"fresh": {**far.variables, **self._variables()}}}})
        )

    def _variables(self) -> dict[str, Any]:
        given, server = self.description, self.server
        dokploy, api = given["dokploy"], given["api"]
        return {
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "platform_postgres_host": server.settings.host,
            "platform_postgres_port": server.settings.port,
            "platform_postgres_user": server.superuser.user,
            "platform_postgres_password": server.superuser.password,
            "platform_postgres_database": DATABASE,
            "platform_postgres_client_bin_dir": server.settings.bin,
            "platform_owner_role": server.app.user,
            "platform_dokploy_url": dokploy["url"],
            "platform_dokploy_api_key": dokploy["api_key"],
            "platform_dokploy_project": dokploy["project"],
            "platform_dokploy_environment": dokploy["environment"],
            "platform_dokploy_application": dokploy["application"],
            "platform_api_url": api["url"],
            "platform_api_health_path": [api["health_path"]],
            "platform_api_integrity_path": [api["integrity_path"]],
            "platform_backup_dir": str(self.backups),
            "platform_journal_dir": given["journal"],
            "platform_ledger_dir": str(self.state / "ledger"),
            "platform_report_dir": str(self.state / "reports"),
            "backup_offsite": self.offsite,
            "provision_recovery_host_roles": [{"name": server.app.user, "password": server.app.password}],
            "provision_recovery_host_health_consecutive": 1,
            "provision_recovery_host_stable_for": 1,
        }

    def provision(self, *arguments: str) -> Play:
        return self.play(PROVISION, "-i", str(self.folder / "hosts.json"), *arguments)

    def send_elsewhere(self) -> None:
        settings = self.server.settings
        with self.far.network():
            self.server.refresh_views()  # as a restore does
            sent = run_module(
                "pg_backup",
                {
                    "database": DATABASE,
                    "path": str(self.backups),
                    "offsite": self.offsite,
                    "client_bin_dir": settings.bin,
                    "login_host": settings.host,
                    "login_port": settings.port,
                    "login_user": self.server.superuser.user,
                    "login_password": self.server.superuser.password,
                },
            )
        assert sent.get("changed"), sent
        assert sent["manifest"]["offsite"]

    def lose_everything(self) -> str:
        """The environment that the lost application had."""
        application = self.description["dokploy"]["application_id"]
        with self.far.network():
            environment = self.dokploy(f"application.one?applicationId={application}")["env"]
            self.dokploy("application.delete", applicationId=application)
        wait_until(lambda: not self.api_pids(), "the API is gone")
        self.execute(f'DROP DATABASE "{DATABASE}" WITH (FORCE)')
        self.execute(f'DROP ROLE "{self.server.app.user}"')
        self.execute(f'DROP ROLE "{REPORT_ROLE}"')
        for entry in self.backups.iterdir():
            entry.unlink()
        return str(environment)

    def make_application(self, environment: str) -> None:
        """By hand, as the play asks for it."""
        with self.far.network():
            (project,) = self.dokploy("project.all")
            made = self.dokploy(
                "application.create",
                name=self.description["dokploy"]["application"],
                environmentId=project["environments"][0]["environmentId"],
            )["applicationId"]
            self.dokploy("application.update", applicationId=made, sourceType="docker", dockerImage=GOOD_IMAGE)
            self.dokploy("application.update", applicationId=made, env=environment)
        self.description["dokploy"]["application_id"] = made

    def execute(self, statement: str, database: str = "postgres") -> None:
        with self.far.network(), self.server.connect(database=database) as connection:
            connection.execute(statement.encode())

    def content(self) -> dict[str, tuple[int, str]]:
        with self.far.network():
            return content_of(self.server, DATABASE)

    def databases(self) -> set[str]:
        with self.far.network(), self.server.connect() as connection:
            return {str(row[0]) for row in connection.execute("SELECT datname FROM pg_database").fetchall()}

    def standing(self) -> tuple[object, ...]:
        """Whatever a play that must not change a thing could have changed."""
        with self.far.network():
            services = self.dokploy("project.all")
        names = sorted(path.name for folder in (self.backups, self.journal_folder) for path in folder.iterdir())
        return self.databases(), services, names, self.api_pids()


@dataclass(frozen=True)
class Story:
    lab: NewHost
    lost: dict[str, tuple[int, str]]
    planned: Play
    plan_touched: bool
    fetched_by_the_dead: bool
    without_application: Play
    recovered: Play
    found: dict[str, tuple[int, str]]
    entries: list[dict[str, Any]]
    again: Play
    again_touched: bool
    planned_again: Play
    refused: Play
    refusal_touched: bool


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    if shutil.which("rclone") is None:
        pytest.skip("the program rclone is not on this machine")
    folder = tmp_path_factory.mktemp("new")
    with far_host(folder / "far", folder) as far:
        try:
            yield told(NewHost(folder, far))
        finally:
            processes.end_all(folder / "lab")


def told(lab: NewHost) -> Story:
    lab.send_elsewhere()
    lost = lab.content()
    environment = lab.lose_everything()
    before = lab.standing()
    planned = lab.provision("--check")
    plan_touched = lab.standing() != before
    fetched = killed_once_it_has_fetched(lab)
    without_application = lab.provision()
    lab.make_application(environment)
    recovered = lab.provision("-e", "provision_recovery_host_lost_at=2026-01-01T00:00:00Z")
    found, entries = lab.content(), lab.journal()
    before = lab.standing()
    again = lab.provision()
    planned_again = lab.provision("--check")
    again_touched = lab.standing() != before
    lab.execute("DELETE FROM savings_goals", DATABASE)
    before = lab.standing()
    refused = lab.provision()
    return Story(
        lab, lost, planned, plan_touched, fetched, without_application, recovered, found, entries, again,
        again_touched, planned_again, refused, lab.standing() != before,
    )  # fmt: skip


def killed_once_it_has_fetched(lab: NewHost) -> bool:
    with lab.started(PROVISION, "-i", str(lab.folder / "hosts.json")) as running:
        wait_until(
            lambda: any(lab.backups.glob("*.dump")) or running.process.poll() is not None, "the dump is fetched", 600
        )
        running.process.kill()
    return any(lab.backups.glob("*.dump"))


def test_the_plan_touches_nothing(story: Story) -> None:
    text = story.planned.succeeded().text
    assert "to be fetched from offsite:pg/" in text
    assert "missing: it will be made" in text
    assert "has no application vedfinance/production/api" in text
    assert "Point the API's DNS names" in text
    assert not story.plan_touched
    assert story.planned.recap["fresh"]["changed"] == 0


def test_a_killed_one_is_gone_on_with(story: Story) -> None:
    assert story.fetched_by_the_dead
    assert "here already, as its manifest says" in story.without_application.text


def test_the_database_comes_back_before_there_is_an_application(story: Story) -> None:
    text = story.without_application.failed().text
    assert "The database is back and proved, and there is no API to serve it" in text
    assert story.entries[0]["outcome"] == "failed"


def test_database_and_api_are_back(story: Story) -> None:
    text = story.recovered.succeeded().text
    assert "RECOVERED  vedfinance on the new host fresh" in text
    assert "Point the API's DNS names" in text
    assert same_as_dump(story.found, story.lost)
    entry = story.entries[-1]
    assert (entry["outcome"], entry["host"], entry["new_host"]) == ("succeeded", "fresh", True)
    assert entry["rpo_seconds"] > 0
    assert 0 < entry["rto_seconds"] < entry["rto_seconds_from_loss"]
    assert story.lab.server.app.password not in text + story.without_application.text


def test_a_second_time_changes_nothing_and_says_so(story: Story) -> None:
    assert "NOTHING TO DO  vedfinance on the new host fresh" in story.again.succeeded().text
    assert story.again.recap["fresh"]["changed"] == 0
    assert "restored from this dump before" in story.planned_again.succeeded().text
    assert not story.again_touched


def test_a_database_that_holds_data_is_not_replaced_unasked(story: Story) -> None:
    text = story.refused.failed().text
    assert "CANNOT BEGIN" in text
    assert "provision_recovery_host_replace=true" in text
    assert not story.refusal_touched
