# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus reads is whole at any moment, and says the worst of what nobody knows."""

from __future__ import annotations

import math
import os
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._ledger import COULD_NOT_RUN, FAILED
from ansible_collections.vedfinance.platform.plugins.module_utils._metrics import (
    METRICS,
    Targets,
    missed_targets,
    samples,
    text_of,
    write_text,
)

from tests.unit.plugins.module_utils.drills import NOW, drill

DUMP = {"created": (NOW - timedelta(hours=2)).isoformat(), "size": 1000}
DAY = 86400.0


def test_after_a_proof() -> None:
    values = samples([drill(0), drill(1, FAILED)], DUMP, 0, Targets(7200, 10), DAY, NOW + timedelta(minutes=1))
    assert values["backup_age_seconds"] == 7260
    assert values["backup_bytes"] == 1000
    assert values["backup_last_verified_age_seconds"] == 60
    assert values["drill_success"] == 1
    assert values["drill_restore_seconds"] == 2.5
    assert values["drill_missed"] == 0
    assert missed_targets(values) == []


def test_after_failures_the_last_proof_is_still_told() -> None:
    values = samples([drill(0, COULD_NOT_RUN), drill(1, FAILED), drill(2)], DUMP, 3, Targets(60, 1), DAY, NOW)
    assert values["drill_success"] == 0
    assert values["drill_failures_in_a_row"] == 2
    assert values["backup_last_verified_age_seconds"] == 2 * DAY
    assert values["drill_timestamp_seconds"] == NOW.timestamp()
    assert values["drill_restore_seconds"] == 2.5
    assert values["backup_rejected"] == 3
    assert [said.split(":")[0] for said in missed_targets(values)] == ["RTO", "RPO"]


def test_what_never_was_is_the_worst() -> None:
    values = samples([], None, 0, Targets(60, None), DAY, NOW)
    assert set(values) == set(METRICS)
    assert values["backup_age_seconds"] == values["backup_last_verified_age_seconds"] == math.inf
    assert values["drill_success"] == values["backup_timestamp_seconds"] == values["drill_timestamp_seconds"] == 0
    assert values["drill_missed"] == 1
    assert missed_targets(values) == ["RPO: no drill has measured it, and 1 min were promised"]
    text = text_of(values, {"database": 'a"b\\c', "host": "x"})
    assert 'vedfinance_backup_age_seconds{database="a\\"b\\\\c",host="x"} +Inf\n' in text
    assert 'vedfinance_drill_rpo_seconds{database="a\\"b\\\\c",host="x"} NaN\n' in text
    assert text.count("# HELP ") == text.count("# TYPE ") == len(METRICS)


def test_the_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "metrics" / "v.prom"
    write_text(str(path), "one 1\n")
    write_text(str(path), "one 2\n")
    assert path.read_text() == "one 2\n"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o644
    assert list(path.parent.iterdir()) == [path]


def test_no_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PlatformError, match=r"could not be written to .*v\.prom"):
        write_text(str(tmp_path / "file" / "v.prom"), "")
