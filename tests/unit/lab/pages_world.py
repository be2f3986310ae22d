# SPDX-License-Identifier: GPL-3.0-or-later
"""The double of Pages in this process, with a clock that only waiting moves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.vedfinance.platform.plugins.module_utils._http import RequestsTransport
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.client import PagesClient
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.deploy import DEPLOYMENT_ARGUMENTS, deploy
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.outcome import Outcome
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.rollback import roll_back
from ansible_collections.vedfinance.platform.plugins.module_utils._progress import Progress

from lab.pages.model import Push, Row, seed
from lab.pages.server import Double
from tests.unit.plugins.scripted import FakeClock

#: Longer than any build.
LONG = 60.0


def commit(digit: str) -> str:
    return digit * 40


class HandClock(FakeClock):
    """Something may happen in the world while the code sleeps."""

    def __init__(self) -> None:
        super().__init__()
        self.later: list[tuple[float, Callable[[], object]]] = []

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        due = [what for moment, what in self.later if moment <= self.seconds]
        self.later = [(moment, what) for moment, what in self.later if moment > self.seconds]
        for happen in due:
            happen()


class World:
    def __init__(self, state: Path) -> None:
        self.seeded = seed(state)
        self.clock = HandClock()
        self.double = Double(state, now=lambda: self.clock.now().timestamp())
        self.model = self.double.model

    def __enter__(self) -> World:
        self.double.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.double.stop()

    def push(self, digit: str, behaviour: str | None = None, branch: str = "main", message: str = "feat: x") -> Any:
        self.clock.seconds += 0.01  # no two are of one moment
        row = self.model.push(Push(branch, commit(digit), message, behaviour))
        return row and row["id"]

    def built(self, *digits: str, behaviour: str | None = None, branch: str = "main") -> list[str]:
        """The ids of deployments that are done, one after the other."""
        made = []
        for digit in digits:
            made.append(self.push(digit, behaviour, branch))
            self.clock.seconds += LONG
        return made

    def later(self, seconds: float, what: Callable[[], object]) -> None:
        self.clock.later.append((self.clock.seconds + seconds, what))

    @property
    def serving(self) -> str | None:
        with self.model.change():
            canonical = self.model.project["canonical"]
        return canonical if canonical is None else str(canonical)

    @property
    def rows(self) -> list[Row]:
        """Newest first."""
        return self.model.deployments

    def client(self, token: str | None = None, project: str | None = None, account: str | None = None) -> PagesClient:
        return PagesClient(
            self.double.url,
            account or self.seeded.account_id,
            token or self.seeded.api_token,
            project or self.seeded.project,
            RequestsTransport(),
            self.clock,
        )

    def run(self, *, check: bool = False, **options: Any) -> Outcome:
        params = {name: argument.get("default") for name, argument in DEPLOYMENT_ARGUMENTS.items()} | options
        if params["state"] == "rolled_back":
            return roll_back(self.client(), self.clock, params, check)
        with Progress() as progress:
            return deploy(self.client(), self.clock, params, check, progress)
