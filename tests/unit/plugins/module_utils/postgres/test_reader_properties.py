# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for any dump: it is read as it was written, and never accepted when it was cut."""

from __future__ import annotations

import gzip
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump import tools
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.judge import judge
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.model import Dump, DumpRejected
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.script import Bulk, Rows
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.source import Source
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.tools import Tools
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.reader import check, mutated
from tests.unit.plugins.module_utils.postgres.given import SCHOOL, dump_of

ALWAYS_THE_SAME = settings(derandomize=True, deadline=None, database=None, max_examples=20)

#: What a reader that guesses would stumble over.
TRAPS = [
    "\\.", "\n\\.\n", "\\", "\\\\", "\n", "\r\n", "\t", "'", "''", '"', ";", "$$", "$a$", "--", "/*", "*/", "(", ")",
    "E'", "COPY public.x (a) FROM stdin;", "\n-- PostgreSQL database dump complete\n", "\\connect x",
    "\\unrestrict KEY", "begin atomic", "case", "end", "VALUES", " VALUES (", "\\N", "é", "表",
]  # fmt: skip
texts = (
    st.lists(st.sampled_from(TRAPS) | st.text(max_size=5), max_size=6)
    .map("".join)
    .map(lambda text: text.replace("\0", ""))
)
plain_texts = texts.filter(lambda text: text.isprintable())
names = plain_texts.filter(bool).filter(lambda name: len(name.encode("utf-8", "replace")) < 60)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """As pg_dump writes it: an escape string where there is a backslash."""
    if "\\" in text:
        return " E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
    return "'" + text.replace("'", "''") + "'"


def copied(text: str) -> str:
    """A field as COPY writes it."""
    for byte, escape in (("\\", "\\\\"), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        text = text.replace(byte, escape)
    return text


@dataclass
class Made:
    """A dump, and what it holds."""

    body: list[str] = field(default_factory=list)
    rows: dict[str, int | None] = field(default_factory=dict)
    data: list[str] = field(default_factory=list)
    inserts: int = 0
    functions: int = 0

    @property
    def content(self) -> bytes:
        return dump_of("\n\n".join(self.body).encode("utf-8", "surrogatepass"))


@st.composite
def dumps(draw: st.DrawFn) -> Made:
    made = Made()
    for number, name in enumerate(draw(st.lists(names, min_size=1, max_size=4, unique=True))):
        table = f"public.{quoted(name)}"
        made.body.append(f"CREATE TABLE {table} (a text, {quoted(name)} text DEFAULT {literal(draw(texts))});")
        rows = draw(st.lists(st.tuples(texts, texts), max_size=4))
        if draw(st.booleans()):
            data = "".join(f"{copied(one)}\t{copied(two)}\n" for one, two in rows)
            made.body.append(f"COPY {table} (a, {quoted(name)}) FROM stdin;\n{data}\\.\n")
            made.data.append(data)
            made.rows[f"public.{name}"] = len(rows)
        else:
            made.body += [f"INSERT INTO {table} VALUES ({literal(one)}, {literal(two)});" for one, two in rows]
            made.inserts += len(rows)
            if rows:
                made.rows[f"public.{name}"] = None
        body = draw(texts).replace("$", "")
        made.body.append(
            f"CREATE FUNCTION public.f{number}(text) RETURNS text LANGUAGE sql AS $_{number}${body}$_{number}$;"
        )
        made.body.append(f"COMMENT ON TABLE {table} IS {literal(draw(texts))};")
        made.body.append(f"/* {draw(texts).replace('*/', '').replace('/*', '').strip('*/')} /* ; */ ' */")
        made.body.append(f"CREATE RULE r AS ON INSERT TO {table} DO ALSO ( SELECT {literal(draw(texts))}; SELECT 2; );")
        made.body.append(f"--{draw(plain_texts)}")
        made.functions += 1
    return made


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def judged(content: bytes, folder: Path, chunk: int = 1 << 18) -> Dump:
    path = folder / "dump.sql"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.source.CHUNK", chunk)
        patch.setattr(tools, "CHUNK", chunk)
        return judge(str(path))


@ALWAYS_THE_SAME
@given(made=dumps(), chunk=st.integers(1, 300))
def test_a_dump_is_read_as_it_was_written(folder: Path, made: Made, chunk: int) -> None:
    dump = judged(made.content, folder, chunk)
    assert {name: table.rows for name, table in dump.data.items()} == made.rows
    blocks = [item for item in dump.script if isinstance(item, Rows)]
    assert [made.content[block.begin : block.end].decode() for block in blocks] == made.data
    assert sum(item.statements for item in dump.script if isinstance(item, Bulk)) == made.inserts
    assert len(dump.catalogue.functions) == made.functions
    assert set(dump.catalogue.tables) >= set(made.rows)


@ALWAYS_THE_SAME
@given(made=dumps(), data=st.data())
def test_a_cut_is_never_accepted(folder: Path, made: Made, data: st.DataObject) -> None:
    whole = made.content.rstrip()
    end = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(DumpRejected):
        judged(whole[:end], folder)


@ALWAYS_THE_SAME
@given(made=dumps(), seed=st.integers(0, 1 << 30))
def test_damage_behind_a_checksum_is_never_accepted(folder: Path, made: Made, seed: int) -> None:
    """What is accepted in spite of the damage is the very dump."""
    damaged = mutated(gzip.compress(made.content), random.Random(seed))
    try:
        dump = judged(damaged, folder)
    except DumpRejected:
        return
    assert b"".join(Source(dump.path, Tools()).plain()) == made.content


@ALWAYS_THE_SAME
@given(made=dumps(), seed=st.integers(0, 1 << 30))
def test_damage_that_nothing_guards_is_read_or_refused(folder: Path, made: Made, seed: int) -> None:
    """A plain dump carries no checksum: what is left is that the reader says the same however the bytes arrive."""
    check(mutated(made.content, random.Random(seed)), folder)


def test_the_fuzz_target_finds_dumps_of_both_kinds(folder: Path) -> None:
    tried = [check(mutated(SCHOOL, random.Random(seed)), folder) for seed in range(30)]
    assert 0 < sum(dump is not None for dump in tried) < len(tried)
