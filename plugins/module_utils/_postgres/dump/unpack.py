# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes one layer of packing or encryption off a stream; what is damaged or cut off is told, never passed on."""

from __future__ import annotations

import bz2
import lzma
import re
import shutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .model import CORRUPT, TRUNCATED, UNREADABLE, UNSUPPORTED, DumpRejected
from .tools import CHUNK, Bytes, Tools, piped

try:
    import zstandard
except ImportError:
    HAS_ZSTANDARD = False
else:
    HAS_ZSTANDARD = True
try:
    from isal import isal_zlib
except ImportError:
    HAS_ISAL = False
else:
    HAS_ISAL = True

_GZIP_MAGIC = b"\x1f\x8b"
_MAGIC = (
    (_GZIP_MAGIC, "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"BZh", "bzip2"),
    (b"age-encryption.org/", "age"),
    (b"-----BEGIN AGE ENCRYPTED FILE-----", "age"),
    (b"-----BEGIN PGP MESSAGE-----", "gpg"),
)
# A frame without data, which pzstd writes first.
_ZSTD_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
#: Packed by programs that nobody uses for dumps; told by name, as "binary" would not help.
FOREIGN = ((b"\x04\x22\x4d\x18", "lz4"), (b"PK\x03\x04", "zip"), (b"7z\xbc\xaf\x27\x1c", "7z"))
# The beginnings of an encrypted OpenPGP message: a session key, by public key or by passphrase.
_OPENPGP_VERSIONS = {1: (3, 6), 3: (4, 5, 6)}
_WRONG_KEY = ("no identity matched", "no secret key", "bad session key", "incorrect passphrase", "bad passphrase")
# A little of zstd can unpack to very much at once, so it is given in small pieces.
_ZSTD_PIECE = 1 << 12


def layer_of(head: bytes) -> str | None:
    """What the bytes are packed or encrypted with; None when they are neither."""
    for magic, layer in _MAGIC:
        if head.startswith(magic):
            return layer
    if _ZSTD_SKIPPABLE.match(head):
        return "zstd"
    return "gpg" if _is_openpgp(head) else None


def _is_openpgp(head: bytes) -> bool:
    if len(head) < 8 or not head[0] & 0x80:
        return False
    if head[0] & 0x40:
        tag = head[0] & 0x3F
        length_bytes = 1 if head[1] < 192 else 2 if head[1] < 224 else 5
    else:
        tag = head[0] >> 2 & 0x0F
        length_bytes = (1, 2, 4, 0)[head[0] & 0x03]
    return head[1 + length_bytes] in _OPENPGP_VERSIONS.get(tag, ())


@dataclass(frozen=True)
class _Layer:
    """How a layer is taken off, and by what."""

    unpack: Callable[[Bytes, Tools], Bytes]
    reader: Callable[[], str]


def unpack(layer: str, stream: Bytes, tools: Tools) -> Bytes:
    """What lies under a layer."""
    return _LAYERS[layer].unpack(stream, tools)


def reader_of(layer: str) -> str:
    """What takes the layer off, for people."""
    return f"{layer} by {_LAYERS[layer].reader()}"


def _gunzip(stream: Bytes, _tools: Tools) -> Bytes:
    """All members of a gzip file; the library itself checks the CRC and the length at the end of each."""
    library: Any = isal_zlib if HAS_ISAL else zlib
    member = library.decompressobj(wbits=31)
    finished = False
    for chunk in stream:
        while chunk:
            if finished:
                # Tapes and some uploads pad with zeros, which gzip(1) skips as well.
                if not (chunk := chunk.lstrip(b"\0")):
                    break
                if not chunk.startswith(_GZIP_MAGIC[:1]):
                    raise DumpRejected(CORRUPT, "the gzip data are damaged (something else follows them)")
                member = library.decompressobj(wbits=31)
                finished = False
            try:
                yield from _inflate(member, chunk)
            except library.error as error:
                raise DumpRejected(CORRUPT, f"the gzip data are damaged ({error})") from None
            chunk = member.unused_data
            finished = member.eof
    if not finished:
        raise DumpRejected(TRUNCATED, "the gzip data end in the middle; the file is cut off")


def _inflate(member: Any, chunk: bytes) -> Bytes:
    # Bounded output: a small file can unpack to a very large one.
    while chunk:
        if out := member.decompress(chunk, 4 * CHUNK):
            yield out
        chunk = member.unconsumed_tail
    if member.eof and (out := member.flush()):
        yield out


def _unzstd(stream: Bytes, _tools: Tools) -> Bytes:
    if HAS_ZSTANDARD:
        yield from _unzstd_by_library(stream)
        return
    if shutil.which("zstd") is None:
        raise DumpRejected(
            UNREADABLE,
            "the file is packed with zstd and nothing here can unpack it",
            hint="Install the package zstd or python3-zstandard.",
        )
    yield from piped(["zstd", "--decompress", "--stdout", "--quiet"], stream, _zstd_rejected)


def _unzstd_by_library(stream: Bytes) -> Bytes:
    """All frames of a zstd file; a frame that does not end is an error, which the library alone would not say."""
    frame = zstandard.ZstdDecompressor().decompressobj()
    started = False
    ready: list[bytes] = []
    size = 0
    for piece in _in_pieces(stream, _ZSTD_PIECE):
        while piece:
            started = True
            try:
                out = frame.decompress(piece)
            except zstandard.ZstdError as error:
                raise DumpRejected(CORRUPT, f"the zstd data are damaged ({error})") from None
            ready.append(out)
            size += len(out)
            piece = b""
            if frame.eof:
                piece = frame.unused_data
                frame = zstandard.ZstdDecompressor().decompressobj()
                started = False
        if size >= CHUNK:
            yield b"".join(ready)
            ready, size = [], 0
    if size:
        yield b"".join(ready)
    if started:
        raise DumpRejected(TRUNCATED, "the zstd data end in the middle; the file is cut off")


def _in_pieces(stream: Bytes, size: int) -> Bytes:
    for chunk in stream:
        for at in range(0, len(chunk), size):
            yield chunk[at : at + size]


def _zstd_rejected(complaint: str) -> DumpRejected:
    cut = "premature" in complaint or "unexpected end" in complaint.lower()
    return DumpRejected(TRUNCATED if cut else CORRUPT, f"the zstd data are cut off or damaged ({complaint})")


def _unxz(stream: Bytes, _tools: Tools) -> Bytes:
    yield from _streamed(stream, lzma.LZMADecompressor, lzma.LZMAError, "xz")


def _unbzip2(stream: Bytes, _tools: Tools) -> Bytes:
    yield from _streamed(stream, bz2.BZ2Decompressor, OSError, "bzip2")


def _streamed(
    stream: Bytes,
    new: Callable[[], lzma.LZMADecompressor | bz2.BZ2Decompressor],
    broken: type[Exception],
    name: str,
) -> Bytes:
    part = new()
    finished = False
    for chunk in stream:
        if finished:
            part, finished = new(), False
        while chunk or not part.needs_input:
            try:
                out = part.decompress(chunk, 4 * CHUNK)
            except broken as error:
                raise DumpRejected(CORRUPT, f"the {name} data are damaged ({error})") from None
            if out:
                yield out
            chunk = b""
            if part.eof:
                chunk = part.unused_data
                finished = not chunk
                if finished:
                    break
                part = new()
    if not finished:
        raise DumpRejected(TRUNCATED, f"the {name} data end in the middle; the file is cut off")


# -- encryption --------------------------------------------------------------------------------------------------


def _decrypt_age(stream: Bytes, tools: Tools) -> Bytes:
    if tools.age_identity_file is None:
        raise _locked("age", "Set age_identity_file to the file with the identity that it was encrypted for.")
    command = [_program("age", "age"), "--decrypt", "--identity", _readable(tools.age_identity_file)]
    yield from piped(command, stream, lambda complaint: _not_decrypted("age", complaint))


def _decrypt_gpg(stream: Bytes, tools: Tools) -> Bytes:
    if tools.gpg_home is None and tools.gpg_passphrase_file is None:
        raise _locked("gpg", "Set gpg_home to the folder of a keyring, or gpg_passphrase_file, or both.")
    command = [_program("gpg", "gnupg"), "--batch", "--quiet", "--no-tty"]
    if tools.gpg_home is not None:
        command += ["--homedir", _readable(tools.gpg_home)]
    if tools.gpg_passphrase_file is not None:
        command += ["--pinentry-mode", "loopback", "--passphrase-file", _readable(tools.gpg_passphrase_file)]
    yield from piped([*command, "--decrypt"], stream, lambda complaint: _not_decrypted("gpg", complaint))


def _locked(tool: str, hint: str) -> DumpRejected:
    return DumpRejected(UNSUPPORTED, f"the file is encrypted with {tool} and no key was given", hint=hint)


def _program(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise DumpRejected(
            UNREADABLE,
            f"the file is encrypted with {name}, and the program {name} is not in PATH",
            hint=f"Install the package {package}.",
        )
    return found


def _readable(path: str) -> str:
    try:
        with open(path, "rb"):
            return path
    except IsADirectoryError:
        return path
    except OSError as error:
        raise DumpRejected(
            UNREADABLE,
            f"the key {path} cannot be read: {error.strerror}",
            hint="Check the path and its permissions; it is a path on the host that runs the module.",
        ) from None


def _not_decrypted(tool: str, complaint: str) -> DumpRejected:
    said = " / ".join(line for line in complaint.splitlines()[-3:] if "age/report" not in line) or "it did not say why"
    if any(sign in complaint.lower() for sign in _WRONG_KEY):
        reason = f"{tool} cannot decrypt the file with this key ({said})"
        return DumpRejected(UNREADABLE, reason, hint="Give the key that it was encrypted for.")
    return DumpRejected(CORRUPT, f"the encrypted data are cut off or damaged ({tool}: {said})")


def _by_program(name: str) -> Callable[[], str]:
    return lambda: f"the program {name}"


_LAYERS = {
    "gzip": _Layer(_gunzip, lambda: "isal" if HAS_ISAL else "zlib"),
    "zstd": _Layer(_unzstd, lambda: "zstandard" if HAS_ZSTANDARD else "the program zstd"),
    "xz": _Layer(_unxz, lambda: "lzma"),
    "bzip2": _Layer(_unbzip2, lambda: "bz2"),
    "age": _Layer(_decrypt_age, _by_program("age")),
    "gpg": _Layer(_decrypt_gpg, _by_program("gpg")),
}
