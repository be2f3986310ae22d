# SPDX-License-Identifier: GPL-3.0-or-later
"""Three platforms in one run, the second of which fails: what goes on, what stops, and what the end says of each."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.integration.world import SCHOOL_ROWS, Live
from tests.recovery import Play, recap_of

pytestmark = pytest.mark.slow

PLATFORMS = ("north", "middle", "south")
Run = Callable[..., Play]


@pytest.fixture
def run(school: Live, tmp_path: Path) -> Run:
    """Plays a playbook on all of them. The one in the middle has no database; nothing listens where Dokploy should."""
    settings = school.server.settings
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "folder": str(tmp_path / "{{ inventory_hostname }}"),
        "ansible_remote_tmp": "{{ folder }}/tmp",
        "platform_postgres_host": settings.host,
        "platform_postgres_port": settings.port,
        "platform_postgres_user": settings.superuser,
        "platform_postgres_password": settings.superuser_password,
        "platform_postgres_database": school.name,
        "platform_postgres_client_bin_dir": settings.bin,
        "platform_backup_dir": "{{ folder }}/backups",
        "platform_ledger_dir": "{{ folder }}/ledger",
        "platform_journal_dir": "{{ folder }}/journal",
        "platform_metrics_dir": "",
        "backup_retention": {},
        "platform_dokploy_url": "http://127.0.0.1:1",
        "platform_dokploy_api_key": "a key of nobody",
        "platform_dokploy_project": "vedfinance",
        "platform_dokploy_environment": "production",
        "platform_dokploy_application": "api",
        "platform_api_url": "http://127.0.0.1:1",
    }
    hosts = {name: {"platform_postgres_database": "not_there"} if name == "middle" else {} for name in PLATFORMS}
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"platform": {"hosts": hosts, "vars": variables}}))
    for name in PLATFORMS:
        (tmp_path / name / "backups").mkdir(parents=True)

    def run(playbook: str, *arguments: str) -> Play:
        done = subprocess.run(
            ["ansible-playbook", "-i", str(inventory), f"playbooks/{playbook}.yml", *arguments],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Play(done.returncode, done.stdout, recap_of(done.stdout))

    return run


def table_of(play: Play) -> dict[str, str]:
    """The rows of the summary below the recap, by platform, without their seconds."""
    rows = re.findall(
        r"^(\w+) +(done|FAILED|not begun)(?: +[\d.]+)?(.*)$", play.text.rpartition("PLATFORMS")[2], re.MULTILINE
    )
    return {name: " ".join(f"{outcome} {told}".split()) for name, outcome, told in rows}


def dumps(folder: Path) -> dict[str, list[str]]:
    """Of each platform, the names of its dumps."""
    return {name: [path.name for path in (folder / name / "backups").glob("*.dump")] for name in PLATFORMS}


def test_a_backup_that_fails_keeps_no_other_platform_from_its_own(run: Run, tmp_path: Path) -> None:
    play = run("backup").failed()
    assert {host: counters["failed"] for host, counters in play.recap.items()} == {"north": 0, "middle": 1, "south": 0}
    made = dumps(tmp_path)
    assert {name: len(names) for name, names in made.items()} == {"north": 1, "middle": 0, "south": 1}
    rows = table_of(play)
    assert list(rows) == list(PLATFORMS)
    assert rows["north"] == f"done {made['north'][0]}, {SCHOOL_ROWS} rows"
    assert re.match(r"FAILED Dump the database: .*not_there", rows["middle"]), rows
    assert rows["south"] == f"done {made['south'][0]}, {SCHOOL_ROWS} rows"
    assert "the others again: --limit middle\n" in play.text


def test_what_broke_on_the_first_platform_goes_no_further_and_what_loses_data_must_be_named(run: Run) -> None:
    deployed = run("deploy", "-e", "deploy_commit=1234567").failed()
    rows = table_of(deployed)
    assert rows["north"].startswith('FAILED "Look at the service in Dokploy" failed'), rows
    assert (rows["middle"], rows["south"]) == ("not begun", "not begun")
    assert set(deployed.recap) == {"north"}

    refused = run("disaster_recovery").failed()
    assert "3 match: north, middle, south. Name those that are meant" in " ".join(refused.text.split())
    assert "Disaster recovery" not in refused.text
    assert table_of(refused) == {}
