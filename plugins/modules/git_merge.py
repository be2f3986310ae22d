#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: git_merge
short_description: Merge a branch into another of the remote with a merge commit, once, and push
version_added: 0.1.0
description:
  - Makes a merge commit on top of the branch as the remote has it now, also where a fast-forward would do, and pushes
    it. A merge that conflicts changes nothing, and the files are named.
  - Works in a temporary folder. The files, the index, the branches and the stash of the checkout are not touched,
    whatever is there; only what git notes of the remote's branch moves with the push. Of its hooks, none runs but that
    of O(hooks).
  - When somebody pushes at the same moment, all is done again on what they have pushed, up to three times.
author:
  - The V-EdFinance platform team (@vedfinance)
extends_documentation_fragment:
  - vedfinance.platform.git
  - vedfinance.platform.git.hooks
  - vedfinance.platform.git.committer
  - vedfinance.platform.attributes
attributes:
  check_mode:
    support: full
    details:
      - Really merges, in the temporary folder, and pushes nothing. A conflict is found.
  diff_mode:
    support: full
    details:
      - Shows the message and the change, up to 100000 characters. What looks like a secret is masked.
  idempotent:
    support: full
    details:
      - A branch that was merged is not merged again, also when it has been deleted since and O(commit_message) is the
        same.
options:
  source:
    description:
      - The branch that is merged, as the checkout has it, or as the remote has it when the checkout has none. When the
        remote's has commits that the checkout's has not, it is refused.
    type: str
    required: true
  commit:
    description:
      - Where O(source) must stand, such as the commit that was tested. When it stands elsewhere by now, nothing is
        merged. It does not matter for what was merged before.
    type: str
  into:
    description:
      - The branch of the remote that it is merged into.
    type: str
    default: main
  commit_message:
    description:
      - The message of the merge commit. By default it is the one that git itself would write.
    type: str
    default: ""
  push:
    description:
      - V(false) makes the commit, and keeps it in the checkout under C(refs/vedfinance/<branch>), where no branch
        moves.
    type: bool
    default: true
seealso:
  - module: vedfinance.platform.git_branch
  - module: vedfinance.platform.git_revert
"""

EXAMPLES = r"""
- name: Merge a hotfix
  vedfinance.platform.git_merge:
    checkout: /srv/vedfinance
    source: hotfix/login-loop
    into: main
    commit_message: (ved-12) Merge hotfix/login-loop
"""

RETURN = r"""
merge:
  description:
    - The merge commit; that of before, when the branch was merged already. null in check mode, when it would be made,
      and when the branch came there without a merge commit.
  type: str
  returned: success
  sample: 77d0c1e2f3a4b5c6d7e8f90123456789abcdef01
source:
  description: The commit that was merged.
  type: str
  returned: success
  sample: 3f2c1ab09be1c9a7c1f0b8a2d4e6f8091a2b3c4d
commits:
  description: The commits that the merge brings, newest first, up to 100.
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
before:
  description: Where the branch stood.
  type: str
  returned: success
  sample: 9ac0d2e41f5b6a7c8d9e0f1a2b3c4d5e6f708192
after:
  description: Where it stands now; null in check mode, when it would move.
  type: str
  returned: success
  sample: 77d0c1e2f3a4b5c6d7e8f90123456789abcdef01
pushed:
  description: Whether the remote was changed.
  type: bool
  returned: success
  sample: true
conflicts:
  description: The files that conflict.
  type: list
  elements: str
  returned: when it cannot be merged, since both have changed the same lines
  sample: [apps/api/src/login.ts]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vedfinance.platform.plugins.module_utils._git.merge import MERGE_ARGUMENTS, merge
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard
from ansible_collections.vedfinance.platform.plugins.module_utils._hangup import ended_with_the_play


def main() -> None:
    module = AnsibleModule(argument_spec=MERGE_ARGUMENTS, supports_check_mode=True)
    with guard(module):
        with ended_with_the_play():
            landed = merge(module.params, module.check_mode)
        module.exit_json(changed=landed.changed, diff=landed.diff, **landed.work.to_result(), **landed.to_result())


if __name__ == "__main__":
    main()
