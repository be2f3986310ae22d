# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup folder that somebody else can write to: links, pipes, bombs, names, folders that name other files."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._journal import path_of, write_entry
from ansible_collections.vedfinance.platform.plugins.module_utils._lock import change_lock
from ansible_collections.vedfinance.platform.plugins.module_utils._metrics import write_text
from ansible_collections.vedfinance.platform.plugins.module_utils._notify.events import Event
from ansible_collections.vedfinance.platform.plugins.module_utils._notify.spool import Spool, Undelivered
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup.files import make_private
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup.manifest import (
    Manifest,
    ManifestError,
    manifest_of,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.judge import judge
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.model import DumpRejected
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.tools import Tools
from ansible_collections.vedfinance.platform.plugins.module_utils._progress import Progress
from ansible_collections.vedfinance.platform.plugins.module_utils._report import write_pages

from lab.postgres import Server
from tests.conftest import ROOT
from tests.integration.world import SCHOOL, Live
from tests.modules import run_module

SECRET = "what only root may read"


@pytest.fixture(scope="module")
def made(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Live, Path]]:
    """A live database, and a folder with one dump of each kind."""
    live = Live(postgres, "kept", tmp_path_factory.mktemp("kept"))
    live.create()
    live.execute(SCHOOL + "SELECT lo_from_bytea(4242, 'large')")
    live.dump(name="good.sql")
    live.dump("--format=directory", "--compress=0", name="good.dir")
    yield live, live.folder
    live.drop()


@pytest.fixture
def folder(made: tuple[Live, Path], tmp_path: Path) -> Path:
    shutil.copytree(made[1] / "good.dir", tmp_path / "dump")
    return tmp_path / "dump"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(SECRET)
    return path


def rows_of(folder: Path) -> Path:
    return next(iter(sorted(folder.glob("[0-9]*.dat"))))


def as_link(folder: Path, secret: Path) -> None:
    rows_of(folder).unlink()
    rows_of_another = folder / "9999.dat"
    rows_of_another.symlink_to(secret)


def as_pipe(folder: Path, _secret: Path) -> None:
    os.mkfifo(folder / "9999.dat")


def as_large_object(folder: Path, secret: Path) -> None:
    (folder / "blobs.toc").write_text(f"4242 ../{secret.name}\n")


def as_packed_list(folder: Path, secret: Path) -> None:
    (folder / "blobs.toc").unlink()
    (folder / "blobs.toc.gz").write_bytes(gzip.compress(f"4242 ../{secret.name}\n".encode()))


def as_named_file(folder: Path, secret: Path) -> None:
    name = rows_of(folder).name.encode()
    other = f"../{secret.name}".encode()
    toc = (folder / "toc.dat").read_bytes()
    named = b"\0" + len(name).to_bytes(4, "little") + name
    assert named in toc
    (folder / "toc.dat").write_bytes(toc.replace(named, b"\0" + len(other).to_bytes(4, "little") + other))


@pytest.mark.parametrize("how", [as_link, as_pipe, as_large_object, as_packed_list, as_named_file])
def test_a_folder_cannot_bring_a_file_of_the_host_into_a_database(
    folder: Path, secret: Path, made: tuple[Live, Path], how: Callable[[Path, Path], None]
) -> None:
    tools = Tools(made[0].server.settings.bin)
    assert judge(str(folder), tools).rows
    how(folder, secret)
    with pytest.raises(DumpRejected) as caught:
        judge(str(folder), tools)
    assert SECRET not in str(caught.value)


def test_the_newest_of_a_folder_is_never_a_link_a_pipe_or_a_device(made: tuple[Live, Path], tmp_path: Path) -> None:
    good = shutil.copy(made[1] / "good.sql", tmp_path / "vedfinance_20261101_020000.sql")
    os.utime(good, (1, 1))
    (tmp_path / "vedfinance_20261123_020000.sql").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "vedfinance_20261124_020000.sql")
    (tmp_path / "vedfinance_20261125_020000.sql").symlink_to("/dev/zero")
    (tmp_path / "-rf.sql").write_bytes(b"")
    (tmp_path / "two\nlines\x1b[2J.sql").write_bytes(b"junk")
    (tmp_path / os.fsdecode(b"\xff\xfe.sql")).write_bytes(b"junk")
    (tmp_path / "{{ lookup('pipe', 'id') }}.sql").write_bytes(b"junk")
    sparse = tmp_path / "sparse.sql"
    with sparse.open("wb") as file:
        file.truncate(1 << 40)
    result = run_module("pg_dump_info", {"path": str(tmp_path), "client_bin_dir": made[0].server.settings.bin})
    assert result["latest_stable"]["path"] == str(good)
    assert "root:" not in json.dumps(result)
    told = {os.path.basename(one["path"]): one for one in result["dumps"]}
    assert "sparse.sql" in told


@pytest.mark.parametrize("inside", ["in the data", "in a statement"])
def test_a_bomb_takes_time_but_no_memory(tmp_path: Path, inside: str) -> None:
    head = b"--\n-- PostgreSQL database dump\n--\n\n"
    begin = b"COPY public.t (a) FROM stdin;\n" if inside == "in the data" else b"SET x = 1"
    bomb = tmp_path / "bomb.sql.gz"
    with gzip.open(bomb, "wb", compresslevel=1) as file:
        file.write(head + begin)
        for _megabyte in range(200):
            file.write(b"\0" * (1 << 20))
    program = (
        "import resource, sys; sys.path.insert(0, sys.argv[2]);"
        "resource.setrlimit(resource.RLIMIT_AS, (900 << 20, 900 << 20));"
        "from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.judge import judge\n"
        "try:\n    judge(sys.argv[1])\nexcept Exception as error: print(type(error).__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(bomb), str(ROOT / "collections")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "DumpRejected\n"


def test_a_manifest_leads_nowhere_else(made: tuple[Live, Path], tmp_path: Path) -> None:
    good = {
        "manifest": 1, "dump": "a.sql", "sha256": "0" * 64, "bytes": 1, "format": "plain", "compression": "none",
        "database": "kept", "began": "2026-11-23T02:00:00+00:00", "ended": "2026-11-23T02:00:01+00:00",
    }  # fmt: skip
    path = Path(manifest_of(str(tmp_path / "a.sql")))
    path.write_text(json.dumps(good))
    assert Manifest.read(str(path)).dump == "a.sql"
    for dump in ("../a.sql", "/etc/passwd", ".a.sql", "-a.sql", "a\n.sql", "a.sql\0", "", "b.sql"):
        path.write_text(json.dumps({**good, "dump": dump}))
        with pytest.raises(ManifestError):
            Manifest.read(str(path))
    path.write_text("[" * 100_000)
    with pytest.raises(ManifestError):
        Manifest.read(str(path))
    for target in (Path("/etc/passwd"), made[1] / "good.sql"):
        path.unlink()
        path.symlink_to(target)
        with pytest.raises(ManifestError):
            Manifest.read(str(path))


def test_a_name_that_is_no_text_does_not_cost_the_journal(tmp_path: Path) -> None:
    entry = {"run": "20261123T020000Z", "kind": "drill", "outcome": "x", "began": 1, "ended": 2, "dump": "\udcff.sql"}
    path = path_of(str(tmp_path), entry)
    write_entry(path, entry)
    assert json.loads(Path(path).read_bytes())["dump"] == "\udcff.sql"


# -- modes ------------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[0o000, 0o077], ids=["umask 000", "umask 077"])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield int(request.param)
    os.umask(before)


def test_nobody_else_can_write_or_read_what_is_kept(
    umask: int, made: tuple[Live, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = made[0]
    place = tmp_path / "new" / "deep"
    entry = {"run": "20261123T020000Z", "kind": "drill", "outcome": "x", "began": 1, "ended": 2}
    write_entry(path_of(str(place / "journal"), entry), entry)
    write_pages(str(place / "reports"), {"index.html": "x"}, check=False)
    write_text(str(place / "metrics" / "x.prom"), "x 1\n")
    lock = {
        "state": "held", "folder": str(place / "lock"), "name": "platform", "run": "r", "playbook": "", "max_age": "2h",
        "force": False, "owner": {}, "dead": "",
    }  # fmt: skip
    change_lock(lock, 1.0, False)
    spool = Spool(str(place / "spool"))
    spool.prepare()
    event = Event(name="test", title="t", severity="info", host="h", run="r", thread="t")
    spool.put(Undelivered(event, "ops", "admin", "2026-11-23T02:00:00Z", 1, "no"))
    backups = place / "backups"
    backups.mkdir(mode=0o700)
    for kind in ("custom", "directory"):
        arguments = {"database": live.name, "path": str(backups), **live.login, "format": kind, "latest_link": "latest"}
        result = run_module("pg_backup", {**arguments, "name": kind})
        assert not result.get("failed"), result["msg"]
    fetched = place / "fetched"
    fetched.mkdir()
    (fetched / "rows.dat").write_text("x")
    make_private(str(fetched))
    with Progress(str(place / "progress")) as progress:
        progress.begin("load")
        progress._write()
        assert stat.S_IMODE((place / "progress").stat().st_mode) == 0o600
    readable = {"x.prom"}
    for path in place.rglob("*"):
        if path.is_symlink():
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        assert not mode & 0o022, (path, oct(mode))
        if path.is_file() and path.parent != backups / "directory.dir":
            assert not mode & 0o007 or path.name in readable, (path, oct(mode))
    assert not any(stat.S_IMODE(path.stat().st_mode) & 0o022 for path in (place, place.parent))
    dumps = [path for path in backups.iterdir() if not path.is_symlink()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in dumps} == {0o600, 0o700}
    assert stat.S_IMODE((place / "metrics" / "x.prom").stat().st_mode) == 0o644
