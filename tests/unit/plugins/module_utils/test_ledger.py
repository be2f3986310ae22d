# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger is read through one door, and what stands in it is never changed."""

from __future__ import annotations

import json
import os
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._ledger import (
    COULD_NOT_RUN,
    FAILED,
    failures_in_a_row,
    known_file,
    last_word,
    missed,
    newest_proof,
    of_database,
    proofs_in_a_row,
    read_ledger,
    write_drill,
)

from tests.unit.plugins.module_utils.drills import NOW, drill

OTHER = "b" * 64


def test_what_is_written_is_read_newest_first(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    drills = [drill(2, rejected=({"path": "/b/x", "reason": "cut"},)), drill(0, FAILED), drill(1)]
    paths = [write_drill(str(folder), one) for one in drills]
    ledger = read_ledger(str(folder))
    assert [one.run for one in ledger] == [drills[1].run, drills[2].run, drills[0].run]
    assert ledger[2].rejected == [{"path": "/b/x", "reason": "cut"}]
    assert ledger[0].reason == "it would not"
    assert ledger.problems == []
    assert sorted(paths) == sorted(str(path) for path in folder.iterdir())
    assert {stat.S_IMODE(os.stat(path).st_mode) for path in paths} == {0o640}


def test_no_entry_is_ever_changed(tmp_path: Path) -> None:
    path = Path(write_drill(str(tmp_path), drill()))
    before = path.read_bytes()
    with pytest.raises(PlatformError, match="already"):
        write_drill(str(tmp_path), drill(outcome=FAILED))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("how", [{"run": "../../etc/x"}, {"database": "a/b"}])
def test_no_entry_leaves_the_folder(tmp_path: Path, how: dict[str, str]) -> None:
    with pytest.raises(PlatformError, match="gives no file name"):
        write_drill(str(tmp_path), drill(**how))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\xff", b"[]", b'{"ledger": 2}', b'{"ledger": 1}',
        json.dumps({**drill().as_dict(), "outcome": "perhaps"}).encode(),
        json.dumps({**drill().as_dict(), "ended": "yesterday"}).encode(),
        json.dumps({**drill().as_dict(), "ended": 7}).encode(),
        json.dumps({**drill().as_dict(), "dump": None}).encode(),
    ],
)  # fmt: skip
def test_what_is_no_drill_is_told_and_hides_no_other(tmp_path: Path, content: bytes) -> None:
    write_drill(str(tmp_path), drill())
    (tmp_path / "odd.json").write_bytes(content)
    (tmp_path / ".partial-x.json").write_bytes(b"{")
    ledger = read_ledger(str(tmp_path))
    assert len(ledger) == 1
    assert [problem.split()[0] for problem in ledger.problems] == ["odd.json"]


def test_fields_of_a_later_version_are_no_problem(tmp_path: Path) -> None:
    later: dict[str, Any] = {**drill().as_dict(), "mood": "good"}
    (tmp_path / "x.json").write_text(json.dumps(later))
    assert len(read_ledger(str(tmp_path))) == 1


def test_no_folder_is_an_empty_ledger(tmp_path: Path) -> None:
    assert read_ledger(str(tmp_path / "none")) == []


def test_which_dump_is_proved() -> None:
    drills = [drill(0, COULD_NOT_RUN), drill(1, FAILED), drill(2), drill(3, sha256=OTHER)]
    assert newest_proof(drills) is drills[2]
    assert newest_proof(drills, OTHER) is drills[3]
    assert newest_proof(drills, "c" * 64) is None
    assert drills[2].proves("a" * 64)
    assert not drills[1].proves("a" * 64)


def test_the_last_word_is_that_of_a_drill_that_came_to_a_result() -> None:
    drills = [drill(0, COULD_NOT_RUN), drill(1, FAILED), drill(2)]
    assert last_word(drills, "a" * 64) is drills[1]
    assert last_word(drills[2:], "a" * 64) is drills[2]


def test_a_file_is_known_by_its_fingerprint_only() -> None:
    drills = [drill(0, fingerprint="f1"), drill(1, fingerprint="f2")]
    assert known_file(drills, "f2") is drills[1]
    assert known_file(drills, "f3") is None
    assert known_file([drill()], None) is None


def test_streaks() -> None:
    bad, good = drill(0, FAILED), drill(1)
    assert failures_in_a_row([bad, drill(0, COULD_NOT_RUN), good]) == 2
    assert proofs_in_a_row([good, good, bad]) == 2
    assert (failures_in_a_row([]), proofs_in_a_row([])) == (0, 0)


def test_a_drill_is_missed_by_its_end() -> None:
    assert missed([], 60, NOW) == "there has never been a drill"
    assert missed([drill(1)], 86400, NOW) is None
    assert "25 h ago" in str(missed([drill(1, FAILED)], 86400, NOW + timedelta(hours=1)))


def test_databases_are_told_apart() -> None:
    drills = [drill(0), drill(1, database="other")]
    assert of_database(drills, "other") == [drills[1]]
    assert of_database(drills, None) == drills
