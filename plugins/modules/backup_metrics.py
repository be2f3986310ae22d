#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_metrics
short_description: Write what Prometheus may know of backups and drills
version_added: 0.1.0
author:
  - The V-EdFinance platform team (@vedfinance)
description:
  - Writes a file for the textfile collector of C(node_exporter), aside and renamed. Every value is in it each time,
    after a failure too; those of the drills come from the ledger.
  - An age in a file that nobody writes any more stays what it was. Let alarms go by the times that stand beside the
    ages, as those in the collection's C(docs/monitoring/alert-rules.yml) do.
extends_documentation_fragment:
  - vedfinance.platform.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Ages grow, so each run writes anew. It reports no change, as nothing that lasts is changed.
options:
  path:
    description: The file to write. Only names that end in C(.prom) are read by the collector.
    type: path
    required: true
  ledger_dir:
    description: The folder of the drills' ledger. One that does not exist holds no drill.
    type: path
    required: true
  database:
    description: The database, a label of each value.
    type: str
    required: true
  host:
    description: The host, a label of each value.
    type: str
    required: true
  found:
    description:
      - The result of M(vedfinance.platform.pg_dump_info). Empty, or a failure, when there is none; then there is no
        dump that can be restored.
    type: dict
    default: {}
  max_age:
    description: A drill is missed when the last one ended longer ago than this.
    type: str
    default: 26h
  rpo_target:
    description: How old the newest business row may be, as in V(26h). Empty when nothing was promised.
    type: str
    default: ""
  rto_target:
    description: How long a recovery may take, as in V(30m). Empty when nothing was promised.
    type: str
    default: ""
seealso:
  - module: vedfinance.platform.drill_ledger_info
"""

EXAMPLES = r"""
- name: Look at the dumps
  vedfinance.platform.pg_dump_info:
    path: /backups/postgres
    ledger_dir: /var/lib/vedfinance/ledger
    until_stable: true
  register: dumps

- name: Tell Prometheus
  vedfinance.platform.backup_metrics:
    path: /var/lib/node_exporter/textfile_collector/vedfinance.prom
    ledger_dir: /var/lib/vedfinance/ledger
    database: vedfinance
    host: "{{ inventory_hostname }}"
    found: "{{ dumps }}"
    rpo_target: 26h
    rto_target: 30m
"""

RETURN = r"""
msg:
  description: One sentence for people.
  returned: success
  type: str
  sample: 16 values are in /var/lib/node_exporter/textfile_collector/vedfinance.prom.
values:
  description: The values by the names of the metrics. What is no number is null.
  returned: success
  type: dict
  sample: {vedfinance_drill_success: 1.0}
missed_targets:
  description: The targets that the last proof missed, for people.
  returned: success
  type: list
  elements: str
  sample: ["RTO: a recovery would take 41 min, and 30 min were promised"]
"""

import math
from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vedfinance.platform.plugins.module_utils._duration import seconds_in
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard
from ansible_collections.vedfinance.platform.plugins.module_utils._ledger import of_database, read_ledger
from ansible_collections.vedfinance.platform.plugins.module_utils._metrics import (
    PREFIX,
    Targets,
    missed_targets,
    samples,
    text_of,
    write_text,
)


def run(params: dict[str, Any], now: datetime, check: bool) -> dict[str, Any]:
    drills = of_database(read_ledger(params["ledger_dir"]), params["database"])
    targets = Targets(
        rpo_seconds=seconds_in(params["rpo_target"], "rpo_target") if params["rpo_target"] else None,
        rto_seconds=seconds_in(params["rto_target"], "rto_target") if params["rto_target"] else None,
    )
    found = params["found"]
    values = samples(
        drills,
        found.get("latest_stable"),
        len(found.get("rejected") or []),
        targets,
        seconds_in(params["max_age"], "max_age"),
        now,
    )
    if not check:
        write_text(params["path"], text_of(values, {"database": params["database"], "host": params["host"]}))
    return {
        "msg": f"{len(values)} values {'would be' if check else 'are'} in {params['path']}.",
        "values": {PREFIX + name: value if math.isfinite(value) else None for name, value in values.items()},
        "missed_targets": missed_targets(values),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "ledger_dir": {"type": "path", "required": True},
            "database": {"type": "str", "required": True},
            "host": {"type": "str", "required": True},
            "found": {"type": "dict", "default": {}},
            "max_age": {"type": "str", "default": "26h"},
            "rpo_target": {"type": "str", "default": ""},
            "rto_target": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    with guard(module):
        module.exit_json(changed=False, **run(module.params, datetime.now(timezone.utc), module.check_mode))


if __name__ == "__main__":
    main()
