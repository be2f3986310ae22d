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
  - With O(ledger_dir), the drills that have restored these dumps are heard. What a drill has read and nobody has
    written to since is not read again, what failed its last drill is rejected, and RV(latest_stable) says by which
    drill it is proved.
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
  ledger_dir:
    description:
      - The folder of the drills' ledger. One that does not exist holds no drill.
    type: path
  prefer_proved:
    description:
      - With O(ledger_dir), take a dump that a drill has proved rather than one without a proof that is at most so much
        newer. V(2h) settles which one to take of those that several hands made in the same night.
      - M(vedfinance.platform.pg_restore_from_dump) proves every dump before it takes over. So a longer time makes a
        recovery surer to end at the first attempt, and may lose what was written since the older dump.
    type: str
    default: 2h
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

- name: Which dump would a recovery take, and how is it known to be good?
  vedfinance.platform.pg_dump_info:
    path: /backups/postgres
    ledger_dir: /var/lib/vedfinance/ledger
    until_stable: true

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
unproved:
  description:
    - Dumps that may be restored and are newer than RV(latest_stable), but were passed over as no drill has proved them,
      see O(prefer_proved). Shaped as in RV(dumps).
  returned: always
  type: list
  elements: dict
  sample: []
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
      description: Whether the file was read, now or by a drill.
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
          V(unknown_statement), V(unsupported), V(unreadable), V(too_old) or V(drill_failed).
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
    fingerprint:
      description: What tells without reading it that the file is the one that was read; null when it was not read.
      type: str
      sample: 3f0a9c33d2b71c7e8a52d9e4
    proof:
      description:
        - The newest drill that restored a dump of this very content and proved it; null when there is none.
        - When it C(ended), how thorough it was (C(verify), and the number of C(checks)), how long its restore took, and
          as which database its result was C(kept_as).
      type: dict
      sample:
        run: 20261122T033000Z
        ended: "2026-11-22T03:31:12+00:00"
        verify: content
        checks: 8
        restore_seconds: 61.2
        kept_as: vedfinance__verified_9f86d081884c
links:
  description: Links of the folder and the file that each points to.
  returned: always
  type: dict
  sample: {latest_dump.sql: vedfinance_20261122_020000.sql}
ledger_problems:
  description: Files of O(ledger_dir) that tell nothing, and why.
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
from ansible_collections.vedfinance.platform.plugins.module_utils._ledger import Ledger, read_ledger
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.argspec import DUMPS
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.folder import Proofs, catalogue
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.report import summary
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.tools import tools_of
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.warm import fingerprint


def run(params: dict[str, Any]) -> dict[str, Any]:
    max_age = seconds_in(params["max_age"], "max_age") if params["max_age"] else None
    drills = read_ledger(params["ledger_dir"]) if params["ledger_dir"] else Ledger()
    folder = catalogue(
        params["path"],
        params["patterns"],
        tools_of(params),
        until_stable=params["until_stable"],
        database=params["database"],
        max_age=max_age,
        proofs=Proofs(drills, seconds_in(params["prefer_proved"], "prefer_proved")),
        fingerprint=fingerprint,
    )
    return {**summary(folder, datetime.now(timezone.utc)), "ledger_problems": drills.problems}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "patterns": {"type": "list", "elements": "str", "default": ["*"]},
            "database": {"type": "str"},
            "until_stable": {"type": "bool", "default": False},
            "max_age": {"type": "str"},
            "ledger_dir": {"type": "path"},
            "prefer_proved": {"type": "str", "default": "2h"},
            **DUMPS,
        },
        supports_check_mode=True,
    )
    with guard(module):
        module.exit_json(changed=False, **run(module.params))


if __name__ == "__main__":
    main()
