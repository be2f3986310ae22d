#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: platform_lock
short_description: Let one play at a time work on a host
version_added: 0.1.0
description:
  - Holds a lock in a file of the host, for as long as a play deploys, rolls back or recovers there. The file says who
    is at work, in which run of which playbook, and since when.
  - A lock whose owner is dead is taken over. Whether it is dead is seen by the controller, when the owner's play ran
    on the same controller; of any other owner it is believed when the lock is older than its O(max_age).
  - A play that was killed leaves its lock behind. The next play on the same controller takes it over without a
    question.
author:
  - The V-EdFinance platform team (@vedfinance)
extends_documentation_fragment:
  - vedfinance.platform.attributes
attributes:
  check_mode:
    support: full
    details:
      - Reads the lock and predicts, a refusal included; nothing is written.
  diff_mode:
    support: none
  idempotent:
    support: full
    details:
      - For the same O(run) of the same play. So one role can call another that needs the lock as well.
options:
  state:
    description:
      - V(held) takes the lock, or fails when somebody else holds it.
      - V(released) gives it back. The lock of somebody else is left alone, unless O(force=true).
      - V(read) says who holds it.
    type: str
    choices: [held, released, read]
    required: true
  folder:
    description: The folder of the locks, on the host. It is made when it is missing.
    type: path
    required: true
  name:
    description: The name of the lock. Whatever must not happen at the same time holds the same.
    type: str
    default: platform
  run:
    description:
      - The run that wants it, such as the time at which it began. Needed unless O(state=read) or O(force=true).
    type: str
    default: ""
  playbook:
    description: The playbook, for whoever is refused.
    type: str
    default: ""
  max_age:
    description:
      - After how long the lock is void, as V(90s), V(15m) or V(2h), where nobody can see whether its owner still lives.
    type: str
    default: 2h
  force:
    description: Release the lock whoever holds it.
    type: bool
    default: false
  owner:
    description: Whose play wants it. The controller fills this in.
    type: dict
    default: {}
    suboptions:
      user:
        description: The person.
        type: str
        default: ""
      controller:
        description: The name of the machine on which the play runs.
        type: str
        default: ""
      place:
        description: Where O(owner.pid) has a meaning.
        type: str
        default: ""
      pid:
        description: The process of the play.
        type: int
        default: 0
      started:
        description: When that process began, since a pid is used again.
        type: str
        default: ""
      job:
        description: The job in AWX.
        type: str
        default: ""
  dead:
    description: The RV(lock.id) of a lock whose owner was found dead. The controller fills this in.
    type: str
    default: ""
notes:
  - What the controller fills in needs the action plugin of the same name. Without it, as in an ad hoc call of the bare
    module, an owner is judged by age alone.
"""

EXAMPLES = r"""
- name: Let nobody else deploy meanwhile
  vedfinance.platform.platform_lock:
    state: held
    folder: /var/lib/vedfinance/locks
    run: 20261122T020000Z
    playbook: deploy.yml

- name: Give it back
  vedfinance.platform.platform_lock:
    state: released
    folder: /var/lib/vedfinance/locks
    run: 20261122T020000Z

- name: See who is at work
  vedfinance.platform.platform_lock:
    state: read
    folder: /var/lib/vedfinance/locks
"""

RETURN = r"""
msg:
  description: What was done, or who holds the lock and what to do about it.
  type: str
  returned: always
  sample: It was free, and is held by this run now.
taken:
  description: Whether this very call took the lock, so that whoever made it has to give it back.
  type: bool
  returned: success
  sample: true
lock:
  description: The lock that stands, null when it is free. In check mode, as it would stand.
  type: dict
  returned: always, when the options are right
  contains: &lock
    id:
      description: A random name of this very lock.
      type: str
    run:
      description: The run that holds it.
      type: str
    playbook:
      description: Its playbook.
      type: str
    began:
      description: Since when, in UTC.
      type: str
    age:
      description: The same, for people.
      type: str
    age_seconds:
      description: The same, in seconds.
      type: float
    max_age:
      description: After how many seconds it is void.
      type: float
    outlived:
      description: Whether that is over.
      type: bool
    alive:
      description: Whether its owner's play was seen running; null when that cannot be seen from this controller.
      type: bool
    owner:
      description: Whose play holds it, as O(owner).
      type: dict
  sample:
    id: 5b1c0a7e99d2f410
    run: 20261122T020000Z
    playbook: deploy.yml
    began: "2026-11-22T02:00:00Z"
    age: 4 s
    age_seconds: 4.2
    max_age: 7200.0
    outlived: false
    alive: true
    owner: {user: ann, controller: ops1, place: "", pid: 4711, started: "88123", job: ""}
freed:
  description: The lock of somebody else that was taken over or freed, null when there was none.
  type: dict
  returned: success
  contains: *lock
  sample: null
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard
from ansible_collections.vedfinance.platform.plugins.module_utils._lock import LOCK_ARGUMENTS, change_lock


def main() -> None:
    module = AnsibleModule(argument_spec=LOCK_ARGUMENTS, supports_check_mode=True)
    with guard(module):
        now = time.time()
        outcome = change_lock(module.params, now, module.check_mode)
        module.exit_json(changed=outcome.changed, **outcome.to_result(now))


if __name__ == "__main__":
    main()
