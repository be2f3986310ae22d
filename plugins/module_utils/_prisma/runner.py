# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs Prisma's command line: a local one, or the one in the API's own image, in a container that is always removed.

The address of the database is a secret. It reaches Prisma by its environment, never by an argument.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from .._clock import Clock
from .._errors import PlatformError
from .._redact import redact_text

PREFIX = "vedfinance-migrate-"
_SETTLE = 5.0
_LONG = 8
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")


@dataclass(frozen=True)
class Done:
    """How a program ended; ``code`` is None when it had to be ended."""

    code: int | None
    output: str
    seconds: float


class Run(Protocol):
    """Runs one program to its end, and returns what it wrote to both of its outputs."""

    def __call__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: str | None, timeout: float
    ) -> Done: ...


class Runner(Protocol):
    """A way to run Prisma."""

    def prisma(self, *words: str) -> Done: ...


def run_program(clock: Clock) -> Run:
    """The real thing. Whatever ends it, its whole group of processes ends with it."""

    def run(command: Sequence[str], environment: Mapping[str, str], folder: str | None, timeout: float) -> Done:
        began = clock.monotonic()
        try:
            process = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise PlatformError(
                f"{command[0]} could not be started: {error.strerror}.",
                "See that it is installed where this runs, and that chdir is right.",
            ) from None
        code: int | None = None
        try:
            output, _nothing = process.communicate(timeout=timeout)
            code = process.returncode
        except subprocess.TimeoutExpired:
            output = _ended(process)
        except BaseException:
            _ended(process)
            raise
        return Done(code, output, clock.monotonic() - began)

    return run


def _ended(process: subprocess.Popen[str]) -> str:
    """Ask it to end, so that it ends its session with the database; then see that it does."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            return str(process.communicate(timeout=_SETTLE)[0])
    return ""


# -- the database's address ------------------------------------------------------------------------------------------


def url_of(host: str | None, port: int, user: str | None, password: str | None, database: str, schema: str) -> str:
    """A database URL for Prisma, made of the login."""
    who = quote(user or "", safe="") + (f":{quote(password, safe='')}" if password else "")
    socket = host is None or host.startswith("/")
    address = "localhost" if socket else f"[{host}]" if host and ":" in host else str(host)
    words = {"schema": schema, **({"host": host} if host and socket else {})}
    return f"postgresql://{who}@{address}:{port}/{quote(database, safe='')}?{urlencode(words)}"


def with_settings(url: str, settings: Mapping[str, str], application: str) -> str:
    """The same address, whose sessions have these settings from their beginning.

    Behind PgBouncer nothing is added, as it takes no settings so.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise PlatformError(
            "The database URL does not begin with postgresql://.",
            "Pass the address that Prisma migrates, in database_url.",
        )
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if query.get("pgbouncer", "").lower() == "true":
        return url
    given = query.get("options", "")
    # In libpq's list of options, a backslash keeps a space together.
    added = " ".join(f"-c {name}={value}" for name, value in _escaped(settings).items())
    query["options"] = f"{given} {added}".strip()
    query["application_name"] = application
    # Prisma's native engine takes a plus for a plus.
    text = urlencode({name: value for name, value in query.items() if value}, quote_via=quote)
    return urlunsplit(parts._replace(query=text))


def _escaped(settings: Mapping[str, str]) -> dict[str, str]:
    return {name: re.sub(r"([\\\s])", r"\\\1", value) for name, value in settings.items() if value}


def target_of(url: str) -> dict[str, str]:
    """The database and the schema that an address names.

    :raises ValueError: for what is no address.
    """
    parts = urlsplit(url)
    if "@" in parts.path:
        # A slash in the password has ended the host: what looks like the database holds the rest of the password.
        raise ValueError
    return {
        "database": unquote(parts.path.lstrip("/")),
        "schema": dict(parse_qsl(parts.query)).get("schema", "public"),
    }


def secrets_in(variables: Mapping[str, str]) -> list[str]:
    """What of an environment must not be shown: passwords, and every value that is long enough to be a secret.

    The longest come first, so that no end of one is left behind a shorter one.
    """
    long = [value for value in variables.values() if len(value) >= _LONG]
    passwords = [_password_in(value) for value in long if "://" in value]
    return sorted({each for each in (*long, *passwords, *map(unquote, passwords)) if each}, key=len, reverse=True)


def _password_in(address: str) -> str:
    try:
        return urlsplit(address).password or ""
    except ValueError:
        return ""  # no address, such as a pattern of origins


def variables_in(path: str) -> dict[str, str]:
    """The variables of an env file, as ``docker run --env-file`` reads them."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = [line.strip() for line in file]
    except OSError as error:
        raise PlatformError(f"env_file {path} cannot be read: {error.strerror}.", "Name an existing file.") from None
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#") and "=" in line)
    return {name.strip(): _unquoted(value) for name, _equals, value in pairs}


def _unquoted(value: str) -> str:
    """People write quotes for a shell's sake, which docker would take for a part of the value."""
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value


# -- a local command line --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LocalCli:
    """Prisma where the code is.

    :param variables: what Prisma's environment holds in addition, the database's address among it.
    """

    command: tuple[str, ...]
    folder: str | None
    variables: Mapping[str, str]
    timeout: float
    run: Run
    arguments: tuple[str, ...] = ()

    def prisma(self, *words: str) -> Done:
        environment = {**os.environ, **_QUIET, **self.variables}
        done = self.run([*self.command, *words, *self.arguments], environment, self.folder, self.timeout)
        return Done(done.code, redact_text(done.output, secrets_in(self.variables)), done.seconds)


# No look for a newer version, no colours.
_QUIET = {"CHECKPOINT_DISABLE": "1", "PRISMA_HIDE_UPDATE_MESSAGE": "1", "NO_COLOR": "1"}


# -- a container of the API's own image ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Leftover:
    """A container of an earlier migration."""

    name: str
    state: str
    status: str


@dataclass(frozen=True)
class OneOff:
    """Prisma in a container of the image that the API runs, on the network where the API finds its database."""

    docker: tuple[str, ...]
    image: str
    name: str
    network: str | None
    command: tuple[str, ...]
    folder: str | None
    variables: Mapping[str, str]
    timeout: float
    run: Run
    arguments: tuple[str, ...] = ()

    def prisma(self, *words: str) -> Done:
        if not _NAME.fullmatch(self.name):
            raise PlatformError(
                f"{self.name!r} cannot be the name of a container.", "Use letters, digits and dashes in run."
            )
        handle, path = tempfile.mkstemp(prefix=f"{self.name}.", suffix=".env")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                for name, value in {**_QUIET, **self.variables}.items():
                    if "\n" in value:
                        raise PlatformError(
                            f"The variable {name} has several lines.", "An env file has no place for it."
                        )
                    file.write(f"{name}={value}\n")
            options = ["--rm", "--name", self.name, "--label", "vedfinance.platform=migrate", "--env-file", path]
            options += ["--network", self.network] if self.network else []
            options += ["--workdir", self.folder] if self.folder else []
            done = self._docker(
                "run", *options, self.image, *self.command, *words, *self.arguments, timeout=self.timeout
            )
        finally:
            with suppress(FileNotFoundError):
                os.unlink(path)
            # Ended by us or not: a container that stays would hold the lock.
            with suppress(PlatformError):
                self.remove(self.name)
        return Done(done.code, redact_text(done.output, secrets_in(self.variables)), done.seconds)

    def leftovers(self) -> list[Leftover]:
        """Containers of earlier migrations, running or not."""
        listed = self._docker(
            "ps", "--all", "--filter", f"name=^{PREFIX}", "--format", "{{.Names}}\t{{.State}}\t{{.Status}}"
        )
        if listed.code != 0:
            said = (listed.output.strip().splitlines() or ["no reason given"])[0]
            raise PlatformError(
                f"Docker does not answer: {said}",
                "Run as root (become: true) or as a member of the group docker, and see that the daemon is running.",
            )
        rows = [line.split("\t") for line in listed.output.splitlines() if line.startswith(PREFIX)]
        return [Leftover(*([*row, "", ""])[:3]) for row in rows]

    def remove(self, name: str) -> None:
        self._docker("rm", "--force", name)

    def _docker(self, *words: str, timeout: float = 60) -> Done:
        return self.run([*self.docker, *words], dict(os.environ), None, timeout)
