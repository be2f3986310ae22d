# SPDX-License-Identifier: GPL-3.0-or-later
"""From a file, whatever its name, to the plain SQL inside, in one pass and bounded memory."""

from __future__ import annotations

import bz2
import hashlib
import lzma
import os
import shutil
import subprocess
import threading
import zlib
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from .model import (
    CORRUPT,
    EMPTY,
    NOT_A_DUMP,
    TRUNCATED,
    UNREADABLE,
    UNSUPPORTED,
    DumpRejected,
    Format,
)

try:
    import zstandard
except ImportError:
    HAS_ZSTANDARD = False
else:
    HAS_ZSTANDARD = True

CHUNK = 1 << 18
_HEAD = 1024
_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"BZh", "bzip2"),
)
_ENCRYPTED = ((b"age-encryption.org/", "age"), (b"-----BEGIN AGE ENCRYPTED", "age"), (b"-----BEGIN PGP MESSAGE", "gpg"))
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_ARCHIVE = b"PGDMP"

Bytes = Generator[bytes, None, None]


class Tools:
    """Finds PostgreSQL's client tools.

    :param folder: where to look first; then PATH, then Debian's versioned folders, newest first.
    """

    def __init__(self, folder: str | None = None) -> None:
        self._folder = folder

    def find(self, name: str) -> str:
        """The path of a tool; says which package brings it when there is none."""
        candidates = [os.path.join(self._folder, name)] if self._folder else []
        debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: _number(folder.parent.name))
        candidates += [os.path.join(folder, name) for folder in reversed(debian)]
        if self._folder is None and (found := shutil.which(name)):
            candidates.insert(0, found)
        for candidate in candidates:
            if os.access(candidate, os.X_OK):
                return candidate
        place = f"in {self._folder}" if self._folder else "in PATH or /usr/lib/postgresql/*/bin"
        raise DumpRejected(
            UNREADABLE,
            f"this dump needs the program {name}, which is not {place}",
            hint="Install the package postgresql-client, or set the option client_bin_dir.",
        )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


class Source:
    """The bytes of one dump. Iterate over :meth:`plain` to its end; then :attr:`sha256` is that of the file.

    :param path: a file; a link is followed.
    :param archive_options: what pg_restore shall make of an archive, beyond the plain script that restores it.
    """

    def __init__(self, path: str, tools: Tools, archive_options: Sequence[str] = ()) -> None:
        self.path = path
        self._archive_options = archive_options
        self._tools = tools
        self._digest = hashlib.sha256()
        self.raw_bytes = 0
        self.head = b""

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def sniff(self) -> Format:
        """What the file is, by its content. The name plays no part."""
        layers: list[str] = []
        data = self._head(layers)
        while layer := _layer_of(data):
            layers.append(layer)
            data = self._head(layers)
        self.head = data
        return Format(tuple(layers), self._kind(data, layers))

    def plain(self) -> Bytes:
        """The plain SQL. Raises :class:`DumpRejected` where the file is damaged or ends too early."""
        packing = self.sniff()
        self._digest = hashlib.sha256()
        self.raw_bytes = 0
        stream = self._unpacked(packing.layers)
        if packing.kind == "custom":
            stream = self._through_pg_restore(stream)
        return stream

    # -- reading -------------------------------------------------------------------------------------------------

    def _file(self) -> Bytes:
        try:
            with open(self.path, "rb") as file:
                while chunk := file.read(CHUNK):
                    self._digest.update(chunk)
                    self.raw_bytes += len(chunk)
                    yield chunk
        except IsADirectoryError:
            raise DumpRejected(
                NOT_A_DUMP,
                f"{self.path} is a folder",
                hint="Name one dump; vedfinance.platform.pg_dump_info finds the latest stable one of a folder.",
            ) from None
        except OSError as error:
            raise DumpRejected(
                UNREADABLE, f"{self.path} cannot be read: {error.strerror}", hint="Check the path and its permissions."
            ) from None

    def _unpacked(self, layers: Sequence[str]) -> Bytes:
        stream = self._file()
        for layer in layers:
            stream = _DECOMPRESSORS[layer](stream)
        return stream

    def _head(self, layers: Sequence[str]) -> bytes:
        head = b""
        self.raw_bytes = 0
        stream = self._unpacked(layers)
        try:
            for chunk in stream:
                head += chunk
                if len(head) >= _HEAD:
                    break
        except DumpRejected as rejected:
            # With a beginning there is a reader of it, who tells the place inside.
            if not head:
                raise rejected.at(f"byte {self.raw_bytes} of the file") if self.raw_bytes else rejected from None
        finally:
            stream.close()
        return head[:_HEAD]

    def _kind(self, head: bytes, layers: Sequence[str]) -> str:
        if not head:
            inside = f" (nothing inside of {layers[-1]})" if layers else ""
            raise DumpRejected(EMPTY, f"the file is empty{inside}")
        if head.startswith(_BYTE_ORDER_MARKS):
            raise DumpRejected(NOT_A_DUMP, "the file begins with a byte order mark, which pg_dump never writes")
        if head.startswith(_ARCHIVE):
            return "custom"
        if head[257:262] == b"ustar":
            raise DumpRejected(UNSUPPORTED, "tar archives cannot be restored yet", hint="Use pg_dump -Fc or plain SQL.")
        for magic, tool in _ENCRYPTED:
            if head.startswith(magic):
                raise DumpRejected(UNSUPPORTED, f"the file is encrypted with {tool}", hint="Decrypt it first.")
        if head.lstrip()[:1] in (b"<", b"{", b"["):
            raise DumpRejected(NOT_A_DUMP, "the file holds a web page or JSON, for example an error page, and no dump")
        if b"\0" in head:
            raise DumpRejected(NOT_A_DUMP, "the file is binary and in no format of pg_dump")
        return "plain"

    def _through_pg_restore(self, archive: Bytes) -> Bytes:
        """pg_restore reads the archive's own format and writes the script that it stands for."""
        yield from _piped(
            [self._tools.find("pg_restore"), "--file=-", *self._archive_options], archive, _archive_rejected
        )


def _piped(command: list[str], stream: Bytes, rejected: Callable[[str], DumpRejected]) -> Bytes:
    """What a program makes of a stream; its complaint becomes the rejection when it fails."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=_clean_environment()
    )
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    if stdin is None or stdout is None or stderr is None:
        raise RuntimeError(f"{command[0]} was started without pipes")
    feeder, complaints = _Feeder(stream, stdin), _Collector(stderr)
    finished = False
    try:
        while chunk := stdout.read(CHUNK):
            yield chunk
        finished = True
    finally:
        if not finished:
            feeder.stop()
            process.kill()
        feeder.join()
        process.wait()
        complaints.join()
        stdout.close()
        stderr.close()
    if feeder.error is not None:
        raise feeder.error
    if process.returncode != 0:
        raise rejected(complaints.text)


class _Feeder(threading.Thread):
    """Writes a stream into a pipe; keeps what went wrong for the thread that reads the other end."""

    def __init__(self, stream: Bytes, pipe: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self._pipe = pipe
        self._stopped = False
        self.error: Exception | None = None
        self.start()

    def stop(self) -> None:
        self._stopped = True

    def run(self) -> None:
        listening = True
        try:
            for chunk in self._stream:
                if self._stopped:
                    break
                if listening:
                    try:
                        self._pipe.write(chunk)
                    except BrokenPipeError:
                        # A program may stop behind the last entry; the rest is still read for the checksum.
                        listening = False
        except Exception as error:
            self.error = error
        finally:
            with suppress(BrokenPipeError):
                self._pipe.close()


class _Collector(threading.Thread):
    """Keeps the last lines that a program complains with."""

    def __init__(self, pipe: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._pipe = pipe
        self._lines: list[bytes] = []
        self.start()

    @property
    def text(self) -> str:
        return b"".join(self._lines).decode("utf-8", "replace").strip()

    def run(self) -> None:
        for line in self._pipe:
            self._lines = [*self._lines[-9:], line]


def _archive_rejected(complaint: str) -> DumpRejected:
    said = complaint.splitlines()[-1] if complaint else "it did not say why"
    said = said.replace("pg_restore: error: ", "")
    if "unsupported version" in complaint:
        return DumpRejected(
            UNSUPPORTED,
            f"pg_restore is older than the program that made this archive ({said})",
            hint="Install a newer postgresql-client, or point client_bin_dir at one.",
        )
    if "end of file" in complaint or "too short" in complaint:
        return DumpRejected(TRUNCATED, f"the archive is cut off (pg_restore: {said})")
    return DumpRejected(CORRUPT, f"the archive is damaged (pg_restore: {said})")


def _clean_environment() -> dict[str, str]:
    return {**{name: value for name, value in os.environ.items() if not name.startswith("PG")}, "LC_ALL": "C"}


def _layer_of(head: bytes) -> str | None:
    for magic, layer in _MAGIC:
        if head.startswith(magic):
            return layer
    return None


# -- decompression -----------------------------------------------------------------------------------------------


def _gunzip(stream: Bytes) -> Bytes:
    """All members of a gzip file; zlib itself checks the CRC and the length at the end of each."""
    member = zlib.decompressobj(wbits=31)
    finished = False
    for chunk in stream:
        while chunk:
            if finished:
                # Tapes and some uploads pad with zeros, which gzip(1) skips as well.
                if not (chunk := chunk.lstrip(b"\0")):
                    break
                member = zlib.decompressobj(wbits=31)
                finished = False
            try:
                yield from _inflate(member, chunk)
            except zlib.error as error:
                raise DumpRejected(CORRUPT, f"the gzip data are damaged ({error})") from None
            chunk = member.unused_data
            finished = member.eof
    if not finished:
        raise DumpRejected(TRUNCATED, "the gzip data end in the middle; the file is cut off")


def _inflate(member: zlib._Decompress, chunk: bytes) -> Bytes:
    # Bounded output: a small file can unpack to a very large one.
    while chunk:
        if out := member.decompress(chunk, 4 * CHUNK):
            yield out
        chunk = member.unconsumed_tail
    if member.eof and (out := member.flush()):
        yield out


def _unzstd(stream: Bytes) -> Bytes:
    """All frames of a zstd file; a frame that does not end is an error, which the library alone would not say."""
    if not HAS_ZSTANDARD:
        if shutil.which("zstd") is None:
            raise DumpRejected(
                UNREADABLE,
                "the file is packed with zstd and nothing here can unpack it",
                hint="Install the package zstd or python3-zstandard.",
            )
        yield from _piped(["zstd", "--decompress", "--stdout", "--quiet"], stream, _zstd_rejected)
        return
    frame = zstandard.ZstdDecompressor().decompressobj()
    started = False
    for chunk in stream:
        while chunk:
            started = True
            try:
                out = frame.decompress(chunk)
            except zstandard.ZstdError as error:
                raise DumpRejected(CORRUPT, f"the zstd data are damaged ({error})") from None
            if out:
                yield out
            chunk = b""
            if frame.eof:
                chunk = frame.unused_data
                frame = zstandard.ZstdDecompressor().decompressobj()
                started = False
    if started:
        raise DumpRejected(TRUNCATED, "the zstd data end in the middle; the file is cut off")


def _zstd_rejected(complaint: str) -> DumpRejected:
    cut = "premature" in complaint or "unexpected end" in complaint.lower()
    return DumpRejected(TRUNCATED if cut else CORRUPT, f"the zstd data are cut off or damaged ({complaint})")


def _unxz(stream: Bytes) -> Bytes:
    yield from _streamed(stream, lzma.LZMADecompressor, lzma.LZMAError, "xz")


def _unbzip2(stream: Bytes) -> Bytes:
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


_DECOMPRESSORS: dict[str, Callable[[Bytes], Bytes]] = {"gzip": _gunzip, "zstd": _unzstd, "xz": _unxz, "bzip2": _unbzip2}
