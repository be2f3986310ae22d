# SPDX-License-Identifier: GPL-3.0-or-later
"""A release that is interrupted, gone on with, listed and returned from: real playbooks in a lab."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from lab import client, processes
from tests.integration.test_deploy import BRISK, DEPLOY, GOOD, ROLLBACK, SEEDED, DeployLab
from tests.modules import run_module
from tests.recovery import PLAY_SECONDS, Play, wait_until

pytestmark = [
    pytest.mark.slow,
    # The journeys of a release play the like, with schema and frontend.
    pytest.mark.skipif(os.environ.get("JOURNEYS") != "all", reason="`make journeys` plays it"),
]
RELEASES = "playbooks/releases.yml"
GIVEN = {**BRISK, "deploy_image": GOOD, "deploy_version": "1.5.0", "deploy_dump": "always"}


@dataclass(frozen=True)
class Story:
    #: The entry of the play that was killed, as it left it.
    killed: dict[str, Any]
    resumed: Play
    listed: Play
    returned: Play
    #: As the journal tells them in the end, newest first.
    releases: list[dict[str, Any]]
    rollback: dict[str, Any]
    version: str
    dumps: int
    listing_touched: bool


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    state = tmp_path_factory.mktemp("release") / "lab"
    try:
        yield _told(DeployLab(state))
    finally:
        processes.end_all(state)


def _told(lab: DeployLab) -> Story:
    (seeded,) = lab.records()
    _release_of_before(lab, seeded["deploymentId"])
    given = ("-e", json.dumps(GIVEN))
    with lab.started(DEPLOY, *given) as running:
        wait_until(
            lambda: len(lab.records()) > 1 or running.process.poll() is not None, "Dokploy was asked", PLAY_SECONDS
        )
        running.process.kill()
    killed = lab.journal()[-1]
    wait_until(lambda: _serves(lab, "1.5.0"), "what the dead play has asked for serves")
    resumed = lab.play(DEPLOY, *given)
    before = lab.fingerprint()
    listed = lab.play(RELEASES)
    touched = lab.fingerprint() != before
    returned = lab.play(ROLLBACK, "-e", json.dumps({**BRISK, "rollback_release": "previous"}))
    releases = run_module("platform_releases_info", {"journal_dir": str(lab.journal_folder)})["releases"]
    dumps = [entry["dump"]["path"] for entry in releases if entry["dump"]]
    return Story(
        killed, resumed, listed, returned, releases, lab.journal()[-1], lab.version(), len(set(dumps)), touched
    )


def _serves(lab: DeployLab, version: str) -> bool:
    with suppress(client.Unreachable):  # while it is replaced
        return lab.version() == version
    return False


def _release_of_before(lab: DeployLab, deployment: str) -> None:
    """As a play of last year has left it, before there were releases."""
    entry = {
        "run": "20251122T020000Z", "kind": "deploy", "outcome": "succeeded", "message": "", "deployed": True,
        "began": 1763776800.0, "ended": 1763776860.0, "host": "lab", "user": "ann",
        "application": {"id": lab.application}, "asked_for": {}, "from": {},
        "to": {"deployment": deployment, "image": SEEDED, "commit": None, "version": "1.4.0"},
    }  # fmt: skip
    (lab.journal_folder / "20251122T020000Z_deploy.json").write_text(json.dumps(entry))


def test_a_play_that_is_killed_leaves_the_way_back_and_the_dump(story: Story) -> None:
    killed = story.killed
    assert (killed["outcome"], killed["ended"]) == ("under_way", None)
    assert (killed["from"]["image"], killed["from"]["version"]) == (SEEDED, "1.4.0")
    assert killed["release"]["health_before"]["healthy"] is True
    assert killed["release"]["dump"]["path"]


def test_the_next_run_goes_on_with_it(story: Story) -> None:
    play = story.resumed.succeeded()
    for told in (
        f"run {story.killed['run']}",
        "this run goes on with it, its way back and its dump included",
        f"way back        to {SEEDED}",
        "it was made before the interruption",
        f"from        {SEEDED}",
    ):
        assert told in play.text
    newest, interrupted, _old = story.releases
    assert (newest["outcome"], interrupted["outcome"]) == ("succeeded", "interrupted")
    assert interrupted["run"] == story.killed["run"]
    assert newest["before"]["deployment"] == interrupted["before"]["deployment"] == _old["deployment"]
    assert newest["dump"] == interrupted["dump"]
    assert story.dumps == 1


def test_the_releases_are_listed_and_nothing_is_touched(story: Story) -> None:
    play = story.listed.succeeded()
    lines = [
        line.split() for line in play.text.splitlines() if "T" in line and line.split()[-1:] in (["root"], ["ann"])
    ]
    assert [line[0] for line in lines][-3:] == [release["run"] for release in story.releases]
    for told in (GOOD, SEEDED, "interrupted", "succeeded"):
        assert told in play.text
    assert not story.listing_touched


def test_a_rollback_returns_to_the_release_of_before(story: Story) -> None:
    play = story.returned.succeeded()
    assert story.version == "1.4.0"
    old = story.releases[-1]
    for told in (f"release         {old['run']}", f"back to         {SEEDED}", "database        stays as it is"):
        assert told in play.text
    rollback = story.rollback
    assert (rollback["kind"], rollback["outcome"], rollback["asked_for"]) == ("rollback", "succeeded", "previous")
    assert (rollback["release"]["run"], rollback["release"]["deployment"]) == (old["run"], old["deployment"])
    assert (rollback["release"]["pages"], rollback["release"]["additive"]) == (None, None)
