# SPDX-License-Identifier: GPL-3.0-or-later
"""A release of a collection that is small enough to be made again and again, in a repository of its own."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT

SCRIPT = ROOT / ".ci" / "release.py"
GALAXY = {
    "namespace": "a",
    "name": "b",
    "version": "0.1.0",
    "readme": "README.md",
    "authors": ["c"],
    "build_ignore": [".*"],
}


class Repository:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("galaxy.yml", yaml.safe_dump(GALAXY))
        self.write("README.md", "A collection.\n")
        self.write(".gitignore", "/.build/\n")
        self.write("changelogs/config.yaml", (ROOT / "changelogs" / "config.yaml").read_text())
        self.write("changelogs/fragments/first.yml", "minor_changes: [it exists.]\n")
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.name", "Releaser")
        self.git("config", "user.email", "releaser@example.invalid")
        self.commit("first")

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)

    def git(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=self.folder, check=True, stdout=subprocess.PIPE, text=True
        ).stdout.strip()

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def release(self, version: str, *options: str, checks: str = "true") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, SCRIPT, version, "--root", self.folder, "--checks", checks, *options]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def state(self) -> str:
        return self.git("rev-parse", "HEAD") + self.git("status", "--porcelain") + self.git("tag")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_a_release_is_a_commit_a_tag_and_an_archive_and_goes_on_where_it_was_interrupted(
    repository: Repository,
) -> None:
    before = repository.git("rev-parse", "HEAD")
    planned = repository.release("0.1.0", "--dry-run")
    assert planned.returncode == 0
    assert "tag v0.1.0" in planned.stdout
    assert repository.git("rev-parse", "HEAD") == before
    assert not repository.git("tag")

    done = repository.release("0.1.0")
    assert done.returncode == 0, done.stderr
    assert repository.git("status", "--porcelain") == ""
    assert repository.git("rev-parse", "HEAD^") == before
    assert repository.git("cat-file", "-t", "v0.1.0") == "tag"
    assert repository.git("rev-parse", "v0.1.0^{commit}") == repository.git("rev-parse", "HEAD")
    assert "it exists" in (repository.folder / "CHANGELOG.md").read_text()
    assert not list((repository.folder / "changelogs" / "fragments").glob("*.yml"))
    assert len(repository.git("worktree", "list").splitlines()) == 1
    archive = repository.folder / ".build" / "release" / "a-b-0.1.0.tar.gz"
    with tarfile.open(archive) as content:
        assert {"MANIFEST.json", "CHANGELOG.md"} <= set(content.getnames())

    # Killed between the tag and the end.
    archive.unlink()
    repository.git("reset", "--quiet", "--hard", before)
    resumed = repository.release("0.1.0", checks="false")
    assert resumed.returncode == 0, resumed.stderr
    assert archive.exists()
    assert repository.git("rev-parse", "v0.1.0^{commit}") == repository.git("rev-parse", "HEAD")


def test_what_cannot_be_released_is_refused_and_nothing_is_changed(repository: Repository) -> None:
    def refused(why: str, version: str = "0.2.0", checks: str = "true") -> None:
        before = repository.state()
        done = repository.release(version, checks=checks)
        assert done.returncode == 1
        assert "NOT RELEASED" in done.stderr
        assert why in done.stderr
        assert repository.state() == before

    refused("is no version", "1.2")
    refused("is not above 0.1.0", "0.0.9")
    refused("The checks failed", checks="false")
    repository.git("switch", "--quiet", "--create", "other")
    refused("Releases are made on main")
    repository.git("switch", "--quiet", "main")
    repository.write("README.md", "Changed.\n")
    refused("Commit or stash")
    (repository.folder / "changelogs" / "fragments" / "first.yml").unlink()
    repository.commit("without a fragment")
    refused("No fragment")
    repository.git("tag", "--annotate", "v0.2.0", "--message", "elsewhere", "HEAD^")
    repository.write("README.md", "Once more.\n")
    repository.commit("later")
    refused("exists already")
