#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_dump_info
short_description: Judge the PostgreSQL dumps of a backup folder and find the latest stable one
version_added: 0.1.0
author:
  - The V-EdFinance platform team (@vedfinance)
description:
  - Reads every dump of a folder from its first byte to its last and tells what it is, by its content and never by its
    name, whether it is complete, and if not, where and why it breaks off.
  - Plain SQL and C(pg_dump)'s custom, tar and directory formats are known; the files also packed with gzip, zstd, xz
    or bzip2, and encrypted with C(age) or C(gpg), in any order. A sub-folder that is a dump in directory format counts
    as one dump; other sub-folders are passed over.
  - Unpacked large objects in directory format (C(pg_dump --compress=0)) carry neither length nor checksum, so nobody
    can tell whether one of them was cut.
  - RV(latest_stable) is the newest dump that M(vedfinance.platform.pg_restore_from_dump) would accept;
    RV(rejected) says why each newer one was passed over.
  - No server is needed, and nothing is written.
extends_documentation_fragment:
  - vedfinance.platform.attributes
  - vedfinance.platform.attributes.info_module
  - vedfinance.platform.postgresql.dumps
options:
  path:
    description: The backup folder. Links in it are listed in RV(links), not judged twice; hidden files are passed over.
    type: path
    required: true
  patterns:
    description: Shell patterns; only files and dumps in directory format whose name matches one of them are looked at.
    type: list
    elements: str
    default: ["*"]
  database:
    description:
      - Leave out dumps of other databases.
      - Only archives name their database; a plain dump does not, and is always taken.
    type: str
  until_stable:
    description:
      - Stop reading at the newest dump that is stable. Older files are listed with RV(dumps[].judged) V(false).
      - Use it where time counts, as a folder of large dumps takes minutes to read.
    type: bool
    default: false
  max_age:
    description:
      - A dump older than this does not count as stable. A number and a unit, as in V(26h) or V(7d).
    type: str
seealso:
  - module: vedfinance.platform.pg_restore_from_dump
"""

EXAMPLES = r"""
- name: What is in the backup folder?
  vedfinance.platform.pg_dump_info:
    path: /backups/postgres
  register: backups

- name: Are the encrypted dumps of the off-site copy whole?
  vedfinance.platform.pg_dump_info:
    path: /mnt/offsite/postgres
    patterns: ["*.age"]
    age_identity_file: /root/.config/age/backup.key
    max_age: 7d

- name: Stop when last night's backup is not usable
  ansible.builtin.assert:
    that: backups.latest_stable is not none
    fail_msg: "{{ backups.msg }}"
"""

RETURN = r"""
msg:
  description: One sentence for people.
  returned: always
  type: str
  sample: >-
    The latest stable dump is /backups/postgres/2026-11-21T02-00-00-112Z.sql.gz (20 h 3 min old); 1 newer was rejected.
latest_stable:
  description: The newest dump that may be restored, shaped as in RV(dumps); null when there is none.
  returned: always
  type: dict
  sample: {path: /backups/postgres/vedfinance_20261121.dump, format: custom, rows: 40211}
rejected:
  description: Files that are newer than RV(latest_stable) and were rejected, newest first.
  returned: always
  type: list
  elements: dict
  sample:
    - path: /backups/postgres/vedfinance_20261122_020000.sql
      code: truncated
      reason: the dump ends inside the data of table public.lessons, after 3465 whole rows; the file is cut off
      where: byte 15000000 (line 55547)
dumps:
  description: Every dump, newest first.
  returned: always
  type: list
  elements: dict
  contains:
    path:
      description: The file, or the folder of a dump in directory format.
      type: str
      sample: /backups/postgres/vedfinance_20261122_020000.sql
    size:
      description: Bytes on disk; of a folder, those of all its files.
      type: int
      sample: 15000000
    created:
      description: When the dump was begun, ISO 8601 in UTC.
      type: str
      sample: "2026-11-22T02:00:00+00:00"
    created_from:
      description: What says so, V(dump) (its header), V(name) (of the file) or V(mtime).
      type: str
      sample: name
    age_seconds:
      description: Seconds since RV(dumps[].created).
      type: int
      sample: 72180
    age:
      description: The same for people.
      type: str
      sample: 20 h 3 min
    judged:
      description: Whether the file was read.
      type: bool
      sample: true
    complete:
      description: Whether it may be restored. Null when it was not read.
      type: bool
      sample: true
    format:
      description:
        - V(plain), V(custom), V(directory) or V(tar), and what it is packed in or encrypted with, innermost first.
      type: str
      sample: custom in gzip
    readers:
      description: What unpacked it, outermost layer first.
      type: list
      elements: str
      sample: [gzip by isal, custom by the program pg_restore]
    server_version:
      description: Version of the server that was dumped.
      type: str
      sample: "16.14"
    pg_dump_version:
      description: Version of the program that dumped it.
      type: str
      sample: "16.14"
    database:
      description: The database, where the format names it.
      type: str
      sample: vedfinance
    sha256:
      description: Checksum of the file; of a folder, that of the names, lengths and contents of its files, by name.
      type: str
      sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    tables:
      description: Tables with data.
      type: int
      sample: 14
    rows:
      description: Rows in all tables. Rows of INSERT-style dumps are not counted.
      type: int
      sample: 40211
    code:
      description:
        - Why it was rejected, for programs.
        - V(truncated), V(corrupt), V(empty), V(not_a_dump), V(cluster_dump), V(leaves_database), V(runs_program),
          V(unknown_statement), V(unsupported), V(unreadable) or V(too_old).
      type: str
      sample: truncated
    reason:
      description: Why it was rejected, for people.
      type: str
      sample: the gzip data end in the middle; the file is cut off
    where:
      description: The place in the dump.
      type: str
      sample: byte 8308439 of its SQL, in the data of table public.behavior_logs
links:
  description: Links of the folder and the file that each points to.
  returned: always
  type: dict
  sample: {latest_dump.sql: vedfinance_20261122_020000.sql}
"""

from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vedfinance.platform.plugins.module_utils._duration import seconds_in
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.argspec import DUMPS
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.folder import catalogue
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.report import summary
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.tools import tools_of


def run(params: dict[str, Any]) -> dict[str, Any]:
    max_age = seconds_in(params["max_age"], "max_age") if params["max_age"] else None
    folder = catalogue(
        params["path"],
        params["patterns"],
        tools_of(params),
        until_stable=params["until_stable"],
        database=params["database"],
        max_age=max_age,
    )
    return summary(folder, datetime.now(timezone.utc))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "patterns": {"type": "list", "elements": "str", "default": ["*"]},
            "database": {"type": "str"},
            "until_stable": {"type": "bool", "default": False},
            "max_age": {"type": "str"},
            **DUMPS,
        },
        supports_check_mode=True,
    )
    with guard(module):
        module.exit_json(changed=False, **run(module.params))


if __name__ == "__main__":
    main()
