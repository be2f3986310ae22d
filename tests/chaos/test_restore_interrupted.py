# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore is hit at random moments while clients read: they see the old database or the new one, nothing between."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lab import processes
from lab.postgres import PROCESS, Server
from tests.integration.world import Live
from tests.modules import result_of

pytestmark = pytest.mark.slow

#: Rounds by what is hit. CHAOS=all plays enough of them to meet every moment.
KINDS = ("module", "connection", "server", "disk")
ROUNDS_OF_EACH = 15 if os.environ.get("CHAOS") == "all" else 1
# Nothing that a restore waits for may hold it longer than this once it was hit.
PATIENCE = 10.0
EVENTS, USERS = 30_000, 100
DISK = "700m"
SCRIPT = f"""
CREATE TABLE era (name text);
CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL UNIQUE);
CREATE TABLE events (id bigint PRIMARY KEY, user_id int NOT NULL REFERENCES users, kind text, detail jsonb);
CREATE TABLE marks (event_id bigint NOT NULL REFERENCES events, mark int);
INSERT INTO era VALUES ('new');
INSERT INTO users SELECT n, 'user ' || n FROM generate_series(1, {USERS}) n;
INSERT INTO events SELECT n, 1 + n % {USERS}, md5(n::text), jsonb_build_object('n', n, 'text', repeat(md5(n::text), 5))
FROM generate_series(1, {EVENTS}) n;
INSERT INTO marks SELECT n, n % 6 FROM generate_series(1, {EVENTS}) n;
CREATE INDEX ON events (kind);
CREATE INDEX ON events USING gin (detail jsonb_path_ops);
CREATE INDEX ON marks (event_id);
"""
# One statement, one snapshot: the era and the rows belong together.
READ = "SELECT (SELECT name FROM era), (SELECT count(*) FROM users), (SELECT count(*) FROM marks)"
NEW, OLD = ("new", USERS, EVENTS), ("old", USERS, 0)
# The same dump in forms that take different ways through the engine.
FORMS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "gzip": ("--compress=1",),
    "custom": ("--format=custom", "--compress=1"),
}


@dataclass
class Readers:
    """Clients that read all the time and reconnect whenever they must."""

    live: Live
    seen: set[tuple[Any, ...]] = field(default_factory=set)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stop.is_set():
            with suppress(psycopg.Error), self.live.server.connect(self.live.server.app, self.live.name) as connection:
                while not self.stop.is_set():
                    row = connection.execute(READ).fetchone()
                    self.seen.add(row or ())
            time.sleep(0.02)


@contextmanager
def reading(live: Live) -> Iterator[set[tuple[Any, ...]]]:
    readers = Readers(live)
    threads = [threading.Thread(target=readers.run) for _each in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield readers.seen
    finally:
        readers.stop.set()
        for thread in threads:
            thread.join()


@dataclass
class World:
    """A server of its own, that may be killed and whose disk may be full."""

    live: Live
    dumps: dict[str, Path]
    #: Seconds of an undisturbed restore, by form.
    takes: dict[str, float]
    #: Bytes of a new database beside the old one; 0 where the disk is not ours to fill.
    takes_bytes: int = 0

    @property
    def server(self) -> Server:
        return self.live.server

    def make_old(self) -> None:
        """What clients read before a restore."""
        self.live.execute("DELETE FROM marks; UPDATE era SET name = 'old'")

    def read(self) -> tuple[Any, ...]:
        with self.server.connect(self.server.app, self.live.name) as connection:
            return connection.execute(READ).fetchone() or ()

    def restart_if_dead(self) -> None:
        if not self.server.running:
            self.server.start()
        deadline = time.monotonic() + 60
        while True:
            with suppress(psycopg.OperationalError):
                self.server.connect().close()
                return
            assert time.monotonic() < deadline, "the server does not come back"
            time.sleep(0.1)

    def kill_server(self) -> None:
        """The postmaster and all of its children at once, as a power cut would."""
        postmaster = processes.pid_of(self.server.state, PROCESS)
        assert postmaster is not None
        children = [int(pid) for pid in Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()]
        for pid in (postmaster, *children):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        processes.end(self.server.state, PROCESS, 10)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("chaos")
    with small_disk(folder / "server") as is_small:
        server = Server(folder / "server")
        server.start()
        try:
            server.create_roles()
            live = Live(server, "chaos", folder)
            live.create()
            live.execute(SCRIPT)
            dumps = {form: live.dump(*arguments, name=form) for form, arguments in FORMS.items()}
            world = World(live, dumps, {})
            for form, dump in dumps.items():
                world.make_old()
                result = live.restore(dump, keep_previous="0", force=True)
                world.takes[form] = result["seconds"]["total"]
            if is_small:
                world.takes_bytes = int(live.value(f"SELECT pg_database_size('{live.name}')"))
            yield world
        finally:
            server.stop()


@contextmanager
def small_disk(path: Path) -> Iterator[bool]:
    """A file system of its own for the server, if we may make one."""
    path.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(path)], capture_output=True, check=False
    )
    try:
        yield made.returncode == 0
    finally:
        if made.returncode == 0:
            subprocess.run(["umount", str(path)], check=True)


def hit(world: World, kind: str, process: subprocess.Popen[str], chance: random.Random) -> None:
    if kind == "module":
        process.send_signal(signal.SIGKILL)
    elif kind == "server":
        world.kill_server()
    elif kind == "connection":
        with suppress(psycopg.Error), world.server.connect() as connection:
            rows = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'vedfinance.platform%'"
            ).fetchall()
            if rows:
                connection.execute("SELECT pg_terminate_backend(%s)", (chance.choice(rows)[0],))


@contextmanager
def disk_filled(world: World, kind: str, chance: random.Random) -> Iterator[None]:
    """Room for a random part of the second database."""
    ballast = world.server.state / "ballast"
    if kind == "disk":
        free = shutil.disk_usage(world.server.state).free
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, free - int(chance.uniform(0.1, 1.0) * world.takes_bytes))
    try:
        yield
    finally:
        ballast.unlink(missing_ok=True)


@pytest.mark.parametrize("number", range(ROUNDS_OF_EACH))
@pytest.mark.parametrize("kind", KINDS)
def test_hit_at_a_random_moment(world: World, kind: str, number: int) -> None:
    if kind == "disk" and not world.takes_bytes:
        pytest.skip("only root can mount a small file system to fill")
    world.restart_if_dead()
    chance = random.Random(f"{kind} {number}")
    form = chance.choice(sorted(world.dumps))
    options: dict[str, Any] = {
        "jobs": chance.choice(["1", "2", "3"]),
        "defer_indexes": chance.choice(["none", "non_unique"]),
        "force": True,
        "keep_previous": "0",
    }
    if chance.random() < 0.3:
        world.live.verify(world.dumps[form], keep=True, force=True)
    world.make_old()
    with reading(world.live) as seen, disk_filled(world, kind, chance):
        process = world.live.start_restore(world.dumps[form], check_disk=kind != "disk", **options)
        if kind != "disk":
            with suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0, 1.3) * world.takes[form])
        hit(world, kind, process, chance)
        result = outcome(process, kind)
    world.restart_if_dead()
    found = world.read()
    assert seen <= {OLD, NEW}
    assert found in (OLD, NEW)
    if result is not None and result["changed"]:
        assert found == NEW, "an acknowledged swap is gone"
    if result is not None and result.get("failed") and result["live_untouched"]:
        assert found == OLD
    # The next run finishes the job and cleans up.
    again = world.live.restore(world.dumps[form], **options)
    assert world.read() == NEW
    world.live.complete()
    assert world.live.family() == [
        world.live.name,
        *([again["verified_database"]] if again["verified_database"] else []),
    ]


def outcome(process: subprocess.Popen[str], kind: str) -> dict[str, Any] | None:
    """What the module said, or None when it was not let to say anything."""
    try:
        if kind == "module":
            process.communicate(timeout=PATIENCE)
            return None
        return result_of(process, PATIENCE if kind in ("connection", "server") else 60)
    except subprocess.TimeoutExpired:
        # Python then tells where each of its threads stands.
        process.send_signal(signal.SIGABRT)
        told = process.communicate(timeout=PATIENCE)[1]
        raise AssertionError(f"the module hangs after its {kind} was hit: {told}") from None
