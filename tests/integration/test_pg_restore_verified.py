# SPDX-License-Identifier: GPL-3.0-or-later
"""A dump that was proved beforehand takes over by the swap alone, and only while it is what was proved."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.connect import quote
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore import engine, planning, warm

from lab.postgres import REPORT_ROLE
from tests.integration.world import SCHOOL_ROWS, Live

Broken = tuple[Live, Path, str]
USERS = [{"name": "users", "query": "SELECT count(*) FROM users", "expect": "100"}]


@pytest.fixture
def never_judged(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """After a call of it, reading a dump is an error."""

    def judge(*_arguments: object, **_options: object) -> None:
        raise AssertionError("the dump was read again")

    return lambda: monkeypatch.setattr(planning, "judge", judge)


def test_a_drill_proves_and_leaves_nothing(broken: Broken) -> None:
    school, dump, _before = broken
    state = school.state()
    result = school.verify(dump)
    assert school.state() == state
    assert result["changed"] is False
    assert result["live_untouched"] is True
    assert result["rows"] == SCHOOL_ROWS
    assert result["verified_database"] is None
    assert {check["result"] for check in result["proof"]} == {"passed"}


def test_a_dump_that_cannot_be_restored_is_not_verified(broken: Broken) -> None:
    school, dump, _before = broken
    dump.write_bytes(dump.read_bytes().replace(b"60\tuser 60\t", b"sixty\tuser 60\t"))
    state = school.state()
    assert "loading table public.users" in school.refuse(dump, state="verified", keep=True)["msg"]
    assert school.state() == state


def test_a_kept_database_takes_over_without_reading_the_dump(broken: Broken, never_judged: Callable[[], None]) -> None:
    school, dump, before = broken
    kept = school.verify(dump, keep=True)["verified_database"]
    assert school.family() == [school.name, kept]
    with pytest.raises(Exception, match="not currently accepting connections"):
        school.value("SELECT 1", kept)
    # What becomes of the live database between drill and disaster is carried over too.
    school.administer(
        f'ALTER DATABASE "{school.name}" RESET statement_timeout',
        f'ALTER DATABASE "{school.name}" SET lock_timeout = 7',
        f'ALTER DATABASE "{school.name}" OWNER TO {school.server.settings.operator_user}',
    )
    properties, oid = school.properties(), school.oid()
    never_judged()
    planned = school.restore(dump, check=True)
    assert planned["plan"]["verified_database"] == kept
    assert planned["plan"]["disk"]["needed"] == 0
    assert school.oid() == oid
    result = school.restore(dump)
    assert school.content() == before
    found = school.properties()
    assert {**found, "comment": properties["comment"]} == properties
    assert found["comment"].startswith(f"{properties['comment']}\n")
    assert result["rows"] == SCHOOL_ROWS
    assert result["plan"]["verified_database"] == kept
    assert "load" not in result["seconds"]
    assert school.family() == sorted([school.name, result["previous_database"]])
    assert school.undo()["changed"] is True
    assert school.oid() == oid


def test_what_live_has_lost_since_is_not_brought_back(broken: Broken) -> None:
    school, dump, before = broken
    kept = school.verify(dump, keep=True)["verified_database"]
    school.administer(
        f'COMMENT ON DATABASE "{school.name}" IS NULL',
        f'REVOKE ALL ON DATABASE "{school.name}" FROM {REPORT_ROLE}',
    )
    properties = school.properties()
    assert school.restore(dump)["plan"]["verified_database"] == kept
    assert {**school.properties(), "comment": None} == properties
    assert school.content() == before


def test_a_second_recovery_finds_nothing_to_do(broken: Broken) -> None:
    school, dump, _before = broken
    school.verify(dump, keep=True)
    assert school.restore(dump)["changed"] is True
    assert school.restore(dump)["changed"] is False


def test_a_copy_of_it_can_take_over(broken: Broken) -> None:
    school, dump, before = broken
    kept = school.verify(dump, keep=True)["verified_database"]
    result = school.restore(dump, clone_verified=True)
    assert result["verified_database"] == kept
    assert school.content() == before
    school.execute("UPDATE era SET name = 'broken again'")
    assert school.restore(dump, force=True)["plan"]["verified_database"] == kept
    assert school.content() == before
    assert kept not in school.family()


def test_the_same_dump_elsewhere_is_known_by_its_content(broken: Broken, tmp_path: Path) -> None:
    school, dump, before = broken
    kept = school.verify(dump, keep=True)["verified_database"]
    result = school.restore(Path(shutil.copy(dump, tmp_path / "copy")))
    assert result["plan"]["verified_database"] == kept
    assert "judge" in result["seconds"]
    assert school.content() == before


def opened_and_changed(school: Live, kept: str) -> None:
    school.administer(f'ALTER DATABASE "{kept}" ALLOW_CONNECTIONS true')
    school.execute("DELETE FROM enrollments", database=kept)
    school.administer(f'ALTER DATABASE "{kept}" ALLOW_CONNECTIONS false')


def left_open(school: Live, kept: str) -> None:
    school.administer(f'ALTER DATABASE "{kept}" ALLOW_CONNECTIONS true')


@pytest.mark.parametrize("tamper", [opened_and_changed, left_open])
def test_one_that_was_opened_is_not_used(broken: Broken, tamper: Callable[[Live, str], None]) -> None:
    school, dump, before = broken
    kept = school.verify(dump, keep=True)["verified_database"]
    tamper(school, kept)
    result = school.restore(dump)
    assert result["plan"]["verified_database"] is None
    assert "load" in result["seconds"]
    assert school.content() == before


def test_one_that_is_opened_at_the_last_moment_is_not_used(broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    school, dump, before = broken
    kept = school.verify(dump, keep=True)["verified_database"]
    swap = engine.swap

    def tampered(*arguments: Any, **options: Any) -> Any:
        if "prepare" in options or len(arguments) == 5:
            opened_and_changed(school, kept)
        return swap(*arguments, **options)

    monkeypatch.setattr(engine, "swap", tampered)
    result = school.restore(dump)
    assert any("has been opened" in note for note in result["notes"])
    assert "load" in result["seconds"]
    assert school.content() == before


def test_closing_sends_away_whoever_looks_into_every_database(broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    school, dump, _before = broken
    close = warm.close

    def watched(server: Any, session: Any, scratch: str, *rest: Any) -> None:
        with school.server.connect(school.server.app, scratch):
            close(server, session, scratch, *rest)

    monkeypatch.setattr(warm, "close", watched)
    kept = school.verify(dump, keep=True)["verified_database"]
    assert school.restore(dump, check=True)["plan"]["verified_database"] == kept


def test_one_that_was_spared_a_check_is_not_used(broken: Broken) -> None:
    school, dump, _before = broken
    kept = school.verify(dump, keep=True, skip_checks=["sequences"])["verified_database"]
    assert school.restore(dump, check=True)["plan"]["verified_database"] is None
    assert school.restore(dump, check=True, skip_checks=["sequences"])["plan"]["verified_database"] == kept


def test_a_swap_counts_no_rows_and_needs_no_disk(broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    """The live database may be of any size."""
    school, dump, before = broken
    school.verify(dump, keep=True)
    with monkeypatch.context() as patched:
        patched.delattr(planning, "stored_tables")
        result = school.restore(dump, disk_path="/proc")
    assert school.content() == before
    assert result["compared_to_live"] == {}
    assert {table["live_rows"] for table in result["tables"]} == {None}
    assert "diff" not in result


def test_names_that_need_quotes(live: Live) -> None:
    odd = replace(live, name='it\'s "a=b" école%s; --')
    odd.create("ENCODING 'LATIN1' LOCALE 'C'", name=odd.name.replace('"', '""'))
    odd.execute("CREATE TABLE t (n int); INSERT INTO t VALUES (1); CREATE INDEX ON t (n)")
    try:
        dump = odd.dump()
        kept = odd.verify(dump, keep=True)["verified_database"]
        odd.execute("DELETE FROM t")
        assert odd.restore(dump)["plan"]["verified_database"] == kept
        assert odd.value("SELECT count(*) FROM t") == 1
        assert odd.undo()["changed"] is True
        assert odd.restore(dump, defer_indexes="non_unique")["outstanding_indexes"] == ["public.t_n_idx"]
        assert odd.complete()["built_indexes"] == ["public.t_n_idx"]
        assert odd.complete()["changed"] is False
        assert len(odd.clean(keep_previous=0)["removed_databases"]) == 2
    finally:
        for name in odd.family():
            odd.administer(f"DROP DATABASE {quote(name)} WITH (FORCE)")


def test_one_that_was_proved_less_is_not_used(broken: Broken) -> None:
    school, dump, before = broken
    school.verify(dump, keep=True)
    result = school.restore(dump, checks=USERS)
    assert result["plan"]["verified_database"] is None
    assert any("not run on it: users" in note for note in result["notes"])
    assert school.content() == before


def test_another_dump_does_not_take_it(broken: Broken) -> None:
    school, dump, _before = broken
    school.verify(dump, keep=True)
    other = school.dump(name="other.sql")
    assert school.restore(other, force=True)["plan"]["verified_database"] is None
    assert school.value("SELECT name FROM era") == "broken"


def test_verifying_again_keeps_what_is_kept(broken: Broken) -> None:
    school, dump, _before = broken
    first = school.verify(dump, keep=True, checks=USERS)
    oid = school.value(f"SELECT oid FROM pg_database WHERE datname = '{first['verified_database']}'")
    again = school.verify(dump, keep=True, checks=USERS)
    assert again["changed"] is False
    assert again["verified_database"] == first["verified_database"]
    forced = school.verify(dump, keep=True, force=True)
    assert forced["changed"] is True
    assert oid != school.value(f"SELECT oid FROM pg_database WHERE datname = '{first['verified_database']}'")


def test_only_the_newest_are_kept(broken: Broken) -> None:
    school, dump, _before = broken
    first = school.verify(dump, keep=True)["verified_database"]
    other = school.dump(name="other.sql")
    second = school.verify(other, keep=True)
    assert second["removed_databases"] == [first]
    assert school.family() == [school.name, second["verified_database"]]


def test_the_disk_floor_forbids_keeping(broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    school, dump, _before = broken
    refused = school.refuse(dump, state="verified", keep=True, disk_floor="900T")
    assert "disk" in refused["msg"]
    monkeypatch.setattr(
        "ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.verification.free_bytes",
        lambda _path: 0,
    )
    result = school.verify(dump, keep=True, disk_floor="1M")
    assert result["verified_database"] is None
    assert any("was not kept" in note for note in result["notes"])
    assert school.family() == [school.name]


def test_a_missing_database_comes_back_from_a_verified_one(broken: Broken) -> None:
    school, dump, before = broken
    kept = school.verify(dump, keep=True)["verified_database"]
    properties = school.properties()
    school.administer(f'DROP DATABASE "{school.name}"')
    result = school.restore(dump)
    assert result["plan"]["verified_database"] == kept
    assert school.content() == before
    found = school.properties()
    assert {**found, "comment": properties["comment"]} == properties
