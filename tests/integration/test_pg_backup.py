# SPDX-License-Identifier: GPL-3.0-or-later
"""Dumps of a real server: whole, with what they hold beside them, and restored to the same content."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres import container as containers
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup import backup, files
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup.manifest import Manifest, manifest_of
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup.snapshot import exported
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.connect import Server

from tests.fake_docker import FakeDocker
from tests.integration.features import FEATURES
from tests.integration.world import DISASTER, SCHOOL_ROWS, Live
from tests.modules import run_module, start_module

MODULE = "pg_backup"
PRISMA = """
CREATE TABLE _prisma_migrations (migration_name text, finished_at timestamptz, rolled_back_at timestamptz,
    started_at timestamptz DEFAULT '2026-01-01');
INSERT INTO _prisma_migrations VALUES ('20260101_first', '2026-01-01', NULL), ('20260201_second', '2026-02-01', NULL),
    ('20260301_undone', '2026-03-01', '2026-03-01');
"""
# Formats of which pg_dump of the tests' server has no zstd, so that each way of packing is taken once.
WAYS: dict[str, dict[str, Any]] = {
    ".sql.gz": {"format": "plain", "compress": "gzip:1"},
    ".sql.zst": {"format": "plain", "compress": "zstd:2"},
    ".dump": {"format": "custom"},
    ".dump.zst": {"format": "custom", "compress": "zstd"},
    ".dir": {"format": "directory", "jobs": 2},
    ".tar.gz": {"format": "tar", "compress": "gzip"},
}


def needs(*programs: str) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"the programs {', '.join(missing)} are not on this machine")


def back_up(live: Live, *, check: bool = False, **options: Any) -> dict[str, Any]:
    folder = live.folder / "backups"
    folder.mkdir(exist_ok=True)
    arguments = {"database": live.name, "path": str(folder), "nice": 0, **live.login, **options}
    return run_module(MODULE, arguments, check=check)


def made(live: Live, **options: Any) -> dict[str, Any]:
    result = back_up(live, **options)
    assert not result.get("failed"), result["msg"]
    return result


def names(live: Live) -> list[str]:
    return sorted(entry.name for entry in (live.folder / "backups").iterdir())


def contents(live: Live) -> dict[str, str]:
    """The content of every table now, as a manifest would have it."""
    chosen = live.server.settings
    server = Server(chosen.host, chosen.port, live.server.superuser.user, live.server.superuser.password)
    with exported(server, live.name) as snapshot:
        tables = snapshot.tables()
        found = {str(table): snapshot.digest(table).content.digest for table in tables}
    return {name: str(digest) for name, digest in found.items()}


@pytest.mark.parametrize("suffix", WAYS)
def test_every_format_is_restored_to_what_its_manifest_says(school: Live, suffix: str) -> None:
    if "zst" in suffix:
        needs("zstd")
    school.execute(PRISMA)
    result = made(school, digests=True, release="v1.4.2", **WAYS[suffix])
    dump = Path(result["dump"])
    assert dump.name.startswith(f"{school.name}_")
    assert dump.name.endswith(suffix)
    assert names(school) == sorted([dump.name, f"{dump.name}.manifest.json"])
    manifest = Manifest.read(result["manifest_path"])
    assert manifest.as_dict() == json.loads(Path(result["manifest_path"]).read_text()) == result["manifest"]
    assert manifest.sha256 == files.sha256_of(str(dump))
    assert manifest.bytes == files.size_of(str(dump))
    assert manifest.rows == result["rows"] == SCHOOL_ROWS + 3
    assert manifest.tables["public.users"].rows == 100
    assert (manifest.migration_head, manifest.release) == ("20260201_second", "v1.4.2")
    assert manifest.server["version"] == school.value("SHOW server_version")
    assert manifest.server["system_identifier"] == str(
        school.value("SELECT system_identifier FROM pg_control_system()")
    )
    assert not dump.stat().st_mode & 0o077
    before = {name: table.digest for name, table in manifest.tables.items()}
    assert contents(school) == before
    school.execute(DISASTER)
    assert contents(school) != before
    restored = school.restore(dump, verify="content")
    assert contents(school) == before
    assert restored["dump"]["sha256"] == manifest.sha256


def test_odd_values_and_names_have_one_digest(live: Live) -> None:
    live.execute("".join(FEATURES.values()))
    # Row security hides rows from all others.
    live.login = live.login_as(live.server.superuser)
    manifest = Manifest.read(made(live, digests=True, format="plain")["manifest_path"])
    assert contents(live) == {name: table.digest for name, table in manifest.tables.items()}
    live.execute('CREATE TABLE "no columns" (); INSERT INTO "no columns" DEFAULT VALUES')
    assert Manifest.read(made(live, digests=True, name="again")["manifest_path"]).tables["public.no columns"].rows == 1


def test_a_database_whose_name_is_no_name(live: Live) -> None:
    odd = Live(live.server, 'a=b host=nowhere "x"', live.folder)
    odd.create(name='a=b host=nowhere ""x""')
    try:
        odd.execute("CREATE TABLE t (n int); INSERT INTO t VALUES (1)")
        result = made(odd, format="directory")
        assert result["rows"] == 1
        assert Path(result["dump"]).name.startswith("a_b_host_nowhere__x__")
    finally:
        odd.administer('DROP DATABASE "a=b host=nowhere ""x"""')


def test_check_mode_writes_nothing_and_says_what_would_be(school: Live) -> None:
    result = back_up(school, check=True, latest_link="latest_dump.sql")
    assert result["changed"] is True
    assert result["dump"] is None
    assert result["plan"]["estimated_bytes"] > 0
    assert result["plan"]["path"] in result["msg"]
    assert any("psql cannot read" in note for note in result["notes"])
    assert names(school) == []
    first = made(school)
    again = back_up(school, check=True, name="again")["plan"]
    assert again["estimate_from"] == f"a little more than {Path(first['dump']).name}"
    assert first["manifest"]["bytes"] < again["estimated_bytes"] < 2 * first["manifest"]["bytes"]


def test_the_runbooks_own_path(school: Live) -> None:
    before = school.content()
    plain = {"format": "plain", "compress": "none", "latest_link": "latest_dump.sql"}
    first = made(school, name="one", **plain)
    second = made(school, name="two", **plain)
    link = Path(second["latest_link"])
    assert os.readlink(link) == "two.sql"
    school.administer(f'DROP DATABASE "{school.name}"')
    school.create()
    school.server.tool("psql", "-q", "-v", "ON_ERROR_STOP=1", f"--file={link}", database=school.name)
    assert school.content() == before
    assert Path(first["dump"]).exists()
    link.unlink()
    link.write_text("the only dump there is")
    refused = back_up(school, **plain)
    assert "is no link" in refused["msg"]
    assert link.read_text() == "the only dump there is"


def test_without_the_judge_the_server_counts(school: Live) -> None:
    result = made(school, verify_dump=False)
    assert result["rows"] == SCHOOL_ROWS
    assert result["manifest"]["tables"]["public.users"] == {"rows": 100, "digest": None}
    assert result["manifest"]["sha256"] == files.sha256_of(result["dump"])
    assert "judge" not in result["seconds"]


def test_rows_of_the_manifest_are_of_the_moment_of_the_dump(school: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    run = backup._Backup._run_pg_dump

    def written_meanwhile(*arguments: Any) -> None:
        school.execute("INSERT INTO users VALUES (1001, 'late', NULL); DELETE FROM enrollments")
        run(*arguments)
        school.execute("CREATE TABLE later (n int)")

    monkeypatch.setattr(backup._Backup, "_run_pg_dump", written_meanwhile)
    assert made(school, digests=True)["rows"] == SCHOOL_ROWS
    assert school.value("SELECT count(*) FROM enrollments") == 0


def test_a_rate_limit_slows_it_down(school: Live) -> None:
    school.execute("CREATE TABLE noise AS SELECT md5(n::text) FROM generate_series(1, 3000) n")
    result = made(school, format="plain", compress="none", rate_limit="100000")
    assert result["seconds"]["dump"] > 0.9
    custom = made(school, rate_limit="50M")
    school.execute("DROP TABLE noise")
    assert school.restore(Path(custom["dump"]))["rows"] == SCHOOL_ROWS + 3000


# -- encryption --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verified", [True, False])
def test_encrypted_with_age(school: Live, tmp_path: Path, verified: bool) -> None:
    needs("age", "age-keygen")
    before = school.content()
    identity = tmp_path / "key"
    subprocess.run(["age-keygen", "-o", str(identity)], check=True, capture_output=True)
    public = subprocess.run(["age-keygen", "-y", str(identity)], check=True, capture_output=True, text=True).stdout
    result = made(school, age_recipients=[public.strip()], verify_dump=verified, format="tar", compress="gzip")
    dump = Path(result["dump"])
    assert dump.name.endswith(".tar.gz.age")
    assert dump.read_bytes().startswith(b"age-encryption.org/")
    assert result["manifest"]["encrypted_for"] == [public.strip()]
    assert names(school) == sorted([dump.name, f"{dump.name}.manifest.json"])
    school.execute(DISASTER)
    restored = school.restore(dump, age_identity_file=str(identity))
    assert school.content() == before
    assert restored["dump"]["sha256"] == result["manifest"]["sha256"]


def test_encrypted_with_gpg(school: Live, tmp_path_factory: pytest.TempPathFactory) -> None:
    needs("gpg", "gpgconf")
    before = school.content()
    home = Path(subprocess.check_output(["mktemp", "-d", "/tmp/gpgXXXXXX"], text=True).strip())
    try:
        generate = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--passphrase", "", "--quick-generate-key"]
        subprocess.run([*generate, "backup@example.org", "future-default"], check=True, capture_output=True)
        result = made(school, gpg_recipients=["backup@example.org"], gpg_home=str(home))
        assert Path(result["dump"]).name.endswith(".dump.gpg")
        school.execute(DISASTER)
        school.restore(Path(result["dump"]), gpg_home=str(home))
        assert school.content() == before
        refused = back_up(school, gpg_recipients=["nobody@example.org"], gpg_home=str(home))
        assert "The program gpg failed" in refused["msg"]
        assert len(names(school)) == 2
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
        shutil.rmtree(home, ignore_errors=True)


def test_no_secret_key_and_no_folder(school: Live) -> None:
    for options, reason in (
        ({"age_recipients": ["AGE-SECRET-KEY-1QQ"]}, "is a secret key"),
        ({"age_recipients": ["--output=/etc/passwd"]}, "is no key"),
        ({"age_recipients": ["age1x"], "gpg_recipients": ["x"]}, "of age and of gpg"),
        ({"age_recipients": ["age1x"], "format": "directory"}, "cannot be encrypted"),
    ):
        refused = back_up(school, **options)
        assert reason in refused["msg"]
        assert "SECRET-KEY-1QQ" not in json.dumps({**refused, "invocation": None})
        assert names(school) == []


# -- elsewhere ---------------------------------------------------------------------------------------------------


@pytest.fixture
def remotes(tmp_path: Path) -> dict[str, Any]:
    """One remote with checksums of its own, and one that encrypts and has none."""
    needs("rclone")
    config = tmp_path / "rclone.conf"
    secret = subprocess.check_output(["rclone", "obscure", "hush"], text=True).strip()
    config.write_text(
        f"[disk]\ntype = alias\nremote = {tmp_path}/there\n"
        f"[locked]\ntype = crypt\nremote = {tmp_path}/locked\npassword = {secret}\n"
    )
    return {"rclone_config": str(config)}


def test_a_copy_elsewhere_comes_back(school: Live, remotes: dict[str, Any]) -> None:
    offsite = {"remote": "disk:pg", **remotes}
    assert "holds no dump" in back_up(school, state="fetched", offsite=offsite)["msg"]
    older = made(school, offsite=offsite, format="directory", name="1")
    assert older["manifest"]["offsite"]["checked_by"] == "sha256"
    newer = made(school, offsite=offsite, name="2")
    assert back_up(school, state="fetched", offsite=offsite)["changed"] is False
    shutil.rmtree(school.folder / "backups")
    planned = back_up(school, state="fetched", offsite=offsite, check=True)
    assert (planned["changed"], names(school)) == (True, [])
    fetched = made(school, state="fetched", offsite=offsite)
    assert fetched["dump"] == newer["dump"]
    assert Manifest.read(fetched["manifest_path"]).as_dict() == newer["manifest"]
    assert files.sha256_of(fetched["dump"]) == newer["manifest"]["sha256"]
    assert len(names(school)) == 2
    named = made(school, state="fetched", offsite=offsite, dump=Path(older["dump"]).name)
    assert named["dump"] == older["dump"]
    assert files.sha256_of(older["dump"]) == older["manifest"]["sha256"]


def test_a_remote_without_checksums_is_read_back(school: Live, remotes: dict[str, Any]) -> None:
    offsite = {"remote": "locked:", **remotes}
    sent = made(school, offsite=offsite)
    assert sent["manifest"]["offsite"]["checked_by"] == "download"
    Path(sent["dump"]).unlink()
    assert made(school, state="fetched", offsite=offsite)["dump"] == sent["dump"]
    assert files.sha256_of(sent["dump"]) == sent["manifest"]["sha256"]


def test_a_copy_that_changed_is_not_taken(school: Live, remotes: dict[str, Any]) -> None:
    offsite = {"remote": "disk:", **remotes}
    result = made(school, offsite=offsite)
    copy = school.folder / "there" / Path(result["dump"]).name
    copy.write_bytes(copy.read_bytes()[:-1] + b"x")
    shutil.rmtree(school.folder / "backups")
    refused = back_up(school, state="fetched", offsite=offsite)
    assert "checksum differs" in refused["msg"]
    assert names(school) == []
    manifest = Path(manifest_of(str(copy)))
    manifest.write_text(manifest.read_text().replace(f'"{copy.name}"', '"../../../etc/passwd"'))
    assert "no dump" in back_up(school, state="fetched", offsite=offsite)["msg"]
    assert "is no file name" in back_up(school, state="fetched", offsite=offsite, dump=copy.name)["msg"]
    assert "Option dump" in back_up(school, state="fetched", offsite=offsite, dump="../there/x")["msg"]
    assert names(school) == []


def test_a_dump_that_cannot_be_sent_counts_here(school: Live, remotes: dict[str, Any]) -> None:
    unknown = back_up(school, offsite={"remote": "elsewhere:", **remotes})
    assert "knows no remote 'elsewhere'" in unknown["msg"]
    assert names(school) == []
    assert "no remote of rclone" in back_up(school, offsite={"remote": ":s3,access_key=hush:"})["msg"]
    (school.folder / "there").write_text("a file in the way")
    failed = back_up(school, offsite={"remote": "disk:pg", **remotes})
    assert failed["failed"]
    assert "rclone copyto failed" in failed["msg"]
    assert "counts" in failed["msg"]
    assert Manifest.read(failed["manifest_path"]).offsite is None
    assert failed["changed"] is True


def test_what_could_not_be_sent_is_sent_later(school: Live, remotes: dict[str, Any]) -> None:
    offsite, there = {"remote": "disk:pg", **remotes}, school.folder / "there"
    older, newer = made(school, name="1"), made(school, name="2", format="directory")
    there.write_text("a file in the way")
    failed = back_up(school, state="sent", offsite=offsite)
    assert "rclone copyto failed" in failed["msg"] or "rclone copy" in failed["msg"]
    there.unlink()
    planned = back_up(school, state="sent", offsite=offsite, check=True)
    assert (planned["changed"], there.exists()) == (True, False)
    # Its manifest does not arrive, so it does not count there, and is sent again.
    blocking = there / "pg" / "2.dir.manifest.json"
    blocking.mkdir(parents=True)
    (blocking / "in the way").touch()
    assert back_up(school, state="sent", offsite=offsite)["failed"]
    assert Manifest.read(newer["manifest_path"]).offsite is None
    shutil.rmtree(blocking)
    sent = made(school, state="sent", offsite=offsite, login_port=1)
    assert (sent["changed"], sent["dump"]) == (True, newer["dump"])
    assert sent["msg"].startswith("2.dir (and 1 older) was sent to disk:pg")
    for one in (older, newer):
        copy = there / "pg" / Path(one["dump"]).name
        assert files.sha256_of(str(copy)) == one["manifest"]["sha256"]
        assert Manifest.read(manifest_of(str(copy))) == Manifest.read(one["manifest_path"])
        assert Manifest.read(one["manifest_path"]).offsite is not None
    again = made(school, state="sent", offsite=offsite)
    assert (again["changed"], again["dump"]) == (False, None)


def test_a_dump_that_has_changed_on_its_disk_is_not_sent(school: Live, remotes: dict[str, Any]) -> None:
    offsite = {"remote": "disk:", **remotes}
    rotten = Path(made(school, name="rotten")["dump"])
    rotten.write_bytes(rotten.read_bytes()[:-1] + b"x")
    made(school, name="whole")
    failed = back_up(school, state="sent", offsite=offsite)
    assert "rotten.dump is not what its manifest says" in failed["msg"]
    assert sorted(path.name for path in (school.folder / "there").iterdir()) == [
        "whole.dump",
        "whole.dump.manifest.json",
    ]
    assert back_up(school, state="sent", offsite=offsite, dump="whole.dump")["changed"] is False
    assert "has no dump other" in back_up(school, state="sent", offsite=offsite, dump="other")["msg"]


# -- what goes wrong ---------------------------------------------------------------------------------------------


def kept_out(live: Live, **options: Any) -> dict[str, Any]:
    """The result of a backup that fails and leaves the folder as it was."""
    (live.folder / "backups").mkdir(exist_ok=True)
    before = names(live)
    result = back_up(live, **options)
    assert result["failed"]
    assert not result.get("changed")
    assert names(live) == before
    return result


def test_refusals_leave_nothing_and_say_what_to_do(school: Live) -> None:
    made(school, name="taken")
    school.administer("CREATE ROLE nobody_special LOGIN PASSWORD 'x'")
    try:
        for options, reason in (
            ({"name": "taken"}, "exists already"),
            ({"name": "../{database}"}, "no name for a file"),
            ({"name": "{database.__class__}"}, "is none of"),
            ({"disk_floor": "900T"}, "must stay free"),
            ({"database": "nosuch"}, "There is no database nosuch"),
            ({"compress": "lz4"}, "Option compress"),
            ({"format": "directory", "rate_limit": "1M"}, "cannot be kept"),
            ({"format": "directory", "compress": "zstd"}, "packed with zstd"),
            ({"client_bin_dir": "/nosuch"}, "needs a pg_dump"),
            ({"path": "/nosuch"}, "does not exist"),
            ({"login_user": "nobody_special", "login_password": "x"}, "permission denied"),
            ({"login_password": "hush-hush"}, "Check login_user"),
        ):
            result = kept_out(school, **options)
            assert reason in result["msg"], result["msg"]
            assert "hush-hush" not in json.dumps({**result, "invocation": None})
    finally:
        school.administer("DROP ROLE nobody_special")


def test_a_lock_that_somebody_holds(school: Live) -> None:
    with school.server.connect(school.server.app, school.name) as other:
        other.execute("BEGIN")
        other.execute("LOCK TABLE users")
        result = kept_out(school, lock_timeout=0.3)
        assert "pg_dump failed" in result["msg"]
        assert "lock_timeout" in result["msg"]


def fake_pg_dump(live: Live, script: str) -> dict[str, str]:
    """The server's tools, with another pg_dump before the real one."""
    folder = live.folder / "bin"
    folder.mkdir()
    real = Path(live.server.settings.bin)
    (folder / "pg_restore").symlink_to(real / "pg_restore")
    program = folder / "pg_dump"
    program.write_text(f'#!/bin/sh\nreal={real}/pg_dump\n[ "$1" = --version ] && exec $real "$@"\n{script}\n')
    program.chmod(0o755)
    return {"client_bin_dir": str(folder)}


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ('$real "$@" | head -c 2000', "cut off"),
        ('$real "$@"; echo "pg_dump: error: it went wrong" >&2', "it went wrong"),
        ('$real "$@" --exclude-table-data=users', "lacks the data of public.users"),
        ('$real "$@" | sed "s/^7\tuser 7/7\tuser 8/"', "are not those that the server gives"),
        ('$real "$@" | sed "s/^7\tuser 7.*//"', "public.users"),
        ("echo; exit 0", "would be refused by a restore"),
        ("kill -SEGV $$", "status -11"),
    ],
)
def test_a_pg_dump_that_lies_is_not_believed(school: Live, script: str, reason: str) -> None:
    made(school, name="good")
    tools = fake_pg_dump(school, script)
    result = kept_out(school, format="plain", compress="none", digests=True, **tools)
    assert reason in result["msg"], result["msg"]
    assert "older ones are untouched" in result["msg"]


def test_remarks_of_pg_dump_are_told(school: Live) -> None:
    school.execute("CREATE TABLE a (id int PRIMARY KEY, b int); CREATE TABLE b (id int PRIMARY KEY REFERENCES a)")
    school.execute("ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b")
    tools = fake_pg_dump(school, 'echo "pg_dump: warning: there are circles" >&2; exec $real "$@"')
    assert "pg_dump: there are circles" in made(school, **tools)["notes"]


def test_a_disk_that_fills_up(school: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    free = iter([10**12])
    monkeypatch.setattr(files, "free_bytes", lambda _folder: next(free, 0))
    monkeypatch.setattr(backup, "_LOOK_AT_DISK_EVERY", 1)
    assert "larger than was estimated" in kept_out(school, disk_floor="1M")["msg"]


@pytest.mark.parametrize("dump_format", ["plain", "directory"])
def test_killed_in_the_middle(school: Live, dump_format: str) -> None:
    """Whatever pg_dump writes to, the next run finds its own leftover, sees that it is dead, and removes it."""
    first = made(school, name="first", format=dump_format)
    folder = school.folder / "backups"
    with school.server.connect(school.server.app, school.name) as other:
        other.execute("BEGIN")
        # pg_dump has begun and waits for this.
        other.execute("LOCK TABLE users")
        arguments = {"database": school.name, "path": str(folder), "nice": 0, "format": dump_format, **school.login}
        process = start_module(MODULE, {**arguments, "name": "killed"})
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '%pg_dump' AND datname = '{}'"
        until(lambda: school.value(waiting.format(school.name)) and any(folder.glob(".partial-*")))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        left = names(school)
        assert [name for name in left if name.startswith(".partial-killed")]
        assert len(left) == 3
        planned = back_up(school, check=True)
        assert planned["changed"] is True
        assert names(school) == left
    second = made(school, name="second", format=dump_format)
    assert [name for name in second["removed_partials"] if name.startswith(".partial-killed")]
    assert names(school) == sorted(
        Path(path).name for result in (first, second) for path in (result["dump"], result["manifest_path"])
    )


def test_told_to_end(school: Live) -> None:
    folder = school.folder / "backups"
    folder.mkdir()
    with school.server.connect(school.server.app, school.name) as other:
        other.execute("BEGIN")
        other.execute("LOCK TABLE users")
        arguments = {"database": school.name, "path": str(folder), "nice": 0, **school.login}
        process = start_module(MODULE, arguments)
        until(lambda: any(folder.glob(".partial-*")))
        process.terminate()
        out, _complaints = process.communicate(timeout=20)
        result = json.loads(out)
        assert result["failed"]
        assert "Ended before the work was done" in result["msg"]
        assert names(school) == []


def test_what_another_run_is_making_is_left(school: Live) -> None:
    folder = school.folder / "backups"
    folder.mkdir()
    with files.Partial(str(folder), "other.dump"):
        result = made(school, name="mine")
        assert ".partial-other.dump" in names(school)
        assert any(".partial-other.dump was left" in note for note in result["notes"])
    assert ".partial-other.dump" not in names(school)


def until(condition: Any, patience: float = 20.0) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# -- inside of a container ---------------------------------------------------------------------------------------


@pytest.fixture
def contained(school: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    """The server in a container that is reached by docker exec; what is passed by -e is in the environment already."""
    FakeDocker(tmp_path, monkeypatch).add("db", os.getpid())
    program = tmp_path / "docker"
    taken = 'if [ "$1" = exec ]; then shift; while [ "$1" = -e ]; do shift 2; done; set -- exec "$@"; fi'
    program.write_text(program.read_text().replace("#!/bin/sh\n", f"#!/bin/sh\n{taken}\n"))
    monkeypatch.setattr(containers, "_SOCKETS", "nosuch")
    school.login = {name: value for name, value in school.login.items() if name != "login_host"} | {"container": "db"}
    return school


def test_through_docker_exec(contained: Live) -> None:
    result = made(contained)
    assert result["rows"] == SCHOOL_ROWS
    assert "container" not in result["plan"]["pg_dump"]


def test_by_the_containers_own_pg_dump(contained: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host's is too old. Inside of the container there is no PGHOST, so this one is told where its server is."""
    inside = tmp_path / "pg_dump"
    settings = contained.server.settings
    inside.write_text(f'#!/bin/sh\nPGHOST={settings.host} exec {settings.bin}/pg_dump "$@"\n')
    inside.chmod(0o755)
    tools = tmp_path / "old"
    tools.mkdir()
    (tools / "pg_restore").symlink_to(Path(settings.bin) / "pg_restore")
    (tools / "pg_dump").write_text('#!/bin/sh\necho "pg_dump (PostgreSQL) 9.6.24"\n')
    (tools / "pg_dump").chmod(0o755)
    result = made(contained, client_bin_dir=str(tools))
    assert result["rows"] == SCHOOL_ROWS
    assert result["plan"]["pg_dump"].endswith(" in the container")
    assert "on the host" in kept_out(contained, client_bin_dir=str(tools), format="directory")["msg"]
