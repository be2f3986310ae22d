# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that read what this collection does not read itself, and the pipes to them."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from .model import UNREADABLE, DumpRejected

CHUNK = 1 << 18
# Python 3.9 has no name for it.
_F_SETPIPE_SZ = 1031

Bytes = Generator[bytes, None, None]


class Tools:
    """Finds PostgreSQL's client tools, and knows the files with the keys of encrypted dumps.

    :param folder: where to look first; then PATH, then Debian's versioned folders, newest first.
    """

    def __init__(
        self,
        folder: str | None = None,
        *,
        age_identity_file: str | None = None,
        gpg_home: str | None = None,
        gpg_passphrase_file: str | None = None,
    ) -> None:
        self._folder = folder
        self.age_identity_file = age_identity_file
        self.gpg_home = gpg_home
        self.gpg_passphrase_file = gpg_passphrase_file

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


def tools_of(params: Mapping[str, Any]) -> Tools:
    """The tools and keys that a module's options name."""
    return Tools(
        params["client_bin_dir"],
        age_identity_file=params["age_identity_file"],
        gpg_home=params["gpg_home"],
        gpg_passphrase_file=params["gpg_passphrase_file"],
    )


def piped(
    command: Sequence[str],
    given: Bytes | None,
    rejected: Callable[[str], DumpRejected],
    *,
    to_the_end: bool = False,
) -> Bytes:
    """What a program makes of a stream, or of nothing; its complaint becomes the rejection when it fails.

    :param to_the_end: read what is given even when the program has stopped, for the checksum.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_clean_environment(),
    )
    stdout, stderr = process.stdout, process.stderr
    if stdout is None or stderr is None:
        raise RuntimeError(f"{command[0]} was started without pipes")
    _widen(stdout)
    feeder = None if given is None or process.stdin is None else _Feeder(given, process.stdin, process.kill, to_the_end)
    complaints = _Collector(stderr)
    finished = False
    try:
        while chunk := stdout.read(CHUNK):
            yield chunk
        finished = True
    finally:
        if not finished:
            if feeder is not None:
                feeder.stop()
            process.kill()
        if feeder is not None:
            feeder.join()
        process.wait()
        complaints.join()
        stdout.close()
        stderr.close()
    if feeder is not None and feeder.error is not None:
        raise feeder.error
    if process.returncode != 0:
        raise rejected(complaints.text)


def _widen(pipe: IO[bytes]) -> None:
    """A pipe of 64 kB has both ends wait for each other all the time; one that cannot be wider works all the same."""
    with suppress(OSError):
        fcntl.fcntl(pipe, _F_SETPIPE_SZ, 4 * CHUNK)


class _Feeder(threading.Thread):
    """Writes a stream into a pipe; keeps what went wrong for the thread that reads the other end.

    :param give_up: called when the stream is broken, as pg_restore may wait for the rest of it for ever.
    """

    def __init__(self, stream: Bytes, pipe: IO[bytes], give_up: Callable[[], None], to_the_end: bool) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self._pipe = pipe
        self._give_up = give_up
        self._to_the_end = to_the_end
        self._stopped = False
        self.error: Exception | None = None
        self.start()

    def stop(self) -> None:
        self._stopped = True

    def run(self) -> None:
        listening = True
        try:
            for chunk in self._stream:
                if self._stopped or not (listening or self._to_the_end):
                    break
                if listening:
                    try:
                        self._pipe.write(chunk)
                    except BrokenPipeError:
                        # pg_restore stops behind the last entry that it needs.
                        listening = False
        except Exception as error:
            self.error = error
            self._give_up()
        finally:
            self._stream.close()
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


def _clean_environment() -> dict[str, str]:
    return {**{name: value for name, value in os.environ.items() if not name.startswith("PG")}, "LC_ALL": "C"}
