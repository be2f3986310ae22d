# SPDX-License-Identifier: GPL-3.0-or-later
"""notify_contacts against a real mail server and a web server with Slack's rules, and the role through plays."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._notify import channels
from apprise.plugins.google_chat import NotifyGoogleChat
from apprise.plugins.slack import NotifySlack

from tests.conftest import ROOT
from tests.modules import run_module
from tests.sinks import MailSink, SlackSink

RUN = "20261123T020000Z"
TOKEN = "T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"


@pytest.fixture(scope="session")
def mail_server() -> Iterator[MailSink]:
    sink = MailSink()
    yield sink
    sink.close()


@pytest.fixture(scope="session")
def slack_server() -> Iterator[SlackSink]:
    sink = SlackSink()
    yield sink
    sink.close()


@pytest.fixture
def mail(mail_server: MailSink) -> MailSink:
    mail_server.mails.clear()
    mail_server.refused.clear()
    return mail_server


@pytest.fixture
def slack(slack_server: SlackSink, monkeypatch: pytest.MonkeyPatch) -> SlackSink:
    """Where apprise believes Slack to be."""
    monkeypatch.setattr(NotifySlack, "webhook_url", f"http://{slack_server.address}/services")
    slack_server.payloads.clear()
    slack_server.statuses.clear()
    slack_server.limited = 0
    return slack_server


@pytest.fixture
def tell(tmp_path: Path) -> Any:
    def tell(url: str, event: str = "drill_failed", check: bool = False, **given: Any) -> dict[str, Any]:
        arguments = {
            "event": event,
            "title": "DRILL: shop on vps",
            "body": "What       it fell",
            "host": "vps",
            "database": "shop",
            "run": RUN,
            "contacts": [{"role": "Admin", "owns": "VPS", "events": ["*"], "channels": ["ops"]}],
            "channels": {"ops": url},
            "spool": str(tmp_path / "spool"),
            "retries": 1,
            "retry_wait": 0.05,
            "timeout": 10,
        }
        result = run_module("notify_contacts", {**arguments, **given}, check=check)
        result["spooled"] = [json.loads(Path(path).read_text()) for path in result.get("undelivered", ())]
        return result

    return tell


# --- mail -------------------------------------------------------------------------------------------------------------


def test_a_result_joins_its_start(mail: MailSink, tell: Any) -> None:
    url = mail.url("ops@example.com")
    tell(url, "recovery_started", title="RECOVERY STARTED")
    tell(url, "recovery_succeeded", title="RECOVERY SUCCEEDED – ü")
    tell(url, "recovery_succeeded", title="OTHER", run="20261124T020000Z")
    start, result, other = mail.mails
    assert [one["Subject"] for one in mail.mails] == ["RECOVERY STARTED", "RECOVERY SUCCEEDED – ü", "OTHER"]
    assert start["References"] == result["References"] == result["In-Reply-To"] != other["References"]
    assert len({one["Message-ID"] for one in mail.mails}) == 3
    assert all(len(one.get_all("Message-ID", [])) == 1 for one in mail.mails)
    assert start.get_content_type() == "text/plain"
    assert start.get_content().splitlines() == ["What       it fell", "Owner      Admin (VPS)"]


def test_everyone_of_a_mail_gets_it_and_who_is_refused_does_not_hide(mail: MailSink, tell: Any) -> None:
    assert tell(mail.url("a@example.com", "b@example.com"))["unreached"] == []
    assert sorted(one["To"] for one in mail.mails) == ["a@example.com", "b@example.com"]
    mail.mails.clear()
    mail.refused = {"b@example.com"}
    result = tell(mail.url("a@example.com", "b@example.com"))
    assert result["unreached"] == ["Admin"]
    # A retry leaves out who has it.
    assert [one["To"] for one in mail.mails] == ["a@example.com"]
    # The next run cannot know, and sends to both.
    mail.refused.clear()
    assert tell(mail.url("a@example.com", "b@example.com"), "deploy_started")["resent"] == 1
    assert mail.mails[-1]["Subject"].startswith("LATE, of ")


def test_a_login_that_is_refused_shows_nothing_of_it(mail: MailSink, tell: Any) -> None:
    result = tell(mail.url("ops@example.com", login="robot:p4ssw0rd@"))
    assert result["deliveries"][0]["state"] == "failed"
    assert result["spooled"]
    for secret in ("p4ssw0rd", "robot", "127.0.0.1", "ops@example.com"):
        assert secret not in json.dumps(result)


def test_a_server_that_never_answers_holds_nobody_up(tell: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        result = tell(f"mailto://{address}?from=a@example.com&to=b@example.com", retries=0, timeout=0.5)
    assert result["deliveries"][0]["state"] == "failed"
    assert "127.0.0.1" not in json.dumps(result)


# --- Slack ------------------------------------------------------------------------------------------------------------


def text_of(payload: dict[str, Any]) -> str:
    return str(payload["attachments"][0]["text"])


def test_slack_gets_title_colour_and_the_run(slack: SlackSink, tell: Any) -> None:
    result = tell(f"slack://{TOKEN}/#ops")
    (payload,) = slack.payloads
    assert payload["channel"] == "#ops"
    assert payload["attachments"][0]["title"] == f"DRILL: shop on vps [{RUN}]"
    assert text_of(payload) == "What       it fell\nOwner      Admin (VPS)"
    assert result["deliveries"][0]["address"] == "slack://*** (Admin)"
    assert TOKEN.split("/")[2] not in json.dumps(result)
    tell(f"slack://{TOKEN}/#ops", "drill_proved")
    assert slack.payloads[1]["attachments"][0]["color"] != payload["attachments"][0]["color"]


def test_what_is_too_long_is_cut_and_counted(slack: SlackSink, tell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    details = "\n".join(f"{number}: {'x' * 50}" for number in range(1000))
    result = tell(f"slack://{TOKEN}", details=details, report="/report.html")
    text = text_of(slack.payloads[0])
    assert text.endswith(f"… {result['deliveries'][0]['cut_lines']} more lines, see /report.html")
    assert 30_000 < len(text) <= 35_000
    # What would have happened otherwise.
    monkeypatch.setattr(NotifySlack, "body_maxlen", 1_000_000)
    assert tell(f"slack://{TOKEN}", details=details)["deliveries"][0]["state"] == "failed"
    assert tell(f"slack://{TOKEN}", details=details * 3)["deliveries"][0]["state"] == "failed"
    assert slack.statuses == [200, 400, 400, 413, 413]


def test_a_rate_limit_is_waited_out_or_left_to_the_next_run(slack: SlackSink, tell: Any) -> None:
    slack.limited = 1
    assert tell(f"slack://{TOKEN}", run="1")["undelivered"] == []
    slack.limited = 2
    result = tell(f"slack://{TOKEN}", run="2")
    assert "429" in result["spooled"][0]["reason"]
    assert "NOT told Admin (ops): Failed to send to Slack" in result["msg"]
    assert tell(f"slack://{TOKEN}", run="3")["resent"] == 1
    assert slack.statuses == [429, 200, 429, 429, 200, 200]


def test_a_payload_that_slack_does_not_know_is_undelivered(slack: SlackSink, tell: Any) -> None:
    result = tell(f"form://{slack.address}/services/x", retries=0)
    assert slack.statuses == [400]
    assert result["deliveries"][0]["state"] == "failed"


def test_google_chat_joins_by_key(slack: SlackSink, tell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NotifyGoogleChat, "notify_url", f"http://{slack.address}/{{workspace}}")
    for event in ("deploy_started", "deploy_failed"):
        tell("gchat://workspace/webhookkey/webhooktoken", event)
    assert [payload["thread"] for payload in slack.payloads] == [{"thread_key": f"{RUN}.vps"}] * 2


# --- what cannot be sent ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["nosuch://s3cr3t", "s3cr3t", "slack://s3cr3t"])
@pytest.mark.parametrize("check", [False, True])
def test_an_address_that_makes_no_sense(tell: Any, url: str, check: bool) -> None:
    result = tell(url, check=check)
    assert "makes nothing of the address of channel ops" in result["msg"]
    assert "s3cr3t" not in json.dumps(result)
    assert len(result["spooled"]) == (0 if check else 1)


def test_without_apprise_messages_wait(tell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "HAS_APPRISE", False)
    result = tell(f"slack://{TOKEN}")
    assert "apprise is not installed" in result["msg"]
    assert len(result["spooled"]) == 1
    failed = tell(f"slack://{TOKEN}", required=True)
    assert failed["failed"]
    assert failed["unreached"] == ["Admin"]


def test_a_dry_run_sends_nothing(mail: MailSink, tell: Any, tmp_path: Path) -> None:
    result = tell(mail.url("ops@example.com"), check=True)
    assert result["msg"] == "Would tell Admin (ops)."
    assert (mail.mails, (tmp_path / "spool").exists()) == ([], False)


def test_an_address_among_the_contacts_is_refused_unseen(tell: Any) -> None:
    result = tell("", contacts=[{"role": "Admin", "channels": ["slack://s3cr3t/x"]}])
    assert result["failed"]
    assert "is an address, which is a secret" in result["msg"]
    assert "s3cr3t" not in json.dumps(result)


# --- plays ------------------------------------------------------------------------------------------------------------

PLAY = """
- name: What a role says
  hosts: vps
  gather_facts: false
  tasks:
    - name: Tell
      ansible.builtin.include_role:
        name: vedfinance.platform.notify
      vars:
        notify_event:
          event: "{{ item }}"
          title: the password=s3cr3t was seen
          body: "detail 1\\ndetail 2"
          host: vps
          run: 20261123T020000Z
          facts: {database: shop, rpo_seconds: 5400, rows: 120000, dump: shop.dump}
          report: /var/reports/index.html
      loop: [drill_failed, drill_proved]
    - name: See that the play goes on
      ansible.builtin.debug:
        msg: "it went on: {{ notify_said }}"
    - name: Stop where somebody must be told
      block:
        - name: Tell nobody
          ansible.builtin.include_role:
            name: vedfinance.platform.notify
          vars:
            notify_event: {event: breach, run: 20261123T020000Z}
            notify_contacts: [{role: Careless, channels: ["slack://c4reless/x/y"]}]
            notify_required: true
      rescue:
        - name: See that it stopped
          ansible.builtin.debug:
            msg: "it stopped: {{ ansible_failed_result.msg }}"
"""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, mail_server: MailSink) -> tuple[str, list[EmailMessage]]:
    """What the role and the contact list say, in one run; and the mails, in their order."""
    folder = tmp_path_factory.mktemp("plays")
    (folder / "play.yml").write_text(PLAY)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = f"127.0.0.1:{listener.getsockname()[1]}"
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "platform_postgres_password": "hunter22",
        "platform_notify_spool": str(folder / "spool"),
        "notify_retries": 0,
        "platform_contacts": [
            {"role": "Admin", "owns": "VPS", "channels": ["ops"], "escalation": "Chief"},
            {"role": "Backend", "events": ["drill_failed"], "channels": ["dev"], "escalation": "Chief"},
            {"role": "Chief", "events": ["breach"], "channels": ["chief"]},
        ],
        "platform_channels": {
            "ops": mail_server.url("ops@example.com"),
            "dev": f"json://robot:p4ssw0rd@{closed}/hook",
            "chief": mail_server.url("chief@example.com"),
        },
    }
    (folder / "inventory.json").write_text(json.dumps({"platform": {"hosts": {"vps": variables}}}))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder / "home"),
    }
    mail_server.mails.clear()
    command = [sys.executable, "-m", "ansible", "playbook", "-vvv", "--tags", "all,test"]
    command += ["-i", str(folder / "inventory.json"), str(folder / "play.yml"), "playbooks/contacts.yml"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(
        secret not in done.stdout + done.stderr for secret in ("p4ssw0rd", "hunter22", "c4reless", mail_server.address)
    )
    # Ansible breaks long lines.
    return " ".join(done.stdout.split()), list(mail_server.mails)


def test_a_play_goes_on_whatever_becomes_of_its_messages(played: tuple[str, list[EmailMessage]]) -> None:
    said, mails = played
    assert "it went on: " in said
    assert "NOT told Backend (dev)" in said
    assert "it stopped: NOT told: A channel in platform_contacts is an address, which is a secret." in said
    # The invocation of the module, which -vvv shows, is masked too.
    assert "password=s3cr3t" not in said
    assert [(one["To"], one["Subject"]) for one in mails[:4]] == [
        ("ops@example.com", "DRILL FAILED: shop on vps"),
        ("chief@example.com", "DRILL FAILED: shop on vps"),
        ("ops@example.com", "RECOVERED: DRILL PROVED: shop on vps"),
        # Who heard of the failure for someone else hears of its end for him.
        ("chief@example.com", "RECOVERED: DRILL PROVED: shop on vps"),
    ]
    assert mails[0].get_content().splitlines() == [
        "What       the password=*** was seen",
        "Dump       shop.dump",
        "Now        Live is untouched. It is not proved that the newest dump can be restored.",
        "To do      Read the reason, make a new dump with playbooks/backup.yml, then run playbooks/verify_backup.yml.",
        "Figures    RPO 1 h 30 min, 120,000 rows",
        "Run        20261123T020000Z",
        "Owner      Backend",
        "Also told  Admin",
        "Report     /var/reports/index.html",
        "",
        "detail 1",
        "detail 2",
    ]
    assert "You are told because Backend could not be reached." in mails[1].get_content()
    assert "detail 1" not in mails[2].get_content()


def test_the_contact_list_and_its_test(played: tuple[str, list[EmailMessage]]) -> None:
    said, mails = played
    assert "Admin: VPS" in said
    assert "escalates to Chief when unreached" in said
    # Nobody heard on Backend's own channel, but somebody did: the test does not fail.
    assert [(one["To"], one["Subject"]) for one in mails[4:]] == [
        ("ops@example.com", "TEST: vps"),
        ("chief@example.com", "TEST: vps"),
    ]
