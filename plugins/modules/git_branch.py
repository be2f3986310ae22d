#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: git_branch
short_description: Make a branch from a branch of the remote, push it, or delete it when it is merged
version_added: 0.1.0
description:
  - Makes a branch in a checkout, from where the remote has another one now, and gives it to the remote when wanted.
  - Deletes a branch in the checkout and on the remote, but not with commits that would be lost.
author:
  - The V-EdFinance platform team (@vedfinance)
extends_documentation_fragment:
  - vedfinance.platform.git
  - vedfinance.platform.git.hooks
  - vedfinance.platform.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  name:
    description:
      - The branch.
    type: str
    required: true
  state:
    description:
      - V(present) makes it in the checkout, when it is not there; from the remote's branch of the same name, when there
        is one.
      - V(pushed) brings the remote's to it as well, forward only.
      - V(absent) deletes it in the checkout and on the remote. When it has commits that O(from) of the remote does not
        hold, that is refused.
    type: str
    choices: [present, pushed, absent]
    default: present
  from:
    description:
      - The branch of the remote that it is made from, and is merged into.
    type: str
    default: main
  switch:
    description:
      - Whether the checkout switches to it; or, with O(state=absent), away from it to O(from), where it is checked out.
        Without it, such a branch is not deleted.
      - This is refused as long as there are changes that are not committed. A C(post-checkout) hook runs.
    type: bool
    default: false
  forward:
    description:
      - With O(state=present), bring the branch of the checkout to where the remote has it, when that is a step forward.
        When each has commits of its own, that is refused, as it is with changes in the tree where it is checked out.
    type: bool
    default: false
  force:
    description:
      - Delete it together with commits that nothing else may hold. They are returned in RV(lost).
    type: bool
    default: false
seealso:
  - module: vedfinance.platform.git_merge
"""

EXAMPLES = r"""
- name: Begin a hotfix
  vedfinance.platform.git_branch:
    checkout: /srv/vedfinance
    name: hotfix/login-loop
    from: main
    switch: true

- name: Delete it, once it is merged
  vedfinance.platform.git_branch:
    checkout: /srv/vedfinance
    name: hotfix/login-loop
    state: absent
    switch: true
"""

RETURN = r"""
before:
  description: Where it was.
  type: dict
  returned: success
  contains:
    local:
      description: Its commit in the checkout, null when it is not there.
      type: str
    remote:
      description: Its commit on the remote, null when it is not there.
      type: str
    checked_out:
      description: The branch that is checked out, null when there is none.
      type: str
  sample:
    local: null
    remote: null
    checked_out: main
after:
  description: Where it is, or would be in check mode, with the same fields.
  type: dict
  returned: success
  sample:
    local: 9ac0d2e41f5b6a7c8d9e0f1a2b3c4d5e6f708192
    remote: null
    checked_out: hotfix/login-loop
lost:
  description: The commits that were deleted with it, up to 100, or stand in the way of that.
  type: list
  elements: dict
  returned: success, and when it is not merged
  contains:
    commit:
      description: The commit.
      type: str
    subject:
      description: The first line of its message.
      type: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vedfinance.platform.plugins.module_utils._git.branch import BRANCH_ARGUMENTS, keep_branch
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard
from ansible_collections.vedfinance.platform.plugins.module_utils._hangup import ended_with_the_play


def main() -> None:
    module = AnsibleModule(argument_spec=BRANCH_ARGUMENTS, supports_check_mode=True)
    with guard(module):
        with ended_with_the_play():
            kept = keep_branch(module.params, module.check_mode)
        result = kept.to_result()
        module.exit_json(changed=kept.changed, diff={"before": result["before"], "after": result["after"]}, **result)


if __name__ == "__main__":
    main()
