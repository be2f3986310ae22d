# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill on another host of the inventory: the dump is carried there, proved to the bit, and nothing stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.postgres import Server
from tests.conftest import ROOT
from tests.integration.world import SCHOOL_ROWS, Live
from tests.recovery import Play, recap_of

pytestmark = pytest.mark.slow

DATABASE = "shop_of_another_host"


@dataclass(frozen=True)
class Drilled:
    play: Play
    entry: dict[str, Any]
    pages: list[str]
    left: list[str]
    family: list[str]


@pytest.fixture
def drilled(school: Live, tmp_path: Path) -> Drilled:
    """Live would be on a server that nobody can reach; it wrote its dump in a time zone that the other never had."""
    folders = {name: tmp_path / name for name in ("backups", "work", "tmp", "ledger", "journal", "reports")}
    for folder in folders.values():
        folder.mkdir()
    school.execute("ALTER TABLE era ADD at timestamptz; UPDATE era SET at = '2026-07-01 12:00:00+00'")
    school.administer(f"ALTER DATABASE \"{school.name}\" SET timezone TO 'Pacific/Chatham'")
    school.dump(name="backups/shop_20261123_020000.sql")
    school.administer(f'ALTER DATABASE "{school.name}" RESET timezone')
    server: Server = school.server
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "ansible_remote_tmp": str(folders["tmp"]),
        "platform_postgres_host": "127.0.0.1",
        "platform_postgres_port": 1,
        "platform_postgres_database": DATABASE,
        "platform_postgres_client_bin_dir": server.settings.bin,
        "platform_backup_dir": str(folders["backups"]),
        "platform_ledger_dir": str(folders["ledger"]),
        "platform_journal_dir": str(folders["journal"]),
        "platform_metrics_dir": "",
        "platform_report_dir": str(folders["reports"]),
        "backup_verification_host": "spare",
        "backup_verification_work_dir": str(folders["work"]),
        "backup_verification_login": {
            "login_host": server.settings.host,
            "login_port": server.settings.port,
            "login_user": server.operator.user,
            "login_password": server.operator.password,
        },
        "backup_verification_owner": server.app.user,
        "backup_verification_checks": [{"name": "there are users", "query": "SELECT count(*) > 0 FROM users"}],
    }
    hosts = {"platform": {"hosts": {"vps": {}}}, "others": {"hosts": {"spare": {}}}}
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"children": hosts, "vars": variables}}))
    done = subprocess.run(
        ["ansible-playbook", "-i", str(tmp_path / "hosts.json"), "playbooks/verify_backup.yml"],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "TMPDIR": str(folders["tmp"])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    play = Play(done.returncode, done.stdout, recap_of(done.stdout)).succeeded()
    (entry,) = folders["ledger"].iterdir()
    with server.connect() as connection:
        rows = connection.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (DATABASE,))
        family = [str(row[0]) for row in rows.fetchall()]
    left = [path.name for name in ("work", "tmp") for path in folders[name].rglob("*drill*")]
    pages = sorted(path.name for path in folders["reports"].iterdir())
    return Drilled(play, json.loads(entry.read_text()), pages, left, family)


def test_a_drill_on_another_host(drilled: Drilled) -> None:
    entry = drilled.entry
    assert (entry["outcome"], entry["host"], entry["database"]) == ("proved", "vps", DATABASE)
    assert (entry["verify"], entry["rows"]) == ("content", SCHOOL_ROWS)
    assert {check["name"]: check["result"] for check in entry["proof"]}["content"] == "passed"
    assert entry["dump"]["name"] == "shop_20261123_020000.sql"
    # Nothing was there to be compared with, and nothing is kept where no recovery could take it.
    assert (entry["compared_to_live"], entry["kept_as"]) == ({}, None)
    assert drilled.pages == [f"{entry['run']}_{DATABASE}.html", "index.html"]
    assert drilled.left == []
    assert drilled.family == []
