# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue of a folder of real dumps, in every format, made by the server's own tools."""

from __future__ import annotations

import gzip
import lzma
import os
import random
import shutil
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.data import entries, table_data
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.judge import judge
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.script import Rows
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.tools import Tools

from lab.backups import cut_in_largest_table
from lab.postgres import Server
from tests.integration.world import SCHOOL, SCHOOL_ROWS, Live
from tests.modules import result_of, run_module, start_module

MODULE = "pg_dump_info"
# Newest first.
GOOD = {
    "plain.sql": "plain",
    "zstd.sql": "plain in zstd",
    "gzip.dump": "plain in gzip",
    "custom.sql.gz": "custom",
    "dokploy.sql.gz": "custom in gzip",
    "tar.dump": "tar",
    "tar.xz": "tar in xz",
    "folder": "directory",
}
BAD = {"cut.sql": "truncated", "cut.dump": "truncated", "all.sql": "cluster_dump", "empty.sql": "empty"}


@pytest.fixture(scope="module")
def backups(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The bad ones are the newest; each file is a day older than the one before it."""
    folder = tmp_path_factory.mktemp("backups")
    live = Live(postgres, "backed_up", folder)
    live.create()
    live.execute(SCHOOL)
    plain, custom = live.dump().read_bytes(), live.dump("--format=custom").read_bytes()
    tar = live.dump("--format=tar").read_bytes()
    (folder / "dump").unlink()
    live.dump("--format=directory", name="folder")
    contents = {
        "cut.sql": plain,
        "cut.dump": custom[: len(custom) * 2 // 3],
        "all.sql": postgres.tool("pg_dumpall"),
        "empty.sql": b"",
        "plain.sql": plain,
        "zstd.sql": zstandard.compress(plain),
        "gzip.dump": gzip.compress(plain),
        "custom.sql.gz": custom,
        "dokploy.sql.gz": gzip.compress(custom),
        "tar.dump": tar,
        "tar.xz": lzma.compress(tar),
    }
    for days, (name, content) in enumerate(contents.items()):
        path = folder / name
        path.write_bytes(content)
        if name == "cut.sql":
            cut_in_largest_table(path)
        moment = time.time() - 60 - days * 86400
        os.utime(path, (moment, moment))
    (folder / "latest_dump.sql").symlink_to("cut.sql")
    yield folder
    live.drop()


def info(postgres: Server, path: Path, **options: Any) -> dict[str, Any]:
    result = run_module(MODULE, {"path": str(path), "client_bin_dir": postgres.settings.bin, **options})
    assert result["changed"] is False
    return result


def by_name(entries: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {Path(entry["path"]).name: entry for entry in entries}


def test_every_format_is_told_by_its_content(postgres: Server, backups: Path) -> None:
    result = info(postgres, backups)
    dumps = by_name(result["dumps"])
    with postgres.connect() as connection:
        version = str(connection.info.parameter_status("server_version")).split()[0]
    assert {name: dumps[name]["format"] for name in GOOD} == GOOD
    assert {name: dumps[name]["code"] for name in BAD} == BAD
    for name in GOOD:
        assert (dumps[name]["tables"], dumps[name]["rows"]) == (4, SCHOOL_ROWS)
        assert dumps[name]["server_version"] == version
        assert dumps[name]["database"] == (None if "plain" in GOOD[name] else "backed_up")
    assert result["links"] == {"latest_dump.sql": "cut.sql"}


def test_the_latest_stable_and_why_no_newer_one(postgres: Server, backups: Path) -> None:
    # An archive says itself when it was made, which here is now.
    result = info(postgres, backups, patterns=["*.sql"])
    assert Path(result["latest_stable"]["path"]).name == "plain.sql"
    assert [Path(entry["path"]).name for entry in result["rejected"]] == ["cut.sql", "all.sql", "empty.sql"]
    cut = result["rejected"][0]
    assert "ends inside the data of table public." in cut["reason"]
    assert cut["where"].startswith(f"byte {cut['size']} (line ")


def test_only_archives_name_their_database(postgres: Server, backups: Path) -> None:
    names = by_name(info(postgres, backups, database="another")["dumps"])
    assert set(GOOD) & set(names) == {"plain.sql", "zstd.sql", "gzip.dump"}


def test_options_for_a_hurry(postgres: Server, backups: Path) -> None:
    result = info(postgres, backups, until_stable=True, patterns=["*.sql"])
    assert by_name(result["dumps"])["zstd.sql"]["judged"] is False
    none = info(postgres, backups, max_age="1h", patterns=["*.sql"])
    assert none["latest_stable"] is None
    assert none["msg"].startswith("There is no stable dump among the 5 files")


@pytest.mark.parametrize("packed", [False, True], ids=["custom", "custom in gzip"])
def test_an_archive_that_is_cut_anywhere(postgres: Server, backups: Path, tmp_path: Path, packed: bool) -> None:
    whole = (backups / ("dokploy.sql.gz" if packed else "custom.sql.gz")).read_bytes()
    ends = [*random.Random(0).sample(range(1, len(whole)), 25), *(len(whole) - less for less in (1, 2, 5, 30))]
    for end in ends:
        (tmp_path / f"{end}.dump").write_bytes(whole[:end])
    result = info(postgres, tmp_path)
    accepted = [entry["path"] for entry in result["dumps"] if entry["complete"]]
    assert not accepted
    assert len(result["dumps"]) == len(set(ends))
    assert {entry["code"] for entry in result["rejected"]} <= {"truncated", "corrupt", "not_a_dump", "unsupported"}


def test_a_folder_with_a_file_that_is_cut(postgres: Server, backups: Path, tmp_path: Path) -> None:
    """Of some cuts pg_restore itself says nothing."""
    files = sorted(path for path in (backups / "folder").iterdir() if path.stat().st_size)
    assert len(files) == 5
    for file in files:
        size = file.stat().st_size
        for end in (0, 1, 10, size // 2, size - 1):
            copy = tmp_path / f"{file.name}.{end}"
            shutil.copytree(backups / "folder", copy)
            os.truncate(copy / file.name, end)
    shutil.copytree(backups / "folder", tmp_path / "gone")
    (tmp_path / "gone" / files[0].name).unlink()
    result = info(postgres, tmp_path)
    assert len(result["dumps"]) == 26
    assert [entry["path"] for entry in result["dumps"] if entry["complete"]] == []


def test_the_data_of_one_table_alone(postgres: Server, backups: Path) -> None:
    """What the load relies on: the tables of an archive come in the order of its script, and are the same bytes."""
    tools = Tools(postgres.settings.bin)
    for name in ("custom.sql.gz", "tar.dump", "folder"):
        dump = judge(str(backups / name), tools)
        blocks = [item for item in dump.script if isinstance(item, Rows)]
        listed = entries(dump.path, tools)
        assert [f"{entry.schema}.{entry.table}" for entry in listed] == [block.table for block in blocks]
        for entry, block in zip(listed, blocks, strict=True):
            assert zlib.crc32(b"".join(table_data(dump.path, tools, entry, block))) == block.checksum


def test_in_a_process_of_its_own(postgres: Server, backups: Path) -> None:
    """As Ansible starts it; nothing but the result may come out."""
    arguments = {"path": str(backups), "client_bin_dir": postgres.settings.bin}
    assert result_of(start_module(MODULE, arguments))["latest_stable"] is not None


@pytest.mark.parametrize(
    ("path", "message"),
    [("/backups/typo", "does not exist. Check the path"), ("/dev/null", "is a file. Name the folder")],
)
def test_a_wrong_folder(path: str, message: str) -> None:
    result = run_module(MODULE, {"path": path})
    assert result["failed"]
    assert message in result["msg"]


def test_an_empty_folder(postgres: Server, tmp_path: Path) -> None:
    result = info(postgres, tmp_path)
    assert result["latest_stable"] is None
    assert "Is the backup job running" in result["msg"]


def test_a_tool_that_is_not_there(backups: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive that nobody here can read is rejected with what to install; plain dumps are judged all the same."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(Path, "glob", lambda *_arguments: iter(()))
    dumps = by_name(run_module(MODULE, {"path": str(backups)})["dumps"])
    assert dumps["custom.sql.gz"]["code"] == "unreadable"
    assert "postgresql-client" in dumps["custom.sql.gz"]["hint"]
    assert dumps["plain.sql"]["complete"] is True
