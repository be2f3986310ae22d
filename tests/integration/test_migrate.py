# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/migrate.yml with the real Prisma: planned, killed, failed, refused, mended. One play follows the other."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.prisma import installed_prisma
from tests.journey import JourneyLab
from tests.kills import kill
from tests.recovery import DATABASE, PLAY_SECONDS, Play

pytestmark = pytest.mark.slow

MIGRATE = "playbooks/migrate.yml"
GOOD, BAD = "20260105090000_add_note", "20260106090000_index_note"
GOOD_SQL = 'ALTER TABLE "users" ADD COLUMN "note" TEXT;\n'
MENDED_SQL = (
    "-- lint: allow require-concurrent-index-creation because the table is small\n"
    'CREATE INDEX "n" ON "users" ("note");\n'
)
BAD_SQL = f'{MENDED_SQL}ALTER TABLE "users" ADD COLUMN "note" TEXT;\n'
GIVEN = {
    "migrate_health_consecutive": 1,
    "migrate_jsonb_schemas": [{"table": "public.behavior_logs", "column": "metadata", "schema": {"type": "object"}}],
}


@dataclass(frozen=True)
class Seen:
    """A play, and what there was after it."""

    text: str
    failed: bool
    changed: int
    migrations: list[str]
    journal: list[dict[str, Any]]
    dumps: set[str]


class MigrateLab(JourneyLab):
    def write(self, name: str, sql: str) -> None:
        folder = Path(self.checkout.folder) / self.description["git"]["prisma_dir"] / "migrations" / name
        folder.mkdir(exist_ok=True)
        (folder / "migration.sql").write_text(sql)

    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted(self.journal_folder.glob("*_migrate.json"))]

    def seen(self, play: Play) -> Seen:
        return Seen(
            " ".join(play.text.split()),
            play.returncode != 0,
            play.recap.get("lab", {}).get("changed", 0),
            self.migrations(),
            self.entries(),
            {path.name for path in Path(self.description["backups"]).glob("*.dump")},
        )

    def migrate(self, *arguments: str, **given: Any) -> Seen:
        return self.seen(self.play(MIGRATE, "-e", json.dumps({**GIVEN, **given}), *arguments))

    def killed_at_work(self, folder: Path) -> Seen:
        """The play dies while Prisma works."""
        begun = folder / "begun"
        hangs = {**GIVEN, "migrate_prisma_cli": ["sh", "-c", f"touch '{begun}'; sleep 600", "prisma"]}
        with self.started(MIGRATE, "-e", json.dumps(hangs)) as running:
            until = time.monotonic() + PLAY_SECONDS
            while not begun.exists() and running.process.poll() is None and time.monotonic() < until:
                time.sleep(0.1)
            assert begun.exists(), running.text()
            kill(running.process.pid, "everything")
        return self.seen(Play(-9, ""))


@dataclass(frozen=True)
class Story:
    before: Seen
    planned: Seen
    killed: Seen
    failed: Seen
    refused: Seen
    mended: Seen
    note: int


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    if installed_prisma() is None:
        pytest.skip("npm cannot install Prisma here: it is not tried")
    folder = tmp_path_factory.mktemp("migrate")
    lab = MigrateLab(folder / "lab")
    try:
        lab.write(GOOD, GOOD_SQL)
        lab.write(BAD, BAD_SQL)
        before = lab.seen(Play(0, ""))
        planned = lab.migrate("--check")
        killed = lab.killed_at_work(folder)
        failed = lab.migrate()
        refused = lab.migrate()
        with lab.server.connect(lab.server.app, DATABASE) as connection:
            connection.execute("UPDATE _prisma_migrations SET rolled_back_at = now() WHERE finished_at IS NULL")
            connection.execute('DROP INDEX IF EXISTS "n"')
        lab.write(BAD, MENDED_SQL)
        mended = lab.migrate()
        with lab.server.connect(database=DATABASE) as connection:
            columns = (
                "SELECT count(*) FROM information_schema.columns WHERE table_name = 'users' AND column_name = 'note'"
            )
            row = connection.execute(columns).fetchone()
        assert row
        yield Story(before, planned, killed, failed, refused, mended, int(str(row[0])))
    finally:
        lab.down()


def test_the_plan_names_what_would_be_applied_and_touches_nothing(story: Story) -> None:
    plan = story.planned
    assert not plan.failed, plan.text
    assert f"to apply {GOOD} {BAD}" in plan.text
    assert f"allowed {BAD}, line 1: require-concurrent-index-creation, because the table is small" in plan.text
    assert "1 column is checked before and after" in plan.text
    assert plan.changed == 1
    assert (plan.migrations, plan.journal, plan.dumps) == (
        story.before.migrations,
        story.before.journal,
        story.before.dumps,
    )


def test_a_killed_one_leaves_its_dump_in_the_journal(story: Story) -> None:
    (entry,) = story.killed.journal
    assert (entry["outcome"], entry["pending"]) == ("under_way", [GOOD, BAD])
    assert Path(entry["dump"]["path"]).name in story.killed.dumps


def test_a_failed_one_says_what_stands_and_names_the_dump(story: Story) -> None:
    failed = story.failed
    assert failed.failed
    assert failed.migrations == [*story.before.migrations, GOOD]
    first, last = failed.journal
    assert (first["outcome"], last["outcome"]) == ("interrupted", "failed")
    assert [each["name"] for each in last["applied"]] == [GOOD]
    assert last["failure"]["sqlstate"] == "42701"
    assert last["dump"]["path"] != first["dump"]["path"]
    for said in (
        "NOT MIGRATED vedfinance on lab",
        f"applied by this run: {GOOD}; failed, and a part of it may be there: {BAD}",
        f"way back {last['dump']['path']} is the dump from before",
        f"-e disaster_recovery_dump={last['dump']['path']}",
        f"run {first['run']} before it did not end well either; its dump is {first['dump']['path']}",
        "who owns this Backend Lead",
        f"--rolled-back {BAD}",
    ):
        assert said in failed.text


def test_the_next_one_refuses_and_names_the_same_dump(story: Story) -> None:
    refused = story.refused
    assert refused.failed
    assert refused.changed == 0
    assert "nothing was touched" in refused.text
    assert "P3009" in refused.text
    assert story.failed.journal[-1]["dump"]["path"] in refused.text
    assert (refused.journal, refused.dumps) == (story.failed.journal, story.failed.dumps)


def test_a_mended_one_is_applied_and_proved(story: Story) -> None:
    mended = story.mended
    assert not mended.failed, mended.text
    assert mended.migrations == [*story.before.migrations, GOOD, BAD]
    assert story.note == 1
    entry = mended.journal[-1]
    assert (entry["outcome"], entry["head_before"], entry["head_after"]) == ("succeeded", GOOD, BAD)
    assert (entry["documents"], entry["healthy"]) == (True, True)
    for said in (f"MIGRATED vedfinance on lab applied {BAD}", "client generated", "API healthy"):
        assert said in mended.text
