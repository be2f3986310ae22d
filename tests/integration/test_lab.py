# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole lab, through its command line, on a real PostgreSQL."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from lab import client, disasters, platform, processes
from lab.backups import OLDEST_TO_NEWEST, ROWS_BEFORE_THE_WEEK
from lab.git import API, Git
from lab.platform import Description, server_of
from lab.postgres import REPORT_ROLE, Server
from lab.prisma import installed_prisma, prepare_project

ROOT = Path(platform.__file__).parents[1]
PRISTINE = "pristine"
SCALE = 0.002


def lab(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lab", "--state", str(state), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


def up(state: Path, *arguments: str) -> Description:
    done = lab(state, "up", "--scale", str(SCALE), "--tempo", "0.05", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return platform.opened(state)


def processes_that_name(state: Path) -> list[str]:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(state) in line and path.parent.name != str(os.getpid()):
            lines.append(line)
    return lines


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Description]:
    state = tmp_path_factory.mktemp("lab") / "state"
    try:
        description = up(state, "--rate-limit", "off", "--replicas", "2", "--source", "image")
        _copy_database(server_of(description), description["postgres"]["database"], PRISTINE)
        yield description
    finally:
        processes.end_all(state)


@pytest.fixture
def intact(running: Description) -> Iterator[Description]:
    """The lab with its database as it was; what a test breaks is mended afterwards."""
    yield running
    server = server_of(running)
    with server.connect() as connection:
        name = sql.Identifier(server.settings.database)
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
    _copy_database(server, PRISTINE, server.settings.database)
    server.set_what_dumps_leave_out()


def _copy_database(server: Server, source: str, target: str) -> None:
    with server.connect() as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (source,))
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}")
        names = (target, source, server.settings.app_user)
        connection.execute(statement.format(*map(sql.Identifier, names)))


def query(server: Server, statement: bytes, database: str = "postgres") -> list[tuple[Any, ...]]:
    with server.connect(database=database) as connection:
        return connection.execute(statement).fetchall()


def api(description: Description, path: str) -> tuple[int, Any]:
    return client.call(description["api"]["url"] + path)


def integrity(description: Description) -> dict[str, Any]:
    status, body = api(description, description["api"]["integrity_path"])
    assert status == 200
    return dict(body["integrity"])


# -- the state folder and the processes ---------------------------------------------------------------------------


def test_lab_json_is_private_and_describes_everything(running: Description) -> None:
    path = Path(running["state"]) / "lab.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert set(running) == {
        "state", "python", "postgres", "api", "dokploy", "git", "pages", "backups", "journal", "jsonb_schemas",
    }  # fmt: skip
    assert Path(running["journal"]).is_dir()


def test_no_secret_is_in_the_arguments_of_a_process_or_in_a_log(running: Description) -> None:
    postgres = running["postgres"]
    secrets = [postgres[f"{who}_password"] for who in ("superuser", "app", "operator")] + [
        running["dokploy"]["api_key"],
        running["pages"]["api_token"],
    ]
    state = Path(running["state"])
    shown = "".join(path.read_text() for folder in ("processes", "logs") for path in (state / folder).iterdir())
    assert shown
    assert not [secret for secret in secrets if secret in shown]


def test_up_a_second_time_changes_nothing(running: Description) -> None:
    state = Path(running["state"])
    pids = {name: processes.pid_of(state, name) for name in processes.recorded(state)}
    done = lab(state, "up")
    assert done.returncode == 0
    assert "up already" in done.stdout
    assert {name: processes.pid_of(state, name) for name in processes.recorded(state)} == pids


def test_status_tells_what_runs(running: Description) -> None:
    done = lab(Path(running["state"]), "status", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert report["up"]
    assert report["postgres"]["rows"]["users"] == 200
    assert report["api"]["status"] == 200
    assert all(process["pid"] for process in report["processes"])
    assert report["git"]["subject"] == "(ved-101) release 1.4.0"
    assert report["pages"]["serves"] == report["git"]["commit"]
    shown = lab(Path(running["state"]), "status").stdout
    assert "latest_dump.sql ->" in shown
    assert f"{report['git']['checkout']}  {report['git']['commit'][:12]} (ved-101) release 1.4.0\n" in shown
    assert f"vedfinance-web serves {report['git']['commit'][:12]}" in shown


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to change the user")
def test_postgres_does_not_run_as_root(running: Description) -> None:
    pid = processes.pid_of(Path(running["state"]), "postgres")
    assert Path(f"/proc/{pid}").stat().st_uid != 0


def test_after_a_crash_up_starts_over_and_down_leaves_nothing(tmp_path: Path) -> None:
    """`up` itself is killed when its PostgreSQL runs already."""
    state = tmp_path / "state"
    with _started_up(state) as crashing:
        crashing.kill()
    left_behind = processes.pid_of(state, "postgres")
    assert left_behind
    try:
        description = up(state, "--only", "postgres")
        assert {description[part] for part in ("api", "dokploy", "git", "pages")} == {None}
        assert server_of(description).row_counts()["users"] == 200
        assert processes.pid_of(state, "postgres") != left_behind
    finally:
        downs = [lab(state, "down") for _turn in range(2)]
    assert [done.returncode for done in downs] == [0, 0]
    assert processes_that_name(tmp_path) == []
    assert sorted(path.name for path in state.iterdir()) == [".vedfinance-lab", "journal", "logs"]


def test_an_interrupted_up_leaves_no_process(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with _started_up(state) as interrupted:
        interrupted.terminate()
        assert interrupted.wait(timeout=60) == 130
    assert processes_that_name(tmp_path) == []
    assert platform.describe(state) is None


@contextmanager
def _started_up(state: Path) -> Iterator[subprocess.Popen[str]]:
    """An `up` that has PostgreSQL running and goes on."""
    command = [sys.executable, "-m", "lab", "--state", str(state), "up", "--only", "postgres"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as started:
        assert started.stdout
        assert "PostgreSQL" in started.stdout.readline()
        yield started


# -- the database -------------------------------------------------------------------------------------------------


def test_the_roles_are_no_superusers_and_the_operator_can_act_for_the_owner(running: Description) -> None:
    server = server_of(running)
    rows = query(server, b"SELECT rolname, rolsuper, rolcreatedb FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1")
    assert rows == [
        ("platform_operator", False, True),
        ("postgres", True, True),
        ("vedfinance_app", False, False),
        (REPORT_ROLE, False, False),
    ]
    with server.connect(server.operator, "vedfinance") as connection:
        connection.execute("SET ROLE vedfinance_app")
        assert connection.execute("SELECT count(*) FROM users").fetchone() == (200,)


def test_the_database_carries_what_a_plain_dump_does_not(running: Description, tmp_path: Path) -> None:
    server = server_of(running)
    connection_limit, comment, owner = query(
        server,
        b"SELECT datconnlimit, shobj_description(oid, 'pg_database'), datdba::regrole::text FROM pg_database"
        b" WHERE datname = 'vedfinance'",
    )[0]
    assert (connection_limit, owner) == (50, "vedfinance_app")
    settings = query(server, b"SELECT setrole::regrole::text, setconfig FROM pg_db_role_setting ORDER BY 1")
    assert settings[0][1][:2] == ["statement_timeout=30s", 'search_path="$user", public, extensions']
    assert settings[1] == ("vedfinance_app", ["work_mem=8MB"])
    server.dump(tmp_path / "plain.sql", "--schema-only")
    plain = (tmp_path / "plain.sql").read_text()
    assert "search_path=" not in plain
    assert "30s" not in plain
    assert comment not in plain


def test_sequences_stand_at_the_last_row(running: Description) -> None:
    server = server_of(running)
    for table in ("lesson_progress", "quiz_attempts", "savings_goals", "notifications", "behavior_logs"):
        counted = f"SELECT max(id), pg_sequence_last_value('\"{table}_id_seq\"') FROM {table}".encode()
        highest, last = query(server, counted, PRISTINE)[0]
        assert highest == last > 0


def test_the_rows_are_the_same_each_time(running: Description) -> None:
    server = server_of(running)
    again = Server(server.state, replace(server.settings, database="again"))
    again.create_empty_database()
    end = dt.datetime(2026, 3, 9, 2, 0)
    again.fill(0, SCALE * ROWS_BEFORE_THE_WEEK, end - dt.timedelta(days=1), end)
    rows = b'SELECT id, "userId", metadata FROM behavior_logs ORDER BY id LIMIT 1000'
    found = query(server, rows, "again")
    assert len(found) == 1000
    assert found == query(server, rows, PRISTINE)


# -- the dumps ----------------------------------------------------------------------------------------------------


def test_a_week_of_dumps_at_two_o_clock(running: Description) -> None:
    folder = Path(running["backups"])
    files = sorted((path for path in folder.iterdir() if not path.is_symlink()), key=lambda path: path.stat().st_mtime)
    assert len(files) == len(OLDEST_TO_NEWEST)
    moments = [time.localtime(path.stat().st_mtime) for path in files]
    assert {(moment.tm_hour, moment.tm_min, moment.tm_sec) for moment in moments} == {(2, 0, 0)}
    assert len({moment.tm_yday for moment in moments}) == 7
    magic = [path.read_bytes()[:5] for path in files]
    assert magic[0][:2] == b"--"
    assert magic[1] == b"PGDMP"
    assert magic[2][:2] == magic[4][:2] == magic[5][:2] == b"\x1f\x8b"
    assert magic[3][:4] == b"\x28\xb5\x2f\xfd"
    assert gzip.decompress(files[5].read_bytes())[:5] == b"PGDMP"
    assert b"database cluster dump" in gzip.decompress(files[4].read_bytes())[:100]
    assert (folder / "latest_dump.sql").resolve() == files[-1]


def test_only_the_newest_dump_is_cut_and_in_mid_data(running: Description) -> None:
    trailer = b"-- PostgreSQL database dump complete"
    folder = Path(running["backups"])
    whole, cut = sorted(folder.glob("vedfinance_2*.sql"))
    assert trailer in whole.read_bytes()
    content = cut.read_bytes()
    assert trailer not in content
    after_the_last_copy = content.rpartition(b"\nCOPY public.behavior_logs ")[2]
    assert after_the_last_copy
    assert b"\n\\.\n" not in after_the_last_copy


def test_the_real_prisma_makes_the_same_database_of_the_same_migrations(running: Description) -> None:
    installed = installed_prisma()
    if installed is None:
        pytest.skip("Prisma cannot be installed here")
    server, project = server_of(running), Path(running["git"]["checkout"]) / API
    shutil.rmtree(project / "node_modules")
    prisma = [*prepare_project(project, installed), "migrate", "deploy"]
    with server.connect() as connection:
        connection.execute(f"CREATE DATABASE migrated OWNER {server.settings.app_user}")
    environment = {**os.environ, "DATABASE_URL": f"{server.app_url.rpartition('/')[0]}/migrated"}
    done = subprocess.run(prisma, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert _catalogue(server, "migrated") == _catalogue(server, "vedfinance")
    books = b"SELECT migration_name, checksum, applied_steps_count FROM _prisma_migrations ORDER BY 1"
    assert query(server, books, "migrated") == query(server, books, "vedfinance")
    assert "node_modules" not in Git(project)("status", "--porcelain")


def _catalogue(server: Server, database: str) -> list[str]:
    """As pg_dump writes it, without what it makes up anew each time."""
    lines = server.tool("pg_dump", "--schema-only", database=database).decode().splitlines()
    return [line for line in lines if not line.startswith(("\\restrict", "\\unrestrict"))]


def test_each_night_has_more_rows_and_live_has_most(running: Description, tmp_path: Path) -> None:
    server = server_of(running)
    folder = Path(running["backups"])
    plain = next(path for path in sorted(folder.glob("vedfinance_2*.sql")))
    archives = [folder / name for name in sorted(path.name for path in folder.glob("*.dump"))]
    dokploys = tmp_path / "dokploy.dump"
    dokploys.write_bytes(gzip.decompress(next(folder.glob("*Z.sql.gz")).read_bytes()))
    counted = [_rows_of(plain.read_bytes())]
    for archive in (*archives, dokploys):
        restored = tmp_path / "restored.sql"
        server.tool("pg_restore", "--data-only", f"--file={restored}", str(archive))
        counted.append(_rows_of(restored.read_bytes()))
    live = sum(server.row_counts().values())
    assert counted == sorted(set(counted))
    assert counted[-1] < live


def _rows_of(plain: bytes) -> int:
    rows = 0
    for block in plain.split(b"\nCOPY ")[1:]:
        rows += block.partition(b"\n\\.\n")[0].count(b"\n")
    return rows


def test_an_archive_says_that_it_was_made_at_night(running: Description) -> None:
    server = server_of(running)
    archive = next(Path(running["backups"]).glob("*.dump"))
    listing = server.tool("pg_restore", "--list", str(archive)).decode()
    expected = time.strftime("%Y-%m-%d 02:00:00", time.localtime(archive.stat().st_mtime))
    assert f"Archive created at {expected}" in listing


# -- the API ------------------------------------------------------------------------------------------------------


def test_the_api_serves_the_database_of_the_name_it_was_given(intact: Description) -> None:
    server = server_of(intact)
    oid = query(server, b"SELECT oid::bigint FROM pg_database WHERE datname = 'vedfinance'")[0][0]
    assert api(intact, "/api/courses") == (200, {"database_oid": oid, "users": 200, "courses": 500})
    with server.connect() as connection, connection.transaction():
        connection.execute("ALTER DATABASE vedfinance RENAME TO put_aside")
        connection.execute("ALTER DATABASE pristine RENAME TO vedfinance")
    try:
        assert api(intact, "/api/courses")[1]["database_oid"] != oid
    finally:
        with server.connect() as connection, connection.transaction():
            connection.execute("ALTER DATABASE vedfinance RENAME TO pristine")
            connection.execute("ALTER DATABASE put_aside RENAME TO vedfinance")


def test_each_integrity_call_writes_a_row(intact: Description) -> None:
    server = server_of(intact)
    before = server.row_counts()["integrity_checks"]
    assert integrity(intact) == {"status": "OK"}
    assert integrity(intact) == {"status": "OK"}
    assert server.row_counts()["integrity_checks"] == before + 2


def test_integrity_is_ok_on_an_empty_database(intact: Description) -> None:
    server = server_of(intact)
    with server.connect(server.app, "vedfinance") as connection:
        tables = ", ".join(f'"{table}"' for table in server.row_counts())
        connection.execute(f"TRUNCATE {tables} CASCADE".encode())
        assert integrity(intact) == {"status": "OK"}
        connection.execute(f"DROP TABLE {tables} CASCADE".encode())
    assert integrity(intact) == {"status": "OK"}


def test_many_clients_at_once_are_served(running: Description) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: api(running, "/api/users/count"), range(40)))
    assert answers == [(200, {"users": 200})] * 40


# -- the disasters --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("disaster", "told", "complaint"),
    [
        (disasters.data_loss, "savings_goals: 200 rows -> 0", "balance is not the sum"),
        (disasters.dropped_table, "transactions: 1200 rows -> table gone", "missing tables: transactions"),
        (disasters.corrupt, "accounts: 66 balances turned negative", "66 accounts with a negative balance"),
    ],
)
def test_a_disaster_tells_its_damage_and_the_api_complains(
    intact: Description, disaster: Callable[[Description], Iterator[str]], told: str, complaint: str
) -> None:
    assert integrity(intact)["status"] == "OK"
    lines = "\n".join(disaster(intact))
    assert told in lines
    assert complaint in lines
    assert integrity(intact)["status"] == "FAIL"


def test_a_dropped_database_is_gone_under_open_sessions(intact: Description) -> None:
    server = server_of(intact)
    with server.connect(server.app, "vedfinance"):
        lines = list(disasters.dropped_database(intact))
    assert lines[0].endswith("-> gone")
    assert query(server, b"SELECT count(*) FROM pg_database WHERE datname = 'vedfinance'") == [(0,)]
    assert api(intact, "/api/health")[0] == 200
    assert api(intact, "/api/health/db")[1]["status"] == "error"
    assert api(intact, intact["api"]["integrity_path"])[0] == 500


def test_a_bad_release_is_done_for_dokploy_and_fails_in_truth(intact: Description) -> None:
    lines = "\n".join(disasters.bad_release(intact, how="fail"))
    assert "deployment of lab/api:1.5.0-fail: done" in lines
    deadline = time.monotonic() + 30
    while not _complains(intact):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _complains(description: Description) -> bool:
    """During the update a connection may be refused."""
    try:
        return bool(integrity(description)["status"] == "FAIL")
    except client.Unreachable:
        return False


def test_a_release_is_taken_by_the_next_deploy_or_by_the_webhook(intact: Description) -> None:
    state = Path(intact["state"])
    done = lab(state, "release", "1.6.0", "--behaviour", "missing")
    assert done.returncode == 0, done.stderr
    assert "published lab/api:1.6.0-nosuch" in done.stdout
    assert "by its webhook" in lab(state, "release", "1.6.0", "--webhook").stdout
    _wait_for_version(intact, "1.6.0")


def _wait_for_version(description: Description, version: str) -> None:
    deadline = time.monotonic() + 30
    while _served_version(description) != version:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _served_version(description: Description) -> str | None:
    try:
        return str(api(description, description["api"]["version_path"])[1]["version"])
    except client.Unreachable:
        return None


def test_break_is_a_command(intact: Description) -> None:
    done = lab(Path(intact["state"]), "break", "corrupt")
    assert done.returncode == 0
    assert "balances turned negative" in done.stdout
