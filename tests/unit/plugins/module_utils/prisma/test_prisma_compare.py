# SPDX-License-Identifier: GPL-3.0-or-later
"""What a statement does to the code from before it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._prisma.compare import compare, effects
from ansible_collections.vedfinance.platform.plugins.module_utils._prisma.files import Folder, Migration
from ansible_collections.vedfinance.platform.plugins.module_utils._prisma.script import Unreadable, parts_of
from ansible_collections.vedfinance.platform.plugins.module_utils._prisma.table import History, Row

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def acts_of(*scripts: str) -> list[tuple[str, bool]]:
    migrations = [Migration(f"2026010{number}000000_x", sql) for number, sql in enumerate(scripts)]
    return [(act.kind, act.additive) for _migration, found in effects(migrations, "public") for _part, act in found]


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ('CREATE TABLE "Note" ("id" SERIAL NOT NULL, CONSTRAINT "n" PRIMARY KEY ("id"))', "create table"),
        ('CREATE INDEX "i" ON "Lesson" ("title")', "create index"),
        (
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON lesson USING gin (title) WHERE title IS NOT NULL",
            "create index",
        ),
        ("CREATE TYPE \"Mood\" AS ENUM ('GOOD', 'BAD')", "create type"),
        ('CREATE EXTENSION IF NOT EXISTS "vector"', "create extension"),
        ("CREATE FUNCTION one() RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT 1; $$", "create function"),
        ('ALTER TABLE "Lesson" ADD COLUMN "note" TEXT', "add column"),
        ('ALTER TABLE "Lesson" ADD COLUMN "note" TEXT NOT NULL DEFAULT \'\'', "add column"),
        ("ALTER TABLE lesson ADD COLUMN number bigserial NOT NULL", "add column"),
        ("ALTER TABLE lesson ADD COLUMN n int GENERATED ALWAYS AS (1) STORED", "add column"),
        ('ALTER TABLE "Lesson" ALTER COLUMN "title" SET DEFAULT \'x\'', "set default"),
        (
            "ALTER TABLE lesson ADD COLUMN age int NOT NULL DEFAULT 1 CHECK (age > 0 AND char_length(age::text) < 4)",
            "add column",
        ),
        ("ALTER TABLE lesson ADD COLUMN code uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE", "add column"),
        ("ALTER TABLE lesson ADD COLUMN tags text[] DEFAULT ARRAY['a', 'b']::text[]", "add column"),
        ("ALTER TABLE lesson ALTER COLUMN title SET STORAGE EXTERNAL", "alter column"),
        ('ALTER SEQUENCE "s" OWNED BY "Lesson"."id"', "alter sequence"),
        ('ALTER TABLE "Lesson" VALIDATE CONSTRAINT "c"', "alter table validate"),
        ('ALTER TABLE "Lesson" RENAME CONSTRAINT "a" TO "b"', "rename constraint"),
        ('ALTER INDEX "a" RENAME TO "b"', "alter index"),
        ("ALTER TYPE \"Mood\" ADD VALUE 'FAIR'", "add enum value"),
        ('DROP INDEX "Lesson_title_idx"', "drop index"),
        ("INSERT INTO lesson VALUES (1) ON CONFLICT DO NOTHING", "insert"),
        ("COMMENT ON TABLE lesson IS 'DROP TABLE lesson;'", "comment"),
        ("SELECT 1", "select"),
        ("SET lock_timeout = '1s'", "set"),
    ],
)
def test_old_code_lives_with(statement: str, kind: str) -> None:
    assert acts_of(statement) == [(kind, True)]


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ('DROP TABLE "Lesson"', "drop table"),
        ("DROP VIEW IF EXISTS v CASCADE", "drop view"),
        ('ALTER TABLE "Lesson" DROP COLUMN "title"', "drop column"),
        ('ALTER TABLE "Lesson" DROP "title"', "drop column"),
        ('ALTER TABLE "Lesson" RENAME TO "Course"', "rename table"),
        ('ALTER TABLE "Lesson" RENAME COLUMN "title" TO "name"', "rename column"),
        ('ALTER TABLE "Lesson" RENAME "title" TO "name"', "rename column"),
        ('ALTER TABLE "Lesson" ALTER COLUMN "title" SET DATA TYPE VARCHAR(10)', "alter column type"),
        ("ALTER TABLE lesson ALTER title TYPE int USING title::int", "alter column type"),
        ('ALTER TABLE "Lesson" ALTER COLUMN "title" SET NOT NULL', "set not null"),
        ('ALTER TABLE "Lesson" ALTER COLUMN "title" DROP NOT NULL', "drop not null"),
        ('ALTER TABLE "Lesson" ALTER COLUMN "title" DROP DEFAULT', "drop default"),
        ('ALTER TABLE "Lesson" ADD COLUMN "note" TEXT NOT NULL', "add required column"),
        ("ALTER TABLE lesson ADD COLUMN serial text NOT NULL", "add required column"),
        ("ALTER TABLE lesson ADD COLUMN note text NOT NULL DEFAULT NULL", "add required column"),
        ("ALTER TABLE lesson ADD by int NOT NULL REFERENCES u (id) ON DELETE SET DEFAULT", "add required column"),
        ("ALTER TABLE lesson ADD COLUMN a int CHECK (price > 0)", "add checked column"),
        ("ALTER TABLE lesson ADD COLUMN a text NOT NULL DEFAULT '' UNIQUE CHECK (a <> 'x')", "add unique column"),
        ("ALTER TABLE lesson ADD COLUMN a text UNIQUE NULLS NOT DISTINCT", "add unique column"),
        ("ALTER TABLE lesson ALTER title SET DEFAULT NULL", "drop default"),
        ("ALTER TABLE lesson ALTER id SET GENERATED ALWAYS", "alter column"),
        ("ALTER TABLE lesson ALTER slug SET EXPRESSION AS (lower(title))", "alter column"),
        ('ALTER TABLE "Lesson" DROP CONSTRAINT "Lesson_title_key"', "drop constraint"),
        ("ALTER SEQUENCE s RESTART WITH 1", "alter sequence"),
        ("ALTER SEQUENCE s OWNER TO other", "alter sequence"),
        ('DROP INDEX "Lesson_title_key"', "drop index"),
        ("DROP INDEX idx_lesson_title_unique", "drop index"),
        ("DROP OPERATOR === (int, int)", "drop operator"),
        ("DROP CAST (text AS int)", "drop cast"),
        ("SET search_path TO other", "set"),
        ("CREATE PUBLICATION p FOR ALL TABLES", "create publication"),
        ('ALTER TABLE "Lesson" ADD CONSTRAINT "c" CHECK (id > 0)', "add check constraint"),
        ('ALTER TABLE "Lesson" ADD CONSTRAINT "c" UNIQUE ("title")', "add unique constraint"),
        ('ALTER TABLE "Lesson" ADD FOREIGN KEY ("a") REFERENCES "B" ("id")', "add foreign key constraint"),
        ('CREATE UNIQUE INDEX "u" ON "Lesson" ("title")', "create unique index"),
        ("CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "create function"),
        ("CREATE TRIGGER t BEFORE INSERT ON lesson EXECUTE FUNCTION f()", "create trigger"),
        ('ALTER TABLE "Lesson" ENABLE ROW LEVEL SECURITY', "alter table enable"),
        ('ALTER TABLE "Lesson" SET SCHEMA other', "alter table set"),
        ('ALTER TYPE "Mood" RENAME TO "Temper"', "rename type"),
        ("ALTER TYPE \"Mood\" RENAME VALUE 'GOOD' TO 'FINE'", "alter type"),
        ("TRUNCATE lesson", "truncate"),
        ("DELETE FROM lesson", "delete"),
        ("UPDATE lesson SET title = 'x'", "update"),
        ("INSERT INTO lesson VALUES (1) ON CONFLICT (id) DO UPDATE SET title = 'x'", "insert"),
        ("SELECT setval('s', 1)", "select"),
        ("DO $$ BEGIN DROP TABLE lesson; END $$", "do"),
        ("CALL tidy()", "call"),
        ("REVOKE SELECT ON lesson FROM app", "revoke"),
        ("CREATE SOMETHING new", "create something"),
        ("GARBAGE", "garbage"),
    ],
)
def test_old_code_may_not_live_with(statement: str, kind: str) -> None:
    assert acts_of(statement) == [(kind, False)]


def test_one_statement_can_do_several_things() -> None:
    statement = 'ALTER TABLE "A" ADD COLUMN "b" NUMERIC(8, 2), DROP COLUMN "c", ALTER COLUMN "d" SET NOT NULL'
    assert acts_of(statement) == [("add column", True), ("drop column", False), ("set not null", False)]


def test_what_is_new_is_unknown_to_old_code() -> None:
    table = 'CREATE TABLE "New" ("id" INT, "a" INT);'
    later = 'ALTER TABLE "New" ADD COLUMN "b" INT NOT NULL; DROP TABLE "New"; CREATE UNIQUE INDEX "u" ON "New" ("a");'
    assert [additive for _kind, additive in acts_of(table, later)] == [True] * 4


def test_a_new_column_may_be_filled_and_narrowed() -> None:
    script = (
        'ALTER TABLE "Lesson" ADD COLUMN "slug" TEXT; UPDATE "Lesson" SET "slug" = "title";'
        ' CREATE UNIQUE INDEX "u" ON "Lesson" ("slug");'
        ' ALTER TABLE "Lesson" ADD CONSTRAINT "f" FOREIGN KEY ("slug") REFERENCES "Slug" ("id")'
    )
    assert [additive for _kind, additive in acts_of(script)] == [True] * 4


@pytest.mark.parametrize(
    ("demand", "kind"),
    [
        ('ALTER COLUMN "slug" SET NOT NULL', "set not null"),
        ('ALTER COLUMN "slug" DROP DEFAULT', "drop default"),
        ('ADD PRIMARY KEY ("slug")', "add primary key constraint"),
        ("ADD CHECK (\"slug\" > '')", "add check constraint"),
    ],
)
def test_but_it_may_demand_nothing_of_an_old_table(demand: str, kind: str) -> None:
    script = f'ALTER TABLE "Lesson" ADD COLUMN "slug" TEXT; ALTER TABLE "Lesson" {demand}'
    assert acts_of(script) == [("add column", True), (kind, False)]


@pytest.mark.parametrize(
    "update",
    [
        "UPDATE lesson SET slug = title, title = 'x'",
        "UPDATE lesson SET slug = (SELECT a FROM b), title = 'x'",
        "UPDATE lesson SET (slug, title) = ('a', 'b')",
        "UPDATE lesson SET slug = a IS DISTINCT FROM b, title = 'x'",
    ],
)
def test_an_update_that_touches_an_old_column_too(update: str) -> None:
    assert acts_of("ALTER TABLE lesson ADD COLUMN slug text", update)[1] == ("update", False)


def test_a_table_that_may_have_been_there_is_not_new() -> None:
    assert acts_of("CREATE TABLE IF NOT EXISTS a (id int); DROP TABLE a")[1] == ("drop table", False)


@pytest.mark.parametrize(
    "script",
    [
        "ALTER TABLE a ADD COLUMN IF NOT EXISTS b text; ALTER TABLE a DROP COLUMN b",
        "ALTER TABLE a ADD COLUMN IF NOT EXISTS b text; UPDATE a SET b = ''",
        "CREATE TEMP TABLE a (id int); TRUNCATE public.a",
        "CREATE FUNCTION f(a text, b int) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$; DROP FUNCTION f(text)",
        "CREATE TABLE b (id int); TRUNCATE b, a",
        "CREATE TABLE b (id int); TRUNCATE b CASCADE",
        "CREATE VIEW b AS SELECT * FROM a; DELETE FROM b",
        "CREATE TABLE b (id int); ALTER TABLE b ATTACH PARTITION a DEFAULT",
    ],
)
def test_what_reaches_beyond_the_new(script: str) -> None:
    (_made, is_new), (_kind, additive) = acts_of(script)
    assert is_new
    assert not additive


def test_what_was_renamed_is_as_old_as_it_was() -> None:
    assert acts_of("ALTER TABLE a RENAME TO b", "DROP TABLE b") == [("rename table", False), ("drop table", False)]
    made = acts_of("CREATE TABLE a (id int)", "ALTER TABLE a RENAME TO b", "DROP TABLE b")
    assert [additive for _kind, additive in made] == [True] * 3


@pytest.mark.parametrize(
    ("column", "index", "additive"),
    [
        ("text", "(b)", True),
        ("uuid DEFAULT gen_random_uuid()", "(b)", True),
        ("text NOT NULL DEFAULT ''", "(b)", False),
        ("numeric DEFAULT 0::numeric(8, 2) REFERENCES c (id)", "(b)", False),
        ("text GENERATED ALWAYS AS (lower(title)) STORED", "(b)", False),
        ("text", "(b) NULLS NOT DISTINCT", False),
    ],
)
def test_rows_of_older_code_in_a_unique_index_on_a_new_column(column: str, index: str, additive: bool) -> None:
    script = f"ALTER TABLE a ADD COLUMN b {column}; CREATE UNIQUE INDEX u ON a {index} WHERE b IS NOT NULL"
    assert acts_of(script) == [("add column", True), ("create unique index", additive)]


def test_comments_and_strings_are_no_statements() -> None:
    parts, trailing = parts_of("-- DROP TABLE a;\nSELECT ';' /* ; */ ;\n\n-- last\n")
    assert [(part.shown, part.first, part.comments) for part in parts] == [
        ("SELECT ';' /* ; */", 2, ((1, "-- DROP TABLE a;"),))
    ]
    assert trailing == [(4, "-- last")]


@pytest.mark.parametrize(("sql", "line"), [("SELECT 1;\nSELECT 'abc", 2), ("SELECT 1;\n\\connect other\n", 2)])
def test_what_the_server_would_not_read(sql: str, line: int) -> None:
    with pytest.raises(Unreadable) as raised:
        parts_of(sql)
    assert raised.value.line == line


# -- against a database ----------------------------------------------------------------------------------------------

KNOWN, ADDED, DROPPED = (
    Migration("20260101000000_known", "CREATE TABLE a (id int);"),
    Migration("20260102000000_added", "ALTER TABLE a ADD COLUMN b int;"),
    Migration("20260103000000_dropped", "ALTER TABLE a DROP COLUMN id;"),
)


def applied(migration: Migration, steps: int = 1, finished: datetime | None = NOW) -> Row:
    return Row(migration.name, migration.checksum or "", NOW, finished, None, steps)


def compared(files: list[Migration], *rows: Row) -> dict[str, Any]:
    return compare([KNOWN.name], Folder(tuple(files)), History(rows), "public")


def test_a_database_that_is_not_ahead() -> None:
    assert compared([KNOWN], applied(KNOWN)) == {"ahead": [], "missing": [], "additive": True}


def test_a_database_that_lacks_one() -> None:
    assert compared([KNOWN])["missing"] == [KNOWN.name]


def test_additive_ones_and_others() -> None:
    found = compared([KNOWN, ADDED, DROPPED], applied(KNOWN), applied(ADDED), applied(DROPPED))
    assert [(entry["name"], entry["additive"]) for entry in found["ahead"]] == [
        (ADDED.name, True),
        (DROPPED.name, False),
    ]
    assert not found["additive"]
    assert found["ahead"][1]["statements"] == [
        {
            "statement": "ALTER TABLE a DROP COLUMN id",
            "kind": "drop column",
            "reason": "the older code reads and writes it",
            "additive": False,
        }
    ]
    assert compared([KNOWN, ADDED], applied(KNOWN), applied(ADDED))["additive"]


@pytest.mark.parametrize(
    ("files", "row", "reason"),
    [
        ([KNOWN], applied(ADDED), "is not there"),
        ([KNOWN, Migration(ADDED.name, None)], applied(ADDED), "is not there"),
        ([KNOWN, Migration(ADDED.name, "SELECT 1;")], applied(ADDED), "another checksum"),
        ([KNOWN, ADDED], applied(ADDED, steps=0), "marked as applied without being run"),
        ([KNOWN, ADDED], applied(ADDED, finished=None), "has failed"),
        (
            [KNOWN, Migration(ADDED.name, "SELECT 'x")],
            applied(Migration(ADDED.name, "SELECT 'x")),
            "breaks off",
        ),
    ],
)
def test_what_nobody_can_judge_is_not_additive(files: list[Migration], row: Row, reason: str) -> None:
    found = compared(files, applied(KNOWN), row)
    assert not found["additive"]
    assert reason in found["ahead"][0]["reason"]
