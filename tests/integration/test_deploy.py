# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploying and rolling back end to end: real playbooks in labs, good and bad releases, and who may work meanwhile.

Plays wait half of their time, so they run in three labs at once, and the tests judge what was seen there.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._lock import change_lock
from ansible_collections.vedfinance.platform.plugins.plugin_utils._play import this_owner

from lab.dokploy.model import Model
from lab.dokploy.server import Double
from lab.platform import HEALTH_PATH, VERSION_PATH
from lab.postgres import free_port
from tests.recovery import RECOVER, Journey, Play, PlayedLab, quiet_lab, under_way, wait_until
from tests.sinks import mails_of_the_lab

pytestmark = pytest.mark.slow

DEPLOY, ROLLBACK = "playbooks/deploy.yml", "playbooks/rollback.yml"
SECRET = "planted-in-the-environment"
GIT_URL = "http://127.0.0.1:1/api.git"
LOUD = "-vvv"
SEEDED, GOOD, CRASHING, SICK, OLDER = (
    f"lab/api:{tag}" for tag in ("1.4.0", "1.5.0", "1.6.0-crash", "1.7.0-fail", "1.3.0")
)
UNRECORDED = "lab/api:1.3.0"
BRISK: dict[str, Any] = {
    f"{role}_{option}": value
    for role in ("deploy", "rollback")
    for option, value in {
        "stable_for": 1,
        "health_consecutive": 1,
        "integrity_timeout": 3,
        "public_api_url": "",
    }.items()
}


class DeployLab(PlayedLab):
    """A whole lab, with a secret among the environment variables of its API."""

    def __init__(self, state: Path) -> None:
        super().__init__(state, quiet_lab(state, replicas=1))
        self.locks = state / "locks"
        self.application = self.description["dokploy"]["application_id"]
        env = self.row()["env"]
        self.dokploy("application.update", applicationId=self.application, env=f"{env}\nPAYMENT_KEY={SECRET}")

    def row(self) -> dict[str, Any]:
        return dict(self.dokploy(f"application.one?applicationId={self.application}"))

    def records(self) -> list[dict[str, Any]]:
        return list(self.dokploy(f"deployment.all?applicationId={self.application}"))

    def version(self) -> str:
        return str(self.ask(VERSION_PATH)[1]["version"])

    def secrets(self) -> list[str]:
        """All that nobody may see: of Dokploy, of the registry, of the webhook, of the API."""
        stored = json.loads((self.state / "dokploy.json").read_text())
        (registry,) = stored["registries"].values()
        postgres = self.description["postgres"]
        token = stored["applications"][self.application]["refreshToken"]
        return [self.description["dokploy"]["api_key"], registry["password"], token, postgres["app_password"], SECRET]

    def fingerprint(self) -> dict[str, Any]:
        return {
            "dokploy": json.loads((self.state / "dokploy.json").read_text()),
            "journal": _files(self.journal_folder),
            "locks": _files(self.locks),
            "pids": self.pids(),
        }

    def lock(self, **owner: Any) -> dict[str, Any]:
        """Somebody else holds it: this process, or whoever is given."""
        params = {
            "state": "held", "folder": str(self.locks), "name": "platform", "run": "of-ann", "playbook": "deploy",
            "max_age": "2h", "force": False, "dead": "", "owner": {**this_owner({}), "user": "ann", **owner},
        }  # fmt: skip
        outcome = change_lock(params, time.time(), check_mode=False)
        assert outcome.lock
        return outcome.lock.to_result(time.time())


def _files(folder: Path) -> dict[str, str]:
    found = folder.iterdir() if folder.exists() else ()
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


@dataclass(frozen=True)
class Seen:
    """A play, and what stood before and after it."""

    play: Play
    before: dict[str, Any]
    after: dict[str, Any]
    version: str
    image: str
    records: list[dict[str, Any]]
    entry: dict[str, Any] | None
    secrets: list[str]
    #: What the lock said while the play ran, when somebody looked.
    lock: str = ""
    files: str = field(default="", repr=False)
    #: What people were told.
    mails: list[EmailMessage] = field(default_factory=list)

    def untouched(self) -> Play:
        assert self.after == self.before
        return self.play

    @property
    def message(self) -> str:
        """The one error that ends the play, in one line."""
        return " ".join(self.play.failed().text.rpartition("[ERROR]")[2].partition("Origin:")[0].split())


def _options(given: dict[str, Any]) -> tuple[str, str]:
    return "-e", json.dumps({**BRISK, **given})


def _seen(lab: DeployLab, play: Play, before: dict[str, Any], lock: str = "") -> Seen:
    after = lab.fingerprint()
    new = sorted(set(after["journal"]) - set(before["journal"]))
    entry = json.loads((lab.journal_folder / new[-1]).read_text()) if new else None
    files = "".join(path.read_text() for path in lab.journal_folder.iterdir())
    return Seen(
        play, before, after, lab.version(), lab.row()["dockerImage"], lab.records(), entry, lab.secrets(), lock, files
    )


def _played(playbook: str, arguments: tuple[str, ...], lab: DeployLab, _folder: Path, **given: Any) -> Seen:
    before = lab.fingerprint()
    return _seen(lab, lab.play(playbook, *_options(given), *arguments), before)


def _told(playbook: str, arguments: tuple[str, ...], lab: DeployLab, folder: Path, **given: Any) -> Seen:
    with mails_of_the_lab() as (mails, channel):
        return replace(_played(playbook, arguments, lab, folder, lab_channel=channel, **given), mails=mails)


def _over_a_dead_owner(lab: DeployLab, _folder: Path) -> Seen:
    """A play that was killed has left its lock behind."""
    dead = lab.lock(pid=1, started="1", controller="ops1")
    before = lab.fingerprint()
    path = lab.locks / "platform.lock"
    given = {"deploy_image": GOOD, "deploy_version": "1.5.0", "deploy_public_api_url": "{{ lab.api.url }}"}
    with lab.started(DEPLOY, *_options(given), LOUD) as running:
        wait_until(lambda: json.loads(path.read_text())["id"] != dead["id"], "the play has taken the lock over")
        lock = path.read_text()
        play = running.ended()
    return _seen(lab, play, before, lock)


def _stopped(lab: DeployLab, folder: Path) -> Seen:
    """A recovery that did not end has left it so."""
    description = "[stopped by vedfinance.platform at 2026-11-22T02:00:00Z, replicas before: 1]"
    lab.dokploy("application.update", applicationId=lab.application, description=description, replicas=0)
    seen = _played(DEPLOY, (), lab, folder, deploy_image=GOOD)
    lab.dokploy("application.update", applicationId=lab.application, description="", replicas=1)
    return seen


@dataclass(frozen=True)
class Locked:
    deploy: Seen
    recover: Seen
    freed: Seen
    holder: dict[str, Any]


def _locked(lab: DeployLab, folder: Path) -> Locked:
    holder = lab.lock()
    deploy = _played(DEPLOY, (), lab, folder, deploy_image=GOOD)
    recover = _played(RECOVER, (), lab, folder)
    return Locked(deploy, recover, _played(ROLLBACK, ("--tags", "list,unlock"), lab, folder), holder)


# -- a source that Dokploy builds ----------------------------------------------------------------------------------


class GitLab(PlayedLab):
    """An API that is built from a repository; no database, so that it is judged by its health alone."""

    def __init__(self, state: Path) -> None:
        port = free_port()
        state.mkdir(parents=True)
        seeded = Model(state).seed(env=f"PORT={port}\nAPP_RATE_LIMIT=off")
        self.double = Double(state, tempo=0.1)
        self.application = seeded.application_id
        with self.double.model.change():
            self.double.model.tables["applications"][self.application].update(
                sourceType="git", customGitUrl=GIT_URL, customGitBranch="main"
            )
        (state / "journal").mkdir()
        super().__init__(state, self._description(state, port, seeded.api_key))
        (state / "lab.json").write_text(json.dumps(self.description))
        self.double.start()

    def _description(self, state: Path, port: int, key: str) -> dict[str, Any]:
        url = f"http://127.0.0.1:{port}"
        api = {"url": url, "health_path": HEALTH_PATH, "integrity_path": HEALTH_PATH, "version_path": VERSION_PATH}
        names = {"project": "vedfinance", "environment": "production", "application": "api"}
        dokploy = {"url": self.double.url, "api_key": key, **names}
        return {"api": api, "dokploy": dokploy, "backups": "", "journal": str(state / "journal")}

    def push(self, version: str) -> str:
        sha = hashlib.sha1(version.encode(), usedforsecurity=False).hexdigest()
        commit = {"sha": sha, "version": version, "message": f"release {version}"}
        with self.double.model.change():
            self.double.model.tables["repositories"].setdefault(GIT_URL, {}).setdefault("main", []).append(commit)
        return sha

    def webhook(self, sha: str) -> None:
        """What Dokploy does by itself when the repository tells it of a push."""
        self.double.queue.add(self.application, "release", f"Commit: {sha}", "deploy")


@dataclass(frozen=True)
class Pushed:
    play: Play
    commit: str
    version: dict[str, Any]
    entry: dict[str, Any]
    records: int


def _pushed(lab: GitLab, _folder: Path) -> tuple[Pushed, Pushed]:
    """First Dokploy hears of the push, then it does not."""
    try:
        return _push(lab, "2.0.0", True), _push(lab, "2.1.0", False)
    finally:
        lab.double.stop()


def _push(lab: GitLab, version: str, hears: bool) -> Pushed:
    commit = lab.push(version)
    before = len(lab.double.model.deployments_of(lab.application))
    given = {
        "deploy_commit": commit,
        "deploy_unless_commit": "",  # however quick the build is, it is found
        "deploy_integrity_expect": {"all": [{"path": "status", "equals": "ok"}]},
        "deploy_appear_timeout": 60 if hears else 1,
    }
    with lab.started(DEPLOY, *_options(given)) as running:
        if hears:
            wait_until(lambda: "The plan]" in running.text(), "the play has begun")
            lab.webhook(commit)
        play = running.ended()
    made = len(lab.double.model.deployments_of(lab.application)) - before
    return Pushed(play, commit, lab.ask(VERSION_PATH)[1], lab.journal()[-1], made)


# -- the journeys --------------------------------------------------------------------------------------------------

CHECK = ("--check", "--diff")
#: Lives of labs, each in its order.
LIVES: tuple[dict[str, Journey], ...] = (
    {
        "check": partial(_played, DEPLOY, CHECK, deploy_image=GOOD, deploy_version="1.5.0"),
        "good": _over_a_dead_owner,
        "second run": partial(_played, DEPLOY, (), deploy_image=GOOD, deploy_version="1.5.0"),
        "crashing": partial(_told, DEPLOY, (LOUD,), deploy_image=CRASHING, deploy_version="1.6.0"),
    },
    {
        "locked": _locked,
        "stopped": _stopped,
        "sick": partial(_played, DEPLOY, (LOUD,), deploy_image=SICK, deploy_version="1.7.0"),
        "rollback": partial(_told, ROLLBACK, (LOUD,), rollback_to=UNRECORDED),
    },
)
GIT_LIFE: dict[str, Journey] = {"pushed": _pushed}


@pytest.fixture(scope="module")
def journeys(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Any]]]:
    """Those that the chosen tests need, under way."""
    chosen = [item.callspec.params.values() for item in request.session.items if hasattr(item, "callspec")]
    wanted = {value for values in chosen for value in values if isinstance(value, str)}

    def of(life: dict[str, Journey]) -> dict[str, Journey]:
        return {name: journey for name, journey in life.items() if name in wanted}

    def folder() -> Path:
        return tmp_path_factory.mktemp("deploy")

    with (
        under_way(map(of, LIVES), folder, DeployLab) as of_images,
        under_way([of(GIT_LIFE)], folder, GitLab) as of_commits,
    ):
        yield {**of_images, **of_commits}


@pytest.fixture
def seen(request: pytest.FixtureRequest, journeys: dict[str, Future[Any]]) -> Any:
    return journeys[request.param].result()


def journey(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("seen", names, indirect=True)


# -- deploying -----------------------------------------------------------------------------------------------------


@journey("check")
def test_check_mode_prints_the_plan_and_touches_nothing(seen: Seen) -> None:
    play = seen.untouched().succeeded()
    for told in (
        "PLAN  deployment of vedfinance/production/api on lab", f"serves now      {SEEDED}", "healthy",
        "the API says version 1.4.0", f"shall serve     version 1.5.0, {GOOD}", f"image: {SEEDED} -> {GOOD}",
        "in the queue    nothing", f"way back        to {SEEDED}", "by its image", "nothing was touched",
        f"-    stored_image: {SEEDED}", f"+    stored_image: {GOOD}",
    ):  # fmt: skip
        assert told in play.text
    assert play.recap["lab"]["changed"] == 1


@journey("good")
def test_a_good_release_serves_in_the_end(seen: Seen) -> None:
    play = seen.play.succeeded()
    assert play.recap["lab"]["changed"] == 1
    assert (seen.version, seen.image) == ("1.5.0", GOOD)
    for told in ("DEPLOYED  vedfinance/production/api on lab", f"from        {SEEDED}", f"to          {GOOD}"):
        assert told in play.text


@journey("good")
def test_the_journal_tells_who_deployed_what(seen: Seen) -> None:
    assert seen.entry
    entry = seen.entry
    assert (entry["kind"], entry["outcome"], entry["deployed"], entry["host"]) == ("deploy", "succeeded", True, "lab")
    assert (entry["from"]["image"], entry["from"]["version"]) == (SEEDED, "1.4.0")
    assert (entry["to"]["image"], entry["to"]["version"]) == (GOOD, "1.5.0")
    assert entry["from"]["deployment"] == seen.records[-1]["deploymentId"]
    assert entry["to"]["deployment"] == entry["deployment"]["id"] == seen.records[0]["deploymentId"]
    assert entry["verdict"]["serving"]
    assert entry["serves"] == {"version": "1.5.0", "commit": entry["serves"]["commit"], "healthy": True}
    took = entry["seconds"]
    assert min(took.values()) >= 0
    assert took["queued"] + took["build"] + took["rollout"] == pytest.approx(took["serving"], abs=1)
    assert took["serving"] < entry["ended"] - entry["began"]
    assert entry["user"]
    assert f"{entry['run']}_deploy.json" in seen.play.text


@journey("good")
def test_the_lock_of_a_dead_play_is_taken_over_and_given_back(seen: Seen) -> None:
    held = json.loads(seen.lock)
    assert seen.entry
    assert held["run"] == seen.entry["run"]
    assert held["owner"]["pid"] != 1
    assert "Taken over from ann on ops1 (pid 1), run of-ann of deploy" in seen.play.text
    assert seen.after["locks"] == {}


@journey("second run")
def test_a_second_run_changes_nothing(seen: Seen) -> None:
    play = seen.play.succeeded()
    assert play.recap["lab"]["changed"] == 0
    assert "SERVES ALREADY" in play.text
    assert seen.after["dokploy"] == seen.before["dokploy"]
    assert seen.entry
    assert (seen.entry["deployed"], seen.entry["outcome"]) == (False, "succeeded")


@journey("crashing")
def test_a_crashing_release_fails_and_says_that_the_old_one_serves(seen: Seen) -> None:
    message = seen.message
    for told in (
        "NOT DEPLOYED vedfinance/production/api", "does not serve", "non-zero exit (1)",
        "what stands what served before serves", GOOD, "API healthy, version 1.5.0",
        "Users are served by the version from before",
    ):  # fmt: skip
        assert told in message
    assert (seen.version, seen.image) == ("1.5.0", GOOD)
    assert seen.entry
    assert (seen.entry["outcome"], seen.entry["rolled_back"]["changed"]) == ("failed", False)
    assert seen.entry["serves"]["version"] == "1.5.0"
    assert seen.after["locks"] == {}


@journey("stopped")
def test_nothing_is_deployed_in_the_middle_of_a_recovery(seen: Seen) -> None:
    seen.untouched()
    for told in (
        "CANNOT BEGIN lab: nothing was touched",
        "was stopped by this collection",
        "disaster_recovery.yml again",
    ):
        assert told in seen.message


@journey("sick")
def test_a_release_that_serves_and_is_sick_is_rolled_back(seen: Seen) -> None:
    message = seen.message
    for told in (
        '"Verify integrity, judged by its body" failed', "the API says of integrity: this release needs the table",
        f"what stands rolled back: {SEEDED}", "serves again, by its image", "API healthy, version 1.4.0",
    ):  # fmt: skip
        assert told in message
    assert (seen.version, seen.image) == ("1.4.0", SEEDED)
    assert seen.entry
    assert (seen.entry["outcome"], seen.entry["verdict"]["serving"]) == ("failed", True)
    assert (seen.entry["rolled_back"]["changed"], seen.entry["rolled_back"]["strategy"]) == (True, "image")
    assert seen.entry["serves"]["version"] == "1.4.0"


@journey("pushed")
def test_the_deployment_of_a_push_is_waited_for_and_none_is_started(seen: tuple[Pushed, Pushed]) -> None:
    heard, _unheard = seen
    heard.play.succeeded()
    assert heard.version == {"version": "2.0.0", "commit": heard.commit}
    assert heard.records == 1
    assert heard.play.recap["lab"]["changed"] == 0
    assert (heard.entry["deployed"], heard.entry["to"]["commit"]) == (True, heard.commit)
    assert "wait for the deployment of commit" in heard.play.text


@journey("pushed")
def test_a_push_that_dokploy_did_not_hear_of_is_deployed(seen: tuple[Pushed, Pushed]) -> None:
    _heard, unheard = seen
    unheard.play.succeeded()
    assert unheard.version == {"version": "2.1.0", "commit": unheard.commit}
    assert unheard.records == 1
    assert unheard.play.recap["lab"]["changed"] == 1
    assert unheard.entry["to"]["commit"] == unheard.commit


# -- rolling back --------------------------------------------------------------------------------------------------


@journey("crashing")
def test_who_must_act_hears_that_a_deployment_failed(seen: Seen) -> None:
    # Who takes everything, who asked for deployments, and the frontend.
    failed = [mail for mail in seen.mails if str(mail["Subject"]).startswith("DEPLOYMENT FAILED")]
    assert len(failed) == 3
    assert [str(mail["Subject"]).startswith("DEPLOYMENT STARTED") for mail in seen.mails] == [True] * 2 + [False] * 3
    # Whatever was told before is in the same thread.
    assert len({str(mail["References"]) for mail in seen.mails}) == 1
    text = " ".join(failed[0].get_content().split())
    for told in ("does not serve", "who owns this Backend Lead (dev_api), then System Admin"):
        assert told in text
    assert SECRET not in text


@journey("rollback")
def test_who_must_act_hears_of_a_rollback(seen: Seen) -> None:
    assert len(seen.mails) == 3
    assert str(seen.mails[0]["Subject"]).startswith("ROLLED BACK")
    assert "A version that served before serves again." in seen.mails[0].get_content()


@journey("rollback")
def test_a_rollback_by_hand_returns_to_what_was_named(seen: Seen) -> None:
    play = seen.play.succeeded()
    assert (seen.version, seen.image) == ("1.3.0", UNRECORDED)
    for told in (
        "PLAN  rollback of vedfinance/production/api on lab", f"back to         {UNRECORDED}", "lasting         yes",
        "ROLLED BACK  vedfinance/production/api on lab", "the API says version 1.3.0",
    ):  # fmt: skip
        assert told in play.text
    assert seen.entry
    entry = seen.entry
    assert (entry["kind"], entry["outcome"], entry["changed"]) == ("rollback", "succeeded", True)
    assert (entry["asked_for"], entry["strategy"], entry["sticky"]) == (UNRECORDED, "image", True)
    assert (entry["to"]["image"], entry["to"]["version"]) == (UNRECORDED, "1.3.0")
    assert (entry["from"]["image"], entry["from"]["version"]) == (SEEDED, "1.4.0")
    assert entry["stored"]["dockerImage"]["after"] == UNRECORDED
    assert f"{entry['run']}_rollback.json" in play.text
    assert seen.after["locks"] == {}


# -- one at a time -------------------------------------------------------------------------------------------------


@journey("locked")
def test_nobody_deploys_or_recovers_while_another_play_is_at_work(seen: Locked) -> None:
    for play in (seen.deploy, seen.recover):
        play.untouched()
        for told in (
            "CANNOT BEGIN lab: nothing was touched", "Another play is at work on this host: ann on",
            f"pid {seen.holder['owner']['pid']}", "run of-ann of deploy", "still running: wait",
        ):  # fmt: skip
            assert told in play.message


@journey("locked")
def test_a_person_can_free_the_lock(seen: Locked) -> None:
    play = seen.freed.play.succeeded()
    assert "Freed by force; it was held by ann on" in play.text
    assert seen.freed.after["locks"] == {}


@journey("locked")
def test_the_list_tells_what_can_be_rolled_back_to_and_does_nothing(seen: Locked) -> None:
    play, (record,) = seen.freed.play.succeeded(), seen.freed.records
    for told in (f"{record['deploymentId']}  {record['createdAt']}  done  SERVES NOW", SEEDED, "by its image"):
        assert told in play.text
    assert "PLAN" not in play.text
    assert {**seen.freed.after, "locks": {}} == {**seen.freed.before, "locks": {}}


# -- secrets -------------------------------------------------------------------------------------------------------


@journey("good", "crashing", "sick", "rollback")
def test_no_secret_is_shown_or_written_down(seen: Seen) -> None:
    assert len(set(seen.secrets)) == 5
    assert "module_args" in seen.play.text
    kept = seen.play.text + seen.lock + seen.files
    assert not [secret for secret in seen.secrets if secret in kept]
