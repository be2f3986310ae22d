# SPDX-License-Identifier: GPL-3.0-or-later
"""What pg_restore --create says about the database itself."""

from __future__ import annotations

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.archived import properties_of
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.database import Grant, Properties

CREATE = "CREATE DATABASE d WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE_PROVIDER = libc LOCALE = 'C.UTF-8'"
OWNER = 'ALTER DATABASE d OWNER TO "the app"'
PUBLIC = {Grant(None, "CONNECT", False), Grant(None, "TEMPORARY", False)}
OWN = {Grant("the app", privilege, False) for privilege in ("CREATE", "CONNECT", "TEMPORARY")}


def properties(*statements: str, create: str = CREATE) -> Properties:
    return properties_of(iter([text.encode() for text in ("SET x = 1", create, OWNER, *statements)]))


def test_all_of_them() -> None:
    found = properties(
        "COMMENT ON DATABASE d IS 'It''s; ours'",
        "ALTER DATABASE d CONNECTION LIMIT = 40",
        "ALTER DATABASE d SET statement_timeout TO '30s'",
        "ALTER DATABASE d SET \"TimeZone\" TO 'Asia/Ho_Chi_Minh'",
        "ALTER DATABASE d SET search_path TO '$user', 'public', 'Odd, one'",
        "ALTER DATABASE d SET \"app.motto\" TO 'a, b'",
        "ALTER ROLE \"the app\" IN DATABASE d SET work_mem TO '8MB'",
        "ALTER ROLE other SET work_mem TO '1MB'",
        "CREATE TABLE public.t (a int)",
        "ALTER TABLE public.t OWNER TO other",
        "COMMENT ON TABLE public.t IS 'no'",
    )
    assert (found.owner, found.encoding, found.connection_limit) == ("the app", "UTF8", 40)
    assert found.comment == "It's; ours"
    assert found.locale == {"LC_COLLATE": "C.UTF-8", "LC_CTYPE": "C.UTF-8", "LOCALE_PROVIDER": "libc"}
    assert found.settings == (
        (None, "statement_timeout", "30s"),
        (None, "TimeZone", "Asia/Ho_Chi_Minh"),
        (None, "search_path", '"$user", "public", "Odd, one"'),
        (None, "app.motto", "a, b"),
        ("the app", "work_mem", "8MB"),
    )
    assert found.grants is None
    assert found.tablespace is None


@pytest.mark.parametrize(
    ("clauses", "locale", "encoding"),
    [
        ("ENCODING = 'LATIN1' LC_COLLATE = 'C' LC_CTYPE = 'fr_FR'", {"LC_COLLATE": "C", "LC_CTYPE": "fr_FR"}, "LATIN1"),
        (
            "ENCODING = 'UTF8' LOCALE_PROVIDER = icu LOCALE = 'C' ICU_LOCALE = 'en-US' ICU_RULES = '&V << w'",
            {
                "LC_COLLATE": "C",
                "LC_CTYPE": "C",
                "LOCALE_PROVIDER": "icu",
                "ICU_LOCALE": "en-US",
                "ICU_RULES": "&V << w",
            },
            "UTF8",
        ),
        (
            "ENCODING = 'UTF8' LOCALE_PROVIDER = builtin LOCALE = 'C' BUILTIN_LOCALE = 'C.UTF-8'",
            {"LC_COLLATE": "C", "LC_CTYPE": "C", "LOCALE_PROVIDER": "builtin", "BUILTIN_LOCALE": "C.UTF-8"},
            "UTF8",
        ),
    ],
)
def test_locales(clauses: str, locale: dict[str, str], encoding: str) -> None:
    found = properties(create=f'CREATE DATABASE "encoding" WITH TEMPLATE = template0 {clauses} TABLESPACE = fast')
    assert (found.locale, found.encoding, found.tablespace) == (locale, encoding, "fast")


@pytest.mark.parametrize(
    ("statements", "grants"),
    [
        (["REVOKE ALL ON DATABASE d FROM PUBLIC"], OWN),
        (["REVOKE CONNECT,TEMPORARY ON DATABASE d FROM PUBLIC"], OWN),
        (["REVOKE TEMPORARY ON DATABASE d FROM PUBLIC"], OWN | {Grant(None, "CONNECT", False)}),
        (["GRANT CONNECT ON DATABASE d TO report"], OWN | PUBLIC | {Grant("report", "CONNECT", False)}),
        (
            ["GRANT CREATE,CONNECT ON DATABASE d TO a WITH GRANT OPTION"],
            OWN | PUBLIC | {Grant("a", "CREATE", True), Grant("a", "CONNECT", True)},
        ),
        (
            ["GRANT ALL ON DATABASE d TO a WITH GRANT OPTION", "REVOKE GRANT OPTION FOR ALL ON DATABASE d FROM a"],
            OWN | PUBLIC | {Grant("a", privilege, False) for privilege in ("CREATE", "CONNECT", "TEMPORARY")},
        ),
        (
            ['REVOKE ALL ON DATABASE d FROM "the app"', 'GRANT CONNECT ON DATABASE d TO "the app"'],
            PUBLIC | {Grant("the app", "CONNECT", False)},
        ),
        (["GRANT SELECT ON TABLE public.database TO a", "GRANT USAGE ON SCHEMA s TO a"], None),
    ],
)
def test_grants(statements: list[str], grants: set[Grant] | None) -> None:
    assert properties(*statements).grants == grants


def test_another_owner_gets_what_the_former_had() -> None:
    found = properties("REVOKE ALL ON DATABASE d FROM PUBLIC")
    found.give_to("new")
    assert found.owner == "new"
    assert {grant.grantee for grant in found.grants or ()} == {"new"}


def test_the_mark_of_an_earlier_restore_is_no_comment() -> None:
    mark = 'vedfinance.platform restored this database: {"sha256": "x", "dump": "y", "at": "z"}'
    assert properties(f"COMMENT ON DATABASE d IS 'ours\n{mark}'").comment == "ours"
    assert properties(f"COMMENT ON DATABASE d IS '{mark}'").comment is None
