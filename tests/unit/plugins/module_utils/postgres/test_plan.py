# SPDX-License-Identifier: GPL-3.0-or-later
"""From a dump's statements to a plan, without a server."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.model import Dump
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.script import Rows, Step
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore import costs
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.plan import (
    ARCHIVE,
    STREAM,
    Copy,
    Plan,
    Run,
    as_unique_index,
    opening,
    plan,
)

from .given import SCHOOL, dump_of, judged

TABLE = b"CREATE TABLE public.%s (\n    id integer%s\n);\n"
COPY = b"COPY public.%s (id) FROM stdin;\n%s\\.\n\n"
ONE_ROW = b"1\n"


@pytest.fixture(autouse=True)
def worth_emptying(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if to empty a table cost nothing, so that its size does not decide."""
    monkeypatch.setattr(costs, "_EMPTIED", 0.0)


def dump(tmp_path: Path, *parts: bytes) -> Dump:
    return judged(dump_of(b"\n".join(parts)), tmp_path)


def table(name: bytes, more: bytes = b"") -> bytes:
    return TABLE % (name, more)


def copy(name: bytes, rows: bytes = ONE_ROW) -> bytes:
    return COPY % (name, rows)


def hows(made: Plan) -> dict[str, str]:
    return {one.table: one.how for one in made.tables}


def texts(made: Plan) -> list[bytes]:
    return [ordered.text or ordered.item.text for ordered in made.then if isinstance(ordered.item, Step)]


def test_a_key_becomes_an_index_that_a_constraint_takes_over() -> None:
    assert as_unique_index(
        b'ALTER TABLE ONLY public."T;"\n    ADD CONSTRAINT "T_pk)" PRIMARY KEY (id, "a,""b")'
        b" INCLUDE (c) WITH (fillfactor='70', deduplicate_items=off) DEFERRABLE INITIALLY DEFERRED"
    ) == (
        (
            b'CREATE UNIQUE INDEX "T_pk)" ON public."T;" USING btree (id, "a,""b") INCLUDE (c)'
            b" WITH (fillfactor='70', deduplicate_items=off)"
        ),
        b'ALTER TABLE public."T;" ADD CONSTRAINT "T_pk)" PRIMARY KEY USING INDEX "T_pk)" DEFERRABLE INITIALLY DEFERRED',
    )


@pytest.mark.parametrize(
    "statement",
    [
        b"ALTER TABLE ONLY t ADD CONSTRAINT x EXCLUDE USING gist (d WITH &&)",
        b"ALTER TABLE ONLY t ADD CONSTRAINT x PRIMARY KEY (id, d WITHOUT OVERLAPS)",
        b"ALTER TABLE ONLY t ADD CONSTRAINT x UNIQUE (lower(a))",
        b"ALTER TABLE ONLY t ADD CONSTRAINT x UNIQUE (a) USING INDEX TABLESPACE fast",
        b"ALTER TABLE ONLY t ADD CONSTRAINT x UNIQUE (a), ADD COLUMN y int",
    ],
)
def test_a_constraint_of_another_form_runs_as_it_stands(statement: bytes) -> None:
    assert as_unique_index(statement) is None


def test_an_index_waits_for_its_table_alone(tmp_path: Path) -> None:
    made = plan(
        dump(
            tmp_path,
            table(b"a"), table(b"b"), copy(b"a"), copy(b"b"),
            b"CREATE INDEX a_id ON public.a USING btree (id);",
            b"ALTER TABLE ONLY public.b\n    ADD CONSTRAINT b_pkey PRIMARY KEY (id);",
        ),
        2,
    )  # fmt: skip
    labels = [task.label for task in made.tasks]
    assert labels[:4] == ["data of public.a", "data of public.b", "index public.a_id", "index public.b_pkey"]
    assert [made.tasks[2].after, made.tasks[3].after] == [[0], [1]]
    assert texts(made) == [b"ALTER TABLE public.b ADD CONSTRAINT b_pkey PRIMARY KEY USING INDEX b_pkey"]


def test_a_foreign_key_is_validated_apart_unless_it_never_was(tmp_path: Path) -> None:
    key = b"ALTER TABLE ONLY public.b\n    ADD CONSTRAINT %s FOREIGN KEY (id) REFERENCES public.a(id)%s;"
    made = plan(
        dump(tmp_path, table(b"a"), table(b"b"), copy(b"a"), key % (b"one", b""), key % (b"two", b" NOT VALID")), 2
    )
    assert [text.rpartition(b")")[2] for text in texts(made)] == [b" NOT VALID", b" NOT VALID"]
    validations = [task for task in made.finish if isinstance(task, Run) and task.label.startswith("foreign")]
    assert [task.items[0].text for task in validations] == [b'ALTER TABLE "public"."b" VALIDATE CONSTRAINT "one"']


@pytest.mark.parametrize(
    ("parts", "how"),
    [
        ((table(b"a"), copy(b"a")), {"public.a": "frozen"}),
        ((table(b"a").replace(b"\n);", b"\n)\nPARTITION BY RANGE (id);"), copy(b"a")), {"public.a": "copied"}),
        ((table(b"a"), copy(b"of_an_extension")), {"public.of_an_extension": "copied"}),
    ],
)
def test_only_a_table_of_the_dump_is_emptied_to_be_frozen(
    tmp_path: Path, parts: tuple[bytes, ...], how: dict[str, str]
) -> None:
    assert hows(plan(dump(tmp_path, *parts), 2)) == how


@pytest.mark.parametrize(("size", "how"), [(1 << 20, "copied"), (64 << 20, "frozen")])
def test_a_small_table_is_not_emptied_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, how: str
) -> None:
    monkeypatch.undo()
    given = dump(tmp_path, table(b"a"), copy(b"a"))
    (block,) = [item for item in given.script if isinstance(item, Rows)]
    block.end = block.begin + size
    assert hows(plan(given, 1)) == {"public.a": how}


@pytest.mark.parametrize("parts", [(b"BEGIN;", b"SELECT pg_catalog.lo_create('7');", b"COMMIT;"), (copy(b"a"),)])
def test_the_opening_ends_before_the_first_data(tmp_path: Path, parts: tuple[bytes, ...]) -> None:
    given = dump(
        tmp_path, b"SET row_security = off;", table(b"a"), table(b"b"), *parts, b"CREATE INDEX i ON public.a (id);"
    )
    first = opening(given.script)
    assert [str(one.item.understood.name) for one in first if isinstance(one.item, Step)] == ["public.a", "public.b"]
    assert [[str(setting.understood.name) for setting in one.settings][-1] for one in first] == ["row_security"] * 2
    assert plan(given, 2).before[:2] == first


FUNCTION = b"CREATE FUNCTION public.look(integer) RETURNS boolean LANGUAGE sql AS 'SELECT true';"


@pytest.mark.parametrize(
    "check",
    [b",\n    CONSTRAINT c CHECK (public.look(id))", b",\n    n integer GENERATED ALWAYS AS (public.look(id)) STORED"],
)
def test_a_table_whose_check_may_look_elsewhere_keeps_its_turn(tmp_path: Path, check: bytes) -> None:
    tables = (table(b"a"), FUNCTION, table(b"b", check), table(b"c"))
    made = plan(dump(tmp_path, *tables, copy(b"a"), copy(b"b"), copy(b"c")), 2)
    assert hows(made) == {"public.a": "frozen", "public.b": "copied", "public.c": "frozen"}
    assert [task.after for task in made.tasks[:3]] == [[], [0], [1]]


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        (
            (FUNCTION, b"CREATE DOMAIN public.d AS integer CONSTRAINT c CHECK (public.look(VALUE));", table(b"a")),
            "domain",
        ),
        ((table(b"a"), b"CREATE TRIGGER t BEFORE INSERT ON public.a FOR EACH ROW EXECUTE FUNCTION f();"), "trigger"),
    ],
)
def test_a_dump_that_must_be_loaded_in_order(tmp_path: Path, parts: tuple[bytes, ...], reason: str) -> None:
    made = plan(dump(tmp_path, *parts, copy(b"a")), 2)
    assert reason in str(made.in_order)
    assert any(isinstance(ordered.item, Rows) for ordered in made.before)
    assert not any(isinstance(task, Copy) for task in made.tasks)


INDEXES = (
    table(b"a"), copy(b"a"),
    b"CREATE INDEX plain ON public.a USING btree (id);",
    b"CREATE UNIQUE INDEX sure ON public.a USING btree (id);",
    b"CREATE INDEX attached ON public.a USING btree (id);",
    b"COMMENT ON INDEX public.plain IS 'x';",
    b"ALTER TABLE public.a CLUSTER ON plain;",
    b"ALTER INDEX public.root ATTACH PARTITION public.attached;",
    b"COMMENT ON INDEX public.sure IS 'y';",
)  # fmt: skip


def test_an_index_that_waits_takes_with_it_what_depends_on_it(tmp_path: Path) -> None:
    made = plan(dump(tmp_path, *INDEXES), 2, defer_indexes=True)
    (left_out,) = made.outstanding
    assert (left_out.index, left_out.table) == ("public.plain", "public.a")
    assert left_out.statements == (
        "CREATE INDEX plain ON public.a USING btree (id)",
        "COMMENT ON INDEX public.plain IS 'x'",
        "ALTER TABLE public.a CLUSTER ON plain",
    )
    assert [task.label for task in made.tasks if task.label.startswith("index")] == [
        "index public.sure",
        "index public.attached",
    ]
    assert [text.split()[0] for text in texts(made)] == [b"ALTER", b"COMMENT"]
    assert not plan(dump(tmp_path, *INDEXES), 2).outstanding


def test_a_large_table_is_split_when_others_would_be_idle(tmp_path: Path) -> None:
    few = dump(tmp_path, table(b"a"), table(b"b"), copy(b"a"), copy(b"b"))
    few.data["public.a"].bytes = 100 << 20
    (block,) = [item for item in few.script if isinstance(item, Rows) and item.table == "public.a"]
    block.end = block.begin + (100 << 20)
    assert hows(plan(few, 2)) == {"public.a": "split", "public.b": "frozen"}
    assert hows(plan(few, 1)) == {"public.a": "frozen", "public.b": "frozen"}


def test_packed_dumps_are_read_once_and_in_order(tmp_path: Path) -> None:
    made = plan(dump(tmp_path, table(b"a"), table(b"b"), copy(b"a"), copy(b"b")), 2, way=STREAM)
    assert [task.after for task in made.tasks[:2]] == [[], [0]]
    made = plan(dump(tmp_path, table(b"a"), table(b"b"), copy(b"a"), copy(b"b")), 2, way=ARCHIVE)
    assert [task.after for task in made.tasks[:2]] == [[], []]


def test_the_plan_can_be_told(tmp_path: Path) -> None:
    told = plan(judged(SCHOOL, tmp_path), 2).as_dict()
    assert told["jobs"] == 2
    assert told["in_dump_order"] is None
    assert told["reading"] == "each table by its place in the file"
    assert {one["table"]: one["how"] for one in told["tables"]}["public.users"] == "frozen"


def test_a_key_is_checked_before_policies_hide_rows_from_their_owner(tmp_path: Path) -> None:
    made = plan(
        dump(
            tmp_path, table(b"a"), b"ALTER TABLE ONLY public.a FORCE ROW LEVEL SECURITY;\n", table(b"b"), copy(b"b"),
            b"ALTER TABLE ONLY public.b\n    ADD CONSTRAINT f FOREIGN KEY (id) REFERENCES public.a(id);\n",
            b"ALTER TABLE public.a ENABLE ROW LEVEL SECURITY;\n",
        ),
        2,
    )  # fmt: skip
    assert texts(made)[0].endswith(b"REFERENCES public.a(id)")
    assert not [task for task in made.finish if "foreign key" in task.label]


@pytest.mark.parametrize("part", [b"", b"\nINHERITS (public.a)"])
def test_no_statistics_of_what_lies_on_other_servers(tmp_path: Path, part: bytes) -> None:
    whole = TABLE.replace(b"\n);", b"\n)%s;") % (b"a", b"", b"" if part else b"\nPARTITION BY RANGE (id)")
    foreign = b"CREATE FOREIGN TABLE public.f (\n    id integer\n)%s\nSERVER s;\n" % part
    made = plan(dump(tmp_path, whole, table(b"c"), foreign, copy(b"c")), 2)
    assert {task.label for task in [*made.tasks, *made.finish] if "statistics" in task.label} == {
        "statistics of public.c"
    }


def test_an_index_for_later_is_text_that_any_session_can_send(tmp_path: Path) -> None:
    setting = b"SET client_encoding = 'LATIN1';\nSET default_tablespace = '';\n"
    index = "CREATE INDEX é ON public.a USING btree (id);\n".encode("latin-1")
    made = plan(dump(tmp_path, setting, table(b"a"), copy(b"a"), index), 2, defer_indexes=True)
    (left_out,) = made.outstanding
    assert left_out.statements == ("CREATE INDEX é ON public.a USING btree (id)",)
    assert [text for text in left_out.settings if "encoding" in text] == []
    assert left_out.settings
