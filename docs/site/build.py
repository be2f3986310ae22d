# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the documentation site: the pages of docs/, and one for each module and role.

`python docs/site/build.py TARGET` leaves it in TARGET/html. Every warning is an error.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COLLECTION = "vedfinance.platform"
INDEX = "docs/README.md"
#: Pages that stand elsewhere in the repository, and what they are called in the site.
ELSEWHERE = {"README.md": "readme.md", "CONTRIBUTING.md": "contributing.md", INDEX: "index.md"}
REFERENCE = "collection/index.rst"
_FENCE = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<=\]\()([^)\s#:]+)(?=[)#])")
_SECTION = re.compile(r"^## (.+)\n\n((?:^- .+\n(?:^  .+\n)*)+)", re.MULTILINE)


def pages() -> list[str]:
    """By their paths in the repository."""
    return [
        *ELSEWHERE,
        *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md")) if page.stem != "README"),
    ]


def place(path: str) -> str:
    """Where in the site a file of the repository stands."""
    if path in ELSEWHERE:
        return ELSEWHERE[path]
    if module := re.fullmatch(r"plugins/modules/(\w+)\.py", path):
        return f"collection/{module[1]}_module.rst"
    return path.removeprefix("docs/") if path.startswith("docs/") else f"files/{path}"


def linked(text: str, page: str) -> set[str]:
    """The files of the repository to which a page links."""
    found = (link for part in _FENCE.split(text)[::2] for link in _LINK.findall(part))
    return {posixpath.normpath(posixpath.join(posixpath.dirname(page), link)) for link in found}


def moved(text: str, page: str) -> str:
    """The page as it stands in the site: its links lead to where their targets stand there."""

    def lead(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page), match[0]))
        return posixpath.relpath(place(target), posixpath.dirname(place(page)) or ".")

    parts = _FENCE.split(text)
    parts[::2] = [_LINK.sub(lead, part) for part in parts[::2]]
    return "".join(parts)


def with_contents(index: str) -> str:
    """The index, with the lists of its sections as the table of contents."""

    def contents(match: re.Match[str]) -> str:
        entries = "\n".join(_LINK.findall(match[2]))
        return f"{match[0]}\n```{{toctree}}\n:hidden:\n:caption: {match[1]}\n\n{entries}\n```\n"

    return _SECTION.sub(contents, index) + f"\n```{{toctree}}\n:hidden:\n:caption: Reference\n\n{REFERENCE}\n```\n"


def write_sources(target: Path) -> None:
    for page in pages():
        text = (ROOT / page).read_text()
        for path in linked(text, page):
            place_of_it = target / place(path)
            if path not in pages() and place_of_it.suffix != ".rst":
                place_of_it.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / path, place_of_it)
        text = moved(text, page)
        (target / place(page)).write_text(with_contents(text) if page == INDEX else text)


def run(program: str, *arguments: str | Path) -> None:
    """A program of this Python's environment; antsibull-docs finds ansible-doc there as well."""
    programs = Path(sys.executable).parent
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections")}
    ended = subprocess.run([programs / program, *arguments], check=False, env=environment)
    if ended.returncode:
        sys.exit(f"{program} ended with {ended.returncode}")


def main() -> None:
    target = Path(sys.argv[1]).resolve()
    shutil.rmtree(target, ignore_errors=True)
    (target / "source" / "collection").mkdir(parents=True)
    write_sources(target / "source")
    # antsibull-docs refuses a folder into which others may write.
    (target / "source" / "collection").chmod(0o755)
    run(
        "antsibull-docs", "--config-file", HERE / "antsibull-docs.cfg", "collection", "--cleanup", "everything",
        "--fail-on-error", "--use-current", "--squash-hierarchy", "--dest-dir", target / "source" / "collection",
        COLLECTION,
    )  # fmt: skip
    run(
        "sphinx-build", "--builder", "html", "--jobs", "auto", "--conf-dir", HERE, "--fail-on-warning", "--keep-going",
        "--quiet", "--doctree-dir", target / "doctrees", target / "source", target / "html",
    )  # fmt: skip
    print(f"{target / 'html' / 'index.html'}")


if __name__ == "__main__":
    main()
