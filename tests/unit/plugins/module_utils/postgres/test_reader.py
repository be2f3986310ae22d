# SPDX-License-Identifier: GPL-3.0-or-later
"""What ends a statement, what is data and what is a command, however the bytes arrive."""

from __future__ import annotations

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.model import (
    CORRUPT,
    TRUNCATED,
    UNSUPPORTED,
    DumpRejected,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.reader import (
    Comment,
    CopyData,
    CopyEnd,
    CopyStart,
    MetaCommand,
    Place,
    Reader,
    Statement,
    codec_of,
    count_rows,
    in_utf8,
    ordinary_rows,
)

from tests.unit.plugins.module_utils.postgres.given import SCHOOL, events, in_chunks

TAIL = b"SELECT 1"
ONE_STATEMENT = {
    "string": b"SELECT 'a;b''c;--/*'",
    "string over lines": b"SELECT 'a\n;\n\\restrict x\n'",
    "backslash that is no escape": rb"SELECT 'a\', ';'",
    "escape string": rb"SELECT E'a\';b\\', e'\\', ';'",
    "word that ends in e": rb"SELECT size'\', ';'",
    "quoted name": b'SELECT "a;b""c$$d\'e" FROM t',
    "dollar quotes": b"SELECT $$a;'b\"$$, $x$;$$;$X$;$x$",
    "nested dollar quotes": b"SELECT $_$ $$;$$ $a$;$a$ $_$",
    "dollar in a name": b"SELECT a$$b FROM a$b$",
    "parameter": b"SELECT $1, '$2'",
    "nested comment": b"SELECT 1 /* ; /* ; */ ' ; */ + 2",
    "line comment": b"SELECT 1 -- ; ' /*\n + 2",
    "minus and division": b"SELECT 1 - -2 / 3 * 4",
    "rule": b"CREATE RULE r AS ON UPDATE TO t DO ( INSERT INTO a VALUES (1); DELETE FROM b WHERE ((x)); )",
    "atomic body": b"CREATE FUNCTION f() RETURNS int AS\n BEGIN ATOMIC\n SELECT 1;\n SELECT 2;\nEND",
    "atomic body with case": b"CREATE OR REPLACE PROCEDURE p() BEGIN\tATOMIC SELECT CASE WHEN a THEN (CASE b WHEN 1"
    b" THEN 2 END) ELSE 'end;' END;\n SELECT CASE x WHEN 1 THEN 2 END;\nEND",
    "function called begin": b"CREATE FUNCTION public.begin(\"end\" integer) RETURNS TABLE(begin integer) AS $$;$$",
    "name with begin in it": b"CREATE FUNCTION begin_atomic.the_end() RETURNS a.begin LANGUAGE sql AS $$;$$",
    "begin in a table": b"CREATE TABLE t (begin int, atomic int)",
    "insert": b"INSERT INTO t VALUES ('x;\ny', 'COPY t FROM stdin;')",
    "copy of a query": b"COPY t (a) FROM '/tmp/x'",
    "other bytes": "CREATE TABLE \"é;表\" (é text)".encode("latin-1", "replace"),
}  # fmt: skip
DATA = {
    "empty": (b"", 0),
    "plain": (b"1\ta\n2\tb\n", 2),
    "sql": (b"DROP TABLE t;\nCOPY t FROM stdin;\n--\n", 3),
    "trailer": (b"--\n-- PostgreSQL database dump complete\n--\n\\connect x\n\\unrestrict y\n", 5),
    "escaped terminator": (b"\\\\.\n\\\\.\\n\n", 2),
    "terminator in a row": (b"a\\.\n\\.a\nb \\.\n", 3),
    "quotes": (b"'\n\"\n$$\n/*\n", 4),
    "backslash and line break": (b"a\\\nb\n", 1),
    "two backslashes and line break": (b"a\\\\\nb\n", 2),
    "three backslashes and line break": (b"a\\\\\\\nb\n", 1),
    "windows": (b"1\r\n2\r\n", 2),
    "blank lines": (b"\n\n\n", 3),
    "binary": (bytes(range(1, 10)) + b"\xff\xfe\n", 1),
    "long row": (b"x" * 5000 + b"\n", 1),
}
COPY = b"COPY public.t (a, b) FROM stdin;\n"


@pytest.mark.parametrize("what", ONE_STATEMENT)
@pytest.mark.parametrize("size", [1, 7, 64, 1 << 18])
def test_one_statement(what: str, size: int) -> None:
    text = ONE_STATEMENT[what]
    read = events(in_chunks(text + b";\n" + TAIL + b";\n", size))
    assert [(type(event), event.text) for event in read] == [(Statement, text), (Statement, TAIL)]


@pytest.mark.parametrize("what", DATA)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 1 << 18])
@pytest.mark.parametrize("line_break", [b"\n", b"\r\n"])
def test_data(what: str, size: int, line_break: bytes) -> None:
    data, rows = DATA[what]
    content = COPY + data + b"\\." + line_break + b"\n" + TAIL + b";"
    begun = CopyStart(COPY.rstrip(b";\n"), Place(0, 1))
    end = CopyEnd(rows, len(COPY), len(COPY) + len(data))
    ends = [CopyData(data), end] if data else [end]
    after = Statement(TAIL, Place(len(content) - len(TAIL) - 1, 1 + content.count(b"\n")), len(content))
    assert events(in_chunks(content, size)) == [begun, *ends, after]


def test_every_chunk_size_gives_the_same() -> None:
    whole = events([SCHOOL])
    assert len(whole) > 50
    for size in range(1, 65):
        assert events(in_chunks(SCHOOL, size)) == whole, size


def test_a_whole_dump() -> None:
    read = events([SCHOOL])
    starts = [event for event in read if isinstance(event, CopyStart)]
    assert sum(event.rows for event in read if isinstance(event, CopyEnd)) == 12
    assert [start.text.split()[1] for start in starts] == [b"public.empty", b"public.notes", b'public."odd;""$$"',
                                                           b"public.users"]  # fmt: skip
    assert sum(isinstance(event, MetaCommand) for event in read) == 2
    for event in read:
        if isinstance(event, (Statement, Comment)):
            assert SCHOOL[event.place.offset :].startswith(event.text)
            assert event.place.line == 1 + SCHOOL.count(b"\n", 0, event.place.offset)


def test_strings_of_a_server_with_nonconforming_ones() -> None:
    script = (
        rb"SET standard_conforming_strings = off; SELECT 'a\';b'; SET standard_conforming_strings = on; SELECT '\';"
    )
    texts = [event.text for event in events([script]) if isinstance(event, Statement)]
    assert texts[1::2] == [rb"SELECT 'a\';b'", rb"SELECT '\'"]


def test_a_dump_with_windows_line_breaks() -> None:
    read = events([b"-- a\r\nSELECT 1;\r\n\\restrict x\r\n" + COPY.replace(b"\n", b"\r\n") + b"1\t2\r\n\\.\r\n"])
    assert [event.text for event in read if isinstance(event, (Comment, MetaCommand))] == [b"-- a", b"\\restrict x"]
    assert isinstance(read[-1], CopyEnd)


@pytest.mark.parametrize("text", [b"\\! id\n", b"SELECT 1 \\gexec\n", b"SELECT 1\n\\connect x\n", b"SELECT (1 \\o x\n"])
def test_a_command_is_seen_wherever_psql_would_run_it(text: bytes) -> None:
    commands = [event for event in events([text]) if isinstance(event, MetaCommand)]
    assert len(commands) == 1
    assert commands[0].inside_statement is not text.startswith(b"\\")


@pytest.mark.parametrize(
    ("text", "code", "reason"),
    [
        (b"SELECT 1", TRUNCATED, "inside a statement"),
        (b"SELECT 'x", TRUNCATED, "inside a string"),
        (rb"SELECT E'x\'", TRUNCATED, "inside a string"),
        (rb"SELECT E'x" + b"\\", TRUNCATED, "inside a string"),
        (b'SELECT "x', TRUNCATED, "inside a quoted name"),
        (b"SELECT $a$ $a", TRUNCATED, "inside a dollar-quoted text"),
        (b"SELECT 1 /* /* */", TRUNCATED, "inside a comment"),
        (b"/* x", TRUNCATED, "inside a comment"),
        (b"SELECT 1 -- x", TRUNCATED, "inside a comment"),
        (b"SELECT (1;", TRUNCATED, "inside a statement"),
        (b"CREATE FUNCTION f() BEGIN ATOMIC SELECT 1;", TRUNCATED, "inside a statement"),
        (COPY[:-1], TRUNCATED, "the data of table public.t, after 0 whole rows"),
        (COPY, TRUNCATED, "the data of table public.t, after 0 whole rows"),
        (COPY + b"1\t2\n3\t", TRUNCATED, "the data of table public.t, after 1 whole rows"),
        (COPY + b"1\t2\n\\", TRUNCATED, "the data of table public.t, after 1 whole rows"),
        (COPY.replace(b";", b"; SELECT 2;"), CORRUPT, "text stands behind"),
        (b"SELECT '\0';", CORRUPT, "zero byte"),
        (b"SET client_encoding = 'SJIS';", UNSUPPORTED, "--encoding=UTF8"),
        (b"SET client_encoding TO 'gb18030';", UNSUPPORTED, "--encoding=UTF8"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 1 << 18])
def test_what_cannot_be_read(text: bytes, code: str, reason: str, size: int) -> None:
    with pytest.raises(DumpRejected) as caught:
        events(in_chunks(text, size))
    assert caught.value.code == code
    assert reason in str(caught.value)
    assert "byte" in str(caught.value.where)


def test_the_encoding_of_a_dump() -> None:
    reader = Reader([b"SET client_encoding = 'latin1';"])
    assert reader.encoding == "UTF8"
    assert len(list(reader)) == 1
    assert reader.encoding == "LATIN1"


@pytest.mark.parametrize(
    ("encoding", "codec"),
    [
        ("UTF8", "utf-8"),
        ("LATIN1", "iso8859-1"),
        ("WIN1252", "cp1252"),
        ("KOI8R", "koi8-r"),
        ("EUC_JP", "euc_jp"),
        ("SQL_ASCII", "utf-8"),
    ],
)
def test_names_are_compared_in_one_encoding(encoding: str, codec: str) -> None:
    assert codec_of(encoding) == codec
    assert in_utf8(b"CREATE TABLE t", encoding) == b"CREATE TABLE t"
    assert in_utf8(b"\xff\xfe", "UTF8") == b"\xff\xfe"
    if codec.startswith(("iso", "cp")):
        assert in_utf8("é".encode(codec), encoding) == "é".encode()


@pytest.mark.parametrize("width", [1, 500])
@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b"", 0), (b"X", 0), (b"X\n", 1), (b"X\nX", 1), (b"\nX\n\n", 3), (b"X\\N\nX\\.\n", 2), (b"X\\n\n", 1),
        (b"X\\", 0), (b"X\\\nX\n", None), (b"\\\nX\n", None), (b"X\\\\\n", None), (b"X\n\\.\n", None),
        (b"\\.\n", None), (b"X\n\\.\r\n", None),
    ],
)  # fmt: skip
def test_ordinary_rows_are_counted_and_others_left_to_be_looked_at(data: bytes, rows: int | None, width: int) -> None:
    """Narrow rows and wide ones are counted in two ways, which say the same."""
    assert ordinary_rows(data.replace(b"X", b"x" * width)) == rows


@pytest.mark.parametrize("cut", range(12))
def test_rows_are_counted_across_pieces(cut: int) -> None:
    data = b"a\\\nb\\\\\nc\\\\\\\nd\n"
    rows, escaped = count_rows(data[:cut], False)
    more, still = count_rows(data[cut:], escaped)
    assert (rows + more, still) == (2, False)
