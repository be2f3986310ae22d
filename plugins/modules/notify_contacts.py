#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: notify_contacts
short_description: Tell those whom an event concerns
version_added: 0.1.0
author:
  - The V-EdFinance platform team (@vedfinance)
description:
  - Finds out of O(contacts) whom O(event) concerns, and tells each of them on each of his channels. When none of them
    takes the message, the one to whom he escalates is told, and so on.
  - A message that a channel does not take is kept in O(spool) and sent by a later run. By default that is no failure
    of this module; it stands in RV(msg), and Ansible shows RV(problems) as warnings.
  - A success that ends failures of the same kind, host and database is told as a recovery, to those as well who asked
    only for the failures.
  - The addresses of channels are secrets. Nothing that this module returns, writes or logs holds any part of one but
    its scheme.
  - It runs where the messages are sent from, usually on the controller (C(delegate_to=localhost)).
requirements:
  - apprise >= 2.2, where the module runs. Without it every message waits in O(spool).
extends_documentation_fragment:
  - vedfinance.platform.attributes
attributes:
  check_mode:
    support: full
    details:
      - Says who would be told, having tried whether apprise understands each address. Nothing is sent or written.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Each call tells people again.
options:
  event:
    description:
      - What happened. V(test) concerns every contact.
    type: str
    required: true
    choices:
      - backup_succeeded
      - backup_failed
      - drill_proved
      - drill_failed
      - drill_missed
      - recovery_started
      - recovery_succeeded
      - recovery_failed
      - deploy_started
      - deploy_succeeded
      - deploy_failed
      - rollback_succeeded
      - rollback_failed
      - migrate_succeeded
      - migrate_failed
      - breach
      - test
  title:
    description: What happened in one line. Where there is no room it is cut, and ends with C(…).
    type: str
    required: true
  body:
    description: What a person must know of it, in a few lines of plain text.
    type: str
    default: ""
  details:
    description: What stands below, and is cut away first where there is no room. The message says how many lines are
      missing.
    type: str
    default: ""
  severity:
    description: How bad it is, which channels show as a colour. By default that of O(event).
    type: str
    choices: [info, success, warning, failure]
  host:
    description: The host that it is about.
    type: str
    required: true
  database:
    description: The database that it is about, if there is one.
    type: str
    default: ""
  run:
    description: The run that it belongs to. It stands in the title, on channels that cannot join messages.
    type: str
    required: true
  thread:
    description:
      - Joins messages of the same host, such as a start and its result. By default O(run).
      - E-mail (C(References)) and Google Chat (thread key) can do that. Others, Slack among them, would need the answer
        to the first message, which apprise does not give.
    type: str
  report:
    description: Path or address of the whole story.
    type: str
    default: ""
  contacts:
    description: Who is told of what.
    type: list
    elements: dict
    required: true
    suboptions:
      role:
        description: The role, as the runbook calls it.
        type: str
        required: true
      owns:
        description: What the role is responsible for.
        type: str
        default: ""
      events:
        description: Names of events, or shell patterns such as V(backup_*).
        type: list
        elements: str
        default: ["*"]
      channels:
        description: Names of O(channels); the role is told on each.
        type: list
        elements: str
        default: []
      escalation:
        description: The role that is told when none of the channels takes the message.
        type: str
        default: ""
      escalate_after:
        description:
          - The role of O(contacts[].escalation) is told as well of a failure, once its kind has been failing for this
            long, as in V(2d).
          - That is looked at when the next failure is told; nothing runs in between.
        type: str
        default: ""
  channels:
    description:
      - Addresses of channels by name, as apprise understands them (U(https://appriseit.com/services/)).
      - A channel whose address is empty is silenced on purpose. Nothing is sent and nothing is kept.
    type: dict
    default: {}
  secrets:
    description: What must not be told, whatever the texts say. What looks like a secret is masked anyway.
    type: list
    elements: str
    default: []
  spool:
    description: A folder of the user that runs the module, for undelivered messages and for what is failing. It is made
      when it is missing, for that user alone.
    type: path
    required: true
  spool_max_age:
    description: After how long an undelivered message is given up, as in V(7d).
    type: str
    default: 7d
  timeout:
    description: How many seconds a channel is given for one message, with all attempts.
    type: float
    default: 30
  retries:
    description: How often a message is sent again that a channel did not take.
    type: int
    default: 2
  retry_wait:
    description: How many seconds lie between two attempts, and at most between two messages on one channel. A
      C(Retry-After) of the service is not seen by apprise.
    type: float
    default: 2
  required:
    description: Fail when nobody is told, or when someone and all those above him could not be reached.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Tell those who own the backups
  vedfinance.platform.notify_contacts:
    event: backup_failed
    title: "BACKUP FAILED: vedfinance on vps"
    body: The disk is full. The newest good dump is of yesterday.
    host: vps
    database: vedfinance
    run: 20261123T020000Z
    contacts:
      - role: System Admin
        owns: VPS and Dokploy infrastructure
        events: [backup_*, drill_*]
        channels: [ops, ops_mail]
        escalation: Backend Lead
        escalate_after: 2d
      - role: Backend Lead
        owns: API and database integrity
        events: [drill_failed, recovery_*]
        channels: [dev_api]
    channels:
      ops: "slack://{{ vault_slack_token }}/#ops"
      ops_mail: "mailtos://{{ vault_smtp_user }}:{{ vault_smtp_password }}@example.com?to=ops@example.com"
      dev_api: "slack://{{ vault_slack_token }}/#dev-api"
    spool: ~/.local/state/vedfinance/notify
  delegate_to: localhost
"""

RETURN = r"""
msg:
  description: Who was told and who was not, in one line.
  type: str
  returned: always
  sample: Told System Admin (ops).
title:
  description: The title, without secrets.
  type: str
  returned: when the options are right
  sample: "BACKUP FAILED: vedfinance on vps"
event:
  description: What happened.
  type: str
  returned: when the options are right
  sample: backup_failed
severity:
  description: How bad it is.
  type: str
  returned: when the options are right
  sample: failure
recovered:
  description: Whether a success ended failures.
  type: bool
  returned: when the options are right
  sample: false
failures_before:
  description: How many failures of the same kind, host and database stood before this event.
  type: int
  returned: when the options are right
  sample: 0
recipients:
  description: The roles that it concerned, and those to whom it was escalated.
  type: list
  elements: str
  returned: when the options are right
  sample: [System Admin]
unreached:
  description: The roles of those that heard nothing, and neither did anyone above them.
  type: list
  elements: str
  returned: when the options are right
  sample: []
deliveries:
  description: What became of each message.
  type: list
  elements: dict
  returned: when the options are right
  contains:
    contact:
      description: The role.
      type: str
    channel:
      description: The channel's name.
      type: str
    address:
      description: The scheme of its address, and whose it is.
      type: str
    state:
      description: V(delivered), V(failed), V(silenced), or V(planned) in check mode.
      type: str
    reason:
      description: Why it was not delivered, null when it was.
      type: str
    because:
      description: Why a role is told of what is not its own, null when it is.
      type: str
    cut_lines:
      description: How many lines had no room.
      type: int
  sample:
    - contact: System Admin
      channel: ops
      address: slack://*** (System Admin)
      state: delivered
      reason: null
      because: null
      cut_lines: 0
undelivered:
  description: Files of the messages that this run could not deliver.
  type: list
  elements: str
  returned: when the options are right
  sample: []
resent:
  description: How many messages of earlier runs were delivered now.
  type: int
  returned: when the options are right
  sample: 0
aged_out:
  description: How many messages of earlier runs were given up.
  type: int
  returned: when the options are right
  sample: 0
waiting:
  description: How many messages wait in the spool now.
  type: int
  returned: when the options are right
  sample: 0
problems:
  description: What is wrong with the contacts, the channels or the spool. Shown as warnings.
  type: list
  elements: str
  returned: when the options are right
  sample: ["Frontend Lead has no channel."]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vedfinance.platform.plugins.module_utils._clock import SystemClock
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard
from ansible_collections.vedfinance.platform.plugins.module_utils._notify.announce import (
    NOTIFY_ARGUMENTS,
    announce,
    announcement_from,
    masked,
)


def main() -> None:
    module = AnsibleModule(argument_spec=NOTIFY_ARGUMENTS, supports_check_mode=True)
    for contact in module.params["contacts"]:
        # Refused further down; it must not stand in the refusal's own invocation.
        module.no_log_values.update(channel for channel in contact["channels"] if "://" in channel)
    # The invocation is shown as well.
    module.params.update(masked(module.params))
    with guard(module):
        result = announce(announcement_from(module.params), SystemClock(), dry=module.check_mode)
        for problem in result["problems"]:
            module.warn(problem)
        module.exit_json(**result)


if __name__ == "__main__":
    main()
