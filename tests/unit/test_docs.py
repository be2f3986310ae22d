# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages for people: their links lead somewhere, and what they tell to type is there to be typed."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from lab.__main__ import parse as parse_lab
from tests.conftest import ROOT
from tests.unit.test_house import project_files

PAGES = [name for name in project_files() if name.endswith(".md") and not name.startswith(("lab/", "tests/"))]
#: Commands of pages are for those who have a checkout, and for whoever installed the collection.
_COMMAND = re.compile(
    r"^(?:(?:git push|\. \S+) && )?((?:\S*/)?(?:ansible-playbook|ansible|make)\b.*|(?:\S+ )?python -m lab\b.*)$"
)


@cache
def tokens(page: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse((ROOT / page).read_text())


def inline(page: str) -> Iterator[Token]:
    for token in tokens(page):
        yield from token.children or []


def links(page: str) -> Iterator[str]:
    for token in inline(page):
        target = token.attrGet("href") or token.attrGet("src")
        if isinstance(target, str):
            yield target


@cache
def anchors(page: str) -> frozenset[str]:
    """Those of the headings, as a git host and the site make them."""
    found: Counter[str] = Counter()
    names = set()
    for heading, content in pairwise(tokens(page)):
        if heading.type == "heading_open":
            text = "".join(part.content for part in content.children or [] if part.type in ("text", "code_inline"))
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            names.add(f"{slug}-{found[slug]}" if found[slug] else slug)
            found[slug] += 1
    return frozenset(names)


def problem(page: str, link: str) -> str | None:
    """Why a link leads nowhere. What is outside of the project is not asked."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    target = (ROOT / page).parent / unquote(parts.path) if parts.path else ROOT / page
    if link.startswith("/") or not target.resolve().is_relative_to(ROOT):
        return "leads out of the project"
    if not target.exists():
        return "no such file"
    name = str(target.resolve().relative_to(ROOT))
    if parts.fragment and name.endswith(".md") and parts.fragment not in anchors(name):
        return "no such heading"
    return None


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    problems = {link: why for link in links(page) if (why := problem(page, link))}
    assert not problems


def test_links_that_lead_nowhere_are_found() -> None:
    nowhere = ["docs/no-such-page.md", "docs/restore.md#no-such-heading", "#no-such-heading", "../outside.md", "/docs"]
    assert [link for link in nowhere if not problem("README.md", link)] == []
    assert not problem("README.md", "docs/restore.md#warm-recovery-restored-before-it-is-needed")


def test_every_page_stands_in_the_index() -> None:
    listed = {f"docs/{link}" for link in links("docs/README.md")}
    missing = {page for page in PAGES if page.startswith("docs/")} - listed - {"docs/README.md"}
    assert not missing, f"docs/README.md lists them, for the site as well: {sorted(missing)}"


# -- commands --------------------------------------------------------------------------------------------------------


def commands(page: str) -> Iterator[str]:
    """What a page tells to type, in its own lines and in the middle of others."""
    for token in tokens(page):
        if token.type == "fence" and token.info == "console":
            lines = token.content.replace("\\\n", " ").splitlines()
            yield from (line.removeprefix("$ ") for line in lines if line.startswith("$ "))
    yield from (token.content for token in inline(page) if token.type == "code_inline")


def shell_words(command: str) -> list[str]:
    """Without the comment behind it, and up to the next command of the line."""
    try:
        words = shlex.split(re.sub(r"\$\([^)]*\)", "x", command), comments=True)
    except ValueError:
        return []
    return words[: words.index("&&")] if "&&" in words[1:] else words


@cache
def known_variables() -> frozenset[str]:
    """Those of the roles, what the playbooks speak of themselves, and the settings of a platform."""
    defaults = (yaml.safe_load(path.read_text()) or {} for path in ROOT.glob("roles/*/defaults/main.yml"))
    playbooks = (re.findall(r"\b[a-z]\w+", path.read_text()) for path in ROOT.glob("playbooks/*.yml"))
    files = (path for folder in ("roles", "inventory") for path in (ROOT / folder).rglob("*.yml"))
    settings = (re.findall(r"\bplatform_\w+", path.read_text()) for path in files)
    return frozenset().union(*defaults, *playbooks, *settings)


@cache
def known_tags(playbook: Path) -> frozenset[str]:
    """In a playbook, and in the tasks of the roles that it calls."""
    text = playbook.read_text()
    roles = re.findall(r"name: vedfinance\.platform\.(\w+)", text)
    tasks = [path.read_text() for role in roles for path in (ROOT / "roles" / role / "tasks").glob("*.yml")]
    return frozenset(
        tag.strip()
        for found in (text, *tasks)
        for line in re.findall(r"tags: \[(.*?)\]", found)
        for tag in line.split(",")
    )


def wrong_play(words: list[str]) -> Iterator[str]:
    known: set[str] = set()
    for word in words:
        if re.fullmatch(r"(\S*/)?playbooks/\w+\.yml", word):
            playbook = ROOT / "playbooks" / Path(word).name
            if not playbook.is_file():
                yield f"no playbook {word}"
                continue
            known |= known_tags(playbook)
    for option, value in pairwise(words):
        if option == "--tags":
            yield from (f"no tag {tag}" for tag in value.split(",") if known and tag not in known)
        if option == "-i" and value.startswith("inventory/") and not (ROOT / value).is_dir():
            yield f"no inventory {value}"
        if option in ("-e", "--extra-vars") and not value.startswith("@"):
            given = (
                yaml.safe_load(value) if value.startswith("{") else [pair.partition("=")[0] for pair in value.split()]
            )
            yield from (f"no variable {name}" for name in given if name not in known_variables())


def wrong_module(words: list[str]) -> Iterator[str]:
    for name in re.findall(r"vedfinance\.platform\.(\w+)", " ".join(words)):
        if not (ROOT / "plugins" / "modules" / f"{name}.py").is_file():
            yield f"no module {name}"


def wrong_target(words: list[str]) -> Iterator[str]:
    makefile = (ROOT / "Makefile").read_text()
    for word in words[1:]:
        if re.fullmatch(r"[a-z-]+", word) and not re.search(rf"^{word}:", makefile, re.MULTILINE):
            yield f"no target {word}"
        elif (setting := re.match(r"([A-Z_]+)=", word)) and f"$({setting[1]})" not in makefile:
            yield f"make knows no {setting[1]}"


def wrong_lab(words: list[str]) -> Iterator[str]:
    try:
        parse_lab(words[words.index("lab") + 1 :])
    except SystemExit as ended:
        if ended.code:
            yield "the lab takes no such command"


CHECKS = {"ansible-playbook": wrong_play, "ansible": wrong_module, "make": wrong_target, "python": wrong_lab}


@pytest.mark.parametrize("page", PAGES)
def test_what_is_to_be_typed_is_there(page: str) -> None:
    wrong = {}
    for command in commands(page):
        if match := _COMMAND.match(command):
            words = shell_words(match[1])
            program = next((word.rpartition("/")[2] for word in words if word.rpartition("/")[2] in CHECKS), None)
            if program and (found := list(CHECKS[program](words))):
                wrong[command] = found
    assert not wrong


@pytest.mark.parametrize(
    "command",
    [
        "ansible-playbook playbooks/recover.yml",
        "ansible-playbook playbooks/hotfix.yml --tags begin",
        "ansible-playbook playbooks/deploy.yml -e deploy_colour=blue",
        "ansible platform -m vedfinance.platform.pg_restore",
        "make everything",
        "python -m lab break everything",
    ],
)
def test_what_is_not_there_is_found(command: str) -> None:
    words = shell_words(command)
    assert list(CHECKS[words[0]](words))


# -- the card, and the picture -----------------------------------------------------------------------------------------


def test_the_card_says_what_the_playbooks_say() -> None:
    said = "\n".join(path.read_text() for path in (ROOT / "roles").rglob("*.j2"))
    words = {
        token.content for token in inline("docs/3am.md") if token.type == "code_inline" and token.content.isupper()
    }
    assert {"CANNOT BEGIN", "RECOVERED", "NOT RECOVERED", "ROLLED BACK"} <= words
    assert [word for word in words if word.removeprefix("API ") not in said] == []


def test_the_card_names_the_contacts_of_the_runbook() -> None:
    contacts = yaml.safe_load((ROOT / "inventory/production/group_vars/platform/contacts.yml").read_text())
    card = (ROOT / "docs/3am.md").read_text()
    assert [one["role"] for one in contacts["platform_contacts"] if one["role"] not in card] == []


def test_the_picture_shows_the_tree_as_it_is() -> None:
    drawn = re.findall(r'class="(?:small )?path"[^>]*>([^<]+)<', (ROOT / "docs/images/house.svg").read_text())
    assert len(drawn) > 20
    gone = [
        name for name in drawn if not (ROOT / name).exists() and not (ROOT / "plugins/module_utils" / name).exists()
    ]
    assert not gone
