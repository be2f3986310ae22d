# SPDX-License-Identifier: GPL-3.0-or-later
"""Killed at any moment, a restore leaves the old database or the new one, and the next one goes on from there."""

from __future__ import annotations

import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._hangup import HungUp
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres import connect
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore import engine, swap

from tests.integration.world import SCHOOL_ROWS, Live
from tests.modules import result_of

Broken = tuple[Live, Path, str]
PATIENCE = 30.0
# Functions that hold up whoever has the setting: the module's login while it is to be interrupted, nobody else.
BRAKES = """
CREATE FUNCTION brake(phase text, id int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
    IF current_setting('lab.brake', true) = phase THEN PERFORM pg_sleep(60); END IF; RETURN true; END $$;
CREATE TABLE slow (id int CHECK (public.brake('load', id)));
INSERT INTO slow VALUES (1);
CREATE INDEX ON slow ((public.brake('index', id)));
"""
BRAKED_ROWS = SCHOOL_ROWS + 1
VERIFY = [{"name": "brake", "query": "SELECT brake('verify', 1)"}]


@pytest.fixture
def braked(school: Live) -> Iterator[Broken]:
    school.execute(BRAKES)
    before = school.content()
    dump = school.dump(name="before.sql")
    school.execute("UPDATE era SET name = 'broken'")
    yield school, dump, before
    release(school)


def brake(live: Live, phase: str) -> None:
    live.administer(f"ALTER ROLE {live.server.settings.operator_user} SET lab.brake = '{phase}'")


def release(live: Live) -> None:
    live.administer(f"ALTER ROLE {live.server.settings.operator_user} RESET lab.brake")


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)
    return found


def sessions(live: Live, where: str) -> list[int]:
    """Server processes of the module, by what they do."""
    with live.server.connect() as connection:
        rows = connection.execute(
            f"SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'vedfinance.platform%' AND {where}".encode()
        ).fetchall()
    return [int(str(row[0])) for row in rows]


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def assert_recovers(live: Live, dump: Path, before: str, **options: Any) -> None:
    result = live.restore(dump, **options)
    assert result["changed"] is True
    assert live.content() == before
    assert not [name for name in live.family() if "__staging_" in name]


# -- killed ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["load", "index", "verify"])
def test_killed_while_it_builds(braked: Broken, phase: str) -> None:
    live, dump, before = braked
    state = live.state()
    brake(live, phase)
    process = live.start_restore(dump, checks=VERIFY)
    wait_for(lambda: sessions(live, "wait_event = 'PgSleep'"), f"the brake in {phase}")
    kill(process)
    release(live)
    left = set(live.family()) - state.databases
    assert len(left) == 1
    assert (live.oid(), live.content()) == (state.oid, state.content)
    assert_recovers(live, dump, before, checks=VERIFY)


@pytest.mark.parametrize("phase", ["load", "index", "verify"])
def test_ends_when_nobody_reads_its_result(braked: Broken, phase: str) -> None:
    """The play is gone, with its ssh: a restore that nobody waits for must not go live."""
    live, dump, _before = braked
    state = live.state()
    brake(live, phase)
    process = live.start_restore(dump, checks=VERIFY)
    wait_for(lambda: sessions(live, "wait_event = 'PgSleep'"), f"the brake in {phase}")
    assert process.stdout is not None
    process.stdout.close()
    process.wait(PATIENCE)
    wait_for(lambda: not sessions(live, "true"), "the end of its sessions")
    assert live.state() == state


@contextmanager
def database_held(live: Live, name: str) -> Iterator[None]:
    """Nobody can rename a database while another transaction writes its comment."""
    with live.server.connect() as connection:
        connection.execute("BEGIN")
        connection.execute(f"COMMENT ON DATABASE \"{name}\" IS 'held'".encode())
        yield
        connection.execute("ROLLBACK")


SWAPPING = "application_name LIKE '% swap of %'"


def renaming(name: str) -> str:
    return f"{SWAPPING} AND wait_event_type = 'Lock' AND query LIKE 'ALTER DATABASE \"{name}\" RENAME TO %'"


@pytest.mark.parametrize("how", ["module killed", "connection cut"])
@pytest.mark.parametrize("rename", ["first", "second"])
def test_interrupted_in_the_swap(braked: Broken, rename: str, how: str) -> None:
    live, dump, before = braked
    state = live.state()
    with ExitStack() as staging_held:
        with database_held(live, live.name):
            process = live.start_restore(dump)
            wait_for(lambda: sessions(live, renaming(live.name)), "the first rename")
            if rename == "second":
                (staging,) = set(live.family()) - state.databases
                staging_held.enter_context(database_held(live, staging))
            else:
                interrupt(live, process, how)
        if rename == "second":
            wait_for(lambda: sessions(live, renaming(staging)), "the second rename")
            interrupt(live, process, how)
    if how == "connection cut":
        result = result_of(process)
        assert result["live_untouched"] is True
        assert "was rolled back" in result["msg"]
        assert set(live.family()) == state.databases
    assert (live.oid(), live.content()) == (state.oid, state.content)
    assert_recovers(live, dump, before)


def interrupt(live: Live, process: subprocess.Popen[str], how: str) -> None:
    if how == "module killed":
        kill(process)
    # A server process that waits for a lock does not notice that its client is dead.
    for pid in sessions(live, SWAPPING):
        live.administer(f"SELECT pg_terminate_backend({pid})")
    wait_for(lambda: not sessions(live, SWAPPING), "the end of the swap's session")


@pytest.mark.parametrize("moment", range(4))
def test_killed_at_a_random_moment(braked: Broken, moment: int) -> None:
    live, dump, before = braked
    state = live.state()
    process = live.start_restore(dump)
    wait_for(lambda: sessions(live, "true") or process.poll() is not None, "the first session")
    time.sleep(random.Random(moment).uniform(0, 0.8))
    kill(process)
    wait_for(lambda: not sessions(live, "true"), "the server to notice")
    new = live.oid() != state.oid
    assert live.content() == (before if new else state.content)
    live.restore(dump)
    assert live.content() == before
    assert not [name for name in live.family() if "__staging_" in name]


# -- the server or a session dies --------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["load", "index"])
def test_a_session_of_the_restore_is_ended(braked: Broken, phase: str) -> None:
    live, dump, before = braked
    state = live.state()
    brake(live, phase)
    process = live.start_restore(dump, checks=VERIFY)
    (pid,) = wait_for(lambda: sessions(live, "wait_event = 'PgSleep'"), f"the brake in {phase}")
    release(live)
    live.administer(f"SELECT pg_terminate_backend({pid})")
    result = result_of(process)
    assert result["failed"]
    assert result["live_untouched"] is True
    assert live.state() == state
    assert_recovers(live, dump, before)


def test_the_server_stops_in_mid_load(braked: Broken) -> None:
    live, dump, before = braked
    state = live.state()
    brake(live, "load")
    process = live.start_restore(dump)
    wait_for(lambda: sessions(live, "wait_event = 'PgSleep'"), "the brake")
    release(live)
    live.server.stop()
    try:
        result = result_of(process)
    finally:
        live.server.start()
    assert result["live_untouched"] is True
    assert "the next restore removes it" in result["msg"]
    assert (live.oid(), live.content()) == (state.oid, state.content)
    recovered = live.restore(dump)
    assert any("left behind by an interrupted run" in note for note in recovered["notes"])
    assert live.content() == before


@pytest.mark.parametrize("committed", [True, False])
def test_the_connection_breaks_at_the_commit(braked: Broken, monkeypatch: pytest.MonkeyPatch, committed: bool) -> None:
    """The server did what it was asked, or did not, and nobody is there to be told."""
    live, dump, before = braked
    state = live.state()
    run = connect.Session.run

    def break_at_commit(session: connect.Session, statement: str | bytes, parameters: Any = None) -> str:
        if statement == "COMMIT" and len(sessions(live, SWAPPING)) == 1:
            if committed:
                run(session, statement)
            session.close()
            raise connect.ServerError("The connection was lost.")
        return run(session, statement, parameters)

    monkeypatch.setattr(connect.Session, "run", break_at_commit)
    if committed:
        result = live.restore(dump)
        assert result["live_untouched"] is False
        assert live.content() == before
    else:
        assert "was rolled back" in live.refuse(dump)["msg"]
        assert live.state() == state


@pytest.mark.parametrize("committed", [True, False])
def test_ended_by_hand_at_the_commit(braked: Broken, monkeypatch: pytest.MonkeyPatch, committed: bool) -> None:
    """What is told is what happened, whichever of the two was faster."""
    live, dump, before = braked
    state = live.state()
    run = connect.Session.run

    def end_at_commit(session: connect.Session, statement: str | bytes, parameters: Any = None) -> str:
        if statement == "COMMIT" and len(sessions(live, SWAPPING)) == 1:
            if committed:
                run(session, statement)
            raise HungUp("SIGTERM")
        return run(session, statement, parameters)

    monkeypatch.setattr(connect.Session, "run", end_at_commit)
    if committed:
        result = live.restore(dump)
        assert (result["changed"], result["live_untouched"]) == (True, False)
        assert live.content() == before
    else:
        assert "Ended before the work was done" in live.refuse(dump)["msg"]
        assert live.state() == state


def test_no_connection_is_needed_once_the_swap_is_committed(braked: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is full again at once does not make a failure of it."""
    live, dump, before = braked
    swapped = swap.swap

    def crowded(*arguments: Any) -> swap.Swapped:
        done = swapped(*arguments)
        live.administer(f"ALTER ROLE {live.server.settings.operator_user} CONNECTION LIMIT 0")
        return done

    monkeypatch.setattr(engine, "swap", crowded)
    try:
        result = live.restore(dump)
    finally:
        live.administer(f"ALTER ROLE {live.server.settings.operator_user} CONNECTION LIMIT -1")
    assert result["live_untouched"] is False
    assert any("could not be counted" in note for note in result["notes"])
    assert any("state: completed" in note for note in result["notes"])
    assert live.content() == before
    assert live.complete()["changed"] is True


# -- others at the same time -------------------------------------------------------------------------------------


def test_two_restores_at_once(braked: Broken) -> None:
    live, dump, _before = braked
    state = live.state()
    brake(live, "verify")
    first = live.start_restore(dump, checks=VERIFY)
    wait_for(lambda: sessions(live, "wait_event = 'PgSleep'"), "the brake")
    refused = live.refuse(dump, lock_timeout=0)
    assert f"Another restore of {live.name} is running: vedfinance.platform lock" in refused["msg"]
    assert f":{first.pid} (role {live.server.settings.operator_user}" in refused["msg"]
    kill(first)
    release(live)
    # The lock is the server's, so it went with its owner.
    assert live.restore(dump, lock_timeout=5)["rows"] == BRAKED_ROWS
    assert live.oid() != state.oid


def test_a_lock_that_does_not_go_away_ends_the_swap(braked: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the swap waits for it, clients are sent away: that must not last."""
    live, dump, _before = braked
    state = live.state()
    monkeypatch.setattr(swap, "_LOCK_TIMEOUT", "300ms")
    with database_held(live, live.name):
        assert "lock timeout" in live.refuse(dump)["msg"]
    assert live.state() == state


def test_clients_read_the_old_database_or_the_new_one(braked: Broken) -> None:
    live, dump, _before = braked
    live.execute("DELETE FROM enrollments; DELETE FROM users")
    old, new = (live.oid(), "broken", 0), None
    stop = threading.Event()
    seen: list[list[tuple[Any, ...]]] = [[], [], []]

    def read(into: list[tuple[Any, ...]]) -> None:
        """As an application does: a connection kept as long as it lasts, then the next."""
        while not stop.is_set():
            try:
                with live.server.connect(live.server.app, live.name) as connection:
                    while not stop.is_set():
                        row = connection.execute(READ).fetchone()
                        if row is not None and (not into or into[-1] != row):
                            into.append(row)
            except psycopg.OperationalError:
                continue

    readers = [threading.Thread(target=read, args=(into,)) for into in seen]
    for reader in readers:
        reader.start()
    try:
        wait_for(lambda: all(seen), "the readers")
        result = live.restore(dump)
        new = (live.oid(), "old", 100)
        wait_for(lambda: all(into[-1] == new for into in seen), "the readers to see the new database")
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert seen == [[old, new]] * 3
    assert result["downtime_seconds"] > 0


READ = """
SELECT (SELECT oid FROM pg_database WHERE datname = current_database())::int, name, (SELECT count(*) FROM users)::int
FROM era"""


def test_a_superuser_who_stays_connected_is_named(braked: Broken) -> None:
    live, dump, _before = braked
    with live.server.connect(database=live.name):
        state = live.state()
        refused = live.refuse(dump)
        assert "Still connected: postgres (lab, pid" in refused["msg"]
        assert any("cannot end their sessions" in note for note in refused["notes"])
        assert live.state() == state
