# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of the house that no other tool holds."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("[!_]*.py"))


def project_files() -> list[str]:
    """Tracked files and those that are about to be, as git names them."""
    listing = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    return [name for name in listing.split("\0") if name and (ROOT / name).is_file() and not (ROOT / name).is_symlink()]


def as_regex(pattern: str) -> re.Pattern[str]:
    """A path of REUSE.toml: a star stays in its folder, two do not."""
    parts = (re.escape(part).replace(r"\*", "[^/]*") for part in pattern.split("**"))
    return re.compile(".*".join(parts))


def licensed_elsewhere() -> list[str]:
    annotations = tomllib.loads((ROOT / "REUSE.toml").read_text())["annotations"]
    return [
        path
        for annotation in annotations
        if "SPDX-License-Identifier" in annotation
        for path in ([annotation["path"]] if isinstance(annotation["path"], str) else annotation["path"])
    ]


@pytest.fixture(scope="module")
def attributes() -> dict[str, Any]:
    """By module, the attributes that its documentation and its fragments give together."""
    command = [Path(sys.executable).with_name("ansible-doc"), "--type", "module", "--json"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    names = [f"vedfinance.platform.{module}" for module in MODULES]
    answer = subprocess.run([*command, *names], cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE).stdout
    return {name.rpartition(".")[2]: entry["doc"].get("attributes", {}) for name, entry in json.loads(answer).items()}


def action_groups() -> dict[str, list[str]]:
    return dict(yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["action_groups"])


def test_every_file_says_its_licence() -> None:
    elsewhere = [as_regex(pattern) for pattern in licensed_elsewhere()]
    silent = [
        name
        for name in project_files()
        if (content := (ROOT / name).read_bytes())
        and name != "COPYING"
        and b"SPDX-License-Identifier: " not in b"\n".join(content.split(b"\n", 12)[:12])
        and not any(pattern.fullmatch(name) for pattern in elsewhere)
    ]
    assert not silent, f"without an SPDX header, and not in REUSE.toml: {silent}"


def test_sanity_has_no_ignores() -> None:
    assert not [name for name in project_files() if name.startswith("tests/sanity/ignore")]


@pytest.mark.parametrize("group", action_groups())
def test_action_group_names_existing_modules(group: str) -> None:
    missing = set(action_groups()[group]) - set(MODULES)
    assert not missing, f"meta/runtime.yml, group {group}: no such module: {missing}"


@pytest.mark.parametrize("module", MODULES)
def test_module_documents_the_groups_it_is_in(module: str, attributes: dict[str, Any]) -> None:
    belongs_to = {f"vedfinance.platform.{group}" for group, members in action_groups().items() if module in members}
    assert set(attributes[module].get("action_group", {}).get("membership", [])) == belongs_to


@pytest.mark.parametrize("module", MODULES)
def test_module_documents_what_it_promises(module: str, attributes: dict[str, Any]) -> None:
    assert {"check_mode", "diff_mode", "idempotent"} <= attributes[module].keys()


def test_action_plugins_stand_before_a_module_of_their_name() -> None:
    actions = {path.stem for path in (ROOT / "plugins" / "action").glob("[!_]*.py")}
    assert actions <= set(MODULES)


@pytest.mark.parametrize("role", sorted(path.name for path in (ROOT / "roles").iterdir()))
def test_argument_specs_of_a_role_equal_its_defaults(role: str) -> None:
    folder = ROOT / "roles" / role
    defaults = yaml.safe_load((folder / "defaults" / "main.yml").read_text())
    for entry in yaml.safe_load((folder / "meta" / "argument_specs.yml").read_text())["argument_specs"].values():
        assert {name: option["default"] for name, option in entry["options"].items()} == defaults


def test_playbooks_called_from_their_own_folder_find_the_same_settings() -> None:
    def settings(path: Path) -> list[str]:
        return [line.replace("= ../", "= ") for line in path.read_text().splitlines() if not line.startswith("#")]

    assert settings(ROOT / "playbooks" / "ansible.cfg") == settings(ROOT / "ansible.cfg")
