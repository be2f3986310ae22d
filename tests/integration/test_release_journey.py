# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases from the commit to the user and back: API, schema and frontend, in one lab that builds from git.

The plays follow each other in one lab, as they do on a host; the tests judge what was seen after each of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lab import disasters
from lab.git import Commit
from lab.platform import LabError
from lab.prisma import installed_prisma
from lab.releases import release
from tests.journey import BRISK, DEPLOY, JourneyLab, Standing
from tests.recovery import Journey, Play, under_way

pytestmark = pytest.mark.slow

HOTFIX, ROLLBACK, RELEASES = "playbooks/hotfix.yml", "playbooks/rollback.yml", "playbooks/releases.yml"
ADD_NICKNAME = 'ALTER TABLE "users" ADD COLUMN "nickname" TEXT;\n'
ADD_BADGES = 'CREATE TABLE "badges" ("id" TEXT NOT NULL, CONSTRAINT "badges_pkey" PRIMARY KEY ("id"));\n'
DROP_GOALS = '-- lint: allow ban-drop-table because nobody saves any more\nDROP TABLE "savings_goals";\n'


@dataclass(frozen=True)
class Seen:
    """A play, what stood before and after it, and what it wrote down."""

    play: Play
    before: Standing
    after: Standing
    #: The commit that was released.
    commit: Commit
    entry: dict[str, Any] | None

    @property
    def message(self) -> str:
        """The one error that ends the play, in one line."""
        return " ".join(self.play.failed().text.rpartition("[ERROR]")[2].partition("Origin:")[0].split())


def _played(lab: JourneyLab, released: Commit, playbook: str, *arguments: str, **given: Any) -> Seen:
    known = set(lab.journal_folder.glob("*_deploy.json"))
    before = lab.standing()
    play = lab.play(playbook, "-e", json.dumps({**BRISK, **given}), *arguments)
    new = sorted(set(lab.journal_folder.glob("*_deploy.json")) - known)
    return Seen(play, before, lab.standing(), released, json.loads(new[0].read_text()) if new else None)


def _released(
    change: dict[str, Any], lab: JourneyLab, folder: Path, arguments: tuple[str, ...] = (), **given: Any
) -> Seen:
    """What a developer commits, and the play that brings it to the users."""
    return _played(lab, lab.commit(folder, **change), DEPLOY, *arguments, deploy_push=True, **given)


def _listed(lab: JourneyLab, _folder: Path) -> Seen:
    return _played(lab, lab.head(), RELEASES)


def _reverted(lab: JourneyLab, _folder: Path) -> Seen:
    """All that came after the release that serves."""
    good = next(entry for entry in lab.journal() if entry["outcome"] == "succeeded")
    return _played(lab, lab.head(), ROLLBACK, rollback_release=good["run"], rollback_git_revert=True)


def _hotfix_begun(lab: JourneyLab, _folder: Path) -> tuple[Seen, str]:
    seen = _played(lab, lab.head(), HOTFIX, "--tags", "start", hotfix_name="login-loop")
    return seen, lab.checkout("branch", "--show-current").strip()


def _hotfix(lab: JourneyLab, folder: Path) -> tuple[Seen, list[str]]:
    """The developer commits to the branch that is checked out; the play pushes what it has merged."""
    fix = lab.commit(folder, version="1.5.1")
    seen = _played(lab, fix, HOTFIX, "--tags", "finish")
    return seen, [name.strip("* ") for name in lab.checkout("branch", "--all").splitlines()]


def _broken(lab: JourneyLab, _folder: Path) -> list[str]:
    """What `lab release` and `lab break bad-release` do in a lab that builds from git."""
    with pytest.raises(LabError, match="python -m lab commit"):
        list(release(lab.description, "3.0.0"))
    return list(disasters.bad_release(lab.description, how="fail"))


WHOLE_LIFE: dict[str, Journey] = {
    "good": partial(_released, {"version": "1.5.0", "migration": ("add_nickname", ADD_NICKNAME)}),
    "crashes": partial(_released, {"version": "1.6.0", "behaviour": "crash"}),
    "sick": partial(
        _released, {"version": "1.7.0", "behaviour": "fail-integrity", "migration": ("add_badges", ADD_BADGES)}
    ),
    "no frontend": partial(_released, {"version": "1.8.0", "frontend": "fail"}),
    "breaks the schema": partial(
        _released,
        {"version": "2.0.0", "migration": ("drop_savings_goals", DROP_GOALS)},
        deploy_restore_dump_on_failure=True,
    ),
    "reverted": _reverted,
    "hotfix begun": _hotfix_begun,
    "hotfix": _hotfix,
    "listed": _listed,
    "broken": _broken,
}
# What test_deploy.py plays too, of a backend alone; JOURNEYS=all plays it here as well.
LEFT_OUT = set() if os.environ.get("JOURNEYS") == "all" else {"crashes", "no frontend"}
LIFE = {name: played for name, played in WHOLE_LIFE.items() if name not in LEFT_OUT}


@pytest.fixture(scope="module")
def journeys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Any]]]:
    if installed_prisma() is None:
        pytest.skip("Prisma cannot be installed here")
    with under_way([LIFE], lambda: tmp_path_factory.mktemp("journey"), JourneyLab) as futures:
        yield futures


@pytest.fixture
def seen(request: pytest.FixtureRequest, journeys: dict[str, Future[Any]]) -> Any:
    return journeys[request.param].result()


def journey(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("seen", [name for name in names if name in LIFE], indirect=True)


@journey("good")
def test_a_commit_is_gated_dumped_pushed_migrated_built_and_verified(seen: Seen) -> None:
    assert seen.entry
    entry, release = seen.entry, seen.entry["release"]
    seen.play.succeeded()
    assert seen.after.version == "1.5.0"
    assert seen.after.commit == seen.after.frontend == seen.after.origin[0].sha == seen.commit.sha
    assert seen.before.commit == seen.before.frontend != seen.commit.sha
    assert len(seen.after.migrations) == len(seen.before.migrations) + 1
    assert (seen.after.integrity, seen.after.changed_files) == ([], "")
    assert (entry["outcome"], entry["deployed"]) == ("succeeded", True)
    assert release["commit"] == release["pages"]["commit"] == seen.commit.sha
    assert release["subject"] == seen.commit.subject
    assert release["applied_migrations"] == [release["migration_head"]] == seen.after.migrations[-1:]
    assert Path(release["dump"]["path"]).stat().st_size == release["dump"]["bytes"]
    assert release["health_after"] == {"healthy": True, "integrity": True, "reason": "passed"}
    assert release["deployment"] not in (None, entry["from"]["deployment"])
    assert {gate["outcome"] for gate in entry["gates"]} == {"passed"}
    steps = ["gates", "dump", "push", "migrations", "backend", "pages", "health"]
    assert set(steps) <= set(entry["phases"])
    for told in ("DEPLOYED", "pushed      1 commit to origin/main", "1 migration applied", seen.commit.sha[:12]):
        assert told in seen.play.text


@journey("crashes", "sick", "no frontend", "breaks the schema")
def test_a_bad_release_goes_back_as_a_set(seen: Seen) -> None:
    seen.play.failed()
    assert seen.before.version == seen.after.version == "1.5.0"
    assert seen.after.commit == seen.before.commit
    assert seen.after.frontend == seen.before.frontend == seen.before.commit
    assert seen.after.integrity == []
    assert seen.entry
    assert seen.entry["outcome"] == "failed"
    assert seen.entry["rolled_back"]["failure"] is None
    assert seen.entry["release"]["commit"] == seen.commit.sha
    assert seen.after.origin[0].sha == seen.commit.sha
    assert f"holds {seen.commit.sha[:12]}: revert it, or the next push deploys it again" in seen.message


@journey("sick")
def test_an_additive_migration_stays_and_is_said(seen: Seen) -> None:
    assert seen.after.tables["badges"] == 0
    assert seen.after.migrations[-1].endswith("_add_badges")
    assert "1 migration applied by this deployment, and left: what served before can live with it" in seen.message
    assert "the API says of integrity: this release needs the table ai_recommendations" in seen.message


@journey("breaks the schema")
def test_a_destructive_migration_is_undone_by_the_dump_of_before(seen: Seen) -> None:
    assert seen.after.migrations == seen.before.migrations
    without_reports = {table: rows for table, rows in seen.before.tables.items() if table != "integrity_checks"}
    assert without_reports.items() <= seen.after.tables.items()
    assert seen.before.tables["savings_goals"] == seen.after.tables["savings_goals"] > 0
    assert "missing tables: savings_goals" in seen.message


@journey("reverted")
def test_what_was_bad_is_reverted_so_that_the_next_push_does_not_bring_it_back(seen: Seen) -> None:
    seen.play.succeeded()
    assert seen.after.version == "1.5.0"
    assert len(seen.after.origin) > len(seen.before.origin)
    assert seen.after.changed_files == ""


@journey("hotfix begun")
def test_a_hotfix_begins_on_a_branch_of_main(seen: tuple[Seen, str]) -> None:
    begun, branch = seen
    begun.play.succeeded()
    assert branch == "hotfix/login-loop"
    # Each look at the integrity report has added a row.
    assert replace(begun.after, tables={}) == replace(begun.before, tables={})


@journey("hotfix")
def test_a_hotfix_is_merged_pushed_watched_and_its_branch_is_gone(seen: tuple[Seen, list[str]]) -> None:
    finished, branches = seen
    finished.play.succeeded()
    assert finished.after.version == "1.5.1"
    merge, *_older = finished.after.origin
    assert finished.after.commit == finished.after.frontend == merge.sha != finished.commit.sha
    assert finished.commit in finished.after.origin
    assert "hotfix/login-loop" in merge.message
    assert [name for name in branches if "hotfix" in name] == []
    assert (finished.after.changed_files, finished.after.integrity) == ("", [])
    assert finished.entry
    assert (finished.entry["outcome"], finished.entry["release"]["commit"]) == ("succeeded", merge.sha)


@journey("listed")
def test_the_releases_are_listed_newest_first(seen: Seen) -> None:
    text = seen.play.succeeded().text
    released = [
        "hotfix/login-loop",
        *(f"release {version}" for version in ("2.0.0", "1.7.0", "1.5.0")),
    ]
    assert sorted(released, key=text.index) == released


@journey("broken")
def test_a_bad_release_of_the_lab_is_pushed_and_serves(seen: list[str]) -> None:
    told = "\n".join(seen)
    assert "pushed to main of" in told
    assert "deployment of the commit: done" in told
    assert "the API's integrity check: 200 FAIL" in told
