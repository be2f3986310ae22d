# SPDX-License-Identifier: GPL-3.0-or-later
"""A clone on this host and its remote: what they hold, read without changing either."""

from __future__ import annotations

import os
import re
import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .._errors import PlatformError
from .runner import Git, Runner, git_in, run_program, secrets_of, ssh_that_never_asks

CHECKOUT_ARGUMENTS: dict[str, dict[str, object]] = {
    "checkout": {"type": "path", "required": True},
    "remote": {"type": "str", "default": "origin"},
    "timeout": {"type": "float", "default": 300.0},
}

_FULL_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_NAME_FORBIDS = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)|\.$|/$|^[-./]|^@$")


@dataclass(frozen=True)
class Commit:
    commit: str
    subject: str

    def to_result(self) -> dict[str, str]:
        return {"commit": self.commit, "subject": self.subject}


def require_branch_name(name: str, option: str) -> str:
    if not name or name == "HEAD" or _NAME_FORBIDS.search(name):
        raise PlatformError(
            f"Option {option} is {name!r}, which is no name of a branch.",
            "Use letters, digits, '-', '_', '.' and '/', such as hotfix/login-loop.",
        )
    return name


def short(commit: str | None) -> str:
    return commit[:12] if commit else "nothing"


class Checkout:
    """A clone and one of its remotes.

    :raises PlatformError: when the folder is no clone, or has no such remote.
    """

    def __init__(
        self, git: Git, folder: str, remote: str, config: Sequence[tuple[str, str]], objects: str, shallow: str | None
    ) -> None:
        self.git = git
        self.folder = folder
        self.remote = remote
        self.config = config
        #: Where git keeps its objects, and, for a shallow clone, the list of where it ends.
        self.objects = objects
        self.shallow = shallow

    @classmethod
    def at(cls, params: Mapping[str, t.Any], run: Runner = run_program) -> Checkout:
        """The one that the options name, from the top of its working tree."""
        given = params["checkout"]
        if not os.path.isdir(given):
            raise PlatformError(f"Option checkout is {given}, which is no folder of this host.", "Name a clone.")
        git = git_in(given, params["timeout"], run)
        asked = git.asked(
            "rev-parse", "--is-shallow-repository", "--git-path", "objects", "--git-path", "shallow", "--show-toplevel"
        )
        is_shallow, objects, shallow, top = asked.rstrip("\n").split("\n", 3)
        objects, shallow = (os.path.realpath(os.path.join(given, path)) for path in (objects, shallow))
        entries = [entry.partition("\n") for entry in git.asked("config", "--list", "-z").split("\0") if entry]
        # A key without a value means true.
        config = [(key, value if separator else "true") for key, separator, value in entries]
        asks_nobody = {} if git.has_ssh_command or "core.sshcommand" in dict(config) else ssh_that_never_asks()
        git = git.elsewhere(top, asks_nobody, secrets_of(config))
        remote = params.get("remote") or ""
        if remote.startswith("-") or (remote and f"remote.{remote}.url" not in dict(config)):
            known = sorted({key[7:-4] for key, value in config if key.startswith("remote.") and key.endswith(".url")})
            raise PlatformError(
                # Whoever gives an address in its place may give a password with it.
                f"Option remote is {git.masked(remote)!r}, which {top} does not have.",
                f"It has {', '.join(known)}." if known else "It has none: git remote add origin …",
            )
        return cls(git, top, remote, config, objects, shallow if is_shallow == "true" else None)

    def read_by(self, git: Git) -> Checkout:
        """The same, seen by a git that knows more commits."""
        return Checkout(git, self.folder, self.remote, self.config, self.objects, self.shallow)

    def setting(self, key: str) -> str | None:
        """The last value of a key in lower case."""
        return dict(self.config).get(key)

    def remote_branches(self, *names: str) -> dict[str, str]:
        """Branch → commit, as the remote says now; of those named, or all."""
        asked = self.git.asked("ls-remote", "--heads", self.remote, *(f"refs/heads/{name}" for name in names))
        rows = [line.partition("\trefs/heads/") for line in asked.splitlines()]
        # ls-remote matches the end of a name.
        return {name: commit for commit, separator, name in rows if separator and (not names or name in names)}

    def remote_branch(self, name: str) -> str | None:
        return self.remote_branches(name).get(name)

    def require_remote_branch(self, name: str) -> None:
        branches = self.remote_branches()
        if name not in branches:
            known = ", ".join(sorted(branches)[:10]) or "no branch at all"
            raise PlatformError(f"The remote {self.remote} has no branch {name!r}.", f"It has {known}.")

    def local_branch(self, name: str) -> str | None:
        return self.commit_of(f"refs/heads/{name}")

    def commit_of(self, name: str) -> str | None:
        """The commit that a name stands for here, None when it stands for none."""
        done = self.git.done("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        found = done.out.strip()
        return found if done.status == 0 and _FULL_SHA.fullmatch(found) else None

    def current_branch(self) -> str | None:
        """The branch that is checked out, None for a detached HEAD."""
        done = self.git.done("symbolic-ref", "--quiet", "--short", "HEAD")
        return done.out.strip() if done.status == 0 else None

    def working_tree_of(self, branch: str) -> str | None:
        """Where a local branch is checked out, in one of the working trees of this clone."""
        return self.git.asked("for-each-ref", "--format=%(worktreepath)", f"refs/heads/{branch}").rstrip("\n") or None

    def changed_files(self) -> list[str]:
        """What is not committed, files that git does not know included."""
        entries = iter(self.git.asked("status", "--porcelain=v1", "-z", "--untracked-files=normal").split("\0"))
        changed: list[str] = []
        for entry in entries:
            if entry:
                changed.append(entry[3:])
                if set(entry[:2]) & set("RC"):
                    next(entries)  # the name it had before
        return changed

    def refuse_changes(self, what_for: str) -> None:
        if changed := self.changed_files():
            names = ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
            raise PlatformError(
                f"{self.folder} has changes that are not committed: {names}.",
                f"Commit or stash them; {what_for} touches no tree with changes.",
                changed_files=changed,
            )


def contains(git: Git, ancestor: str, descendant: str) -> bool:
    done = git.done("merge-base", "--is-ancestor", ancestor, descendant)
    if done.status > 1:
        raise git.failure(done, "merge-base")
    return done.status == 0


def commits_between(git: Git, *words: str, limit: int = 100) -> list[Commit]:
    """Newest first."""
    rows = git.asked("log", "-z", "--format=%H %s", f"--max-count={limit}", *words).split("\0")
    return [Commit(*row.partition(" ")[::2]) for row in rows if row]


def subject_of(git: Git, commit: str) -> str:
    return git.asked("show", "--no-patch", "--format=%s", commit).strip()
