# SPDX-License-Identifier: GPL-3.0-or-later
"""What proves that the new version serves, what proves that it does not, and what proves nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.tasks import RunningImage, Task
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.verdict import (
    CRASHES,
    MARGIN_SECONDS,
    ROLLOUT_GRACE,
    Album,
    Before,
    Finding,
    Judge,
    Picture,
    Told,
    Wanted,
    Word,
    same_image,
    uptime_seconds,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._health import Expectation

from tests.unit.plugins.scripted import Call, FakeClock, ScriptedTransport, answer, refused

STABLE = 10.0
OLD_IMAGE = RunningImage("lab/api:1", "sha256:1")
NEW_IMAGE = RunningImage("lab/api:2", "sha256:2")
BUILT_BEFORE = RunningImage("shop-api:latest", "sha256:1")
BUILT_NOW = RunningImage("shop-api:latest", "sha256:2")
HELD = Told(True, "passed", version="2")
OTHER = Told(False, "serves version 1 instead of 2", other_release=True, version="1")
DOWN = Told(False, "Connection refused by http://127.0.0.1:3001.")


def task(identity: str, state: str = "running", desired: str = "running", error: str = "") -> Task:
    return Task(identity, "shop-api.1", desired, state, f"{state.title()} 2 seconds ago", error)


def crashed(identity: str) -> Task:
    return task(identity, "failed", "shutdown", "task: non-zero exit (1)")


def container(identity: str, status: str = "Up 5 seconds", state: str = "running") -> Task:
    return Task.from_container(
        {"containerId": identity, "name": f"shop-{identity}-1", "state": state, "status": status}
    )


def picture(*tasks: Task, images: dict[str, RunningImage] | None = None) -> Picture:
    return Picture(tasks, images)


def word(*answers: Any, version: str | None = "2", **conditions: Any) -> Word:
    calls = [Call("GET", "/api/version", item) for item in answers]
    expectation = Expectation.from_option({"version": version, **conditions})
    return Word("http://127.0.0.1:3001", "/api/version", expectation, ScriptedTransport(FakeClock(), *calls), 5)


OLD = Before(frozenset({"old"}), images=frozenset({OLD_IMAGE}))
BUILT = Before(frozenset({"old"}), images=frozenset({BUILT_BEFORE}))


def judged(judge: Judge, looks: Iterable[Picture], told: Told | None = None, step: float = 1.0) -> Finding | None:
    """The first finding; the last look is repeated for longer than it can take."""
    now = 0.0
    last = Picture(None)
    for last in looks:
        if (finding := judge.observe(last, told, now)) is not None:
            return finding
        now += step
    while now < 40:
        if (finding := judge.observe(last, told, now)) is not None:
            return finding
        now += step
    return None


def findings(
    looks: Sequence[Picture], wanted: Wanted, before: Before = OLD, told: Told | None = None, **options: Any
) -> Any:
    return judged(Judge(wanted, before, STABLE, **options), looks, told)


# -- what is true ------------------------------------------------------------------------------------------------


def test_all_tasks_replaced_and_running_for_a_while() -> None:
    judge = Judge(Wanted(2), OLD, STABLE)
    both = picture(task("a"), task("b"))
    assert judge.observe(picture(task("a"), task("old")), None, 0) is None
    assert judge.observe(both, None, 1) is None
    assert judge.observe(both, None, STABLE) is None
    assert judge.observe(both, None, 1 + STABLE) == Finding(True, "its tasks have run for 10 s")


def test_the_window_starts_again_when_anything_changes() -> None:
    judge = Judge(Wanted(1), BUILT, STABLE)
    assert judge.observe(picture(task("a")), None, 0) is None
    changed = picture(task("b"), crashed("a"), images={"b": BUILT_NOW})
    assert judge.observe(changed, None, STABLE) is None
    assert judge.observe(changed, None, 2 * STABLE - 1) is None
    assert judge.observe(changed, None, 2 * STABLE) is not None


def test_an_unknown_number_of_replicas_is_whatever_is_wanted() -> None:
    assert findings([picture(task("a"), task("b"), task("c"))], Wanted(None)).serving
    assert findings([picture(task("a"), task("b", "starting"))], Wanted(None)) is None


def test_a_crash_loop_that_began_before_anybody_looked_is_seen_as_one() -> None:
    """A push had been built before the first look, and each try ends soon after it began."""
    gone = [crashed(f"t{number}") for number in range(12)]
    looks = [picture(task(f"t{number}"), *gone[:number]) for number in range(2, 12)]
    finding = findings(looks, Wanted(1, word=word()), Before(None), told=DOWN)
    assert not finding.serving
    assert "5 tasks of the new version ended (task: non-zero exit (1))" in finding.reason


# -- what swarm takes back ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("told", [None, OTHER, DOWN])
@pytest.mark.parametrize("images", [None, {"old": OLD_IMAGE}])
def test_start_first_the_old_task_survives(told: Told | None, images: dict[str, RunningImage] | None) -> None:
    wanted = Wanted(1, NEW_IMAGE.reference, word=word() if told else None)
    finding = findings([picture(crashed("a"), task("old"), images=images)], wanted, told=told)
    assert not finding.serving
    assert "1 task of the new version ended (task: non-zero exit (1)), and Docker Swarm kept" in finding.reason


def test_the_old_version_comes_back_under_new_ids() -> None:
    looks = [picture(task("b"), crashed("a"), task("old", "shutdown", "shutdown"), images={"b": OLD_IMAGE})]
    by_image = findings(looks, Wanted(1, NEW_IMAGE.reference))
    assert "lab/api:1 runs instead of lab/api:2" in by_image.reason
    by_word = findings(looks, Wanted(1, word=word()), told=OTHER)
    assert not by_word.serving
    unproved = findings(looks, Wanted(1))
    assert not unproved.serving
    assert "not proved" in unproved.reason


@pytest.mark.parametrize(
    ("image", "before", "running", "serving"),
    [
        (NEW_IMAGE.reference, OLD, NEW_IMAGE, True),
        (NEW_IMAGE.reference, OLD, OLD_IMAGE, False),
        (NEW_IMAGE.reference, Before(frozenset({"old"}), images=frozenset({NEW_IMAGE})), NEW_IMAGE, False),
        (None, BUILT, BUILT_NOW, True),
        (None, BUILT, BUILT_BEFORE, False),
        (None, BUILT, RunningImage("shop-api:latest", ""), False),
        (None, Before(frozenset({"old"})), BUILT_NOW, False),
        (None, Before(frozenset({"old"}), ran=False), BUILT_NOW, True),
    ],
)
def test_after_a_crash_only_an_image_that_did_not_run_before_proves_it(
    image: str | None, before: Before, running: RunningImage, serving: bool
) -> None:
    looks = [picture(task("b"), crashed("a"), images={"b": running})]
    assert findings(looks, Wanted(1, image), before).serving is serving


def test_after_a_crash_one_image_that_is_not_known_is_one_too_many() -> None:
    looks = [picture(task("b"), task("c"), crashed("a"), images={"b": BUILT_NOW})]
    assert not findings(looks, Wanted(2), BUILT).serving


def test_after_a_crash_the_word_proves_it_if_it_was_not_true_before() -> None:
    looks = [picture(task("b"), crashed("a"))]
    assert findings(looks, Wanted(1, word=word()), told=HELD).serving
    assert not findings(looks, Wanted(1, word=word()), told=HELD, held_before=True).serving
    only_conditions = word(version=None, all=[{"path": "status", "equals": "ok"}])
    assert not findings(looks, Wanted(1, word=only_conditions), told=Told(True, "passed")).serving


@pytest.mark.parametrize("state", ["failed", "rejected", "complete", "orphaned"])
def test_whatever_ends_is_suspicious(state: str) -> None:
    assert not findings([picture(task("b"), task("a", state, "shutdown"))], Wanted(1)).serving


def test_a_task_that_was_shut_down_later_is_suspicious_too() -> None:
    looks = [picture(), picture(), picture(task("a")), picture(task("b"), task("a", "shutdown", "shutdown"))]
    assert not findings(looks, Wanted(1)).serving


def test_what_an_earlier_deployment_left_was_replaced_and_did_not_fail() -> None:
    looks = [picture(), picture(task("a")), picture(task("b"), task("a", "shutdown", "shutdown"))]
    assert findings(looks, Wanted(1)).serving


def test_a_loop_of_crashes_is_not_waited_for() -> None:
    looks = [picture(task("next", "ready", "ready"), *(crashed(f"a{n}") for n in range(CRASHES)))]
    finding = Judge(Wanted(1), OLD, STABLE).observe(looks[0], None, 0)
    assert finding is not None
    assert "5 tasks of the new version ended" in finding.reason


def test_crashes_of_the_old_version_do_not_count() -> None:
    before = Before(frozenset({"old", "older"}))
    assert findings([picture(task("a"), crashed("old"), crashed("older"))], Wanted(1), before).serving


def test_nothing_is_replaced() -> None:
    judge = Judge(Wanted(1), OLD, STABLE)
    assert judge.observe(picture(task("old")), None, 0) is None
    assert judge.observe(picture(task("old")), None, ROLLOUT_GRACE - 1) is None
    assert judge.doubt == "tasks from before the deployment still run"
    finding = judge.observe(picture(task("old")), None, ROLLOUT_GRACE)
    assert finding is not None
    assert not finding.serving


def test_too_few_run_and_nothing_moves() -> None:
    assert "running tasks: 1 of 2" in findings([picture(task("a"), crashed("b"))], Wanted(2)).reason
    judge = Judge(Wanted(2), OLD, STABLE)
    pending = task("b", "pending", error="no suitable node")
    assert judged(judge, [picture(task("a"), pending)]) is None
    assert judge.doubt == "running tasks: 1 of 2 (no suitable node)"


# -- the application's own word ------------------------------------------------------------------------------------


def test_the_word_must_hold_for_as_long_and_as_often() -> None:
    judge = Judge(Wanted(3, word=word()), OLD, STABLE)
    running = picture(task("a"), task("b"), task("c"))
    for now in range(10):
        assert judge.observe(running, HELD, now) is None
    assert judge.observe(running, OTHER, 10) is None
    for now in range(11, 21):
        assert judge.observe(running, HELD, now) is None
    finding = judge.observe(running, HELD, 21)
    assert finding is not None
    assert finding.serving


def test_few_questions_are_too_few() -> None:
    judge = Judge(Wanted(4, word=word()), OLD, stable_for=0)
    running = picture(*(task(str(n)) for n in range(4)))
    for now in range(7):
        assert judge.observe(running, HELD, now) is None
    assert judge.observe(running, HELD, 7) is not None


def test_rate_limits_and_silence_prove_nothing() -> None:
    judge = Judge(Wanted(1, word=word()), OLD, STABLE)
    assert judged(judge, [picture(task("a"))], Told(None, "rate limited (429)")) is None
    assert judged(Judge(Wanted(1, word=word()), OLD, STABLE), [picture(task("a"))], DOWN) is None


def test_another_release_that_stays_is_certain_but_not_when_it_alternates() -> None:
    running = picture(task("a"))
    finding = findings([running], Wanted(1, word=word()), told=OTHER)
    assert "serves version 1 instead of 2" in finding.reason
    judge = Judge(Wanted(1, word=word()), OLD, STABLE)
    assert all(judge.observe(running, OTHER if now % 2 else HELD, now) is None for now in range(40))


# -- without a look at the tasks -----------------------------------------------------------------------------------


def test_without_docker_only_the_word_counts() -> None:
    blind = [Picture(None)]
    assert "docker:read" in str(findings(blind, Wanted(1)).hint)
    conditions = word(version=None, all=[{"path": "status", "equals": "ok"}])
    assert not findings(blind, Wanted(1, word=conditions), told=Told(True, "passed")).serving
    assert findings(blind, Wanted(1, word=word()), told=HELD).serving
    assert "told the same before" in findings(blind, Wanted(1, word=word()), told=HELD, held_before=True).reason
    assert findings(blind, Wanted(1, word=word()), told=OTHER) is None


def test_what_was_over_before_anybody_looked_needs_a_proof_of_its_own() -> None:
    late = Before(None)
    running = [picture(task("a"), images={"a": NEW_IMAGE})]
    assert "not proved" in findings(running, Wanted(1), late).reason
    assert findings(running, Wanted(1, NEW_IMAGE.reference), late).serving
    assert findings(running, Wanted(1, word=word()), late, HELD).serving


# -- compose -----------------------------------------------------------------------------------------------------


def test_containers_that_all_run() -> None:
    looks = [picture(container("web"), container("job", "Exited (0) 3 seconds ago", "exited"))]
    assert findings(looks, Wanted(None), compose=True).serving


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (container("db", "Exited (1) 2 seconds ago", "exited"), "1 container of the new version ended (exit code 1)"),
        (container("db", "Up 3 seconds (unhealthy)"), None),
        (container("db", "Up 3 seconds (health: starting)"), None),
        (container("db", "Restarting (1) 1 second ago", "restarting"), None),
    ],
)
def test_one_container_that_does_not(other: Task, reason: str | None) -> None:
    judge = Judge(Wanted(None), Before(frozenset()), STABLE, compose=True)
    finding = judged(judge, [picture(container("web"), other)])
    if reason is None:
        assert finding is None
        assert judge.doubt == "running containers: 1"
    else:
        assert finding is not None
        assert reason in finding.reason


def stack_task(identity: str, state: str = "running", error: str = "") -> Task:
    return Task(identity, "shop_web.1", "running" if state == "running" else "shutdown", state, "2 seconds ago", error)


@pytest.mark.parametrize(
    ("image", "told", "serving"),
    [(NEW_IMAGE, None, True), (OLD_IMAGE, None, False), (None, None, False), (OLD_IMAGE, HELD, True)],
)
def test_a_task_of_a_stack_that_failed_and_its_successor(
    image: RunningImage | None, told: Told | None, serving: bool
) -> None:
    failed_one = stack_task("b", "failed", "task: non-zero exit (1)")
    looks = [picture(stack_task("a"), failed_one, images={"a": image} if image else None)]
    wanted = Wanted(None, word=word() if told else None)
    assert findings(looks, wanted, OLD, told, compose=True).serving is serving


def test_a_container_that_had_failed_before_is_of_no_concern() -> None:
    before = Before(frozenset({"job"}), failed=frozenset({"job"}))
    looks = [picture(container("web"), container("job", "Exited (1) 2 days ago", "exited"))]
    assert findings(looks, Wanted(None), before, compose=True).serving


def test_a_container_that_docker_starts_again_and_again() -> None:
    looks = [picture(container("web", f"Up {seconds} seconds")) for _turn in range(CRASHES) for seconds in (1, 2, 3)]
    judge = Judge(Wanted(None), OLD, STABLE, compose=True)
    assert all(judge.observe(look, None, now) is None for now, look in enumerate(looks))
    finding = judge.observe(picture(container("web", "Up 1 second")), None, len(looks))
    assert finding is not None
    assert "started again by Docker" in finding.reason


def test_a_container_that_was_started_again_once_and_then_runs() -> None:
    looks = [picture(container("web", f"Up {seconds} seconds")) for seconds in (4, 1, 2, 3)]
    assert findings(looks, Wanted(None), compose=True).serving


def test_a_task_that_runs_at_each_look_but_is_another_each_time() -> None:
    looks = [picture(task(f"a{n}"), crashed(f"a{n - 1}")) for n in range(1, CRASHES + 1)]
    judge = Judge(Wanted(1), OLD, STABLE)
    assert all(judge.observe(look, None, now) is None for now, look in enumerate(looks[:-1]))
    finding = judge.observe(looks[-1], None, CRASHES)
    assert finding is not None
    assert "5 tasks of the new version ended" in finding.reason


@pytest.mark.parametrize(
    ("status", "seconds"),
    [
        ("Up Less than a second", 0),
        ("Up 1 second", 1),
        ("Up 59 seconds (healthy)", 59),
        ("Up About a minute", 60),
        ("Up 3 minutes", 180),
        ("Up About an hour", 3600),
        ("Up 2 days", 172800),
        ("Exited (0) 2 days ago", None),
        ("", None),
    ],
)
def test_uptime(status: str, seconds: float | None) -> None:
    assert uptime_seconds(status) == seconds


# -- images --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("lab/api:1", "lab/api:1", True),
        ("lab/api:1", "lab/api:2", False),
        ("127.0.0.1:5000/lab/api", "127.0.0.1:5000/lab/api:latest", True),
        ("docker.io/library/nginx:1", "nginx:1", True),
        ("lab/api:1@sha256:aa", "lab/api:1", True),
        ("lab/api:1@sha256:aa", "lab/api:1@sha256:bb", False),
        ("lab/api@sha256:aa", "lab/api:1@sha256:aa", True),
        ("other/api:1", "lab/api:1", False),
    ],
)
def test_the_same_image(one: str, other: str, same: bool) -> None:
    for pair in (one, other), (other, one):
        assert same_image(*pair) is same


# -- before --------------------------------------------------------------------------------------------------------


def album(*pages: tuple[float, Picture, set[str]]) -> Album:
    kept = Album()
    for now, look, finished in pages:
        kept.keep(now, look, frozenset(finished))
    return kept


def test_before_is_the_last_look_with_a_margin_to_the_end_of_the_build() -> None:
    pages = [(float(now), picture(task(f"t{now}"), images={f"t{now}": BUILT_BEFORE}), set[str]()) for now in range(9)]
    pages.append((9.0, picture(task("new")), {"d1"}))
    before = album(*pages).before("d1")
    assert before.ids == {f"t{8 - MARGIN_SECONDS:g}"}
    assert before.images == {BUILT_BEFORE}


def test_before_of_a_short_build_is_the_first_look() -> None:
    kept = album((0, picture(task("t0")), set()), (1, picture(task("t1")), set()), (2, picture(task("t2")), {"d1"}))
    assert kept.before("d1").ids == {"t0"}


def test_before_of_what_leaves_no_record_is_the_last_look() -> None:
    kept = album((0, picture(task("t0")), {"d1"}), (1, picture(task("t1")), {"d1"}))
    assert kept.before(None).ids == {"t1"}


def test_nobody_looked_before() -> None:
    assert album((0, picture(task("t0")), {"d1"})).before("d1") == Before(None)
    assert album((0, Picture(None), set())).before("d1") == Before(None)


def test_whether_anything_ran_before() -> None:
    waiting = picture(task("t", "ready", "ready"))
    kept = album(*((float(now), waiting, set[str]()) for now in range(10)))
    assert kept.before("d1").ran is False
    assert album((0, waiting, set())).before("d1").ran is True
    assert album((0, picture(), set())).before("d1").ran is False
    assert album((0, picture(task("t")), set())).before("d1").ran is True


# -- asking --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "told"),
    [
        (answer({"version": "2"}), HELD),
        (answer({"version": "1"}), OTHER),
        (answer({}, 503), Told(False, "status 503 instead of 200")),
        (answer(None, 429), Told(None, "rate limited (429)")),
        (answer(b"<html>"), Told(False, "the body is not JSON, so that it cannot be judged")),
        (refused(), Told(False, "Connection refused by http://127.0.0.1:3001.")),
    ],
)
def test_what_the_application_tells(response: Any, told: Told) -> None:
    assert word(response).ask() == told


def test_a_condition_that_does_not_hold_is_not_another_release() -> None:
    asked = word(answer({"version": "2", "status": "starting"}), all=[{"path": "status", "equals": "ok"}]).ask()
    assert (asked.held, asked.other_release) == (False, False)
