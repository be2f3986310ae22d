# SPDX-License-Identifier: GPL-3.0-or-later
"""Other names for the roles of a dump: each statement that names one, and nothing that only looks like one."""

from __future__ import annotations

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.model import Catalogue
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.statements import understand
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.roles import Renaming, mapping_for

RENAMING = Renaming({"ghost": "app", "Old boss": "app", "x": 'y"z'}, owners={"Old boss"})
RENAMED = {
    "ALTER TABLE public.t OWNER TO ghost": 'ALTER TABLE public.t OWNER TO "app"',
    "ALTER FUNCTION public.f(a ghost) OWNER TO x": 'ALTER FUNCTION public.f(a ghost) OWNER TO "y""z"',
    "GRANT SELECT(ghost) ON TABLE public.role TO Ghost, app, PUBLIC WITH GRANT OPTION": (
        "GRANT SELECT(ghost) ON TABLE public.role TO app, PUBLIC WITH GRANT OPTION"
    ),
    'REVOKE ALL ON TABLE t FROM "Old boss"': 'REVOKE ALL ON TABLE t FROM "app"',
    "REVOKE ALL ON TABLE t FROM ghost": None,
    'REVOKE ALL ON FUNCTION f("from" ghost) FROM PUBLIC, ghost': (
        'REVOKE ALL ON FUNCTION f("from" ghost) FROM PUBLIC'
    ),
    "ALTER DEFAULT PRIVILEGES FOR ROLE ghost IN SCHEMA s REVOKE ALL ON TABLES FROM ghost": (
        'ALTER DEFAULT PRIVILEGES FOR ROLE "app" IN SCHEMA s REVOKE ALL ON TABLES FROM "app"'
    ),
    "CREATE POLICY \"to ghost\" ON t FOR SELECT TO ghost, x USING ((o = 'ghost'::text))": (
        "CREATE POLICY \"to ghost\" ON t FOR SELECT TO \"app\", \"y\"\"z\" USING ((o = 'ghost'::text))"
    ),
    "CREATE USER MAPPING FOR ghost SERVER s OPTIONS (\"user\" 'ghost')": (
        "CREATE USER MAPPING FOR \"app\" SERVER s OPTIONS (\"user\" 'ghost')"
    ),
    "SET SESSION AUTHORIZATION ghost": 'SET SESSION AUTHORIZATION "app"',
}  # fmt: skip
SAME = [
    "COMMENT ON TABLE t IS 'OWNER TO ghost'",
    "ALTER TABLE t ADD CONSTRAINT c CHECK ((a <> 'OWNER TO ghost'::text))",
    "CREATE TABLE ghost (ghost integer)",
    "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ GRANT SELECT ON t TO ghost $$",
    "GRANT SELECT ON TABLE public.ghost TO app",
    "ALTER TABLE public.ghost OWNER TO app",
    "SET search_path = ghost",
]


def applied(statement: str, renaming: Renaming = RENAMING, codec: str = "utf-8") -> str | None:
    understood = understand(statement.encode(), "here", Catalogue(), set(), set())
    renamed = renaming.apply(statement.encode(codec), understood)
    return renamed.decode(codec) if renamed is not None else None


@pytest.mark.parametrize("statement", RENAMED)
def test_a_statement_that_names_a_role(statement: str) -> None:
    assert applied(statement) == RENAMED[statement]


@pytest.mark.parametrize("statement", SAME)
def test_a_statement_that_names_none(statement: str) -> None:
    assert applied(statement) == statement


def test_a_dump_in_another_encoding() -> None:
    renaming = Renaming({"schüler": "müller"}, encoding="LATIN1")
    assert applied("ALTER TABLE t OWNER TO schüler", renaming, "latin-1") == 'ALTER TABLE t OWNER TO "müller"'


def test_a_missing_role_without_a_new_name_becomes_the_owner() -> None:
    assert mapping_for(["ghost", "gone"], {"gone": "reports", "here": "other"}, "app") == {
        "ghost": "app", "gone": "reports", "here": "other",
    }  # fmt: skip
