#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_restore_from_dump
short_description: Restore a PostgreSQL database from a dump, proved before it goes live, in one swap that can be undone
version_added: 0.1.0
author:
  - The V-EdFinance platform team (@vedfinance)
description:
  - The whole dump is read and judged before the server is touched. A dump that is cut off, damaged, empty, made by
    C(pg_dumpall), or that would leave the database or run a program, is refused with the place.
  - The dump is loaded into a staging database beside the live one, made from C(template0) with the live database's
    encoding, locale and owner. There it is proved. Every row that was streamed is stored, every object that the dump's
    statements create is there and valid, and your own O(checks) hold.
  - Then staging takes over in one transaction of two renames. Until its commit, clients read the old database; after
    it, the new one; never a mix. What a dump does not hold (settings of the database and of roles in it, grants,
    connection limit, comment) is carried over from the live database.
  - The old database is kept as C(<database>__before_<UTC time>), and O(state=undone) swaps back.
  - Any failure leaves the live database untouched, removes staging, and says so in RV(live_untouched).
extends_documentation_fragment:
  - vedfinance.platform.attributes
  - vedfinance.platform.attributes.actiongroup_postgresql
  - vedfinance.platform.postgresql
  - vedfinance.platform.postgresql.dumps
attributes:
  check_mode:
    support: full
    details:
      - Judges the dump, looks at the server and returns the plan; writes nothing.
  diff_mode:
    support: full
    details:
      - Shows tables and row counts, live against dump.
  idempotent:
    support: partial
    details:
      - A database that was restored from this very dump, and lacks none of its rows, is left alone unless
        O(force=true). What was written to it since stays.
      - With O(state=undone), a second run finds nothing to undo.
options:
  database:
    description:
      - The database to restore. One that does not exist, because it was dropped, is created.
      - Its owner, locale, settings and grants are then those of the newest database kept from an earlier restore; if
        there is none, those that an archive in custom format holds. A plain dump holds none, and RV(notes) says so.
    type: str
    required: true
    aliases: [db, name]
  src:
    description:
      - The dump, on the host that runs this module. Plain SQL or C(pg_dump)'s custom format, either of them also packed
        with gzip, zstd, xz or bzip2.
      - The format is told by the content; the name plays no part. A link is followed.
      - Needed when O(state=restored).
    type: path
    aliases: [target]
  state:
    description:
      - V(restored) brings the database to what the dump holds.
      - V(undone) puts the database of before the last restore back. What the restore brought is kept as
        C(<database>__undone_<UTC time>).
    type: str
    choices: [restored, undone]
    default: restored
  jobs:
    description: Connections that build keys and indexes at the same time.
    type: int
    default: 2
  max_age:
    description:
      - Refuse a dump that is older than this, as what was written since would be lost. A number and a unit, as in
        V(26h) or V(7d).
    type: str
  keep_previous:
    description:
      - How many databases of before a restore to keep, the newest first; older ones are dropped after the swap.
      - With V(0) the old database is dropped at once, and nothing can be undone.
    type: int
    default: 3
  previous_database:
    description: The kept database to go back to when O(state=undone). By default the newest.
    type: str
  owner:
    description:
      - The role that shall own the database. By default the owner of the live database, and if that is missing, the
        one role that owns all objects of the dump.
    type: str
  checks:
    description: SQL invariants. They are run on staging, read-only, and each must hold before the swap.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What it checks, for messages.
        type: str
        required: true
      query:
        description: A query; the first column of its first row is compared.
        type: str
        required: true
      expect:
        description: The value that the query must give, as text. Booleans are V(true) and V(false).
        type: str
        default: "true"
  force:
    description:
      - Restore even when the database was restored from this very dump before and lacks none of its rows.
    type: bool
    default: false
  lock_timeout:
    description: Seconds to wait for another restore of the same database to end.
    type: float
    default: 60
  check_disk:
    description:
      - Require that the server's file system has room for a second copy of the database. Where its free space cannot
        be seen, for example on a managed server, this must be switched off in so many words.
    type: bool
    default: true
  disk_path:
    description:
      - A path on this host that lies on the server's file system.
      - By default the server is asked for its data folder, which needs the role C(pg_read_all_settings) and a server on
        this host.
    type: path
seealso:
  - module: vedfinance.platform.pg_dump_info
  - module: community.postgresql.postgresql_db
    description: Restores into the live database, without looking at the dump.
"""

EXAMPLES = r"""
- name: What would a restore of last night's dump do?
  vedfinance.platform.pg_restore_from_dump:
    database: vedfinance
    src: /backups/postgres/vedfinance_20261122_020000.dump
    login_host: 127.0.0.1
    login_user: platform_operator
    login_password: "{{ operator_password }}"
  check_mode: true
  diff: true

- name: Restore it, if the users are there and no migration is stuck
  vedfinance.platform.pg_restore_from_dump:
    database: vedfinance
    src: /backups/postgres/vedfinance_20261122_020000.dump
    max_age: 26h
    login_host: 127.0.0.1
    login_user: platform_operator
    login_password: "{{ operator_password }}"
    checks:
      - name: there are users
        query: SELECT count(*) > 0 FROM users
      - name: no migration is stuck
        query: SELECT count(*) FROM _prisma_migrations WHERE finished_at IS NULL AND rolled_back_at IS NULL
        expect: "0"
  register: restored

- name: Restore inside of the database's container
  vedfinance.platform.pg_restore_from_dump:
    database: vedfinance
    src: /backups/postgres/latest_dump.sql
    container: vedfinance-db-k2j4hs
  become: true

- name: Go back to what was there before
  vedfinance.platform.pg_restore_from_dump:
    database: vedfinance
    state: undone
    login_host: 127.0.0.1
    login_user: platform_operator
    login_password: "{{ operator_password }}"
"""

RETURN = r"""
msg:
  description: One sentence for people.
  returned: always
  type: str
  sample: >-
    vedfinance now holds 40211 rows from /backups/postgres/vedfinance.dump. The old one is kept as
    vedfinance__before_20261122_031502.
database:
  description: The database.
  returned: always
  type: str
  sample: vedfinance
previous_database:
  description: The name under which the database that was live is kept; null when there was none, or none is kept.
  returned: always
  type: str
  sample: vedfinance__before_20261122_031502
removed_databases:
  description: Databases of earlier restores that were dropped, see O(keep_previous).
  returned: always
  type: list
  elements: str
  sample: []
live_untouched:
  description: Whether the live database is what it was. True after every failure before the swap, and in check mode.
  returned: always
  type: bool
  sample: false
dump:
  description: The dump, shaped as RV(vedfinance.platform.pg_dump_info#module:dumps). Empty when O(state=undone).
  returned: always
  type: dict
  sample: {path: /backups/postgres/vedfinance.dump, format: custom, age: 20 h 3 min, rows: 40211}
plan:
  description: What was decided before anything was written.
  returned: always
  type: dict
  sample:
    already_restored: false
    live: {exists: true, bytes: 31457280, rows: 12, tables: 14}
    staging_database: vedfinance__staging_20261122_031450
    properties_from: vedfinance
    disk: {path: /var/lib/postgresql/16/main, free: 12884901888, needed: 184549376}
    problems: []
tables:
  description: Every table of the dump, with its rows and those of the live database before (null when unknown).
  returned: always
  type: list
  elements: dict
  sample: [{name: public.users, rows: 1000, live_rows: 3}]
rows:
  description: Rows in all tables.
  returned: always
  type: int
  sample: 40211
proof:
  description:
    - The checks that staging had to pass.
    - Each has a C(result) of V(passed), V(failed) or V(could not run).
  returned: always
  type: list
  elements: dict
  sample: [{name: rows, result: passed, detail: ""}]
seconds:
  description:
    - Seconds by phase.
    - C(judge), C(create), C(load) (of which C(data), C(indexes), C(constraints) and C(analyze)), C(verify), C(swap),
      C(to_service) (from the start to the committed swap) and C(total).
  returned: always
  type: dict
  sample: {judge: 0.31, load: 2.1, verify: 0.12, swap: 0.11, to_service: 2.7, total: 2.8}
downtime_seconds:
  description: Seconds between the first client session that was ended and the commit of the swap.
  returned: always
  type: float
  sample: 0.11
notes:
  description: What a person may want to know and need not act on.
  returned: always
  type: list
  elements: str
  sample: []
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vedfinance.platform.plugins.module_utils._duration import seconds_in
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard, require_library
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.argspec import (
    DUMPS,
    LOGIN,
    LOGIN_EXCLUSIVE,
    server_of,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.connect import (
    HAS_PSYCOPG,
    PSYCOPG_IMPORT_ERROR,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.source import Tools
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.engine import Options, restore, undo
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.proof import Invariant


def run(params: dict[str, Any], check: bool) -> dict[str, Any]:
    options = Options(
        database=params["database"],
        src=params["src"],
        owner=params["owner"],
        jobs=params["jobs"],
        max_age=seconds_in(params["max_age"], "max_age") if params["max_age"] else None,
        keep_previous=params["keep_previous"],
        previous_database=params["previous_database"],
        invariants=tuple(Invariant(**check) for check in params["checks"]),
        force=params["force"],
        lock_timeout=params["lock_timeout"],
        disk_path=params["disk_path"],
        check_disk=params["check_disk"],
    )
    server = server_of(params)
    if params["state"] == "undone":
        return undo(server, options, check=check).as_result()
    return restore(server, options, Tools(params["client_bin_dir"]), check=check).as_result()


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "database": {"type": "str", "required": True, "aliases": ["db", "name"]},
            "src": {"type": "path", "aliases": ["target"]},
            "state": {"type": "str", "choices": ["restored", "undone"], "default": "restored"},
            "jobs": {"type": "int", "default": 2},
            "max_age": {"type": "str"},
            "keep_previous": {"type": "int", "default": 3},
            "previous_database": {"type": "str"},
            "owner": {"type": "str"},
            "checks": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "query": {"type": "str", "required": True},
                    "expect": {"type": "str", "default": "true"},
                },
            },
            "force": {"type": "bool", "default": False},
            "lock_timeout": {"type": "float", "default": 60},
            "check_disk": {"type": "bool", "default": True},
            "disk_path": {"type": "path"},
            **LOGIN,
            **DUMPS,
        },
        required_if=[("state", "restored", ["src"])],
        mutually_exclusive=LOGIN_EXCLUSIVE,
        supports_check_mode=True,
    )
    require_library(module, "psycopg", HAS_PSYCOPG, PSYCOPG_IMPORT_ERROR)
    with guard(module):
        module.exit_json(**run(module.params, module.check_mode))


if __name__ == "__main__":
    main()
