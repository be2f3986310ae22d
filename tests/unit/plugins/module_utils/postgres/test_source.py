# SPDX-License-Identifier: GPL-3.0-or-later
"""Packed dumps: whole ones give their bytes, damaged ones are told, whatever the file is called."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump import model, source
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.source import Source, Tools

from tests.unit.plugins.module_utils.postgres.given import SCHOOL, judged, rejected

Packer = Callable[[bytes], bytes]


def zstd(content: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(content)


def in_halves(pack: Packer) -> Packer:
    """Two members, as two compressed files behind each other."""
    return lambda content: pack(content[:2000]) + pack(content[2000:])


PACKERS: dict[str, Packer] = {
    "gzip": gzip.compress,
    "zstd": zstd,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
}
WHOLE: dict[str, tuple[Packer, str]] = {
    **{name: (pack, f"plain in {name}") for name, pack in PACKERS.items()},
    **{f"{name} in two parts": (in_halves(pack), f"plain in {name}") for name, pack in PACKERS.items()},
    "plain": (bytes, "plain"),
    "gzip, padded with zeros": (lambda content: gzip.compress(content) + bytes(512), "plain in gzip"),
    "gzip, with an empty member": (lambda content: gzip.compress(content) + gzip.compress(b""), "plain in gzip"),
    "zstd in gzip": (lambda content: gzip.compress(zstd(content)), "plain in zstd in gzip"),
}


def read(content: bytes, folder: Path) -> tuple[Source, bytes]:
    path = folder / "dump.bin"
    path.write_bytes(content)
    opened = Source(str(path), Tools())
    return opened, b"".join(opened.plain())


@pytest.mark.parametrize("how", WHOLE)
@pytest.mark.parametrize("chunk", [7, 1 << 18])
def test_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, chunk: int) -> None:
    monkeypatch.setattr(source, "CHUNK", chunk)
    pack, packing = WHOLE[how]
    content = pack(SCHOOL)
    opened, plain = read(content, tmp_path)
    assert plain == SCHOOL
    assert (opened.sha256, opened.raw_bytes) == (hashlib.sha256(content).hexdigest(), len(content))
    assert str(opened.sniff()) == packing


@pytest.mark.parametrize("name", PACKERS)
def test_a_great_deal_from_a_little(tmp_path: Path, name: str) -> None:
    content = SCHOOL + b"-- " + b"x" * (8 << 20) + b"\n"
    assert read(PACKERS[name](content), tmp_path)[1] == content


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("named", ["dump.sql", "dump.gz", "dump.zst", "dump.dump", "dump"])
def test_the_name_plays_no_part(tmp_path: Path, name: str, named: str) -> None:
    assert judged(PACKERS[name](SCHOOL), tmp_path, named).rows == 12


@pytest.mark.parametrize("name", PACKERS)
def test_cut_anywhere(tmp_path: Path, name: str) -> None:
    packed = PACKERS[name](SCHOOL)
    ends = {*range(1, 24), *random.Random(1).sample(range(len(packed)), 40), *range(len(packed) - 24, len(packed))}
    for end in sorted(ends):
        why = rejected(packed[:end], tmp_path)
        assert why is not None, f"accepted when cut at byte {end} of {len(packed)}"
        assert why.where is not None or why.code in (model.NOT_A_DUMP, model.UNSUPPORTED)


@pytest.mark.parametrize("name", PACKERS)
def test_cut_between_its_parts(tmp_path: Path, name: str) -> None:
    """The packing is whole then; the dump inside is not."""
    why = rejected(PACKERS[name](SCHOOL[:2000]), tmp_path)
    assert why is not None
    assert why.code == model.TRUNCATED


@pytest.mark.parametrize("name", PACKERS)
def test_flipped_bits(tmp_path: Path, name: str) -> None:
    """Some bits carry nothing, as a file's time in gzip; what is accepted must be the very dump."""
    packed = PACKERS[name](SCHOOL)
    refused = 0
    for bit in random.Random(2).sample(range(len(packed) * 8), 80):
        damaged = bytearray(packed)
        damaged[bit // 8] ^= 1 << bit % 8
        if rejected(bytes(damaged), tmp_path):
            refused += 1
        else:
            assert read(bytes(damaged), tmp_path)[1] == SCHOOL
    assert refused > 70


@pytest.mark.parametrize(
    ("damage", "code", "reason"),
    [
        (lambda packed: packed[:-8] + bytes(4) + packed[-4:], model.CORRUPT, "gzip data are damaged"),
        (lambda packed: packed[:-4] + bytes(4), model.CORRUPT, "gzip data are damaged"),
        (lambda packed: packed[:-8], model.TRUNCATED, "gzip data end in the middle"),
        (lambda packed: packed + b"garbage", model.CORRUPT, "gzip data are damaged"),
        (lambda packed: packed + packed[:30], model.TRUNCATED, "gzip data end in the middle"),
        (lambda packed: packed + packed, model.CORRUPT, "two dumps in one file"),
    ],
    ids=["checksum", "length", "trailer missing", "garbage behind", "second member cut", "twice"],
)
def test_the_end_of_gzip(tmp_path: Path, damage: Packer, code: str, reason: str) -> None:
    why = rejected(damage(gzip.compress(SCHOOL)), tmp_path)
    assert why is not None
    assert why.code == code
    assert reason in why.msg
    assert why.where is not None


@pytest.mark.parametrize("name", PACKERS)
def test_nothing_inside(tmp_path: Path, name: str) -> None:
    why = rejected(PACKERS[name](b""), tmp_path)
    assert why is not None
    assert why.code == model.EMPTY
    assert name in why.msg


@pytest.mark.skipif(shutil.which("zstd") is None, reason="no program zstd here")
@pytest.mark.parametrize("cut", [0, 1, 500])
def test_zstd_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int) -> None:
    monkeypatch.setattr(source, "HAS_ZSTANDARD", False)
    packed = zstd(SCHOOL)
    why = rejected(packed[: len(packed) - cut], tmp_path)
    assert (why is not None) is bool(cut)


def test_zstd_with_nothing_to_unpack_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "HAS_ZSTANDARD", False)
    monkeypatch.setenv("PATH", str(tmp_path))
    why = rejected(zstd(SCHOOL), tmp_path)
    assert why is not None
    assert (why.code, why.hint) == (model.UNREADABLE, "Install the package zstd or python3-zstandard.")


# -- archives, with a stand-in for pg_restore ---------------------------------------------------------------------

ARCHIVE = b"PGDMP\1\x0f\0\4\x08\1" + bytes(2000)


def tools_with(folder: Path, script: str) -> Tools:
    program = folder / "pg_restore"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return Tools(str(folder))


def archive(folder: Path, script: str, *options: str) -> Source:
    path = folder / "a.dump"
    path.write_bytes(ARCHIVE)
    return Source(str(path), tools_with(folder, script), options)


def test_an_archive_goes_through_pg_restore(tmp_path: Path) -> None:
    opened = archive(tmp_path, 'echo "$@ $PGHOST"; cat >/dev/null', "--create")
    assert b"".join(opened.plain()) == b"--file=- --create \n"
    assert opened.sha256 == hashlib.sha256(ARCHIVE).hexdigest()


def test_pg_restore_may_stop_before_the_end(tmp_path: Path) -> None:
    opened = archive(tmp_path, "echo enough")
    assert b"".join(opened.plain()) == b"enough\n"
    assert opened.raw_bytes == len(ARCHIVE)


@pytest.mark.parametrize(
    ("complaint", "code"),
    [
        ("could not read from input file: end of file", model.TRUNCATED),
        ("input file is too short (read 3, expected 5)", model.TRUNCATED),
        ("could not uncompress data: incorrect data check", model.CORRUPT),
        ("unsupported version (1.16) in file header", model.UNSUPPORTED),
    ],
)
def test_what_pg_restore_complains_of(tmp_path: Path, complaint: str, code: str) -> None:
    opened = archive(tmp_path, f"cat >/dev/null; echo half; echo 'pg_restore: error: {complaint}' >&2; exit 1")
    with pytest.raises(model.DumpRejected) as caught:
        list(opened.plain())
    assert caught.value.code == code
    assert complaint in caught.value.msg


def test_no_pg_restore(tmp_path: Path) -> None:
    with pytest.raises(model.DumpRejected, match=r"needs the program nosuch, which is not in .*client_bin_dir"):
        Tools(str(tmp_path)).find("nosuch")
