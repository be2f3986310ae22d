# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job, shown: a platform, a disaster, the real playbook, a proved recovery."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.judge import judge
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.model import DumpRejected

from lab import disasters
from lab.platform import Description, Wanted, down, server_of, up
from lab.postgres import Server

ROOT = Path(__file__).resolve().parent.parent
DISASTERS = ("data-loss", "dropped-table", "dropped-database", "corrupt")
_SCRATCH = "restored_by_psql"
Say = Callable[[str], None]
_FIGURES: dict[str, Callable[[dict[str, Any]], float]] = {
    "restore, proof and swap": lambda run: run["seconds"]["total"],
    "time without the API": lambda run: run["outage_seconds"],
    "from the command to a healthy API": lambda run: run["rto_seconds"],
}


def demo(state: Path, disaster: str, wanted: Wanted, say: Say, *, warm: bool = False) -> int:
    """Play the whole story; 0 when the platform is recovered, and nothing is left running in any case.

    :param warm: once more after a drill of the dump, and both beside each other.
    """
    begun = time.monotonic()
    recovered = False
    try:
        say(_heading("A platform, all of it on this machine"))
        description = up(state, wanted, say)
        _strike(description, disaster, say)
        say(_heading("What the written runbook does with the newest dump, beside what this collection says of it"))
        _compare(server_of(description), Path(description["backups"]) / "latest_dump.sql", say)
        recovered = _recover(description, say)
        if warm and recovered:
            recovered = _recover_warm(description, disaster, say)
    finally:
        say(_heading("Cleaning up"))
        down(state, say)
    say(f"\n{'RECOVERED' if recovered else 'NOT RECOVERED'} - the demo took {time.monotonic() - begun:.0f} s.")
    return 0 if recovered else 1


def _strike(description: Description, disaster: str, say: Say) -> None:
    say(_heading(f"The disaster: {disaster}"))
    for line in disasters.ALL[disaster](description):
        say(line)


def _recover(description: Description, say: Say, *arguments: str) -> bool:
    say(_heading("The recovery: ansible-playbook playbooks/disaster_recovery.yml"))
    status = _play(description, "disaster_recovery.yml", *arguments)
    say(_heading("What stands now"))
    return status == 0 and _recovered(description, say)


def _recover_warm(description: Description, disaster: str, say: Say) -> bool:
    say(_heading("The night's drill: ansible-playbook playbooks/verify_backup.yml"))
    if _play(description, "verify_backup.yml") != 0:
        return False
    _strike(description, disaster, say)
    # Wrong values are no missing rows: of a database that was just restored, only a person can say it.
    if not _recover(description, say, "-e", "disaster_recovery_force=true"):
        return False
    for line in side_by_side(*_recoveries(description)[-2:]):
        say(line)
    return True


def side_by_side(cold: dict[str, Any], warm: dict[str, Any]) -> list[str]:
    """Two recoveries as the journal has them."""
    return [
        _heading("Side by side: from the dump, and from what the drill has kept"),
        f"{'':34}{'cold':>10}{'warm':>10}",
        *(f"{what:34}{of(cold):>8.1f} s{of(warm):>8.1f} s" for what, of in _FIGURES.items()),
        "The restore grows with the data, the swap does not; the rest is Dokploy's stop and start of the API.",
    ]


def _recoveries(description: Description) -> list[dict[str, Any]]:
    folder = Path(description["journal"])
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*_disaster_recovery.json"))]


def _heading(text: str) -> str:
    return f"\n=== {text} {'=' * max(3, 100 - len(text))}"


def _compare(server: Server, dump: Path, say: Say) -> None:
    """Restore a cut dump as the runbook says, into a database of its own, and judge the same file."""
    with server.connect() as connection:
        connection.autocommit = True
        connection.execute(f'CREATE DATABASE {_SCRATCH} OWNER "{server.app.user}"')
    environment = server.client_environment(server.app, _SCRATCH)
    with dump.open("rb") as script:
        psql = subprocess.run(
            [f"{server.settings.bin}/psql", "--quiet", "--no-psqlrc"],
            stdin=script, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, check=False,
        )  # fmt: skip
    rows = sum(server.row_counts(_SCRATCH).values())
    with server.connect(database=_SCRATCH) as connection:
        tables, keys = connection.execute(
            "SELECT count(*), (SELECT count(*) FROM pg_constraint WHERE contype = 'p' AND connamespace = n.oid)"
            " FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE nspname = 'public' AND relkind = 'r' GROUP BY n.oid"
        ).fetchone() or (0, 0)
    with server.connect() as connection:
        connection.autocommit = True
        connection.execute(f"DROP DATABASE {_SCRATCH} WITH (FORCE)")
    say(f"cat {dump.name} | psql       exit code {psql.returncode}: {tables} tables, {rows} rows, {keys} primary keys")
    try:
        judge(str(dump))
        say("pg_restore_from_dump             accepts it")
    except DumpRejected as rejected:
        say(f"pg_restore_from_dump             refuses it: {rejected}")


def _play(description: Description, playbook: str, *arguments: str) -> int:
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "LAB_STATE": description["state"],
        "ANSIBLE_FORCE_COLOR": str(sys.stdout.isatty()),
    }
    command = [str(Path(sys.executable).with_name("ansible-playbook")), f"playbooks/{playbook}", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def _recovered(description: Description, say: Say) -> bool:
    rows = sum(server_of(description).row_counts().values())
    status, body = disasters.ask_api(description, "integrity_path")
    failed = [name for name, check in body.items() if isinstance(check, dict) and check.get("status") == "FAIL"]
    say(f"database    {rows} rows, {description['postgres']['database']}")
    say(f"API         {status}, integrity {'FAIL: ' + ', '.join(failed) if failed else 'without FAIL'}")
    return status == 200 and not failed and rows > 0
