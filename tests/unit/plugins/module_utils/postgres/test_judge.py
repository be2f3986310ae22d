# SPDX-License-Identifier: GPL-3.0-or-later
"""Which dumps are accepted, and why and where the others are not, before any server is touched."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump import model
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.judge import ArchiveHeader, judge

from tests.unit.plugins.module_utils.postgres.given import SCHOOL, SCHOOL_ROWS, dump_of, judged, rejected

COPY = b"COPY public.t (a) FROM stdin;\n1\n\\.\n"


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
    body = b"COPY public.t (a) FROM stdin;\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict KEY\n\\.\n"
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
    "COMMENT ON DATABASE x IS 'y';": (b"COMMENT", model.LEAVES_DATABASE),
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
    "SET session_authorization TO postgres;": (b"SET", model.UNSUPPORTED),
    'SET "ROLE" TO postgres;': (b"SET", model.UNSUPPORTED),
    "RESET ROLE;": (b"RESET", model.UNKNOWN_STATEMENT),
    "DELETE FROM t;": (b"DELETE", model.UNKNOWN_STATEMENT),
    "UPDATE t SET a = 1;": (b"UPDATE", model.UNKNOWN_STATEMENT),
    "WITH x AS (SELECT 1) INSERT INTO t SELECT 1;": (b"WITH", model.UNKNOWN_STATEMENT),
    "VACUUM;": (b"VACUUM", model.UNKNOWN_STATEMENT),
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
    assert judged(dump_of(b"COPY t (a) FROM stdin;\n" + data + b"\n\\.\n"), tmp_path).rows == 1
    quoted = b"$q$" + statement.encode() + b"$q$"
    assert judged(dump_of(b"INSERT INTO t VALUES (" + quoted + b");"), tmp_path).data["t"].rows is None


ACCEPTED = (
    "SELECT pg_catalog.setval('public.s', 1, true);",
    "SELECT * FROM pg_catalog.pg_restore_relation_stats('version', '180004'::integer);",
    "SELECT pg_catalog.lo_create('1');",
    "BEGIN;\nSELECT pg_catalog.lo_open('1', 131072);\nSELECT pg_catalog.lowrite(0, '\\x00');\nCOMMIT;",
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
)


@pytest.mark.parametrize("statement", ACCEPTED)
def test_what_pg_dump_writes_is_accepted(tmp_path: Path, statement: str) -> None:
    assert rejected(dump_of(statement.encode() + b"\n"), tmp_path) is None


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
    "armoured": (b"-----BEGIN PGP MESSAGE-----\n\nx\n", model.UNSUPPORTED),
    "tar": (b"toc.dat".ljust(257, b"\0") + b"ustar  \0".ljust(255, b"\0"), model.UNSUPPORTED),
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
