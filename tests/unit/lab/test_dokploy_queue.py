# SPDX-License-Identifier: GPL-3.0-or-later
"""The queue alone: one build at a time, in order, without a trace when lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from lab.dokploy.queue import BuildQueue, Job
from lab.dokploy.tempo import Interrupted
from tests.unit.lab.dokploy_world import until


class Bench:
    """A queue whose builds last until they are let go."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.gate = threading.Semaphore(0)
        self.queue = BuildQueue(self._build)

    def _build(self, job: Job, ended: threading.Event) -> None:
        self.begun.append(job.title)
        if job.title == "broken":
            raise ValueError("a build that breaks")
        while not self.gate.acquire(timeout=0.01):
            if ended.is_set():
                raise Interrupted

    def add(self, *titles: str, application: str = "a") -> None:
        for title in titles:
            self.queue.add(application, title, "", "deploy")

    def began(self, *titles: str) -> None:
        until(lambda: self.begun == list(titles), f"{titles} to begin, not {self.begun}")


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    bench.queue.start()
    yield bench
    bench.queue.stop()


def test_another_application_waits_too(bench: Bench) -> None:
    bench.add("one")
    bench.add("two", application="b")
    bench.began("one")
    assert [(job.title, job.started_ms is None) for job in bench.queue.jobs()] == [("two", True), ("one", False)]
    bench.gate.release()
    bench.began("one", "two")


def test_first_in_first_out_and_gone_when_finished(bench: Bench) -> None:
    bench.add("one", "two", "three")
    for _turn in range(3):
        bench.gate.release()
    bench.began("one", "two", "three")
    until(lambda: bench.queue.jobs() == [], "an empty queue")


def test_clean_drops_what_waits_for_one_application_only(bench: Bench) -> None:
    bench.add("active", "waiting")
    bench.add("foreign", application="b")
    bench.began("active")
    bench.queue.clean("a")
    assert [job.title for job in bench.queue.jobs()] == ["foreign", "active"]


def test_a_stop_breaks_off_the_active_and_loses_the_waiting(bench: Bench) -> None:
    bench.add("active", "waiting")
    bench.began("active")
    bench.queue.stop()
    assert bench.queue.jobs() == []
    bench.queue.start()
    bench.add("later")
    bench.began("active", "later")


def test_a_broken_build_stops_no_later_one(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.add("broken", "next")
    bench.began("broken", "next")
    assert "a build that breaks" in capsys.readouterr().err


def test_rows_are_those_of_dokploy() -> None:
    job = Job(8, "a", "title", "text", "redeploy", 5)
    path = {"href": "/x", "label": "Application"}
    assert job.row(path) == {
        "id": "job-8",
        "name": "deployments",
        "data": {
            "applicationId": "a",
            "titleLog": "title",
            "descriptionLog": "text",
            "type": "redeploy",
            "applicationType": "application",
            "server": False,
        },
        "timestamp": 5,
        "state": "waiting",
        "servicePath": path,
    }
    job.started_ms = 6
    assert (job.row(path)["state"], job.row(path)["processedOn"]) == ("active", 6)
