# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: responsible_for
short_description: Of the contacts, those who own what an event says
version_added: 0.1.0
author:
  - The V-EdFinance platform team (@vedfinance)
description:
  - Finds those whose business an event is, as M(vedfinance.platform.notify_contacts) does when it names the owner. Who
    asked for the event by its name or by a pattern of names owns it. Only where nobody did, those do who asked for
    everything.
  - It is made for the texts of failures, so a contact that is wrong is passed over, and never hides what failed.
  - The addresses of channels are secrets. One that stands among the contacts by mistake is left out.
positional: event
options:
  _input:
    description:
      - The contacts, as C(platform_contacts) of the inventory. Nobody is responsible where there are none.
    type: list
    elements: dict
    required: true
  event:
    description:
      - What happened. One of the events of M(vedfinance.platform.notify_contacts).
    type: str
    required: true
seealso:
  - module: vedfinance.platform.notify_contacts
"""

EXAMPLES = r"""
- name: Say who looks after a failed deployment
  ansible.builtin.debug:
    msg: "who owns this: {{ owners | map(attribute='text') | join('; ') }}"
  vars:
    owners: "{{ platform_contacts | default([]) | vedfinance.platform.responsible_for('deploy_failed') }}"
  when: owners | length > 0
"""

RETURN = r"""
_value:
  description:
    - Those responsible, in the order of the contacts.
  type: list
  elements: dict
  contains:
    role:
      description: Who it is.
      type: str
      sample: Backend Lead
    owns:
      description: What he answers for. Empty when the contact does not say.
      type: str
      sample: API and database integrity
    channels:
      description: The names of the channels he is told on.
      type: list
      elements: str
      sample: [dev_api]
    escalation:
      description: The role above him. Empty when there is none.
      type: str
      sample: System Admin
    escalate_after:
      description: How long a failure may last until that role is told as well. Empty for never.
      type: str
      sample: 2d
    text:
      description: All of this, short enough for a line.
      type: str
      sample: Backend Lead (dev_api), then System Admin
  sample:
    - role: Backend Lead
      owns: API and database integrity
      channels: [dev_api]
      escalation: System Admin
      escalate_after: ""
      text: Backend Lead (dev_api), then System Admin
"""

import typing as t
from collections.abc import Callable, Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.vedfinance.platform.plugins.module_utils._notify.contacts import Contact, owners, route
from ansible_collections.vedfinance.platform.plugins.module_utils._notify.events import EVENTS


def responsible_for(contacts: t.Any, event: str) -> list[dict[str, t.Any]]:
    if event not in EVENTS:
        raise AnsibleFilterError(f"No event is called {event}. Known: {', '.join(sorted(EVENTS))}.")
    rows = [row for row in contacts or () if isinstance(row, Mapping) and row.get("role")]
    read = {_contact(row): row for row in rows}
    return [_shown(contact, read[contact]) for contact in owners(event, route(event, list(read)))]


def _contact(row: Mapping[str, t.Any]) -> Contact:
    return Contact(
        role=str(row["role"]),
        owns=str(row.get("owns") or ""),
        events=_strings(row.get("events")) or ("*",),
        channels=tuple(name for name in _strings(row.get("channels")) if "://" not in name),
        escalation=str(row.get("escalation") or ""),
    )


def _strings(value: t.Any) -> tuple[str, ...]:
    if not value:
        return ()
    return tuple(map(str, value if isinstance(value, (list, tuple)) else [value]))


def _shown(contact: Contact, row: Mapping[str, t.Any]) -> dict[str, t.Any]:
    channels = f" ({', '.join(contact.channels)})" if contact.channels else ""
    above = f", then {contact.escalation}" if contact.escalation else ""
    return {
        "role": contact.role,
        "owns": contact.owns,
        "channels": list(contact.channels),
        "escalation": contact.escalation,
        "escalate_after": str(row.get("escalate_after") or ""),
        "text": f"{contact.role}{channels}{above}",
    }


class FilterModule:
    def filters(self) -> dict[str, Callable[..., t.Any]]:
        return {"responsible_for": responsible_for}
