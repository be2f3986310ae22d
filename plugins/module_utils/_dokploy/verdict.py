# SPDX-License-Identifier: GPL-3.0-or-later
"""Does the version that was deployed serve? Dokploy's C(done) says only that Docker took the order.

For whoever changes a service, in this order::

    rollout = Rollout(client, clock, service, wanted, stable_for=10)
    rollout.look()  # before anything is sent
    client.post("rollback.rollback", ...)  # or a deploy; while it builds, look(records) again at every poll
    verdict = rollout.watch(deadline, record)  # record is None for what leaves none, as a rollback
    if not verdict.serving:
        raise verdict.error(...)

Docker Swarm puts the previous version back by itself when the new one fails, and its tasks do not tell their version.
So a task that ended is a suspicion, which only an image or the application's own word can dispel.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ansible_collections.vedfinance.platform.plugins.module_utils._clock import Clock
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.client import (
    DokployClient,
    NotDokploy,
    ServerFailed,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.correlate import oldest_first, same_commit
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.deployments import (
    Deployment,
    Job,
    deployments_of,
    whole_queue,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import (
    BRANCH_COLUMNS,
    Compose,
    Service,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.tasks import (
    RunningImage,
    Task,
    images_of,
    swarm_tasks,
    tasks_of,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._health import Expectation, values_at
from ansible_collections.vedfinance.platform.plugins.module_utils._http import Request, Transport, TransportError
from ansible_collections.vedfinance.platform.plugins.module_utils._redact import clip, redact_text, shown_url

POLL_SECONDS = 1.0
#: Docker has the new service a moment before Dokploy notes the end of the build.
MARGIN_SECONDS = 3.0
COMMIT_IS_TOLD_WITHIN = 5.0
#: So many tasks of the new version ended, that waiting for the next is waiting for nothing.
CRASHES = 5
#: So long nothing was replaced, that nothing will be.
ROLLOUT_GRACE = 120.0
FEWEST_PASSES = 3
MOST_QUESTIONS = 3
ENOUGH_LOOKS = 3
#: A picture is taken before the records are read, so the first may be from before the new version took effect.
FIRST_LOOKS = 2

#: What a server that restarts, or a proxy before it, answers meanwhile.
PASSING = (TransportError, ServerFailed, NotDokploy)

NO_DOCKER = (
    "Give the user of the API key the permission to read Docker (docker:read), or let the application itself tell "
    "its version: api_url with expect_version or expect_commit."
)
LOOK = (
    "Look at the log of the application in Dokploy. To go back to the last version that served, use "
    "vedfinance.platform.dokploy_rollback or the playbook rollback.yml."
)


# --- the application's own word ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """One answer of the application. C(held) is None when it was too busy to say."""

    held: bool | None
    reason: str
    other_release: bool = False
    version: str | None = None


class Word:
    """What the application itself must say of its version, and how to ask it."""

    def __init__(self, url: str, path: str, expectation: Expectation, transport: Transport, timeout: float) -> None:
        self._url = f"{url.rstrip('/')}/{path.lstrip('/')}"
        self._expectation = expectation
        self._release = replace(expectation, all_of=(), any_of=(), none_of=())
        self._transport = transport
        self._timeout = timeout

    @property
    def telling(self) -> bool:
        """Whether it can tell one version from another."""
        return bool(self._expectation.version or self._expectation.commit)

    def __str__(self) -> str:
        return shown_url(self._url)

    def ask(self) -> Told:
        try:
            response = self._transport.send(Request("GET", self._url, timeout=self._timeout))
        except TransportError as error:
            return Told(False, error.msg)
        if response.status == 429:
            return Told(None, "rate limited (429)")
        try:
            document = response.json()
        except ValueError:
            document = None
        version = _first(document, self._expectation.version_path) or _first(document, self._expectation.commit_path)
        objection = self._expectation.objection(response)
        if objection is None:
            return Told(True, "passed", version=version)
        other = self.telling and version is not None and self._release.objection(response) is not None
        return Told(False, objection, other, version)


def _first(document: object, path: str) -> str | None:
    values = values_at(document, path)
    return clip(redact_text(str(values[0])), 80) if values and values[0] is not None else None


class _Heard:
    """How the answers have been since when."""

    def __init__(self) -> None:
        self.last: Told | None = None
        self._since: float | None = None
        self._verdict: tuple[bool, bool] | None = None
        self.passes = 0
        self.ever_held = False

    def hear(self, told: Told, now: float) -> None:
        if told.held is None:
            return
        verdict = (told.held, told.other_release)
        if verdict != self._verdict:
            self._since, self._verdict, self.passes = now, verdict, 0
        self.last = told
        self.passes += told.held
        self.ever_held = self.ever_held or told.held

    def so_for(self, now: float) -> float:
        return 0.0 if self._since is None else now - self._since

    @property
    def held(self) -> bool:
        return self.last is not None and bool(self.last.held)

    @property
    def other_release(self) -> bool:
        return self.last is not None and self.last.other_release

    @property
    def reason(self) -> str:
        return self.last.reason.rstrip(".") if self.last else "nothing was asked"


# --- pictures ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Picture:
    """What runs of a service at one moment; None stands for what this key may not read."""

    tasks: tuple[Task, ...] | None
    images: Mapping[str, RunningImage] | None = None

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(task.id for task in self.tasks or ())

    @property
    def running(self) -> frozenset[str]:
        return frozenset(task.id for task in self.tasks or () if task.wanted and task.state == "running")


@dataclass(frozen=True)
class Before:
    """What there was before the new version. C(ids) is None when nobody looked.

    C(ran) is false when nothing ever did, however often it was looked: what runs for a while cannot be of that version.
    """

    ids: frozenset[str] | None
    failed: frozenset[str] = frozenset()
    images: frozenset[RunningImage] = frozenset()
    ran: bool = True


class Album:
    """Pictures in the order of time, to find out later which was the last before a deployment took effect."""

    def __init__(self) -> None:
        self._pages: list[tuple[float, frozenset[str], Picture]] = []

    def keep(self, now: float, picture: Picture, finished: frozenset[str]) -> None:
        """C(finished) are the records that were so after the picture was taken: the others cannot be in it."""
        if picture.tasks is not None:
            self._pages.append((now, finished, picture))

    def before(self, record_id: str | None) -> Before:
        """Before this record was finished, with a margin; or before now, for what has no record."""
        pages = [page for page in self._pages if record_id not in page[1]]
        if pages and len(pages) < len(self._pages):
            pages = [page for page in pages if page[0] <= pages[-1][0] - MARGIN_SECONDS] or pages[:1]
        if not pages:
            return Before(None)
        last = pages[-1][2]
        images = {image for page in pages for image in (page[2].images or {}).values()}
        failed = frozenset(task.id for task in last.tasks or () if task.failed)
        often = len(pages) >= ENOUGH_LOOKS or not last.ids
        return Before(last.ids, failed, frozenset(images), ran=not often or any(page[2].running for page in pages))


# --- judging ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wanted:
    """C(replicas) is None when their number is not known; C(image) is a reference, None for what Dokploy builds."""

    replicas: int | None = 1
    image: str | None = None
    commit: str | None = None
    word: Word | None = None

    @property
    def telling(self) -> bool:
        return self.word is not None and self.word.telling


@dataclass(frozen=True)
class Finding:
    serving: bool
    reason: str
    hint: str | None = None


def same_image(one: str, other: str) -> bool:
    """The same reference, also when Docker has added a digest, or one of them leaves out what goes without saying."""

    def parts(reference: str) -> tuple[str, str | None]:
        name, _at, digest = reference.partition("@")
        for obvious in ("docker.io/", "library/"):
            name = name.removeprefix(obvious)
        if not digest and ":" not in name.rpartition("/")[2]:
            name += ":latest"
        return name, digest or None

    (name, digest), (other_name, other_digest) = parts(one), parts(other)
    if digest and other_digest:
        return digest == other_digest
    return name == other_name


_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800, "month": 2592000, "year": 31536000}


def uptime_seconds(status: str) -> float | None:
    """From C(Up 5 minutes), as far as Docker's words go; None for what is not up."""
    match = re.match(r"Up (?:(\d+)|(about an?)|less than a) (\w+?)s?\b", status, re.IGNORECASE)
    if not match:
        return None
    number = int(match.group(1)) if match.group(1) else 1 if match.group(2) else 0
    return float(number * _UNITS.get(match.group(3).lower(), 0))


class Judge:
    """Is fed with pictures and words from the moment that the record is done, and says when it is certain."""

    def __init__(
        self,
        wanted: Wanted,
        before: Before,
        stable_for: float,
        compose: bool = False,
        held_before: bool = False,
    ) -> None:
        self._wanted = wanted
        self._before = before
        self._stable_for = stable_for
        self._compose = compose
        self._held_before = held_before
        self._heard = _Heard()
        self._ended: dict[str, str] = {}
        self._still_ended: frozenset[str] = frozenset()
        self._restarts = 0
        self._last: dict[str, Task] = {}
        self._first: frozenset[str] = frozenset()
        self._looks = 0
        self._key: object = None
        self._since = 0.0
        self.doubt = "nothing was seen yet"

    def observe(self, picture: Picture, told: Told | None, now: float) -> Finding | None:
        """None while it is not certain; C(doubt) then says what is missing."""
        if told is not None:
            self._heard.hear(told, now)
        if picture.tasks is None:
            return self._by_word_alone(now)
        if self._looks < FIRST_LOOKS:
            self._first |= picture.ids
        self._looks += 1
        self._note_ends(picture.tasks)
        wanted = [task for task in picture.tasks if task.wanted]
        running = [task for task in wanted if task.state == "running" and not _unhealthy(task)]
        key = (frozenset(task.id for task in wanted), picture.running, len(self._ended), self._restarts)
        if key != self._key:
            self._key, self._since = key, now
        stable = now - self._since >= self._stable_for
        if not running or len(running) != len(wanted) or self._wanted.replicas not in (None, len(running)):
            return self._incomplete(running, wanted, stable)
        if not stable and self._failures >= CRASHES:
            return Finding(False, self._why(), LOOK)
        if not stable:
            self.doubt = f"its tasks have not run for {self._stable_for:g} s yet"
            return None
        if not self._compose and picture.running & (self._before.ids or frozenset()):
            return self._not_replaced(now)
        return self._wrong_image(picture) or self._suspicion(picture) or self._by_word(now)

    # -- the tasks

    def _note_ends(self, tasks: Sequence[Task]) -> None:
        if self._compose:
            failed = [task for task in tasks if task.failed and task.id not in self._before.failed]
            self._still_ended = frozenset(task.name for task in failed)
            self._ended.update({task.id: task.error or task.since for task in failed})
            self._restarts += sum(_restarted(self._last.get(task.id), task) for task in tasks)
        else:
            # Where nobody looked in time, what came and ended since then is enough to see that nothing stays.
            known = self._first if self._before.ids is None else self._before.ids
            for task in tasks:
                if task.id not in known and not task.wanted:
                    self._note_end(task)
        self._last = {task.id: task for task in tasks}

    def _note_end(self, task: Task) -> None:
        """What was there at first may be of an earlier deployment, and was replaced by this one."""
        replaced = task.state in ("shutdown", "running") and not task.error
        if not (replaced and task.id in self._first):
            self._ended[task.id] = task.error or task.since

    @property
    def _failures(self) -> int:
        return len(self._ended) + self._restarts

    def _why(self) -> str:
        reasons = sorted(set(self._ended.values())) + (["started again by Docker"] if self._restarts else [])
        noun = "container" if self._compose else "task"
        count = f"{self._failures} {noun}{'s' if self._failures > 1 else ''} of the new version"
        return f"{count} ended ({clip('; '.join(reasons), 200)})"

    def _incomplete(self, running: Sequence[Task], wanted: Sequence[Task], stable: bool) -> Finding | None:
        of = f" of {self._wanted.replicas}" if self._wanted.replicas is not None else ""
        noun = "containers" if self._compose else "tasks"
        self.doubt = f"running {noun}: {len(running)}{of}"
        errors = sorted({task.error for task in wanted if task.error})
        if errors:
            self.doubt += f" ({clip('; '.join(errors), 200)})"
        if not self._failures:
            return None
        self.doubt += f", and {self._why()}"
        nothing_moves = stable and len(running) == len(wanted)
        return Finding(False, self.doubt, LOOK) if nothing_moves or self._failures >= CRASHES else None

    def _not_replaced(self, now: float) -> Finding | None:
        if self._failures:
            return Finding(False, f"{self._why()}, and Docker Swarm kept the version from before", LOOK)
        self.doubt = "tasks from before the deployment still run"
        if now - self._since < max(ROLLOUT_GRACE, self._stable_for):
            return None
        return Finding(False, f"{self.doubt}, and Docker has not replaced them", LOOK)

    def _wrong_image(self, picture: Picture) -> Finding | None:
        if self._wanted.image is None:
            return None
        others = {image.reference for image in self._running_images(picture) if not self._is_wanted(image)}
        if not others:
            return None
        because = f"{self._why()}, and " if self._failures else ""
        return Finding(False, f"{because}{', '.join(sorted(others))} runs instead of {self._wanted.image}", LOOK)

    def _suspicion(self, picture: Picture) -> Finding | None:
        """A task ended, or nobody looked in time: only what cannot be of the version from before dispels that."""
        if self._compose:
            return self._suspicion_of_compose(picture)
        if not self._ended and self._before.ids is not None:
            return None
        images = self._running_images(picture)
        if images and len(images) == len(picture.running) and all(map(self._is_new, images)):
            return None
        if self._wanted.telling and not self._held_before:
            return None
        if self._before.ids is None:
            if images and all(map(self._is_wanted, images)):
                return None
            return Finding(
                False,
                "not proved: it had been deployed before this looked for the first time, so that nothing tells its "
                "tasks from those of the version before",
                "Let the application itself tell its version: api_url with expect_version or expect_commit.",
            )
        return Finding(
            False,
            f"not proved: {self._why()}; Docker Swarm puts the version from before back by itself, and nothing shows "
            "that it did not",
            LOOK if images else NO_DOCKER,
        )

    def _suspicion_of_compose(self, picture: Picture) -> Finding | None:
        """Of a stack, what ended stays listed; its successor may run an image that did not run before."""
        images = picture.images or {}
        running = [(task.name, images.get(task.id)) for task in picture.tasks or () if task.id in picture.running]
        new = {name for name, image in running if image is not None and image not in self._before.images}
        if self._still_ended <= new or (self._wanted.telling and not self._held_before):
            return None
        return Finding(False, self._why(), LOOK)

    def _running_images(self, picture: Picture) -> list[RunningImage]:
        return [image for task, image in (picture.images or {}).items() if task in picture.running]

    def _is_wanted(self, image: RunningImage) -> bool:
        return self._wanted.image is not None and same_image(image.reference, self._wanted.image)

    def _is_new(self, image: RunningImage) -> bool:
        """Whether it cannot be what ran before; when it is not known what that was, nothing can be told."""
        before = self._before
        if before.ids is None or (before.ran and not before.images):
            return False
        if self._wanted.image is not None:
            return self._is_wanted(image) and not any(map(self._is_wanted, before.images))
        return bool(image.image_id) and image.image_id not in {former.image_id for former in before.images}

    # -- the word

    def _by_word(self, now: float) -> Finding | None:
        if self._wanted.word is None:
            return Finding(True, f"its tasks have run for {self._stable_for:g} s")
        passes = max(FEWEST_PASSES, 2 * (self._wanted.replicas or 1))
        if self._heard.held and self._heard.passes >= passes and self._heard.so_for(now) >= self._stable_for:
            return Finding(True, f"{self._wanted.word} has confirmed it {self._heard.passes} times in a row")
        self.doubt = f"{self._wanted.word}: {self._heard.reason}"
        if self._heard.other_release and self._heard.so_for(now) >= self._stable_for and not self._heard.ever_held:
            return Finding(False, self.doubt, LOOK)
        return None

    def _by_word_alone(self, now: float) -> Finding | None:
        if not self._wanted.telling or self._held_before:
            already = f", and {self._wanted.word} told the same before" if self._held_before else ""
            return Finding(
                False,
                f"not proved: this API key may not read Docker, so that nothing shows what runs{already}",
                NO_DOCKER,
            )
        finding = self._by_word(now)
        # Without a look at the tasks, the version from before may only be taking its time to go.
        return finding if finding is not None and finding.serving else None


def _unhealthy(container: Task) -> bool:
    """As Docker's own check of it says; swarm does not call such a task running."""
    return "(unhealthy)" in container.since or "(health: starting)" in container.since


def _restarted(earlier: Task | None, now: Task) -> bool:
    if earlier is None:
        return False
    if now.state == "restarting":
        return earlier.state != "restarting"
    was, is_now = uptime_seconds(earlier.since), uptime_seconds(now.since)
    return was is not None and is_now is not None and is_now < was


# --- watching ---------------------------------------------------------------------------------------------------------


@dataclass
class Verdict:
    """Whether the wanted version serves, why, and what was seen last."""

    serving: bool
    reasons: list[str]
    hint: str | None = None
    record: Deployment | None = None
    tasks: list[Task] | None = None
    images: list[str] | None = None
    version: str | None = None

    def to_result(self) -> dict[str, object]:
        return {
            "serving": self.serving,
            "reasons": self.reasons,
            "record": None if self.record is None else self.record.to_result(),
            "tasks": None if self.tasks is None else [task.to_result() for task in self.tasks],
            "images": self.images,
            "version": self.version,
        }

    def serves_now(self) -> str:
        """In words, as far as it is known."""
        known = [f"version {self.version}"] if self.version else []
        known += [f"image {', '.join(self.images)}"] if self.images else []
        return f"What serves now: {', '.join(known)}." if known else "What serves now is not known."

    def error(self, what: str, **details: object) -> PlatformError:
        """For a verdict that is false; C(what) was attempted."""
        reasons = "; ".join(self.reasons)
        return PlatformError(
            f"{what} does not serve: {reasons}. {self.serves_now()}", self.hint, verdict=self.to_result(), **details
        )


def no_one(_doubt: str) -> None:
    """Follows a watch that nobody follows."""


@dataclass(frozen=True)
class Scene:
    """One look at a service and at what Dokploy does with it."""

    picture: Picture
    records: tuple[Deployment, ...]
    jobs: tuple[Job, ...] | None
    """The whole queue; None when it may not be read."""

    def jobs_of(self, service: Service) -> list[Job]:
        return [job for job in self.jobs or () if job.service_id == service.id]


class Rollout:
    """Looks at a service before, while and after it is changed, and judges."""

    def __init__(
        self,
        client: DokployClient,
        clock: Clock,
        service: Service,
        wanted: Wanted,
        stable_for: float = 10.0,
        held_before_counts: bool = True,
    ) -> None:
        self._client = client
        self._clock = clock
        self._service = service
        self._wanted = wanted
        self._stable_for = stable_for
        self._held_before_counts = held_before_counts
        self._held_before: bool | None = None
        self._album = Album()
        self._images: dict[str, RunningImage] = {}
        self._asked: Counter[str] = Counter()
        #: When the end of a record without a commit was first seen.
        self._ended: dict[str, float] = {}
        #: Of a stack, the names of its services, and the tasks of its containers.
        self._stack: set[str] = set()
        self._task_of: dict[str, str] = {}
        self.picture = Picture(None)
        self.told: Told | None = None

    def look(self) -> Scene:
        """Keeps in mind what runs. What is seen after the new version took effect is of no use as a former picture."""
        tasks = self._tasks()
        self.picture = Picture(None) if tasks is None else Picture(tuple(tasks))
        if self.picture.tasks is not None:
            self.picture = replace(self.picture, images=self._images_of(self.picture))
        now = self._clock.monotonic()
        # The records before the queue: a job that is in neither has then really ended.
        records = tuple(deployments_of(self._client, self._service))
        jobs = whole_queue(self._client)
        self._album.keep(now, self.picture, frozenset(record.id for record in records if record.finished))
        if self._held_before is None:
            told = self._ask()
            self._held_before = bool(self._held_before_counts and told and told.held)
        return Scene(self.picture, records, None if jobs is None else tuple(jobs))

    def _tasks(self) -> list[Task] | None:
        """Of a stack those of swarm: a task that never had a container is among them, and one that is to have it."""
        tasks = tasks_of(self._client, self._service)
        if tasks is None or not isinstance(self._service, Compose) or self._service.compose_type != "stack":
            return tasks
        for container in tasks:
            parts = container.name.rsplit(".", 2)
            self._stack.add(parts[0])
            self._task_of[container.id] = parts[-1]
        return [task for name in sorted(self._stack) for task in swarm_tasks(self._client, self._service, name)]

    def _images_of(self, picture: Picture) -> Mapping[str, RunningImage] | None:
        """What a task runs never changes. A container on another node is asked for in vain, but not for ever."""
        unknown = {task for task in picture.running - self._images.keys() if self._asked[task] < MOST_QUESTIONS}
        if unknown:
            self._asked.update(unknown)
            images = images_of(self._client, self._service)
            if images is None:
                return None
            self._images.update({self._task_of.get(running, running): image for running, image in images.items()})
        return {task: image for task, image in self._images.items() if task in picture.running}

    def _ask(self) -> Told | None:
        if self._wanted.word is not None:
            self.told = self._wanted.word.ask()
            return self.told
        return None

    def watch(
        self,
        deadline: float,
        record: Deployment | None = None,
        follow: Callable[[str], None] = no_one,
    ) -> Verdict:
        """Until it is certain, or the time is over. The record must be done; None for what leaves no record."""
        known: frozenset[str] | None = None
        judged: str | None = None
        judge = self._judge(record.id if record else None)
        while True:
            try:
                scene = self.look()
            except PASSING as error:
                judge.doubt = f"Dokploy does not answer: {error.msg.rstrip('.')}"
            else:
                if known is None:
                    known = frozenset(item.id for item in scene.records) if record is None else frozenset()
                record = next((item for item in scene.records if record and item.id == record.id), record)
                later = self._later(scene.records, record, known)
                building = [item for item in later if not item.finished]
                last = next((item for item in later[::-1] if item.status == "done"), None)
                if last is not None and last.id != judged:
                    judged = last.id
                    judge = self._judge(last.id)
                finding = judge.observe(scene.picture, self._ask(), self._clock.monotonic())
                jobs = scene.jobs_of(self._service)
                if building or jobs:
                    what = [*(item.title for item in building), *(job.title for job in jobs)]
                    judge.doubt = f"another deployment ({what[0] or 'no title'}) is under way"
                elif (foreign := self._foreign(record, last, scene.picture)) and self._commit_may_come(record, last):
                    judge.doubt = "Dokploy has not told yet which commit was built last"
                else:
                    finding = foreign or finding
                    if finding is not None and finding.serving:
                        finding = self._other_commit(record, last) or finding
                    if finding is not None:
                        return self.verdict(finding, record)
            follow(judge.doubt)
            now = self._clock.monotonic()
            if now >= deadline:
                return self.verdict(Finding(False, f"not in time: {judge.doubt}", LOOK), record)
            self._clock.sleep(min(POLL_SECONDS, max(0.0, deadline - now)))

    def verdict(self, finding: Finding, record: Deployment | None) -> Verdict:
        images = self.picture.images
        return Verdict(
            serving=finding.serving,
            reasons=[finding.reason],
            hint=finding.hint,
            record=record,
            tasks=None if self.picture.tasks is None else list(self.picture.tasks),
            images=None if images is None else sorted({image.reference for image in images.values()}),
            version=self.told.version if self.told else None,
        )

    def _judge(self, record_id: str | None) -> Judge:
        return Judge(
            self._wanted,
            self._album.before(record_id),
            self._stable_for,
            compose=self._service.kind == "compose",
            held_before=bool(self._held_before),
        )

    @staticmethod
    def _later(records: Sequence[Deployment], mine: Deployment | None, known: frozenset[str]) -> list[Deployment]:
        """What was deployed after it, oldest first."""
        if mine is None:
            return [item for item in oldest_first(records) if item.id not in known]
        begun = mine.created_at or ""
        return [item for item in oldest_first(records) if (item.created_at or "") > begun]

    def _commit_may_come(self, *records: Deployment | None) -> bool:
        """Of a build from git, Dokploy writes the commit into the record a moment after its end."""
        now = self._clock.monotonic()
        return self._service.source_type in BRANCH_COLUMNS and any(
            record.commit is None and now - self._ended.setdefault(record.id, now) < COMMIT_IS_TOLD_WITHIN
            for record in records
            if record is not None
        )

    def _foreign(self, mine: Deployment | None, last: Deployment | None, picture: Picture) -> Finding | None:
        """What the last deployment says of mine, when it is not mine."""
        if last is None or self._wanted.telling or (self._wanted.image and picture.images):
            return None
        if same_commit(last.commit, self._wanted.commit or (mine.commit if mine else None)):
            return None
        return Finding(
            False,
            f"another deployment ({last.title or 'no title'}, {last.id}) took over",
            "Find out who or what deploys at the same time (a push with auto-deploy, a colleague), and run this again.",
        )

    def _other_commit(self, mine: Deployment | None, last: Deployment | None) -> Finding | None:
        wanted, built = self._wanted.commit, last or mine
        if wanted is None or built is None or self._wanted.telling or same_commit(built.commit, wanted):
            return None
        return Finding(
            False,
            f"Dokploy built commit {built.commit} instead of {wanted}"
            if built.commit
            else f"not proved: Dokploy does not tell which commit it built, so that nothing shows that it is {wanted}",
            "Is it the newest of the branch that Dokploy builds? With expect_commit, the application itself tells.",
        )
