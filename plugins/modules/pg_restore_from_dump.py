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
  - The whole dump is read and judged before any of its rows is loaded. A dump that is cut off, damaged, empty, made by
    C(pg_dumpall), or that would leave the database or run a program, is refused with the place.
  - The dump is loaded into a staging database beside the live one, over several connections, made from C(template0)
    with the live database's encoding, locale and owner. There it is proved. Every row that was streamed is stored,
    every object that the dump's statements create is there and valid, and your own O(checks) hold.
  - Then staging takes over in one transaction of two renames. Until its commit, clients read the old database; after
    it, the new one; never a mix. What a dump does not hold (settings of the database and of roles in it, grants,
    connection limit, comment) is carried over from the live database.
  - The old database is kept as C(<database>__before_<UTC time>), and O(state=undone) swaps back.
  - A dump can be restored and proved long before it is needed (O(state=verified), O(keep=true)). The restore is then
    only the swap, at any size of the database.
  - Any failure leaves the live database untouched, removes staging, and says so in RV(live_untouched).
  - While it works, a line of progress is shown every few seconds. A restore ends with its play. However that was ended,
    the module swaps no more and tidies up. A task with C(async) goes on, as it is meant to.
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
        O(force=true). What was written to it since stays. When that cannot be told, nothing is restored either.
      - With O(state=verified) and O(keep=true), a dump that is kept verified already is not verified again unless
        O(force=true). With O(keep=false), each run is a drill of its own; it changes nothing that lasts.
      - With the other states, a second run finds nothing to do.
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
      - The dump, on the host that runs this module. Plain SQL, or C(pg_dump)'s formats custom, directory and tar. A
        file may also be packed with gzip, zstd, xz or bzip2, and encrypted with age or gpg.
      - The format is told by the content; the name plays no part. A link is followed.
      - Needed when O(state=restored) or O(state=verified).
    type: path
    aliases: [target]
  state:
    description:
      - V(restored) brings the database to what the dump holds.
      - V(verified) restores the dump beside the live database, proves it, and drops it again. With O(keep=true) it is
        closed to all connections and kept, and a later V(restored) of the same dump only swaps.
      - V(completed) builds the indexes that O(defer_indexes) left for later, while clients work. After an interruption,
        it goes on where it was.
      - V(undone) puts the database of before the last restore back. What the restore brought is kept as
        C(<database>__undone_<UTC time>).
      - V(cleaned) drops what interrupted runs left behind, and what O(keep_previous) and O(keep_verified) no longer
        keep.
    type: str
    choices: [restored, verified, completed, undone, cleaned]
    default: restored
  jobs:
    description:
      - Connections that load tables and build indexes at the same time, or V(auto), as many as the server has cores.
        Never more than this login may still open.
    type: str
    default: auto
  defer_indexes:
    description:
      - With V(non_unique), the swap does not wait for indexes that enforce nothing. They are listed in
        RV(outstanding_indexes) and in the database itself until O(state=completed) has built them. Queries that need
        them are slow until then.
      - Primary keys, unique indexes and all other constraints are never left for later.
    type: str
    choices: [none, non_unique]
    default: none
  verify:
    description:
      - How much is proved before the swap.
      - V(rows) compares the rows of every table, and the catalogue with the dump's own statements.
      - V(content) also compares the content of every table, bit for bit, with the dump's.
      - V(deep) also lets the extension C(amcheck) examine tables and indexes; it needs a superuser and the extension's
        package on the server.
    type: str
    choices: [rows, content, deep]
    default: rows
  max_age:
    description:
      - Refuse a dump that is older than this, as what was written since would be lost. A number and a unit, as in
        V(26h) or V(7d).
    type: str
  compare_tolerance:
    description:
      - How many percent the rows of a table in the dump may differ from those in the live database without being listed
        in RV(compared_to_live). A difference is only reported.
    type: float
    default: 0
  keep:
    description:
      - With O(state=verified), keep the proved database as C(<database>__verified_<dump id>). It takes as much disk as
        the live one.
    type: bool
    default: false
  keep_verified:
    description: How many verified databases to keep, the newest first.
    type: int
    default: 1
  use_verified:
    description:
      - With O(state=restored), let a verified database of the same dump take over, if there is one that has been closed
        since it was proved, by the same O(verify) and the same O(checks) at least, and with the same roles mapped.
    type: bool
    default: true
  clone_verified:
    description:
      - Let a copy of the verified database take over, and keep it for the next time. A copy takes time and disk.
    type: bool
    default: false
  keep_previous:
    description:
      - How many databases of before a restore to keep (V(3)), or how long (V(7d)). Others are dropped after the swap.
        The same holds for databases that O(state=undone) put aside.
      - With V(0) the old database is dropped at once, and nothing can be undone.
    type: str
    default: "3"
  previous_database:
    description: The kept database to go back to when O(state=undone). By default the newest.
    type: str
  owner:
    description:
      - The role that shall own the database. By default the owner of the live database, and if that is missing, the
        one role that owns all objects of the dump.
    type: str
  roles:
    description:
      - What to do about roles that the dump names and the server lacks.
      - V(require) refuses the restore. V(create) creates them without login or password, which needs C(CREATEROLE).
        V(map) gives what is theirs to others, see O(role_map). RV(notes) names them, with C(--check) too.
    type: str
    choices: [require, create, map]
    default: require
  role_map:
    description:
      - With O(roles=map), the role to take for each role of the dump. A missing role that is not listed becomes the
        owner of the database.
    type: dict
    default: {}
  checks:
    description:
      - SQL invariants. They are run on staging, read-only, and each must hold before the swap.
      - These need not be listed. Sequences that feed a column are not behind it, and no migration in
        C(_prisma_migrations) is unfinished.
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
        description:
          - The value that the query must give, as text. Booleans are V(true) and V(false).
          - With V(*), any value but NULL will do, and RV(proof) tells it.
        type: str
        default: "true"
  skip_checks:
    description:
      - Built-in checks to leave out, for a dump of a database that had the defect itself.
    type: list
    elements: str
    choices: [sequences, prisma_migrations]
    default: []
  force:
    description:
      - Restore even when the database was restored from this very dump before and lacks none of its rows. Verify even
        what is kept verified.
    type: bool
    default: false
  lock_timeout:
    description: Seconds to wait for another run of the same kind on the same database to end.
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
  disk_floor:
    description:
      - Free disk that must remain, for example V(10G). A restore that would go below it is refused; a verified database
        is not kept when it would.
    type: str
    default: "0"
  progress_interval:
    description:
      - Seconds between two lines that say how far the work is, printed by the controller while the module runs. A work
        that is shorter prints none. V(0) switches them off.
      - They go to standard error, so that what reads the output of a callback is not disturbed. They are shown over the
        connections V(local) and V(ssh), with and without C(become), in check mode too; not with C(no_log), nor when the
        task has C(async).
      - Where they cannot be shown, the module runs all the same.
    type: float
    default: 5
  progress_file:
    description:
      - A file on the host that runs the module, in which its progress stands while it works. It is JSON, written anew
        twice a second and readable for its owner only. Whatever has this name is replaced, and removed at the end.
      - You need not set it. For the lines of O(progress_interval) the controller takes a name that nobody can guess.
        Set it to follow a restore with a program of your own.
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

- name: Restore as fast as can be; the API serves while the last indexes are built
  vedfinance.platform.pg_restore_from_dump:
    database: vedfinance
    src: /backups/postgres/vedfinance_20261122_020000.sql.gz
    defer_indexes: non_unique
    login_unix_socket: /run/postgresql
    login_user: platform_operator

- name: Build the indexes that were left for later
  vedfinance.platform.pg_restore_from_dump:
    database: vedfinance
    state: completed
    login_unix_socket: /run/postgresql
    login_user: platform_operator

- name: Every night, prove that the dump can be restored, and keep it ready to take over
  vedfinance.platform.pg_restore_from_dump:
    database: vedfinance
    src: /backups/postgres/vedfinance_20261122_020000.dump
    state: verified
    keep: true
    verify: content
    disk_floor: 10G
    login_unix_socket: /run/postgresql
    login_user: platform_operator

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

- name: Drop what interrupted runs left behind, and databases of before a restore that are older than a week
  vedfinance.platform.pg_restore_from_dump:
    database: vedfinance
    state: cleaned
    keep_previous: 7d
    login_unix_socket: /run/postgresql
    login_user: platform_operator
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
verified_database:
  description: The verified database that is kept; null when none is.
  returned: always
  type: str
  sample: vedfinance__verified_1f0a9c33d2b7
removed_databases:
  description: Databases that were dropped, see O(keep_previous), O(keep_verified) and O(state=cleaned).
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
  description:
    - The dump, shaped as RV(vedfinance.platform.pg_dump_info#module:dumps). Empty when O(state) is V(completed),
      V(undone) or V(cleaned).
  returned: always
  type: dict
  sample: {path: /backups/postgres/vedfinance.dump, format: custom, age: 20 h 3 min, rows: 40211}
plan:
  description:
    - What was decided before anything was written, and why.
    - C(verified_database) is the one that takes over; null when the dump is loaded. C(estimated_seconds) comes from
      what the last restore took on this host, or from C(estimate_from).
    - C(kept_as) is the name that the live database would be kept under now, C(estimated_downtime_seconds) how long
      clients would have none.
    - C(preflight) lists what was looked at, C(load) how the dump is loaded.
  returned: always
  type: dict
  sample:
    already_restored: false
    live: {exists: true, bytes: 31457280, rows: 12, tables: 14}
    staging_database: vedfinance__staging_20261122_031450
    verified_database: null
    properties_from: vedfinance
    jobs: 2
    jobs_from: the cores of this host
    estimated_seconds: 3.1
    estimate_from: the last restore here, 24 MB/s
    kept_as: vedfinance__before_20261122_031450
    estimated_downtime_seconds: 0.12
    disk: {path: /var/lib/postgresql/16/main, free: 12884901888, needed: 184549376}
    preflight: [{name: roles, result: passed, detail: ""}]
    problems: []
tables:
  description:
    - Every table of the dump, with its rows and those of the live database before (null when unknown).
    - In check mode the live database is counted, for ten seconds at most. A restore counts it when it is the old one,
      after the swap. When a verified database takes over, it is counted only with C(--diff).
  returned: always
  type: list
  elements: dict
  sample: [{name: public.users, rows: 1000, live_rows: 3}]
rows:
  description: Rows in all tables.
  returned: always
  type: int
  sample: 40211
compared_to_live:
  description:
    - What the live database had before and the dump has not, or the other way round, by table. Empty when there was no
      live database, or its rows were not counted, see RV(tables).
  returned: always
  type: dict
  sample:
    msg: The recovery would lose 12 rows in 1 table (users -12).
    tables: [{name: public.users, live_rows: 1012, dump_rows: 1000, difference: -12}]
proof:
  description:
    - The checks that staging had to pass.
    - Each has a C(result) of V(passed), V(failed) or V(could not run), and the C(seconds) that it took.
  returned: always
  type: list
  elements: dict
  sample: [{name: rows, result: passed, detail: "", seconds: 0.26}]
outstanding_indexes:
  description: Indexes that O(defer_indexes) left for later and that are not built yet.
  returned: always
  type: list
  elements: str
  sample: [public.behavior_logs_metadata_idx]
built_indexes:
  description: Indexes that were built now, when O(state=completed).
  returned: always
  type: list
  elements: str
  sample: []
seconds:
  description:
    - Seconds by phase.
    - C(judge), C(create), C(load) and its parts, C(verify), C(swap), C(to_service) (from the start to the committed
      swap) and C(total). With O(state=verified), C(keep) instead of the swap; with O(state=completed), C(complete).
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
from ansible.module_utils.common.text.formatters import human_to_bytes
from ansible_collections.vedfinance.platform.plugins.module_utils._duration import seconds_in
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard, require_library
from ansible_collections.vedfinance.platform.plugins.module_utils._hangup import ended_with_the_play
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
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.tools import tools_of
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.complete import complete
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.engine import restore
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.housekeeping import clean, undo
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.proof import Invariant
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.report import Options, Report
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.retention import Keep
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.verification import verify
from ansible_collections.vedfinance.platform.plugins.module_utils._progress import Progress


def options_of(params: dict[str, Any], diff: bool = False) -> Options:
    if not params["database"]:
        raise PlatformError("Option database is empty.", "Name the database.")
    return Options(
        database=params["database"],
        src=params["src"],
        owner=params["owner"],
        roles=params["roles"],
        role_map=params["role_map"],
        jobs=_jobs(params["jobs"]),
        max_age=seconds_in(params["max_age"], "max_age") if params["max_age"] else None,
        defer_indexes=params["defer_indexes"] == "non_unique",
        verify=params["verify"],
        invariants=tuple(Invariant(**check) for check in params["checks"]),
        skip_checks=frozenset(params["skip_checks"]),
        compare_tolerance=params["compare_tolerance"],
        keep_previous=Keep.parse(params["keep_previous"], "keep_previous"),
        previous_database=params["previous_database"],
        keep=params["keep"],
        keep_verified=_count(params["keep_verified"], "keep_verified", 1 if params["keep"] else 0),
        use_verified=params["use_verified"],
        clone_verified=params["clone_verified"],
        force=params["force"],
        lock_timeout=params["lock_timeout"],
        disk_path=params["disk_path"],
        disk_floor=_bytes(params["disk_floor"], "disk_floor"),
        check_disk=params["check_disk"],
        diff=diff,
    )


def _jobs(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise PlatformError(f"Option jobs is {text!r}.", "Write auto, or a number of connections from 1 on.")
    return int(text)


def _count(number: int, option: str, least: int) -> int:
    if number < least:
        raise PlatformError(f"Option {option} is {number}.", f"Write a number from {least} on.")
    return number


def _bytes(text: str, option: str) -> int:
    try:
        return int(human_to_bytes(text))
    except ValueError:
        raise PlatformError(f"Option {option} is {text!r}, which is no size.", "Write for example 10G.") from None


def run(params: dict[str, Any], progress: Progress, check: bool, diff: bool) -> Report:
    options, server, state = options_of(params, diff), server_of(params), params["state"]
    if state == "restored":
        return restore(server, options, tools_of(params), progress, check=check)
    if state == "verified":
        return verify(server, options, tools_of(params), progress, check=check)
    if state == "completed":
        return complete(server, options, progress, check=check)
    return (undo if state == "undone" else clean)(server, options, check=check)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "database": {"type": "str", "required": True, "aliases": ["db", "name"]},
            "src": {"type": "path", "aliases": ["target"]},
            "state": {
                "type": "str",
                "choices": ["restored", "verified", "completed", "undone", "cleaned"],
                "default": "restored",
            },
            "jobs": {"type": "str", "default": "auto"},
            "defer_indexes": {"type": "str", "choices": ["none", "non_unique"], "default": "none"},
            "verify": {"type": "str", "choices": ["rows", "content", "deep"], "default": "rows"},
            "max_age": {"type": "str"},
            "compare_tolerance": {"type": "float", "default": 0},
            "keep": {"type": "bool", "default": False},
            "keep_verified": {"type": "int", "default": 1},
            "use_verified": {"type": "bool", "default": True},
            "clone_verified": {"type": "bool", "default": False},
            "keep_previous": {"type": "str", "default": "3"},
            "previous_database": {"type": "str"},
            "owner": {"type": "str"},
            "roles": {"type": "str", "choices": ["require", "create", "map"], "default": "require"},
            "role_map": {"type": "dict", "default": {}},
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
            "skip_checks": {
                "type": "list",
                "elements": "str",
                "choices": ["sequences", "prisma_migrations"],
                "default": [],
            },
            "force": {"type": "bool", "default": False},
            "lock_timeout": {"type": "float", "default": 60},
            "check_disk": {"type": "bool", "default": True},
            "disk_path": {"type": "path"},
            "disk_floor": {"type": "str", "default": "0"},
            "progress_interval": {"type": "float", "default": 5},
            "progress_file": {"type": "path"},
            **LOGIN,
            **DUMPS,
        },
        required_if=[("state", "restored", ["src"]), ("state", "verified", ["src"])],
        mutually_exclusive=LOGIN_EXCLUSIVE,
        supports_check_mode=True,
    )
    require_library(module, "psycopg", HAS_PSYCOPG, PSYCOPG_IMPORT_ERROR)
    with guard(module):
        with ended_with_the_play(), Progress(module.params["progress_file"]) as progress:
            result = run(module.params, progress, module.check_mode, module._diff).as_result()
        # Outside, as the watcher of the play writes empty lines.
        module.exit_json(**result)


if __name__ == "__main__":
    main()
