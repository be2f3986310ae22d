# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job end to end: a disaster in a real lab, the real playbooks, and a look at everything afterwards.

Plays wait half of their time, so they run in two labs at once, and the tests judge what was seen there.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lab.postgres import PROCESS as POSTGRES
from tests.conftest import ROOT
from tests.modules import result_of, start_module
from tests.recovery import (
    BRISK,
    DATABASE,
    EXPECTED,
    GOOD_IMAGE,
    RECOVER,
    REPLICAS,
    UNDO,
    Content,
    Hammer,
    Journey,
    Play,
    RecoveryLab,
    Seen,
    Service,
    same_as_dump,
    under_way,
)
from tests.sinks import mails_of_the_lab

pytestmark = pytest.mark.slow

IN_SERVICE = Service(REPLICAS, None, REPLICAS)
FORCE = ("-e", "disaster_recovery_force=true")
IMPATIENT = (
    "-e",
    (
        '{"disaster_recovery_start_timeout": 6, "disaster_recovery_health_timeout": 6,'
        ' "disaster_recovery_integrity_timeout": 4}'
    ),
)
RUNBOOK_CHECK = "playbooks/runbook_check.yml"
# The lab's dumps are of fixed nights.
CHECK_OPTIONS = ("-e", "platform_scheduler=none", "-e", "runbook_check_max_age=5200w")
FALSE_INVARIANT = '{"disaster_recovery_checks": [{"name": "a crowd", "query": "SELECT count(*) > 9999 FROM users"}]}'


# -- the journeys --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recovered:
    """A recovery that has run, and the lab before the disaster, before the play and after it."""

    disaster: str
    play: Play
    hammer: Hammer
    before: Seen
    broken: Seen
    after: Seen
    dumped: Content
    dump: Path
    served: dict[str, Any]
    failed_parts: list[str]
    unforced: Play | None = None

    @property
    def journal(self) -> dict[str, Any]:
        return self.after.journal[-1]


def _recovery(
    disaster: str, lab: RecoveryLab, folder: Path, project: Path = ROOT, playbook: str = RECOVER, **extra: Any
) -> Recovered:
    before = lab.look()
    lab.destroy(disaster)
    unforced = lab.play(RECOVER, *IMPATIENT) if "disaster_recovery_force" in extra else None
    broken = lab.look()
    with Hammer(lab) as hammer:
        play = lab.run(folder, playbook, project, **extra)
    after = lab.look()
    served = lab.ask("/api/courses")[1]
    dumped = lab.content(EXPECTED)
    return Recovered(
        disaster, play, hammer, before, broken, after, dumped, lab.stable_dump, served, lab.integrity(), unforced
    )


def _recovery_of_a_fresh_lab(disaster: str, lab: RecoveryLab, folder: Path, *where: Any) -> Recovered:
    lab.mend()
    return _recovery(disaster, lab, folder, *where)


def _recovery_by_force(disaster: str, lab: RecoveryLab, folder: Path) -> Recovered:
    """Wrong values are no missing rows: of a database that was restored before, only a person can say it."""
    _ensure_recovered(lab)
    return _recovery(disaster, lab, folder, disaster_recovery_force=True)


def _ensure_recovered(lab: RecoveryLab) -> None:
    """Most often the journey before has just done so."""
    if not (lab.family("before") and same_as_dump(lab.content(), lab.content(EXPECTED))):
        lab.mend()
        lab.destroy("data-loss")
        lab.play(RECOVER, *BRISK).succeeded()


def _deferred(lab: RecoveryLab, _folder: Path) -> tuple[Rescued, set[str], set[str]]:
    rescued = _rescue(("-e", "disaster_recovery_defer_indexes=non_unique"), lab, _folder)
    return rescued, _indexes(lab, DATABASE), _indexes(lab, EXPECTED)


def _indexes(lab: RecoveryLab, database: str) -> set[str]:
    with lab.server.connect(database=database) as connection:
        return {
            str(row[0]) for row in connection.execute("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'")
        }


def _warm(lab: RecoveryLab, _folder: Path) -> tuple[str, Rescued]:
    lab.mend()
    lab.destroy("data-loss")
    before, kept = lab.look(), _kept_verified(lab)
    play = lab.play(RECOVER, *BRISK, "-e", '{"disaster_recovery_checks": []}')
    return kept, Rescued(play, before, lab.look(), lab.content(EXPECTED))


def _kept_verified(lab: RecoveryLab) -> str:
    settings = lab.server.settings
    arguments = {
        "database": DATABASE, "src": str(lab.stable_dump), "state": "verified", "keep": True,
        "login_host": settings.host, "login_port": settings.port, "client_bin_dir": settings.bin,
        "login_user": lab.server.operator.user, "login_password": lab.server.operator.password,
    }  # fmt: skip
    return str(result_of(start_module("pg_restore_from_dump", arguments))["verified_database"])


@dataclass(frozen=True)
class Harmless:
    """A play that must not change a thing, and all that it could have changed."""

    play: Play
    before: dict[str, Any]
    after: dict[str, Any]

    def require(self) -> Play:
        assert self.after == self.before
        return self.play


def _harmless(lab: RecoveryLab, playbook: str, *arguments: str) -> Harmless:
    before = lab.fingerprint()
    play = lab.play(playbook, *arguments)
    return Harmless(play, before, lab.fingerprint())


@dataclass(frozen=True)
class SecondRun:
    play: Play
    before: Seen
    after: Seen


def _second_run(lab: RecoveryLab, _folder: Path) -> SecondRun:
    _ensure_recovered(lab)
    with lab.server.connect(lab.server.app, DATABASE) as connection:
        connection.execute("INSERT INTO integrity_checks (result) SELECT 'written since' FROM generate_series(1, 5)")
        connection.execute('UPDATE users SET "updatedAt" = now()')
    before = lab.look()
    return SecondRun(lab.play(RECOVER, *BRISK), before, lab.look())


@dataclass(frozen=True)
class Undone:
    planned: Harmless
    before: Seen
    play: Play
    after: Seen
    served: dict[str, Any]
    again: Harmless
    mails: list[EmailMessage]


def _undo(lab: RecoveryLab, _folder: Path) -> Undone:
    _ensure_recovered(lab)
    planned = _harmless(lab, UNDO, "--check")
    before = lab.look()
    with mails_of_the_lab() as (mails, channel):
        play = lab.play(UNDO, "-e", json.dumps({"lab_channel": channel}))
    return Undone(planned, before, play, lab.look(), lab.ask("/api/courses")[1], _harmless(lab, UNDO), mails)


@dataclass(frozen=True)
class Rescued:
    """A play that failed on the way, and what it left."""

    play: Play
    before: Seen
    after: Seen
    dumped: Content
    mails: list[EmailMessage] = field(default_factory=list)


def _told_rescue(arguments: tuple[str, ...], lab: RecoveryLab, folder: Path) -> Rescued:
    with mails_of_the_lab() as (mails, channel):
        return replace(_rescue((*arguments, "-e", json.dumps({"lab_channel": channel})), lab, folder), mails=mails)


def _rescue(
    arguments: tuple[str, ...], lab: RecoveryLab, _folder: Path, prepare: Callable[[RecoveryLab], None] | None = None
) -> Rescued:
    lab.mend()
    lab.destroy("data-loss")
    if prepare:
        prepare(lab)
    before = lab.look()
    play = lab.play(RECOVER, *BRISK, *arguments)
    after = lab.look()
    if prepare:
        lab.deploy(GOOD_IMAGE)
    return Rescued(play, before, after, lab.content(EXPECTED))


def _never_runs(lab: RecoveryLab) -> None:
    """Twice, so that Swarm has nothing better to roll back to."""
    lab.destroy("bad-release", how="crash")
    lab.destroy("bad-release", how="crash")


def _check(lab: RecoveryLab, _folder: Path) -> Harmless:
    lab.mend()
    lab.destroy("data-loss")
    return _harmless(lab, RECOVER, "--check")


def _runbook_check(lab: RecoveryLab, _folder: Path) -> Harmless:
    """Of a lab in which nothing was played yet."""
    checked = _harmless(lab, RUNBOOK_CHECK, *CHECK_OPTIONS)
    assert not {"ledger", "locks", "reports"} & {path.name for path in lab.state.iterdir()}
    assert lab.description["dokploy"]["api_key"] not in checked.play.text
    return checked


def _refusal(arguments: Callable[[RecoveryLab, Path], list[str]], lab: RecoveryLab, folder: Path) -> Harmless:
    return _harmless(lab, RECOVER, *arguments(lab, folder))


def _no_such_host(_lab: RecoveryLab, _folder: Path) -> list[str]:
    return ["-e", "target=labb"]


def _no_such_inventory(_lab: RecoveryLab, _folder: Path) -> list[str]:
    return ["-i", "inventory/labb"]


def _unreachable(_lab: RecoveryLab, folder: Path) -> list[str]:
    """A port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    host = f"vps ansible_connection=ssh ansible_host=127.0.0.1 ansible_port={port}"
    (folder / "hosts").write_text(f"[platform]\n{host}\n")
    return ["-i", "inventory/lab", "-i", str(folder / "hosts"), "-e", "target=vps"]


def _wrong_key(_lab: RecoveryLab, _folder: Path) -> list[str]:
    return ["-e", "platform_dokploy_api_key=of-another-house"]


def _empty_folder(_lab: RecoveryLab, folder: Path) -> list[str]:
    return ["-e", f"platform_backup_dir={folder}"]


def _missing_folder(_lab: RecoveryLab, folder: Path) -> list[str]:
    return ["-e", f"platform_backup_dir={folder}/gone"]


def _only_bad_dumps(lab: RecoveryLab, folder: Path) -> list[str]:
    shutil.copy(lab.backups / "latest_dump.sql", folder / "cut.sql")
    shutil.copy(next(lab.backups.glob("vedfinance_all_*")), folder)
    (folder / "empty.sql").touch()
    return ["-e", f"platform_backup_dir={folder}"]


def _key_in_clear(_lab: RecoveryLab, _folder: Path) -> list[str]:
    """The address is one for documentation only, and nothing is sent there: see the connections."""
    return ["-e", "platform_dokploy_url=http://192.0.2.1:3000"]


def _stopped_server(lab: RecoveryLab, _folder: Path) -> Harmless:
    before = lab.fingerprint()
    lab.stop_postgres()
    try:
        play = lab.play()
        pids = lab.pids()
    finally:
        lab.server.start()
    del before["pids"][POSTGRES]
    return Harmless(play, before, lab.fingerprint() | {"pids": pids})


def _no_room(lab: RecoveryLab, _folder: Path) -> Harmless:
    """The live database seems larger than any disk: a file with a hole, which takes no room itself."""
    hole = lab.server.data / "base" / str(lab.oid()) / "hole"
    with hole.open("wb") as file:
        file.truncate(1 << 42)
    try:
        return _harmless(lab, RECOVER)
    finally:
        hole.unlink()


@dataclass(frozen=True)
class Refusal:
    journey: Callable[[RecoveryLab, Path], Harmless]
    says: tuple[str, ...]


REFUSALS = {
    "a typing error in the host": Refusal(
        partial(_refusal, _no_such_host), ("No host matches 'labb'", "Known hosts: lab")
    ),
    "an unreachable host": Refusal(
        partial(_refusal, _unreachable), ("vps (127.0.0.1) cannot be reached", "Connection refused", "the ssh key")
    ),
    "a wrong key": Refusal(partial(_refusal, _wrong_key), ("dokploy_api_key",)),
    "an empty backup folder": Refusal(partial(_refusal, _empty_folder), ("Bring a dump into",)),
    "no backup folder": Refusal(partial(_refusal, _missing_folder), ("/gone",)),
    "only bad dumps": Refusal(partial(_refusal, _only_bad_dumps), ("cut.sql: the dump ends inside", "Bring a dump")),
    "plain http to another machine": Refusal(
        partial(_refusal, _key_in_clear), ("plain HTTP to 192.0.2.1", "SSH tunnel")
    ),
    "a stopped PostgreSQL": Refusal(_stopped_server, ("Is PostgreSQL running there?",)),
    "a full disk": Refusal(_no_room, ("disk", "/postgres/data", "free")),
}

# Each disaster is met from another place that people call the playbook from.
FROM_THE_FOLDER = (ROOT / "playbooks", "disaster_recovery.yml")
BY_FULL_NAME = (ROOT, "vedfinance.platform.disaster_recovery")
#: Two lives of a lab, in their order.
LIVES: tuple[dict[str, Journey], ...] = (
    {
        "data-loss": partial(_recovery_of_a_fresh_lab, "data-loss"),
        "second run": _second_run,
        "corrupt": partial(_recovery_by_force, "corrupt"),
        "undo": _undo,
        "check": _check,
        "an inventory that is not there": partial(_refusal, _no_such_inventory),
        **{why: refusal.journey for why, refusal in REFUSALS.items()},
    },
    {
        "runbook check": _runbook_check,
        "dropped-table": lambda lab, folder: _recovery_of_a_fresh_lab("dropped-table", lab, folder, *FROM_THE_FOLDER),
        "dropped-database": lambda lab, folder: _recovery_of_a_fresh_lab(
            "dropped-database", lab, folder, *BY_FULL_NAME
        ),
        "deferred": _deferred,
        "warm": _warm,
        "invariant": partial(_told_rescue, ("-e", FALSE_INVARIANT)),
        "bad release": partial(_rescue, IMPATIENT, prepare=lambda lab: lab.deploy("lab/api:1.5.0-fail")),
        "release that never runs": partial(_rescue, IMPATIENT, prepare=_never_runs),
    },
)
DISASTERS = ("data-loss", "corrupt", "dropped-table", "dropped-database")


@pytest.fixture(scope="module")
def journeys(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Any]]]:
    """Those that the chosen tests need, under way."""
    chosen = [item.callspec.params.values() for item in request.session.items if hasattr(item, "callspec")]
    wanted = {value for values in chosen for value in values if isinstance(value, str)}
    lives = [{name: journey for name, journey in life.items() if name in wanted} for life in LIVES]
    with under_way(lives, lambda: tmp_path_factory.mktemp("recovery")) as futures:
        yield futures


@pytest.fixture
def seen(request: pytest.FixtureRequest, journeys: dict[str, Future[Any]]) -> Any:
    return journeys[request.param].result()


def journey(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("seen", names, indirect=True)


def _last_message(play: Play) -> str:
    """The one error that ends the play, in one line."""
    return " ".join(play.text.rpartition("[ERROR]")[2].split())


# -- the recovery --------------------------------------------------------------------------------------------------


@journey(*DISASTERS)
def test_the_play_succeeds_on_the_host_and_sums_up(seen: Recovered) -> None:
    seen.play.succeeded()
    assert set(seen.play.recap) == {"lab", "localhost"}
    assert seen.play.recap["lab"]["changed"] == 3
    assert f"RECOVERED  {DATABASE} on lab" in seen.play.text
    assert seen.dump.name in seen.play.text


@journey(*DISASTERS)
def test_live_holds_what_the_latest_stable_dump_holds(seen: Recovered) -> None:
    assert seen.after.live
    assert same_as_dump(seen.after.live.content, seen.dumped)


@journey(*DISASTERS)
def test_what_is_in_no_plain_dump_is_as_before(seen: Recovered) -> None:
    assert seen.before.live
    assert seen.after.live
    assert seen.before.live.properties["settings"]
    assert seen.after.live.properties == seen.before.live.properties


@journey(*DISASTERS)
def test_the_old_database_is_kept_as_it_was(seen: Recovered) -> None:
    new = set(seen.after.databases) - set(seen.broken.databases)
    if seen.broken.live is None:
        assert new == {DATABASE}
        assert seen.journal["previous_database"] is None
    else:
        (previous,) = new
        assert seen.after.databases[previous].state == seen.broken.live.state
        assert seen.after.beside("before")[-1] == seen.journal["previous_database"] == previous
        assert previous in seen.play.text


@journey(*DISASTERS)
def test_the_api_serves_it_as_before(seen: Recovered) -> None:
    assert seen.after.live
    assert seen.after.service == seen.before.service == IN_SERVICE
    assert seen.served["database_oid"] == seen.after.live.oid
    assert seen.failed_parts == []


@journey(*DISASTERS)
def test_clients_read_the_old_database_then_the_new_and_nothing_else(seen: Recovered) -> None:
    assert seen.after.live
    seen.hammer.require_old_then_new(seen.broken.live, seen.after.live)


@journey(*DISASTERS)
def test_the_journal_tells_what_was_done_and_how_long_it_took(seen: Recovered) -> None:
    entry = seen.journal
    assert (entry["kind"], entry["outcome"], entry["host"]) == ("disaster_recovery", "succeeded", "lab")
    assert entry["dump"]["path"] == str(seen.dump)
    (passed_over,) = entry["rejected"]
    assert passed_over["path"] == str(seen.dump.with_name("latest_dump.sql").resolve())
    assert passed_over["code"] == "truncated"
    assert {table["name"].partition(".")[2]: table["rows"] for table in entry["tables"]} == {
        table: rows for table, (rows, _digest) in seen.dumped.items() if table != "course_stats"
    }
    assert {check["result"] for check in entry["proof"]} == {"passed"}
    assert {column["outcome"] for column in entry["documents"]} == {"passed"}
    assert f"{entry['run']}_disaster_recovery.json" in seen.play.text
    clock = entry["clock"]
    assert entry["began"] == clock["began"] < clock["planned"] < clock["stopped"] < clock["restored"] < clock["healthy"]
    assert clock["healthy"] < entry["ended"]
    assert entry["rto_seconds"] == pytest.approx(clock["healthy"] - clock["began"])
    assert entry["database_downtime_seconds"] < entry["outage_seconds"] < entry["rto_seconds"]
    assert entry["rpo_seconds"] == pytest.approx(clock["restored"] - seen.dump.stat().st_mtime, abs=60)


@journey(*DISASTERS)
def test_the_journal_is_not_for_everybody(seen: Recovered) -> None:
    assert seen.after.journal_modes == (0o750, {0o640})


@journey(*DISASTERS)
def test_no_secret_is_shown_or_written_down(seen: Recovered) -> None:
    description = seen.dump.parents[2] / "lab.json"
    secrets = re.findall(r'"(?:\w+_password|api_key)": "([^"]+)"', description.read_text())
    assert len(secrets) == 4
    assert not [secret for secret in secrets if secret in seen.play.text or secret in str(seen.after.journal)]


# -- and then ------------------------------------------------------------------------------------------------------


@journey("second run")
def test_a_second_run_changes_nothing_and_loses_nothing_that_was_written_since(seen: SecondRun) -> None:
    play = seen.play.succeeded()
    assert play.recap["lab"]["changed"] == 0
    assert "nothing was restored now" in play.text
    assert "-e disaster_recovery_force=true" in play.text
    assert seen.before.live
    assert seen.after.live
    assert seen.after.live.oid == seen.before.live.oid
    assert same_as_dump(seen.after.live.content, seen.before.live.content)
    assert set(seen.after.databases) == set(seen.before.databases)
    assert seen.after.service == seen.before.service
    assert (seen.after.journal[-1]["outcome"], seen.after.journal[-1]["restored"]) == ("succeeded", False)


@journey("corrupt")
def test_wrong_values_after_a_recovery_are_no_success_and_only_a_person_restores_again(seen: Recovered) -> None:
    assert seen.unforced
    message = _last_message(seen.unforced.failed())
    for told in ("NOT RECOVERED", "the API says of integrity", "negative balance", "-e disaster_recovery_force=true"):
        assert told in message
    assert seen.before.live
    assert seen.broken.live
    assert seen.broken.live.oid == seen.before.live.oid
    assert seen.broken.service == IN_SERVICE


@journey("deferred")
def test_indexes_that_were_left_for_later_are_built_when_the_api_serves(
    seen: tuple[Rescued, set[str], set[str]],
) -> None:
    recovered, found, wanted = seen
    text = recovered.play.succeeded().text
    assert found == wanted
    entry = recovered.after.journal[-1]
    assert entry["outcome"] == "succeeded"
    assert entry["built_indexes"]
    assert entry["outstanding_indexes"] == []
    for told in ("enforce nothing are built last", f"{len(entry['built_indexes'])} built while the API served"):
        assert told in text
    assert recovered.after.live
    assert same_as_dump(recovered.after.live.content, recovered.dumped)


@journey("warm")
def test_a_verified_database_takes_over_by_the_swap_alone(seen: tuple[str, Rescued]) -> None:
    kept, recovered = seen
    text, entry = recovered.play.succeeded().text, recovered.after.journal[-1]
    assert entry["verified_database"] == kept
    assert "load" not in entry["seconds"]
    for told in (f"{kept} takes over", "no copy is made", "only the swap", "closed since"):
        assert told in text
    assert re.search(r"public\.savings_goals +0 -> \d", text)
    assert set(recovered.after.databases) == {DATABASE, entry["previous_database"]}
    assert recovered.after.live
    assert same_as_dump(recovered.after.live.content, recovered.dumped)
    assert recovered.after.service == IN_SERVICE


@journey("undo")
def test_an_undo_serves_the_old_database_and_keeps_the_restored_one(seen: Undone) -> None:
    kept = seen.before.beside("before")[-1]
    assert kept in seen.planned.require().succeeded().text

    seen.play.succeeded()
    assert seen.before.live
    assert seen.after.live
    assert seen.after.live.state == seen.before.databases[kept].state
    (aside,) = seen.after.beside("undone")
    assert seen.after.databases[aside].state == seen.before.live.state
    assert seen.after.service == IN_SERVICE
    assert seen.served["database_oid"] == seen.after.live.oid
    assert seen.after.journal[-1]["outcome"] == "undone"

    again = seen.again.require().succeeded()
    assert again.recap["lab"]["changed"] == 0
    assert "undone already" in again.text


@journey("check")
def test_check_mode_prints_the_plan_and_touches_nothing(seen: Harmless) -> None:
    play = seen.require().succeeded()
    assert play.recap["lab"]["changed"] == 0
    for told in ("PLAN", "Z.sql.gz", ".sql: the dump ends inside", "RPO", "needed", "nothing was touched"):
        assert told in play.text
    assert re.search(r"live database +[\d,]+ rows in 14 tables", play.text)


@journey(*REFUSALS)
def test_a_play_that_cannot_succeed_says_why_and_touches_nothing(
    request: pytest.FixtureRequest, seen: Harmless
) -> None:
    play = seen.require().failed()
    why = request.node.callspec.params["seen"]
    if why == "an unreachable host" and shutil.which("ssh") is None:
        pytest.skip("no ssh on this machine")
    message = _last_message(play)
    for told in (*REFUSALS[why].says, "nothing was touched"):
        assert told in message
    assert "of-another-house" not in play.text


@journey("an inventory that is not there")
def test_an_inventory_that_is_not_there_is_named(seen: Harmless) -> None:
    assert "inventory/labb" in seen.require().failed().text


# -- before any of it ----------------------------------------------------------------------------------------------


@journey("runbook check")
def test_the_runbook_check_sees_everything_and_changes_nothing(seen: Harmless) -> None:
    play = seen.require().failed()
    told = {" ".join(line.split()) for line in play.text.splitlines()}
    for name in (
        "ok the host answers",
        "ok the key may read Docker",
        "COULD NOT BE CHECKED backups and drills are scheduled",
        "FAIL a drill has proved a dump in time",
        "WARN no newer dump was rejected",
        "not configured the integrity report is good",
    ):
        assert name in told, play.text
    assert re.search(r"ok +a restore could begin: Would restore", play.text), play.text
    # Without a drill and a schedule it is below the threshold; a recovery would work all the same.
    points = re.search(r"READINESS +(\d+) of 100", play.text)
    assert points is not None
    assert 50 < int(points[1]) < 90
    assert "At least 90 are required" in play.text


# -- the rescue ----------------------------------------------------------------------------------------------------


def _brought_back(rescued: Rescued) -> str:
    """The message of a play that failed, and put the old database back if it had to."""
    rescued.play.failed()
    assert rescued.before.live
    assert rescued.after.live
    assert rescued.after.live.state == rescued.before.live.state
    assert not rescued.after.beside("staging")
    assert rescued.after.journal[-1]["outcome"] == "failed"
    message = _last_message(rescued.play)
    assert "NOT RECOVERED" in message
    return message


@journey("invariant")
def test_a_dump_that_breaks_an_invariant_never_goes_live(seen: Rescued) -> None:
    message = _brought_back(seen)
    for told in ("a crowd failed", "untouched: vedfinance is what it was", "in service again"):
        assert told in message
    assert set(seen.after.databases) == {DATABASE}
    assert seen.after.service == IN_SERVICE


@journey("invariant")
def test_who_must_act_hears_that_it_began_and_that_it_failed(seen: Rescued) -> None:
    owner = "Backend Lead (dev_api), then System Admin"
    assert f"who owns this  {owner}" in seen.play.text
    # Three roles hear of recoveries.
    subjects = [str(mail["Subject"]) for mail in seen.mails]
    assert subjects[:3] == [f"RECOVERY STARTED: {DATABASE} on lab"] * 3
    assert subjects[3:] == [f"RECOVERY FAILED: {DATABASE} on lab"] * 3
    assert len({str(mail["References"]) for mail in seen.mails}) == 1
    text = " ".join(seen.mails[-1].get_content().split())
    for told in ("a crowd failed", "Owner Backend Lead (API and database integrity)", f"who owns this {owner}"):
        assert told in text


@journey("undo")
def test_who_must_act_hears_that_a_recovery_was_undone(seen: Undone) -> None:
    assert len(seen.mails) == 3
    text = " ".join(seen.mails[0].get_content().split())
    for told in ("The recovery was undone", "serves the database of before the recovery"):
        assert told in text


@journey("bad release")
def test_a_release_that_fails_on_the_restored_data_goes_back_to_the_old_data(seen: Rescued) -> None:
    message = _brought_back(seen)
    for told in ("integrity", "the API says of", "is again what it was", "__undone_", "in service again"):
        assert told in message
    (aside,) = seen.after.beside("undone")
    assert same_as_dump(seen.after.databases[aside].content, seen.dumped)
    assert seen.after.service == IN_SERVICE


@journey("release that never runs")
def test_an_api_that_cannot_start_is_left_on_the_old_data_and_called_the_urgent_part(seen: Rescued) -> None:
    message = _brought_back(seen)
    for told in ("is again what it was", "__undone_", "NOT IN SERVICE", "vedfinance/production/api"):
        assert told in message
    (aside,) = seen.after.beside("undone")
    assert same_as_dump(seen.after.databases[aside].content, seen.dumped)
    assert (seen.after.service.replicas, seen.after.service.description) == (REPLICAS, None)
