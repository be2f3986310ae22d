# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of dumps: what is there is whole, and what is being made says so and belongs to a living process."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

from ..._errors import PlatformError

PARTIAL = ".partial-"
MANIFEST = ".manifest.json"
_CHUNK = 1 << 20
_RETRY = 0.1


class Partial:
    """A file or folder that is being made, under a name that counts as no dump, until it is kept or removed.

    It is locked. Processes that write to it inherit the lock, so that it is free when the last of them is dead.
    """

    def __init__(self, folder: str, name: str, *, is_folder: bool = False) -> None:
        self._folder = folder
        self._kept = False
        self.path = os.path.join(folder, PARTIAL + name)
        try:
            if is_folder:
                os.mkdir(self.path, 0o700)
                self.lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            else:
                self.lock = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise PlatformError(
                f"{self.path} cannot be made: {error.strerror}.",
                "See to the folder's permissions and free disk; what another run is making there must end first.",
            ) from None
        # Where the file system knows no locks, nobody will take it for dead.
        with suppress(OSError):
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def __enter__(self) -> Partial:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._kept:
            remove(self.path)
        os.close(self.lock)

    def keep_as(self, name: str, *, replace: bool = False) -> str:
        """Give it its name, for good; its path. It survives a power cut from here on."""
        path = os.path.join(self._folder, name)
        sync(self.path)
        if not replace and os.path.lexists(path):
            raise PlatformError(f"{path} exists already.", "Put the time into the option name, as its default does.")
        try:
            os.rename(self.path, path)
        except OSError as error:
            raise PlatformError(
                f"{self.path} could not be given its name: {error.strerror}.", "Run it again."
            ) from None
        self._kept = True
        sync(self._folder, deep=False)
        return path


def write_whole(path: str, text: str) -> None:
    """A file that is always whole, whatever happens; what was there is replaced."""
    folder, name = os.path.split(path)
    with Partial(folder, name) as partial:
        with open(partial.lock, "w", encoding="utf-8", closefd=False) as file:
            file.write(text)
        partial.keep_as(name, replace=True)


def remove_dead(folder: str, patience: float = 0.0) -> tuple[list[str], list[str]]:
    """Remove what dead runs were making; the names of what was removed, and of what may still be in the making.

    :param patience: seconds to wait for processes that are just ending.
    """
    removed: list[str] = []
    left: list[str] = []
    deadline = time.monotonic() + patience
    for name in partials(folder):
        path = os.path.join(folder, name)
        while not (dead := _remove_if_dead(path)) and time.monotonic() < deadline:
            time.sleep(_RETRY)
        (removed if dead else left).append(name)
        # Its manifest gets its name first: without the dump it tells of nothing.
        dump = os.path.join(folder, name[len(PARTIAL) :])
        if dead and not os.path.lexists(dump):
            with suppress(OSError):
                os.unlink(dump + MANIFEST)
    return removed, left


def partials(folder: str) -> list[str]:
    """The names of what is being made, or was when its process died."""
    return sorted(
        entry.name for entry in os.scandir(folder) if entry.name.startswith(PARTIAL) and not entry.is_symlink()
    )


def is_dead(path: str) -> bool:
    """Whether it is certain that nobody is making this any more."""
    with _locked(path) as locked:
        return locked


def _remove_if_dead(path: str) -> bool:
    with _locked(path) as locked:
        if locked:
            remove(path)
        return locked


@contextmanager
def _locked(path: str) -> Iterator[bool]:
    """Hold the lock of a partial one; false when it cannot be had."""
    try:
        mode = os.lstat(path).st_mode
        flags = os.O_RDONLY | os.O_DIRECTORY if stat.S_ISDIR(mode) else os.O_RDWR | os.O_NONBLOCK
        number = os.open(path, flags | os.O_NOFOLLOW)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        locked = True
    except OSError:
        locked = False
    try:
        yield locked
    finally:
        os.close(number)


def remove(path: str) -> None:
    """A file, or a folder with all that is in it; links are not followed. What is not there is fine."""
    with suppress(FileNotFoundError):
        if stat.S_ISDIR(os.lstat(path).st_mode):
            shutil.rmtree(path)
        else:
            os.unlink(path)


def sync(path: str, *, deep: bool = True) -> None:
    """Have the disk confirm a file, or a folder and, if it is deep, all files in it."""
    if deep and os.path.isdir(path):
        for entry in os.scandir(path):
            sync(entry.path)
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def point(folder: str, link: str, target: str) -> bool:
    """Let a link of the folder point to one of its files, in one step; false when it did already."""
    path = os.path.join(folder, link)
    if os.path.islink(path) and os.readlink(path) == target:
        return False
    aside = os.path.join(folder, PARTIAL + link)
    with suppress(FileNotFoundError):
        os.unlink(aside)
    os.symlink(target, aside)
    os.rename(aside, path)
    sync(folder, deep=False)
    return True


def links(folder: str) -> dict[str, list[str]]:
    """The links of a folder that point into it, by the name of what they point to."""
    found: dict[str, list[str]] = {}
    for entry in os.scandir(folder):
        if entry.is_symlink():
            target = os.path.realpath(entry.path)
            if os.path.dirname(target) == os.path.realpath(folder):
                found.setdefault(os.path.basename(target), []).append(entry.name)
    return found


def size_of(path: str) -> int:
    """Bytes of a file, or of all files of a folder."""
    if os.path.isdir(path):
        with os.scandir(path) as entries:
            return sum(entry.stat(follow_symlinks=False).st_size for entry in entries)
    return os.stat(path).st_size


def free_bytes(folder: str) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def sha256_of(path: str) -> str:
    """The checksum of a dump, as its judge makes it: of a folder, of its files' names, lengths and contents."""
    digest = hashlib.sha256()
    if not os.path.isdir(path):
        _hash(path, digest)
        return digest.hexdigest()
    for name in sorted(entry.name for entry in os.scandir(path) if entry.is_file()):
        inside = os.path.join(path, name)
        digest.update(os.fsencode(name) + b"\0%d\0" % os.path.getsize(inside))
        _hash(inside, digest)
    return digest.hexdigest()


def hashes_of(path: str, algorithm: str) -> dict[str, str]:
    """The checksum of each file by its name, be it one file or a folder."""
    files = [entry.path for entry in os.scandir(path)] if os.path.isdir(path) else [path]
    found = {}
    for file in files:
        digest = hashlib.new(algorithm)
        _hash(file, digest)
        found[os.path.basename(file)] = digest.hexdigest()
    return found


def _hash(path: str, digest: hashlib._Hash) -> None:
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
