#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: prisma_migrate
short_description: Check, lint, apply and verify the migrations of Prisma on a PostgreSQL database
version_added: 0.1.0
author:
  - The V-EdFinance platform team (@vedfinance)
description:
  - Looks at Prisma's migrations from both sides, the files and the table C(_prisma_migrations), says what stands
    between the two, and what is safe to do about it. It never resolves anything by itself.
  - With O(state=linted), reads what is pending before it runs, against the database that it will meet.
  - With O(state=deployed), looks for what would stop Prisma, runs C(prisma migrate deploy), and reads from the table
    what was applied. Prisma's exit status alone proves nothing.
  - There are no down migrations. The way back from a migration is one more migration, or a dump from before, which
    O(dump) puts into every message of a failure.
extends_documentation_fragment:
  - vedfinance.platform.attributes
  - vedfinance.platform.attributes.actiongroup_postgresql
  - vedfinance.platform.postgresql
attributes:
  check_mode:
    support: full
    details:
      - All states but V(deployed) only read. V(deployed) returns its plan, and fails where it could not begin.
  diff_mode:
    support: full
    details:
      - The names of the applied migrations, before and after.
  idempotent:
    support: full
options:
  state:
    description:
      - V(read) reads the files and no database, so that another host can look at them (O(files)).
      - V(checked) says of each migration how it stands.
      - V(linted) lints the pending migrations with O(lint_with), and fails as O(fail_on) says.
      - V(compared) says whether code that knows only the migrations O(known) can live with the database.
      - V(deployed) applies what is pending.
      - V(verified) fails unless everything is applied and nothing is broken.
    type: str
    choices: [read, checked, linted, compared, deployed, verified]
    default: checked
  path:
    description:
      - The folder C(migrations) beside C(schema.prisma), on the host where this runs.
      - Without it and O(files), only O(state=compared) works; it then finds no SQL to judge.
    type: path
  files:
    description: The migrations as data, RV(files) of O(state=read), for a host that has no checkout.
    type: dict
  database:
    description: The database. Needed by every state but V(read).
    type: str
    aliases: [db]
  schema:
    description: The schema in which Prisma works, as in the C(schema=) of its database URL.
    type: str
    default: public
  known:
    description: With O(state=compared), the names of the migrations that the code to be compared knows.
    type: list
    elements: str
  lint_with:
    description:
      - V(squawk) runs the linter of that name, which the Python package C(squawk-cli) brings.
      - V(own) asks the database. These rules are V(non-immutable-in-index), V(absent-table), V(absent-type),
        V(absent-extension) and V(concurrently-in-multi-statement).
    type: list
    elements: str
    choices: [squawk, own]
    default: [squawk, own]
  squawk:
    description: The program Squawk, looked for in C(PATH) and beside the Python interpreter.
    type: str
    default: squawk
  skip_rules:
    description:
      - Rules of Squawk that are passed over. By default those that refuse what Prisma itself writes, and those that ask
        for the timeouts that O(lock_timeout) and O(statement_timeout) set.
    type: list
    elements: str
    default:
      - prefer-bigint-over-int
      - prefer-bigint-over-smallint
      - prefer-identity
      - prefer-text-field
      - prefer-timestamp-tz
      - prefer-robust-stmts
      - require-lock-timeout
      - require-statement-timeout
      - require-timeout-settings
      - require-table-schema
  large_rows:
    description:
      - From how many rows on a table is large, by the server's own estimate. What Squawk finds is an error for a large
        table and a warning for others; what loses or refuses rows is an error as soon as there is one row; what cannot
        work at all is always an error.
    type: int
    default: 100000
  large_bytes:
    description: From how many bytes on a table is large, by the server's own estimate.
    type: int
    default: 100000000
  fail_on:
    description: From which severity on O(state=linted) fails.
    type: str
    choices: [error, warning, never]
    default: error
  prisma_cli:
    description:
      - The command line of Prisma, here or, with O(image), inside of the container.
    type: list
    elements: str
    default: [npx, prisma]
  chdir:
    description: The folder in which Prisma runs, such as C(apps/api) of the checkout. Without O(image) only.
    type: path
  schema_file:
    description: The file C(schema.prisma), where Prisma does not find it by itself.
    type: str
  image:
    description:
      - The image of the API. Prisma then runs in a container of it, which is named C(vedfinance-migrate-) and O(run),
        and is removed however it ends.
      - The image holds its own copy of the migrations. What of O(path) or O(files) it did not apply fails this module.
    type: str
  network:
    description: The Docker network on which the container finds the database, such as V(dokploy-network).
    type: str
  workdir:
    description: The folder inside of the container in which Prisma runs. By default the image's own.
    type: str
  docker:
    description: The command line of Docker.
    type: list
    elements: str
    default: [docker]
  database_url:
    description:
      - The address of the database as Prisma sees it. Without it, O(env_file) and O(environment) are asked, and at last
        it is made of the login options.
      - It must name O(database) and O(schema), so that what is migrated is what was looked at. It reaches Prisma by its
        environment only.
    type: str
  env_file:
    description: A file of variables for Prisma, one C(NAME=value) per line, as C(docker run --env-file) takes it.
    type: path
  environment:
    description: More variables for Prisma.
    type: dict
    default: {}
  url_variables:
    description: The variables that hold the address, C(directUrl) among them.
    type: list
    elements: str
    default: [DATABASE_URL]
  role:
    description:
      - The role that Prisma's sessions take after the login, so that what a migration makes is its own.
      - By default, and only where the address is made of the login options, the owner of the database. To stay who
        logs in, name O(login_user).
    type: str
  lock_timeout:
    description:
      - How long a statement may wait for a lock, while all others wait behind it. V(0) is for ever. It is put into the
        address as a setting of the session; not behind PgBouncer (C(pgbouncer=true)), which takes none.
    type: str
    default: 5s
  statement_timeout:
    description: How long one statement may take. V(0) is for ever.
    type: str
    default: 15m
  timeout:
    description: After how long Prisma is ended.
    type: str
    default: 30m
  generate:
    description:
      - Run C(prisma generate) after it, also when nothing was pending, as an earlier run may have been interrupted. It
        writes the same files again, and does not count as a change.
      - Not with O(image), whose client was made when it was built.
    type: bool
    default: false
  drift:
    description:
      - With O(state=verified), compare the schema with the code by C(prisma migrate diff), which is run as
        C(prisma migrate deploy) is. It cannot be done with Prisma's WASM engine.
    type: bool
    default: false
  run:
    description: The run that this belongs to, for the name of the container and of the sessions.
    type: str
    default: by-hand
  dump:
    description: The dump from before, for the messages of a failure.
    type: str
  restore_command:
    description: How O(dump) is restored, for the same.
    type: str
seealso:
  - module: vedfinance.platform.pg_backup
  - module: vedfinance.platform.pg_restore_from_dump
"""

EXAMPLES = r"""
- name: How do the migrations stand?
  vedfinance.platform.prisma_migrate:
    database: vedfinance
    container: vedfinance-db-k2j4hs
    path: /srv/vedfinance/apps/api/prisma/migrations

- name: Read the migrations where the code is
  vedfinance.platform.prisma_migrate:
    state: read
    path: apps/api/prisma/migrations
  delegate_to: localhost
  register: code

- name: Lint what is pending, on the host of the database
  vedfinance.platform.prisma_migrate:
    state: linted
    database: vedfinance
    container: vedfinance-db-k2j4hs
    files: "{{ code.files }}"

- name: Apply it in a container of the API's own image
  vedfinance.platform.prisma_migrate:
    state: deployed
    database: vedfinance
    container: vedfinance-db-k2j4hs
    files: "{{ code.files }}"
    image: vedfinance/api:1.4.0
    network: dokploy-network
    env_file: /etc/vedfinance/api.env
    dump: /backups/postgres/vedfinance_20261123_020000.dump

- name: Can the release from before live with this database?
  vedfinance.platform.prisma_migrate:
    state: compared
    database: vedfinance
    container: vedfinance-db-k2j4hs
    files: "{{ code.files }}"
    known: [20260101000000_init, 20260212093000_lessons]
"""

RETURN = r"""
msg:
  description: One sentence for people.
  returned: always
  type: str
  sample: "vedfinance is at 20260212093000_lessons; 1 migration pending."
files:
  description: The migrations as data, for O(files).
  returned: O(state=read)
  type: dict
  sample: {migrations: [{name: 20260101000000_init, sql: CREATE TABLE …}], loose: []}
names:
  description: The names of the migrations in the files.
  returned: O(state=read)
  type: list
  elements: str
  sample: [20260101000000_init]
migrations:
  description: Every migration of the files and of the database, oldest first.
  returned: when the database was reached
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
      sample: 20260212093000_lessons
    state:
      description:
        - V(applied), V(pending), V(failed), V(rolled_back) (will run again), V(edited) (its file is not what was
          applied), V(ahead) (applied, and without a file), V(resolved) (marked as applied without running) or
          V(incomplete) (a folder without migration.sql).
      type: str
      sample: applied
    applied_at:
      description: When it was applied, ISO 8601 in UTC.
      type: str
      sample: "2026-02-12T09:41:07Z"
    seconds:
      description: How long it took.
      type: float
      sample: 0.8
    logs:
      description: What Prisma noted when it failed.
      type: str
      sample: null
    remedy:
      description: What is safe to do, where something should be done.
      type: str
      sample: null
pending:
  description: The names that the next deploy applies.
  returned: when the database was reached
  type: list
  elements: str
  sample: []
head:
  description: The newest migration of the database, null when there is none.
  returned: when the database was reached
  type: str
  sample: 20260212093000_lessons
problems:
  description: What a person should know. RV(problems[].blocks) says whether a deploy cannot begin because of it.
  returned: when the database was reached
  type: list
  elements: dict
  contains:
    kind:
      description:
        - A state that needs somebody, or V(baseline_needed), V(late), V(loose_file), V(badly_named) or V(empty).
      type: str
      sample: edited
    name:
      description: The migration or the file.
      type: str
      sample: 20260101000000_init
    problem:
      description: What is wrong, for people.
      type: str
      sample: 20260101000000_init was edited after it was applied.
    remedy:
      description: What is safe to do.
      type: str
      sample: Put the file back as it was applied, and write what is missing as a migration of its own.
    blocks:
      description: Whether a deploy cannot begin.
      type: bool
      sample: false
  sample:
    - kind: edited
      name: 20260101000000_init
      problem: 20260101000000_init was edited after it was applied.
      remedy: Put the file back as it was applied, and write what is missing as a migration of its own.
      blocks: false
findings:
  description: What the linters found.
  returned: O(state=linted)
  type: list
  elements: dict
  sample:
    - migration: 20260301080000_index
      line: 1
      rule: non-immutable-in-index
      severity: error
      message: now() in the index on public.Lesson is not IMMUTABLE, and PostgreSQL refuses it there (42P17).
      help: Index the plain column.
      statement: CREATE INDEX "recent" ON "Lesson" ("id") WHERE "at" > now()
      table: public.Lesson
      rows: 40211
allowed:
  description: What the files themselves allow, and why.
  returned: O(state=linted)
  type: list
  elements: dict
  sample:
    - {migration: 20260301080000_index, line: 1, rule: require-concurrent-index-creation, reason: the table is new}
ahead:
  description: What the database has and O(known) has not.
  returned: O(state=compared)
  type: list
  elements: dict
  contains:
    name:
      description: The migration.
      type: str
      sample: 20260212093000_lessons
    additive:
      description: Whether code that does not know it can go on working.
      type: bool
      sample: true
    reason:
      description: Why it cannot be judged by its statements, null when it can.
      type: str
      sample: null
    statements:
      description: Each statement, what kind of change it is, and why it is or is not additive.
      type: list
      elements: dict
      sample:
        - statement: ALTER TABLE "Lesson" ADD COLUMN "note" TEXT
          kind: add column
          reason: the older code does not read it, and may leave it out
          additive: true
missing:
  description: What O(known) has and the database has not.
  returned: O(state=compared)
  type: list
  elements: str
  sample: []
additive:
  description: Whether all of RV(ahead) is additive.
  returned: O(state=compared)
  type: bool
  sample: true
plan:
  description: What was pending, with the number of statements, null where the script cannot be read.
  returned: O(state=deployed)
  type: list
  elements: dict
  sample: [{name: 20260301080000_index, statements: 1}]
applied:
  description: What was applied, as the table says, with the seconds that it took.
  returned: O(state=deployed)
  type: list
  elements: dict
  sample: [{name: 20260301080000_index, seconds: 0.8}]
head_before:
  description: The newest migration before.
  returned: O(state=deployed)
  type: str
  sample: 20260212093000_lessons
head_after:
  description: The newest migration after.
  returned: O(state=deployed)
  type: str
  sample: 20260301080000_index
generated:
  description: Whether C(prisma generate) ended well; null when it was not run.
  returned: O(state=deployed)
  type: bool
  sample: true
seconds:
  description: How long Prisma ran.
  returned: O(state=deployed)
  type: float
  sample: 4.8
output:
  description: The end of what Prisma printed, with secrets masked.
  returned: O(state=deployed)
  type: str
  sample: All migrations have been successfully applied.
notes:
  description: What is worth knowing besides.
  returned: O(state=deployed)
  type: list
  elements: str
  sample: []
failure:
  description: Why it failed, null when it did not.
  returned: O(state=deployed)
  type: dict
  sample: null
lock:
  description: Who holds Prisma's lock.
  returned: when that is why it failed
  type: dict
  sample: {pid: 4711, application: "", client: 10.0.1.7, since: "2026-11-23T07:40:00Z"}
checks:
  description: The checks, each with its outcome V(passed), V(failed), V(warning) or V(could not run).
  returned: O(state=verified)
  type: list
  elements: dict
  sample: [{name: nothing pending, outcome: passed, detail: none}]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vedfinance.platform.plugins.module_utils._clock import SystemClock
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard, require_library
from ansible_collections.vedfinance.platform.plugins.module_utils._hangup import ended_with_the_play
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.argspec import LOGIN_EXCLUSIVE
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.connect import (
    HAS_PSYCOPG,
    PSYCOPG_IMPORT_ERROR,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._prisma.states import ARGUMENTS, run_state


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        mutually_exclusive=[("path", "files"), ("chdir", "image"), *LOGIN_EXCLUSIVE],
        supports_check_mode=True,
    )
    if module.params["state"] != "read":
        require_library(module, "psycopg", HAS_PSYCOPG, PSYCOPG_IMPORT_ERROR)
    with guard(module):
        with ended_with_the_play():
            result = run_state(module.params, module.check_mode, SystemClock())
        # Outside, as the watcher of the play writes empty lines.
        module.exit_json(**result)


if __name__ == "__main__":
    main()
