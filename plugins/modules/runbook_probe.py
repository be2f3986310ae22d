#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: runbook_probe
short_description: Look at what a recovery would need of a host, before there is one
version_added: 0.1.0
author:
  - The V-EdFinance platform team (@vedfinance)
description:
  - Looks at folders, clocks, the database server, the schedule of backups and drills, and the offsite remote. It
    judges nothing and does not fail for what it finds; M(vedfinance.platform.runbook_readiness) judges.
requirements:
  - psycopg >= 3.1 for the database
  - rclone for O(offsite)
extends_documentation_fragment:
  - vedfinance.platform.attributes
  - vedfinance.platform.attributes.info_module
  - vedfinance.platform.postgresql
options:
  database:
    description: The database that the API uses.
    type: str
    required: true
  folders:
    description: Folders that must be writable, or that it must be possible to make.
    type: list
    elements: path
    default: []
  controller_time:
    description: The time of the controller in seconds since 1970, to compare with that of the host.
    type: float
  scheduler:
    description: Who starts backups and drills. Only V(systemd) and V(cron) leave something on the host to look at.
    type: str
    choices: [systemd, cron, dokploy, awx, none]
    default: none
  jobs:
    description: The names of the timers or cron entries.
    type: list
    elements: str
    default: []
  cron_file:
    description: The file of the cron entries, a path or a name in C(/etc/cron.d).
    type: str
    default: vedfinance_platform
  offsite:
    description: The offsite remote, as O(vedfinance.platform.pg_backup#module:offsite). Empty when there is none.
    type: dict
    suboptions:
      remote:
        description: Remote and folder.
        type: str
        required: true
      rclone_config:
        description: The configuration file of rclone.
        type: path
seealso:
  - module: vedfinance.platform.runbook_readiness
"""

EXAMPLES = r"""
- name: Look at the host
  vedfinance.platform.runbook_probe:
    database: vedfinance
    folders: [/var/lib/vedfinance/journal, /var/lib/vedfinance/ledger]
    controller_time: "{{ now().timestamp() }}"
    scheduler: systemd
    jobs: [vedfinance-backup, vedfinance-drill]
  register: looked
"""

RETURN = r"""
clock_skew:
  description: Seconds by which the host is ahead of the controller; null without O(controller_time).
  returned: success
  type: float
  sample: 0.41
folders:
  description: Each folder, and whether it exists and is writable. A missing one is writable when it could be made.
  returned: success
  type: list
  elements: dict
  sample: [{path: /var/lib/vedfinance/journal, exists: true, writable: true}]
database:
  description: Whether the server was reached, the database exists, and by how many seconds its clock is ahead of the
    host's.
  returned: success
  type: dict
  sample: {reached: true, exists: true, skew: 0.002, version: "16.14", detail: ""}
schedules:
  description: Each job with its C(state), V(present), V(stopped), V(missing) or V(unknown). Empty when O(scheduler)
    leaves nothing on the host.
  returned: success
  type: list
  elements: dict
  sample: [{name: vedfinance-backup, state: present, detail: "Tue 2026-11-24 02:00:00 UTC"}]
offsite:
  description: Whether the remote was reached, and how many dumps are there. Empty when none is configured.
  returned: success
  type: dict
  sample: {reached: true, copies: 14, detail: ""}
"""

import time
from contextlib import AbstractContextManager
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vedfinance.platform.plugins.module_utils import _probe as probe
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.argspec import (
    LOGIN,
    LOGIN_EXCLUSIVE,
    server_of,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup.offsite import OFFSITE, Remote
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.connect import HAS_PSYCOPG, Session


def run(params: dict[str, Any], now: float) -> dict[str, Any]:
    def connect() -> AbstractContextManager[Session]:
        if not HAS_PSYCOPG:
            raise PlatformError("The Python library psycopg is missing.", "Install it for the Python of this host.")
        return server_of(params).connect(purpose="runbook check")

    return {
        "clock_skew": probe.skew(params["controller_time"], now),
        "folders": probe.folders(params["folders"]),
        "database": probe.database(connect, params["database"]),
        "schedules": probe.schedules(params["scheduler"], params["jobs"], params["cron_file"]),
        "offsite": probe.offsite(Remote.of(params["offsite"])),
    }


def main() -> None:
    began = time.time()
    module = AnsibleModule(
        argument_spec={
            **LOGIN,
            "database": {"type": "str", "required": True},
            "folders": {"type": "list", "elements": "path", "default": []},
            "controller_time": {"type": "float"},
            "scheduler": {"type": "str", "choices": ["systemd", "cron", "dokploy", "awx", "none"], "default": "none"},
            "jobs": {"type": "list", "elements": "str", "default": []},
            "cron_file": {"type": "str", "default": "vedfinance_platform"},
            "offsite": OFFSITE,
        },
        mutually_exclusive=LOGIN_EXCLUSIVE,
        supports_check_mode=True,
    )
    with guard(module):
        module.exit_json(changed=False, **run(module.params, began))


if __name__ == "__main__":
    main()
