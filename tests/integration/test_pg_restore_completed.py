# SPDX-License-Identifier: GPL-3.0-or-later
"""Indexes that enforce nothing may come after the swap; an interruption loses none of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.test_pg_restore_interrupted import kill, sessions, wait_for
from tests.integration.world import Live
from tests.modules import result_of, run_module, start_module

INDEXED = """
CREATE TABLE events (id int PRIMARY KEY, kind text, at timestamptz, detail jsonb, code text UNIQUE);
INSERT INTO events SELECT n, 'k' || n % 7, '2026-01-01'::timestamptz + n * interval '1 min', '{"a": 1}', n
FROM generate_series(1, 500) n;
CREATE INDEX events_at ON events (at DESC);
CREATE INDEX "events;kind" ON events (lower(kind)) WHERE kind <> ';';
CREATE INDEX events_detail ON events USING gin (detail);
CREATE UNIQUE INDEX events_once ON events (at, code);
COMMENT ON INDEX events_at IS 'the newest first';
ALTER TABLE events CLUSTER ON events_at;
CREATE TABLE "odd.table" ("a.b" int);
CREATE INDEX "odd.index" ON "odd.table" ("a.b");
"""
BUILDING = "wait_event_type = 'Lock' AND query LIKE 'CREATE INDEX CONCURRENTLY%'"
DEFERRED = ["public.events;kind", "public.events_at", "public.events_detail", "public.odd.index"]


@pytest.fixture
def indexed(live: Live) -> tuple[Live, Path, str]:
    live.execute(INDEXED)
    before, dump = live.content(), live.dump()
    live.execute("DELETE FROM events")
    return live, dump, before


def indexes(live: Live) -> set[str]:
    return set(live.value("SELECT array_agg(indexname::text) FROM pg_indexes WHERE schemaname = 'public'") or ())


def test_deferred_indexes_are_listed_and_built_afterwards(indexed: tuple[Live, Path, str]) -> None:
    live, dump, before = indexed
    restored = live.restore(dump, defer_indexes="non_unique")
    assert sorted(restored["outstanding_indexes"]) == DEFERRED
    assert indexes(live) == {"events_code_key", "events_once", "events_pkey"}
    assert live.value("SELECT count(*) FROM events") == 500
    planned = live.complete(check=True)
    assert planned["changed"] is True
    assert sorted(planned["outstanding_indexes"]) == DEFERRED
    assert len(indexes(live)) == 3
    done = live.complete()
    assert done["changed"] is True
    assert sorted(done["built_indexes"]) == DEFERRED
    assert done["outstanding_indexes"] == []
    assert live.content() == before
    again = live.complete()
    assert again["changed"] is False


def test_what_was_restored_is_still_known_to_be_restored(indexed: tuple[Live, Path, str]) -> None:
    live, dump, _before = indexed
    live.restore(dump, defer_indexes="non_unique")
    again = live.restore(dump, defer_indexes="non_unique")
    assert again["changed"] is False
    assert sorted(again["outstanding_indexes"]) == DEFERRED
    live.complete()
    assert live.restore(dump)["changed"] is False


def test_an_interrupted_build_is_finished_by_the_next_run(indexed: tuple[Live, Path, str]) -> None:
    live, dump, before = indexed
    live.restore(dump, defer_indexes="non_unique")
    with live.server.connect(live.server.app, live.name) as reader:
        # A build waits for transactions that began before it.
        reader.execute("BEGIN; SELECT count(*) FROM events")
        reader.execute("LOCK TABLE events IN ROW EXCLUSIVE MODE")
        process = start_module("pg_restore_from_dump", live.arguments(None, state="completed"))
        wait_for(lambda: sessions(live, BUILDING), "the build")
        kill(process)
        # The server does not notice that its client is dead, and would go on for hours.
        (orphan,) = sessions(live, BUILDING)
        process = start_module("pg_restore_from_dump", live.arguments(None, state="completed"))
        wait_for(lambda: orphan not in sessions(live, "true"), "the end of the orphan")
        assert live.value("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == 1
        reader.execute("COMMIT")
    assert sorted(result_of(process)["built_indexes"]) == DEFERRED
    assert live.content() == before


def test_an_index_of_its_name_that_is_another_one_is_not_taken_for_it(indexed: tuple[Live, Path, str]) -> None:
    live, dump, before = indexed
    live.restore(dump, defer_indexes="non_unique")
    live.execute("CREATE INDEX events_at ON events (kind); CREATE INDEX events_detail ON events USING gin (detail)")
    live.execute("ALTER TABLE events RENAME code TO codex")
    result = run_module("pg_restore_from_dump", live.arguments(None, state="completed"))
    assert result["failed"]
    assert (
        "another index has this name already: CREATE INDEX events_at ON public.events USING btree (kind)"
        in result["msg"]
    )
    assert result["outstanding_indexes"] == ["public.events_at"]
    assert sorted(result["built_indexes"]) == sorted(set(DEFERRED) - {"public.events_at"})
    live.execute("DROP INDEX events_at; ALTER TABLE events RENAME codex TO code")
    assert live.complete()["built_indexes"] == ["public.events_at"]
    assert live.content() == before


def test_clients_limits_do_not_end_a_build(indexed: tuple[Live, Path, str]) -> None:
    live, dump, before = indexed
    live.administer(
        f"ALTER DATABASE {live.name} SET statement_timeout = '1ms'",
        f"ALTER DATABASE {live.name} SET default_transaction_read_only = on",
    )
    live.restore(dump, defer_indexes="non_unique")
    assert sorted(live.complete()["built_indexes"]) == DEFERRED
    live.administer(f"ALTER DATABASE {live.name} RESET ALL")
    assert live.content() == before


def test_a_superuser_builds_as_each_tables_owner(indexed: tuple[Live, Path, str]) -> None:
    live, _dump, _before = indexed
    live.execute('ALTER TABLE "odd.table" OWNER TO vedfinance_report', live.server.superuser)
    live.login = live.login_as(live.server.superuser)
    dump, before = live.dump(), live.content()
    live.restore(dump, defer_indexes="non_unique")
    assert sorted(live.complete()["built_indexes"]) == DEFERRED
    assert live.content() == before


def test_an_undo_ends_a_completion_and_stands(indexed: tuple[Live, Path, str]) -> None:
    live, dump, _before = indexed
    oid = live.oid()
    live.restore(dump, defer_indexes="non_unique")
    writer = live.server.connect(live.server.app, live.name)
    writer.execute("BEGIN; LOCK TABLE events IN ROW EXCLUSIVE MODE")
    process = start_module("pg_restore_from_dump", live.arguments(None, state="completed"))
    wait_for(lambda: sessions(live, BUILDING), "the build")
    live.undo()
    writer.close()
    result = result_of(process)
    assert result["failed"]
    assert "an undo" in result["msg"]
    assert live.oid() == oid
    assert live.complete()["changed"] is False


def test_a_table_that_was_dropped_since_is_no_error(indexed: tuple[Live, Path, str]) -> None:
    live, dump, _before = indexed
    live.restore(dump, defer_indexes="non_unique")
    live.execute('DROP TABLE "odd.table"')
    result = live.complete()
    assert len(result["built_indexes"]) == 3
    assert any("is gone" in note for note in result["notes"])


def test_nothing_is_outstanding_in_a_database_that_was_never_restored(live: Live) -> None:
    assert live.complete()["changed"] is False


def test_a_foreign_part_that_cannot_be_reached_stands_in_no_ones_way(live: Live) -> None:
    login = live.server.superuser
    live.execute(
        """
        CREATE TABLE parts (n int) PARTITION BY LIST (n);
        CREATE TABLE ours PARTITION OF parts FOR VALUES IN (1);
        INSERT INTO parts VALUES (1);
        CREATE INDEX ours_n ON ours (n);
        """
    )
    live.restore(live.dump(), defer_indexes="non_unique")
    foreign = live.value("SELECT count(*) FROM pg_available_extensions WHERE name = 'postgres_fdw'")
    if foreign:
        live.execute(
            "CREATE EXTENSION postgres_fdw; CREATE SERVER away FOREIGN DATA WRAPPER postgres_fdw"
            " OPTIONS (host '127.0.0.1', port '1'); CREATE USER MAPPING FOR PUBLIC SERVER away;"
            " CREATE FOREIGN TABLE theirs PARTITION OF parts FOR VALUES IN (2) SERVER away",
            login,
        )
    result = live.complete()
    assert result["built_indexes"] == ["public.ours_n"]
    assert any("statistics of public.parts" in note for note in result["notes"]) is bool(foreign)
    assert live.complete()["changed"] is False
