# SPDX-License-Identifier: GPL-3.0-or-later
"""What a statement makes, and when it may run."""

from __future__ import annotations

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.model import Catalogue
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.statements import (
    Name,
    Phase,
    Understood,
    target_table,
    tokens,
    understand,
)

T = Name("public", "t")


def understood(text: str, catalogue: Catalogue | None = None) -> tuple[Understood, Catalogue, set[str], set[str]]:
    made, owners, roles = catalogue or Catalogue(), set[str](), set[str]()
    return understand(text.encode(), "here", made, owners, roles), made, owners, roles


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('SELECT "a""b".C', ["select", 'a"b', ".", "c"]),
        ("'it''s', E'a\\\\b''c', e'x'", ["it's", ",", "a\\b'c", ",", "x"]),
        ("$$a$$ $x$ $$ $x$ b", ["", "", "b"]),
        ("a /* b /* c */ */ d -- e\nf", ["a", "d", "f"]),
        ("1.5+x$1", ["1.5", "+", "x$1"]),
        ('é "表"', ["é", "表"]),
        ("'e' 'E'", ["e", "E"]),
        ("''''", ["'"]),
        ("/* never closed", []),
    ],
)
def test_tokens(text: str, values: list[str]) -> None:
    assert [token.value for token in tokens(text.encode())] == values


@pytest.mark.parametrize(
    ("text", "phase", "kind", "name", "table"),
    [
        ("CREATE TABLE public.t (a int)", Phase.IN_ORDER, "table", T, None),
        ('CREATE UNIQUE INDEX "i;" ON ONLY public.t (a)', Phase.INDEX, "index", Name("public", "i;"), T),
        ("ALTER TABLE ONLY public.t ADD CONSTRAINT k PRIMARY KEY (a)", Phase.INDEX, "primary key",
         Name("public", "k"), T),
        ("ALTER TABLE public.t ADD CONSTRAINT k UNIQUE (a)", Phase.INDEX, "unique", Name("public", "k"), T),
        ("ALTER TABLE public.t ADD CONSTRAINT k EXCLUDE USING gist (a WITH &&)", Phase.INDEX, "exclude",
         Name("public", "k"), T),
        ("ALTER TABLE public.t ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES u(id)", Phase.FOREIGN_KEY, "foreign key",
         Name("public", "k"), T),
        ("ALTER TABLE public.t ADD CONSTRAINT k CHECK (a > 0) NOT VALID", Phase.IN_ORDER, "check",
         Name("public", "k"), T),
        ("ALTER TABLE public.t ADD CONSTRAINT k NOT NULL a", Phase.IN_ORDER, "alter table", None, None),
        ("ALTER TABLE IF EXISTS ONLY public.t DROP CONSTRAINT k", Phase.CLEAN, "drop constraint", T, None),
        ("ALTER TABLE public.t ALTER COLUMN a DROP DEFAULT", Phase.CLEAN, "drop default", T, None),
        ("DROP TABLE public.t", Phase.CLEAN, "drop table", None, None),
        ("SELECT pg_catalog.lo_unlink('1')", Phase.CLEAN, "lo_unlink", None, None),
        ("CREATE OR REPLACE VIEW public.t AS SELECT NULL::int", Phase.CLEAN, "view", T, None),
        ("CREATE VIEW public.t AS SELECT 1", Phase.IN_ORDER, "view", T, None),
        ("CREATE MATERIALIZED VIEW public.t AS SELECT 1 WITH NO DATA", Phase.IN_ORDER, "materialized view", T, None),
        ("REFRESH MATERIALIZED VIEW public.t", Phase.REFRESH, "refresh", T, None),
        ("CREATE EXTENSION IF NOT EXISTS x WITH SCHEMA y", Phase.EXTENSION, "extension", Name("", "x"), None),
        ("COMMENT ON EXTENSION x IS 'y'", Phase.EXTENSION, "comment on extension", None, None),
        ("INSERT INTO public.t (a) VALUES (1)", Phase.INSERT, "insert", None, T),
        ("SET xmloption = content", Phase.SETTING, "set", Name("", "xmloption"), None),
        ("SELECT pg_catalog.set_config('search_path', '', false)", Phase.SETTING, "set_config",
         Name("", "search_path"), None),
    ],
)  # fmt: skip
def test_when_it_may_run(text: str, phase: Phase, kind: str, name: Name | None, table: Name | None) -> None:
    found = understood(text)[0]
    assert (found.phase, found.kind, found.name, found.table) == (phase, kind, name, table)


def test_a_view_that_was_made_may_be_replaced() -> None:
    made = understood("CREATE VIEW public.v AS SELECT NULL::int AS a")[1]
    assert understood("CREATE OR REPLACE VIEW public.v AS SELECT a FROM t", made)[0].phase is Phase.IN_ORDER


@pytest.mark.parametrize("statement", ["", " NOT VALID", " DEFERRABLE INITIALLY DEFERRED"])
def test_what_a_foreign_key_points_to(statement: str) -> None:
    text = f'ALTER TABLE ONLY a.b ADD CONSTRAINT k FOREIGN KEY (c, "references") REFERENCES d."e f"(g){statement}'
    found, made, _owners, _roles = understood(text)
    assert found.references == Name("d", "e f")
    assert made.not_valid == ({"a.b.k"} if "NOT VALID" in statement else set())


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        ("a int, b text", ("a", "b")),
        ('"a,b" int, "CHECK" text, "constraint" int', ("a,b", "CHECK", "constraint")),
        ("a numeric(8,2) DEFAULT f(1, 2), b int[]", ("a", "b")),
        ("a int, CONSTRAINT k CHECK ((a > 0)), CHECK (true)", ("a",)),
        ("", ()),
    ],
)
def test_the_columns_of_a_table(columns: str, names: tuple[str, ...]) -> None:
    made = understood(f"CREATE TABLE public.t ({columns}) WITH (fillfactor='70')")[1]
    assert made.tables == {"public.t": names}
    assert not made.partitioned
    made = understood(f"CREATE TABLE public.t ({columns}) PARTITION BY RANGE (a)")[1]
    assert made.partitioned == {"public.t"}


@pytest.mark.parametrize(
    ("text", "owners", "roles"),
    [
        ('ALTER TABLE public.t OWNER TO "Odd;Role"', {"Odd;Role"}, {"Odd;Role"}),
        ("ALTER FUNCTION public.f(a text, owner int) OWNER TO r", {"r"}, {"r"}),
        ("GRANT SELECT(a),INSERT ON TABLE public.t TO r WITH GRANT OPTION", set(), {"r"}),
        ("GRANT ALL ON FUNCTION public.f(to_ text) TO PUBLIC", set(), set()),
        ("REVOKE ALL ON SCHEMA public FROM PUBLIC", set(), set()),
        ("ALTER DEFAULT PRIVILEGES FOR ROLE a IN SCHEMA s REVOKE ALL ON TABLES FROM b", set(), {"a", "b"}),
        ("CREATE POLICY p ON public.t FOR SELECT TO a, b USING ((x IN (SELECT 1)))", set(), {"a", "b"}),
    ],
)
def test_the_roles_it_needs(text: str, owners: set[str], roles: set[str]) -> None:
    assert understood(text)[2:] == (owners, roles)


def test_overloaded_functions_are_counted() -> None:
    made = Catalogue()
    for arguments in ("int", "text"):
        understood(f"CREATE FUNCTION public.f({arguments}) RETURNS int", made)
    assert made.functions == {"public.f": 2}


def test_the_sequence_of_an_identity_column() -> None:
    text = "ALTER TABLE public.t ALTER COLUMN a ADD GENERATED ALWAYS AS IDENTITY (\n SEQUENCE NAME public.s START 1)"
    assert understood(text)[1].sequences == {"public.s"}


@pytest.mark.parametrize("text", ['COPY "s;"."t""" (a) FROM stdin', 'INSERT INTO "s;"."t""" VALUES (1)'])
def test_the_table_that_rows_go_to(text: str) -> None:
    assert target_table(text.encode()) == Name("s;", 't"')
