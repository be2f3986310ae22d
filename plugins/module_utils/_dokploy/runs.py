# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of a schedule or a backup, which Dokploy keeps as deployments; and one of them, started and followed."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from ansible_collections.vedfinance.platform.plugins.module_utils._clock import Clock
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.client import (
    DokployClient,
    Rejected,
    ServerFailed,
    safe_words,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.deployments import build_log
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import rows_of
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._http import TransportError
from ansible_collections.vedfinance.platform.plugins.module_utils._redact import redact_text

POLL_SECONDS = 2.0
MAX_LINE = 500
LINES_IN_MESSAGE = 3

RUN_ARGUMENTS: dict[str, dict[str, object]] = {
    "wait_timeout": {"type": "float", "default": 3600.0},
    "log_lines": {"type": "int", "default": 50},
}


# --- records ----------------------------------------------------------------------------------------------------------


def moment(text: str | None) -> datetime | None:
    """A time of Dokploy's, such as C(2026-11-22T13:40:18.303Z)."""
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None


@dataclass(frozen=True)
class Run:
    deployment_id: str
    status: str
    started_at: str | None
    finished_at: str | None

    @classmethod
    def from_row(cls, row: Mapping[str, t.Any]) -> Run:
        return cls(
            deployment_id=str(row.get("deploymentId")),
            status=str(row.get("status") or "unknown"),
            started_at=row.get("startedAt") or row.get("createdAt"),
            finished_at=row.get("finishedAt"),
        )

    @property
    def seconds(self) -> float | None:
        started, finished = moment(self.started_at), moment(self.finished_at)
        return round((finished - started).total_seconds(), 3) if started and finished else None

    def to_result(self) -> dict[str, object]:
        return {**vars(self), "seconds": self.seconds}


def runs_in(rows: object) -> list[Run]:
    """Newest first."""
    return [Run.from_row(row) for row in sorted(rows_of(rows), key=lambda row: str(row.get("createdAt")), reverse=True)]


def runs_of(client: DokployClient, kind: str, identity: str) -> list[Run]:
    """The runs of a C(schedule) or a C(backup), newest first, as far back as Dokploy keeps them."""
    return runs_in(client.get("deployment.allByType", id=identity, type=kind))


# --- one run ----------------------------------------------------------------------------------------------------------


class Finished(t.NamedTuple):
    run: Run
    log: list[str]


class Runner:
    """Starts a run and follows it to its end, also when the answer to its start is lost."""

    def __init__(
        self, client: DokployClient, clock: Clock, params: Mapping[str, t.Any], secrets: Collection[str] = ()
    ) -> None:
        self._client = client
        self._clock = clock
        self._wait_timeout: float = params["wait_timeout"]
        self._log_lines = max(1, params["log_lines"])
        self._secrets = secrets

    def run(self, kind: str, identity: str, what: str, procedure: str) -> Finished:
        """A run that ended well; every other end is an error that shows the end of its log."""
        deadline = self._clock.monotonic() + self._wait_timeout
        known = {run.deployment_id for run in runs_of(self._client, kind, identity)}
        answer: object = None
        refusal: PlatformError | None = None
        try:
            answer = self._client.post(procedure, **{f"{kind}Id": identity})
        except (Rejected, ServerFailed, TransportError) as error:
            # A failed run may be told as an error of the call, and a long one may outlast it: the record knows.
            refusal = error
        told = answer.get("deploymentId") if isinstance(answer, dict) else None

        def mine(run: Run) -> bool:
            return run.deployment_id == told if told else run.deployment_id not in known

        run = self._ended(
            lambda: next(filter(mine, runs_of(self._client, kind, identity)), None), deadline, what, refusal
        )
        log = self._log(run)
        if run.status != "done":
            # The log and the error of the call know different halves of the reason.
            reason = " | ".join(log[-LINES_IN_MESSAGE:] + ([refusal.msg] if refusal else [])) or "its log is empty"
            raise PlatformError(
                f"{what} ended with status {run.status}: {reason.rstrip('.')}.",
                "Mend what its log names, and run it again.",
                last_run=run.to_result(),
                log=log,
            )
        return Finished(run, log)

    def _ended(self, find: Callable[[], Run | None], deadline: float, what: str, refusal: PlatformError | None) -> Run:
        while True:
            run = find()
            if run is None:
                raise refusal or PlatformError(
                    f"Dokploy says that it ran {what}, but keeps no record of it.",
                    "Look at it in the dashboard: without a record nothing proves that it ran.",
                )
            if run.status != "running":
                return run
            if self._clock.monotonic() >= deadline:
                raise PlatformError(
                    f"{what} still runs after {self._wait_timeout:g} s.",
                    "It goes on in Dokploy. Look at it there, or raise wait_timeout.",
                    last_run=run.to_result(),
                    log=self._log(run),
                )
            self._clock.sleep(POLL_SECONDS)

    def _log(self, run: Run) -> list[str]:
        text = build_log(self._client, run.deployment_id, self._log_lines)
        lines = redact_text(text or "", self._secrets).splitlines()
        return [safe_words(line, MAX_LINE) for line in lines if line.strip()]


# --- entries with a name ----------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What a module returns about an entry that it keeps, and perhaps ran."""

    changed: bool
    before: Mapping[str, object]
    after: Mapping[str, object]
    result: dict[str, object]
    warnings: list[str] = field(default_factory=list)

    def take(self, finished: Finished) -> None:
        self.result.update(last_run=finished.run.to_result(), log=finished.log)

    def to_result(self) -> dict[str, t.Any]:
        return {"changed": self.changed, "diff": {"before": self.before, "after": self.after}, **self.result}

    @contextmanager
    def told_on_failure(self) -> Iterator[None]:
        """A run that fails still tells what is known of its entry."""
        try:
            yield
        except PlatformError as error:
            error.details = {**self.to_result(), **error.details}
            raise


def refuse_several(what: str, where: str, ids: Sequence[str]) -> None:
    if len(ids) > 1:
        raise PlatformError(
            f"There are {len(ids)} {what} {where}: {', '.join(ids)}.",
            "Delete all but one in the dashboard; which one is meant cannot be told.",
            candidates=list(ids),
        )


def refuse_missing(what: str, needed: Mapping[str, object]) -> None:
    """What is created must be told completely; what exists keeps what is not given."""
    missing = [option for option, value in needed.items() if value is None]
    if missing:
        raise PlatformError(f"{what} does not exist, and {' and '.join(missing)} is needed to create it.", "Give it.")
