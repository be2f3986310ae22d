# SPDX-License-Identifier: GPL-3.0-or-later
"""One command for a release: version, changelog, commit, tag and archive. It never pushes.

    make release VERSION=1.2.0 [DRY_RUN=1]

All is made in a work tree of its own, and a tag and a fast-forward bring it here: an interruption leaves the
checkout as it was, or as it will be. Run it again, and it goes on.
"""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
WRITTEN = ("galaxy.yml", "CHANGELOG.md", "changelogs")
PROGRAMS = Path(sys.executable).parent


class Refused(Exception):
    """Nothing was changed; the text says why, and what to do."""


class Release:
    def __init__(self, root: Path, version: str, branch: str) -> None:
        self.root = root
        self.version = version
        self.branch = branch
        self.tag = f"v{version}"
        self.built = root / ".build" / "release"
        self.tree = self.built / "tree"

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        where = cwd or self.root
        done = subprocess.run(["git", *arguments], cwd=where, check=False, capture_output=True, text=True)
        if done.returncode:
            raise Refused(f"git {arguments[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout.strip()

    def check(self) -> bool:
        """Whether only the rest is to be done of a release that was interrupted."""
        if not VERSION.fullmatch(self.version):
            raise Refused(f"'{self.version}' is no version. Give three numbers: make release VERSION=1.2.0")
        on = self.git("branch", "--show-current")
        if on != self.branch:
            raise Refused(f"Releases are made on {self.branch}; this is {on or 'no branch'}. git switch {self.branch}")
        if changed := self.git("status", "--porcelain"):
            raise Refused(f"There are changes that no commit holds. Commit or stash them:\n{changed}")
        head = self.git("rev-parse", "HEAD")
        if self.git("tag", "--list", self.tag):
            # The commit and its parents, of which a release has one.
            if head in self.git("rev-list", "--max-count=1", "--parents", self.tag).split():
                return True
            raise Refused(f"{self.tag} exists already, and it is not of this commit. Choose a higher version.")
        self._check_version()
        if not list((self.root / "changelogs" / "fragments").glob("*.y*ml")):
            raise Refused("No fragment in changelogs/fragments: users would not be told of any change. Write one.")
        return False

    def _check_version(self) -> None:
        current = str(yaml.safe_load((self.root / "galaxy.yml").read_text())["version"])
        changelog = self.root / "changelogs" / "changelog.yaml"
        released = yaml.safe_load(changelog.read_text())["releases"] if changelog.exists() else {}
        before = [numbers(version) for version in (current, *released) if VERSION.fullmatch(version)]
        first = current not in released
        if numbers(self.version) < max(before) or (numbers(self.version) == max(before) and not first):
            raise Refused(f"{self.version} is not above {'.'.join(map(str, max(before)))}. Choose a higher version.")

    def make(self) -> None:
        """The commit and its tag, beside the checkout."""
        self.clear()
        self.git("worktree", "add", "--quiet", "--detach", str(self.tree), "HEAD")
        galaxy = self.tree / "galaxy.yml"
        text, found = re.subn(r"(?m)^version: .*$", f"version: {self.version}", galaxy.read_text())
        if found != 1:
            raise Refused("galaxy.yml has no line, or several lines, that begin with 'version: '.")
        galaxy.write_text(text)
        done = subprocess.run(
            [PROGRAMS / "antsibull-changelog", "release", "--version", self.version],
            cwd=self.tree, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise Refused(f"antsibull-changelog failed:\n{done.stdout}{done.stderr}")
        self.git("add", "--all", *WRITTEN, cwd=self.tree)
        self.git("commit", "--quiet", "--message", f"Release {self.version}", cwd=self.tree)
        self.git("tag", "--annotate", self.tag, "--message", f"Release {self.version}", cwd=self.tree)

    def publish(self) -> Path:
        """The branch at the tag, and the archive of exactly what is tagged."""
        self.git("merge", "--quiet", "--ff-only", self.tag)
        self.clear()
        self.git("worktree", "add", "--quiet", "--detach", str(self.tree), self.tag)
        subprocess.run(
            [PROGRAMS / "ansible-galaxy", "collection", "build", "--force", "--output-path", self.built],
            cwd=self.tree, stdout=subprocess.DEVNULL, check=True,
        )  # fmt: skip
        self.clear()
        (archive,) = self.built.glob(f"*-{self.version}.tar.gz")
        return archive

    def clear(self) -> None:
        """The work tree, also of a release that was interrupted."""
        shutil.rmtree(self.tree, ignore_errors=True)
        self.git("worktree", "prune")


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def run(release: Release, checks: str, dry_run: bool) -> None:
    resumed = release.check()
    if dry_run:
        steps = [] if resumed else [checks, "version and changelog", f"commit 'Release {release.version}'"]
        steps += [] if resumed else [f"tag {release.tag}"]
        steps += [f"{release.branch} at {release.tag}", f"the archive in {release.built}"]
        print(f"Release {release.version}: nothing was done, and nothing will be pushed. It would be:")
        print("\n".join(f"  {step}" for step in steps))
        return
    if not resumed:
        if subprocess.run(shlex.split(checks), cwd=release.root, check=False).returncode:
            raise Refused(f"The checks failed: {checks}")
        release.make()
    archive = release.publish()
    print(f"Released {release.version}: {archive}")
    print(f"Nothing was pushed. To do so: git push origin {release.branch} {release.tag}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Make a release: version, changelog, commit, tag and archive.")
    parser.add_argument("version")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1])
    parser.add_argument("--branch", default="main")
    parser.add_argument("--checks", default="make test-fast", help="what must succeed before")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done")
    wanted = parser.parse_args()
    release = Release(wanted.root, wanted.version, wanted.branch)
    try:
        run(release, wanted.checks, wanted.dry_run)
    except Refused as reason:
        print(f"NOT RELEASED: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
