# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet is as many labs as were asked for, or those that there were before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab import fleet, platform
from lab.platform import DESCRIPTION, MARKER, ROOT, LabError, Wanted


@pytest.fixture
def labs(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """By name, what became of each lab; one whose name is said to fail does."""
    became: dict[str, str] = {}

    def up(state: Path, _wanted: Wanted, _say: platform.Say) -> platform.Description:
        state.mkdir(parents=True, exist_ok=True)
        (state / MARKER).touch()
        if became.get(state.name) == "fails":
            raise LabError("no port is free")
        became[state.name] = "up"
        (state / DESCRIPTION).write_text('{"up": true}')
        return {"postgres": {"port": 5432}, "api": None}

    def down(state: Path, _say: platform.Say) -> None:
        became[state.name] = "down"
        (state / DESCRIPTION).unlink(missing_ok=True)

    monkeypatch.setattr(platform, "up", up)
    monkeypatch.setattr(platform, "down", down)
    return became


def quiet(_line: str) -> None: ...


def test_its_inventory_is_the_lab_s_own_with_a_folder_for_each(tmp_path: Path, labs: dict[str, str]) -> None:
    inventory = fleet.up(tmp_path, 2, Wanted(), quiet)
    hosts = json.loads((inventory / "hosts.yml").read_text())["platform"]["hosts"]
    assert {name: host["lab_state"] for name, host in hosts.items()} == {
        "platform01": str(tmp_path / "platform01"),
        "platform02": str(tmp_path / "platform02"),
    }
    assert (inventory / "group_vars").resolve() == ROOT / "inventory" / "lab" / "group_vars"
    fleet.down(tmp_path, quiet)
    assert labs == {"platform01": "down", "platform02": "down"}


def test_a_start_that_fails_ends_what_it_began_and_nothing_else(tmp_path: Path, labs: dict[str, str]) -> None:
    fleet.up(tmp_path, 1, Wanted(), quiet)
    labs["platform03"] = "fails"
    with pytest.raises(LabError, match="no port"):
        fleet.up(tmp_path, 3, Wanted(), quiet)
    assert labs["platform01"] == "up"
    assert labs["platform03"] == "down"
    assert labs.get("platform02", "down") == "down"


def test_a_smaller_one_is_not_made_of_a_part(tmp_path: Path, labs: dict[str, str]) -> None:
    fleet.up(tmp_path, 2, Wanted(), quiet)
    with pytest.raises(LabError, match="platform02 is up beside them"):
        fleet.up(tmp_path, 1, Wanted(), quiet)
    assert set(labs.values()) == {"up"}
    fleet.down(tmp_path, quiet)
    fleet.up(tmp_path, 1, Wanted(), quiet)
    assert labs == {"platform01": "up", "platform02": "down"}
