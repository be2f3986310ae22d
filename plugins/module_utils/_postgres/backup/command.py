# SPDX-License-Identifier: GPL-3.0-or-later
"""pg_dump: which one, with what options, in what environment, and what its words mean."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from ..._errors import PlatformError
from ..._redact import clip, redact_text
from ..connect import Server
from ..dump.model import DumpRejected
from ..dump.tools import Tools

#: By this name the server knows the sessions of our pg_dump, so that one whose run is dead can be told to go.
SESSIONS = "vedfinance.platform pg_dump"
_VERSION = re.compile(r"pg_dump \(PostgreSQL\) ((\d+)[0-9a-z.]*)")
_LONGEST = 400
_FIRST_WITH_ZSTD = 16
# Timestamps and bytes are written in one way, whatever the role's settings are; both ways mean the same anywhere.
_WRITTEN = "-c timezone=UTC -c bytea_output=hex"
_HINTS = (
    (
        "permission denied",
        "The role must be allowed to read everything: GRANT pg_read_all_data TO it, or use the owner.",
    ),
    (
        "row-level security",
        "Row security hides rows from this role: use one with BYPASSRLS, or the owner of the tables.",
    ),
    # pg_dump's own way to wait for a lock no longer than it may.
    ("statement timeout", "Something holds a lock, a migration perhaps: wait for its end, or raise lock_timeout."),
    ("No space left", "Make room in the folder of the dumps, or in TMPDIR for the tar format."),
    ("does not support compression", "This pg_dump was built without zstd: use compress: gzip."),
    ("password", "Check login_user and login_password."),
)


@dataclass(frozen=True)
class Compression:
    """How a dump is packed; ``level`` None is the packer's own."""

    method: str
    level: int | None = None

    @classmethod
    def parse(cls, text: str) -> Compression:
        method, colon, level = text.partition(":")
        levels = {"none": range(0), "gzip": range(1, 10), "zstd": range(1, 20)}.get(method)
        if levels is None or (colon and not (level.isdecimal() and int(level) in levels)):
            raise PlatformError(
                f"Option compress is {text!r}.", "Write none, gzip, zstd, or with a level as in gzip:6 or zstd:3."
            )
        return cls(method, int(level) if colon else None)

    def __str__(self) -> str:
        return self.method if self.level is None else f"{self.method}:{self.level}"

    @property
    def program(self) -> list[str]:
        """The command that packs a stream."""
        level = [] if self.level is None else [f"-{self.level}"]
        extra = {"gzip": ["--no-name"], "zstd": ["--quiet", "--check"]}[self.method]
        return [program(self.method, f"compress: {self}"), *level, *extra, "--stdout"]


@dataclass(frozen=True)
class Packing:
    """Who compresses: pg_dump by its own option, a program behind it, or nobody."""

    option: list[str]
    filters: list[list[str]]
    layers: list[str]


@dataclass(frozen=True)
class PgDump:
    """A pg_dump that can read the server.

    :param start: the beginning of the command, up to its options.
    :param inside: whether it runs in the server's container, where it cannot write our files.
    """

    start: list[str]
    environment: dict[str, str]
    version: str
    inside: bool

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0].rstrip("abcdefghijklmnopqrstuvwxyz"))

    def packing(self, dump_format: str, compression: Compression) -> Packing:
        """pg_dump's own compression where it has one."""
        own = ["--compress=0"] if dump_format in ("custom", "directory") else []
        if compression.method == "none":
            return Packing(own, [], [])
        if dump_format != "tar" and compression.method == "gzip":
            layers = ["gzip"] if dump_format == "plain" else []
            return Packing([f"--compress={compression.level or 6}"], [], layers)
        if dump_format != "tar" and self._knows_zstd():
            layers = ["zstd"] if dump_format == "plain" else []
            return Packing([f"--compress={compression}"], [], layers)
        if dump_format == "directory":
            raise PlatformError(
                f"pg_dump {self.version} cannot write a folder packed with zstd.",
                "Use compress: gzip, or install a pg_dump of version 16 or newer that was built with zstd.",
            )
        return Packing(own, [compression.program], [compression.method])

    def _knows_zstd(self) -> bool:
        """Whether it was built with zstd, which it says before it looks for a server."""
        if self.major < _FIRST_WITH_ZSTD:
            return False
        environment = {**self.environment, "PGHOST": "/nonexistent", "PGCONNECT_TIMEOUT": "2"}
        tried = [*self.start, "--schema-only", "--format=plain", "--compress=zstd", "--file=/dev/null"]
        done = subprocess.run(
            tried, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        return "compression" not in done.stderr


def pg_dump_for(server: Server, database: str, server_version: int, tools: Tools, nice: int) -> PgDump:
    """The host's pg_dump if it is as new as the server; else the one in the server's container."""
    wanted = server_version // 10000
    environment = _environment(server, database)
    found = _on_this_host(tools)
    if found is not None and found[1] >= wanted:
        return PgDump([found[0]], environment, found[2], inside=False)
    if server.container is not None:
        said = _VERSION.search(server.container.output("pg_dump", "--version") or "")
        if said is not None:
            # There, it is the image's own socket.
            passed = sorted(name for name in environment if name.startswith("PG") and name != "PGHOST")
            words = [word for name in passed for word in ("-e", name)]
            slow = ["nice", "-n", str(nice)] if nice else []
            start = ["docker", "exec", *words, server.container.id, *slow, "pg_dump"]
            return PgDump(start, environment, said.group(1), inside=True)
    have = f"the newest found is {found[2]} ({found[0]})" if found else "none was found"
    raise PlatformError(
        f"The server is PostgreSQL {wanted}, which needs a pg_dump of at least that version; {have}.",
        f"Install postgresql-client-{wanted}, or name the folder of a newer one with client_bin_dir.",
    )


def _on_this_host(tools: Tools) -> tuple[str, int, str] | None:
    try:
        path = tools.find("pg_dump")
    except DumpRejected:
        return None
    done = subprocess.run([path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    said = _VERSION.search(done.stdout)
    return (path, int(said.group(2)), said.group(1)) if said else None


def _environment(server: Server, database: str) -> dict[str, str]:
    """All that says where and as whom. In argv a password could be seen, and a name could be taken for a URL."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    given = {
        "PGHOST": server.host or os.environ.get("PGHOST"),
        "PGPORT": str(server.port),
        "PGUSER": server.user,
        "PGPASSWORD": server.password,
        "PGPASSFILE": os.environ.get("PGPASSFILE"),
        "PGDATABASE": database,
        "PGCONNECT_TIMEOUT": str(server.connect_timeout),
        "PGAPPNAME": SESSIONS,
        "PGOPTIONS": _WRITTEN,
        "PGSSLMODE": server.tls.sslmode,
        "PGSSLROOTCERT": server.tls.sslrootcert,
        "PGSSLCERT": server.tls.sslcert,
        "PGSSLKEY": server.tls.sslkey,
    }
    return {**inherited, **{name: value for name, value in given.items() if value}, "LC_ALL": "C"}


def clean_environment() -> dict[str, str]:
    """For programs that need no server."""
    return {**{name: value for name, value in os.environ.items() if not name.startswith("PG")}, "LC_ALL": "C"}


def program(name: str, needed_by: str) -> str:
    """The path of a program."""
    found = shutil.which(name)
    if found is None:
        raise PlatformError(f"The program {name} is not on this host; {needed_by} needs it.", f"Install {name}.")
    return found


def judge_words(said: str, status: int, secrets: Sequence[str] = ()) -> list[str]:
    """What pg_dump remarked.

    :raises PlatformError: when it failed, by its status or by its own words.
    """
    lines = [line.strip() for line in redact_text(said, secrets).splitlines() if line.strip()]
    wrong = [line for line in lines if ": error:" in line or ": fatal:" in line or "FATAL:" in line]
    if status != 0 or wrong:
        reason = clip(" / ".join((wrong or lines)[:3]) or f"it ended with status {status} and said nothing", _LONGEST)
        hint = next(
            (hint for sign, hint in _HINTS if sign in reason), "Nothing was kept; see to that, then run it again."
        )
        raise PlatformError(f"pg_dump failed: {reason}.", hint)
    return [clip(f"pg_dump: {line.partition(': warning: ')[2] or line}", _LONGEST) for line in lines]
