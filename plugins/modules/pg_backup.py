#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_backup
short_description: Dump a PostgreSQL database, judged before it counts, with a manifest and a checked copy elsewhere
version_added: 0.1.0
author:
  - The V-EdFinance platform team (@vedfinance)
description:
  - Lets C(pg_dump) write one moment of a database under a name that counts as no dump. What was written is then read
    from its first byte to its last, as a restore would, and only when it is whole it gets its name.
  - A manifest beside it, C(<dump>.manifest.json), tells its checksum, size, format, versions, server, the rows of each
    table (and with O(digests=true) their content), the newest Prisma migration, and the release.
  - A backup that fails, or is killed, leaves the older dumps as they were. What a killed run was making is removed by
    the next one, when it is certain that nobody is making it any more.
  - While it works, a line of progress is shown every few seconds, and it ends with its play, see
    M(vedfinance.platform.pg_restore_from_dump).
extends_documentation_fragment:
  - vedfinance.platform.attributes
  - vedfinance.platform.attributes.actiongroup_postgresql
  - vedfinance.platform.postgresql
attributes:
  check_mode:
    support: full
    details:
      - Looks at server, tools and disk and returns the plan; writes nothing.
  diff_mode:
    support: full
    details:
      - Shows the files that come.
  idempotent:
    support: partial
    details:
      - Each run with O(state=present) makes a dump, as its content and its time are others.
      - With O(state=fetched), a dump that is here already is not fetched again; with O(state=sent), one that is there
        already is not sent again.
options:
  database:
    description: The database.
    type: str
    required: true
    aliases: [db]
  state:
    description:
      - V(present) makes a dump.
      - V(fetched) brings one back from O(offsite), with its manifest, and compares its checksum with it. No server is
        asked.
      - V(sent) copies to O(offsite) what is here and not there yet, as after an upload that failed. It makes no dump,
        and asks no server.
    type: str
    choices: [present, fetched, sent]
    default: present
  path:
    description: The folder of the dumps, on the host that runs the module. It must exist.
    type: path
    required: true
  dump:
    description:
      - The file name of the dump to fetch or to send. By default O(state=fetched) takes the newest of the database, and
        O(state=sent) every one whose manifest knows of no copy elsewhere, the newest first.
    type: str
  name:
    description:
      - The name of the dump, without the suffix that tells its format and packing.
      - C({database}), C({release}), C({time}) (local) and C({utc}) are replaced, the last two as a layout for
        C(strftime) says. A dump is never written over, so a name without a time does once.
    type: str
    default: "{database}_{time:%Y%m%d_%H%M%S}"
  format:
    description:
      - The format, as C(pg_dump --format).
      - V(custom) and V(directory) tell a restore where each table begins. V(plain) is what C(psql) reads.
    type: str
    choices: [plain, custom, directory, tar]
    default: custom
  compress:
    description:
      - V(none), V(gzip) or V(zstd), also with a level, as in V(gzip:9) or V(zstd:3).
      - C(pg_dump) compresses by itself where it can; else the dump goes through the program of that name.
      - Without it, nobody notices a flipped bit in a V(plain) dump but by the manifest's checksum.
    type: str
    default: gzip
  jobs:
    description: How many tables C(pg_dump) reads at the same time; only O(format=directory) can.
    type: int
    default: 1
  nice:
    description:
      - How much other programs of the host go first, from V(0) to V(19). The server's own part is not slowed down by
        this; see O(rate_limit).
    type: int
    default: 10
  rate_limit:
    description:
      - The most bytes a second to read from C(pg_dump), before any program packs them, and to send to O(offsite); for
        example V(20M). The longer a dump takes, the longer it holds its moment, during which the server cleans up
        less.
      - With O(format=custom), the dump is then written through a pipe, and does not tell where each table begins. Not
        possible with O(format=directory).
    type: str
  disk_floor:
    description:
      - Free disk that must remain in the folder, for example V(5G). A dump that would go below it is not begun, and one
        that turns out to is given up.
    type: str
    default: "0"
  verify_dump:
    description:
      - Read the dump with the judge of M(vedfinance.platform.pg_restore_from_dump) before it counts, and require the
        data of every table.
      - A dump that is to be encrypted stands unencrypted beside it until then, readable for its owner only. With
        V(false), it is encrypted as it comes, and nobody has ever read it.
    type: bool
    default: true
  digests:
    description:
      - Read all tables a second time in the very moment of the dump. The dump must hold the same, bit for bit, and the
        manifest keeps a digest of each table's content.
    type: bool
    default: false
  latest_link:
    description:
      - A link in the folder that points to the newest dump, such as V(latest_dump.sql), which the runbook names. A
        file of this name that is no link is never replaced.
    type: str
  release:
    description: What the dump belongs to, for the manifest.
    type: str
  age_recipients:
    description: Public keys to encrypt the dump for with C(age).
    type: list
    elements: str
    default: []
  gpg_recipients:
    description: Ids of public keys in the keyring to encrypt the dump for with C(gpg). They are trusted.
    type: list
    elements: str
    default: []
  gpg_home:
    description: Folder of the GnuPG keyring that holds the public keys, as C(gpg --homedir) takes it.
    type: path
  offsite:
    description:
      - Where to copy the dump to with C(rclone), and where O(state=fetched) takes it from.
      - The checksum of what has arrived is compared, by the remote's own checksums, or where it has none by reading it
        back. The manifest is sent last.
    type: dict
    suboptions:
      remote:
        description: A remote of rclone's configuration and a folder there, as in V(offsite:backups/postgres).
        type: str
        required: true
      rclone_config:
        description: rclone's configuration file; by default rclone's own. The secrets are in there.
        type: path
  lock_timeout:
    description:
      - Seconds to wait for another backup of the database to end, and for locks on its tables, which a migration may
        hold.
    type: float
    default: 60
  client_bin_dir:
    description:
      - Folder of PostgreSQL's client tools. By default C(PATH) is searched, then C(/usr/lib/postgresql/*/bin), the
        newest version first.
      - With O(container), and a C(pg_dump) of the host that is missing or older than the server, the one inside of the
        container is run by C(docker exec). It cannot write O(format=directory).
    type: path
  progress_interval:
    description: Seconds between two lines of progress, as in M(vedfinance.platform.pg_restore_from_dump).
    type: float
    default: 5
  progress_file:
    description: The file in which the progress stands, as in M(vedfinance.platform.pg_restore_from_dump).
    type: path
requirements:
  - C(pg_dump), not older than the server (C(postgresql-client)), and C(pg_restore) for O(verify_dump) of archives
  - C(zstd), C(age), C(gpg) and C(rclone) for the options that name them
notes:
  - The role needs no more than to read everything, as C(pg_read_all_data) or the owner of all tables may.
  - Roles and passwords of the server are in no dump of a database.
seealso:
  - module: vedfinance.platform.pg_restore_from_dump
  - module: vedfinance.platform.pg_backup_retention
  - module: vedfinance.platform.pg_dump_info
"""

EXAMPLES = r"""
- name: The nightly dump
  vedfinance.platform.pg_backup:
    database: vedfinance
    path: /backups/postgres
    disk_floor: 5G
    login_unix_socket: /run/postgresql
    login_user: platform_operator
  register: backup

- name: As the runbook's own command reads it, out of a container
  vedfinance.platform.pg_backup:
    database: vedfinance
    path: /backups/postgres
    format: plain
    compress: none
    latest_link: latest_dump.sql
    container: vedfinance-db-k2j4hs
  become: true

- name: Encrypted, slowly, and elsewhere too
  vedfinance.platform.pg_backup:
    database: vedfinance
    path: /backups/postgres
    compress: zstd:3
    digests: true
    rate_limit: 20M
    age_recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p]
    offsite:
      remote: offsite:backups/postgres
      rclone_config: /root/.config/rclone/rclone.conf
    login_host: 127.0.0.1
    login_user: platform_operator
    login_password: "{{ operator_password }}"

- name: The disk is gone; bring the newest dump back
  vedfinance.platform.pg_backup:
    database: vedfinance
    path: /backups/postgres
    state: fetched
    offsite:
      remote: offsite:backups/postgres
"""

RETURN = r"""
msg:
  description: One sentence for people.
  returned: always
  type: str
  sample: >-
    vedfinance was dumped to /backups/postgres/vedfinance_20261122_020000.dump: 40211 rows, 4.1 MB, whole by its own
    judge.
database:
  description: The database.
  returned: always
  type: str
  sample: vedfinance
dump:
  description: The dump that counts now; null when none came, as in check mode. A failure to send it leaves it counted.
  returned: always
  type: str
  sample: /backups/postgres/vedfinance_20261122_020000.dump
manifest_path:
  description: The file beside it; null when there is no dump.
  returned: always
  type: str
  sample: /backups/postgres/vedfinance_20261122_020000.dump.manifest.json
manifest:
  description:
    - What is in that file; null when there is no dump. C(tables) holds rows and digest by table.
    - C(sha256) of a folder is that of the names, lengths and contents of its files, by name.
  returned: always
  type: dict
  sample:
    manifest: 1
    dump: vedfinance_20261122_020000.dump
    sha256: 1f0a9c33d2b7f2b0c9d53f6a1ce5a5e0b9a3d1a8f3d5a4c0d7e8f90a1b2c3d4e
    bytes: 4100312
    format: custom
    compression: gzip
    database: vedfinance
    began: "2026-11-22T02:00:00+00:00"
    ended: "2026-11-22T02:00:04+00:00"
    encrypted_for: []
    server: {version: "16.14", system_identifier: "7440000000000000001", host: vps}
    pg_dump: "16.14"
    tables: {public.users: {rows: 1000, digest: null}}
    digest_of: null
    migration_head: 20261101120000_add_lessons
    release: v1.4.2
    offsite: null
rows:
  description: Rows in all tables; null when there is no dump.
  returned: always
  type: int
  sample: 40211
plan:
  description: What was decided before anything was written; of other states than V(present), only paths and size.
  returned: always
  type: dict
  sample:
    path: /backups/postgres/vedfinance_20261122_020000.dump
    format: custom
    compression: gzip
    encrypted_for: []
    pg_dump: "16.14"
    estimated_bytes: 4920374
    estimate_from: a little more than vedfinance_20261121_020000.dump
    disk: {path: /backups/postgres, free: 12884901888, needed: 4920374}
    latest_link: null
    offsite: null
latest_link:
  description: The link that points to the dump now; null without O(latest_link).
  returned: always
  type: str
  sample: /backups/postgres/latest_dump.sql
removed_partials:
  description: What dead runs had been making, and was removed.
  returned: always
  type: list
  elements: str
  sample: []
seconds:
  description: Seconds by phase. C(dump), C(count), C(judge), C(encrypt), C(finish), C(offsite), C(fetch) and C(total).
  returned: always
  type: dict
  sample: {dump: 2.1, count: 0.01, judge: 0.4, finish: 0.02, total: 2.6}
notes:
  description: What a person may want to know and need not act on; C(pg_dump)'s own remarks are here.
  returned: always
  type: list
  elements: str
  sample: []
"""

import os
from contextlib import suppress
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.formatters import human_to_bytes
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard, require_library
from ansible_collections.vedfinance.platform.plugins.module_utils._hangup import ended_with_the_play
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.argspec import (
    LOGIN,
    LOGIN_EXCLUSIVE,
    server_of,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup.backup import (
    Options,
    Report,
    back_up,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup.command import Compression
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup.encryption import Recipients
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup.fetch import fetch
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup.naming import DEFAULT
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup.offsite import OFFSITE, Remote
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup.send import send_missing
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.connect import (
    HAS_PSYCOPG,
    PSYCOPG_IMPORT_ERROR,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.source import Tools
from ansible_collections.vedfinance.platform.plugins.module_utils._progress import Progress


def options_of(params: dict[str, Any]) -> Options:
    if not params["database"]:
        raise PlatformError("Option database is empty.", "Name the database.")
    rate_limit = _bytes(params["rate_limit"], "rate_limit") if params["rate_limit"] else None
    return Options(
        database=params["database"],
        folder=params["path"],
        name=params["name"],
        format=params["format"],
        compression=Compression.parse(params["compress"]),
        jobs=_between(params["jobs"], "jobs", 1, 64),
        nice=_between(params["nice"], "nice", 0, 19),
        rate_limit=rate_limit or None,
        disk_floor=_bytes(params["disk_floor"], "disk_floor"),
        verify_dump=params["verify_dump"],
        digests=params["digests"],
        latest_link=params["latest_link"] or None,
        release=params["release"] or None,
        recipients=Recipients(tuple(params["age_recipients"]), tuple(params["gpg_recipients"]), params["gpg_home"]),
        remote=Remote.of(params["offsite"], rate_limit or None),
        lock_timeout=params["lock_timeout"],
    )


def _between(number: int, option: str, least: int, most: int) -> int:
    if not least <= number <= most:
        raise PlatformError(f"Option {option} is {number}.", f"Write a number from {least} to {most}.")
    return number


def _bytes(text: str, option: str) -> int:
    try:
        return int(human_to_bytes(text))
    except ValueError:
        raise PlatformError(f"Option {option} is {text!r}, which is no size.", "Write for example 10G.") from None


def _let_others_go_first(nice: int) -> None:
    """All that is started inherits it, and the judge, which is this process, takes as much time as pg_dump."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, max(nice, os.getpriority(os.PRIO_PROCESS, 0)))


def run(params: dict[str, Any], progress: Progress, check: bool) -> Report:
    options = options_of(params)
    _let_others_go_first(options.nice)
    if params["state"] == "present":
        return back_up(server_of(params), options, Tools(params["client_bin_dir"]), progress, check=check)
    if options.remote is None:
        raise PlatformError("Option offsite is missing.", "Name the remote that holds the dumps.")
    where = (options.remote, options.database, options.folder, params["dump"])
    if params["state"] == "sent":
        return send_missing(*where, progress, check=check)
    return fetch(*where, options.disk_floor, progress, check=check)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "database": {"type": "str", "required": True, "aliases": ["db"]},
            "state": {"type": "str", "choices": ["present", "fetched", "sent"], "default": "present"},
            "path": {"type": "path", "required": True},
            "dump": {"type": "str"},
            "name": {"type": "str", "default": DEFAULT},
            "format": {"type": "str", "choices": ["plain", "custom", "directory", "tar"], "default": "custom"},
            "compress": {"type": "str", "default": "gzip"},
            "jobs": {"type": "int", "default": 1},
            "nice": {"type": "int", "default": 10},
            "rate_limit": {"type": "str"},
            "disk_floor": {"type": "str", "default": "0"},
            "verify_dump": {"type": "bool", "default": True},
            "digests": {"type": "bool", "default": False},
            "latest_link": {"type": "str"},
            "release": {"type": "str"},
            "age_recipients": {"type": "list", "elements": "str", "default": []},
            "gpg_recipients": {"type": "list", "elements": "str", "default": []},
            "gpg_home": {"type": "path"},
            "offsite": OFFSITE,
            "lock_timeout": {"type": "float", "default": 60},
            "client_bin_dir": {"type": "path"},
            "progress_interval": {"type": "float", "default": 5},
            "progress_file": {"type": "path"},
            **LOGIN,
        },
        required_if=[("state", "fetched", ["offsite"]), ("state", "sent", ["offsite"])],
        mutually_exclusive=LOGIN_EXCLUSIVE,
        supports_check_mode=True,
    )
    require_library(module, "psycopg", HAS_PSYCOPG, PSYCOPG_IMPORT_ERROR)
    with guard(module):
        with ended_with_the_play(), Progress(module.params["progress_file"]) as progress:
            result = run(module.params, progress, module.check_mode).as_result()
        # Outside, as the watcher of the play writes empty lines.
        module.exit_json(**result)


if __name__ == "__main__":
    main()
