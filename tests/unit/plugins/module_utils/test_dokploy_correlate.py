# SPDX-License-Identifier: GPL-3.0-or-later
"""Which record is mine: case by case, and against a little model of Dokploy's queue."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.correlate import (
    AMBIGUOUS,
    GRACE_SECONDS,
    LOST,
    QUEUED,
    STARTED,
    UNSEEN,
    Correlator,
    Sighting,
    same_commit,
    sighting_of_commit,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.deployments import (
    Deployment,
    Job,
    with_token,
)
from hypothesis import given
from hypothesis import strategies as st

MINE = "0123456789abcdef"
OTHER = "fedcba9876543210"
SHA = "6e149ee86aed0f8e4cf29d79b31eb6bbb28b3ee5"
EPOCH = datetime(2026, 11, 22, 2, 0, 0, tzinfo=UTC)


def record(number: int, description: str = "", status: str = "running", title: str = "t") -> Deployment:
    created = (EPOCH + timedelta(seconds=number)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    row = {"deploymentId": f"d{number}", "title": title, "description": description, "status": status}
    return Deployment.from_row({**row, "createdAt": created})


def job(number: int, description: str = "", state: str = "waiting", service: str = "app", begun: int = 0) -> Job:
    data = {"applicationId": service, "titleLog": "t", "descriptionLog": description, "type": "deploy"}
    row: dict[str, Any] = {"id": f"job-{number}", "data": data, "state": state, "timestamp": number}
    if begun:
        row["processedOn"] = (EPOCH + timedelta(seconds=begun)).timestamp() * 1000
    return Job.from_row(row)


def mine(known: tuple[str, ...] = (), keeps_text: bool = False) -> Correlator:
    return Correlator(MINE, "app", known, keeps_text)


MY_TEXT = with_token("release", MINE)
OVERWRITTEN = f"Commit: {SHA}"


def test_the_token_tells_whatever_else_there_is() -> None:
    looks = mine(("d1",))
    records = [record(3, with_token("", OTHER)), record(2, MY_TEXT), record(1, status="done")]
    assert looks.observe(records, [], 0) == Sighting(STARTED, records[1])


def test_what_is_queued_tells_what_is_ahead_of_it() -> None:
    queue = [job(9, MY_TEXT), job(8, service="other"), job(7, state="active")]
    sighting = mine().observe([], queue, 0)
    assert sighting.state == QUEUED
    assert [other.id for other in sighting.ahead] == ["job-7", "job-8"]


def test_the_only_new_one_with_an_overwritten_title_is_mine() -> None:
    looks = mine(("d1",))
    found = looks.observe([record(2, OVERWRITTEN, "done"), record(1, status="done")], [], 0)
    assert found.record is not None
    assert found.record.id == "d2"


def test_what_was_seen_to_be_built_for_another_is_not_mine() -> None:
    looks = mine()
    assert looks.observe([record(2, "theirs")], [job(9, MY_TEXT), job(8, state="active")], 0).state == QUEUED
    assert looks.observe([record(2, OVERWRITTEN, "done")], [], 1).state == UNSEEN
    assert looks.observe([record(2, OVERWRITTEN, "done")], [], 1 + GRACE_SECONDS).state == LOST


@pytest.mark.parametrize(
    "theirs", [record(2, "theirs"), record(2, "theirs", "cancelled"), record(2, with_token("", OTHER), "done")]
)
def test_a_text_that_was_sent_by_another_is_not_mine_even_if_mine_was_never_seen(theirs: Deployment) -> None:
    looks = mine()
    assert looks.observe([theirs], [], 0).state == UNSEEN
    assert looks.observe([theirs], [], GRACE_SECONDS).state == LOST


def test_what_was_there_while_mine_still_waited_is_not_mine() -> None:
    looks = mine()
    built = [record(2, OVERWRITTEN, "done")]
    assert looks.observe(built, [job(9, MY_TEXT)], 0).state == QUEUED
    assert looks.observe(built, [], 1).state == UNSEEN
    assert looks.observe(built, [], 1 + GRACE_SECONDS).state == LOST


def test_when_the_queue_was_cleaned_the_next_record_is_not_mine() -> None:
    looks = mine()
    assert looks.observe([], [job(9, MY_TEXT)], 0).state == QUEUED
    assert looks.observe([record(2, "theirs")], [job(10, "theirs", "active")], 1).state == UNSEEN
    assert looks.observe([record(2, OVERWRITTEN, "done")], [], 2 + GRACE_SECONDS).state == LOST


def test_a_source_that_keeps_its_text_is_only_known_by_the_token() -> None:
    looks = mine(keeps_text=True)
    assert looks.observe([record(2, "", "done")], [], 0).state == UNSEEN
    assert looks.observe([record(2, "", "done")], [], GRACE_SECONDS).state == LOST


def test_behind_n_others_the_next_after_them_is_mine() -> None:
    looks = mine()
    queue = [job(10, "behind"), job(9, MY_TEXT), job(8), job(7, state="active")]
    assert looks.observe([], queue, 0).state == QUEUED
    built = [record(number, OVERWRITTEN, "done") for number in (14, 13, 12, 11)]
    sighting = looks.observe(built, [], 60)
    assert sighting.record == built[1]


def test_the_one_ahead_that_has_its_record_already_is_not_counted() -> None:
    looks = mine()
    running = record(5, "theirs", title="t")
    assert looks.observe([running], [job(9, MY_TEXT), job(8, "theirs", "active")], 0).state == QUEUED
    built = [record(6, OVERWRITTEN, "done"), record(5, OVERWRITTEN, "done")]
    assert looks.observe(built, [], 60).record == built[0]


def test_the_first_since_my_job_began_is_mine() -> None:
    looks = mine()
    assert looks.observe([], [job(9, MY_TEXT, "active", begun=20)], 0).state == QUEUED
    built = [record(number, OVERWRITTEN, "done") for number in (30, 21, 10)]
    assert looks.observe(built, [], 60).record == built[1]


def test_of_several_that_nothing_tells_apart_none_is_taken() -> None:
    looks = mine()
    built = [record(3, OVERWRITTEN, "done"), record(2, OVERWRITTEN, "done")]
    assert looks.observe(built, [], 0).state == UNSEEN
    assert looks.observe(built, [], GRACE_SECONDS) == Sighting(AMBIGUOUS, candidates=tuple(built[::-1]))


def test_without_the_queue_the_only_new_one_is_taken_after_a_while() -> None:
    looks = mine(("d1",))
    built = [record(2, OVERWRITTEN, "done")]
    assert looks.observe([], None, 0).state == UNSEEN
    assert looks.observe(built, None, 1).state == UNSEEN
    assert looks.observe(built, None, GRACE_SECONDS).record == built[0]


def test_without_the_queue_nothing_is_ever_called_lost_and_two_are_not_told_apart() -> None:
    looks = mine()
    assert looks.observe([], None, 0).state == UNSEEN
    assert looks.observe([], None, 1000).state == UNSEEN
    built = [record(3, OVERWRITTEN, "done"), record(2, OVERWRITTEN, "done")]
    assert looks.observe(built, None, 1001).state == AMBIGUOUS


def test_after_a_silence_the_place_in_the_queue_tells_nothing() -> None:
    looks = mine()
    assert looks.observe([], [job(9, MY_TEXT)], 0).state == QUEUED
    looks.interrupted()
    built = [record(2, OVERWRITTEN, "done")]
    assert looks.observe(built, [], 10).state == UNSEEN
    assert looks.observe(built, [], 10 + GRACE_SECONDS).state == AMBIGUOUS


def test_after_a_silence_it_may_still_be_queued_or_lost() -> None:
    looks = mine()
    looks.interrupted()
    assert looks.observe([], [job(9, MY_TEXT)], 0).state == QUEUED
    looks.interrupted()
    assert looks.observe([], [], 10).state == UNSEEN
    assert looks.observe([], [], 10 + GRACE_SECONDS).state == LOST


def test_a_status_that_nobody_knows_is_not_finished() -> None:
    assert not record(1, status="paused").finished
    assert record(1, status="cancelled").finished


# -- of a push ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (SHA, SHA[:7], True),
        (SHA[:8].upper(), SHA, True),
        (SHA, SHA[:6], False),
        (SHA, "6e149ef", False),
        (SHA, None, False),
    ],
)
def test_commits_may_be_abbreviated(one: str | None, other: str | None, same: bool) -> None:
    for pair in (one, other), (other, one):
        assert same_commit(*pair) is same


def test_of_a_commit_the_newest_counts_and_what_is_queued_is_newer() -> None:
    hashed = f"Hash: {SHA}"
    old, new = record(1, OVERWRITTEN, "error"), record(2, OVERWRITTEN, "done")
    assert sighting_of_commit(SHA, [new, old], []) == Sighting(STARTED, new)
    assert sighting_of_commit(SHA, [new, old], None) == Sighting(STARTED, new)
    assert sighting_of_commit(SHA, [new, old], [job(3, hashed)]).state == QUEUED
    building = record(3, hashed)
    assert sighting_of_commit(SHA, [building, new, old], [job(3, hashed, "active")]) == Sighting(STARTED, building)
    assert sighting_of_commit("1234567", [new, old], [job(3, hashed)]) == Sighting(UNSEEN)


# -- a little model of the queue ---------------------------------------------------------------------------------


@dataclass
class Build:
    number: int
    service: str
    description: str
    seconds: int
    begun: int | None = None
    ends: int | None = None
    record: str | None = None


@dataclass
class Model:
    """One build at a time; a record a second after its beginning, and the commit's text a second before its end."""

    overwrites: bool
    now: int = 0
    builds: list[Build] = field(default_factory=list)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    count: Iterator[int] = field(default_factory=itertools.count)

    def add(self, service: str, description: str, seconds: int) -> Build:
        build = Build(next(self.count), service, description, seconds)
        self.builds.append(build)
        return build

    def tick(self) -> None:
        self.now += 1
        if not self.builds:
            return
        build = self.builds[0]
        if build.begun is None:
            build.begun = self.now
        elif build.record is None:
            build.record = f"r{self.now}"
            self.records[build.record] = {
                "deploymentId": build.record,
                "service": build.service,
                "title": "t",
                "description": build.description,
                "status": "running",
                "createdAt": (EPOCH + timedelta(seconds=self.now)).isoformat().replace("+00:00", ".000Z"),
            }
            build.ends = self.now + build.seconds
        elif self.now == build.ends:
            self.records[build.record]["status"] = "done"
        elif build.ends is not None and self.now > build.ends:
            if self.overwrites:
                self.records[build.record]["description"] = OVERWRITTEN
            self.builds.pop(0)

    def restart(self) -> None:
        for row in self.records.values():
            if row["status"] == "running":
                row["status"] = "cancelled"
        self.builds.clear()

    def clean(self) -> None:
        self.builds = [build for build in self.builds if build.begun is not None or build.service != "app"]

    def seen_records(self) -> list[Deployment]:
        rows = [row for row in self.records.values() if row["service"] == "app"]
        return [Deployment.from_row(row) for row in rows[::-1]]

    def seen_queue(self) -> list[Job]:
        return [
            job(
                build.number,
                build.description,
                "waiting" if build.begun is None else "active",
                build.service,
                build.begun or 0,
            )
            for build in self.builds[::-1]
        ]


BUILDS = st.lists(st.tuples(st.sampled_from(["app", "app", "other"]), st.integers(1, 6)), max_size=4)


def enter(model: Model, builds: list[tuple[str, int]]) -> None:
    for service, seconds in builds:
        model.add(service, "theirs", seconds)


def followed(
    model: Model, correlator: Correlator, build: Build, gaps: list[int], torn: list[int], upsets: dict[int, str]
) -> str:
    """Looks until it is certain, after these gaps and at last every second; what it says must be true."""
    for turn in range(200):
        sighting = looked(model, correlator, torn[turn] if turn < len(torn) else 0)
        if sighting.state == STARTED:
            assert sighting.record is not None
            assert sighting.record.id == build.record
            return STARTED
        if sighting.state == LOST:
            assert build not in model.builds
            assert build.record is None
            return LOST
        if sighting.state == AMBIGUOUS:
            return AMBIGUOUS
        for _second in range(gaps[turn] if turn < len(gaps) else 1):
            model.tick()
        upset = upsets.get(turn)
        if upset == "clean":
            model.clean()
        elif upset:
            model.restart()
            correlator.interrupted()
    raise AssertionError("it never became certain")


def looked(model: Model, correlator: Correlator, torn: int) -> Sighting:
    """The queue is read a little later than the records."""
    records = model.seen_records()
    for _second in range(torn):
        model.tick()
    return correlator.observe(records, model.seen_queue(), model.now)


@given(
    before=BUILDS,
    ago=st.integers(0, 20),
    after=BUILDS,
    gaps=st.lists(st.integers(1, 12), max_size=8),
    seconds=st.integers(1, 6),
    overwrites=st.booleans(),
)
def test_with_looks_as_rare_as_you_like_it_is_never_wrong(
    before: list[tuple[str, int]],
    ago: int,
    after: list[tuple[str, int]],
    gaps: list[int],
    seconds: int,
    overwrites: bool,
) -> None:
    model = Model(overwrites)
    enter(model, before)
    for _second in range(ago):
        model.tick()
    correlator = Correlator(MINE, "app", [item.id for item in model.seen_records()], not overwrites)
    build = model.add("app", MY_TEXT, seconds)
    enter(model, after)
    assert followed(model, correlator, build, gaps, [], {}) in (STARTED, AMBIGUOUS)


@given(
    before=BUILDS,
    ago=st.integers(0, 20),
    after=BUILDS,
    torn=st.lists(st.integers(0, 1), max_size=20),
    upsets=st.dictionaries(st.integers(0, 20), st.sampled_from(["clean", "restart"]), max_size=3),
    seconds=st.integers(3, 8),
    overwrites=st.booleans(),
)
def test_with_a_look_every_second_it_is_found_or_lost(
    before: list[tuple[str, int]],
    ago: int,
    after: list[tuple[str, int]],
    torn: list[int],
    upsets: dict[int, str],
    seconds: int,
    overwrites: bool,
) -> None:
    model = Model(overwrites)
    enter(model, [(service, duration + 2) for service, duration in before])
    for _second in range(ago):
        model.tick()
    correlator = Correlator(MINE, "app", [item.id for item in model.seen_records()], not overwrites)
    build = model.add("app", MY_TEXT, seconds)
    enter(model, [(service, duration + 2) for service, duration in after])
    assert followed(model, correlator, build, [], torn, upsets) in (STARTED, LOST)
