# SPDX-License-Identifier: GPL-3.0-or-later
"""A recovery is killed in the middle, at each phase; the next one goes on or starts over, and nobody sees a half."""

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

import pytest

from tests.kills import VICTIMS, kill, lives, send
from tests.recovery import (
    BRISK,
    DATABASE,
    EXPECTED,
    RECOVER,
    REPLICAS,
    Content,
    Database,
    Hammer,
    Play,
    RecoveryLab,
    Running,
    Seen,
    Service,
    same_as_dump,
    under_way,
    wait_until,
)

pytestmark = pytest.mark.slow

Phase = Callable[[RecoveryLab, Running, int | None], bool]


def _stopped(lab: RecoveryLab, _running: Running, _old: int | None) -> bool:
    services = json.loads((lab.state / "dokploy.json").read_text())["services"]
    return services[lab.description["dokploy"]["app_name"]]["replicas"] == 0 and not lab.api_pids()


def _loading(lab: RecoveryLab, _running: Running, _old: int | None) -> bool:
    return bool(lab.family("staging"))


def _swapped(lab: RecoveryLab, _running: Running, old: int | None) -> bool:
    return lab.oid() not in (None, old)


def _starting(lab: RecoveryLab, running: Running, old: int | None) -> bool:
    return _swapped(lab, running, old) and bool(lab.api_pids())


def _health(_lab: RecoveryLab, running: Running, _old: int | None) -> bool:
    """Nothing in the lab differs any more; the play itself says it."""
    return "Wait until the API is healthy" in running.text()


PHASES: dict[str, Phase] = {
    "stopped": _stopped,
    "loading": _loading,
    "swapped": _swapped,
    "starting": _starting,
    "health": _health,
}
# Where the most is half done; CHAOS=all kills in every phase, in both ways.
SOME = [("loading", "controller"), ("swapped", "everything"), ("starting", "controller")]
ROUNDS = list(product(PHASES, VICTIMS)) if os.environ.get("CHAOS") == "all" else SOME


@dataclass(frozen=True)
class Survived:
    """What is there after a killed play and a second one."""

    second: Play
    old: Database
    live_after_the_kill: Database
    after: Seen
    hammer: Hammer
    dumped: Content
    failed_parts: list[str]


@pytest.fixture(scope="module")
def rounds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Survived]]]:
    lives = [{f"{phase}-{victim}": partial(_round, phase, victim) for phase, victim in ROUNDS[i::2]} for i in (0, 1)]
    with under_way(lives, lambda: tmp_path_factory.mktemp("chaos")) as futures:
        yield futures


def _round(phase: str, victim: str, lab: RecoveryLab, _folder: Path) -> Survived:
    lab.mend()
    lab.destroy("data-loss")
    old = lab.look().databases[DATABASE]
    orphans: Sequence[int] = ()
    try:
        with Hammer(lab) as hammer:
            with lab.started(RECOVER, *BRISK) as first:
                wait_until(lambda: PHASES[phase](lab, first, old.oid), phase)
                orphans = kill(first.process.pid, victim)
            live_after_the_kill = lab.look().databases[DATABASE]
            with lab.started(RECOVER, *BRISK) as second:
                if phase == "loading" and orphans:
                    # The module of the first play holds its lock still; it ends its work under the eyes of the second.
                    wait_until(lambda: _at_the_lock(lab) == 2, "the second restore waits for the first")
                send(orphans, signal.SIGCONT)
                play = second.ended()
            wait_until(lambda: not any(map(lives, orphans)), "the orphans end")
    finally:
        send(orphans, signal.SIGKILL)
    after, dumped = lab.look(), lab.content(EXPECTED)
    return Survived(play, old, live_after_the_kill, after, hammer, dumped, lab.integrity())


@pytest.mark.parametrize("name", [f"{phase}-{victim}" for phase, victim in ROUNDS])
def test_after_a_kill_the_next_run_recovers_and_live_was_never_half_written(
    rounds: dict[str, Future[Survived]], name: str
) -> None:
    seen = rounds[name].result()
    assert seen.live_after_the_kill.state == seen.old.state or same_as_dump(
        seen.live_after_the_kill.content, seen.dumped
    )
    seen.second.succeeded()
    assert seen.after.journal[-1]["outcome"] == "succeeded"
    assert seen.after.live
    assert same_as_dump(seen.after.live.content, seen.dumped)
    assert seen.after.live.properties == seen.old.properties
    (previous,) = seen.after.beside("before")
    assert seen.after.databases[previous].state == seen.old.state
    assert set(seen.after.databases) == {DATABASE, previous}
    assert seen.after.service == Service(REPLICAS, None, REPLICAS)
    assert seen.failed_parts == []
    seen.hammer.require_old_then_new(seen.old, seen.after.live)


def _at_the_lock(lab: RecoveryLab) -> int:
    return int(lab.value("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '% lock %'", "postgres"))
