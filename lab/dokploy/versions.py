# SPDX-License-Identifier: GPL-3.0-or-later
"""Which version the double is of, and what the older ones do not know yet."""

from __future__ import annotations

CURRENT = "v0.30.2"

# Of what came after 0.25.0. The other kinds of services got their search and readLogs when applications did.
SINCE = {
    "application.readLogs": "0.29.0",
    "application.saveGitProvider": "0.25.5",
    "application.search": "0.28.3",
    "compose.readLogs": "0.29.0",
    "compose.search": "0.28.3",
    "deployment.allCentralized": "0.28.3",
    "deployment.queueList": "0.28.3",
    "deployment.readLogs": "0.29.5",
    "deployment.removeDeployment": "0.27.1",
    "postgres.readLogs": "0.29.0",
    "postgres.search": "0.28.3",
    "project.search": "0.28.3",
}
COMPOSE_DEPLOY_ANSWERS = "0.25.7"
COMMIT_OVERWRITES_TITLE = "0.25.7"
SWARM_ROLLS_BACK = "0.29.0"


class Version:
    """Compares as numbers do: 0.28.10 comes after 0.28.3."""

    def __init__(self, text: str = CURRENT) -> None:
        self.text = text

    def has(self, since: str) -> bool:
        return _numbers(self.text) >= _numbers(since)

    def knows(self, procedure: str) -> bool:
        return self.has(SINCE.get(procedure, "0"))


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.removeprefix("v").split(".")]
