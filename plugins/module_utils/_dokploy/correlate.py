# SPDX-License-Identifier: GPL-3.0-or-later
"""Which record of Dokploy is mine: its API answers a deploy with nothing, and overwrites the title that was sent.

A token in the description tells it while the record is being built. Afterwards a source that Dokploy builds shows the
commit's message in its place; then the place in the queue tells it, since the builds of a service never overlap. What
cannot be told is not guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.deployments import (
    UNFINISHED,
    Deployment,
    Job,
)

GRACE_SECONDS = 5.0
QUEUED, STARTED, UNSEEN, LOST, AMBIGUOUS = "queued", "started", "unseen", "lost", "ambiguous"


@dataclass(frozen=True)
class Sighting:
    """What one look tells about the deployment that is looked for."""

    state: str
    record: Deployment | None = None
    ahead: tuple[Job, ...] = ()
    """What the server builds before it, of all services."""
    candidates: tuple[Deployment, ...] = ()


def oldest_first(records: Iterable[Deployment]) -> list[Deployment]:
    """Dokploy lists the newest first; of two of the same moment, the later listed is the older."""
    ordered = list(records)[::-1]
    ordered.sort(key=lambda record: record.created_at or "")
    return ordered


def in_order(jobs: Iterable[Job]) -> list[Job]:
    ordered = list(jobs)[::-1]
    ordered.sort(key=lambda job: job.queued_at)
    return ordered


def jobs_before(job: Job, jobs: Sequence[Job]) -> tuple[Job, ...]:
    ordered = in_order(jobs)
    return tuple(ordered[: ordered.index(job)])


class Correlator:
    """Is fed with looks at the records and then at the queue, in this order, and says what they mean.

    :param known: the ids of the records from before the call.
    :param keeps_text: whether the records keep the description that was sent, as those of images and rebuilds do.
    """

    def __init__(
        self,
        token: str,
        service_id: str,
        known: Iterable[str],
        keeps_text: bool = False,
    ) -> None:
        self._token = token
        self._service_id = service_id
        self._foreign = set(known)
        self._keeps_text = keeps_text
        self._seen_queued = False
        self._begun_at: float | None = None
        self._earlier: int | None = None
        self._when_waiting: frozenset[str] = frozenset(self._foreign)
        self._gone_since: float | None = None

    def interrupted(self) -> None:
        """Dokploy did not answer for a while: if it was restarted, its queue is another."""
        self._earlier = None
        self._begun_at = None
        self._seen_queued = True
        self._gone_since = None

    def observe(self, records: Sequence[Deployment], jobs: Sequence[Job] | None, now: float) -> Sighting:
        for record in records:
            if record.token == self._token:
                return Sighting(STARTED, record)
        self._exclude(records)
        job = next((job for job in jobs or () if job.token == self._token), None)
        if job is not None:
            return self._queued(job, list(jobs or ()), records)
        return self._absent(records, jobs is not None, now)

    def _exclude(self, records: Sequence[Deployment]) -> None:
        """Where the text that was sent still stands, it would bear the token if it were mine."""
        self._foreign.update(
            record.id
            for record in records
            if self._keeps_text or record.token or record.status in (UNFINISHED, "cancelled")
        )

    def _queued(self, job: Job, jobs: list[Job], records: Sequence[Deployment]) -> Sighting:
        self._seen_queued = True
        self._gone_since = None
        ahead = jobs_before(job, jobs)
        if job.state == "waiting":
            # The records were read before the queue, so that none of them can be of a job that still waits.
            self._foreign.update(record.id for record in records)
            self._when_waiting = frozenset(self._foreign)
            mine = [other for other in ahead if other.service_id == self._service_id]
            self._earlier = sum(not _is_recorded(other, records) for other in mine)
        elif job.begun_at:
            self._begun_at = job.begun_at
        return Sighting(QUEUED, ahead=ahead)

    def _absent(self, records: Sequence[Deployment], queue_is_known: bool, now: float) -> Sighting:
        self._gone_since = now if self._gone_since is None else self._gone_since
        overdue = now - self._gone_since >= GRACE_SECONDS
        new = [record for record in oldest_first(records) if record.id not in self._foreign]
        if queue_is_known:
            placed = self._by_place(records)
            if placed is not None:
                return Sighting(STARTED, placed)
        never_placed = not self._seen_queued
        if len(new) == 1 and never_placed and (queue_is_known or overdue):
            return Sighting(STARTED, new[0])
        if not overdue:
            return Sighting(UNSEEN)
        if new:
            return Sighting(AMBIGUOUS, candidates=tuple(new))
        return Sighting(LOST if queue_is_known else UNSEEN)

    def _by_place(self, records: Sequence[Deployment]) -> Deployment | None:
        """The first record since my job began, or the n-th since it was seen to wait behind n others."""
        since = [record for record in oldest_first(records) if record.id not in self._when_waiting]
        if self._begun_at is not None:
            begun = self._begun_at
            mine = next((record for record in since if _milliseconds(record.created_at) >= begun), None)
        elif self._earlier is not None and self._earlier < len(since):
            mine = since[self._earlier]
        else:
            return None
        return mine if mine is not None and mine.id not in self._foreign else None


def _is_recorded(job: Job, records: Sequence[Deployment]) -> bool:
    """Whether the record of a job of this service was seen; it is made a moment after the job has begun."""
    if job.begun_at:
        return any(_milliseconds(record.created_at) >= job.begun_at for record in records)
    return job.state != "waiting" and any(
        record.status == UNFINISHED and (record.title, record.description) == (job.title, job.description)
        for record in records
    )


def _milliseconds(moment: str | None) -> float:
    """0 when Dokploy tells no time."""
    try:
        return datetime.fromisoformat((moment or "").replace("Z", "+00:00")).timestamp() * 1000
    except ValueError:
        return 0.0


# --- of a push --------------------------------------------------------------------------------------------------------


def same_commit(one: str | None, other: str | None) -> bool:
    """The same commit, also when one of the two is abbreviated."""
    if not one or not other:
        return False
    shorter, longer = sorted((one.lower(), other.lower()), key=len)
    return len(shorter) >= 7 and longer.startswith(shorter)


def sighting_of_commit(commit: str, records: Sequence[Deployment], jobs: Sequence[Job] | None) -> Sighting:
    """The newest deployment of a commit; what is queued of it is newer than what is recorded."""
    mine = [record for record in oldest_first(records) if same_commit(record.commit, commit)]
    if mine and mine[-1].status == UNFINISHED:
        return Sighting(STARTED, mine[-1])
    queued = [job for job in in_order(jobs or ()) if same_commit(job.commit, commit)]
    if queued:
        return Sighting(QUEUED, ahead=jobs_before(queued[-1], list(jobs or ())))
    return Sighting(STARTED, mine[-1]) if mine else Sighting(UNSEEN)
