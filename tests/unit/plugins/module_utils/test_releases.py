# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases: what the journal tells of them, whatever wrote it, and which one is meant by a rollback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._releases import (
    Release,
    Return,
    chosen,
    dump_for,
    read_releases,
    serving_release,
)

BEGAN = 1_795_000_000.0
OLD_ENTRY: dict[str, Any] = {
    "kind": "deploy",
    "outcome": "succeeded",
    "deployed": True,
    "host": "vps",
    "user": "ann",
    "message": "its tasks have run for 10 s",
    "application": {"id": "app"},
    "asked_for": {"version": "1.5.0", "commit": "", "image": "shop/api:1.5.0", "git_ref": ""},
    "from": {"deployment": "d0", "image": "shop/api:1.4.0", "commit": None, "version": "1.4.0"},
    "to": {"deployment": "d1", "image": "shop/api:1.5.0", "commit": None, "version": "1.5.0"},
    "rolled_back": None,
    "seconds": {"build": 2.0},
}


def write(folder: Path, number: int, **changed: Any) -> Path:
    """One entry, an hour after the one before."""
    run = f"20261122T{number:02}0000Z"
    began = BEGAN + 3600 * number
    entry = {**OLD_ENTRY, "run": run, "began": began, "ended": began + 60, **changed}
    path = folder / f"{run}_deploy.json"
    path.write_text(json.dumps(entry))
    return path


def release(number: int, **given: Any) -> Release:
    known = {"commit": f"{number:040x}", "deployment": f"d{number}", "outcome": "succeeded", "deployed": True}
    return Release(run=f"r{number}", path="", began=BEGAN + number, **{**known, **given})


def newest_first(*releases: Release) -> list[Release]:
    return sorted(releases, key=lambda one: one.began, reverse=True)


# -- reading -------------------------------------------------------------------------------------------------------


def test_an_entry_of_before_there_were_releases_tells_what_it_can(tmp_path: Path) -> None:
    path = write(tmp_path, 1)
    (found,) = read_releases(str(tmp_path))
    assert (found.run, found.path, found.outcome) == ("20261122T010000Z", str(path), "succeeded")
    assert (found.image, found.version, found.deployment, found.commit) == ("shop/api:1.5.0", "1.5.0", "d1", None)
    assert (found.user, found.host, found.application, found.seconds) == ("ann", "vps", "app", 60.0)
    assert (found.migrations, found.dump, found.pages) == ((), None, None)
    assert found.before == OLD_ENTRY["from"]
    assert found.phases == {"build": 2.0}


def test_a_release_tells_all_of_it(tmp_path: Path) -> None:
    told = {
        "commit": "4f1c9d2a", "subject": "(ved-1) Count once", "migration_head": "2_b", "migrations": ["1_a", "2_b"],
        "applied_migrations": ["2_b"], "dump": {"path": "/b/x.dump", "sha256": "00", "bytes": 9},
        "pages": {"deployment": "p2", "previous": "p1"}, "health_before": {"healthy": True}, "unknown": "newer",
    }  # fmt: skip
    write(tmp_path, 1, release=told, phases={"gates": 3.0, "backend": 40.0})
    (found,) = read_releases(str(tmp_path))
    assert {name: getattr(found, name) for name in told if name != "unknown"} == {
        name: value for name, value in told.items() if name != "unknown"
    }
    assert found.phases == {"gates": 3.0, "backend": 40.0}
    result = found.to_result()
    assert json.loads(json.dumps(result)) == result
    assert result["began_at"].endswith("Z")


def test_one_that_is_under_way_has_no_end(tmp_path: Path) -> None:
    write(tmp_path, 1, outcome="under_way", ended=None, to={"deployment": None, "image": None, "commit": None})
    (found,) = read_releases(str(tmp_path))
    assert (found.outcome, found.ended, found.seconds, found.deployment) == ("under_way", None, None, None)


def test_newest_first_and_other_kinds_are_none(tmp_path: Path) -> None:
    for number in (1, 3, 2):
        write(tmp_path, number)
    (tmp_path / "20261122T090000Z_rollback.json").write_text("{")
    assert [one.run[9:11] for one in read_releases(str(tmp_path))] == ["03", "02", "01"]


@pytest.mark.parametrize("text", ["", "[]", '{"run": "x"}', "\x00"])
def test_what_cannot_be_read_is_told_and_hides_nothing(tmp_path: Path, text: str) -> None:
    write(tmp_path, 1)
    (tmp_path / "20261122T090000Z_deploy.json").write_text(text)
    found = read_releases(str(tmp_path))
    assert len(found) == 1
    assert [one.split()[0] for one in found.unreadable] == ["20261122T090000Z_deploy.json"]


def test_a_damaged_value_is_told(tmp_path: Path) -> None:
    write(tmp_path, 1, began="yesterday")
    write(tmp_path, 2, release=["no", "mapping"])
    found = read_releases(str(tmp_path))
    assert (len(found), len(found.unreadable)) == (0, 2)


def test_no_folder_holds_no_release(tmp_path: Path) -> None:
    found = read_releases(str(tmp_path / "no"))
    assert (list(found), found.unreadable) == ([], [])


# -- choosing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["r1", "d1", f"{1:040x}"])
def test_a_release_has_several_names(name: str) -> None:
    assert chosen(newest_first(release(1), release(2)), name, {}).run == "r1"


def test_of_one_commit_the_newest_is_meant() -> None:
    found = chosen(newest_first(release(1), release(2, commit=f"{1:040x}")), f"{1:040x}", {})
    assert found.run == "r2"


def test_digits_that_fit_two_commits_are_refused() -> None:
    with pytest.raises(PlatformError, match=r"fits 2 releases: r2 .*, r1 "):
        chosen(newest_first(release(1), release(2)), "0000000", {})


@pytest.mark.parametrize("name", ["r7", "000000"])
def test_an_unknown_name_says_which_there_are(name: str) -> None:
    with pytest.raises(PlatformError, match="no release") as caught:
        chosen([release(1)], name, {})
    assert "r1" in caught.value.hint


def test_what_did_not_succeed_is_refused_by_its_outcome() -> None:
    with pytest.raises(PlatformError, match="outcome is failed"):
        chosen(newest_first(release(1), release(2, outcome="failed")), "r2", {})


@pytest.mark.parametrize(
    ("serving", "meant"),
    [
        ({"deployment": "d3"}, "r2"),
        # Rolled back already: no further.
        ({"deployment": "d2"}, "r2"),
        ({"deployment": "of-the-rollback", "commit": f"{2:040x}"}, "r2"),
        # What no play deployed came after all of them.
        ({"deployment": "by-hand", "commit": "f" * 40}, "r3"),
        ({}, "r3"),
    ],
)
def test_previous_is_what_served_before_the_newest(serving: dict[str, str], meant: str) -> None:
    releases = newest_first(release(1), release(2), release(3), release(4, outcome="failed"))
    assert chosen(releases, "previous", serving).run == meant


def test_the_same_commit_deployed_again_is_no_other_release() -> None:
    releases = newest_first(release(1), release(2), release(3, commit=f"{2:040x}"))
    assert chosen(releases, "previous", {"deployment": "d3"}).run == "r1"


def test_images_tell_where_there_is_no_commit() -> None:
    releases = newest_first(release(1, commit=None, image="api:1"), release(2, commit=None, image="api:2"))
    assert chosen(releases, "previous", {"deployment": "?", "image": "api:2"}).run == "r1"
    assert chosen(releases, "previous", {"deployment": "?", "image": "api:1"}).run == "r1"


def test_the_first_release_has_none_before_it() -> None:
    with pytest.raises(PlatformError, match="before the one that serves"):
        chosen([release(1)], "previous", {"deployment": "d1"})


# -- what a rollback has left ---------------------------------------------------------------------------------------

REVERT = "e" * 40


def returned(after: int, to: int, revert: str | None = None) -> Return:
    """A rollback, half a second after a release."""
    return Return(began=BEGAN + after + 0.5, application="app", release=f"r{to}", revert=revert)


@pytest.mark.parametrize(
    "serving",
    [
        {"deployment": "built-of-the-push", "commit": REVERT},
        {"deployment": "by-hand", "commit": "f" * 40},
        {"deployment": "d3"},
        {"deployment": "d2"},
        {},
    ],
)
def test_previous_never_leads_back_to_what_was_left(serving: dict[str, str]) -> None:
    releases = newest_first(release(1), release(2), release(3))
    assert chosen(releases, "previous", serving, [returned(3, 2, REVERT)]).run == "r2"


def test_a_rollback_that_named_no_release_is_known_by_its_place() -> None:
    plain = Return(began=BEGAN + 3.5, place={"deployment": "d2"})
    assert chosen(newest_first(release(1), release(2), release(3)), "previous", {}, [plain]).run == "r2"


def test_one_to_what_the_journal_does_not_know_leaves_nothing() -> None:
    unknown = Return(began=BEGAN + 3.5, place={"deployment": "by-hand"})
    assert chosen(newest_first(release(2), release(3)), "previous", {}, [unknown]).run == "r3"


def test_what_was_left_did_not_serve_before_a_newer_release() -> None:
    releases = newest_first(release(1), release(2), release(3), release(4))
    assert chosen(releases, "previous", {"deployment": "d4"}, [returned(3, 2)]).run == "r2"


@pytest.mark.parametrize("digits", [12, 40])
def test_the_revert_that_was_deployed_is_the_release_that_was_returned_to(digits: int) -> None:
    releases = newest_first(release(1), release(2), release(3), release(4, commit=REVERT[:digits]))
    assert chosen(releases, "previous", {"deployment": "d4"}, [returned(3, 2, REVERT)]).run == "r1"


def test_what_was_returned_to_afterwards_stands_again() -> None:
    releases = newest_first(release(1), release(2), release(3))
    there_and_back = [returned(3, 1), returned(4, 3)]
    assert chosen(releases, "previous", {"commit": "f" * 40}, there_and_back).run == "r3"
    assert chosen(releases, "previous", {"deployment": "d3"}, there_and_back).run == "r1"


def test_the_same_commit_that_served_already_was_not_left() -> None:
    releases = newest_first(release(1), release(2, commit=f"{1:040x}"), release(3))
    assert chosen(releases, "previous", {}, [returned(3, 1)]).run == "r2"


def test_a_release_serves_by_its_record_its_commit_or_its_revert() -> None:
    releases = newest_first(release(1), release(2), release(3, outcome="failed"))
    returns = [returned(2, 1, REVERT)]
    served = [
        serving_release(releases, place, returns)
        for place in ({"deployment": "d2"}, {"commit": f"{1:040x}"}, {"commit": REVERT}, {"commit": f"{3:040x}"}, {})
    ]
    assert [one.run if one else None for one in served] == ["r2", "r1", "r1", None, None]


def test_rollbacks_are_read_oldest_first_and_of_one_application(tmp_path: Path) -> None:
    for number, outcome, application in ((3, "succeeded", "app"), (1, "succeeded", "app"), (2, "failed", "app"),
                                         (4, "succeeded", "other")):  # fmt: skip
        path = write(
            tmp_path, number, outcome=outcome, application={"id": application},
            release={"run": f"r{number}", "revert": REVERT},
        )  # fmt: skip
        path.rename(tmp_path / path.name.replace("_deploy", "_rollback"))
    (tmp_path / "20261122T090000Z_rollback.json").write_text("{")
    found = read_releases(str(tmp_path)).of("app")
    assert [(one.release, one.revert, one.place["deployment"]) for one in found.returns] == [
        ("r1", REVERT, "d1"),
        ("r3", REVERT, "d1"),
    ]
    assert [one.split()[0] for one in found.unreadable] == ["20261122T090000Z_rollback.json"]


# -- the dump with its schema --------------------------------------------------------------------------------------


def _dump(number: int) -> dict[str, Any]:
    return {"path": f"/b/{number}.dump"}


def test_the_dump_of_a_release_is_that_of_the_next_one_that_migrated() -> None:
    releases = newest_first(release(1, dump=_dump(1)), release(2), release(3, dump=_dump(3)), release(4, dump=_dump(4)))
    assert dump_for(releases, releases[-1]) == (_dump(3), "r3")


def test_one_that_failed_has_dumped_as_well() -> None:
    releases = newest_first(release(1), release(2, outcome="failed", dump=_dump(2)), release(3, dump=_dump(3)))
    assert dump_for(releases, releases[-1]) == (_dump(2), "r2")


def test_a_migration_without_a_dump_leaves_only_the_older_one() -> None:
    later = [release(2, applied_migrations=["2_b"]), release(3, dump=_dump(3))]
    own = release(1, dump=_dump(1))
    assert dump_for(newest_first(own, *later), own) == (_dump(1), "r1")
    bare = release(1)
    assert dump_for(newest_first(bare, *later), bare) is None
