#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: jsonb_check
short_description: Check stored JSON documents of a PostgreSQL database against JSON Schemas
version_added: 0.1.0
description:
  - Reads the documents of C(jsonb) and C(json) columns in one moment of the database, and judges each by the schema of
    its column. It fails when a document does not conform, and when a column could not be checked.
  - The documents are streamed, so that memory stays bounded, and judged by several processes when there are many.
  - Nothing is written. What stands in the documents is not told, unless O(show_values=true).
author:
  - The V-EdFinance platform team (@vedfinance)
extends_documentation_fragment:
  - vedfinance.platform.attributes
  - vedfinance.platform.attributes.info_module
  - vedfinance.platform.attributes.actiongroup_postgresql
  - vedfinance.platform.postgresql
options:
  database:
    description: The database.
    type: str
    required: true
    aliases: [db]
  schemas:
    description: The columns and their schemas.
    type: list
    elements: dict
    required: true
    suboptions:
      table:
        description: The table or view, such as V(public.users). Names are taken as they are, capitals included.
        type: str
        required: true
      column:
        description: The column.
        type: str
        required: true
      schema:
        description:
          - The JSON Schema. Without C($schema) it is of draft 2020-12.
          - It can refer to its own parts only. C(format) is not judged, as the standard has it; give a C(pattern).
        type: dict
      schema_file:
        description: A file with the schema, on the host that runs the module.
        type: path
      id:
        description:
          - The columns by which an offender is named. By default the primary key.
          - Without one, it is the row's place (C(ctid)), which the next change of the row may move.
        type: list
        elements: str
        default: []
      where:
        description: An SQL condition; only rows that meet it are judged.
        type: str
      nullable:
        description:
          - With V(false), an SQL C(NULL) is an offender. Otherwise it is counted, and not judged.
          - The JSON value C(null) is a document like any other.
        type: bool
        default: true
  sample:
    description:
      - Judge only a part of each column, drawn by chance, a number of rows such as V(10000) or a share such as V(5%).
      - A sample without offenders does not make RV(passed) true. A column with no more rows is read as a whole.
    type: str
  baseline:
    description:
      - RV(columns) of a former run. Documents that did not conform then, by their ids, are not held against this one.
      - That run must name all its offenders, see O(max_offenders); only when they are exactly the same as before, it
        need not.
    type: list
    elements: dict
    default: []
  max_offenders:
    description: How many offenders of each column are named. All are counted.
    type: int
    default: 20
  show_values:
    description: Tell in messages and paths what stands in the documents. It may be somebody's personal data.
    type: bool
    default: false
  jobs:
    description: How many processes judge, each with a connection of its own. V(0) is one for each core, up to 8.
    type: int
    default: 0
  statement_timeout:
    description: Seconds that a statement may take. V(0) is no limit.
    type: float
    default: 600
  progress_interval:
    description: Seconds between two lines of progress, as in M(vedfinance.platform.pg_restore_from_dump).
    type: float
    default: 5
  progress_file:
    description: The file in which the progress stands, as in M(vedfinance.platform.pg_restore_from_dump).
    type: path
requirements:
  - jsonschema >= 4.0 (Debian 12 C(python3-jsonschema), PyPI C(jsonschema))
notes:
  - The role needs C(SELECT) on the tables. Where row security would hide rows from it, the column counts as not
    checked.
seealso:
  - module: vedfinance.platform.pg_restore_from_dump
"""

EXAMPLES = r"""
- name: Do all preferences have the shape that the API expects?
  vedfinance.platform.jsonb_check:
    database: vedfinance
    login_unix_socket: /run/postgresql
    login_user: platform_operator
    schemas:
      - table: public.users
        column: preferences
        schema:
          type: object
          required: [theme]
          properties:
            theme: {enum: [light, dark]}
            digest: {type: integer, minimum: 0}
          additionalProperties: false
  register: before

- name: Has the migration broken any that conformed before?
  vedfinance.platform.jsonb_check:
    database: vedfinance
    login_unix_socket: /run/postgresql
    login_user: platform_operator
    schemas: "{{ platform_jsonb_schemas }}"
    baseline: "{{ before.columns }}"

- name: A look at the largest table
  vedfinance.platform.jsonb_check:
    database: vedfinance
    container: vedfinance-db-k2j4hs
    sample: 5%
    schemas:
      - table: public.behavior_logs
        column: metadata
        schema_file: /etc/vedfinance/jsonb/behavior_logs.metadata.json
        where: '"createdAt" > now() - interval ''30 days'''
  become: true
"""

RETURN = r"""
msg:
  description: One sentence for people.
  returned: always
  type: str
  sample: 5 columns conform, 2550000 documents.
passed:
  description: Whether every document of every column was judged, and conforms.
  returned: when the options are right
  type: bool
  sample: true
columns:
  description: What was found, in the order of O(schemas).
  returned: when the options are right
  type: list
  elements: dict
  contains:
    table:
      description: The table, as it was given.
      type: str
    column:
      description: The column.
      type: str
    outcome:
      description:
        - V(passed) when all documents conform.
        - V(sample_passed) when those of the sample do, which proves nothing about the others.
        - V(no_worse) when only those do not that did not in O(baseline).
        - V(failed) or V(could_not_check), each of which fails the module.
      type: str
    reason:
      description: Why it is so.
      type: str
    rows:
      description: The rows of the table that meet O(schemas[].where).
      type: int
    rows_estimated:
      description: Whether that is PostgreSQL's own estimate, as it may be for a sample.
      type: bool
    sampled:
      description: Whether only a part was looked at.
      type: bool
    checked:
      description: How many documents were judged.
      type: int
    "null":
      description: How many rows had an SQL C(NULL) in place of a document.
      type: int
    invalid:
      description: How many do not conform.
      type: int
    new_invalid:
      description: How many of these O(baseline) does not name; without it, all.
      type: int
    offenders:
      description: The first of those, up to O(max_offenders).
      type: list
      elements: dict
      contains:
        id:
          description: The id of the row; several columns are joined by a comma.
          type: str
        path:
          description: Where in the document. A name that the schema does not know is shown as C(*).
          type: str
        message:
          description: How it breaks the schema.
          type: str
    offenders_digest:
      description: The number of all that do not conform and a digest of their ids, to be compared by O(baseline).
      type: str
    seconds:
      description: How long it took, summed over the processes.
      type: float
    rows_per_second:
      description: Rows by that time; null when there was nothing to do.
      type: int
  sample:
    - table: public.users
      column: preferences
      outcome: failed
      reason: 1 of 100000 documents does not conform
      rows: 100000
      rows_estimated: false
      sampled: false
      checked: 100000
      "null": 0
      invalid: 1
      new_invalid: 1
      offenders: [{id: u3f9c2, path: $.theme, message: 'is none of "light", "dark"'}]
      offenders_digest: "1:0f3c2d1e0a9b8c7d"
      seconds: 0.4
      rows_per_second: 250000
"""

import json
import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard, require_library
from ansible_collections.vedfinance.platform.plugins.module_utils._hangup import ended_with_the_play
from ansible_collections.vedfinance.platform.plugins.module_utils._jsonb.check import (
    Options,
    check_columns,
    verdict_of,
    wanted_of,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._jsonb.column import Sample
from ansible_collections.vedfinance.platform.plugins.module_utils._jsonb.schema import (
    HAS_JSONSCHEMA,
    JSONSCHEMA_IMPORT_ERROR,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.argspec import (
    LOGIN,
    LOGIN_EXCLUSIVE,
    server_of,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.connect import (
    HAS_PSYCOPG,
    PSYCOPG_IMPORT_ERROR,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._progress import Progress

_MOST_JOBS = 8


def options_of(params: dict[str, Any]) -> Options:
    if not params["schemas"]:
        raise PlatformError("Option schemas is empty, so that nothing would be checked.", "Name at least one column.")
    if params["max_offenders"] < 1 or params["statement_timeout"] < 0 or not 0 <= params["jobs"] <= 64:
        raise PlatformError(
            "Option max_offenders must be at least 1, statement_timeout not negative, and jobs from 0 to 64.",
            "Correct it.",
        )
    return Options(
        database=params["database"],
        jobs=params["jobs"] or min(_MOST_JOBS, len(os.sched_getaffinity(0))),
        sample=Sample.parse(params["sample"]) if params["sample"] else None,
        max_offenders=params["max_offenders"],
        statement_timeout=params["statement_timeout"],
        baseline={(one.get("table"), one.get("column")): one for one in params["baseline"]},
    )


def schema_of(entry: dict[str, Any]) -> Any:
    if entry["schema"] is not None:
        return entry["schema"]
    path = entry["schema_file"]
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except OSError as error:
        raise PlatformError(
            f"The schema {path} of {entry['table']}.{entry['column']} cannot be read: {error.strerror}.",
            "schema_file is a path on the host that runs the module; schema takes the content itself.",
        ) from None
    except ValueError as error:
        raise PlatformError(
            f"The schema {path} of {entry['table']}.{entry['column']} is no JSON: {error}.", "Correct it."
        ) from None


def run(params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    options = options_of(params)
    wanted = [wanted_of(entry, schema_of(entry), show_values=params["show_values"]) for entry in params["schemas"]]
    return verdict_of(check_columns(server_of(params), options, wanted, progress))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "database": {"type": "str", "required": True, "aliases": ["db"]},
            "schemas": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "table": {"type": "str", "required": True},
                    "column": {"type": "str", "required": True},
                    "schema": {"type": "dict"},
                    "schema_file": {"type": "path"},
                    "id": {"type": "list", "elements": "str", "default": []},
                    "where": {"type": "str"},
                    "nullable": {"type": "bool", "default": True},
                },
                "required_one_of": [("schema", "schema_file")],
                "mutually_exclusive": [("schema", "schema_file")],
            },
            "sample": {"type": "str"},
            "baseline": {"type": "list", "elements": "dict", "default": []},
            "max_offenders": {"type": "int", "default": 20},
            "show_values": {"type": "bool", "default": False},
            "jobs": {"type": "int", "default": 0},
            "statement_timeout": {"type": "float", "default": 600},
            "progress_interval": {"type": "float", "default": 5},
            "progress_file": {"type": "path"},
            **LOGIN,
        },
        mutually_exclusive=LOGIN_EXCLUSIVE,
        supports_check_mode=True,
    )
    require_library(module, "psycopg", HAS_PSYCOPG, PSYCOPG_IMPORT_ERROR)
    require_library(module, "jsonschema", HAS_JSONSCHEMA, JSONSCHEMA_IMPORT_ERROR)
    with guard(module):
        with ended_with_the_play(), Progress(module.params["progress_file"]) as progress:
            result = run(module.params, progress)
        if any(column["outcome"] in ("failed", "could_not_check") for column in result["columns"]):
            details = {name: value for name, value in result.items() if name != "msg"}
            raise PlatformError(result["msg"], None, changed=False, **details)
        # Outside, as the watcher of the play writes empty lines.
        module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
