# SPDX-License-Identifier: GPL-3.0-or-later
"""The nightly work as timers, as cron entries or in Dokploy: a second run changes nothing, another choice takes the
first away."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.dokploy.model import FILE_NAME
from tests.conftest import ROOT
from tests.recovery import recap_of
from tests.unit.lab.dokploy_world import World

pytestmark = pytest.mark.slow

# One host after the other meets the same folder and the same Dokploy; its name says how.
HOSTS = {
    "systemd": "systemd",
    "systemd-again": "systemd",
    "cron": "cron",
    "dokploy-planned": "dokploy",
    "dokploy": "dokploy",
    "dokploy-again": "dokploy",
    "none": "none",
}
SERVER = "vps-of-dokploy"
UNITS = ("vedfinance-backup.service", "vedfinance-backup.timer", "vedfinance-drill.service", "vedfinance-drill.timer")


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("schedule")
    with World(folder / "dokploy") as world:
        yield play_in(folder, world)


def play_in(folder: Path, world: World) -> dict[str, Any]:
    for name in ("units", "seen", "bin", "tmp"):
        (folder / name).mkdir()
    # Ansible's module for cron only asks whether there is one.
    crontab = folder / "bin" / "crontab"
    crontab.write_text("#!/bin/sh\n")
    crontab.chmod(0o755)
    seen = f"{folder}/seen/{{{{ inventory_hostname }}}}"
    copy = ["sh", "-c", f"cp -R {folder}/units {seen} && cp {world.state}/{FILE_NAME} {seen}.json"]
    play = {
        "hosts": "all",
        "gather_facts": False,
        "serial": 1,
        "tasks": [
            {
                "ansible.builtin.import_role": {"name": "vedfinance.platform.schedule"},
                "check_mode": "{{ 'planned' in inventory_hostname }}",
            },
            {"ansible.builtin.command": {"argv": copy}, "changed_when": False},
        ],
    }
    (folder / "play.yml").write_text(json.dumps([play]))
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "ansible_remote_tmp": str(folder / "tmp"),
        "schedule_unit_dir": str(folder / "units"),
        "schedule_cron_file": str(folder / "units" / "cron"),
        "schedule_activate": False,
        "schedule_ansible_playbook": "/bin/true",
        "schedule_project_dir": "/",
        "schedule_limit": "vps",
        "schedule_arguments": ["--vault-password-file=/root/a b%c"],
        "schedule_timezone": "Asia/Ho_Chi_Minh",
        "platform_dokploy_url": world.double.url,
        "platform_dokploy_api_key": world.seeded.api_key,
        # Without it, Dokploy is not even asked.
        "platform_dokploy_server_id": f"{{{{ '{SERVER}' if schedule_by in ['dokploy', 'none'] else '' }}}}",
    }
    hosts = {name: {"schedule_by": by} for name, by in HOSTS.items()}
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": variables}}))
    outcome = subprocess.run(
        ["ansible-playbook", "-i", str(folder / "hosts.json"), str(folder / "play.yml")],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "PATH": f"{folder}/bin:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return {"recap": recap_of(outcome.stdout), "seen": folder / "seen"}


def test_the_same_choice_again_changes_nothing(played: dict[str, Any]) -> None:
    changed = {host: counters["changed"] for host, counters in played["recap"].items()}
    assert {host for host, count in changed.items() if count == 0} == {"systemd-again", "dokploy-again"}


def test_another_choice_takes_the_first_away(played: dict[str, Any]) -> None:
    seen = {host: sorted(path.name for path in (played["seen"] / host).iterdir()) for host in HOSTS}
    assert seen["systemd"] == seen["systemd-again"] == sorted(UNITS)
    assert seen["cron"] == ["cron"]
    assert seen["dokploy-planned"] == ["cron"]
    assert seen["dokploy"] == seen["none"] == []
    assert {host: len(schedules_after(played, host)) for host in HOSTS} == {
        **dict.fromkeys(HOSTS, 0), **dict.fromkeys(("dokploy", "dokploy-again"), 2),
    }  # fmt: skip


def schedules_after(played: dict[str, Any], host: str) -> list[dict[str, Any]]:
    stored = json.loads((played["seen"] / f"{host}.json").read_text())
    return list(stored["schedules"].values())


def test_dokploy_starts_the_plays_on_its_server(played: dict[str, Any]) -> None:
    backup, drill = schedules_after(played, "dokploy")
    assert [(one["name"], one["cronExpression"]) for one in (backup, drill)] == [
        ("vedfinance-backup", "0 2 * * *"), ("vedfinance-drill", "30 3 * * *"),
    ]  # fmt: skip
    assert (drill["scheduleType"], drill["serverId"], drill["enabled"]) == ("server", SERVER, True)
    assert drill["timezone"] == "Asia/Ho_Chi_Minh"
    assert drill["script"] == (
        "cd / && /bin/true --inventory=inventory/production --limit=vps --connection=local"
        " '--vault-password-file=/root/a b%c' vedfinance.platform.verify_backup"
    )
    assert schedules_after(played, "dokploy-again") == [backup, drill]


def test_cron_starts_the_plays_at_night(played: dict[str, Any]) -> None:
    entries = [line for line in (played["seen"] / "cron" / "cron").read_text().splitlines() if not line.startswith("#")]
    assert [entry.split()[:6] for entry in entries if entry] == [
        ["0", "2", "*", "*", "*", "root"], ["30", "3", "*", "*", "*", "root"],
    ]  # fmt: skip
    assert entries[0].endswith(
        "cd / && nice -n 10 /bin/true --inventory=inventory/production --limit=vps --connection=local"
        r" '--vault-password-file=/root/a b\%c' vedfinance.platform.backup"
    )


def test_the_units_say_what_is_meant(played: dict[str, Any]) -> None:
    folder: Path = played["seen"] / "systemd"
    timer, service = (folder / "vedfinance-drill.timer").read_text(), (folder / "vedfinance-drill.service").read_text()
    assert "OnCalendar=*-*-* 03:30:00 Asia/Ho_Chi_Minh\n" in timer
    assert "Persistent=true" in timer
    assert "'--vault-password-file=/root/a b%%c' vedfinance.platform.verify_backup\n" in service
    assert "Nice=10\n" in service


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here to ask")
def test_systemd_understands_the_units(played: dict[str, Any]) -> None:
    paths = [str(played["seen"] / "systemd" / name) for name in UNITS]
    verified = subprocess.run(["systemd-analyze", "verify", *paths], capture_output=True, text=True, check=False)
    ours = [line for line in verified.stderr.splitlines() if "vedfinance" in line]
    assert (verified.returncode, ours) == (0, []), verified.stderr
