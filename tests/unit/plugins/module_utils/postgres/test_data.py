# SPDX-License-Identifier: GPL-3.0-or-later
"""The data of a judged dump, read again by their places."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump import data, tools
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.data import (
    Entry,
    entries,
    in_order,
    plain_range,
    table_data,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.judge import judge
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.model import CORRUPT, DumpRejected
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.reader import Place
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.script import Bulk, Rows
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.tools import Tools

from tests.unit.plugins.module_utils.postgres.given import SCHOOL, dump_of, judged

INSERTS = b"INSERT INTO public.b VALUES (1);\nINSERT INTO public.b VALUES (2);"
BOTH = dump_of(
    b"CREATE TABLE public.a (a text);\nCREATE TABLE public.b (b int);\n"
    b"COPY public.a (a) FROM stdin;\n1\n\\.\n" + INSERTS + b"\nCOPY public.a (a) FROM stdin;\n\\.\n"
    b"COPY public.a (a) FROM stdin;\n" + b"x" * 3000 + b"\n\\.\n"
)


@pytest.mark.parametrize("size", [1, 10, 1 << 18])
def test_a_range_of_a_plain_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(data, "CHUNK", size)
    (tmp_path / "dump").write_bytes(SCHOOL)
    for begin, end in ((0, 0), (5, 6), (100, 2000), (0, len(SCHOOL))):
        pieces = list(plain_range(str(tmp_path / "dump"), begin, end))
        assert b"".join(pieces) == SCHOOL[begin:end]
        assert all(0 < len(piece) <= size for piece in pieces)


def test_a_file_that_became_shorter_or_went_away(tmp_path: Path) -> None:
    (tmp_path / "dump").write_bytes(b"12345")
    with pytest.raises(DumpRejected, match="shorter"):
        list(plain_range(str(tmp_path / "dump"), 2, 9))
    with pytest.raises(DumpRejected, match="cannot be read"):
        list(plain_range(str(tmp_path / "gone"), 0, 1))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("size", [3, 1 << 18])
def test_all_data_in_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool, size: int) -> None:
    dump = judged(gzip.compress(BOTH) if packed else BOTH, tmp_path)
    monkeypatch.setattr(tools, "CHUNK", size)
    found = [(item, b"".join(stream)) for item, stream in in_order(dump, Tools())]
    assert [content for _item, content in found] == [b"1\n", INSERTS, b"", b"x" * 3000 + b"\n"]
    for item, content in found:
        assert BOTH[item.begin : item.end] == content
        if isinstance(item, Rows):
            assert item.checksum == zlib.crc32(content)
    assert [type(item) for item, _content in found] == [Rows, Bulk, Rows, Rows]


def test_what_is_not_read_is_passed_over(tmp_path: Path) -> None:
    dump = judged(BOTH, tmp_path)
    assert [b"".join(stream) for item, stream in in_order(dump, Tools()) if isinstance(item, Bulk)] == [INSERTS]


def test_a_packed_file_that_became_shorter(tmp_path: Path) -> None:
    dump = judged(gzip.compress(BOTH), tmp_path)
    Path(dump.path).write_bytes(gzip.compress(BOTH[: len(BOTH) - 2000]))
    with pytest.raises(DumpRejected) as caught:
        any(list(stream) == [] for _item, stream in in_order(dump, Tools()) if _item.end > _item.begin)
    assert caught.value.code == CORRUPT


# -- one table of an archive, with a stand-in for pg_restore -------------------------------------------------------

ONE_TABLE = dump_of(b"COPY public.a (a) FROM stdin;\n1\n2\n\\.\n").decode()
PG_RESTORE = f"""#!/bin/sh
case "$*" in
--list*) cat <<'END'
;
; Archive created at 2026-11-22
3456; 0 16403 TABLE DATA public users owner
17; 1262 5 DATABASE - x owner
3457; 0 16404 TABLE DATA "s x y;\\" new line TABLE DATA z owner
3458; 0 0 SEQUENCE SET public users_id_seq owner
3459; 2613 7 BLOBS - BLOBS owner
END
;;
*) read wanted; [ "$wanted $*" = "3457; --file=- --data-only --use-list=/dev/stdin $0.dump" ] && cat <<'END'
{ONE_TABLE}
END
esac
"""


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    (tmp_path / "pg_restore").write_text(PG_RESTORE)
    (tmp_path / "pg_restore").chmod(0o755)
    path = tmp_path / "pg_restore.dump"
    path.write_bytes(b"PGDMP\1\x0f\0\4\x08\1" + bytes(2000))
    return path


def test_the_tables_of_an_archive(archive: Path) -> None:
    found = entries(str(archive), Tools(str(archive.parent)))
    assert [entry.dump_id for entry in found] == [3456, 3457]
    assert found[0] == Entry(3456, "public", "users")


def test_the_rows_of_one_table(archive: Path) -> None:
    wanted = Entry(3457, "public", "a")
    block = Rows(b"COPY public.a (a) FROM stdin", Place(500, 20), "public.a", begin=530, end=534)
    assert b"".join(table_data(str(archive), Tools(str(archive.parent)), wanted, block)) == b"1\n2\n"


def test_a_folder_with_fewer_tables_than_it_lists(archive: Path) -> None:
    """The rows of a table whose file is cut run on to the end of the next table."""
    folder = archive.parent / "dump"
    folder.mkdir()
    (folder / "toc.dat").write_bytes(archive.read_bytes())
    script = PG_RESTORE.replace("read wanted; [", "[ 1 = 1 ] || [").replace(
        "COPY public", "CREATE TABLE public.a (a text);\nCOPY public"
    )
    (archive.parent / "pg_restore").write_text(script)
    with pytest.raises(DumpRejected, match="only 1 of its 2 tables"):
        judge(str(folder), Tools(str(archive.parent)))
