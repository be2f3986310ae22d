#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: platform_report
short_description: Write a page about each drill and recovery, and an index that says whether to worry
version_added: 0.1.0
author:
  - The V-EdFinance platform team (@vedfinance)
description:
  - Reads the ledger of the drills and the journal on the host, makes HTML pages of them on the controller, and writes
    the pages into a folder of the host.
  - Each page is one file without a script that needs nothing else, neither a server nor a network. It can be read on a
    phone, in the dark, on paper and by a screen reader.
  - The page of a drill or a recovery is written once and says what was known then. The index is written each time.
  - What looks like a secret is masked once more, and every text is escaped.
requirements:
  - pygal on the controller, for the charts. Without it the pages have their figures in tables only, and
    a warning says so.
extends_documentation_fragment:
  - vedfinance.platform.attributes
attributes:
  check_mode:
    support: full
    details:
      - Reads everything, and writes no page.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - Pages of drills and recoveries are not written again. The index says when it was made, so it always is.
options:
  dest:
    description: The folder of the pages, on the host. It is made when it is missing.
    type: path
    required: true
  ledger_dir:
    description: The folder of the ledger. One that does not exist holds no drill.
    type: path
    required: true
  journal_dir:
    description: The folder of the journal. One that does not exist holds no entry.
    type: path
    required: true
  databases:
    description:
      - Tell of the drills of these databases only. One that was never drilled is a reason to worry.
      - Without any, of all that the ledger knows.
    type: list
    elements: str
    default: []
  host:
    description: What the host is called on the pages. By default as in the inventory; the controller fills it in.
    type: str
    default: ""
  max_age:
    description: A drill is missed when the last one ended longer ago than this, as in V(26h) or V(7d).
    type: str
    default: 26h
  rpo_target:
    description: How old the newest data of a proved dump may be. Empty for no target.
    type: str
    default: ""
  rto_target:
    description: How long a recovery may take. Empty for no target.
    type: str
    default: ""
  limit:
    description: How many drills of each database, and how many entries of the journal, to tell of.
    type: int
    default: 60
  rebuild:
    description: Write the pages of drills and recoveries again, as after an update of this collection.
    type: bool
    default: false
  pages:
    description: The pages to write, by name. The controller fills this in.
    type: dict
    default: {}
notes:
  - The pages are made by the action plugin of the same name, on the controller.
seealso:
  - module: vedfinance.platform.drill_record
  - module: vedfinance.platform.drill_ledger_info
"""

EXAMPLES = r"""
- name: Write the report
  vedfinance.platform.platform_report:
    dest: /var/lib/vedfinance/reports
    ledger_dir: /var/lib/vedfinance/ledger
    journal_dir: /var/lib/vedfinance/journal
    databases: [vedfinance]
    rpo_target: 26h
    rto_target: 30m
  register: report

- name: Say whether to worry
  ansible.builtin.debug:
    msg: "{{ report.msg }} See {{ report.index }}."
"""

RETURN = r"""
msg:
  description: The verdict of the index, in words.
  returned: success
  type: str
  sample: No need to worry. The newest dump was restored and proved 3 h 12 min ago, for the 12th night in a row.
verdict:
  description: The verdict of the index, for machines.
  returned: success
  type: str
  choices: [good, warning, bad]
  sample: good
index:
  description: The path of the index.
  returned: success
  type: str
  sample: /var/lib/vedfinance/reports/index.html
pages:
  description: By run and kind, or run and database, the path of each page that the index leads to.
  returned: success
  type: dict
  sample:
    20261123T033000Z_vedfinance: /var/lib/vedfinance/reports/20261123T033000Z_vedfinance.html
written:
  description: The paths of the pages that were written, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [/var/lib/vedfinance/reports/index.html]
problems:
  description: What could not be read, and why.
  returned: success
  type: list
  elements: str
  sample: []
source:
  description: What was read. It goes to the controller and is not returned by a task.
  returned: never by a task
  type: dict
  sample: {}
"""

import os
from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vedfinance.platform.plugins.module_utils._duration import seconds_in
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard
from ansible_collections.vedfinance.platform.plugins.module_utils._report import (
    INDEX,
    pages_in,
    read_source,
    write_pages,
)


def source_of(params: dict[str, Any], now: datetime) -> dict[str, Any]:
    return {
        **read_source(params["ledger_dir"], params["journal_dir"], params["databases"], params["limit"]),
        "databases": params["databases"],
        "host": params["host"],
        "now": now.isoformat(timespec="seconds"),
        "max_age": seconds_in(params["max_age"], "max_age"),
        "targets": {
            name: seconds_in(params[f"{name}_target"], f"{name}_target") if params[f"{name}_target"] else None
            for name in ("rpo", "rto")
        },
        "present": [] if params["rebuild"] else pages_in(params["dest"]),
    }


def run(params: dict[str, Any], now: datetime, check: bool) -> dict[str, Any]:
    if not params["pages"]:
        return {"changed": False, "source": source_of(params, now)}
    written = write_pages(params["dest"], params["pages"], check=check)
    return {"changed": bool(written), "written": written, "index": os.path.join(params["dest"], INDEX)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "dest": {"type": "path", "required": True},
            "ledger_dir": {"type": "path", "required": True},
            "journal_dir": {"type": "path", "required": True},
            "databases": {"type": "list", "elements": "str", "default": []},
            "host": {"type": "str", "default": ""},
            "max_age": {"type": "str", "default": "26h"},
            "rpo_target": {"type": "str", "default": ""},
            "rto_target": {"type": "str", "default": ""},
            "limit": {"type": "int", "default": 60},
            "rebuild": {"type": "bool", "default": False},
            "pages": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    with guard(module):
        module.exit_json(**run(module.params, datetime.now(timezone.utc), module.check_mode))


if __name__ == "__main__":
    main()
