#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dokploy_backup
short_description: Keep, remove or run a database backup of Dokploy
version_added: 0.1.0
description:
  - A backup of Dokploy dumps one database of a database service at the times of a cron expression, and puts the file
    into a bucket, which Dokploy calls a destination.
  - Backups have no name in Dokploy. Here they are known by their prefix, which is the folder of their files, in their
    database service. If several have the same prefix, O(database_name) and O(destination) tell them apart; if they do
    not, the module refuses and lists their ids.
  - Only what is given and differs is changed.
author:
  - The V-EdFinance platform team (@vedfinance)
extends_documentation_fragment:
  - vedfinance.platform.dokploy
  - vedfinance.platform.dokploy.database
  - vedfinance.platform.web
  - vedfinance.platform.attributes
  - vedfinance.platform.attributes.actiongroup_dokploy
attributes:
  check_mode:
    support: full
    details:
      - Reads Dokploy and predicts; nothing is dumped. O(check_destination) is honoured, because it only reads.
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - O(state=run) makes a backup each time, and is a change each time.
options:
  name:
    description:
      - The prefix of the backup. Its files are C(<app name of the service>/<name>/<time>.sql.gz) in the bucket.
      - Slashes at its ends do not count.
    type: str
    required: true
    aliases: [prefix]
  state:
    description:
      - V(present) makes sure that the backup exists with what is given.
      - V(absent) removes it, with the records of its runs. The files in the bucket stay.
      - V(run) does what V(present) does, and then makes a backup, whether or not it is enabled. The module waits for
        the end, and fails unless Dokploy recorded success and a new file that is not empty lies in the bucket. Of a
        backup that exists, O(name) is enough.
    type: str
    choices: [present, absent, run]
    default: present
  destination:
    description:
      - The exact name, or the id, of the destination. Needed to create a backup.
    type: str
  database_name:
    description:
      - The database that is dumped. In a new backup it is the one that the service was created with.
    type: str
  cron:
    description:
      - When it runs, as five fields (minute, hour, day of the month, month, day of the week), or V(@hourly),
        V(@daily), V(@weekly), V(@monthly) or V(@yearly). Needed to create a backup.
      - It is meant in the time zone of Dokploy's container, which is UTC unless someone changed it.
    type: str
  keep_latest:
    description:
      - How many files to keep; Dokploy deletes the older ones after each backup. V(0) keeps all, as does a new backup
        for which it is not given.
    type: int
  enabled:
    description:
      - Whether Dokploy runs it by itself. V(true) in a new backup.
    type: bool
  check_destination:
    description:
      - Whether to let Dokploy test the connection to the bucket first, and to fail when it does not work.
      - The keys are read from Dokploy and given back to it; that is how its API wants it.
    type: bool
    default: false
  wait_timeout:
    description:
      - How many seconds a run of O(state=run) may take. After that the module fails, while the run goes on.
    type: float
    default: 3600
  log_lines:
    description:
      - How many of the last lines of the log of a run to return.
    type: int
    default: 50
notes:
  - Despite its name, a file of PostgreSQL is a gzip of pg_dump's custom format, to be restored with C(pg_restore), not
    with C(psql). M(vedfinance.platform.pg_restore_from_dump) takes it as it is.
  - That a file was written does not prove that it can be restored. Only a restore does.
  - Built from what a real Dokploy 0.30 answered for PostgreSQL, and from its source for MySQL, MariaDB and MongoDB.
seealso:
  - module: vedfinance.platform.dokploy_schedule
  - module: vedfinance.platform.pg_dump_info
  - module: vedfinance.platform.pg_restore_from_dump
"""

EXAMPLES = r"""
- name: Back up the database daily at 02:00 through Dokploy
  vedfinance.platform.dokploy_backup: {project: vedfinance, database: db, name: daily, cron: 0 2 * * *, destination: r2}
  environment: {DOKPLOY_URL: "http://127.0.0.1:3000", DOKPLOY_API_KEY: "{{ platform_dokploy_api_key }}"}

- name: The same, keeping the files of two weeks, when the bucket can be reached
  vedfinance.platform.dokploy_backup:
    dokploy_url: http://127.0.0.1:3000
    dokploy_api_key: "{{ platform_dokploy_api_key }}"
    project: vedfinance
    database: db
    name: daily
    cron: 0 2 * * *
    destination: r2
    keep_latest: 14
    check_destination: true

- name: Make a backup now, before something dangerous
  vedfinance.platform.dokploy_backup:
    dokploy_url: http://127.0.0.1:3000
    dokploy_api_key: "{{ platform_dokploy_api_key }}"
    project: vedfinance
    database: db
    name: daily
    state: run
  register: dump

- name: Say where it is
  ansible.builtin.debug:
    msg: "{{ dump.file.path }} has {{ dump.file.size }} bytes"
"""

RETURN = r"""
backup:
  description: The backup as Dokploy holds it afterwards; in check mode, as it would be; null when it is absent.
  type: dict
  returned: success
  contains:
    id:
      description: Its id, null when it would be created.
      type: str
    name:
      description: Its prefix.
      type: str
    database_name:
      description: The database that is dumped.
      type: str
    destination:
      description: The id, the name and the bucket of its destination.
      type: dict
    cron:
      description: When it runs.
      type: str
    keep_latest:
      description: How many files are kept, 0 for all.
      type: int
    enabled:
      description: Whether Dokploy runs it by itself.
      type: bool
  sample:
    id: MEcRLdAasWaGZ6XnKxfCw
    name: daily
    database_name: vedfinance
    destination: {id: 6bV5uIlFdmGZPr2SS7Um6, name: r2, bucket: vedfinance-backups}
    cron: 0 2 * * *
    keep_latest: 14
    enabled: true
last_run:
  description: The latest run, null when there was none, also when its record is gone.
  type: dict
  returned: success, and when a run failed
  contains:
    deployment_id:
      description: The id of its record.
      type: str
    status:
      description: V(running), V(done), V(error) or V(cancelled).
      type: str
    started_at:
      description: When it began.
      type: str
    finished_at:
      description: When it ended, null when it did not.
      type: str
    seconds:
      description: How long it took.
      type: float
  sample:
    deployment_id: q4si1he6NiaiVopxD-ro3
    status: done
    started_at: "2026-11-22T13:44:02.931Z"
    finished_at: "2026-11-22T13:44:03.554Z"
    seconds: 0.623
file:
  description: The file that the run wrote, as one of RV(files).
  type: dict
  returned: when it was run with success
  sample: {path: shop-db-ct0pth/daily/2026-11-22T13-44-02-945Z.sql.gz, time: "2026-11-22T13:44:02.945Z", size: 544}
files:
  description:
    - The files in the folder of the backup, newest first; null when they cannot be listed, and when it is absent.
    - Dokploy lists a hundred at most. If there are more, the list has the oldest hundred and those of the day of the
      latest good run.
  type: list
  elements: dict
  returned: success, and when a run failed
  contains:
    path:
      description: Its path in the bucket.
      type: str
    time:
      description: When it was begun, as its name tells.
      type: str
    size:
      description: How many bytes it has.
      type: int
  sample:
    - {path: shop-db-ct0pth/daily/2026-11-22T13-44-02-945Z.sql.gz, time: "2026-11-22T13:44:02.945Z", size: 544}
log:
  description: The last lines of the log of the run, without what looks like a secret.
  type: list
  elements: str
  returned: when it was run
  sample:
    - Initializing backup
    - "[Sun Nov 22 13:44:03 UTC 2026] ✅ Backup uploaded to S3 successfully"
    - Backup done ✅
candidates:
  description: The ids of the backups or destinations that bear the name, or the services that do.
  type: list
  elements: raw
  returned: when a name is not unique
  sample: [MEcRLdAasWaGZ6XnKxfCw, q4si1he6NiaiVopxD-ro3]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vedfinance.platform.plugins.module_utils._clock import SystemClock
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.argspec import (
    DATABASE_ARGUMENTS,
    DOKPLOY_ARGUMENTS,
    client_from,
    query_from,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.backups import BACKUP_ARGUMENTS, keep_backup
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard, require_library
from ansible_collections.vedfinance.platform.plugins.module_utils._http import HAS_REQUESTS, REQUESTS_IMPORT_ERROR


def main() -> None:
    module = AnsibleModule(
        argument_spec={**DOKPLOY_ARGUMENTS, **DATABASE_ARGUMENTS, **BACKUP_ARGUMENTS},
        required_one_of=[("database", "database_id")],
        supports_check_mode=True,
    )
    require_library(module, "requests", HAS_REQUESTS, REQUESTS_IMPORT_ERROR)
    with guard(module):
        clock = SystemClock()
        client = client_from(module.params, clock)
        outcome = keep_backup(client, clock, query_from(module.params), module.params, module.check_mode)
        for warning in outcome.warnings:
            module.warn(warning)
        module.exit_json(**outcome.to_result())


if __name__ == "__main__":
    main()
