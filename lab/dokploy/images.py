# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image does when it runs: the tag of a pulled one says so, a built one carries its commit's word."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lab.dokploy.model import Model

_SUFFIXES = {"-crash": "crash", "-fail": "fail-integrity"}


@dataclass(frozen=True)
class Image:
    """The behaviour is one of the API's: ok, crash, fail-integrity."""

    version: str
    commit: str
    behaviour: str = "ok"

    def environment(self) -> dict[str, str]:
        return {"APP_VERSION": self.version, "APP_COMMIT": self.commit, "APP_BEHAVIOUR": self.behaviour}


def find(model: Model, reference: str) -> Image | None:
    """None when there is no such image."""
    stored = model.tables["images"].get(reference)
    if stored:
        return Image(**stored)
    repository, _colon, tag = reference.rpartition(":")
    if _is_built_here(model, repository) or "nosuch" in tag:
        return None
    return _pulled(repository, tag)


def keep(model: Model, reference: str, image: Image) -> None:
    model.tables["images"][reference] = asdict(image)


def from_commit(commit: Mapping[str, Any]) -> Image:
    return Image(commit["version"], commit["sha"], commit.get("behaviour", "ok"))


def _is_built_here(model: Model, repository: str) -> bool:
    name = repository.rpartition("/")[2]
    return any(row["appName"] == name for row in model.tables["applications"].values())


def _pulled(repository: str, tag: str) -> Image:
    version, behaviour = tag, "ok"
    for suffix, meaning in _SUFFIXES.items():
        if tag.endswith(suffix):
            version, behaviour = tag.removesuffix(suffix), meaning
    commit = hashlib.sha1(f"{repository}:{version}".encode(), usedforsecurity=False).hexdigest()
    return Image(version, commit, behaviour)
