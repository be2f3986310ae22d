# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables and texts of a role as Ansible makes them, without a play."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template

from tests.conftest import ROOT


class Templated:
    """What a role's variables and templates say, given facts as its tasks leave them."""

    def __init__(self, role: str, **facts: Any) -> None:
        _find_collections()
        self._folder = ROOT / "roles" / role
        loader = DataLoader()
        loader.set_basedir(str(self._folder / "templates"))
        self._templar = Templar(loader, {**_written(role), **facts})

    def value(self, name: str) -> Any:
        return self._templar.template(trust_as_template(f"{{{{ {name} }}}}"))

    def text(self, template: str) -> str:
        return str(self._templar.template(trust_as_template((self._folder / "templates" / template).read_text())))


@cache
def _find_collections() -> None:
    init_plugin_loader([str(ROOT / "collections")])
    collection = import_module("ansible_collections.vedfinance.platform")
    if not hasattr(collection, "_collection_meta"):
        # Python has imported it for another test before Ansible could, which then finds no filter in it.
        vars(collection)["_collection_meta"] = {}


@cache
def _written(role: str) -> dict[str, Any]:
    """The defaults, and the variables that stand above them."""
    folder = ROOT / "roles" / role
    parts = (yaml.safe_load((folder / part / "main.yml").read_text()) for part in ("defaults", "vars"))
    return {name: _trusted(value) for part in parts for name, value in part.items()}


def _trusted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _trusted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_trusted(item) for item in value]
    return trust_as_template(value) if isinstance(value, str) else value
