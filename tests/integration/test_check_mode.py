# SPDX-License-Identifier: GPL-3.0-or-later
"""`--check` of every playbook: a plan, and a platform that is the same to the last byte afterwards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.journey import PUSHED, JourneyLab
from tests.recovery import DATABASE, Journey, Play, under_way

pytestmark = pytest.mark.slow

NO_PLAYBOOK_OF_ITS_OWN = "has_hosts"
# What each of them must say, in this lab: a commit with a migration is not pushed yet.
PLANNED = {
    "backup": "PLAN  backup of vedfinance on lab",
    "contacts": "Backend Lead: API and database integrity",
    "deploy": "PLAN  deployment of vedfinance/production/api on lab",
    "disaster_recovery": "PLAN  disaster recovery of vedfinance on lab",
    "jsonb_check": "passed          public.users.preferences",
    "migrate": "_add_badges",
    "preflight": "PLAN  gates of",
    "releases": "RELEASES  of lab, newest first",
    "report": "This was a dry run: no page was written.",
    "schedule": "vedfinance-drill",
    "undo_recovery": "Nothing to undo: no database of before a restore of vedfinance is kept.",
    "verify_backup": "PLAN  drill",
}
# Those that need to be told more, or refuse: there is no version to return to, and no drill has proved a dump.
ALONE = {
    "hotfix": (["--tags", "start", "-e", "hotfix_name=login-loop"], "hotfix/login-loop"),
    "rollback": ([], "CANNOT BEGIN"),
    "runbook_check": ([], "Ready: "),
}
# What servers and Ansible write by themselves.
THEIR_OWN = ("postgres/", "logs/", "tmp/", "async/")
ADD_BADGES = 'CREATE TABLE "badges" ("id" TEXT NOT NULL, CONSTRAINT "badges_pkey" PRIMARY KEY ("id"));\n'


@dataclass(frozen=True)
class Seen:
    play: Play
    before: dict[str, str]
    after: dict[str, str]


def _state(lab: JourneyLab) -> dict[str, str]:
    """Every file of the lab, its processes among them, and every database, by what is in them."""
    lab.frontend()  # the double notes what has happened by then when it is asked
    files = {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in lab.state.rglob("*")
        if path.is_file() and not (name := str(path.relative_to(lab.state))).startswith(THEIR_OWN)
    }
    with lab.server.connect() as connection:
        rows = connection.execute("SELECT datname, oid::text FROM pg_database").fetchall()
    # Newer versions of pg_dump write a word of chance into each dump.
    dump = [line for line in lab.server.tool("pg_dump", database=DATABASE).splitlines() if b"restrict " not in line]
    return {
        **files,
        **{str(name): str(oid) for name, oid in rows},
        "content": hashlib.sha256(b"\n".join(dump)).hexdigest(),
    }


def _play(playbooks: list[str], arguments: list[str], lab: JourneyLab, folder: Path) -> Seen:
    if lab.server.row_counts() and not lab.checkout("log", "origin/main..HEAD", "--oneline"):
        lab.commit(folder, version="1.5.0", migration=("add_badges", ADD_BADGES))
    before = _state(lab)
    paths = [f"playbooks/{name}.yml" for name in playbooks]
    return Seen(lab.play(*paths, "--check", "--diff", "-e", json.dumps(PUSHED), *arguments), before, _state(lab))


LIFE: dict[str, Journey] = {
    "together": partial(_play, list(PLANNED), ["-e", "deploy_commit=HEAD", "-e", "schedule_activate=false"]),
    **{name: partial(_play, [name], arguments) for name, (arguments, _words) in ALONE.items()},
}


@pytest.fixture(scope="module")
def journeys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Seen]]]:
    with under_way([LIFE], lambda: tmp_path_factory.mktemp("check"), JourneyLab) as futures:
        yield futures


def test_every_playbook_is_looked_at() -> None:
    there = {path.stem for path in (ROOT / "playbooks").glob("*.yml")} - {NO_PLAYBOOK_OF_ITS_OWN}
    assert there == {*PLANNED, *ALONE}


@pytest.mark.parametrize("name", LIFE)
def test_nothing_is_touched(name: str, journeys: dict[str, Future[Seen]]) -> None:
    seen = journeys[name].result()
    assert seen.after == seen.before


def test_plans_are_printed(journeys: dict[str, Future[Seen]]) -> None:
    text = journeys["together"].result().play.succeeded().text
    assert [name for name, words in PLANNED.items() if words not in text] == []


@pytest.mark.parametrize("name", ALONE)
def test_what_cannot_be_planned_says_why(name: str, journeys: dict[str, Future[Seen]]) -> None:
    assert ALONE[name][1] in journeys[name].result().play.text
