#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: drill_ledger_info
short_description: Read the ledger of the drills
version_added: 0.1.0
author:
  - The V-EdFinance platform team (@vedfinance)
description:
  - Tells which dump was proved last, how the last drills went, and whether one is missed that should have been.
extends_documentation_fragment:
  - vedfinance.platform.attributes
  - vedfinance.platform.attributes.info_module
options:
  ledger_dir:
    description: The folder of the ledger. One that does not exist holds no drill.
    type: path
    required: true
  database:
    description: Look at the drills of this database only.
    type: str
  max_age:
    description: A drill is missed when the last one ended longer ago than this, as in V(26h) or V(7d).
    type: str
    default: 26h
  limit:
    description: How many drills to return at most, the newest first.
    type: int
    default: 30
seealso:
  - module: vedfinance.platform.drill_record
"""

EXAMPLES = r"""
- name: Were there drills?
  vedfinance.platform.drill_ledger_info:
    ledger_dir: /var/lib/vedfinance/ledger
    database: vedfinance
  register: ledger

- name: Stop when nothing proves that the backups are good
  ansible.builtin.assert:
    that:
      - ledger.missed is none
      - ledger.failures_in_a_row == 0
    fail_msg: "{{ ledger.msg }}"
"""

RETURN = r"""
msg:
  description: One sentence for people.
  returned: always
  type: str
  sample: The last drill proved vedfinance_20261123_020000.dump, 7 h 12 min ago; 12 in a row.
drills:
  description: The drills, newest first, each as it stands in its file.
  returned: always
  type: list
  elements: dict
  sample: [{run: 20261123T033000Z, outcome: proved}]
newest:
  description: The newest of them; null when there is none.
  returned: always
  type: dict
  sample: {run: 20261123T033000Z, outcome: proved}
newest_proof:
  description: The newest that proved its dump; null when there is none.
  returned: always
  type: dict
  sample: {run: 20261123T033000Z, outcome: proved}
proofs_in_a_row:
  description: How many of the newest drills proved their dump.
  returned: always
  type: int
  sample: 12
failures_in_a_row:
  description: How many of the newest drills proved nothing. One that could not run is one of them.
  returned: always
  type: int
  sample: 0
missed:
  description: Why a drill is missed; null when none is.
  returned: always
  type: str
  sample: null
problems:
  description: Files of the folder that tell nothing, and why.
  returned: always
  type: list
  elements: str
  sample: []
"""

from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vedfinance.platform.plugins.module_utils._duration import seconds_in
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard
from ansible_collections.vedfinance.platform.plugins.module_utils._ledger import (
    Ledger,
    failures_in_a_row,
    missed,
    newest_proof,
    of_database,
    proofs_in_a_row,
    read_ledger,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.report import in_time


def sentence(drills: Ledger, late: str | None, now: datetime) -> str:
    if not drills:
        return "No drill has ever been made: nothing proves that a dump can be restored."
    newest, ago = drills[0], in_time((now - drills[0].ended_at).total_seconds())
    name = newest.dump.get("name") or "a dump"
    if newest.proved:
        said = f"The last drill proved {name}, {ago} ago; {proofs_in_a_row(drills)} in a row."
    else:
        proof = newest_proof(drills)
        since = f"The last proof is of {proof.ended}" if proof else "There has never been a proof"
        said = (
            f"The last drill, {ago} ago, did not prove {name}: {newest.reason} {failures_in_a_row(drills)} in a row."
            f" {since}."
        )
    return f"A drill is missed: {late}. {said}" if late else said


def run(params: dict[str, Any], now: datetime) -> dict[str, Any]:
    ledger = read_ledger(params["ledger_dir"])
    drills, proof = of_database(ledger, params["database"]), newest_proof(of_database(ledger, params["database"]))
    late = missed(drills, seconds_in(params["max_age"], "max_age"), now)
    told = [drill.as_dict() for drill in drills[: max(0, params["limit"])]]
    return {
        "msg": sentence(drills, late, now),
        "drills": told,
        "newest": drills[0].as_dict() if drills else None,
        "newest_proof": proof.as_dict() if proof else None,
        "proofs_in_a_row": proofs_in_a_row(drills),
        "failures_in_a_row": failures_in_a_row(drills),
        "missed": late,
        "problems": ledger.problems,
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "ledger_dir": {"type": "path", "required": True},
            "database": {"type": "str"},
            "max_age": {"type": "str", "default": "26h"},
            "limit": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    with guard(module):
        module.exit_json(changed=False, **run(module.params, datetime.now(timezone.utc)))


if __name__ == "__main__":
    main()
