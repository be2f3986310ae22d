# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore that cannot be proved changes nothing: same database, same content, nothing left beside it."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.postgres import Login, Server, free_port
from tests.integration.world import MODULE, SCHOOL, SCHOOL_ROWS, Live, State
from tests.modules import run_module

Edit = Callable[[str], str]
Damage = Callable[[Edit], Path]


def replaced(old: str, new: str) -> Edit:
    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return edit


def with_statement(statement: str) -> Edit:
    """A statement where pg_dump begins to create things."""
    return replaced("SET default_tablespace", f"{statement};\n\nSET default_tablespace")


FIRST_ENROLLMENT = "\n1\t2\t2026-01-02\n"
UNTIL_THE_SERVER = {
    "cut in its data": (lambda text: text[: text.index(FIRST_ENROLLMENT)], "ends inside the data of table"),
    "cut behind its data": (lambda text: text[: text.rindex("\\.\n") + 3], "closing line"),
    "of a whole server": (replaced("PostgreSQL database dump", "PostgreSQL database cluster dump"), "pg_dumpall"),
    "that leaves the database": (replaced("SET default", "\\connect postgres\nSET default"), "another database"),
    "that runs a program": (replaced("FROM stdin;", "FROM PROGRAM 'id';"), "a program of the server"),
    "that runs a shell": (replaced("SET default", "\\! id\nSET default"), "psql command"),
    "that becomes a superuser": (with_statement("SET session_authorization = postgres"), "changes the role"),
}  # fmt: skip
BY_THE_SERVER = {
    "a bad row": (replaced(FIRST_ENROLLMENT, "\nx\t2\t2026-01-02\n"), "loading table public.enrollments"),
    "a row too short": (replaced(FIRST_ENROLLMENT, "\n1\t2\n"), "loading table public.enrollments"),
    "a duplicate key": (replaced(FIRST_ENROLLMENT, FIRST_ENROLLMENT + FIRST_ENROLLMENT[1:]), "enrollments_pkey"),
    "a broken foreign key": (replaced(FIRST_ENROLLMENT, "\n4242\t2\t2026-01-02\n"), "enrollments_user_id_fkey"),
    "a row against a check": (replaced("\tcourse 1\t1.50", "\tcourse 1\t-1.50"), "courses_price_check"),
    "a statement in error": (with_statement("CREATE TABLE public.wrong (id nosuchtype)"), "nosuchtype"),
}
BY_PREFLIGHT = {
    "a missing role": (replaced("OWNER TO vedfinance_app", "OWNER TO ghost"), 'CREATE ROLE "ghost"'),
    "a role of others": (replaced("OWNER TO vedfinance_app", "OWNER TO postgres"), "GRANT postgres to it"),
    "a missing extension": (with_statement("CREATE EXTENSION IF NOT EXISTS postgis"), "Extension postgis"),
    "an extension for superusers": (with_statement("CREATE EXTENSION vector"), "Only a superuser can create"),
    "a newer server": (
        lambda text: re.sub(r"database version \S+", "database version 99.1", text),
        "restore it on version 99",
    ),
}
ALL_EDITS = UNTIL_THE_SERVER | BY_PREFLIGHT | BY_THE_SERVER
COUNTS = {"name": "users", "query": "SELECT count(*) FROM users", "expect": "100"}
CHECKS = {
    "fails": ("SELECT count(*) FROM users WHERE name LIKE 'user%'", "99", "failed: expected 99, found 100"),
    "cannot run": ("SELECT count(*) FROM nosuch", "1", 'could not run: .* relation "nosuch" does not exist'),
    "finds nothing": ("SELECT id FROM users WHERE id = -1", "1", "failed: expected 1, found nothing"),
    "writes": ("INSERT INTO era VALUES ('x') RETURNING true", "true", "could not run: .* read-only transaction"),
}


@pytest.fixture(scope="module")
def untouched(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Live, Path, State]]:
    """One database for all refusals, as none of them may change it; and a dump of it."""
    live = Live(postgres, "refusing", tmp_path_factory.mktemp("refusing"))
    live.create()
    live.execute(SCHOOL)
    live.decorate()
    yield live, live.dump(), live.state()
    live.drop()


@pytest.fixture(autouse=True)
def unchanged(untouched: tuple[Live, Path, State]) -> Iterator[None]:
    """What was there before is there afterwards, and nothing else."""
    yield
    live, _dump, state = untouched
    assert live.state() == state


@pytest.fixture
def school(untouched: tuple[Live, Path, State]) -> Live:
    return replace(untouched[0], login={})


@pytest.fixture
def dump(untouched: tuple[Live, Path, State]) -> Path:
    return untouched[1]


@pytest.fixture
def damage(dump: Path, tmp_path: Path) -> Damage:
    def damage(edit: Edit) -> Path:
        damaged = tmp_path / "damaged"
        damaged.write_text(edit(dump.read_text()))
        return damaged

    return damage


@pytest.mark.parametrize("what", ALL_EDITS)
def test_a_dump_is_refused(school: Live, damage: Damage, what: str) -> None:
    edit, message = ALL_EDITS[what]
    result = school.refuse(damage(edit))
    assert message in result["msg"]
    assert result["msg"].endswith(f"Database {school.name} is untouched.")
    loaded = "load" in result["seconds"]
    assert loaded is (what in BY_THE_SERVER)


@pytest.mark.parametrize("what", BY_PREFLIGHT)
def test_check_mode_finds_what_the_restore_would(school: Live, damage: Damage, what: str) -> None:
    edit, message = BY_PREFLIGHT[what]
    assert message in school.refuse(damage(edit), check=True)["msg"]


@pytest.mark.parametrize("how", CHECKS)
def test_an_invariant_stands_in_the_way(school: Live, dump: Path, how: str) -> None:
    query, expect, message = CHECKS[how]
    result = school.refuse(dump, checks=[COUNTS, {"name": "mine", "query": query, "expect": expect}])
    assert re.search(f"not proved: mine {message}", result["msg"])
    assert ("users", "passed") in [(check["name"], check["result"]) for check in result["proof"]]
    assert result["seconds"]["load"] > 0


@pytest.mark.parametrize("check", [False, True], ids=["run", "check"])
def test_a_disk_without_room(school: Live, dump: Path, check: bool) -> None:
    # A file system that never has a free byte.
    result = school.refuse(dump, disk_path="/proc", check=check)
    assert "The disk is too small" in result["msg"]
    assert "/proc has 0 B free" in result["msg"]
    assert result["plan"]["disk"] == {"path": "/proc", "free": 0, "needed": result["plan"]["disk"]["needed"]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"login_password": "s3cr3t-and-wrong"}, "Check login_user and login_password"),
        ({"login_user": "nobody_here"}, "login_user"),
        ({"login_port": 1}, "Is PostgreSQL running there?"),
        ({"login_host": None, "login_unix_socket": "/nonexistent"}, "Is PostgreSQL running there?"),
        ({"login_db": "nosuch"}, "login_db"),
        ({"src": "/backups/postgres/typo.sql"}, "/backups/postgres/typo.sql cannot be read: No such file"),
        ({"src": "/"}, "/ is a folder"),
        ({"max_age": "1s"}, "more than max_age"),
        ({"owner": "ghost"}, 'CREATE ROLE "ghost"'),
        ({"src": None}, "src"),
    ],
    ids=str,
)
def test_wrong_options(school: Live, damage: Damage, options: dict[str, Any], message: str) -> None:
    old = damage(replaced("-- Dumped by", "-- Started on 2020-01-01 02:00:00 UTC\n-- Dumped by"))
    arguments = {**school.arguments(old), **options}
    result = run_module(MODULE, {name: value for name, value in arguments.items() if value is not None})
    assert result["failed"]
    assert not result.get("changed")
    assert message in result["msg"]
    assert "s3cr3t" not in str(result)


def test_a_server_that_accepts_and_never_answers(school: Live, dump: Path) -> None:
    """A hung server must not hang the recovery for ever; the connection's own time limit ends it."""
    with socket.create_server(("127.0.0.1", free_port())) as deaf:
        result = school.refuse(dump, login_port=deaf.getsockname()[1], connect_timeout=2)
    assert "Cannot connect" in result["msg"]


def test_the_database_that_one_is_connected_to(school: Live, dump: Path) -> None:
    assert "name another database" in school.refuse(dump, login_db=school.name)["msg"]


def test_a_template_of_the_server(school: Live, dump: Path) -> None:
    assert "template1 is a template" in school.refuse(dump, database="template1", check=True)["msg"]


def test_a_name_that_postgresql_would_cut_off(school: Live, dump: Path) -> None:
    assert "too long" in school.refuse(dump, database="x" * 50, owner=school.server.settings.app_user)["msg"]


RIGHTS = {
    "CREATEDB": ("NOCREATEDB", "CREATEDB"),
    "pg_signal_backend": ("", "GRANT pg_signal_backend"),
    "vedfinance_app": ("", "GRANT vedfinance_app"),
}


@pytest.fixture
def poor(school: Live) -> Iterator[Login]:
    """A role that may do everything but what a test takes from it."""
    login = Login("poor_operator", "poor")
    school.administer(
        "CREATE ROLE poor_operator LOGIN CREATEDB PASSWORD 'poor'",
        "GRANT pg_signal_backend, vedfinance_app TO poor_operator",
    )
    yield login
    school.administer("DROP OWNED BY poor_operator CASCADE", "DROP ROLE poor_operator")


@pytest.mark.parametrize("right", RIGHTS)
def test_a_right_that_is_lacking(school: Live, dump: Path, poor: Login, right: str) -> None:
    school.login = school.login_as(poor)
    school.administer(
        f"ALTER ROLE poor_operator NO{right}" if right.isupper() else f"REVOKE {right} FROM poor_operator"
    )
    assert RIGHTS[right][1] in school.refuse(dump, check_disk=False, check=True)["msg"]


def test_a_login_that_may_not_see_the_disk_can_answer_for_it(school: Live, dump: Path, poor: Login) -> None:
    school.login = school.login_as(poor)
    assert "check_disk: false" in school.refuse(dump)["msg"]
    assert school.restore(dump, check_disk=False, check=True)["rows"] == SCHOOL_ROWS


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("ALTER DATABASE {} SET app.motto = 'x'", "GRANT SET ON PARAMETER app.motto"),
        ("ALTER DATABASE {} SET log_statement = 'all'", "GRANT SET ON PARAMETER log_statement"),
        ("ALTER ROLE vedfinance_report IN DATABASE {} SET work_mem = '1MB'", "GRANT vedfinance_report to it"),
    ],
)
def test_settings_that_only_others_can_carry_over(school: Live, dump: Path, statement: str, message: str) -> None:
    school.administer(statement.format(school.name))
    assert message in school.refuse(dump)["msg"]
    school.login = school.login_as(school.server.superuser)
    assert school.restore(dump, check=True)["plan"]["problems"] == []
    school.administer(re.sub(r"SET (\S+) = .*", r"RESET \1", statement.format(school.name)))


def test_an_undo_that_names_no_kept_database(school: Live) -> None:
    arguments = school.arguments(None, state="undone", previous_database="nosuch")
    result = run_module(MODULE, arguments)
    assert result["failed"]
    assert result["live_untouched"] is True
    assert "Kept: none" in result["msg"]
