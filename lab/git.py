# SPDX-License-Identifier: GPL-3.0-or-later
"""The platform's git repository: a bare origin whose hook tells of each push, and a checkout with a history."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from lab import prisma
from lab.migrations import PRISMA, REPOSITORY

ROOT = Path(__file__).resolve().parent.parent
BRANCH = "main"
API = "apps/api"
VERSION_FILE = f"{API}/VERSION"
BEHAVIOUR_FILE = f"{API}/BEHAVIOUR"
PRISMA_CLI = f"{API}/node_modules/.bin/prisma"
FRONTEND_FILE = "apps/web/BEHAVIOUR"
IDENTITY = {"user.name": "Lan Developer", "user.email": "lan@lab.invalid", "commit.gpgsign": "false"}
FIRST_VERSIONS = ("1.3.0", "1.4.0")

_HOOK = """\
#!/bin/sh
# Tells Dokploy and Cloudflare Pages of a push, as a git host does.
exec env PYTHONPATH={root} PYTHONSAFEPATH=1 {python} -m lab.post_receive {state}
"""
_NO_PRISMA = """\
#!/bin/sh
echo 'The lab has no Prisma yet: python -m lab prisma' >&2
exit 127
"""


class GitError(Exception):
    """Git could not do it; the message is its own."""


@dataclass(frozen=True)
class Commit:
    sha: str
    message: str

    @property
    def subject(self) -> str:
        return self.message.partition("\n")[0]


@dataclass(frozen=True)
class Git:
    """Git in one folder, whatever its user has configured for all of his."""

    folder: Path

    def __call__(self, *arguments: str) -> str:
        try:
            done = subprocess.run(
                ["git", "-C", str(self.folder), *arguments],
                env=_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise GitError("there is no git on this machine: install the package git") from error
        if done.returncode != 0:
            raise GitError(f"git {' '.join(arguments)} in {self.folder}: {done.stderr.strip()}")
        return done.stdout

    def log(self, *chosen: str) -> list[Commit]:
        """Newest first."""
        entries = filter(None, self("log", "-z", "--format=%H%n%B", *chosen).split("\0"))
        parts = (entry.partition("\n") for entry in entries)
        return [Commit(sha, message.strip()) for sha, _newline, message in parts]

    def commit(self, message: str) -> str:
        """Everything that differs; the sha."""
        self("add", "--all")
        self("commit", "--quiet", f"--message={message}")
        return self("rev-parse", "HEAD").strip()


def create(state: Path) -> dict[str, str]:
    """The origin and the checkout of a new lab, and what lab.json says of them."""
    origin, checkout = state / "origin.git", state / "checkout"
    shutil.copytree(REPOSITORY, checkout)
    shutil.copy(prisma.CONFIG, checkout / API)
    git = Git(checkout)
    git("init", "--quiet", f"--initial-branch={BRANCH}")
    for name, value in IDENTITY.items():
        git("config", name, value)
    (checkout / BEHAVIOUR_FILE).write_text("ok\n", encoding="utf-8")
    (checkout / FRONTEND_FILE).write_text("ok\n", encoding="utf-8")
    for version in FIRST_VERSIONS:
        (checkout / VERSION_FILE).write_text(f"{version}\n", encoding="utf-8")
        git.commit(message_of(git, f"release {version}"))
    git("clone", "--quiet", "--bare", str(checkout), str(origin))
    Git(origin)("remote", "remove", "origin")
    git("remote", "add", "origin", str(origin))
    git("push", "--quiet", "--set-upstream", "origin", BRANCH)
    _write_script(checkout / PRISMA_CLI, _NO_PRISMA)
    words = {"root": ROOT, "python": sys.executable, "state": state}
    hook = _HOOK.format(**{name: shlex.quote(str(word)) for name, word in words.items()})
    _write_script(origin / "hooks" / "post-receive", hook)
    return {"origin": str(origin), "checkout": str(checkout), "branch": BRANCH, "prisma_dir": PRISMA}


def message_of(git: Git, what: str) -> str:
    """A commit message by the platform's rule, with a number that no other commit has."""
    earlier = git("rev-list", "--count", "--all").strip()
    return f"(ved-{100 + int(earlier)}) {what}"


def _write_script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def _environment() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return inherited | {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0"}
