#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_role
short_description: Have a role that logs in to PostgreSQL
version_added: 0.1.0
author:
  - The V-EdFinance platform team (@vedfinance)
description:
  - Makes a role, or gives an existing one what it lacks. It takes nothing away.
  - No dump of a database holds the roles of its server, so on a new server those must be made that own the database or
    log in to it.
  - The password reaches the server as what PostgreSQL stores of it, so that it is in no log.
requirements:
  - psycopg >= 3.1
extends_documentation_fragment:
  - vedfinance.platform.attributes
  - vedfinance.platform.attributes.actiongroup_postgresql
  - vedfinance.platform.postgresql
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Of a password, it is said that it is set, and nothing of it.
  idempotent:
    support: full
    details:
      - For a superuser. To anybody else PostgreSQL does not tell which password a role has; then the password of an
        existing role is left as it is, and a note says so.
options:
  name:
    description: The role.
    type: str
    required: true
  password:
    description: Its password. When not given, it is left as it is, and a new role has none.
    type: str
  createdb:
    description: Whether it may create databases. With V(false), what it may is left as it is.
    type: bool
    default: false
  member_of:
    description: Roles whose rights it has. They must exist.
    type: list
    elements: str
    default: []
seealso:
  - module: vedfinance.platform.pg_restore_from_dump
"""

EXAMPLES = r"""
- name: The role that the API uses
  vedfinance.platform.pg_role:
    name: vedfinance_app
    password: "{{ api_database_password }}"
    login_unix_socket: /run/postgresql

- name: The role that the playbooks use, which can replace the database and is no superuser
  vedfinance.platform.pg_role:
    name: platform_operator
    password: "{{ operator_password }}"
    createdb: true
    member_of: [vedfinance_app, pg_signal_backend, pg_monitor]
    login_unix_socket: /run/postgresql
"""

RETURN = r"""
msg:
  description: One sentence for people.
  returned: success
  type: str
  sample: vedfinance_app was made; its password was set.
created:
  description: Whether the role was made now.
  returned: success
  type: bool
  sample: true
password_set:
  description: Whether its password was set now.
  returned: success
  type: bool
  sample: true
granted:
  description: The roles of O(member_of) that it was given now.
  returned: success
  type: list
  elements: str
  sample: []
notes:
  description: What a person may want to know and need not act on.
  returned: success
  type: list
  elements: str
  sample: []
"""

from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard, require_library
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.argspec import (
    LOGIN,
    LOGIN_EXCLUSIVE,
    server_of,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.connect import (
    HAS_PSYCOPG,
    PSYCOPG_IMPORT_ERROR,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.role import Outcome, Wanted, keep


def sentence(name: str, outcome: Outcome, check: bool) -> str:
    would = "would be" if check else "was"
    parts = [f"{name} {would} made"] if outcome.created else []
    parts += [f"its password {would} set"] if outcome.password_set else []
    parts += [f"{', '.join(outcome.granted)} {would} granted to it"] if outcome.granted else []
    if not parts:
        parts = [f"{name} {would} given what it lacked" if outcome.changed else f"{name} is as it should be"]
    return "; ".join(parts) + "."


def run(params: dict[str, Any], check: bool) -> dict[str, Any]:
    wanted = Wanted(params["name"], params["password"], params["createdb"], tuple(params["member_of"]))
    with server_of(params).connect(purpose="role") as session:
        outcome = keep(session, wanted, check=check)
    after = f"{sentence(wanted.name, outcome, check)}\n" if outcome.changed else ""
    return {**asdict(outcome), "msg": sentence(wanted.name, outcome, check), "diff": {"before": "", "after": after}}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **LOGIN,
            "name": {"type": "str", "required": True},
            "password": {"type": "str", "no_log": True},
            "createdb": {"type": "bool", "default": False},
            "member_of": {"type": "list", "elements": "str", "default": []},
        },
        mutually_exclusive=LOGIN_EXCLUSIVE,
        supports_check_mode=True,
    )
    require_library(module, "psycopg", HAS_PSYCOPG, PSYCOPG_IMPORT_ERROR)
    with guard(module):
        module.exit_json(**run(module.params, module.check_mode))


if __name__ == "__main__":
    main()
