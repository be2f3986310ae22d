# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries of the journal: whole, private, and in the place where readers look."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.modules.journal_entry import run

RUN = "20261123T020000Z"
ENTRY = {"run": RUN, "kind": "deploy", "outcome": "under_way", "began": 1.0, "ended": 2.0, "message": "é"}


def write(folder: Path, entry: dict[str, Any], *, update: bool = False, check: bool = False) -> dict[str, Any]:
    return run({"journal_dir": str(folder), "entry": entry, "update": update}, check)


def test_an_entry_is_written_once_and_replaced_when_it_differs(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    path = folder / f"{RUN}_deploy.json"
    assert write(folder, ENTRY) == {"changed": True, "path": str(path)}
    assert json.loads(path.read_text()) == ENTRY
    assert not write(folder, ENTRY)["changed"]
    assert write(folder, {**ENTRY, "outcome": "succeeded"})["changed"]
    assert json.loads(path.read_text())["outcome"] == "succeeded"
    assert [entry.name for entry in folder.iterdir()] == [path.name]


def test_it_is_not_for_everybody(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    path = Path(write(tmp_path, ENTRY)["path"])
    assert (tmp_path.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o750, 0o640)


def test_check_mode_writes_nothing(tmp_path: Path) -> None:
    assert write(tmp_path / "journal", ENTRY, check=True)["changed"]
    assert not (tmp_path / "journal").exists()


def test_an_update_keeps_the_rest(tmp_path: Path) -> None:
    write(tmp_path, ENTRY)
    change = {"run": RUN, "kind": "deploy", "outcome": "interrupted"}
    assert write(tmp_path, change, update=True)["changed"]
    assert not write(tmp_path, change, update=True)["changed"]
    assert json.loads((tmp_path / f"{RUN}_deploy.json").read_text()) == {**ENTRY, "outcome": "interrupted"}


def test_what_is_not_there_cannot_be_updated(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match=rf"{RUN}_deploy.json cannot be changed"):
        write(tmp_path, {"run": RUN, "kind": "deploy"}, update=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"kind": "../x"}, "gives no file name"),
        ({"run": "../../etc/cron.d/x"}, "gives no file name"),
        ({"run": "yesterday"}, "gives no file name"),
    ],
)
def test_an_entry_has_its_place(wrong: dict[str, str], told: str, tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match=told):
        write(tmp_path / "journal", {**ENTRY, **wrong})
    assert list(tmp_path.iterdir()) == []


def test_an_entry_has_what_readers_need(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="lacks began, ended"):
        write(tmp_path, {"run": RUN, "kind": "deploy", "outcome": "failed"})


def test_a_place_where_nothing_can_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("")
    with pytest.raises(PlatformError, match=r"could not be written to .*journal"):
        write(tmp_path / "journal", ENTRY)
