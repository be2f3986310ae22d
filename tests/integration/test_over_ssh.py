# SPDX-License-Identifier: GPL-3.0-or-later
"""The main playbooks on another host, over a real sshd, as a user who is not root and becomes it by sudo."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import client, processes
from lab.platform import server_of
from tests.conftest import ROOT
from tests.far import USER, FarHost
from tests.far.hosts import far_host, play_on, write_inventory
from tests.integration.world import SCHOOL_ROWS, Live
from tests.recovery import BRISK, RECOVER, Play, PlayedLab, quiet_lab

pytestmark = pytest.mark.slow

only_in_journeys = pytest.mark.skipif(os.environ.get("JOURNEYS") != "all", reason="`make journeys` plays it")
DISASTER = "DELETE FROM transactions; DELETE FROM savings_goals"


def came_as_the_user(far: FarHost) -> bool:
    said = (far.folder / "sshd.log").read_text()
    return f"Accepted publickey for {USER} " in said and "Accepted publickey for root" not in said


# -- one play, of a database that is reached by its socket ------------------------------------------------------------


@dataclass(frozen=True)
class BackedUp:
    play: Play
    manifest: dict[str, Any]
    #: Who owns what was written.
    owners: set[int]
    as_the_user: bool


@pytest.fixture
def backed_up(school: Live, tmp_path: Path) -> Iterator[BackedUp]:
    settings = school.server.settings
    if settings.socket is None:
        pytest.skip("the path of the server's socket is too long here")
    backups = tmp_path / "backups"
    backups.mkdir()
    variables = {
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "platform_postgres_socket": settings.socket,
        "platform_postgres_port": settings.port,
        "platform_postgres_user": school.server.operator.user,
        "platform_postgres_password": school.server.operator.password,
        "platform_postgres_database": school.name,
        "platform_postgres_client_bin_dir": settings.bin,
        "platform_backup_dir": str(backups),
        "platform_ledger_dir": str(tmp_path / "ledger"),
        "platform_metrics_dir": str(tmp_path / "metrics"),
    }
    with far_host(tmp_path / "far", tmp_path, Path(settings.socket)) as far:
        play = play_on(tmp_path, "playbooks/backup.yml", {"far": {**far.variables, **variables}}).succeeded()
        (manifest,) = backups.glob("*.manifest.json")
        owners = {path.stat().st_uid for path in backups.iterdir()}
        yield BackedUp(play, json.loads(manifest.read_text()), owners, came_as_the_user(far))


def test_a_backup_over_ssh(backed_up: BackedUp) -> None:
    assert sum(table["rows"] for table in backed_up.manifest["tables"].values()) == SCHOOL_ROWS
    assert backed_up.owners == {0}
    assert backed_up.as_the_user


# -- a whole platform that nobody reaches but over ssh -----------------------------------------------------------------


class SshLab(PlayedLab):
    def __init__(self, folder: Path, far: FarHost) -> None:
        self.far = far
        with far.network():
            super().__init__(folder / "lab", quiet_lab(folder / "lab", replicas=1))
        # The lab's own folder for modules belongs to root; this is where Ansible puts them on any host.
        given = {"platform_public_api_url": "", "ansible_remote_tmp": "~/.ansible/tmp"}
        hosts = {"far": {**far.variables, **given}}
        self.inventory = write_inventory(folder / "inventory", hosts, like=ROOT / "inventory/lab")

    def over_ssh(self, playbook: str, *arguments: str, pipelining: bool = True) -> Play:
        self.environment["ANSIBLE_PIPELINING"] = str(pipelining)
        return self.play(playbook, "-i", str(self.inventory), *arguments)

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        server = server_of(self.description)
        with self.far.network(), closing(server.connect(database=server.settings.database)) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


@dataclass(frozen=True)
class Story:
    lab: SshLab
    recovered: Play
    transactions: int
    entry: dict[str, Any]
    backed_up: Play
    drilled: Play
    deployment: Play
    without_pipelining: Play


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("ssh")
    with far_host(folder / "far", folder) as far:
        try:
            yield told(SshLab(folder, far))
        finally:
            processes.end_all(folder / "lab")


def told(lab: SshLab) -> Story:
    lab.execute(DISASTER)
    recovered = lab.over_ssh(RECOVER, *BRISK).succeeded()
    ((transactions,),) = lab.execute("SELECT count(*) FROM transactions")
    (entry,) = lab.journal()
    backed_up = lab.over_ssh("playbooks/backup.yml").succeeded()
    drilled = lab.over_ssh("playbooks/verify_backup.yml", "-e", "backup_verification_report=false").succeeded()
    deployment = lab.over_ssh("playbooks/deploy.yml", "--check", "-e", "deploy_image=lab/api:1.5.0").succeeded()
    without = lab.over_ssh("playbooks/backup.yml", "--check", pipelining=False).succeeded()
    return Story(lab, recovered, transactions, entry, backed_up, drilled, deployment, without)


@only_in_journeys
def test_the_lab_is_reached_over_ssh_alone(story: Story) -> None:
    with pytest.raises(client.Unreachable):
        story.lab.ask("/api/health")
    assert came_as_the_user(story.lab.far)


@only_in_journeys
def test_a_recovery_over_ssh(story: Story) -> None:
    assert "RECOVERED  vedfinance on far" in story.recovered.text
    assert story.transactions > 0
    assert (story.entry["outcome"], story.entry["host"]) == ("succeeded", "far")


@only_in_journeys
def test_backup_drill_and_the_plan_of_a_deployment_over_ssh(story: Story) -> None:
    assert "BACKED UP  vedfinance on far" in story.backed_up.text
    assert "vedfinance on far" in story.drilled.text
    assert "lab/api:1.5.0" in story.deployment.text
    assert "PLAN  backup of vedfinance on far" in story.without_pipelining.text


@only_in_journeys
def test_no_secret_is_shown(story: Story) -> None:
    said = story.recovered.text + story.backed_up.text + story.drilled.text + story.deployment.text
    assert story.lab.description["dokploy"]["api_key"] not in said
    assert story.lab.description["postgres"]["operator_password"] not in said
