# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether to worry: every reason to, in its own words, and none that is not there."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._ledger import Drill
from ansible_collections.vedfinance.platform.plugins.plugin_utils._report.judgement import standing
from ansible_collections.vedfinance.platform.plugins.plugin_utils._report.model import Targets
from ansible_collections.vedfinance.platform.plugins.plugin_utils._report.pages import book_of
from ansible_collections.vedfinance.platform.plugins.plugin_utils._report.parts import streak, tiles_of

from tests.reports import CUT_OFF, HOUR, NOW, bad_night, good_month, night, recovery, source_of, write

TARGETS = Targets(rpo=26 * HOUR, rto=HOUR / 2, max_age=26 * HOUR)


def said(drills: list[Drill], targets: Targets = TARGETS) -> tuple[str, str]:
    verdict = standing(drills, targets, NOW)
    return verdict.level, str(verdict)


def test_a_proved_night_is_no_reason_to_worry() -> None:
    level, text = said(good_month())
    assert level == "good"
    assert text.startswith(
        "No need to worry. The newest dump was restored and proved 3 h 13 min ago for the 17th night"
    )
    # What would be lost now, not what would have been lost at half past three.
    assert "would take about 84 s and would lose the data of 4 h 45 min" in text


@pytest.mark.parametrize(
    ("drills", "words"),
    [
        ([], "There has never been a drill"),
        ([night(2)], "A drill is missed: the last drill ended 2026-11-21T03:31:21+00:00"),
        ([bad_night(0), night(1)], "did not prove its dump: the rows of public.users"),
        ([bad_night(0, "could_not_run", "no disk"), night(1)], "could not run: no disk."),
        ([bad_night(0), bad_night(1), night(2)], "It is the 2nd in a row without a proof."),
        ([bad_night(0)], "No drill ever proved a dump."),
    ],
)
def test_worry(drills: list[Drill], words: str) -> None:
    level, text = said(drills)
    assert level == "bad"
    assert text.startswith("Worry. ")
    assert words in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rejected": [CUT_OFF]}, "But 1 newer dump cannot be restored."),
        ({"rto_seconds": 1801.0}, "But the RTO is 30 min, and 30 min were promised."),
        ({"rpo_seconds": 27 * HOUR}, "But the RPO is 27 h, and 26 h were promised."),
        ({"rpo_seconds": None}, "But the RPO was not measured."),
    ],
)
def test_have_a_look(changes: dict[str, Any], words: str) -> None:
    level, text = said([night(0, **changes)])
    assert level == "warning"
    assert words in text


def test_without_targets_nothing_can_miss_them() -> None:
    level, _text = said([night(0, rpo_seconds=None, rto_seconds=9999.0)], Targets(None, None, 26 * HOUR))
    assert level == "good"


def test_a_night_without_a_drill_ends_the_streak() -> None:
    assert streak([night(0), night(1), night(3)]) == 2
    assert streak([night(0), bad_night(1), night(2)]) == 1
    assert streak([bad_night(0), night(1)]) == 0
    assert streak([]) == 0


def test_a_second_drill_of_a_night_has_the_last_word() -> None:
    first = bad_night(0)
    later = (first.ended_at + timedelta(hours=1)).isoformat()
    again = night(0, run="20261123T043121Z", began=later, ended=later)
    assert streak([again, first, night(1)]) == 2


def test_the_tiles_do_not_shine_when_the_newest_drill_is_bad() -> None:
    proved, rpo, _rto, row = tiles_of([bad_night(0), night(1)], TARGETS, NOW)
    assert (proved.value, proved.level) == ("28 h old", "bad")
    assert (rpo.value, rpo.level) == ("28 h", "warning")
    assert (row.value, row.level) == ("0 nights", "bad")


def index_of(folder: Path, drills: list[Drill], journal: list[dict[str, Any]], **changes: Any) -> str:
    write(folder, drills, journal)
    return str(book_of(source_of(folder, **changes)).verdict)


def test_a_failed_recovery_outweighs_a_good_night(tmp_path: Path) -> None:
    text = index_of(tmp_path, [night(0)], [recovery(outcome="failed", clock={})])
    assert text.startswith("Worry. The last recovery, Mon 23 Nov 2026, 05:45 UTC, failed.")


def test_one_that_succeeded_since_lifts_it(tmp_path: Path) -> None:
    journal = [recovery(outcome="failed", clock={}, run="20261122T000000Z"), recovery()]
    assert index_of(tmp_path, [night(0)], journal).startswith("No need to worry.")


def test_the_worst_database_is_named(tmp_path: Path) -> None:
    told = [drill.as_dict() for drill in (night(0), bad_night(0, database="shop"))]
    book = book_of(source_of(tmp_path, databases=["vedfinance", "shop"], drills=told))
    assert str(book.verdict).startswith("Worry. shop: The last drill")


def test_a_database_that_was_never_drilled_is_a_reason_to_worry(tmp_path: Path) -> None:
    text = index_of(tmp_path, [night(0)], [], databases=["vedfinance", "shop"])
    assert text.startswith("Worry. shop: There has never been a drill")


def test_what_cannot_be_read_is_worth_a_look(tmp_path: Path) -> None:
    text = index_of(tmp_path, [night(0)], [], problems=["x.json is no drill: it is empty"])
    assert text == "Have a look. 1 file of the ledger or the journal cannot be read."
