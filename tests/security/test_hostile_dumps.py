# SPDX-License-Identifier: GPL-3.0-or-later
"""Dumps whose maker means harm: refused before the server is touched, or loaded by a role that can do nothing.

A confined restore is attacked from every place where PostgreSQL lets a dump's own code run while it is loaded or
proved. The same dump in a superuser's session is the control: it shows that the attacks are real.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.judge import judge
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.model import DumpRejected

from lab.postgres import REPORT_ROLE, Server
from tests.integration.world import SCHOOL, Live
from tests.modules import run_module

#: By what it tries: SQL for EXECUTE. {file} is a path that the server's user may write.
ATTACKS = {
    "run a program": "COPY (SELECT 1) TO PROGRAM 'cat > {file}'",
    "write a file": "COPY (SELECT 1) TO '{file}'",
    "read a file": "SELECT pg_read_file('/etc/passwd')",
    "export a large object": "DO $$DECLARE made oid := lo_create(0); BEGIN PERFORM lo_export(made, '{file}'); END$$",
    "import a file": "SELECT lo_import('/etc/passwd')",
    "load native code": (
        "CREATE FUNCTION public.native() RETURNS language_handler LANGUAGE c"
        " AS '$libdir/plpgsql', 'plpgsql_call_handler'"
    ),
    "change a role": "ALTER ROLE {app} CONNECTION LIMIT 7",
    "become the app": "SET ROLE {app}",
    "change live": "ALTER DATABASE {live} CONNECTION LIMIT 7",
    "close live": "UPDATE pg_database SET datallowconn = false WHERE datname = '{live}'",
    "make a superuser's function": "ALTER FUNCTION public.attack(text) OWNER TO {superuser}",
    "put something into pg_catalog": "CREATE FUNCTION pg_catalog.evil() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "listen to all statements": (
        "CREATE FUNCTION public.hears() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
        "CREATE EVENT TRIGGER evil ON ddl_command_end EXECUTE FUNCTION public.hears()"
    ),
    "read passwords": "SELECT rolpassword FROM pg_authid",
    "create a database user": "CREATE ROLE evil SUPERUSER",
}
#: Where code of a dump runs, each with its own label; what PostgreSQL itself would not let run there is not here.
HOSTILE = """
CREATE TABLE loot (place text, attack text, said text);
CREATE FUNCTION attack(place text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $attack$
BEGIN
    RETURN public.attack_for_real(place);
END $attack$;
CREATE FUNCTION attack_for_real(place text) RETURNS boolean LANGUAGE plpgsql AS $attack$
DECLARE each record;
BEGIN
    BEGIN
        PERFORM pg_catalog.set_config('role', 'none', false);
    EXCEPTION WHEN OTHERS THEN NULL; END;
    -- Behind the swap it is the application's own code, with the application's rights.
    IF current_database() NOT LIKE '%staging%' THEN RETURN true; END IF;
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        INSERT INTO public.loot VALUES (place, 'become a superuser', 'DONE');
    END IF;
    FOR each IN SELECT * FROM public.tried LOOP
        BEGIN
            EXECUTE each.statement;
            RAISE EXCEPTION 'DONE';
        EXCEPTION WHEN OTHERS THEN
            INSERT INTO public.loot VALUES (place, each.name, SQLERRM);
        END;
    END LOOP;
    RETURN true;
END $attack$;
CREATE TABLE tried (name text, statement text);
CREATE DOMAIN attacked AS text CHECK (attack_for_real('domain'));
CREATE TABLE victims (
    id int CHECK (attack_for_real('check')), name attacked,
    made int GENERATED ALWAYS AS (attack('generated')::int) STORED
);
CREATE TABLE filled (id int, extra boolean DEFAULT attack_for_real('default'));
CREATE TABLE divided (id int) PARTITION BY LIST (attack('partition key' || left(id::text, 0)));
CREATE TABLE divided_1 PARTITION OF divided DEFAULT;
CREATE TABLE triggered (id int);
CREATE INDEX ON victims (attack('index'));
CREATE MATERIALIZED VIEW seen AS SELECT attack_for_real('view') AS done;
CREATE VIEW users AS SELECT set_config('role', 'none', false) AS role;
"""
PLACES = {"domain", "check", "generated", "default", "partition key", "trigger", "index", "view"}
NEVER_WRITTEN = {
    "a program as a source": "COPY public.t FROM PROGRAM 'id';",
    "a file as a target": "COPY public.t TO '/tmp/x';",
    "a query for a program": "COPY (SELECT 1) TO PROGRAM 'id';",
    "a shell": "\\! id",
    "a shell behind a statement": "SELECT pg_catalog.set_config('search_path', '', false) \\! id\n;",
    "a pipe for the output": "\\o |id",
    "a pipe for one result": "SELECT 1 \\g |id",
    "statements made of rows": "SELECT 'DROP TABLE x' \\gexec",
    "a file to read": "\\i /etc/passwd",
    "a file of psql's own": "\\copy t FROM PROGRAM 'id'",
    "an environment": "\\setenv PAGER id",
    "a second restrict": "\\restrict again",
    "another database": "\\connect postgres",
    "lo_export": "SELECT pg_catalog.lo_export(1, '/tmp/x');",
    "lo_import": "SELECT pg_catalog.lo_import('/etc/passwd');",
    "a file of the server": "SELECT pg_catalog.pg_read_file('/etc/passwd');",
    "the role by set_config": "SELECT pg_catalog.set_config('role', 'postgres', false);",
    "a call among arguments": "SELECT pg_catalog.setval('s', (SELECT pg_catalog.lo_import('/etc/passwd')));",
    "a call in a query": "SELECT * FROM pg_catalog.dblink('x', 'y') AS t(a int);",
    "SET ROLE": "SET ROLE postgres;",
    "RESET ROLE": "RESET ROLE;",
    "RESET ALL": "RESET ALL;",
    "DISCARD": "DISCARD ALL;",
    "SET SESSION AUTHORIZATION": "SET SESSION AUTHORIZATION DEFAULT;",
    "SET of another setting": "SET local_preload_libraries = 'evil';",
    "a DO block": "DO $$BEGIN END$$;",
    "CALL": "CALL public.p();",
    "LOAD": "LOAD '/tmp/evil.so';",
    "ALTER SYSTEM": "ALTER SYSTEM SET archive_command = 'id';",
    "ALTER DATABASE": "ALTER DATABASE hostile SET session_preload_libraries = 'x';",
    "DROP DATABASE": "DROP DATABASE hostile;",
    "CREATE DATABASE": "CREATE DATABASE x;",
    "a role": "CREATE ROLE evil SUPERUSER;",
    "a membership": "GRANT postgres TO vedfinance_app;",
    "a parameter": "GRANT SET ON PARAMETER archive_command TO vedfinance_app;",
    "a tablespace": "CREATE TABLESPACE evil LOCATION '/tmp';",
    "a subscription": "CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p;",
    "COPY behind a comment": "/* pg_dump */ COPY public.t FROM PROGRAM 'id';",
    "a statement in a comment's line break": "-- Name: x\nDROP DATABASE hostile;\n--",
    "a comment that hides the way out": "/* /* */ */ ALTER SYSTEM SET fsync = off; -- */",
    "rows of a query": "INSERT INTO public.t SELECT pg_catalog.pg_read_file('/etc/passwd');",
    "a call among values": "INSERT INTO public.t VALUES (pg_catalog.lo_import('/etc/passwd'));",
    "a table of a query": "CREATE TABLE public.t AS SELECT pg_catalog.pg_read_file('/etc/passwd');",
    "EXPLAIN": "EXPLAIN ANALYZE SELECT 1;",
    "PREPARE": "PREPARE p AS SELECT 1;",
    "an update of the catalogue": "UPDATE pg_catalog.pg_authid SET rolsuper = true;",
    "a rewritten table": "ALTER TABLE public.t DROP COLUMN a;",
    "DELETE": "DELETE FROM public.t;",
    "TRUNCATE": "TRUNCATE public.t;",
    "a lock": "LOCK TABLE public.t;",
    "a notice to others": "NOTIFY x;",
    "a transaction of its own": "BEGIN; DROP TABLE x; COMMIT;",
    "an end of all transactions": "ROLLBACK;",
    "a password": "ALTER USER postgres PASSWORD 'x';",
}  # fmt: skip


@pytest.fixture(scope="module")
def live(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    live = Live(postgres, "hostile", tmp_path_factory.mktemp("hostile"))
    live.login = live.login_as(postgres.superuser)
    live.create()
    live.execute(SCHOOL)
    yield live
    live.drop()


@pytest.mark.parametrize("what", NEVER_WRITTEN)
def test_what_pg_dump_never_writes_is_refused_without_a_server(tmp_path: Path, what: str) -> None:
    dump = tmp_path / "dump"
    dump.write_text(
        "--\n-- PostgreSQL database dump\n--\n\n\\restrict key\n\nSET default_tablespace = '';\n\n"
        f"{NEVER_WRITTEN[what]}\n\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict key\n"
    )
    with pytest.raises(DumpRejected):
        judge(str(dump))


# -- code that runs while a dump is loaded ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hostile(postgres: Server, live: Live, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A dump full of attacks, and the file that they write."""
    folder = tmp_path_factory.mktemp("attacks")
    # For the server's user, who may be another.
    folder.chmod(0o777)
    trap = folder / "trap"
    names = {
        "file": trap, "app": postgres.settings.app_user, "live": live.name, "superuser": postgres.superuser.user,
    }  # fmt: skip
    maker = Live(postgres, "attacks", folder)
    maker.create()
    maker.execute(HOSTILE)
    dump = maker.dump(name="dump.sql")
    maker.drop()
    tried = "".join(f"{name}\t{statement.format(**names)}\n" for name, statement in ATTACKS.items())
    # Nobody counts the rows of a table of which the dump has none.
    text = dump.read_text().replace("COPY public.loot (place, attack, said) FROM stdin;\n\\.\n", "", 1)
    for table, rows in {
        "tried (name, statement)": tried, "victims (id, name)": "1\tone\n", "divided_1 (id)": "1\n",
        "triggered (id)": "1\n",
    }.items():  # fmt: skip
        copy = f"COPY public.{table} FROM stdin;\n"
        assert copy + "\\.\n" in text
        text = text.replace(copy, copy + rows)
    # Nobody but a hand leaves a column out, makes a trigger before the data, or a way through the root.
    text = text.replace("COPY public.filled (id, extra) FROM stdin;\n", "COPY public.filled (id) FROM stdin;\n1\n")
    text = text.replace("COPY public.divided_1 (id)", "COPY public.divided (id)")
    trigger = (
        "CREATE FUNCTION public.on_row() RETURNS trigger LANGUAGE plpgsql AS\n"
        "    $$BEGIN PERFORM public.attack_for_real('trigger'); RETURN NEW; END$$;\n\n"
        "CREATE TRIGGER on_row BEFORE INSERT ON public.triggered FOR EACH ROW EXECUTE FUNCTION public.on_row();\n\n"
    )
    first = text.index("--\n-- Data for Name:")
    text = text[:first] + trigger + text[first:]
    # The list of attacks must be there before the others load.
    start = text.index("COPY public.tried")
    end = text.index("\\.\n", start) + 3
    block, text = text[start:end], text[:start] + text[end:]
    first = text.index("--\n-- Data for Name:")
    dump.write_text(text[:first] + block + "\n\n" + text[first:])
    return dump, trap


def outcome(live: Live) -> dict[str, set[str]]:
    """By place, the attacks that worked."""
    with live.server.connect(database=live.name) as connection:
        rows = connection.execute("SELECT place, attack, said FROM loot").fetchall()
    found: dict[str, set[str]] = {str(place): set() for place, _attack, _said in rows}
    for place, attack, said in rows:
        if said == "DONE":
            found[str(place)].add(str(attack))
    return found


def cluster(live: Live) -> object:
    """All that belongs to no single database."""
    return live.value(
        "SELECT json_build_array((SELECT json_agg(r ORDER BY rolname) FROM pg_authid r), (SELECT json_agg(m) FROM"
        " pg_auth_members m), (SELECT json_agg(json_build_array(datname, datallowconn, datconnlimit) ORDER BY datname)"
        " FROM pg_database WHERE datname NOT LIKE 'hostile\\_\\_%'), (SELECT count(*) FROM pg_db_role_setting))",
        "postgres",
    )


OURS = "who asks"
RESTORE: dict[str, Any] = {
    "roles": "map",
    "force": True,
    "keep_previous": "0",
    # A query of ours that runs what the dump put in the place of a table.
    "checks": [{"name": OURS, "query": "SELECT current_setting('is_superuser') FROM users OFFSET 0", "expect": "*"}],
}


def asked_as_superuser(result: dict[str, Any]) -> bool:
    return next(check["detail"] for check in result["proof"] if check["name"] == OURS) == "on"


def test_a_confined_restore_lets_code_of_the_dump_do_nothing(live: Live, hostile: tuple[Path, Path]) -> None:
    dump, trap = hostile
    before = cluster(live)
    result = live.restore(dump, confined=True, **RESTORE)
    assert outcome(live) == {place: set() for place in PLACES}
    assert not trap.exists()
    assert cluster(live) == before
    assert asked_as_superuser(result) is False


def test_in_a_superusers_session_the_same_code_can_do_all_of_it(live: Live, hostile: tuple[Path, Path]) -> None:
    """Not wanted, but so: docs/security.md says it. Were it not so, the test above would prove nothing."""
    dump, trap = hostile
    assert asked_as_superuser(live.restore(dump, **RESTORE)) is True
    assert trap.exists()
    trap.unlink()
    done = outcome(live)
    assert set.union(*done.values()) == {*ATTACKS, "become a superuser"}
    # PostgreSQL itself shuts these in: there, nobody can set the role back.
    assert done["index"] | done["view"] <= {"change live"}


def test_an_operator_shields_the_server_but_not_what_the_application_owns(
    live: Live, hostile: tuple[Path, Path]
) -> None:
    dump, trap = hostile
    operator = Live(live.server, live.name, live.folder)
    assert asked_as_superuser(operator.restore(dump, **RESTORE)) is False
    assert not trap.exists()
    assert set.union(*outcome(live).values()) <= {"become the app", "change live"}


# -- a confined restore is a restore ----------------------------------------------------------------------------------

FAITHFUL = f"""
CREATE SCHEMA money;
CREATE TYPE money.kind AS ENUM ('in', 'out');
CREATE TABLE money.moves (id int PRIMARY KEY, kind money.kind, owner name DEFAULT current_user);
INSERT INTO money.moves SELECT n, 'in' FROM generate_series(1, 20) n;
ALTER TABLE money.moves ENABLE ROW LEVEL SECURITY;
ALTER TABLE money.moves FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON money.moves TO vedfinance_app, {REPORT_ROLE} USING (owner = current_user);
CREATE POLICY all_of_them ON money.moves TO vedfinance_app USING (true);
GRANT USAGE ON SCHEMA money TO {REPORT_ROLE};
GRANT SELECT (id, kind) ON money.moves TO {REPORT_ROLE} WITH GRANT OPTION;
REVOKE DELETE ON money.moves FROM vedfinance_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA money GRANT SELECT ON TABLES TO {REPORT_ROLE};
CREATE FUNCTION money.sum() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM money.moves';
CREATE MATERIALIZED VIEW money.total AS SELECT count(*) FROM public.users;
CREATE VIEW public.names AS SELECT name FROM users;
COMMENT ON TABLE users IS 'people';
SELECT lo_from_bytea(4242, 'large');
"""


def without_comment(live: Live) -> dict[str, Any]:
    """A restored database says in its comment where it is from."""
    properties = live.properties()
    assert isinstance(properties, dict)
    return {name: value for name, value in properties.items() if name != "comment"}


def test_a_confined_restore_brings_all_of_it_back_and_leaves_no_role(postgres: Server, tmp_path: Path) -> None:
    live = Live(postgres, "confined", tmp_path)
    live.login = live.login_as(postgres.superuser)
    live.create()
    try:
        live.execute(SCHOOL + FAITHFUL)
        live.decorate()
        content, properties = live.content(), without_comment(live)
        dump = live.dump()
        live.execute("DROP SCHEMA money CASCADE; DELETE FROM enrollments")
        # As a killed run leaves it.
        live.administer('CREATE ROLE "confined__staging_20260101_000000" LOGIN')
        live.restore(dump, confined=True, verify="content", defer_indexes="non_unique")
        live.complete()
        assert live.content() == content
        assert without_comment(live) == properties
        live.verify(dump, confined=True, keep=True, force=True)
        assert live.restore(dump, force=True)["plan"]["verified_database"]
        assert live.content() == content
        assert live.value("SELECT array_agg(rolname) FROM pg_roles WHERE rolname LIKE 'confined\\_\\_%'") is None

        damaged = tmp_path / "damaged"
        damaged.write_text(dump.read_text().replace("\n1\t2\t2026-01-02\n", "\nx\t2\t2026-01-02\n", 1))
        assert "loading table public.enrollments" in live.refuse(damaged, confined=True, force=True)["msg"]
        assert live.value("SELECT array_agg(rolname) FROM pg_roles WHERE rolname LIKE 'confined\\_\\_%'") is None
        assert [name for name in live.family() if "__staging_" in name] == []
    finally:
        live.drop()


def test_what_cannot_be_confined_is_refused(postgres: Server, live: Live, tmp_path: Path) -> None:
    dump = live.dump(name="plain")
    operator = Live(postgres, live.name, tmp_path)
    assert "the login must be a superuser" in operator.refuse(dump, confined=True)["msg"]
    text = dump.read_text().replace("SET default_tablespace", "CREATE EXTENSION vector;\n\nSET default_tablespace", 1)
    with_extension = tmp_path / "extension"
    with_extension.write_text(text)
    assert "restore with confined: false" in live.refuse(with_extension, confined=True)["msg"]
    assert "verify: deep needs a superuser" in live.refuse(dump, confined=True, verify="deep")["msg"]

    lost = Live(postgres, "lost", tmp_path)
    postgres_owns = lost.folder / "archive"
    with postgres.connect() as connection:
        connection.execute(f"CREATE DATABASE lost OWNER {postgres.superuser.user}")
        connection.execute("ALTER DATABASE lost SET session_preload_libraries = 'plpgsql'")
    try:
        lost.dump("--format=custom", name="archive")
    finally:
        with postgres.connect() as connection:
            connection.execute("ALTER DATABASE lost RESET ALL")
        lost.drop()
    result = run_module(
        "pg_restore_from_dump",
        {"database": "lost", "src": str(postgres_owns), **live.login, "confined": True},
    )
    assert "owns the database, who is a superuser" in result["msg"]
    assert "brings settings of the database (session_preload_libraries)" in result["msg"]
    assert lost.family() == []
