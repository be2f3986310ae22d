# SPDX-License-Identifier: GPL-3.0-or-later
"""The restored database is the dumped one, to the byte of pg_dump's text, with what no dump holds carried over."""

from __future__ import annotations

import gzip
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from lab.postgres import Login
from tests.integration.features import FEATURES, SUPERUSER_FEATURES
from tests.integration.world import SCHOOL_ROWS, Live

Broken = tuple[Live, Path, str]
Packer = Callable[[bytes], bytes]


def packed(path: Path, pack: Packer, name: str) -> Path:
    target = path.with_name(name)
    target.write_bytes(pack(path.read_bytes()))
    return target


# Names say another format than the content on purpose: content decides.
FORMATS: dict[str, Callable[[Live], Path]] = {
    "plain": lambda live: live.dump(name="a.dump"),
    "plain in gzip": lambda live: packed(live.dump(), gzip.compress, "a.zst"),
    "plain in zstd": lambda live: packed(live.dump(), zstandard.compress, "a.sql"),
    "custom": lambda live: live.dump("--format=custom", name="a.gz"),
    "custom in gzip": lambda live: packed(live.dump("--format=custom"), gzip.compress, "a.sql.gz"),
    "plain, --inserts": lambda live: live.dump("--inserts", "--rows-per-insert=7"),
    "plain, --clean": lambda live: live.dump("--clean", "--if-exists"),
    "plain, through the partitioned table": lambda live: live.dump("--load-via-partition-root"),
    "plain, --column-inserts --clean": lambda live: live.dump("--column-inserts", "--clean"),
}
EVERYTHING = "".join(FEATURES.values())


@pytest.mark.parametrize("feature", FEATURES)
def test_a_feature_comes_back_as_it_was(live: Live, feature: str) -> None:
    live.execute(FEATURES[feature])
    before = live.content()
    dump = live.dump()
    live.execute("CREATE TABLE written_since (n int)")
    result = live.restore(dump)
    assert live.content() == before
    assert result["changed"] is True
    assert result["live_untouched"] is False
    assert {check["result"] for check in result["proof"]} == {"passed"}
    assert live.family() == [live.name, result["previous_database"]]


@pytest.mark.parametrize("feature", SUPERUSER_FEATURES)
def test_a_superuser_restores_what_only_superusers_own(live: Live, feature: str) -> None:
    live.execute(SUPERUSER_FEATURES[feature], live.server.superuser)
    before = live.content()
    dump = live.dump("--format=custom")
    live.login = live.login_as(live.server.superuser)
    result = live.restore(dump)
    assert live.content() == before
    assert any("superuser's rights" in note for note in result["notes"])


@pytest.mark.parametrize(("how", "login"), [*((how, "operator") for how in FORMATS), ("plain", "superuser")])
def test_every_format_brings_everything_back(live: Live, how: str, login: str) -> None:
    live.execute(EVERYTHING)
    before = live.content()
    dump = FORMATS[how](live)
    live.login = live.login_as(getattr(live.server, login))
    result = live.restore(dump)
    assert live.content() == before
    assert result["dump"]["format"] == how.split(",")[0]
    assert not any("superuser's rights" in note for note in result["notes"])


def test_what_a_dump_does_not_hold_is_carried_over(broken: Broken) -> None:
    school, dump, before = broken
    properties = school.properties()
    result = school.restore(dump)
    assert school.content() == before
    assert school.properties()["comment"].startswith(f"{properties['comment']}\n")
    assert {**school.properties(), "comment": properties["comment"]} == properties
    assert result["rows"] == SCHOOL_ROWS
    users = next(table for table in result["tables"] if table["name"] == "public.users")
    assert users == {"name": "public.users", "rows": 100, "live_rows": 110}
    assert school.value("SELECT name FROM era", result["previous_database"]) == "broken"


@pytest.mark.parametrize("arguments", [[], ["--format=custom"]], ids=["plain", "custom"])
def test_names_and_data_of_a_latin1_database(live: Live, arguments: list[str]) -> None:
    live.drop()
    live.create("ENCODING 'LATIN1' LOCALE 'C'")
    live.execute("""
        CREATE TABLE "élèves" ("prénom" text PRIMARY KEY, "aîné" text REFERENCES "élèves");
        CREATE INDEX "é" ON "élèves" ("aîné");
        CREATE TYPE "humeur é" AS ENUM ('gaîté');
        INSERT INTO "élèves" VALUES ('Zoé', NULL), ('Loïc', 'Zoé');
    """)
    before = live.content()
    dump = live.dump(*arguments)
    live.restore(dump)
    assert live.content() == before
    assert live.value("SHOW server_encoding") == "LATIN1"


def test_two_blocks_of_data_for_one_table(live: Live) -> None:
    live.execute("CREATE TABLE t (n int); INSERT INTO t VALUES (1), (2)")
    dump = live.dump()
    text = dump.read_text()
    begin, end = text.index("COPY public.t"), text.index("\\.\n") + 3
    dump.write_text(text[:end] + text[begin:end] + text[end:])
    assert live.restore(dump)["rows"] == 4
    assert live.value("SELECT count(*) FROM t") == 4


# -- what happens to the database that was there ------------------------------------------------------------------


def test_a_missing_database_comes_back_with_the_properties_of_the_one_kept_beside_it(broken: Broken) -> None:
    school, dump, before = broken
    kept = school.restore(dump)["previous_database"]
    properties = school.properties(kept)
    school.administer(f'DROP DATABASE "{school.name}"')
    result = school.restore(dump)
    assert school.content() == before
    assert result["plan"]["properties_from"] == kept
    assert result["plan"]["live"]["exists"] is False
    assert result["previous_database"] is None
    found = school.properties()
    assert {**found, "comment": None} == {**properties, "comment": None}


def test_a_missing_database_comes_back_from_a_plain_dump_alone(broken: Broken) -> None:
    school, dump, before = broken
    school.drop()
    result = school.restore(dump)
    assert school.content() == before
    assert any("must be set again" in note for note in result["notes"])
    assert school.properties()["owner"] == school.server.settings.app_user


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["custom", "custom in gzip"])
def test_a_missing_database_comes_back_from_an_archive_with_all_properties(school: Live, pack: Packer) -> None:
    before, properties = school.content(), school.properties()
    school.restore(school.dump())
    dump = packed(school.dump("--format=custom"), pack, "a")
    school.drop()
    planned = school.restore(dump, check=True)
    assert planned["plan"]["properties_from"] == "the dump"
    assert school.family() == []
    school.restore(dump)
    assert school.content() == before
    found = school.properties()
    comment, _mark = found["comment"].rsplit("\n", 1)
    assert {**found, "comment": comment} == properties


def test_grants_that_were_never_changed_stay_so(live: Live) -> None:
    dump = live.dump("--format=custom")
    live.drop()
    live.restore(dump)
    assert live.properties()["grants"] is None


def test_the_owner_can_be_chosen(live: Live) -> None:
    dump = live.dump()
    live.drop()
    assert "option owner" in live.refuse(dump)["msg"]
    live.restore(dump, owner=live.server.settings.operator_user)
    assert live.properties()["owner"] == live.server.settings.operator_user


def test_check_mode_plans_and_touches_nothing(broken: Broken) -> None:
    school, dump, _before = broken
    state = school.state()
    planned = school.restore(dump, check=True)
    assert school.state() == state
    assert planned["changed"] is True
    assert planned["live_untouched"] is True
    assert planned["plan"]["problems"] == []
    assert planned["plan"]["kept_as"].startswith(f"{school.name}__before_")
    assert school.restore(dump, check=True, keep_previous="0")["plan"]["kept_as"] is None
    assert planned["plan"]["live"]["rows"] == SCHOOL_ROWS - 60 + 10
    assert "public.users: 110 rows" in planned["diff"]["before"]
    assert "public.users: 100 rows" in planned["diff"]["after"]
    done = school.restore(dump)
    assert {table["name"]: table["rows"] for table in done["tables"]} == {
        table["name"]: table["rows"] for table in planned["tables"]
    }
    assert done["rows"] == planned["rows"] == SCHOOL_ROWS


@pytest.mark.parametrize("arguments", [[], ["--inserts"]], ids=["COPY", "INSERT"])
def test_a_second_run_changes_nothing_unless_rows_are_lacking_or_forced(school: Live, arguments: list[str]) -> None:
    dump = school.dump(*arguments)
    school.restore(dump)
    school.execute("INSERT INTO users VALUES (500, 'written since', NULL)")
    state = school.state()
    planned, second = school.restore(dump, check=True), school.restore(dump)
    if not arguments:
        assert planned["changed"] is second["changed"] is False
        assert second["live_untouched"] is True
        assert "already restored" in second["msg"]
        assert school.state() == state
        assert school.restore(dump, force=True)["changed"] is True
        assert school.value("SELECT count(*) FROM users") == 100
    school.execute("DELETE FROM enrollments WHERE user_id = 1")
    assert school.restore(dump)["changed"] is True
    assert school.value("SELECT count(*) FROM enrollments") == 100


def test_a_second_run_that_cannot_count_does_not_lose_what_was_written(school: Live) -> None:
    dump = school.dump()
    school.restore(dump)
    school.administer(f'ALTER DATABASE "{school.name}" CONNECTION LIMIT 1')
    with school.server.connect(school.server.app, school.name):
        state = school.state()
        planned = school.restore(dump, check=True)
        assert any("cannot be told" in note for note in planned["notes"])
        assert "force: true" in school.refuse(dump)["msg"]
        assert school.state() == state
    assert school.restore(dump)["changed"] is False


def test_no_more_connections_are_used_than_are_left(school: Live) -> None:
    dump = school.dump()
    school.administer(f"ALTER ROLE {school.server.settings.operator_user} CONNECTION LIMIT 7")
    try:
        plan = school.restore(dump, jobs="40")["plan"]
    finally:
        school.administer(f"ALTER ROLE {school.server.settings.operator_user} CONNECTION LIMIT -1")
    assert plan["jobs"] == 3
    assert "only 3 connections are left" in plan["jobs_from"]


@pytest.mark.parametrize("keep", [0, 1])
def test_no_more_databases_are_kept_than_asked_for(broken: Broken, keep: int) -> None:
    school, dump, _before = broken
    first = school.restore(dump)["previous_database"]
    school.administer(f'ALTER DATABASE "{first}" RENAME TO "{school.name}__before_20250101_000000"')
    result = school.restore(dump, force=True, keep_previous=keep)
    assert len(school.family()) == 1 + keep
    assert f"{school.name}__before_20250101_000000" in result["removed_databases"]
    assert (result["previous_database"] in school.family()) is bool(keep)
    assert ("kept as" in result["msg"]) is bool(keep)


def test_undone_swaps_back_once(broken: Broken) -> None:
    school, dump, _before = broken
    disaster, oid = school.content(), school.oid()
    previous = school.restore(dump)["previous_database"]
    restored = school.oid()
    planned = school.undo(check=True)
    assert planned["changed"] is True
    assert school.oid() == restored
    undone = school.undo()
    assert undone["changed"] is True
    assert (school.oid(), school.content()) == (oid, disaster)
    assert school.oid(undone["previous_database"]) == restored
    again = school.undo()
    assert again["changed"] is False
    assert "undone already" in again["msg"]
    named = school.undo(previous_database=undone["previous_database"])
    assert named["changed"] is True
    assert school.oid() == restored
    assert previous not in school.family()


def test_nothing_to_undo(school: Live) -> None:
    state = school.state()
    assert "Nothing to undo" in school.undo()["msg"]
    assert school.state() == state


def test_invariants_are_checked_before_the_swap(broken: Broken) -> None:
    school, dump, before = broken
    result = school.restore(
        dump,
        checks=[
            {"name": "users", "query": "SELECT count(*) FROM users", "expect": "100"},
            {"name": "era", "query": "SELECT name = 'old' FROM era"},
        ],
    )
    assert ("users", "passed") in [(check["name"], check["result"]) for check in result["proof"]]
    assert school.content() == before


# -- beside today's command --------------------------------------------------------------------------------------


def test_a_cut_dump_goes_through_psql_without_a_word_and_is_refused_here(broken: Broken) -> None:
    school, dump, _before = broken
    whole = dump.read_bytes()
    dump.write_bytes(whole[: whole.index(b"60\tuser 60\t")])
    by_hand = f"{school.name}__by_hand"
    school.create(name=by_hand)
    theirs = psql(school, by_hand, dump.read_bytes())
    assert theirs.returncode == 0
    assert school.value("SELECT count(*) FROM users", by_hand) < 100
    school.administer(f'DROP DATABASE "{by_hand}"')
    state = school.state()
    refused = school.refuse(dump)
    assert "ends inside the data of table public.users, after 59 whole rows" in refused["msg"]
    assert school.state() == state


def psql(live: Live, database: str, script: bytes) -> subprocess.CompletedProcess[bytes]:
    """cat dump | psql"""
    server = live.server
    return subprocess.run(
        [Path(server.settings.bin) / "psql", "--no-psqlrc", "--quiet"],
        env=server.client_environment(server.app, database), input=script, capture_output=True, check=False,
    )  # fmt: skip


# -- no more rights than are needed ------------------------------------------------------------------------------


def test_the_least_rights_that_the_documentation_names_are_enough(broken: Broken) -> None:
    """CREATEDB, a member of the owner, pg_signal_backend: it cannot see what clients are, and sends them away."""
    school, dump, before = broken
    login = Login(f"{school.name}_least", "of all")
    owner = school.server.settings.app_user
    school.administer(
        f"CREATE ROLE {login.user} LOGIN CREATEDB PASSWORD '{login.password}'",
        f"GRANT {owner}, pg_signal_backend, vedfinance_report TO {login.user}",
    )
    try:
        school.login = school.login_as(login)
        with school.server.connect(school.server.app, school.name):
            result = school.restore(dump, check_disk=False)
        assert school.content() == before
        assert result["previous_database"] in school.family()
        school.verify(dump, keep=True, check_disk=False)
        assert school.restore(dump, force=True, check_disk=False)["plan"]["verified_database"]
        assert school.undo()["changed"] is True
        deferred = school.restore(dump, force=True, check_disk=False, defer_indexes="non_unique")
        assert school.complete()["built_indexes"] == deferred["outstanding_indexes"] == ["public.enrollments_since"]
        assert school.content() == before
        assert school.clean(keep_previous=0)["changed"] is True
    finally:
        school.drop()
        school.create()
        school.administer(f"DROP OWNED BY {login.user}", f"DROP ROLE {login.user}")
