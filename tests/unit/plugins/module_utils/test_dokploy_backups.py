# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups, call by call, as the captures show them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.backups import (
    BackupFile,
    backups_of,
    file_written_by,
    files_of,
    keep_backup,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import ServiceQuery, read_service
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.runs import Outcome, Run
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError

from tests.unit.plugins.captured_answers import body_of, request_of
from tests.unit.plugins.dokploy_answers import APPLICATION_ID, client_for, get, one, post, problem
from tests.unit.plugins.scripted import Call, FakeClock

VERSION = get("settings.getDokployVersion", "v0.30.2")
DATABASE_ID, BACKUP_ID, DESTINATION_ID = "ThBgTPgKfQLNOluU9q441", "MEcRLdAasWaGZ6XnKxfCw", "6bV5uIlFdmGZPr2SS7Um6"
FOLDER = "shop-db-ct0pth/nightly/"
SECRETS = ("s3-access-s3cr3t", "s3-key-s3cr3t", "db-s3cr3t")
NOTHING: dict[str, Any] = {
    "name": "nightly",
    "state": "present",
    "destination": None,
    "database_name": None,
    "cron": None,
    "keep_latest": None,
    "enabled": None,
    "check_destination": False,
    "wait_timeout": 60.0,
    "log_lines": 50,
}
NIGHTLY = {"cron": "0 4 * * *", "destination": "lab-s3", "database_name": "shop", "enabled": False}
NAMES = ("backupId", "schedule", "enabled", "database", "prefix", "serviceName", "destinationId", "keepLatestCount")


def row(**columns: Any) -> dict[str, Any]:
    backup = body_of("92-backup.one")
    return {**{name: backup[name] for name in (*NAMES, "metadata", "databaseType", "postgresId")}, **columns}


def database(*backups: dict[str, Any], **columns: Any) -> Call:
    body = {**body_of("71-postgres.one"), "databasePassword": SECRETS[2], "backups": list(backups), **columns}
    return get("postgres.one", body, postgresId=DATABASE_ID)


def destination(**columns: Any) -> dict[str, Any]:
    keys = {"accessKey": SECRETS[0], "secretAccessKey": SECRETS[1]}
    return {**body_of("91-destination.all")[0], **keys, **columns}


def destinations(*rows: dict[str, Any]) -> Call:
    return get("destination.all", list(rows or [destination()]))


def runs(*rows: dict[str, Any]) -> Call:
    return get("deployment.allByType", list(rows), id=BACKUP_ID, type="backup")


def record(status: str = "done", **columns: Any) -> dict[str, Any]:
    return {**body_of("93-deployment.allByType-backup")[0], "status": status, **columns}


def files(rows: object = None, status: int = 200, search: str = FOLDER, **params: str) -> Call:
    shown = body_of("94-backup.listBackupFiles-prefix") if rows is None else rows
    return get("backup.listBackupFiles", shown, status, destinationId=DESTINATION_ID, search=search, **params)


def leak(path: str) -> dict[str, Any]:
    line = f"rclone lsjson --s3-access-key-id={SECRETS[0]} --s3-secret-access-key={SECRETS[1]} \\:s3\\:nosuch"
    text = f"Command execution failed: Command failed: {line}\nFailed with "
    text += f"{SECRETS[1]} on {SECRETS[0]} as {SECRETS[2]}: not found\n"
    return problem(text, "BAD_REQUEST", 400, path)


def log(text: object = None) -> Call:
    shown = body_of("93-deployment.readLogs-backup") if text is None else text
    return get("deployment.readLogs", shown, deploymentId=record()["deploymentId"], tail="50")


def run_call(told: object = True, status: int = 200) -> Call:
    return post("backup.manualBackupPostgres", {"backupId": BACKUP_ID}, told, status)


def keep(*calls: Call, check: bool = False, **given: Any) -> Outcome:
    clock = FakeClock()
    client, transport = client_for(clock, VERSION, *calls)
    query = ServiceQuery(database_id=DATABASE_ID)
    try:
        outcome = keep_backup(client, clock, query, {**NOTHING, **given}, check)
    finally:
        transport.assert_all_made()
    assert "s3cr3t" not in str(outcome)
    return outcome


def failure(*calls: Call, **given: Any) -> PlatformError:
    with pytest.raises(PlatformError) as raised:
        keep(*calls, **given)
    assert "s3cr3t" not in str((str(raised.value), raised.value.details))
    return raised.value


def known(*backups: dict[str, Any]) -> tuple[Call, ...]:
    """The calls that find the service and what it has."""
    return database(*backups), database(*backups), destinations()


# --- present and absent -----------------------------------------------------------------------------------------------


def test_created_and_found_again_though_the_answer_is_empty() -> None:
    request = {**request_of("92-backup.create"), "enabled": True, "keepLatestCount": 7}
    created = row(enabled=True, keepLatestCount=7)
    outcome = keep(
        *known(row(backupId="other", prefix="weekly")),
        post("backup.create", request),
        database(row(backupId="other", prefix="weekly"), created),
        runs(),
        files([]),
        cron="0 4 * * *",
        destination="lab-s3",
        keep_latest=7,
    )
    assert outcome.changed
    assert outcome.before == {}
    assert outcome.result["backup"] == {
        "id": BACKUP_ID,
        "name": "nightly",
        "database_name": "shop",
        "destination": {"id": DESTINATION_ID, "name": "lab-s3", "bucket": "lab-backups"},
        "cron": "0 4 * * *",
        "enabled": True,
        "keep_latest": 7,
    }
    assert (outcome.result["files"], outcome.result["last_run"]) == ([], None)


def test_the_same_again_writes_nothing_and_tells_the_files() -> None:
    outcome = keep(*known(row(prefix="/nightly/")), runs(record()), files(), **NIGHTLY)
    assert not outcome.changed
    assert outcome.result["files"] == [
        {"path": f"{FOLDER}2026-11-22T13-44-02-945Z.sql.gz", "time": "2026-11-22T13:44:02.945Z", "size": 544}
    ]
    assert outcome.result["last_run"]["seconds"] == 0.623  # type: ignore[index]


def test_an_update_sends_all_that_the_call_wants() -> None:
    metadata = {"postgres": {"databaseUser": "shop"}}
    body = {**row(metadata=metadata), "schedule": "@daily", "keepLatestCount": 3}
    del body["postgresId"]
    before, after = row(metadata=metadata), row(metadata=metadata, schedule="@daily", keepLatestCount=3)
    outcome = keep(
        *known(before), post("backup.update", body), database(after), runs(), files([]), cron="@daily", keep_latest=3
    )
    changed = {key for key in outcome.after if outcome.after[key] != outcome.before[key]}
    assert changed == {"cron", "keep_latest"}
    assert "databaseUser" not in str(outcome.result)


def test_a_destination_is_changed_by_its_id() -> None:
    other = destination(destinationId="d2", name="second")
    body = {key: value for key, value in row(destinationId="d2").items() if key != "postgresId"}
    listing = get("backup.listBackupFiles", [], destinationId="d2", search=FOLDER)
    outcome = keep(
        database(row()),
        database(row()),
        destinations(destination(), other),
        post("backup.update", body),
        database(row(destinationId="d2")),
        runs(),
        listing,
        destination="d2",
    )
    assert outcome.after["destination"] == {"id": "d2", "name": "second", "bucket": "lab-backups"}


def test_check_mode_foresees_without_writing() -> None:
    changed = keep(*known(row()), runs(record()), files(), check=True, enabled=True)
    assert (changed.changed, changed.before["enabled"], changed.after["enabled"]) == (True, False, True)
    created = keep(*known(), files([]), check=True, cron="@daily", destination="lab-s3")
    assert (created.changed, created.after["database_name"]) == (True, "shop")
    assert created.result["backup"]["id"] is None  # type: ignore[index]
    assert keep(*known(row()), check=True, state="absent").changed
    assert keep(*known(row()), runs(), files([]), check=True, state="run").changed


def test_removed_and_seen_to_be_gone() -> None:
    gone = post("backup.remove", {"backupId": BACKUP_ID}, row())
    outcome = keep(*known(row()), gone, database(), state="absent")
    assert (outcome.changed, outcome.after, outcome.result["backup"]) == (True, {}, None)
    assert not keep(*known(), state="absent").changed
    assert "as it was told to" in failure(*known(row()), gone, database(row()), state="absent").msg


def test_what_dokploy_does_not_hold_afterwards_is_a_failure() -> None:
    calls = (*known(), post("backup.create", {**request_of("92-backup.create"), "keepLatestCount": None}))
    assert failure(*calls, database(), **NIGHTLY).details["changed"]
    assert "as it was told to" in failure(*calls, database(row(schedule="@daily")), **NIGHTLY).msg
    assert "as it was told to" in failure(*calls, database(row(), row(backupId="b2")), **NIGHTLY).msg
    update = {column: value for column, value in row(enabled=True).items() if column != "postgresId"}
    calls = (*known(row()), post("backup.update", update))
    assert "as it was told to" in failure(*calls, database(row()), enabled=True).msg


def test_of_several_with_one_prefix_the_one_with_the_database_is_meant() -> None:
    several = row(), row(backupId="b2", database="audit")
    assert keep(*known(*several), runs(), files([]), database_name="shop").result["backup"]["id"] == BACKUP_ID  # type: ignore[index]
    error = failure(*known(*several))
    assert f"There are 2 backups named 'nightly' of this database service: {BACKUP_ID}, b2." in error.msg
    assert error.details["candidates"] == [BACKUP_ID, "b2"]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"cron": "@daily"}, "and destination is needed"),
        ({"destination": "lab-s3"}, "and cron is needed"),
        ({"destination": "s3"}, "There is no destination with the name or id 's3'"),
    ],
)
def test_a_new_one_must_be_told_completely(given: dict[str, Any], reason: str) -> None:
    error = failure(*known(), **given)
    assert reason in error.msg


def test_two_destinations_of_one_name_are_refused() -> None:
    calls = database(), database(), destinations(destination(), destination(destinationId="d2"))
    assert f"destinations named 'lab-s3' in this organisation: {DESTINATION_ID}, d2" in failure(*calls, **NIGHTLY).msg


@pytest.mark.parametrize(
    ("given", "reason"),
    [({"name": " "}, "name is empty"), ({"keep_latest": -1}, "keep_latest is negative"), ({"cron": "x"}, "1 fields")],
)
def test_nonsense_is_refused_before_anything_is_asked(given: dict[str, Any], reason: str) -> None:
    client, _calls = client_for(FakeClock())
    with pytest.raises(PlatformError) as raised:
        keep_backup(client, FakeClock(), ServiceQuery(), {**NOTHING, **given}, False)
    assert reason in raised.value.msg


def test_of_a_redis_there_are_no_backups() -> None:
    redis = {"redisId": "r", "name": "cache", "appName": "shop-cache-1"}
    client, _calls = client_for(FakeClock(), VERSION, get("redis.one", redis, redisId="r"))
    with pytest.raises(PlatformError, match="of which Dokploy makes no database backups"):
        keep_backup(client, FakeClock(), ServiceQuery(database_id="r", database_type="redis"), NOTHING, False)


def test_the_destination_can_be_checked_without_showing_its_keys() -> None:
    unsent = ("destinationId", "organizationId", "createdAt")
    test = {column: value for column, value in destination().items() if column not in unsent}
    good = post("destination.testConnection", test)
    assert not keep(*known(row()), good, runs(), files([]), check_destination=True, check=True).changed
    bad = post("destination.testConnection", test, leak("destination.testConnection"), 400)
    error = failure(*known(row()), bad, check_destination=True)
    assert "Dokploy cannot reach the destination 'lab-s3'" in error.msg
    assert "Failed with *** on *** as ***: not found" in error.msg


def test_backups_of_a_service_for_those_who_only_read() -> None:
    client, transport = client_for(FakeClock(), database(row()), database(row()), one())
    found = backups_of(client, read_service(client, "postgres", DATABASE_ID))
    assert [backup.to_result()["name"] for backup in found] == ["nightly"]
    assert backups_of(client, read_service(client, "application", APPLICATION_ID)) == []
    transport.assert_all_made()


# --- running ----------------------------------------------------------------------------------------------------------


def test_a_run_is_proved_by_its_record_and_its_file() -> None:
    outcome = keep(
        *known(row()),
        runs(record("error", deploymentId="old")),
        runs(record("error", deploymentId="old")),
        run_call(),
        runs(record(), record("error", deploymentId="old")),
        log(),
        files(),
        state="run",
    )
    assert outcome.changed
    assert outcome.result["file"] == outcome.result["files"][0]  # type: ignore[index]
    assert outcome.result["last_run"]["status"] == "done"  # type: ignore[index]
    assert outcome.result["log"][-1] == "Backup done ✅"  # type: ignore[index]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "its newest file is missing"),
        ([{"Path": "a/x.sql.gz", "Name": "2026-11-22T13-44-02-945Z.sql.gz", "Size": 0}], "a/x.sql.gz with 0 bytes"),
        ([{"Path": "a/x.sql.gz", "Name": "2026-11-21T13-44-02-945Z.sql.gz", "Size": 9}], "a/x.sql.gz with 9 bytes"),
    ],
)
def test_a_run_that_left_no_file_is_not_believed(rows: list[dict[str, Any]], reason: str) -> None:
    error = failure(*known(row()), runs(), runs(), run_call(), runs(record()), log(), files(rows), state="run")
    assert reason in error.msg
    assert error.details["changed"]
    assert error.details["last_run"]["status"] == "done"  # type: ignore[index]


def test_a_run_that_fails_is_told_by_its_log_without_the_keys() -> None:
    text = f"Starting upload to S3...\nrclone rcat --s3-secret-access-key={SECRETS[1]}\n"
    text += f"Error: {SECRETS[0]} of {SECRETS[2]} is denied\n"
    refusal = leak("backup.manualBackupPostgres")
    calls = (*known(row()), runs(), runs(), run_call(refusal, 400), runs(record("error")))
    error = failure(*calls, log(text), state="run")
    assert "The backup 'nightly' of 'db' ended with status error" in error.msg
    assert "Error: *** of *** is denied" in error.msg
    assert error.details["backup"]["id"] == BACKUP_ID  # type: ignore[index]
    assert "(status 400)" in error.msg
    assert "ended with status error: Dokploy rejected" in failure(*calls, log(""), state="run").msg


def test_files_that_cannot_be_listed_are_a_warning_once_there_must_be_some() -> None:
    refusal = leak("backup.listBackupFiles")
    outcome = keep(*known(row()), runs(record()), files(refusal, 400))
    assert outcome.result["files"] is None
    assert "cannot be listed" in outcome.warnings[0]
    outcome = keep(*known(row()), runs(record("error")), files(refusal, 400))
    assert (outcome.result["files"], outcome.warnings) == ([], [])


# --- files ------------------------------------------------------------------------------------------------------------


def named(time: str, size: int = 9) -> dict[str, Any]:
    return {"Path": f"f/{time}.sql.gz", "Name": f"{time}.sql.gz", "Size": size, "ModTime": "", "IsDir": False}


def test_of_more_than_a_hundred_files_those_of_the_newest_day_are_asked_for_apart() -> None:
    oldest = [named(f"2026-01-01T00-00-00-{n:03}Z") for n in range(100)]
    newest = named("2026-11-22T02-00-00-001Z")
    client, transport = client_for(
        FakeClock(), files(oldest, search="f/", serverId="s"), files([newest], search="f/2026-11-22", serverId="s")
    )
    found = files_of(client, DESTINATION_ID, "f", "s", "2026-11-22")
    assert (len(found), found[0].path) == (101, newest["Path"])
    transport.assert_all_made()


def test_what_no_backup_wrote_is_left_out() -> None:
    folder = {**named("2026-11-22T02-00-00-001Z"), "IsDir": True}
    assert BackupFile.from_row(folder) is None
    assert BackupFile.from_row({**folder, "IsDir": False, "Name": "readme.txt"}) is None
    assert BackupFile.from_row(named("2026-11-22T02:00:00.001Z")) == BackupFile(
        "f/2026-11-22T02:00:00.001Z.sql.gz", "2026-11-22T02:00:00.001Z", 9
    )


def test_a_file_may_be_named_a_moment_before_its_run_is_recorded() -> None:
    run = Run("d", "done", "2026-11-22T02:00:05.000Z", None)
    just_before = BackupFile("f", "2026-11-22T02:00:04.900Z", 9)
    assert file_written_by(run, [just_before]) == just_before
    assert file_written_by(run, [BackupFile("f", "2026-11-22T01:59:00.000Z", 9)]) is None
    assert file_written_by(Run("d", "done", None, None), [just_before]) is None
