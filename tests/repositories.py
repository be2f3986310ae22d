# SPDX-License-Identifier: GPL-3.0-or-later
"""Real git repositories to break: a bare origin, the checkout of who runs a play, and the clone of somebody else."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from tests.modules import run_module

#: Nothing of the machine's own git configuration gets into a test.
ALONE = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_DATE": "2026-11-22T02:00:00Z",
    "GIT_COMMITTER_DATE": "2026-11-22T02:00:00Z",
}


def git(folder: Path, *words: str, given: str | None = None) -> str:
    done = subprocess.run(
        ["git", *words],
        cwd=folder,
        env={**os.environ, **ALONE},
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Clone:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def git(self, *words: str, given: str | None = None) -> str:
        return git(self.folder, *words, given=given)

    def commit(self, message: str, **files: str | None) -> str:
        """The commit; a file's name has `_` for a dot and `__` for a slash, and None deletes it."""
        for given, content in files.items():
            name = given.replace("__", "/").replace("_", ".")
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.unlink()
            else:
                path.write_text(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--file=-", given=message)
        return self.head()

    def head(self, name: str = "HEAD") -> str:
        return self.git("rev-parse", name)

    def push(self, *words: str) -> None:
        self.git("push", "--quiet", "origin", *(words or ("main",)))

    def fingerprint(self) -> dict[str, str]:
        """All that a module could have changed, to the last byte of git's own files."""
        return {
            str(path.relative_to(self.folder)): path.read_text(errors="replace") if path.is_file() else ""
            for path in sorted(self.folder.rglob("*"))
        }

    def tree(self) -> dict[str, str]:
        """What is a person's own: the files, what is staged, the branches. Not what git knows of the remote."""
        own = {name: text for name, text in self.fingerprint().items() if not name.startswith(".git")}
        heads = self.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/stash")
        return {
            **own,
            "heads": heads,
            "HEAD": (self.folder / ".git/HEAD").read_text(),
            "index": self.git("ls-files", "-s"),
        }


class Repositories:
    """A bare origin with one commit on main, the checkout `here`, and somebody else's clone."""

    def __init__(self, folder: Path) -> None:
        self.origin = folder / "origin.git"
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(self.origin))
        self.here = self.clone(folder / "checkout")
        self.here.commit("(ved-1) Begin", app_txt="one\ntwo\nthree\n")
        self.here.push()
        self.folder = folder

    def clone(self, folder: Path) -> Clone:
        set_up = {"user.name": "Ann", "user.email": "ann@example.com", "gc.auto": "0"}
        options = [word for key, value in set_up.items() for word in ("--config", f"{key}={value}")]
        git(folder.parent, "clone", "--quiet", *options, str(self.origin), str(folder))
        return Clone(folder)

    def somebody_else(self) -> Clone:
        other = self.folder / "other"
        return Clone(other) if other.exists() else self.clone(other)

    def at(self, branch: str = "main") -> str | None:
        """Where the origin has it."""
        return git(self.origin, "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}") or None

    def log(self, branch: str = "main") -> list[str]:
        return git(self.origin, "log", "--topo-order", "--format=%s", branch).splitlines()

    def file(self, name: str, branch: str = "main") -> str:
        return git(self.origin, "show", f"{branch}:{name}")

    def hook(self, name: str, script: str, folder: Path | None = None) -> None:
        path = (folder or self.origin) / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def run(self, module: str, *, check: bool = False, **options: Any) -> dict[str, Any]:
        return run_module(module, {"checkout": str(self.here.folder), **options}, check=check)

    def done(self, module: str, *, check: bool = False, **options: Any) -> dict[str, Any]:
        result = self.run(module, check=check, **options)
        assert not result.get("failed"), result
        return result

    def failed(self, module: str, *, check: bool = False, **options: Any) -> str:
        result = self.run(module, check=check, **options)
        assert result.get("failed"), result
        return str(result["msg"])

    def refused(self, module: str, *, check: bool = False, **options: Any) -> str:
        """The message, and nobody's repository has changed."""
        before = self.here.tree(), git(self.origin, "for-each-ref")
        message = self.failed(module, check=check, **options)
        assert (self.here.tree(), git(self.origin, "for-each-ref")) == before
        return message
