#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: git_push
short_description: Push a branch to its remote, forward only, and see that the remote has it
version_added: 0.1.0
description:
  - Brings a branch of the remote to a commit of the checkout. It is only ever moved forward, and never forced.
  - Whether anything changed is what the remote says before and after, and not how git ended.
  - A refusal is told in the words of the remote.
author:
  - The V-EdFinance platform team (@vedfinance)
extends_documentation_fragment:
  - vedfinance.platform.git
  - vedfinance.platform.git.hooks
  - vedfinance.platform.attributes
attributes:
  check_mode:
    support: full
    details:
      - Asks the remote, and lists the commits. A push that would lose commits is refused; what the remote's own rules
        refuse is not known before it is asked.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  branch:
    description:
      - The branch. By default, the one that is checked out. The remote gets it when it does not have it.
    type: str
  commit:
    description:
      - What is pushed to it, such as V(HEAD) or a commit. By default, the branch of that name in the checkout.
    type: str
  limit:
    description:
      - How many RV(commits) are returned at most.
    type: int
    default: 100
seealso:
  - module: vedfinance.platform.git_checkout_info
"""

EXAMPLES = r"""
- name: Push what is on main
  vedfinance.platform.git_push:
    checkout: /srv/vedfinance
    branch: main

- name: Push the commit that is checked out, whatever it is called here
  vedfinance.platform.git_push:
    checkout: /srv/vedfinance
    branch: main
    commit: HEAD
"""

RETURN = r"""
branch:
  description: The branch.
  type: str
  returned: success
  sample: main
before:
  description: Where the remote had it before, null when it did not have it.
  type: str
  returned: success, and when somebody else's commits are in the way
  sample: 9ac0d2e41f5b6a7c8d9e0f1a2b3c4d5e6f708192
after:
  description: Where the remote has it now; in check mode, where it would.
  type: str
  returned: success
  sample: 3f2c1ab09be1c9a7c1f0b8a2d4e6f8091a2b3c4d
commits:
  description: The commits that were pushed, or would be, newest first.
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
from ansible_collections.vedfinance.platform.plugins.module_utils._git.push import PUSH_ARGUMENTS, push
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard
from ansible_collections.vedfinance.platform.plugins.module_utils._hangup import ended_with_the_play


def main() -> None:
    module = AnsibleModule(argument_spec=PUSH_ARGUMENTS, supports_check_mode=True)
    with guard(module):
        with ended_with_the_play():
            pushed = push(module.params, module.check_mode)
        module.exit_json(
            changed=pushed.changed,
            diff={"before": {"commit": pushed.before}, "after": {"commit": pushed.after}},
            **pushed.to_result(),
        )


if __name__ == "__main__":
    main()
