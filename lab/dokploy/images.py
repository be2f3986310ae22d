# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image does when it runs: the tag of a pulled one says so, a built one carries its commit's word."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lab.dokploy.model import Model

_SUFFIXES = {
    "-crash": "crash",
    "-fail": "fail-integrity",
    "-degraded": "degraded",
    "-slow": "slow",
    "-wrong-version": "wrong-version",
}
# Behaviours of the image that the API itself knows nothing of.
_AROUND_THE_API = ("slow", "wrong-version")


@dataclass(frozen=True)
class Image:
    """The behaviour is one of the API's, or slow (it listens late), or wrong-version (it tells another)."""

    version: str
    commit: str
    behaviour: str = "ok"

    @property
    def id(self) -> str:
        """The same for every tag of the image."""
        content = f"{self.version} {self.commit} {self.behaviour}"
        return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"

    def environment(self) -> dict[str, str]:
        behaviour = "ok" if self.behaviour in _AROUND_THE_API else self.behaviour
        version, commit = ("0.0.0", "0" * 40) if self.behaviour == "wrong-version" else (self.version, self.commit)
        return {"APP_VERSION": version, "APP_COMMIT": commit, "APP_BEHAVIOUR": behaviour}


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
    applications, compose = model.tables["applications"].values(), model.tables["compose"].values()
    return any(row["appName"] == name for row in applications) or any(
        name.startswith(f"{row['appName']}-") for row in compose
    )


def _pulled(repository: str, tag: str) -> Image:
    version, behaviour = tag, "ok"
    for suffix, meaning in _SUFFIXES.items():
        if tag.endswith(suffix):
            version, behaviour = tag.removesuffix(suffix), meaning
    commit = hashlib.sha1(f"{repository}:{version}".encode(), usedforsecurity=False).hexdigest()
    return Image(version, commit, behaviour)
