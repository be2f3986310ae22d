# SPDX-License-Identifier: GPL-3.0-or-later
"""A release is killed in the middle, at each step; the same play again ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from lab import client
from lab.git import Commit
from lab.prisma import installed_prisma
from tests.journey import DEPLOY, PUSHED, JourneyLab, Standing
from tests.kills import VICTIMS, kill, lives, send
from tests.recovery import PLAY_SECONDS, Play, Running, under_way, wait_until

pytestmark = pytest.mark.slow

Phase = Callable[[JourneyLab, Running, Commit], bool]


def _said(task: str) -> Phase:
    """Nothing in the lab differs yet, or any more; the play itself says it."""
    return lambda _lab, running, _commit: f": {task}]" in running.text()


def _pushed(lab: JourneyLab, _running: Running, commit: Commit) -> bool:
    return lab.origin.log("--max-count=1", "main")[0] == commit


def _migrated(lab: JourneyLab, _running: Running, _commit: Commit) -> bool:
    return lab.newest_migration() in lab.migrations()


def _built(lab: JourneyLab, _running: Running, commit: Commit) -> bool:
    try:
        return bool(lab.ask(lab.description["api"]["version_path"])[1]["commit"] == commit.sha)
    except client.Unreachable:
        return False


def _frontend(lab: JourneyLab, _running: Running, commit: Commit) -> bool:
    return lab.frontend() == commit.sha


GOOD: dict[str, Phase] = {
    "gates": _said("Run the gates"),
    "dumped": _said("Note the dump"),
    "pushed": _pushed,
    "migrated": _migrated,
    "built": _built,
    "frontend": _frontend,
    "health": _said("Wait until the API is healthy"),
}
BAD: dict[str, Phase] = {
    "sick": _said("Keep what went wrong"),
    "returning": _said("Roll back to what served before, and see that it serves"),
    "frontend returning": _said("Return to what was canonical before"),
}
# Where the most is half done; CHAOS=all kills every step, in both ways.
SOME = [("migrated", "everything")]
ROUNDS = list(product([*GOOD, *BAD], VICTIMS)) if os.environ.get("CHAOS") == "all" else SOME


@dataclass(frozen=True)
class Survived:
    """What is there after a killed play and a second one."""

    second: Play
    commit: Commit
    before: Standing
    after: Standing
    entries: list[dict[str, Any]]
    locks: list[str]


@pytest.fixture(scope="module")
def rounds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Survived]]]:
    if installed_prisma() is None:
        pytest.skip("Prisma cannot be installed here")
    life = {
        f"{phase}-{victim}": partial(_round, number, phase, victim)
        for number, (phase, victim) in enumerate(ROUNDS, start=1)
    }
    with under_way([life], lambda: tmp_path_factory.mktemp("chaos"), JourneyLab) as futures:
        yield futures


def _round(number: int, phase: str, victim: str, lab: JourneyLab, folder: Path) -> Survived:
    name = f"add_table_{number}"
    commit = lab.commit(
        folder,
        version=f"2.{number}.0",
        behaviour="ok" if phase in GOOD else "fail-integrity",
        migration=(name, f'CREATE TABLE "{name}" ("id" INTEGER NOT NULL, PRIMARY KEY ("id"));\n'),
    )
    known, before = set(lab.journal_folder.iterdir()), lab.standing()
    reached = {**GOOD, **BAD}[phase]
    orphans: Sequence[int] = ()
    try:
        with lab.started(DEPLOY, "-e", json.dumps(PUSHED)) as first:
            wait_until(lambda: reached(lab, first, commit) or first.process.poll() is not None, phase, PLAY_SECONDS)
            assert first.process.poll() is None, first.text()
            orphans = kill(first.process.pid, victim)
        send(orphans, signal.SIGCONT)
        wait_until(lambda: not any(map(lives, orphans)), "the orphans end")
        play = lab.play(DEPLOY, "-e", json.dumps(PUSHED))
    finally:
        send(orphans, signal.SIGKILL)
    entries = [json.loads(path.read_text()) for path in sorted(set(lab.journal_folder.iterdir()) - known)]
    locks = [path.name for path in (lab.state / "locks").glob("*")]
    return Survived(play, commit, before, lab.standing(), entries, locks)


@pytest.mark.parametrize("name", [f"{phase}-{victim}" for phase, victim in ROUNDS])
def test_after_a_kill_the_same_play_ends_as_if_there_had_been_none(
    rounds: dict[str, Future[Survived]], name: str
) -> None:
    seen = rounds[name].result()
    is_good = name.rpartition("-")[0] in GOOD
    seen.second.succeeded() if is_good else seen.second.failed()
    serves = seen.commit.sha if is_good else seen.before.commit
    assert (seen.after.commit, seen.after.frontend) == (serves, serves)
    assert seen.after.origin[0] == seen.commit
    assert seen.after.integrity == []
    assert len(seen.after.migrations) == len(seen.before.migrations) + 1
    assert seen.locks == []
    *dead, last = seen.entries
    assert [entry["outcome"] for entry in dead] == ["interrupted"] * len(dead)
    assert last["outcome"] == ("succeeded" if is_good else "failed")
    assert last["from"]["commit"] == seen.before.commit
    if dead:
        assert last["took_over"] == dead[0]["run"]
        assert last["from"] == dead[0]["from"]
        assert last["release"]["dump"] == (dead[0]["release"]["dump"] or last["release"]["dump"])
    assert [name[15:] for name in last["release"]["applied_migrations"]] == [seen.after.migrations[-1][15:]]
