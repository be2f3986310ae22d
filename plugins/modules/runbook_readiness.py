#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: runbook_readiness
short_description: Judge whether a platform is ready for an incident, and what to mend first
version_added: 0.1.0
author:
  - The V-EdFinance platform team (@vedfinance)
description:
  - Takes what other modules have seen, and makes a score and a list of it. It asks nobody, so it runs anywhere.
  - Whatever could not be checked counts as if it had failed.
extends_documentation_fragment:
  - vedfinance.platform.attributes
  - vedfinance.platform.attributes.info_module
options:
  answers:
    description:
      - The results of other modules, failures included, by what they are about. C(ping) of
        M(ansible.builtin.ping), C(host) of M(vedfinance.platform.runbook_probe), C(dokploy) of
        M(vedfinance.platform.dokploy_info), C(health), C(outside) and C(integrity) of
        M(vedfinance.platform.api_health), C(dumps) of M(vedfinance.platform.pg_dump_info), C(restore) of
        M(vedfinance.platform.pg_restore_from_dump) in check mode, C(ledger) of
        M(vedfinance.platform.drill_ledger_info), C(lock) of M(vedfinance.platform.platform_lock) and C(notify) of
        M(vedfinance.platform.notify_contacts) in check mode.
      - Without C(outside), C(integrity) or C(notify), these are taken as not configured.
    type: dict
    required: true
  max_dump_age:
    description: How old the newest dump that can be restored may be.
    type: str
    default: 26h
  max_clock_skew:
    description: By how much clocks may differ. More is a warning, and six times as much a failure.
    type: str
    default: 10s
seealso:
  - module: vedfinance.platform.runbook_probe
"""

EXAMPLES = r"""
- name: Judge
  vedfinance.platform.runbook_readiness:
    answers:
      ping: "{{ reached }}"
      host: "{{ looked }}"
      dokploy: "{{ service }}"
      health: "{{ health }}"
      dumps: "{{ dumps }}"
      restore: "{{ planned }}"
      ledger: "{{ ledger }}"
      lock: "{{ lock }}"
  register: readiness
  delegate_to: localhost
"""

RETURN = r"""
msg:
  description: One sentence for people.
  returned: success
  type: str
  sample: "Ready: 96 of 100. To mend: backups and drills are scheduled."
score:
  description:
    - From 0 to 100. Each probe gives its weight, half of it with a warning, nothing when it failed or could not be
      checked. What is not configured does not count.
    - At most 49 when something is lacking that no recovery can do without.
  returned: success
  type: int
  sample: 96
probes:
  description: Every probe, what to mend first being first.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: What should be true.
      type: str
    result:
      description: V(ok), V(warn), V(fail), V(could not be checked) or V(not configured).
      type: str
    detail:
      description: What was seen.
      type: str
    fix:
      description: What to do; empty when there is nothing.
      type: str
    weight:
      description: How much it counts.
      type: int
    essential:
      description: Whether no recovery can do without it.
      type: bool
  sample:
    - name: backups and drills are scheduled
      result: fail
      detail: there is no vedfinance-drill.timer
      fix: Run the role schedule.
      weight: 6
      essential: false
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vedfinance.platform.plugins.module_utils._duration import seconds_in
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard
from ansible_collections.vedfinance.platform.plugins.module_utils._readiness import (
    ESSENTIAL_LACKING,
    Limits,
    judge,
    score,
)


def sentence(points: int, probes: list[dict[str, Any]]) -> str:
    todo = [one["name"] for one in probes if one["fix"]]
    said = "Not ready" if points <= ESSENTIAL_LACKING else "Ready"
    return f"{said}: {points} of 100." + (f" To mend: {', '.join(todo)}." if todo else "")


def run(params: dict[str, Any]) -> dict[str, Any]:
    limits = Limits(
        clock=seconds_in(params["max_clock_skew"], "max_clock_skew"),
        dump_age=seconds_in(params["max_dump_age"], "max_dump_age"),
    )
    probes = judge(params["answers"], limits)
    points = score(probes)
    return {"msg": sentence(points, probes), "score": points, "probes": probes}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "answers": {"type": "dict", "required": True},
            "max_dump_age": {"type": "str", "default": "26h"},
            "max_clock_skew": {"type": "str", "default": "10s"},
        },
        supports_check_mode=True,
    )
    with guard(module):
        module.exit_json(changed=False, **run(module.params))


if __name__ == "__main__":
    main()
