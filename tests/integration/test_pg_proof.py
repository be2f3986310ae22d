# SPDX-License-Identifier: GPL-3.0-or-later
"""Of everything that can be wrong in a restored database, the proof says so; and it says nothing of a faithful one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.connect import Server as Target
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.connect import Session
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.judge import judge
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.model import Dump
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore import catalogue, contents
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.proof import (
    Check,
    Proof,
    obstacles,
    prove,
)

from lab.postgres import REPORT_ROLE, Login, Server
from tests.integration.features import FEATURES

SOURCE = "proof_source"
ACADEMY = f"""
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN percent AS int CHECK (VALUE BETWEEN 0 AND 100);
CREATE TABLE users (id serial PRIMARY KEY, name text NOT NULL DEFAULT 'nobody', email varchar(80) UNIQUE, mood mood,
    seen timestamptz, picture bytea, score double precision, rating real, share percent);
CREATE TABLE courses (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title text, price numeric(8,2),
    twice numeric GENERATED ALWAYS AS (price * 2) STORED, CONSTRAINT is_paid CHECK (price >= 0));
CREATE TABLE enrollments (user_id int REFERENCES users ON DELETE CASCADE, course_id int NOT NULL, since date,
    PRIMARY KEY (user_id, course_id));
ALTER TABLE enrollments ADD CONSTRAINT of_course FOREIGN KEY (course_id) REFERENCES courses
    DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX enrollments_since ON enrollments (since);
CREATE INDEX enrollments_both ON enrollments (since, course_id) WHERE since IS NOT NULL;
CREATE UNIQUE INDEX users_lower ON users (lower(email));
CREATE TABLE logs (id int NOT NULL, at date NOT NULL, note text) PARTITION BY RANGE (at);
CREATE TABLE logs_2025 PARTITION OF logs FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE logs_2026 PARTITION OF logs FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE notes (id int, note text);
CREATE TABLE secrets (id int, owner text);
CREATE TABLE keys (id int);
CREATE SEQUENCE countdown INCREMENT -1;
CREATE TABLE counted (n int DEFAULT nextval('countdown'));
CREATE TABLE parents (n int); CREATE TABLE children (more text) INHERITS (parents);
CREATE TABLE _prisma_migrations (id text, migration_name text, started_at timestamptz, finished_at timestamptz,
    rolled_back_at timestamptz);
CREATE VIEW prices AS SELECT title, price FROM courses;
CREATE MATERIALIZED VIEW titles AS SELECT title FROM courses;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION spare(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
CREATE TRIGGER users_touch BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER notes_touch BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION touch();
CREATE RULE no_delete AS ON DELETE TO notes DO INSTEAD NOTHING;
INSERT INTO secrets VALUES (1, 'somebody'), (2, 'else');
ALTER TABLE secrets ENABLE ROW LEVEL SECURITY; ALTER TABLE secrets FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON secrets USING (owner = current_user);
CREATE STATISTICS both_of_them ON since, course_id FROM enrollments;
CREATE PUBLICATION partly FOR TABLE parents;
CREATE SCHEMA annex;
CREATE SCHEMA spare;
GRANT USAGE ON SCHEMA annex TO {REPORT_ROLE};
GRANT SELECT, INSERT ON courses TO {REPORT_ROLE};
REVOKE ALL ON SCHEMA public FROM PUBLIC;
INSERT INTO users (name, email, mood, seen, picture, score, rating, share) SELECT 'user ' || n, n || '@x.org', 'good',
    timestamptz '2026-01-01 00:00+00' + n * interval '100 days', decode('00ff5c0a', 'hex'), 1 / (n + 0.3), n / 7.0, n
    FROM generate_series(1, 60) n;
INSERT INTO courses (title, price) SELECT 'course ' || n, n * 1.5 FROM generate_series(1, 20) n;
INSERT INTO enrollments SELECT u, 1 + u % 20, date '2026-01-01' + u FROM generate_series(1, 60) u;
INSERT INTO logs SELECT n, date '2025-12-01' + n, 'note' FROM generate_series(1, 60) n;
INSERT INTO notes VALUES (1, E'a\\nb\\\\.'), (1, E'a\\nb\\\\.'), (2, 'c'), (2, 'c'), (3, ''), (4, NULL);
INSERT INTO keys SELECT generate_series(1, 5);
INSERT INTO counted SELECT FROM generate_series(1, 5);
INSERT INTO _prisma_migrations VALUES ('1', 'init', now(), now(), NULL), ('2', 'failed', now(), NULL, now());
REFRESH MATERIALIZED VIEW titles;
"""
# What was done to a restored database, and how that is told. All of it is done at once, as no part touches another.
WRONG_OBJECTS = {
    "table missing": ("DROP TABLE keys", "table public.keys is missing"),
    "index missing": ("DROP INDEX enrollments_since", "index public.enrollments_since is missing"),
    "index on other columns": (
        "DROP INDEX enrollments_both; CREATE INDEX enrollments_both ON enrollments (course_id) WHERE since IS NOT NULL",
        "definition of index public.enrollments_both is btree on public.enrollments (course_id) partial, in the dump",
    ),
    "index not unique": (
        "DROP INDEX users_lower; CREATE INDEX users_lower ON users (lower(email))",
        "definition of index public.users_lower is btree on public.users (an expression), in the dump unique btree",
    ),
    "primary key missing": (
        "ALTER TABLE enrollments DROP CONSTRAINT enrollments_pkey",
        "constraint public.enrollments.enrollments_pkey (primary key) is missing",
    ),
    "unique key on another column": (
        "ALTER TABLE users DROP CONSTRAINT users_email_key, ADD CONSTRAINT users_email_key UNIQUE (name)",
        "definition of key public.users.users_email_key is name, in the dump email",
    ),
    "foreign key that does something else": (
        (
            "ALTER TABLE enrollments DROP CONSTRAINT enrollments_user_id_fkey, ADD CONSTRAINT enrollments_user_id_fkey"
            "  FOREIGN KEY (user_id) REFERENCES users"
        ),
        "definition of foreign key public.enrollments.enrollments_user_id_fkey is (user_id) to public.users (id) on",
    ),
    "foreign key not deferred": (
        "ALTER TABLE enrollments ALTER CONSTRAINT of_course NOT DEFERRABLE",
        "timing of constraint public.enrollments.of_course is immediate, in the dump deferred",
    ),
    "check missing": (
        "ALTER TABLE courses DROP CONSTRAINT is_paid",
        "constraint public.courses.is_paid (check) is missing",
    ),
    "column missing": ("ALTER TABLE users DROP COLUMN picture", "column public.users.picture is missing"),
    "column of another type": (
        "ALTER TABLE users ALTER score TYPE real",
        "type of column public.users.score is real, in the dump double precision",
    ),
    "column of another length": (
        "ALTER TABLE users ALTER email TYPE varchar(81)",
        "type of column public.users.email is character varying ( 81 ), in the dump character varying ( 80 )",
    ),
    "NOT NULL lost": ("ALTER TABLE users ALTER name DROP NOT NULL", "NOT NULL of column public.users.name is missing"),
    "default lost": ("ALTER TABLE users ALTER name DROP DEFAULT", "default of column public.users.name is missing"),
    "serial lost": ("ALTER TABLE users ALTER id DROP DEFAULT", "default of column public.users.id is missing"),
    "identity changed": (
        "ALTER TABLE courses ALTER id SET GENERATED BY DEFAULT",
        "identity of column public.courses.id is by default, in the dump always",
    ),
    "column no longer generated": (
        "ALTER TABLE courses ALTER twice DROP EXPRESSION",
        "generated column public.courses.twice is missing",
    ),
    "sequence lower": (
        "SELECT setval('users_id_seq', 7)",
        "value of sequence public.users_id_seq is 7, in the dump 60",
    ),
    "sequence in other steps": (
        "ALTER SEQUENCE courses_id_seq INCREMENT 2",
        "steps of sequence public.courses_id_seq is by 2, in the dump by 1",
    ),
    "sequence missing": (
        "ALTER TABLE counted ALTER n DROP DEFAULT; DROP SEQUENCE countdown",
        "sequence public.countdown is missing",
    ),
    "sequence of nobody": (
        "ALTER SEQUENCE users_id_seq OWNED BY NONE",
        "owned sequence public.users_id_seq by public.users.id is missing",
    ),
    "view missing": ("DROP VIEW prices", "view public.prices is missing"),
    "materialised view empty": (
        "REFRESH MATERIALIZED VIEW titles WITH NO DATA",
        "filled materialized view public.titles is missing",
    ),
    "function missing": ("DROP FUNCTION spare(int)", "function public.spare #1 is missing"),
    "trigger missing": ("DROP TRIGGER users_touch ON users", "trigger public.users.users_touch is missing"),
    "trigger disabled": (
        "ALTER TABLE notes DISABLE TRIGGER notes_touch",
        "state of trigger public.notes.notes_touch is disable, in the dump enable",
    ),
    "rule missing": ("DROP RULE no_delete ON notes", "rule public.notes.no_delete is missing"),
    "policy missing": ("DROP POLICY own ON secrets", "policy public.secrets.own is missing"),
    "row level security off": (
        "ALTER TABLE secrets DISABLE ROW LEVEL SECURITY",
        "row level security public.secrets (enabled) is missing",
    ),
    "another label": (
        "ALTER TYPE mood RENAME VALUE 'bad' TO 'worse'",
        "labels of enum public.mood is good, worse, in the dump good, bad",
    ),
    "partition detached": (
        "ALTER TABLE logs DETACH PARTITION logs_2025",
        "inheritance public.logs_2025 from public.logs is missing",
    ),
    "disinherited": (
        "ALTER TABLE children NO INHERIT parents",
        "inheritance public.children from public.parents is missing",
    ),
    "table that a crash empties": (
        "ALTER TABLE _prisma_migrations SET UNLOGGED",
        "persistence of table public._prisma_migrations is unlogged, in the dump logged",
    ),
    "statistics missing": ("DROP STATISTICS both_of_them", "statistics object public.both_of_them is missing"),
    "publication missing": ("DROP PUBLICATION partly", "publication partly is missing"),
    "schema missing": ("DROP SCHEMA spare", "schema spare is missing"),
    "another owner": (
        "ALTER TABLE children OWNER TO postgres",
        "owner of relation public.children is postgres, in the dump vedfinance_app",
    ),
    "grant lost": (
        f"REVOKE INSERT ON courses FROM {REPORT_ROLE}",
        f"grant of INSERT on relation public.courses to {REPORT_ROLE} is missing",
    ),
    "grant on a schema lost": (
        f"REVOKE USAGE ON SCHEMA annex FROM {REPORT_ROLE}",
        f"grant of USAGE on schema annex to {REPORT_ROLE} is missing",
    ),
    "open to everybody again": (
        "GRANT USAGE ON SCHEMA public TO PUBLIC",
        "grant of USAGE on schema public to PUBLIC is not in the dump",
    ),
}
# The numbers of rows stay what they were.
WRONG_ROWS = {
    "value changed": ("UPDATE users SET name = 'user 8 ' WHERE id = 8", "users"),
    "one row gone, another double": (
        "DELETE FROM keys WHERE id = 3; INSERT INTO keys VALUES (4)",
        "keys",
    ),
    "values swapped between rows": (
        "UPDATE courses SET price = 31.5 - price WHERE id IN (1, 20)",
        "courses",
    ),
    "empty text for null": ("UPDATE notes SET note = '' WHERE id = 4", "notes"),
    "hidden row changed": ("UPDATE secrets SET owner = 'me' WHERE id = 2", "secrets"),
    "row of a partition": ("UPDATE logs SET note = 'Note' WHERE id = 33", "logs_2026"),
    "date": ("UPDATE enrollments SET since = since + 1 WHERE user_id = 9", "enrollments"),
}  # fmt: skip


class Academy:
    """A database, its dump, and copies of it to be proved."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self._made: list[str] = []

    def fill(self, script: str, clauses: str = "", name: str = SOURCE) -> None:
        self.administer(f"CREATE DATABASE {name} OWNER {self.server.app.user} TEMPLATE template0 {clauses}")
        self._made.append(name)
        self.execute(name, script)

    def dump(self, *arguments: str, database: str = SOURCE) -> Dump:
        path = self.folder / f"{database}.sql"
        self.server.dump(path, *arguments, database=database)
        return judge(str(path), digests=True)

    def copy(self, script: str = "", database: str = SOURCE, login: Login | None = None) -> str:
        name = f"{database}_{len(self._made)}"
        self.administer(f"CREATE DATABASE {name} OWNER {self.server.app.user} TEMPLATE {database}")
        self._made.append(name)
        self.execute(name, script, login)
        return name

    def execute(self, database: str, script: str, login: Login | None = None) -> None:
        with self.server.connect(login or self.server.app, database) as connection:
            connection.execute(script.encode())

    def administer(self, statement: str) -> None:
        with self.server.connect() as connection:
            connection.execute(statement.encode())

    @contextmanager
    def session(self, database: str, login: Login | None = None) -> Iterator[Session]:
        """As the operator, who may do no more than a restore needs."""
        settings, who = self.server.settings, login or self.server.operator
        with Target(settings.host, settings.port, who.user, who.password).connect(database) as session:
            yield session

    def prove(self, database: str, dump: Dump, level: str = "content", **options: object) -> Proof:
        loaded = {name: data.rows or 0 for name, data in dump.data.items()}
        with self.session(database) as session:
            return prove(session, dump, loaded, (), level=level, **options)  # type: ignore[arg-type]  # options of any kind, as the cases name them

    def drop(self) -> None:
        for name in self._made:
            self.administer(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def academy(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Academy]:
    academy = Academy(postgres, tmp_path_factory.mktemp("academy"))
    try:
        academy.fill(ACADEMY)
        yield academy
    finally:
        academy.drop()


@pytest.fixture(scope="module")
def dump(academy: Academy) -> Dump:
    return academy.dump()


@pytest.fixture(scope="module")
def wrong_objects(academy: Academy, dump: Dump) -> list[str]:
    script = ";".join(statement for statement, _said in WRONG_OBJECTS.values())
    with academy.session(academy.copy(script, login=academy.server.superuser)) as session:
        return catalogue.differences(session, dump, frozenset(), {})


@pytest.fixture(scope="module")
def wrong_rows(academy: Academy, dump: Dump) -> tuple[list[str], Proof]:
    script = ";".join(statement for statement, _table in WRONG_ROWS.values())
    copy = academy.copy(script, login=academy.server.superuser)
    with academy.session(copy) as session:
        return contents.differences(session, dump, None, 1), academy.prove(copy, dump)


def results(proof: Proof) -> dict[str, str]:
    return {check.name: check.result for check in proof.checks}


def named(proof: Proof, name: str) -> Check:
    return next(check for check in proof.checks if check.name == name)


def test_a_faithful_database_is_proved_on_one_connection_and_on_several(academy: Academy, dump: Dump) -> None:
    copy = academy.copy()
    alone = academy.prove(copy, dump)
    together = academy.prove(copy, dump, connect=lambda: academy.session(copy), jobs=3)
    assert alone.holds, alone.failures
    assert together.holds, together.failures
    assert alone.rows == together.rows
    assert sum(alone.rows.values()) == dump.rows
    assert list(results(alone)) == [
        "rows", "catalogue", "valid indexes and constraints", "sequences", "prisma_migrations", "content",
    ]  # fmt: skip
    assert {check["name"]: check["seconds"] >= 0 for check in alone.as_dicts()} == dict.fromkeys(results(alone), True)


@pytest.mark.parametrize("what", WRONG_OBJECTS)
def test_a_wrong_object_is_told(wrong_objects: list[str], what: str) -> None:
    assert any(problem.startswith(WRONG_OBJECTS[what][1]) for problem in wrong_objects), wrong_objects


@pytest.mark.parametrize("what", WRONG_ROWS)
def test_wrong_rows_in_the_right_number_are_told(wrong_rows: tuple[list[str], Proof], what: str) -> None:
    table = WRONG_ROWS[what][1]
    assert any(problem.startswith(f"the rows of table public.{table} are not") for problem in wrong_rows[0])


def test_only_their_content_gives_wrong_rows_away(wrong_rows: tuple[list[str], Proof]) -> None:
    problems, proof = wrong_rows
    assert len(problems) == len(WRONG_ROWS)
    assert {name for name, result in results(proof).items() if result != "passed"} == {"content"}


def test_rows_that_are_missing_and_a_key_that_was_never_checked(academy: Academy, dump: Dump) -> None:
    proof = academy.prove(
        academy.copy(
            "DELETE FROM keys WHERE id = 1; ALTER TABLE enrollments DROP CONSTRAINT of_course, ADD CONSTRAINT of_course"
            " FOREIGN KEY (course_id) REFERENCES courses DEFERRABLE INITIALLY DEFERRED NOT VALID"
        ),
        dump,
        "rows",
    )
    assert named(proof, "rows").detail == "table public.keys has 4 rows, the dump 5"
    assert named(proof, "valid indexes and constraints").detail == (
        "constraint public.enrollments.of_course is not validated"
    )
    assert named(proof, "catalogue").result == "passed"


def test_an_index_that_is_built_later_may_be_missing_and_no_other(academy: Academy, dump: Dump) -> None:
    copy = academy.copy("DROP INDEX enrollments_since; DROP INDEX enrollments_both")
    proof = academy.prove(copy, dump, "rows", deferred={"public.enrollments_since"})
    assert named(proof, "catalogue").detail == (
        "index public.enrollments_both is missing; definition of index public.enrollments_both is missing"
    )


# -- what must hold whatever the dump says -------------------------------------------------------------------------


def test_a_sequence_that_the_dump_does_not_set_must_be_ahead(academy: Academy) -> None:
    copy = academy.copy("SELECT setval('users_id_seq', 3); SELECT setval('countdown', -2)")
    text = (academy.folder / f"{SOURCE}.sql").read_text(encoding="utf-8")
    without = academy.folder / "without_setval.sql"
    without.write_text("".join(line for line in text.splitlines(True) if "pg_catalog.setval" not in line), "utf-8")
    dump = judge(str(without))
    check = named(academy.prove(copy, dump, "rows"), "sequences")
    assert check.result == "failed"
    assert check.detail == (
        "sequence public.countdown will give -3, but public.counted.n holds -5;"
        " sequence public.users_id_seq will give 4, but public.users.id holds 60"
    )
    assert academy.prove(copy, dump, "rows", skip={"sequences"}).holds


def test_a_sequence_that_lags_in_the_dump_itself_is_told_and_refuses_nothing(academy: Academy) -> None:
    lagging = academy.copy("SELECT setval('users_id_seq', 3)")
    check = named(academy.prove(lagging, academy.dump(database=lagging), "rows"), "sequences")
    assert check.result == "passed"
    assert check.detail == "sequence public.users_id_seq will give 4, but public.users.id holds 60, in the dump too"


def test_a_migration_that_is_stuck(academy: Academy, dump: Dump) -> None:
    copy = academy.copy("UPDATE _prisma_migrations SET rolled_back_at = NULL")
    proof = academy.prove(copy, dump, "rows")
    assert [(check.name, check.detail) for check in proof.failures] == [
        ("prisma_migrations", "migration failed is not finished")
    ]
    assert academy.prove(copy, dump, "rows", skip={"prisma_migrations"}).holds


# -- the ways in which a dump may be written -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [(), ("--load-via-partition-root",), ("--encoding=LATIN1",)],
    ids=" ".join,
)
def test_every_feature_is_compared_to_the_bit(academy: Academy, arguments: tuple[str, ...]) -> None:
    name = f"features_{len(arguments) and len(arguments[0])}"
    # One of the names there is not in Latin-1.
    features = {feature: script.replace("表", "") for feature, script in FEATURES.items()}
    academy.fill("".join(features.values()), name=name)
    proof = academy.prove(name, academy.dump(*arguments, database=name))
    assert proof.holds, proof.failures


def test_a_dump_that_was_written_in_the_settings_of_its_database(academy: Academy) -> None:
    elsewhere = academy.copy()
    academy.administer(f"ALTER DATABASE {elsewhere} SET timezone TO 'America/St_Johns'")
    academy.administer(f"ALTER DATABASE {elsewhere} SET bytea_output TO 'escape'")
    dump = academy.dump(database=elsewhere)
    assert "-03:30" in Path(dump.path).read_text(encoding="utf-8")
    staging = academy.copy(database=elsewhere)
    proof = academy.prove(staging, dump)
    assert proof.holds, proof.failures


@pytest.fixture(scope="module")
def from_afar(academy: Academy) -> Dump:
    """Written in settings of a database that the server which restores it has never heard of."""
    afar = academy.copy()
    settings = {
        "timezone": "Australia/Lord_Howe", "bytea_output": "escape", "datestyle": "German",
        "intervalstyle": "sql_standard", "extra_float_digits": "0",
    }  # fmt: skip
    for name, value in settings.items():
        academy.administer(f"ALTER DATABASE {afar} SET {name} TO '{value}'")
    dump = academy.dump(database=afar)
    academy.administer(f"ALTER DATABASE {afar} RESET ALL")
    text = Path(dump.path).read_text(encoding="utf-8")
    assert "+10:30" in text
    assert "+11" in text
    return dump


def test_a_dump_that_was_written_in_settings_that_nobody_knows(academy: Academy, from_afar: Dump) -> None:
    here = academy.copy()
    academy.administer(f"ALTER DATABASE {here} SET timezone TO 'Asia/Ho_Chi_Minh'")
    proof = academy.prove(here, from_afar, connect=lambda: academy.session(here), jobs=3)
    assert proof.holds, proof.failures


def test_a_moment_that_was_changed_is_found_whatever_the_settings(academy: Academy, from_afar: Dump) -> None:
    script = "UPDATE users SET seen = seen + interval '1 microsecond' WHERE id = 30; UPDATE users SET seen = seen"
    check = named(academy.prove(academy.copy(script), from_afar), "content")
    assert check.result == "failed"
    assert check.detail.startswith("the rows of table public.users are not those of the dump (timestamps were read in")
    assert "Australia/L" in check.detail


def test_a_table_of_an_extension_has_rows_that_no_dump_holds(academy: Academy, dump: Dump) -> None:
    script = "INSERT INTO keys VALUES (6); ALTER EXTENSION plpgsql ADD TABLE keys"
    proof = academy.prove(academy.copy(script, login=academy.server.superuser), dump)
    assert proof.holds, proof.failures
    assert named(proof, "content").detail == (
        "table public.keys belongs to an extension and holds rows of its own: not compared"
    )
    fewer = academy.copy("ALTER EXTENSION plpgsql ADD TABLE keys; DELETE FROM keys", login=academy.server.superuser)
    assert named(academy.prove(fewer, dump, "rows"), "rows").detail == "table public.keys has 0 rows, the dump 5"


def test_a_table_of_an_extension_that_its_user_may_not_read(academy: Academy, dump: Dump) -> None:
    script = "CREATE TABLE secret (n int); ALTER EXTENSION plpgsql ADD TABLE secret"
    proof = academy.prove(academy.copy(script, login=academy.server.superuser), dump)
    assert proof.holds, proof.failures


def test_a_role_that_was_renamed(academy: Academy, dump: Dump) -> None:
    copy = academy.copy()
    renamed = {academy.server.app.user: "postgres", REPORT_ROLE: academy.server.operator.user}
    with academy.session(copy) as session:
        problems = catalogue.differences(session, dump, frozenset(), renamed)
    assert "owner of relation public.users is vedfinance_app, in the dump postgres" in problems
    assert "grant of USAGE on schema annex to platform_operator is missing" in problems


# -- amcheck -------------------------------------------------------------------------------------------------------


@pytest.fixture
def amcheck(postgres: Server) -> bool:
    with postgres.connect() as connection:
        return _value(connection, "SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'") == 1


def _value(connection: psycopg.Connection[tuple[object, ...]], query: str) -> object:
    row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None


def test_what_deep_needs_is_said_before(academy: Academy, dump: Dump, amcheck: bool) -> None:
    with academy.session("postgres") as session:
        said = obstacles(dump, "deep", session)
        assert obstacles(dump, "content", session) == []
    assert any("needs a superuser" in line for line in said)
    assert any("lacks the extension amcheck" in line for line in said) is not amcheck


LYING_INDEX = (
    "CREATE FUNCTION same(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';"
    "CREATE INDEX lying ON keys (same(id));"
    "CREATE OR REPLACE FUNCTION same(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1'"
)


WATCHER = (
    "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END';"
    "CREATE EVENT TRIGGER watcher ON ddl_command_start EXECUTE FUNCTION refuse()"
)


STORED_IN_ANOTHER_WAY = (
    "CREATE ACCESS METHOD another TYPE TABLE HANDLER heap_tableam_handler; CREATE TABLE odd (n int) USING another"
)


@pytest.mark.parametrize(
    ("script", "said"),
    [(WATCHER, ""), (STORED_IN_ANOTHER_WAY, ""), (LYING_INDEX, "index lying is damaged")],
    ids=["well", "not to be checked", "ill"],
)
def test_deep_looks_into_indexes_and_leaves_nothing_behind(
    academy: Academy, dump: Dump, amcheck: bool, script: str, said: str
) -> None:
    copy = academy.copy(script, login=academy.server.superuser)
    catalogues = (
        "SELECT count(*) FROM pg_extension",
        "SELECT count(*) FROM pg_namespace",
        "SELECT count(*) FROM pg_proc",
    )
    with academy.session(copy, academy.server.superuser) as session:
        before = [session.value(query) for query in catalogues]
        proof = prove(session, dump, {name: data.rows or 0 for name, data in dump.data.items()}, (), level="deep")
        assert [session.value(query) for query in catalogues] == before
    check = named(proof, "amcheck")
    if amcheck:
        assert check.result == ("failed" if said else "passed")
        assert check.detail.startswith(said)
    else:
        assert check.result == "could not run"
