# SPDX-License-Identifier: GPL-3.0-or-later
"""preflight.yml and jsonb_check.yml in one run, on three hosts: all is well, a gate fails, a document is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.integration.world import Live

SECRET = "hunter2-of-the-gate"
SCHEMA = {"table": "public.users", "column": "preferences", "schema": {"properties": {"theme": {"enum": ["dark"]}}}}


def gate(name: str, command: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "command": command, **more}


@pytest.fixture
def said(live: Live, tmp_path: Path) -> str:
    """All that the play has said."""
    live.execute("CREATE TABLE users (id int PRIMARY KEY, preferences jsonb)")
    live.execute("""INSERT INTO users VALUES (1, '{"theme": "dark"}'), (2, '{"theme": "dark"}')""")
    (tmp_path / "checkout").mkdir()
    well = [gate("tests", "echo 214 passed"), gate("lint", "false"), gate("audit", "false", optional=True)]
    common = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "ansible_remote_tmp": str(tmp_path / "remote"),
        "platform_postgres_host": live.login["login_host"],
        "platform_postgres_port": live.login["login_port"],
        "platform_postgres_user": live.login["login_user"],
        "platform_postgres_password": live.login["login_password"],
        "platform_postgres_database": live.name,
        "platform_jsonb_schemas": [SCHEMA],
        "platform_checkout": str(tmp_path / "checkout"),
        "preflight_log_dir": str(tmp_path / "logs"),
        "preflight_secret_environment": {"DEPLOY_TOKEN": SECRET},
        "preflight_gates": well,
        "preflight_skipped": {"lint": "see ved-311"},
        "platform_contacts": [{"role": "Backend Lead", "events": ["deploy_*", "migrate_*"], "channels": ["dev_api"]}],
    }
    hosts: dict[str, Any] = {
        "well": {},
        "gate": {"preflight_gates": [*well, gate("beads", 'echo "no $DEPLOY_TOKEN"; exit 3', hint="bd doctor")]},
        "document": {"platform_jsonb_schemas": [{**SCHEMA, "schema": {"required": ["digest"]}}]},
    }
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"platform": {"hosts": hosts, "vars": common}}))
    # In one playbook, since ansible-playbook begins no second one after a failure.
    both = [{"import_playbook": f"{ROOT}/playbooks/{name}.yml"} for name in ("jsonb_check", "preflight")]
    (tmp_path / "both.yml").write_text(json.dumps(both))
    done = subprocess.run(
        ["ansible-playbook", "-i", inventory, tmp_path / "both.yml"],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode != 0, done.stdout
    return done.stdout


@pytest.mark.slow
def test_both_say_what_holds_and_what_does_not(said: str, tmp_path: Path) -> None:
    for words in (
        "DOCUMENTS  school",
        "public.users.preferences: 2 documents",
        "DOCUMENTS DO NOT CONFORM  school",
        "1  $ lacks the property digest",
        "GATES PASSED  ",
        "see ved-311",
        "exit status 1 (optional)",
        "GATES NOT PASSED  ",
        "it said        no ***",
        "what to do     bd doctor",
        """-e '{"preflight_skipped": {"beads": "the reason""",
        "who owns this  Backend Lead (dev_api)",
    ):
        assert words in said, f"{words!r} is not in: {said}"
    assert SECRET not in said
    assert not any(SECRET in path.read_text() for path in (tmp_path / "logs").iterdir())
