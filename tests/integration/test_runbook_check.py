# SPDX-License-Identifier: GPL-3.0-or-later
"""The runbook check in a whole lab: it sees what is there and what is not, and leaves everything as it was."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.recovery import RecoveryLab

pytestmark = pytest.mark.slow

CHECK = "playbooks/runbook_check.yml"
# The lab's dumps are of fixed nights.
OPTIONS = ("-e", "platform_scheduler=none", "-e", "runbook_check_max_age=5200w")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecoveryLab]:
    lab = RecoveryLab(tmp_path_factory.mktemp("check") / "lab")
    try:
        yield lab
    finally:
        lab.down()


def lines(text: str) -> set[str]:
    return {" ".join(line.split()) for line in text.splitlines()}


def test_it_sees_everything_and_changes_nothing(lab: RecoveryLab) -> None:
    before = lab.fingerprint()
    play = lab.play(CHECK, *OPTIONS)
    assert lab.fingerprint() == before
    assert sorted(path.name for path in lab.state.iterdir() if path.name in {"ledger", "locks", "reports"}) == []
    told = lines(play.text)
    for name in (
        "ok the host answers",
        "ok the key may read Docker",
        "COULD NOT BE CHECKED backups and drills are scheduled",
        "FAIL a drill has proved a dump in time",
        "WARN no newer dump was rejected",
        "not configured the integrity report is good",
    ):
        assert name in told, play.text
    assert re.search(r"ok +a restore could begin: Would restore", play.text), play.text
    # Without a drill and a schedule it is below the threshold; a recovery would work all the same.
    points = re.search(r"READINESS +(\d+) of 100", play.text)
    assert points is not None
    assert 50 < int(points[1]) < 90
    assert play.returncode != 0
    assert "At least 90 are required" in play.text
    assert lab.description["dokploy"]["api_key"] not in play.text
