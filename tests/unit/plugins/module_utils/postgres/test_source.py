# SPDX-License-Identifier: GPL-3.0-or-later
"""Packed dumps: whole ones give their bytes, damaged ones are told, whatever the file is called."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import random
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump import model, source, tools, unpack
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.judge import judge
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
    "zstd, as pzstd begins it": (lambda content: b"\x50\x2a\x4d\x18\4\0\0\0size" + zstd(content), "plain in zstd"),
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
    for module in (source, tools, unpack):
        monkeypatch.setattr(module, "CHUNK", chunk)
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


@pytest.mark.parametrize("isal", [True, False])
@pytest.mark.parametrize("name", PACKERS)
def test_cut_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, isal: bool) -> None:
    monkeypatch.setattr(unpack, "HAS_ISAL", isal)
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


@pytest.mark.parametrize("isal", [True, False])
@pytest.mark.parametrize("name", PACKERS)
def test_flipped_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, isal: bool) -> None:
    """Some bits carry nothing, as a file's time in gzip; what is accepted must be the very dump."""
    monkeypatch.setattr(unpack, "HAS_ISAL", isal)
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
@pytest.mark.parametrize("isal", [True, False])
def test_the_end_of_gzip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Packer, code: str, reason: str, isal: bool
) -> None:
    monkeypatch.setattr(unpack, "HAS_ISAL", isal)
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
    monkeypatch.setattr(unpack, "HAS_ZSTANDARD", False)
    packed = zstd(SCHOOL)
    why = rejected(packed[: len(packed) - cut], tmp_path)
    assert (why is not None) is bool(cut)


def test_zstd_with_nothing_to_unpack_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "HAS_ZSTANDARD", False)
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


# -- tar: pg_restore waits for the rest of a cut archive for ever --------------------------------------------------


def tar(*members: tuple[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    # pg_dump ends with two blocks of zeros and does not pad to ten kilobytes.
    size = len(packed.getvalue().rstrip(b"\0"))
    return packed.getvalue()[: -(-size // 512) * 512] + bytes(1024)


TAR = tar(("toc.dat", ARCHIVE), ("1.dat", b"1\n\\.\n\n\n"), ("empty.dat", b""), ("restore.sql", b"--" * 700))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_tar_goes_through_pg_restore(tmp_path: Path, pack: Packer) -> None:
    (tmp_path / "a.tar").write_bytes(pack(TAR))
    opened = Source(str(tmp_path / "a.tar"), tools_with(tmp_path, "cat"))
    assert b"".join(opened.plain()) == TAR
    assert opened.sniff().kind == "tar"
    assert opened.head.startswith(b"PGDMP")


@pytest.mark.parametrize("chunk", [100, 512, 1 << 18])
def test_a_tar_that_is_cut_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    """The stand-in reads to the end of its input and then never stops by itself."""
    monkeypatch.setattr(source, "CHUNK", chunk)
    tools = tools_with(tmp_path, "cat >/dev/null; exec sleep 600")
    for end in (512, 600, len(ARCHIVE) + 512, len(TAR) - 1500, len(TAR) - 1024, len(TAR) - 512, len(TAR) - 1):
        (tmp_path / "a.tar").write_bytes(TAR[:end])
        with pytest.raises(model.DumpRejected) as caught:
            list(Source(str(tmp_path / "a.tar"), tools).plain())
        assert caught.value.code == model.TRUNCATED, end


@pytest.mark.parametrize(
    "damaged",
    [
        TAR.replace(b"1.dat", b"2.dat"),
        TAR[:124] + b"x" * 12 + TAR[136:],
        TAR[:148] + b"zzzzzz" + TAR[154:],
        TAR + TAR,
    ],
    ids=["name", "size", "checksum", "twice"],
)
def test_a_tar_that_is_damaged(tmp_path: Path, damaged: bytes) -> None:
    (tmp_path / "a.tar").write_bytes(damaged)
    with pytest.raises(model.DumpRejected) as caught:
        list(Source(str(tmp_path / "a.tar"), tools_with(tmp_path, "cat >/dev/null")).plain())
    assert caught.value.code == model.CORRUPT


# -- folders in directory format -----------------------------------------------------------------------------------

FOLDER = {
    "toc.dat": ARCHIVE,
    "1.dat": b"1\n\\.\n\n\n",
    "2.dat.gz": gzip.compress(b"\\.\n\n\n"),
    "3.dat": b"INSERT INTO t VALUES (1);\n\n\n",
    "4.dat": b"\n\n",
    "blob_7.dat": b"x",
    "blobs_6.toc": b"7 blob_7.dat\n",
}


def folder(path: Path, **changed: bytes) -> Path:
    path.mkdir()
    for name, content in {**FOLDER, **{key.replace("__", "."): value for key, value in changed.items()}}.items():
        (path / name).write_bytes(content)
    return path


def test_a_folder_goes_to_pg_restore_by_its_path(tmp_path: Path) -> None:
    tools = tools_with(tmp_path, 'echo "$@"; cat')
    opened = Source(str(folder(tmp_path / "-d")), tools)
    assert b"".join(opened.plain()) == f"--file=- {tmp_path}/-d\n".encode()
    assert str(opened.sniff()) == "directory"
    assert opened.raw_bytes == sum(map(len, FOLDER.values()))


def test_the_checksum_of_a_folder(tmp_path: Path) -> None:
    """The same for the same files, another when a name, a content or the border between two files is another."""
    tools = tools_with(tmp_path, "true")

    def checksum(path: Path) -> str:
        opened = Source(str(path), tools)
        list(opened.plain())
        return opened.sha256

    same = checksum(folder(tmp_path / "a"))
    assert checksum(folder(tmp_path / "b")) == same
    others = [folder(tmp_path / "c", blob_7__dat=b"y"), folder(tmp_path / "d", x=b""), folder(tmp_path / "e", y=b"")]
    assert len({same, *map(checksum, others)}) == 4


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"1__dat": b""}, model.TRUNCATED),
        ({"1__dat": b"1\n"}, model.TRUNCATED),
        ({"1__dat": b"1\n\\.\n\n"}, model.TRUNCATED),
        ({"2__dat__gz": b""}, model.TRUNCATED),
        ({"2__dat__gz": b"\x1f"}, model.TRUNCATED),
        ({"2__dat__gz": b"1\n\\.\n\n\n"}, model.CORRUPT),
        ({"3__dat": b"INSERT INTO t VALUES (1);\n"}, model.TRUNCATED),
        ({"blobs_6__toc": b""}, model.TRUNCATED),
        ({"blobs_6__toc": b"7 blob_7.dat"}, model.TRUNCATED),
        ({"toc__dat": b""}, model.EMPTY),
    ],
)
def test_what_pg_restore_would_take_for_whole(tmp_path: Path, changed: dict[str, bytes], code: str) -> None:
    tools = tools_with(tmp_path, "true")
    with pytest.raises(model.DumpRejected) as caught:
        list(Source(str(folder(tmp_path / "d", **changed)), tools).plain())
    assert caught.value.code == code


def test_a_folder_that_is_no_dump(tmp_path: Path) -> None:
    with pytest.raises(model.DumpRejected, match="pg_dump_info finds the latest"):
        Source(str(tmp_path), Tools()).sniff()


def test_what_is_neither_file_nor_folder(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(model.DumpRejected, match="neither a file nor a folder"):
        Source(str(tmp_path / "pipe"), Tools()).sniff()


# -- encrypted dumps, with stand-ins for the programs and then with the real ones ------------------------------------

AGE = b"age-encryption.org/v1\n" + gzip.compress(SCHOOL)
GPG = bytes([0x8C, 13, 4, 9, 3, 8, 0, 0]) + gzip.compress(SCHOOL)
# What the programs were given; then they do as if they had decrypted.
AGE_DOES = '[ "$1 $2" = "--decrypt --identity" ] && [ -r "$3" ] && tail -c +23'
GPG_DOES = 'echo "$@" >"$(dirname "$0")/said"; tail -c +9'


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, script in (("age", AGE_DOES), ("gpg", GPG_DOES)):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    (tmp_path / "key").write_text("secret")
    return folder


def test_age(tmp_path: Path, programs: Path) -> None:
    (tmp_path / "dump").write_bytes(AGE)
    dump = judge(str(tmp_path / "dump"), Tools(age_identity_file=str(tmp_path / "key")))
    assert (dump.rows, str(dump.format)) == (12, "plain in gzip in age")
    assert dump.readers == ["age by the program age", "gzip by isal" if unpack.HAS_ISAL else "gzip by zlib"]


def test_gpg(tmp_path: Path, programs: Path) -> None:
    (tmp_path / "dump").write_bytes(GPG)
    key = str(tmp_path / "key")
    dump = judge(str(tmp_path / "dump"), Tools(gpg_home=str(tmp_path), gpg_passphrase_file=key))
    assert (dump.rows, str(dump.format)) == (12, "plain in gzip in gpg")
    said = (programs / "said").read_text()
    assert f"--homedir {tmp_path} --pinentry-mode loopback --passphrase-file {key} --decrypt" in said
    assert "secret" not in said


@pytest.mark.parametrize(("content", "option"), [(AGE, "age_identity_file"), (GPG, "gpg_home")])
def test_no_key(tmp_path: Path, programs: Path, content: bytes, option: str) -> None:
    why = rejected(content, tmp_path)
    assert why is not None
    assert (why.code, option in str(why.hint)) == (model.UNSUPPORTED, True)


@pytest.mark.parametrize(("content", "package"), [(AGE, "age"), (GPG, "gnupg")])
def test_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, package: str) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "dump").write_bytes(content)
    with pytest.raises(model.DumpRejected) as caught:
        judge(str(tmp_path / "dump"), Tools(age_identity_file=str(tmp_path), gpg_home=str(tmp_path)))
    assert (caught.value.code, caught.value.hint) == (model.UNREADABLE, f"Install the package {package}.")


def test_a_key_that_is_not_there(tmp_path: Path, programs: Path) -> None:
    (tmp_path / "dump").write_bytes(AGE)
    with pytest.raises(model.DumpRejected, match=r"the key .*gone cannot be read"):
        judge(str(tmp_path / "dump"), Tools(age_identity_file=str(tmp_path / "gone")))


@pytest.mark.parametrize(
    ("complaint", "code"),
    [
        ("age: error: no identity matched any of the recipients", model.UNREADABLE),
        ("age: error: failed to decrypt and authenticate payload chunk", model.CORRUPT),
    ],
)
def test_what_age_complains_of(tmp_path: Path, programs: Path, complaint: str, code: str) -> None:
    (programs / "age").write_text(f"#!/bin/sh\necho '{complaint}' >&2; exit 1\n")
    (tmp_path / "dump").write_bytes(AGE)
    with pytest.raises(model.DumpRejected, match=complaint) as caught:
        judge(str(tmp_path / "dump"), Tools(age_identity_file=str(tmp_path / "key")))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("head", "layer"),
    [
        ("8c0d04090302c040", "gpg"),
        ("845e032464f0f57c", "gpg"),
        ("85010c0301020304", "gpg"),
        ("c32e040903080102", "gpg"),
        ("c1c04e0301020304", "gpg"),
        ("8c0d99090302c040", None),
        ("ffffffffffffffff", None),
        ("2d2d0a2d2d20506f", None),
    ],
)
def test_how_gpg_begins(head: str, layer: str | None) -> None:
    assert unpack.layer_of(bytes.fromhex(head)) == layer


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@pytest.mark.skipif(shutil.which("age") is None, reason="no program age here")
@pytest.mark.parametrize("armour", [[], ["--armor"]])
def test_the_real_age(tmp_path: Path, armour: list[str]) -> None:
    key, plain, packed = (str(tmp_path / name) for name in ("key", "plain", "packed"))
    run("age-keygen", "-o", key)
    recipient = next(line for line in Path(key).read_text().splitlines() if "public key" in line).split()[-1]
    Path(plain).write_bytes(SCHOOL)
    run("age", *armour, "-r", recipient, "-o", packed, plain)
    tools = Tools(age_identity_file=key)
    assert judge(packed, tools).rows == 12
    whole = Path(packed).read_bytes()
    for end in (20, len(whole) // 2, len(whole) - 20):
        Path(packed).write_bytes(whole[:end])
        with pytest.raises(model.DumpRejected):
            judge(packed, tools)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gpg") is None, reason="no program gpg here")
def test_the_real_gpg(tmp_path: Path) -> None:
    home, secret, plain, packed = (str(tmp_path / name) for name in ("home", "secret", "plain", "packed"))
    os.mkdir(home, 0o700)
    Path(secret).write_text("open sesame\n")
    Path(plain).write_bytes(SCHOOL)
    # Few rounds of the passphrase, as each takes its time on purpose.
    locked = ("--pinentry-mode", "loopback", "--passphrase-file", secret, "--s2k-count", "1024")
    try:
        run("gpg", "--homedir", home, "--batch", *locked, "--symmetric", "--output", packed, plain)
        tools = Tools(gpg_home=home, gpg_passphrase_file=secret)
        assert judge(packed, tools).rows == 12
        whole = Path(packed).read_bytes()
        Path(packed).write_bytes(whole[:-1])
        with pytest.raises(model.DumpRejected):
            judge(packed, tools)
        Path(packed).write_bytes(whole)
        Path(secret).write_text("wrong\n")
        with pytest.raises(model.DumpRejected, match="with this key"):
            judge(packed, tools)
    finally:
        run("gpgconf", "--homedir", home, "--kill", "gpg-agent")


# -- programs ------------------------------------------------------------------------------------------------------


def test_what_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "HAS_ISAL", False)
    monkeypatch.setattr(unpack, "HAS_ZSTANDARD", True)
    assert judged(gzip.compress(zstd(SCHOOL)), tmp_path).readers == ["gzip by zlib", "zstd by zstandard"]
    assert judged(SCHOOL, tmp_path).readers == []


def test_no_pg_restore(tmp_path: Path) -> None:
    with pytest.raises(model.DumpRejected, match=r"needs the program nosuch, which is not in .*client_bin_dir"):
        Tools(str(tmp_path)).find("nosuch")
