# SPDX-License-Identifier: GPL-3.0-or-later
"""An image for AWX: its context is built, and what goes into it is enough for each part of the collection.

The image itself needs a registry. Instead, the requirements that ansible-builder finds in the installed collection go
into a clean virtual environment, where everything is imported.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import archive
from tests.conftest import ROOT

RECIPE = ROOT / "docs" / "execution_environment" / "execution-environment.yml"
#: Else it depends on what builds images on this machine.
IMAGE = "Containerfile"
PROGRAMS = Path(sys.executable).parent
# They read packed dumps faster, on the hosts; where they are not, gzip of the standard library and the program zstd do.
OPTIONAL = {"isal", "zstandard"}
IMPORT_ALL = """
import importlib, json, sys
failed = {}
for name in json.load(sys.stdin):
    try:
        importlib.import_module(name)
    except ImportError as error:
        failed[name] = str(error)
print(json.dumps(failed))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the collection, installed from its archive, and the context that was made of the documented recipe."""
    folder = tmp_path_factory.mktemp("image")
    built = archive.build(folder)
    archive.install(built, folder)
    recipe = folder / "recipe"
    recipe.mkdir()
    shutil.copy(RECIPE, recipe)
    shutil.copy(built, recipe / "vedfinance-platform.tar.gz")
    run(PROGRAMS / "ansible-builder", "create", "--output-filename", IMAGE, cwd=recipe)
    return folder


def run(*command: str | Path, cwd: Path, **more: Any) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def introspect(folder: Path) -> dict[str, list[str]]:
    """As the build of the image does it, with the script of the context."""
    script = folder / "recipe" / "context" / "_build" / "scripts" / "introspect.py"
    found = run(sys.executable, script, "introspect", folder, cwd=folder)
    return {kind: [line.partition("  #")[0] for line in lines] for kind, lines in yaml.safe_load(found).items()}


def imported_names() -> set[str]:
    """The first part of whatever the collection imports, wherever in a file, but for Python itself and Ansible."""
    trees = [ast.walk(ast.parse(path.read_text())) for path in (ROOT / "plugins").rglob("*.py")]
    nodes = [node for tree in trees for node in tree]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    found = {name.partition(".")[0] for name in names}
    return found - sys.stdlib_module_names - {"ansible", "ansible_collections"}


def test_the_context_holds_the_collection_and_installs_what_it_needs(folder: Path) -> None:
    context = folder / "recipe" / "context"
    collections = yaml.safe_load((context / "_build" / "requirements.yml").read_text())["collections"]
    inside = [collection["name"].removeprefix("/build/") for collection in collections]
    assert [(context / "_build" / name).is_file() for name in inside] == [True]
    assert "introspect.py introspect" in (context / IMAGE).read_text()
    found = introspect(folder)
    assert {line.split()[0] for line in found["system"]} == {"git", "openssh-clients", "openssh-client"}
    required = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    assert {*found["python"], "ansible-core>=2.17"} == set(required)


def test_in_an_environment_with_exactly_its_requirements_everything_can_be_imported(folder: Path) -> None:
    wanted = yaml.safe_load(RECIPE.read_text())["dependencies"]["ansible_core"]["package_pip"]
    run(PROGRAMS / "uv", "venv", "--quiet", "--python", sys.executable, folder / "clean", cwd=folder)
    clean = folder / "clean" / "bin" / "python"
    # The versions are those that all other tests have, so that only what is missing can make this one fail.
    constraints = ("--constraint", ROOT / "requirements-dev.txt")
    run(
        *(PROGRAMS / "uv", "pip", "install", "--quiet", "--python", clean, *constraints, wanted),
        *introspect(folder)["python"],
        cwd=folder,
    )
    plugins = folder / "ansible_collections" / "vedfinance" / "platform" / "plugins"
    parts = [path.relative_to(folder).with_suffix("") for path in plugins.rglob("*.py")]
    names = [".".join(part.parts).removesuffix(".__init__") for part in parts if "doc_fragments" not in part.parts]
    assert len(names) > 200
    everything = json.dumps(sorted({*names, *imported_names()}))
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), "HOME": str(folder)}
    failed = json.loads(run(clean, "-c", IMPORT_ALL, cwd=folder, input=everything, env=environment))
    assert set(failed) == OPTIONAL, failed
