#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudflare_pages_deployment
short_description: See a commit into production on Cloudflare Pages, or bring an earlier deployment back
version_added: 0.1.0
description:
  - Cloudflare Pages deploys by itself when a push reaches it. This module waits for the deployment of a commit, repeats
    a failed one or asks for a missing one where that is wanted, and succeeds only when production serves it, as
    C(canonical_deployment) of the project tells.
  - It also brings back a successful deployment of production, which takes a moment and builds nothing, and can keep the
    next push from deploying over it.
  - When a build fails, the stage and the end of its log are in the result.
  - Without O(commit), O(branch), O(to) and O(trigger), only O(production_deployments) is set.
author:
  - The V-EdFinance platform team (@vedfinance)
extends_documentation_fragment:
  - vedfinance.platform.pages
  - vedfinance.platform.web
  - vedfinance.platform.attributes
  - vedfinance.platform.attributes.actiongroup_pages
attributes:
  check_mode:
    support: full
    details:
      - Reads the project and predicts. It does not wait; a commit that has no deployment yet is taken to get one.
  diff_mode:
    support: full
    details:
      - The id and address of a deployment that does not exist yet cannot be told in check mode.
  idempotent:
    support: partial
    details:
      - A second run changes nothing, except with O(trigger=always).
options:
  state:
    description:
      - V(present) waits until production serves O(commit), or what was last deployed of O(branch).
      - V(rolled_back) has production serve O(to).
    type: str
    choices: [present, rolled_back]
    default: present
  commit:
    description:
      - The commit that shall be deployed; at least seven digits of it.
    type: str
  branch:
    description:
      - The branch that it is on. Of any but the production branch there are previews, which never serve production;
        for them, success of the deployment is enough.
      - When not given, it is the production branch of the project.
    type: str
  trigger:
    description:
      - V(never) only waits for what a push starts.
      - V(missing) has Cloudflare build O(branch) when no deployment has appeared within O(appear_timeout), at once if
        production deployments are disabled, or when it was skipped, unless O(accept_skipped).
      - V(always) has it built at once, again if need be.
      - Cloudflare builds the head of the branch. When that is not O(commit), the module fails; the build goes on, and
        takes production when it is done.
    type: str
    choices: [never, missing, always]
    default: never
  retry_failed:
    description:
      - Whether a deployment that failed or was canceled is repeated, once.
    type: bool
    default: false
  accept_skipped:
    description:
      - Whether it is a success that Cloudflare did not build the commit, since its message says so
        (C([CF-Pages-Skip])) or it touches nothing in the build watch paths of the project. Production then serves what
        it served before.
    type: bool
    default: false
  to:
    description:
      - What O(state=rolled_back) brings back, a successful deployment of production. It may be newer than what serves.
      - It is an id, a short id, a commit (of which the newest deployment is taken) or V(previous).
      - V(previous) is the last one of another commit before the newest successful one. When production was rolled back
        already, it stays as it is, so that a second run changes nothing.
    type: str
  production_deployments:
    description:
      - Whether a push to the production branch deploys from now on. V(disabled) keeps a rollback from being undone by
        the next push, until it is V(enabled) again. Deployments that are asked for are made in any case.
      - With O(state=rolled_back), it is set before the rollback. With O(state=present), V(enabled) is set at first, and
        V(disabled) after success.
      - V(enabled) also switches on the automatic deployments of the project as a whole, if they are off.
    type: str
    choices: [unchanged, enabled, disabled]
    default: unchanged
  appear_timeout:
    description:
      - How many seconds the deployment of a push may take to appear.
    type: float
    default: 120
  wait_timeout:
    description:
      - How many seconds it may take in all. Cloudflare ends a build after 20 minutes.
    type: float
    default: 1500
  log_lines:
    description:
      - How many lines of the log RV(log_tail) has.
    type: int
    default: 50
  progress_interval:
    description:
      - Seconds between two looks at what is new in the log of the build, printed by the controller while the module
        runs. V(0) switches them off.
      - They go to standard error, so that what reads the output of a callback is not disturbed. They are shown over the
        connections V(local) and V(ssh), with and without C(become); not with C(no_log), nor when the task has C(async).
      - What looks like a secret is masked in them.
    type: float
    default: 2
  progress_file:
    description:
      - A file on the host that runs the module, in which its progress and the newest lines of the log stand while it
        works. It is JSON, written anew twice a second and readable for its owner only. Whatever has this name is
        replaced, and removed at the end.
      - You need not set it. For the lines of O(progress_interval) the controller takes a name that nobody can guess.
    type: path
seealso:
  - module: vedfinance.platform.cloudflare_pages_deployment_info
  - module: vedfinance.platform.dokploy_deploy
"""

EXAMPLES = r"""
- name: Wait until the frontend of the pushed commit serves, and have it built if the push was not heard of
  vedfinance.platform.cloudflare_pages_deployment:
    account_id: "{{ platform_pages_account_id }}"
    api_token: "{{ platform_pages_api_token }}"
    project: vedfinance-web
    commit: 9f2c41d0b6f1e3a7c5d8e9f00112233445566778
    trigger: missing

- name: Bring the frontend before it back, and let no push deploy over it
  vedfinance.platform.cloudflare_pages_deployment:
    account_id: "{{ platform_pages_account_id }}"
    api_token: "{{ platform_pages_api_token }}"
    project: vedfinance-web
    state: rolled_back
    to: previous
    production_deployments: disabled

- name: Let pushes deploy again
  vedfinance.platform.cloudflare_pages_deployment:
    account_id: "{{ platform_pages_account_id }}"
    api_token: "{{ platform_pages_api_token }}"
    project: vedfinance-web
    production_deployments: enabled
"""

RETURN = r"""
deployment:
  description: The deployment that was waited for or rolled back to; without one, what serves. Null when there is none.
  type: dict
  returned: when the project was read
  contains:
    id:
      description: Its id.
      type: str
    short_id:
      description: The first eight digits of it, which its address begins with.
      type: str
    url:
      description: The address of this deployment alone.
      type: str
    environment:
      description: V(production) or V(preview).
      type: str
    commit:
      description: The commit that was built.
      type: str
    branch:
      description: The branch it was built from.
      type: str
    message:
      description: The first line of the message of the commit.
      type: str
    created:
      description: When it began.
      type: str
    status:
      description: V(queued), V(active), V(success), V(failure), V(canceled) or V(skipped).
      type: str
    stages:
      description: The stages of the build, V(queued), V(initialize), V(clone_repo), V(build) and V(deploy).
      type: list
      elements: dict
  sample: &a_deployment
    id: 396d9e53-019e-4b25-ac8f-6abcd03c7dcb
    short_id: 396d9e53
    url: https://396d9e53.vedfinance-web.pages.dev
    environment: production
    commit: 9f2c41d0b6f1e3a7c5d8e9f00112233445566778
    branch: main
    message: "feat: charts (ved-214)"
    created: "2026-11-22T13:31:12.412309Z"
    status: success
    stages:
      - name: deploy
        status: success
        started_on: "2026-11-22T13:32:40.120331Z"
        ended_on: "2026-11-22T13:32:49.003127Z"
before:
  description: What production served before. Its values are null when nothing was ever deployed.
  type: dict
  returned: when the project was read
  contains:
    id:
      description: The id of the deployment.
      type: str
    commit:
      description: Its commit.
      type: str
    url:
      description: Its address.
      type: str
  sample:
    id: ed101869-70c9-4b46-bd38-1115b7879b75
    commit: 54021c9a7f8e6d5c4b3a29180f7e6d5c4b3a2918
    url: https://ed101869.vedfinance-web.pages.dev
after:
  description: What production serves now, or would, in check mode. Its fields are those of RV(before).
  type: dict
  returned: when the project was read
  sample:
    id: 396d9e53-019e-4b25-ac8f-6abcd03c7dcb
    commit: 9f2c41d0b6f1e3a7c5d8e9f00112233445566778
    url: https://396d9e53.vedfinance-web.pages.dev
production_deployments_enabled:
  description: Whether a push to the production branch deploys. Null when no repository is connected to the project.
  type: bool
  returned: when the project was read
  sample: true
triggered:
  description: Whether the branch was, or would be, built because this module asked for it.
  type: bool
  returned: when the project was read
  sample: false
retried:
  description: Whether a failed deployment was, or would be, repeated.
  type: bool
  returned: when the project was read
  sample: false
log_tail:
  description: The last lines of the log of a build that failed or did not end, without what looks like a secret.
  type: list
  elements: str
  returned: when the project was read
  sample: []
failing_line:
  description: The line of the log that tells why it failed, or null.
  type: str
  returned: when the project was read
  sample: null
note:
  description: What else is to be known, such as what the next push does, or null.
  type: str
  returned: when the project was read
  sample: "Production deployments are disabled: no push deploys until production_deployments=enabled."
waited:
  description: How many seconds it took.
  type: float
  returned: when the project was read
  sample: 84.2
candidates:
  description: The deployments that can be rolled back to, newest first. Their fields are those of RV(deployment).
  type: list
  elements: dict
  returned: when O(to) names none of them
  sample: [*a_deployment]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vedfinance.platform.plugins.module_utils._clock import SystemClock
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard, require_library
from ansible_collections.vedfinance.platform.plugins.module_utils._hangup import ended_with_the_play
from ansible_collections.vedfinance.platform.plugins.module_utils._http import HAS_REQUESTS, REQUESTS_IMPORT_ERROR
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.argspec import PAGES_ARGUMENTS, client_from
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.deploy import (
    DEPLOYMENT_ARGUMENTS,
    check_options,
    deploy,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.rollback import roll_back
from ansible_collections.vedfinance.platform.plugins.module_utils._progress import Progress


def main() -> None:
    module = AnsibleModule(argument_spec={**PAGES_ARGUMENTS, **DEPLOYMENT_ARGUMENTS}, supports_check_mode=True)
    require_library(module, "requests", HAS_REQUESTS, REQUESTS_IMPORT_ERROR)
    params = module.params
    with guard(module):
        check_options(params)
        clock = SystemClock()
        client = client_from(params, clock)
        if params["state"] == "rolled_back":
            outcome = roll_back(client, clock, params, module.check_mode)
        else:
            with ended_with_the_play(), Progress(params["progress_file"]) as progress:
                outcome = deploy(client, clock, params, module.check_mode, progress)
        module.exit_json(changed=outcome.changed, diff=outcome.diff(), **outcome.to_result())


if __name__ == "__main__":
    main()
