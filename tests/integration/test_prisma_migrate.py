# SPDX-License-Identifier: GPL-3.0-or-later
"""prisma_migrate with the real Prisma on a real PostgreSQL, and each of its refusals before Prisma is called."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lab import prisma
from lab.migrations import BOOKS
from lab.postgres import Server, free_port
from tests.fake_docker import FakeDocker
from tests.integration.world import Live
from tests.modules import result_of, run_module, start_module

FIRST, SECOND, THIRD = "20260101000000_init", "20260102000000_second", "20260103000000_third"
FOURTH = "20260104000000_fourth"
INIT = 'CREATE TABLE "Lesson" ("id" SERIAL NOT NULL, "title" TEXT NOT NULL, CONSTRAINT "L" PRIMARY KEY ("id"));\n'
SCHEMA = """
generator client {
  provider   = "prisma-client"
  output     = "../generated"
  engineType = "client"
}

datasource db {
  provider = "postgresql"
  url      = env("DATABASE_URL")
}

model Lesson {
  id    Int    @id @default(autoincrement())
  title String
}
"""
DUMP = "/backups/postgres/vedfinance_before.dump"


class World(Live):
    """A database of the application's, and a project with migrations beside it."""

    @property
    def project(self) -> Path:
        return self.folder / "api"

    def write(self, migrations: Mapping[str, str | None]) -> None:
        for name, sql in migrations.items():
            folder = self.project / "prisma" / "migrations" / name
            folder.mkdir(parents=True, exist_ok=True)
            if sql is not None:
                (folder / "migration.sql").write_text(sql)

    def note(self, name: str, sql: str, *, failed: str | None = None, steps: int = 1) -> None:
        """A row as Prisma writes it, without running anything."""
        with self.server.connect(self.server.app, self.name) as connection:
            if connection.execute("SELECT to_regclass('_prisma_migrations')").fetchone() == (None,):
                connection.execute(BOOKS)
            connection.execute(
                'INSERT INTO _prisma_migrations ("id", "checksum", "migration_name", "finished_at", "logs",'
                " \"applied_steps_count\") VALUES (%s, encode(sha256(convert_to(%s, 'UTF8')), 'hex'), %s,"
                " CASE WHEN %s THEN NULL ELSE now() END, %s, %s)",
                (name[:36], sql, name, failed is not None, failed, steps),
            )

    def migrate(self, state: str = "deployed", *, check: bool = False, **options: Any) -> dict[str, Any]:
        return run_module("prisma_migrate", self.arguments(state, **options), check=check)

    def arguments(self, state: str, **options: Any) -> dict[str, Any]:
        login = {name: value for name, value in self.login.items() if name != "client_bin_dir"}
        path = {} if "files" in options else {"path": str(self.project / "prisma" / "migrations")}
        return {"state": state, "database": self.name, "dump": DUMP, **path, **login, **options}

    def states(self) -> dict[str, str]:
        return {each["name"]: each["state"] for each in self.migrate("checked")["migrations"]}


@pytest.fixture
def world(postgres: Server, tmp_path: Path) -> Iterator[World]:
    world = World(postgres, f"prisma_{tmp_path.name[-24:].strip('_')}"[:50].lower(), tmp_path)
    world.create()
    try:
        yield world
    finally:
        world.drop()


@pytest.fixture(scope="module")
def installed() -> Path:
    found = prisma.installed_prisma()
    if found is None:
        pytest.skip("npm cannot install Prisma here: it is not tried")
    return found


@pytest.fixture
def real(world: World, installed: Path) -> dict[str, Any]:
    """The options by which the real Prisma runs in the project."""
    (world.project / "prisma" / "migrations").mkdir(parents=True)
    (world.project / "prisma" / "schema.prisma").write_text(SCHEMA)
    (world.project / "prisma" / "migrations" / "migration_lock.toml").write_text('provider = "postgresql"\n')
    return {"prisma_cli": prisma.prepare_project(world.project, installed), "chdir": str(world.project)}


# -- the real Prisma ---------------------------------------------------------------------------------------------------


def test_migrations_are_applied_generated_and_verified(world: World, real: dict[str, Any]) -> None:
    seen = (
        "CREATE TABLE \"Seen\" AS SELECT current_setting('lock_timeout') AS lock, current_user AS who,"
        " current_setting('statement_timeout') AS statement, current_setting('application_name') AS name;\n"
    )
    world.write({FIRST: INIT, SECOND: seen})
    planned = world.migrate(check=True, **real)
    assert planned["changed"]
    assert planned["plan"] == [{"name": FIRST, "statements": 1}, {"name": SECOND, "statements": 1}]
    assert world.states() == {FIRST: "pending", SECOND: "pending"}

    done = world.migrate(generate=True, run="run7", lock_timeout="3s", statement_timeout="2m", **real)
    assert done["changed"], done["msg"]
    assert [each["name"] for each in done["applied"]] == [FIRST, SECOND]
    assert (done["head_before"], done["head_after"], done["generated"]) == (None, SECOND, True)
    assert done["diff"]["after"] == planned["diff"]["after"] == f"{FIRST}\n{SECOND}\n"
    assert (world.project / "generated").is_dir()
    assert world.login["login_password"] not in json.dumps(done)
    owner = world.server.settings.app_user
    row = 'SELECT row("lock", "statement", "who", "name")::text FROM "Seen"'
    assert world.value(row) == f'(3s,2min,{owner},"vedfinance.platform migrate run7")'

    again = world.migrate(**real)
    assert (again["changed"], again["applied"], again["diff"]["before"]) == (False, [], again["diff"]["after"])
    assert not world.migrate("verified").get("failed")


def test_what_failed_is_explained_with_the_way_back_and_blocks_the_next(world: World, real: dict[str, Any]) -> None:
    broken = 'ALTER TABLE "Lesson" ADD COLUMN "a" INT;\nCREATE INDEX "x" ON "Absent" ("id");\n'
    world.write({FIRST: INIT, SECOND: broken, THIRD: "SELECT 1;\n"})
    failed = world.migrate(restore_command="restore it", **real)
    assert failed["failed"]
    assert failed["changed"]
    assert [each["name"] for each in failed["applied"]] == [FIRST]
    assert (failed["failure"]["code"], failed["failure"]["sqlstate"]) == ("P3018", "42P01")
    assert f"{SECOND} failed" in failed["msg"]
    assert f"The dump from before is {DUMP}, restored by: restore it." in failed["msg"]
    assert world.states() == {FIRST: "applied", SECOND: "failed", THIRD: "pending"}

    for check in (True, False):
        refused = world.migrate(check=check, **real)
        assert refused["failed"]
        assert not refused["changed"]
        assert "Nothing was deployed." in refused["msg"]
        assert "P3009" in refused["msg"]
        assert "42P01" in refused["msg"]
        assert f"--rolled-back {SECOND}" in refused["msg"]
    verified = world.migrate("verified")
    outcomes = {each["name"]: each["outcome"] for each in verified["checks"]}
    assert (outcomes["nothing pending"], outcomes["nothing failed"]) == ("failed", "failed")


def test_in_a_container_of_the_image_which_is_removed(
    world: World, real: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docker").mkdir()
    docker = FakeDocker(tmp_path / "docker", monkeypatch)
    docker.list("vedfinance-migrate-dead\texited\tExited (137) 3 hours ago")
    world.write({FIRST: INIT})
    settings = world.server.settings
    password = settings.app_password
    env_file = tmp_path / "api.env"
    address = f"{settings.app_user}:{password}@{settings.host}:{settings.port}"
    env_file.write_text(f'DATABASE_URL="postgresql://{address}/{world.name}"\n')
    options = {
        "prisma_cli": real["prisma_cli"],
        "workdir": real["chdir"],
        "image": "vedfinance/api:1.4.0",
        "network": "dokploy-network",
        "env_file": str(env_file),
        "run": "7",
    }
    done = world.migrate(**options)
    assert [each["name"] for each in done["applied"]] == [FIRST], done["msg"]
    assert done["notes"] == [
        "The container vedfinance-migrate-dead of an earlier migration (Exited (137) 3 hours ago) is removed."
    ]
    calls = docker.calls()
    assert [call.split()[0] for call in calls] == ["rm", "run", "rm"]
    assert calls[0] == "rm --force vedfinance-migrate-dead"
    assert "--rm --name vedfinance-migrate-7" in calls[1]
    assert "--network dokploy-network" in calls[1]
    assert calls[2] == "rm --force vedfinance-migrate-7"
    assert password not in json.dumps(done) + "".join(calls)

    # One that runs may be at work: nobody but a person ends it.
    docker.list("vedfinance-migrate-6\trunning\tUp 2 minutes")
    world.write({SECOND: "SELECT 1;\n"})
    refused = world.migrate(**options)
    assert (
        "The container vedfinance-migrate-6 of an earlier migration is still running (Up 2 minutes)" in refused["msg"]
    )
    assert len(docker.calls()) == 3


def test_a_server_that_prisma_cannot_reach_is_p1001(world: World, real: dict[str, Any]) -> None:
    world.write({FIRST: INIT})
    failed = world.migrate(database_url=f"postgresql://a:secretly@127.0.0.1:{free_port()}/{world.name}", **real)
    assert failed["failure"]["code"] == "P1001"
    assert not failed["changed"]
    assert DUMP in failed["msg"]
    assert "secretly" not in json.dumps(failed)


# -- what is judged by the table, whatever Prisma says -----------------------------------------------------------------


def stand_in(script: str) -> dict[str, Any]:
    return {"prisma_cli": ["sh", "-c", script, "prisma"]}


def test_an_exit_status_proves_nothing(world: World) -> None:
    world.write({FIRST: INIT})
    failed = world.migrate(**stand_in("echo All migrations have been successfully applied."))
    assert f"Prisma ended well and has not applied {FIRST}" in failed["msg"]
    assert not failed["changed"]
    psql = f"PGOPTIONS= '{world.server.settings.bin}/psql' -q \"${{DATABASE_URL%%\\?*}}\""
    insert = (
        "INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at, applied_steps_count) SELECT 'x',"
        f" encode(sha256(convert_to(E'SELECT 1;\\\\n', 'UTF8')), 'hex'), '{FIRST}', now(), 1"
    )
    world.write({FIRST: "SELECT 1;\n"})
    world.execute(BOOKS)
    done = world.migrate(role=world.login["login_user"], **stand_in(f'{psql} -c "{insert}"; exit 1'))
    assert not done.get("failed"), done["msg"]
    assert [each["name"] for each in done["applied"]] == [FIRST]
    assert done["notes"] == ["Prisma ended with exit status 1, but the table says that everything was applied."]


def test_one_that_hangs_is_ended(world: World) -> None:
    world.write({FIRST: INIT})
    failed = world.migrate(timeout="1s", **stand_in("sleep 600"))
    assert "Prisma was ended after" in failed["msg"]
    assert DUMP in failed["msg"]


def test_one_whose_play_is_gone_says_what_is_not_known(world: World, tmp_path: Path) -> None:
    world.write({FIRST: INIT})
    begun = tmp_path / "begun"
    process = start_module("prisma_migrate", world.arguments("deployed", **stand_in(f"touch '{begun}'; sleep 600")))
    until = time.monotonic() + 60
    while not begun.exists() and time.monotonic() < until and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    result = result_of(process)
    assert result["failed"]
    assert "How far the migrations came is not known" in result["msg"]
    assert DUMP in result["msg"]


# -- refused before Prisma is called ----------------------------------------------------------------------------------


def test_whoever_holds_the_lock_is_named(world: World) -> None:
    world.write({FIRST: INIT})
    with world.server.connect(world.server.app, world.name) as holder:
        holder.execute("SET application_name = 'the other migrator'")
        holder.execute("SELECT pg_advisory_lock(72707369)")
        refused = world.migrate(**stand_in("false"))
        assert refused["lock"]["pid"] == holder.info.backend_pid
        assert refused["lock"]["application"] == "the other migrator"
        assert f"process {holder.info.backend_pid} (the other migrator, from 127.0.0.1)" in refused["msg"]
        assert f"pg_terminate_backend({holder.info.backend_pid})" in refused["msg"]
    assert "lock" not in world.migrate(**stand_in("false"))


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        ("baseline", "P3005"),
        ("incomplete", "P3015"),
        ("database", "names the database 'another'"),
        ("schema", "names the schema 'app'"),
    ],
)
def test_it_does_not_begin(world: World, prepare: str, said: str) -> None:
    world.write({FIRST: INIT})
    options: dict[str, Any] = stand_in("touch /no/such/folder/must/not/run")
    if prepare == "baseline":
        world.execute("CREATE TABLE legacy (id int)")
    elif prepare == "incomplete":
        world.write({SECOND: None})
    elif prepare == "database":
        options["database_url"] = "postgresql://a@b/another"
    else:
        options["database_url"] = f"postgresql://a@b/{world.name}?schema=app"
    refused = world.migrate(**options)
    assert refused["failed"]
    assert said in refused["msg"]


# -- looked at ---------------------------------------------------------------------------------------------------------


def test_files_read_elsewhere_are_as_good_as_a_folder(world: World) -> None:
    world.write({FIRST: INIT, SECOND: "SELECT 1;\n"})
    world.note(FIRST, INIT)
    read = run_module("prisma_migrate", {"state": "read", "path": str(world.project / "prisma" / "migrations")})
    assert read["names"] == [FIRST, SECOND]
    there, here = world.migrate("checked", files=read["files"]), world.migrate("checked")
    assert there["migrations"] == here["migrations"]
    assert there["pending"] == [SECOND]


def test_a_database_ahead_of_a_release(world: World) -> None:
    change = 'ALTER TABLE "Lesson" DROP COLUMN "title";\n'
    world.write({FIRST: INIT, SECOND: change})
    world.note(FIRST, INIT)
    world.note(SECOND, change)
    found = world.migrate("compared", known=[FIRST])
    assert not found["additive"]
    assert found["ahead"][0]["statements"][0]["kind"] == "drop column"
    assert found["missing"] == []
    assert world.migrate("compared", known=[FIRST, SECOND])["additive"]
    # Without the files nobody can say.
    assert "is not there" in world.migrate("compared", known=[FIRST], files={})["ahead"][0]["reason"]


def test_broken_indexes_and_open_constraints_are_found(world: World) -> None:
    world.write({FIRST: INIT})
    world.note(FIRST, INIT)
    world.execute(INIT)
    world.execute("INSERT INTO \"Lesson\" (title) VALUES ('a'), ('a')")
    world.execute('ALTER TABLE "Lesson" ADD CONSTRAINT positive CHECK (id > 0) NOT VALID')
    assert "every constraint validated" in str(world.migrate("verified")["checks"])
    with (
        world.server.connect(world.server.app, world.name) as connection,
        pytest.raises(psycopg.errors.UniqueViolation),
    ):
        connection.execute('CREATE UNIQUE INDEX CONCURRENTLY half ON "Lesson" (title)')
    outcomes = {each["name"]: (each["outcome"], each["detail"]) for each in world.migrate("verified")["checks"]}
    assert outcomes["no invalid index"][0] == "failed"
    assert "half on Lesson" in outcomes["no invalid index"][1]
    assert outcomes["every constraint validated"][0] == "warning"


def test_a_comparison_that_could_not_run_does_not_pass(world: World) -> None:
    world.write({FIRST: INIT})
    world.note(FIRST, INIT)
    for script, outcome in (("exit 0", "passed"), ("echo differs; exit 2", "failed"), ("exit 1", "could not run")):
        result = world.migrate("verified", drift=True, **stand_in(script))
        assert result["checks"][-1]["outcome"] == outcome
        assert result.get("failed", False) == (outcome != "passed")


# -- linted -----------------------------------------------------------------------------------------------------------

TABLES = """
CREATE TABLE "Big" (id int PRIMARY KEY, title text, at timestamptz, plain timestamp, day date);
INSERT INTO "Big" SELECT n, 't', now(), now(), now() FROM generate_series(1, 3000) n;
CREATE TABLE "Small" (id int);
CREATE TABLE "One" (id int);
INSERT INTO "One" VALUES (1);
CREATE FUNCTION steady(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION moody(text) RETURNS text LANGUAGE plpgsql STABLE AS 'BEGIN RETURN $1; END';
ANALYZE "Big", "Small", "One";
"""
INDEXES = (
    'ON "Big" ("title") WHERE "at" > now()',
    'ON "Big" ("title") WHERE "day" < CURRENT_DATE',
    'ON "Big" ("title") WHERE "title" IN (\'now()\', \'x\')',
    'ON "Big" (lower("title"), "id" DESC)',
    'ON "Big" (date_trunc(\'day\', "at"))',
    'ON "Big" (date_trunc(\'day\', "plain"))',
    "ON \"Big\" (date_trunc('day', \"at\", 'UTC'))",
    'ON "Big" (("at"::date))',
    'ON "Big" (("plain"::date))',
    'ON "Big" ((("title")::date))',
    'ON "Big" (("day"::text))',
    'ON "Big" (("id"::text))',
    'ON "Big" (to_char("plain", \'YYYY\'))',
    'ON "Big" USING gin (to_tsvector("title"))',
    'ON "Big" USING gin (to_tsvector(\'english\', "title"))',
    'ON "Big" (EXTRACT(year FROM "at"))',
    'ON "Big" (EXTRACT(year FROM "plain"))',
    'ON "Big" (coalesce(steady("title"), moody("title")))',
    'ON "Big" (steady("title")) WHERE length("title") > 3',
    'ON "Big" (md5("title")) WHERE random() < 0.5',
)


@pytest.fixture
def tables(world: World) -> World:
    world.execute(TABLES)
    return world


def linted(world: World, migrations: Mapping[str, str], **options: Any) -> dict[str, Any]:
    files = {"migrations": [{"name": name, "sql": sql} for name, sql in migrations.items()], "loose": []}
    world.execute(BOOKS.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS"))
    return world.migrate("linted", files=files, large_rows=1000, **options)


def test_what_an_index_is_made_of_is_judged_as_the_server_does(tables: World) -> None:
    migrations = {f"202601010000{number:02}_x": f"CREATE INDEX {index};" for number, index in enumerate(INDEXES)}
    found = linted(tables, migrations, lint_with=["own"], fail_on="never")["findings"]
    refused = {
        each["statement"].removeprefix("CREATE INDEX ") for each in found if each["rule"] == "non-immutable-in-index"
    }
    by_the_server = set()
    with tables.server.connect(tables.server.app, tables.name) as connection:
        for index in INDEXES:
            try:
                connection.execute(f"CREATE INDEX {index}")
            except psycopg.errors.InvalidObjectDefinition:
                by_the_server.add(index)
    assert refused == by_the_server
    assert {each["rule"] for each in found} == {"non-immutable-in-index"}


def rules(result: Mapping[str, Any]) -> list[tuple[str, int, str, str]]:
    return [(each["migration"], each["line"], each["severity"], each["rule"]) for each in result["findings"]]


def test_what_is_absent_on_the_target_and_not_made_before(tables: World) -> None:
    result = linted(
        tables,
        {
            FIRST: 'CREATE TYPE "Mood" AS ENUM (\'GOOD\');\nCREATE TABLE "New" ("id" INT, "m" "Mood", "e" vector(3));\n'
            'CREATE INDEX ON "New" ("id");\nALTER TABLE "New" ADD FOREIGN KEY ("id") REFERENCES "Gone" ("id");\n',
            SECOND: 'ALTER TABLE "Nowhere" ADD COLUMN "x" INT;\nALTER TABLE "Small" ADD COLUMN "t" "Temper";\n'
            'CREATE EXTENSION "no such thing";\nALTER TABLE IF EXISTS "Perhaps" ADD COLUMN "x" INT;\n'
            'DROP TABLE "Small";\nCREATE INDEX ON "Small" ("id");\n',
            THIRD: 'CREATE INDEX CONCURRENTLY "a" ON "Big" ("id");\nCREATE INDEX CONCURRENTLY "b" ON "New" ("id");\n',
            FOURTH: 'CREATE INDEX CONCURRENTLY "a" ON "Big" ("id");\n',
            "20260105000000_cut": "SELECT 1;\nSELECT 'abc",
        },
        lint_with=["own"],
    )
    assert result["failed"]
    assert rules(result) == [
        (FIRST, 2, "error", "absent-extension"),
        (FIRST, 4, "error", "absent-table"),
        (SECOND, 1, "error", "absent-table"),
        (SECOND, 2, "error", "absent-type"),
        (SECOND, 3, "error", "absent-extension"),
        (SECOND, 6, "error", "absent-table"),
        (THIRD, 1, "error", "concurrently-in-multi-statement"),
        (THIRD, 2, "error", "concurrently-in-multi-statement"),
        ("20260105000000_cut", 2, "error", "unreadable"),
    ]


def test_squawk_weighs_by_the_size_of_the_table(tables: World) -> None:
    index = "require-concurrent-index-creation"
    result = linted(
        tables,
        {
            FIRST: 'CREATE INDEX "a" ON "Big" ("id");\nCREATE INDEX "b" ON "Small" ("id");\n'
            'CREATE TABLE "New" ("id" INT);\nCREATE INDEX "c" ON "New" ("id");\n',
            SECOND: 'ALTER TABLE "One" DROP COLUMN "id";\nALTER TABLE "Small" DROP COLUMN "id";\n'
            '-- squawk-ignore ban-drop-table\nDROP TABLE "Small";\n',
            THIRD: f'-- lint: allow {index} because nobody writes at night\nCREATE INDEX "d" ON "Big" ("id");\n'
            '-- lint: allow ban-drop-column\nALTER TABLE "One" DROP COLUMN "id";\n'
            '-- lint: allow ban-drop-table because it is unused\nDROP INDEX CONCURRENTLY "b";\n',
            FOURTH: "SELECT 1;\nSELEC 1;\n",
        },
        fail_on="never",
    )
    assert rules(result) == [
        (FIRST, 1, "error", index),
        (FIRST, 2, "warning", index),
        (SECOND, 1, "error", "ban-drop-column"),
        (SECOND, 2, "warning", "ban-drop-column"),
        (THIRD, 3, "error", "escape-without-reason"),
        (THIRD, 4, "error", "ban-drop-column"),
        (THIRD, 5, "warning", "unused-escape"),
        (THIRD, 6, "error", "concurrently-in-multi-statement"),
        (FOURTH, 2, "error", "syntax-error"),
        (FOURTH, 2, "error", "syntax-error"),
    ]
    assert result["findings"][0]["rows"] == 3000
    assert result["allowed"] == [{"migration": THIRD, "line": 1, "rule": index, "reason": "nobody writes at night"}]


def test_only_what_is_pending_is_linted(tables: World) -> None:
    sql = 'CREATE INDEX "a" ON "Big" ("id");\n'
    tables.execute(BOOKS)
    tables.note(FIRST, sql)
    tables.note(SECOND, "another")
    result = linted(tables, {FIRST: sql, SECOND: sql, THIRD: "SELECT 1;\n"})
    assert (result["findings"], result["pending"]) == ([], [THIRD])
    assert result["msg"] == "1 pending migration linted: 0 errors and 0 warnings."


def test_without_squawk_it_says_what_to_do(tables: World) -> None:
    failed = linted(tables, {FIRST: "SELECT 1;\n"}, squawk="no-such-squawk")
    assert "The program no-such-squawk is not on this host." in failed["msg"]
    assert "pip install squawk-cli" in failed["msg"]
    assert not linted(tables, {FIRST: "SELECT 1;\n"}, squawk="no-such-squawk", lint_with=["own"]).get("failed")


def test_a_warning_stops_only_who_wants_it(tables: World) -> None:
    small = {FIRST: 'CREATE INDEX "b" ON "Small" ("id");\n'}
    assert not linted(tables, small).get("failed")
    failed = linted(tables, small, fail_on="warning")
    assert failed["failed"]
    assert "-- lint: allow <rule> because <reason>" in failed["msg"]
