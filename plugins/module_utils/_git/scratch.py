# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository beside the checkout that lasts as long as one module runs: what is tried in it, the checkout never sees.

It borrows the objects of the checkout, so it costs nothing to make, and a module that is killed leaves only a temporary
folder. Its working tree is sparse: git writes only the files in it that conflict.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from types import TracebackType

from .._errors import PlatformError
from .checkout import Checkout

_RESULT = "refs/heads/result"
#: What describes the checkout itself, has been read already, or is for people's own working trees.
_NOT_TAKEN = re.compile(
    r"core\.(bare|worktree|repositoryformatversion|hookspath|sparsecheckout.*)|extensions\..*|include.*"
)


class Scratch:
    """Its git has all settings of the checkout, and none of its hooks.

    :param author: the environment in which commits are made.
    """

    def __init__(self, checkout: Checkout, author: Mapping[str, str]) -> None:
        self._checkout = checkout
        self._author = author
        self._folder = ""
        self._outside = checkout.git
        self.git = checkout.git

    def __enter__(self) -> Scratch:
        self._folder = tempfile.mkdtemp(prefix="vedfinance-git-")
        try:
            self._make()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def _make(self) -> None:
        checkout = self._checkout
        own = os.path.join(self._folder, "own.git")
        tree = os.path.join(self._folder, "tree")
        os.mkdir(tree)
        form = checkout.setting("extensions.objectformat") or "sha1"
        checkout.git.asked("init", "--quiet", "--bare", "--template=", f"--object-format={form}", own)
        os.makedirs(os.path.join(own, "objects", "info"), exist_ok=True)
        os.makedirs(os.path.join(own, "info"), exist_ok=True)
        _write(os.path.join(own, "objects", "info", "alternates"), f"{checkout.objects}\n")
        _write(os.path.join(own, "info", "sparse-checkout"), "")
        if checkout.shallow:
            shutil.copyfile(checkout.shallow, os.path.join(own, "shallow"))
        # Settings that depend on where a repository is would not be found from here, so all are handed over; by the
        # environment, since a remote's address may hold a password.
        taken = [(key, value) for key, value in checkout.config if not _NOT_TAKEN.fullmatch(key)]
        taken += [("core.hooksPath", os.devnull), ("core.sparseCheckout", "true"), ("user.useConfigOnly", "true")]
        # All but this one, which git takes from a file alone when the remote is a folder of somebody else.
        trusted = os.path.join(self._folder, "trusted")
        _write(trusted, "")
        for key, value in taken:
            if key == "safe.directory":
                checkout.git.asked("config", "--file", trusted, "--add", key, value)
        environment = {"GIT_DIR": own, "GIT_CONFIG_GLOBAL": trusted, "GIT_CONFIG_NOSYSTEM": "1"}
        environment["GIT_CONFIG_COUNT"] = str(len(taken))
        for number, (key, value) in enumerate(taken):
            environment[f"GIT_CONFIG_KEY_{number}"] = key
            environment[f"GIT_CONFIG_VALUE_{number}"] = value
        # An address of the remote may be relative to the checkout.
        self._outside = checkout.git.elsewhere(environment={**environment, "GIT_IMPLICIT_WORK_TREE": "0"})
        self.git = checkout.git.elsewhere(tree, {**environment, **self._author, "GIT_WORK_TREE": tree})

    def _remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def fetch(self, branch: str, keep: str = "base") -> str:
        """The commit at which the remote's branch stands now, with all that it needs.

        :param keep: the name by which it is kept here.
        """
        ref = f"refs/heads/{keep}"
        done = self._outside.done(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--refmap=", "--no-recurse-submodules",
            "--force", self._checkout.remote, f"refs/heads/{branch}:{ref}",
        )  # fmt: skip
        if done.status != 0:
            if "couldn't find remote ref" in done.err:
                self._checkout.require_remote_branch(branch)
            raise self._outside.failure(done, "fetch")
        return self.git.asked("rev-parse", ref).strip()

    def start_at(self, commit: str) -> None:
        self.git.asked("checkout", "--quiet", "--detach", commit)

    def head(self) -> str:
        return self.git.asked("rev-parse", "HEAD").strip()

    def conflicts(self) -> list[str]:
        """The files that could not be merged."""
        rows = self.git.asked("ls-files", "--unmerged", "-z").split("\0")
        return sorted({row.partition("\t")[2] for row in rows if row})

    def changes_something(self) -> bool:
        """Whether the index differs from HEAD."""
        return self.git.done("diff", "--cached", "--quiet").status != 0

    def commit(self, message: str, signing: str) -> str:
        sign = {"always": ["--gpg-sign"], "never": ["--no-gpg-sign"]}.get(signing, [])
        self.git.asked(
            "commit", "--quiet", "--no-verify", "--cleanup=verbatim", "--file=-", *sign, given=message
        )  # fmt: skip
        return self.head()

    def hand_over(self, commit: str) -> None:
        """Let the checkout have the commit's objects. None of its branches moves."""
        self.git.asked("update-ref", _RESULT, commit)
        self._checkout.git.asked(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--refmap=", "--no-recurse-submodules",
            os.path.join(self._folder, "own.git"), _RESULT,
        )  # fmt: skip


def as_author(checkout: Checkout, name: str, email: str) -> dict[str, str]:
    """The environment in which commits are made.

    :raises PlatformError: when nobody has said who makes them.
    """
    known = {
        f"GIT_{role}_{part}": value
        for role in ("AUTHOR", "COMMITTER")
        for part, value in (("NAME", name), ("EMAIL", email))
        if value
    }
    git = checkout.git.elsewhere(environment=known)
    if git.done("var", "GIT_COMMITTER_IDENT", settings=("user.useConfigOnly=true",)).status != 0:
        raise PlatformError(
            f"git does not know who makes the commit: user.name and user.email are not set for {checkout.folder}.",
            "Set author_name and author_email, or git config user.name and user.email for the user that runs this.",
        )
    return known


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
