# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts git: no shell, no question to anybody, an end in time, and no secret in what it is quoted with."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import typing as t
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote

from .._errors import PlatformError
from .._redact import clip, redact_text

_LONGEST_WORDS = 1500
#: What a caller's own git, such as a hook, has told about another repository, and traces that would show credentials.
_NOT_INHERITED = re.compile(
    r"GIT_(DIR|WORK_TREE|INDEX_FILE|COMMON_DIR|NAMESPACE|PREFIX|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES"
    r"|QUARANTINE_PATH|PUSH_OPTION_.*|EXTERNAL_DIFF|DIFF_OPTS|TRACE.*|CURL_VERBOSE|PAGER.*|EDITOR|SEQUENCE_EDITOR)"
    r"|LANG|LANGUAGE|LC_.*|PAGER"
)
_QUIET = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_PAGER": "cat",
    "GIT_EDITOR": ":",
    # A look at the state of a checkout writes nothing into it.
    "GIT_OPTIONAL_LOCKS": "0",
    "LC_ALL": "C",
}
#: What a person has set up for work by hand, and would start processes, colour texts or decide conflicts here.
_PLAIN = (
    "color.ui=false",
    "core.fsmonitor=false",
    "core.quotePath=false",
    "gc.auto=0",
    "log.showSignature=false",
    "maintenance.auto=false",
    "push.followTags=false",
    "rerere.enabled=false",
)
_SHORTEST_TOKEN = 16
_USERINFO = re.compile(r"[a-z0-9+.-]+://([^\s/\"']+)@", re.IGNORECASE)
_SSH = "ssh -o BatchMode=yes -o ConnectTimeout=20"


@dataclass(frozen=True)
class Done:
    status: int
    out: str
    err: str


class Runner(t.Protocol):
    """Runs a program to its end, so that a test can answer in its place."""

    def __call__(
        self, command: Sequence[str], folder: str, environment: Mapping[str, str], given: str | None, timeout: float
    ) -> Done: ...


def run_program(
    command: Sequence[str], folder: str, environment: Mapping[str, str], given: str | None, timeout: float
) -> Done:
    """Whatever ends it early, the programs that git has started end with it.

    :raises TimeoutError: when it did not end in time.
    """
    # Files and no pipes: a daemon that a hook has started holds its end of a pipe open, and git would seem to hang.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as stdin:
        stdin.write((given or "").encode())
        stdin.seek(0)
        process = subprocess.Popen(
            command, cwd=folder, env=dict(environment), stdin=stdin, stdout=out, stderr=err, start_new_session=True
        )
        try:
            status = process.wait(timeout)
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise TimeoutError from None
            raise
        return Done(status, _content(out), _content(err))


def _content(file: t.IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def quiet_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in inherited.items() if not _NOT_INHERITED.fullmatch(name)}
    return {**kept, **_QUIET}


def secrets_of(config: Iterable[tuple[str, str]]) -> list[str]:
    """What must not be shown of a git configuration: passwords and tokens of addresses, and headers that are sent.

    The name of a user is none, unless it is long enough for a token.
    """
    found: list[str] = []
    for key, value in config:
        for userinfo in _USERINFO.findall(f"{key} {value}"):
            name, separator, password = userinfo.partition(":")
            secret = password if separator else name if len(name) >= _SHORTEST_TOKEN else ""
            found += [userinfo, secret, unquote(secret)] if secret else []
        if key.lower().endswith(".extraheader"):
            found += [value, value.rpartition(" ")[2]]
    # The longest first, so that no part of any is left.
    return sorted({secret for secret in found if secret}, key=len, reverse=True)


class GitError(PlatformError):
    """A git command that failed, with its own words, safe to show."""

    def __init__(self, msg: str, hint: str | None = None, said: str = "", **details: object) -> None:
        super().__init__(msg, hint, **details)
        self.said = said


#: A sign in git's words, what it means, and what to do.
_REASONS: tuple[tuple[str, str, str], ...] = (
    (
        r"dubious ownership",
        "the checkout belongs to another user, so git does not trust it",
        "Run the task as the owner of the checkout, or name it in safe.directory of git's configuration.",
    ),
    (
        r"must be run in a work tree",
        "the folder is a bare repository, without files",
        "Name the folder of a clone with its files.",
    ),
    (r"not a git repository", "the folder is no git checkout", "Name the folder of a clone."),
    (
        (
            r"could not read (Username|Password)|terminal prompts disabled|Authentication failed|Permission denied"
            r"|Invalid username|returned error: 40[13]|HTTP 40[13]|access denied|Write access to repository not granted"
        ),
        "the remote refuses the credentials, or there are none",
        "git never asks here: set up a credential helper, an ssh key or an agent for the user that runs this.",
    ),
    (
        r"Host key verification failed",
        "the host key of the remote is not known",
        "Connect once by hand, compare the key, and let ssh note it.",
    ),
    (
        (
            r"Could not resolve host|Connection refused|[Cc]onnection timed out|Failed to connect|Couldn't connect"
            r"|No route to host|Network is unreachable|Empty reply|unexpected disconnect|Connection reset"
        ),
        "the remote cannot be reached",
        "Check the network and the address of the remote, then run it again.",
    ),
    (
        r"does not appear to be a git repository|[Rr]epository .*not found|returned error: 404|No such remote",
        "there is no repository at the address of the remote",
        "See git remote -v in the checkout.",
    ),
    (
        r"Unable to create '.*\.lock'|cannot lock ref|index\.lock",
        "another git is at work in the checkout, or has died there",
        "Wait until it is through; if none is running, remove the lock file that it names.",
    ),
    (
        (
            r"gpg failed to sign|failed to sign the data|failed to write commit object|Couldn't load public key"
            r"|user\.signingKey needs to be set"
        ),
        "the commit could not be signed",
        "Unlock the key (an agent must hold it, since nobody is asked), or set sign to never.",
    ),
    (r"No space left on device", "the disk is full", "Make room, then run it again."),
)


def explained(said: str) -> tuple[str, str | None]:
    """What git's words mean, and what to do."""
    for sign, meaning, hint in _REASONS:
        if re.search(sign, said):
            return meaning, hint
    return "", None


class Git:
    """git in one folder, with one environment.

    :param environment: what is added to that of the process.
    """

    def __init__(
        self, run: Runner, folder: str, timeout: float, environment: Mapping[str, str], secrets: Sequence[str] = ()
    ) -> None:
        self._run = run
        self.folder = folder
        self._timeout = timeout
        self._environment = dict(environment)
        self._secrets = tuple(secrets)

    def elsewhere(
        self, folder: str | None = None, environment: Mapping[str, str] | None = None, secrets: Sequence[str] = ()
    ) -> Git:
        """The same git in another folder, or with more in its environment."""
        both = {**self._environment, **(environment or {})}
        return Git(self._run, folder or self.folder, self._timeout, both, (*self._secrets, *secrets))

    @property
    def has_ssh_command(self) -> bool:
        return "GIT_SSH_COMMAND" in self._environment or "GIT_SSH" in self._environment

    def shown(self, text: str) -> str:
        return clip(redact_text(text.strip(), self._secrets), _LONGEST_WORDS)

    def in_a_line(self, text: str) -> str:
        """A program's words, to stand in a sentence."""
        lines = (line.strip() for line in self.shown(text).splitlines())
        told = [line for line in lines if line and not line.startswith(("hint:", "error: failed to push some refs"))]
        return " / ".join(told).rstrip(".")

    def masked(self, text: str) -> str:
        return redact_text(text, self._secrets)

    def done(self, *words: str, given: str | None = None, settings: Sequence[str] = ()) -> Done:
        """Run it, whatever its status is."""
        command = ["git", *(word for setting in (*_PLAIN, *settings) for word in ("-c", setting)), *words]
        try:
            return self._run(command, self.folder, self._environment, given, self._timeout)
        except TimeoutError:
            raise GitError(
                f"git {words[0]} did not end within {self._timeout:g} seconds and was ended.",
                "A hook or the remote may hang; if it only needs longer, raise timeout.",
            ) from None
        except OSError as error:
            raise GitError(
                f"git cannot be started in {self.folder}: {error.strerror}.",
                "Check the folder, whether the user that runs this may enter it, and that git is there.",
            ) from None

    def asked(self, *words: str, given: str | None = None, settings: Sequence[str] = ()) -> str:
        """What it prints.

        :raises GitError: when it fails.
        """
        done = self.done(*words, given=given, settings=settings)
        if done.status != 0:
            raise self.failure(done, words[0])
        return done.out

    def failure(self, done: Done, verb: str) -> GitError:
        meaning, hint = explained(done.err)
        said = self.shown(done.err or done.out)
        what = ": ".join(part for part in (meaning, self.in_a_line(said)) if part)
        return GitError(
            f"git {verb} failed in {self.folder}: {what or f'it ended with status {done.status}'}.", hint, said
        )


def git_in(folder: str, timeout: float, run: Runner = run_program, inherited: Mapping[str, str] | None = None) -> Git:
    """git in a checkout, with the environment of this process without what would ask, page or translate."""
    if run is run_program and shutil.which("git") is None:
        raise PlatformError("git is not on this host.", "Install git 2.34 or newer.")
    return Git(run, folder, timeout, quiet_environment(os.environ if inherited is None else inherited))


def ssh_that_never_asks() -> dict[str, str]:
    return {"GIT_SSH_COMMAND": _SSH}
