# SPDX-License-Identifier: GPL-3.0-or-later
"""A bare Debian, reached over a real sshd, becomes a host on which a backup can be made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.far import FarHost
from tests.far.hosts import bare_host, play_on
from tests.recovery import Play

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.environ.get("JOURNEYS") != "all", reason="`make journeys` plays it"),
]

BOOTSTRAP = "playbooks/bootstrap.yml"
FOLDERS = ("/backups/postgres", *(f"/var/lib/vedfinance/{name}" for name in ("journal", "ledger", "locks", "reports")))
VARIABLES = {
    "platform_postgres_host": "127.0.0.1",
    "platform_postgres_port": 1,
    "platform_postgres_database": "vedfinance",
    "platform_backup_dir": FOLDERS[0],
    "platform_metrics_dir": "",
    "platform_scheduler": "cron",
    "backup_age_recipients": ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"],
    "backup_offsite": {"remote": "offsite:backups"},
}


@dataclass(frozen=True)
class Story:
    planned: Play
    before: list[str]
    bootstrapped: Play
    again: Play
    planned_again: Play
    scheduled: Play
    far: FarHost


def seen(far: FarHost) -> list[str]:
    """Whatever a plan must not touch."""
    wanted = [far.root / "usr/bin/python3", *(far.root / path[1:] for path in FOLDERS)]
    packages = (far.root / "var/lib/dpkg/status").read_text().count("\nPackage: ")
    return [*(str(path) for path in wanted if path.exists()), f"{packages} packages"]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("bootstrap")
    with bare_host(folder / "far") as far, far.with_mirror():

        def play(*arguments: str) -> Play:
            return play_on(folder, BOOTSTRAP, {"bare": {**far.variables, **VARIABLES}}, *arguments)

        before = seen(far)
        planned = play("--check", "--diff").succeeded()
        after = seen(far)
        assert after == before
        bootstrapped = play().succeeded()
        again = play().succeeded()
        planned_again = play("--check").succeeded()
        _put_a_runner(far.root)
        yield Story(planned, before, bootstrapped, again, planned_again, play().succeeded(), far)


def _put_a_runner(root: Path) -> None:
    for path in ("usr/bin/ansible-playbook", "opt/vedfinance/inventory/production/hosts.yml"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def test_the_plan_needs_no_python(story: Story) -> None:
    assert "it has no Python that Ansible could use" in story.planned.text
    assert not any(line.endswith("python3") for line in story.before)
    assert story.planned.recap["bare"]["changed"] == 0


def test_it_has_all_that_the_inventory_needs(story: Story) -> None:
    text = story.bootstrapped.text
    assert "BOOTSTRAPPED  bare, debian 12, Python 3.11" in text
    assert "psycopg, requests and jsonschema of the release" in text
    versions = story.far.ssh(
        "python3 -c 'import psycopg, requests, jsonschema; print(psycopg.__version__)';"
        " pg_dump --version; age --version; rclone version | head -1; zstd --version"
    )
    assert versions.startswith("3.1")
    assert "pg_dump (PostgreSQL) 15" in versions
    rights = story.far.ssh(f"stat -c '%a %U %n' {' '.join(FOLDERS)}").splitlines()
    assert rights == [f"750 root {path}" for path in FOLDERS]


def test_it_says_what_a_person_must_do(story: Story) -> None:
    text = story.bootstrapped.text
    for wanted in (
        "The database server does not answer",
        "Dokploy: platform_dokploy_url is empty.",
        "The offsite remote does not answer: rclone knows no remote 'offsite'",
        "Nobody would be told",
        "/usr/bin/ansible-playbook and /opt/vedfinance/inventory/production are not on the host",
    ):
        assert wanted in text


def test_a_second_time_changes_nothing(story: Story) -> None:
    assert story.again.recap["bare"]["changed"] == 0, story.again.text
    assert story.planned_again.recap["bare"]["changed"] == 0, story.planned_again.text


def test_the_schedule_is_written_when_there_is_something_to_start(story: Story) -> None:
    assert "backups and drills every night" in story.scheduled.text
    entries = story.far.ssh("cat /etc/cron.d/vedfinance_platform")
    assert "vedfinance.platform.backup" in entries
    assert "vedfinance.platform.verify_backup" in entries
