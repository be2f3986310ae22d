#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: drill_record
short_description: Write a drill into the ledger, however it ended
version_added: 0.1.0
author:
  - The V-EdFinance platform team (@vedfinance)
description:
  - A drill restores a dump to find out whether it can be restored. This writes down which dump it was and what became
    of it, in one file of the ledger, which is never changed later.
  - What M(vedfinance.platform.pg_dump_info) and M(vedfinance.platform.pg_restore_from_dump) said is taken as they said
    it, failures too. A drill is C(proved) only when every check ran and passed. It has C(failed) when the dump is at
    fault, and C(could_not_run) when anything else kept it from a result; that is a failure as well.
extends_documentation_fragment:
  - vedfinance.platform.attributes
attributes:
  check_mode:
    support: full
    details:
      - Returns the entry and writes nothing.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Each drill is an entry of its own.
options:
  ledger_dir:
    description: The folder of the ledger. It is made when it is missing.
    type: path
    required: true
  run:
    description: The run, by the UTC time at which it began, as in V(20261123T020000Z).
    type: str
    required: true
  database:
    description: The database whose dump it is.
    type: str
    required: true
  host:
    description: The host whose database it is, as the inventory calls it.
    type: str
    required: true
  verify:
    description: How much was to be proved.
    type: str
    choices: [rows, content, deep]
    default: rows
  began:
    description: When the drill began, in seconds since 1970.
    type: float
    required: true
  found:
    description: The result of M(vedfinance.platform.pg_dump_info). Empty when it did not come so far.
    type: dict
    default: {}
  restored:
    description:
      - The result of M(vedfinance.platform.pg_restore_from_dump), or its failure. Empty when it did not come so far.
      - Of the check C(newest business row), whose query gives seconds since 1970 and which expects V(*), the age of
        the data is taken.
    type: dict
    default: {}
  failure:
    description: What ended the drill early. Empty when nothing did.
    type: str
    default: ""
  journal_dir:
    description: The folder of the journal, whose last recovery tells how long the API takes to stop and to start.
    type: path
seealso:
  - module: vedfinance.platform.drill_ledger_info
  - module: vedfinance.platform.pg_restore_from_dump
"""

EXAMPLES = r"""
- name: Restore the newest dump
  vedfinance.platform.pg_restore_from_dump:
    database: vedfinance
    src: "{{ dumps.latest_stable.path }}"
    state: verified
  register: restored
  ignore_errors: true

- name: Write down what became of it
  vedfinance.platform.drill_record:
    ledger_dir: /var/lib/vedfinance/ledger
    run: "{{ run }}"
    database: vedfinance
    host: "{{ inventory_hostname }}"
    began: "{{ began }}"
    found: "{{ dumps }}"
    restored: "{{ restored }}"
    failure: "{{ restored.msg if restored is failed else '' }}"
"""

RETURN = r"""
msg:
  description: One sentence for people.
  returned: success
  type: str
  sample: vedfinance_20261123_020000.dump was proved.
path:
  description: The file of the entry.
  returned: success
  type: str
  sample: /var/lib/vedfinance/ledger/20261123T033000Z_vedfinance.json
drill:
  description: The entry.
  returned: success
  type: dict
  sample:
    outcome: proved
    restore_seconds: 61.2
    rto_seconds: 74.0
    rpo_seconds: 5402.1
"""

import os
import time
from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vedfinance.platform.plugins.module_utils._drill import Course, api_seconds, drill_of
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard
from ansible_collections.vedfinance.platform.plugins.module_utils._ledger import Drill, write_drill
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.swap import TYPICAL_SECONDS
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.warm import fingerprint


def course_of(params: dict[str, Any], now: float) -> Course:
    stable = params["found"].get("latest_stable") or {}
    before = stable.get("fingerprint")
    return Course(
        run=params["run"],
        database=params["database"],
        host=params["host"],
        verify=params["verify"],
        began=datetime.fromtimestamp(params["began"], timezone.utc),
        ended=datetime.fromtimestamp(now, timezone.utc),
        found=params["found"],
        restored=params["restored"],
        failure=params["failure"] or None,
        unchanged=before if before is not None and before == fingerprint(stable["path"]) else None,
        swap_seconds=TYPICAL_SECONDS,
        api_seconds=api_seconds(params["journal_dir"]) if params["journal_dir"] else None,
    )


def sentence(drill: Drill) -> str:
    name = drill.dump.get("name") or "a dump"
    if drill.proved:
        return f"{name} was proved."
    return f"{name} was not proved ({drill.outcome.replace('_', ' ')}): {drill.reason}"


def run(params: dict[str, Any], now: float, check: bool) -> dict[str, Any]:
    drill = drill_of(course_of(params, now))
    folder = params["ledger_dir"]
    path = os.path.join(folder, f"{drill.run}_{drill.database}.json") if check else write_drill(folder, drill)
    return {"changed": True, "msg": sentence(drill), "path": path, "drill": drill.as_dict()}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "ledger_dir": {"type": "path", "required": True},
            "run": {"type": "str", "required": True},
            "database": {"type": "str", "required": True},
            "host": {"type": "str", "required": True},
            "verify": {"type": "str", "choices": ["rows", "content", "deep"], "default": "rows"},
            "began": {"type": "float", "required": True},
            "found": {"type": "dict", "default": {}},
            "restored": {"type": "dict", "default": {}},
            "failure": {"type": "str", "default": ""},
            "journal_dir": {"type": "path"},
        },
        supports_check_mode=True,
    )
    with guard(module):
        module.exit_json(**run(module.params, time.time(), module.check_mode))


if __name__ == "__main__":
    main()
