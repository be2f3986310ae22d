# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a real server before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.connect import Server, ServerError
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.judge import judge
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore import database as databases
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.cores import cores
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.preflight import Preflight, examine
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.roles import create_roles

from lab.postgres import Login
from lab.postgres import Server as LabServer
from tests.integration.world import SCHOOL, Live

Look = Callable[..., Preflight]


def server_for(lab: LabServer, login: Login) -> Server:
    return Server(lab.settings.host, lab.settings.port, login.user, login.password)


@pytest.fixture(scope="module")
def school(postgres: LabServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    live = Live(postgres, "looked_at", tmp_path_factory.mktemp("looked_at"))
    live.create()
    live.execute(SCHOOL)
    live.dump(name="dump.sql")
    yield live
    live.drop()


@pytest.fixture
def look(school: Live, tmp_path: Path) -> Look:
    def look(login: Login | None = None, added: str = "", database: str = school.name, **options: Any) -> Preflight:
        text = (school.folder / "dump.sql").read_text()
        dump = tmp_path / "dump.sql"
        dump.write_text(text.replace("SET default_tablespace", f"{added}\n\nSET default_tablespace", 1))
        server = server_for(school.server, login or school.server.operator)
        with server.connect() as session:
            properties = databases.read_properties(session, school.name)
            return examine(session, server, judge(str(dump)), database, properties, None, True, **options)

    return look


@contextmanager
def while_there(school: Live, make: str, unmake: str, database: str = "postgres") -> Iterator[None]:
    school.administer(make, database=database)
    try:
        yield
    finally:
        school.administer(unmake, database=database)


def said(found: Preflight, name: str) -> list[tuple[str, str]]:
    return [(finding.result, finding.detail) for finding in found.findings if finding.name == name]


def test_every_check_says_something(look: Look) -> None:
    found = look()
    assert not found.problems + found.warnings
    assert {finding["result"] for finding in found.as_dicts()} == {"passed"}
    assert [finding["name"] for finding in found.as_dicts()] == [
        "maintenance database", "server", "version", "rights", "sessions", "roles", "settings", "superuser",
        "extensions", "tablespaces", "bound to live", "pg_cron", "leftovers", "disk", "write-ahead log",
    ]  # fmt: skip
    assert found.disk is not None
    assert found.disk.free > found.disk.needed > 2 * len("dump")


def test_missing_roles(look: Look, school: Live) -> None:
    grants = "CREATE TABLE public.given (id int);\nALTER TABLE public.given OWNER TO ghost;\n"
    grants += "GRANT SELECT ON TABLE public.given TO reader;"
    required = look(added=grants)
    assert required.missing_roles == ["ghost", "reader"]
    assert len(required.problems) == 2
    assert 'CREATE ROLE "ghost"' in required.problems[0]
    (refused,) = look(added=grants, roles="create").problems
    assert "may not create the roles ghost, reader" in refused
    assert look(school.server.superuser, grants, roles="create").problems == []
    assert look(added=grants, roles="map").problems == []
    (not_ours,) = look(added=grants, roles="map", role_map={"ghost": "postgres"}).problems
    assert "belong to postgres" in not_ours
    typo = look(added=grants, roles="map", role_map={"gohst": "postgres", "reader": "nosuch"})
    assert typo.warnings == [
        "role_map names gohst, which the dump does not.",
        "Roles of the dump are replaced: ghost by vedfinance_app, reader by nosuch.",
    ]
    assert len(typo.problems) == 1
    assert 'CREATE ROLE "nosuch"' in typo.problems[0]


def test_a_role_of_another_version(look: Look) -> None:
    added = "GRANT SELECT ON SCHEMA public TO pg_from_the_future;"
    assert "one of PostgreSQL's own" in look(added=added, roles="create").problems[0]
    assert look(added=added, roles="map").problems == []


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION public.f();", "event trigger e"),
        ("CREATE FUNCTION public.f() RETURNS int LANGUAGE c AS '$libdir/x', 'x';", "function public.f"),
        ("CREATE PUBLICATION p FOR ALL TABLES WITH (publish = 'insert');", "publication p"),
    ],
)
def test_what_only_a_superuser_can_create(look: Look, school: Live, statement: str, what: str) -> None:
    (problem,) = look(added=statement).problems
    assert problem.startswith(f"Only a superuser can create the {what} (")
    assert look(school.server.superuser, statement).problems == []


def test_tablespaces(look: Look) -> None:
    (problem,) = look(added="SET default_tablespace = fast;").problems
    assert "Tablespace fast of the dump does not exist" in problem


def test_what_keeps_the_log(look: Look, school: Live) -> None:
    before = look().disk
    with while_there(
        school, "SELECT pg_create_physical_replication_slot('unread')", "SELECT pg_drop_replication_slot('unread')"
    ):
        found = look(disk_floor=1 << 50)
    ((result, detail),) = said(found, "write-ahead log")
    assert result == "warning"
    assert "(unread)" in detail
    assert before is not None
    assert found.disk is not None
    assert found.disk.needed >= before.needed + (1 << 50)
    ((result, detail),) = said(found, "disk")
    assert result == "problem"
    assert "disk_floor" in detail


def test_pg_cron_of_another_database(look: Look, school: Live) -> None:
    """The extension itself cannot be had everywhere; what counts is its table."""
    admin = school.server.superuser
    make = (
        "CREATE SCHEMA cron; CREATE TABLE cron.job (database text, active bool);"
        f"INSERT INTO cron.job VALUES ('{school.name}', true), ('other', true);"
        f"ALTER ROLE {admin.user} SET cron.database_name TO 'postgres'"
    )
    with while_there(school, make, f"DROP SCHEMA cron CASCADE; ALTER ROLE {admin.user} RESET cron.database_name"):
        ((result, detail),) = said(look(admin), "pg_cron")
        assert (result, detail[:15]) == ("warning", "pg_cron runs 1 ")
        operator = school.server.operator.user
        with while_there(
            school, f"ALTER ROLE {operator} SET cron.database_name TO 'postgres'", f"ALTER ROLE {operator} RESET ALL"
        ):
            ((result, detail),) = said(look(), "pg_cron")
            assert result == "warning"
            assert "could not be seen" in detail


def test_pg_cron_of_the_live_database(look: Look, school: Live) -> None:
    operator = school.server.operator.user
    with while_there(
        school, f"ALTER ROLE {operator} SET cron.database_name TO '{school.name}'", f"ALTER ROLE {operator} RESET ALL"
    ):
        ((result, detail),) = said(look(), "pg_cron")
        assert (result, detail[:21]) == ("problem", "pg_cron lives in look")
        assert said(look(swaps=False), "pg_cron") == []


def test_a_leftover(look: Look, school: Live) -> None:
    name = databases.beside(school.name, "staging")
    with while_there(school, f'CREATE DATABASE "{name}"', f'DROP DATABASE "{name}"'):
        ((result, detail),) = said(look(), "leftovers")
    assert result == "warning"
    assert detail.startswith(f"{name} (")


def test_a_check_that_cannot_look_forbids(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_asked: object) -> list[str]:
        raise ServerError("PostgreSQL said: no.")

    monkeypatch.setattr(examine.__module__ + ".listed_beside", fails)
    assert look().problems == ["The check 'leftovers' could not look: PostgreSQL said: no."]


def test_a_member_of_the_owner_without_its_rights(look: Look, school: Live) -> None:
    owner = school.server.settings.app_user
    school.administer(
        "CREATE ROLE lame LOGIN CREATEDB PASSWORD 'l'",
        "GRANT pg_signal_backend, pg_monitor TO lame",
        f"GRANT {owner} TO lame WITH INHERIT FALSE",
    )
    try:
        (problem,) = look(Login("lame", "l")).problems
    finally:
        school.administer("DROP ROLE lame")
    assert f"GRANT {owner} TO lame WITH INHERIT TRUE, SET TRUE" in problem


def test_created_roles_can_own(school: Live) -> None:
    """With the least rights: CREATEROLE and no superuser."""
    school.administer("CREATE ROLE maker LOGIN CREATEDB CREATEROLE PASSWORD 'm'")
    try:
        with server_for(school.server, Login("maker", "m")).connect() as session:
            create_roles(session, ["ghost writer"])
            session.run('CREATE DATABASE made OWNER "ghost writer"')
            assert databases.read_properties(session, "made").owner == "ghost writer"
            session.run("DROP DATABASE made")
    finally:
        school.administer('DROP ROLE IF EXISTS "ghost writer"', "DROP ROLE maker")


def test_cores_of_a_real_server(school: Live) -> None:
    server = server_for(school.server, school.server.operator)
    with server.connect() as session:
        found, known_from = cores(session, server)
    assert 1 <= found <= 8
    assert known_from.startswith("this host")
