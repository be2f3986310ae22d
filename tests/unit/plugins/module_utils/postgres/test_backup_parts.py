# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a backup that need no server: manifest, names, pace, pg_dump's words, and the folder."""

from __future__ import annotations

import fcntl
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup import files
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup.command import (
    Compression,
    judge_words,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup.manifest import (
    Manifest,
    ManifestError,
    Offsite,
    TableContent,
    manifest_of,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup.naming import DEFAULT, dump_name
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup.snapshot import ContentDigest
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup.stream import Pace

MANIFEST = Manifest(
    dump="school_1.dump",
    sha256="ab" * 32,
    bytes=12,
    format="custom",
    compression="gzip",
    database="school",
    began="2026-11-22T02:00:00+00:00",
    ended="2026-11-22T02:00:04+00:00",
    encrypted_for=("age1x",),
    tables={"public.users": TableContent(3, "3:00ff"), "public.é": TableContent(0)},
    offsite=Offsite("disk:pg", "school_1.dump", "2026-11-22T02:00:05+00:00", "sha256"),
)


# -- the manifest ------------------------------------------------------------------------------------------------


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = manifest_of(str(tmp_path / "school_1.dump"))
    MANIFEST.write(path)
    assert Manifest.read(path) == MANIFEST
    assert MANIFEST.rows == 3
    assert json.loads(Path(path).read_text())["manifest"] == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["school_1.dump.manifest.json"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"dump": "../../etc/passwd"}, "is no file name"),
        ({"dump": "/etc/passwd"}, "is no file name"),
        ({"dump": ".."}, "is no file name"),
        ({"dump": "a\nb"}, "is no file name"),
        ({"dump": "other.dump"}, "names another file"),
        ({"dump": 7}, "is no text"),
        ({"manifest": 2}, "does not say"),
        ({"sha256": "ab"}, "no checksum"),
        ({"bytes": "12"}, "no number"),
        ({"began": "yesterday"}, "Invalid isoformat"),
        ({"tables": {"t": {"lines": 1}}}, "is no manifest"),
        ({"tables": [1]}, "is no manifest"),
    ],
)
def test_a_manifest_that_cannot_be_believed(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    path = tmp_path / "school_1.dump.manifest.json"
    path.write_text(json.dumps({**MANIFEST.as_dict(), **change}))
    with pytest.raises(ManifestError, match=why):
        Manifest.read(str(path))


@pytest.mark.parametrize("text", ["", "[]", "{}", "\x00", "null", '{"manifest": 1}'])
def test_what_is_no_manifest(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.manifest.json"
    path.write_text(text)
    with pytest.raises(ManifestError, match="is no manifest"):
        Manifest.read(str(path))


def test_a_manifest_that_is_a_link_or_missing(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.write_text(json.dumps(MANIFEST.as_dict()))
    link = tmp_path / "school_1.dump.manifest.json"
    for _each in range(2):
        with pytest.raises(ManifestError, match="cannot be read"):
            Manifest.read(str(link))
        if not link.is_symlink():
            link.symlink_to(real)


# -- names -------------------------------------------------------------------------------------------------------

NIGHT = datetime(2026, 11, 22, 2, 0, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{database}_{utc:%Y%m%d_%H%M%S}", "school_20261122_020007.dump"),
        ("{utc:%Y-%m-%dT%H-%M-%SZ}", "2026-11-22T02-00-07Z.dump"),
        ("{database}-{release}", "school-v1_2.dump"),
        ("a{{b}}", "a{b}.dump"),
    ],
)
def test_names(template: str, name: str) -> None:
    assert dump_name(template, "school", NIGHT, "v1/2", ".dump") == name


def test_the_time_of_a_name_is_local_as_those_who_read_it_take_it() -> None:
    local = NIGHT.astimezone().strftime("%Y%m%d_%H%M%S")
    assert dump_name(DEFAULT, "a/b", NIGHT, None, ".sql") == f"a_b_{local}.sql"


@pytest.mark.parametrize(
    "template",
    ["../{database}", "{database.x}", "{0}", "{nosuch}", "{", "", ".x", "-x", "x" * 300, "{database!r}", "a\nb"],
)
def test_what_gives_no_name(template: str) -> None:
    with pytest.raises(PlatformError, match="Option name"):
        dump_name(template, "school", NIGHT, None, ".dump" if template else "")


# -- pg_dump -----------------------------------------------------------------------------------------------------


def test_compression() -> None:
    assert Compression.parse("none") == Compression("none")
    assert str(Compression.parse("zstd:19")) == "zstd:19"
    for wrong in ("lz4", "gzip:", "gzip:0", "gzip:10", "zstd:20", "none:1", "gzip:x"):
        with pytest.raises(PlatformError, match="Option compress"):
            Compression.parse(wrong)


@pytest.mark.parametrize(
    ("said", "status", "reason"),
    [
        ("pg_dump: error: permission denied for table a", 1, "pg_read_all_data"),
        ("pg_dump: warning: x\npg_dump: error: query failed", 0, "query failed"),
        ("", 3, "status 3 and said nothing"),
        ("pg_dump: error: connection as hush failed", 1, "connection as"),
    ],
)
def test_words_that_mean_failure(said: str, status: int, reason: str) -> None:
    with pytest.raises(PlatformError) as failed:
        judge_words(said, status, ["hush"])
    assert reason in str(failed.value)
    assert "hush" not in str(failed.value)


def test_words_that_are_remarks() -> None:
    assert judge_words("pg_dump: warning: there are circles\n\n", 0) == ["pg_dump: there are circles"]
    assert judge_words("", 0) == []


# -- pace and digest ---------------------------------------------------------------------------------------------


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert 0 < seconds <= 0.5
        self.now += seconds


def test_pace() -> None:
    clock = Clock()
    pace = Pace(1000, clock, clock.sleep)
    for _each in range(50):
        pace.passed(pace.chunk)
    assert clock.now - 100 == pytest.approx(50 * pace.chunk / 1000)
    clock.now += 3600
    began = clock.now
    pace.passed(5000)
    # An hour that was missed is not made up for.
    assert clock.now - began == pytest.approx(4)
    Pace(None, clock, clock.sleep).passed(10**9)
    assert clock.now == began + 4


def test_digest_is_of_rows_in_any_order_however_they_are_cut() -> None:
    def of(*pieces: bytes) -> str:
        digest = ContentDigest()
        for piece in pieces:
            digest.update(piece)
        return str(digest)

    whole = of(b"1\ta\n2\tb\n2\tb\n")
    # Stored in manifests: the same in every process and version.
    assert whole == "3:bb54b71bfd62634b"
    assert of(b"2", b"\tb\n1\ta", b"\n2\tb\n") == whole
    assert of(b"1\ta\n2\tb\n") != whole
    assert of() == "0:0000000000000000"
    assert of(b"\n") != of()


# -- the folder --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_partial_lives_as_long_as_any_process_that_writes_it(tmp_path: Path, is_folder: bool) -> None:
    with files.Partial(str(tmp_path), "x", is_folder=is_folder) as partial:
        inherited = os.dup(partial.lock)
        assert files.remove_dead(str(tmp_path)) == ([], [".partial-x"])
        # As after a kill: nobody removes it.
        partial._kept = True
    assert files.remove_dead(str(tmp_path)) == ([], [".partial-x"])
    (tmp_path / "x.manifest.json").write_text("{}")
    os.close(inherited)
    assert files.remove_dead(str(tmp_path)) == ([".partial-x"], [])
    assert list(tmp_path.iterdir()) == []


def test_a_link_among_the_partials_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / ".partial-link").symlink_to(precious)
    assert files.remove_dead(str(folder)) == ([], [])
    assert (precious / "file").exists()


def test_no_dump_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("the old one")
    with pytest.raises(PlatformError, match="exists already"), files.Partial(str(tmp_path), "x") as partial:
        partial.keep_as("x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_text() == "the old one"


def test_a_file_system_without_locks_gives_nobody_for_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_arguments: object) -> None:
        raise OSError(38, "not implemented")

    (tmp_path / ".partial-x").touch()
    monkeypatch.setattr(fcntl, "flock", no_locks)
    assert files.remove_dead(str(tmp_path)) == ([], [".partial-x"])


def test_the_link_is_replaced_in_one_step(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert files.point(str(tmp_path), "latest", "a") is True
    assert files.point(str(tmp_path), "latest", "a") is False
    (tmp_path / ".partial-latest").symlink_to("nowhere")
    assert files.point(str(tmp_path), "latest", "b") is True
    assert os.readlink(tmp_path / "latest") == "b"
    assert files.links(str(tmp_path)) == {"b": ["latest"]}
