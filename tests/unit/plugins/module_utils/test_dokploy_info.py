# SPDX-License-Identifier: GPL-3.0-or-later
"""What is shown of an application, its deployments and its queue."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import ApplicationQuery
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.info import read_info

from tests.unit.plugins.dokploy_answers import (
    APPLICATION_ID,
    client_for,
    get,
    job,
    no_docker,
    one,
    problem,
    queue,
    records,
    task,
    tasks,
)
from tests.unit.plugins.scripted import Call, FakeClock

VERSION = get("settings.getDokployVersion", "v0.30.2")


def info(*calls: Call, latest: int = 5) -> dict[str, Any]:
    client, transport = client_for(FakeClock(), VERSION, *calls)
    result = read_info(client, ApplicationQuery(application_id=APPLICATION_ID), latest)
    transport.assert_all_made()
    assert "s3cr3t" not in json.dumps(result)
    return result


def test_a_serving_application() -> None:
    result = info(one(), tasks(task("Running")), queue(), records("done", "error", "done"), latest=2)
    assert (result["version"], result["quiesced"], result["replicas_remembered"]) == ("v0.30.2", False, None)
    assert [item["id"] for item in result["deployments"]] == ["d0", "d1"]
    assert (result["queue"], result["building"]) == ([], False)
    assert result["tasks"][0]["state"] == "running"


def test_a_quiesced_application() -> None:
    description = "x [stopped by vedfinance.platform at 2026-11-22T02:00:00Z, replicas before: 2]"
    result = info(one(replicas=0, description=description), tasks(), queue(), records())
    assert (result["quiesced"], result["replicas_remembered"]) == (True, 2)


def test_a_raised_number_is_not_quiesced_any_more() -> None:
    description = "[stopped by vedfinance.platform at 2026-11-22T02:00:00Z, replicas before: 2]"
    assert info(one(replicas=1, description=description), tasks(), queue(), records())["quiesced"] is False


def test_queued_is_building() -> None:
    result = info(one(), tasks(), queue(job("other"), job(state="waiting")), records("done"))
    assert result["queue"] == [{"id": "job-8", "title": "release 2", "type": "deploy", "state": "waiting"}]
    assert result["building"]


def test_a_running_record_is_building() -> None:
    assert info(one(), tasks(), queue(), records("running"))["building"]


def test_what_may_not_be_read_is_null() -> None:
    old = get("deployment.queueList", problem("Not found", "NOT_FOUND", 404, None), 404)
    result = info(one(), no_docker(), old, records("done"))
    assert (result["tasks"], result["queue"], result["building"]) == (None, None, False)


def test_titles_that_hold_secrets_are_masked() -> None:
    rows = [{"deploymentId": "d", "title": "fix PASSWORD=s3cr3t", "status": "done", "errorMessage": "token: s3cr3t"}]
    result = info(one(), tasks(), queue(), get("deployment.all", rows, applicationId=APPLICATION_ID))
    assert result["deployments"][0]["title"] == "fix PASSWORD=***"
