# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of a host: who gets it, who does not, and what is on the disk meanwhile."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._lock import Outcome, change_lock, refusal, spoken

ANN: dict[str, Any] = {
    "user": "ann", "controller": "ops1", "place": "boot-1", "pid": 4711, "started": "88", "job": ""
}  # fmt: skip
BEN = {**ANN, "user": "ben", "pid": 4712, "started": "99"}
FAR = {**BEN, "controller": "ops2", "place": "boot-2", "job": "17"}
BEGAN = 1_790_000_000.0


class Host:
    """Its folder of locks, and the module's work there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "platform.lock"

    def change(self, state: str, owner: dict[str, Any] | None = None, now: float = BEGAN, **given: Any) -> Outcome:
        check = given.pop("check", False)
        defaults = {"name": "platform", "run": "R1", "playbook": "deploy.yml", "max_age": "2h", "force": False}
        params = {"state": state, "folder": str(self.folder), "owner": owner or ANN, "dead": "", **defaults, **given}
        return change_lock(params, now, check)

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir()) if self.folder.exists() else []


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "locks")


def test_a_free_lock_is_taken_and_tells_its_owner(host: Host) -> None:
    outcome = host.change("held")
    assert outcome.changed
    stored = json.loads(host.path.read_text())
    assert stored["owner"] == ANN
    assert (stored["run"], stored["playbook"], stored["began"]) == ("R1", "deploy.yml", BEGAN)
    assert (host.path.stat().st_mode & 0o777, host.folder.stat().st_mode & 0o777) == (0o640, 0o750)
    assert host.files() == ["platform.lock"]


def test_the_same_run_of_the_same_play_holds_it_already(host: Host) -> None:
    host.change("held")
    before = host.path.read_bytes()
    outcome = host.change("held", now=BEGAN + 60)
    assert not outcome.changed
    assert host.path.read_bytes() == before


@pytest.mark.parametrize(("owner", "run"), [(BEN, "R1"), (ANN, "R2"), (FAR, "R1")])
def test_anybody_else_is_refused_and_learns_who_when_and_what_to_do(
    host: Host, owner: dict[str, Any], run: str
) -> None:
    host.change("held")
    before = host.path.read_bytes()
    with pytest.raises(PlatformError) as refused:
        host.change("held", owner, BEGAN + 125, run=run)
    message = str(refused.value)
    for told in ("ann on ops1 (pid 4711)", "run R1 of deploy.yml", "for 2 min", "void in 1 h 57 min", "--tags unlock"):
        assert told in message
    assert refused.value.details["lock"]["id"] == json.loads(before)["id"]  # type: ignore[index]
    assert host.path.read_bytes() == before


def test_a_living_owner_is_waited_for() -> None:
    lock = {"id": "1", "owner": ANN, "run": "R1", "playbook": "", "age": "3 s", "age_seconds": 3.0, "max_age": 9.0}
    assert "still running: wait" in refusal(lock, alive=True)
    assert "--tags unlock" not in refusal(lock, alive=True)


def test_a_job_of_awx_is_named() -> None:
    lock = {"id": "1", "owner": FAR, "run": "R1", "playbook": "", "age": "3 s", "age_seconds": 3.0, "max_age": 9.0}
    assert "ben on ops2 (AWX job 17)" in refusal(lock)


def test_the_lock_of_an_owner_that_is_known_to_be_dead_is_taken_over(host: Host) -> None:
    dead = host.change("held").lock
    assert dead
    outcome = host.change("held", BEN, BEGAN + 5, run="R2", dead=dead.id)
    assert outcome.changed
    assert outcome.freed == dead
    assert "ann on ops1" in outcome.msg
    assert json.loads(host.path.read_text())["owner"] == BEN


def test_only_the_lock_that_was_judged_is_taken_over(host: Host) -> None:
    """Between the look and the take-over somebody else may have taken it."""
    dead = host.change("held").lock
    assert dead
    host.change("held", BEN, run="R2", dead=dead.id)
    with pytest.raises(PlatformError, match="ben on ops1"):
        host.change("held", FAR, run="R3", dead=dead.id)


@pytest.mark.parametrize(("owner", "freed"), [(FAR, True), (BEN, False)])
def test_age_counts_only_where_the_owner_cannot_be_seen(host: Host, owner: dict[str, Any], freed: bool) -> None:
    host.change("held", max_age="10m")
    if freed:
        assert host.change("held", owner, BEGAN + 601, run="R2").freed
    else:
        with pytest.raises(PlatformError):
            host.change("held", owner, BEGAN + 601, run="R2")
    assert json.loads(host.path.read_text())["owner"] == (owner if freed else ANN)


def test_the_age_is_the_owners_own_word(host: Host) -> None:
    host.change("held", max_age="1d")
    with pytest.raises(PlatformError, match="void in 22 h 00 min"):
        host.change("held", FAR, BEGAN + 7200, run="R2", max_age="1s")


def test_a_clock_that_went_back_makes_no_lock_old(host: Host) -> None:
    host.change("held")
    with pytest.raises(PlatformError, match="for 0 s"):
        host.change("held", FAR, BEGAN - 9999, run="R2")


def test_the_owner_gives_it_back(host: Host) -> None:
    host.change("held")
    assert host.change("released").changed
    assert host.files() == []
    again = host.change("released")
    assert (again.changed, again.msg) == (False, "It was free.")


def test_the_lock_of_somebody_else_is_left_alone(host: Host) -> None:
    host.change("held")
    outcome = host.change("released", BEN, run="R2")
    assert not outcome.changed
    assert "ann on ops1" in outcome.msg
    assert host.path.exists()


def test_force_frees_whoever_holds_it_and_says_who(host: Host) -> None:
    host.change("held")
    outcome = host.change("released", BEN, run="", force=True)
    assert outcome.changed
    assert outcome.freed
    assert "ann on ops1" in outcome.msg
    assert host.files() == []


@pytest.mark.parametrize(
    ("state", "changed", "given"),
    [("held", True, {}), ("read", False, {}), ("released", False, {}), ("released", False, {"force": True})],
)
def test_check_mode_of_a_free_lock_makes_not_even_the_folder(
    host: Host, state: str, changed: bool, given: dict[str, Any]
) -> None:
    assert host.change(state, check=True, **given).changed is changed
    assert not host.folder.exists()


def test_check_mode_of_a_held_lock_writes_nothing_and_predicts(host: Host) -> None:
    host.change("held")
    before = (host.path.read_bytes(), host.path.stat().st_mtime_ns)
    with pytest.raises(PlatformError):
        host.change("held", BEN, run="R2", check=True)
    assert host.change("released", check=True).changed
    assert host.change("read", BEN, check=True).lock
    assert (host.path.read_bytes(), host.path.stat().st_mtime_ns) == before


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\x00", b'{"id": 1}', b'{"owner": 3}'])
def test_what_cannot_be_read_holds_until_it_is_old(host: Host, content: bytes) -> None:
    host.folder.mkdir()
    host.path.write_bytes(content)
    os.utime(host.path, (BEGAN, BEGAN))
    with pytest.raises(PlatformError, match=r"cannot be read, for 10 s.*--tags unlock"):
        host.change("held", now=BEGAN + 10)
    assert host.change("held", now=BEGAN + 7201).freed


def test_a_lock_without_an_owner_is_not_everybodys(host: Host) -> None:
    host.folder.mkdir()
    host.path.write_bytes(b"")
    assert not host.change("released", owner={}, run="R1").changed
    assert host.change("released", owner={}, run="", force=True).changed


def test_of_many_at_once_one_gets_it(host: Host) -> None:
    dead = host.change("held", FAR, run="R0").lock
    assert dead
    start, got = threading.Barrier(8), []

    def take(number: int) -> None:
        start.wait()
        try:
            host.change("held", {**ANN, "pid": number}, run=f"R{number}", dead=dead.id)
            got.append(number)
        except PlatformError:
            pass

    threads = [threading.Thread(target=take, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1
    assert json.loads(host.path.read_text())["owner"]["pid"] == got[0]
    assert host.files() == ["platform.lock"]


def test_what_cannot_be_written_leaves_nothing_and_says_where(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PlatformError, match=r"platform\.lock cannot be written: No space left"):
        host.change("held")
    assert host.files() == []


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "locks").touch()
    host = Host(tmp_path / "locks")
    with pytest.raises(PlatformError, match=r"locks/platform\.lock cannot be written: File exists\. Name a folder"):
        host.change("held")
    with pytest.raises(PlatformError, match="cannot be read: Not a directory"):
        host.change("read")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"name": "../x"}, "no file name"),
        ({"run": ""}, "run is empty"),
        ({"max_age": "soon"}, "max_age is 'soon'"),
    ],
)
def test_bad_options_are_named(host: Host, given: dict[str, str], says: str) -> None:
    with pytest.raises(PlatformError, match=says):
        host.change("held", **given)
    assert host.files() == []


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (89, "89 s"), (90, "1 min"), (5399, "89 min"), (5400, "1 h 30 min"), (93_600, "26 h 00 min")],
)
def test_a_time_is_told_as_people_do(seconds: float, words: str) -> None:
    assert spoken(seconds) == words
