# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploys an application or a compose service, follows that deployment and no other, and proves what serves.

For modules: ``deploy(client, clock, transport, query, params, check, progress) -> Outcome``, with C(DEPLOY_ARGUMENTS).
"""

from __future__ import annotations

import secrets
import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ansible_collections.vedfinance.platform.plugins.module_utils._clock import Clock
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.build_log import (
    failing_line,
    lines_of,
    new_lines,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.client import (
    DokployClient,
    NotFound,
    ServerFailed,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.correlate import (
    AMBIGUOUS,
    LOST,
    QUEUED,
    STARTED,
    UNSEEN,
    Correlator,
    Sighting,
    in_order,
    sighting_of_commit,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.deployments import (
    Deployment,
    Job,
    build_log,
    with_token,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import (
    BRANCH_COLUMNS,
    Application,
    Compose,
    ServiceQuery,
    find_service,
    id_column,
    read_service,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.verdict import (
    FEWEST_PASSES,
    PASSING,
    Finding,
    Rollout,
    Scene,
    Verdict,
    Wanted,
    Word,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._health import EXPECT_ARGUMENT, Expectation
from ansible_collections.vedfinance.platform.plugins.module_utils._http import (
    Transport,
    TransportError,
    checked_base_url,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._progress import Progress

POLL_SECONDS = 1.0
SLOW_POLL_SECONDS = 2.0
SLOW_AFTER = 60.0
LOG_LINES_READ = 1000
#: A proxy answers these in place of a Dokploy that restarts.
NOT_REACHED = (502, 503, 504)
#: The request was never sent, so that nothing was asked for.
NEVER_SENT = ("refused", "dns", "tls", "unreachable")

DEPLOY_ARGUMENTS: dict[str, dict[str, object]] = {
    "method": {"type": "str", "choices": ["deploy", "rebuild", "watch"], "default": "deploy"},
    "commit": {"type": "str"},
    "title": {"type": "str"},
    "description": {"type": "str"},
    "image": {"type": "str"},
    "git_ref": {"type": "str"},
    "keep_source_on_failure": {"type": "bool", "default": False},
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "float", "default": 900.0},
    "appear_timeout": {"type": "float", "default": 120.0},
    "stable_for": {"type": "float", "default": 10.0},
    "resubmit": {"type": "int", "default": 0},
    "log_lines": {"type": "int", "default": 50},
    "api_url": {"type": "str"},
    "version_path": {"type": "str", "default": "/api/version"},
    "expect_version": {"type": "str"},
    "expect_commit": {"type": "str"},
    "expect": EXPECT_ARGUMENT,
    "unless_version": {"type": "str"},
    "unless_commit": {"type": "str"},
    "progress_interval": {"type": "float", "default": 2.0},
    "progress_file": {"type": "path"},
}

Buildable = t.Union[Application, Compose]


class Lost(PlatformError):
    """The deployment was asked for and will never be: it may be sent again."""


# --- what was asked for -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """The column that says what is built or run, and its value before and after."""

    option: str
    column: str
    before: str | None
    after: str

    @property
    def changes(self) -> bool:
        return self.before != self.after


def source_of(service: Buildable, params: Mapping[str, t.Any]) -> Source | None:
    """None when it is left as it is."""
    if params["image"]:
        if not isinstance(service, Application) or service.source_type != "docker":
            raise PlatformError(
                f"image is for an application whose source is a Docker image; that of {service.name} is "
                f"{service.source_type}.",
                "Leave image out: Dokploy builds the image of this service itself.",
            )
        return Source("image", "dockerImage", service.image, params["image"])
    if params["git_ref"]:
        column = BRANCH_COLUMNS.get(str(service.source_type))
        if column is None:
            raise PlatformError(
                f"git_ref is for what is built from git; the source of {service.name} is {service.source_type}.",
                "Leave git_ref out.",
            )
        return Source("git_ref", column, service.git_ref, params["git_ref"])
    return None


def keeps_text(service: Buildable, method: str) -> bool:
    """Whether its records keep the description that was sent; a build from git ends with the commit's in its place."""
    return method == "rebuild" or service.source_type in ("docker", "raw")


def check_options(params: Mapping[str, t.Any]) -> None:
    def refuse(msg: str, hint: str) -> None:
        raise PlatformError(msg, hint)

    expects = bool(params["expect_version"] or params["expect_commit"] or params["expect"])
    unless = bool(params["unless_version"] or params["unless_commit"])
    if (expects or unless) and not params["api_url"]:
        refuse("expect and unless options need api_url.", "Name the address at which the API answers.")
    if params["api_url"] and not (expects or unless):
        refuse("api_url is given, but nothing that the API must say.", "Give expect_version, expect_commit or expect.")
    if params["image"] and params["git_ref"]:
        refuse("image and git_ref exclude each other.", "A service has one source.")
    if params["method"] != "deploy" and (params["image"] or params["git_ref"]):
        refuse(f"image and git_ref are not for method={params['method']}.", "Use method=deploy, which fetches them.")
    if params["method"] == "watch" and not params["commit"]:
        refuse("method=watch needs commit.", "Name the commit that was pushed.")
    if params["method"] == "watch" and not params["wait"]:
        refuse("method=watch without wait does nothing.", "Leave wait out.")
    if params["method"] == "rebuild" and params["commit"]:
        refuse("commit is not for method=rebuild, which fetches none.", "Use method=deploy.")
    if params["commit"] and len(params["commit"]) < 7:
        refuse("commit must have at least 7 characters.", "Give the whole hash.")
    for option in ("wait_timeout", "stable_for", "resubmit", "log_lines", "appear_timeout"):
        if params[option] < 0:
            refuse(f"{option} must not be negative.", "Leave it out for the default.")


def word_from(params: Mapping[str, t.Any], expectation: Expectation, transport: Transport) -> Word:
    url = checked_base_url(params["api_url"], "api_url")
    return Word(url, params["version_path"], expectation, transport, min(10.0, params["request_timeout"]))


def expected_word(params: Mapping[str, t.Any], transport: Transport) -> Word | None:
    expectation = Expectation.from_option(params["expect"])
    version, commit = params["expect_version"], params["expect_commit"]
    expectation = replace(expectation, version=version or expectation.version, commit=commit or expectation.commit)
    if not (params["expect"] or version or commit):
        return None
    return word_from(params, expectation, transport)


def unless_word(params: Mapping[str, t.Any], transport: Transport) -> Word | None:
    version, commit = params["unless_version"], params["unless_commit"]
    if not (version or commit):
        return None
    expectation = replace(Expectation.from_option(params["expect"]), version=version, commit=commit)
    return word_from(params, expectation, transport)


# --- the log ----------------------------------------------------------------------------------------------------------


class LogFollower:
    """Reads the log of a build while it grows, and says what is new."""

    def __init__(self, client: DokployClient, progress: Progress) -> None:
        self._client = client
        self._progress = progress
        self._record: str | None = None
        self.lines: list[str] = []
        self.readable = True

    def follow(self, record: Deployment) -> None:
        if record.id != self._record:
            self._record, self.lines, self.readable = record.id, [], True
        if not self.readable:
            return
        try:
            text = build_log(self._client, record.id, LOG_LINES_READ)
        except PASSING:
            return
        if text is None:
            self.readable = False
            return
        # The last line may still be growing.
        lines = lines_of(text if record.finished else text.rpartition("\n")[0])
        self._progress.say(new_lines(self.lines, lines))
        self.lines = lines


# --- doing it ---------------------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    service: Buildable
    method: str
    changed: bool = False
    before: dict[str, object] = field(default_factory=dict)
    after: dict[str, object] = field(default_factory=dict)
    record: Deployment | None = None
    verdict: Verdict | None = None
    ahead: list[Job] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    failing_line: str | None = None
    source_put_back: bool = False
    sent: int = 0
    appeared: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    waited: float = 0.0
    warnings: list[str] = field(default_factory=list)

    def to_result(self) -> dict[str, object]:
        return {
            "service": self.service.to_result(),
            "method": self.method,
            "before": self.before,
            "after": self.after,
            "deployment": None if self.record is None else self.record.to_result(),
            "verdict": None if self.verdict is None else self.verdict.to_result(),
            "ahead": [job.to_result() for job in self.ahead],
            "log_tail": self.log,
            "failing_line": self.failing_line,
            "source_put_back": self.source_put_back,
            "sent": self.sent,
            "appeared": self.appeared,
            "seconds": {phase: round(seconds, 1) for phase, seconds in self.seconds.items()},
            "waited": round(self.waited, 1),
        }


class Deployer:
    """One deployment of one service, from the first look to the verdict."""

    def __init__(
        self,
        client: DokployClient,
        clock: Clock,
        service: Buildable,
        params: Mapping[str, t.Any],
        word: Word | None,
        progress: Progress,
    ) -> None:
        self._client = client
        self._clock = clock
        self._service = service
        self._params = params
        self._progress = progress
        self._source = source_of(service, params)
        self._log = LogFollower(client, progress)
        self._started = clock.monotonic()
        self._deadline = self._started + params["wait_timeout"]
        self._phase: str | None = None
        self._phase_began = self._started
        wanted = Wanted(self._replicas(), self._image(), self._commit(), word)
        watches = params["method"] == "watch"
        self._rollout = Rollout(client, clock, service, wanted, params["stable_for"], held_before_counts=not watches)
        self.outcome = Outcome(service, params["method"])

    def _replicas(self) -> int | None:
        service = self._service
        return service.replicas if isinstance(service, Application) and not service.mode_overridden else None

    def _image(self) -> str | None:
        if self._source and self._source.option == "image":
            return self._source.after
        return self._service.image if isinstance(self._service, Application) else None

    def _commit(self) -> str | None:
        return self._params["commit"] or None

    # -- the whole

    def run(self, unless: Word | None, check: bool) -> Outcome:
        outcome = self.outcome
        self._refuse_what_cannot_serve()
        scene = self._rollout.look()
        outcome.ahead = in_order(scene.jobs or ())
        self._note_before_and_after(scene)
        if unless is not None and self._serves_already(unless, scene):
            outcome.after = dict(outcome.before)
            return outcome
        if check:
            outcome.changed = self._params["method"] != "watch"
            return outcome
        try:
            self._carry_out(scene)
        except PlatformError as error:
            if outcome.verdict is None:
                outcome.verdict = self._rollout.verdict(Finding(False, error.msg, error.hint), outcome.record)
            self._put_source_back(error)
            self._finish()
            error.details = {**outcome.to_result(), "changed": outcome.changed, **error.details}
            raise
        self._finish()
        return outcome

    def _refuse_what_cannot_serve(self) -> None:
        service = self._service
        if isinstance(service, Application) and service.replicas == 0 and not service.mode_overridden:
            raise PlatformError(
                f"{service.name} has 0 replicas, so that a deployment would start nothing.",
                "It was stopped, perhaps by vedfinance.platform.dokploy_service. Start it with state=running first.",
            )
        commit = self._commit()
        if commit and service.source_type not in BRANCH_COLUMNS:
            raise PlatformError(
                f"commit is for what is built from git; the source of {service.name} is {service.source_type}.",
                "Use image, or expect_commit, with which the application itself tells its commit.",
            )

    def _serves_already(self, unless: Word, scene: Scene) -> bool:
        """True when nothing is to be done: the API says so several times, and nothing is under way."""
        if self._source and self._source.changes:
            return False
        if scene.jobs_of(self._service) or any(not record.finished for record in scene.records):
            return False
        passes = max(FEWEST_PASSES, 2 * (self._replicas() or 1))
        for turn in range(passes):
            if turn:
                self._clock.sleep(POLL_SECONDS)
            told = unless.ask()
            if not told.held:
                return False
        return True

    def _note_before_and_after(self, scene: Scene) -> None:
        done = next((record for record in scene.records if record.status == "done"), None)
        images = sorted({image.reference for image in (scene.picture.images or {}).values()})
        told = self._rollout.told
        outcome = self.outcome
        outcome.before = {
            "commit": done.commit if done else None,
            "image": ", ".join(images) or None,
            "version": told.version if told else None,
        }
        outcome.after = {
            "commit": self._commit(),
            "image": self._image(),
            "version": self._params["expect_version"],
        }
        if self._source:
            outcome.before[f"stored_{self._source.option}"] = self._source.before
            outcome.after[f"stored_{self._source.option}"] = self._source.after

    def _enter(self, phase: str | None) -> None:
        """Ends the phase before; None is the end of all."""
        now = self._clock.monotonic()
        if self._phase is not None:
            seconds = self.outcome.seconds
            seconds[self._phase] = seconds.get(self._phase, 0.0) + now - self._phase_began
        self._phase, self._phase_began = phase, now

    def _finish(self) -> None:
        self._enter(None)
        outcome, lines = self.outcome, self._log.lines
        outcome.log = lines[-self._params["log_lines"] :] if self._params["log_lines"] else []
        outcome.waited = self._clock.monotonic() - self._started
        if outcome.record is not None:
            outcome.after["commit"] = outcome.record.commit or outcome.after["commit"]
        if outcome.verdict is not None:
            outcome.after["image"] = ", ".join(outcome.verdict.images or []) or outcome.after["image"]
            outcome.after["version"] = outcome.verdict.version or outcome.after["version"]
        if not self._log.readable:
            outcome.warnings.append(
                "The log of the build cannot be read: Dokploy is older than 0.29.5, this key may not, or the record is "
                "gone."
            )

    def _carry_out(self, scene: Scene) -> None:
        if self._source and self._source.changes:
            self._store(self._source, self._source.after)
            self.outcome.changed = True
        record = self.outcome.record = self._built_at_last(scene)
        if record is None or not self._params["wait"]:
            return
        if record.status != "done":
            self.outcome.failing_line = failing_line(self._log.lines)
            because = self.outcome.failing_line or record.error or "its log does not tell why"
            raise PlatformError(
                f"The deployment of {self._service.name} failed: {because}",
                f"The version from before is untouched. The log of deployment {record.id} in Dokploy tells more.",
            )
        self._enter("rollout")
        self._progress.begin("rolling out")
        verdict = self.outcome.verdict = self._rollout.watch(self._deadline, record, self._progress.doing)
        self.outcome.record = verdict.record
        if not verdict.serving:
            raise verdict.error(f"The new version of {self._service.name}")

    # -- the source

    def _store(self, source: Source, value: str | None) -> None:
        kind = self._service.kind
        self._client.post(f"{kind}.update", **{id_column(kind): self._service.id, source.column: value})

    def _put_source_back(self, error: PlatformError) -> None:
        """So that the next deploy does not bring what has just failed; not while it may still be built."""
        source = self._source
        if source is None or not source.changes:
            return
        stays = f"The stored {source.option} is now {source.after}; before, it was {source.before}."
        record = self.outcome.record
        is_over = isinstance(error, Lost) or not self.outcome.sent or (record is not None and record.finished)
        if self._params["keep_source_on_failure"] or not is_over:
            error.hint = f"{error.hint or ''} {stays}".strip()
            return
        try:
            stored = read_service(self._client, self._service.kind, self._service.id)
            value = getattr(stored, source.option, None)
            if value == source.after:
                self._store(source, source.before)
                self.outcome.source_put_back = True
                self.outcome.changed = bool(self.outcome.sent)
                stays = f"The stored {source.option} is {source.before} again, as before."
            else:
                stays = f"The stored {source.option} is {value}, which somebody else has set."
        except PlatformError as problem:
            stays = f"{stays} It could not be put back: {problem.msg}"
        error.hint = f"{error.hint or ''} {stays}".strip()

    # -- the build

    def _built_at_last(self, scene: Scene) -> Deployment | None:
        """The finished record, of the first attempt that was not lost."""
        trigger = self._params["method"] != "watch"
        for remaining in range(self._params["resubmit"], -1, -1):
            try:
                return self._built(scene, trigger)
            except Lost as lost:
                if not remaining:
                    raise
                self.outcome.warnings.append(f"{lost.msg} It was sent again.")
                self.outcome.record = None
            trigger = True
            scene = self._look_patiently()
        raise AssertionError("the last attempt returns or raises")

    def _built(self, scene: Scene, trigger: bool) -> Deployment | None:
        self._enter("queued")
        token = secrets.token_hex(8)
        correlator: Correlator | None = None
        if trigger:
            known = frozenset(record.id for record in scene.records)
            correlator = Correlator(token, self._service.id, known, keeps_text(self._service, self._params["method"]))
            self._send(token)
            self._pause()
            scene = self._look_patiently(correlator)
        self._progress.begin("waiting")
        appear_by = self._clock.monotonic() + self._params["appear_timeout"]
        record: Deployment | None = None
        while True:
            sighting = self._sighted(scene, record, correlator)
            record = sighting.record
            if record is not None:
                self._follow(record)
                if record.finished:
                    return self._unless_cancelled(record)
            if not self._params["wait"] and sighting.state in (QUEUED, STARTED):
                return record
            self._check_time(record, scene)
            if correlator is None and sighting.state == UNSEEN:
                self._check_appearance(appear_by)
            self._pause()
            scene = self._look_patiently(correlator)

    def _send(self, token: str) -> None:
        params = self._params
        kind = self._service.kind
        verb = "redeploy" if params["method"] == "rebuild" else "deploy"
        title = {"title": params["title"]} if params["title"] else {}
        body = {
            id_column(kind): self._service.id,
            **title,
            "description": with_token(params["description"] or "", token),
        }
        try:
            self._client.post(f"{kind}.{verb}", **body)
        except TransportError as error:
            if error.kind in NEVER_SENT:
                raise
        except ServerFailed as error:
            if error.status not in NOT_REACHED:
                raise
        self.outcome.sent += 1
        self.outcome.changed = True

    def _sighted(self, scene: Scene, record: Deployment | None, correlator: Correlator | None) -> Sighting:
        """Without a correlator, it is looked for by its commit."""
        if record is not None:
            return Sighting(STARTED, self._again(record, scene))
        if correlator is not None:
            sighting = correlator.observe(scene.records, scene.jobs, self._clock.monotonic())
        else:
            sighting = sighting_of_commit(str(self._commit()), scene.records, scene.jobs)
        name = self._service.name
        self.outcome.appeared = self.outcome.appeared or sighting.state in (QUEUED, STARTED)
        if sighting.state == STARTED:
            self._enter("build")
            self._progress.begin("building")
        elif sighting.state == QUEUED:
            self._progress.doing(_behind(sighting.ahead))
        elif sighting.state == LOST:
            self._explain_a_deleted_service()
            raise Lost(
                f"The deployment of {name} was accepted by Dokploy, but is neither in its queue nor among its records.",
                "Dokploy was restarted, or its queue was cleaned, before it began. Run this again, or set resubmit.",
            )
        elif sighting.state == AMBIGUOUS:
            raise PlatformError(
                f"Which of {len(sighting.candidates)} new deployments of {name} is this one cannot be told: "
                f"{', '.join(candidate.id for candidate in sighting.candidates)}.",
                "Others deploy at the same time, and Dokploy did not tell enough. Look which version serves, and run "
                "this again when nothing else is under way.",
                candidates=[candidate.to_result() for candidate in sighting.candidates],
            )
        return sighting

    def _again(self, record: Deployment, scene: Scene) -> Deployment:
        now = next((item for item in scene.records if item.id == record.id), None)
        if now is None:
            raise PlatformError(
                f"The record of the deployment of {self._service.name} ({record.id}) was removed while it was being "
                "built, so that nothing tells how it ends.",
                "The build goes on without it. Find out who removed it, wait until the build is over, and run this "
                "again.",
            )
        return now

    def _explain_a_deleted_service(self) -> None:
        try:
            read_service(self._client, self._service.kind, self._service.id)
        except NotFound:
            raise PlatformError(
                f"{self._service.name} was deleted while its deployment waited.", "Find out who deleted it."
            ) from None

    def _follow(self, record: Deployment) -> None:
        self.outcome.record = record
        self._log.follow(record)

    def _unless_cancelled(self, record: Deployment) -> Deployment:
        if record.status == "cancelled":
            raise Lost(
                f"Dokploy was restarted while it built {self._service.name} (deployment {record.id} is cancelled).",
                "The version from before is untouched. Run this again, or set resubmit.",
            )
        return record

    # -- time

    def _pause(self) -> None:
        elapsed = self._clock.monotonic() - self._started
        self._clock.sleep(POLL_SECONDS if elapsed < SLOW_AFTER else SLOW_POLL_SECONDS)

    def _look_patiently(self, correlator: Correlator | None = None) -> Scene:
        """A server that restarts comes back."""
        while True:
            scene = self._look(correlator)
            if scene is not None:
                return scene
            self._pause()

    def _look(self, correlator: Correlator | None) -> Scene | None:
        try:
            return self._rollout.look()
        except PASSING as error:
            if correlator is not None:
                correlator.interrupted()
            if self._clock.monotonic() >= self._deadline:
                raise PlatformError(
                    f"Dokploy stopped to answer while it deployed {self._service.name}: {error.msg}", error.hint
                ) from None
            self._progress.doing("Dokploy does not answer")
            return None

    def _check_appearance(self, appear_by: float) -> None:
        if self._clock.monotonic() >= appear_by:
            raise PlatformError(
                f"No deployment of commit {self._commit()} of {self._service.name} appeared within "
                f"{self._params['appear_timeout']:g} s.",
                "Was it pushed to the branch that Dokploy builds, is auto-deploy on, and does the webhook reach "
                "Dokploy? Use method=deploy to deploy without one.",
            )

    def _check_time(self, record: Deployment | None, scene: Scene) -> None:
        if self._clock.monotonic() < self._deadline:
            return
        if record is not None:
            state = f"is still being built (deployment {record.id})"
        else:
            jobs = ", ".join(map(str, scene.jobs or ())) or "nothing" if scene.jobs is not None else "not known"
            state = f"has not begun (in the queue of Dokploy: {jobs})"
        raise PlatformError(
            f"The deployment of {self._service.name} {state} after {self._params['wait_timeout']:g} s.",
            "It goes on by itself, and nothing proves how it will end. Raise wait_timeout, or look at it in Dokploy.",
        )


def _behind(ahead: Sequence[Job]) -> str:
    return f"behind {len(ahead)} other{'s' if len(ahead) > 1 else ''}" if ahead else "first in the queue"


# --- the module -------------------------------------------------------------------------------------------------------


def deploy(
    client: DokployClient,
    clock: Clock,
    transport: Transport,
    query: ServiceQuery,
    params: Mapping[str, t.Any],
    check: bool,
    progress: Progress,
) -> Outcome:
    """The whole of M(vedfinance.platform.dokploy_deploy)."""
    check_options(params)
    client.version()
    service = find_service(client, query)
    if not isinstance(service, (Application, Compose)):
        raise PlatformError(
            f"{service.name} is a {service.kind} database, of which nothing is deployed here.",
            "Use dokploy_service to start it.",
        )
    deployer = Deployer(client, clock, service, params, expected_word(params, transport), progress)
    return deployer.run(unless_word(params, transport), check)
