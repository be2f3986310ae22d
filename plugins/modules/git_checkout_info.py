#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: git_checkout_info
short_description: Tell what a git checkout holds, beside what its remote holds
version_added: 0.1.0
description:
  - Reads the commit, the branch and the changes of a checkout, and asks the remote where its branch stands.
  - Writes nothing. What the remote has and the checkout has not is fetched into a temporary folder.
author:
  - The V-EdFinance platform team (@vedfinance)
extends_documentation_fragment:
  - vedfinance.platform.git
  - vedfinance.platform.attributes
  - vedfinance.platform.attributes.info_module
options:
  branch:
    description:
      - The branch of the remote to compare with. By default, the one with the name of the branch that is checked out.
    type: str
  ask_remote:
    description:
      - Whether the remote is asked. V(false) only looks at the checkout.
    type: bool
    default: true
  limit:
    description:
      - How many RV(commits_to_push) are returned at most.
    type: int
    default: 100
seealso:
  - module: vedfinance.platform.git_push
"""

EXAMPLES = r"""
- name: See what a push would bring
  vedfinance.platform.git_checkout_info:
    checkout: /srv/vedfinance
  register: checkout

- name: Stop when there is work that is not committed
  ansible.builtin.assert:
    that: checkout.clean
    fail_msg: "Not committed: {{ checkout.changed_files | join(', ') }}"
"""

RETURN = r"""
checkout:
  description: The top folder of the checkout.
  type: str
  returned: success
  sample: /srv/vedfinance
commit:
  description: The commit that is checked out.
  type: str
  returned: success
  sample: 3f2c1ab09be1c9a7c1f0b8a2d4e6f8091a2b3c4d
subject:
  description: The first line of its message.
  type: str
  returned: success
  sample: (ved-12) Count each login once
branch:
  description: The branch that is checked out, null when there is none (a detached HEAD).
  type: str
  returned: success
  sample: main
clean:
  description: Whether all is committed. A file that git does not know and does not ignore counts as a change.
  type: bool
  returned: success
  sample: true
changed_files:
  description: What is not committed; a new folder as a whole.
  type: list
  elements: str
  returned: success
  sample: []
remote_branch:
  description: The branch of the remote that was compared, null when the remote was not asked.
  type: str
  returned: success
  sample: main
remote_commit:
  description: Where it stands, null when the remote has no such branch or was not asked.
  type: str
  returned: success
  sample: 9ac0d2e41f5b6a7c8d9e0f1a2b3c4d5e6f708192
ahead:
  description: How many commits the checkout has and the remote's branch has not, null when there is nothing to compare.
  type: int
  returned: success
  sample: 1
behind:
  description: How many commits the remote's branch has and the checkout has not, null when there is nothing to compare.
  type: int
  returned: success
  sample: 0
commits_to_push:
  description:
    - The commits that the remote's branch lacks, newest first; for a branch that the remote does not have, those that
      are on none of its branches.
  type: list
  elements: dict
  returned: success
  contains:
    commit:
      description: The commit.
      type: str
    subject:
      description: The first line of its message.
      type: str
  sample:
    - commit: 3f2c1ab09be1c9a7c1f0b8a2d4e6f8091a2b3c4d
      subject: (ved-12) Count each login once
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vedfinance.platform.plugins.module_utils._git.info import INFO_ARGUMENTS, look_at
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard
from ansible_collections.vedfinance.platform.plugins.module_utils._hangup import ended_with_the_play


def main() -> None:
    module = AnsibleModule(argument_spec=INFO_ARGUMENTS, supports_check_mode=True)
    with guard(module):
        with ended_with_the_play():
            seen = look_at(module.params)
        module.exit_json(changed=False, **seen)


if __name__ == "__main__":
    main()
