# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release decides and says: each step and why it is left out, when it goes back, and what stands in the end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.roles.templated import Templated

COMMIT, OLDER = "4f1c9d2a" * 5, "9ac0d2e4" * 5
INIT, PENDING = "20260101000000_init", "20260301080000_drop_note"
PRISMA = {"deploy_checkout": "/srv/shop", "deploy_prisma_dir": "apps/api/prisma", "deploy_backup_dir": "/b"}
FOUND: dict[str, Any] = {
    "inventory_hostname": "vps",
    "ansible_check_mode": False,
    "deploy_began": "1000.0",
    "deploy_run": "20261123T080000Z",
    "deploy_marks": [["look", 1000.0], ["backend", 1010.0]],
    "deploy_dokploy": {"application": "api"},
    "deploy_lock": {"msg": "Held by ann.", "lock": {"owner": {"user": "ann", "controller": "ops1", "job": ""}}},
    "deploy_api_url": "http://127.0.0.1:3001",
    "deploy_version_path": "/api/version",
    "deploy_dump_dir": "/b",
    "deploy_service": {
        "id": "app",
        "project": "shop",
        "environment": "production",
        "name": "api",
        "source_type": "git",
    },
    "deploy_info": {"rollback_targets": [{"id": "d1", "commit": OLDER, "serving": True, "strategy": "snapshot"}]},
    "deploy_way_back": {"id": "d1", "commit": OLDER, "serving": True, "strategy": "snapshot"},
    "deploy_releases": {"releases": []},
    "deploy_health_before": {"healthy": True},
    "deploy_integrity_before": {"healthy": True},
    "deploy_told_before": {"healthy": True, "body": {"version": "1.4.0", "commit": OLDER}},
    "deploy_plan": {
        "before": {"image": "api:latest", "commit": OLDER},
        "after": {"image": "api:latest", "commit": COMMIT, "version": None},
        "ahead": [],
    },
}
HEAD = {"commit": COMMIT, "subject": "(ved-7) Drop the note", "commits_to_push": [{"commit": COMMIT}]}
SCHEMA = {
    "deploy_head": HEAD,
    "deploy_commit": "HEAD",
    "deploy_code": {"names": [INIT, PENDING], "files": {"migrations": [], "loose": []}},
    "deploy_linted": {
        "msg": "1 pending migration linted: 0 errors and 1 warning.",
        "head": INIT,
        "pending": [PENDING],
        "migrations": [{"name": INIT, "state": "applied"}, {"name": PENDING, "state": "pending"}],
    },
}
PAGES = {
    "deploy_pages": {"project": "web"},
    "deploy_pages_found": {"project": {"canonical": {"id": "p1", "commit": OLDER, "url": "https://p1.pages.dev"}}},
}
DUMPED = {"deploy_backup": {"dump": "/b/shop.dump", "manifest": {"sha256": "00", "bytes": 2048}}}
WISH = {"version": "", "commit": COMMIT, "image": "", "git_ref": ""}
INTERRUPTED: dict[str, Any] = {
    "run": "20261123T070000Z",
    "outcome": "under_way",
    "deployment": None,
    "user": "ann",
    "began": 900.0,
    "asked_for": WISH,
    "before": {"deployment": "d0", "commit": "0" * 40, "image": None, "version": "1.3.0", "migrations": [INIT]},
    "health_before": {"healthy": True, "integrity": True, "reason": ""},
    "dump": {"path": "/b/older.dump", "sha256": "11", "bytes": 1024},
    "pages": None,
}
DEPLOYED = {"deploy_triggered": {"sent": 1, "deployment": {"id": "d2"}, "failed": True}}
PLACE = {"image": None, "commit": OLDER, "deployment": "d1"}
FAILED: dict[str, Any] = {
    **DEPLOYED,
    "deploy_failed_task": "Deploy",
    "deploy_failed_step": "backend",
    "deploy_failure": "it does not serve",
    "deploy_failed_body": {},
    "deploy_standing": {"healthy": True},
    "deploy_told_after": {"healthy": True, "body": {"version": "1.4.0", "commit": OLDER}},
}


def judged(additive: bool) -> dict[str, Any]:
    return {"deploy_compared": {"ahead": [{"name": PENDING, "additive": additive}], "head": PENDING}}


def deploy(**given: Any) -> Templated:
    return Templated("deploy", **{**FOUND, **given})


def off(**given: Any) -> dict[str, str]:
    return {step: why for step, why in deploy(**given).value("deploy_off").items() if why}


# -- which steps there are -----------------------------------------------------------------------------------------


def test_nothing_is_named_and_only_the_backend_is_deployed() -> None:
    assert off() == {
        "gates": "platform_checkout is not set",
        "push": "deploy_push is false",
        "lint": "platform_prisma_dir is not set",
        "dump": "platform_prisma_dir is not set",
        "migrations": "platform_prisma_dir is not set",
        "pages": "platform_pages_project is not set",
    }


def test_everything_is_named_and_nothing_is_left_out() -> None:
    assert off(**PRISMA, **SCHEMA, **PAGES, deploy_push="true") == {}


@pytest.mark.parametrize(
    ("given", "step", "why"),
    [
        ({**PRISMA, **SCHEMA, "deploy_gates": "false"}, "gates", "deploy_gates is false"),
        ({**PRISMA, "deploy_head": HEAD}, "lint", "no commit is named, so its migrations are not known"),
        ({**PRISMA, **SCHEMA, "deploy_commit": OLDER}, "lint", "the checkout is at 4f1c9d2a4f1c, not at the commit"),
        ({**PRISMA, **SCHEMA, "deploy_migrations": "never"}, "migrations", "deploy_migrations is never"),
        ({**PRISMA, **SCHEMA, "deploy_migrations": "never"}, "dump", "deploy_migrations is never"),
        ({**PRISMA, **SCHEMA, "deploy_linted": {"pending": []}}, "dump", "no migration is pending"),
        ({**PRISMA, **SCHEMA, "deploy_dump": "never"}, "dump", "deploy_dump is never"),
        ({**PRISMA, **SCHEMA, "deploy_dump_dir": ""}, "dump", "platform_backup_dir is not set"),
        (PAGES, "pages", "no commit is named"),
    ],
)
def test_why_a_step_is_left_out(given: dict[str, Any], step: str, why: str) -> None:
    assert off(**given)[step] == why


@pytest.mark.parametrize("given", [{"deploy_dump": "always"}, {**PRISMA, "deploy_head": HEAD, "deploy_commit": OLDER}])
def test_the_dump_is_made_when_it_is_wanted_or_nobody_can_tell(given: dict[str, Any]) -> None:
    assert "dump" not in off(**given)


def test_head_is_the_commit_of_the_checkout() -> None:
    role = deploy(**PRISMA, **SCHEMA, deploy_unless_commit="HEAD")
    assert role.value("deploy_wanted") == COMMIT
    options = role.value("deploy_options")
    assert options["commit"] == options["expect_commit"] == options["unless_commit"] == COMMIT
    assert deploy(deploy_head=HEAD, deploy_push="true").value("deploy_wanted") == COMMIT


# -- after an interruption -----------------------------------------------------------------------------------------


def _interrupted(**changed: Any) -> dict[str, Any]:
    return {**PRISMA, **SCHEMA, "deploy_releases": {"releases": [{**INTERRUPTED, **changed}]}}


def test_a_run_that_wants_the_same_takes_over_what_the_dead_one_knew() -> None:
    role = deploy(**_interrupted(), deploy_way_back={"id": "d0"})
    assert role.value("deploy_taken_over")["run"] == INTERRUPTED["run"]
    assert role.value("deploy_from")["deployment"] == "d0"
    assert role.value("deploy_dump_made") == INTERRUPTED["dump"]
    assert role.value("deploy_off")["dump"] == "it was made before the interruption"
    assert role.value("deploy_schema_had") == [INIT]
    # The version that came halfway serves: there is something to go back from.
    assert role.value("deploy_touched") is True


def test_how_well_it_was_before_is_not_asked_of_what_came_halfway() -> None:
    assert deploy(**_interrupted(), deploy_integrity_before={"healthy": False}).value("deploy_was_well") is True


@pytest.mark.parametrize(
    "changed", [{"asked_for": {**INTERRUPTED["asked_for"], "commit": OLDER}}, {"began": -50_000.0}]
)
def test_another_wish_or_an_old_one_is_not_taken_over(changed: dict[str, Any]) -> None:
    role = deploy(**_interrupted(**changed))
    assert role.value("deploy_taken_over") == {}
    assert role.value("deploy_dump_made") == {}
    assert len(role.value("deploy_unfinished")) == 1


# -- whether it goes back ------------------------------------------------------------------------------------------

SICK = {"deploy_triggered": {"sent": 1, "deployment": {"id": "d2"}}, "deploy_integrity": {"healthy": False}}


@pytest.mark.parametrize(
    ("given", "back"),
    [
        ({}, True),
        ({"deploy_auto_rollback": False}, False),
        ({"deploy_way_back": {}}, False),
        ({"deploy_triggered": {"sent": 0, "deployment": None, "failed": True}}, False),
        ({**SICK, "deploy_failed_step": "health"}, True),
        ({**SICK, "deploy_failed_step": "health", "deploy_integrity_before": {"healthy": False}}, False),
        ({"deploy_triggered": {"sent": 1}, "deploy_failed_step": "pages"}, True),
        ({"deploy_triggered": {"sent": 1}, "deploy_failed_step": "health"}, False),
        (judged(additive=True), True),
        (judged(additive=False), False),
        ({**judged(additive=False), **DUMPED}, False),
        ({**judged(additive=False), **DUMPED, "deploy_restore_dump_on_failure": "true"}, True),
        ({**judged(additive=False), "deploy_restore_dump_on_failure": "true"}, False),
        # What cannot be told is not compatible.
        ({"deploy_compared": {"msg": "no answer"}}, False),
        ({"deploy_compared": {"msg": "no answer"}, "deploy_linted": {"pending": []}}, True),
    ],
)
def test_when_it_goes_back(given: dict[str, Any], back: bool) -> None:
    assert deploy(**{**PRISMA, **SCHEMA, **FAILED, **given}).value("deploy_goes_back") is back


# -- what is said --------------------------------------------------------------------------------------------------


def test_the_plan_tells_each_step_in_its_order() -> None:
    given = {**PRISMA, **SCHEMA, **PAGES, "deploy_push": True, "ansible_check_mode": True}
    text = deploy(**given, deploy_migrations="before").text("plan.txt.j2")
    lines = [line[16:].split()[0] for line in text.partition("steps ")[2].splitlines() if line[16:27].strip()]
    assert lines[1:8] == ["lint", "dump", "migrations", "push", "backend", "pages", "health"]
    assert f"apply 1 pending migration: {PENDING}" in text
    assert "1 commit to origin/main" in text
    assert "now deployment p1, commit 9ac0d2e49ac0" in text
    assert "This was a dry run" in text
    assert "lint        off: platform_prisma_dir is not set" in deploy().text("plan.txt.j2")


def test_the_plan_tells_of_an_interrupted_run() -> None:
    text = deploy(**_interrupted()).text("plan.txt.j2")
    assert "run 20261123T070000Z of ann did not end; this run goes on with it, its way back and its dump" in text
    assert "/b/older.dump (1.00 KB), of before the interruption" in text


def test_the_plan_of_what_serves_already_waits_for_nothing() -> None:
    plan = {**FOUND["deploy_plan"], "after": FOUND["deploy_plan"]["before"]}
    text = deploy(deploy_commit=OLDER, deploy_unless_commit=OLDER, deploy_plan=plan).text("plan.txt.j2")
    assert "backend     nothing: the API says that it serves already" in text
    assert "way back" not in text
    text = deploy(deploy_commit=OLDER, deploy_unless_commit="", deploy_plan=plan).text("plan.txt.j2")
    assert "serves already\n" not in text
    assert "way back        to commit 9ac0d2e49ac0" in text


@pytest.mark.parametrize(
    ("before", "way_back"), [([], "rollback.yml\n"), ([OLDER], "previous\n"), ([COMMIT], "rollback.yml\n")]
)
def test_the_way_back_after_the_first_release_is_one_that_does_not_refuse(before: list[str], way_back: str) -> None:
    after = {"image": "api:latest", "commit": COMMIT}
    text = deploy(
        deploy_watched={"sent": 1, "after": after, "deployment": {"id": "d2"}, "verdict": None},
        deploy_releases={"releases": [{"outcome": "succeeded", "commit": one} for one in before]},
        deploy_pages_made={"deployment": {"id": "p2", "url": "https://p2.pages.dev"}},
        deploy_told_after={}, deploy_healthy={"latency_p50_ms": 3},
    ).text("summary.txt.j2")  # fmt: skip
    (line,) = [line + "\n" for line in text.splitlines() if line.startswith("way back")]
    assert line.endswith(way_back)


LISTED: dict[str, Any] = {
    "run": "20261123T070000Z", "outcome": "succeeded", "deployed": True, "commit": COMMIT, "image": "api:latest",
    "version": None, "migration_head": None, "seconds": 9.0, "user": "ann", "subject": None, "deployment": "d2",
    "pages": None, "dump": None, "applied_migrations": [], "message": "it serves",
}  # fmt: skip


def test_the_releases_tell_which_one_serves_and_which_deployed_nothing() -> None:
    again = {**LISTED, "run": "20261123T080000Z", "deployed": False}
    failed = {**LISTED, "run": "20261123T090000Z", "outcome": "failed", "message": "word " * 40}
    found = {"releases": [failed, again, LISTED], "serving": again["run"], "unreadable": []}
    role = deploy(deploy_releases=found, ansible_inventory_sources=["inventory/production"])
    lines = role.text("releases.txt.j2").splitlines()
    assert [line[:16] for line in lines if line.endswith("ann  SERVES NOW")] == [again["run"]]
    assert [line[31:45] for line in lines if line.startswith("20261123")] == [
        "failed        ", "served already", "succeeded     ",
    ]  # fmt: skip
    assert [line for line in lines if line.endswith(" word...")]
    assert lines[-1].startswith("To return to one: ansible-playbook -i inventory/production playbooks/rollback.yml -e")


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"body": {"commit": OLDER}}, "commit 9ac0d2e49ac0, of which the journal has no release"),
        ({"body": "busy"}, "unknown"),
        ({"skipped": True}, "unknown"),
    ],
)
def test_the_releases_tell_when_none_of_them_serves(told: dict[str, Any], said: str) -> None:
    found = {"releases": [LISTED], "serving": None, "unreadable": []}
    text = deploy(deploy_releases=found, deploy_told_now=told, deploy_commit_key="commit").text("releases.txt.j2")
    assert f"serves now        {said}" in text


@pytest.mark.parametrize("role", ["deploy", "rollback"])
def test_what_cannot_begin_tells_the_reason_first_and_the_owner_last(role: str) -> None:
    facts = {
        "inventory_hostname": "vps",
        "ansible_failed_task": {"name": "Look"},
        "ansible_failed_result": {"msg": "No answer. Check the key."},
        "platform_contacts": [{"role": "Backend Lead", "channels": ["dev_api"]}],
    }
    lines = Templated(role, **facts).text("cannot_begin.txt.j2").rstrip().splitlines()
    assert lines[2] == 'what happened  "Look" failed: No answer. Check the key.'
    assert lines[-1] == "who owns this  Backend Lead (dev_api)"
    lines = Templated(role, **facts | {"ansible_failed_result": {}}).text("cannot_begin.txt.j2").splitlines()
    assert lines[2:4] == ['what happened  "Look" failed.', "what to do     Look at the error above."]


def failure(**given: Any) -> str:
    return deploy(**{**FAILED, **given}).text("failure.txt.j2")


def test_a_failure_tells_the_state_of_each_part() -> None:
    text = failure(
        **PRISMA, **SCHEMA, **PAGES, **judged(additive=True), **DUMPED,
        deploy_pushed={"commits": [], "before": OLDER},
        deploy_pages_returned={"changed": True, "note": "The next push deploys again."},
        deploy_returned={"changed": True, "strategy": "snapshot", "to": PLACE},
        platform_contacts=[{"role": "Backend Lead", "events": ["deploy_*"], "channels": ["dev_api"]}],
    )  # fmt: skip
    for told in (
        "rolled back: commit 9ac0d2e49ac0, deployment d1 serves again, by its snapshot",
        f"1 migration applied by this deployment, and left: what served before can live with it ({PENDING})",
        "dump           /b/shop.dump (2.00 KB), of before it",
        "deployment p1, commit 9ac0d2e49ac0, as before; The next push deploys again.",
        "origin/main holds 4f1c9d2a4f1c: revert it, or the next push deploys it again:",
        "ansible localhost -m vedfinance.platform.git_revert",
        '"commits": ["9ac0d2e49ac0..4f1c9d2a4f1c"], "mainline": 1}',
        "backend FAILED; not begun: gates, dump, migrations, pages, health",
        "who owns this  Backend Lead (dev_api)",
        "Users are served by the version from before",
    ):
        assert told in text


def test_a_destroyed_schema_names_the_loss_and_the_way() -> None:
    loss = {"compared_to_live": {"msg": "The recovery would lose 12 rows in 1 table (users -12)."}}
    text = failure(**PRISMA, **SCHEMA, **judged(additive=False), **DUMPED, deploy_loss=loss)
    for told in (
        "the new version was left as it is: what served before cannot live with the schema",
        f"1 migration applied and not undone, of which not additive: {PENDING}",
        "The recovery would lose 12 rows in 1 table (users -12).",
        "playbooks/rollback.yml -e rollback_to=d1 -e rollback_dump=/b/shop.dump",
        "playbooks/disaster_recovery.yml -e disaster_recovery_dump=/b/shop.dump -e disaster_recovery_force=true",
    ):
        assert told in text


def test_the_record_of_a_run_that_has_just_begun_holds_the_way_back() -> None:
    role = deploy(**PRISMA, **SCHEMA, **PAGES, deploy_outcome="under_way", deploy_message="it was begun")
    entry = json.loads(role.text("journal.json.j2"))
    assert (entry["outcome"], entry["ended"], entry["deployed"]) == ("under_way", None, False)
    assert entry["from"]["deployment"] == "d1"
    assert (entry["from"]["pages"]["id"], entry["from"]["migrations"]) == ("p1", [INIT])
    assert (entry["asked_for"]["commit"], entry["release"]["commit"]) == (COMMIT, COMMIT)
    assert entry["release"]["pages"]["previous"] == "p1"
    assert entry["release"]["migrations"] == [INIT, PENDING]
    assert entry["release"]["health_before"] == {"healthy": True, "integrity": True, "reason": ""}


# -- rolling back to a release -------------------------------------------------------------------------------------

TARGET = {"run": "r1", "commit": OLDER, "deployment": "d1", "image": None, "subject": None, "migrations": [INIT]}
ROLLBACK: dict[str, Any] = {
    **{name.replace("deploy_", "rollback_"): value for name, value in (PRISMA | PAGES).items()},
    "inventory_hostname": "vps",
    "rollback_release": "r1",
    "rollback_listed": {"targets": [{"id": "d2", "serving": True}, {"id": "d1", "serving": False}]},
    "rollback_found": {
        "release": {**TARGET, "pages": {"deployment": "p1"}},
        "release_dump": {"path": "/b/shop.dump", "run": "r2"},
    },
}
DROPS = {
    "name": PENDING,
    "additive": False,
    "reason": None,
    "statements": [{"statement": 'ALTER TABLE "users" DROP COLUMN "note"', "additive": False}],
}
LOSS = {
    "compared_to_live": {
        "msg": "The recovery would lose 12 rows in 1 table (users -12).",
        "tables": [{"table": "public.users", "live_rows": 1012, "dump_rows": 1000}],
    }
}


def rollback(**given: Any) -> Templated:
    return Templated("rollback", **{**ROLLBACK, **given})


def test_a_release_is_returned_to_by_its_deployment() -> None:
    role = rollback()
    assert role.value("rollback_options")["to"] == "d1"
    assert role.value("rollback_schema_off") == role.value("rollback_pages_off") == ""


def test_without_dokploys_record_it_is_returned_to_by_its_image_or_commit() -> None:
    assert rollback(rollback_listed={"targets": []}).value("rollback_options")["to"] == OLDER


def test_a_release_that_tells_no_migrations_is_not_compared() -> None:
    found = {"release": {**TARGET, "migrations": [], "pages": None}, "release_dump": None}
    role = rollback(rollback_found=found)
    assert role.value("rollback_schema_off") == "the release does not tell which migrations its code knows"
    assert role.value("rollback_pages_off") == "the release has no frontend"


def test_without_a_release_it_is_the_backend_alone() -> None:
    role = rollback(rollback_release="", rollback_to="api:1.4.0", rollback_found={})
    assert role.value("rollback_options")["to"] == "api:1.4.0"
    assert role.value("rollback_pages_off") == "no release is named"
    assert role.value("rollback_restores") is False


@pytest.mark.parametrize("wanted", [False, True])
def test_the_dump_is_restored_only_where_it_must_be(wanted: bool) -> None:
    destructive = rollback(rollback_restore_dump=wanted, rollback_compared={"ahead": [DROPS]})
    assert destructive.value("rollback_restores") is wanted
    additive = rollback(rollback_restore_dump=wanted, rollback_compared={"ahead": [{**DROPS, "additive": True}]})
    assert additive.value("rollback_restores") is False


def test_a_dump_that_is_named_is_restored_with_any_rollback() -> None:
    role = rollback(rollback_release="", rollback_to="d1", rollback_dump="/b/mine.dump", rollback_found={})
    assert (role.value("rollback_restores"), role.value("rollback_dump_path")) == (True, "/b/mine.dump")


def test_a_refusal_offers_the_dump_and_names_the_loss() -> None:
    text = rollback(rollback_compared={"ahead": [DROPS]}, rollback_loss=LOSS).text("refused.txt.j2")
    for told in (
        f'{PENDING}: ALTER TABLE "users" DROP COLUMN "note"',
        "/b/shop.dump, made by run r2. The recovery would lose 12 rows",
        "public.users: 1012 rows now, 1000 in the dump",
        "playbooks/rollback.yml -e rollback_release=r1 -e rollback_restore_dump=true",
        "playbooks/disaster_recovery.yml -e disaster_recovery_dump=/b/shop.dump",
    ):
        assert told in text


def test_the_plan_of_a_rollback_tells_each_part() -> None:
    role = rollback(
        rollback_release="r1", rollback_git_revert=True, ansible_check_mode=True,
        rollback_compared={"ahead": [{**DROPS, "additive": True}]},
        rollback_lock={"lock": None}, rollback_health_before={"healthy": True},
        rollback_plan={
            "application": {"project": "shop", "environment": "production", "name": "api"}, "from": PLACE, "to": PLACE,
            "strategy": "snapshot", "stored": {}, "sticky": False, "diff": {"before": 1, "after": 2},
        },
        rollback_frontend={"before": {"id": "p2"}, "after": {"id": "p1"}, "note": "The next push deploys again."},
        rollback_reverted={"reverted": [{"subject": "(ved-7) Drop the note"}], "already": []},
    )  # fmt: skip
    text = role.text("plan.txt.j2")
    for told in (
        "release         r1, commit 9ac0d2e49ac0",
        "frontend        back to deployment p1; now p2. The next push deploys again.",
        "git             origin/main: 1 commit would be reverted: (ved-7) Drop the note",
        f"database        stays as it is; 1 newer migration, with which the release can live ({PENDING})",
        "frontend, health, integrity, revert",
    ):
        assert told in text


SERVICE = {"project": "shop", "environment": "production", "name": "api"}
LEADS_BACK = "It does not last: the next deploy of api leads back to its newest version."
DONE: dict[str, Any] = {
    "rollback_began": "1000.0",
    "rollback_run": "20261123T090000Z",
    "rollback_version_path": "",
    "rollback_plan": {
        "application": SERVICE, "from": PLACE, "to": PLACE, "strategy": "snapshot", "stored": {}, "sticky": False,
        "diff": {"before": 1, "after": 1},
    },
    "rollback_done": {
        "changed": False, "application": SERVICE, "from": PLACE, "to": PLACE, "strategy": "snapshot", "sticky": False,
        "environment_changes": None,
        "verdict": None, "waited": 1.0, "warnings": [LEADS_BACK, "One more."],
    },
    "rollback_healthy": {"latency_p50_ms": 3},
    "rollback_frontend": {
        "changed": False, "before": {"id": "p1"}, "after": {"id": "p1", "url": "https://p1.pages.dev"},
        "note": "The next push deploys again.",
    },
    "rollback_lock": {"lock": {"owner": {"user": "ann", "controller": "ops1", "job": ""}}},
    "rollback_health_before": {"healthy": True},
    "ansible_check_mode": False,
    "rollback_git_revert": True,
}  # fmt: skip
PUSHED = {"changed": True, "after": COMMIT, "reverted": [{"subject": "a"}, {"subject": "b"}], "already": []}


def test_a_rollback_that_reverts_tells_what_the_push_has_begun() -> None:
    text = rollback(**DONE, rollback_reverted=PUSHED).text("summary.txt.j2")
    assert text.startswith("REVERTED IN GIT  shop/production/api on vps")
    assert (
        "git         2 commits reverted, main is at 4f1c9d2a4f1c. Dokploy and Pages build that now; to watch it:"
        " ansible-playbook playbooks/deploy.yml -e deploy_commit=4f1c9d2a4f1c\n"
    ) in text
    assert "lasting" not in text
    assert LEADS_BACK not in text
    assert "next push" not in text
    assert "note        One more." in text
    over = {"rollback_outcome": "succeeded", "rollback_message": "it served already"}
    entry = json.loads(rollback(**DONE, **over, rollback_reverted=PUSHED).text("journal.json.j2"))
    assert entry["release"]["revert"] == COMMIT


def test_a_rollback_that_reverts_nothing_new_and_one_that_is_pinned() -> None:
    before = {**PUSHED, "changed": False, "reverted": [], "already": [{"subject": "a"}]}
    text = rollback(**DONE, rollback_reverted=before).text("summary.txt.j2")
    assert text.startswith("SERVES ALREADY")
    assert "git         no commit reverted, 1 before, main is at 4f1c9d2a4f1c.\n" in text
    text = rollback(**DONE, rollback_reverted=PUSHED, rollback_pin=True).text("summary.txt.j2")
    assert "Nothing builds that where auto-deploy is off (rollback_pin)." in text
    assert "lasting     no" in text


def test_a_rollback_without_a_revert_gives_the_command_of_one() -> None:
    text = rollback(**{**DONE, "rollback_git_revert": False}).text("summary.txt.j2")
    assert "playbooks/rollback.yml -e rollback_release=r1 -e rollback_git_revert=true\n" in text
    assert "lasting     no" in text
    assert f"note        {LEADS_BACK}" in text
    assert "are reverted by hand" in rollback(**{**DONE, "rollback_git_revert": False}, rollback_checkout="").text(
        "summary.txt.j2"
    )


def test_the_plan_of_a_rollback_to_what_serves_already_does_nothing() -> None:
    text = rollback(
        **{**DONE, "rollback_lock": {"lock": None}, "ansible_check_mode": True, "rollback_git_revert": False}
    ).text("plan.txt.j2")
    assert "deployment d1: it serves already" in text
    assert "frontend        deployment p1 serves already" in text
    assert "steps           health, integrity\n" in text
