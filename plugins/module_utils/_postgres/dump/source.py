# SPDX-License-Identifier: GPL-3.0-or-later
"""From a file or a folder, whatever its name, to the plain SQL inside, in one pass and bounded memory."""

from __future__ import annotations

import hashlib
import os
import queue
import re
import stat
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .model import CORRUPT, EMPTY, NOT_A_DUMP, TRUNCATED, UNREADABLE, UNSUPPORTED, DumpRejected, Format
from .tools import CHUNK, Bytes, Tools, piped
from .unpack import FOREIGN, layer_of, reader_of, unpack

if TYPE_CHECKING:
    from ..._progress import Progress

__all__ = ["CHUNK", "Bytes", "Source", "Tools", "is_archive", "listing"]

_HEAD = 2048
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_ARCHIVE = b"PGDMP"
TAR_BLOCK = 512
_TAR_END = 2
_TOC = "toc.dat"
_LARGE_OBJECT = re.compile(r"blob_\d+\.dat")
_PACKED_SUFFIXES = {".gz": b"\x1f\x8b", ".lz4": b"\x04\x22\x4d\x18", ".zst": b"\x28\xb5\x2f\xfd"}
_TOCS = (_TOC, *map(_TOC.__add__, _PACKED_SUFFIXES))
# What pg_dump writes behind the last row, in the file itself: COPY's closing line, or the end of the last INSERT.
_END_OF_TABLE = (b"\\.\n\n\n", b";\n\n\n")
_WAITING = 8


class Source:
    """The bytes of one dump. Iterate over :meth:`plain` to its end; then :attr:`sha256` is that of the file.

    Of a folder (pg_dump's directory format), it is that of the names, lengths and contents of its files, by name.

    :param path: a file or a folder; a link is followed.
    :param archive_options: what pg_restore shall make of an archive, beyond the plain script that restores it.
    :param only: the one entry of an archive, by its id, that is wanted.
    :param hashing: whether the checksum is wanted.
    """

    def __init__(
        self,
        path: str,
        tools: Tools,
        archive_options: Sequence[str] = (),
        *,
        only: int | None = None,
        hashing: bool = True,
        progress: Progress | None = None,
    ) -> None:
        self.path = path
        self._archive_options = archive_options
        self._tools = tools
        self._only = only
        self._hashing = hashing
        self._progress = progress
        self.sha256 = ""
        self.raw_bytes = 0
        self.head = b""
        self._packing: Format | None = None

    def sniff(self) -> Format:
        """What the file is, by its content. The name plays no part."""
        if self._packing is None:
            self._packing = self._sniff_folder() if self._is_folder() else self._sniff_file()
        return self._packing

    def _sniff_file(self) -> Format:
        layers: list[str] = []
        data = self._head(layers)
        while layer := layer_of(data):
            layers.append(layer)
            data = self._head(layers)
        self.head = data
        return Format(tuple(layers), self._kind(data, layers))

    def plain(self) -> Bytes:
        """The plain SQL. Raises :class:`DumpRejected` where the dump is damaged or ends too early."""
        packing = self.sniff()
        self.raw_bytes = 0
        if packing.kind == "directory" and self._only is None:
            return self._folder()
        if self._only is not None:
            return self._pg_restore(None, self.path)
        stream = self._unpacked(packing.layers, self._file())
        if packing.kind == "tar":
            stream = _whole_tar(stream)
        return stream if packing.kind == "plain" else self._pg_restore(stream)

    def readers(self, packing: Format) -> list[str]:
        """What reads it, outermost layer first."""
        by_tool = [] if packing.kind == "plain" else [f"{packing.kind} by the program pg_restore"]
        return [*map(reader_of, packing.layers), *by_tool]

    # -- files ---------------------------------------------------------------------------------------------------

    def _is_folder(self) -> bool:
        try:
            mode = os.stat(self.path).st_mode
        except OSError as error:
            raise self._unreadable(error) from None
        if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
            raise DumpRejected(NOT_A_DUMP, f"{self.path} is neither a file nor a folder", hint="Name one dump.")
        return stat.S_ISDIR(mode)

    def _unreadable(self, error: OSError) -> DumpRejected:
        return DumpRejected(
            UNREADABLE, f"{self.path} cannot be read: {error.strerror}", hint="Check the path and its permissions."
        )

    def _bytes(self) -> Bytes:
        try:
            with open(self.path, "rb", buffering=0) as file:
                while chunk := file.read(CHUNK):
                    self.raw_bytes += len(chunk)
                    yield chunk
        except OSError as error:
            raise self._unreadable(error) from None

    def _file(self) -> Bytes:
        """The bytes of the file, with their checksum made beside."""
        hasher = _Hasher() if self._hashing else None
        try:
            for chunk in self._bytes():
                if hasher is not None:
                    hasher.update(chunk)
                if self._progress is not None:
                    self._progress.add(len(chunk))
                yield chunk
        finally:
            if hasher is not None:
                self.sha256 = hasher.hexdigest()

    def _unpacked(self, layers: Sequence[str], stream: Bytes) -> Bytes:
        for layer in layers:
            stream = unpack(layer, stream, self._tools)
        return stream

    def _head(self, layers: Sequence[str]) -> bytes:
        head = b""
        self.raw_bytes = 0
        stream = self._unpacked(layers, self._bytes())
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
            if head.startswith(_TOC.encode() + b"\0"):
                self.head = head[TAR_BLOCK:]
                return "tar"
            raise DumpRejected(
                NOT_A_DUMP,
                "the file is a tar archive, but not one of pg_dump --format=tar",
                hint="Is there a dump inside? Unpack it, and name the dump itself.",
            )
        for magic, name in FOREIGN:
            if head.startswith(magic):
                raise DumpRejected(
                    UNSUPPORTED, f"the file is packed with {name}", hint="Unpack it, or pack it with gzip, zstd or xz."
                )
        if head.lstrip()[:1] in (b"<", b"{", b"["):
            raise DumpRejected(NOT_A_DUMP, "the file holds a web page or JSON, for example an error page, and no dump")
        if b"\0" in head:
            raise DumpRejected(NOT_A_DUMP, "the file is binary and in no format of pg_dump")
        return "plain"

    # -- archives ------------------------------------------------------------------------------------------------

    def _pg_restore(self, given: Bytes | None, path: str | None = None) -> Bytes:
        """pg_restore reads the archive's own format and writes the script that it stands for.

        :param path: the archive, where it is not what is given.
        """
        command = [self._tools.find("pg_restore"), "--file=-", *self._archive_options]
        if self._only is not None:
            given = _once(b"%d;\n" % self._only)
            command.append("--use-list=/dev/stdin")
        # A path that begins with a dash is no option.
        command += [os.path.abspath(path)] if path else []
        yield from piped(command, given, _archive_rejected, to_the_end=True)

    # -- folders -------------------------------------------------------------------------------------------------

    def _sniff_folder(self) -> Format:
        toc = next((name for name in _TOCS if name in self._files()), None)
        if toc is None:
            raise DumpRejected(
                NOT_A_DUMP,
                f"{self.path} is a folder, and not one that pg_dump --format=directory made",
                hint="Name one dump; vedfinance.platform.pg_dump_info finds the latest stable one of a folder.",
            )
        try:
            with open(os.path.join(self.path, toc), "rb") as file:
                self.head = file.read(_HEAD)
        except OSError as error:
            raise self._unreadable(error) from None
        if not self.head:
            raise DumpRejected(EMPTY, f"the table of contents {toc} is empty")
        return Format((), "directory")

    def _files(self) -> list[str]:
        try:
            return sorted(entry.name for entry in os.scandir(self.path) if entry.is_file())
        except OSError as error:
            raise self._unreadable(error) from None

    def _folder(self) -> Bytes:
        if not self._hashing:
            yield from self._pg_restore(None, self.path)
            return
        names = self._files()
        for name in names:
            self._require_whole(name)
        self._require_large_objects(names)
        hasher = _FolderHasher(self.path, names)
        try:
            for chunk in self._pg_restore(None, self.path):
                if self._progress is not None:
                    self._progress.add(len(chunk))
                yield chunk
        finally:
            hasher.join()
        if hasher.error is not None:
            raise self._unreadable(hasher.error)
        self.sha256, self.raw_bytes = hasher.hexdigest, hasher.size

    def _require_whole(self, name: str) -> None:
        """What pg_restore takes for whole: an empty file, and rows without their end."""
        stem, suffix = os.path.splitext(name)
        try:
            with open(os.path.join(self.path, name), "rb") as file:
                head = file.read(4)
                file.seek(-min(os.fstat(file.fileno()).st_size, len(_END_OF_TABLE[0])), os.SEEK_END)
                tail = file.read()
        except OSError as error:
            raise self._unreadable(error) from None
        if suffix in _PACKED_SUFFIXES and not head.startswith(_PACKED_SUFFIXES[suffix]):
            raise DumpRejected(
                TRUNCATED if len(head) < 4 else CORRUPT, f"the file {name} of the dump is cut off or damaged"
            )
        if suffix == ".dat" and stem.isdigit() and not tail.endswith(_END_OF_TABLE) and tail != b"\n\n":
            raise DumpRejected(TRUNCATED, f"the file {name} of the dump ends inside the data of a table; it is cut off")

    def _require_large_objects(self, names: Sequence[str]) -> None:
        """Their list is a file of lines; of a shorter one, pg_restore restores fewer."""
        listed = set()
        try:
            for name in names:
                if name.startswith("blobs") and name.endswith(".toc"):
                    with open(os.path.join(self.path, name), encoding="ascii", errors="replace") as file:
                        listed |= {line.rstrip("\n").split(" ")[-1] for line in file if line.endswith("\n")}
        except OSError as error:
            raise self._unreadable(error) from None
        found = {match.group() for match in map(_LARGE_OBJECT.match, names) if match}
        if not found <= listed:
            raise DumpRejected(TRUNCATED, "the list of large objects is cut off")


def is_archive(path: str) -> bool:
    """Whether a folder is a dump in directory format."""
    return any(os.path.isfile(os.path.join(path, name)) for name in _TOCS)


def listing(path: str, tools: Tools) -> list[str]:
    """The table of contents of an archive that is not packed, as pg_restore prints it."""
    command = [tools.find("pg_restore"), "--list", os.path.abspath(path)]
    return b"".join(piped(command, None, _archive_rejected)).decode("utf-8", "replace").splitlines()


def _once(data: bytes) -> Bytes:
    yield data


class _Hasher(threading.Thread):
    """The checksum of a stream, on a processor of its own where there is one: hashlib lets go of the interpreter."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._digest = hashlib.sha256()
        self._waiting: queue.Queue[bytes] = queue.Queue(_WAITING)
        self.start()

    def update(self, chunk: bytes) -> None:
        self._waiting.put(chunk)

    def hexdigest(self) -> str:
        """The end of the stream."""
        self._waiting.put(b"")
        self.join()
        return self._digest.hexdigest()

    def run(self) -> None:
        while chunk := self._waiting.get():
            self._digest.update(chunk)


class _FolderHasher(threading.Thread):
    """The checksum of a folder's files, beside the program that reads them too."""

    def __init__(self, folder: str, names: Sequence[str]) -> None:
        super().__init__(daemon=True)
        self._folder = folder
        self._names = names
        self._digest = hashlib.sha256()
        self.size = 0
        self.error: OSError | None = None
        self.start()

    @property
    def hexdigest(self) -> str:
        return self._digest.hexdigest()

    def run(self) -> None:
        try:
            for name in self._names:
                with open(os.path.join(self._folder, name), "rb", buffering=0) as file:
                    size = os.fstat(file.fileno()).st_size
                    # A name holds no zero byte: no two folders read the same.
                    self._digest.update(os.fsencode(name) + b"\0%d\0" % size)
                    self.size += size
                    while chunk := file.read(CHUNK):
                        self._digest.update(chunk)
        except OSError as error:
            self.error = error


def _whole_tar(stream: Bytes) -> Bytes:
    """A tar archive, unchanged; of one that is cut off, pg_restore would wait for the rest for ever."""
    header = b""
    left = 0
    zero_blocks = 0
    for chunk in stream:
        at = 0
        while at < len(chunk):
            if left:
                step = min(left, len(chunk) - at)
                left -= step
                at += step
                continue
            piece = chunk[at : at + TAR_BLOCK - len(header)]
            header += piece
            at += len(piece)
            if len(header) == TAR_BLOCK:
                if header.count(0) == TAR_BLOCK:
                    zero_blocks += 1
                elif zero_blocks:
                    raise DumpRejected(CORRUPT, "something follows the end of the tar archive")
                else:
                    left = _member_size(header)
                header = b""
        yield chunk
    if left or header or zero_blocks < _TAR_END:
        raise DumpRejected(TRUNCATED, "the tar archive ends in the middle; the file is cut off")


def _member_size(header: bytes) -> int:
    """The bytes that a member takes behind its header."""
    size_field, checksum = header[124:136], header[148:156]
    try:
        if sum(header) - sum(checksum) + 8 * ord(" ") != int(checksum.rstrip(b" \0"), 8):
            raise DumpRejected(CORRUPT, "the header of a member of the tar archive is damaged")
        # Above 8 GB in binary, as GNU tar does.
        size = int.from_bytes(size_field[1:], "big") if size_field[0] & 0x80 else int(size_field.rstrip(b" \0"), 8)
    except ValueError:
        raise DumpRejected(CORRUPT, "the header of a member of the tar archive is damaged") from None
    return -(-size // TAR_BLOCK) * TAR_BLOCK


def _archive_rejected(complaint: str) -> DumpRejected:
    said = complaint.splitlines()[-1] if complaint else "it did not say why"
    said = said.replace("pg_restore: error: ", "")
    if "unsupported version" in complaint:
        return DumpRejected(
            UNSUPPORTED,
            f"pg_restore is older than the program that made this archive ({said})",
            hint="Install a newer postgresql-client, or point client_bin_dir at one.",
        )
    if "not built with" in complaint or "does not support" in complaint:
        return DumpRejected(
            UNSUPPORTED,
            f"this pg_restore cannot unpack the archive ({said})",
            hint="Point client_bin_dir at a pg_restore that knows this compression, as Debian's does.",
        )
    if any(word in complaint for word in ("end of file", "too short", "could not close data file")):
        return DumpRejected(TRUNCATED, f"the archive is cut off (pg_restore: {said})")
    return DumpRejected(CORRUPT, f"the archive is damaged (pg_restore: {said})")
