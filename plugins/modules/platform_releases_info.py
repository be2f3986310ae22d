#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: platform_releases_info
short_description: Read the releases of a platform from its journal
version_added: 0.1.0
author:
  - The V-EdFinance platform team (@vedfinance)
description:
  - A release is what its users see as one thing - the backend, the schema of its database, and the frontend. Each
    deployment leaves one in the journal, with all that it takes to return to it.
  - Tells of them, newest first, and chooses the one that a rollback is to return to.
extends_documentation_fragment:
  - vedfinance.platform.attributes
  - vedfinance.platform.attributes.info_module
options:
  journal_dir:
    description: The folder of the journal. One that does not exist holds no release.
    type: path
    required: true
  application_id:
    description: Tell of the releases of this application of Dokploy only. Without it, of all.
    type: str
  outcome:
    description: Tell only of those that ended so. Without any, of all.
    type: list
    elements: str
    choices: [under_way, succeeded, failed, interrupted]
    default: []
  commit:
    description: Tell only of those of this commit; its first digits are enough.
    type: str
  limit:
    description: How many to tell of at most. V(0) for all.
    type: int
    default: 30
  release:
    description:
      - Choose the release to return to, see RV(release). It fails when there is none.
      - A run, the id of a deployment in Dokploy, or a commit of which at least seven digits are given. Where several
        runs deployed the same commit, the newest is meant.
      - V(previous) is what served before the newest release that succeeded. Where O(serving) is older than that, it was
        returned to before, and is meant; so a second rollback goes no further back than the first.
      - A release that a rollback of the journal has left is not V(previous), nor is what was built of its revert
        another release than the one that was returned to.
      - O(limit), O(outcome) and O(commit) do not limit what is chosen from.
    type: str
  serving:
    description:
      - What serves now, C(deployment), C(commit) and C(image) as far as they are known. For O(release=previous)
        and RV(serving).
      - What the journal does not know was not deployed by a play; then V(previous) is the newest release that no
        rollback has left.
    type: dict
    default: {}
seealso:
  - module: vedfinance.platform.dokploy_rollback
"""

EXAMPLES = r"""
- name: What was released lately?
  vedfinance.platform.platform_releases_info:
    journal_dir: /var/lib/vedfinance/journal
    outcome: [succeeded]
    limit: 5
  register: releases

- name: Which release has this commit?
  vedfinance.platform.platform_releases_info:
    journal_dir: /var/lib/vedfinance/journal
    release: 4f1c9d2
  register: wanted

- name: Its dump
  ansible.builtin.debug:
    msg: "{{ wanted.release.dump.path | default('It has none.') }}"
"""

RETURN = r"""
msg:
  description: One sentence for people.
  returned: success
  type: str
  sample: 12 releases; the newest is 20261122T020000Z (4f1c9d2a7be0), succeeded.
releases:
  description: The releases, newest first.
  returned: success
  type: list
  elements: dict
  contains: &release
    run:
      description: The run that made it.
      type: str
    path:
      description: Its entry in the journal.
      type: str
    outcome:
      description:
        - V(under_way) until its end is written. V(interrupted) when a later run found that its play was dead.
      type: str
    began:
      description: When it began, in seconds since the epoch.
      type: float
    began_at:
      description: The same, for people, in UTC.
      type: str
    ended:
      description: When it ended; null when it did not, or nobody saw it.
      type: float
    seconds:
      description: How long it took; null when its end is not known.
      type: float
    phases:
      description: Seconds by step.
      type: dict
    host:
      description: Where.
      type: str
    user:
      description: Who.
      type: str
    message:
      description: How it ended, in words.
      type: str
    application:
      description: The id of what was deployed, in Dokploy.
      type: str
    deployed:
      description: Whether something was deployed; V(false) when it served already.
      type: bool
    commit:
      description: The commit; null when it is not known.
      type: str
    subject:
      description: The first line of its message; null when there was no checkout to ask.
      type: str
    version:
      description: The version, in the API's own words; null when it told none.
      type: str
    image:
      description: The image.
      type: str
    deployment:
      description: The id of Dokploy's record.
      type: str
    migration_head:
      description: The newest migration that the database had in the end; null when it was not looked at.
      type: str
    migrations:
      description: The names of the migrations that its code knows. Empty when they are not known.
      type: list
      elements: str
    applied_migrations:
      description: Those of them that this run has applied.
      type: list
      elements: str
    dump:
      description: The dump of before it, with C(path), C(sha256) and C(bytes); null when none was made.
      type: dict
    pages:
      description:
        - The frontend, with C(deployment), C(url) and C(commit), and C(previous), the id of what was canonical before.
        - Null when it has none.
      type: dict
    health_before:
      description: How the API was before, with C(healthy), C(integrity) and C(reason).
      type: dict
    health_after:
      description: The same afterwards.
      type: dict
    asked_for:
      description: What the run was told to deploy.
      type: dict
    before:
      description: What served before, C(deployment), C(image), C(commit) and C(version).
      type: dict
    rolled_back:
      description: What a failed run went back to; null when it did not.
      type: dict
  sample:
    - run: 20261122T020000Z
      outcome: succeeded
      commit: 4f1c9d2a7be06c5d1c9f7a1c2b0e8d3f6a5b4c3d
      deployment: lPWfbtqPZPGdqXDr5Un6t
      migration_head: 20261101120000_add_lessons
release:
  description: The one that was chosen; null without O(release).
  returned: success
  type: dict
  contains: *release
  sample: null
release_dump:
  description:
    - The newest dump with the schema of RV(release), with C(path), C(sha256), C(bytes) and C(run), the run that made
      it. Each dump was made before its own release, so it is that of the next release that migrated.
    - Null when there is none, or without O(release).
  returned: success
  type: dict
  sample: null
serving:
  description: The run of the release whose code is that of O(serving); null when there is none.
  returned: success
  type: str
  sample: null
unreadable:
  description: Entries of the journal that tell nothing, and why.
  returned: success
  type: list
  elements: str
  sample: []
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard
from ansible_collections.vedfinance.platform.plugins.module_utils._releases import (
    OUTCOMES,
    Releases,
    chosen,
    dump_for,
    read_releases,
    serving_release,
)


def sentence(found: Releases) -> str:
    unreadable = f" {len(found.unreadable)} entries cannot be read." if found.unreadable else ""
    if not found:
        return f"There is no release.{unreadable}"
    newest = found[0]
    name = (newest.commit or newest.version or newest.image or "unknown")[:12]
    many = "1 release; it" if len(found) == 1 else f"{len(found)} releases; the newest"
    return f"{many} is {newest.run} ({name}), {newest.outcome.replace('_', ' ')}.{unreadable}"


def run(params: dict[str, Any]) -> dict[str, Any]:
    every = read_releases(params["journal_dir"])
    here = every.of(params["application_id"])
    release = chosen(here, params["release"], params["serving"], here.returns) if params["release"] else None
    serving = serving_release(here, params["serving"], here.returns)
    dump = dump_for(here, release) if release else None
    commit = str(params["commit"] or "").lower()
    wanted = [
        release
        for release in here
        if (not params["outcome"] or release.outcome in params["outcome"])
        and (not commit or str(release.commit or "").lower().startswith(commit))
    ]
    told = Releases(wanted[: params["limit"] if params["limit"] > 0 else None], every.unreadable)
    return {
        "msg": sentence(told),
        "releases": [release.to_result() for release in told],
        "release": release.to_result() if release else None,
        "release_dump": {**dump[0], "run": dump[1]} if dump else None,
        "serving": serving.run if serving else None,
        "unreadable": told.unreadable,
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "journal_dir": {"type": "path", "required": True},
            "application_id": {"type": "str"},
            "outcome": {"type": "list", "elements": "str", "choices": list(OUTCOMES), "default": []},
            "commit": {"type": "str"},
            "limit": {"type": "int", "default": 30},
            "release": {"type": "str"},
            "serving": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    with guard(module):
        module.exit_json(changed=False, **run(module.params))


if __name__ == "__main__":
    main()
