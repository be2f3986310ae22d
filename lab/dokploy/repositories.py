# SPDX-License-Identifier: GPL-3.0-or-later
"""The git repositories of the lab: a url has refs, branches and tags alike, and a ref its commits, newest last.

A commit is a row of `sha`, `message` and `version`; `behaviour` and `build_seconds` tell how it builds and runs, and
`compose_file` is what a compose service finds in it. A path or a file:// url is a real repository, where the files
VERSION and BEHAVIOUR of the folder that is built tell the same.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from lab.dokploy.model import Model, Row
from lab.git import Git, GitError


def push(model: Model, url: str, commit: Row, branch: str = "main") -> None:
    with model.change():
        model.tables["repositories"].setdefault(url, {}).setdefault(branch, []).append(commit)


def tag(model: Model, url: str, name: str, sha: str) -> None:
    with model.change():
        refs = model.tables["repositories"][url]
        refs[name] = [next(commit for commits in refs.values() for commit in commits if commit["sha"] == sha)]


def head(model: Model, url: str, ref: str, folder: str | None = None) -> Row | None:
    """What `git clone --branch` finds: by the name of a branch or a tag, and never by a sha."""
    if url in model.tables["repositories"]:
        commits = model.tables["repositories"][url].get(ref)
        return dict(commits[-1]) if commits else None
    parts = urlsplit(url)
    is_here = parts.scheme == "file" or url.startswith("/")
    return _real_head(Git(Path(unquote(parts.path))), ref, PurePosixPath("/", folder or "")) if is_here else None


def _real_head(git: Git, ref: str, folder: PurePosixPath) -> Row | None:
    for kind in ("heads", "tags"):
        try:
            (found,) = git.log("--max-count=1", f"refs/{kind}/{ref}", "--")
        except GitError:
            continue
        version = _content(git, found.sha, folder / "VERSION")
        # As a Dockerfile that copies the file.
        behaviour = (_content(git, found.sha, folder / "BEHAVIOUR") or "ok") if version else "fail-build"
        return {"sha": found.sha, "message": found.message, "version": version, "behaviour": behaviour}
    return None


def _content(git: Git, sha: str, path: PurePosixPath) -> str:
    """Of a file of the commit, empty when it has none."""
    try:
        return git("show", f"{sha}:{path.relative_to('/')}").strip()
    except GitError:
        return ""
