# SPDX-License-Identifier: GPL-3.0-or-later
"""From the options to told contacts, with channels that say what they got, and a spool that outlives the run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._notify import announce as announcing
from ansible_collections.vedfinance.platform.plugins.module_utils._notify.announce import announce, announcement_from
from ansible_collections.vedfinance.platform.plugins.module_utils._notify.channels import (
    Sending,
    parts_of,
    shown_address,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._notify.message import Limits, Message
from ansible_collections.vedfinance.platform.plugins.module_utils._notify.spool import Spool

from tests.unit.plugins.scripted import FakeClock

DAY = 86400
CONTACTS = [
    {"role": "Admin", "owns": "VPS", "events": ["*"], "channels": ["ops"], "escalation": "Backend"},
    {"role": "Backend", "owns": "API", "events": ["drill_failed"], "channels": ["dev"], "escalation": "Admin"},
]
CHANNELS = {"ops": "slack://TOKEN-OPS/x", "dev": "slack://TOKEN-DEV/x"}


class Services:
    """Channels by name: what each got, and which are down."""

    def __init__(self) -> None:
        self.got: list[tuple[str, Message]] = []
        self.down: set[str] = set()

    def open(self, name: str, url: str, _sending: Sending) -> Any:
        if url == "nonsense":
            raise PlatformError(f"Nothing can be made of {name}.")
        services = self

        class Channel:
            limits = Limits(threads=True)

            def send(self, message: Message) -> str | None:
                if name in services.down:
                    return "it is down"
                services.got.append((name, message))
                return None

        return Channel()

    def titles(self) -> list[tuple[str, str]]:
        found = [(name, message.title) for name, message in self.got]
        self.got.clear()
        return found


class World:
    def __init__(self, spool: Path) -> None:
        self.services, self.clock, self.spool = Services(), FakeClock(), spool

    def tell(self, event: str = "drill_failed", dry: bool = False, **given: Any) -> dict[str, Any]:
        params = {
            "event": event, "title": "It fell", "body": "", "details": "", "severity": None, "host": "vps",
            "database": "shop", "run": f"run{self.clock.seconds:.0f}", "thread": None, "report": "",
            "contacts": CONTACTS, "channels": CHANNELS, "secrets": [], "spool": str(self.spool),
            "spool_max_age": "7d", "timeout": 1.0, "retries": 0, "retry_wait": 0.0, "required": False, **given,
        }  # fmt: skip
        return announce(announcement_from(params), self.clock, dry, self.services.open)

    def spooled(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted(self.spool.glob("[!.]*.json"))]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "spool")


def test_everyone_is_told_once(world: World) -> None:
    result = world.tell()
    assert world.services.titles() == [("ops", "It fell"), ("dev", "It fell")]
    assert result["msg"] == "Told Admin (ops), Backend (dev)."
    assert (result["changed"], result["severity"], result["undelivered"]) == (True, "failure", [])
    assert result["deliveries"][0]["address"] == "slack://*** (Admin)"


def test_a_success_that_ends_failures_is_told_to_who_heard_of_them(world: World) -> None:
    world.tell()
    world.clock.sleep(DAY)
    world.tell()
    world.services.titles()
    result = world.tell("drill_proved")
    assert (result["recovered"], result["failures_before"]) == (True, 2)
    assert world.services.got[0][1].body.startswith("Before     It had failed 2 times since ")
    assert world.services.titles() == [("ops", "RECOVERED: It fell"), ("dev", "RECOVERED: It fell")]
    again = world.tell("drill_proved")
    assert (again["recovered"], again["recipients"]) == (False, ["Admin"])


def test_what_nobody_took_is_kept_and_sent_by_the_next_run(world: World) -> None:
    world.services.down = {"dev"}
    first = world.tell()
    assert first["msg"] == "Told Admin (ops). NOT told Backend (dev): it is down. 1 kept to be sent by the next run."
    assert first["unreached"] == []
    (kept,) = world.spooled()
    assert (kept["channel"], kept["attempts"], kept["reason"]) == ("dev", 1, "it is down")
    assert os.stat(first["undelivered"][0]).st_mode & 0o777 == 0o600
    assert os.stat(world.spool).st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in world.spool.iterdir())

    world.services.titles()
    world.clock.sleep(DAY)
    second = world.tell("backup_succeeded")
    # Still down, and tried again, once; the message of now is not held up by it.
    assert (second["resent"], second["waiting"], world.spooled()[0]["attempts"]) == (0, 1, 2)
    world.services.down = set()
    world.services.titles()
    third = world.tell("backup_succeeded")
    assert world.services.titles() == [("ops", "It fell"), ("dev", f"LATE, of {kept['at']}: It fell")]
    assert (third["resent"], third["waiting"], world.spooled()) == (1, 0, [])


def test_a_channel_that_is_down_is_tried_once_in_a_run(world: World) -> None:
    world.services.down = {"dev"}
    world.tell()
    world.clock.sleep(60)
    world.tell()
    assert [kept["attempts"] for kept in world.spooled()] == [1, 1]


def test_only_so_many_are_sent_again_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcing, "RESENT_AT_ONCE", 2)
    world.services.down = {"dev"}
    for _night in range(3):
        world.tell()
        world.clock.sleep(60)
    world.services.down = set()
    world.services.titles()
    assert world.tell("backup_succeeded")["resent"] == 2
    late = [message.title for name, message in world.services.got if name == "dev"]
    assert late == sorted(late), "oldest first"
    assert world.tell("backup_succeeded")["resent"] == 1


def test_what_is_too_old_is_given_up_and_said(world: World) -> None:
    world.services.down = {"dev"}
    world.tell()
    world.clock.sleep(8 * DAY)
    result = world.tell("backup_succeeded")
    assert (result["aged_out"], world.spooled()) == (1, [])
    assert any(problem.startswith("Given up after 1 attempts: It fell") for problem in result["problems"])


def test_who_is_unreached_escalates(world: World) -> None:
    world.services.down = {"ops"}
    result = world.tell("backup_failed")
    ((name, message),) = world.services.got
    assert name == "dev"
    assert message.body.startswith("Escalated  You are told because Admin could not be reached.")
    assert (result["recipients"], result["unreached"]) == (["Admin", "Backend"], [])


def test_nobody_heard(world: World) -> None:
    world.services.down = {"ops", "dev"}
    assert world.tell("backup_failed")["msg"].endswith("NOBODY HEARD for Admin, Backend.")
    with pytest.raises(PlatformError) as failure:
        world.tell("backup_failed", required=True)
    assert failure.value.details["unreached"] == ["Admin", "Backend"]
    with pytest.raises(PlatformError, match="no contact asks for it"):
        world.tell("backup_succeeded", required=True, contacts=CONTACTS[1:])


def test_dry(world: World) -> None:
    world.spool.mkdir()
    result = world.tell(dry=True, channels={**CHANNELS, "dev": "nonsense"})
    assert result["msg"] == "Would tell Admin (ops). Cannot tell Backend (dev): Nothing can be made of dev."
    assert (world.services.got, list(world.spool.iterdir())) == ([], [])


def test_silenced_and_unknown_channels_keep_nothing(world: World) -> None:
    result = world.tell(channels={"ops": ""})
    assert [row["state"] for row in result["deliveries"]] == ["silenced", "failed"]
    assert result["problems"][0] == "Backend: there is no channel dev. Known: ops."
    assert world.spooled() == []


def test_without_a_spool_people_are_told_all_the_same(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = world.tell(spool=str(tmp_path / "file" / "spool"))
    assert result["msg"] == "Told Admin (ops), Backend (dev)."
    assert "cannot be used" in result["problems"][0]


def test_a_file_that_is_no_message_harms_nobody(world: World) -> None:
    world.spool.mkdir()
    (world.spool / "broken.json").write_text("{")
    (world.spool / ".failing.json").write_text("[]")
    assert world.tell()["problems"] == [f"{world.spool}/broken.json is no message: JSONDecodeError."]


def test_two_runs_at_once_send_a_kept_message_once(world: World) -> None:
    world.services.down = {"dev"}
    world.tell()
    world.services.down = set()
    with Spool(str(world.spool)).locked("resending"):
        result = world.tell("backup_succeeded")
    assert (result["resent"], result["waiting"]) == (0, 1)


def test_secrets_are_masked_everywhere(world: World) -> None:
    world.services.down = {"dev"}
    result = world.tell(
        title="password=hunter22",
        body="key s3cr3t",
        details="at slack://TOKEN-OPS/x",
        report="/s3cr3t",
        secrets=["s3cr3t"],
    )
    everything = json.dumps([result, world.spooled(), [vars(message) for _name, message in world.services.got]])
    assert "***" in everything
    for secret in ("hunter22", "s3cr3t", "TOKEN"):
        assert secret not in everything


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("slack://T1/B2/C3", "slack://***"),
        ("MAILTOS://user:pw@example.com", "mailtos://***"),
        ("https://hooks.slack.com/services/T/B/C", "https://***"),
        ("T1/B2/C3", "***"),
        ("", "***"),
    ],
)
def test_of_an_address_only_the_scheme_is_shown(url: str, shown: str) -> None:
    assert shown_address(url) == shown


def test_every_part_of_an_address_is_known_as_secret() -> None:
    parts = list(parts_of("mailtos://user:p%40ss@mail.example.com:587/to@example.com?from=me@example.com&x=on"))
    assert {"user", "p@ss", "p%40ss", "mail.example.com", "to@example.com", "me@example.com"} <= set(parts)
    assert "on" not in parts
