# SPDX-License-Identifier: GPL-3.0-or-later
r"""Every hazard that a loader must survive or refuse, tried through the module; and where else each is tried.

Loads right, to the byte of pg_dump's text, with one connection and with three:

=========================================  =========================================================================
empty COPY, rows without columns           HARD "values"
``\.`` and backslash-newline in data       HARD "values"; FORMS "backslash before a line break"
SQL text in data                           HARD "values"; features.py "odd names and data"
CRLF dump files                            FORMS "with Windows line breaks"
dollar quotes, E'' strings                 HARD "routines"; features.py "routines", "types"
BEGIN ATOMIC bodies, rules with inner `;`  HARD "routines"; features.py "routines", "triggers, rules and policies"
identifiers with `;` `"` `$$`, 63 bytes    HARD "names"; features.py "odd names and data"
standard_conforming_strings off            FORMS "with strings of another kind"
nested comments                            FORMS "with comments"
INSERT-style                               ALL_FORMS; test_pg_restore_from_dump.py FORMATS
identity and generated columns             HARD "sequences"; features.py "identity and generated columns"
partitions, keys to partitions             HARD "partitions"; features.py "partitions"
large objects                              features.py "large objects"
NOT VALID keys, circular and own keys      features.py "keys that are not valid", "circular keys"
policies that hide rows from the owner     HARD "policies"
two COPY blocks for one table              FORMS "in two blocks"
9 MB rows                                  HARD "values"
LATIN1                                     test_pg_restore_from_dump.py test_names_and_data_of_a_latin1_database
multi-member gz, multi-frame zst, xz, bz2  FORMS; cut and flipped anywhere: unit test_source.py
content that contradicts the name          FORMS, all under one name
headers of pg_dump 17 and 18               FORMS "by pg_dump 18"
custom, directory, tar; packed again       ALL_FORMS, FORMS
=========================================  =========================================================================

Refused before the server is touched: BEFORE_THE_SERVER; statement by statement: unit test_judge.py REFUSED.
Refused by the server, with everything as it was: BY_THE_SERVER; test_pg_restore_refuses.py (rows, keys, roles,
extensions, versions, disk); test_pg_restore_interrupted.py (a worker, the module or the server dies).
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from lab.postgres import REPORT_ROLE, Server, find_binaries
from tests.integration.world import Live, State

LONG = "x" * 58
#: Each in a schema of its own, so that names occur in several.
HARD = {
    "prisma": r"""
        CREATE TYPE "Role" AS ENUM ('STUDENT', 'TEACHER');
        CREATE TABLE "User" ("id" TEXT NOT NULL, "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
            "role" "Role" NOT NULL DEFAULT 'STUDENT', "roles" "Role"[] DEFAULT ARRAY['STUDENT']::"Role"[], "meta" JSONB,
            CONSTRAINT "User_pkey" PRIMARY KEY ("id"));
        CREATE TABLE "_CourseToUser" ("A" TEXT NOT NULL,
            "B" TEXT NOT NULL REFERENCES "User" ON DELETE CASCADE ON UPDATE CASCADE);
        CREATE UNIQUE INDEX "_CourseToUser_AB_unique" ON "_CourseToUser" ("A", "B");
        CREATE INDEX "_CourseToUser_B_index" ON "_CourseToUser" ("B");
        CREATE INDEX "User_meta_idx" ON "User" USING gin ("meta" jsonb_path_ops);
        INSERT INTO "User" SELECT 'cl' || n, '2026-01-01', 'TEACHER', '{TEACHER,STUDENT}', '{"a": "x\\ny"}'
            FROM generate_series(1, 50) n;
        INSERT INTO "_CourseToUser" SELECT 'x' || n, 'cl' || n FROM generate_series(1, 50) n;
    """,
    "values": r"""
        CREATE TABLE vals (id serial, f float8, r float4, d date, ts timestamptz, iv interval, j json, b bytea, t text,
            c char(5), bits bit varying, n numeric, a text[], arr int[][], rc regclass);
        INSERT INTO vals (f, r, d, ts, iv, n) VALUES
            ('NaN', 'Infinity', 'infinity', '-infinity', '-1 year -2 mons +3 days', 'NaN'),
            ('-Infinity', '-1.5', '0044-03-15 BC', '4713-01-01 00:00:00+00 BC', '178000000 years', '-Infinity'),
            (1e-307, 3.4e38, '5874897-12-31', '294276-12-31 23:59:59.999999+00', '0.000001 s', 1e200);
        INSERT INTO vals (j, b, t, a, arr) VALUES
            ('{"a": "\u0000 \\n", "a": 1,  "b" : null}', '\x0d0a5c2e0a', E'\r\n\t\b\f\v\\',
             ARRAY['', NULL, 'NULL', E'\\', '"', '{}', E'a\nb'], '[2:3][-1:0]={{1,2},{3,4}}');
        INSERT INTO vals (t) VALUES (''), (NULL), (E'\\N'), (E'\\.'), (E'\n\\.\n'), (E'\r'), (E'\\\n'), (E'a\tb\\\tc'),
            (E'\\connect postgres\n\\! id'), (E'--\n-- PostgreSQL database dump complete\n--\n'),
            (repeat('9 MB ', 1800000)),
            ('COPY x FROM stdin;'), (U&'\+01F600 \FEFF \0085');
        INSERT INTO vals (c, bits, rc) VALUES ('     ', B'', 'vals'), ('ab', B'0101', NULL);
        CREATE TABLE one (t text);
        INSERT INTO one VALUES (''), (NULL), (E'\\.'), (' '), (E'\r'), (E'\\');
        CREATE TABLE nothing (a int PRIMARY KEY);
        CREATE TABLE no_columns ();
        INSERT INTO no_columns SELECT FROM generate_series(1, 5);
        CREATE TABLE all_generated (g int GENERATED ALWAYS AS (7) STORED);
        INSERT INTO all_generated SELECT FROM generate_series(1, 3);
    """,
    "names": f"""
        CREATE TABLE t63_{LONG} (c63_{LONG} int PRIMARY KEY, "c2" int);
        CREATE INDEX i63_{LONG} ON t63_{LONG} ("c2");
        CREATE TABLE "new\nline" ("co\nl" int, "--x" int, "a\\b" text, "'" int, "E'" int, "$a$" int, "/*" int, "%s" int,
            "{{0}}" int, "x.y" int, " " int);
        INSERT INTO "new\nline" VALUES (1, 2, 'x');
        ALTER TABLE "new\nline" ADD CONSTRAINT "a ""q""; -- \nb" UNIQUE ("co\nl", "--x");
        COMMENT ON TABLE "new\nline" IS 'new\n-- PostgreSQL database dump complete\nline';
        CREATE TABLE "table" ("user" int PRIMARY KEY, "order" int REFERENCES "table");
        CREATE TABLE " VALUES (" ("VALUES" int);
        INSERT INTO " VALUES (" VALUES (5);
        CREATE TABLE stdin (stdin int);
        INSERT INTO stdin VALUES (1);
        CREATE TABLE "User" (id int PRIMARY KEY);
        CREATE INDEX "_CourseToUser_B_index" ON "User" (id);
        INSERT INTO "User" VALUES (1), (2);
        CREATE TABLE "Ⅷ 表 😀" ("ключ" int PRIMARY KEY);
    """,
    "keys": """
        CREATE TABLE late (id int UNIQUE DEFERRABLE INITIALLY DEFERRED, b int, CONSTRAINT later UNIQUE (b) DEFERRABLE);
        INSERT INTO late VALUES (1, 1), (2, 2), (NULL, NULL);
        CREATE TABLE nulls (a int, b int, UNIQUE NULLS NOT DISTINCT (a, b));
        INSERT INTO nulls VALUES (NULL, 1);
        CREATE TABLE more (a int, b text, CONSTRAINT more_pk PRIMARY KEY (a) INCLUDE (b) WITH (fillfactor=70));
        INSERT INTO more VALUES (1, 'x'), (2, NULL);
        CREATE TABLE pointing (t int, i int REFERENCES more MATCH FULL ON DELETE SET NULL,
            FOREIGN KEY (t) REFERENCES more ON DELETE SET NULL (t));
        INSERT INTO pointing VALUES (1, 2), (NULL, NULL);
        CREATE TABLE spans (r int4range, EXCLUDE USING gist (r WITH &&) WHERE (NOT isempty(r)) DEFERRABLE);
        INSERT INTO spans VALUES ('[1,2)'), ('[2,5)');
        CREATE TABLE keyed (a int NOT NULL, b int NOT NULL);
        CREATE UNIQUE INDEX keyed_ba ON keyed (b, a);
        ALTER TABLE keyed ADD CONSTRAINT keyed_unique UNIQUE USING INDEX keyed_ba;
        ALTER TABLE keyed CLUSTER ON keyed_unique;
        ALTER TABLE keyed REPLICA IDENTITY USING INDEX keyed_unique;
        CREATE INDEX partial ON keyed (a DESC, b NULLS FIRST) INCLUDE (b) WITH (fillfactor=50) WHERE b > 0;
        CREATE INDEX brins ON keyed USING brin (a int4_minmax_multi_ops(values_per_range=16));
        CREATE DOMAIN odd AS int;
        ALTER DOMAIN odd ADD CONSTRAINT is_odd CHECK (VALUE % 2 = 1) NOT VALID;
    """,
    "partitions": """
        CREATE TABLE p (id int, r int, up_id int, up_r int, PRIMARY KEY (id, r)) PARTITION BY LIST (r);
        CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
        CREATE TABLE others PARTITION OF p DEFAULT;
        CREATE TABLE c (id int, r int, FOREIGN KEY (id, r) REFERENCES p ON DELETE CASCADE);
        ALTER TABLE p ADD CONSTRAINT own FOREIGN KEY (up_id, up_r) REFERENCES p (id, r);
        INSERT INTO p SELECT n, n % 4, NULL, NULL FROM generate_series(1, 40) n;
        UPDATE p SET up_id = 4, up_r = 0 WHERE id < 30;
        INSERT INTO c SELECT id, r FROM p;
        CREATE INDEX only_root ON ONLY p (up_id);
        CREATE FUNCTION same() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER on_each BEFORE INSERT ON p FOR EACH ROW EXECUTE FUNCTION same();
        CREATE TABLE expr (t text) PARTITION BY HASH (lower(t));
        CREATE TABLE expr0 PARTITION OF expr FOR VALUES WITH (MODULUS 1, REMAINDER 0);
        INSERT INTO expr VALUES ('A'), ('b');
        CREATE TABLE joined (gone int, n int NOT NULL);
        ALTER TABLE joined DROP COLUMN gone;
        CREATE TABLE root (n int NOT NULL) PARTITION BY RANGE (n);
        ALTER TABLE root ATTACH PARTITION joined FOR VALUES FROM (0) TO (100);
        INSERT INTO root VALUES (1);
    """,
    "policies": """
        CREATE TABLE r (id int PRIMARY KEY, owner name DEFAULT current_user);
        INSERT INTO r SELECT generate_series(1, 10);
        CREATE TABLE r2 (id int REFERENCES r);
        INSERT INTO r2 VALUES (1);
        ALTER TABLE r ENABLE ROW LEVEL SECURITY;
        ALTER TABLE r FORCE ROW LEVEL SECURITY;
        CREATE POLICY nobody ON r USING (false);
    """,
    "sequences": """
        CREATE SEQUENCE down INCREMENT BY -3 MINVALUE -100 MAXVALUE 9 START 9 CYCLE;
        SELECT nextval('down'), nextval('down');
        CREATE SEQUENCE "full;" OWNED BY NONE;
        SELECT setval('"full;"', 9223372036854775807);
        CREATE SEQUENCE unused;
        SELECT setval('unused', 7, false);
        CREATE TABLE own (id int, b smallserial);
        CREATE SEQUENCE own_s OWNED BY own.id;
        ALTER TABLE own ALTER id SET DEFAULT nextval('own_s') * 2;
        INSERT INTO own DEFAULT VALUES;
        CREATE TABLE negative (a int GENERATED BY DEFAULT AS IDENTITY
            (SEQUENCE NAME "od;d" START -5 INCREMENT -1 MAXVALUE 0 MINVALUE -1000 CYCLE), b int);
        INSERT INTO negative (b) VALUES (1);
        ALTER TABLE negative ADD c bigint GENERATED ALWAYS AS IDENTITY;
        CREATE TABLE renamed (id serial);
        ALTER SEQUENCE renamed_id_seq RENAME TO elsewhere;
        INSERT INTO renamed DEFAULT VALUES;
    """,
    "routines": r"""
        CREATE TABLE docs (b text, v tsvector GENERATED ALWAYS AS (to_tsvector('simple', b)) STORED);
        INSERT INTO docs VALUES ('hello world');
        CREATE FUNCTION definer() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
            SET search_path = pg_catalog, "Odd, one" SET work_mem = '5MB' AS $fn$ begin /* ' */ perform '$$'; end $fn$;
        CREATE FUNCTION recs() RETURNS SETOF record LANGUAGE sql ROWS 5 AS $_$ select 1, '\'; $_$;
        CREATE PROCEDURE adds(a int, INOUT b int) LANGUAGE sql
            BEGIN ATOMIC INSERT INTO docs VALUES ('a;' || a); SELECT b; END;
        CREATE FUNCTION mark() RETURNS trigger LANGUAGE plpgsql AS $$ begin return new; end $$;
        CREATE TRIGGER whole AFTER INSERT ON docs REFERENCING NEW TABLE AS n FOR EACH STATEMENT
            EXECUTE FUNCTION mark('a;b', '$$');
        ALTER TABLE docs ENABLE ALWAYS TRIGGER whole;
        CREATE VIEW shown AS SELECT b, ';' AS ";" FROM docs;
        CREATE RULE ins AS ON INSERT TO shown DO INSTEAD
            (INSERT INTO docs (b) VALUES (new.b); NOTIFY "x;y"; UPDATE docs SET b = ';' WHERE b = new.b);
        CREATE VIEW checked AS SELECT b FROM docs WHERE b > '' WITH CASCADED CHECK OPTION;
        CREATE MATERIALIZED VIEW z1 AS SELECT count(*) FROM docs;
        CREATE MATERIALIZED VIEW a2 AS SELECT * FROM z1;
        CREATE OPERATOR @++@ (LEFTARG = text, RIGHTARG = text, FUNCTION = textcat);
        CREATE TEXT SEARCH CONFIGURATION plain (COPY = simple);
    """,
    "types": r"""
        CREATE TYPE person AS (name text, age int);
        CREATE TABLE people OF person (PRIMARY KEY (name), age WITH OPTIONS NOT NULL DEFAULT 3);
        INSERT INTO people VALUES ('a', 1);
        CREATE DOMAIN ints AS int[] CHECK (array_length(VALUE, 1) < 5);
        CREATE DOMAIN email AS text COLLATE "C" CHECK (VALUE ~ '^[^@]+@[^@]+$');
        CREATE DOMAIN strict_email AS email NOT NULL;
        CREATE TYPE frange AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = float8mi, MULTIRANGE_TYPE_NAME = franges);
        CREATE TABLE typed (a ints, b strict_email, d person, e person[], f frange, g franges);
        INSERT INTO typed VALUES ('{1,2}', 'a@b', ROW('x,"y"', 1), ARRAY[ROW('a\b', 2)::person, NULL],
            '[1,2)', '{[1,2)}');
        CREATE TABLE base (id int PRIMARY KEY, t text DEFAULT 'x');
        CREATE TABLE aside (z int);
        CREATE TABLE heir (q int, PRIMARY KEY (id)) INHERITS (base, aside);
        ALTER TABLE heir ALTER t SET DEFAULT 'heir';
        INSERT INTO base VALUES (1); INSERT INTO heir (id, z, q) VALUES (5, 5, 5);
    """,
}  # fmt: skip
WIDE = f"CREATE TABLE wide ({', '.join(f'c{n} bool' for n in range(1600))}); INSERT INTO wide (c1599) VALUES (false);"
ALL_FORMS = {
    "plain, one connection": ((), {"jobs": "1"}),
    "plain, content": ((), {"jobs": "3", "verify": "content"}),
    "plain, indexes later": (("--clean", "--if-exists"), {"jobs": "3", "defer_indexes": "non_unique"}),
    "directory": (("--format=directory",), {"jobs": "3", "verify": "content"}),
    "tar": (("--format=tar", "--quote-all-identifiers"), {"jobs": "3", "verify": "content"}),
    "INSERT": (("--rows-per-insert=7",), {"jobs": "3"}),
}


@pytest.mark.parametrize("how", ALL_FORMS)
def test_everything_hard_comes_back(hard: tuple[Live, str], how: str) -> None:
    live, before = hard
    arguments, options = ALL_FORMS[how]
    result = live.restore(live.dump(*arguments, name=how), force=True, keep_previous=0, use_verified=False, **options)
    assert {check["result"] for check in result["proof"]} == {"passed"}
    if "defer_indexes" in options:
        assert result["outstanding_indexes"]
        live.complete()
    assert live.content() == before


@pytest.fixture(scope="module")
def hard(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Live, str]]:
    live = Live(postgres, "hard", tmp_path_factory.mktemp("hard"))
    live.create()
    live.execute(
        "".join(f'CREATE SCHEMA "in {name}"; SET search_path TO "in {name}"; {HARD[name]}' for name in HARD) + WIDE
    )
    yield live, live.content()
    live.drop()


# -- forms of a dump --------------------------------------------------------------------------------------------------

SMALL = r"""
CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL, email text UNIQUE);
CREATE TABLE notes (id int PRIMARY KEY, author int REFERENCES users, note text);
CREATE INDEX notes_author ON notes (author);
INSERT INTO users SELECT n, 'user ' || n, n || '@example.org' FROM generate_series(1, 2000) n;
INSERT INTO notes SELECT n, n, E'\\connect postgres\n\\.\n;DROP DATABASE x;' || n FROM generate_series(1, 500) n;
"""
ROW = b"\n7\tuser 7\t7@example.org\n"
COPY_USERS = b"COPY public.users (id, name, email) FROM stdin;"
CREATES = b"SET default_tablespace"
TRAILER = b"\n--\n-- PostgreSQL database dump complete"
PZSTD_BEGINS = b"\x50\x2a\x4d\x18\4\0\0\0size"
Edit = Callable[[bytes], bytes]


def instead(old: bytes, new: bytes) -> Edit:
    def edit(dump: bytes) -> bytes:
        assert old in dump
        return dump.replace(old, new, 1)

    return edit


def statement(text: bytes) -> Edit:
    """A statement where pg_dump begins to create things."""
    return instead(CREATES, text + b"\n\n" + CREATES)


def at_the_end(text: bytes) -> Edit:
    return instead(TRAILER, b"\n" + text + b"\n\n" + TRAILER)


def in_pieces(pack: Edit) -> Edit:
    return lambda dump: b"".join(pack(dump[at : at + 40_000]) for at in range(0, len(dump), 40_000))


FORMS: dict[str, Edit] = {
    "with Windows line breaks": lambda dump: dump.replace(b"\n", b"\r\n"),
    "backslash before a line break": instead(rb"\\connect postgres\n", b"\\\\connect postgres\\\n"),
    "with strings of another kind": lambda dump: dump.replace(
        b"standard_conforming_strings = on", b"standard_conforming_strings = off"
    ),
    "with comments": statement(b"/* a ; /* b ' */ $$ */ -- '"),
    "in two blocks": instead(ROW, ROW + b"\\.\n\n" + COPY_USERS + b"\n"),
    "without its last line break": lambda dump: dump.rstrip(b"\n"),
    "in gzip, of several members": in_pieces(gzip.compress),
    "in zstd, of several frames": lambda dump: PZSTD_BEGINS + in_pieces(zstandard.compress)(dump),
    "in xz": in_pieces(lzma.compress),
    "in bzip2": in_pieces(bz2.compress),
}


@pytest.fixture(scope="module")
def small(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Live, bytes, str]]:
    live = Live(postgres, "small", tmp_path_factory.mktemp("small"))
    live.create()
    live.execute(SMALL)
    yield live, live.dump().read_bytes(), live.content()
    live.drop()


@pytest.mark.parametrize("form", FORMS)
def test_a_form_of_a_dump(small: tuple[Live, bytes, str], tmp_path: Path, form: str) -> None:
    live, dump, before = small
    path = tmp_path / "dump.sql.gz"
    path.write_bytes(FORMS[form](dump))
    live.restore(path, keep_previous=0, verify="content")
    assert live.content() == before


def test_a_dump_by_pg_dump_18(small: tuple[Live, bytes, str], tmp_path: Path) -> None:
    live, _dump, before = small
    path = tmp_path / "dump"
    subprocess.run(
        [str(find_binaries("18") / "pg_dump"), "--schema=public", f"--file={path}"],
        env=live.server.client_environment(database=live.name),
        check=True,
    )
    assert b"SET transaction_timeout" in path.read_bytes()
    result = live.restore(path, keep_previous=0)
    assert live.content() == before
    assert "Setting transaction_timeout is unknown to this server and was left out." in result["notes"]


# -- refusals ---------------------------------------------------------------------------------------------------------


def backup_of_a_container(dump: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in {"compose.yml": b"services: {}\n", "dump.sql": dump}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def zipped(dump: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("dump.sql", dump)
    return packed.getvalue()


def with_zeros(dump: bytes) -> bytes:
    """As a file system shows a block that was never written."""
    middle = len(dump) // 2
    return dump[:middle] + bytes(4096) + dump[middle + 4096 :]


BEFORE_THE_SERVER: dict[str, tuple[Edit, str]] = {
    "empty": (lambda _dump: b"", "empty"),
    "blank": (lambda _dump: b"\n\n", "not a dump"),
    "empty in gzip": (lambda _dump: gzip.compress(b""), "empty (nothing inside of gzip)"),
    "an error page": (lambda _dump: b"<!DOCTYPE html><html>502 Bad Gateway</html>", "web page"),
    "of another program": (lambda _dump: b"-- MySQL dump 10.13\nCREATE TABLE `x` (a int);\n", "no dump of pg_dump"),
    "cut in its data": (lambda dump: dump[: dump.index(ROW)], "ends inside the data of table"),
    "cut before its keys": (lambda dump: dump[: dump.rindex(b"\\.\n") + 3], "closing line"),
    "cut in gzip": (lambda dump: gzip.compress(dump)[:-4], "the gzip data end in the middle"),
    "wrong sum in gzip": (lambda dump: gzip.compress(dump)[:-8] + bytes(8), "the gzip data are damaged"),
    "junk behind gzip": (lambda dump: gzip.compress(dump) + b"junk", "the gzip data are damaged"),
    "first member of gzip alone": (lambda dump: gzip.compress(dump[:20_000]), "ends inside the data of table"),
    "cut in zstd": (lambda dump: zstandard.compress(dump)[:-7], "the zstd data end in the middle"),
    "cut in xz": (lambda dump: lzma.compress(dump)[:-3], "the xz data end in the middle"),
    "cut in bzip2": (lambda dump: bz2.compress(dump)[:-3], "the bzip2 data end in the middle"),
    "a block of zeros": (with_zeros, "a zero byte in the data of table"),
    "with a byte order mark": (lambda dump: b"\xef\xbb\xbf" + dump, "byte order mark"),
    "in UTF-16": (lambda dump: dump.decode().encode("utf-16"), "byte order mark"),
    "in UTF-16 without a mark": (lambda dump: dump.decode().encode("utf-16-le"), "binary"),
    "in SJIS": (instead(b"client_encoding = 'UTF8'", b"client_encoding = 'SJIS'"), "cannot be read safely"),
    "without comments": (
        lambda dump: b"\n".join(line for line in dump.split(b"\n") if not line.startswith(b"--")),
        "no dump of pg_dump",
    ),
    "two in one file": (lambda dump: dump + dump, "two dumps in one file"),
    "two in one gzip": (lambda dump: gzip.compress(dump) * 2, "two dumps in one file"),
    "in a backup of a container": (backup_of_a_container, "not one of pg_dump --format=tar"),
    "in a zip file": (zipped, "packed with zip"),
    "another unrestrict": (lambda dump: dump.replace(b"\\unrestrict ", b"\\unrestrict x"), "psql command"),
    "connects": (statement(b"\\connect postgres"), "another database"),
    "runs a shell": (statement(b"\\! id"), "psql command"),
    "writes a file": (statement(b"SELECT 1 \\g /tmp/x"), "psql command"),
    "copies from a program": (instead(b"FROM stdin;", b"FROM PROGRAM 'id';"), "a program of the server"),
    "copies to a file": (statement(b"COPY public.users TO '/tmp/x';"), "a program of the server"),
    "creates a database": (statement(b"CREATE DATABASE x;"), "reaches beyond"),
    "drops a database": (statement(b"DROP DATABASE small;"), "reaches beyond"),
    "changes the server": (statement(b"ALTER SYSTEM SET fsync = off;"), "reaches beyond"),
    "becomes another role": (statement(b"SELECT pg_catalog.set_config('role', 'postgres', false);"), "set_config"),
    "computes what it inserts": (
        at_the_end(b"INSERT INTO public.users VALUES (9999, (SELECT rolname FROM pg_roles LIMIT 1), NULL);"),
        "INSERT computes its values",
    ),
    "runs code": (statement(b"DO $$ BEGIN PERFORM 1; END $$;"), "DO would run code"),
    "deletes": (at_the_end(b"DELETE FROM public.users;"), "pg_dump never writes"),
    "drops what a role owns": (at_the_end(f"DROP OWNED BY {REPORT_ROLE};".encode()), "pg_dump never writes"),
}  # fmt: skip
BY_THE_SERVER: dict[str, tuple[Edit, str]] = {
    "a byte that is no text": (instead(ROW, b"\n7\tus\xff\xfeer\t7@example.org\n"), "loading table public.users"),
    "one column too many": (instead(ROW, ROW[:-1] + b"\tmore\n"), "loading table public.users"),
    "a warning among its rows": (
        instead(ROW, ROW + b"pg_dump: warning: there are circular keys\n"),
        "loading table public.users",
    ),
    "rows that stand twice": (instead(ROW, ROW + ROW[1:]), "could not create unique index"),
    "a lost end of data": (instead(b"\\.\n", b""), "loading table public.notes"),
    "a lost semicolon": (instead(b"btree (author);", b"btree (author)"), "CREATE INDEX notes_author"),
}


@pytest.fixture(scope="module")
def untouched(small: tuple[Live, bytes, str]) -> State:
    return small[0].state()


@pytest.mark.parametrize("what", [*BEFORE_THE_SERVER, *BY_THE_SERVER])
def test_a_bad_dump_is_refused(small: tuple[Live, bytes, str], untouched: State, tmp_path: Path, what: str) -> None:
    live, dump, _content = small
    edit, message = (BEFORE_THE_SERVER | BY_THE_SERVER)[what]
    path = tmp_path / "dump"
    path.write_bytes(edit(dump))
    result = live.refuse(path)
    assert message in result["msg"]
    assert ("create" in result["seconds"]) is (what in BY_THE_SERVER)
    assert live.state() == untouched


def test_a_whole_server_and_a_dump_that_creates_its_database(
    small: tuple[Live, bytes, str], untouched: State, tmp_path: Path
) -> None:
    live, _dump, _content = small
    everything = tmp_path / "everything"
    everything.write_bytes(live.server.tool("pg_dumpall"))
    assert "pg_dumpall" in live.refuse(everything)["msg"]
    assert "CREATE DATABASE" in live.refuse(live.dump("--create", name="create"))["msg"]
    assert live.state() == untouched
