# SPDX-License-Identifier: GPL-3.0-or-later
"""A load side by side gives what a load in the dump's order would, and stops as a whole when a part of it fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.connect import Server
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.judge import judge
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.model import Dump
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.source import Tools
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore import costs
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.load import Loaded, Loader

from tests.integration.world import Live

KEYS = """
    CREATE TABLE plain (id int PRIMARY KEY, "Odd ""name" text UNIQUE, a int, b int, c int NOT NULL, UNIQUE (c));
    ALTER TABLE plain ADD CONSTRAINT "with; included" UNIQUE (a) INCLUDE (b, "Odd ""name");
    ALTER TABLE plain ADD CONSTRAINT distinct_nulls UNIQUE NULLS NOT DISTINCT (b, c);
    ALTER TABLE plain ADD CONSTRAINT filled UNIQUE (a, b) WITH (fillfactor = 70, deduplicate_items = off);
    ALTER TABLE plain ADD CONSTRAINT late UNIQUE (b, a) DEFERRABLE INITIALLY DEFERRED;
    ALTER TABLE plain ADD CONSTRAINT later UNIQUE (c, a) INCLUDE (b) WITH (fillfactor = 50) DEFERRABLE;
    CREATE UNIQUE INDEX partly ON plain (a) WHERE b > 3;
    CREATE INDEX plain_a ON plain (a);
    CREATE INDEX plain_expression ON plain ((a + b), c);
    ALTER TABLE plain REPLICA IDENTITY USING INDEX plain_c_key;
    ALTER TABLE plain CLUSTER ON plain_a;
    ALTER INDEX plain_expression ALTER COLUMN 1 SET STATISTICS 77;
    COMMENT ON INDEX plain_a IS 'by; a';
    COMMENT ON CONSTRAINT late ON plain IS 'at commit';
    CREATE TABLE referring (a int REFERENCES plain, c int REFERENCES plain (c), PRIMARY KEY (a, c));
    CREATE TABLE late_key (id int, PRIMARY KEY (id) DEFERRABLE INITIALLY DEFERRED);
    INSERT INTO plain SELECT n, 'n' || n, n, n, n FROM generate_series(1, 200) n;
    INSERT INTO referring SELECT n, n FROM generate_series(1, 200) n;
    CREATE TABLE rooms (room int, during int4range, EXCLUDE USING gist (during WITH &&));
    CREATE TABLE halves (id int NOT NULL, n int) PARTITION BY RANGE (id);
    CREATE TABLE halves_1 PARTITION OF halves FOR VALUES FROM (0) TO (100);
    CREATE TABLE halves_2 PARTITION OF halves FOR VALUES FROM (100) TO (200);
    ALTER TABLE halves ADD PRIMARY KEY (id);
    CREATE INDEX halves_n ON halves (n);
    CREATE INDEX only_here ON halves_2 (n, id);
    INSERT INTO halves SELECT n, n FROM generate_series(0, 199) n;
"""
#: Non-unique indexes of plain tables; those of partitions belong to the partitioned table's.
DEFERRABLE = {"public.plain_a", "public.plain_expression", "public.only_here"}
# Loads only in the dump's order: the small table first, the large one looks at it.
CHECKED_AGAINST_ANOTHER = """
    CREATE TABLE a_known (id int PRIMARY KEY);
    CREATE FUNCTION is_known(int) RETURNS bool LANGUAGE sql AS
        'SELECT EXISTS (SELECT FROM public.a_known WHERE id = $1)';
    CREATE TABLE b_large (id int CHECK (is_known(id)), filler text);
    CREATE TABLE d_last (id int);
    CREATE FUNCTION none_yet(int) RETURNS bool LANGUAGE sql AS 'SELECT NOT EXISTS (SELECT FROM public.d_last)';
    CREATE TABLE c_before (id int);
    INSERT INTO a_known SELECT generate_series(1, 300);
    INSERT INTO b_large SELECT n, repeat('x', 200) FROM generate_series(1, 300) n;
    INSERT INTO c_before VALUES (1);
    ALTER TABLE c_before ADD CHECK (none_yet(id));
    INSERT INTO d_last SELECT generate_series(1, 3000);
"""
ROWS = r"""
    CREATE TABLE big (id int PRIMARY KEY, note text);
    INSERT INTO big SELECT n, CASE n % 5 WHEN 0 THEN E'a\nb' WHEN 1 THEN E'\\' WHEN 2 THEN E'\\.' WHEN 3 THEN NULL
        ELSE repeat('long ' || n, 300) END FROM generate_series(1, 5000) n;
    CREATE TABLE small (id int);
    INSERT INTO small VALUES (1);
"""


@pytest.fixture
def load(live: Live) -> Callable[..., Loaded]:
    """Load a dump into an empty database beside the live one."""

    def load(dump: Dump, **options: Any) -> Loaded:
        login = live.login_as(live.server.operator)
        live.create(name=f"{live.name}__loaded")
        server = Server(login["login_host"], login["login_port"], login["login_user"], login["login_password"])
        return Loader(
            server, f"{live.name}__loaded", dump, Tools(login["client_bin_dir"]),
            owner=live.server.settings.app_user, superuser=False, **{"jobs": 2, **options},
        ).load()  # fmt: skip

    return load


@pytest.fixture(autouse=True)
def worth_emptying(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if to empty a table cost nothing, so that small ones are frozen too."""
    monkeypatch.setattr(costs, "_EMPTIED", 0.0)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of some kilobytes is worth being split, as if rows came slowly."""
    monkeypatch.setattr(costs, "_LEAST_TO_SPLIT", 1)
    monkeypatch.setattr(costs, "_COPY_BYTES_PER_SECOND", 1e3)


def judged(live: Live, *arguments: str) -> Dump:
    return judge(str(live.dump(*arguments)), Tools(live.server.settings.bin))


@pytest.mark.parametrize("jobs", [1, 3])
def test_keys_of_every_kind(live: Live, load: Callable[..., Loaded], jobs: int) -> None:
    live.execute(KEYS)
    before = live.content()
    load(judged(live), jobs=jobs)
    assert live.content(f"{live.name}__loaded") == before


def test_indexes_that_wait(live: Live, load: Callable[..., Loaded]) -> None:
    live.execute(KEYS)
    before = live.content()
    loaded = load(judged(live), defer_indexes=True)
    assert {left_out.index for left_out in loaded.outstanding} == DEFERRABLE
    present = live.value("SELECT array_agg(schemaname || '.' || indexname) FROM pg_indexes", f"{live.name}__loaded")
    assert not DEFERRABLE & set(present)
    with live.server.connect(live.server.app, f"{live.name}__loaded") as connection:
        for left_out in loaded.outstanding:
            for statement in (*left_out.settings, *left_out.statements):
                connection.execute(statement.encode())
    assert live.content(f"{live.name}__loaded") == before


def test_checks_that_look_at_other_tables(live: Live, load: Callable[..., Loaded]) -> None:
    live.execute(CHECKED_AGAINST_ANOTHER)
    loaded = load(judged(live))
    assert loaded.rows["public.b_large"] == 300
    how = {table["table"]: table["how"] for table in loaded.plan["tables"]}
    assert how == {
        "public.a_known": "frozen",
        "public.b_large": "copied",
        "public.c_before": "copied",
        "public.d_last": "frozen",
    }


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("arguments", [[], ["--format=custom"]], ids=["plain", "custom"])
def test_a_table_is_split_between_whole_rows(live: Live, load: Callable[..., Loaded], arguments: list[str]) -> None:
    live.execute(ROWS)
    before = live.content()
    loaded = load(judged(live, *arguments))
    assert [table["how"] for table in loaded.plan["tables"]] == ["split", "frozen"]
    rows = live.value("SELECT count(*) FROM big", f"{live.name}__loaded")
    assert rows == loaded.rows["public.big"] == 5000
    # Rows came in another order, so the text of a dump cannot be the same: its lines are.
    assert sorted(live.content(f"{live.name}__loaded").splitlines()) == sorted(before.splitlines())


@pytest.mark.usefixtures("small_pieces")
def test_a_dump_that_changed_since_it_was_judged(live: Live, load: Callable[..., Loaded]) -> None:
    live.execute(ROWS)
    dump = judged(live)
    content = Path(dump.path).read_bytes()
    Path(dump.path).write_bytes(content.replace(b"long 2004", b"lang 2004"))
    with pytest.raises(PlatformError, match="changed while it was being restored"):
        load(dump)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("jobs", [1, 3])
def test_a_bad_row_stops_all_connections(live: Live, load: Callable[..., Loaded], jobs: int) -> None:
    live.execute(ROWS)
    path = live.dump()
    path.write_bytes(path.read_bytes().replace(b"\n4001\t", b"\nnone\t"))
    with pytest.raises(PlatformError, match=r"loading table public\.big at byte .* invalid input syntax"):
        load(judge(str(path)), jobs=jobs)
    deadline = time.monotonic() + 10
    left = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{live.name}__loaded'"
    while live.value(left):
        assert time.monotonic() < deadline
        time.sleep(0.02)
