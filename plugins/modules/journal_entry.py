#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: journal_entry
short_description: Write what a run has done into the journal of its host
version_added: 0.1.0
author:
  - The V-EdFinance platform team (@vedfinance)
description:
  - Each run of a playbook leaves one entry, C(<run>_<kind>.json), from which reports, releases and later decisions are
    made.
  - It is written whole or not at all, with mode 0640 in a folder of mode 0750. An entry of the same run and kind is
    replaced.
extends_documentation_fragment:
  - vedfinance.platform.attributes
attributes:
  check_mode:
    support: full
    details:
      - Says whether it would write, and writes nothing.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  journal_dir:
    description: The folder of the journal. It is made when it is missing.
    type: path
    required: true
  entry:
    description:
      - What is written. It has C(run), the UTC time at which the run began, as in V(20261123T020000Z), C(kind),
        C(outcome), and C(began) and C(ended) in seconds since 1970; and whatever else a reader of that kind looks for.
      - With O(update=true), C(run), C(kind) and what is to be changed.
    type: dict
    required: true
  update:
    description: Change values of the entry that is there already.
    type: bool
    default: false
seealso:
  - module: vedfinance.platform.platform_releases_info
  - module: vedfinance.platform.platform_report
"""

EXAMPLES = r"""
- name: Write down what was done by hand
  vedfinance.platform.journal_entry:
    journal_dir: /tmp/journal
    entry:
      run: 20261123T020000Z
      kind: maintenance
      outcome: succeeded
      message: the disk was enlarged
      began: 1795399200
      ended: 1795399320

- name: Say that its play died
  vedfinance.platform.journal_entry:
    journal_dir: /tmp/journal
    entry: {run: 20261123T020000Z, kind: maintenance, outcome: interrupted}
    update: true
"""

RETURN = r"""
path:
  description: The file of the entry.
  returned: success
  type: str
  sample: /var/lib/vedfinance/journal/20261123T020000Z_deploy.json
"""

import typing as t
from contextlib import suppress

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard
from ansible_collections.vedfinance.platform.plugins.module_utils._journal import path_of, read_entry, write_entry


def run(params: dict[str, t.Any], check: bool) -> dict[str, t.Any]:
    entry: dict[str, t.Any] = params["entry"]
    if params["update"]:
        path = path_of(params["journal_dir"], {"outcome": None, "began": None, "ended": None, **entry})
        try:
            before: dict[str, t.Any] | None = read_entry(path)
        except (OSError, ValueError) as error:
            raise PlatformError(
                f"The journal entry {path} cannot be changed: {error}.", "Write it whole, without update."
            ) from None
        entry = {**(before or {}), **entry}
    else:
        path = path_of(params["journal_dir"], entry)
        before = None
        with suppress(OSError, ValueError):
            before = read_entry(path)
    changed = entry != before
    if changed and not check:
        write_entry(path, entry)
    return {"changed": changed, "path": path}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "journal_dir": {"type": "path", "required": True},
            "entry": {"type": "dict", "required": True},
            "update": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    with guard(module):
        module.exit_json(**run(module.params, module.check_mode))


if __name__ == "__main__":
    main()
