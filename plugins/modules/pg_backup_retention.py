#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_backup_retention
short_description: Delete old PostgreSQL dumps by policy, and never the newest one that was proved to restore
version_added: 0.1.0
author:
  - The V-EdFinance platform team (@vedfinance)
description:
  - Decides for every dump of a database in a folder whether it is kept, with reasons, and deletes the others together
    with their manifests. Check mode lists both and deletes nothing.
  - Only dumps of which nothing bad is known fill the places of the policy, and of a day, week, month or year rather one
    that a drill has proved.
  - The newest proved dumps (O(min_proved)) are never deleted, whatever their age. Nothing at all is deleted as long as
    there are fewer of them, nor when the newest dumps are all bad (O(stop_when_newest_bad)), as then backups or drills
    are broken and an old dump may be the last good one.
  - A dump is bad when its last drill failed, when its size or checksum is not what its manifest says, when the judge of
    M(vedfinance.platform.pg_dump_info) rejects it, or when it never became a dump. Bad ones that are older than a good
    one go; newer ones stay for somebody to look at.
  - Never touched are the target of a link in the folder, links themselves, whatever is not recognised as a dump of the
    database, and a dump whose manifest names another file.
extends_documentation_fragment:
  - vedfinance.platform.attributes
  - vedfinance.platform.postgresql.dumps
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows the dumps, before and after.
  idempotent:
    support: full
options:
  path:
    description: The folder of the dumps.
    type: path
    required: true
  database:
    description: The database whose dumps these are, as their manifests name it.
    type: str
    required: true
    aliases: [db]
  patterns:
    description:
      - Shell patterns for the names of dumps that have no manifest and shall be treated all the same. Without it, only
        dumps of M(vedfinance.platform.pg_backup) are ever deleted.
      - Name the database's own dumps and no others, as in V(vedfinance_20*.sql.gz).
    type: list
    elements: str
    default: []
  keep_last:
    description: How many of the newest to keep.
    type: int
    default: 0
  keep_daily:
    description: For how many days to keep one dump each. Days without a dump do not count, here and below.
    type: int
    default: 0
  keep_weekly:
    description: For how many weeks to keep one dump each.
    type: int
    default: 0
  keep_monthly:
    description: For how many months to keep one dump each.
    type: int
    default: 0
  keep_yearly:
    description: For how many years to keep one dump each.
    type: int
    default: 0
  keep_newer_than:
    description: Keep everything that is younger, bad or not. A number and a unit, as in V(48h) or V(7d).
    type: str
  min_proved:
    description:
      - How many dumps that a drill has proved must be there; the newest so many are never deleted. As long as there are
        fewer, nothing is deleted.
      - With V(0), the policy alone decides, and nobody knows whether what is left can be restored.
    type: int
    default: 1
  stop_when_newest_bad:
    description: Delete nothing when so many of the newest are bad. With V(0), go on all the same.
    type: int
    default: 3
  ledger_dir:
    description: The folder with the records of the drills.
    type: path
    default: /var/lib/vedfinance/ledger
  check_content:
    description:
      - Read the dumps on which the decision depends, that is the newest O(stop_when_newest_bad) and the proved ones
        that guard the rest, and compare their checksums with their manifests; judge those without a manifest.
    type: bool
    default: true
  offsite:
    description:
      - Delete the copies elsewhere of the dumps that go, too. Without it they stay.
      - Only copies are deleted that the manifest says are in this very remote. When that fails, the dump here stays.
    type: dict
    suboptions:
      remote:
        description: A remote of rclone's configuration and a folder there, as for M(vedfinance.platform.pg_backup).
        type: str
        required: true
      rclone_config:
        description: rclone's configuration file; by default rclone's own.
        type: path
seealso:
  - module: vedfinance.platform.pg_backup
  - module: vedfinance.platform.pg_dump_info
"""

EXAMPLES = r"""
- name: What would go, and why?
  vedfinance.platform.pg_backup_retention:
    path: /backups/postgres
    database: vedfinance
    keep_daily: 7
    keep_weekly: 5
    keep_monthly: 12
  check_mode: true
  register: plan

- name: Let it go, here and elsewhere
  vedfinance.platform.pg_backup_retention:
    path: /backups/postgres
    database: vedfinance
    keep_newer_than: 48h
    keep_daily: 7
    keep_weekly: 5
    keep_monthly: 12
    offsite:
      remote: offsite:backups/postgres
"""

RETURN = r"""
msg:
  description: One sentence for people.
  returned: always
  type: str
  sample: 3 of 20 go (12.3 MB). The newest proved one, vedfinance_20261122_020000.dump, stays.
database:
  description: The database.
  returned: always
  type: str
  sample: vedfinance
stopped:
  description: Why nothing goes, whatever the policy says; null when it may.
  returned: always
  type: str
  sample: only 0 are proved by a drill, and min_proved is 1
kept:
  description: What stays, newest first, also what is not recognised.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The file, or the folder of a dump in directory format.
      type: str
      sample: vedfinance_20261122_020000.dump
    path:
      description: The same with its folder.
      type: str
      sample: /backups/postgres/vedfinance_20261122_020000.dump
    time:
      description: When it was begun, by its manifest, else by its name, else the file's own time; ISO 8601 in UTC.
      type: str
      sample: "2026-11-22T02:00:00+00:00"
    bytes:
      description: Its size.
      type: int
      sample: 4100312
    proved:
      description: How and when the newest drill proved it; null when none did.
      type: str
      sample: content, 2026-11-22T03:01:10+00:00
    bad:
      description: What speaks against it; null when nothing does.
      type: str
      sample: null
    reasons:
      description: Why it stays, or goes.
      type: list
      elements: str
      sample: [keep_daily 7 (2026-11-22), the newest good one]
deleted:
  description: What went, or would, newest first; shaped as RV(kept).
  returned: always
  type: list
  elements: dict
  sample: []
freed_bytes:
  description: The size of all that went, or would.
  returned: always
  type: int
  sample: 12300936
newest_proved:
  description: The newest dump that a drill has proved; null when there is none.
  returned: always
  type: str
  sample: vedfinance_20261122_020000.dump
notes:
  description: What a person may want to know, such as manifests and records of drills that cannot be read.
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
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.argspec import DUMPS
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup.offsite import OFFSITE, Remote
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup.prune import Options, prune
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup.retention import Policy
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.tools import tools_of

_COUNTS = ("keep_last", "keep_daily", "keep_weekly", "keep_monthly", "keep_yearly")


def options_of(params: dict[str, Any]) -> Options:
    newer = params["keep_newer_than"]
    return Options(
        folder=params["path"],
        database=params["database"],
        policy=Policy(
            **{name: params[name] for name in _COUNTS},
            keep_newer_than=seconds_in(newer, "keep_newer_than") if newer else None,
            min_proved=params["min_proved"],
            stop_when_newest_bad=params["stop_when_newest_bad"],
        ),
        patterns=tuple(params["patterns"]),
        ledger=params["ledger_dir"],
        check_content=params["check_content"],
        remote=Remote.of(params["offsite"]),
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "database": {"type": "str", "required": True, "aliases": ["db"]},
            "patterns": {"type": "list", "elements": "str", "default": []},
            **{name: {"type": "int", "default": 0} for name in _COUNTS},
            "keep_newer_than": {"type": "str"},
            "min_proved": {"type": "int", "default": 1},
            "stop_when_newest_bad": {"type": "int", "default": 3},
            "ledger_dir": {"type": "path", "default": "/var/lib/vedfinance/ledger"},
            "check_content": {"type": "bool", "default": True},
            "offsite": OFFSITE,
            **DUMPS,
        },
        supports_check_mode=True,
    )
    with guard(module):
        now = datetime.now(timezone.utc)
        report = prune(options_of(module.params), tools_of(module.params), now, check=module.check_mode)
        module.exit_json(**report.as_result())


if __name__ == "__main__":
    main()
