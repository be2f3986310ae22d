#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: git_revert
short_description: Revert commits on a branch of the remote, each once, and push
version_added: 0.1.0
description:
  - Makes a revert of each commit on top of the branch as the remote has it now, and pushes them all together or not at
    all.
  - Works in a temporary folder. The files, the index, the branches and the stash of the checkout are not touched,
    whatever is there; only what git notes of the remote's branch moves with the push. Of its hooks, none runs but that
    of O(hooks).
  - A commit that is reverted already is left alone. It is recognized by the words of the revert, unless that was
    reverted itself or the whole change has come back, and by its content, when taking it back would change nothing.
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
      - Really reverts, in the temporary folder, and pushes nothing. A conflict is found.
  diff_mode:
    support: full
    details:
      - Shows the messages and the change of all reverts together, up to 100000 characters. What looks like a secret is
        masked.
  idempotent:
    support: full
    details:
      - V(HEAD) and other names that move with the branch mean it as it was before the reverts at its end, so that a
        second run does not revert the revert.
options:
  commits:
    description:
      - What to revert, commits or ranges such as V(a1b2c3d..HEAD), which is all that the second has and the first has
        not. They are reverted newest first. When nothing came after the begin of such a range on O(branch), there is
        nothing to revert.
      - V(HEAD), the name of O(branch), and what is counted from them, such as V(HEAD~1), mean the branch as the remote
        has it, without the reverts at its end. Other names are looked up in the checkout.
      - To bring a change back, name the commit of its revert.
    type: list
    elements: str
    required: true
  branch:
    description:
      - The branch of the remote.
    type: str
    default: main
  mainline:
    description:
      - For merges, the number of the parent that stays, from 1. It is 1 for a branch that was merged into O(branch). A
        merge is refused without it.
      - With it, a range follows the first parents only, since what a merge has brought goes with the merge.
    type: int
  reason:
    description:
      - Why, for the message of each revert, below the words that git itself would write.
    type: str
    default: ""
  push:
    description:
      - V(false) makes the commits, and keeps them in the checkout under C(refs/vedfinance/<branch>), where no branch
        moves.
    type: bool
    default: true
seealso:
  - module: vedfinance.platform.dokploy_rollback
  - module: vedfinance.platform.git_merge
"""

EXAMPLES = r"""
- name: Revert the newest commit of main
  vedfinance.platform.git_revert:
    checkout: /srv/vedfinance
    commits: [HEAD]
    reason: Logins fail since this was deployed.

- name: See what it would take to revert all since the last good commit
  vedfinance.platform.git_revert:
    checkout: /srv/vedfinance
    commits: ["a1b2c3d..HEAD"]
    mainline: 1
  check_mode: true
  diff: true

- name: Revert a merged hotfix
  vedfinance.platform.git_revert:
    checkout: /srv/vedfinance
    commits: [3f2c1ab]
    mainline: 1
"""

RETURN = r"""
reverted:
  description: The commits that were reverted, in this order.
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
    revert:
      description: Its revert, null in check mode.
      type: str
  sample:
    - commit: 3f2c1ab09be1c9a7c1f0b8a2d4e6f8091a2b3c4d
      subject: (ved-12) Count each login once
      revert: 77d0c1e2f3a4b5c6d7e8f90123456789abcdef01
already:
  description:
    - The commits whose change is not there any more, with the same fields. The revert is null when none says so.
  type: list
  elements: dict
  returned: success
  sample: []
before:
  description: Where the branch stood.
  type: str
  returned: success
  sample: 3f2c1ab09be1c9a7c1f0b8a2d4e6f8091a2b3c4d
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
  returned: when a commit cannot be reverted, since its lines were changed later
  sample: [apps/api/src/login.ts]
parents:
  description: The parents of the merge.
  type: list
  elements: str
  returned: when O(mainline) is missing or wrong
  sample: [9ac0d2e41f5b6a7c8d9e0f1a2b3c4d5e6f708192, 3f2c1ab09be1c9a7c1f0b8a2d4e6f8091a2b3c4d]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vedfinance.platform.plugins.module_utils._git.revert import REVERT_ARGUMENTS, revert
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard
from ansible_collections.vedfinance.platform.plugins.module_utils._hangup import ended_with_the_play


def main() -> None:
    module = AnsibleModule(argument_spec=REVERT_ARGUMENTS, supports_check_mode=True)
    with guard(module):
        with ended_with_the_play():
            landed = revert(module.params, module.check_mode)
        module.exit_json(
            changed=landed.changed,
            reverted=[taken.to_result() for taken in landed.work.reverted],
            already=[taken.to_result() for taken in landed.work.already],
            diff=landed.diff,
            **landed.to_result(),
        )


if __name__ == "__main__":
    main()
