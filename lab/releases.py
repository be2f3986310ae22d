# SPDX-License-Identifier: GPL-3.0-or-later
"""What the platform's developers do: publish a version that Dokploy takes with its next deploy, good or bad."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lab import client
from lab.platform import Description, LabError

REPOSITORY = "lab/api"
# What the tag of an image promises of its behaviour.
TAGS = {
    "ok": "",
    "crash": "-crash",
    "fail": "-fail",
    "slow": "-slow",
    "wrong-version": "-wrong-version",
    "missing": "-nosuch",
}


def image_of(version: str, behaviour: str = "ok") -> str:
    return f"{REPOSITORY}:{version}{TAGS[behaviour]}"


def release(description: Description, version: str, behaviour: str = "ok", webhook: bool = False) -> Iterator[str]:
    """Point Dokploy at the image; its registry may also call the webhook, as one does after a push."""
    dokploy = dokploy_of(description)
    image = image_of(version, behaviour)
    application = {"applicationId": dokploy["application_id"]}
    ask_dokploy(description, "application.update", {**application, "dockerImage": image})
    yield f"published {image}; what is deployed next of {dokploy['application']} is this"
    if webhook:
        row = ask_dokploy(description, f"application.one?applicationId={dokploy['application_id']}")
        status, _answer = client.call(f"{dokploy['url']}/api/deploy/{row['refreshToken']}", {})
        if status != 200:
            raise LabError(f"Dokploy's webhook answered {status}")
        yield "Dokploy was told by its webhook, and deploys it by itself"


def dokploy_of(description: Description) -> dict[str, Any]:
    found: dict[str, Any] | None = description["dokploy"]
    if found is None:
        raise LabError("this lab has no Dokploy: run `python -m lab down` and `up` without --only")
    return found


def ask_dokploy(description: Description, procedure: str, body: dict[str, Any] | None = None) -> Any:
    dokploy = dokploy_of(description)
    try:
        status, answer = client.call(f"{dokploy['url']}/api/{procedure}", body, {"x-api-key": dokploy["api_key"]})
    except client.Unreachable as error:
        raise LabError(str(error)) from error
    if status != 200:
        raise LabError(f"Dokploy answered {status} to {procedure.partition('?')[0]}")
    return answer
