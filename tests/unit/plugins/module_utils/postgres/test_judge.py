# SPDX-License-Identifier: GPL-3.0-or-later
"""Which dumps are accepted, and why and where the others are not, before any server is touched."""

from __future__ import annotations

import os
import random
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.content import RowsDigest
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump import model
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.judge import ArchiveHeader, judge
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.script import Bulk, Rows, Step
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.statements import Phase

from tests.unit.plugins.module_utils.postgres.given import SCHOOL, SCHOOL_ROWS, dump_of, judged, rejected

TABLE = b"CREATE TABLE public.t (a text);\n"
COPY = TABLE + b"COPY public.t (a) FROM stdin;\n1\n\\.\n"


def test_a_real_dump(tmp_path: Path) -> None:
    dump = judged(SCHOOL, tmp_path)
    assert {name: table.rows for name, table in dump.data.items()} == SCHOOL_ROWS
    assert (dump.rows, dump.size, dump.plain_bytes) == (12, len(SCHOOL), len(SCHOOL))
    assert (dump.server_version, dump.server_major, dump.dump_version) == ("16.14", 16, "16.14")
    assert (str(dump.format), dump.encoding) == ("plain", "UTF8")
    assert dump.owners == {"vedfinance_app"}
    assert dump.roles == {"vedfinance_app", "vedfinance_report"}
    made = dump.catalogue
    assert made.tables["public.users"] == ("id", "name", "mood")
    assert made.tables['public.odd;"$$'] == ('a"b;', "select")
    assert made.constraints == {
        "public.users.users_pkey": "primary key",
        "public.users.named": "check",
        "public.notes.notes_pkey": "primary key",
        "public.notes.later": "foreign key",
        "public.notes.notes_user_fkey": "foreign key",
    }
    assert made.not_valid == {"public.notes.later"}
    assert made.indexes == {"public.users_pkey", "public.notes_pkey", "public.notes_note"}
    assert made.sequences == {"public.users_id_seq", "public.notes_id_seq"}
    assert made.functions == {"public.twice": 1, "public.touch": 1}
    assert made.triggers == {"public.notes.on;insert"}
    assert made.policies == {"public.notes.own"}
    assert (made.views, made.types) == ({"public.names"}, {"public.mood"})


# -- cut off -----------------------------------------------------------------------------------------------------


def test_cut_at_every_line(tmp_path: Path) -> None:
    lines = SCHOOL.splitlines(keepends=True)
    assert lines[-2].startswith(b"\\unrestrict")
    for kept in range(len(lines) - 1):
        why = rejected(b"".join(lines[:kept]), tmp_path)
        assert why is not None, f"accepted without line {kept + 1}"
        assert why.code == (model.TRUNCATED if kept > 2 else model.EMPTY if kept == 0 else model.NOT_A_DUMP), why


@pytest.mark.parametrize("seed", range(2))
def test_cut_anywhere(tmp_path: Path, seed: int) -> None:
    whole = SCHOOL.rstrip()
    ends = random.Random(seed).sample(range(len(whole)), 60) + list(range(len(whole) - 30, len(whole)))
    for end in ends:
        assert rejected(SCHOOL[:end], tmp_path) is not None, f"accepted when cut at byte {end}"
    assert rejected(whole, tmp_path) is None


def test_cut_in_the_closing_line_is_a_cut(tmp_path: Path) -> None:
    whole = SCHOOL.rstrip()
    for end in range(whole.rindex(b"\\unrestrict"), len(whole)):
        why = rejected(whole[:end], tmp_path)
        assert why is not None
        assert why.code == model.TRUNCATED, f"cut at byte {end}: {why}"


def test_cut_anywhere_before_there_was_restrict(tmp_path: Path) -> None:
    """The last line that says something is then the closing one."""
    old = b"".join(line for line in SCHOOL.splitlines(keepends=True) if b"restrict " not in line)
    said = old.rindex(b"complete") + len(b"complete")
    for end in (*random.Random(0).sample(range(said), 60), *range(said - 40, said)):
        assert rejected(old[:end], tmp_path) is not None, f"accepted when cut at byte {end}"
    assert rejected(old[:said], tmp_path) is None


def test_the_place_of_a_cut(tmp_path: Path) -> None:
    end = SCHOOL.index(b"3\tuser 3")
    why = rejected(SCHOOL[:end], tmp_path)
    assert why is not None
    assert why.reason == "the dump ends inside the data of table public.users, after 2 whole rows; the file is cut off"
    assert why.where == f"byte {end} (line {1 + SCHOOL.count(bytes([10]), 0, end)})"
    assert why.msg == f"{why.reason} at {why.where}."


def test_a_trailer_inside_of_data_is_no_trailer(tmp_path: Path) -> None:
    body = (
        TABLE
        + b"COPY public.t (a) FROM stdin;\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict KEY\n\\.\n"
    )
    whole = dump_of(body)
    assert judged(whole, tmp_path).rows == 5
    why = rejected(whole[: whole.index(b"\\unrestrict KEY\n") + 16], tmp_path)
    assert why is not None
    assert why.code == model.TRUNCATED


# -- what no dump of one database holds --------------------------------------------------------------------------

REFUSED: dict[str, tuple[bytes, str]] = {
    "CREATE DATABASE x;": (b"CREATE DATABASE", model.LEAVES_DATABASE),
    "ALTER DATABASE x OWNER TO y;": (b"ALTER DATABASE", model.LEAVES_DATABASE),
    "DROP DATABASE IF EXISTS x;": (b"DROP DATABASE", model.LEAVES_DATABASE),
    "/* ; */ create\n database x;": (b"create", model.LEAVES_DATABASE),
    "CREATE ROLE x;": (b"CREATE ROLE", model.LEAVES_DATABASE),
    "CREATE USER x;": (b"CREATE USER", model.LEAVES_DATABASE),
    "ALTER ROLE x SUPERUSER;": (b"ALTER ROLE", model.LEAVES_DATABASE),
    "ALTER SYSTEM SET fsync = off;": (b"ALTER SYSTEM", model.LEAVES_DATABASE),
    "CREATE TABLESPACE x LOCATION '/';": (b"CREATE TABLESPACE", model.LEAVES_DATABASE),
    "GRANT admin TO x;": (b"GRANT", model.LEAVES_DATABASE),
    "GRANT CONNECT ON DATABASE x TO y;": (b"GRANT", model.LEAVES_DATABASE),
    "COMMENT ON ROLE x IS 'y';": (b"COMMENT", model.LEAVES_DATABASE),
    "SECURITY LABEL FOR p ON ROLE x IS 'y';": (b"SECURITY", model.LEAVES_DATABASE),
    "CREATE SUBSCRIPTION x CONNECTION 'y' PUBLICATION z;": (b"CREATE", model.LEAVES_DATABASE),
    "\\connect live\n": (b"\\connect", model.LEAVES_DATABASE),
    "\\c live\n": (b"\\c", model.LEAVES_DATABASE),
    "SELECT 1 \\c live\n": (b"\\c", model.LEAVES_DATABASE),
    "\\! id\n": (b"\\!", model.RUNS_PROGRAM),
    "\\i /etc/passwd\n": (b"\\i", model.RUNS_PROGRAM),
    "\\copy t from program 'id'\n": (b"\\copy", model.RUNS_PROGRAM),
    "SELECT 'id' \\gexec\n": (b"\\gexec", model.RUNS_PROGRAM),
    "\\restrict again\n": (b"\\restrict again", model.RUNS_PROGRAM),
    "\\unrestrict KEY\n": (b"\\unrestrict", model.RUNS_PROGRAM),
    "INSERT INTO t SELECT pg_read_file('/etc/passwd');": (b"INSERT", model.RUNS_PROGRAM),
    "INSERT INTO t VALUES (1, pg_read_file('x'));": (b"INSERT", model.RUNS_PROGRAM),
    "INSERT INTO t VALUES ((SELECT 1));": (b"INSERT", model.RUNS_PROGRAM),
    "INSERT INTO t VALUES (1) RETURNING f(2);": (b"INSERT", model.RUNS_PROGRAM),
    "INSERT INTO t VALUES (1 --'\n, f() --'\n);": (b"INSERT", model.RUNS_PROGRAM),
    "INSERT INTO t VALUES (E'\\'', f(''));": (b"INSERT", model.RUNS_PROGRAM),
    'INSERT INTO t VALUES (1), ("f"(2));': (b"INSERT", model.RUNS_PROGRAM),
    "INSERT INTO t\nVALUES (f());": (b"INSERT", model.RUNS_PROGRAM),
    "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2;": (b"INSERT", model.RUNS_PROGRAM),
    "CREATE TABLE public.u AS SELECT 1;": (b"CREATE", model.RUNS_PROGRAM),
    "COPY t FROM PROGRAM 'id';": (b"COPY", model.RUNS_PROGRAM),
    "COPY t TO PROGRAM 'id';": (b"COPY", model.RUNS_PROGRAM),
    "COPY t FROM '/etc/passwd';": (b"COPY", model.RUNS_PROGRAM),
    "COPY (SELECT 1) TO '/tmp/x';": (b"COPY", model.RUNS_PROGRAM),
    "DO $$ BEGIN END $$;": (b"DO", model.RUNS_PROGRAM),
    "CALL p();": (b"CALL", model.RUNS_PROGRAM),
    "LOAD 'x';": (b"LOAD", model.RUNS_PROGRAM),
    "SELECT pg_read_file('/etc/passwd');": (b"SELECT", model.RUNS_PROGRAM),
    "SELECT public.setval('x', 1);": (b"SELECT", model.RUNS_PROGRAM),
    "SELECT 1;": (b"SELECT", model.RUNS_PROGRAM),
    "SELECT * FROM pg_catalog.pg_authid;": (b"SELECT", model.RUNS_PROGRAM),
    "SELECT pg_catalog.set_config('role', 'postgres', false);": (b"SELECT", model.RUNS_PROGRAM),
    "SET ROLE postgres;": (b"SET", model.UNSUPPORTED),
    "SET SESSION AUTHORIZATION postgres;": (b"SET", model.UNSUPPORTED),
    "SET SESSION AUTHORIZATION 'postgres';": (b"SET", model.UNSUPPORTED),
    "SET SESSION AUTHORIZATION DEFAULT;": (b"SET", model.UNSUPPORTED),
    "SET LOCAL SESSION AUTHORIZATION x;": (b"SET", model.UNSUPPORTED),
    "RESET SESSION AUTHORIZATION;": (b"RESET", model.UNSUPPORTED),
    "SET session_authorization TO postgres;": (b"SET", model.UNSUPPORTED),
    'SET "ROLE" TO postgres;': (b"SET", model.UNSUPPORTED),
    "RESET ROLE;": (b"RESET", model.UNSUPPORTED),
    "SET session_replication_role = replica;": (b"SET", model.UNKNOWN_STATEMENT),
    "SET local_preload_libraries = 'x';": (b"SET", model.UNKNOWN_STATEMENT),
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY;": (b"SET", model.UNKNOWN_STATEMENT),
    "BEGIN; CREATE TABLE public.u (a int);": (b"CREATE", model.UNKNOWN_STATEMENT),
    "BEGIN; BEGIN ;": (b"BEGIN ;", model.UNKNOWN_STATEMENT),
    "COMMIT;": (b"COMMIT", model.UNKNOWN_STATEMENT),
    "SELECT pg_catalog.setval('s', (SELECT 1));": (b"SELECT", model.RUNS_PROGRAM),
    "SELECT pg_catalog.setval('s', 1), pg_read_file('x');": (b"SELECT", model.RUNS_PROGRAM),
    "SELECT pg_catalog.setval('s', 1) FROM pg_ls_dir('x');": (b"SELECT", model.RUNS_PROGRAM),
    "SELECT pg_catalog.set_config('search_path', pg_read_file('x'), false);": (b"SELECT", model.RUNS_PROGRAM),
    "COPY t /* from stdin */ FROM PROGRAM 'id';\n1\n\\.\n": (b"COPY", model.RUNS_PROGRAM),
    "COPY t -- from stdin\nFROM PROGRAM 'id';\n1\n\\.\n": (b"COPY", model.RUNS_PROGRAM),
    "COPY t (\" from stdin\") FROM PROGRAM 'id';\n1\n\\.\n": (b"COPY", model.RUNS_PROGRAM),
    "COPY t FROM PROGRAM ' from stdin';\n1\n\\.\n": (b"COPY", model.RUNS_PROGRAM),
    "COPY t FROM stdin WITH (FORMAT csv);\n1\n\\.\n": (b"COPY", model.RUNS_PROGRAM),
    "RESET ALL;": (b"RESET", model.UNSUPPORTED),
    "DELETE FROM t;": (b"DELETE", model.UNKNOWN_STATEMENT),
    "UPDATE t SET a = 1;": (b"UPDATE", model.UNKNOWN_STATEMENT),
    "WITH x AS (SELECT 1) INSERT INTO t SELECT 1;": (b"WITH", model.UNKNOWN_STATEMENT),
    "VACUUM;": (b"VACUUM", model.UNKNOWN_STATEMENT),
    "DROP OWNED BY x;": (b"DROP", model.UNKNOWN_STATEMENT),
    "ALTER SUBSCRIPTION x ENABLE;": (b"ALTER", model.UNKNOWN_STATEMENT),
    "ALTER TABLE public.t DROP COLUMN a;": (b"ALTER", model.UNKNOWN_STATEMENT),
    "EXECUTE x;": (b"EXECUTE", model.UNKNOWN_STATEMENT),
    "CREATE TEMPORARY TABLE t (a int);": (b"CREATE", model.UNKNOWN_STATEMENT),
}


@pytest.mark.parametrize("statement", REFUSED)
def test_refused_with_its_place(tmp_path: Path, statement: str) -> None:
    begins_with, code = REFUSED[statement]
    content = dump_of(COPY + statement.encode() + b"\n")
    why = rejected(content, tmp_path)
    assert why is not None
    assert why.code == code
    place = content.index(begins_with, content.index(statement.encode()))
    # A statement that a command interrupts is told by the command.
    assert why.where == f"byte {place} (line {1 + content.count(bytes([10]), 0, place)})"


@pytest.mark.parametrize("statement", [statement for statement in REFUSED if statement != "\\unrestrict KEY\n"])
def test_the_same_text_as_data_is_data(tmp_path: Path, statement: str) -> None:
    data = statement.replace("\\", "\\\\").strip().replace("\n", " ").encode()
    assert judged(dump_of(TABLE + b"COPY public.t (a) FROM stdin;\n" + data + b"\n\\.\n"), tmp_path).rows == 1
    quoted = b"'" + statement.replace("'", "''").encode() + b"'"
    assert judged(dump_of(TABLE + b"INSERT INTO t VALUES (" + quoted + b");"), tmp_path).data["t"].rows is None


ACCEPTED = (
    "SELECT pg_catalog.setval('public.s', 1, true);",
    "SELECT * FROM pg_catalog.pg_restore_relation_stats('version', '180004'::integer);",
    "SELECT pg_catalog.lo_create('1');",
    "SELECT pg_catalog.lo_unlink(oid) FROM pg_catalog.pg_largeobject_metadata WHERE oid = '1';",
    "SELECT * FROM pg_catalog.pg_restore_attribute_stats('n', '{1,\"a(\"}'::text, 'f', '{0.5}'::real[]);",
    "COPY public.t (a) WITH OIDS FROM stdin;\n1\t1\n\\.\n",
    "SET escape_string_warning = off;",
    "BEGIN;\nSELECT pg_catalog.lo_open('1', 131072);\nSELECT pg_catalog.lowrite(0, '\\x00');\nCOMMIT;",
    "INSERT INTO public.t DEFAULT VALUES;",
    'INSERT INTO public." VALUES (f()" (a) OVERRIDING SYSTEM VALUE VALUES\n\t(1),\n\t(-2.5e+3) ON CONFLICT DO NOTHING;',
    "INSERT INTO public.t VALUES (NULL, DEFAULT, true, 'it''s -- f()', E'\\\\ \\'', B'01', '\\');",
    "SET transaction_timeout = 0;",
    "DROP TABLE IF EXISTS public.t;",
    "ALTER TABLE IF EXISTS ONLY public.t DROP CONSTRAINT IF EXISTS c;",
    "CREATE UNLOGGED TABLE public.t (a int);",
    "CREATE FOREIGN TABLE public.t (a int) SERVER s;",
    "CREATE USER MAPPING FOR postgres SERVER s;",
    "ALTER DEFAULT PRIVILEGES FOR ROLE a IN SCHEMA public GRANT SELECT ON TABLES TO b;",
    "GRANT SELECT(a),UPDATE ON TABLE public.t TO PUBLIC;",
    "SECURITY LABEL ON TABLE public.t IS 'x';",
    "REFRESH MATERIALIZED VIEW public.m;",
    "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION public.f();",
    "ALTER EXTENSION x ADD TABLE public.t;",
    "DROP USER MAPPING IF EXISTS FOR postgres SERVER s;",
    "ALTER TABLE ONLY public.p ATTACH PARTITION public.t FOR VALUES FROM (1) TO (2);",
    "ALTER DOMAIN public.d DROP CONSTRAINT c;",
    "ALTER INDEX public.i ATTACH PARTITION public.j;",
    "ALTER INDEX public.i DEPENDS ON EXTENSION x;",
    "ALTER INDEX public.i ALTER COLUMN 1 SET STATISTICS 5;",
    "ALTER TABLE public.t DISABLE TRIGGER ALL;",
    "ALTER TABLE public.t CLUSTER ON i;",
    "ALTER TABLE public.t ENABLE ALWAYS RULE r;",
    "ALTER EVENT TRIGGER e DISABLE;",
    "ALTER PUBLICATION p ADD TABLE ONLY public.t (a) WHERE ((a > 3));",
    "ALTER STATISTICS public.s SET STATISTICS 100;",
    "CREATE STATISTICS public.s (ndistinct) ON a, b FROM public.t;",
    "CREATE OR REPLACE PROCEDURAL LANGUAGE plpgsql;",
    "CREATE TRUSTED PROCEDURAL LANGUAGE plx HANDLER public.h;",
    "ALTER PROCEDURAL LANGUAGE plx OWNER TO postgres;",
    "CREATE TRANSFORM FOR integer LANGUAGE plpgsql (FROM SQL WITH FUNCTION public.f(internal));",
    "CREATE ACCESS METHOD m TYPE TABLE HANDLER pg_catalog.heap_tableam_handler;",
    "CREATE CAST (text AS public.e) WITH INOUT AS ASSIGNMENT;",
    "CREATE OPERATOR CLASS public.o FOR TYPE integer USING btree FAMILY public.o AS OPERATOR 1 <(integer,integer);",
    "ALTER OPERATOR FAMILY public.o USING btree ADD FUNCTION 1 (integer, integer) btint4cmp(integer,integer);",
    "ALTER TYPE public.e ADD VALUE 'b';",
    "ALTER LARGE OBJECT 4711 OWNER TO r;",
    "COMMENT ON LARGE OBJECT 4711 IS 'x';",
    "GRANT SELECT ON LARGE OBJECT 4711 TO r;",
    "SET default_with_oids = false;",
    "SET row_security = on;",
    "CREATE TABLE public.o (a int) WITH OIDS;",
    "COMMENT ON DATABASE x IS 'y; z';",
    "SECURITY LABEL FOR p ON DATABASE x IS 'y';",
    "SET SESSION AUTHORIZATION other;\nREVOKE ALL ON TABLE public.t FROM r;\nRESET SESSION AUTHORIZATION;",
    "INSERT INTO public.t DEFAULT VALUES;",
    "INSERT INTO public.t (a) OVERRIDING SYSTEM VALUE VALUES ('1'), ('select') ON CONFLICT DO NOTHING;",
)


@pytest.mark.parametrize("statement", ACCEPTED)
def test_what_pg_dump_writes_is_accepted(tmp_path: Path, statement: str) -> None:
    assert rejected(dump_of(TABLE + statement.encode() + b"\n"), tmp_path) is None


ROLE = b"SET SESSION AUTHORIZATION other;\n"
GRANT = b"GRANT SELECT ON TABLE public.t TO r;\n"
OWNER = b"RESET SESSION AUTHORIZATION;\n"


def test_the_grants_of_another_role_are_steps(tmp_path: Path) -> None:
    dump = judged(dump_of(TABLE + ROLE + GRANT + OWNER), tmp_path)
    steps = [item.understood for item in dump.script if isinstance(item, Step)][1:]
    assert [step.kind for step in steps] == ["become role", "grant", "become owner"]
    assert str(steps[0].name) == "other"
    assert dump.roles == {"other", "r"}


@pytest.mark.parametrize(
    "body",
    [
        ROLE + TABLE + OWNER,
        ROLE + COPY.replace(TABLE, b"") + OWNER,
        ROLE + GRANT,
        ROLE + ROLE + OWNER,
        ROLE + GRANT + OWNER + OWNER,
        ROLE + b"SELECT pg_catalog.set_config('search_path', '', false);" + OWNER,
        ROLE + b"INSERT INTO public.t VALUES ('1');" + OWNER,
        OWNER,
    ],
)
def test_nothing_else_happens_as_another_role(tmp_path: Path, body: bytes) -> None:
    why = rejected(dump_of(TABLE + body), tmp_path)
    assert why is not None
    assert (why.code, "--use-set-session-authorization" in str(why.hint)) == (model.UNSUPPORTED, True)


def test_what_is_left_out_is_noted(tmp_path: Path) -> None:
    dump = judged(dump_of(COPY + b"COMMENT ON DATABASE x IS 'y';\n" * 2), tmp_path)
    assert dump.notes == ["The dump's COMMENT ON DATABASE was left out; the restored database keeps its own."]
    assert [item.understood.phase for item in dump.script if isinstance(item, Step)][1:] == [Phase.CLEAN] * 2


def test_a_table_of_a_query_is_refused(tmp_path: Path) -> None:
    why = rejected(dump_of(b"CREATE TABLE public.t AS SELECT pg_read_file('x') AS a;\n"), tmp_path)
    assert why is not None
    assert (why.code, why.where is not None) == (model.RUNS_PROGRAM, True)


def test_a_transaction_that_is_never_ended(tmp_path: Path) -> None:
    why = rejected(dump_of(TABLE + b"BEGIN;\nSELECT pg_catalog.lo_create('1');\n"), tmp_path)
    assert why is not None
    assert why.code == model.UNKNOWN_STATEMENT


# -- parts of a dump ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        COPY.replace(TABLE, b""),
        b"INSERT INTO public.t VALUES (1);\n",
        b"CREATE INDEX i ON public.t USING btree (a);\n",
        b"ALTER TABLE ONLY public.t ADD CONSTRAINT k PRIMARY KEY (a);\n",
        b"SELECT * FROM pg_catalog.pg_restore_relation_stats('version', '180004'::integer);\n",
    ],
    ids=["rows", "inserts", "index", "key", "statistics"],
)
def test_a_part_of_a_dump_is_refused(tmp_path: Path, body: bytes) -> None:
    why = rejected(dump_of(body), tmp_path)
    assert why is not None
    assert (why.code, "no tables" in why.msg) == (model.UNSUPPORTED, True)


def test_the_rows_of_an_extension_have_their_table_there(tmp_path: Path) -> None:
    rows = b"CREATE EXTENSION IF NOT EXISTS x WITH SCHEMA public;\n" + COPY.replace(TABLE, b"")
    assert judged(dump_of(rows), tmp_path).rows == 1


def test_a_schema_without_rows_is_accepted_and_noted(tmp_path: Path) -> None:
    dump = judged(dump_of(TABLE), tmp_path)
    assert (dump.rows, dump.data) == (0, {})
    assert "--schema-only" in dump.notes[0]
    assert not judged(dump_of(b""), tmp_path).notes


# -- what is kept for the load -----------------------------------------------------------------------------------


def test_the_places_of_the_data(tmp_path: Path) -> None:
    content = dump_of(COPY + COPY.replace(TABLE, b"").replace(b"1\n", b"2\n3\n"))
    blocks = [item for item in judged(content, tmp_path).script if isinstance(item, Rows)]
    assert [content[block.begin : block.end] for block in blocks] == [b"1\n", b"2\n3\n"]
    assert [block.checksum for block in blocks] == [zlib.crc32(b"1\n"), zlib.crc32(b"2\n3\n")]
    assert [block.rows for block in blocks] == [1, 2]


def test_inserts_are_kept_as_a_place(tmp_path: Path) -> None:
    inserts = [
        b"INSERT INTO public.t VALUES ('a; VALUES ')",
        b"INSERT INTO public.t (a) VALUES ('b')",
        b'INSERT INTO public."t VALUES (1" VALUES (2)',
        b'INSERT INTO public."t VALUES (2" VALUES (2)',
    ]
    content = dump_of(TABLE + b";\n".join(inserts) + b";\n")
    dump = judged(content, tmp_path)
    (bulk,) = (item for item in dump.script if isinstance(item, Bulk))
    assert content[bulk.begin : bulk.end] == b";\n".join(inserts) + b";"
    assert (bulk.statements, bulk.checksum) == (4, zlib.crc32(b"".join(inserts)))
    assert bulk.tables == set(dump.data) == {"public.t", "public.t VALUES (1", "public.t VALUES (2"}


OLD = b"""SET statement_timeout = 0;
SET lock_timeout = 0;
SET client_encoding = 'LATIN1';
SET standard_conforming_strings = on;
SET check_function_bodies = false;
SET client_min_messages = warning;
SET row_security = off;
CREATE EXTENSION IF NOT EXISTS plpgsql WITH SCHEMA pg_catalog;
COMMENT ON EXTENSION plpgsql IS 'PL/pgSQL procedural language';
SET search_path = public, pg_catalog;
SET default_tablespace = '';
SET default_with_oids = false;
CREATE TABLE t (
    id integer NOT NULL,
    caf\xe9 text
);
ALTER TABLE t OWNER TO app;
CREATE SEQUENCE t_id_seq START WITH 1;
ALTER SEQUENCE t_id_seq OWNED BY t.id;
CREATE VIEW v AS SELECT t.id FROM t;
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
SET search_path = "Other; one", pg_catalog;
CREATE TABLE t (a integer);
INSERT INTO t VALUES (1);
SET search_path = public, pg_catalog;
INSERT INTO t VALUES (1, '\xe9');
COPY t (id, caf\xe9) FROM stdin;
1	\xe9
\\.


SELECT pg_catalog.setval('t_id_seq', 1, true);
ALTER TABLE ONLY t ADD CONSTRAINT t_pkey PRIMARY KEY (id);
CREATE INDEX t_i ON t USING btree (id);
CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE PROCEDURE f();
SET search_path = "Other; one", pg_catalog;
ALTER TABLE ONLY t ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES public.t(id);
"""


def test_names_without_a_schema(tmp_path: Path) -> None:
    """As pg_dump wrote them until 2018, here of a LATIN1 database: the schema is what search_path says."""
    dump = judged(dump_of(OLD), tmp_path)
    made = dump.catalogue
    assert made.tables == {"public.t": ("id", "café"), "Other; one.t": ("a",)}
    assert {name: table.rows for name, table in dump.data.items()} == {"public.t": None, "Other; one.t": None}
    assert made.constraints == {"public.t.t_pkey": "primary key", "Other; one.t.k": "foreign key"}
    assert made.indexes == {"public.t_pkey", "public.t_i"}
    assert (made.sequences, made.views) == ({"public.t_id_seq"}, {"public.v"})
    assert (made.functions, made.triggers, made.extensions) == ({"public.f": 1}, {"public.t.g"}, {"plpgsql"})
    places = [(type(item), item.schema) for item in dump.script if not isinstance(item, Step)]
    assert places == [(Bulk, "Other; one"), (Bulk, "public"), (Rows, "public")]
    assert dump.encoding == "LATIN1"


def test_a_row_of_nine_megabytes(tmp_path: Path) -> None:
    data = b"x" * (9 << 20) + b"\n\\N\n"
    dump = judged(dump_of(COPY.replace(b"1\n", data)), tmp_path)
    assert (dump.rows, dump.data["public.t"].bytes) == (2, len(data))


def test_digests_only_when_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "dump.sql"
    other = COPY.replace(b"public.t ", b"public.u ").replace(b"1\n", b"2\n1\n")
    path.write_bytes(dump_of(COPY + other + b"INSERT INTO public.v VALUES (1);\n"))
    assert [table.digest for table in judge(str(path)).data.values()] == [None, None, None]
    found = judge(str(path), digests=True).data
    expected = RowsDigest()
    expected.update(b"1\n2\n")
    assert found["public.u"].digest == expected.value
    assert found["public.t"].digest not in (None, expected.value)
    assert found["public.v"].digest is None


# -- no dump at all ----------------------------------------------------------------------------------------------

FRAME = dump_of(b"")
STRANGE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", model.EMPTY),
    "white space": (b" \n\n", model.NOT_A_DUMP),
    "byte order mark": (b"\xef\xbb\xbf" + FRAME, model.NOT_A_DUMP),
    "utf-16": (FRAME.decode().encode("utf-16"), model.NOT_A_DUMP),
    "error page": (b"\n<!DOCTYPE html><title>502</title>", model.NOT_A_DUMP),
    "json": (b'{"error": "denied"}', model.NOT_A_DUMP),
    "log": (b"pg_dump: error: connection failed\n", model.TRUNCATED),
    "sql of others": (b"INSERT INTO t VALUES (1);\n", model.NOT_A_DUMP),
    "comments only": (b"-- nothing\n", model.NOT_A_DUMP),
    "binary": (bytes(range(256)) * 8, model.NOT_A_DUMP),
    "encrypted": (b"age-encryption.org/v1\n-> X25519 x\n", model.UNSUPPORTED),
    "lz4": (b"\x04\x22\x4d\x18" + bytes(20), model.UNSUPPORTED),
    "zip": (b"PK\x03\x04" + bytes(20), model.UNSUPPORTED),
    "armoured": (b"-----BEGIN PGP MESSAGE-----\n\nx\n", model.UNSUPPORTED),
    "tar": (b"toc.dat".ljust(257, b"\0") + b"ustar  \0".ljust(255, b"\0"), model.CORRUPT),
    "tar of files": (b"dump/".ljust(257, b"\0") + b"ustar  \0".ljust(255, b"\0"), model.NOT_A_DUMP),
    "whole server": (b"--\n-- PostgreSQL database cluster dump\n--\n\nCREATE ROLE x;\n", model.CLUSTER_DUMP),
    "two dumps": (FRAME * 2, model.CORRUPT),
    "something behind": (FRAME + b"CREATE TABLE t ();\n", model.CORRUPT),
    "a command behind": (FRAME + b"\\! id\n", model.RUNS_PROGRAM),
    "wrong key": (FRAME.replace(b"\\unrestrict KEY", b"\\unrestrict YEK"), model.RUNS_PROGRAM),
    "no key": (FRAME.replace(b"\\unrestrict KEY", b""), model.TRUNCATED),
    "key of nothing": (FRAME.replace(b"\\restrict KEY\n", b"", 1), model.RUNS_PROGRAM),
    "key too early": (FRAME.replace(b"-- Dumped", b"\\unrestrict KEY\n-- Dumped"), model.RUNS_PROGRAM),
}  # fmt: skip


@pytest.mark.parametrize("what", STRANGE)
def test_what_is_no_dump(tmp_path: Path, what: str) -> None:
    content, code = STRANGE[what]
    why = rejected(content, tmp_path)
    assert why is not None
    assert why.code == code, why


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: None, "No such file"),
        (lambda path: path.symlink_to("gone"), "No such file"),
        (lambda path: path.symlink_to(path.name), "symbolic links"),
    ],
)
def test_what_is_no_file(tmp_path: Path, make: Callable[[Path], None], message: str) -> None:
    make(tmp_path / "x")
    with pytest.raises(model.DumpRejected, match=message):
        judge(str(tmp_path / "x"))


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(SCHOOL)
    (tmp_path / "latest").symlink_to("real")
    assert judge(str(tmp_path / "latest")).rows == 12


# -- when it was made --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "started", "created", "witness"),
    [
        ("a.sql", "2026-11-20 02:00:00 UTC", "2026-11-20T02:00", "dump"),
        ("a_20261119_030000.sql", "2026-11-20 02:00:00 UTC", "2026-11-20T02:00", "dump"),
        ("a_20261119_030000.sql", None, "2026-11-19T03:00", "name"),
        ("2026-11-19T03-00-00-112Z.sql.gz", None, "2026-11-19T03:00", "name"),
        ("a_20261399_030000.sql", None, "2026-11-22T02:00", "mtime"),
        ("a_20301119_030000.sql", None, "2026-11-22T02:00", "mtime"),
        ("a.sql", "2031-11-20 02:00:00 UTC", "2026-11-22T02:00", "mtime"),
        ("a.sql", "2026-99-99 02:00:00 UTC", "2026-11-22T02:00", "mtime"),
        ("a.sql", "0001-01-01 00:00:00 UTC", "2026-11-22T02:00", "mtime"),
        ("a.sql", None, "2026-11-22T02:00", "mtime"),
    ],
)
def test_the_best_witness_of_its_age(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, started: str | None, created: str, witness: str
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    content = SCHOOL
    if started:
        content = content.replace(b"-- Dumped by", f"-- Started on {started}\n-- Dumped by".encode())
    path = tmp_path / name
    path.write_bytes(content)
    modified = datetime(2026, 11, 22, 2, tzinfo=UTC).timestamp()
    os.utime(path, (modified, modified))
    dump = judge(str(path))
    assert dump.created.isoformat().startswith(created)
    assert dump.created_from == witness


def test_the_header_of_an_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    def number(value: int) -> bytes:
        return b"\0" + value.to_bytes(4, "little")

    monkeypatch.setenv("TZ", "UTC")
    stamp = b"".join(number(value) for value in (5, 4, 3, 2, 0, 126, 0))
    database = number(5) + "épé".encode()
    header = b"PGDMP" + bytes([1, 15, 0, 4, 8, 1]) + b"\1" + stamp + database
    found = ArchiveHeader.read(header)
    assert (found.created, found.database) == (datetime(2026, 1, 2, 3, 4, 5).astimezone(), "épé")
    for cut in range(len(header) - len(stamp) - len(database)):
        assert ArchiveHeader.read(header[:cut]).created is None


def test_zero_bytes_in_data(tmp_path: Path) -> None:
    """What a file system leaves where a block was lost."""
    lost = dump_of(TABLE + b"COPY public.t (a) FROM stdin;\n" + b"1\n" * 9999 + bytes(4096) + b"\n2\n\\.\n")
    why = rejected(lost, tmp_path)
    assert why is not None
    assert why.code == model.CORRUPT


def test_whoever_owns_the_database_is_no_role_to_ask_for(tmp_path: Path) -> None:
    judgement = judged(dump_of(b"CREATE SCHEMA public;\n\nALTER SCHEMA public OWNER TO pg_database_owner;\n"), tmp_path)
    assert not judgement.owners | judgement.roles


def test_in_a_dump_with_other_strings_a_backslash_hides_a_quote(tmp_path: Path) -> None:
    setting = b"SET standard_conforming_strings = off;\n"
    assert judged(dump_of(TABLE + setting + b"INSERT INTO t VALUES ('a\\'b');\n"), tmp_path).data["t"].rows is None
    why = rejected(dump_of(TABLE + setting + b"INSERT INTO t VALUES ('\\'', f(''));\n"), tmp_path)
    assert why is not None
    assert why.code == model.RUNS_PROGRAM
